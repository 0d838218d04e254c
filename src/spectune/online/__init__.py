"""Large-eddy simulation with any closure, and its scores against filtered DNS."""

from spectune.online.les import Closure, LESRun, run_les
from spectune.online.scores import TRUTH, online_scores

__all__ = ["TRUTH", "Closure", "LESRun", "online_scores", "run_les"]
