"""The strongest links within a region as a directed graph around an ellipse."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from scipy.sparse.csgraph import connected_components

from .. import words
from ..run import Run
from .theme import INK, LOSS, Key, Panel, figure, safe

MOST_LINKS = 30
CYCLE, LINK = "#1f4e79", "#b7c2cc"


@dataclass(frozen=True)
class Link:
    """A flow: the places of seller and buyer in the block, currency per year, and whether it lies on a cycle."""

    seller: int
    buyer: int
    flow: float
    cyclic: bool


@dataclass(frozen=True)
class View:
    """How large a graph is drawn: its half axes, its range, pixels per unit, and sizes of dots, text and lines."""

    stretch: float
    reach: tuple[float, float]
    pixels: float
    dot: float
    font: int
    letters: int
    line: float


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
    wide, narrow = (_drawn(circle, links, sizes, names, view) for view in (WIDE, NARROW))
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


def arranged(links: Sequence[Link]) -> list[int]:
    """Return the sectors of these links in an order around a circle that puts partners near each other, the busiest first."""
    weight: dict[int, float] = {}
    for link in links:
        for end in (link.seller, link.buyer):
            weight[end] = weight.get(end, 0.0) + link.flow
    circle: list[int] = []
    for sector in sorted(weight, key=lambda k: -weight[k]):
        # Insert where the arcs to the partners that are placed already are shortest.
        trials = [[*circle[:i], sector, *circle[i:]] for i in range(len(circle) + 1)]
        circle = min(trials, key=lambda trial: _arcs(trial, links))
    return circle


def _arcs(circle: list[int], links: Sequence[Link]) -> float:
    place, size = {k: i for i, k in enumerate(circle)}, len(circle)
    total = 0.0
    for link in links:
        if link.seller in place and link.buyer in place:
            apart = abs(place[link.seller] - place[link.buyer])
            total += link.flow * min(apart, size - apart)
    return total


def _range(reach: float) -> list[float]:
    return [-reach, reach]


def _drawn(
    circle: list[int], links: Sequence[Link], sizes: dict[int, float], names: list[str], view: View
) -> dict[str, list[Any]]:
    angles = [math.pi / 2 - 2 * math.pi * (i + 0.5) / len(circle) for i in range(len(circle))]
    at = {k: (view.stretch * math.cos(v), math.sin(v)) for k, v in zip(circle, angles, strict=True)}
    radius = {k: (view.dot * sizes[k] / 2 + 1.5) / view.pixels for k in circle}
    shapes = []
    for link in sorted(links, key=lambda link: link.cyclic):
        ends = (at[link.seller], at[link.buyer], radius[link.seller], radius[link.buyer])
        width = view.line * (1 + 5 * math.sqrt(link.flow / links[0].flow))
        shapes += _arrow(*ends, width, view.pixels, CYCLE if link.cyclic else LINK)
    return {
        "x": [at[k][0] for k in circle],
        "y": [at[k][1] for k in circle],
        "size": [view.dot * sizes[k] for k in circle],
        "shapes": shapes,
        "annotations": [
            _label(at[k], radius[k] * view.pixels, name, view) for k, name in zip(circle, names, strict=True)
        ],
    }


def _label(place: tuple[float, float], radius: float, text: str, view: View) -> dict[str, Any]:
    """Return a label that runs outwards from its dot; it begins beside the dot, however long it is."""
    angle = math.atan2(place[1], place[0])
    right = math.cos(angle) >= -1e-9
    # Letters are a little more than half as wide as high; all labels end where the drawing does.
    parts = (abs(math.cos(angle)), abs(math.sin(angle)))
    rooms = [(view.reach[k] - abs(place[k])) * view.pixels - (radius + 7) * parts[k] for k in (0, 1)]
    fits = min(room / max(part * 0.62 * view.font, 1e-9) for room, part in zip(rooms, parts, strict=True))
    text, size = words.shorten(text, int(min(view.letters, max(fits, 4)))), view.font
    away = radius + 7 + 0.3 * size * len(text)
    return {
        "x": place[0],
        "y": place[1],
        "xshift": away * math.cos(angle),
        "yshift": away * math.sin(angle),
        "text": safe(text),
        "showarrow": False,
        "textangle": -math.degrees(angle) if right else 180 - math.degrees(angle),
        "font": {"size": size, "color": INK},
        "xanchor": "center",
        "yanchor": "middle",
    }


def _arrow(
    start: tuple[float, float],
    end: tuple[float, float],
    start_radius: float,
    end_radius: float,
    width: float,
    pixels: float,
    colour: str,
) -> list[dict[str, Any]]:
    """Return a curve that bends towards the middle, and its head, as shapes; opposite flows bend to different sides."""
    (x0, y0), (x1, y1) = start, end
    apart = math.hypot(x1 - x0, y1 - y0)
    pull = 1 - 0.45 * min(1.0, apart / 2)
    mx, my = pull * (x0 + x1) / 2 + 0.09 * (y1 - y0), pull * (y0 + y1) / 2 - 0.09 * (x1 - x0)

    def towards(x: float, y: float, distance: float) -> tuple[float, float]:
        length = math.hypot(mx - x, my - y) or 1.0
        return x + distance * (mx - x) / length, y + distance * (my - y) / length

    head = (5 + 1.6 * width) / pixels
    tail, tip, neck = towards(x0, y0, start_radius), towards(x1, y1, end_radius), towards(x1, y1, end_radius + head)
    ux, uy = (tip[0] - neck[0]) * 0.42, (tip[1] - neck[1]) * 0.42
    curve = f"M {tail[0]:.4f},{tail[1]:.4f} Q {mx:.4f},{my:.4f} {neck[0]:.4f},{neck[1]:.4f}"
    sides = f"L {neck[0] - uy:.4f},{neck[1] + ux:.4f} L {neck[0] + uy:.4f},{neck[1] - ux:.4f} Z"
    common = {"type": "path", "layer": "below"}
    return [
        {**common, "path": curve, "line": {"color": colour, "width": round(width, 2)}},
        {**common, "path": f"M {tip[0]:.4f},{tip[1]:.4f} {sides}", "line": {"width": 0}, "fillcolor": colour},
    ]
