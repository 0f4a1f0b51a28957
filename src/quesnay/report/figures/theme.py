"""How all drawings look: colours, fonts, axes, and the panel that carries a figure to the page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plotly.graph_objects as go

from .. import words
from ..run import Run
from ..sensitivities import losses_of

INK, MUTED, RULE, FAINT = "#1b2a38", "#5a6875", "#d5dbe1", "#f1f3f5"
GAIN, LOSS, SPREAD = "#3f7fb5", "#a8352a", "#e39a6b"
OTHERS = "#8a97a3"
REGIONS = ("#1f6fb2", "#c9760a", "#0f8b6d", "#a23b87", "#5aa9dd", "#7a6a1f", "#3d348b")
"""Colours of the regions with the largest losses; told apart under all common colour blindness. The rest share `OTHERS`."""
OUTCOMES = (INK, "#44aa99", "#882255", "#999933", "#6699cc", "#cc6677")
SUPPLIERS = ("#332288", "#44aa99", "#cc6677", "#ddcc77", "#88ccee", "#882255", "#117733")
PADDED = {"ticks": "outside", "ticklen": 6, "tickcolor": "rgba(0,0,0,0)"}
"""Room between an axis and its labels."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"
MOST_DAYS = 400
"""Days that a drawing shows one by one; a longer horizon is averaged over equal spans for drawing only."""


@dataclass(frozen=True)
class Key:
    """An entry of a legend: a colour, its meaning, and the style of a line ("dashed"; "none" for a sign in the text)."""

    colour: str
    text: str
    line: str = ""


@dataclass(frozen=True)
class Panel:
    """A figure on its way to the page.

    Attributes
    ----------
    figure, height:
        The plotly figure and its height in pixels; its width is the page's.
    message:
        What it shows, for those who do not see it: computed, not a description of the drawing.
    title:
        A short heading above it.
    legend:
        What the colours mean, drawn by the page.
    narrow:
        What changes where there is little room: dotted path into the figure -> value. narrow_height: the height there.
        narrow_below: the width in pixels under which there is little room.
    wide:
        Whether it takes the whole width of the page beside other panels.
    """

    figure: go.Figure
    height: int
    message: str
    title: str = ""
    legend: Sequence[Key] = ()
    narrow: Mapping[str, Any] = field(default_factory=dict)
    narrow_height: int | None = None
    narrow_below: int = 460
    wide: bool = True


def safe(label: str) -> str:
    """Return a label in which plotly finds no markup."""
    return label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def figure(data: Sequence[Any], **layout: Any) -> go.Figure:
    """Return a figure in the report's style."""
    axis = {
        "automargin": True,
        "fixedrange": True,
        "gridcolor": RULE,
        "gridwidth": 1,
        "linecolor": RULE,
        "tickcolor": RULE,
        "tickfont": {"size": 12, "color": MUTED},
        "title": {"font": {"size": 12, "color": MUTED}, "standoff": 10},
        "zeroline": False,
        "separatethousands": True,
    }
    template = {
        "layout": {
            "font": {"family": FONT, "size": 12, "color": INK},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {
                "font": {"family": FONT, "size": 12},
                "bgcolor": "#ffffff",
                "bordercolor": RULE,
                "align": "left",
            },
            "separators": ".,",
        }
    }
    basis = {"template": template, "margin": {"l": 8, "r": 12, "t": 8, "b": 8}, "showlegend": False, "dragmode": False}
    return go.Figure(list(data), {**basis, **layout})


def colours(run: Run) -> dict[str, str]:
    """Return the colour of each region: in the order of the table, or, of many, of the losses; the rest share one."""
    return palette(run.economy.regions, run.findings.regions)


def palette(regions: Sequence[str], ranked: Sequence[str]) -> dict[str, str]:
    """Return the colour of each region, given also in the order of their losses."""
    order = regions if len(regions) <= len(REGIONS) else ranked
    return {name: REGIONS[k] if k < len(REGIONS) else OTHERS for k, name in enumerate(order)}


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return at most `most` round numbers between two numbers, zero among them where it lies between."""
    if not high > low:
        return [low]
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step *= next(k for k in (1, 2, 5, 10) if (high - low) / (k * step) <= most - 1 or k == 10)
    return [float(k * step) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def brief(run: Run, account: int) -> str:
    """Return an account's name for a narrow screen, both of its parts cut."""
    region, sector = run.accounts[account]
    if len(run.economy.regions) == 1:
        return words.shorten(sector, 18)
    return f"{words.shorten(sector, 13)} · {words.shorten(region, 7)}"


def thin(days: int) -> int:
    """Return how many days a drawing joins into one column or point."""
    return -(-days // MOST_DAYS)


def averaged(values: np.ndarray, width: int) -> np.ndarray:
    """Return the means of (days, ...) over spans of `width` days; the last span may be shorter."""
    if width == 1:
        return values
    starts = np.arange(0, len(values), width)
    counts = np.diff(np.append(starts, len(values))).reshape(-1, *[1] * (values.ndim - 1))
    return np.add.reduceat(values, starts, axis=0) / counts


def days_axis(run: Run) -> np.ndarray:
    """Return the day in the middle of each drawn span."""
    return averaged(np.arange(run.days, dtype=float), thin(run.days))


def window(run: Run) -> tuple[float, float] | None:
    """Return the first and the last day on which the whole loss of any shock lasts, within the horizon."""
    spans = []
    for part in losses_of(run.shock):
        lost = np.broadcast_to(np.asarray(part.loss), run.economy.n) > 0
        start, duration = (np.broadcast_to(np.asarray(v), run.economy.n)[lost] for v in (part.start, part.duration))
        if lost.any():
            spans.append((start.min(), (start + duration).max()))
    if not spans or min(s for s, _ in spans) >= run.days:
        return None
    return min(s for s, _ in spans), min(max(e for _, e in spans), run.days - 1)


def shading(run: Run) -> list[dict[str, Any]]:
    """Return the shapes that mark the time of full loss in a plot over days."""
    span = window(run)
    if span is None:
        return []
    edge = {"type": "line", "x0": span[0], "x1": span[0], "y0": 0, "y1": 1, "yref": "paper"}
    shapes: list[dict[str, Any]] = [{**edge, "line": {"color": MUTED, "width": 1, "dash": "dot"}}]
    if span[1] > span[0]:
        band = {"type": "rect", "x0": span[0], "x1": span[1], "y0": 0, "y1": 1, "yref": "paper", "layer": "below"}
        shapes.append({**band, "fillcolor": FAINT, "line": {"width": 0}})
    return shapes


def note_on_days(run: Run) -> str:
    """Return a sentence on how days were joined for drawing, or nothing."""
    width = thin(run.days)
    return f" Drawn as means of {width} days; all numbers are computed from single days." if width > 1 else ""


def note_on_window(run: Run) -> str:
    """Return a sentence that explains the shading, or nothing."""
    span = window(run)
    if span is None:
        return ""
    start = words.number(span[0])
    if span[1] <= span[0]:
        return f" The dotted line marks the shock on day {start}."
    return f" The dotted line marks the shock on day {start}; the shaded band, the days until recovery begins."
