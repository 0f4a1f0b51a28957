"""Lines over days: output by region, and the outcomes beside output."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from .. import words
from ..analysis import by_region
from ..run import Run
from .theme import (
    INK,
    MUTED,
    OTHERS,
    OUTCOMES,
    REGIONS,
    Key,
    Panel,
    averaged,
    colours,
    days_axis,
    figure,
    safe,
    shading,
    thin,
)

DASHES, STYLES = ("solid", "dash", "dot"), ("solid", "dashed", "dotted")


def output_by_region(run: Run) -> tuple[list[Panel], list[Key]]:
    """Return the change in output by region, in per cent of its base and in currency per day, and their legend."""
    found = run.findings
    change = by_region(run, found.quantities["output"].change)
    base = by_region(run, found.quantities["output"].base)
    palette = colours(run)
    shown, pooled = found.regions[: len(REGIONS)], found.regions[len(REGIONS) :]
    lines = [(name, change[name], float(base[name]), palette[name]) for name in shown]
    if pooled:
        text = f"{len(pooled)} more regions together"
        together = np.sum([change[name] for name in pooled], axis=0)
        lines.append((text, together, float(sum(base[name] for name in pooled)), OTHERS))
    relative = [(name, _ratio(values, scale), colour, 2.0) for name, values, scale, colour in lines]
    absolute = [(name, values, colour, 2.0) for name, values, _, colour in lines]
    if len(found.regions) > 1:
        absolute.append(("all regions", np.sum(list(change.values()), axis=0), INK, 1.25))
    region, worst = _worst(change, base)
    total = found.totals["output"]
    say = (
        f"Largest loss relative to its base: {region}, {words.percent(worst)}."
        if worst > 0
        else "No region loses output."
    )
    currency = run.economy.currency
    peak = f"On the worst day, day {total.worst_day}, {words.number(total.worst)} {currency} of output are lost."
    legend = [Key(colour, name, "solid") for name, _, colour, _ in absolute]
    panels = [
        _lines(
            run,
            relative,
            "Change in output, % of the region's base",
            "Change, % of base",
            "%",
            say,
            "Relative to each region's base",
        ),
        _lines(
            run,
            absolute,
            f"Change in output, {currency} per day",
            f"Change, {currency} per day",
            f"{currency} per day",
            peak if total.worst_day is not None else "No output is lost.",
            f"In {currency} per day",
        ),
    ]
    return panels, legend


def outcomes(run: Run) -> list[Panel]:
    """Return output, value added and the outcomes over days, each in per cent of its own base."""
    found = run.findings
    lines = []
    for k, (name, quantity) in enumerate(found.quantities.items()):
        daily = quantity.change.sum(axis=1)
        lines.append((name, _ratio(daily, quantity.base.sum()), OUTCOMES[k % len(OUTCOMES)], 2.0))
    says = [f"{t.name} {words.signed(100 * t.share)} %" for t in found.totals.values()]
    message = f"Change over the period: {words.listed(says, 12)}."
    legend = [
        Key(colour, words.sentence(words.called(name)), STYLES[k % len(STYLES)])
        for k, (name, _, colour, _) in enumerate(lines)
    ]
    return [_lines(run, lines, "Change, % of its own base", "Change, % of base", "%", message, "", legend, dashed=True)]


def _lines(
    run: Run,
    lines: Sequence[tuple[str, np.ndarray, str, float]],
    title: str,
    brief: str,
    unit: str,
    message: str,
    heading: str,
    legend: Sequence[Key] = (),
    dashed: bool = False,
) -> Panel:
    days, width = days_axis(run), thin(run.days)
    data = [
        go.Scatter(
            x=days,
            y=averaged(values, width),
            name=safe(name),
            mode="lines",
            line={"color": colour, "width": thick, "dash": DASHES[k % len(DASHES)] if dashed else "solid"},
            hovertemplate="%{y:,.4g} " + safe(unit),
        )
        for k, (name, values, colour, thick) in enumerate(lines)
    ]
    largest = max((np.abs(values).max(initial=0) for _, values, _, _ in lines), default=0)
    tickformat = "," if largest >= 1 else ""
    zero = {"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": 0, "y1": 0, "layer": "below"}
    zero["line"] = {"color": MUTED, "width": 1}
    drawn = figure(
        data,
        hovermode="x unified",
        shapes=[*shading(run), zero],
        xaxis={"title": {"text": "Day"}, "range": [0, max(run.days - 1, 1)], "showgrid": False, "ticks": "outside"},
        yaxis={
            "title": {"text": safe(title)},
            "nticks": 7,
            "tickformat": tickformat,
            **({"range": [-1, 0.2]} if largest <= 1e-9 else {}),
        },
    )
    narrow = {"layout.yaxis.title.text": safe(brief)}
    return Panel(drawn, 340, message, heading, legend, narrow, narrow_height=280, wide=False)


def _ratio(values: np.ndarray, base: float) -> np.ndarray:
    return 100 * values / base if base > 0 else np.zeros_like(values)


def _worst(change: Mapping[str, np.ndarray], base: Mapping[str, np.ndarray]) -> tuple[str, float]:
    share = {name: float(-values.min() / base[name]) if base[name] > 0 else 0.0 for name, values in change.items()}
    region = max(share, key=lambda name: share[name])
    return region, share[region]
