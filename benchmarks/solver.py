"""Time of a solver step over that of its bare transforms (the floor), one thread."""

import torch

from benchmarks.timing import interleaved
from spectune.grid import Grid
from spectune.systems import IntegratingFactorRK4, NavierStokes2D, random_vorticity

# Four stages, each with two inverse and two forward transforms (Basdevant's form).
STAGES = 4


def run() -> list[dict[str, object]]:
    """Return one row for each grid and precision."""
    torch.set_num_threads(1)
    rows: list[dict[str, object]] = []
    for n in (128, 256, 512):
        for dtype in (torch.float32, torch.float64):
            grid = Grid.square(n)
            system = NavierStokes2D(
                grid, reynolds=1000, forcing_wavenumber=4, drag=0.1, dtype=dtype
            )
            field = random_vorticity(grid, generator=torch.manual_seed(0)).to(dtype)
            state = system.project(field)
            scheme = IntegratingFactorRK4(system.linear, system.tendency, 1e-3)
            coefficients, fields = torch.stack((state, state)), torch.stack((field, field))

            def transforms(
                grid: Grid = grid,
                coefficients: torch.Tensor = coefficients,
                fields: torch.Tensor = fields,
            ) -> None:
                for _ in range(STAGES):
                    grid.inverse(coefficients)
                    grid.transform(fields)

            def step(scheme: IntegratingFactorRK4 = scheme, state: torch.Tensor = state) -> None:
                scheme.step(state)

            seconds = interleaved({"step": step, "floor": transforms})
            rows.append(
                {
                    "n": n,
                    "dtype": str(dtype).removeprefix("torch."),
                    "step_ms": seconds["step"] * 1e3,
                    "floor_ms": seconds["floor"] * 1e3,
                    "ratio": seconds["step"] / seconds["floor"],
                }
            )
    return rows
