"""The advisor: rank the layers of a network by what re-training them will reach."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from torch import Tensor, nn

from spectune.advice.attainable import Attainable, attainable_decrease, unchanged
from spectune.advice.criteria import COSTLY, CRITERIA, TRIVIAL, ranking, score_criteria
from spectune.advice.idle import idle_layers
from spectune.advice.intervals import interval_level, mean_interval
from spectune.advice.landscape_slices import landscape_slices
from spectune.advice.outlook import look_ahead
from spectune.advice.problem import Problem
from spectune.advice.reason import explain_choice
from spectune.advice.rescaling import rescale_output
from spectune.advice.result import Advice, LayerAdvice, SetAdvice
from spectune.advice.sets import grow_set
from spectune.advice.shared import SharedPass
from spectune.advice.verdict import Evidence, rivals_of, verdicts
from spectune.data import Pairs, check_same_grid
from spectune.errors import DataError
from spectune.grid import Grid
from spectune.models import open_with_data
from spectune.spectra import bands, in_band, mean_spectrum, shell_wavenumbers
from spectune.training.fit import mean_squared_error
from spectune.training.scores import target_variance

__all__ = ["advise"]

# Enough to tell layers apart (results/advice/summary.md); the cost grows with them.
SAMPLES = 10

# How forecasts are made, for the reason.
METHOD = (
    "Gauss–Newton steps were fitted to every second sample, the network itself was judged on the "
    "others, and the errors on both were extrapolated to a longer re-training on all samples"
)


def advise(
    model: nn.Module,
    target: Pairs | xr.Dataset | str | Path,
    base: Pairs | xr.Dataset | str | Path | None = None,
    *,
    inputs: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    sample_dim: str | None = None,
    periodic: bool | None = None,
    standardize: bool = False,
    samples: int | None = SAMPLES,
    layers: Sequence[str] | None = None,
    set_size: int = 1,
    thorough: bool = False,
    seed: int = 0,
    progress: Callable[[int, int], Any] | None = None,
) -> Advice:
    """Say which layer to re-train for a target system, before any re-training.

    The attainable decrease (`attainable_decrease`) forecasts the target error of each layer from
    one half of a small target sample, judged on the other half; the layer with the lowest forecast
    is advised. The rankings of other criteria (`CRITERIA`) stand beside it.

    Args:
        model: the base network, any module from (n, c_in, *grid) to (n, c_out, *grid). A
            `spectune.models.Network` brings its normalisation; any other module is given the data
            as it is, unless `standardize`. Neither its weights nor its modes are changed.
        target: the target sample: pairs, a dataset, or a file that xarray opens.
        base: base data, for the error of the network at home and, with `standardize`, for the
            statistics.
        inputs: input variables, where the data does not say (see `open_pairs`).
        targets: target variables, likewise.
        sample_dim: dimension of the samples, likewise.
        periodic: whether the box is periodic, likewise.
        standardize: standardise all channels with the statistics of `base`.
        samples: look at this many samples of target and base, spread evenly; None for all. The
            forecast is of a re-training on all target samples.
        layers: names or patterns of what may be re-trained, such as ``encoder.*``; what one pattern
            matches is re-trained together, as a block. By default each layer of the network.
        set_size: also forecast sets of up to so many layers (see `grow_set`), and all layers, over
            the number of samples (`Outlook`); each layer more costs about as much as all single
            ones.
        thorough: also rank by the criteria that cost more than the forecast (`COSTLY`), and slice
            the loss of each layer along its leading eigenvectors (`landscape_slices`).
        seed: of random probes and bootstrap.
        progress: called with the number of layers done and in all.

    Returns:
        The ranking with reasons and cost.

    Raises:
        DataError: data that cannot be used, or that does not fit the network.
        ModelError: the network has no weights.
        LayerError: a pattern matches nothing.
    """
    started = time.perf_counter()
    if samples is not None and samples < 2:
        raise DataError(
            f"samples: found {samples}, expected at least 2: one part fits, the other judges"
        )
    opened = open_with_data(
        model,
        target,
        base=base,
        standardize=standardize,
        inputs=inputs,
        targets=targets,
        sample_dim=sample_dim,
        periodic=periodic,
    )
    pairs, home, training = opened.target, opened.base, len(opened.target)
    if home is not None:
        check_same_grid(home, pairs)
    if samples is not None:
        pairs, home = pairs.spread(samples), home and home.spread(samples)
    problem = Problem.split(
        opened.module, pairs, opened.normalization, base=home, layers=layers, training=training
    )
    shared = SharedPass(problem, seed=seed)
    criteria = CRITERIA | COSTLY if thorough else CRITERIA
    scores = score_criteria(problem, criteria=criteria, shared=shared).scores
    idle = idle_layers(problem, shared)
    generator = torch.Generator().manual_seed(seed)
    forecasts = []
    for done, layer in enumerate(problem.layers, start=1):
        forecasts.append(
            unchanged(problem, layer.name)
            if layer.name in idle
            else attainable_decrease(problem, [layer])
        )
        if progress is not None:
            progress(done, len(problem.layers))
    scores["attainable decrease"] = {f.layer: -f.error for f in forecasts}
    active = [forecast for forecast in forecasts if forecast.layer not in idle]
    sets = grow_set(problem, active, set_size) if active else []
    outlook = None
    if set_size > 1 and active:
        outlook = look_ahead(problem, [names for names, _ in sets])
    landscape = landscape_slices(problem, shared) if thorough else None
    advice = _assemble(problem, forecasts, sets, scores, idle, generator)
    advice = replace(advice, outlook=outlook, landscape=landscape)
    return explain_choice(replace(advice, seconds=time.perf_counter() - started))


def _assemble(
    problem: Problem,
    forecasts: list[Attainable],
    sets: list[tuple[tuple[str, ...], Attainable]],
    scores: dict[str, dict[str, float]],
    idle: dict[str, str],
    generator: torch.Generator,
) -> Advice:
    sampled = torch.cat((problem.fit_targets, problem.judge_targets))
    variance = target_variance(sampled)
    base = unchanged(problem, "")
    before = base.error_spectrum
    wavenumber = shell_wavenumbers(problem.grid)
    repaired = 1 - torch.stack([f.error_spectrum for f in forecasts]) / before.clamp(min=1e-30)
    base_error = None
    if problem.base_inputs is not None and problem.base_targets is not None:
        base_error = mean_squared_error(
            problem.model, problem.base_inputs, problem.base_targets
        ) / target_variance(problem.base_targets)
    evidence = Evidence(
        bnn=base.sample_errors / variance,
        base_error=base_error,
        layers={f.layer: f.sample_errors / variance for f in forecasts},
        idle=frozenset(idle),
        rescaled=rescale_output(problem).sample_errors / variance,
    )
    rivals = rivals_of(evidence, generator)
    names = [layer.name for layer in problem.layers]
    rankings = {name: ranking(names, by_layer) for name, by_layer in scores.items()}
    voters = tuple(name for name in scores if name not in TRIVIAL | {"attainable decrease"})
    quarter = math.ceil(len(names) / 4)
    weights = sum(p.numel() for p in problem.model.parameters())
    layers = []
    for layer, share in zip(problem.layers, repaired, strict=True):
        errors = evidence.layers[layer.name]
        low, high = mean_interval(errors, generator)
        layers.append(
            LayerAdvice(
                name=layer.name,
                kind=layer.kind,
                weights=layer.size,
                share=layer.size / weights,
                predicted_error=float(errors.mean()),
                low=low,
                high=high,
                band=_repaired_band(problem.grid, wavenumber, share * before),
                votes=sum(layer.name in rankings[name][:quarter] for name in voters),
                scores={
                    criterion: by_layer[layer.name]
                    for criterion, by_layer in scores.items()
                    if layer.name in by_layer
                },
                obstacle=idle.get(layer.name, ""),
            )
        )
    sizes = {layer.name: layer.size for layer in problem.layers}
    grown = []
    for members, forecast in sets[1:]:
        errors = forecast.sample_errors / variance
        low, high = mean_interval(errors, generator)
        grown.append(
            SetAdvice(
                layers=members,
                weights=sum(sizes[name] for name in members),
                predicted_error=float(errors.mean()),
                low=low,
                high=high,
            )
        )
    return Advice(
        best=grown[-1].layers if grown else (evidence.best,),
        sets=tuple(grown),
        verdicts=verdicts(evidence, rivals, generator),
        rivals=rivals,
        layers=tuple(layers),
        rankings=rankings,
        voters=voters,
        method=METHOD,
        bnn_error=float(evidence.bnn.mean()),
        base_error=base_error,
        rescaled_error=float(evidence.rescaled.mean()),
        interval_level=interval_level(len(evidence.bnn)),
        weights=weights,
        samples=len(problem.fit_inputs) + len(problem.judge_inputs),
        seconds=math.nan,
        wavenumber=wavenumber,
        correctable=repaired,
        error_spectrum=before,
        truth_spectrum=mean_spectrum(sampled, problem.grid).power.sum(0),
        reason="",
    )


def _repaired_band(grid: Grid, wavenumber: Tensor, removed: Tensor) -> str:
    """Name the band in which most of the removed error lies."""
    totals = {band.name: float(removed[in_band(wavenumber, band)].sum()) for band in bands(grid)}
    best = max(totals, key=lambda name: totals[name])
    return best if totals[best] > 0 else "none"
