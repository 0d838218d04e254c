"""The report of a run: publication figures and one self-contained page, and pictures of flows."""

from spectune.report.explanation import EXPLANATION_FIGURES, save_explanation_figures
from spectune.report.explanation_sentences import explanation_sentences
from spectune.report.figures import FIGURES, save_advice_figures, save_check_figure, save_figures
from spectune.report.page import write_report
from spectune.report.pictures import save_picture

__all__ = [
    "EXPLANATION_FIGURES",
    "FIGURES",
    "explanation_sentences",
    "save_advice_figures",
    "save_check_figure",
    "save_explanation_figures",
    "save_figures",
    "save_picture",
    "write_report",
]
