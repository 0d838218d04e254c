"""The movie of a run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import xarray as xr
from matplotlib.animation import AbstractMovieWriter, FFMpegWriter, FuncAnimation, PillowWriter
from matplotlib.artist import Artist

from spectune.atomic import write_bytes
from spectune.errors import CaseError
from spectune.report.run_panels import (
    colour_bar,
    describe,
    draw_plane,
    field_groups,
    plane_figure,
    row_label,
    spread,
    time_text,
)

__all__ = ["save_movie"]

_MEMBERS: Final = 3

# A GIF is put together in memory.
_FRAMES: Final = 200
_FRAMES_A_SECOND: Final = 12
_DPI: Final = 100
_SIDE: Final = 3.0

# From how many times the colours are chosen: a run need not fit into memory.
_SAMPLE: Final = 20


def save_movie(
    run: xr.Dataset,
    out: Path,
    *,
    parameters: str = "",
    report: Callable[[float], Any] | None = None,
) -> None:
    """Write all times of a run, evenly thinned to 200, as a .gif or, through ffmpeg, as an .mp4.

    Args:
        run: fields (member, time, …, y, x) with CF attributes.
        out: file to write.
        parameters: of the system, in words.
        report: called with the fraction that is done.

    Raises:
        CaseError: the fields are not planes, or there is no ffmpeg for an .mp4.
        DataError: the run has no snapshot yet.
    """
    groups = field_groups(run, _MEMBERS)
    if not groups[0].planar:
        raise CaseError(
            f"{out}: a movie shows fields in two dimensions, and those of the run are on a ring; "
            "give a .png, whose space–time diagram shows all times at once"
        )
    writer = _writer(out)
    members = min(run.sizes["member"], _MEMBERS)
    times = spread(run.sizes["time"], _FRAMES)
    figure = plane_figure(max(5.0, _SIDE * members + 1.4), _SIDE * len(groups) + 1.6)
    panels = figure.subplots(len(groups), members, squeeze=False)
    limits = [group.limit(spread(run.sizes["time"], _SAMPLE)) for group in groups]
    images = []
    for group, limit, line in zip(groups, limits, panels, strict=True):
        for member, axes in enumerate(line):
            images.append(draw_plane(axes, group.values[member, 0], limit))
            axes.set_title(row_label(group, member, len(groups)))
        colour_bar(figure, images[-1], list(line), group)
    title = describe(figure, run, parameters, members)
    heading = title.get_text()
    title.set_text(f"{heading}\n{time_text(run, int(times[-1]))}")
    # Laid out once, so that nothing moves from one frame to the next.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")

    def show(time: int) -> list[Artist]:
        fields = (group.values[member, time] for group in groups for member in range(members))
        for image, field in zip(images, fields, strict=True):
            image.set_data(field.values)
        title.set_text(f"{heading}\n{time_text(run, time)}")
        return [*images, title]

    def progress(frame: int, _frames: int) -> None:
        if report is not None:
            report((frame + 1) / len(times))

    movie = FuncAnimation(figure, show, frames=[int(time) for time in times], init_func=list)
    with tempfile.TemporaryDirectory() as folder:
        aside = Path(folder) / f"movie{out.suffix.lower()}"
        movie.save(
            str(aside),
            writer=writer,
            dpi=_DPI,
            savefig_kwargs={"facecolor": "white"},
            progress_callback=progress,
        )
        write_bytes(out, aside.read_bytes())


def _writer(out: Path) -> AbstractMovieWriter:
    if out.suffix.lower() == ".gif":
        return PillowWriter(fps=_FRAMES_A_SECOND)
    if not FFMpegWriter.isAvailable():
        raise CaseError(
            f"{out}: an .mp4 is made by the program ffmpeg, which was not found; install it, or "
            "give a .gif"
        )
    # Any player shows this pixel format, which wants even sizes.
    even = "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white"
    return FFMpegWriter(
        fps=_FRAMES_A_SECOND, codec="libx264", extra_args=["-vf", even, "-pix_fmt", "yuv420p"]
    )
