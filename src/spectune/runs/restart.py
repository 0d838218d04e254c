"""The state from which a run goes on with the same bytes, in one file."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from spectune.atomic import write_bytes
from spectune.errors import DataError
from spectune.systems import Snapshot

__all__ = ["read_snapshot", "write_snapshot"]

STATE = "state"


def write_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Replace a file by a snapshot, its scheme's memory included; the bytes depend on it alone.

    Raises:
        OSError: the disk is full or not writable; the old file is untouched.
    """
    tensors = {STATE: snapshot.state, **{f"memory.{k}": v for k, v in snapshot.memory.items()}}
    place = {
        "step": snapshot.step,
        "time": snapshot.time,
        "complex": sorted(name for name, tensor in tensors.items() if tensor.is_complex()),
    }
    # One entry of metadata: safetensors writes several in an order that differs from run to run.
    content = save(
        {name: _real(tensor) for name, tensor in tensors.items()},
        metadata={"snapshot": json.dumps(place)},
    )
    write_bytes(path, content)


def read_snapshot(path: Path, device: torch.device | str = "cpu") -> Snapshot:
    """Return the snapshot in a file.

    Raises:
        DataError: the file is missing or not a snapshot.
    """
    try:
        with safe_open(path, framework="pt") as file:
            place = json.loads(file.metadata()["snapshot"])
            # Copied, because FFTs of memory that is aligned otherwise may round otherwise.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        for name in place["complex"]:
            tensors[name] = torch.view_as_complex(tensors[name])
        tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
        state = tensors.pop(STATE)
        step, time = int(place["step"]), float(place["time"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{path} is not a snapshot of a run ({error}); without it the run cannot go on: "
            "restore the file, or start anew in another store"
        ) from error
    memory = {name.removeprefix("memory."): tensor for name, tensor in tensors.items()}
    return Snapshot(step, time, state, memory)


def _real(tensor: Tensor) -> Tensor:
    tensor = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return tensor.detach().cpu().contiguous()
