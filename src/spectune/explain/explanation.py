"""The whole explanation of a re-training, from two networks and data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from spectune.data import Pairs, check_same_grid, open_pairs
from spectune.errors import DataError, LayerError, ModelError
from spectune.explain.kernels import describe_kernels
from spectune.explain.layer import AXES, explain_layer
from spectune.explain.survey import survey_convolutions
from spectune.explain.transfer import transfer_function
from spectune.grid import Grid
from spectune.models import Network, check_shapes, predict, standardized
from spectune.provenance import versions
from spectune.spectra import convolutions, relative_mse, shell_wavenumbers
from spectune.spectra.convolutions import input_spectra

__all__ = ["explain"]

# States that the network is linearised at: each costs a few forward passes a shell.
PROBED = 6


def explain(
    base_model: nn.Module,
    tuned_model: nn.Module | Sequence[nn.Module],
    data: Pairs | xr.Dataset | str | Path,
    base_data: Pairs | xr.Dataset | str | Path | None = None,
    *,
    layer: str | None = None,
    inputs: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    sample_dim: str | None = None,
    periodic: bool | None = None,
    standardize: bool = False,
    samples: int = 16,
    seed: int = 0,
    progress: Callable[[float], Any] | None = None,
) -> xr.Dataset:
    """Say in Fourier space what re-training changed in a network.

    Four views in one dataset: spectra of the activations of every layer (`linear`, `nonlinear`);
    all convolutions, how far each moved, in which classes of kernels, and whether the change goes
    the way base and target spectra differ (`survey_convolutions`, `spectral_alignment`); the
    kernels of one layer one by one, with classes and clusters (`describe_kernels`); the transfer
    function of the linearised network from input to output wavenumbers (`transfer_function`).

    Args:
        base_model: the network before, any module from (n, c_in, *grid) to (n, c_out, *grid) with
            convolutions of the grid's dimension; a `Network` brings its normalisation.
        tuned_model: the re-trained network of the same layers; or several, re-trained with other
            seeds, for the noise level of the changes. All else is said of the first.
        data: target sample: pairs, a dataset, or a file that xarray opens.
        base_data: base sample. Without it there is no alignment, and no spectra at home.
        layer: convolution to show kernel by kernel; by default the one that changed most,
            relative to its weights.
        inputs: input variables, where the data does not say (see `open_pairs`).
        targets: target variables, likewise.
        sample_dim: dimension of the samples, likewise.
        periodic: whether the box is periodic, likewise.
        standardize: standardise all channels with the statistics of `base_data`.
        samples: samples of each data set used, evenly spread.
        seed: of clusters, permutations and phases.
        progress: called with the part done, 0 to 1.

    Returns:
        A dataset with wavenumbers in radians per unit of length, to be saved with ``to_netcdf``.

    Raises:
        ModelError: networks that do not match or do not differ, or without a convolution.
        LayerError: no convolution of that name.
        DataError: data that cannot be used or does not fit the networks.
    """
    report = progress or (lambda _done: None)
    tuned = [tuned_model] if isinstance(tuned_model, nn.Module) else list(tuned_model)
    if not tuned:
        raise ModelError("tuned_model: found no network, expected at least one")
    reading: dict[str, Any] = {
        "inputs": inputs, "targets": targets, "sample_dim": sample_dim, "periodic": periodic
    }  # fmt: skip
    target = open_pairs(data, **reading)
    home = None if base_data is None else open_pairs(base_data, **reading)
    if home is not None:
        check_same_grid(home, target)
    grid = target.grid
    before, normalization = standardized(base_model, target, home, standardize)
    after = [_bare(model, base_model) for model in tuned]
    before, *after = (copy.deepcopy(model).cpu().eval() for model in (before, *after))
    for model in after:
        _check_match(before, model)
    target, home = _some(target, samples), None if home is None else _some(home, samples)
    check_shapes(before, target, normalization)
    fields = normalization.inputs(target.inputs)
    home_fields = None if home is None else normalization.inputs(home.inputs)
    layers = convolutions(before, fields, grid)
    if not layers:
        raise ModelError(
            f"the model has no {grid.ndim}D convolution that runs on a grid; explain needs at "
            "least one, since it shows kernels as filters"
        )
    spectra = None
    if home_fields is not None:
        spectra = input_spectra(before, home_fields, layers), input_spectra(before, fields, layers)
    report(0.1)
    survey = survey_convolutions(
        before, after, layers, spectra, seed=seed,
        progress=lambda done, total: report(0.1 + 0.4 * done / total),
    )  # fmt: skip
    chosen = _chosen(layer, survey)
    story = explain_layer(before, after[0], home_fields, fields, chosen, grid, seed=seed)
    report(0.6)
    k = shell_wavenumbers(grid)
    kernels = describe_kernels(before, after[0], layers[chosen], spectra, k, seed=seed)
    report(0.8)
    states: dict[str, tuple[nn.Module, Tensor]] = {
        "BNN, target input": (before, fields),
        "TLNN, target input": (after[0], fields),
    }
    if home_fields is not None:
        states = {"BNN, base input": (before, home_fields)} | states
    transfer = _transfer(states, grid, seed)
    truth = normalization.targets(target.targets)
    found = xr.merge([story, survey, kernels, transfer], join="exact", combine_attrs="override")
    found["relative_mse"] = (
        "stage",
        [relative_mse(predict(model, fields), truth) for model in (before, after[0])],
    )
    _describe(found, grid, chosen, len(after), len(target))
    report(1.0)
    return found


def _bare(model: nn.Module, base: nn.Module) -> nn.Module:
    """Return the module inside a re-trained network, which must be normalised as the base is."""
    if not isinstance(model, Network):
        return model
    if isinstance(base, Network) and model.normalization.to_dict() != base.normalization.to_dict():
        raise ModelError(
            "the two networks standardise their channels with other statistics, so that their "
            "weights do not compare; re-train with the statistics of the base network"
        )
    return model.module


def _check_match(before: nn.Module, after: nn.Module) -> None:
    """Check that both have the same weights by name and shape, and that some differ in value."""
    old, new = (dict(model.named_parameters()) for model in (before, after))
    problems = [
        f"{name}: base {_shape(old.get(name))}, re-trained {_shape(new.get(name))}"
        for name in dict.fromkeys((*old, *new))
        if _shape(old.get(name)) != _shape(new.get(name))
    ]
    if problems:
        shown = "\n".join(f"  {line}" for line in problems[:8])
        more = f"\n  … and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise ModelError(
            "the networks do not match; expected the same layers, one re-trained from the other:\n"
            f"{shown}{more}"
        )
    if all(torch.equal(old[name].to(new[name]), new[name]) for name in old):
        raise ModelError(
            "the two networks have equal weights, so there is no change to explain; "
            "check which weights were given as re-trained"
        )


def _shape(weight: Tensor | None) -> str:
    return "missing" if weight is None else str(tuple(weight.shape))


def _some(pairs: Pairs, samples: int) -> Pairs:
    if samples < 2:
        raise DataError(f"samples: found {samples}, expected at least 2 for standard errors")
    if samples >= len(pairs):
        return pairs
    return pairs.subset(torch.linspace(0, len(pairs) - 1, samples).round().long())


def _chosen(layer: str | None, survey: xr.Dataset) -> str:
    names = [str(name) for name in survey["convolution"].values]
    if layer is None:
        return names[int(np.argmax(survey["weight_change_relative"].values))]
    if layer not in names:
        raise LayerError(f"layer '{layer}' is no convolution that runs; there are {names}")
    return layer


def _transfer(states: dict[str, tuple[nn.Module, Tensor]], grid: Grid, seed: int) -> xr.Dataset:
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


def _describe(found: xr.Dataset, grid: Grid, layer: str, seeds: int, samples: int) -> None:
    """Write units and meanings into the dataset."""
    unit = "1" if grid.unit == "1" else f"rad/{grid.unit}"
    waves = ("wavenumber", "wavenumber_in", "wavenumber_out", *AXES, "centre", "bandwidth")
    for name in waves:
        if name in found.variables:
            found[name].attrs["units"] = unit
    meanings = {
        "linear": "mean square of the layer's output by wavenumber, before the nonlinearity",
        "nonlinear": "the same after the nonlinearity",
        "weight_change_relative": "norm of the change of weights over norm of weights",
        "response_change_relative": "norm of the change of gain over norm of weights",
        "alignment": "correlation of log change of power response and log spectra ratio of input",
        "alignment_p": "two-sided p-value by shuffled changes of weights",
        "transfer": "variance out over variance in of the linearised network",
        "transfer_error": "standard error of transfer over samples and phases",
        "silhouette": "mean silhouette by number of clusters",
        "cluster_stability": "mean adjusted Rand index over reseeded k-means",
        "relative_mse": "mean squared error over mean square of the target, standardised channels",
    }
    for name, text in meanings.items():
        if name in found:
            found[name].attrs["long_name"] = text
    found.attrs |= {
        "layer": layer,
        "grid_shape": list(grid.shape),
        "grid_lengths": list(grid.lengths),
        "periodic": int(grid.periodic),
        "retrained_networks": seeds,
        "samples": samples,
    } | {f"version_{name}": version for name, version in versions().items()}
