"""Levenberg–Marquardt steps for one or few layers: a handful of linear fits instead of epochs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spectune.errors import DataError, StabilityError
from spectune.landscape import LayerMap, Preconditioner, input_whitening, linearize
from spectune.training.fit import mean_squared_error
from spectune.training.history import History

__all__ = ["GaussNewtonSettings", "gauss_newton"]

WHITENING = 8
"""Samples of which the input moments are taken; each has many points."""

STEPS = (1.0, 0.5, 0.25, 0.125, 0.0625)
"""Lengths of the step that are tried on the real network."""


@dataclass(frozen=True)
class GaussNewtonSettings:
    """Settings of a Gauss–Newton fit.

    Attributes:
        rounds: linearisations.
        iterations: of conjugate gradients in each; few iterations regularise.
        samples: drawn anew for each round; None takes all.
        batch: samples differentiated at a time. Where a round has no more than these, its forward
            pass is kept for all products.
        damping: λ of the first round, relative to the curvature along the first direction.
        seed: of the samples of each round.
    """

    rounds: int = 4
    iterations: int = 5
    samples: int | None = None
    batch: int = 64
    damping: float = 1e-3
    seed: int = 0


def gauss_newton(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    settings: GaussNewtonSettings,
    *,
    held_out: tuple[Tensor, Tensor] | None = None,
) -> History:
    """Minimise the mean squared error over the parameters that require gradients, in place.

        (JᵀJ/M + λA) δ = −Jᵀr/M,   r = f(x; θ) − y,   θ ← θ + sδ

    by conjugate gradients with products of the Jacobian (`spectune.landscape.linearize`), A the
    input moment of the layer (`input_whitening`), which is also the preconditioner. The length s
    is the best of a few for the real network on the samples of the round. λ falls where the linear
    model foretold the decrease and rises where it did not; a round without decrease moves nothing.

    Args:
        model: from (b, c_in, *grid) to (b, c_out, *grid); in evaluation mode throughout.
        inputs: (n, c_in, *grid), standardised.
        targets: (n, c_out, *grid), standardised.
        settings: see `GaussNewtonSettings`.
        held_out: inputs and targets on which the error is reported after each round.

    Returns:
        The errors by round; those of training are of the samples of the round, after it.

    Raises:
        DataError: no parameter requires a gradient.
        StabilityError: the error of the network is not finite.

    Source: Moré 1978 (Lecture Notes in Mathematics 630), for the damping; Martens 2010 (ICML), for
    truncated conjugate gradients; Martens and Grosse 2015 (ICML), for A.
    """
    model.eval()
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    if not names:
        raise DataError("found no parameter that requires a gradient, expected at least one")
    count = min(settings.samples or len(inputs), len(inputs))
    generator = torch.Generator().manual_seed(settings.seed)
    damping = settings.damping
    # Once: the inputs of a single layer do not change, those of a second hardly do.
    precondition = input_whitening(model, names, inputs[:WHITENING])
    history = History()
    for number in range(settings.rounds):
        if count < len(inputs):
            rows = torch.randperm(len(inputs), generator=generator)[:count]
            x, y = inputs[rows], targets[rows]
        else:
            x, y = inputs, targets
        jacobian = linearize(
            model, names, x, batch_size=settings.batch, keep_graph=count <= settings.batch
        )
        residual = jacobian.output - y
        error = float(residual.square().mean())
        if not error < float("inf"):
            raise StabilityError(f"the error of the network is {error} in round {number + 1}")
        delta, foretold = _solve(jacobian, residual, precondition, damping, settings.iterations)
        reached = _step(model, jacobian.unflatten(delta), error, x, y, settings.batch)
        trust = (error - reached) / max(foretold, 1e-30)
        damping *= 1 / 3 if trust > 0.75 else 1 if trust > 0.25 else 3
        history.train.append(reached)
        if held_out is not None:
            history.held_out.append(mean_squared_error(model, *held_out))
    return history


def _solve(
    jacobian: LayerMap,
    residual: Tensor,
    precondition: Preconditioner,
    damping: float,
    iterations: int,
) -> tuple[Tensor, float]:
    """Return δ and the decrease of the error that the linear model foretells.

    A δ is never computed from A, whose inverse is what `precondition` knows: along conjugate
    gradients it follows from the same recursion as the direction.
    """
    count = residual.numel()

    def steepest(gradient: Tensor) -> Tensor:
        return jacobian.flatten(precondition(jacobian.unflatten(gradient)))

    def curvature(direction: Tensor) -> tuple[Tensor, Tensor]:
        change = jacobian.jvp(jacobian.unflatten(direction))
        return jacobian.flatten(jacobian.vjp(change)) / count, change

    slope = -jacobian.flatten(jacobian.vjp(residual)) / count
    delta, image = torch.zeros_like(slope), torch.zeros_like(residual)
    step = steepest(slope)
    direction, weighted, norm = step, slope, slope.dot(step)
    start = norm
    scale: Tensor | None = None
    for iteration in range(1, iterations + 1):
        product, change = curvature(direction)
        if scale is None:
            scale = direction.dot(product) / direction.dot(weighted).clamp(min=1e-30)
        product = product + damping * scale * weighted
        length = norm / direction.dot(product).clamp(min=1e-30)
        delta, image = delta + length * direction, image + length * change
        slope = slope - length * product
        if iteration == iterations:
            break
        step = steepest(slope)
        previous, norm = norm, slope.dot(step)
        if norm <= 1e-12 * start:
            break
        direction = step + (norm / previous) * direction
        weighted = slope + (norm / previous) * weighted
    left = (residual + image).square().mean()
    return delta, float(residual.square().mean() - left)


def _step(
    model: nn.Module,
    delta: dict[str, Tensor],
    error: float,
    inputs: Tensor,
    targets: Tensor,
    batch: int,
) -> float:
    """Move by the best of a few lengths along δ and return the error there."""
    parameters = dict(model.named_parameters())
    start = {name: parameters[name].detach().clone() for name in delta}

    def move(length: float) -> None:
        with torch.no_grad():
            for name, change in delta.items():
                parameters[name].copy_(start[name] + length * change)

    best, lowest = 0.0, error
    for length in STEPS:
        move(length)
        found = mean_squared_error(model, inputs, targets, batch)
        if found < lowest:
            best, lowest = length, found
        elif best:
            break
    move(best)
    return lowest
