"""Re-training on another objective than the error of pairs, and two objectives as one."""

import pytest
import torch

import spectune as st
from spectune.errors import DataError
from spectune.models import CNN
from spectune.training import FitSettings, GaussNewtonSettings, Joined, Supervised, Symmetries


def pairs(n=12, seed=0):
    x = torch.randn(n, 2, 12, 12, generator=torch.Generator().manual_seed(seed))
    return x, torch.roll(x[:, :1], 1, -1) * 0.7 + x[:, 1:]


def network():
    torch.manual_seed(0)
    return CNN(2, 1, width=6, depth=3, kernel=3)


@pytest.mark.parametrize("kind", ["full", "low-rank"])
def test_the_error_of_pairs_as_an_objective_is_a_transfer(kind):
    x, y = pairs()
    settings, held_out = FitSettings(3, batch=4), pairs(seed=1)
    expected, history = st.transfer(network(), x, y, "conv2", settings, kind=kind)
    found, same = st.transfer(
        network(),
        None,
        None,
        "conv2",
        settings,
        objective=Supervised(x, y),
        kind=kind,
        held_out=held_out,
    )
    assert same.train == pytest.approx(history.train, rel=1e-5)
    assert len(same.held_out) == 3
    for (name, a), b in zip(found.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6, msg=name)
    for (name, a), b in zip(found.named_parameters(), network().parameters(), strict=True):
        assert torch.equal(a, b) == (not name.startswith("conv2")), name


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path):
    x, y = pairs()
    objective = Joined(Supervised(x, y), Supervised(*pairs(seed=3)), 0.5)

    def kill(epoch):
        if epoch == 2:
            raise KeyboardInterrupt

    def run(path, **given):
        settings = FitSettings(4, batch=4)
        return st.transfer(
            network(), None, None, "conv2", settings, objective=objective, state_path=path, **given
        )

    expected, _ = run(None)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "state", progress=kill)
    done = []
    found, _ = run(tmp_path / "state", progress=done.append)
    assert done == [3, 4]
    for a, b in zip(found.parameters(), expected.parameters(), strict=True):
        assert torch.equal(a, b)


def test_joined_objectives_are_their_weighted_sum():
    first, second = Supervised(*pairs(4)), Supervised(*pairs(9, seed=5))
    joined = Joined(first, second, 0.3)
    assert len(joined) == 4
    batch = joined.draw(torch.arange(3), torch.Generator().manual_seed(1))
    assert all(len(part) == 3 for part in batch)
    rows = {tuple(field.flatten().tolist()) for field in second.inputs}
    assert all(tuple(field.flatten().tolist()) in rows for field in batch[2])
    model = network()
    expected = first.loss(model, *batch[:2]) + 0.3 * second.loss(model, *batch[2:])
    torch.testing.assert_close(joined.loss(model, *batch), expected)


def test_pairs_and_an_objective_are_not_mixed_up():
    x, y = pairs()
    objective, settings = Supervised(x, y), FitSettings(1)
    for data, given in (
        ((x, y), {}),
        ((None, None), {"symmetries": Symmetries((-1, -1), (-1,))}),
    ):
        with pytest.raises(DataError, match="Joined"):
            st.transfer(network(), *data, "conv2", settings, objective=objective, **given)
    with pytest.raises(DataError, match="found no inputs or no targets"):
        st.transfer(network(), x, None, "conv2", settings)
    gauss_newton = GaussNewtonSettings()
    with pytest.raises(DataError, match="use FitSettings"):
        st.transfer(network(), None, None, "conv2", gauss_newton, objective=objective)
