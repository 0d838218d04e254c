"""Large-eddy simulation with any closure, and its scores against filtered DNS."""

from spectune.online.coupling import Closure, Coupling, LESSystem
from spectune.online.les import LESRun, run_ensemble, run_les
from spectune.online.scores import TRUTH, online_scores
from spectune.online.through_solver import ThroughSolver

__all__ = [
    "TRUTH",
    "Closure",
    "Coupling",
    "LESRun",
    "LESSystem",
    "ThroughSolver",
    "online_scores",
    "run_ensemble",
    "run_les",
]
