"""The report in sentences: the summary at the top, the key figures, and a caption for every section; all numbers computed."""

import numpy as np

from . import words
from .analysis import Total
from .findings import Findings
from .run import Run
from .words import listed, money, number, percent, sentence


def summary_sentences(run: Run) -> list[str]:
    """Return what a reader needs to know who reads nothing else."""
    found, currency = run.findings, run.economy.currency
    output, added = found.totals["output"], found.totals["value added"]
    span = words.count(run.days, "day")
    if not found.anything:
        return [f"Over {span}, output stays at its base everywhere: nothing is lost."]
    direction = "lower" if output.change < 0 else "higher"
    first = (
        f"Over {span}, output is {money(abs(output.change), currency)} {direction} than without the shock "
        f"({percent(abs(output.share))}), and value added {money(abs(added.change), currency)} "
        f"{'lower' if added.change < 0 else 'higher'} ({percent(abs(added.share))})."
    )
    rest = (_certainty(run), _region(run), _indirect(found, currency), _cause(run), _people(run), _back(output))
    return [first, *filter(None, rest)]


def _certainty(run: Run) -> str:
    if run.ensemble is None:
        return ""
    lost = -run.ensemble.changes()[0].change.sum(axis=1)
    low, middle, high = (money(float(v), run.economy.currency) for v in np.quantile(lost, [0.05, 0.5, 0.95]))
    return (
        f"These are the numbers at the mean of the calibrated parameters. In nine tenths of "
        f"{number(run.ensemble.draws)} draws, output lost lies between {low} and {high}, with a median of {middle}."
    )


def _region(run: Run) -> str:
    found = run.findings
    if len(found.regions) < 2 or found.split.total <= 0:
        return ""
    worst = found.regions[0]
    region = found.totals["output"].by_region
    share = -region[worst] / found.split.total
    text = f"{worst} bears {percent(share)} of the lost output" if 0 < share <= 1 else f"{worst} loses most output"
    day, part = worst_day(found, run, worst)
    return f"{text}; on its worst day, day {number(day)}, it produces {percent(part)} less than usual."


def worst_day(found: Findings, run: Run, region: str) -> tuple[int, float]:
    """Return the day on which a region loses most output, and the share of its base that it loses then."""
    mask = run.regions == region
    daily = found.quantities["output"].change[:, mask].sum(axis=1)
    base = found.quantities["output"].base[mask].sum()
    day = int(daily.argmin())
    return day, float(-daily[day] / base) if base > 0 else 0.0


def _indirect(found: Findings, currency: str) -> str:
    split = found.split
    direct, indirect = float(split.direct.sum()), float(split.indirect.sum())
    if direct <= 0 or split.total <= 0:
        return ""
    if indirect <= 0:
        return (
            f"The sectors that were hit lose {money(direct, currency)} directly; nothing is lost elsewhere on balance."
        )
    times = indirect / direct
    spread = f"every unit lost directly costs another {number(times, 2)} through missing inputs and orders"
    return f"{money(direct, currency)} of the loss are direct and {money(indirect, currency)} indirect: {spread}."


def _cause(run: Run) -> str:
    found = run.findings
    limited = found.causes.held_back
    if limited:
        days: dict[int, int] = {}
        for episode in found.episodes:
            days[episode.supplier] = days.get(episode.supplier, 0) + episode.days
        name = run.place(max(days, key=lambda supplier: days[supplier]))
        share, days_short = _short_of_inputs(run)
        when = f" {percent(share)} of the lost output falls on the {words.count(days_short, 'day')} on which this happened."
        return (
            f"{sentence(words.count(limited, 'sector'))} of {number(run.economy.n)} (those of every region counted by "
            f"themselves) had to stop or slow down for want of an input; the input that was missing most often is {name}."
            + (when if 0 < share <= 1 else "")
        )
    if not found.stocks:
        return ""
    lowest = found.stocks[0]
    left = number(lowest.days, 2)
    return (
        f"No sector ran out of an input: stocks were enough. The scarcest was {run.place(lowest.supplier)}: at the end of day "
        f"{number(lowest.day)} the lowest stock of it would have lasted another {left} {'day' if left == '1' else 'days'}."
    )


def _short_of_inputs(run: Run) -> tuple[float, int]:
    """Return the share of the lost output that falls on days on which an input held somebody back, and how many they are."""
    short = (np.asarray(run.path.bottleneck) >= 0).any(axis=1)
    daily = run.findings.quantities["output"].change.sum(axis=1)
    return float(daily[short].sum() / daily.sum()), int(short.sum())


def _people(run: Run) -> str:
    found = [run.findings.totals[name] for name in run.outcomes[:3]]
    if not found:
        return ""
    if all(total.change <= 0 for total in found):
        parts = [f"{words.quantity(-t.change, t.unit)} ({percent(-t.share)} of {_name(t)})" for t in found]
        return f"The output lost carries with it {listed(parts)}."
    parts = [f"{words.quantity(t.change, t.unit)} ({percent(t.share)} of {_name(t)})" for t in found]
    return f"With output go {listed(parts)}."


def _name(total: Total) -> str:
    return words.shorten(words.called(total.name), 60)


def _back(output: Total) -> str:
    if output.left is None:
        return "On no day is total output more than 0.1 % off its base."
    if output.back is None:
        return "At the end of the horizon, total output is not yet back within 0.1 % of its base."
    return f"From day {number(output.back)} on, total output stays within 0.1 % of its base."


def key_figures(run: Run) -> list[tuple[str, str, str]]:
    """Return the key figures: what, how much, and a line of explanation."""
    found, currency = run.findings, run.economy.currency
    output, added, split = found.totals["output"], found.totals["value added"], found.split
    cards = [
        (
            "Output",
            _change(output, currency),
            f"{_percent(output)} of {money(output.base, currency, short=True)} in the period",
        ),
        ("Value added", _change(added, currency), f"{_percent(added)} of {money(added.base, currency, short=True)}"),
    ]
    for name in run.outcomes[:4]:
        total = found.totals[name]
        unit = words.quantity(total.change, total.unit)
        cards.append(
            (
                sentence(words.shorten(words.called(name), 40)),
                unit,
                f"{_percent(total)} of {words.quantity(total.base, total.unit)}",
            )
        )
    if output.worst_day is not None:
        worst = f"−{percent(output.worst_share)}"
        cards.append(
            (
                "Worst day",
                worst,
                f"day {number(output.worst_day)}: {money(output.worst, currency, short=True)} of output lost",
            )
        )
    if split.total > 0 and split.indirect.sum() > 0:
        share = float(split.indirect.sum()) / split.total
        cards.append(("Indirect share", percent(share), "of the output lost; the rest is lost capacity itself"))
    cards.append(("Back to base", *back(output)))
    return cards


def back(total: Total) -> tuple[str, str]:
    """Return when a quantity is back at its base, and what that means."""
    if total.left is None:
        return "never left", "total output stays within 0.1 % of its base"
    if total.back is None:
        return "not yet", "not within 0.1 % of its base within the horizon"
    away = total.back - total.left
    return f"day {number(total.back)}", f"total output is within 0.1 % again, {words.count(away, 'day')} after it left"


def _change(total: Total, currency: str) -> str:
    return money(total.change, currency, short=True)


def _percent(total: Total) -> str:
    return f"{words.signed(100 * total.share, 2)} %"
