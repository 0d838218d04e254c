"""Run what has not been run."""

import sys
import time

import torch

from benchmarks.online.cases import plan
from benchmarks.online.simulate import Ensemble


def main() -> None:
    """Train, simulate and write the results; all of it resumes."""
    torch.set_num_threads(1)
    for spec in plan():
        started = time.process_time()
        Ensemble(spec).run()
        seconds = time.process_time() - started
        print(f"{spec.target}: {spec.name}, {seconds:.0f} s of CPU", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
