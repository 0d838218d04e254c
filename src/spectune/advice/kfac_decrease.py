"""The decrease of the error that a Kronecker-factored Gauss–Newton step of each layer promises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from spectune.advice.candidates import owners_of
from spectune.advice.problem import Problem
from spectune.advice.shared import SharedPass
from spectune.landscape.row_moments import RowMoments, in_groups
from spectune.landscape.rows_read import is_plain, rows_read

__all__ = ["kfac_decrease"]

# Random vectors a sample, and damping of both factors relative to their mean eigenvalue.
PROBES = 2
DAMPING = 1e-2


def kfac_decrease(problem: Problem, shared: SharedPass) -> dict[str, float]:
    """Return the share of the squared error that a natural-gradient step of each layer removes.

        d_l = g_lᵀ (J_lᵀJ_l)⁻¹ g_l / ‖R‖²,     g_l = J_lᵀR,     J_lᵀJ_l ≈ T A_l ⊗ S_l

    A_l = ⟨p pᵀ⟩ of the rows p that the layer reads (`rows_read`, a 1 appended for its bias), and
    S_l = ⟨δ δᵀ⟩ of the derivatives δ = ∂(vᵀf)/∂h of its outputs for vectors v of signs, over T
    points of all samples. For a last layer that is linear the factors are exact, and d is the share
    that least squares removes. The gradient on the left is that of one half of the sample, the one
    on the right that of the other: what chance adds to both does not add up, so that a layer of
    many weights is not overrated. The price is that d can be negative.

    Modules that are not one matrix (`is_plain`), or too wide, have the diagonal of J_lᵀJ_l in its
    place. A layer of several modules is taken as block-diagonal.

    Args:
        problem: see `Problem`.
        shared: source of the signs.

    Source: Martens and Grosse 2015 (ICML); Grosse and Martens 2016 (ICML) for convolutions; Amari
    1998 (Neural Comput. 10) for the natural gradient.
    """
    known = dict(problem.model.named_parameters())
    units: dict[str, _Unit] = {}
    for name in dict.fromkeys(p for layer in problem.layers for p in layer.parameters):
        owner, _, leaf = name.rpartition(".")
        unit = units.setdefault(owner, _Unit(problem.model.get_submodule(owner)))
        unit.parameters[leaf] = known[name]
    shares = {}
    generator = shared.generator()
    for group in in_groups(units, lambda owner: units[owner].room()):
        watched = [units[owner] for owner in group]
        error = _accumulate(problem, watched, generator)
        for owner in group:
            shares[owner] = units[owner].decrease() / error
            units[owner].forget()
    return {
        layer.name: sum(shares[owner] for owner in owners_of(layer)) for layer in problem.layers
    }


class _Unit:
    """A module whose parameters move, and what a pass over the samples gathers of it."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.parameters: dict[str, Tensor] = {}
        self.forget()

    def forget(self) -> None:
        """Drop everything gathered."""
        self.rows, self.outputs = RowMoments(), RowMoments()
        self.points = 0
        self.gradients: list[dict[str, Tensor]] = [{}, {}]  # of either half
        self.squares: dict[str, Tensor] = {}

    def add_gradient(self, half: int, parts: dict[str, Tensor], weight: float) -> None:
        """Add Jᵀ R of a sample to that of its half."""
        held = self.gradients[half]
        for name, part in parts.items():
            held[name] = held.get(name, torch.zeros_like(part)).add(part, alpha=weight)

    def add_squares(self, parts: dict[str, Tensor]) -> None:
        """Add the squares of Jᵀ v, where the factors are not known."""
        if not self.rows.count:
            for name, part in parts.items():
                held = self.squares.get(name, torch.zeros_like(part))
                self.squares[name] = held.addcmul(part, part, value=1 / PROBES)

    def room(self) -> int:
        """Numbers that are kept."""
        weights = sum(p.numel() for p in self.parameters.values())
        if not self.plain:
            return 3 * weights
        weight = self.parameters["weight"]
        return 3 * weights + weight[0].numel() ** 2 + len(weight) ** 2

    @property
    def plain(self) -> bool:
        """Whether the parameters are the matrix of the module, with or without its bias."""
        names = set(self.parameters)
        return is_plain(self.module) and "weight" in names and names <= {"weight", "bias"}

    def decrease(self) -> float:
        """Return g₁ᵀ (JᵀJ)⁻¹ g₂ summed over all samples."""
        first, second = self.gradients
        if self.plain and self.rows.count and self.outputs.count:
            bias = "bias" in self.parameters
            reads = _damped(self.rows.extended if bias else self.rows.second)
            gives = _damped(self.outputs.second)
            left, right = (
                torch.cat([half[name].double().reshape(len(gives), -1) for name in half], 1)
                for half in (first, second)
            )
            step = torch.linalg.solve(gives, torch.linalg.solve(reads, right.T).T)
            return float((left * step).sum()) / self.points
        total = 0.0
        for name, squares in self.squares.items():
            curvature = squares.double() + DAMPING * squares.double().mean().clamp(min=1e-30)
            total += float((first[name].double() * second[name].double() / curvature).sum())
        return total


def _damped(moment: Tensor) -> Tensor:
    moment.diagonal().add_(DAMPING * moment.diagonal().mean().clamp(min=1e-30))
    return moment


def _accumulate(problem: Problem, units: list[_Unit], generator: torch.Generator) -> float:
    """Run all samples once, gather into the units, and return ‖R‖² over all of them."""
    halves = (
        (problem.fit_inputs, problem.fit_targets),
        (problem.judge_inputs, problem.judge_targets),
    )
    samples = sum(len(inputs) for inputs, _ in halves)
    probing = False

    def watch(unit: _Unit) -> Any:
        def hook(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
            rows = rows_read(module, arguments[0].detach(), calls=samples)
            if rows is not None:
                unit.rows.add(rows)
            axis = -1 if isinstance(module, nn.Linear) else 1
            unit.points += output.numel() // output.shape[axis]

            def take(gradient: Tensor) -> None:
                if probing:
                    unit.outputs.add(gradient.movedim(axis, -1).reshape(-1, gradient.shape[axis]))

            output.register_hook(take)

        return hook

    error = 0.0
    with ExitStack() as hooks, torch.enable_grad():
        for unit in units:
            if unit.plain:
                hooks.callback(unit.module.register_forward_hook(watch(unit)).remove)
        for half, (inputs, targets) in enumerate(halves):
            weight = samples / len(inputs)  # either half stands for the whole
            for x, y in zip(torch.split(inputs, 1), torch.split(targets, 1), strict=True):
                output = problem.model(x)
                residual = (output - y).detach()
                error += float(residual.double().square().sum())
                for unit, parts in _products(output, units, residual):
                    unit.add_gradient(half, parts, weight)
                probing = True
                for _ in range(PROBES):
                    v = torch.randint(0, 2, output.shape, generator=generator).to(output) * 2 - 1
                    for unit, parts in _products(output, units, v):
                        unit.add_squares(parts)
                probing = False
    return max(error, 1e-30)


def _products(
    output: Tensor, units: list[_Unit], vector: Tensor
) -> Iterator[tuple[_Unit, dict[str, Tensor]]]:
    """Yield Jᵀ v of each unit, by the names of its own parameters."""
    moving = [p for unit in units for p in unit.parameters.values()]
    products = iter(
        torch.autograd.grad(
            output, moving, vector, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        if output.requires_grad
        else [torch.zeros_like(p) for p in moving]
    )
    for unit in units:
        yield unit, {name: next(products).detach() for name in unit.parameters}
