"""Which levers change the loss most: the largest derivatives, in readable units."""

from typing import Any

import plotly.graph_objects as go

from .. import words
from ..run import Run
from .theme import GAIN, INK, LOSS, MUTED, Key, Panel, figure, safe

MOST = 10
ROOM = 0.16
"""Share of one side's length that the other side has at least."""
STEP_WORDS = {
    "inventory": "+1 day of inventory",
    "capacity": "+1 percentage point of spare capacity",
    "adjustment": "+1 day of adjustment time",
    "loss": "+1 percentage point of capacity lost",
}
BRIEF = {
    "inventory": "+1 day of stock",
    "capacity": "+1 pp capacity",
    "adjustment": "+1 day to adjust",
    "loss": "+1 pp lost",
}
PHRASES = {
    "inventory": "one more day of inventory",
    "capacity": "one more percentage point of spare capacity",
    "adjustment": "one more day to close gaps in stocks",
    "loss": "one more percentage point of capacity lost",
}


def levers(run: Run) -> list[Panel]:
    """Return the ten largest effects as bars; nothing where no step changes anything."""
    top = [effect for effect in run.findings.sensitivities.effects[:MOST] if effect.value]
    if not top:
        return []
    only, currency = len(run.economy.regions) == 1, run.economy.currency
    values = [effect.best for effect in top]
    slopes = [effect.value for effect in top]
    low, high = min(0.0, *values, *slopes), max(0.0, *values, *slopes)
    # The amounts stand on the other side of zero, where neither bar nor diamond is.
    low, high = min(low, -ROOM * high), max(high, -ROOM * low)
    span = high - low
    rows = list(range(len(top)))
    bars = go.Bar(
        orientation="h",
        x=values,
        y=rows,
        width=0.56,
        marker={"color": [LOSS if v > 0 else GAIN for v in values]},
        hovertemplate="%{y}<br>%{x:,.4g} " + safe(currency) + "<extra></extra>",
    )
    simulated = top[0].taken is not None
    marks = go.Scatter(
        x=slopes,
        y=rows,
        mode="markers",
        marker={"symbol": "diamond-open", "size": 9, "color": INK, "line": {"width": 1.5}},
        hovertemplate="%{y}<br>derivative times the step: %{x:,.4g} " + safe(currency) + "<extra></extra>",
    )
    grey = f"<span style='color:{MUTED}'>"
    labels = [f"{safe(words.shorten(run.label(e.account), 44))}<br>{grey}{STEP_WORDS[e.parameter]}</span>" for e in top]
    short = []
    for effect in top:
        region, sector = run.accounts[effect.account]
        where = "" if only else f"{safe(words.shorten(region, 9))}: "
        short.append(f"{safe(words.shorten(sector, 24))}<br>{grey}{where}{BRIEF[effect.parameter]}</span>")
    chart = figure(
        [bars, marks] if simulated else [bars],
        annotations=_amounts(values, 12),
        xaxis={
            "title": {"text": f"Change in value added lost over the period, {safe(currency)} per step"},
            "range": [low - 0.04 * span, high + 0.04 * span],
            "showgrid": False,
            "tickformat": "~s" if span < 1e-3 or span >= 1e7 else ",",
            "zeroline": True,
            "zerolinecolor": INK,
            "zerolinewidth": 1,
            "ticks": "outside",
        },
        yaxis={
            "tickvals": rows,
            "ticktext": labels,
            "tickfont": {"color": INK},
            "range": [len(rows) - 0.5, -0.5],
            "showgrid": False,
        },
    )
    narrow = {
        "layout.yaxis.ticktext": short,
        "layout.yaxis.tickfont.size": 10,
        "layout.annotations": _amounts(values, 10),
        "layout.xaxis.title.text": f"Change in loss, {safe(currency)} per step",
        "layout.xaxis.nticks": 4,
        "layout.xaxis.range": [min(low, -2 * ROOM * high) - 0.04 * span, max(high, -2 * ROOM * low) + 0.04 * span],
    }
    keys = (Key(GAIN, "the step makes the loss smaller"), Key(LOSS, "the step makes it larger"))
    present = (min(values) < 0, max(values) > 0)
    legend = [key for key, there in zip(keys, present, strict=True) if there]
    if simulated:
        legend.append(Key(INK, "◇ the derivative, times the step", "none"))
    return [Panel(chart, max(130, 70 + 40 * len(rows)), say(run, 1)[0], legend=legend, narrow=narrow, narrow_below=720)]


def _amounts(values: list[float], size: int) -> list[dict[str, Any]]:
    return [
        {
            "x": 0,
            "y": k,
            "text": words.signed(value),
            "showarrow": False,
            "xanchor": "right" if value > 0 else "left",
            "xshift": -6 if value > 0 else 6,
            "font": {"size": size, "color": INK},
        }
        for k, value in enumerate(values)
    ]


def say(run: Run, most: int) -> list[str]:
    """Return the largest effects as sentences."""
    out = []
    for effect in run.findings.sensitivities.effects[:most]:
        if not effect.value:
            break
        amount = words.money(abs(effect.best), run.economy.currency)
        what = f"{words.sentence(PHRASES[effect.parameter])} in {run.label(effect.account)}"
        if effect.best > 0:
            out.append(f"{what} adds {amount} of value added to the loss.")
        elif effect.best < 0:
            out.append(f"{what} saves {amount} of value added.")
        else:
            out.append(f"{what} changes nothing.")
    return out
