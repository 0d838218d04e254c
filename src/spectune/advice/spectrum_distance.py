"""How far the spectrum of each layer's activations differs between the two systems."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from spectune.advice.candidates import mean_of_members
from spectune.advice.problem import Problem
from spectune.advice.shared import SharedPass
from spectune.spectra import activation_spectra

__all__ = ["log_spectral_distance", "spectrum_distance"]


def spectrum_distance(problem: Problem, _: SharedPass) -> dict[str, float]:
    """Return the distance of the spectra of what each layer gives on base and target.

        d_l = √ mean_{c,k} ( ln E_t[h_l]_c(k) − ln E_b[h_l]_c(k) )²

    h_l the output of the layer before its activation, over its channels c and the shells k ≥ 1 of
    both. Where the boxes differ, densities E/dk are compared at equal wavenumbers.

    Layers whose output is not on a grid are left out. A block has the mean of its members.

    Args:
        problem: see `Problem`; its base sample is needed.

    Source: log-spectral distance, Gray and Markel 1976 (IEEE Trans. ASSP 24); activations as in
    Subel et al. 2023 (PNAS Nexus 2), Fig. 3.
    """
    if problem.base_inputs is None or problem.base_grid is None:
        return {}
    base = {
        spectra.name: spectra
        for spectra in activation_spectra(problem.model, problem.base_inputs, problem.base_grid)
    }
    inputs = torch.cat((problem.fit_inputs, problem.judge_inputs))
    distances = {}
    for target in activation_spectra(problem.model, inputs, problem.grid):
        home = base.get(target.name)
        if home is not None:
            distances[target.name] = log_spectral_distance(
                (home.wavenumber, home.linear_channels / home.shell_width),
                (target.wavenumber, target.linear_channels / target.shell_width),
            )
    return mean_of_members(problem.layers, distances)


def log_spectral_distance(base: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> float:
    """Return √ mean (ln E_t − ln E_b)² over channels and the wavenumbers of the target.

    Wavenumbers beyond those of the base, k = 0 and densities of zero do not count.

    Args:
        base: wavenumbers (nk,) and densities (c, nk).
        target: the same, of as many channels.
    """
    k_base, k = base[0].numpy(), target[0].numpy()
    inside = (k > 0) & (k >= k_base[k_base > 0][0] * (1 - 1e-9)) & (k <= k_base[-1] * (1 + 1e-9))
    squares = []
    for b, t in zip(base[1].numpy(), target[1].numpy(), strict=True):
        seen = (k_base > 0) & (b > 0)
        if not seen.any():
            continue
        expected = np.interp(np.log(k[inside]), np.log(k_base[seen]), np.log(b[seen]))
        found = t[inside]
        squares.append((np.log(found[found > 0]) - expected[found > 0]) ** 2)
    values = np.concatenate(squares) if squares else np.zeros(0)
    return float(np.sqrt(values.mean())) if values.size else 0.0
