"""Run every seed and write the results."""

import torch

from benchmarks.blending.results import write_results
from benchmarks.blending.trainings import SEEDS, run


def main() -> None:
    """Run and write."""
    torch.set_num_threads(1)
    for seed in SEEDS:
        run(seed)
    write_results()


if __name__ == "__main__":
    main()
