"""Who loses most, and whose vulnerability is best reduced first: bars, and a heat map of sectors over warming."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from ... import words
from ...figures.sectors import bounds, cells, classes_legend
from ...figures.theme import GAIN, INK, LOSS, MUTED, Panel, figure, safe
from ..story import degrees, in_units, tenths
from ..study import Study
from .over_temperature import PADDED

MOST, MOST_ROWS = 12, 18
NOTHING = 1e-9
"""Losses below this share are rounding."""


def sectors(study: Study) -> list[Panel]:
    """Return the largest losses by sector as bars, and the share lost over warming as a heat map."""
    lost, base = study.by_sector(study.lost), study.by_sector(study.base_value_added)
    there = study.drawable()
    names = [name for name in study.economy.sectors if base[name] > 0]
    share = np.array([np.where(there, lost[name] / base[name], 0) for name in names])
    largest = float(share.max(initial=0))
    if largest <= NOTHING:
        return []
    kept = [name for name in study.ranked_sectors if name in names][:MOST]
    factor, unit = in_units(max(abs(float(lost[name][study.at])) for name in kept), study.economy.currency)
    values, unit = [factor * float(lost[name][study.at]) for name in kept], f"{unit} a year"
    say = f"{kept[0]} loses most at {degrees(study.temperatures[study.at])}: {words.number(values[0])} {unit}."
    title = f"Loss at {degrees(study.temperatures[study.at])}, {unit}"
    bars = _bars([(name, value, "") for name, value in zip(kept, values, strict=True)], title, unit, say, LOSS, GAIN)
    if study.temperatures.size < 2:
        return [bars]
    steps = bounds(largest)
    order = np.argsort(-share[:, study.at], kind="stable")[:MOST_ROWS]
    rows = list(range(len(order)))
    shown = share[order][:, there]
    trace = cells(study.temperatures[there], rows, shown, steps, "%{x:.4g} °C: %{customdata:.3g} % of its value added")
    chart = figure(
        [trace],
        xaxis={"title": {"text": "Warming above 1850–1900, °C"}, "showgrid": False, "ticks": "outside"},
        yaxis={
            "tickvals": rows,
            "ticktext": [safe(words.shorten(names[k], 30)) for k in order],
            "range": [len(rows) - 0.5, -0.5],
            "showgrid": False,
            **PADDED,
        },
    )
    worst = names[int(order[0])]
    most = words.percent(float(share[order[0], study.at]))
    message = f"{worst} loses the largest share at {degrees(study.temperatures[study.at])}, {most}."
    narrow = {
        "layout.yaxis.ticktext": [safe(words.shorten(names[k], 28)) for k in order],
        "layout.yaxis.tickfont.size": 10,
        "layout.xaxis.title.text": "Warming, °C",
    }
    title = f"Share of own value added lost ({len(order)} of {len(names)})"
    keys = classes_legend(steps, float((-shown).max(initial=0)) > steps[0])
    return [bars, Panel(chart, max(130, 74 + 21 * len(rows)), message, title, keys, narrow, wide=False)]


def resilience(study: Study) -> list[Panel]:
    """Return what a tenth less vulnerability adds to GDP, for the accounts where it adds most."""
    gains = tenths(study)
    if gains is None:
        return []
    top = [k for k in np.argsort(-gains, kind="stable").tolist()[:10] if gains[k] > 0]
    if not top:
        return []
    factor, unit = in_units(float(gains[top[0]]), study.economy.currency)
    unit = f"{unit} a year"
    rows = [(study.label(k), factor * float(gains[k]), f"vulnerability {study.gamma[k]:.3g}") for k in top]
    at = degrees(study.temperatures[study.at])
    say = f"A tenth less vulnerability in {rows[0][0]} adds {words.number(rows[0][1])} {unit} to GDP at {at}."
    return [_bars(rows, "", f"GDP gained at {at}, {unit}", say, GAIN, LOSS, wide=True)]


def _bars(
    rows: Sequence[tuple[str, float, str]], title: str, unit: str, message: str, more: str, less: str, *, wide: bool = False
) -> Panel:  # fmt: skip
    """Return horizontal bars with their amounts at the end; the third of a row is a second line of its label."""
    values = [value for _, value, _ in rows]
    low, high = min(0.0, *values), max(0.0, *values)
    span = (high - low) or 1.0
    at = list(range(len(rows)))
    grey = f"<span style='color:{MUTED}'>"

    def labels(most: int) -> list[str]:
        return [
            safe(words.shorten(name, most)) + (f"<br>{grey}{safe(under)}</span>" if under else "")
            for name, _, under in rows
        ]

    def amounts(size: int) -> list[dict]:
        return [
            {
                "x": value,
                "y": k,
                "text": words.number(value),
                "showarrow": False,
                "xanchor": "left" if value >= 0 else "right",
                "xshift": 5 if value >= 0 else -5,
                "font": {"size": size, "color": INK},
            }
            for k, value in enumerate(values)
        ]

    bars = go.Bar(
        orientation="h",
        x=values,
        y=at,
        width=0.6,
        marker={"color": [more if value >= 0 else less for value in values]},
        hovertemplate="%{y}<br>%{x:,.4g} " + safe(unit) + "<extra></extra>",
    )
    room = (0.2 if wide else 0.45) * span
    chart = figure(
        [bars],
        annotations=amounts(12),
        xaxis={
            "title": {"text": safe(unit)},
            "range": [low - (room if low < 0 else 0), high + room],
            "showgrid": False,
            "nticks": 5,
            "tickformat": "," if high - low >= 1000 else "",
            "ticks": "outside",
            "zeroline": True,
            "zerolinecolor": INK,
            "zerolinewidth": 1,
        },
        yaxis={
            "tickvals": at,
            "ticktext": labels(44 if wide else 26),
            "tickfont": {"color": INK},
            "range": [len(at) - 0.5, -0.5],
            "showgrid": False,
            **PADDED,
        },
    )
    narrow = {
        "layout.yaxis.ticktext": labels(18),
        "layout.yaxis.tickfont.size": 10,
        "layout.annotations": amounts(10),
        "layout.xaxis.nticks": 3,
        "layout.xaxis.range": [low - (0.6 * span if low < 0 else 0), high + 0.6 * span],
    }
    height = max(130, 74 + (36 if any(under for _, _, under in rows) else 28) * len(rows))
    return Panel(chart, height, message, title, narrow=narrow, narrow_below=560 if wide else 360, wide=wide)
