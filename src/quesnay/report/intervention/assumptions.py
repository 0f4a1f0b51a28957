"""What a trade-off assumes, in words: the equations with their source, the bounds, and what is left out."""

import numpy as np

from .. import words
from . import story
from .study import Study

EQUATIONS = (
    (
        "x = α (A x + d),   lo ≤ α ≤ hi",
        (
            "Account i delivers the share αᵢ of what others and final demand ask of it. What it does not buy then is not asked "
            "of its suppliers. α = 1 is the table."
        ),
    ),
    (
        "min c′x + λ Σ eᵢ |xᵢ − x₀ᵢ|",
        (
            "c is what is reduced and e what is kept, per unit of output; x₀ is the output of the table. A budget takes the "
            "place of the penalty λ, which then is its shadow price. Besserve and Schölkopf (2022), equation 5."
        ),
    ),
    (
        "w = c ± λ e + A′(α w)",
        (
            "The worth of one more unit of each output. A factor is at its lower bound where the worth is positive and at its "
            "upper one where it is negative (Howard, 1960; Puterman, 1994)."
        ),
    ),
    (
        "gap = (loss − bound) / max(|loss|, |bound|)",
        (
            "The worths give a lower bound of the loss that holds for every intervention within the bounds (weak duality). The "
            "gap says how far the one found can be from the best."
        ),
    ),
)
SAYS = (
    (
        "How much of what is reduced goes at most, for what of the rest moves, and in which accounts: a bound for every other "
        "plan that works by the same means."
    ),
    "Where the first cuts are cheap: the shadow price falls along the curve, and says what the next step would bring.",
)
NOT = (
    "Demand that is not met here is met nowhere: there are no imports in its place, and nobody buys anything else.",
    "No prices, no substitution, no other technology: inputs per unit of output are those of the table.",
    (
        "The best plan is a corner of a linear model: whole accounts close, one after the other. A lower bound says how far "
        "that may go."
    ),
    "What is kept and reduced follows output in fixed proportion; people who move find nothing else in this picture.",
    "Customers of an account that is cut go on as before: what they no longer get from it does not hold them up.",
)


def parameters(study: Study) -> list[tuple[str, str, str]]:
    """Return the parameters: name, value, meaning."""
    economy, points = study.economy, study.points
    low, high = study.bounds
    budgets = study.budgets is not None
    said = [story.share(float(p)) if budgets else words.number(float(p)) for p in points]
    return [
        (
            "reduce, c′x₀",
            story.amount(study, study.reduce, study.base(study.reduce)),
            f"{story.called(study.reduce)} of the table",
        ),
        (
            "keep, e′x₀",
            story.amount(study, study.keep, study.base(study.keep)),
            f"{story.called(study.keep)} of the table",
        ),
        (
            "budgets" if budgets else "penalties",
            words.listed(said, 8),
            f"of {story.called(study.keep)} may move" if budgets else words.pretty(study.price_unit),
        ),
        ("lo", _span(low), _who(study, low)),
        ("hi", _span(high), _who(study, high)),
        ("accounts", words.number(economy.n), "of the table"),
    ]


def _span(bound: np.ndarray) -> str:
    least, most = float(bound.min()), float(bound.max())
    return f"{least:.4g}" if least == most else f"{least:.4g} to {most:.4g}"


def _who(study: Study, bound: np.ndarray) -> str:
    """Return which accounts have another bound than most."""
    values, counts = np.unique(bound, return_counts=True)
    if values.size == 1:
        return "of every factor"
    usual = values[np.argmax(counts)]
    names = [f"{study.place(int(k))} {bound[k]:.4g}" for k in np.flatnonzero(bound != usual)]
    return f"{usual:.4g} of most factors; {words.listed(names, 8)}"
