"""Time of a solver step over that of its bare transforms, one thread; memory of a member.

A step of RK4 with Basdevant's form needs sixteen real transforms a member. `floor_ms` is the time
of sixteen real 2D transforms, half of them inverse, by the faster of MKL and FFTW (measured plans)
one by one on the same machine; `own_ms` that of the packed transforms that the step really does, on
the columns that hold modes; `plain_ms` a step of the plain scheme. `fields` is the memory at the
peak, of states, work space and checks, in real fields of N² points a member.
"""

import multiprocessing
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyfftw
import torch

from benchmarks.timing import interleaved
from spectune.grid import Grid
from spectune.systems import (
    IntegratingFactorRK4,
    NavierStokes2D,
    Simulation,
    Snapshot,
    random_vorticity,
)
from spectune.systems.fused.stepper import FusedRK4

TRANSFORMS = 16
# Steps between two looks at the state: the fused step copies its modes out and in only there.
STEPS = 10


def run() -> list[dict[str, object]]:
    """Return one row for each grid, batch and precision."""
    rows: list[dict[str, object]] = []
    for n in (128, 256, 512, 1024):
        for batch in (1, 8):
            rows += [_row(n, batch, dtype) for dtype in (torch.float32, torch.float64)]
    return rows


def _row(n: int, batch: int, dtype: torch.dtype) -> dict[str, object]:
    torch.set_num_threads(1)
    system, state = flow(n, batch, dtype)
    plain = IntegratingFactorRK4(system.linear, system.tendency, 1e-3)
    fused = FusedRK4(system, plain)
    fused.advance(state, 1)
    (lane,) = fused._lanes
    seconds = interleaved(
        {
            "step": lambda: fused.advance(state, STEPS),
            "own": lane.transform,
            "plain": lambda: plain.step(state),
            **_real_transforms(n, dtype),
        },
        repeats=9,
    )
    step = seconds["step"] / STEPS / batch
    bare = _sixteen(seconds)
    return {
        "n": n,
        "batch": batch,
        "dtype": str(dtype).removeprefix("torch."),
        "step_ms": step * 1e3,
        "floor_ms": bare * 1e3,
        "ratio": step / bare,
        "own_ms": seconds["own"] * 1e3,
        "ratio_to_own": step / seconds["own"],
        "plain_ms": seconds["plain"] / batch * 1e3,
        "fields": _fields(n, batch, dtype),
    }


def floor(n: int, dtype: torch.dtype) -> float:
    """Return the seconds of the bare transforms of a step."""
    return _sixteen(interleaved(_real_transforms(n, dtype), repeats=15))


def _sixteen(seconds: dict[str, float]) -> float:
    fastest = (
        min(seconds[f"{library} {direction}"] for library in ("MKL", "FFTW"))
        for direction in ("forward", "inverse")
    )
    return sum(fastest)


def flow(
    n: int, batch: int, dtype: torch.dtype, device: str = "cpu"
) -> tuple[NavierStokes2D, torch.Tensor]:
    """Return a forced flow and a state of it, the same for each member."""
    grid = Grid.square(n)
    system = NavierStokes2D(
        grid, reynolds=1000, forcing_wavenumber=4, drag=0.1, dtype=dtype, device=device
    )
    field = random_vorticity(grid, generator=torch.manual_seed(0)).to(device, dtype)
    return system, system.project(field).expand(batch, *grid.half_shape).clone()


def _real_transforms(n: int, dtype: torch.dtype) -> dict[str, Callable[[], object]]:
    field = torch.zeros(n, n, dtype=dtype)
    modes = torch.fft.rfft2(field)
    points = pyfftw.zeros_aligned((n, n), dtype=field.numpy().dtype)
    half = pyfftw.zeros_aligned((n, n // 2 + 1), dtype=modes.numpy().dtype)
    forward = pyfftw.FFTW(points, half, axes=(0, 1))
    inverse = pyfftw.FFTW(half, points, axes=(0, 1), direction="FFTW_BACKWARD")
    points[:], half[:] = 0, 0
    one = {
        "MKL forward": lambda: torch.fft.rfft2(field, out=modes),
        "MKL inverse": lambda: torch.fft.irfft2(modes, s=(n, n), out=field),
        "FFTW forward": forward.execute,
        "FFTW inverse": inverse.execute,
    }
    # All of a step in a row: what is in the cache stays there, as in a step.
    return {name: partial(repeated, call, TRANSFORMS // 2) for name, call in one.items()}


def repeated(call: Callable[[], object], times: int) -> None:
    """Call as often as that."""
    for _ in range(times):
        call()


def _fields(n: int, batch: int, dtype: torch.dtype) -> float:
    """Return the growth of the resident memory of a process by a run, in real fields a member."""
    # What is freed goes back to the system at once, so that nothing hides in what is left over.
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "32768"
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        grown = pool.apply(_grown_memory, (n, batch, dtype))
    return float(grown / (n * n * batch * torch.empty(0, dtype=dtype).itemsize))


def _grown_memory(n: int, batch: int, dtype: torch.dtype) -> int:
    torch.set_num_threads(1)
    for size in (16, n):  # the small one loads the libraries and compiles
        system, state = flow(size, batch, dtype)
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        before = _peak()
        next(Simulation(system, Snapshot(0, 0.0, state), 1e-5).snapshots(2))
    # The state that was given counts too.
    return _peak() - before + state.nbytes


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
