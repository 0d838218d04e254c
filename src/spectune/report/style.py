"""One look for all figures: a colour per meaning, sizes, axes, light and dark.

Figures are drawn once, in the light colours. Every colour of `PALETTE` is unique, so that the page
can replace it by a style sheet variable and show the same drawing on a dark ground.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

__all__ = [
    "LINES",
    "PALETTE",
    "RC",
    "label_panel",
    "log_values",
    "new_figure",
    "plain",
    "power_of_ten",
    "spectrum_axes",
    "unit_text",
    "wavenumber_ticks",
]

# light, dark. Hues after Okabe and Ito (2008), moved in lightness until each has a contrast of at
# least 3 against its ground; lines differ in dashes as well, so that no colour carries a meaning
# alone.
PALETTE: Final[dict[str, tuple[str, str]]] = {
    "ink": ("#1f2733", "#e3e7ee"),
    "muted": ("#5d6776", "#9ca6b6"),
    "grid": ("#dfe3e9", "#303744"),
    "paper": ("#fefefe", "#12161d"),
    "soft": ("#c3cad5", "#4b5566"),
    "truth": ("#10151d", "#f4f6fa"),
    "base": ("#0069a8", "#58b0ee"),
    "target": ("#c94f00", "#ff9450"),
    "bnn": ("#93358d", "#d98fe0"),
    "tlnn": ("#00805d", "#35cb9d"),
    "none": ("#7b8494", "#949eae"),
    "smagorinsky": ("#a07000", "#e2b23f"),
}

# What a line looks like, by what it shows.
LINES: Final[dict[str, dict[str, Any]]] = {
    "truth": {"color": PALETTE["truth"][0], "lw": 2.4, "ls": "-", "alpha": 0.85},
    "base": {"color": PALETTE["base"][0], "lw": 1.7, "ls": "-"},
    "target": {"color": PALETTE["target"][0], "lw": 1.7, "ls": "-"},
    "BNN": {"color": PALETTE["bnn"][0], "lw": 1.6, "ls": (0, (5, 1.6))},
    "TLNN": {"color": PALETTE["tlnn"][0], "lw": 1.9, "ls": "-"},
    "no closure": {"color": PALETTE["none"][0], "lw": 1.5, "ls": (0, (1.2, 1.4))},
    "Smagorinsky": {"color": PALETTE["smagorinsky"][0], "lw": 1.5, "ls": (0, (6, 1.5, 1.2, 1.5))},
}
LINES["filtered DNS"] = LINES["truth"]

# Any, because matplotlib types the keys as a union of all its settings.
RC: Final[Any] = {
    "font.family": "DejaVu Sans",  # the page puts its own font in its place
    "font.size": 9.0,
    "axes.titlesize": 9.4,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.4,
    "ytick.labelsize": 8.4,
    "legend.fontsize": 8.6,
    "legend.frameon": False,
    "legend.handlelength": 2.1,
    "legend.borderaxespad": 0.3,
    "legend.labelspacing": 0.35,
    "text.color": PALETTE["ink"][0],
    "axes.labelcolor": PALETTE["ink"][0],
    "axes.titlecolor": PALETTE["ink"][0],
    "axes.edgecolor": PALETTE["soft"][0],
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "xtick.color": PALETTE["soft"][0],
    "ytick.color": PALETTE["soft"][0],
    "xtick.labelcolor": PALETTE["muted"][0],
    "ytick.labelcolor": PALETTE["muted"][0],
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
    "grid.color": PALETTE["grid"][0],
    "grid.linewidth": 0.6,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}

WIDE: Final = 10.4
NARROW: Final = 3.65

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def new_figure(height: float, *, narrow: bool, narrow_height: float | None = None) -> Figure:
    """A figure as wide as the page, or as wide as a phone."""
    size = (NARROW, narrow_height or height) if narrow else (WIDE, height)
    return Figure(figsize=size, layout=ConstrainedLayoutEngine(h_pad=0.075, w_pad=0.06))


def plain(value: float) -> str:
    """A short number without exponent where possible, `—` for one that is not finite."""
    if not np.isfinite(value):
        return "—"
    if 999.5 <= abs(value) < 1e6:
        # A thin space, because a comma is a decimal mark to some.
        return f"{float(f'{value:.3g}'):,.0f}".replace(",", "\u2009").replace("-", "−")
    return f"{value:.3g}".replace("-", "−")


def power_of_ten(value: float, _position: float | None = None) -> str:
    """A tick label on a log axis: 10⁻³, and plain numbers between 0.1 and 100."""
    if value <= 0 or not np.isfinite(value):
        return ""
    if 0.09 < value < 101:
        return f"{value:g}"
    exponent = np.log10(value)
    if abs(exponent - round(exponent)) > 1e-6:
        return ""
    return "10" + str(round(exponent)).translate(_SUPERSCRIPT)


def unit_text(unit: str) -> str:
    """A CF unit as it is printed: "m2 s-1" as m² s⁻¹."""
    return re.sub(r"(?<=[a-zA-Z])-?\d+", lambda power: power[0].translate(_SUPERSCRIPT), unit)


def log_values(values: Any) -> np.ndarray:
    """Values for a log axis: what is not finite or not positive becomes a gap."""
    values = np.asarray(values, dtype=float)
    positive = np.isfinite(values) & (np.nan_to_num(values) > 0)
    return np.where(positive, values, np.nan)


def spectrum_axes(
    axes: Axes, wavenumbers: Any, curves: Iterable[Any], *, decades: float = 7, label: str = ""
) -> None:
    """Log-log axes on k ≥ 1 that show at most so many decades below the highest curve."""
    k = np.asarray(wavenumbers, dtype=float)
    last = float(k.max()) if k.size else 1.0
    axes.set(xscale="log", yscale="log", xlim=(1, last), xlabel="wavenumber k")
    values = [log_values(np.asarray(c)[..., k >= 1]) for c in curves]
    finite = np.concatenate([v[np.isfinite(v)].ravel() for v in values] or [np.ones(1)])
    high = float(finite.max()) if finite.size else 1.0
    low = max(float(finite.min()), high * 10**-decades) if finite.size else 0.1
    axes.set_ylim(low / 1.6, high * 1.9)
    wavenumber_ticks(axes, last)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, which="major")
    if label:
        axes.set_ylabel(label)


def wavenumber_ticks(axes: Axes, last: float) -> None:
    """Whole wavenumbers, evenly spread on a log axis."""
    ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500) if t <= last]
    axes.set_xticks(ticks, [str(t) for t in ticks])


def label_panel(axes: Axes, letter: str, title: str) -> None:
    """A title on the left, led by the letter that the caption uses."""
    axes.set_title(f"({letter}) {title}", loc="left", fontweight="bold")
