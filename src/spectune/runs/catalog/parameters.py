"""What the catalogue says about a system, and what it makes of the parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from spectune.systems import System

__all__ = ["Coordinate", "Redraw", "Setup", "SystemParameters", "Variable", "parameter"]


@dataclass(frozen=True)
class Variable:
    """A physical field of a system, as it is stored.

    Attributes:
        name: in the store.
        long_name: what it is.
        unit: of its values; "1" where the equations are dimensionless.
        dims: its dimensions after member and time.
    """

    name: str
    long_name: str
    unit: str
    dims: tuple[str, ...]


@dataclass(frozen=True)
class Coordinate:
    """A dimension of the fields: its points (float64 or int) and its CF attributes."""

    name: str
    points: Tensor
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class Redraw:
    """A forcing that is held for `interval` and then drawn anew.

    Attributes:
        interval: time for which a draw is held.
        apply: sets the draw of a number; draw `i` holds from time i·interval on.
    """

    interval: float
    apply: Callable[[int], None]


@dataclass(frozen=True)
class Setup:
    """A system with what a run of some of its members needs besides the equations.

    Attributes:
        system: the equations.
        variables: its physical fields.
        coordinates: one for each dimension of the fields.
        initial: the initial states of the members, (members, *state).
        fields: from states (members, *state) to the values of `variables`, (members, *dims) each.
        state: from the values of the variables back to states, to round-off.
        diagnostics: means over box and members of a few quadratic quantities, by name.
        redraw: the forcing that is redrawn in time, if there is one.
    """

    system: System
    variables: tuple[Variable, ...]
    coordinates: tuple[Coordinate, ...]
    initial: Callable[[], Tensor]
    fields: Callable[[Tensor], tuple[Tensor, ...]]
    state: Callable[[tuple[Tensor, ...]], Tensor]
    diagnostics: Callable[[Tensor], dict[str, float]]
    redraw: Redraw | None = None


class SystemParameters(BaseModel, ABC):
    """The parameters of a system: names, defaults, units and meaning in one place.

    From the fields of a subclass come the options of the command line, ``simulate --list``, the
    messages about wrong values, the attributes of a store and the system that a store is of.

    Attributes:
        name: of the system.
        title: what it is, in a line.
        time_unit: unit of time.
        every: default time between two snapshots.
        scheme: default time scheme.
        presets: parameter values that differ from the defaults, by the name of the preset.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: ClassVar[str]
    title: ClassVar[str]
    time_unit: ClassVar[str] = "1"
    every: ClassVar[float]
    scheme: ClassVar[str] = "IFRK4"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})

    @model_validator(mode="before")
    @classmethod
    def _preset_under_the_given(cls, given: Any) -> Any:
        preset = cls.presets.get(given.get("preset", "")) if isinstance(given, dict) else None
        return {**preset, **given} if preset else given

    @classmethod
    def unit_of(cls, name: str) -> str:
        """Return the unit of a parameter, "1" where it has none."""
        extra = cls.model_fields[name].json_schema_extra
        return str(extra["unit"]) if isinstance(extra, dict) else "1"

    @classmethod
    def default_of(cls, name: str) -> str:
        """Return the default of a parameter in words, with the presets that have another one."""
        default = cls.model_fields[name].default
        others = {p: values[name] for p, values in cls.presets.items() if name in values}
        return "; ".join(
            (_text(default), *(f"{p}: {_text(v)}" for p, v in others.items() if v != default))
        )

    @abstractmethod
    def build(
        self, *, seed: int, members: range, dtype: torch.dtype, device: torch.device | str
    ) -> Setup:
        """Return the system with the initial states and the forcing of some members.

        What is random about a member is a function of `seed` and its number alone.

        Args:
            seed: of everything random.
            members: numbers of the members.
            dtype: float32 or float64.
            device: where states live.

        Raises:
            CaseError: the parameters do not fit together.
        """


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def parameter(meaning: str, default: Any, unit: str = "1", **limits: Any) -> Any:
    """Return a field of `SystemParameters`: meaning, default, unit and limits (ge, gt, …)."""
    return Field(default, description=meaning, json_schema_extra={"unit": unit}, **limits)
