"""What every criterion is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from spectune.advice.candidates import candidate_layers
from spectune.data import Normalization, Pairs
from spectune.errors import DataError, ModelError
from spectune.grid import Grid
from spectune.models import predict
from spectune.training.layers import Layer

__all__ = ["Problem"]


@dataclass(frozen=True)
class Problem:
    """A base network and a small target sample, split into a part to fit and a part to judge.

    Everything is standardised with the statistics that the network was trained with, so that
    errors are in units of the variance of the base target.

    Attributes:
        model: the bare network, in evaluation mode.
        layers: what may be re-trained: layers in the order of the model, or blocks of them.
        fit_inputs, fit_targets: (n, c, *grid), on which changes of weights are computed.
        judge_inputs, judge_targets: (n, c, *grid), on which their effect is measured.
        grid: of the inputs.
        base_inputs, base_targets: a sample of the base system, for criteria that compare the two
            systems, or None.
        base_grid: of the base inputs; its box may be larger or smaller.
        training: number of target samples that re-training will have, where they are more than
            these.
    """

    model: nn.Module
    layers: tuple[Layer, ...]
    fit_inputs: Tensor
    fit_targets: Tensor
    judge_inputs: Tensor
    judge_targets: Tensor
    grid: Grid
    base_inputs: Tensor | None = None
    base_targets: Tensor | None = None
    base_grid: Grid | None = None
    training: int | None = None

    @property
    def training_samples(self) -> int:
        """Number N of target samples that re-training will have: at least those given here."""
        return max(self.training or 0, len(self.fit_inputs) + len(self.judge_inputs))

    @cached_property
    def present(self) -> tuple[Tensor, Tensor]:
        """Outputs of the base network on the samples to fit and on those that judge."""
        return predict(self.model, self.fit_inputs), predict(self.model, self.judge_inputs)

    @property
    def entries(self) -> int:
        """Number of values of the targets: samples, channels and points."""
        return self.fit_targets.numel() + self.judge_targets.numel()

    def samples(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each target sample as a batch of one: (1, c, *grid) inputs and targets."""
        for inputs, targets in (
            (self.fit_inputs, self.fit_targets),
            (self.judge_inputs, self.judge_targets),
        ):
            yield from zip(torch.split(inputs, 1), torch.split(targets, 1), strict=True)

    @classmethod
    def split(
        cls,
        model: nn.Module,
        target: Pairs,
        normalization: Normalization,
        *,
        base: Pairs | None = None,
        layers: Sequence[str] | None = None,
        training: int | None = None,
    ) -> Problem:
        """Split a target sample: even positions to fit, odd ones to judge.

        Neighbouring samples of one run resemble each other; alternating keeps the two parts alike
        in time, and no sample is in both. Base samples are taken as they are.

        Args:
            model: the bare network.
            target: the target sample.
            normalization: what the network was trained with.
            base: a base sample.
            layers: names or patterns of what may be re-trained (see `candidate_layers`); by
                default each layer.
            training: number of target samples that re-training will have; by default these.

        Raises:
            DataError: fewer than two samples, or a part without variance.
            ModelError: the network has no weights.
            LayerError: a pattern matches nothing.
        """
        if len(target) < 2:
            raise DataError(
                f"target: found {len(target)} sample(s), expected at least 2: one part of the "
                "sample fits, the other judges"
            )
        candidates = candidate_layers(model, layers)
        if not candidates:
            raise ModelError("the model has no weights, so there is no layer to re-train")
        inputs = normalization.inputs(target.inputs)
        targets = normalization.targets(target.targets)
        if not float(targets[1::2].var(correction=0)) > 0:
            raise DataError(
                f"variables {list(target.target_names)} have no variance in the samples that judge "
                "(every second one); use other samples"
            )
        return cls(
            model.eval(),
            candidates,
            inputs[0::2],
            targets[0::2],
            inputs[1::2],
            targets[1::2],
            target.grid,
            None if base is None else normalization.inputs(base.inputs),
            None if base is None else normalization.targets(base.targets),
            None if base is None else base.grid,
            training,
        )
