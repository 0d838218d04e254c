"""Runs that are killed at random moments, again and again, and what they leave.

A program of its own: it forks before zarr or a solver start any thread.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from spectune.runs import group, simulate

# Every memory that a run can have: of the scheme, of the noise, of the redrawn forcing.
RUNS = {
    "navier-stokes": {
        "preset": "ring",
        "ring": 6.0,
        "n": 32,
        "re": 100.0,
        "dt": 0.02,
        "scheme": "AB2CN",
        "members": 3,
        "group": 2,
        "every": 0.5,
        "spinup": 2.0,
        "time": 15.0,
    },
    "burgers": {"n": 32, "length": 10.0, "members": 2, "time": 20.0, "every": 0.5},
    "lorenz96": {"slow_count": 8, "fast_count": 2, "members": 2, "group": 2, "time": 8.0},
}


def run(system, path):
    simulate(system, out=path, resume=True, seed=3, command="test", **RUNS[system])


def files(path):
    """All that a run leaves but the locks: names and bytes."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.suffix != ".lock"
    }


def forked(work, *arguments):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work(*arguments)
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        os._exit(code)
    return pid


def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def readable(path, whole):
    """What is left opens, and holds nothing but the values of the whole run."""
    if not path.exists():
        return
    reference = xr.open_zarr(whole, chunks=None)
    left = xr.open_zarr(path, chunks=None)
    n = left.sizes["time"]
    for name in reference.data_vars:
        there, expected = left[name].values, reference[name].values[:, :n]
        missing, place = np.isnan(there), tuple(range(2, there.ndim))
        assert (missing.all(place) == missing.any(place)).all()  # whole snapshots
        assert ((there == expected) | missing).all()
    assert (left.time.values == reference.time.values[:n]).all()


def main(folder, system, kills):
    torch.set_num_threads(1)
    group.COMMIT_SECONDS = 0.0  # a commit a snapshot: many moments to be killed at
    dice = random.Random(os.environ.get("SPECTUNE_KILL_SEED", "1"))
    whole = folder / "whole.zarr"
    assert ended(forked(run, system, whole)) == 0
    done, stores = 0, 0
    while done < kills or not stores:
        path, lives = folder / f"{stores}.zarr", 0
        while True:
            child = forked(run, system, path)
            lives += 1
            time.sleep(dice.uniform(0.0, 0.2 + 0.02 * lives))  # a slow machine gets there too
            os.kill(child, signal.SIGKILL)
            code = ended(child)
            if code == 0:
                break
            assert code == -signal.SIGKILL, code
            done += 1
            assert ended(forked(readable, path, whole)) == 0
        assert files(path) == files(whole)
        stores += 1
    sys.stdout.write(json.dumps([done, stores]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
