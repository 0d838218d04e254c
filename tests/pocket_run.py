"""The pocket case, and what its tests share."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

from rich.console import Console

from spectune.experiments import load_case, run_case
from spectune.experiments.stages import STAGES

SPECTUNE = Path(sys.executable).with_name("spectune")
POCKET = Path(__file__).with_name("pocket.toml")
REPORTED = ("report.html", "run.json")
# Drawing takes longer than all else, and has tests of its own.
NAMES = [stage.name for stage in STAGES if stage.name != "report"]


def start(folder, case=POCKET, **options):
    """Start the command in a process group of its own."""
    return subprocess.Popen(
        [SPECTUNE, "run", case, "--out", folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        **options,
    )


def wait_for(condition, process, seconds=60.0):
    """Wait until something is true, or the process is gone."""
    limit = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None:
            return False
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.005)
    return True


def kill(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def living(session):
    """Return the processes of a session that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, owner = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(owner) == session and state != "Z":
            found.append(stat.parent.name)
    return found


def record(folder, stage):
    path = folder / "stages" / f"{stage}.json"
    return json.loads(path.read_text()) if path.exists() else {"done": False}


def without_seconds(values):
    if isinstance(values, dict):
        return {k: without_seconds(v) for k, v in values.items() if k != "seconds"}
    return [without_seconds(v) for v in values] if isinstance(values, list) else values


def assert_same_results(found, expected):
    """Compare all results byte for byte, wall times apart."""
    aside = ("stages", "figures")

    def files(folder):
        paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return {p for p in paths if p.parts[0] not in aside and p.name not in REPORTED}

    assert files(found) == files(expected)
    for path in sorted(files(expected)):
        ours, theirs = (found / path).read_bytes(), (expected / path).read_bytes()
        if path.suffix == ".json" and path.parts[0] not in ("base.zarr", "target.zarr"):
            assert without_seconds(json.loads(ours)) == without_seconds(json.loads(theirs)), path
        else:
            assert ours == theirs, path


def brief(case, folder, stages=NAMES):
    """Run a case in this process, up to the report."""
    chosen = [stage for stage in STAGES if stage.name in stages]
    with patch("spectune.experiments.pipeline.STAGES", chosen):
        run_case(case, folder, command="test", console=Console(file=io.StringIO()))


def copied(whole, folder):
    shutil.copytree(whole, folder)
    return folder


def changed(**sections):
    case = load_case(POCKET)
    values = case.model_dump()
    for name, change in sections.items():
        values[name] |= change
    return type(case).model_validate(values)
