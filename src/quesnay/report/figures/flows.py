"""From what the shock takes directly to what is lost in total."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from .. import words
from ..analysis import ROUNDING
from ..run import Run
from .theme import GAIN, INK, LOSS, MUTED, OTHERS, RULE, SPREAD, Key, Panel, figure, safe, ticks

MOST_HIT = 8
KINDS = (
    Key(LOSS, "direct: own capacity lost"),
    Key(SPREAD, "indirect: inputs or orders missing"),
    Key(GAIN, "above the base"),
    Key(INK, "total"),
)


@dataclass(frozen=True)
class Step:
    """One row of the waterfall: what it is, its change in currency (negative is lost), and its kind."""

    label: str
    change: float
    kind: str


def steps(run: Run) -> list[Step]:
    """Return the rows of the waterfall; all but the last add up to the last.

    Direct losses by account that was hit (the largest ones, then the rest together); indirect losses of these accounts, of
    other sectors in their regions, and of all other regions; the total.
    """
    split, only = run.findings.split, len(run.economy.regions) == 1
    hit = [k for k in np.argsort(-split.direct, kind="stable").tolist() if split.hit[k]]
    rows = [Step(f"Direct: {run.label(k)}", -float(split.direct[k]), "direct") for k in hit[:MOST_HIT]]
    if len(hit) > MOST_HIT:
        rest = float(split.direct[hit[MOST_HIT:]].sum())
        rows.append(Step(f"Direct: {len(hit) - MOST_HIT} more sectors", -rest, "direct"))
    rows.append(Step("Indirect: the sectors hit", -split.indirect_at_hit, "indirect"))
    places = list(dict.fromkeys(run.regions[split.hit]))
    rest_of = "other sectors" if only else f"rest of {places[0]}" if len(places) == 1 else "rest of the regions hit"
    rows.append(Step(f"Indirect: {rest_of}", -split.indirect_same_region, "indirect"))
    if not only:
        rows.append(Step("Indirect: other regions", -split.indirect_elsewhere, "indirect"))
    return [*rows, Step("Total change", -split.total, "total")]


def waterfall(run: Run) -> list[Panel]:
    """Return the waterfall from base output to the total change over the period; nothing where nothing was lost."""
    found, currency = run.findings, run.economy.currency
    if not found.anything:
        return []
    rows = steps(run)
    base = found.totals["output"].base
    starts = [0.0, *np.cumsum([row.change for row in rows[:-2]]), 0.0]
    ends = [start + row.change for start, row in zip(starts, rows, strict=True)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    small = ROUNDING * (high - low)
    labels = ["Base output", *(row.label for row in rows)]
    amounts = [words.number(row.change if abs(row.change) > small else 0.0) for row in rows]
    shares = [_share(row, rows[-1].change, base, small) for row in rows]
    texts = [f"{words.money(base, currency)} over {words.count(run.days, 'day')}"]
    texts += [" · ".join(filter(None, pair)) for pair in zip(amounts, shares, strict=True)]
    tips = [0.0, *(max(pair) for pair in zip(starts, ends, strict=True))]
    bars = go.Bar(
        orientation="h",
        y=list(range(1, len(labels))),
        x=[row.change for row in rows],
        base=starts,
        marker={"color": [_colour(row, small) for row in rows]},
        width=0.62,
        hovertemplate=[f"{safe(a)}<br>{safe(b)}<extra></extra>" for a, b in zip(labels[1:], texts[1:], strict=True)],
    )
    origin = go.Scatter(x=[0, 0], y=[-0.31, 0.31], mode="lines", line={"color": INK, "width": 3}, hoverinfo="skip")
    joins = [
        _line(x0=end, x1=end, y0=k + 1.31, y1=k + 1.69, line={"color": OTHERS, "width": 1})
        for k, end in enumerate(ends[:-1])
    ]
    zero = _line(x0=0, x1=0, y0=0, y1=1, yref="paper", line={"color": RULE, "width": 1}, layer="below")
    span = high - low
    chart = figure(
        [bars, origin],
        shapes=[*joins, zero],
        annotations=_notes(tips, texts, 12),
        xaxis={
            "title": {"text": f"Change in output over the period, {safe(currency)} (0 is the base)"},
            "range": [low - 0.03 * span, high + 0.46 * span],
            "tickvals": ticks(low, high),
            "tickformat": ",",
            "ticks": "outside",
        },
        yaxis={
            "tickvals": list(range(len(labels))),
            "ticktext": [safe(words.shorten(label, 44)) for label in labels],
            "tickfont": {"size": 12, "color": INK},
            "range": [len(labels) - 0.5, -0.5],
            "showgrid": False,
        },
    )
    narrow = {
        "layout.yaxis.ticktext": [safe(words.shorten(_bare(label), 20)) for label in labels],
        "layout.yaxis.tickfont.size": 10,
        "layout.annotations": _notes(tips, [words.money(base, currency, short=True), *amounts], 10),
        "layout.xaxis.tickvals": ticks(low, high, 3),
        "layout.xaxis.title.text": f"Change, {safe(currency)} (0 is the base)",
        "layout.xaxis.range": [low - 0.05 * span, high + 0.5 * span],
    }
    kinds = {_colour(row, small): None for row in rows if abs(row.change) > small}
    legend = [pair for pair in KINDS if pair.colour in kinds]
    lost, direct = -rows[-1].change, found.split.direct.sum()
    message = (
        f"Output changes by {words.number(-lost)} {currency}; direct losses are {words.number(direct)} {currency}."
    )
    return [Panel(chart, 60 + 34 * len(labels), message, legend=legend, narrow=narrow, narrow_below=760)]


def _notes(tips: list[float], texts: list[str], size: int) -> list[dict[str, Any]]:
    bold = (0, len(texts) - 1)
    return [
        {
            "x": tip,
            "y": k,
            "text": safe(text),
            "showarrow": False,
            "xanchor": "left",
            "xshift": 6,
            "font": {"size": size, "color": INK if k in bold else MUTED},
            "bgcolor": "rgba(255,255,255,0.9)",
            "borderpad": 1,
        }
        for k, (tip, text) in enumerate(zip(tips, texts, strict=True))
    ]


def _bare(label: str) -> str:
    return words.sentence(label.removeprefix("Direct: ").removeprefix("Indirect: "))


def _share(row: Step, total: float, base: float, small: float) -> str:
    if row.kind == "total":
        return f"{words.percent(row.change / base)} of base"
    return f"{words.percent(row.change / total)} of the total" if min(abs(row.change), abs(total)) > small else ""


def _line(**given: Any) -> dict[str, Any]:
    return {"type": "line", **given}


def _colour(row: Step, small: float) -> str:
    if row.kind == "total":
        return INK
    if row.change > small:
        return GAIN
    return LOSS if row.kind == "direct" else SPREAD
