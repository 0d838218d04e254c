"""The forecast and the advisor, against computations by hand."""

import copy
import json

import pytest
import torch
import xarray as xr
from torch import nn

import spectune as st
from small_pairs import noise, pairs_of
from spectune.advice import Problem
from spectune.advice.attainable import Attainable, attainable_decrease, extrapolated
from spectune.data import Normalization
from spectune.errors import DataError, ModelError
from spectune.grid import Grid


def network(seed=0, dtype=torch.float32):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 3, padding=1, bias=False),
        nn.ReLU(), nn.Conv2d(2, 1, 1),
    ).to(dtype)  # fmt: skip


def problem(model, n=6, seed=0):
    inputs = noise(n, seed=seed)
    pairs = pairs_of(inputs, noise(n, 1, seed + 100))
    return Problem.split(model, pairs, Normalization.identity(2, 1))


def test_the_split_shares_no_sample():
    case = problem(network(), n=7)
    parts = [case.fit_inputs, case.judge_inputs]
    assert [len(part) for part in parts] == [4, 3]
    assert not any(torch.equal(a, b) for a in parts[0] for b in parts[1])
    rows = torch.cat(parts)[torch.tensor([0, 4, 1, 5, 2, 6, 3])]
    assert torch.equal(rows, noise(7))


def test_a_linear_model_reaches_the_least_squares_optimum():
    """One convolution, y of another one plus noise: the forecast is that of lstsq."""
    torch.manual_seed(0)
    model = nn.Conv2d(2, 1, 3, padding=1, padding_mode="circular")
    truth = nn.Conv2d(2, 1, 3, padding=1, padding_mode="circular")
    inputs = noise(20)
    with torch.no_grad():
        targets = 3 * truth(inputs) + 0.3 * noise(20, 1, 7)
    case = Problem.split(model, pairs_of(inputs, targets), Normalization.identity(2, 1))

    def design(x):
        padded = nn.functional.pad(x, (1, 1, 1, 1), mode="circular")
        rows = nn.functional.unfold(padded, 3).mT.reshape(-1, 18)
        return torch.cat((rows, torch.ones(len(rows), 1)), 1)

    solution = torch.linalg.lstsq(design(case.fit_inputs), case.fit_targets.reshape(-1, 1)).solution
    fit, judge = (
        float((design(x) @ solution - y.reshape(-1, 1)).square().mean())
        for x, y in ((case.fit_inputs, case.fit_targets), (case.judge_inputs, case.judge_targets))
    )
    found = attainable_decrease(case, case.layers, iterations=40)
    assert found.rounds == 1
    # Ten samples were fitted, twenty are there to re-train on.
    expected = 0.5 * (fit + judge) + 10 / 20 * 0.5 * (judge - fit)
    assert found.error == pytest.approx(expected, rel=1e-3)
    assert float(found.error_spectrum.sum()) == pytest.approx(found.error, rel=1e-5)
    # The few iterations of the default come within a few per cent.
    usual = attainable_decrease(case, case.layers)
    assert usual.error == pytest.approx(found.error, rel=0.05)


def test_the_forecast_is_of_the_error_after_a_fit_to_all_samples():
    """Least squares with 19 unknowns on 256 values, whose error on others is known."""
    model = nn.Conv2d(2, 1, 3, padding=1, padding_mode="circular")
    truth = nn.Conv2d(2, 1, 3, padding=1, padding_mode="circular")
    grid = Grid((8, 8), (1.0, 1.0), ("y", "x"))
    forecasts = {samples: [] for samples in (8, 80)}
    for seed in range(30):
        inputs = noise(8, 2, seed, grid)
        with torch.no_grad():
            targets = truth(inputs) + noise(8, 1, seed + 100, grid)
        pairs = pairs_of(inputs, targets, grid)
        for samples, found in forecasts.items():
            case = Problem.split(model, pairs, Normalization.identity(2, 1), training=samples)
            found.append(attainable_decrease(case, case.layers, iterations=25).error)
    # With p unknowns and M values least squares leave 1 + p/(M − p − 1) of the noise on others.
    for samples, found in forecasts.items():
        expected = 1 + 19 / (64 * samples - 19 - 1)
        assert sum(found) / len(found) == pytest.approx(expected, rel=0.03)


def test_errors_that_fall_as_one_over_the_iterations_are_extrapolated_to_their_end():
    def after(iterations):
        errors = torch.tensor([0.3, 0.5]) + torch.tensor([1.0, 0.2]) / iterations
        return Attainable("layer", errors, errors.repeat(3), 1)

    found = extrapolated(after(3), after(4), 4)
    torch.testing.assert_close(found.sample_errors, torch.tensor([0.3, 0.5]))
    torch.testing.assert_close(found.error_spectrum, torch.tensor([0.3, 0.5]).repeat(3))
    # But not by more than half of what is left.
    steep = extrapolated(
        Attainable("layer", torch.tensor([1.0]), torch.tensor([1.0]), 1),
        Attainable("layer", torch.tensor([0.4]), torch.tensor([0.4]), 1),
        4,
    )
    assert steep.error == pytest.approx(0.2)


@pytest.mark.parametrize("planted", ["conv1", "conv2", "conv3", "conv4"])
def test_the_layer_that_was_changed_is_found(planted):
    """The target is what the network gives after one of its layers was changed."""
    torch.manual_seed(1)
    model = st.CNN(2, 1, width=6, depth=4, kernel=3)
    changed = copy.deepcopy(model)
    with torch.no_grad():
        weight = changed.get_parameter(f"{planted}.weight")
        weight += 0.6 * weight.std() * torch.randn(weight.shape)
        inputs = noise(16)
        targets = changed(inputs)
    advice = st.advise(model, pairs_of(inputs, targets))
    assert advice.best == (planted,)
    assert advice.ranked()[0].predicted_error < 0.3 * advice.bnn_error
    assert advice.rankings["attainable decrease"][0] == planted
    assert planted in advice.reason


def test_nothing_to_repair():
    model = network()
    inputs = noise(8)
    targets = noise(8, 1, 5)
    advice = st.advise(model, pairs_of(inputs, targets))
    assert all(layer.predicted_error <= advice.bnn_error for layer in advice.layers)
    with torch.no_grad():
        perfect = st.advise(model, pairs_of(inputs, model(inputs)))
    assert perfect.bnn_error < 1e-10
    assert "no layer is forecast to lower this error" in perfect.reason


def test_the_same_seed_gives_the_same_advice_and_the_order_of_units_does_not_matter():
    model, pairs = network(), pairs_of(noise(8), noise(8, 1, 5))
    first, second = (st.advise(model, pairs, seed=4).to_dict() for _ in range(2))
    assert first | {"seconds": 0} == second | {"seconds": 0}


def test_a_network_brings_its_normalisation():
    model, inputs = network(), noise(10)
    with torch.no_grad():
        targets = model(inputs) * 1.5
    physical = pairs_of(inputs * 5 + 3, targets * 20 - 7)
    statistics = Normalization(
        torch.full((2,), 3.0), torch.full((2,), 5.0), torch.tensor([-7.0]), torch.tensor([20.0]), ""
    )
    bare = st.advise(model, pairs_of(inputs, targets))
    wrapped = st.advise(st.Network(model, statistics), physical)
    assert wrapped.bnn_error == pytest.approx(bare.bnn_error, rel=1e-4)
    assert wrapped.best == bare.best
    wrong = Normalization.identity(3, 1)
    with pytest.raises(DataError, match="trained on 3 input and 1 target channels"):
        st.advise(st.Network(model, wrong), physical)


def test_samples_are_spread_evenly_and_refused_when_too_few():
    model, pairs = network(), pairs_of(noise(9), noise(9, 1, 5))
    assert st.advise(model, pairs, samples=4).samples == 4
    every = st.advise(model, pairs.subset([0, 3, 5, 8]))
    thinned = st.advise(model, pairs, samples=4)
    assert thinned.bnn_error == every.bnn_error
    # The same errors, but re-training will have nine samples and not four.
    assert thinned.layers != every.layers
    with pytest.raises(DataError, match="found 1, expected at least 2"):
        st.advise(model, pairs, samples=1)
    with pytest.raises(DataError, match="at least 2"):
        st.advise(model, pairs.subset([0]))
    with pytest.raises(ModelError, match="no weights"):
        st.advise(nn.AvgPool2d(1), pairs_of(noise(4, 1), noise(4, 1, 1)))


def test_progress_counts_the_layers():
    seen = []
    st.advise(network(), pairs_of(noise(4), noise(4, 1, 5)), progress=lambda *a: seen.append(a))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_save_and_read_back(tmp_path):
    advice = st.advise(
        network(), pairs_of(noise(6), noise(6, 1, 5)), pairs_of(noise(4), noise(4, 1))
    )
    advice.save(tmp_path / "new" / "folder")
    values = json.loads((tmp_path / "new" / "folder" / "advice.json").read_text())
    assert values == json.loads(json.dumps(advice.to_dict()))
    with xr.open_dataset(tmp_path / "new" / "folder" / "advice.nc", engine="h5netcdf") as data:
        xr.testing.assert_identical(data.load(), advice.to_dataset())
    # Parseval: the spectra add up to the errors, in units of the variance.
    variance = float(noise(6, 1, 5).var(correction=0))
    assert float(advice.error_spectrum.sum()) / variance == pytest.approx(advice.bnn_error)
    left = (1 - advice.correctable) * advice.error_spectrum
    for layer, spectrum in zip(advice.layers, left, strict=True):
        assert float(spectrum.sum()) / variance == pytest.approx(layer.predicted_error, rel=1e-5)
