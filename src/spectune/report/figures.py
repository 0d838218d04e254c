"""The catalogue: every figure of the report by name."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.figure import Figure

from spectune.atomic import write_bytes
from spectune.report.figures_advice import advice_figure, check_figure
from spectune.report.figures_changes import changes_figure
from spectune.report.figures_explanation import activation_figure
from spectune.report.figures_flows import flows_figure
from spectune.report.figures_gallery import gallery_figure
from spectune.report.figures_kernels import filters_figure, kernels_figure
from spectune.report.figures_landscape import landscape_figure
from spectune.report.figures_layers import layers_figure
from spectune.report.figures_offline import failure_figure, repair_figure
from spectune.report.figures_online import online_curves_figure, online_fields_figure
from spectune.report.figures_repair import corrected_figure
from spectune.report.figures_transfer import transfer_figure
from spectune.report.run_folder import (
    RunFolder,
    advised_layer,
    read_advice,
    read_landscape,
    read_run,
    read_sweep,
)
from spectune.report.style import RC

__all__ = [
    "FIGURES",
    "draw",
    "save_advice_figures",
    "save_check_figure",
    "save_figure",
    "save_figures",
]


def _flows(run: RunFolder, **size: Any) -> Figure:
    case = run.run["case"]
    forcing = {
        flow: float(case[flow]["forcing_wavenumber"])
        for flow in ("base", "target")
        if case.get(flow, {}).get("forcing_wavenumber")
    }
    return flows_figure(run.flows, forcing=forcing, **size)


def _repair(run: RunFolder, **size: Any) -> Figure:
    return repair_figure(run.offline, layer=run.advised, **size)


FIGURES: Final[dict[str, Callable[..., Figure]]] = {
    "flows": _flows,
    "failure": lambda run, **size: failure_figure(run.offline, **size),
    "advice": lambda run, **size: advice_figure(run.advice, run.advice_spectra, **size),
    "check": lambda run, **size: check_figure(run.advice, run.sweep, **size),
    "repair": _repair,
    "activations": lambda run, **size: activation_figure(run.explanation, **size),
    "layers": lambda run, **size: layers_figure(run.explanation, **size),
    "changes": lambda run, **size: changes_figure(run.explanation, **size),
    "gallery": lambda run, **size: gallery_figure(run.explanation, **size),
    "kernels": lambda run, **size: kernels_figure(run.explanation, **size),
    "filters": lambda run, **size: filters_figure(run.explanation, **size),
    "transfer": lambda run, **size: transfer_figure(run.explanation, **size),
    "corrected": lambda run, **size: corrected_figure(run.explanation, **size),
    "online-fields": lambda run, **size: online_fields_figure(run.online, **size),
    "online-curves": lambda run, **size: online_curves_figure(run.online, **size),
}


def draw(run: RunFolder, name: str, *, narrow: bool = False) -> Figure:
    """Draw one figure of the catalogue in the house style."""
    with rc_context(RC):
        return FIGURES[name](run, narrow=narrow)


def save_figures(
    run_folder: str | Path, progress: Callable[[int, int], Any] | None = None
) -> list[Path]:
    """Write every figure as PDF and PNG into `figures/` of the run folder.

    Args:
        run_folder: a finished run.
        progress: called with the number of figures done and in all.

    Returns:
        The files written.

    Raises:
        CaseError: a file of the run is missing.
        DataError: a file of the run is broken.
    """
    run = read_run(run_folder)
    folder = run.path / "figures"
    folder.mkdir(exist_ok=True)
    paths: list[Path] = []
    for done, name in enumerate(FIGURES, start=1):
        paths += save_figure(draw(run, name), name, folder)
        if progress is not None:
            progress(done, len(FIGURES))
    return paths


def save_advice_figures(folder: str | Path) -> list[Path]:
    """Write the figures of an advice that stands alone as PDF and PNG beside its `advice.json`.

    A thorough advice has a second one, of the loss in each layer.

    Args:
        folder: where the advice was saved.

    Returns:
        The files written.

    Raises:
        CaseError: a file of the advice is missing.
        DataError: a file of the advice is broken.
    """
    advice, spectra = read_advice(folder)
    with rc_context(RC):
        figure = advice_figure(advice, spectra)
    paths = list(save_figure(figure, "advice", Path(folder)))
    landscape = read_landscape(folder)
    if landscape is not None:
        with rc_context(RC):
            figure = landscape_figure(landscape, best=advised_layer(advice))
        paths += save_figure(figure, "landscape", Path(folder))
    return paths


def save_check_figure(folder: str | Path) -> list[Path]:
    """Write the figure of a verified advice as PDF and PNG beside its `sweep.json`.

    Args:
        folder: where the advice was saved and verified.

    Returns:
        The files written.

    Raises:
        CaseError: a file of the advice is missing.
        DataError: a file of the advice is broken.
    """
    advice, _ = read_advice(folder)
    with rc_context(RC):
        figure = check_figure(advice, read_sweep(folder))
    return list(save_figure(figure, "check", Path(folder)))


def save_figure(figure: Figure, name: str, folder: Path) -> Iterator[Path]:
    """Write a figure as PDF and PNG and yield the files."""
    for image in (image for axes in figure.axes for image in axes.images):
        # A browser smooths a coarse field by itself; on paper it would show as squares.
        image.set_interpolation("bicubic")
    for suffix, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
        content = io.BytesIO()
        with rc_context(RC):
            figure.savefig(content, format=suffix, dpi=200, facecolor="white", metadata=metadata)
        path = folder / f"{name}.{suffix}"
        write_bytes(path, content.getvalue())
        yield path
