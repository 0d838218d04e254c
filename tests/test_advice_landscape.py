"""The loss of each layer along its leading eigenvectors, and its picture."""

import numpy as np
import pytest
import torch
from torch import nn

import spectune as st
from small_pairs import GRID, noise, pairs_of
from spectune.advice import Problem
from spectune.advice.landscape_slices import POINTS, landscape_slices
from spectune.advice.shared import SharedPass
from spectune.models import CNN
from spectune.report import save_advice_figures
from spectune.report.figures_landscape import landscape_figure
from spectune.training import trainable_layers
from spectune.training.scores import target_variance


def problem(model=None):
    torch.manual_seed(0)
    model = (model or CNN(2, 1, width=4, depth=3, kernel=3)).double().eval()
    x, y = noise(6).double(), noise(6, 1, 5).double()
    return Problem(model, tuple(trainable_layers(model)), x[:3], y[:3], x[3:], y[3:], GRID)


def test_the_plane_of_a_linear_layer_is_the_paraboloid_of_its_eigenpairs():
    case = problem()
    shared = SharedPass(case)
    found = landscape_slices(case, shared).sel(layer="conv3")
    block = shared.curvatures[2].hessian
    variance = target_variance(torch.cat((case.fit_targets, case.judge_targets)))
    a, b = found["offset"].values
    assert found["loss_on_plane"].shape == (POINTS, POINTS)
    slopes = block.slopes.numpy()
    # vᵀHv of the vectors, which are eigenvectors up to the tolerance of the criteria.
    bends = found["curvature"].values * variance
    assert bends == pytest.approx(block.values.numpy(), rel=1e-2)
    along = [
        slope * offset + 0.5 * bend * offset**2
        for slope, bend, offset in zip(slopes, bends, (a, b), strict=True)
    ]
    expected = (shared.curvatures[2].loss + along[0]) / variance
    np.testing.assert_allclose(found["loss_on_line"][0], expected, rtol=1e-9)
    lowest = shared.curvatures[2].loss - (slopes**2 / (2 * bends)).sum()
    assert float(found["lowest"]) * variance == pytest.approx(lowest, rel=1e-3)
    assert float(found["negative_share"]) == pytest.approx(0, abs=1e-6)


def test_a_layer_without_effect_is_flat_and_drawn_as_such():
    case = problem()
    with torch.no_grad():
        nn.init.zeros_(case.model.get_parameter("conv2.weight"))
    landscape = landscape_slices(case, SharedPass(case))
    assert landscape["lowest"].isnull().values.tolist() == [True, False, False]
    figure = landscape_figure(landscape, best="conv3")
    figure.draw_without_rendering()
    texts = [[text.get_text() for text in axes.texts] for axes in figure.axes[:3]]
    assert texts[0] == ["no effect on the loss"]
    assert not texts[1]
    titles = [axes.get_title(loc="right") for axes in figure.axes[:3]]
    assert titles[0] == ""
    assert titles[2] == f"lowest {float(landscape['lowest'][2]):.3g}"


class Scale(nn.Module):
    """One weight."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.factor * x[:, :1]


@pytest.mark.parametrize("alone", [True, False])
def test_one_weight_has_a_line_and_no_plane(alone):
    model = Scale() if alone else nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), Scale())
    landscape = landscape_slices(problem(model), SharedPass(problem(model)))
    assert np.isfinite(landscape["loss_on_line"].isel(layer=-1, direction=0)).all()
    figure = landscape_figure(landscape)
    figure.draw_without_rendering()
    (text,) = figure.axes[len(landscape["layer"]) - 1].texts
    assert text.get_text() == "a single weight"


def test_a_thorough_advice_keeps_and_draws_it(tmp_path):
    model = st.CNN(2, 1, width=2, depth=2, kernel=3)
    advice = st.advise(model, pairs_of(noise(6), noise(6, 1, 5)), thorough=True)
    assert advice.landscape["layer"].values.tolist() == ["conv1", "conv2"]
    assert "landscape" not in advice.to_dict()
    advice.save(tmp_path)
    names = {path.name for path in save_advice_figures(tmp_path)}
    assert names == {"advice.pdf", "advice.png", "landscape.pdf", "landscape.png"}
