"""What a store says about its data: grid, names, units and provenance as CF attributes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from spectune.grid import Grid

__all__ = ["Description"]

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
    "time": "time",
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
    """

    grid: Grid
    input_names: tuple[str, ...]
    target_names: tuple[str, ...]
    units: dict[str, str]
    provenance: dict[str, Any]

    def root_attributes(self) -> dict[str, Any]:
        """Return the global attributes: CF, and this description as JSON text.

        Text, and not nested values, because NetCDF attributes cannot nest: a store that the user
        converts with ``Dataset.to_netcdf`` keeps its description.
        """
        return {"Conventions": "CF-1.11", "spectune": self.to_json()}

    def variable_attributes(self, name: str) -> dict[str, Any]:
        """Return the CF attributes of a variable or coordinate."""
        unit = self.grid.unit if name in self.grid.dims else self.units.get(name)
        attributes = {"long_name": _LONG_NAMES.get(name), "units": unit}
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
        )
