"""Simulate systems of the catalogue into stores that survive kills; pairs from such stores."""

from spectune.runs.catalog import SYSTEMS, SystemParameters, system_parameters
from spectune.runs.coarsen import coarsen
from spectune.runs.group import GroupProgress, run_group
from spectune.runs.progress import run_bar
from spectune.runs.settings import RunSettings, run_settings
from spectune.runs.simulate import simulate
from spectune.runs.store import RunStore

__all__ = [
    "SYSTEMS",
    "GroupProgress",
    "RunSettings",
    "RunStore",
    "SystemParameters",
    "coarsen",
    "run_bar",
    "run_group",
    "run_settings",
    "simulate",
    "system_parameters",
]
