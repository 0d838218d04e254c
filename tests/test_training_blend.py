"""Blending base data with sparse, noisy, coarse and partial observations."""

import pytest
import torch
from torch import nn

from spectune.errors import DataError, LayerError
from spectune.models import CNN
from spectune.training import (
    Blend,
    FitSettings,
    Observations,
    Pull,
    Replay,
    blend,
    block_means,
    channels,
    fisher_diagonal,
    minimise,
    trade_off,
    transfer,
)


def fields(n=16, seed=0, factor=0.7):
    inputs = torch.randn(n, 2, 12, 12, generator=torch.Generator().manual_seed(seed))
    first = torch.roll(inputs[:, :1], 1, -1) * factor + inputs[:, 1:]
    return inputs, torch.cat([first, inputs[:, :1] - first], dim=1)


def network(seed=0):
    torch.manual_seed(seed)
    return CNN(2, 2, width=6, depth=3, kernel=3)


def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 2, 1))


def test_complete_observations_are_a_transfer():
    x, y = fields()
    settings = FitSettings(3, batch=4)
    expected, history = transfer(network(), x, y, "conv2", settings)
    found, same = blend(network(), Observations(x, y), "conv2", settings)
    assert same.train == pytest.approx(history.train, rel=1e-5)
    for a, b in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_the_loss_is_its_equation():
    x, y = fields(4)
    model = linear()
    mask = torch.rand(4, 2, 12, 12, generator=torch.Generator().manual_seed(3)) < 0.3
    variance = torch.tensor([0.5, 2.0]).reshape(1, 2, 1, 1)
    values = torch.where(mask, y, torch.nan)
    base_x, base_y = fields(4, seed=9, factor=0.2)
    objective = Blend(
        model,
        Observations(x, values, mask, variance),
        Replay(base_x, base_y, 0.3),
        Pull(0.1, {name: torch.full_like(p, 2.0) for name, p in model.named_parameters()}),
    )
    batch = objective.draw(torch.arange(4), torch.Generator().manual_seed(0))
    start = [p.detach().clone() for p in model.parameters()]
    with torch.no_grad():
        for p in model.parameters():
            p += 0.1
        found = objective.loss(model, *batch)
        weights = mask / variance
        data = (weights * (model(x) - y).square()).sum() / weights.sum()
        home = (model(batch[3]) - batch[4]).square().mean()
        pulled = sum(
            2.0 * (p - q).square().sum() for p, q in zip(model.parameters(), start, strict=True)
        )
        torch.testing.assert_close(found, data + 0.3 * home + 0.1 * pulled)
    rows = {tuple(field.flatten().tolist()) for field in base_x}
    assert all(tuple(field.flatten().tolist()) in rows for field in batch[3])


def settled(observations):
    """A linear network after training on observations: what they say about its weights."""
    model = linear()
    minimise(model, Blend(model, observations), FitSettings(150, batch=8, learning_rate=0.05))
    return model


TRUTH = torch.tensor([[0.7, 1.0], [0.3, -1.0]])


def linear_fields(n=16):
    x = torch.randn(n, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    return x, torch.einsum("ij,njyx->niyx", TRUTH, x)


def test_sparse_coarse_and_partial_observations_identify_the_weights():
    x, y = linear_fields()
    mask = torch.rand(y.shape, generator=torch.Generator().manual_seed(1)) < 0.05
    cases = {
        "sparse": Observations(x, torch.where(mask, y, torch.nan), mask),
        "coarse": Observations(x, block_means(4)(y), operator=block_means(4)),
    }
    for name, observations in cases.items():
        weight = settled(observations)[0].weight.detach()[:, :, 0, 0]
        torch.testing.assert_close(weight, TRUTH, rtol=0, atol=2e-3, msg=name)
    before = linear()[0].weight.detach()[1]
    partial = settled(Observations(x, y[:, :1], operator=channels([0])))[0].weight.detach()
    torch.testing.assert_close(partial[0, :, 0, 0], TRUTH[0], rtol=0, atol=2e-3)
    assert torch.equal(partial[1], before)  # the channel that nobody observed


def test_known_variance_weighs_noisy_points_down():
    x, y = linear_fields(32)
    generator = torch.Generator().manual_seed(2)
    noisy = torch.rand(y.shape, generator=generator) < 0.5
    sigma = torch.where(noisy, 3.0, 0.05)
    values = y + sigma * torch.randn(y.shape, generator=generator)
    errors = [
        float((settled(o)[0].weight.detach()[:, :, 0, 0] - TRUTH).norm())
        for o in (Observations(x, values), Observations(x, values, variance=sigma**2))
    ]
    assert errors[1] < 0.2 * errors[0]


def test_the_fisher_diagonal_of_a_linear_network():
    x, _ = linear_fields(200)
    model = linear()
    found = fisher_diagonal(model, ["0.weight", "0.bias"], x)
    # ∂f_i/∂W_ij = x_j at each point, one of two channels: ⟨x_j²⟩/2, and 1/2 for the bias.
    expected = x.square().mean((0, 2, 3)).expand(2, 2)[:, :, None, None] / 2
    torch.testing.assert_close(found["0.weight"], expected, rtol=0.3, atol=0)
    assert float(found["0.bias"].mean()) == pytest.approx(0.5, rel=0.3)


@pytest.mark.parametrize("way", ["replay", "fisher", "l2"])
def test_more_weight_on_the_base_keeps_its_error_low(way):
    base, target = fields(seed=1), fields(seed=2, factor=-0.7)
    model, _ = transfer(network(), *base, "*", FitSettings(40, batch=4, learning_rate=1e-2))
    names = ["conv2.weight", "conv2.bias"]
    fisher = fisher_diagonal(model, names, base[0]) if way == "fisher" else None

    def retrain(weight):
        replay = Replay(*base, weight) if way == "replay" else None
        pull = None if way == "replay" else Pull(weight, fisher)
        settings = FitSettings(20, batch=4, learning_rate=1e-2)
        return blend(model, Observations(*target), "conv2", settings, replay=replay, pull=pull)[0]

    curve = trade_off(retrain, (0.0, 1.0, 100.0), base, target)
    assert [point.weight for point in curve] == [0.0, 1.0, 100.0]
    assert curve[0].base_error > curve[1].base_error > curve[2].base_error
    assert curve[0].target_error < curve[1].target_error < curve[2].target_error


def test_a_resumed_blend_is_the_uninterrupted_one(tmp_path):
    class KilledError(Exception):
        pass

    def kill(epoch):
        if epoch == 1:
            raise KilledError

    settings = FitSettings(3, batch=4)
    arguments = network(), Observations(*fields()), "conv2", settings
    options = {"replay": Replay(*fields(seed=5)), "pull": Pull(0.1)}
    expected, _ = blend(*arguments, **options)
    path = tmp_path / "state.safetensors"
    with pytest.raises(KilledError):
        blend(*arguments, **options, state_path=path, progress=kill)
    found, _ = blend(*arguments, **options, state_path=path)
    for a, b in zip(found.parameters(), expected.parameters(), strict=True):
        assert torch.equal(a, b)


def test_observations_that_cannot_be():
    x, y = fields(2)
    holes = y.clone()
    holes[0, 0, 0, 0] = torch.nan
    with pytest.raises(DataError, match="found 1 NaN or Inf among the values"):
        Observations(x, holes)
    with pytest.raises(DataError, match="mask leaves nothing"):
        Observations(x, y, torch.zeros(y.shape))
    with pytest.raises(DataError, match="variance that is not positive"):
        Observations(x, y, variance=torch.zeros(1))
    with pytest.raises(DataError, match="found 2 values for 1 inputs"):
        Observations(x[:1], y)
    with pytest.raises(DataError, match=r"operator gives \(2, 3, 3\).*\(2, 12, 12\)"):
        Observations(x, y, operator=block_means(4)).observed(y)
    with pytest.raises(LayerError, match="no Fisher diagonal"):
        Blend(linear(), Observations(x, y), pull=Pull(1.0, {}))
    with pytest.raises(DataError, match="none below zero"):
        trade_off(lambda _: linear(), [-1.0], (x, y), (x, y))
