"""Criteria from the curvature of each layer, against dense matrices."""

import pytest
import torch
from torch import nn

from small_pairs import GRID, noise
from spectune.advice.hessian_eigenvalue import hessian_eigenvalues
from spectune.advice.problem import Problem
from spectune.advice.quadratic_decrease import problem_curvatures, quadratic_decreases
from spectune.landscape import Curvature, dense_eigenpairs
from spectune.models import CNN
from spectune.training import trainable_layers


def problem():
    torch.manual_seed(0)
    model = CNN(2, 1, width=4, depth=3, kernel=3).double().eval()
    x, y = noise(6).double(), noise(6, 1, 5).double()
    return Problem(model, tuple(trainable_layers(model)), x[:3], y[:3], x[3:], y[3:], GRID)


def test_scores_are_those_of_the_dense_blocks():
    case = problem()
    curvatures = problem_curvatures(case, torch.Generator().manual_seed(0))
    eigenvalues, decreases = hessian_eigenvalues(curvatures), quadratic_decreases(curvatures)
    for layer in case.layers:
        block = Curvature(case.model, layer.parameters, case.fit_inputs, case.fit_targets)
        exact = dense_eigenpairs(block.gauss_newton_product, block.size, dtype=torch.float64)
        assert eigenvalues[layer.name] == pytest.approx(float(exact.values[0]), rel=1e-3)
        gains = (exact.vectors @ block.gradient()).square() / (2 * exact.values)
        assert decreases[layer.name] == pytest.approx(float(gains.sum()), rel=0.1)


def test_the_decrease_of_a_linear_layer_is_reached():
    case = problem()
    (last,) = problem_curvatures(case, torch.Generator().manual_seed(0), count=37)[2:]
    # The last layer is linear in its weights: with all eigenpairs the model is the loss.
    block = Curvature(case.model, case.layers[2].parameters, case.fit_inputs, case.fit_targets)
    assert last.gauss_newton.values.shape == (37,)
    step = -(last.gauss_newton.slopes / last.gauss_newton.values) @ last.gauss_newton.vectors
    gain = block.loss() - block.loss_at(step)
    assert quadratic_decreases([last])[last.name] == pytest.approx(gain, rel=1e-6)


def test_a_layer_without_effect_scores_zero():
    case = problem()
    with torch.no_grad():
        nn.init.zeros_(case.model.get_parameter("conv2.weight"))
    curvatures = problem_curvatures(case, torch.Generator().manual_seed(0))
    assert quadratic_decreases(curvatures)["conv1"] == 0
    assert hessian_eigenvalues(curvatures)["conv1"] == 0
