"""The strongest links within a region as a directed graph around an ellipse."""

import math

import numpy as np
import plotly.graph_objects as go
from scipy.sparse.csgraph import connected_components

from .. import words
from ..run import Run
from .ring import CYCLE, LINK, Link, View, arranged, drawn
from .theme import LOSS, Key, Panel, figure, safe

MOST_LINKS = 30
WIDE = View(stretch=1.95, reach=(3.28, 2.05), pixels=150, dot=0.95, font=12, letters=28, line=1.0)
NARROW = View(stretch=1.0, reach=(2.1, 2.1), pixels=92, dot=0.55, font=9, letters=17, line=0.7)


def links_of(run: Run, block: np.ndarray) -> list[Link]:
    """Return the largest flows between different sectors of a block, the largest first."""
    Z = np.array(run.economy.Z)[np.ix_(block, block)]
    np.fill_diagonal(Z, 0)
    order = np.argsort(-Z, axis=None, kind="stable")[:MOST_LINKS]
    pairs = [(int(k // len(Z)), int(k % len(Z))) for k in order if Z.flat[k] > 0]
    graph = np.zeros(Z.shape)
    for seller, buyer in pairs:
        graph[seller, buyer] = 1
    # Both ends in one strongly connected part: there is a way back.
    _, part = connected_components(graph, directed=True, connection="strong")
    return [Link(a, b, float(Z[a, b]), bool(part[a] == part[b])) for a, b in pairs]


def graph(run: Run, block: np.ndarray, region: str) -> Panel | None:
    """Return the graph of the largest flows within a block; None where there is no flow between sectors."""
    links = links_of(run, block)
    if not links:
        return None
    circle = arranged(links)
    output = np.asarray(run.economy.output)[block]
    hit = run.findings.split.hit[block]
    sectors = [run.accounts[k][1] for k in block]
    sizes = {k: 9 + 25 * math.sqrt(output[k] / output[circle].max()) for k in circle}
    names = [sectors[k] for k in circle]
    wide, narrow = (drawn(circle, links, sizes, names, view) for view in (WIDE, NARROW))
    dots = go.Scatter(
        x=wide["x"],
        y=wide["y"],
        mode="markers",
        marker={
            "size": wide["size"],
            "color": [LOSS if hit[k] else CYCLE for k in circle],
            "opacity": 1,
            "line": {"color": "#ffffff", "width": 1.5},
        },
        customdata=[
            f"{safe(sectors[k])}<br>output {words.money(output[k], run.economy.currency)} a year" for k in circle
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )
    axis = {"visible": False, "automargin": False}
    chart = figure(
        [dots],
        shapes=wide["shapes"],
        annotations=wide["annotations"],
        xaxis={**axis, "range": _range(WIDE.reach[0])},
        yaxis={**axis, "scaleanchor": "x", "range": _range(WIDE.reach[1])},
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
    )
    changes = {
        "data.0.x": narrow["x"],
        "data.0.y": narrow["y"],
        "data.0.marker.size": narrow["size"],
        "layout.shapes": narrow["shapes"],
        "layout.annotations": narrow["annotations"],
        "layout.xaxis.range": _range(NARROW.reach[0]),
        "layout.yaxis.range": _range(NARROW.reach[1]),
    }
    cyclic = sum(link.cyclic for link in links)
    first = links[0]
    message = (
        f"Of the {len(links)} largest flows within {region}, {cyclic or 'none'} {'lies' if cyclic < 2 else 'lie'} on a cycle; "
        "the largest is from "
        f"{sectors[first.seller]} to {sectors[first.buyer]}, {words.money(first.flow, run.economy.currency)} a year."
    )
    keys = (Key(CYCLE, "flow on a cycle", "solid"), Key(LINK, "other flow", "solid"), Key(LOSS, "sector that was hit"))
    present = (cyclic > 0, cyclic < len(links), bool(hit[circle].any()))
    legend = [key for key, there in zip(keys, present, strict=True) if there]
    title = f"The {len(links)} largest flows within {region}, seller to buyer"
    return Panel(chart, 620, message, title, legend, changes, narrow_height=400, narrow_below=800)


def _range(reach: float) -> list[float]:
    return [-reach, reach]
