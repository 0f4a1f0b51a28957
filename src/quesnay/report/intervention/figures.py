"""The curve of the trade-off, its shadow price, who loses and gains, and what else changes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from .. import words
from ..figures.bars import bars
from ..figures.theme import GAIN, INK, LOSS, MUTED, OUTCOMES, PADDED, Key, Panel, figure, safe
from . import story
from .study import Study

MOST = 12
DASHES, STYLES = ("solid", "dash", "dot"), ("solid", "dashed", "dotted")


def curve(study: Study) -> list[Panel]:
    """Return what goes against what moves, and the shadow price, with the headline marked."""
    moved, reduced = _along(study, 100 * study.moved), _along(study, 100 * study.reduced)
    at = float(100 * study.moved[study.at]), float(100 * study.reduced[study.at])
    reduce, keep = story.called(study.reduce), story.called(study.keep)
    said = f"{at[0]:.3g} % of {keep}: {words.number(at[1])} % of {reduce}"
    first = _lines(
        study, [(moved, reduced, INK, "solid", reduce)], f"{words.sentence(reduce)} reduced, %", "Reduced, %", "What goes",
        f"{said}.", mark=(at, said),
    )  # fmt: skip
    prices = np.asarray(study.found.penalty)
    price = float(prices[study.at])
    unit = words.pretty(study.price_unit)
    which = "shadow price" if study.budgets is not None else "penalty"
    told = f"{words.number(price)} {unit}"
    order = np.argsort(study.moved, kind="stable")
    second = _lines(
        study, [(100 * study.moved[order], prices[order], LOSS, "solid", which)], f"{words.sentence(which)}, {unit}",
        words.sentence(which), "What the next step brings", f"At {at[0]:.3g} %: {told}.", mark=((at[0], price), told),
    )  # fmt: skip
    return [first, second]


def outcomes(study: Study) -> list[Panel]:
    """Return what is reduced, what is kept and all else, in per cent of what they were, against what moves."""
    output = np.asarray(study.found.output).sum(axis=1)
    found = [("gross output", output / float(np.asarray(study.found.base_output).sum()))]
    for name in (study.reduce, study.keep, *study.outcomes):
        base = study.base(name)
        if base > 0:
            found.append((story.called(name), study.totals(name) / base))
    lines, keys, says = [], [], []
    for k, (name, ratio) in enumerate(found):
        colour, values = OUTCOMES[k % len(OUTCOMES)], 100 * (ratio - 1)
        lines.append((_along(study, 100 * study.moved), _along(study, values), colour, DASHES[k % 3], name))
        keys.append(Key(colour, words.sentence(name), STYLES[k % 3]))
        says.append(f"{name} {words.signed(words.rounded(float(values[study.at]), 100))} %")
    message = f"At {100 * float(study.moved[study.at]):.3g} % of {story.called(study.keep)}: {words.listed(says, 12)}."
    return [_lines(study, lines, "Change, % of the table's", "Change, %", "", message, keys=keys)]


def who(study: Study, by: Callable[[np.ndarray], dict[str, np.ndarray]], what: str) -> list[Panel]:
    """Return the changes of what is kept and of what is reduced, by sector or by region, the largest losses first."""
    panels = []
    lost, saved = by(-study.change), by(study.saved)
    names = [name for name in sorted(lost, key=lambda name: -float(lost[name])) if lost[name]]
    gains = [name for name in names if lost[name] < 0][-(MOST // 3) :]
    shown = [name for name in names if name not in gains][: MOST - len(gains)] + gains
    for name, values, verb, colours in (
        (study.keep, lost, "lost", (LOSS, GAIN)), (study.reduce, saved, "reduced", (GAIN, LOSS)),
    ):  # fmt: skip
        size = max((abs(float(v)) for v in values.values()), default=0.0)
        # In a unit that suits more than the largest one.
        factor, unit = words.in_units(size / 10, study.economy.unit(name)) if size else (1.0, study.economy.unit(name))
        rows = [(key, factor * words.rounded(float(values[key]), size), "") for key in shown]
        if not rows:
            continue
        most = max(rows, key=lambda row: row[1])
        called, unit = story.called(name), words.pretty(unit)
        message = f"Most {called} are {verb} in {most[0]}: {words.number(most[1])} {unit}."
        panels.append(bars(rows, f"{words.sentence(called)} {verb} by {what}", unit, message, *colours))
    return panels


def _along(study: Study, values: np.ndarray) -> np.ndarray:
    """Return values in the order of what moves, from 0 on where the table itself is one of the interventions."""
    ordered = values[np.argsort(study.moved, kind="stable")]
    return np.append(0.0, ordered) if study.inert else ordered


Line = tuple[np.ndarray, np.ndarray, str, str, str]


def _lines(
    study: Study, lines: Sequence[Line], axis: str, brief: str, title: str, message: str, *,
    mark: tuple[tuple[float, float], str] | None = None, keys: Sequence[Key] = (),
) -> Panel:  # fmt: skip
    """Return lines against the share that moves, with its points; a point may be marked with a text."""
    data: list[Any] = [
        go.Scatter(
            x=x,
            y=y,
            name=safe(name),
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": dash},
            marker={"color": colour, "size": 6},
            hovertemplate="%{y:,.4g}<extra>" + safe(name) + "</extra>",
        )
        for x, y, colour, dash, name in lines
    ]
    right = max(float(line[0].max()) for line in lines) or 1.0
    top = max(float(line[1].max()) for line in lines)
    bottom = min(0.0, *(float(line[1].min()) for line in lines))
    notes = []
    if mark is not None:
        (x, y), text = mark
        data.append(
            go.Scatter(
                x=[x], y=[y], mode="markers", hoverinfo="skip",
                marker={"color": "#ffffff", "size": 13, "line": {"color": lines[0][2], "width": 3}},
            )
        )  # fmt: skip
        # A rising curve is concave and a falling one convex: the text goes where it is not.
        far = x > 0.55 * right
        above = far == bool(lines[0][1][-1] >= lines[0][1][0])
        notes.append(
            {
                "x": x,
                "y": y,
                "text": safe(text),
                "showarrow": False,
                "xanchor": "right" if far else "left",
                "yanchor": "bottom" if above else "top",
                "xshift": -10 if far else 10,
                "yshift": 8 if above else -8,
                "font": {"size": 12, "color": INK},
            }
        )
    pad = (0.06 if mark is None else 0.15) * (top - bottom or 1.0)
    drawn = figure(
        data,
        annotations=notes,
        hovermode="x unified" if len(lines) > 1 else "closest",
        xaxis={
            "title": {"text": safe(f"{words.sentence(story.called(study.keep))} moved, % of all")},
            "range": [-0.02 * right, 1.04 * right],
            "showgrid": False,
            "ticks": "outside",
            "hoverformat": ".4g",
        },
        yaxis={
            "title": {"text": safe(axis)},
            "nticks": 7,
            "range": [bottom - (pad if bottom < 0 else 0), top + pad],
            "tickformat": "," if top - bottom >= 1000 else "",
            "zeroline": True,
            "zerolinecolor": MUTED,
            **PADDED,
        },
    )
    narrow: dict[str, Any] = {"layout.yaxis.title.text": safe(brief)}
    if notes:
        narrow["layout.annotations"] = []
    return Panel(drawn, 310, message, title, keys, narrow, narrow_height=270)
