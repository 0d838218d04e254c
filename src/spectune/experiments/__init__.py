"""Cases, the stages that run them, and the folder that a run leaves."""

from spectune.experiments.case import Case, load_case
from spectune.experiments.demo import demo_case
from spectune.experiments.pipeline import run_case

__all__ = ["Case", "demo_case", "load_case", "run_case"]
