"""How a system is run: for how long, how often it is recorded, how many members, which step."""

from __future__ import annotations

from typing import Any, Literal, cast

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spectune.errors import CaseError
from spectune.runs.catalog import SystemParameters
from spectune.systems import SCHEMES, TimeScheme
from spectune.validation import problems

__all__ = ["RunSettings", "multiple", "run_settings"]

SchemeName = Literal["IFRK4", "ETDRK4", "ARS343", "AB2CN"]


class RunSettings(BaseModel):
    """The settings of a run; times in the unit of the system.

    `every` and `scheme` are those of the system where they are not given. Without `dt` the CFL
    number chooses the step of each interval between two snapshots (`ControlledSimulation`).

    Members of a group are stepped together, with one time step. Where the CFL number chooses the
    step, that of the fastest member is the step of all, so that members of a group depend on each
    other in the error of the time scheme. The default, a member a group, keeps them independent
    to the last bit; larger groups are faster for small systems, which cost more in calls than in
    numbers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    time: float = Field(gt=0, description="recorded time, after the spin-up")
    every: float = Field(gt=0, description="time between two snapshots")
    spinup: float = Field(0.0, ge=0, description="time before the first snapshot")
    members: int = Field(1, ge=1, description="ensemble members, with independent initial states")
    group: int = Field(1, ge=1, description="members that are stepped together, in one batch")
    seed: int = Field(0, ge=0, lt=2**64, description="of initial states and random forcing")
    dt: float | None = Field(None, gt=0, description="fixed time step; without it CFL-controlled")
    courant: float | None = Field(
        None, gt=0, description="CFL number aimed at; by default half the limit of the scheme"
    )
    scheme: SchemeName = Field(description="time scheme")
    precision: Literal["float64", "float32"] = Field("float64", description="of run and store")

    @property
    def snapshots(self) -> int:
        """Number of snapshots of a finished run."""
        return round(self.time / self.every) + 1

    @property
    def spinup_intervals(self) -> int:
        """Number of intervals of length `every` before the first snapshot."""
        return round(self.spinup / self.every)

    @property
    def groups(self) -> list[range]:
        """The members of each group."""
        return [
            range(first, min(first + self.group, self.members))
            for first in range(0, self.members, self.group)
        ]

    @property
    def dtype(self) -> torch.dtype:
        """The real dtype of the run."""
        return torch.float32 if self.precision == "float32" else torch.float64


def run_settings(parameters: SystemParameters, **given: Any) -> RunSettings:
    """Return the settings of a run: those given, and defaults for what is missing or None.

    The CFL number to aim at is half the limit of the scheme by default.

    Raises:
        CaseError: impossible values, each listed; times that are no multiples of `every`; both
            `dt` and `courant`.
    """
    named = {name: value for name, value in given.items() if value is not None}
    defaults: dict[str, Any] = {"every": parameters.every, "scheme": parameters.scheme}
    try:
        settings = RunSettings(**defaults | named)
    except ValidationError as error:
        raise CaseError(f"{parameters.name} cannot be run so:\n{problems(error)}") from error
    limit = cast(TimeScheme, SCHEMES[settings.scheme]).courant_limit
    if settings.dt is None and settings.courant is None:
        settings = settings.model_copy(update={"courant": limit / 2})
    elif settings.dt is not None and settings.courant is not None:
        raise CaseError(
            f"both a fixed step (dt = {settings.dt:g}) and a CFL number to choose it (courant = "
            f"{settings.courant:g}) are given; expected one of them"
        )
    if settings.courant is not None and settings.courant > limit:
        raise CaseError(
            f"courant = {settings.courant:g} is above the limit of {settings.scheme}, {limit:.3g}; "
            "give less"
        )
    multiple(settings.time, settings.every, "time", "every")
    multiple(settings.spinup, settings.every, "spinup", "every")
    return settings


def multiple(whole: float, part: float, whole_name: str, part_name: str) -> int:
    """Return whole/part, which has to be an integer.

    Raises:
        CaseError: it is not; the message has the nearest values that fit.
    """
    count = round(whole / part)
    if abs(count * part - whole) > 1e-9 * whole or (whole and not count):
        count = max(count, 1)
        raise CaseError(
            f"{whole_name} = {whole:g} is no multiple of {part_name} = {part:g}; give "
            f"{whole_name} = {count * part:.10g}, or {part_name} = {whole / count:.10g}"
        )
    return count
