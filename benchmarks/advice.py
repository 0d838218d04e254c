"""Time of an advice over that of the single-layer sweep that it replaces (desk-size network)."""

import copy
import time

import torch

from spectune.advice import advise
from spectune.data import Pairs
from spectune.grid import Grid
from spectune.models import CNN
from spectune.training import FitSettings, trainable_layers, transfer

# The demonstration's numbers; the sweep is timed over a part of its epochs and scaled.
SAMPLES, TRAINING, EPOCHS, TIMED = 12, 50, 30, 2


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
    advice = advise(model, pairs, samples=SAMPLES)
    settings = FitSettings(TIMED, batch=5)
    started = time.perf_counter()
    for layer in trainable_layers(model):
        transfer(model, inputs, targets, [layer.name], settings)
    sweep = (time.perf_counter() - started) * EPOCHS / TIMED
    return [
        {
            "advice_seconds": advice.seconds,
            "sweep_seconds": sweep,
            "ratio": advice.seconds / sweep,
        }
    ]
