"""The cases that come with the package."""

from __future__ import annotations

from importlib.resources import as_file, files

from spectune.experiments.case import Case, load_case

__all__ = ["demo_case"]


def demo_case() -> Case:
    """Return the demonstration: k_f = 25 → 4 at Re = 1000."""
    with as_file(files("spectune.experiments") / "demo.toml") as path:
        return load_case(path)
