"""How a result came to be."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from typing import Any

__all__ = ["machine", "versions"]


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    packages = {name: version(name) for name in ("spectune", "torch", "numpy", "xarray", "zarr")}
    return {"python": platform.python_version(), **packages}


def machine() -> dict[str, Any]:
    """Return what a wall time depends on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": cores,
        "platform": f"{platform.system()} {platform.machine()} ({sys.platform})",
    }
