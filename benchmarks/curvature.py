"""Top-2 eigenpairs and trace of the Hessian block of every layer beside curvlinops and PyHessian.

Desk-size network (11 layers, 16 channels, 64² points), briefly trained to predict Π; float32, the
same model, samples and one thread for all, layer by layer in turn; CPU seconds. Everybody works
until the relative residual of the eigenpairs and the relative standard error of the trace meet the
same tolerances. curvlinops has ARPACK, with the same criterion, and Hutch++, called again and again
until its spread is small enough. PyHessian's power iteration stops by the change of the eigenvalue:
`pyhessian` is at the tolerance that gives residuals equal to the others', `pyhessian_nominal` its
eigenpairs alone at the nominal one; its probes go on until their spread is small enough. One sample
keeps the peers' time short and is the hardest for us: with more, our traces need fewer probes.
`residual` is the largest
relative residual of any eigenpair, by our own products; `eigenvalue_error` and `trace_error` are
the largest relative errors against ours at a hundredth and a third of the tolerances. `ratio` is
the faster peer at equal residuals over ours. The last row is the memory at the peak of the survey
of the first two layers, and of a training step, for the same 16 samples, in processes of their own.
"""

from __future__ import annotations

import math
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import pyhessian
import torch
from curvlinops import HessianLinearOperator, hutchpp_trace
from scipy.sparse.linalg import eigsh
from torch import Tensor, nn

from benchmarks.memory import grown_mib, training_step
from spectune.coarse import CoarseGraining
from spectune.grid import Grid
from spectune.landscape import Curvature, layer_curvatures
from spectune.models import CNN
from spectune.systems import NavierStokes2D, random_vorticity
from spectune.training import FitSettings, fit, trainable_layers

SAMPLES, TRAINING, EPOCHS = 1, 24, 6
TOLERANCE, TRACE_TOLERANCE = 1e-3, 0.05
# The change of the eigenvalue is of second order in the residual.
PYHESSIAN_TOLERANCE = 1e-6
# Products of a call of Hutch++: in trials 6 took fewer in all than 12.
HUTCHPP_PRODUCTS = 6
MEMORY_SAMPLES = 16

# Eigenvalues, eigenvectors (2, size), trace.
Found = tuple[list[float], Tensor, float]


def run() -> list[dict[str, object]]:
    """Return one row with seconds and accuracy of everybody, and one with the memory."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Using backward.* with create_graph")
    model, inputs, targets = _problem()
    seconds: dict[str, float] = {}
    worst: dict[str, float] = {}
    for layer in trainable_layers(model):
        model.requires_grad_(False)
        own = [model.get_parameter(name).requires_grad_() for name in layer.parameters]
        curvature = Curvature(model, layer.parameters, inputs, targets, keep_graph=True)
        reference = _ours(
            model, layer.parameters, inputs, targets, TOLERANCE / 100, TRACE_TOLERANCE / 3
        )
        calls: dict[str, Callable[[], Found]] = {
            "ours": lambda names=layer.parameters: _ours(
                model, names, inputs, targets, TOLERANCE, TRACE_TOLERANCE
            ),
            "curvlinops": lambda own=own: _curvlinops(model, own, inputs, targets),
            "pyhessian": lambda: _pyhessian(model, inputs, targets, PYHESSIAN_TOLERANCE),
        }
        for name, call in calls.items():
            started = time.process_time()
            found = call()
            _add(seconds, f"{name}_seconds", time.process_time() - started)
            _note(worst, name, found, reference, curvature)
        started = time.process_time()
        nominal = _pyhessian(model, inputs, targets, TOLERANCE, probing=False)
        _add(seconds, "pyhessian_nominal_eigenpairs_seconds", time.process_time() - started)
        _note(worst, "pyhessian_nominal", nominal, reference, curvature)
    fastest = min(seconds["curvlinops_seconds"], seconds["pyhessian_seconds"])
    survey, step = (grown_mib(call, MEMORY_SAMPLES) for call in (_survey, _training_step))
    return [
        {
            "samples": SAMPLES,
            "tolerance": TOLERANCE,
            "trace_tolerance": TRACE_TOLERANCE,
            **seconds,
            **worst,
            "ratio": fastest / seconds["ours_seconds"],
        },
        {"survey_mib": survey, "training_step_mib": step, "ratio": survey / step},
    ]


def _problem() -> tuple[nn.Module, Tensor, Tensor]:
    """Return a trained network and standardised pairs of random flows that it has not seen."""
    system = NavierStokes2D(Grid.square(128), reynolds=1000, forcing_wavenumber=4, drag=0.1)
    generator = torch.manual_seed(0)
    flows = [random_vorticity(system.grid, generator=generator) for _ in range(TRAINING + SAMPLES)]
    coarse = CoarseGraining(system, Grid.square(64))
    psi, omega, pi = coarse.pair(system.project(torch.stack(flows).to(torch.float64)))
    inputs, targets = torch.stack((psi, omega), 1), pi[:, None]
    inputs, targets = (
        (field / field.std((0, 2, 3), keepdim=True)).float() for field in (inputs, targets)
    )
    model = CNN(2, 1, width=16, depth=11, kernel=5)
    fit(model, inputs[SAMPLES:], targets[SAMPLES:], FitSettings(EPOCHS, batch=4))
    return model.eval(), inputs[:SAMPLES], targets[:SAMPLES]


def _ours(
    model: nn.Module,
    names: tuple[str, ...],
    inputs: Tensor,
    targets: Tensor,
    tolerance: float,
    trace_tolerance: float,
) -> Found:
    (layer,) = layer_curvatures(
        model,
        {"layer": names},
        inputs,
        targets,
        torch.Generator().manual_seed(1),
        tolerance=tolerance,
        trace_tolerance=trace_tolerance,
        max_probes=1000,
    )
    return layer.hessian.values.tolist(), layer.hessian.vectors, layer.hessian.trace


def _curvlinops(model: nn.Module, own: list[Tensor], inputs: Tensor, targets: Tensor) -> Found:
    torch.manual_seed(1)
    operator = HessianLinearOperator(
        model, nn.MSELoss(), own, [(inputs, targets)], check_deterministic=False
    )
    values, vectors = eigsh(operator.to_scipy(np.float32), k=2, which="LA", tol=TOLERANCE)
    trace = _until_close(lambda: float(hutchpp_trace(operator, HUTCHPP_PRODUCTS)))
    return values[::-1].tolist(), torch.tensor(vectors.T[::-1].copy()), trace


def _pyhessian(
    model: nn.Module, inputs: Tensor, targets: Tensor, tolerance: float, *, probing: bool = True
) -> Found:
    """Return the block of the parameters that require gradients."""
    torch.manual_seed(1)
    hessian = pyhessian.hessian(model, nn.MSELoss(), data=(inputs, targets), cuda=False)
    values, vectors = hessian.eigenvalues(maxIter=1000, tol=tolerance, top_n=2)
    trace = _until_close(lambda: hessian.trace(maxIter=1)[0]) if probing else math.nan
    for parameter in model.parameters():  # its gradients hold on to their graphs
        parameter.grad = None
    flat = [torch.cat([part.flatten() for part in vector]) for vector in vectors]
    return values, torch.stack(flat), trace


def _until_close(draw: Callable[[], float]) -> float:
    """Return the mean of draws when its standard error is small enough, as `deflated_trace`."""
    values = [draw() for _ in range(6)]
    while statistics.stdev(values) / math.sqrt(len(values)) > TRACE_TOLERANCE * abs(
        statistics.mean(values)
    ):
        values.append(draw())
    return statistics.mean(values)


def _add(totals: dict[str, float], name: str, value: float) -> None:
    totals[name] = totals.get(name, 0.0) + value


def _note(
    worst: dict[str, float], name: str, found: Found, reference: Found, curvature: Curvature
) -> None:
    values, vectors, trace = found
    residuals = [
        float((curvature.gauss_newton_product(v) - value * v).norm() / value)
        for value, v in zip(values, vectors, strict=True)
    ]
    errors = [abs(a / b - 1) for a, b in zip(values, reference[0], strict=True)]
    for key, error in (
        ("residual", max(residuals)),
        ("eigenvalue_error", max(errors)),
        ("trace_error", abs(trace / reference[2] - 1)),
    ):
        if math.isnan(error):
            continue
        worst[f"{name}_{key}"] = max(worst.get(f"{name}_{key}", 0.0), error)


def _desk_samples() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    generator = torch.manual_seed(0)
    inputs = torch.randn(MEMORY_SAMPLES, 2, 64, 64, generator=generator)
    targets = torch.randn(MEMORY_SAMPLES, 1, 64, 64, generator=generator)
    return CNN(2, 1, width=16, depth=11, kernel=5), inputs, targets


def _survey() -> Callable[[int], object]:
    model, inputs, targets = _desk_samples()
    layers = {layer.name: layer.parameters for layer in trainable_layers(model)[:2]}
    generator = torch.Generator().manual_seed(0)
    return lambda n: layer_curvatures(
        model, layers, inputs[:n], targets[:n], generator, batch_size=n
    )


def _training_step() -> Callable[[int], object]:
    return training_step(*_desk_samples())
