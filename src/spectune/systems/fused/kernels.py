"""The pointwise work of a fused step, compiled by Numba.

Lines of complex numbers are passed as twice as many reals, (re, im, re, im, …), and each loop reads
and writes few arrays: compilers turn a loop into vector instructions only if they can rule out that
its arrays overlap. All factors are typed arguments: a literal like 0.5 would make float32 loops
compute in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

__all__ = ["advance_modes", "clear_columns", "gather", "raise_to_speed", "scatter", "square"]


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    # nogil: members, or parts of one, run in threads. cache: compiled once a machine. Sums may be
    # regrouped, but infinities and NaNs stay: a run that blows up must be seen to. _nrt=False: no
    # counting of references to slices, which would take longer than the work on them. No
    # contraction to fused multiply-adds: which of them it takes can differ between the process
    # that compiles and those that load, and a resumed run would not have the same bytes.
    options: dict[str, Any] = {"fastmath": {"reassoc", "nsz"}, "_nrt": False}
    try:
        compiled: Callable[..., None] = numba.njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:  # no folder to keep it in can be written: compiled in each process
        compiled = numba.njit(nogil=True, **options)(function)
    return compiled


@_compiled
def clear_columns(rows, first, last):
    """Set columns first ≤ i < last of each row to zero, both counted in reals."""
    for j in range(rows.shape[0]):
        for i in range(first, last):
            rows[j, i] = 0


@_compiled
def square(rows, length):
    """Replace the first `length` complex numbers w of each row by w²."""
    for j in range(rows.shape[0]):
        row = rows[j]
        for i in range(length):
            u = row[2 * i]
            v = row[2 * i + 1]
            uv = u * v
            row[2 * i] = u * u - v * v
            row[2 * i + 1] = uv + uv


@_compiled
def raise_to_speed(rows, length, found):
    """Raise found[0] to the largest |u| + |v| of the first `length` numbers u + iv of each row.

    A NaN counts as larger than any number.
    """
    best = found[0]
    for j in range(rows.shape[0]):
        row = rows[j]
        for i in range(length):
            speed = abs(row[2 * i]) + abs(row[2 * i + 1])
            if best == best and not speed <= best:
                best = speed
    found[0] = best


@_compiled
def gather(z, first, length, plus, minus):
    """Copy the columns first + i of z into the lines i of `plus`, −(first + i) into `minus`."""
    for top in range(0, length, 8):
        bottom = min(top + 8, length)
        for i in range(plus.shape[0]):
            left = first + i
            right = (length - left) % length
            for y in range(top, bottom):
                plus[i, y] = z[y, left]
            for y in range(top, bottom):
                minus[i, y] = z[y, right]


@_compiled
def scatter(plus, minus, first, length, z):
    """Undo `gather`; column 0 is taken from `plus`."""
    count = plus.shape[0]
    start = 1 if first == 0 else 0
    for y in range(length):
        for i in range(count):
            z[y, first + i] = plus[i, y]
        for i in range(start, count):
            z[y, length - first - i] = minus[i, y]


@_compiled
def _copy(a, out):
    """Write a; `out[:] = a` would first look whether the two overlap."""
    for i in range(out.shape[0]):
        out[i] = a[i]


@_compiled
def _add(a, factor, b, out):
    """Write a + factor · b; `out` may be neither a nor b."""
    for i in range(out.shape[0]):
        out[i] = a[i] + factor * b[i]


@_compiled
def _increase(total, factor, b):
    """Add factor · b to `total`."""
    for i in range(total.shape[0]):
        total[i] += factor * b[i]


@_compiled
def _decrease(total, b):
    """Subtract b from `total`."""
    for i in range(total.shape[0]):
        total[i] -= b[i]


@_compiled
def _multiply(rotates, a, b, out):
    """Write ab, complex, or where a does not rotate, real; `out` may be neither a nor b."""
    if rotates:
        for i in range(out.shape[0] // 2):
            ar = a[2 * i]
            ai = a[2 * i + 1]
            br = b[2 * i]
            bi = b[2 * i + 1]
            out[2 * i] = ar * br - ai * bi
            out[2 * i + 1] = ar * bi + ai * br
    else:
        # Then a holds each real factor twice.
        for i in range(out.shape[0]):
            out[i] = a[i] * b[i]


@_compiled
def _tendency(plus, minus, kx, ky, scale, out):
    """Write −Ĵ of modes with the same k_x, with Ŝ(k) in `plus` and Ŝ(−k) in `minus`.

    Ĵ = (i/4) [(k_x − i k_y)² Ŝ(k) − (k_x + i k_y)² Ŝ(−k)*]
    """
    for i in range(ky.shape[0]):
        even = scale * (kx * kx - ky[i] * ky[i])
        odd = scale * (kx + kx) * ky[i]
        pr = plus[2 * i]
        pi = plus[2 * i + 1]
        mr = minus[2 * i]
        mi = minus[2 * i + 1]
        out[2 * i] = even * (pi + mi) - odd * (pr + mr)
        out[2 * i + 1] = -(even * (pr - mr) + odd * (pi - mi))


@_compiled
def _runge_kutta(stage, x, total, n, rotates, decay, dt, y, work):
    """Add a stage of RK4 with integrating factor E; write the next state into y.

        stage 0: y = E(x + Δt/2 n),      total = E²(x + Δt/6 n)
        stage 1: y = Ex + Δt/2 n,        total += Δt/3 E n
        stage 2: y = E(Ex + Δt n),       total += Δt/3 E n
        stage 3: y = x = total + Δt/6 n

    `dt` holds Δt, Δt/2, Δt/3 and Δt/6; n and `work` are overwritten.
    """
    if stage == 0:
        _add(x, dt[1], n, work)
        _multiply(rotates, decay, work, y)
        _add(x, dt[3], n, work)
        _multiply(rotates, decay, work, n)
        _multiply(rotates, decay, n, total)
    elif stage == 3:
        _add(total, dt[3], n, x)
        _copy(x, y)
    else:
        _multiply(rotates, decay, n, work)
        _increase(total, dt[2], work)
        if stage == 1:
            _multiply(rotates, decay, x, work)
            _add(work, dt[1], n, y)
        else:
            _multiply(rotates, decay, x, y)
            _add(y, dt[0], n, work)
            _multiply(rotates, decay, work, y)


@_compiled
def _velocity(y, inverse_k2, kx, ky, plus, minus):
    """Write ŵ(k) = (k_x + i k_y) ω̂/k² into `plus` and ŵ(−k) into `minus`."""
    for i in range(ky.shape[0]):
        ar = y[2 * i] * inverse_k2[i]
        ai = y[2 * i + 1] * inverse_k2[i]
        plus[2 * i] = kx * ar - ky[i] * ai
        plus[2 * i + 1] = kx * ai + ky[i] * ar
        minus[2 * i] = -(kx * ar + ky[i] * ai)
        minus[2 * i + 1] = kx * ai - ky[i] * ar


@_compiled
def advance_modes(
    stage,
    first,
    length,
    plus,
    minus,
    x,
    total,
    forcing,
    forced,
    rotates,
    decay,
    inverse_k2,
    ky,
    dt,
    scale,
    scratch,
):
    """Go from Ŝ, the transform of w², to the next ŵ on the lines k_x = ±(first + i).

    With ``stage = -1`` only ŵ of x is written. Arrays over modes have K + 1 lines of constant k_x.

    Args:
        stage: of Runge–Kutta, 0 … 3, or −1.
        first: smallest |k_x|.
        length: number of points M in each direction.
        plus: Ŝ(k), then ŵ(k); line i has k_x = first + i and holds k_y = 0 … M/2 … −1.
        minus: Ŝ(−k), then ŵ(−k), in the same order of k.
        x: ω̂ (K + 1, 4K + 2).
        total: sum over the stages, as x.
        forcing: f̂, as x.
        forced: whether a line of `forcing` has other values than 0 (K + 1).
        rotates: whether E is complex.
        decay: E = exp(L Δt/2), as x; if it is real, each value twice.
        inverse_k2: 1/k² (K + 1, 2K + 1).
        ky: 0 … K, −K … −1.
        dt: Δt, Δt/2, Δt/3 and Δt/6.
        scale: 1/(4M²).
        scratch: work space (3, 2K + 2).
    """
    cutoff = x.shape[0] - 1
    for i in range(plus.shape[0]):
        k = first + i
        kx = ky[k]
        for part in range(2):
            # Modes k_y ≥ 0 are at the front of a line, k_y < 0 at its end.
            start = 0 if part == 0 else cutoff + 1
            stop = cutoff + 1 if part == 0 else 2 * cutoff + 1
            shift = 0 if part == 0 else length - 2 * cutoff - 1
            n = scratch[0, : 2 * (stop - start)]
            y = scratch[1, : 2 * (stop - start)]
            work = scratch[2, : 2 * (stop - start)]
            here = x[k, 2 * start : 2 * stop]
            p = plus[i, 2 * (start + shift) : 2 * (stop + shift)]
            m = minus[i, 2 * (start + shift) : 2 * (stop + shift)]
            if stage < 0:
                _copy(here, y)
            else:
                _tendency(p, m, kx, ky[start:stop], scale, n)
                if forced[k]:
                    _decrease(n, forcing[k, 2 * start : 2 * stop])
                _runge_kutta(
                    stage,
                    here,
                    total[k, 2 * start : 2 * stop],
                    n,
                    rotates,
                    decay[k, 2 * start : 2 * stop],
                    dt,
                    y,
                    work,
                )
            _velocity(y, inverse_k2[k, start:stop], kx, ky[start:stop], p, m)
        for j in range(2 * cutoff + 2, 2 * (length - cutoff)):
            plus[i, j] = 0
        for j in range(2 * cutoff + 2, 2 * (length - cutoff)):
            minus[i, j] = 0
