"""Which output wavenumbers a small change at one input wavenumber reaches."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.landscape import linearize
from spectune.spectra import (
    fundamental_wavenumber,
    nyquist_wavenumber,
    shell_spectrum,
    shell_wavenumbers,
)

__all__ = ["Transfer", "transfer_function", "transfer_states"]

# States that the network is linearised at: each costs a few forward passes a shell.
PROBED = 6


@dataclass(frozen=True)
class Transfer:
    """Gain of the linearised network from input to output wavenumbers.

    Attributes:
        wavenumber_in: (m,) shells that were disturbed, radians per unit of length.
        wavenumber_out: (nk,) shells of the output.
        gain: (m, nk) variance in an output shell over the variance put into an input shell, in
            the network's own (standardised) units.
        error: (m, nk) standard error of the gain over samples and phases.
        total: (m,) gain summed over the output.
        total_error: (m,) its standard error.
    """

    wavenumber_in: Tensor
    wavenumber_out: Tensor
    gain: Tensor
    error: Tensor
    total: Tensor
    total_error: Tensor


def transfer_function(
    model: nn.Module, inputs: Tensor, grid: Grid, *, shells: int = 12, seed: int = 0
) -> Transfer:
    """Return the transfer function of the network linearised at its inputs.

        T(k_in → k_out) = ⟨ E[J_x δ](k_out) ⟩ / mean(δ²),      J_x = ∂f/∂x

    δ is a field of all modes of the shell k_in with random phases and equal amplitudes, independent
    in each input channel, and mean(δ²) is summed over channels as E is. A linear filter with
    circular padding has T on the diagonal only, T(k → k) = ⟨Σ_i|Ŵ_ij|²⟩/c_in summed over outputs;
    what lies off it, the nonlinearity moved. J_x δ is exact (`spectune.landscape.linearize`); the
    average runs over samples, each with phases of its own, and the standard error with it.

    Limits: T is the response to small disturbances around the states given, not to the fields
    themselves; channels are disturbed independently although data ties them together; where the
    box is not periodic, waves are still those of the Fourier transform.

    Args:
        model: from (n, c_in, *grid) to (n, c_out, *grid); weights and modes stay as they are.
        inputs: (n, c_in, *grid.shape), the states; at least 2, for the standard error.
        grid: the grid of both.
        shells: number of input shells at most, evenly spread in log k from the first to Nyquist.
        seed: of the phases.

    Returns:
        A `Transfer`, float64 on the CPU.

    Raises:
        DataError: fewer than 2 samples, or inputs that do not fit the grid.
        ModelError: the model has no parameters.
    """
    if tuple(inputs.shape[2:]) != grid.shape or len(inputs) < 2:
        raise DataError(
            f"inputs: found shape {tuple(inputs.shape)}, expected at least 2 samples of "
            f"(channel, {', '.join(map(str, grid.shape))})"
        )
    waves = replace(grid, periodic=True)
    chosen = _spread_shells(waves, shells)
    generator = torch.Generator().manual_seed(seed)
    probe = _Disturbed(model, len(chosen), tuple(inputs.shape[1:])).to(next(model.parameters()))
    gains = []
    for state in inputs:
        noise = torch.randn(inputs.shape[1], *grid.shape, generator=generator, dtype=torch.float64)
        delta = _waves(noise, chosen, waves)
        batch = state.expand(len(chosen), *state.shape)
        change = linearize(probe, ["delta"], batch, batch_size=len(batch)).jvp({"delta": delta})
        power = shell_spectrum(change.double().cpu(), waves).power.sum(1)
        gains.append(power / delta.square().flatten(2).mean(2).sum(1, keepdim=True))
    gain = torch.stack(gains)
    total = gain.sum(2)
    wavenumber = shell_wavenumbers(waves)
    return Transfer(
        wavenumber_in=wavenumber[chosen],
        wavenumber_out=wavenumber,
        gain=gain.mean(0),
        error=gain.std(0) / math.sqrt(len(gain)),
        total=total.mean(0),
        total_error=total.std(0) / math.sqrt(len(gain)),
    )


def transfer_states(
    states: Mapping[str, tuple[nn.Module, Tensor]], grid: Grid, seed: int = 0
) -> xr.Dataset:
    """Return the transfer functions of several networks and inputs side by side.

    Args:
        states: network and inputs by name; at most 6 inputs of each are used.
        grid: of the inputs.
        seed: of the phases, the same in every state.
    """
    # The same phases in every state, so that their differences are not those of the draw.
    found = [
        transfer_function(model, fields[:PROBED], grid, seed=seed)
        for model, fields in states.values()
    ]
    dims = ("transfer_state", "wavenumber_in", "wavenumber_out")
    return xr.Dataset(
        {
            "transfer": (dims, np.stack([one.gain.numpy() for one in found])),
            "transfer_error": (dims, np.stack([one.error.numpy() for one in found])),
            "transfer_total": (dims[:2], np.stack([one.total.numpy() for one in found])),
            "transfer_total_error": (
                dims[:2],
                np.stack([one.total_error.numpy() for one in found]),
            ),
        },
        coords={
            "transfer_state": list(states),
            "wavenumber_in": found[0].wavenumber_in.numpy(),
            "wavenumber_out": found[0].wavenumber_out.numpy(),
        },
    )


class _Disturbed(nn.Module):
    """x ↦ f(x + δ), so that the Jacobian in the parameter δ is that in the input."""

    def __init__(self, model: nn.Module, count: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        self.delta = nn.Parameter(torch.zeros(count, *shape))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x + self.delta)
        return out


def _spread_shells(grid: Grid, most: int) -> Tensor:
    """Return the numbers of at most so many shells up to Nyquist, evenly spread in log k."""
    last = max(1, round(nyquist_wavenumber(grid) / fundamental_wavenumber(grid)))
    # The Nyquist shell itself has modes without a phase.
    numbers = np.geomspace(1, max(1, last - 1), most).round().astype(np.int64)
    return torch.from_numpy(np.unique(numbers))


def _waves(noise: Tensor, shells: Tensor, grid: Grid) -> Tensor:
    """Return fields (m, c, *grid) with the phases of the noise and unit amplitude in one shell."""
    x = grid.transform(noise)
    x = x / x.abs().clamp(min=1e-300)
    number = (grid.squared_wavenumber().sqrt() / fundamental_wavenumber(grid) + 0.5).floor()
    return grid.inverse(x * (number == shells.reshape(-1, 1, *(1,) * grid.ndim)))
