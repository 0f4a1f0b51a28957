"""The sections of the report of a trade-off: what one sees, the figures, and the tables behind them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .. import words
from ..markup import bullets, paragraph, table, tag
from ..sources import equations, sources
from ..words import number, percent, signed
from . import assumptions, figures, story
from .study import SAME, Study

if TYPE_CHECKING:
    from ..panels import Drawn

Section = Callable[[Study, "Drawn"], str]
MOST_ROWS = 16


def tradeoff(study: Study, drawn: "Drawn") -> str:
    """Return the curve and its shadow price."""
    reduce, keep = story.called(study.reduce), story.called(study.keep)
    text = (
        f"What share of {reduce} goes for what share of {keep} that moves, up or down, if it is done in the best way. Every "
        "point is the best of all interventions within the bounds; between two points the curve lies on or above the straight "
        "line. "
        f"The circle marks {story.named(study, study.at)}, which the sections below are about."
    )
    price = "Shadow price" if study.budgets is not None else "Penalty"
    unit = words.pretty(study.price_unit)
    names = {name: words.pretty(study.economy.unit(name)) for name in (study.reduce, study.keep)}
    caption = (
        f"The trade-off: {reduce} in {names[study.reduce]}, {keep} in {names[study.keep]}, {price.lower()} in {unit}"
    )
    kind = "Budget" if study.budgets is not None else "Penalty"
    first = words.sentence(reduce), "Reduced", f"{words.sentence(keep)} moved", "Moved"
    heads = (kind, *first, *(["Shadow price"] if study.budgets is not None else []), "Held back", "Closed")
    rows = []
    some = np.asarray(study.found.base_output) > 0
    for k, point in enumerate(study.points):
        alpha = np.asarray(study.found.alpha[k])
        rows.append(
            (
                story.share(float(point)) if study.budgets is not None else number(float(point)),
                number(float(study.found.outcome[k])),
                percent(float(study.reduced[k]), 3),
                number(float(study.found.moved[k])),
                story.share(float(study.moved[k]), 3),
                *([number(float(study.found.penalty[k]))] if study.budgets is not None else []),
                number(int((some & (alpha < 1 - SAME)).sum())),
                number(int((some & (alpha <= SAME)).sum())),
            )
        )
    return paragraph(text) + drawn.place(figures.curve(study)) + table(caption, heads, rows, range(1, 8))


def who(study: Study, drawn: "Drawn") -> str:
    """Return losses and gains by sector, by region and by account."""
    if not study.ranked:
        return tag("p", "Nothing moves.", class_="quiet")
    text = (
        f"The intervention at {story.named(study, study.at)}. An account with a factor below 1 delivers that share of what it "
        "is asked for; one with a factor of 1 delivers all, and still loses where its customers buy less."
    )
    if (study.alpha > 1).any():
        text += " A factor above 1 says that it makes up for some of what its customers no longer buy."
    parts = [paragraph(text), drawn.place(figures.who(study, study.by_sector, "sector"))]
    if len(study.economy.regions) > 1:
        parts.append(drawn.place(figures.who(study, study.by_region, "region")))
    return "".join([*parts, _accounts(study)])


def _accounts(study: Study) -> str:
    gains = [k for k in study.ranked if study.change[k] > 0][-MOST_ROWS // 4 :]
    losses = [k for k in study.ranked if k not in gains]
    shown = losses[: MOST_ROWS - len(gains)] + gains
    reduce, keep = (words.pretty(study.economy.unit(name)) for name in (study.reduce, study.keep))
    names = [words.sentence(story.called(name)) for name in (study.keep, study.reduce)]
    heads = ("Account", "Factor α", "", "Output", *names, "Worth")
    worth = np.asarray(study.found.worth[study.at])
    size, saved = float(np.max(np.abs(worth))), float(np.sum(np.abs(study.saved)))
    rows = [
        (
            study.label(k),
            number(words.rounded(float(study.alpha[k]))),
            _state(study, k),
            story.fallen(float(study.growth[k])),
            signed(float(study.change[k])),
            signed(words.rounded(-float(study.saved[k]), saved)),
            signed(words.rounded(float(worth[k]), size)),
        )
        for k in shown
    ]
    caption = f"Changes by account, {keep} and {reduce}, the largest losses first"
    if len(shown) < len(study.ranked):
        caption += f": {len(shown)} of {number(len(study.ranked))}"
    unit = words.pretty(study.loss_unit)
    what = (
        f"Worth: what one more unit of the account's output would add to the loss, {unit}. Where it is positive, the factor is "
        "at its lower bound; where it is negative, at its upper one; at 0 the account is where the budget ends."
    )
    return table(caption, heads, rows, (1, 3, 4, 5, 6)) + paragraph(what, "note")


def _state(study: Study, k: int) -> str:
    if study.closed[k]:
        return "closed"
    if not study.acted[k]:
        return "delivers all"
    if study.marginal[k]:
        return "between bounds"
    return "lower bound" if study.alpha[k] < 1 else "upper bound"


def outcomes(study: Study, drawn: "Drawn") -> str:
    """Return what else changes."""
    text = (
        "What the same interventions do to output, value added and other accounts, each in per cent of the table. They are not "
        "chosen for these: they follow output in fixed proportion."
    )
    k, rows = study.at, []
    for name in (study.reduce, study.keep, *study.outcomes):
        base, now = study.base(name), float(study.totals(name)[k])
        unit = words.pretty(study.economy.unit(name))
        shares = story.fallen(now / base - 1) if base else "–"
        title = words.sentence(words.shorten(story.called(name), 60))
        rows.append((title, unit, number(base), number(now), signed(words.rounded(now - base, base)), shares))
    heads = ("Account", "Unit", "Table", "Intervention", "Change", "Change, %")
    caption = f"Accounts at {story.named(study, k)}"
    return paragraph(text) + drawn.place(figures.outcomes(study)) + table(caption, heads, rows, range(2, 6))


def meaning(study: Study, drawn: "Drawn") -> str:
    """Return what the numbers say and what they do not."""
    del study, drawn
    says = tag("h3", "What it says") + bullets(assumptions.SAYS)
    return says + tag("h3", "What it does not say") + bullets(assumptions.NOT)


def proof(study: Study, drawn: "Drawn") -> str:
    """Return the certificate of every point."""
    del drawn
    unit = words.pretty(study.economy.unit(study.reduce))
    tried = study.budgets is None  # of a budget, policies are tried for many penalties
    programme = bool((np.asarray(study.found.policies) < 0).any())
    how = (
        "a linear programme in twice the accounts, solved by HiGHS, and its vertex solved for again"
        if programme
        else "policy iteration, since no factor exceeds 1"
    )
    text = (
        f"Found by {how}. For every point there is a lower bound of the loss that holds for all interventions; the relative "
        "gap between both is what the best one could still be better by. Above 1e-9 no report is made."
    )
    rows = [
        (
            story.share(float(point)) if study.budgets is not None else number(float(point)),
            number(float(study.found.loss[k]), 6),
            number(float(study.found.gap[k]), 2),
            *([number(int(study.found.policies[k]))] if tried and not programme else []),
        )
        for k, point in enumerate(study.points)
    ]
    first = "Budget" if study.budgets is not None else "Penalty"
    heads = (first, f"Loss, {unit}", "Relative gap", *(["Policies tried"] if tried and not programme else []))
    return paragraph(text) + table("Certificates", heads, rows, range(1, len(heads)))


def basis(study: Study, drawn: "Drawn") -> str:
    """Return assumptions and sources."""
    del drawn
    rows = assumptions.parameters(study)
    return "".join(
        [
            equations(assumptions.EQUATIONS),
            table("Parameters", ("Parameter", "Value", "Meaning"), rows, kind="words"),
            *sources(study),
        ]
    )


def parts(study: Study) -> list[tuple[str, str, Section]]:
    """Return the sections of the report: name, heading, and what they say."""
    gains = bool((study.change > 0).any())
    return [
        ("trade-off", "The trade-off", tradeoff),
        ("who", "Who loses, and who gains" if gains else "Who loses", who),
        ("outcomes", "What else changes", outcomes),
        ("meaning", "What it says, and what not", meaning),
        ("proof", "How it is proved", proof),
        ("basis", "Assumptions and sources", basis),
    ]
