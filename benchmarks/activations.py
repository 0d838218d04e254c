"""Spectra of every layer of the paper-size network at 128², one thread: over its forward pass."""

import subprocess
import sys
import time

import torch

from benchmarks.memory import peak_mib
from spectune.grid import Grid
from spectune.models import CNN
from spectune.spectra import activation_spectra

WIDTH, DEPTH, KERNEL, N = 64, 11, 5, 128
SAMPLES = (25, 200)  # the peak memory of both must be the same
BATCH = 4


def run() -> list[dict[str, object]]:
    """Return time and peak memory, each in a process of its own; the floor on the few samples."""
    few, many = SAMPLES
    forward = _measured("forward", few)
    rows: list[dict[str, object]] = []
    for samples in (few, many):
        spectra = _measured("spectra", samples)
        rows.append(
            {
                "samples": samples,
                "layers": DEPTH,
                "channels": 2 * WIDTH * (DEPTH - 1) + 1,  # h and g, and the output
                "seconds_per_sample": spectra[0] / samples,
                "forward_seconds_per_sample": forward[0] / few,
                "ratio": (spectra[0] / samples) / (forward[0] / few),
                "peak_mib": spectra[1],
                "forward_peak_mib": forward[1],
            }
        )
    return rows


def _measured(way: str, samples: int) -> tuple[float, float]:
    """Return seconds and peak MiB, imports included, of a fresh process."""
    command = [sys.executable, "-m", "benchmarks.activations", way, str(samples)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, memory = map(float, text.split())
    return seconds, memory


def main() -> None:
    """Measure one way on one thread and print seconds and MiB."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = CNN(2, 1, width=WIDTH, depth=DEPTH, kernel=KERNEL).eval()
    inputs = torch.randn(int(sys.argv[2]), 2, N, N)
    started = time.perf_counter()
    if sys.argv[1] == "spectra":
        activation_spectra(model, inputs, Grid.square(N))
    else:
        with torch.inference_mode():
            for batch in inputs.split(BATCH):
                model(batch)
    seconds = time.perf_counter() - started
    print(seconds, peak_mib())


if __name__ == "__main__":
    main()
