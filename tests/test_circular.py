"""Fast circular padding: the results and derivatives of PyTorch's own, to rounding."""

import copy

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

from spectune.models import CNN, CircularConv2d, fast_circular

CASES = [
    (nn.Conv1d, {"kernel_size": 5, "padding": 2}, (12,)),
    (nn.Conv2d, {"kernel_size": 5, "padding": 2}, (8, 12)),
    (nn.Conv2d, {"kernel_size": (3, 5), "padding": (1, 0)}, (8, 12)),
    (nn.Conv2d, {"kernel_size": 3, "padding": 3, "dilation": 3, "groups": 2}, (8, 12)),
    (nn.Conv2d, {"kernel_size": 3, "padding": 1, "stride": (2, 1), "bias": False}, (9, 8)),
    (nn.Conv2d, {"kernel_size": 9, "padding": 4}, (4, 5)),
    (nn.Conv2d, {"kernel_size": (3, 5), "padding": "same", "dilation": 2}, (8, 12)),
    (nn.Conv3d, {"kernel_size": 3, "padding": 1}, (4, 5, 6)),
]


def twins(kind, arguments, grid):
    torch.manual_seed(0)
    plain = kind(4, 6, padding_mode="circular", dtype=torch.float64, **arguments)
    fast = copy.deepcopy(plain)
    x = torch.randn(3, 4, *grid, dtype=torch.float64, requires_grad=True)
    return plain, fast, x


def close(found, expected):
    torch.testing.assert_close(
        found, expected, rtol=0, atol=1e-12 * float(expected.detach().abs().max())
    )


def gradients(module, x):
    """Output, first derivatives of a cubic loss and second derivatives of their squares."""
    output = module(x)
    wanted = [x, *module.parameters()]
    first = torch.autograd.grad(output.pow(3).sum(), wanted, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), wanted)
    output = module(x)  # the fast gradients, which are not differentiated again
    return [output, *torch.autograd.grad(output.pow(3).sum(), wanted), *first, *second]


@pytest.mark.parametrize(("kind", "arguments", "grid"), CASES)
def test_values_first_and_second_derivatives(kind, arguments, grid):
    plain, fast, x = twins(kind, arguments, grid)
    expected = gradients(plain, x)
    with fast_circular(fast):
        found = gradients(fast, x)
        assert "CircularConvolution" in type(fast(x).grad_fn).__name__
    for a, b in zip(found, expected, strict=True):
        close(a, b)
    assert "CircularConvolution" not in type(fast(x).grad_fn).__name__


@pytest.mark.parametrize(("kind", "arguments", "grid"), CASES)
def test_forward_mode_and_its_gradient(kind, arguments, grid):
    plain, fast, x = twins(kind, arguments, grid)
    found = []
    for module in (plain, fast):
        with fast_circular(module if module is fast else nn.Identity()), forward_ad.dual_level():
            tangent = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).reshape(x.shape)
            dual = forward_ad.make_dual(x, tangent)
            output = module(dual)
            change = forward_ad.unpack_dual(output).tangent
            first = torch.autograd.grad(output.pow(3).sum(), module.weight)[0]
            found.append((change, *forward_ad.unpack_dual(first)))
    for a, b in zip(found[1], found[0], strict=True):
        close(a, b)


def test_a_gradient_that_alone_has_a_tangent():
    plain, fast, x = twins(*CASES[1])
    found = []
    for module in (plain, fast):
        with fast_circular(module if module is fast else nn.Identity()):
            output = module(x)
            with forward_ad.dual_level():
                weights = forward_ad.make_dual(torch.ones_like(output), output.detach())
                (gradient,) = torch.autograd.grad(output, x, weights)
                found.append(forward_ad.unpack_dual(gradient).tangent)
    close(found[1], found[0])


def test_function_transforms_run_on_the_plain_operations():
    plain, fast, x = twins(*CASES[1])

    def loss(module, parameters):
        return torch.func.functional_call(module, parameters, (x.detach(),)).pow(3).sum()

    found = [
        torch.func.grad(lambda p, m=m: loss(m, p))({k: v.detach() for k, v in m.named_parameters()})
        for m in (plain, fast)
    ]
    with fast_circular(fast):
        found[1] = torch.func.grad(lambda p: loss(fast, p))(dict(fast.named_parameters()))
    close(found[1]["weight"], found[0]["weight"])


@pytest.mark.parametrize("case", [CASES[1], CASES[3]])
def test_frozen_weights_and_single_samples(case):
    plain, fast, x = twins(*case)
    found = []
    with fast_circular(fast):
        fast.weight.requires_grad_(False)
        for module in (fast, plain):
            output = module(x)
            (first,) = torch.autograd.grad(output.pow(3).sum(), x, create_graph=True)
            second = torch.autograd.grad(first.square().sum(), x)[0]
            (once,) = torch.autograd.grad(module(x).pow(3).sum(), x)
            found.append((first, second, once))
        for a, b in zip(*found, strict=True):
            close(a, b)
        fast(x).sum().backward()
        assert fast.weight.grad is None
        assert fast.bias.grad is not None
        close(fast(x.detach()[0]), plain(x.detach()[0]))
        with torch.no_grad():
            close(fast(x), plain(x))


def test_a_halo_wider_than_the_field_is_refused_as_by_torch():
    convolution = CircularConv2d(1, 1, 9, padding=4, padding_mode="circular")
    with pytest.raises(RuntimeError, match="wrapping around more than once"):
        convolution(torch.zeros(1, 1, 3, 8))


def test_an_even_kernel_pads_one_side_more_and_runs_as_in_torch():
    plain, fast, x = twins(nn.Conv2d, {"kernel_size": 4, "padding": "same"}, (8, 12))
    with fast_circular(fast):
        close(fast(x), plain(x))


def test_autocast_gives_what_it_gives_without():
    plain, fast, x = (v.float() for v in twins(*CASES[1]))
    with torch.autocast("cpu", torch.bfloat16), fast_circular(fast):
        found, expected = fast(x), plain(x)
        assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02)
    found.float().sum().backward()
    assert fast.weight.grad.dtype == torch.float32


def test_a_users_own_convolution_keeps_its_forward_pass():
    class Own(nn.Conv2d):
        def _conv_forward(self, input, weight, bias):
            return 2 * super()._conv_forward(input, weight, bias)

    own = Own(1, 1, 3, padding=1, padding_mode="circular")
    x = torch.randn(1, 1, 4, 4)
    before = own(x)
    with fast_circular(own):
        assert torch.equal(own(x), before)


def test_a_parametrised_convolution_is_fast():
    plain, _, x = twins(*CASES[1])
    nn.utils.parametrizations.weight_norm(plain)
    expected = plain(x)
    with fast_circular(plain):
        found = plain(x)
        assert "CircularConvolution" in type(found.grad_fn).__name__
    close(found, expected)
    assert "_conv_forward" not in vars(plain)


def test_the_cnn_is_the_plain_one():
    torch.manual_seed(0)
    model = CNN(2, 1, width=6, depth=4).double()
    plain = nn.Sequential()
    for name, module in model.named_children():
        if isinstance(module, nn.Conv2d):
            arguments = module.in_channels, module.out_channels, 5
            module = nn.Conv2d(*arguments, padding=2, padding_mode="circular").double()
        plain.add_module(name, module)
    plain.load_state_dict(model.state_dict())
    x = torch.randn(2, 2, 16, 12, dtype=torch.float64)
    for a, b in zip(gradients(model, x.requires_grad_()), gradients(plain, x), strict=True):
        close(a, b)


@pytest.mark.parametrize(
    ("kind", "arguments", "grid"),
    [*CASES[1:5], (nn.Conv3d, {"kernel_size": 3, "padding": 1}, (4, 5, 6))],
)
@pytest.mark.parametrize("outputs", [1, 2])
def test_few_outputs_in_single_precision(kind, arguments, grid, outputs):
    """They are computed column by column of the kernel."""
    torch.manual_seed(0)
    groups = min(arguments.get("groups", 1), outputs)
    exact = kind(
        4, outputs, padding_mode="circular", dtype=torch.float64, **arguments | {"groups": groups}
    )
    single = copy.deepcopy(exact).float()
    x = torch.randn(3, 4, *grid, dtype=torch.float64)
    found, expected = [], []
    for module, results in ((exact, expected), (single, found)):
        with fast_circular(module):
            output = module(x.to(module.weight.dtype).requires_grad_())
            results += [output, torch.autograd.grad(output.pow(2).sum(), module.weight)[0]]
    for a, b in zip(found, expected, strict=True):
        assert float(((a - b).norm() / b.norm()).detach()) < 1e-6
