"""Which layers to re-train: criteria, the advisor, and the verification by exhaustive sweep."""

from spectune.advice.advisor import advise
from spectune.advice.criteria import CRITERIA, Criterion, Scored, score_criteria
from spectune.advice.problem import Problem
from spectune.advice.result import Advice, LayerAdvice
from spectune.advice.verdict import Verdict
from spectune.advice.verify import (
    ALL_LAYERS,
    Retrained,
    Sweep,
    compare,
    load_retrained,
    verify,
)

__all__ = [
    "ALL_LAYERS",
    "CRITERIA",
    "Advice",
    "Criterion",
    "LayerAdvice",
    "Problem",
    "Retrained",
    "Scored",
    "Sweep",
    "Verdict",
    "advise",
    "compare",
    "load_retrained",
    "score_criteria",
    "verify",
]
