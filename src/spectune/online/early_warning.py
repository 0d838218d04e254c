"""Whether a large-eddy simulation will blow up, from its first few per cent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from spectune.errors import CaseError
from spectune.grid import Grid
from spectune.online.les import LESRun
from spectune.online.statistics import backscatter_fraction
from spectune.spectra import mean_spectrum

__all__ = [
    "INDICATORS",
    "THRESHOLDS",
    "EarlyWarning",
    "early_warning",
    "indicators",
    "warning_before",
]

CUTOFF: Final = 2 / 3
"""What of the wavenumbers below Nyquist is not yet near the cutoff."""
FEWEST: Final = 3

INDICATORS: Final = ("backscatter", "pile-up", "drift", "growth")
# Above every lasting run of one flow (python -m benchmarks.online). In another flow, growth found
# every blow-up of physics closures without a false alarm, but none of networks: those are quiet
# for long, and go when a vortex leaves the range that they were trained in.
# There is no such limit for backscatter: a little negative viscosity is all backscatter, and lasts.
THRESHOLDS: Final[Mapping[str, float]] = MappingProxyType(
    {"pile-up": 53.0, "drift": 0.43, "growth": 0.45}
)
# Found every blow-up after the first part, of networks too, but one in five of the lasting runs
# that chose it is above; closures that are too strong for the time step are below it.
BACKSCATTER_BEFORE: Final = 0.22

_WORDS: Final = MappingProxyType(
    {
        "backscatter": "the closure scatters back {value:.0%} of what it transfers",
        "pile-up": "the enstrophy near the cutoff is {value:.3g} times that of the start",
        "drift": "the enstrophy has grown by a factor of {factor:.3g}",
        "growth": "the enstrophy near the cutoff still grows, by a factor of {factor:.3g} a third",
    }
)


@dataclass(frozen=True)
class EarlyWarning:
    """What the first part of a run says about the rest.

    Attributes:
        indicators: by name, see `early_warning`.
        thresholds: above which each is an alarm.
        alarms: names of the indicators above their threshold.
        until: end of the part that was looked at.
        verdict: in words.
    """

    indicators: Mapping[str, float]
    thresholds: Mapping[str, float]
    alarms: tuple[str, ...]
    until: float
    verdict: str

    @property
    def expects_blow_up(self) -> bool:
        """Whether there is an alarm."""
        return bool(self.alarms)


def early_warning(
    run: LESRun,
    start: Tensor,
    grid: Grid,
    *,
    until: float,
    thresholds: Mapping[str, float] = THRESHOLDS,
) -> EarlyWarning:
    r"""Say from the first part of a run whether it will blow up.

        backscatter   Σ|T < 0|/Σ|T| over the part,  T = Π ∇²ω̄
        pile-up       max_t Z_c(t)/Z_c(0),          Z_c = ½ Σ_{|k| > 2/3 k_N} |ω̂|²
        drift         max_t ln Z(t)/Z(0),           Z = ½⟨ω̄²⟩
        growth        ln of ⟨Z_c⟩ in the last third of the part over that in the middle third

    Small scales fill within the first time units whatever the closure, and stop where dissipation
    has caught up; in a run that will blow up soon they do not stop. So growth tells most. A network
    can blow up late, without a sign in the first part; `warning_before` tells more about those.

    An indicator above its threshold is an alarm. A run that ended within the part is one too
    ("blow-up"): it needs no forecast.

    Args:
        run: with at least three snapshots in the part; what comes later is not looked at.
        start: ω̄ from which it began, (*grid).
        grid: the LES grid.
        until: end of the part, a few per cent of the run that is planned.
        thresholds: of the indicators to heed; those of `THRESHOLDS` are from runs of one flow in
            ``benchmarks.online``, and were judged in others (results/online/early_warning.json).

    Raises:
        CaseError: too few snapshots, a state of another shape, or an unknown indicator.
    """
    if unknown := set(thresholds) - set(INDICATORS):
        raise CaseError(
            f"found thresholds of {sorted(unknown)}, expected some of {list(INDICATORS)}"
        )
    ended = run.stable_until is not None and run.stable_until <= until
    found = indicators(run, start, grid, until=until) if not ended else {}
    return _judged(found, thresholds, until, ended=ended)


def warning_before(
    omega: Tensor,
    pi: Tensor,
    grid: Grid,
    *,
    threshold: float = BACKSCATTER_BEFORE,
) -> EarlyWarning:
    """Say before a run, from Π of its closure on filtered states, whether it may blow up.

    Only backscatter can be known then (see `early_warning`), and it cannot tell a closure that is
    too strong from one that is right: w Π scatters back the same fraction for every w > 0.

    Args:
        omega: filtered states ω̄ (n, *grid) of the flow to simulate.
        pi: what the closure gives for them (n, *grid).
        grid: of both.
        threshold: of the backscatter fraction.
    """
    found = {"backscatter": backscatter_fraction(omega, pi, grid)}
    return _judged(found, {"backscatter": threshold}, 0.0, ended=False)


def indicators(run: LESRun, start: Tensor, grid: Grid, *, until: float) -> dict[str, float]:
    """Return the indicators of `early_warning`; backscatter is NaN where nothing is transferred.

    Raises:
        CaseError: see `early_warning`.
    """
    part = run.time <= until * (1 + 1e-9)
    if int(part.sum()) < FEWEST:
        raise CaseError(
            f"found {int(part.sum())} snapshots until t = {until:g}, expected {FEWEST} or more: "
            "run the first part again with snapshots at shorter intervals"
        )
    if start.shape != run.omega.shape[1:]:
        raise CaseError(
            f"found a start of shape {tuple(start.shape)}, expected "
            f"{tuple(run.omega.shape[1:])}, that of the run"
        )
    omega = torch.cat((start[None].double(), run.omega[part].double()))
    spectra = torch.stack([mean_spectrum(one[None], grid).power for one in omega])
    wavenumber = mean_spectrum(omega[:1], grid).wavenumber
    nyquist = math.pi / max(grid.spacing)
    near = spectra[:, wavenumber > CUTOFF * nyquist].sum(1)
    whole = spectra.sum(1)
    _, middle, last = (near[1:][third] for third in _thirds(len(near) - 1))
    return {
        "backscatter": backscatter_fraction(run.omega[part], run.pi[part], grid),
        "pile-up": float((near[1:] / near[0]).max()),
        "drift": float((whole[1:] / whole[0]).log().max()),
        "growth": float((last.mean() / middle.mean()).log()),
    }


def _thirds(count: int) -> tuple[slice, slice, slice]:
    first, second = count // 3, 2 * count // 3
    return slice(0, first), slice(first, second), slice(second, count)


def _judged(
    found: Mapping[str, float], thresholds: Mapping[str, float], until: float, *, ended: bool
) -> EarlyWarning:
    alarms = tuple(name for name, limit in thresholds.items() if found.get(name, 0.0) > limit)
    if ended:
        verdict = f"the run blew up before t = {until:g}"
        return EarlyWarning(found, thresholds, ("blow-up",), until, verdict)
    when = f"until t = {until:g}" if until else "on the filtered states"
    if not alarms:
        verdict = f"no sign of a blow-up {when}"
        return EarlyWarning(found, thresholds, (), until, verdict)
    reasons = [
        _WORDS[name].format(value=found[name], factor=math.exp(found[name]))
        + f" (limit {thresholds[name]:.3g})"
        for name in alarms
    ]
    verdict = f"a blow-up is to be expected: {when} " + ", and ".join(reasons)
    return EarlyWarning(found, thresholds, alarms, until, verdict)
