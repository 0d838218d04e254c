"""Options that say which network and which data a command is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from spectune.cli.options import Names

__all__ = ["Subject"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Subject:
    """A network, target data, and how both are to be read."""

    model: Annotated[
        str,
        Parameter(
            help="package.module:factory that returns a torch.nn.Module, or a folder that Spectune "
            "saved."
        ),
    ]
    target: Annotated[Path, Parameter(help="Target samples: Zarr, NetCDF or HDF5.")]
    weights: Annotated[Path | None, Parameter(help="safetensors file for the factory's model.")] = (
        None
    )
    base: Annotated[
        Path | None,
        Parameter(
            help="Base data, for --standardize; for an advice also for the error of the network at "
            "home and for criteria that compare the two systems."
        ),
    ] = None
    inputs: Annotated[
        Names,
        Parameter(
            help="Input variables, in the order of the channels; a store of Spectune knows its own."
        ),
    ] = None
    targets: Annotated[Names, Parameter(help="Target variables, likewise.")] = None
    sample_dim: Annotated[
        str | None,
        Parameter(help="Dimension of the samples; by default time, sample or the first one."),
    ] = None
    periodic: Annotated[
        bool | None,
        Parameter(help="Whether the box is periodic; by default what the data says, else not."),
    ] = None
    standardize: Annotated[
        bool,
        Parameter(
            help="Standardise all channels with the statistics of the base data before the network."
        ),
    ] = False

    def reading(self) -> dict[str, Any]:
        """Return what the library calls that open data are given by name."""
        return {
            "base": self.base,
            "inputs": self.inputs,
            "targets": self.targets,
            "sample_dim": self.sample_dim,
            "periodic": self.periodic,
            "standardize": self.standardize,
        }
