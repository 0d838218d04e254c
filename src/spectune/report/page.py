"""The report: one page that needs nothing but itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from spectune.atomic import write_text
from spectune.report._svg import inline_svg, palette_css
from spectune.report.captions import CAPTIONS, Caption
from spectune.report.captions_explanation import EXPLANATION_CAPTIONS
from spectune.report.figures import FIGURES, draw
from spectune.report.findings import Findings, find
from spectune.report.run_folder import RunFolder, read_run
from spectune.report.sentences import (
    all_layers_sentence,
    check_sentence,
    flow_names,
    lead,
    span,
    tiles,
)
from spectune.report.tables import (
    advice_table,
    case_table,
    closure_table,
    criteria_table,
    offline_table,
    stage_table,
    sweep_table,
)

__all__ = ["write_report"]


@dataclass(frozen=True)
class _PageFigure:
    number: int
    wide: Markup
    narrow: Markup
    caption: Caption


def write_report(run_folder: str | Path) -> Path:
    """Write `report.html` into a run folder: figures, numbers and words from its files alone.

    Args:
        run_folder: a finished run.

    Returns:
        The page.

    Raises:
        CaseError: a file of the run is missing; the message names the stage that writes it.
        DataError: a file of the run is broken or incomplete.
    """
    run = read_run(run_folder)
    found = find(run)
    environment = Environment(
        loader=PackageLoader("spectune.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_bind,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    base, target = flow_names(run.run["case"])
    page = environment.get_template("report.html.j2").render(
        run=run.run,
        advice=run.advice,
        advised=run.advised,
        found=found,
        base=base,
        target=target,
        lead=lead(found, run.run["case"]),
        check=[check_sentence(found), all_layers_sentence(found)],
        tiles=tiles(found),
        figures=_figures(run, found),
        offline_table=offline_table(found),
        advice_table=advice_table(run),
        sweep_table=sweep_table(run, found),
        criteria_table=criteria_table(run),
        closure_table=closure_table(found),
        case_tables=case_table(run.run["case"]),
        stage_table=stage_table(run.run["stages"]),
        span=span,
        light=Markup(palette_css(dark=False)),
        dark=Markup(palette_css(dark=True)),
    )
    path = run.path / "report.html"
    write_text(path, page)
    return path


def _bind(value: object) -> object:
    """Keep `k = 25` and `41 %` on one line; what is marked up already stays as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return re.sub(r"\b(k|t|Re|drag|β) = ", "\\1\u00a0=\u00a0", value).replace(" %", "\u00a0%")
    return value


def _figures(run: RunFolder, found: Findings) -> dict[str, _PageFigure]:
    """Every figure twice: as wide as a page and as wide as a phone; the page shows one of them."""
    captions = CAPTIONS | EXPLANATION_CAPTIONS
    figures = {}
    for place, name in enumerate(FIGURES, start=1):
        caption = captions[name](run, found)
        alt = f"Figure {place}. {caption.claim} {caption.reading}"
        wide, narrow = (
            Markup(inline_svg(draw(run, name, narrow=small), f"{name}{suffix}", alt))
            for small, suffix in ((False, ""), (True, "-narrow"))
        )
        figures[name] = _PageFigure(place, wide, narrow, caption)
    return figures
