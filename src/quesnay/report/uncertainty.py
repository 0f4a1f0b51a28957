"""The sections of a report with an ensemble: how certain the losses are, and what the observations said."""

from typing import TYPE_CHECKING

import numpy as np

from . import words
from .ensemble import Change, Ensemble
from .markup import legend, paragraph, table, tag
from .run import Run
from .words import number, signed

if TYPE_CHECKING:
    from .panels import Drawn

MOST_ROWS = 12
TOLD = 0.1
"""Contraction from which on the data count as having said something of a parameter."""


def uncertainty(run: Run, drawn: "Drawn") -> str:
    """Return the fans of output and the losses with their intervals."""
    from .figures import fan
    from .figures.theme import note_on_window

    found = _of(run)
    text = (
        f"The same scenario under {words.count(found.draws, 'draw')} of the calibrated parameters: half of them lie in the "
        "dark band, nine tenths in the light one. The bands hold what the observations leave open of the parameters, and "
        "nothing else: not the model's own errors, and not other shocks."
    )
    if found.left_out:
        gave = "gave no finite run and is" if found.left_out == 1 else "gave no finite run and are"
        text += f" {words.sentence(words.count(found.left_out, 'further draw'))} {gave} left out."
    rows = [_row(run, part) for part in found.changes()]
    heads = ("", "Base output", "Change: median", "5 %", "95 %", "Median, %", "Worst day: median, %", "5 %", "95 %")
    caption = f"Change of output over the period under the draws, {run.economy.currency}"
    return (
        paragraph(text + note_on_window(run))
        + legend(fan.LEGEND)
        + drawn.place(fan.fans(run, found))
        + table(caption, heads, rows[:MOST_ROWS], range(1, len(heads)))
    )


def _row(run: Run, part: Change) -> tuple[str, ...]:
    total = np.quantile(part.change.sum(axis=1), [0.5, 0.05, 0.95])
    whole = part.base * run.days
    if part.base <= 0:
        return (part.name, "0", *map(number, total), *["no output"] * 4)
    worst = 100 * np.quantile(part.change.min(axis=1), [0.5, 0.05, 0.95]) / part.base
    shares = (signed(float(v), 2) for v in (100 * total[0] / whole, *worst))
    return (part.name, number(whole), *map(number, total), *shares)


def calibration(run: Run, drawn: "Drawn") -> str:
    """Return the parameters before and after the data, and the observations beside the draws."""
    found = _of(run)
    told = sum(p.contraction > TOLD for p in found.parameters)
    text = (
        f"{words.sentence(words.count(len(found.parameters), 'parameter'))} calibrated by {found.method} in "
        f"{words.count(found.simulations, 'simulation')}. Contraction is the share of the prior's variance that the data took "
        f"away; it is above {number(100 * TOLD)} % for {number(told)} of {number(len(found.parameters))}"
    )
    text += "." if told == len(found.parameters) else ": of the others, the numbers below are all but the prior's."
    warn = (
        ""
        if found.converged
        else tag("p", "The fit had not converged: give it more steps before using these numbers.", class_="quiet")
    )
    return paragraph(text) + warn + _fits(found, drawn) + _parameters(found)


def _fits(found: Ensemble, drawn: "Drawn") -> str:
    from .figures import fan

    if found.targets is None or found.predicted is None:
        return ""
    observed = found.targets.observed.to_numpy()
    low, high = np.quantile(found.predicted, [0.05, 0.95], axis=0)
    seen, inside = int(np.isfinite(observed).sum()), int(np.sum((low <= observed) & (observed <= high)))
    text = (
        f"Observations (dots) beside the model under the draws: {number(inside)} of {number(seen)} lie in the band of nine "
        "tenths of the draws. The band has no errors of measurement in it, and need not hold nine tenths of the observations."
    )
    rest = observed.shape[1] - fan.MOST_SERIES
    if rest > 0:
        text += (
            f" Shown are the {number(fan.MOST_SERIES)} series with most observations, of {number(observed.shape[1])}."
        )
    return paragraph(text) + legend((*fan.LEGEND, fan.OBSERVED)) + drawn.place(fan.fits(found))


def _parameters(found: Ensemble) -> str:
    shown = found.parameters[:MOST_ROWS]
    rows = [
        (p.name, *(number(v) for v in (p.prior[1], p.prior[0], p.prior[2], p.posterior[1], p.posterior[0], p.posterior[2])),
         f"{max(100 * p.contraction, 0.0):.0f} %")
        for p in shown
    ]  # fmt: skip
    heads = ("Parameter", "Prior: median", "5 %", "95 %", "Posterior: median", "5 %", "95 %", "Contraction")
    caption = "Parameters before and after the observations"
    if len(found.parameters) > MOST_ROWS:
        caption += f": the {MOST_ROWS} that they say most of, of {number(len(found.parameters))}"
    return table(caption, heads, rows, range(1, len(heads)))


def _of(run: Run) -> Ensemble:
    assert run.ensemble is not None
    return run.ensemble
