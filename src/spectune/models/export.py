"""A network for hosts that know nothing of Spectune: Fortran, C++, plain PyTorch."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor, nn

from spectune.atomic import write_bytes
from spectune.errors import ModelError
from spectune.models.checkpoint import load_network
from spectune.models.network import Network

__all__ = ["TOLERANCE", "ExportFormat", "export_network"]

ExportFormat = Literal["torchscript", "torch.export"]

TOLERANCE = 1e-6
"""Largest difference between the exported and the original network, over the largest |Π|."""


class _SelfContained(nn.Module):
    """A network whose normalisation consists of buffers, which travel with the program."""

    input_mean: Tensor
    input_std: Tensor
    target_mean: Tensor
    target_std: Tensor

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.module = network.module
        statistics = network.normalization
        for name in ("input_mean", "input_std", "target_mean", "target_std"):
            self.register_buffer(name, getattr(statistics, name).clone())

    def forward(self, inputs: Tensor) -> Tensor:
        column = (1, -1, *[1] * (inputs.dim() - 2))
        standardised = (inputs - self.input_mean.reshape(column)) / self.input_std.reshape(column)
        outputs: Tensor = self.module(standardised)
        return outputs * self.target_std.reshape(column) + self.target_mean.reshape(column)


def export_network(
    network: Network | str | Path,
    path: str | Path,
    *,
    format: ExportFormat = "torchscript",
    shape: Sequence[int] | None = None,
) -> float:
    """Write a network as a program that runs without Spectune, and check what was written.

        x (n, c_in, *grid) in physical units  →  Π = σ_y f((x − μ_x)/σ_x) + μ_y (n, c_out, *grid)

    The normalisation is inside. ``"torchscript"`` is for libtorch (C++, Fortran through FTorch) and
    `torch.jit.load`; PyTorch deprecates it, these hosts need it. ``"torch.export"`` is for
    `torch.export.load`. Both take any number of samples n. TorchScript of a convolutional network
    also takes other grids; torch.export keeps the grid. Inputs are of the precision of the weights.

    The bytes that will be the file are loaded back and must give the Π of the network for random
    inputs of the training statistics, for n = 1 and n = 3, to `TOLERANCE`. Only then is the file
    written, in one piece.

    Args:
        network: a network, or the folder of a saved one.
        path: file to write; ``.pt`` for TorchScript and ``.pt2`` for torch.export are customary.
        format: see above.
        shape: of the grid; by default the one the saved network was trained on.

    Returns:
        The largest difference found, over the largest |Π|.

    Raises:
        ModelError: no shape is known, the network cannot be exported, or the exported one gives
            another Π, as one does whose Python code decides by the values it is given.
    """
    grid = None if shape is None else tuple(shape)
    if not isinstance(network, Network):
        network, _, description = load_network(Path(network))
        grid = tuple(description["grid"]["shape"]) if grid is None else grid
    if grid is None:
        raise ModelError(
            "a network that is not from a folder does not know its grid; give its shape, for "
            "example shape=(64, 64)"
        )
    formats = {"torchscript": _torchscript, "torch.export": _torch_export}
    if format not in formats:
        raise ModelError(
            f"export format '{format}': expected 'torchscript' or 'torch.export'; TorchScript is "
            "what C++ and Fortran hosts load"
        )
    training = network.training
    try:
        network.eval()
        with torch.no_grad():
            content, run = _exported(formats[format], network, grid)
            error = max(_difference(network, run, count, grid) for count in (1, 3))
    finally:
        network.train(training)
    if not error <= TOLERANCE:  # NaN must not pass
        raise ModelError(
            f"export to {path}: the {format} program gives another Π than the network, by "
            f"{error:.2g} of its maximum where at most {TOLERANCE:g} is expected; a module whose "
            "Python code branches on values or shapes cannot be traced: rewrite the branch with "
            "torch.where. Nothing was written"
        )
    write_bytes(Path(path), content)
    return error


_Program = Callable[[Tensor], Tensor]


def _exported(
    write: Callable[[nn.Module, Tensor], tuple[bytes, _Program]],
    network: Network,
    grid: tuple[int, ...],
) -> tuple[bytes, _Program]:
    try:
        return write(_SelfContained(network), _sample(network, 2, grid))
    except Exception as error:  # the compilers raise errors of many kinds
        raise ModelError(
            f"a {type(network.module).__name__} cannot be exported for inputs of shape "
            f"{(2, len(network.normalization.input_mean), *grid)}: "
            f"{type(error).__name__}: {error}"
        ) from error


def _torchscript(module: nn.Module, example: Tensor) -> tuple[bytes, _Program]:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(module, example, check_trace=False), buffer)  # type: ignore[no-untyped-call]
    buffer.seek(0)
    return buffer.getvalue(), cast(_Program, torch.jit.load(buffer))  # type: ignore[no-untyped-call]


def _torch_export(module: nn.Module, example: Tensor) -> tuple[bytes, _Program]:
    samples = {0: torch.export.Dim("samples", min=1)}
    program = torch.export.export(module, (example,), dynamic_shapes={"inputs": samples})
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    buffer.seek(0)
    return buffer.getvalue(), cast(_Program, torch.export.load(buffer).module())


def _sample(network: Network, count: int, grid: tuple[int, ...]) -> Tensor:
    """Return inputs as the network was trained on: white noise with the training statistics."""
    statistics = network.normalization
    column = (1, -1, *[1] * len(grid))
    generator = torch.Generator().manual_seed(count)
    noise = torch.randn((count, len(statistics.input_mean), *grid), generator=generator)
    inputs = noise * statistics.input_std.reshape(column) + statistics.input_mean.reshape(column)
    like = next(network.parameters(), inputs)
    return inputs.to(like)


def _difference(network: Network, run: _Program, count: int, grid: tuple[int, ...]) -> float:
    inputs = _sample(network, count, grid)
    expected, found = network(inputs), run(inputs)
    largest = expected.abs().max().clamp(min=torch.finfo(expected.dtype).tiny)
    return float((found - expected).abs().max() / largest)
