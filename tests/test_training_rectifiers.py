"""What a network keeps for the derivative when one of its layers is re-trained."""

import torch
from torch import nn

from spectune.models import CNN, fast_circular
from spectune.training.rectifiers import lean_rectifiers


def network(trained):
    torch.manual_seed(0)
    model = CNN(2, 1, width=6, depth=5, kernel=3)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(trained))
    return model


def gradients(model, inputs):
    model.zero_grad()
    model(inputs).square().mean().backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def kept(model, inputs):
    """Return the bytes of what the graph keeps, each storage once."""
    storages = {}

    def pack(tensor):
        if not isinstance(tensor, nn.Parameter):
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(inputs)
    return sum(storages.values()), output


def test_gradients_are_the_same_to_the_last_bit():
    inputs = torch.randn(3, 2, 8, 8)
    for trained in ("conv1", "conv2", "conv4", "conv"):
        model = network(trained)
        expected = gradients(model, inputs)
        with lean_rectifiers(model):
            found = gradients(model, inputs)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_rectifier_in_front_of_a_frozen_layer_keeps_a_byte_a_point():
    """conv2 keeps its input with and without halo, the three rectifiers behind it their sign."""
    inputs, model = torch.randn(3, 2, 8, 8), network("conv2")
    points = 3 * 6 * 8 * 8

    with fast_circular(model), lean_rectifiers(model):
        found, _output = kept(model, inputs)

    assert found == 3 * points + 4 * points + 4 * 3 * 6 * 10 * 10


def test_rectifiers_in_front_of_trained_layers_are_left_alone():
    model = network("conv")
    with lean_rectifiers(model):
        assert all("forward" not in vars(module) for module in model.modules())


def test_a_rectifier_that_runs_twice_is_left_alone_where_one_place_needs_its_output():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(2, 3), relu, nn.Linear(3, 3), relu, nn.Linear(3, 1))
    model[0].requires_grad_(False)
    model[4].requires_grad_(False)
    with lean_rectifiers(model):
        assert "forward" not in vars(relu)


def test_the_model_is_as_before_afterwards():
    model = network("conv2")
    with lean_rectifiers(model):
        assert "forward" in vars(model.relu3)
    assert all("forward" not in vars(module) for module in model.modules())
