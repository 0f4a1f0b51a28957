"""What held output back, and when: the cause on every day, and how low the stocks fell."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from ...supply import CAPACITY, DEMAND
from .. import words
from ..run import Run
from .theme import INK, MUTED, OTHERS, SUPPLIERS, Key, Panel, brief, days_axis, figure, safe, shading, thin

FELL = 0.01
"""A stock counts as having fallen where it is more than this share below its target."""
MOST_ROWS, MOST_SUPPLIERS, MOST_STOCKS = 22, 6, 12
DEMAND_COLOUR, CAPACITY_COLOUR, REST_COLOUR = "#f1f3f5", "#a4b0ba", "#5b4a3f"


def causes(run: Run) -> list[Panel]:
    """Return what set the output of the accounts that were held back, day by day; nothing where demand always did."""
    found = run.findings.causes
    by_input = found.held_back > 0
    share = found.input if by_input else found.capacity
    order = [k for k in np.argsort(-share, kind="stable").tolist() if share[k] > 0]
    if not order:
        return []
    rows = order[:MOST_ROWS]
    cause = np.asarray(run.path.bottleneck)
    suppliers = _leading(cause)
    codes = np.full(cause.shape, 2 + len(suppliers))
    codes[cause == DEMAND], codes[cause == CAPACITY] = 0, 1
    for k, supplier in enumerate(suppliers):
        codes[cause == supplier] = 2 + k
    names = ["demand", "own capacity", *(run.label(k) for k in suppliers), "another input"]
    palette = [DEMAND_COLOUR, CAPACITY_COLOUR, *SUPPLIERS[: len(suppliers)], REST_COLOUR]
    drawn = _most_frequent(codes[:, rows], thin(run.days), len(names)).T
    labels = [run.label(k) for k in rows]
    scale = [[(k + end) / len(palette), colour] for k, colour in enumerate(palette) for end in (0, 1)]
    trace = go.Heatmap(
        z=drawn.astype(np.int8),
        x=days_axis(run),
        y=list(range(len(rows))),
        zmin=-0.5,
        zmax=len(palette) - 0.5,
        colorscale=scale,
        showscale=False,
        ygap=1,
        text=[[safe(names[c]) for c in row] for row in drawn],
        hovertemplate="%{y}<br>day %{x:.0f}: %{text}<extra></extra>",
    )
    chart = figure(
        [trace],
        shapes=[s for s in shading(run) if s["type"] == "line"],
        xaxis={"title": {"text": "Day"}, "range": [-0.5, run.days - 0.5], "showgrid": False, "ticks": "outside"},
        yaxis={
            "tickvals": list(range(len(rows))),
            "ticktext": [safe(words.shorten(label, 40)) for label in labels],
            "range": [len(rows) - 0.5, -0.5],
            "showgrid": False,
        },
    )
    narrow = {
        "layout.yaxis.ticktext": [safe(brief(run, k)) for k in rows],
        "layout.yaxis.tickfont.size": 10,
    }
    seen = set(np.unique(drawn).tolist())
    legend = [Key(palette[k], _legend(names[k], k, len(suppliers))) for k in range(len(names)) if k in seen]
    what = "a missing input" if by_input else "its own capacity"
    longest = words.count(round(float(share[rows[0]]) * run.days), "day")
    message = f"{labels[0]} was held back by {what} on {longest}, more than any other."
    title = (
        ""
        if len(order) <= MOST_ROWS
        else f"The {MOST_ROWS} of {words.number(len(order))} sectors that were held back longest"
    )
    return [Panel(chart, max(115, 74 + 21 * len(rows)), message, title, legend, narrow)]


def _legend(name: str, code: int, suppliers: int) -> str:
    if code == 0:
        return "Demand: nothing held it back"
    if code == 1:
        return "Own capacity"
    return f"Input: {name}" if code < 2 + suppliers else "Input: from another supplier"


def _leading(cause: np.ndarray) -> list[int]:
    """Return the suppliers whose input was scarcest most often."""
    counts = np.bincount(cause[cause >= 0], minlength=1)
    return [k for k in np.argsort(-counts, kind="stable").tolist()[:MOST_SUPPLIERS] if counts[k] > 0]


def _most_frequent(codes: np.ndarray, width: int, kinds: int) -> np.ndarray:
    """Return the code that is most frequent in every span of `width` days."""
    if width == 1:
        return codes
    starts = np.arange(0, len(codes), width)
    counts = np.stack([np.add.reduceat(codes == k, starts, axis=0) for k in range(kinds)])
    return counts.argmax(axis=0)


def lowest_stocks(run: Run) -> list[Panel]:
    """Return the inputs whose stocks fell lowest; nothing where none fell below its target."""
    target = np.broadcast_to(np.asarray(run.model.inventory), run.economy.n)
    fell = [stock for stock in run.findings.stocks if stock.days < target[stock.customer] * (1 - FELL)]
    stocks = fell[:MOST_STOCKS]
    if not stocks:
        return []
    aim = [float(target[stock.customer]) for stock in stocks]
    labels = [run.label(stock.supplier) for stock in stocks]
    rows = list(range(len(stocks)))
    bars = go.Bar(
        orientation="h",
        x=[stock.days for stock in stocks],
        y=rows,
        width=0.6,
        marker={"color": OTHERS},
        customdata=[safe(run.label(stock.customer)) for stock in stocks],
        hovertemplate="%{y}<br>lowest at %{customdata}: %{x:.3g} days<extra></extra>",
    )
    aims = go.Scatter(
        x=aim,
        y=rows,
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 13, "color": INK, "line": {"width": 2}},
        hovertemplate="%{y}<br>target %{x:.3g} days<extra></extra>",
    )
    top = max(*aim, *(stock.days for stock in stocks))
    texts = [f"{words.number(stock.days, 2)} (day {words.number(stock.day)})" for stock in stocks]
    chart = figure(
        [bars, aims],
        annotations=_column(texts, 1.03 * top, 12),
        xaxis={
            "title": {"text": "Days of the buyer's base output that the stock lasts"},
            "range": [0, 1.17 * top],
            "showgrid": False,
            "ticks": "outside",
        },
        yaxis={
            "tickvals": rows,
            "ticktext": [safe(words.shorten(label, 40)) for label in labels],
            "range": [len(rows) - 0.5, -0.5],
            "showgrid": False,
            "ticks": "outside",
            "ticklen": 4,
        },
    )
    narrow = {
        "layout.yaxis.ticktext": [safe(brief(run, stock.supplier)) for stock in stocks],
        "layout.yaxis.tickfont.size": 10,
        "layout.xaxis.title.text": "Days that the stock lasts",
        "layout.annotations": _column(texts, 1.04 * top, 10),
        "layout.xaxis.range": [0, 1.5 * top],
    }
    first = stocks[0]
    message = (
        f"The lowest stock of {labels[0]}, held by {run.label(first.customer)}, lasts {words.number(first.days, 2)} days "
        f"at the end of day {words.number(first.day)}."
    )
    legend = [
        Key(OTHERS, "lowest stock of the product that any buyer had, and the day"),
        Key(INK, "the buyer's target"),
    ]
    title = f"Inputs whose stock fell more than {100 * FELL:g} % below its target"
    title += f": {len(rows)} of {words.number(len(fell))}" if len(fell) > len(rows) else ""
    return [Panel(chart, max(130, 66 + 24 * len(rows)), message, title, legend, narrow, narrow_below=760)]


def _column(texts: list[str], x: float, size: int) -> list[dict[str, Any]]:
    font = {"size": size, "color": MUTED}
    return [
        {"x": x, "y": k, "text": text, "showarrow": False, "xanchor": "left", "font": font}
        for k, text in enumerate(texts)
    ]
