"""A case: the flows, the network, the budget of everything, in one typed file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spectune.errors import CaseError
from spectune.validation import problems

__all__ = ["Case", "FlowCase", "load_case"]

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GridCase(_Section):
    """Points per dimension of the direct and the large-eddy simulation."""

    dns: Annotated[int, Field(ge=16, multiple_of=2)]
    les: Annotated[int, Field(ge=8, multiple_of=2)]

    @model_validator(mode="after")
    def _les_is_coarser(self) -> GridCase:
        if self.les >= self.dns:
            raise ValueError(f"les = {self.les} must be smaller than dns = {self.dns}")
        if self.les // 2 - 1 > (self.dns - 1) // 3:
            raise ValueError(
                f"les = {self.les} keeps modes that the dealiased DNS of dns = {self.dns} lacks; "
                f"use les ≤ {2 * ((self.dns - 1) // 3 + 1)}"
            )
        return self


class FlowCase(_Section):
    """A flow and the pairs to take from it; times in the units of the box."""

    reynolds: Positive
    forcing_wavenumber: Annotated[int, Field(ge=0)]
    drag: Annotated[float, Field(ge=0)] = 0.1
    beta: float = 0.0
    initial_energy: Positive = 0.5
    dt: Positive
    spinup: Annotated[float, Field(ge=0)]
    interval: Positive
    training: Count
    held_out: Annotated[int, Field(ge=2)]

    @property
    def pairs(self) -> int:
        """Number of pairs in all."""
        return self.training + self.held_out

    @property
    def steps(self) -> int:
        """Number of time steps between two pairs."""
        return max(1, round(self.interval / self.dt))


class NetworkCase(_Section):
    """The closure network (`spectune.models.CNN`)."""

    width: Count
    depth: Annotated[int, Field(ge=2)]
    kernel: Annotated[int, Field(ge=1)]
    padding: Literal["circular", "zeros"] = "circular"


class TrainingCase(_Section):
    """Budget of a training run."""

    epochs: Count
    batch: Count
    learning_rate: Positive


class AdviceCase(_Section):
    """How many target samples the advice may see."""

    samples: Annotated[int, Field(ge=2)]


class OnlineCase(_Section):
    """The large-eddy simulations; time in the units of the box.

    The closure is called every `closure_steps` steps.
    """

    time: Positive
    dt: Positive
    interval: Positive
    closure_steps: Annotated[int, Field(ge=1)] = 1

    @property
    def steps(self) -> int:
        """Number of time steps between two snapshots."""
        return max(1, round(self.interval / self.dt))

    @model_validator(mode="after")
    def _snapshots_have_a_closure(self) -> OnlineCase:
        if self.steps % self.closure_steps:
            raise ValueError(
                f"found {self.steps} steps between snapshots and the closure called every "
                f"{self.closure_steps}; expected a multiple"
            )
        return self


class Case(_Section):
    """A base flow, a target flow, a network, and what to do with them."""

    name: str
    title: str
    seed: int = 0
    grid: GridCase
    base: FlowCase
    target: FlowCase
    network: NetworkCase
    training: TrainingCase
    transfer: TrainingCase
    advice: AdviceCase
    online: OnlineCase

    @model_validator(mode="after")
    def _advice_sees_training_samples_only(self) -> Case:
        if self.advice.samples > self.target.training:
            raise ValueError(
                f"advice.samples = {self.advice.samples} exceeds "
                f"target.training = {self.target.training}"
            )
        return self

    @model_validator(mode="after")
    def _online_snapshots_meet_the_truth(self) -> Case:
        pairs = self.target.steps * self.target.dt
        snapshots = self.online.steps * self.online.dt
        if abs(snapshots - pairs) > 1e-6 * pairs:
            raise ValueError(
                f"online.interval gives a snapshot every {snapshots:g} (a multiple of online.dt), "
                f"but the target has a pair every {pairs:g} (a multiple of target.dt) to compare "
                "it with; make them equal"
            )
        return self


def load_case(path: str | Path) -> Case:
    """Read a case from a TOML file.

    Raises:
        CaseError: the file is missing or not TOML, or a value is missing, unknown or impossible;
            every problem is listed with its place.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CaseError(f"case {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CaseError(f"case {path}: not TOML: {error}") from error
    try:
        return Case.model_validate(values)
    except ValidationError as error:
        raise CaseError(f"case {path} cannot be run:\n{problems(error, 'case')}") from error
