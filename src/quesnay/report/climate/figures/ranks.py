"""Who loses most, and whose vulnerability is best reduced first: bars, and a heat map of sectors over warming."""

import numpy as np

from ... import words
from ...figures.bars import bars
from ...figures.sectors import bounds, cells, classes_legend
from ...figures.theme import GAIN, LOSS, PADDED, Panel, figure, safe
from ..story import degrees, tenths
from ..study import Study

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
    factor, unit = words.in_units(max(abs(float(lost[name][study.at])) for name in kept), study.economy.currency)
    values, unit = [factor * float(lost[name][study.at]) for name in kept], f"{unit} a year"
    say = f"{kept[0]} loses most at {degrees(study.temperatures[study.at])}: {words.number(values[0])} {unit}."
    title = f"Loss at {degrees(study.temperatures[study.at])}, {unit}"
    first = bars([(name, value, "") for name, value in zip(kept, values, strict=True)], title, unit, say, LOSS, GAIN)
    if study.temperatures.size < 2:
        return [first]
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
    return [first, Panel(chart, max(130, 74 + 21 * len(rows)), message, title, keys, narrow, wide=False)]


def resilience(study: Study) -> list[Panel]:
    """Return what a tenth less vulnerability adds to GDP, for the accounts where it adds most."""
    gains = tenths(study)
    if gains is None:
        return []
    top = [k for k in np.argsort(-gains, kind="stable").tolist()[:10] if gains[k] > 0]
    if not top:
        return []
    factor, unit = words.in_units(float(gains[top[0]]), study.economy.currency)
    unit = f"{unit} a year"
    rows = [(study.label(k), factor * float(gains[k]), f"vulnerability {study.gamma[k]:.3g}") for k in top]
    at = degrees(study.temperatures[study.at])
    say = f"A tenth less vulnerability in {rows[0][0]} adds {words.number(rows[0][1])} {unit} to GDP at {at}."
    return [bars(rows, "", f"GDP gained at {at}, {unit}", say, GAIN, LOSS, wide=True)]
