"""The table behind the run: the matrix of coefficients, its block of the region hit most, and that block's strongest links."""

import math

import numpy as np
import plotly.graph_objects as go

from .. import words
from ..run import Run
from .graph import graph
from .theme import INK, MUTED, Panel, colours, figure, safe

MOST_CELLS, MOST_SECTORS, DECADES = 240, 40, 5
SCALE = [[0, "#eef3f7"], [0.25, "#c3d7e6"], [0.5, "#7fa9c9"], [0.75, "#3a6f9c"], [1, "#12304d"]]


def structure(run: Run) -> list[Panel]:
    """Return the matrix of coefficients, its block of the region hit most, and a graph of the strongest links in it."""
    A = np.asarray(run.economy.A)
    if not (A > 0).any():
        return []
    top = math.log10(A.max())
    panels = [_whole(run, A, top)] if len(run.economy.regions) > 1 else []
    region = run.findings.regions[0]
    block = _largest(run, region)
    if (A[np.ix_(block, block)] > 0).any():
        panels.append(_zoom(run, A, block, region, top))
    links = graph(run, block, region)
    return panels if links is None else [*panels, links]


def _largest(run: Run, region: str) -> np.ndarray:
    """Return the positions of a region's accounts, in the order of the table; of many, the ones with the largest output."""
    mine = np.flatnonzero(run.regions == region)
    output = np.asarray(run.economy.output)[mine]
    kept = np.sort(np.argsort(-output, kind="stable")[:MOST_SECTORS])
    return mine[kept]


def _heat(values: np.ndarray, top: float, hover: str, bar: bool) -> go.Heatmap:
    positive = values > 0
    logs = np.where(positive, np.log10(np.where(positive, values, 1)), np.nan)
    low = math.floor(top) - DECADES + 1
    ticks = list(range(low, math.floor(top) + 1))
    return go.Heatmap(
        z=np.maximum(logs, low).astype(np.float32),
        zmin=low,
        zmax=top,
        colorscale=SCALE,
        showscale=bar,
        hoverongaps=False,
        customdata=values.astype(np.float32),
        hovertemplate=hover,
        colorbar={
            "orientation": "h",
            "x": 0.5,
            "y": -0.02,
            "yanchor": "top",
            "thickness": 10,
            "len": 0.9,
            "outlinewidth": 0,
            "tickvals": ticks,
            "ticktext": [words.power(k) for k in ticks],
            "title": {
                "text": "Input per unit of output (log scale)",
                "side": "bottom",
                "font": {"size": 12, "color": MUTED},
            },
        },
    )


def _whole(run: Run, A: np.ndarray, top: float) -> Panel:
    names = list(run.economy.regions)
    codes = np.array([names.index(r) for r in run.regions])
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes, minlength=len(names))
    edges = np.append(0, np.cumsum(counts))
    width = -(-len(A) // MOST_CELLS)
    cells = A[np.ix_(order, order)]
    if width > 1:
        starts = np.arange(0, len(A), width)
        cells = np.maximum.reduceat(np.maximum.reduceat(cells, starts, axis=0), starts, axis=1)
    trace = _heat(cells, top, "%{customdata:.3g}<extra></extra>", bar=True)
    at = np.minimum(np.arange(len(cells)) * width + (width - 1) / 2, len(A) - 1)
    trace.x, trace.y = at, at
    line = {"color": INK, "width": 0.75}
    frame = {"type": "line", "x0": -0.5, "x1": len(A) - 0.5, "line": line}
    shapes = [{**frame, "y0": e - 0.5, "y1": e - 0.5} for e in edges]
    shapes += [
        {"type": "line", "y0": -0.5, "y1": len(A) - 0.5, "x0": e - 0.5, "x1": e - 0.5, "line": line} for e in edges
    ]
    region = names.index(run.findings.regions[0])
    a, b = edges[region] - 0.5, edges[region + 1] - 0.5
    mark = {
        "type": "rect",
        "x0": a,
        "x1": b,
        "y0": a,
        "y1": b,
        "line": {"color": colours(run)[names[region]], "width": 2.5},
    }
    every = -(-len(names) // 42)
    middles = (edges[:-1] + edges[1:] - 1) / 2
    labels = [safe(words.shorten(n, 14)) for n in names]
    size = 12 if len(names) <= 12 else 9
    axis = {
        "tickvals": middles[::every],
        "ticktext": labels[::every],
        "showgrid": False,
        "tickfont": {"size": size, "color": INK},
    }
    chart = figure(
        [trace],
        shapes=[*shapes, mark],
        xaxis={
            **axis,
            "side": "top",
            "range": [-0.5, len(A) - 0.5],
            "tickangle": 0 if len(names) <= 4 else -90,
            "title": {"text": "Buyer"},
        },
        yaxis={**axis, "range": [len(A) - 0.5, -0.5], "title": {"text": "Seller"}},
    )
    local = A[codes[:, None] == codes[None, :]].sum() / A.sum()
    message = f"{words.number(int((A > 0).sum()))} of {words.number(A.size)} coefficients are positive."
    message += f" Purchases within the own region make up {words.percent(local)} of their sum."
    joined = f" Every cell is the largest of {width} × {width} coefficients." if width > 1 else ""
    return Panel(chart, 520, message + joined, f"All {words.number(len(A))} accounts", narrow_height=430, wide=False)


def _zoom(run: Run, A: np.ndarray, block: np.ndarray, region: str, top: float) -> Panel:
    sectors = [run.accounts[k][1] for k in block]
    trace = _heat(
        A[np.ix_(block, block)],
        top,
        "%{y} → %{x}<br>%{customdata:.3g}<extra></extra>",
        bar=len(run.economy.regions) == 1,
    )
    rows = list(range(len(block)))
    size = 10 if len(block) <= 32 else 9
    axis = {"tickvals": rows, "tickfont": {"size": size, "color": INK}, "showgrid": False}
    names = [safe(words.shorten(s, 24)) for s in sectors]
    chart = figure(
        [trace],
        xaxis={
            **axis,
            "ticktext": names,
            "side": "top",
            "tickangle": -90,
            "range": [-0.5, len(block) - 0.5],
            "title": {"text": "Buyer"},
        },
        yaxis={**axis, "ticktext": names, "range": [len(block) - 0.5, -0.5], "title": {"text": "Seller"}},
    )
    short = [safe(words.shorten(s, 14)) for s in sectors]
    narrow = {
        "layout.yaxis.ticktext": short,
        "layout.yaxis.tickfont.size": 8,
        "layout.xaxis.ticktext": short,
        "layout.xaxis.tickfont.size": 8,
    }
    values = A[np.ix_(block, block)]
    i, j = np.unravel_index(int(values.argmax()), values.shape)
    largest = f"its largest is {words.number(values[i, j], 2)}, from {sectors[i]} to {sectors[j]}"
    own = int((run.regions == region).sum())
    title = f"Within {region}" + (f": the {len(block)} largest of {own} sectors" if own > len(block) else "")
    return Panel(chart, 520, f"The block of {region}: {largest}.", title, narrow=narrow, narrow_height=430, wide=False)
