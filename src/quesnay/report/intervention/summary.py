"""A trade-off in a few numbers that programs and terminals can show."""

from typing import Any

import numpy as np

from ... import __version__
from .study import Study


def summary(study: Study) -> dict[str, Any]:
    """Return the main numbers of a trade-off as text, numbers, lists and dicts that JSON can hold.

    Keys
    ----
    title, table, year, currency, version:
        What was looked at.
    reduce, keep:
        name, unit, base (without any intervention).
    price_unit:
        The unit of penalties and shadow prices.
    curve:
        A row for each intervention: budget (None where penalties were given), penalty (or shadow price), outcome, reduced
        (share), kept, moved, moved_share, loss, gap, policies, and the outcomes.
    gap:
        The largest relative duality gap.
    headline:
        The position (from 0) in the curve of the intervention that the other keys are about.
    sectors, regions:
        The largest loss first: name, change (of what is kept), share (of its own), reduced (of what is reduced).
    accounts:
        Those that the intervention acts on or that lose or gain, the largest loss first: region, sector, alpha, output
        (relative change), change, worth.
    inputs:
        File name -> SHA-256.
    """
    economy = study.economy
    return {
        "title": study.title,
        "table": economy.name,
        "year": economy.year,
        "currency": economy.currency,
        "version": __version__,
        **{
            key: {"name": name, "unit": economy.unit(name), "base": study.base(name)}
            for key, name in (("reduce", study.reduce), ("keep", study.keep))
        },
        "price_unit": study.price_unit,
        "curve": _curve(study),
        "gap": float(np.max(np.asarray(study.found.gap))),
        "headline": study.at,
        "sectors": _sums(study, study.by_sector),
        "regions": _sums(study, study.by_region),
        "accounts": _accounts(study),
        "inputs": dict(study.inputs),
    }


def _curve(study: Study) -> list[dict[str, Any]]:
    found = study.found
    totals = {name: study.totals(name) for name in study.outcomes}
    return [
        {
            "budget": None if study.budgets is None else float(study.budgets[k]),
            **{name: float(getattr(found, name)[k]) for name in ("penalty", "outcome", "kept", "moved", "loss", "gap")},
            "reduced": float(study.reduced[k]),
            "moved_share": float(study.moved[k]),
            "policies": int(found.policies[k]),
            "outcomes": {name: float(values[k]) for name, values in totals.items()},
        }
        for k in range(study.points.size)
    ]


def _sums(study: Study, by: Any) -> list[dict[str, Any]]:
    own = np.asarray(study.economy.intensity(study.keep)) * np.asarray(study.found.base_output)
    change, base, saved = by(study.change), by(own), by(study.saved)
    rows = [
        {
            "name": name,
            "change": float(value),
            "share": float(value / base[name]) if base[name] > 0 else None,
            "reduced": float(saved[name]),
        }
        for name, value in change.items()
    ]
    return sorted(rows, key=lambda row: row["change"])


def _accounts(study: Study) -> list[dict[str, Any]]:
    rest = [int(k) for k in np.flatnonzero(study.acted) if not study.change[k]]
    return [
        {
            "region": study.accounts[k][0],
            "sector": study.accounts[k][1],
            "alpha": float(study.alpha[k]),
            "output": float(study.growth[k]),
            "change": float(study.change[k]),
            "worth": float(study.found.worth[study.at, k]),
        }
        for k in [*study.ranked, *rest]
    ]
