"""FFTW plans that are measured once a machine, so that the same run gives the same bytes again.

A plan that is chosen by measurement differs from process to process, and its results in the last
digit. What was measured first is kept as FFTW's "wisdom" in the user's cache folder, and every
later process takes it from there.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

import llvmlite.binding
import numpy as np
import platformdirs
import pyfftw
from numpy.typing import NDArray

__all__ = ["Transform", "execute_address", "plan"]

SEPARATOR = b"\n\0\n"
FORWARD, INVERSE = -1, 1
# FFTW's flags FFTW_MEASURE, the same with FFTW_WISDOM_ONLY, and FFTW_ESTIMATE.
MEASURE, RECALL, ESTIMATE = 0, 1 << 21, 1 << 6

# The FFTW that pyFFTW is linked with: compiled loops run its plans by address, without Python in
# between. A PyDLL, because planning is not safe in threads, and so has to hold Python's lock.
FFTW = ctypes.PyDLL(pyfftw.pyfftw.__file__)


class Transform:
    """A complex transform of each line of a 2D array, in place and unnormalised.

    Args:
        lines: the array. It is overwritten by MEASURE, but not with RECALL.
        sign: FORWARD or INVERSE.
        effort: MEASURE, RECALL or ESTIMATE.

    Attributes:
        address: of the plan.

    Raises:
        LookupError: RECALL, and FFTW has no wisdom of this transform.
    """

    def __init__(self, lines: NDArray[np.complexfloating], sign: int, effort: int) -> None:
        count, length = lines.shape
        place = ctypes.c_void_p(lines.ctypes.data)
        layout = None, 1, lines.strides[0] // lines.itemsize
        make = _function("plan_many_dft", lines.dtype)
        make.restype = ctypes.c_void_p
        address = make(
            1, (ctypes.c_int * 1)(length), count, place, *layout, place, *layout, sign, effort
        )
        if not address:
            raise LookupError("FFTW has no wisdom of this transform")
        self.address: int = address
        self._lines = lines  # as long as the plan lives, so does its array
        weakref.finalize(self, _function("destroy_plan", lines.dtype), ctypes.c_void_p(address))

    def execute(self) -> None:
        """Run it."""
        _function("execute", self._lines.dtype)(ctypes.c_void_p(self.address))


def _function(name: str, dtype: np.dtype[Any]) -> Any:
    return getattr(FFTW, f"fftwf_{name}" if dtype == np.complex64 else f"fftw_{name}")


def execute_address(dtype: np.dtype[Any]) -> int:
    """Return the address of the C function that runs plans of a complex type."""
    return ctypes.cast(_function("execute", dtype), ctypes.c_void_p).value or 0


def plan(lines: NDArray[np.complexfloating]) -> tuple[Transform, Transform]:
    """Return the forward and the inverse transform of each line of a 2D array.

    The array is left as it is.
    """
    wisdom = _wisdom_file(lines)
    made = _recalled(lines, wisdom)
    if made is None:
        _measure(lines, wisdom)
        made = _recalled(lines, wisdom)
    # In a folder that cannot be written nothing is kept: estimates are slower, but always the same.
    return made or _make(lines, ESTIMATE)


def _recalled(
    lines: NDArray[np.complexfloating], wisdom: Path
) -> tuple[Transform, Transform] | None:
    pyfftw.forget_wisdom()
    try:
        parts = wisdom.read_bytes().split(SEPARATOR)
        if len(parts) == 3 and all(pyfftw.import_wisdom(parts)):
            return _make(lines, RECALL)
    except (OSError, LookupError):
        pass
    return None


def _make(lines: NDArray[np.complexfloating], effort: int) -> tuple[Transform, Transform]:
    # Others may have told FFTW to plan for several threads; built without, it has no such function.
    with suppress(AttributeError):
        _function("plan_with_nthreads", lines.dtype)(1)
    return Transform(lines, FORWARD, effort), Transform(lines, INVERSE, effort)


def _measure(lines: NDArray[np.complexfloating], wisdom: Path) -> None:
    """Measure, and keep what was found unless another process was first."""
    # On a copy: measuring overwrites it.
    scratch = pyfftw.zeros_aligned((len(lines), lines.strides[0] // lines.itemsize), lines.dtype)
    pyfftw.forget_wisdom()
    _make(scratch[:, : lines.shape[1]], MEASURE)
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
