"""Lines over warming: GDP and what the next tenth costs, output, damage, outcomes, regions, the spectral radius."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ....climate import ResourceRequirement, outside
from ... import words
from ...figures import fan
from ...figures.theme import (
    FAINT,
    INK,
    LOSS,
    MUTED,
    OTHERS,
    OUTCOMES,
    PADDED,
    REGIONS,
    Key,
    Panel,
    figure,
    palette,
    safe,
)
from ..story import CUT, degrees, factor_name
from ..study import Study

READINGS = (INK, *REGIONS)
DASHES, STYLES = ("solid", "dash", "dot"), ("solid", "dashed", "dotted")
MOST_CURVES = 6
AXIS = "Warming above 1850–1900, °C"


@dataclass(frozen=True)
class Line:
    """One line: its name, its values (k,), which of them there are (k,), its colour and its dash."""

    name: str
    values: np.ndarray
    there: np.ndarray
    colour: str
    dash: str = "solid"
    width: float = 2.0


def gdp(study: Study) -> list[Panel]:
    """Return GDP against warming, and what the next tenth of a degree costs."""
    main, answered, currency = study.main, study.answered(), study.economy.currency
    k, drawable = study.at, study.drawable()
    if not drawable[k]:
        return []
    loss = Line("GDP", -100 * np.asarray(main.loss), drawable, INK)
    first = _panel(
        study, [loss], f"Change in GDP against {_reference(study)}, %", "%", "GDP",
        f"At {degrees(study.temperatures[k])}: {words.signed(float(loss.values[k]))} %.", brief="Change in GDP, %",
    )  # fmt: skip
    if not answered[k]:
        return [first]
    per = np.asarray(main.per_tenth)
    worst = int(np.argmax(np.where(answered, per, -np.inf)))
    factor, unit = words.in_units(float(per[worst]), currency)
    per, slope = factor * per, -0.1 * factor * np.asarray(main.slope)
    lines = [
        Line("next tenth", per, answered, LOSS),
        Line("a tenth of the slope", slope, answered, MUTED, "dot"),
    ]
    second = _panel(
        study, lines, f"{unit} a year", unit, "Cost of the next 0.1 °C",
        f"Largest at {degrees(study.temperatures[worst])}: {words.number(float(per[worst]))} {unit} a year.",
        legend=[Key(LOSS, "GDP(T) − GDP(T + 0.1 °C)", "solid"), Key(MUTED, "a tenth of the exact slope −dGDP/dT", "dotted")],
    )  # fmt: skip
    return [first, second]


def required(study: Study) -> list[Panel]:
    """Return what the same final demand takes of the factor and of gross output, against warming."""
    main, there = study.main, study.answered()
    k = study.at
    if not there[k]:
        return []
    output = np.asarray(main.output).sum(axis=1) / study.base_output.sum()
    panels = []
    for name, values in ((factor_name(study), np.asarray(main.factor) / study.base_factor), ("gross output", output)):
        line = Line(name, _percent(values, there), there, INK)
        say = f"At {degrees(study.temperatures[k])}: {words.signed(float(line.values[k]))} % of {name} are needed."
        title = f"{words.sentence(name)} needed for the same demand"
        panels.append(_panel(study, [line], f"Change against {_reference(study)}, %", "%", title, say))
    return panels


def output_and_damage(study: Study) -> list[Panel]:
    """Return gross output under every reading, and the damage function, against warming."""
    base = float(study.base_output.sum())
    lines, says = [], []
    for which, (result, name) in enumerate(zip(study.results, study.names, strict=True)):
        there = study.drawable(which)
        values = _percent(np.asarray(result.output).sum(axis=1) / base, there)
        lines.append(Line(name, values, there, READINGS[which % len(READINGS)], DASHES[which % len(DASHES)]))
        if there[study.at]:
            says.append(f"{name} {words.signed(float(values[study.at]))} %")
    # What a requirement alone takes is drawn above already.
    if not any(line.there.any() for line in lines) or (study.requirement and len(lines) == 1):
        return [_damage(study)]
    message = f"At {degrees(study.temperatures[study.at])}: {words.listed(says, 8)}." if says else ""
    legend = [Key(line.colour, line.name, STYLES[k % 3]) for k, line in enumerate(lines)] if len(lines) > 1 else []
    top, low = max(float(line.values.max()) for line in lines), min(float(line.values.min()) for line in lines)
    span = None
    if top > 100 * CUT:
        span = (min(1.05 * low, -3 * CUT), 100 * CUT)
        legend.append(Key(MUTED, f"cut off at +{100 * CUT:g} %; the highest is {words.signed(top)} %", "none"))
    axis = f"Change against {_reference(study)}, %"
    output = _panel(study, lines, axis, "%", "Gross output", message, legend=legend, span=span)
    return [output, _damage(study)]


def _damage(study: Study) -> Panel:
    """Return the damage function, drawn on a fine grid; dotted outside of its domain."""
    T = study.temperatures
    pad = 0.0 if T.size > 1 else 0.5
    grid = np.unique(np.concatenate([np.linspace(T[0] - pad, T[-1] + pad, 121), T]))
    shares = np.asarray(study.damage(grid))
    columns = shares[:, None] if shares.ndim == 1 else shares
    far = np.asarray(outside(study.damage, grid))
    distinct, first = np.unique(columns, axis=1, return_index=True)
    order = np.argsort(-distinct[-1], kind="stable")
    lines, legend = [], []
    for rank, k in enumerate(order.tolist()):
        name = "damage" if len(order) == 1 else study.label(int(first[k]))
        colour = INK if len(order) == 1 else REGIONS[rank] if rank < MOST_CURVES else OTHERS
        values = 100 * distinct[:, k]
        near = Line(name, values, ~far, colour)
        beyond = Line(f"{name}, outside of the domain", values, _widened(far), colour, "dot")
        lines += [line for line in (near, beyond) if line.there.any()]
        if len(order) > 1 and rank < MOST_CURVES:
            legend.append(Key(colour, name, "solid"))
    if len(order) > MOST_CURVES:
        legend.append(Key(OTHERS, f"{len(order) - MOST_CURVES} more curves", "solid"))
    if far.any() and not far.all():
        legend.append(Key(INK, "outside of the domain", "dotted"))
    top = 100 * float(np.max(np.asarray(study.main.damage[study.at])))
    say = f"At {degrees(T[study.at])} the damage is {words.number(top)} %."
    return _panel(study, lines, "Damage D(T), % of output", "%", "Damage", say, legend=legend, x=grid)


def outcomes(study: Study) -> list[Panel]:
    """Return GDP, gross output and the outcomes, each in per cent of its own base."""
    main, there = study.main, study.drawable()
    if not there.any():
        return []
    output = np.asarray(main.output).sum(axis=1) / study.base_output.sum()
    found = [("GDP", np.asarray(main.gdp) / study.base_gdp), ("gross output", output)]
    for name in study.outcomes:
        base = study.base_outcome(name)
        if base:
            found.append((name, np.asarray(main.outcomes[name]) / base))
    lines = [
        Line(name, _percent(values, there), there, OUTCOMES[k % len(OUTCOMES)], DASHES[k % len(DASHES)])
        for k, (name, values) in enumerate(found)
    ]
    says = [f"{line.name} {words.signed(float(line.values[study.at]))} %" for line in lines if there[study.at]]
    message = f"At {degrees(study.temperatures[study.at])}: {words.listed(says, 12)}."
    legend = [Key(line.colour, words.sentence(words.called(line.name)), STYLES[k % 3]) for k, line in enumerate(lines)]
    return [_panel(study, lines, "Change, % of its own base", "%", "", message, legend=legend, brief="Change, %")]


def regions(study: Study) -> tuple[list[Panel], list[Key]]:
    """Return value added by region, in per cent of its own and in currency, and their legend."""
    there = study.drawable()
    lost, base = study.by_region(study.lost), study.by_region(study.base_value_added)
    factor, unit = words.in_units(max(float(np.abs(lost[name][there]).max()) for name in lost), study.economy.currency)
    colours = palette(study.economy.regions, study.ranked_regions)
    shown = [name for name in study.ranked_regions[: len(REGIONS)] if base[name] > 0]
    relative = [Line(name, -100 * lost[name] / base[name], there, colours[name]) for name in shown]
    absolute = [Line(name, -factor * lost[name], there, colours[name]) for name in shown]
    worst = min(relative, key=lambda line: line.values[study.at])
    at = degrees(study.temperatures[study.at])
    say = f"Hit hardest at {at}: {worst.name}, {words.signed(float(worst.values[study.at]))} %."
    largest = min(absolute, key=lambda line: line.values[study.at])
    amount = f"Largest change at {at}: {largest.name}, {words.number(float(largest.values[study.at]))} {unit} a year."
    panels = [
        _panel(study, relative, "Change in value added, % of its own", "%", "Relative to each region", say, brief="%"),
        _panel(study, absolute, f"{unit} a year", unit, f"In {unit} a year", amount),
    ]
    return panels, [Key(line.colour, line.name, "solid") for line in relative]


def readings(study: Study) -> list[Panel]:
    """Return GDP under every reading that has one."""
    lines = []
    for which, (result, name) in enumerate(zip(study.results, study.names, strict=True)):
        if isinstance(study.readings[which], ResourceRequirement):
            continue
        colour, dash = READINGS[which % len(READINGS)], DASHES[which % len(DASHES)]
        lines.append(Line(name, -100 * np.asarray(result.loss), study.drawable(which), colour, dash))
    if len(lines) < 2 or not any(line.there.any() for line in lines):
        return []
    at = study.at
    says = [f"{line.name} {words.signed(float(line.values[at]))} %" for line in lines if line.there[at]]
    message = f"At {degrees(study.temperatures[at])}: {words.listed(says, 8)}."
    legend = [Key(line.colour, line.name, _style(line.dash)) for line in lines]
    axis = f"Change in GDP against {_reference(study)}, %"
    return [_panel(study, lines, axis, "%", "", message, legend=legend, brief="Change in GDP, %")]


def radius(study: Study) -> list[Panel]:
    """Return the spectral radius against warming, with the line at 1."""
    values = np.asarray(study.main.spectral_radius)
    there = np.isfinite(values)
    if not there.any():
        return []
    line = Line("spectral radius", np.where(there, values, 0), there, INK)
    one = {"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": 1, "y1": 1}
    one["line"] = {"color": LOSS, "width": 1.5, "dash": "dash"}
    top = max(1.05, float(values[there].max(initial=0)) * 1.03)
    say = f"From {words.number(float(values[there][0]))} to {words.number(float(values[there][-1]))}; the collapse is at 1."
    return [
        _panel(
            study, [line], "Spectral radius of A(T)", "", "", say, shapes=[one], span=(0.0, top), zero=False,
            legend=[Key(INK, "spectral radius of A(T)", "solid"), Key(LOSS, "collapse: spectral radius of 1", "dashed")],
        )
    ]  # fmt: skip


def fans(study: Study) -> list[Panel]:
    """Return the fans of GDP and of the damage under the draws."""
    assert study.gdp_draws is not None
    assert study.damage_draws is not None
    assert study.drawn_at is not None
    scale = study.base_factor if study.requirement else study.base_gdp
    what = f"{words.sentence(factor_name(study))} needed" if study.requirement else "GDP"
    k = int(np.argmin(np.abs(study.drawn_at - study.temperatures[study.at])))
    panels = []
    for title, quantiles, axis in (
        (what, 100 * (np.asarray(study.gdp_draws.quantiles) / scale - 1), f"Change against {_reference(study)}, %"),
        ("Damage", 100 * np.asarray(study.damage_draws.quantiles), "Damage D(T), % of output"),
    ):
        low, middle, high = (words.signed(float(quantiles[q, k])) for q in (0, 2, 4))
        say = f"At {degrees(study.drawn_at[k])}: {middle} %; in nine tenths of the draws {low} to {high} %."
        mode = "lines" if study.drawn_at.size > 1 else "markers"
        data = [*fan.bands(study.drawn_at, quantiles), fan.line(study.drawn_at, quantiles[2], mode)]
        panels.append(_drawn(study, data, axis, title, say, study.drawn_at))
    return panels


def marks(study: Study) -> str:
    """Return a sentence that explains the marks of every drawing, or nothing."""
    parts = []
    if study.reference is not None and study.tested(study.reference):
        parts.append("the dotted line marks the reference")
    if np.asarray(study.main.outside).any():
        parts.append("the shaded part lies outside of the damage function's domain")
    if study.tested(float(study.collapse.temperature)):
        parts.append("the dashed red line marks the collapse")
    return f" In every figure over warming, {words.listed(parts)}." if parts else ""


def _reference(study: Study) -> str:
    return "no damage" if study.reference is None else degrees(study.reference)


def _percent(ratio: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return a ratio to the base as a change in per cent, 0 where it is not to be drawn."""
    return 100 * np.where(there, np.where(there, ratio, 1) - 1, 0)


def _style(dash: str) -> str:
    return STYLES[DASHES.index(dash)]


def _widened(far: np.ndarray) -> np.ndarray:
    """Return the points outside and their neighbours, so that the two parts of a line touch."""
    wide = far.copy()
    wide[1:] |= far[:-1]
    wide[:-1] |= far[1:]
    return wide


def _panel(
    study: Study, lines: Sequence[Line], axis: str, unit: str, title: str, message: str, *, legend: Sequence[Key] = (),
    brief: str = "", x: np.ndarray | None = None, shapes: Sequence[dict[str, Any]] = (),
    span: tuple[float, float] | None = None, zero: bool = True,
) -> Panel:  # fmt: skip
    T = study.temperatures if x is None else x
    mode = "lines" if T.size > 1 else "markers"
    data = [
        go.Scatter(
            x=T,
            y=[float(v) if ok else None for v, ok in zip(line.values, line.there, strict=True)],
            name=safe(line.name),
            mode=mode if line.there.sum() > 1 else "markers",
            line={"color": line.colour, "width": line.width, "dash": line.dash},
            marker={"color": line.colour, "size": 8},
            hovertemplate="%{y:,.4g} " + safe(unit),
        )
        for line in lines
        if line.there.any()
    ]
    return _drawn(study, data, axis, title, message, T, legend, brief, shapes, span, zero)


def _drawn(
    study: Study, data: Sequence[Any], axis: str, title: str, message: str, T: np.ndarray, legend: Sequence[Key] = (),
    brief: str = "", shapes: Sequence[dict[str, Any]] = (), span: tuple[float, float] | None = None, zero: bool = True,
) -> Panel:  # fmt: skip
    ground = {"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": 0, "y1": 0, "layer": "below"}
    ground["line"] = {"color": MUTED, "width": 1}
    low, high = (float(T[0]), float(T[-1])) if T.size > 1 else (float(T[0]) - 0.5, float(T[0]) + 0.5)
    drawn = figure(
        data,
        hovermode="x unified",
        shapes=[*_marks(study, low, high), *([ground] if zero else []), *shapes],
        xaxis={
            "title": {"text": AXIS},
            "range": [low, high],
            "showgrid": False,
            "ticks": "outside",
            "hoverformat": ".4g",
        },
        yaxis={
            "title": {"text": safe(axis)},
            "nticks": 7,
            **PADDED,
            "tickformat": "," if _largest(data) >= 1000 else "",
            **({} if span is None else {"range": list(span)}),
        },
    )
    narrow = {"layout.xaxis.title.text": "Warming, °C"} | ({"layout.yaxis.title.text": safe(brief)} if brief else {})
    return Panel(drawn, 320, message, title, legend, narrow, narrow_height=270, wide=False)


def _largest(data: Sequence[Any]) -> float:
    """Return the largest size of what is drawn; without a format of their own, axes would say "100k" of millions."""
    return max((abs(float(v)) for trace in data for v in trace.y if v is not None), default=0.0)


def _marks(study: Study, low: float, high: float) -> list[dict[str, Any]]:
    """Return the shapes that mark the reference, what is outside of the domain, and the collapse."""
    whole = {"y0": 0, "y1": 1, "yref": "paper"}
    shapes: list[dict[str, Any]] = []
    start, end = (float(v) for v in study.damage.domain)
    for x0, x1 in ((low, min(start, high)), (max(end, low), high)):
        if math.isfinite(x0) and math.isfinite(x1) and x1 > x0:
            band = {"type": "rect", "x0": x0, "x1": x1, "layer": "below", "fillcolor": FAINT, "line": {"width": 0}}
            shapes.append({**whole, **band})
    if study.reference is not None and low <= study.reference <= high:
        line = {"type": "line", "x0": study.reference, "x1": study.reference}
        shapes.append({**whole, **line, "line": {"color": MUTED, "width": 1, "dash": "dot"}})
    at = float(study.collapse.temperature)
    if low <= at <= high:
        dashed = {"color": LOSS, "width": 1.5, "dash": "dash"}
        shapes.append({**whole, "type": "line", "x0": at, "x1": at, "line": dashed})
    return shapes
