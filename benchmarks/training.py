"""Training and re-training: padding, rate, precision, sweeps and memory, as ratios.

All times are CPU time of one thread, the lowest of several turns taken in alternation.

step: forward and backward of the CNN. `circular` is over zero padding; `pytorch` is PyTorch's own
circular padding over the same; `bfloat16` is the same step in that precision over float32, and
`bfloat16_error` the relative distance of its gradient. `rate` is the rate of a whole training step
with Adam, in floating-point operations of the convolutions alone, over the best rate found of one
convolution in channels-last layout with zero padding and without gradients.

sweep: re-training of every layer alone, over the plain loop (freeze, run the whole network as
PyTorch has it, Adam, as many epochs). `not_worse` counts the layers whose held-out error is at most
that of the plain loop, to a thousandth. 16 samples, 30 epochs against 2 rounds of 3 iterations.

memory: what one training step adds to the resident memory, over that of all layers; the lowest of
three fresh processes each. Blocks above 256 KiB are mapped one by one there: left to itself, the
allocator moves that limit with what was freed before, keeps holes, and the same training differs
by a quarter from process to process.
"""

import copy
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from benchmarks.memory import peak_mib
from spectune.coarse import CoarseGraining
from spectune.data import Normalization, Pairs
from spectune.grid import Grid
from spectune.models import CNN
from spectune.systems import NavierStokes2D
from spectune.systems.initial import random_vorticity
from spectune.training import (
    FitSettings,
    GaussNewtonSettings,
    TransferData,
    fit,
    sweep,
    trainable_layers,
    transfer,
)
from spectune.training.fit import mean_squared_error

EPOCHS = 30
GAUSS_NEWTON = GaussNewtonSettings(rounds=2, iterations=3)


def run() -> list[dict[str, object]]:
    """Return the rows of all three parts."""
    torch.set_num_threads(1)
    return [
        *_memory(("conv2", "conv6")),
        *(_step(16, 64, 8, 6), _step(64, 128, 16, 1)),
        *_sweeps(),
    ]


def _cpu_seconds(calls: dict[str, Callable[[], object]], turns: int) -> dict[str, float]:
    for call in calls.values():
        call()
    lowest = dict.fromkeys(calls, float("inf"))
    for _ in range(turns):
        for name, call in calls.items():
            started = time.process_time()
            call()
            lowest[name] = min(lowest[name], time.process_time() - started)
    return lowest


def _plain(width: int, padding: str, depth: int = 11) -> nn.Sequential:
    """Return the CNN of PyTorch's own modules, in the layout that is fastest for zero padding."""
    channels = [2, *[width] * (depth - 1), 1]
    links: list[tuple[str, nn.Module]] = []
    for i in range(depth):
        convolution = nn.Conv2d(channels[i], channels[i + 1], 5, padding=2, padding_mode=padding)
        links += [(f"conv{i + 1}", convolution), (f"relu{i + 1}", nn.ReLU())]
    model = nn.Sequential()
    for name, link in links[:-1]:
        model.add_module(name, link)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _step(width: int, points: int, batch: int, turns: int) -> dict[str, object]:
    torch.manual_seed(0)
    inputs = torch.randn(batch, 2, points, points)
    last = inputs.to(memory_format=torch.channels_last)
    model = CNN(2, 1, width=width)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-9, foreach=True)

    def backward(module: nn.Module, x: torch.Tensor) -> None:
        module.zero_grad(set_to_none=True)
        module(x).float().square().mean().backward()

    def low() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            backward(model, inputs)

    def training_step() -> None:
        backward(model, inputs)
        optimizer.step()

    zeros, pytorch = _plain(width, "zeros"), _plain(width, "circular")
    calls: dict[str, Callable[[], object]] = {
        "circular": lambda: backward(model, inputs),
        "zeros": lambda: backward(zeros, last),
        "pytorch": lambda: backward(pytorch, inputs),
        "bfloat16": low,
        "training": training_step,
        "convolution": _convolution(width, points, batch),
    }
    seconds = _cpu_seconds(calls, turns)
    backward(model, inputs)
    exact = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    low()
    found = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    # Two operations a weight and point; forward, weights, and inputs but of the first layer.
    weights = [m.weight.numel() for m in model if isinstance(m, nn.Conv2d)]
    operations = 2 * batch * points**2 * (3 * sum(weights) - weights[0])
    best = 2 * batch * points**2 * 25 * width**2 / seconds["convolution"]
    return {
        "part": "step",
        "width": width,
        "points": points,
        "batch": batch,
        "milliseconds_a_sample": 1e3 * seconds["circular"] / batch,
        "circular": seconds["circular"] / seconds["zeros"],
        "pytorch": seconds["pytorch"] / seconds["zeros"],
        "rate": operations / seconds["training"] / best,
        "bfloat16": seconds["bfloat16"] / seconds["circular"],
        "bfloat16_error": float((found - exact).norm() / exact.norm()),
    }


def _convolution(width: int, points: int, batch: int) -> Callable[[], object]:
    x = torch.randn(batch, width, points, points).to(memory_format=torch.channels_last)
    weight = torch.randn(width, width, 5, 5).to(memory_format=torch.channels_last)

    def call() -> object:
        with torch.no_grad():
            return nn.functional.conv2d(x, weight, padding=2)

    return call


def _sweeps() -> list[dict[str, object]]:
    """Sweep a small network from flows that peak at wavenumber 4 to flows that peak at 7."""
    base_pairs, pairs = _flows(64, 4.0, 0), _flows(40, 7.0, 1)
    normalization = Normalization.of(base_pairs, "base")
    x, y = normalization.inputs(pairs.inputs), normalization.targets(pairs.targets)
    torch.manual_seed(0)
    base = CNN(2, 1, width=16)
    training = normalization.inputs(base_pairs.inputs), normalization.targets(base_pairs.targets)
    fit(base, *training, FitSettings(10, batch=8))
    plain_base = _plain(16, "circular")
    plain_base.load_state_dict(base.state_dict())
    train, held_out = (x[:16], y[:16]), (x[16:], y[16:])
    settings = FitSettings(EPOCHS, batch=8)
    plain, errors = _timed(lambda: _plain_sweep(plain_base, *train, held_out, settings))
    rows = []
    for kind, chosen in (("adam", settings), ("gauss-newton", GAUSS_NEWTON)):
        seconds, found = _timed(lambda s=chosen: _our_sweep(base, *train, held_out, s))
        rows.append(
            {
                "part": "sweep",
                "method": kind,
                "time": seconds / plain,
                "not_worse": sum(a <= 1.001 * b for a, b in zip(found, errors, strict=True)),
                "layers": len(found),
                "lowest_error": min(found),
                "lowest_error_of_the_plain_loop": min(errors),
            }
        )
    return rows


def _flows(count: int, peak: float, seed: int) -> Pairs:
    """Return pairs of random-phase flows on 32² points, filtered from 96²."""
    grid, coarse = Grid.square(96), Grid.square(32)
    graining = CoarseGraining(NavierStokes2D(grid, reynolds=1000.0), coarse)
    generator = torch.Generator().manual_seed(seed)
    flows = [random_vorticity(grid, peak=peak, generator=generator) for _ in range(count)]
    psi, omega, pi = graining.pair(grid.transform(torch.stack(flows)))
    inputs = torch.stack([psi, omega], dim=1).float()
    return Pairs(inputs, pi[:, None].float(), coarse, ("psi", "omega"), ("pi",))


def _timed(call: Callable[[], list[float]]) -> tuple[float, list[float]]:
    started = time.process_time()
    result = call()
    return time.process_time() - started, result


def _our_sweep(model: nn.Module, x: Any, y: Any, held_out: Any, settings: Any) -> list[float]:
    return [
        mean_squared_error(tuned, *held_out)
        for _, tuned, _ in sweep(model, TransferData(x, y), settings)
    ]


def _plain_sweep(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, held_out: Any, settings: FitSettings
) -> list[float]:
    """Return the errors of the loop that anyone would write."""
    errors = []
    for layer in trainable_layers(model):
        tuned = copy.deepcopy(model)
        for name, parameter in tuned.named_parameters():
            parameter.requires_grad_(name in layer.parameters)
        moving = [p for p in tuned.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(moving, lr=settings.learning_rate)
        steps = settings.epochs * -(-len(x) // settings.batch)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        generator = torch.Generator().manual_seed(settings.seed)
        for _ in range(settings.epochs):
            for rows in torch.split(torch.randperm(len(x), generator=generator), settings.batch):
                optimizer.zero_grad()
                nn.functional.mse_loss(tuned(x[rows]), y[rows]).backward()
                optimizer.step()
                schedule.step()
        errors.append(mean_squared_error(tuned, *held_out))
    return errors


def _memory(layers: Sequence[str]) -> list[dict[str, object]]:
    full = _peak(None)
    return [
        {"part": "memory", "layer": layer, "of_all_layers": _peak(layer) / full} for layer in layers
    ]


def _peak(layer: str | None) -> float:
    """Return what training adds to the memory of a fresh process, in mebibytes: the lowest."""
    os.environ["MALLOC_MMAP_THRESHOLD_"] = str(2**18)  # glibc's; read when a process starts
    try:
        return min(_grown(layer) for _ in range(3))
    finally:
        del os.environ["MALLOC_MMAP_THRESHOLD_"]


def _grown(layer: str | None) -> float:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_train, args=(layer, there))
    process.start()
    grown = here.recv()
    process.join()
    return float(grown)


def _train(layer: str | None, pipe: Any) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = CNN(2, 1, width=32)
    x = torch.randn(8, 2, 64, 64)
    y = x[:, :1].clone()
    small = x[:1, :, :16, :16], y[:1, :, :16, :16]
    transfer(model, *small, layer or "*", FitSettings(1))  # loads what is loaded once
    before = peak_mib()
    if layer is None:
        fit(model, x, y, FitSettings(2, batch=8))
    else:
        transfer(model, x, y, layer, FitSettings(2, batch=8))
    pipe.send(peak_mib() - before)
