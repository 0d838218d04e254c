"""Figures as SVG inside a page: its fonts, its colours, ids that do not collide."""

from __future__ import annotations

import io
import re
from typing import Final

from matplotlib import rc_context
from matplotlib.figure import Figure

from spectune.report.style import PALETTE, RC

__all__ = ["inline_svg", "palette_css"]

_VARIABLE: Final = {light: f"var(--fig-{name})" for name, (light, _) in PALETTE.items()}


def palette_css(*, dark: bool) -> str:
    """The figure colours as style sheet variables."""
    return "\n".join(f"  --fig-{name}: {pair[dark]};" for name, pair in PALETTE.items())


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """Draw a figure as one `<svg>` element that follows the page's colours and font.

    Args:
        figure: drawn with the light colours of `PALETTE`.
        name: unique in the page; every id in the drawing starts with it.
        description: what a reader who cannot see the figure is told.
    """
    buffer = io.StringIO()
    with rc_context(RC | {"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, dpi=200, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # A style element inside an inline drawing would apply to the whole page.
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    # The browser's own smoothing shows a coarse field better than squares do.
    svg = re.sub(r"image-rendering:\s*[\w-]+;?", "", svg)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    for colour, variable in _VARIABLE.items():
        svg = re.sub(colour, variable, svg, flags=re.IGNORECASE)
    svg = re.sub(r"'DejaVu Sans'(?:, [^;\"]*)?", "var(--font)", svg)
    svg = _name_ids(svg, name)
    view = re.search(r'viewBox="([^"]+)"', svg)
    assert view is not None
    label = description.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    head = f'<svg viewBox="{view[1]}" role="img" aria-label="{label}"'
    head += ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    body = svg[svg.index(">") + 1 :]
    return head + re.sub(r"\n\s*", "\n", body).strip()


def _name_ids(svg: str, name: str) -> str:
    """Drop the ids that nothing refers to; make the others unique in the page."""
    used = set(re.findall(r"url\(#([^)]+)\)", svg)) | set(re.findall(r'href="#([^"]+)"', svg))

    def rename(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in used else ""

    svg = re.sub(r'\s+id="([^"]+)"', rename, svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    return re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
