"""The layer where base and target part, and the layer where re-training brings them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spectune.grid import Grid
from spectune.spectra import (
    LayerSpectra,
    log_spectral_distance,
    nyquist_wavenumber,
    shell_wavenumbers,
)

__all__ = ["Parting", "find_parting"]

# Resampled sets of samples behind the shares.
_DRAWS = 400


@dataclass(frozen=True)
class Parting:
    """Distances of activation spectra from those of the base network at home, in decibels.

    Attributes:
        before: (layers,) of the base network on target data.
        after: (layers,) of the re-trained network on target data.
        at_input: of the inputs.
        parts: layer with the largest rise of `before` over the layer before it; None if it never
            rises. Beside `at_input`, its rise says whether it is a layer or the data that part.
        parts_rise: that rise.
        parts_share: how often that layer is found in resampled samples.
        joins: layer with the largest rise of `before` − `after` over the layer before it; None if
            re-training nowhere brings the spectra nearer.
        joins_rise: that rise.
        joins_share: how often that layer is found in resampled samples.
    """

    before: Tensor
    after: Tensor
    at_input: float
    parts: str | None
    parts_rise: float
    parts_share: float
    joins: str | None
    joins_rise: float
    joins_share: float


def find_parting(
    home: Sequence[LayerSpectra],
    before: Sequence[LayerSpectra],
    after: Sequence[LayerSpectra],
    inputs: tuple[Tensor, Tensor],
    grid: Grid,
    *,
    seed: int = 0,
) -> Parting:
    """Return where the activations of base and target part, and where re-training joins them.

        d_ℓ = distance(E[h_ℓ] on the target, E[h_ℓ] at home),      rise_ℓ = d_ℓ − d_{ℓ−1}

    with d_0 that of the inputs (`log_spectral_distance`). The share of resampled sets of samples
    (bootstrap, home and target apart) in which the same layer is found says whether it would be
    found again: with few samples, or a distance that rises everywhere alike, it would not.

    Args:
        home: spectra of the base network on base data.
        before: of the base network on target data, the same layers.
        after: of the re-trained network on target data, the same layers.
        inputs: (n, nk), (n', nk) spectra of each sample of base and target inputs.
        grid: of the inputs.
        seed: of the bootstrap.
    """
    generator = torch.Generator().manual_seed(seed)
    counts = []
    for n in (len(inputs[0]), len(inputs[1])):
        drawn = torch.randint(n, (_DRAWS, n), generator=generator)
        weights = torch.zeros(_DRAWS, n, dtype=torch.float64)
        weights.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float64))
        # The first row is the whole sample as it is.
        counts.append(torch.cat((torch.ones(1, n, dtype=torch.float64), weights)) / n)
    there, here = (weights @ x for weights, x in zip(counts, inputs, strict=True))
    wavenumber = shell_wavenumbers(grid)
    rows = [log_spectral_distance(here, there, wavenumber, nyquist_wavenumber(grid))]
    changed = [torch.zeros_like(rows[0])]
    for a, b, c in zip(home, before, after, strict=True):
        last = nyquist_wavenumber(a.grid)
        at_home = counts[0] @ a.linear_samples
        d, e = (
            log_spectral_distance(counts[1] @ x.linear_samples, at_home, a.wavenumber, last)
            for x in (b, c)
        )
        rows.append(d)
        changed.append(d - e)
    distance, gained = torch.stack(rows), torch.stack(changed)
    names = [layer.name for layer in home]
    parts, parts_rise, parts_share = _largest_rise(distance, names)
    joins, joins_rise, joins_share = _largest_rise(gained, names)
    return Parting(
        before=distance[1:, 0],
        after=(distance - gained)[1:, 0],
        at_input=float(distance[0, 0]),
        parts=parts,
        parts_rise=parts_rise,
        parts_share=parts_share,
        joins=joins,
        joins_rise=joins_rise,
        joins_share=joins_share,
    )


def _largest_rise(values: Tensor, names: Sequence[str]) -> tuple[str | None, float, float]:
    """Return the layer of the largest rise in the first column, the rise, its share of the rest."""
    rise = torch.nan_to_num(values, nan=0.0).diff(dim=0)
    found = rise.argmax(0)
    largest = float(rise[found[0], 0])
    if not largest > 1e-9:  # rounding
        return None, 0.0, 0.0
    return names[int(found[0])], largest, float((found[1:] == found[0]).double().mean())
