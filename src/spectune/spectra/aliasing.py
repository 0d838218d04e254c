"""What a stride folds back: energy beyond the Nyquist wavenumber of the coarser grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from types import EllipsisType
from typing import Any

import torch
from torch import Tensor, nn

from spectune.grid import Grid, resize
from spectune.spectra._core import shell_spectrum, shell_wavenumbers
from spectune.spectra.activations import evaluation
from spectune.spectra.windowed import tapered

__all__ = ["Aliasing", "aliasing"]

_STRIDED = (
    (nn.Conv1d, nn.AvgPool1d, nn.MaxPool1d, nn.LPPool1d),
    (nn.Conv2d, nn.AvgPool2d, nn.MaxPool2d, nn.LPPool2d),
    (nn.Conv3d, nn.AvgPool3d, nn.MaxPool3d),
)
_BATCH = 4


@dataclass(frozen=True)
class Aliasing:
    """Sample-mean spectra of the output of a strided layer, over channels.

    Attributes:
        name: of the module in ``model.named_modules()``.
        grid: of the output.
        wavenumber: (nk,) its shells, float64.
        total: (nk,) spectrum of the output.
        aliased: (nk,) spectrum of the part that was beyond the output's Nyquist wavenumbers.
    """

    name: str
    grid: Grid
    wavenumber: Tensor
    total: Tensor
    aliased: Tensor

    @property
    def share(self) -> float:
        """Aliased variance over that of the output, without the means."""
        return float(self.aliased[1:].sum() / self.total[1:].sum())


def aliasing(model: nn.Module, inputs: Tensor, grid: Grid) -> list[Aliasing]:
    """Return, for every strided convolution or pooling, how much of its output is aliased.

        ĥ_coarse(k) = Σ_m ĥ_fine(k + m K),      aliased = h_coarse − (term m = 0)

    with h_fine the output without the stride and K the modes of the coarse grid. h_fine comes from
    the layer itself, run on its input displaced by each offset below the stride. The term m = 0 is
    the low-pass filter that a stride should have had; the coarse Nyquist modes count as aliased.

    Where the box is not periodic, both are taken without trend under a Hann window, or the jump at
    the edge would look like small scales.

    Args:
        model: any module that maps one tensor to one tensor; run in eval mode, without gradients.
        inputs: (n, c_in, *grid.shape).
        grid: the grid of the inputs.

    Returns:
        One `Aliasing` for each layer whose stride divides the points of its input, in the order of
        the model. Transposed convolutions fold nothing.

    Raises:
        DataError: if an output is NaN or infinite.

    Source: the sampling theorem; Zhang, ICML 2019, for its neglect in networks.
    """
    sums: dict[str, tuple[Grid, Tensor]] = {}

    def hook_of(name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
            found = _folded(module, args[0], out, grid)
            if found is not None:
                coarse, spectra = found
                before = sums.get(name, (coarse, torch.zeros_like(spectra)))
                sums[name] = coarse, before[1] + spectra

        return hook

    handles = [
        module.register_forward_hook(hook_of(name))
        for name, module in model.named_modules()
        if isinstance(module, _STRIDED[grid.ndim - 1])
    ]
    reference = next(model.parameters(), inputs)
    try:
        with evaluation(model), torch.no_grad():
            for batch in torch.split(inputs, _BATCH):
                model(batch.to(device=reference.device, dtype=reference.dtype))
    finally:
        for handle in handles:
            handle.remove()
    return [
        Aliasing(name, coarse, shell_wavenumbers(coarse), *(spectra / len(inputs)))
        for name, (coarse, spectra) in sums.items()
    ]


def _folded(module: nn.Module, values: Tensor, out: Any, box: Grid) -> tuple[Grid, Tensor] | None:
    """Return the coarse grid and (2, nk) sums over samples: of the output, and of its alias."""
    if not isinstance(out, Tensor) or out.ndim != box.ndim + 2:
        return None
    steps = [a // b for a, b in zip(values.shape[2:], out.shape[2:], strict=True)]
    exact = all(n == m * s for n, m, s in zip(values.shape[2:], out.shape[2:], steps, strict=True))
    if not exact or max(steps) == 1 or min(out.shape[2:]) < 2:
        return None
    axes = tuple(range(2, values.ndim))
    shape = tuple(int(n) for n in values.shape[2:])
    fine = out.new_empty(*out.shape[:2], *shape)
    for offset in product(*(range(step) for step in steps)):
        place = _every(steps, offset)
        displaced = values.roll(tuple(-o for o in offset), axes)
        # The module's own forward, because calling it would come back to this hook.
        fine[place] = module.forward(displaced)
    wide = Grid(shape, box.lengths, box.dims, True, box.unit)
    narrow = wide.with_shape(tuple(int(n) for n in out.shape[2:]))
    if not box.periodic:
        fine = tapered(fine, wide)
    whole = fine[_every(steps, [0] * len(steps))].double()
    kept = narrow.inverse(resize(wide.transform(fine.double()), wide, narrow))
    spectra = [shell_spectrum(x, narrow).power.mean(1).sum(0) for x in (whole, whole - kept)]
    return narrow, torch.stack(spectra).cpu()


def _every(steps: Sequence[int], offset: Sequence[int]) -> tuple[EllipsisType | slice, ...]:
    """Return the index of every s-th point from an offset, in each trailing axis."""
    return (..., *(slice(o, None, s) for o, s in zip(offset, steps, strict=True)))
