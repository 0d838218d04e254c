"""The loss of each layer along its leading eigenvectors."""

from __future__ import annotations

import torch
import xarray as xr

from spectune.advice.problem import Problem
from spectune.advice.shared import SharedPass
from spectune.landscape import Curvature, convexity, landscape_slice
from spectune.training.scores import target_variance

__all__ = ["landscape_slices"]

# Points of a line; the plane has its square.
POINTS = 9


def landscape_slices(problem: Problem, shared: SharedPass) -> xr.Dataset:
    """Return lines, planes and convexity of the target loss in each layer.

        L(θ_l + a v_1 + b v_2),      H_l v_i = λ_i v_i

    for the two leading eigenvectors of the layer's Hessian block on the samples to fit, by the real
    network (`landscape_slice`); and the smallest eigenvalue and the negative share of the spectrum
    (`convexity`). Losses and curvatures are over the variance of the target, like all errors of an
    advice; distances are in units of the weights. A layer in which the loss is flat, and one with a
    single weight, whose second direction does not exist, have NaN there.

    Args:
        problem: see `Problem`.
        shared: curvatures.
    """
    variance = target_variance(torch.cat((problem.fit_targets, problem.judge_targets)))
    slices = []
    for layer, found in zip(problem.layers, shared.curvatures, strict=True):
        curvature = Curvature(
            problem.model, layer.parameters, problem.fit_inputs, problem.fit_targets
        )
        bend = convexity(curvature.hessian_product, curvature.size, shared.generator())
        values = {"smallest_eigenvalue": bend.smallest, "negative_share": bend.negative_share}
        one = xr.Dataset({name: ((), value) for name, value in values.items()})
        if float(found.hessian.values[0]) != 0:
            sliced = landscape_slice(curvature, found.hessian.vectors, points=POINTS)
            one = one.merge(sliced.to_dataset()).assign(lowest=((), sliced.lowest))
        slices.append(one)
    dataset = xr.concat(
        slices,
        xr.DataArray([layer.name for layer in problem.layers], dims="layer", name="layer"),
        join="outer",
        combine_attrs="drop",
    )
    losses = ("loss_on_line", "loss_on_plane", "lowest_on_line", "lowest", "slope", "curvature")
    for name in (*losses, "smallest_eigenvalue"):
        if name in dataset:
            dataset[name] = dataset[name] / variance
    before = shared.curvatures[0].loss / variance
    return dataset.assign_attrs(loss=before, unit="mean squared error / variance of the target")
