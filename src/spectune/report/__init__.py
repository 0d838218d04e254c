"""The report of a run: publication figures and one self-contained page, from saved files alone."""

from spectune.report.figures import FIGURES, save_advice_figure, save_figures
from spectune.report.page import write_report

__all__ = ["FIGURES", "save_advice_figure", "save_figures", "write_report"]
