"""Large-eddy simulation with any closure, and its scores against filtered DNS."""

from spectune.online.budget import budget
from spectune.online.coupling import Closure, Coupling, LESSystem
from spectune.online.early_warning import EarlyWarning, early_warning, warning_before
from spectune.online.ensemble import ensemble_scores
from spectune.online.les import LESRun, run_ensemble, run_les
from spectune.online.scores import TRUTH, online_scores
from spectune.online.through_solver import ThroughSolver

__all__ = [
    "TRUTH",
    "Closure",
    "Coupling",
    "EarlyWarning",
    "LESRun",
    "LESSystem",
    "ThroughSolver",
    "budget",
    "early_warning",
    "ensemble_scores",
    "online_scores",
    "run_ensemble",
    "run_les",
    "warning_before",
]
