"""Linear maps and curvature products against dense float64 matrices."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from spectune.errors import DataError, LayerError
from spectune.landscape import Curvature, linearize


def conv2d(c_in, c_out):
    return nn.Conv2d(c_in, c_out, 3, padding=1, padding_mode="circular")


class Recurrent(nn.Module):
    """A skip connection, a parameter used twice, one unused, a complex one, a Fourier layer."""

    def __init__(self):
        super().__init__()
        self.lift = nn.Conv2d(2, 2, 1)
        self.shared = conv2d(2, 2)
        self.modes = nn.Parameter(0.3 * torch.randn(2, 2, 6, 4, dtype=torch.complex64))
        self.unused = nn.Parameter(torch.ones(3))

    def forward(self, x):
        x = self.lift(x)
        x = x + torch.tanh(self.shared(x))
        x = x + torch.tanh(self.shared(x))
        x_hat = torch.einsum("ncyx,cdyx->ndyx", torch.fft.rfft2(x), self.modes)
        return (x + torch.fft.irfft2(x_hat, s=(6, 6))).sum(1, keepdim=True)


class WithoutForwardMode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x.cos()


class OldFashioned(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = conv2d(2, 2), conv2d(2, 1)

    def forward(self, x):
        return self.b(WithoutForwardMode.apply(self.a(x)))


def cases():
    torch.manual_seed(0)
    yield (
        "conv2d circular",
        nn.Sequential(conv2d(2, 3), nn.Tanh(), conv2d(3, 2), nn.GELU(), conv2d(2, 1)),
        ["2.weight", "2.bias"],
        (2, 6, 6),
    )
    yield (
        "conv1d, transposed, stride",
        nn.Sequential(
            nn.Conv1d(2, 3, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.ConvTranspose1d(3, 2, 4, stride=2, padding=1),
            nn.Tanh(),
            nn.Conv1d(2, 1, 3, padding=1),
        ),
        ["0.weight", "2.weight"],
        (2, 10),
    )
    yield (
        "linear",
        nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3), nn.Softplus(), nn.Linear(3, 2)),
        ["0.weight", "2.bias"],
        (5,),
    )
    yield (
        "group norm, batch norm, dropout",
        nn.Sequential(
            conv2d(2, 4),
            nn.GroupNorm(2, 4),
            nn.BatchNorm2d(4),
            nn.Tanh(),
            nn.Dropout(0.5),
            conv2d(4, 1),
        ),
        ["0.weight", "1.weight", "2.bias"],
        (2, 6, 6),
    )
    yield (
        "conv3d",
        nn.Sequential(nn.Conv3d(1, 2, 3, padding=1, padding_mode="circular"), nn.ELU(2.0)).append(
            nn.Conv3d(2, 1, 1)
        ),
        ["0.weight"],
        (1, 4, 4, 4),
    )
    yield "shared, complex, unused", Recurrent(), ["shared.weight", "modes", "unused"], (2, 6, 6)


CASES = [pytest.param(*values, id=name) for name, *values in cases()]


def problem(model, shape, n=5):
    model = model.double().train()
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(n, *shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        targets = torch.randn(model.eval()(inputs).shape, generator=generator, dtype=torch.float64)
    model.train()
    return model, inputs, targets


def widen(model):
    """Return the model with float64 and complex128 parameters."""
    for parameter in model.parameters():
        wide = torch.complex128 if parameter.is_complex() else torch.float64
        parameter.data = parameter.data.to(wide)
    return model.double()


def dense(model, names, inputs, targets):
    """Return output Jacobian, gradient and Hessian of the loss from whole-vector autograd."""
    model.eval()
    known = dict(model.named_parameters())
    real = [torch.view_as_real(known[n]) if known[n].is_complex() else known[n] for n in names]
    start = torch.cat([p.detach().flatten() for p in real])

    def output(vector):
        parts = vector.split([p.numel() for p in real])
        values = {}
        for name, p, part in zip(names, real, parts, strict=True):
            value = part.reshape(p.shape)
            values[name] = torch.view_as_complex(value) if known[name].is_complex() else value
        return functional_call(model, values, (inputs,))

    def loss(vector):
        return nn.functional.mse_loss(output(vector), targets)

    jacobian = torch.autograd.functional.jacobian(output, start).flatten(0, -2)
    gradient = torch.autograd.functional.jacobian(loss, start)
    hessian = torch.autograd.functional.hessian(loss, start)
    model.train()
    return jacobian, gradient, hessian


@pytest.mark.parametrize(("model", "names", "shape"), CASES)
@pytest.mark.parametrize("keep_graph", [False, True])
def test_linear_map_is_the_jacobian(model, names, shape, keep_graph):
    model, inputs, targets = problem(widen(model), shape)
    jacobian, _, _ = dense(model, names, inputs, targets)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    linear = linearize(model, names, inputs, batch_size=2, keep_graph=keep_graph)
    assert linear.size == jacobian.shape[1]
    generator = torch.Generator().manual_seed(2)
    for _ in range(2):  # a kept graph must serve more than once
        v = torch.randn(linear.size, generator=generator, dtype=torch.float64)
        r = torch.randn(targets.shape, generator=generator, dtype=torch.float64)
        delta = linear.unflatten(v)
        assert torch.equal(linear.flatten(delta), v)
        change = linear.jvp(delta)
        assert change.shape == targets.shape
        assert not change.requires_grad
        expected = jacobian @ v
        scale = expected.abs().max().item()
        torch.testing.assert_close(change.flatten(), expected, rtol=0, atol=1e-12 * scale)
        pulled = linear.flatten(linear.vjp(r))
        assert not pulled.requires_grad
        expected = jacobian.T @ r.flatten()
        scale = expected.abs().max().item()
        torch.testing.assert_close(pulled, expected, rtol=0, atol=1e-12 * scale)
    with torch.no_grad():
        torch.testing.assert_close(linear.output, model.eval()(inputs))
    # The model is as it was: weights, buffers, modes, gradients.
    model.train()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(("model", "names", "shape"), CASES)
@pytest.mark.parametrize("batch_size", [2, 32])
def test_curvature_products_are_those_of_the_dense_matrices(model, names, shape, batch_size):
    model, inputs, targets = problem(widen(model), shape)
    jacobian, gradient, hessian = dense(model, names, inputs, targets)
    curvature = Curvature(model, names, inputs, targets, batch_size=batch_size)
    assert all(module.training for module in model.modules())
    residual = model.eval()(inputs) - targets
    assert curvature.loss() == pytest.approx(residual.square().mean().item(), rel=1e-14)
    torch.testing.assert_close(curvature.gradient(), gradient, rtol=1e-10, atol=1e-14)
    gauss_newton = 2 / targets.numel() * jacobian.T @ jacobian
    for product, matrix in (
        (curvature.hessian_product, hessian),
        (curvature.gauss_newton_product, gauss_newton),
    ):
        probes = torch.randn(4, curvature.size, dtype=torch.float64)
        found = torch.stack([product(v) for v in probes])
        expected = probes @ matrix
        scale = expected.abs().max().item()
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-11 * scale)


def test_hessian_of_a_relu_layer_is_its_gauss_newton_matrix():
    torch.manual_seed(0)
    model = nn.Sequential(conv2d(2, 4), nn.ReLU(), conv2d(4, 3), nn.ReLU(), conv2d(3, 1))
    model, inputs, targets = problem(model, (2, 8, 8))
    for names in (["0.weight", "0.bias"], ["2.weight"], ["4.weight", "4.bias"]):
        curvature = Curvature(model, names, inputs, targets)
        v = torch.randn(curvature.size, dtype=torch.float64)
        torch.testing.assert_close(curvature.hessian_product(v), curvature.gauss_newton_product(v))


def test_an_operation_without_forward_mode():
    torch.manual_seed(0)
    model, inputs, targets = problem(OldFashioned(), (2, 6, 6))
    linear = linearize(model, ["a.weight"], inputs)
    v = torch.randn(linear.size, dtype=torch.float64)
    with pytest.warns(UserWarning, match="no forward-mode derivative"):
        change = linear.jvp(linear.unflatten(v))
    r = torch.randn(targets.shape, dtype=torch.float64)
    pulled = linear.flatten(linear.vjp(r))
    assert (change * r).sum().item() == pytest.approx((pulled @ v).item(), rel=1e-12)
    step = 1e-6
    with torch.no_grad():
        model.eval()
        weight = model.a.weight.clone()
        delta = linear.unflatten(v)["a.weight"]
        model.a.weight.copy_(weight + step * delta)
        up = model(inputs)
        model.a.weight.copy_(weight - step * delta)
        down = model(inputs)
    torch.testing.assert_close(change, (up - down) / (2 * step), rtol=1e-6, atol=1e-8)


def test_frozen_parameters_and_float32():
    torch.manual_seed(0)
    model = nn.Sequential(conv2d(2, 3), nn.Tanh(), conv2d(3, 1)).requires_grad_(False)
    inputs, targets = torch.randn(4, 2, 8, 8), torch.randn(4, 1, 8, 8)
    with torch.no_grad():  # a caller may have gradients off
        curvature = Curvature(model, ["0.weight"], inputs.double(), targets.double())
        v = torch.randn(curvature.size)
        product, gradient = curvature.hessian_product(v), curvature.gradient()
    assert product.dtype == torch.float32
    exact = Curvature(model.double(), ["0.weight"], inputs, targets)
    torch.testing.assert_close(product, exact.hessian_product(v).float(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(gradient, exact.gradient().float(), rtol=1e-4, atol=1e-6)
    assert not any(p.requires_grad for p in model.parameters())


def test_refusals():
    model, inputs, targets = problem(conv2d(2, 1), (2, 6, 6))
    with pytest.raises(LayerError, match="not in the model"):
        linearize(model, ["wieght"], inputs)
    with pytest.raises(LayerError, match="at least one"):
        linearize(model, [], inputs)
    with pytest.raises(DataError, match="no samples"):
        linearize(model, ["weight"], inputs[:0])
    with pytest.raises(DataError, match="targets"):
        Curvature(model, ["weight"], inputs, targets[..., :3])
    linear = linearize(model, ["weight"], inputs)
    with pytest.raises(DataError, match="residual"):
        linear.vjp(targets[:2])
    with pytest.raises(DataError, match="vector"):
        linear.unflatten(torch.zeros(3))
    with pytest.raises(LayerError, match="delta"):
        linear.jvp({"bias": torch.zeros(1)})
    with pytest.raises(DataError, match="weight"):
        linear.jvp({"weight": torch.zeros(1)})
