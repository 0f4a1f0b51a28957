"""A run in a few numbers that programs and terminals can show."""

from typing import Any

import numpy as np

from .. import __version__
from .analysis import Total
from .run import Run
from .sensitivities import Effect
from .shocks import sentences

MOST = 10


def summary(run: Run) -> dict[str, Any]:
    """Return a run's main numbers as text, numbers, lists and dicts that JSON can hold.

    Keys
    ----
    title, table, year, currency, days, days_per_year, seed, version:
        What was run.
    shocks:
        Sentences.
    totals:
        "output", "value added" and each outcome -> unit, base (over the period), base_year, change (negative: lost), share
        (of the base), worst_day (or None), worst_loss (per day), worst_share, left_day and back_day (the first day more than
        0.1 % off the base, and the first day from which it stays within; None: never), by_region (region -> change).
    loss:
        total, direct, indirect, indirect_at_hit, indirect_same_region, indirect_elsewhere: output lost, in currency.
    sectors:
        The ten accounts that lose most output: region, sector, loss (currency), direct, indirect.
    bottlenecks:
        share_of_days by cause (demand, capacity, input; over all accounts), accounts (how many an input ever held back),
        longest (ten episodes: customer, supplier, first, last, days), lowest_stock (days of output, day, supplier,
        customer; None without inputs).
    sensitivities:
        The ten largest effects on the value added lost: parameter, region, sector, effect (derivative times the step), taken
        (change where the step is simulated, or None), unit.
    inputs:
        File name -> SHA-256.
    """
    found, economy = run.findings, run.economy
    split = found.split
    return {
        "title": run.title,
        "table": economy.name,
        "year": economy.year,
        "currency": economy.currency,
        "days": run.days,
        "days_per_year": run.days_per_year,
        "seed": run.seed,
        "version": __version__,
        "shocks": list(sentences(run)),
        "totals": {name: _total(total) for name, total in found.totals.items()},
        "loss": {
            "total": split.total,
            "direct": float(split.direct.sum()),
            "indirect": float(split.indirect.sum()),
            "indirect_at_hit": split.indirect_at_hit,
            "indirect_same_region": split.indirect_same_region,
            "indirect_elsewhere": split.indirect_elsewhere,
        },
        "sectors": _sectors(run),
        "bottlenecks": _bottlenecks(run),
        "sensitivities": [_effect(run, effect) for effect in found.sensitivities.effects[:MOST]],
        "inputs": dict(run.inputs),
    }


def _total(total: Total) -> dict[str, Any]:
    return {
        "unit": total.unit,
        "base": total.base,
        "base_year": total.base_year,
        "change": total.change,
        "share": total.share,
        "worst_day": total.worst_day,
        "worst_loss": total.worst,
        "worst_share": total.worst_share,
        "left_day": total.left,
        "back_day": total.back,
        "by_region": dict(total.by_region),
    }


def _named(run: Run, account: int, role: str = "") -> dict[str, str]:
    region, sector = run.accounts[account]
    return {f"{role}region": region, f"{role}sector": sector}


def _sectors(run: Run) -> list[dict[str, Any]]:
    split = run.findings.split
    return [
        {
            **_named(run, k),
            "loss": float(split.lost[k]),
            "direct": float(split.direct[k]),
            "indirect": float(split.indirect[k]),
        }
        for k in np.argsort(-split.lost, kind="stable").tolist()[:MOST]
        if split.lost[k] > 0
    ]


def _effect(run: Run, effect: Effect) -> dict[str, Any]:
    return {
        "parameter": effect.parameter,
        **_named(run, effect.account),
        "effect": effect.value,
        "taken": effect.taken,
        "unit": effect.unit,
    }


def _bottlenecks(run: Run) -> dict[str, Any]:
    found = run.findings
    longest = [
        {
            **_named(run, episode.customer, "customer_"),
            **_named(run, episode.supplier, "supplier_"),
            "first": episode.first,
            "last": episode.last,
            "days": episode.days,
        }
        for episode in found.episodes[:MOST]
    ]
    lowest = [
        {
            **_named(run, stock.supplier, "supplier_"),
            **_named(run, stock.customer, "customer_"),
            "days": stock.days,
            "day": stock.day,
        }
        for stock in found.stocks[:1]
    ]
    return {
        "share_of_days": {name: float(getattr(found.causes, name).mean()) for name in ("demand", "capacity", "input")},
        "accounts": found.causes.held_back,
        "longest": longest,
        "lowest_stock": lowest[0] if lowest else None,
    }
