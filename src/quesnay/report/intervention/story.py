"""A trade-off in sentences: the summary at the top and the key figures; all numbers computed."""

import numpy as np

from .. import words
from ..words import listed, number, percent, rounded, signed
from .study import Study


def called(name: str) -> str:
    """Return how an account is called in a text."""
    return words.called(name).replace("_", " ")


def amount(study: Study, name: str, value: float) -> str:
    """Return a quantity of an account with its unit."""
    unit = study.economy.unit(name)
    return words.money(value, unit) if unit == study.economy.currency else words.scaled(value, unit)


def price(study: Study, k: int) -> str:
    """Return the penalty or shadow price of an intervention with its unit."""
    return f"{number(float(study.found.penalty[k]))}{words.SPACE}{words.pretty(study.price_unit)}"


def named(study: Study, k: int) -> str:
    """Return what an intervention is called: "a budget of 5 %", or "a penalty of 100 kt CO₂e per job"."""
    return f"a penalty of {price(study, k)}" if study.budgets is None else f"a budget of {share(study.budgets[k])}"


def share(part: float, digits: int = 4) -> str:
    """Return a budget as it was given, or what moves under it, in per cent; whole numbers have no decimals."""
    return f"{100 * part:.{digits}g}{words.SPACE}%"


def summary_sentences(study: Study) -> list[str]:
    """Return what a reader needs to know who reads nothing else."""
    found = (
        _first(study),
        _others(study),
        _price(study),
        _losers(study),
        _gainers(study),
        _along(study),
        _proof(study),
    )
    return [text for text in found if text]


def _first(study: Study) -> str:
    k, reduce, keep = study.at, called(study.reduce), called(study.keep)
    much = amount(study, study.reduce, study.base(study.reduce) - float(study.found.outcome[k]))
    what = f"{percent(float(study.reduced[k]), 3)} of {reduce} ({much})"
    moved = share(float(study.moved[k]), 3)
    if study.budgets is None:
        return f"At {named(study, k)}, the best intervention takes away {what} and moves {moved} of {keep}."
    text = f"If at most {share(study.budgets[k])} of {keep} may move, {what} can go, and no intervention within the bounds "
    text += "takes away more"
    return f"{text}." if study.moved[k] >= study.budgets[k] * (1 - 1e-6) else f"{text}; it moves only {moved}."


def _others(study: Study) -> str:
    rest = [k for k in range(study.points.size) if k != study.at]
    if not rest:
        return ""
    shown = rest if len(rest) <= 5 else [rest[k] for k in np.linspace(0, len(rest) - 1, 5).round().astype(int)]
    kind = "a penalty" if study.budgets is None else "a budget"
    points = [number(float(study.points[k])) if study.budgets is None else share(study.budgets[k]) for k in shown]
    parts = [percent(float(study.reduced[k]), 3) for k in shown]
    order = ", in this order" if len(shown) > 1 else ""
    return f"With {kind} of {listed(points)} it is {listed(parts)}{order}."


def _price(study: Study) -> str:
    k = study.at
    if study.budgets is None or not study.moved[k] > 0:
        return ""
    mean = study.reduced[k] * float(study.found.base_outcome) / float(study.found.moved[k])
    text = f"The shadow price there is {price(study, k)}: what a little more room would save, beside {number(float(mean))} on "
    return text + "average up to there."


def _losers(study: Study) -> str:
    lost = [k for k in study.ranked if study.change[k] < 0]
    if not lost:
        return f"Nothing loses {called(study.keep)}."
    closed, held = int(study.closed.sum()), int(study.held.sum())
    more = int((study.acted & ~study.held).sum())
    text = f"Most {called(study.keep)} are lost in {listed([study.place(k) for k in lost[:3]])}"
    text += f". The intervention holds back {number(held)} of {words.count(study.economy.n, 'account')}"
    text += f", and closes {number(closed)}" if closed else ", and closes none"
    marginal = [study.place(int(k)) for k in np.flatnonzero(study.marginal & study.held)]
    if marginal and len(marginal) <= 3 and study.budgets is not None:
        text += f"; {listed(marginal)} {'is' if len(marginal) == 1 else 'are'} cut in part, where the budget ends"
    if more:
        verb = "delivers" if more == 1 else "deliver"
        text += (
            f". {words.sentence(words.count(more, 'account'))} {verb} more than is asked for, in place of what lost "
        )
        text += "customers no longer buy"
    return f"{text}."


def _gainers(study: Study) -> str:
    gains = [k for k in reversed(study.ranked) if study.change[k] > 0]
    if gains:
        total = amount(study, study.keep, float(study.change[study.change > 0].sum()))
        return f"{total} are gained, most in {listed([study.place(k) for k in gains[:3]])}."
    if (study.bounds[1] <= 1).all():
        return "Nobody gains: no factor may exceed 1, so that no output rises."
    return ""


def _along(study: Study) -> str:
    moved = float(np.abs(study.change).sum())
    if moved <= 0:
        return ""
    along = float(np.abs(study.change[~study.acted]).sum()) / moved
    if not along > 0:
        return ""
    return (
        f"Of what moves, {percent(along)} lies in accounts that still deliver all that they are asked for: they supply "
        "the others, and are asked for less."
    )


def _proof(study: Study) -> str:
    gap = float(np.max(np.asarray(study.found.gap)))
    return f"Every point is proved: the largest relative duality gap is {number(gap, 2)}."


def fallen(change: float) -> str:
    """Return a relative change in per cent with its sign."""
    return f"{signed(100 * rounded(change), 3)} %"


def key_figures(study: Study) -> list[tuple[str, str, str]]:
    """Return the key figures: what, how much, and a line of explanation."""
    k, found = study.at, study.found
    reduce, keep = called(study.reduce), called(study.keep)
    less = amount(study, study.reduce, float(found.outcome[k]) - float(found.base_outcome))
    lost, won = (float(np.abs(study.change[side]).sum()) for side in (study.change < 0, study.change > 0))
    sides = [f"{amount(study, study.keep, v)} {what}" for v, what in ((lost, "lost"), (won, "gained")) if v > 0]
    cards = [
        (f"{words.sentence(keep)} moved", share(float(study.moved[k]), 3), listed(sides) or "nothing moves"),
        (words.sentence(reduce), fallen(-float(study.reduced[k])), f"{less} a year"),
        (
            "Shadow price" if study.budgets is not None else "Penalty",
            number(float(found.penalty[k])),
            words.pretty(study.price_unit),
        ),
    ]
    for name in study.outcomes[:3]:
        base, now = study.base(name), float(study.totals(name)[k])
        by = amount(study, name, rounded(now - base, base))
        cards.append((words.sentence(words.shorten(called(name), 30)), fallen(now / base - 1) if base else "0", by))
    cards.append(
        (
            "Accounts held back",
            number(int(study.held.sum())),
            f"of {number(study.economy.n)}; {int(study.closed.sum())} closed",
        )
    )
    cards.append(
        (
            "Largest duality gap",
            number(float(np.max(np.asarray(found.gap))), 2),
            "relative, of all points",
        )
    )
    return cards
