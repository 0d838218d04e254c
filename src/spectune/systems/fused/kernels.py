"""A fused step, compiled by Numba: the work at modes and points, and the order of it.

Lines of complex numbers are passed as twice as many reals, (re, im, re, im, …), and each loop reads
and writes few arrays: compilers turn a loop into vector instructions only if they can rule out that
its arrays overlap. All factors are typed arguments: a literal like 0.5 would make float32 loops
compute in float64.

All in one file: whether a function that Numba has kept is still the one that is written here, it
asks of this file alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

from spectune.systems.fused.native import call, load, store

__all__ = ["raise_to_speed", "take_steps", "to_points"]

# So often a thread looks whether the others have arrived before it lets somebody else have its
# core: some 10 µs, which is longer than equal shares of work differ, and shorter than being woken.
PATIENCE = 5000


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
def _clear_columns(rows, first, last):
    """Set columns first ≤ i < last of each row to zero, both counted in reals."""
    for j in range(rows.shape[0]):
        for i in range(first, last):
            rows[j, i] = 0


@_compiled
def _square(rows, length):
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
def _gather(z, first, length, plus, minus):
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
def _scatter(plus, minus, first, length, z):
    """Undo `_gather`; column 0 is taken from `plus`."""
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
def _advance_modes(
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
        scratch: work space (3, ≥ 2K + 2).
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


@_compiled
def to_points(columns, z, both, both_reals, scratch, execute, length, modes):
    """Transform ŵ of the state along y, and copy it to its columns of z.

    Args:
        columns: groups of lines of constant |k_x|: the smallest one, their number and the addresses
            of four plans, of the lines k_x and −k_x to modes, and back to points (…, 6).
        z: w or w², rows of constant y (M, ·), complex.
        both: lines of constant k_x and of −k_x (2, ·, ·), complex.
        both_reals: the same memory as reals.
        scratch: see `_advance_modes`.
        execute: address of the function that runs a plan.
        length: number of points M in each direction.
        modes: what `_advance_modes` takes from `x` to `scale`.
    """
    for g in range(columns.shape[0]):
        _advance_group(-1, g, columns, both_reals, scratch, length, modes)
        _scatter_group(g, columns, z, both, execute, length)


@_compiled
def raise_to_speed(rows, z_reals, place, fastest):
    """Raise fastest[0] to the largest |u| + |v| of some rows of z, which are transformed to points.

    A NaN counts as larger than any number. Arguments are those of `take_steps`.
    """
    _, _, _, _, _, execute, length, modes = place
    cutoff = modes[0].shape[0] - 1
    best = fastest[0]
    for r in range(rows.shape[0]):
        block = z_reals[rows[r, 0] : rows[r, 1]]
        _clear_columns(block, 2 * (cutoff + 1), 2 * (length - cutoff))
        call(execute, rows[r, 2])
        for j in range(block.shape[0]):
            row = block[j]
            for i in range(length):
                speed = abs(row[2 * i]) + abs(row[2 * i + 1])
                if best == best and not speed <= best:
                    best = speed
    fastest[0] = best


@_compiled
def take_steps(steps, part, arrived, give_way, rows, z_reals, place):
    """Take the share of a thread in some steps.

    Args:
        steps: number of steps.
        part: number of the thread.
        arrived: addresses of as many counters as there are threads.
        give_way: address of the function that lets another thread have the core.
        rows: groups of rows of z: first, behind the last, and the addresses of two plans, to points
            and to modes (…, 4).
        z_reals: the memory of z as reals.
        place: arguments of `to_points`.
    """
    columns, z, both, both_reals, scratch, execute, length, modes = place
    cutoff = modes[0].shape[0] - 1
    to_points(columns, z, both, both_reals, scratch, execute, length, modes)
    for step in range(steps):
        for stage in range(4):
            _meet(part, arrived, give_way)
            for r in range(rows.shape[0]):
                block = z_reals[rows[r, 0] : rows[r, 1]]
                _clear_columns(block, 2 * (cutoff + 1), 2 * (length - cutoff))
                call(execute, rows[r, 2])
                _square(block, length)
                call(execute, rows[r, 3])
            _meet(part, arrived, give_way)
            for g in range(columns.shape[0]):
                first, count = columns[g, 0], columns[g, 1]
                _gather(z, first, length, both[0, :count], both[1, :count])
                call(execute, columns[g, 2])
                call(execute, columns[g, 3])
                _advance_group(stage, g, columns, both_reals, scratch, length, modes)
                if stage < 3 or step < steps - 1:
                    _scatter_group(g, columns, z, both, execute, length)


@_compiled
def _advance_group(stage, g, columns, both_reals, scratch, length, modes):
    first, count = columns[g, 0], columns[g, 1]
    plus, minus = both_reals[0, :count], both_reals[1, :count]
    _advance_modes(stage, first, length, plus, minus, *modes, scratch)


@_compiled
def _scatter_group(g, columns, z, both, execute, length):
    first, count = columns[g, 0], columns[g, 1]
    call(execute, columns[g, 4])
    call(execute, columns[g, 5])
    _scatter(both[0, :count], both[1, :count], first, length, z)


@_compiled
def _meet(part, arrived, give_way):
    """Wait until all threads have come here as often as this one."""
    times = load(arrived[part]) + 1
    store(arrived[part], times)
    for other in range(arrived.shape[0]):
        looks = 0
        while load(arrived[other]) < times:
            looks += 1
            if looks > PATIENCE:
                call(give_way, 0)
