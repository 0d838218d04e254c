"""Which layers to re-train: criteria, the advisor, and the verification by exhaustive sweep."""

from spectune.advice.advisor import advise
from spectune.advice.check import Verification, verify_advice
from spectune.advice.compare import compare
from spectune.advice.criteria import COSTLY, CRITERIA, Criterion, Scored, score_criteria
from spectune.advice.outlook import Outlook
from spectune.advice.problem import Problem
from spectune.advice.result import Advice, LayerAdvice, SetAdvice, read_advice
from spectune.advice.sweep import ALL_LAYERS, Retrained, Sweep, load_retrained
from spectune.advice.verdict import Verdict
from spectune.advice.verify import verify

__all__ = [
    "ALL_LAYERS",
    "COSTLY",
    "CRITERIA",
    "Advice",
    "Criterion",
    "LayerAdvice",
    "Outlook",
    "Problem",
    "Retrained",
    "Scored",
    "SetAdvice",
    "Sweep",
    "Verdict",
    "Verification",
    "advise",
    "compare",
    "load_retrained",
    "read_advice",
    "score_criteria",
    "verify",
    "verify_advice",
]
