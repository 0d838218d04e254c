"""FFTW plans that are measured once a machine, so that the same run gives the same bytes again.

A plan that is chosen by measurement differs from process to process, and its results in the last
digit. What was measured first is kept as FFTW's "wisdom" in the user's cache folder, and every
later process takes it from there.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import llvmlite.binding
import numpy as np
import platformdirs
import pyfftw
from numpy.typing import NDArray

__all__ = ["Transform", "plan"]

SEPARATOR = b"\n\0\n"


class Transform(Protocol):
    """A transform of fixed arrays, in place."""

    def execute(self) -> None:
        """Run it."""


def plan(lines: NDArray[np.complexfloating]) -> tuple[Transform, Transform]:
    """Return the forward and the inverse transform of each line of a 2D array.

    Both are in place and unnormalised. The array is left as it is.
    """
    wisdom = _wisdom_file(lines)
    if not _recall(wisdom):
        _measure(lines, wisdom)
        if not _recall(wisdom):  # a folder that cannot be written: slower, but always the same
            return _make(lines, "FFTW_ESTIMATE")
    return _make(lines, "FFTW_MEASURE")


def _recall(wisdom: Path) -> bool:
    pyfftw.forget_wisdom()
    try:
        parts = wisdom.read_bytes().split(SEPARATOR)
    except OSError:
        return False
    return len(parts) == 3 and all(pyfftw.import_wisdom(parts))


def _make(lines: NDArray[np.complexfloating], flag: str) -> tuple[Transform, Transform]:
    forward, inverse = (
        pyfftw.FFTW(lines, lines, axes=(1,), direction=direction, flags=(flag,))
        for direction in ("FFTW_FORWARD", "FFTW_BACKWARD")
    )
    return forward, inverse


def _measure(lines: NDArray[np.complexfloating], wisdom: Path) -> None:
    """Measure, and keep what was found unless another process was first."""
    # On a copy: measuring overwrites it.
    scratch = pyfftw.zeros_aligned((len(lines), lines.strides[0] // lines.itemsize), lines.dtype)
    pyfftw.forget_wisdom()
    _make(scratch[:, : lines.shape[1]], "FFTW_MEASURE")
    temporary = wisdom.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        wisdom.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(SEPARATOR.join(pyfftw.export_wisdom()))
        if wisdom.exists():  # damaged, or `_recall` would have been content
            temporary.replace(wisdom)
        else:
            with suppress(FileExistsError):
                os.link(temporary, wisdom)
            temporary.unlink()


def _wisdom_file(lines: NDArray[np.complexfloating]) -> Path:
    problem = (
        pyfftw.fftw_version,
        llvmlite.binding.get_host_cpu_name(),
        str(lines.dtype),
        lines.shape,
        lines.strides,
    )
    name = hashlib.sha256(repr(problem).encode()).hexdigest()[:16]
    return Path(platformdirs.user_cache_dir("spectune")) / "fftw" / f"{name}.wisdom"
