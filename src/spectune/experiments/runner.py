"""Run the stages of a case in order; skip what is done, go on with what was interrupted."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from spectune.atomic import remove_leftovers, write_text
from spectune.errors import CaseError
from spectune.experiments.case import Case
from spectune.locks import alone
from spectune.progress import Report, bar
from spectune.provenance import machine, versions

__all__ = ["Run", "Stage", "execute"]


@dataclass(frozen=True)
class Run:
    """A case and the folder that holds everything it produces."""

    case: Case
    folder: Path
    command: str

    def path(self, name: str) -> Path:
        """Return the path of a file of the run."""
        return self.folder / name


@dataclass(frozen=True)
class Stage:
    """One step of a run.

    Attributes:
        name: of the stage.
        title: what it does, in a few words.
        sections: sections of the case that it depends on, besides what earlier stages read.
        outputs: files and folders that it writes; removed before it starts anew.
        work: does it, and returns what was found in one line.
    """

    name: str
    title: str
    sections: tuple[str, ...]
    outputs: tuple[str, ...]
    work: Callable[[Run, Report], str]


def execute(run: Run, stages: Sequence[Stage], console: Console) -> None:
    """Run all stages, each at most once for the same case.

    A stage is known by the hash of the sections of the case that it and all earlier stages read.
    The same hash finished: it is skipped. The same hash begun: it goes on with what it left.
    Another hash: what it left is removed. All of it is in ``stages/`` of the run folder.

    Raises:
        CaseError: another process runs in the folder.
    """
    (run.folder / "stages").mkdir(parents=True, exist_ok=True)
    refusal = CaseError(
        f"run folder {run.folder} is in use by another run; wait for it to end, or choose "
        "another folder"
    )
    with alone(run.folder / ".lock", refusal):
        remove_leftovers(run.folder)
        _execute(run, stages, console)


def _execute(run: Run, stages: Sequence[Stage], console: Console) -> None:
    values = run.case.model_dump(mode="json")
    digest = f"{versions()['spectune']} {run.case.seed}"
    records = []
    for number, stage in enumerate(stages, start=1):
        sections = {name: values[name] for name in stage.sections}
        text = f"{digest} {stage.name} {json.dumps(sections, sort_keys=True)}"
        digest = hashlib.sha256(text.encode()).hexdigest()
        label = f"[{number}/{len(stages)}] {stage.title}"
        path = run.folder / "stages" / f"{stage.name}.json"
        record = _read(path, digest)
        if record["done"]:
            _say(console, f"{label}: {record['found']} (kept from an earlier run)")
        else:
            if record["fresh"]:
                path.unlink(missing_ok=True)  # first: no record may promise what is removed
                _remove(run, stage.outputs)
            _perform(run, stage, record, path, label, console)
        records.append({"name": stage.name, "title": stage.title, "seconds": record["seconds"]})
        _describe(run, records)


def _read(path: Path, digest: str) -> dict[str, Any]:
    if path.exists():
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if record["hash"] == digest:
            return record | {"fresh": False}
    return {"hash": digest, "done": False, "seconds": 0.0, "found": "", "fresh": True}


def _perform(
    run: Run, stage: Stage, record: dict[str, Any], path: Path, label: str, console: Console
) -> None:
    spent = record["seconds"]

    def keep(started: float) -> None:
        record["seconds"] = spent + time.perf_counter() - started
        kept = {key: record[key] for key in ("hash", "done", "seconds", "found")}
        write_text(path, json.dumps(kept, ensure_ascii=False))

    started = time.perf_counter()
    keep(started)
    try:
        with bar(label, console) as report:
            record["found"] = stage.work(run, report)
        record["done"] = True
    finally:
        keep(started)
    _say(console, f"{label}: {record['found']} ({record['seconds']:.0f} s)")


def _say(console: Console, line: str) -> None:
    """Print a line as it is: a path that was wrapped cannot be copied."""
    console.print(line, soft_wrap=True, highlight=False, markup=False)


def _remove(run: Run, outputs: Sequence[str]) -> None:
    for name in outputs:
        path = run.path(name)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _describe(run: Run, records: list[dict[str, Any]]) -> None:
    description = {
        "title": run.case.title,
        "case": run.case.model_dump(mode="json"),
        "command": run.command,
        "seed": run.case.seed,
        "versions": versions(),
        "machine": machine(),
        "stages": records,
    }
    write_text(run.path("run.json"), json.dumps(description, indent=2, ensure_ascii=False))
