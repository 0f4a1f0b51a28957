"""A stress test in sentences: the summary at the top and the key figures; all numbers computed."""

import math
from typing import Any

import numpy as np

from ...climate import Bottleneck, FixedCapacity, ResourceRequirement
from .. import words
from ..words import listed, money, number, percent, rounded, scaled
from .study import SAME, Study

CUT = 2.0
"""Rises above this share are said as multiples, and cut off in drawings beside smaller ones."""
MILESTONES = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)


def degrees(temperature: Any) -> str:
    """Return a temperature with its unit."""
    return f"{float(temperature):.4g}{words.SPACE}°C"


def change(share: float) -> str:
    """Return a share lost in words: "4.1 % lower", or "higher"."""
    return f"{percent(abs(share), 3)} {'lower' if share >= 0 else 'higher'}"


def base(study: Study) -> str:
    """Return what is compared with."""
    if study.reference is None:
        return "without damage"
    return f"at the reference of {degrees(study.reference)}"


def against(study: Study) -> str:
    """Return what is compared with, after "against"."""
    return "no damage" if study.reference is None else f"the reference of {degrees(study.reference)}"


def summary_sentences(study: Study) -> list[str]:
    """Return what a reader needs to know who reads nothing else."""
    first = _required(study) if study.requirement else _gdp(study)
    rest = (
        _certainty(study),
        _tenth(study),
        summary_collapse(study),
        _limits(study),
        _who(study),
        _first_help(study),
        _domain(study),
    )
    return [*first, *filter(None, rest)]  # fmt: skip


def _milestones(study: Study) -> list[int]:
    """Return the positions of round temperatures other than the headline that have an answer."""
    T, shown = study.temperatures, study.drawable()
    near = [int(np.argmin(np.abs(T - m))) for m in MILESTONES]
    return [k for k, m in zip(near, MILESTONES, strict=True) if abs(T[k] - m) < SAME and k != study.at and shown[k]]


def named(study: Study) -> set[int]:
    """Return the positions of the temperatures that the sentences name, for the tables to have them."""
    per = np.where(study.answered(), np.asarray(study.main.per_tenth), -np.inf)
    return {*_milestones(study), study.at, int(np.argmax(per))}


def _gdp(study: Study) -> list[str]:
    main, k, currency = study.main, study.at, study.economy.currency
    at = degrees(study.temperatures[k])
    if not study.drawable()[k]:
        return [f"At {at}, the economy delivers nothing: {ended(study.ended[0][k])}."]
    lost = study.base_gdp - float(main.gdp[k])
    text = f"At {at} of warming, GDP is {change(float(main.loss[k]))} than {base(study)}: {money(abs(lost), currency)} a year."
    others = _milestones(study)
    if study.ended[0][k] != "successful":
        text += f" That is what would be left, and no answer: {ended(study.ended[0][k])}."
    if others:
        shares = listed([percent(float(main.loss[j]), 2) for j in others])
        where = listed([degrees(study.temperatures[j]) for j in others])
        text += f" At {where} the loss is {shares}{', in this order' if len(others) > 1 else ''}."
    return [text]


def _required(study: Study) -> list[str]:
    main, k, currency = study.main, study.at, study.economy.currency
    at = degrees(study.temperatures[k])
    if not study.drawable()[k]:
        return [f"At {at}, no output meets the demand: {ended(study.ended[0][k])}."]
    output = float(np.sum(np.asarray(main.output[k])))
    more, factor = output - float(study.base_output.sum()), float(main.factor[k]) / study.base_factor - 1
    text = (
        f"At {at} of warming, the same final demand would take {money(more, currency)} a year more gross output than "
        f"{base(study)} ({percent(more / float(study.base_output.sum()), 3)}), and {percent(factor, 3)} more "
        f"{factor_name(study)}. It is a requirement, not a forecast: nothing says that they exist."
    )
    return [text]


def _certainty(study: Study) -> str:
    draws = study.gdp_draws
    if draws is None or study.drawn_at is None:
        return ""
    k = int(np.argmin(np.abs(study.drawn_at - study.temperatures[study.at])))
    scale = study.base_factor if study.requirement else study.base_gdp
    ends = np.asarray(draws.quantiles[:, k]) / scale
    low, high = (percent(float(v), 2) for v in sorted((abs(1 - ends[0]), abs(1 - ends[-1]))))
    what = f"the additional requirement of {factor_name(study)}" if study.requirement else "the loss"
    if (1 - ends[0]) * (1 - ends[-1]) < 0:
        low, high = (f"{words.signed(float(100 * (v - 1)), 2)}{words.SPACE}%" for v in (ends[0], ends[-1]))
        what = "the change"
    count = number(draws.draws.shape[0])
    return (
        f"In nine tenths of {count} draws of the damage function's parameters, {what} at {degrees(study.drawn_at[k])} lies "
        f"between {low} and {high}."
    )


def _tenth(study: Study) -> str:
    if study.requirement or not study.answered()[study.at]:
        return ""
    answered = study.answered()
    per = np.where(answered, np.asarray(study.main.per_tenth), -np.inf)
    worst, k, currency = int(np.argmax(per)), study.at, study.economy.currency
    at = f"The next tenth of a degree costs {money(float(per[k]), currency)} a year at {degrees(study.temperatures[k])}"
    if worst == k or per[worst] <= per[k] * (1 + 1e-9):
        return f"{at}; nowhere in this test does it cost more." if answered.sum() > 1 and answered.all() else f"{at}."
    return f"{at}. It costs most at {degrees(study.temperatures[worst])}: {money(float(per[worst]), currency)}."


def summary_collapse(study: Study) -> str:
    """Return whether and where the economy collapses."""
    found = study.collapse
    at = float(found.temperature)
    if at == math.inf:
        text = "There is no collapse: no warming takes the spectral radius of the technology to 1 under this damage function"
        radii = np.asarray(study.main.spectral_radius)
        some = radii[np.isfinite(radii)]
        return f"{text}; in this test it is at most {number(float(some.max()), 3)}." if some.size else f"{text}."
    if at == -math.inf:
        return "The economy could not sustain itself at the lowest temperature of the damage function already."
    what = f"At {degrees(round(at, 2))} the economy collapses: from there on, production eats up more than it makes"
    if bool(found.outside):
        return f"{what}. That is outside of the warming for which the damage function was made."
    return f"{what}{'' if study.tested(at) else ', beyond the temperatures of this test'}."


def _limits(study: Study) -> str:
    parts = [text for which in range(len(study.readings)) if (text := first_limit(study, which))]
    return " ".join(parts)


def first_limit(study: Study, which: int) -> str:
    """Return which account limits first under a reading, as a sentence; nothing where none does."""
    reading, result, T = study.readings[which], study.results[which], study.temperatures
    limits = np.asarray(result.bottleneck)
    if isinstance(reading, Bottleneck):
        some = np.flatnonzero((limits >= 0) & study.answered(which))
        if not some.size:
            return ""
        first, last = int(limits[some[0]]), int(limits[some[-1]])
        text = f"If no account could make more than it did, {study.place(first)} would be the first bottleneck"
        return text + ("." if first == last else f", and {study.place(last)} the last one, at {degrees(T[some[-1]])}.")
    if isinstance(reading, ResourceRequirement):
        if not study.answered(which)[study.at]:
            return ""
        some = study.base_output > 0
        growth = np.where(some, np.asarray(result.output[study.at]) / np.where(some, study.base_output, 1), 0)
        k = int(np.argmax(growth))
        more = rounded(float(growth[k]) - 1)
        much = f"by {percent(more)}" if more < CUT else f"to {number(more + 1)} times what it made"
        return f"To meet all of the old demand at {degrees(T[study.at])}, {study.place(k)} would have to grow most, {much}."
    if isinstance(reading, FixedCapacity):
        bad = np.flatnonzero(~np.asarray(result.feasible))
        if not bad.size:
            able = study.answered(which).all()
            return "If nothing could move between accounts, all of them could still deliver." if able else ""
        name = study.place(int(limits[bad[0]]))
        return (
            f"If nothing could move between accounts, {name} would be short first: from {degrees(T[bad[0]])} on (of the "
            "temperatures tested) its output would not cover what the others need of it."
        )
    return ""


def _who(study: Study) -> str:
    if study.requirement or not study.drawable()[study.at]:
        return ""
    lost = study.by_sector(study.lost[study.at])
    total = float(study.lost[study.at].sum())
    if total <= 0:
        return ""
    shares = study.by_sector(study.base_value_added)
    top = [name for name in study.ranked_sectors[:3] if lost[name] > 0]
    hardest = max(shares, key=lambda name: lost[name] / shares[name] if shares[name] > 0 else -math.inf)
    text = f"Most is lost in {listed(top)}"
    if hardest not in top[:1]:
        part = percent(float(lost[hardest] / shares[hardest]))
        text += f"; for its size {hardest} is hit hardest, with {part} of its value added"
    if len(study.economy.regions) > 1:
        by, own = study.by_region(study.lost[study.at]), study.by_region(study.base_value_added)
        relative = {r: rounded(float(by[r] / own[r])) for r in by if own[r] > 0}
        worst = max(relative, key=lambda r: relative[r])
        mildest = min(relative, key=lambda r: relative[r])
        text += f". Of the regions, {worst} loses most for its size, {percent(relative[worst], 3)}"
        if mildest != worst:
            text += f" ({mildest}, least, {percent(relative[mildest], 3)})"
    return f"{text}."


def _first_help(study: Study) -> str:
    gains = tenths(study)
    if gains is None:
        return ""
    k = int(np.argmax(gains))
    if gains[k] <= 0:
        return ""
    return (
        f"Less vulnerability helps most in {study.place(k)}: a tenth less saves "
        f"{money(float(gains[k]), study.economy.currency)} a year at {degrees(study.temperatures[study.at])}."
    )


def _domain(study: Study) -> str:
    outside = np.asarray(study.main.outside)
    text = f"Warning: {study.damage.warning}" if study.damage.warning else ""
    if not outside.any():
        return text
    low, high = (float(end) for end in study.damage.domain)
    out = study.temperatures[outside]
    where = degrees(out[0]) if out.size == 1 else f"the warming from {degrees(out[0])} to {degrees(out[-1])}"
    if outside[0] and outside[-1] and not outside.all():
        where = f"{words.count(out.size, 'temperature')} of {number(outside.size)}"
    verb = "lie" if where.endswith(number(outside.size)) and out.size > 1 else "lies"
    ends = f"{number(low)} to {degrees(high)}"
    return (
        f"{text} {words.sentence(where)} {verb} outside of what the damage function's source supports, {ends}.".strip()
    )


def ended(name: str) -> str:
    """Return in words why a temperature has no answer."""
    return {
        "collapsed": "the economy has collapsed",
        "inadmissible": "damage leaves an account without a technology",
        "infeasible": "a delivery would be negative",
        "unsolved": "the programme was not solved",
    }.get(name, "")


def tenths(study: Study) -> np.ndarray | None:
    """Return what a tenth less of each account's gamma adds to GDP at the headline (n,), to first order."""
    return None if study.resilience is None else 0.1 * np.asarray(study.resilience.gain) * study.gamma


def factor_name(study: Study) -> str:
    """Return what the factor is called."""
    return words.called(study.factor).replace("_", " ") if study.factor else "labour, capital and imports"


def key_figures(study: Study) -> list[tuple[str, str, str]]:
    """Return the key figures: what, how much, and a line of explanation."""
    main, k, currency = study.main, study.at, study.economy.currency
    at = degrees(study.temperatures[k])
    cards: list[tuple[str, str, str]] = []
    if study.drawable()[k]:
        output = float(np.sum(np.asarray(main.output[k])))
        share = output / float(study.base_output.sum()) - 1
        if study.requirement:
            more = float(main.factor[k]) / study.base_factor - 1
            cards.append((f"Factor at {at}", _signed(more), f"of {factor_name(study)} needed for the same demand"))
        else:
            lost = money(rounded(float(main.gdp[k]) - study.base_gdp, study.base_gdp), currency, short=True)
            cards.append((f"GDP at {at}", _signed(-float(main.loss[k])), f"{lost} a year"))
            if study.answered()[k]:
                tenth = money(rounded(float(main.per_tenth[k]), study.base_gdp), currency, short=True)
                cards.append(("Next 0.1 °C", tenth, f"a year, from {at} on"))
        before = float(study.base_output.sum())
        amount = money(rounded(output - before, before), currency, short=True)
        cards.append((f"Gross output at {at}", _signed(share), f"{amount} a year"))
        for name in study.outcomes[:4]:
            before, now = study.base_outcome(name), float(main.outcomes[name][k])
            amount = scaled(rounded(now - before, before), study.economy.unit(name))
            title = words.sentence(words.shorten(words.called(name), 30))
            cards.append((f"{title} at {at}", _signed(now / before - 1) if before else "0", amount))
    cards.append(_collapse_card(study))
    radius = float(main.spectral_radius[k])
    if math.isfinite(radius):
        before = number(float(study.collapse.spectral_radius))
        cards.append((f"Spectral radius at {at}", number(radius), f"{before} in the table; 1 is the collapse"))
    return cards


def _signed(share: float) -> str:
    return f"{words.signed(100 * rounded(share), 3)} %"


def _collapse_card(study: Study) -> tuple[str, str, str]:
    at = float(study.collapse.temperature)
    if not math.isfinite(at):
        return "Collapse", "none", "at any warming, under this damage function"
    far = "outside of the damage function's domain" if bool(study.collapse.outside) else "spectral radius of 1"
    return "Collapse at", degrees(round(at, 2)), far
