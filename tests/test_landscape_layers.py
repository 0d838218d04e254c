"""Curvature layer by layer against dense float64 Hessians and curvlinops."""

import pytest
import torch
from curvlinops import GGNLinearOperator, HessianLinearOperator
from scipy.sparse.linalg import eigsh
from torch import nn
from torch.func import functional_call

from spectune.errors import DataError, LayerError
from spectune.landscape import (
    Curvature,
    deflated_trace,
    dense_eigenpairs,
    layer_curvatures,
    leading_eigenpairs,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def conv(c_in, c_out):
    return nn.Conv2d(c_in, c_out, 3, padding=1, padding_mode="circular")


class Attention(nn.Module):
    """Self-attention over the points of a grid, with a skip connection and a norm."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        tokens = self.norm(x.flatten(2).mT)
        out, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return x + out.mT.reshape(x.shape)


class Twice(nn.Module):
    """A convolution that runs twice: second derivatives in its own weights."""

    def __init__(self):
        super().__init__()
        self.lift, self.shared, self.out = conv(2, 3), conv(3, 3), conv(3, 1)

    def forward(self, x):
        x = torch.relu(self.shared(torch.relu(self.lift(x))))
        return self.out(torch.relu(self.shared(x)))


def tied():
    shared = conv(3, 3)
    return nn.Sequential(conv(2, 3), shared, nn.Tanh(), shared, conv(3, 1))


NETWORKS = {
    "ReLU": (lambda: nn.Sequential(conv(2, 3), nn.ReLU(), conv(3, 3), nn.ReLU(), conv(3, 1)), True),
    "ReLU in place": (
        lambda: nn.Sequential(conv(2, 3), nn.ReLU(True), conv(3, 3), nn.ELU(0.5, True), conv(3, 1)),
        None,
    ),
    "tanh and GELU": (
        lambda: nn.Sequential(conv(2, 3), nn.Tanh(), conv(3, 3), nn.GELU(), conv(3, 1)),
        False,
    ),
    "linear network": (lambda: nn.Sequential(conv(2, 3), conv(3, 1)), True),
    "norm": (
        lambda: nn.Sequential(conv(2, 4), nn.GroupNorm(2, 4), nn.ReLU(), conv(4, 1)),
        None,
    ),
    "pooling, nested": (
        lambda: nn.Sequential(
            nn.Sequential(conv(2, 3), nn.LeakyReLU(), nn.AvgPool2d(2)),
            nn.Upsample(scale_factor=2),
            nn.ConvTranspose2d(3, 1, 3, padding=1),
        ),
        True,
    ),
    "attention": (lambda: nn.Sequential(conv(2, 4), Attention(), conv(4, 1)), None),
    "shared weights": (Twice, None),
    "tied in a sequence": (tied, None),
}


def problem(build, n=4):
    torch.manual_seed(0)
    model = build().double()
    inputs = torch.randn(n, 2, 6, 6, generator=generator(1), dtype=torch.float64)
    targets = 2 * torch.randn(n, 1, 6, 6, generator=generator(2), dtype=torch.float64)
    layers = {
        name: [
            f"{name}.{key}" if name else key for key, _ in module.named_parameters(recurse=False)
        ]
        for name, module in model.named_modules()
    }
    return model, {name: keys for name, keys in layers.items() if keys}, inputs, targets


def dense(model, names, inputs, targets):
    """Return gradient, Hessian and Gauss–Newton block from whole-vector autograd."""
    known = dict(model.named_parameters())
    start = torch.cat([known[name].detach().flatten() for name in names])

    def output(vector):
        parts = vector.split([known[name].numel() for name in names])
        values = {n: part.reshape(known[n].shape) for n, part in zip(names, parts, strict=True)}
        return functional_call(model, values, (inputs,))

    def loss(vector):
        return nn.functional.mse_loss(output(vector), targets)

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        jacobian = torch.autograd.functional.jacobian(output, start).flatten(0, -2)
        gradient = torch.autograd.functional.jacobian(loss, start)
        hessian = torch.autograd.functional.hessian(loss, start)
    return gradient, hessian, 2 / targets.numel() * jacobian.T @ jacobian


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("whole", [True, False])
def test_blocks_are_those_of_the_dense_matrices(kind, whole):
    build, affine = NETWORKS[kind]
    model, layers, inputs, targets = problem(build)
    found = layer_curvatures(
        model,
        layers,
        inputs,
        targets,
        generator(),
        tolerance=1e-8,
        trace_tolerance=0.1,
        max_iterations=1000,
        max_probes=20,
        dense=1000 if whole else 0,
        batch_size=4 if whole else 3,
    )
    assert [layer.name for layer in found] == list(layers)
    for layer in found:
        gradient, hessian, gauss_newton = dense(model, layers[layer.name], inputs, targets)
        assert layer.size == len(gradient)
        torch.testing.assert_close(layer.gradient, gradient, rtol=1e-9, atol=1e-13)
        if affine is not None:
            assert (layer.hessian is layer.gauss_newton) == (affine or layer.name == "4")
        for block, matrix in ((layer.hessian, hessian), (layer.gauss_newton, gauss_newton)):
            values = torch.linalg.eigvalsh(matrix).flip(0)[:2]
            torch.testing.assert_close(block.values, values, rtol=1e-6, atol=1e-12)
            error = block.vectors @ matrix - block.values[:, None] * block.vectors
            assert float(error.norm()) < 1e-6 * float(values[0])
            torch.testing.assert_close(block.slopes, block.vectors @ gradient)
            trace = float(matrix.trace())
            if whole:
                assert block.trace == pytest.approx(trace, rel=1e-6)
                assert block.trace_error == 0
            else:
                assert abs(block.trace - trace) <= 5 * block.trace_error + 1e-6 * abs(trace)


def test_the_check_for_affine_layers_is_exact_and_sees_what_is_not():
    for kind, expected in (("ReLU", [True] * 3), ("tanh and GELU", [False, False, True])):
        model, layers, inputs, targets = problem(NETWORKS[kind][0])
        found = [
            Curvature(model, names, inputs, targets).second_derivative_vanishes(generator())
            for names in layers.values()
        ]
        assert found == expected
    model, layers, inputs, targets = problem(Twice)
    shared = Curvature(model, layers["shared"], inputs, targets)
    assert not shared.second_derivative_vanishes(generator())
    both = Curvature(model, layers["lift"] + layers["out"], inputs, targets)
    assert not both.second_derivative_vanishes(generator())
    # A residual of zero hides the second derivative of f from the Hessian, not from the check.
    with torch.no_grad():
        targets = model(inputs)
    assert not Curvature(model, layers["shared"], inputs, targets).second_derivative_vanishes(
        generator()
    )


def test_agreement_with_curvlinops():
    model, layers, inputs, targets = problem(NETWORKS["tanh and GELU"][0])
    found = layer_curvatures(
        model,
        layers,
        inputs,
        targets,
        generator(),
        tolerance=1e-9,
        dense=0,
        max_iterations=1000,
        max_probes=20,
    )
    for layer in found:
        parameters = [model.get_parameter(name) for name in layers[layer.name]]
        for block, operator in (
            (layer.hessian, HessianLinearOperator),
            (layer.gauss_newton, GGNLinearOperator),
        ):
            A = operator(model, nn.MSELoss(), parameters, [(inputs, targets)])
            values = eigsh(A.to_scipy(), k=2, which="LA")[0][::-1]
            torch.testing.assert_close(block.values, torch.tensor(values.copy()), rtol=1e-8, atol=0)
            trace = float((A @ torch.eye(layer.size, dtype=torch.float64)).trace())
            assert abs(block.trace - trace) <= 5 * block.trace_error


def test_deflated_trace_is_unbiased_and_says_its_error():
    model, layers, inputs, targets = problem(NETWORKS["ReLU"][0], n=6)
    curvature = Curvature(model, layers["2"], inputs, targets, keep_graph=True)
    exact = dense_eigenpairs(curvature.gauss_newton_product, curvature.size, dtype=torch.float64)
    trace = float(exact.projected.trace())
    pairs = leading_eigenpairs(
        curvature.gauss_newton_product, curvature.size, generator(), dtype=torch.float64
    )
    estimates = [
        deflated_trace(
            curvature.gauss_newton_forms, pairs, generator(seed), tolerance=0.0, max_probes=8
        )
        for seed in range(60)
    ]
    values = torch.tensor([estimate.value for estimate in estimates])
    claimed = torch.tensor([estimate.standard_error for estimate in estimates])
    assert float(values.mean()) == pytest.approx(trace, abs=4 * float(values.std()) / 60**0.5)
    assert float(claimed.square().mean().sqrt()) == pytest.approx(float(values.std()), rel=0.3)
    assert all(len(estimate.samples) == 8 for estimate in estimates)
    whole = deflated_trace(curvature.gauss_newton_forms, exact, generator())
    assert whole.value == pytest.approx(trace)
    assert whole.standard_error == 0


@pytest.mark.parametrize("kind", ["ReLU", "tanh and GELU", "tied in a sequence"])
@pytest.mark.parametrize("keep", [True, False])
def test_forms_of_the_samples_add_up_to_that_of_all(kind, keep):
    model, layers, inputs, targets = problem(NETWORKS[kind][0])
    for names in layers.values():
        curvature = Curvature(model, names, inputs, targets, batch_size=3, keep_graph=keep)
        v = torch.randn(curvature.size, dtype=torch.float64, generator=generator())
        for forms, product in (
            (curvature.gauss_newton_forms, curvature.gauss_newton_product),
            (curvature.hessian_forms, curvature.hessian_product),
        ):
            terms = forms(lambda v=v: v)
            assert len(terms) == len(inputs)
            assert float(terms.sum()) == pytest.approx(float(v @ product(v)), rel=1e-10)


def test_periodic_padding_has_the_derivatives_of_torch():
    model, _, inputs, targets = problem(lambda: nn.Conv2d(2, 1, (3, 5), padding=(1, 2)))
    model.padding_mode, uneven = "circular", (1, 0, 2, 3)
    curvature = Curvature(model, ["weight", "bias"], inputs, targets)
    expected = dense(model, ["weight", "bias"], inputs, targets)[0]
    torch.testing.assert_close(curvature.gradient(), expected)

    def padded(x):
        with curvature.map.function.evaluation():
            return nn.functional.pad(x, uneven, mode="circular").square()

    x = inputs[:1].clone().requires_grad_()
    plain = nn.functional.pad(x, uneven, mode="circular").square()
    assert torch.equal(padded(x), plain)
    assert torch.autograd.gradcheck(padded, x, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(padded, x)


def test_float32_and_repeatability():
    model, layers, inputs, targets = problem(NETWORKS["ReLU"][0])
    exact = layer_curvatures(model, layers, inputs, targets, generator(), dense=1000)
    first, again = (
        layer_curvatures(model.float(), layers, inputs, targets, generator(3), dense=0)
        for _ in range(2)
    )
    for one, two, reference in zip(first, again, exact, strict=True):
        assert one.hessian.converged
        assert torch.equal(one.hessian.vectors, two.hessian.vectors)
        assert one.hessian.trace == two.hessian.trace
        torch.testing.assert_close(
            one.hessian.values, reference.hessian.values, rtol=1e-5, atol=1e-6
        )


def test_refusals():
    model, layers, inputs, targets = problem(NETWORKS["ReLU"][0])
    with pytest.raises(LayerError, match="found none"):
        layer_curvatures(model, {}, inputs, targets, generator())
    with pytest.raises(LayerError, match="not in the model"):
        layer_curvatures(model, {"a": ["a.weight"]}, inputs, targets, generator())
    with pytest.raises(DataError, match="NaN"):
        layer_curvatures(model, layers, inputs * torch.nan, targets, generator())
    with pytest.raises(DataError, match="NaN"):
        layer_curvatures(model, layers, inputs * torch.nan, targets, generator(), dense=1000)
    with pytest.raises(DataError, match="max_probes"):
        layer_curvatures(model, layers, inputs, targets, generator(), max_probes=1)
