"""The three runs: Pichler et al. (2022) on the Belgian table, in the rules of `q.supply`."""

import numpy as np

import quesnay as q

from .data import DAYS, Belgium
from .scenarios import LOCKDOWN, a_priori, lost_demand, staff_after_april, staff_at_work

ADJUSTMENT = 10.0
"""Days in which a gap between a stock and its target is ordered."""


def model(data: Belgium, *, reacting: bool, production: q.supply.AbstractProduction | None = None) -> q.SupplyModel:
    """Return the model; in a reacting one staff follow orders, and consumption what can be bought and what is earned."""
    households = q.supply.Households(data.consumption, data.compensation)
    return q.SupplyModel(
        data.network,
        inventory=data.inventory,
        adjustment=ADJUSTMENT,
        production=q.supply.HalfCritical(data.criticality) if production is None else production,
        labour=q.supply.Labour() if reacting else None,
        households=households if reacting else None,
    )


def run(data: Belgium, built: q.SupplyModel, shock: q.ByDay) -> q.supply.SupplyPath:
    """Return the path by survey group (the last one: no group)."""
    count = len(data.groups) + 1
    groups = q.by_group(np.where(data.group < 0, count - 1, data.group), count)
    return q.simulate(built, shock, steps=DAYS, observe=groups)


def nowcast(
    data: Belgium, idle: np.ndarray, p: float, *, production: q.supply.AbstractProduction | None = None
) -> q.supply.SupplyPath:
    """Return the path where idle staff are known at every survey; of the work of the others the share p is lost."""
    built = model(data, reacting=False, production=production)
    return run(data, built, q.ByDay(labour=1 - worked(staff_at_work(data, idle), p)))


def worked(staff: np.ndarray, p: float) -> np.ndarray:
    """Return the work (days, n) of the staff at work, who get the share p less done from the lockdown on."""
    return staff * np.where(np.arange(DAYS) >= LOCKDOWN, 1 - p, 1)[:, None]


def forecast(data: Belgium, idle: np.ndarray, p: float, *, others: float = 1.0) -> q.supply.SupplyPath:
    """Return the path where idle staff are known until 27 April (four surveys), and then follow orders."""
    may = worked(staff_after_april(data, staff_at_work(data, idle[:4])), p)
    shock = q.ByDay(labour=1 - may, demand=lost_demand(data, others=others))
    return run(data, model(data, reacting=True), shock)


def closures_only(data: Belgium) -> q.supply.SupplyPath:
    """Return the path where no survey is known."""
    may, lost = a_priori(data)
    return run(data, model(data, reacting=True), q.ByDay(labour=1 - may, demand=lost))


def change(data: Belgium, path: q.supply.SupplyPath) -> np.ndarray:
    """Return the change of output by day and group, percent (days, g)."""
    groups = slice(0, len(data.groups))
    return 100 * (np.asarray(path.output)[:, groups] / np.asarray(path.base.output)[groups] - 1)


def at_surveys(data: Belgium, path: q.supply.SupplyPath, offset: np.ndarray | float = 0.0) -> np.ndarray:
    """Return the change of output in percent (t, g): the mean of the seven days before each survey date."""
    daily = change(data, path)
    return np.maximum(np.array([daily[d - 7 : d].mean(axis=0) for d in data.dates]) + offset, -100)
