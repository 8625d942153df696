"""matplotlib figures as inline SVG that takes its colours and fonts from the page's style sheet.

A figure is drawn with stand-in colours, one per role; in the SVG each becomes a CSS variable, so
one drawing serves light and dark pages. Text stays text: selectable and read by screen readers.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import StringIO
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PX_PER_INCH = 72

INK: Final = "#010101"
MUTED: Final = "#020202"
GRID: Final = "#030303"
SURFACE: Final = "#040404"
GOOD: Final = "#050505"
SERIES: Final = ("#0a0a01", "#0a0a02", "#0a0a03")
STAGES: Final = ("#0b0b01", "#0b0b02", "#0b0b03", "#0b0b04", "#0b0b05")

_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    SURFACE: "--surface",
    GOOD: "--good",
    **{colour: f"--series-{number}" for number, colour in enumerate(SERIES, start=1)},
    **{colour: f"--stage-{number}" for number, colour in enumerate(STAGES, start=1)},
}

_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "font.size": 13,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 13,
    "axes.edgecolor": GRID,
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "xtick.major.pad": 6.0,
    "ytick.major.pad": 6.0,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
}


@contextmanager
def drawing(width_px: int, height_px: int) -> Iterator[Figure]:
    """Give a figure of the report's style; to be rendered by `inline_svg` inside the context."""
    with mpl.rc_context(_STYLE):
        yield Figure(
            figsize=(width_px / PX_PER_INCH, height_px / PX_PER_INCH), layout="constrained"
        )


def grid(axes: Axes, *, horizontal: bool = True, vertical: bool = False) -> None:
    """Draw hairlines behind the data."""
    if horizontal:
        axes.grid(axis="y", color=GRID, linewidth=1.0)
    if vertical:
        axes.grid(axis="x", color=GRID, linewidth=1.0)


def inline_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """Return a figure as an SVG element for an HTML page, named and described for all readers.

    `name` must be unique in the page: it prefixes every id.
    """
    buffer = StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]+;?", "", svg)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    svg = re.sub(r'xlink:href="#', f'href="#{name}-', svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    head = (
        f'<svg role="img" aria-labelledby="{name}-title {name}-description" '
        f'viewBox="{_view_box(svg)}">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-description">{escape(description)}</desc>'
    )
    return head + svg[svg.index(">") + 1 :].strip()


def _view_box(svg: str) -> str:
    found = re.search(r'viewBox="([^"]+)"', svg)
    if found is None:
        raise ValueError("matplotlib wrote an SVG without a viewBox")
    return found[1]
