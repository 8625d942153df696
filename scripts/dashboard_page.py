"""Draws the dashboard from a Prometheus, without a Grafana.

`python -m scripts.dashboard_page URL [MINUTES] > page.html`
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from math import isfinite
from time import time

import httpx
from pydantic import BaseModel

from scripts.dashboard import ROWS, Panel, Query, Unit

WIDTH, HEIGHT = 420, 170
LEFT, BOTTOM, TOP = 52, 18, 8
POINTS = 120
RATE_INTERVAL = "1m"
SERIES_MAX = 8
COLOURS = ("#2f6f9f", "#c0504d", "#6a9f3b", "#8064a2", "#d98f2b", "#3fa7a0", "#b0508f", "#6b6b6b")
STYLE = """
body { font: 13px sans-serif; margin: 16px; background: #f4f5f7; color: #222 }
section { display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px }
figure { margin: 0; padding: 10px; background: #fff; border: 1px solid #ddd; border-radius: 4px }
h2 { margin: 18px 0 8px; font-size: 15px }
figcaption { font-weight: bold; margin-bottom: 4px }
ul { list-style: none; margin: 4px 0 0; padding: 0; font-size: 11px }
li { display: inline-block; margin-right: 12px; white-space: nowrap }
li b { display: inline-block; width: 10px; height: 3px; margin-right: 4px; vertical-align: middle }
svg { width: 100%; height: auto } svg text { font-size: 10px; fill: #555 }
.none { fill: #999; text-anchor: middle }
"""


class _Series(BaseModel):
    metric: dict[str, str]
    values: list[tuple[float, float]]


class _Data(BaseModel):
    result: list[_Series]


class _Reply(BaseModel):
    data: _Data


@dataclass(frozen=True, slots=True)
class Span:
    """The time that is drawn, in seconds since 1970."""

    start: float
    end: float

    @property
    def step_s(self) -> float:
        """How far points lie apart."""
        return max((self.end - self.start) / POINTS, 1.0)


@dataclass(frozen=True, slots=True)
class Line:
    """One series: its name, and when it had which value."""

    name: str
    points: tuple[tuple[float, float], ...]


def main() -> None:
    """Write the page to standard output."""
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    span = Span(time() - 60 * minutes, time())
    with httpx.Client(base_url=sys.argv[1], timeout=30.0) as prometheus:
        sys.stdout.write(page(prometheus, span))


def page(prometheus: httpx.Client, span: Span) -> str:
    """Return the dashboard as one HTML document."""
    body = ""
    for title, panels in ROWS.items():
        figures = "".join(figure(panel, read(prometheus, panel, span), span) for panel in panels)
        body += f"<h2>{escape(title)}</h2><section>{figures}</section>"
    times = " to ".join(
        f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}" for at in (span.start, span.end)
    )
    head = f"<meta charset='utf-8'><title>Muster</title><style>{STYLE}</style>"
    return f"<!doctype html>{head}<h1>Muster</h1><p>{times} UTC</p>{body}\n"


def read(prometheus: httpx.Client, panel: Panel, span: Span) -> list[Line]:
    """Return the lines of a panel; raises httpx.HTTPStatusError for a query that is refused."""
    lines: list[Line] = []
    for query in panel.queries:
        reply = prometheus.get(
            "/api/v1/query_range",
            params={
                "query": query.expr.replace("$__rate_interval", RATE_INTERVAL),
                "start": span.start,
                "end": span.end,
                "step": span.step_s,
            },
        ).raise_for_status()
        found = _Reply.model_validate_json(reply.content).data.result
        lines += [line for series in found if (line := _line(query, series)).points]
    busiest = sorted(lines, key=lambda line: -max(value for _, value in line.points))
    return sorted(busiest[:SERIES_MAX], key=lambda line: line.name)


def figure(panel: Panel, lines: Sequence[Line], span: Span) -> str:
    """Return one panel."""
    top = max((value for line in lines for _, value in line.points), default=0.0) or 1.0
    if panel.unit == "percentunit":
        top = max(top, 1.0) if top > 0.5 else top
    names = "".join(
        f"<li><b style='background:{COLOURS[place]}'></b>{escape(_short(line.name))}</li>"
        for place, line in enumerate(lines)
    )
    drawing = _axes(panel.unit, top, span) + "".join(
        _path(line, COLOURS[place], top, span) for place, line in enumerate(lines)
    )
    if not lines:
        drawing += f"<text class='none' x='{WIDTH / 2}' y='{HEIGHT / 2}'>nothing was told</text>"
    svg = f"<svg viewBox='0 0 {WIDTH} {HEIGHT}'>{drawing}</svg>"
    return f"<figure><figcaption>{escape(panel.title)}</figcaption>{svg}<ul>{names}</ul></figure>"


def shown(value: float, unit: Unit) -> str:
    """Return a value as the axis has it."""
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "bytes":
        return f"{value / 2**30:.3g} GiB"
    if unit == "s":
        return f"{value:.3g} s" if value >= 1 or value == 0 else f"{1000 * value:.3g} ms"
    return f"{value:,.3g}" + ("/s" if unit in ("reqps", "ops") else "")


def _line(query: Query, series: _Series) -> Line:
    name = query.legend
    for label, value in series.metric.items():
        name = name.replace(f"{{{{{label}}}}}", value)
    return Line(name, tuple((at, value) for at, value in series.values if isfinite(value)))


def _axes(unit: Unit, top: float, span: Span) -> str:
    drawn = ""
    for share in (0.0, 0.5, 1.0):
        y = _y(share * top, top)
        drawn += f"<line x1='{LEFT}' x2='{WIDTH}' y1='{y:.1f}' y2='{y:.1f}' stroke='#e4e4e4'/>"
        drawn += f"<text x='{LEFT - 4}' y='{y + 3:.1f}' text-anchor='end'>"
        drawn += f"{shown(share * top, unit)}</text>"
    for at, anchor in ((span.start, "start"), (span.end, "end")):
        clock = f"{datetime.fromtimestamp(at, UTC):%H:%M}"
        drawn += (
            f"<text x='{_x(at, span):.1f}' y='{HEIGHT - 4}' text-anchor='{anchor}'>{clock}</text>"
        )
    return drawn


def _path(line: Line, colour: str, top: float, span: Span) -> str:
    """Return a line, broken where nothing was told for a while."""
    path, before = "", None
    for at, value in line.points:
        gap = before is None or at - before > 3 * span.step_s
        path += f"{'M' if gap else 'L'}{_x(at, span):.1f},{_y(value, top):.1f}"
        before = at
    return f"<path d='{path}' fill='none' stroke='{colour}' stroke-width='1.5'/>"


def _x(at: float, span: Span) -> float:
    return LEFT + (WIDTH - LEFT) * (at - span.start) / (span.end - span.start)


def _y(value: float, top: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)


def _short(name: str) -> str:
    return name if len(name) <= 44 else f"{name[:20]}…{name[-20:]}"


if __name__ == "__main__":
    main()
