"""Kernels of the paper-size network as filters on 128², one thread: naive FFT over streamed."""

import subprocess
import sys
import time

import torch

from benchmarks.memory import peak_mib
from spectune.grid import Grid
from spectune.spectra import filter_bank
from spectune.spectra._modes import full_plane_weight
from spectune.spectra.filter_bank import shell_columns

LAYERS, CHANNELS, POINTS, N = 9, 64, 5, 128


def run() -> list[dict[str, object]]:
    """Return time and peak memory of both, each in a process of its own, and their difference."""
    streamed, naive = (_measured(way) for way in ("streamed", "naive"))
    weight, grid = _weights()[0], Grid.square(N)
    difference = (filter_bank(weight, grid).power - _naive(weight, grid)).abs().max()
    return [
        {
            "kernels": LAYERS * CHANNELS**2,
            "streamed_cpu_seconds": streamed[0],
            "naive_cpu_seconds": naive[0],
            "ratio": naive[0] / streamed[0],
            "streamed_peak_mib": streamed[1],
            "naive_peak_mib": naive[1],
            "max_difference": float(difference),
        }
    ]


def _measured(way: str) -> tuple[float, float]:
    """Return CPU seconds of the work and peak MiB, imports included, of a fresh process."""
    command = [sys.executable, "-m", "benchmarks.kernels", way]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, memory = map(float, text.split())
    return seconds, memory


def _weights() -> list[torch.Tensor]:
    generator = torch.manual_seed(0)
    shape = (CHANNELS, CHANNELS, POINTS, POINTS)
    return [torch.randn(shape, generator=generator) for _ in range(LAYERS)]


def _naive(weight: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Return the shell means of |Ŵ|² from the FFT of the zero-padded kernels of a layer."""
    response = torch.fft.rfft2(weight, s=grid.shape)
    power = response.real.square() + response.imag.square()
    means = shell_columns(grid) * full_plane_weight(grid)
    return power.flatten(2) @ means.flatten(1).T.float()


def main() -> None:
    """Measure one way on one thread and print CPU seconds and MiB."""
    torch.set_num_threads(1)
    weights, grid = _weights(), Grid.square(N)
    started = time.process_time()
    for weight in weights:
        # The naive way gives shell means alone, neither classes nor bandwidths.
        _ = filter_bank(weight, grid) if sys.argv[1] == "streamed" else _naive(weight, grid)
    seconds = time.process_time() - started
    print(seconds, peak_mib())


if __name__ == "__main__":
    main()
