"""Time and memory of an advice over those of the re-training that it replaces (desk-size network).

time: of the advice over the sweep of all single layers, wall clock. memory: what an advice on so
many samples adds to the peak of a process over what a training step on as many does.
"""

import copy
import time
from collections.abc import Callable

import torch
from torch import nn

from benchmarks.memory import grown_mib, training_step
from spectune.advice import advise
from spectune.data import Pairs
from spectune.grid import Grid
from spectune.models import CNN
from spectune.training import FitSettings, trainable_layers, transfer

# The demonstration's numbers; the sweep is timed over a part of its epochs and scaled.
SAMPLES, TRAINING, EPOCHS, TIMED = 10, 50, 30, 2


def run() -> list[dict[str, object]]:
    """Return the cost of both where there is something to learn: a network with another conv2."""
    generator = torch.manual_seed(0)
    inputs = torch.randn(TRAINING, 2, 64, 64, generator=generator)
    model = CNN(2, 1, width=16, depth=11)
    teacher = copy.deepcopy(model)
    with torch.no_grad():
        weight = teacher.get_parameter("conv2.weight")
        weight += weight.std() * torch.randn(weight.shape, generator=generator)
        targets = torch.cat([teacher(part) for part in torch.split(inputs, 10)])
    pairs = Pairs(inputs, targets, Grid.square(64), ("psi", "omega"), ("pi",))
    advise(model, pairs, samples=2)  # loads what is loaded once
    advice = advise(model, pairs, samples=SAMPLES)
    settings = FitSettings(TIMED, batch=5)
    started = time.perf_counter()
    for layer in trainable_layers(model):
        transfer(model, inputs, targets, [layer.name], settings)
    sweep = (time.perf_counter() - started) * EPOCHS / TIMED
    scoring, step = (grown_mib(call, SAMPLES) for call in (_scoring, _training_step))
    return [
        {
            "advice_seconds": advice.seconds,
            "sweep_seconds": sweep,
            "ratio": advice.seconds / sweep,
        },
        {"advice_mib": scoring, "training_step_mib": step, "memory_ratio": scoring / step},
    ]


def _samples() -> tuple[nn.Module, Pairs]:
    generator = torch.manual_seed(0)
    inputs, targets = (torch.randn(SAMPLES, c, 64, 64, generator=generator) for c in (2, 1))
    pairs = Pairs(inputs, targets, Grid.square(64), ("psi", "omega"), ("pi",))
    return CNN(2, 1, width=16, depth=11), pairs


def _scoring() -> Callable[[int], object]:
    model, pairs = _samples()
    return lambda n: advise(model, pairs.subset(slice(0, n)), pairs.subset(slice(0, n)))


def _training_step() -> Callable[[int], object]:
    model, pairs = _samples()
    return training_step(model, pairs.inputs, pairs.targets)
