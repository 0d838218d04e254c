"""The paper's network, checkpoints, and models and weights of users."""

import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from spectune.data import Normalization
from spectune.errors import ModelError
from spectune.grid import Grid
from spectune.models import CNN, Network, build_model, load_network, load_weights, save_network

STATISTICS = Normalization(
    torch.tensor([1.0, -2.0]),
    torch.tensor([2.0, 3.0]),
    torch.tensor([0.5]),
    torch.tensor([4.0]),
    "base",
)


def test_the_papers_network_has_its_number_of_weights():
    assert sum(p.numel() for p in CNN(2, 1, width=64, depth=11, kernel=5).parameters()) == 927_041


def test_circular_padding_commutes_with_shifts():
    torch.manual_seed(0)
    x = torch.randn(1, 2, 16, 16)
    for padding, commutes in (("circular", True), ("zeros", False)):
        model = CNN(2, 1, width=4, depth=3, padding=padding)
        shifted = model(torch.roll(x, (3, 5), (-2, -1)))
        same = torch.allclose(shifted, torch.roll(model(x), (3, 5), (-2, -1)), atol=1e-6)
        assert same is commutes


def test_network_maps_physical_to_physical():
    torch.manual_seed(0)
    module = CNN(2, 1, width=4, depth=2)
    x = torch.randn(3, 2, 8, 8) * 5
    expected = 0.5 + 4.0 * module(
        (x - torch.tensor([1.0, -2.0])[:, None, None]) / torch.tensor([2.0, 3.0])[:, None, None]
    )
    torch.testing.assert_close(Network(module, STATISTICS)(x), expected)


def test_checkpoint_round_trip(tmp_path):
    arguments = {"inputs": 2, "outputs": 1, "width": 4, "depth": 3}
    network = Network(CNN(**arguments), STATISTICS)
    save_network(
        tmp_path / "bnn",
        network,
        factory="spectune.models:CNN",
        arguments=arguments,
        grid=Grid.square(16),
        provenance={"seed": 1},
    )
    loaded, _, description = load_network(tmp_path / "bnn")
    x = torch.randn(2, 2, 16, 16)
    assert torch.equal(loaded(x), network(x))
    assert Grid.from_dict(description["grid"]) == Grid.square(16)
    assert json.loads((tmp_path / "bnn" / "network.json").read_text())["provenance"] == {"seed": 1}


def test_weights_that_do_not_fit_are_listed(tmp_path):
    path = tmp_path / "weights.safetensors"
    weights = dict(CNN(2, 1, width=4, depth=3).state_dict())
    weights["conv2.weight"] = torch.zeros(4, 4, 3, 3)
    del weights["conv3.bias"]
    weights["extra"] = torch.zeros(2)
    save_file({k: v.contiguous() for k, v in weights.items()}, path)
    with pytest.raises(ModelError) as caught:
        load_weights(CNN(2, 1, width=4, depth=3), path)
    message = str(caught.value)
    assert "conv2.weight: expected (4, 4, 5, 5), found (4, 4, 3, 3)" in message
    assert "conv3.bias: expected (1,), missing in the file" in message
    assert "extra: found (2,), not in the model" in message


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_pickle_is_refused_whatever_its_name(tmp_path, name, writer):
    path = tmp_path / name
    if writer == "torch":
        torch.save(CNN(2, 1, width=4, depth=3).state_dict(), path)
    else:
        path.write_bytes(pickle.dumps({"conv1.weight": 1}))
    with pytest.raises(ModelError, match=r"pickle.*refused.*save_file"):
        load_weights(CNN(2, 1, width=4, depth=3), path)


def test_broken_and_missing_weights(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        load_weights(CNN(2, 1), tmp_path / "none.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"not a header")
    with pytest.raises(ModelError, match="not a readable safetensors"):
        load_weights(CNN(2, 1), tmp_path / "broken.safetensors")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nonsense", "expected 'package.module:factory'"),
        ("no_such_package:f", "cannot import 'no_such_package'"),
        ("spectune.models:CNNN", "nearest names: CNN"),
        ("spectune.grid:resize", "could not be called"),
        ("spectune.models:CNN", "could not be called"),
        ("math:ulp", "could not be called"),
        ("builtins:dict", "expected a torch.nn.Module, found dict"),
    ],
)
def test_models_that_cannot_be_built(spec, message):
    with pytest.raises(ModelError, match=message):
        build_model(spec)
