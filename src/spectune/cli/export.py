"""``spectune export``: a saved network as a program for other hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from spectune.cli.options import Out
from spectune.models import ExportFormat, export_network

__all__ = ["export"]


def export(
    model: Path,
    *,
    out: Out,
    format: ExportFormat = "torchscript",
    shape: Annotated[list[int] | None, Parameter(consume_multiple=True, negative="")] = None,
) -> None:
    """Write a network, its normalisation inside, as a program that runs without Spectune.

    For example: spectune export runs/demo/tlnn -o closure.pt

    Parameters
    ----------
    model
        Folder that Spectune saved.
    out
        File to write.
    format
        torchscript for C++ and Fortran hosts, torch.export for PyTorch.
    shape
        Points of the grid in each dimension, y x; by default the grid of the training data.
    """
    error = export_network(model, out, format=format, shape=shape)
    Console().print(
        f"{out.resolve()}: gives the network's Π to {error:.1g} of its maximum",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
