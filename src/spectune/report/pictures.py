"""A run of the catalogue as a picture in a file."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import xarray as xr
from matplotlib import rc_context

from spectune.atomic import write_bytes
from spectune.errors import CaseError, DataError
from spectune.report.run_movie import save_movie
from spectune.report.run_sheet import sheet_figure
from spectune.report.style import RC

__all__ = ["save_picture"]

_STILLS: Final = (".png", ".pdf")
_MOVIES: Final = (".gif", ".mp4")


def save_picture(
    run: xr.Dataset,
    out: str | Path,
    *,
    parameters: str = "",
    report: Callable[[float], Any] | None = None,
) -> None:
    """Draw a run: a contact sheet or space–time diagram (.png, .pdf), or a movie (.gif, .mp4).

    Args:
        run: fields (member, time, …, y, x), (member, time, x) or (member, time, k, j) with CF
            attributes, as `simulate` returns them; what is NaN has not been reached.
        out: file to write; its ending says what.
        parameters: of the system, in words.
        report: called with the fraction of a movie that is done.

    Raises:
        CaseError: another ending, a movie of fields that are no planes, no ffmpeg for an .mp4.
        DataError: the run has no snapshot yet, or the file cannot be written.
    """
    out = Path(out)
    suffix = out.suffix.lower()
    if suffix not in _STILLS + _MOVIES:
        raise CaseError(
            f"{out} ends in '{suffix}', expected {' or '.join(_STILLS)} for a contact sheet, "
            f"{' or '.join(_MOVIES)} for a movie"
        )
    with rc_context(RC):
        try:
            if suffix in _MOVIES:
                save_movie(run, out, parameters=parameters, report=report)
                return
            content = io.BytesIO()
            figure = sheet_figure(run, parameters=parameters)
            figure.savefig(content, format=suffix[1:], dpi=160, facecolor="white")
            write_bytes(out, content.getvalue())
        except OSError as error:
            raise DataError(f"{out} cannot be written: {error.strerror or error}") from error
