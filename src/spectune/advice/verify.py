"""The check of the advice: re-train every candidate, here or on several workers, and resume."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from spectune.advice.candidates import candidate_layers
from spectune.advice.sweep import ALL_LAYERS, Retrained, Sweep, SweepData, path_of, retrain
from spectune.atomic import write_bytes, write_text
from spectune.data import Normalization, Pairs, fingerprint
from spectune.errors import DataError
from spectune.models import contiguous_weights
from spectune.training.fit import FitSettings
from spectune.workers import connected, one_place

__all__ = ["verify"]

Choice = tuple[str, tuple[str, ...]]
"""Name of a re-training, and the patterns of what moves."""


def verify(
    model: nn.Module,
    training: Pairs,
    held_out: Pairs,
    normalization: Normalization,
    settings: FitSettings,
    folder: Path,
    progress: Callable[[int, int], Any],
    *,
    layers: Sequence[str] | None = None,
    sets: Sequence[Sequence[str]] = (),
    workers: int | None = None,
    scheduler: str | None = None,
) -> Sweep:
    """Re-train each layer alone, chosen sets, and all together; score each on held-out samples.

    Each result is kept in `folder` as soon as it is there (``NAME.json`` and
    ``NAME.safetensors``); a killed sweep goes on with what is missing. Re-trainings know nothing of
    each other: their numbers do not depend on how many run side by side. (Sums depend in the last
    digit on the number of threads; workers use one.)

    Args:
        model: the bare base network.
        training: target samples to train on.
        held_out: target samples to score on.
        normalization: of the base network.
        settings: the same for every re-training.
        folder: see above.
        progress: called with the re-trainings done and in all.
        layers: names or patterns, each one candidate (see `candidate_layers`); by default all.
        sets: names or patterns that are re-trained together, as often as wanted.
        workers: re-train side by side in so many processes of this machine (the extra `cluster`).
        scheduler: re-train on the workers of the Dask scheduler at this address instead. They have
            the same packages, the module that defines the model among them; files are written here
            alone.

    Raises:
        DataError: the folder holds a sweep of another network, other data or other settings.
        CaseError: no such workers.
        StabilityError: a re-training diverged.
    """
    here = one_place(scheduler=scheduler, workers=workers)
    choices: list[Choice] = [
        (layer.name, (layer.name,)) for layer in candidate_layers(model, layers)
    ]
    alone = len(choices)
    choices.append((ALL_LAYERS, ("*",)))
    choices += [(" + ".join(names), tuple(names)) for names in sets]
    data = SweepData(model, training, held_out, normalization, settings)
    _claim(folder, data)
    missing = [choice for choice in choices if not _result_path(folder, choice[0]).exists()]
    done = len(choices) - len(missing)
    progress(done, len(choices))
    results: Iterator[tuple[Retrained, bytes]]
    if here:
        results = (retrain(data, *choice) for choice in missing)
    else:
        results = _on_workers(data, missing, scheduler, min(workers or 1, max(len(missing), 1)))
    for result, weights in results:
        stem = path_of(folder, result.name).name
        write_bytes(folder / f"{stem}.safetensors", weights)
        write_text(_result_path(folder, result.name), json.dumps(asdict(result)))
        done += 1
        progress(done, len(choices))
    read = [Retrained(**json.loads(_result_path(folder, name).read_text())) for name, _ in choices]
    return Sweep(
        data.score(model).error, tuple(read[:alone]), read[alone], sets=tuple(read[alone + 1 :])
    )


def _result_path(folder: Path, name: str) -> Path:
    return folder / f"{path_of(folder, name).name}.json"


def _claim(folder: Path, data: SweepData) -> None:
    """Write down what the sweep of a folder is of, or refuse another one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".sweep.json"
    wanted = {"settings": asdict(data.settings), "fingerprint": _fingerprint(data)}
    if not path.exists():
        write_text(path, json.dumps(wanted))
        return
    found = json.loads(path.read_text())
    if found == wanted:
        return
    if found["settings"] != wanted["settings"]:
        what = f"settings {found['settings']}, expected {wanted['settings']}"
    else:
        what = "a network or data that are not these"
    raise DataError(
        f"{folder}: holds re-trainings with {what}; choose another folder, or remove this one"
    )


def _fingerprint(data: SweepData) -> str:
    arrays = [
        *contiguous_weights(data.model).items(),
        ("training inputs", data.training.inputs),
        ("training targets", data.training.targets),
        ("held-out inputs", data.held_out.inputs),
        ("held-out targets", data.held_out.targets),
    ]
    return fingerprint(arrays, json.dumps(data.normalization.to_dict()))


def _on_workers(
    data: SweepData, choices: list[Choice], scheduler: str | None, workers: int
) -> Iterator[tuple[Retrained, bytes]]:
    """Yield re-trainings as they end.

    A worker that dies gives its re-training back, and Dask starts it on another one.
    """
    if not choices:
        return
    with connected(scheduler=scheduler, workers=workers) as client:
        from distributed import KilledWorker, as_completed

        shared = client.scatter(data, hash=False)
        tasks = [client.submit(_task, shared, *choice, pure=False) for choice in choices]
        try:
            for task in as_completed(tasks, loop=client.loop):
                if task.cancelled():
                    raise DataError(
                        "the connection to the scheduler was lost; what was re-trained is kept: "
                        "run the same command again when there is a scheduler"
                    )
                try:
                    yield task.result()
                except KilledWorker as killed:
                    raise DataError(
                        f"{killed.allowed_failures + 1} workers died one after another in the same "
                        "re-training; look into their logs (for example for memory)"
                    ) from killed
        finally:
            client.cancel([task for task in tasks if not task.done()])


def _task(data: SweepData, name: str, patterns: tuple[str, ...]) -> tuple[Retrained, bytes]:
    torch.set_num_threads(1)  # as many re-trainings side by side as there are workers
    return retrain(data, name, patterns)
