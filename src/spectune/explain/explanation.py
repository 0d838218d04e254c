"""The whole explanation of a re-training, from two networks and data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from spectune.data import Pairs, check_same_grid, open_pairs
from spectune.errors import DataError, LayerError, ModelError
from spectune.explain._labels import label
from spectune.explain.data import describe_data
from spectune.explain.kernels import describe_kernels
from spectune.explain.layer import explain_layer
from spectune.explain.repair import describe_repair
from spectune.explain.survey import survey_convolutions
from spectune.explain.transfer import transfer_states
from spectune.models import Network, check_shapes, standardized
from spectune.spectra import convolutions, shell_wavenumbers
from spectune.spectra.convolutions import input_spectra

__all__ = ["explain"]


def explain(
    base_model: nn.Module,
    tuned_model: nn.Module | Sequence[nn.Module],
    data: Pairs | xr.Dataset | str | Path,
    base_data: Pairs | xr.Dataset | str | Path | None = None,
    *,
    layer: str | None = None,
    alone: Mapping[str, nn.Module] | None = None,
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

    Six views in one dataset: spectra of the data (`describe_data`); of the activations of every
    layer, with the layers where base and target part and join (`describe_activations`); all
    convolutions, how far each moved, in which classes of kernels, and whether the change goes the
    way base and target spectra differ (`survey_convolutions`, `spectral_alignment`); the kernels
    of one layer one by one, with classes and clusters (`describe_kernels`); the transfer function
    of the linearised network (`transfer_function`); and the error that re-training removed at each
    wavenumber, beside what the layer alone could (`describe_repair`).

    Args:
        base_model: the network before, any module from (n, c_in, *grid) to (n, c_out, *grid) with
            convolutions of the grid's dimension; a `Network` brings its normalisation.
        tuned_model: the re-trained network of the same layers; or several, re-trained with other
            seeds, for the noise level of the changes. All else is said of the first.
        data: target sample: pairs, a dataset, or a file that xarray opens.
        base_data: base sample. Without it there is no alignment, and no spectra at home.
        layer: convolution to show kernel by kernel; by default the one that changed most,
            relative to its weights.
        alone: re-trainings of one layer each, by its name: all convolutions are then compared each
            in its own re-training, where `tuned_model` leaves most as they were. Then name `layer`.
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
    single = {name: _bare(model, base_model) for name, model in (alone or {}).items()}
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
        before,
        {name: [single[name]] if name in single else after for name in layers},
        layers,
        spectra,
        seed=seed,
        progress=lambda done, total: report(0.1 + 0.4 * done / total),
    )
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
    transfer = transfer_states(states, grid, seed)
    repair = describe_repair(before, after[0], target, normalization, chosen)
    report(0.95)
    data = describe_data(home, target, seed=seed)
    parts = [story, survey, kernels, transfer, repair, data]
    found = xr.merge(parts, join="exact", combine_attrs="override")
    label(found, grid, len(after), len(target))
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
    return pairs.spread(samples)


def _chosen(layer: str | None, survey: xr.Dataset) -> str:
    names = [str(name) for name in survey["convolution"].values]
    if layer is None:
        return names[int(np.argmax(survey["weight_change_relative"].values))]
    if layer not in names:
        raise LayerError(f"layer '{layer}' is no convolution that runs; there are {names}")
    return layer
