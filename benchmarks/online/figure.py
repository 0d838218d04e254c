"""Spectra and vorticity distributions of the three cases; offline against online error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from benchmarks.online.cases import CASES
from benchmarks.online.folders import RESULTS
from benchmarks.online.record import by_name, scores
from spectune.report.style import (
    LINES,
    PALETTE,
    RC,
    label_panel,
    new_figure,
    power_of_ten,
    wavenumber_ticks,
)

LOOKS: Mapping[str, Any] = {
    "no closure": LINES["no closure"],
    "Smagorinsky": LINES["Smagorinsky"],
    "base network": LINES["BNN"],
    "worst layer": {"color": PALETTE["target"][0], "lw": 1.5, "ls": (0, (3, 1.3))},
    "advised layer": LINES["TLNN"],
    "all layers": {"color": PALETTE["base"][0], "lw": 1.6, "ls": "-"},
    "target alone": {"color": PALETTE["muted"][0], "lw": 1.4, "ls": (0, (7, 1.6))},
}
LAST = 31
"""Largest wavenumber below Nyquist."""


def write_figure(record: dict[str, Any]) -> None:
    """Write online.png and online.pdf."""
    with rc_context(RC):
        figure = new_figure(9.6, narrow=False)
        panels = figure.subplots(3, len(CASES))
        for column, case in enumerate(CASES):
            dataset = scores(case, by_name(case))
            (found,) = (entry for entry in record["cases"] if entry["name"] == case.name)
            top, middle, bottom = panels[:, column]
            _spectra(top, dataset)
            _distribution(middle, dataset)
            _offline_online(bottom, found)
            for axes, row, title in (
                (top, 0, "energy spectrum ÷ truth"),
                (middle, 1, "vorticity distribution"),
                (bottom, 2, "offline and online"),
            ):
                letter = "abcdefghi"[3 * row + column]
                label_panel(axes, letter, f"{case.name}\n{title}" if row == 0 else title)
        handles, labels = _legend(panels[:, 0])
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        for suffix in ("png", "pdf"):
            figure.savefig(RESULTS / f"online.{suffix}", dpi=150, facecolor="white")


def _shown(dataset: xr.Dataset) -> list[str]:
    return [name for name in LOOKS if name in dataset["closure"].values]


def _spectra(axes: Axes, dataset: xr.Dataset) -> None:
    k = dataset["wavenumber"].values
    kept = (k >= 1) & (k <= LAST)
    true = dataset["truth_energy_spectrum"].values
    for name in _shown(dataset):
        members = dataset["energy_spectrum"].sel(closure=name).values
        members = members[np.isfinite(members[:, 1])] / true
        if not len(members):
            continue
        look = LOOKS[name]
        axes.plot(k[kept], members.mean(0)[kept], label=name, **look)
        axes.fill_between(
            k[kept],
            members.min(0)[kept],
            members.max(0)[kept],
            color=look["color"],
            alpha=0.13,
            lw=0,
        )
    axes.axhline(1, label="filtered DNS", **LINES["truth"] | {"lw": 1.4, "zorder": 0})
    axes.set(xscale="log", yscale="log", xlim=(1, LAST), ylim=(0.3, 60), xlabel="wavenumber k")
    wavenumber_ticks(axes, LAST)
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    axes.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
    axes.grid(visible=True)


def _distribution(axes: Axes, dataset: xr.Dataset) -> None:
    x = dataset["bin"].values
    for name in _shown(dataset):
        density = dataset["vorticity_pdf_mean"].sel(closure=name).values
        axes.plot(x, np.where(density > 0, density, np.nan), label=name, **LOOKS[name])
    true = dataset["truth_vorticity_pdf"].values
    axes.plot(x, np.where(true > 0, true, np.nan), **LINES["truth"] | {"zorder": 0})
    axes.set(yscale="log", ylim=(1e-5, 1), xlim=(-6, 6))
    axes.set(xlabel="ω̄ ÷ standard deviation of the truth", ylabel="probability density")
    axes.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
    axes.grid(visible=True)


def _offline_online(axes: Axes, found: Mapping[str, Any]) -> None:
    """Every network of the case: error of Π on held-out samples against error of the spectrum."""
    for name, look in LOOKS.items():
        for seed in found["seeds"].values():
            one = seed["closures"].get(name)
            if one is None or "offline" not in one or one["offline"] is None:
                continue
            mean = one["energy_spectrum_error"]["mean"]
            if mean is not None:
                axes.plot(one["offline"], mean, "o", ms=6, color=look["color"], mew=0)
    layers = found["layers"].get("layers", {})
    for name, one in layers.items():
        if one["energy_spectrum_error"] is None:
            continue
        point = (one["offline"], one["energy_spectrum_error"])
        axes.plot(*point, "o", ms=10, mfc="none", mec=PALETTE["ink"][0], mew=0.7)
        axes.annotate(name.removeprefix("conv"), point, (6, 4), textcoords="offset points")
    smagorinsky = found["closures"]["Smagorinsky"]["energy_spectrum_error"]["mean"]
    axes.axhline(smagorinsky, **LOOKS["Smagorinsky"] | {"lw": 1.1})
    sampling = found["sampling"]["energy_spectrum_error"]
    axes.axhspan(1e-3, sampling, color=PALETTE["grid"][0], lw=0, zorder=0)
    axes.set(yscale="log", xlabel="error of Π offline (÷ variance)")
    axes.set(ylabel="error of the energy spectrum online", ylim=(0.03, 10))
    axes.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
    axes.grid(visible=True)


def _legend(panels: Any) -> tuple[list[Any], list[str]]:
    handles: dict[str, Any] = {}
    for axes in panels:
        handles |= {
            label: handle
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
            if not label.startswith("_")
        }
    return list(handles.values()), list(handles)
