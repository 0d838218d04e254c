"""Re-training on observations without forgetting the base system."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spectune.errors import DataError, LayerError
from spectune.grid import Grid
from spectune.training.fit import FitSettings, mean_squared_error, minimise
from spectune.training.history import History
from spectune.training.kinds import Kind
from spectune.training.observations import Observations
from spectune.training.prefix import PrefixCache, split_model
from spectune.training.transfer import Recommendation, freed

__all__ = ["Blend", "Pull", "Replay", "TradeOff", "blend", "fisher_diagonal", "trade_off"]


@dataclass(frozen=True)
class Replay:
    """Base data that training goes on to see.

    Attributes:
        inputs: (n, c_in, *grid), standardised.
        targets: (n, c_out, *grid), standardised.
        weight: of their mean squared error, beside that of the observations with weight 1.
    """

    inputs: Tensor
    targets: Tensor
    weight: float = 1.0


@dataclass(frozen=True)
class Pull:
    """A spring from the weights to those of the base network.

        P = weight · Σ_i F_i (θ_i − θ⁰_i)²

    Attributes:
        weight: with the Fisher diagonal of base data, P is about weight times the mean squared
            change of the outputs on them, so that it compares to that of a `Replay`.
        fisher: F by parameter name (`fisher_diagonal`), elastic weight consolidation; None is 1
            for all, the L²-SP penalty.

    Source: Li et al. 2018 (ICML), L²-SP; Kirkpatrick et al. 2017 (PNAS 114), EWC.
    """

    weight: float
    fisher: Mapping[str, Tensor] | None = None


class Blend:
    """The loss of observations, base data and the pull to the base network, as one `Objective`.

        L = ⟨w (H f(x) − d)²⟩/⟨w⟩ + weight_b ⟨(f(x_b) − y_b)²⟩ + P(θ)

    A step sees a batch of observations and as many base samples, drawn with replacement.

    Args:
        model: at the weights θ⁰ of the base network; its parameters that require gradients are
            the ones that are pulled.
        observations: of the target system.
        replay: base data, or None.
        pull: or None.

    Raises:
        LayerError: a parameter that moves has no Fisher entry of its shape.
    """

    def __init__(
        self,
        model: nn.Module,
        observations: Observations,
        replay: Replay | None = None,
        pull: Pull | None = None,
    ) -> None:
        self.observations, self.replay, self.pull = observations, replay, pull
        self._weights = observations.weights()
        self._values = torch.where(self._weights > 0, observations.values, 0)
        self._home = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
        if pull is not None and pull.fisher is not None:
            for name, value in self._home.items():
                if name not in pull.fisher or pull.fisher[name].shape != value.shape:
                    raise LayerError(
                        f"pull: found no Fisher diagonal of shape {tuple(value.shape)} for "
                        f"'{name}', which moves"
                    )

    def __len__(self) -> int:
        return len(self.observations.inputs)

    def draw(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return inputs, values and weights of the observations, and base samples if there are."""
        batch = (self.observations.inputs[rows], self._values[rows], self._weights[rows])
        if self.replay is None:
            return batch
        home = torch.randint(len(self.replay.inputs), (len(rows),), generator=generator)
        return *batch, self.replay.inputs[home], self.replay.targets[home]

    def loss(self, model: nn.Module, *batch: Tensor) -> Tensor:
        """Return the sum of the terms."""
        x, values, weights, *home = batch
        difference = self.observations.observed(model(x).to(values.dtype)) - values
        total = (weights * difference.square()).mean()
        if self.replay is not None:
            outputs = model(home[0]).to(home[1].dtype)
            total = total + self.replay.weight * nn.functional.mse_loss(outputs, home[1])
        if self.pull is not None:
            for name, parameter in model.named_parameters():
                if name in self._home:
                    change = (parameter - self._home[name]).square()
                    if self.pull.fisher is not None:
                        change = self.pull.fisher[name] * change
                    total = total + self.pull.weight * change.sum()
        return total


def fisher_diagonal(
    model: nn.Module, parameters: Sequence[str], inputs: Tensor, *, seed: int = 0
) -> dict[str, Tensor]:
    """Return the diagonal of the Fisher matrix of a Gaussian likelihood of unit variance.

        F_i = (1/M) Σ_m (∂f_m/∂θ_i)²  ≈  ⟨(Jᵀv)_i²⟩ / M_sample,   v = ±1 at random

    with m over the M outputs of all samples; one v for each sample. Its sum with squared changes
    is, without correlations, the mean squared change of the outputs.

    Args:
        model: used in evaluation mode.
        parameters: names of those wanted.
        inputs: (n, c_in, *grid) of base data.
        seed: of the signs.
    """
    named = dict(model.named_parameters())
    wanted = [named[name] for name in parameters]
    training = model.training
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    total = [torch.zeros_like(value) for value in wanted]
    with torch.enable_grad():
        for x in torch.split(inputs, 1):
            outputs = model(x)
            signs = 2 * torch.randint(2, outputs.shape, generator=generator) - 1
            found = torch.autograd.grad(outputs, wanted, signs.to(outputs))
            for sum_, gradient in zip(total, found, strict=True):
                sum_ += gradient.square() / (outputs.numel() * len(inputs))
    model.train(training)
    return dict(zip(parameters, total, strict=True))


def blend(
    model: nn.Module,
    observations: Observations,
    layers: str | Sequence[str] | Recommendation,
    settings: FitSettings,
    *,
    replay: Replay | None = None,
    pull: Pull | None = None,
    kind: Kind = "full",
    rank: int = 4,
    held_out: tuple[Tensor, Tensor] | None = None,
    grid: Grid | None = None,
    state_path: Path | None = None,
    log_path: Path | None = None,
    progress: Callable[[int], Any] | None = None,
) -> tuple[nn.Module, History]:
    """Return a copy of a model in which chosen layers are re-trained on observations (`Blend`).

    Args:
        model: the base network; it is not changed.
        observations: of the target system.
        layers: as for `spectune.training.transfer`.
        settings: as for `spectune.training.fit`.
        replay: base data.
        pull: to the weights of the base network.
        kind: as for `transfer`.
        rank: as for `transfer`.
        held_out: whole target fields, on which the error is reported, as for `fit`.
        grid: as for `fit`.
        state_path: as for `fit`.
        log_path: as for `fit`.
        progress: as for `fit`.

    Returns:
        The re-trained model in evaluation mode, and its history.
    """
    with freed(model, layers, kind, rank, settings.seed) as (tuned, _, moving):
        prefix, suffix = split_model(tuned, moving)

        def behind(inputs: Tensor) -> Tensor:
            return PrefixCache(inputs)(prefix)

        objective = Blend(
            suffix,
            replace(observations, inputs=behind(observations.inputs)),
            replay and replace(replay, inputs=behind(replay.inputs)),
            pull,
        )
        history = minimise(
            suffix,
            objective,
            settings,
            held_out=held_out and (behind(held_out[0]), held_out[1]),
            grid=grid,
            state_path=state_path,
            log_path=log_path,
            progress=progress,
        )
    return tuned, history


@dataclass(frozen=True)
class TradeOff:
    """One point of the trade-off between the two systems.

    Attributes:
        weight: of the replay or the pull.
        base_error: mean squared error on held-out base samples.
        target_error: mean squared error on held-out target samples.
    """

    weight: float
    base_error: float
    target_error: float


def trade_off(
    retrain: Callable[[float], nn.Module],
    weights: Sequence[float],
    base: tuple[Tensor, Tensor],
    target: tuple[Tensor, Tensor],
) -> list[TradeOff]:
    """Return held-out errors on base and target as a curve over a weight.

    Args:
        retrain: from a weight to a re-trained network, by `blend` with a replay or pull of it.
        weights: not negative.
        base: held-out inputs and targets of the base system.
        target: of the target system.

    Raises:
        DataError: a weight is negative.
    """
    if any(not weight >= 0 for weight in weights):
        raise DataError(f"weights: found {list(weights)}, expected none below zero")
    curve = []
    for weight in weights:
        network = retrain(weight)
        errors = (mean_squared_error(network, *pair) for pair in (base, target))
        curve.append(TradeOff(weight, *errors))
    return curve
