"""A directed graph around an ellipse: where its nodes lie, their labels, and arrows between them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import words
from .theme import INK, safe

CYCLE, LINK = "#1f4e79", "#b7c2cc"


@dataclass(frozen=True)
class Link:
    """An arrow: the numbers of seller (or cause) and buyer (or effect), how strong it is, and whether it lies on a cycle."""

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


def arranged(links: Sequence[Link]) -> list[int]:
    """Return the nodes of these links in an order around a circle that puts partners near each other, the busiest first."""
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


def drawn(
    circle: list[int], links: Sequence[Link], sizes: dict[int, float], names: list[str], view: View
) -> dict[str, list[Any]]:
    """Return places and sizes of the dots, and the shapes and annotations of arrows and labels."""
    angles = [math.pi / 2 - 2 * math.pi * (i + 0.5) / len(circle) for i in range(len(circle))]
    at = {k: (view.stretch * math.cos(v), math.sin(v)) for k, v in zip(circle, angles, strict=True)}
    radius = {k: (view.dot * sizes[k] / 2 + 1.5) / view.pixels for k in circle}
    shapes = []
    for link in sorted(links, key=lambda link: link.cyclic):
        ends = (at[link.seller], at[link.buyer], radius[link.seller], radius[link.buyer])
        width = view.line * (1 + 5 * math.sqrt(link.flow / links[0].flow))
        arrow = _loop if link.seller == link.buyer else _arrow
        shapes += arrow(*ends, width, view.pixels, CYCLE if link.cyclic else LINK)
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
    return _shapes(f"M {tail[0]:.4f},{tail[1]:.4f} Q {mx:.4f},{my:.4f}", neck, tip, width, colour)


def _loop(
    place: tuple[float, float],
    _end: tuple[float, float],
    radius: float,
    _end_radius: float,
    width: float,
    pixels: float,
    colour: str,
) -> list[dict[str, Any]]:
    """Return the arrow of a node to itself: an arc beside its label, away from other arrows, and its head, as shapes."""
    aside = math.atan2(place[1], place[0]) + 1.5
    head = (5 + 1.6 * width) / pixels

    def around(angle: float, distance: float) -> tuple[float, float]:
        return place[0] + distance * math.cos(aside + angle), place[1] + distance * math.sin(aside + angle)

    tail, tip, neck = around(0.6, radius), around(-0.6, radius), around(-0.6, radius + head)
    far = [around(angle, radius + 4 * head) for angle in (0.9, -0.9)]
    bend = " ".join(f"{x:.4f},{y:.4f}" for x, y in far)
    return _shapes(f"M {tail[0]:.4f},{tail[1]:.4f} C {bend}", neck, tip, width, colour)


def _shapes(
    begun: str, neck: tuple[float, float], tip: tuple[float, float], width: float, colour: str
) -> list[dict[str, Any]]:
    """Return a curve that ends at a neck, and the head between there and the tip."""
    ux, uy = (tip[0] - neck[0]) * 0.42, (tip[1] - neck[1]) * 0.42
    curve = f"{begun} {neck[0]:.4f},{neck[1]:.4f}"
    sides = f"L {neck[0] - uy:.4f},{neck[1] + ux:.4f} L {neck[0] + uy:.4f},{neck[1] - ux:.4f} Z"
    common = {"type": "path", "layer": "below"}
    return [
        {**common, "path": curve, "line": {"color": colour, "width": round(width, 2)}},
        {**common, "path": f"M {tip[0]:.4f},{tip[1]:.4f} {sides}", "line": {"width": 0}, "fillcolor": colour},
    ]
