"""Spectra of the data themselves: how base and target differ, channel by channel."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from spectune.data import Pairs
from spectune.spectra import field
from spectune.spectra._blocks import FEWEST_BLOCKS

__all__ = ["describe_data"]


def describe_data(home: Pairs | None, target: Pairs, *, seed: int = 0) -> xr.Dataset:
    """Return the spectra of all inputs and targets of both data sets, in physical units.

    `data_spectrum` with `data_lower` and `data_upper` (95 % confidence), and by octave `data_ratio`
    (natural logarithm of target over base), `data_p` and `data_significant`
    (`spectune.spectra.field`). Limits and bands need 4 samples of each; without base data there
    is the target alone.

    Args:
        home: base sample, or None.
        target: target sample on a grid of the same spacing.
        seed: of bootstrap and permutations.
    """
    names = [*target.input_names, *target.target_names]
    parts = []
    for pairs in (home, target):
        found = None
        if pairs is not None:
            values = torch.cat((pairs.inputs, pairs.targets), 1)
            found = field(values, grid=pairs.grid, seed=seed)
        parts.append(found)
    known = next(part for part in parts if part is not None)
    dims = ("flow", "variable", "wavenumber")
    empty = np.full(known["power"].shape, np.nan)
    data = {
        key: (dims, np.stack([empty if p is None or n not in p else p[n] for p in parts]))
        for key, n in (("data_spectrum", "power"), ("data_lower", "lower"), ("data_upper", "upper"))
    }
    described = xr.Dataset(
        data,
        coords={
            "flow": ["base", "target"],
            "variable": names,
            "variable_unit": ("variable", [target.units.get(name, "1") for name in names]),
            "wavenumber": known["wavenumber"].values,
        },
    )
    if home is None or min(len(home), len(target)) < FEWEST_BLOCKS:
        return described
    values, others = (torch.cat((p.inputs, p.targets), 1) for p in (target, home))
    beside = field(values, base=others, grid=target.grid, seed=seed)
    return described.assign(
        data_ratio=(("variable", "band"), beside["log_ratio"].values),
        data_p=(("variable", "band"), beside["p_value"].values),
        data_significant=(("variable", "band"), beside["significant"].values),
    ).assign_coords(
        band=beside["band"].values,
        band_low=("band", beside["low"].values),
        band_high=("band", beside["high"].values),
    )
