"""What a store says about its data: grid, names, units and provenance as CF attributes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from spectune.grid import Grid

__all__ = ["MEMBER", "TIME", "Description"]

TIME = "time"
MEMBER = "member"

_LONG_NAMES = {
    "psi": "stream function",
    "omega": "vorticity",
    "pi": "subgrid term of the vorticity equation",
    "u": "velocity along x",
    "v": "velocity along y",
    "q": "potential vorticity",
    "tau_xx": "subgrid stress, component xx",
    "tau_xy": "subgrid stress, component xy",
    "tau_yy": "subgrid stress, component yy",
    TIME: "time",
    MEMBER: "ensemble member",
    "x": "x coordinate",
    "y": "y coordinate",
    "z": "z coordinate",
}


@dataclass(frozen=True)
class Description:
    """Everything about a set of pairs but the numbers.

    Attributes:
        grid: grid of the samples.
        input_names: variable of each input channel.
        target_names: variable of each target channel.
        units: unit of each variable that has one.
        provenance: how the data came to be, plain JSON values.
        long_names: what each variable is, where its name alone does not say it.
        ensemble: whether the samples are of several members of an ensemble.
    """

    grid: Grid
    input_names: tuple[str, ...]
    target_names: tuple[str, ...]
    units: dict[str, str]
    provenance: dict[str, Any]
    long_names: dict[str, str] = field(default_factory=dict)
    ensemble: bool = False

    @property
    def sample_dim(self) -> str:
        """The dimension of the samples; times that several members share cannot be a dimension."""
        return "sample" if self.ensemble else TIME

    @property
    def labels(self) -> tuple[str, ...]:
        """What says of each sample where it is from."""
        return (TIME, MEMBER) if self.ensemble else (TIME,)

    def root_attributes(self) -> dict[str, Any]:
        """Return the global attributes: CF, and this description as JSON text.

        Text, and not nested values, because NetCDF attributes cannot nest: a store that the user
        converts with ``Dataset.to_netcdf`` keeps its description. What CF has an attribute for
        stands under its name as well.
        """
        known = ("title", "source", "history")
        described = {key: self.provenance[key] for key in known if key in self.provenance}
        return {"Conventions": "CF-1.11", **described, "spectune": self.to_json()}

    def variable_attributes(self, name: str) -> dict[str, Any]:
        """Return the CF attributes of a variable or coordinate."""
        unit = self.grid.unit if name in self.grid.dims else self.units.get(name)
        long_name = self.long_names.get(name, _LONG_NAMES.get(name))
        attributes = {"long_name": long_name, "units": unit}
        if name == MEMBER:
            attributes |= {"standard_name": "realization", "units": "1"}
        if self.ensemble and name in (*self.input_names, *self.target_names):
            attributes["coordinates"] = " ".join(self.labels)
        return {key: value for key, value in attributes.items() if value is not None}

    def to_json(self) -> str:
        """Return the description as JSON text."""
        return json.dumps(
            {
                "grid": self.grid.to_dict(),
                "inputs": list(self.input_names),
                "targets": list(self.target_names),
                "units": self.units,
                "provenance": self.provenance,
                "long_names": self.long_names,
                "ensemble": self.ensemble,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Description:
        """Rebuild from `to_json`.

        Raises:
            ValueError, KeyError, TypeError: the text is not a description.
        """
        values = json.loads(text)
        return cls(
            Grid.from_dict(values["grid"]),
            tuple(values["inputs"]),
            tuple(values["targets"]),
            dict(values["units"]),
            dict(values["provenance"]),
            dict(values.get("long_names", {})),
            bool(values.get("ensemble", False)),
        )
