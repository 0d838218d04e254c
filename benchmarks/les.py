"""The large-eddy simulation with a network over its parts, and how long an ensemble takes.

All times are CPU time of one thread by member, the lowest of several turns in alternation, at 64²
points in float32. `network_ms` is one call of the network and `solver_ms` one step of the solver,
each alone; `step_ms` a step of the simulation with the network, `ratio` its time over theirs.
`bfloat16_ms` is the call in that precision, `bfloat16_error` the relative distance of its Π (of the
first network, which is trained; the others have random weights).

`minutes` is how long 20 members over 100 time units take on two cores that share the members,
projected from a run of `measured_units` with a snapshot at its end: steps of 0.007, the closure
called at every second. `floor_minutes` is that of the calls of the network alone; a convolution of
5×5 kernels in float32 already runs at the rate of a matrix product. `…_bfloat16` are those in that
precision. `whole_minutes` is the wall time of the whole ensemble with the first network, half of
the members in each of two processes; `survived` is how many were stable to the end.
"""

import math
import multiprocessing
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from torch import nn

from spectune.closures import NetworkClosure
from spectune.data import Normalization
from spectune.grid import Grid
from spectune.models import CNN, Network, load_network
from spectune.online import Coupling, run_ensemble
from spectune.systems import NavierStokes2D, Simulation, Snapshot, random_vorticity

TRAINED = Path(__file__).parent.parent / "runs" / "transfers" / "networks" / "forced-1"
SIZES = ((16, 8), (16, 11), (32, 11))
BATCHES = (1, 20)
DT, CLOSURE_STEPS = 0.007, 2
MEMBERS, UNITS, CORES = 20, 100, 2
STEPS = 10


def run() -> list[dict[str, object]]:
    """Return one row for each network and batch."""
    torch.set_num_threads(1)
    return [_row(width, depth, batch) for width, depth in SIZES for batch in BATCHES]


def _row(width: int, depth: int, batch: int) -> dict[str, object]:
    system = _system()
    fields = _fields(range(batch))
    state = system.project(torch.stack(fields).float())
    coupling = Coupling(system)
    inputs = coupling.inputs(state)
    network = _network(width, depth, inputs)
    exact, reduced = NetworkClosure(network), NetworkClosure(network, precision="bfloat16")

    def stepped(closure: Callable[[torch.Tensor], torch.Tensor] | None, steps: int) -> None:
        simulation = Simulation(system, Snapshot(0, 0.0, state), DT, closure, closure_steps=steps)
        next(simulation.snapshots(STEPS))

    def subgrid(states: torch.Tensor) -> torch.Tensor:
        return coupling.subgrid(exact, states)

    with torch.no_grad():
        seconds = _lowest(
            {
                "network": lambda: exact(inputs),
                "reduced": lambda: reduced(inputs),
                "solver": lambda: stepped(None, 1),
                "step": lambda: stepped(subgrid, 1),
            },
            turns=5,
        )
        pi = exact(inputs)
        error = float((reduced(inputs) - pi).norm() / pi.norm())
    network_ms, reduced_ms = (seconds[n] / batch * 1e3 for n in ("network", "reduced"))
    solver_ms, step_ms = (seconds[n] / STEPS / batch * 1e3 for n in ("solver", "step"))
    row: dict[str, object] = {
        "width": width,
        "depth": depth,
        "batch": batch,
        "network_ms": network_ms,
        "solver_ms": solver_ms,
        "step_ms": step_ms,
        "ratio": step_ms / (network_ms + solver_ms),
        "bfloat16_ms": reduced_ms,
        "bfloat16_error": error,
    }
    if batch == MEMBERS:
        calls = UNITS / DT / CLOSURE_STEPS * MEMBERS / CORES / 60e3
        units = 25 * CLOSURE_STEPS * DT
        row |= {
            "measured_units": units,
            "minutes": _minutes(system, fields, exact, units),
            "floor_minutes": network_ms * calls,
            "minutes_bfloat16": _minutes(system, fields, reduced, units),
            "floor_minutes_bfloat16": reduced_ms * calls,
        }
        if (width, depth) == SIZES[0]:
            row |= _whole(network)
    return row


def _system() -> NavierStokes2D:
    return NavierStokes2D(
        Grid.square(64),
        reynolds=1000,
        forcing_wavenumber=4,
        drag=0.1,
        dealiasing="3/2",
        dtype=torch.float32,
    )


def _fields(seeds: Iterable[int]) -> list[torch.Tensor]:
    grid = Grid.square(64)
    return [random_vorticity(grid, generator=torch.manual_seed(i)) for i in seeds]


def _network(width: int, depth: int, inputs: torch.Tensor) -> Network:
    if (width, depth) == SIZES[0] and TRAINED.exists():
        return load_network(TRAINED)[0]
    torch.manual_seed(0)
    module: nn.Module = CNN(2, 1, width=width, depth=depth, kernel=5).eval()
    mean, std = inputs.mean((0, 2, 3)), inputs.std((0, 2, 3))
    one = torch.ones(1)
    return Network(module, Normalization(mean, std, 0 * one, one, "initial states")).eval()


def _lowest(calls: dict[str, Callable[[], object]], turns: int) -> dict[str, float]:
    lowest = dict.fromkeys(calls, float("inf"))
    for _ in range(turns + 1):
        for name, call in calls.items():
            started = time.process_time()
            call()
            lowest[name] = min(lowest[name], time.process_time() - started)
    return lowest


def _whole(network: Network) -> dict[str, object]:
    """Return wall time and survivors of the whole ensemble on all cores."""
    shares = [range(core, MEMBERS, CORES) for core in range(CORES)]
    context = multiprocessing.get_context("spawn")
    started = time.perf_counter()
    with ProcessPoolExecutor(CORES, mp_context=context) as pool:
        survived = sum(pool.map(_share, [network] * CORES, shares))
    return {"whole_minutes": (time.perf_counter() - started) / 60, "survived": survived}


def _share(network: Network, seeds: range) -> int:
    torch.set_num_threads(1)
    runs = run_ensemble(
        _system(),
        torch.stack(_fields(seeds)).float(),
        NetworkClosure(network),
        dt=DT,
        every=CLOSURE_STEPS * math.ceil(1 / DT / CLOSURE_STEPS),
        snapshots=UNITS,
        progress=lambda _: None,
        closure_steps=CLOSURE_STEPS,
    )
    return sum(run.stable_until is None for run in runs)


def _minutes(
    system: NavierStokes2D, fields: list[torch.Tensor], closure: NetworkClosure, units: float
) -> float:
    """Return the minutes of the whole ensemble, from a part with one snapshot at its end."""
    started = time.process_time()
    run_ensemble(
        system,
        torch.stack(fields).float(),
        closure,
        dt=DT,
        every=round(units / DT),
        snapshots=1,
        progress=lambda _: None,
        closure_steps=CLOSURE_STEPS,
    )
    return (time.process_time() - started) * UNITS / units / CORES / 60
