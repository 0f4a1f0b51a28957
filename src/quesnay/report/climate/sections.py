"""The sections of the report of a stress test: what one sees, the figures, and the tables behind them."""

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from ...climate import ResourceRequirement
from .. import words
from ..figures import fan
from ..markup import bullets, legend, paragraph, table, tag
from ..sources import equations, sources
from ..words import number, percent, signed
from . import assumptions, story
from .story import degrees
from .study import Study

if TYPE_CHECKING:
    from ..panels import Drawn

Section = Callable[[Study, "Drawn"], str]
MOST_ROWS = 12


def gdp(study: Study, drawn: "Drawn") -> str:
    """Return GDP, or what is required, against warming."""
    from .figures import over_temperature as figures

    if study.requirement:
        text = (
            "The main reading meets the same final demand whatever it takes, so that GDP stays and the requirements grow. "
            "Whether so much can be made, it does not say."
        )
        return paragraph(text + figures.marks(study)) + drawn.place(figures.required(study)) + _required_table(study)
    text = (
        f"GDP with today's structure in a warmer climate, against {story.against(study)}; reading: {study.names[0]}. Beside "
        "it, what the next tenth of a degree costs: the difference, and a tenth of the exact slope at the point itself. They "
        "part where the slope changes within a tenth of a degree."
    )
    kinks = np.asarray(study.main.kink) & study.answered()
    if kinks.any():
        where = words.listed([degrees(T) for T in study.temperatures[kinks]])
        text += (
            f" At {where} the slope has a kink: shown is the warmer side (the cooler one is slope_left in result.nc)."
        )
    return paragraph(text + figures.marks(study)) + drawn.place(figures.gdp(study)) + _gdp_table(study)


def _thinned(study: Study) -> list[int]:
    """Return the positions of about a dozen temperatures, the first, the last and those that the text names among them."""
    size, named = study.temperatures.size, story.named(study)
    step = -(-(size - 1) // max(MOST_ROWS - 1 - len(named), 1)) or 1
    return sorted({*range(0, size, step), size - 1, *named} if size > MOST_ROWS else range(size))


def _gdp_table(study: Study) -> str:
    main, currency = study.main, study.economy.currency
    heads = ("Warming", "Damage, %", "GDP", "Change, %", "dGDP/dT, per °C", "Next 0.1 °C", "Spectral radius", "Note")
    rows = []
    for k in _thinned(study):
        values = [number(float(getattr(main, name)[k])) for name in ("slope", "per_tenth")]
        if not study.drawable()[k]:
            values = ["–", "–"]
        loss = float(main.loss[k])
        rows.append(
            (degrees(study.temperatures[k]), _damage(study, k), number(float(main.gdp[k])), _change(-loss), *values,
             _radius(study, k), _note(study, 0, k))
        )  # fmt: skip
    caption = f"GDP and warming, {currency} a year; {number(study.base_gdp)} {story.base(study)}"
    return _noted(caption, heads, rows, range(1, 7))


def _required_table(study: Study) -> str:
    main, there = study.main, study.answered()
    unit = study.economy.unit(study.factor) if study.factor else study.economy.currency
    needed = (f"Gross output, {study.economy.currency}", "Change, %", f"Factor, {unit}", "Change, %")
    heads = ("Warming", "Damage, %", *needed, "Spectral radius", "Note")
    rows = []
    for k in _thinned(study):
        output, factor = float(np.sum(np.asarray(main.output[k]))), float(main.factor[k])
        more, work = output / float(study.base_output.sum()) - 1, factor / study.base_factor - 1
        shown = (number(output), _change(more), number(factor), _change(work))
        rows.append(
            (degrees(study.temperatures[k]), _damage(study, k),
             *(shown if there[k] else ["–"] * 4), _radius(study, k), _note(study, 0, k))
        )  # fmt: skip
    return _noted("What the same final demand takes, a year", heads, rows, range(1, 7))


def _change(share: float) -> str:
    return f"{signed(100 * words.rounded(share))} %"


def _share(change: np.ndarray, base: np.ndarray) -> str:
    return _change(float(change / base)) if base else "–"


def _noted(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int]) -> str:
    """Return a table whose last column, of notes, is left out where there are none."""
    columns = len(heads) if any(row[-1] for row in rows) else len(heads) - 1
    return table(caption, heads[:columns], [row[:columns] for row in rows], numeric)


def _damage(study: Study, k: int) -> str:
    """Return the largest damage of any account, in per cent."""
    return number(100 * float(np.max(np.asarray(study.main.damage[k]))))


def _radius(study: Study, k: int) -> str:
    value = float(study.main.spectral_radius[k])
    return number(value) if np.isfinite(value) else "–"


def _note(study: Study, which: int, k: int) -> str:
    result = study.results[which]
    notes = [story.ended(study.ended[which][k])] if study.ended[which][k] != "successful" else []
    notes += ["outside of the domain"] * bool(result.outside[k]) + ["kink"] * bool(result.kink[k])
    return "; ".join(notes)


def uncertainty(study: Study, drawn: "Drawn") -> str:
    """Return the fans under draws of the damage function."""
    from .figures import over_temperature as figures

    draws = study.gdp_draws
    assert draws is not None
    assert study.drawn_at is not None
    text = (
        f"The same test under {words.count(draws.draws.shape[0], 'draw')} of the damage function's parameters: half of "
        "them lie in the dark band, nine tenths in the light one. The bands hold the errors of these parameters, and nothing "
        "else: not those of the table, of the vulnerabilities or of the reading."
    )
    if study.match is not None:
        text += " The vulnerability is the one that matches the published loss at the central parameters."
    scale = study.base_factor if study.requirement else study.base_gdp
    quantiles = np.asarray(draws.quantiles) / scale - 1
    rows = [
        (degrees(T), *(_change(float(quantiles[q, k])) for q in (2, 0, 4)),
         *(f"{number(100 * words.rounded(float(sd[k] / scale)), 2)} %" for sd in (draws.sd, draws.delta)))
        for k, T in enumerate(study.drawn_at)
    ]  # fmt: skip
    heads = ("Warming", "Median", "5 %", "95 %", "Standard deviation of the draws", "By the delta method")
    what = f"{words.sentence(story.factor_name(study))} needed" if study.requirement else "Change in GDP"
    return (
        paragraph(text)
        + legend(fan.LEGEND)
        + drawn.place(figures.fans(study))
        + table(f"{what} under the draws, against {story.against(study)}", heads, rows, range(1, 6))
    )


def output(study: Study, drawn: "Drawn") -> str:
    """Return gross output and the damage function."""
    from .figures import over_temperature as figures

    text = (
        "Gross output is everything that is made, inputs included. It need not fall with GDP: a damaged economy makes more "
        "of its output for itself. Beside it, the damage function."
    )
    if any(isinstance(reading, ResourceRequirement) for reading in study.readings):
        text += " In the resource requirement gross output rises with damage, since the same demand takes more inputs."
    return paragraph(text) + drawn.place(figures.output_and_damage(study))


def who(study: Study, drawn: "Drawn") -> str:
    """Return losses by sector and by region."""
    from .figures import over_temperature as figures
    from .figures.ranks import sectors

    panels = sectors(study)
    if not panels:
        return tag("p", "No sector loses value added.", class_="quiet")
    text = (
        "Value added at the prices of the table, (1 − 1′A(T))ⱼ xⱼ: the losses of all accounts add up to that of GDP. A sector "
        "loses where it takes more inputs, and where less of it is made."
    )
    lost, base = study.by_sector(study.lost), study.by_sector(study.base_value_added)
    if any((lost[name][study.drawable()] > base[name]).any() for name in lost):
        text += " One that loses more than all of it uses up more than it makes."
    parts = [paragraph(text), drawn.place(panels)]
    if len(study.economy.regions) > 1:
        lines, entries = figures.regions(study)
        parts += [tag("h3", "By region"), legend(entries), drawn.place(lines), _regions(study)]
    return "".join(parts)


def _regions(study: Study) -> str:
    k, currency = study.at, study.economy.currency
    lost, base = study.by_region(study.lost[k]), study.by_region(study.base_value_added)
    slope = study.by_region(np.asarray(study.main.value_added_slope[k]))
    shown = study.ranked_regions[:MOST_ROWS]
    rows = [
        (name, number(float(base[name])), signed(-float(lost[name])), _share(-lost[name], base[name]),
         signed(float(slope[name])))
        for name in shown
    ]  # fmt: skip
    heads = ("Region", "Value added", "Change", "Change, %", "Change per further °C")
    caption = f"Value added by region at {degrees(study.temperatures[k])}, {currency} a year"
    if len(shown) < len(study.ranked_regions):
        caption += f": {len(shown)} of {len(study.ranked_regions)}"
    return table(caption, heads, rows, range(1, 5))


def outcomes(study: Study, drawn: "Drawn") -> str:
    """Return the outcomes beside GDP and output."""
    from .figures import over_temperature as figures

    text = (
        "Outcomes follow output in fixed proportion: intensity times output, by account. A line above GDP says that the "
        f"outcome depends on gross output more than on what is left for final use. Reading: {study.names[0]}."
    )
    k, main = study.at, study.main
    rows = []
    for name in study.outcomes:
        base, now = study.base_outcome(name), float(main.outcomes[name][k])
        if study.drawable()[k]:
            share = _change(now / base - 1) if base else "–"
            shown = (number(now), signed(now - base), share, signed(float(main.outcome_slopes[name][k])))
        else:
            shown = ("–",) * 4
        title = words.sentence(words.shorten(words.called(name), 60))
        rows.append((title, words.pretty(study.economy.unit(name)), number(base), *shown))
    at = degrees(study.temperatures[k])
    heads = ("Outcome", "Unit", words.sentence(story.base(study)), f"At {at}", "Change", "Change, %", "Per further °C")
    return paragraph(text) + drawn.place(figures.outcomes(study)) + table(f"Outcomes at {at}", heads, rows, range(2, 7))


def outcomes_heading(study: Study) -> str:
    """Return what the section of outcomes is called."""
    return words.sentence(words.listed([words.shorten(words.called(name), 30) for name in study.outcomes[:3]]))


def collapse(study: Study, drawn: "Drawn") -> str:
    """Return the distance to the collapse."""
    from .figures import over_temperature as figures

    found = study.collapse
    text = (
        "The spectral radius of A(T) says how much of a round of production the next one eats up. At 1 nothing is left for "
        "anybody outside of the circle, and no output meets any demand."
    )
    if found.damage is not None and np.isfinite(float(found.damage)):
        text += f" It would take damage of {number(100 * float(found.damage))} %"
        text += ", more than all of output." if float(found.damage) > 1 else "."
    order = np.argsort(-np.asarray(found.shares), kind="stable")[:5].tolist()
    rows = [(study.label(k), percent(float(found.shares[k]), 2), f"{study.gamma[k]:.4g}") for k in order]
    caption = "Whose inputs matter most for the spectral radius"
    what = "Share of what circulates: by how much the radius rises, in per cent, where all inputs of the account rise by 1 %."
    return (
        paragraph(text)
        + drawn.place(figures.radius(study))
        + table(caption, ("Account", "Share", "Vulnerability"), rows, (1, 2))
        + paragraph(what, "note")
    )


def readings(study: Study, drawn: "Drawn") -> str:
    """Return the readings beside each other."""
    from .figures import over_temperature as figures

    at = degrees(study.temperatures[study.at])
    panels = figures.readings(study)
    text = (
        "What limits an economy in which everything takes more inputs is a matter of judgement; the readings differ in what "
        "can move. The equations are below."
    )
    rows = []
    for which, (name, result) in enumerate(zip(study.names, study.results, strict=True)):
        k, there = study.at, study.drawable(which)
        ok = bool(there[k])
        free = isinstance(study.readings[which], ResourceRequirement)
        output = float(np.sum(np.asarray(result.output[k]))) / float(study.base_output.sum()) - 1 if ok else 0.0
        factor = float(result.factor[k]) / study.base_factor - 1 if ok else 0.0
        without = int((~study.answered(which)).sum())
        note = f"no answer at {words.count(without, 'temperature')}" if without else ""
        gdp = "unchanged" if free and ok else _change(-float(result.loss[k]))
        rows.append((words.sentence(name), gdp, _change(output) if ok else "–", _change(factor) if ok else "–", note))
    heads = ("Reading", "GDP", "Gross output", "Factor used", "Note")
    return (
        paragraph(text)
        + drawn.place(panels)
        + _noted(f"The readings at {at}, change against {story.against(study)}", heads, rows, (1, 2, 3))
    )


def resilience(study: Study, drawn: "Drawn") -> str:
    """Return which vulnerability is best reduced first."""
    from .figures.ranks import resilience as figure

    panels = figure(study)
    at = degrees(study.temperatures[study.at])
    if not panels:
        why = "the main reading keeps GDP as it is" if study.requirement else f"there is no answer at {at}"
        if not study.gamma.any():
            why = "nobody is vulnerable"
        return tag("p", f"There is no ranking: {why}.", class_="quiet")
    text = (
        f"What it would add to GDP at {at} if an account's vulnerability γ fell by a tenth: the exact derivative of GDP, "
        "times the step. Less vulnerability also undoes damage that is in the table already. Costs are not in it: where a "
        "tenth costs more in one account than in another, divide by the cost."
    )
    return paragraph(text) + drawn.place(panels)


def basis(study: Study, drawn: "Drawn") -> str:
    """Return assumptions and sources."""
    del drawn
    known = [
        ("How damage enters", assumptions.damage_equations(study)),
        ("What limits the economy", assumptions.readings(study)),
    ]
    parts = []
    if study.damage.warning:
        parts.append(tag("p", escape(f"Warning: {study.damage.warning}"), class_="quiet"))
    for heading, pairs in known:
        parts += [tag("h3", heading), equations(pairs)]
    parts += [
        table("Parameters", ("Parameter", "Value", "Meaning"), assumptions.parameters(study), kind="words"),
        table("Vulnerability γ", ("γ", "Accounts"), assumptions.vulnerabilities(study)),
        tag("h3", "What is left out"),
        bullets(assumptions.LEFT_OUT),
        *sources(study, [("seed", "not set" if study.seed is None else f"{study.seed} (of the draws)")]),
    ]
    return "".join(parts)


def parts(study: Study) -> list[tuple[str, str, Section]]:
    """Return the sections of a stress test's report: name, heading, and what they say."""
    first = "What the same demand takes" if study.requirement else "GDP, and the next tenth of a degree"
    found: list[tuple[str, str, Section]] = [("gdp", first, gdp)]
    if study.gdp_draws is not None:
        found.append(("uncertainty", "How certain it is", uncertainty))
    found.append(("output", "Output and damage", output))
    if not study.requirement and study.drawable()[study.at]:
        found.append(("who", "Who loses", who))
    if study.outcomes:
        found.append(("outcomes", outcomes_heading(study), outcomes))
    found.append(("collapse", "How far the collapse is", collapse))
    if len(study.readings) > 1:
        found.append(("readings", "Other readings", readings))
    found += [
        ("resilience", "Which vulnerability to reduce first", resilience),
        ("basis", "Assumptions and sources", basis),
    ]
    return found
