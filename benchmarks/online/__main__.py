"""Run what has not been run, and write the results; `table` writes those of what is there."""

from __future__ import annotations

import sys
import time

import torch

from benchmarks.online.cases import plan
from benchmarks.online.results import write_results
from benchmarks.online.simulate import Ensemble


def main() -> None:
    """Train, simulate, write; all of it resumes."""
    torch.set_num_threads(1)
    if sys.argv[1:] != ["table"]:
        for spec in plan():
            ensemble = Ensemble(spec)
            if not ensemble.done:
                started = time.process_time()
                ensemble.run()
                seconds = time.process_time() - started
                print(f"{spec.target}: {spec.name}, {seconds:.0f} s", file=sys.stderr, flush=True)
    write_results()


if __name__ == "__main__":
    main()
