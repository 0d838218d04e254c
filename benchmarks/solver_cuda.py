"""Time of a solver step on a GPU over that of its bare transforms.

`step_ms` is a step as simulations take it on a CUDA device, recorded as a graph; `floor_ms` its
transforms alone, eight of two fields each (four inverse, four forward), as a graph of their own;
`plain_ms` a step whose operations are launched one by one. Each is the time a member.
"""

from collections.abc import Callable

import torch

from benchmarks.solver import flow, repeated
from benchmarks.timing import interleaved
from spectune.systems import IntegratingFactorRK4
from spectune.systems.graphed import GraphedSteps, record

# Steps in a row between two waits for the device.
STEPS = 50


def run() -> list[dict[str, object]]:
    """Return one row for each grid, batch and precision; none where there is no GPU."""
    return [
        _row(n, batch, dtype)
        for n in (256, 512, 1024, 2048)
        for batch in (1, 8)
        for dtype in (torch.float32, torch.float64)
        if torch.cuda.is_available()
    ]


def _row(n: int, batch: int, dtype: torch.dtype) -> dict[str, object]:
    system, state = flow(n, batch, dtype, device="cuda")
    grid = system.grid
    plain = IntegratingFactorRK4(system.linear, system.tendency, 1e-4)
    recorded = GraphedSteps(system, IntegratingFactorRK4, 1e-4)
    modes = torch.stack((state, state))

    def transforms() -> None:
        for _ in range(plain.stages):
            grid.transform(grid.inverse(modes))

    bare = record(transforms)
    seconds = interleaved(
        {
            "step": _waited(lambda: recorded.advance(state, STEPS)),
            "floor": _waited(lambda: repeated(bare, STEPS)),
            "plain": _waited(lambda: repeated(lambda: plain.step(state), STEPS)),
        }
    )
    ms = {name: value / STEPS / batch * 1e3 for name, value in seconds.items()}
    return {
        "n": n,
        "batch": batch,
        "dtype": str(dtype).removeprefix("torch."),
        **{f"{name}_ms": value for name, value in ms.items()},
        "ratio": ms["step"] / ms["floor"],
        "device": torch.cuda.get_device_name(),
    }


def _waited(call: Callable[[], object]) -> Callable[[], None]:
    def waited() -> None:
        call()
        torch.cuda.synchronize()

    return waited
