"""What is known of the spring of 2020 in each of the three tasks, as paths by day and account."""

import numpy as np

from .data import DAYS, Belgium, day
from .staff import local_level

LOCKDOWN, BUSINESS, SHOPS, CONTACT, RESTAURANTS, NEVER = (
    *map(day, ("2020-03-18", "2020-05-04", "2020-05-11", "2020-05-18", "2020-06-08")),
    DAYS,
)
"""The decrees: lockdown; offices and industry; shops; contact professions; restaurants and passengers; not before July."""

CLOSED = {
    SHOPS: ("G45",),
    CONTACT: ("S96",),
    RESTAURANTS: ("I55-56", "H49", "H50", "H51"),
    NEVER: ("N77", "N79", "R90-92", "R93", "S94"),
}
"""Sectors closed to customers by decree, by the day on which they reopen; non-food shops go with the first."""

REOPENED = {
    "Retail sales (non-food)": SHOPS,
    "Non-medical contact professions": CONTACT,
    "Accommodation and food service activities": RESTAURANTS,
}
"""Survey groups whose staff of before a reopening say nothing about after it."""

FADE = 90 / 0.4
"""Days in which lost demand falls to 37 %: the published persistence of consumption, from 4 May on."""

NEAREST = {
    "B05-09": "Manufacture of plastic and non-metallic products",
    "C16": "Manufacture of wood and paper products, and printing",
    "C18": "Manufacture of wood and paper products, and printing",
    "C19": "Manufacture of pharmaceutical and chemical products",
    "C27": "Manufacture of machinery and electrical equipment",
    "C29": "Manufacture of transport equipment",
    "C33": "Manufacture of machinery and electrical equipment",
    "D35": "Financial and insurance activities",
    "E36": "Financial and insurance activities",
    "E37-39": "Logistics",
    "G45": "Retail sales (non-food)",
    "H50": "Logistics",
    "H53": "Logistics",
    "M71": "Consultancy",
    "M72": "Engineering services",
    "M73": "Consultancy",
    "M74-75": "Consultancy",
    "N77": "Travel agencies",
    "S94": "Events and recreation",
    "S95": "Retail sales (non-food)",
}
"""The survey group whose staff stand for a sector that no survey covers; the others, public services, keep theirs."""


def opening(data: Belgium) -> np.ndarray:
    """Return the day on which each account reopens to customers (n,), -1 where it was never closed to them."""
    days = np.full(data.label.shape, -1)
    for when, labels in CLOSED.items():
        days[data.of(*labels)] = when
    days[data.in_group("Retail sales (non-food)")] = SHOPS
    return days


def idle_level(data: Belgium, ratio: float) -> np.ndarray:
    """Return idle staff without the surveys' noise, percent (t - 1, g)."""
    restart = np.zeros(data.idle.shape, bool)
    for name, when in REOPENED.items():
        restart[np.flatnonzero(data.staff_dates > when)[0], data.groups.index(name)] = True
    return local_level(data.idle, data.staff_dates, ratio, restart)


def staff_at_work(data: Belgium, level: np.ndarray) -> np.ndarray:
    """Return the share of staff at work (days, n): a survey stands for the days since the one before it.

    The first stands for all days since the lockdown, the last for all that follow. What is predicted for a survey date rests on
    no later survey.
    """
    days = np.arange(DAYS)
    survey = np.minimum(np.searchsorted(data.staff_dates[: len(level)], days, side="right"), len(level) - 1)
    path = np.where(days[:, None] >= LOCKDOWN, level[survey], 0)
    near = [data.groups.index(NEAREST[label]) if label in NEAREST else -1 for label in data.label]
    source = np.where(data.group >= 0, data.group, near)
    return 1 - np.concatenate([path, np.zeros((DAYS, 1))], axis=1)[:, source] / 100


def staff_after_april(data: Belgium, april: np.ndarray) -> np.ndarray:
    """Return the staff that may work (days, n) if staff are known until 27 April only: as in April until the decrees end."""
    may = april.copy()
    for account, opens in enumerate(np.maximum(BUSINESS, opening(data))):
        may[BUSINESS:opens, account] = april[BUSINESS, account]
        may[opens:, account] = 1
    return may


def lost_demand(data: Belgium, *, others: float = 1.0) -> np.ndarray:
    """Return the share of final demand lost (days, n): published shocks of households and others by their size, fading.

    `others` scales the shocks of other buyers (exports, investment, government) than households.
    """
    total = np.asarray(data.network.final_demand)
    rest = total - data.consumption
    loss = (data.household_loss * data.consumption + others * data.other_loss * rest) / np.where(total > 0, total, 1)
    return fade(BUSINESS, FADE)[:, None] * loss


def fade(until: int, days: float) -> np.ndarray:
    """Return 0 before the lockdown, 1 until a day, and what is left of it afterwards, falling to 37 % in `days`."""
    t = np.arange(DAYS)
    return np.where(t >= LOCKDOWN, np.exp(-np.maximum(0, t - until) / days), 0)


def a_priori(data: Belgium, *, closed: float = 0.8, back: float = 30.0) -> tuple[np.ndarray, np.ndarray]:
    """Return the staff that may work and the demand lost, each (days, n), from decrees and published indices alone.

    Until 4 May nobody works whose work is neither essential nor possible at home, and until they open, 80 % of the staff of
    what is closed to customers (Pichler et al. for hospitality). Hospitality, travel, recreation and passenger transport lose
    their customers until they may be visited; goods sold in closed shops lose 80 % of their demand.
    """
    stopped = (1 - data.telework) * (1 - data.essential)
    at_work = data.in_group("Retail sales (food)") | data.of("O84", "P85", "Q86", "Q87-88")
    stopped = np.where(at_work, 0, stopped)
    may, opens = np.ones((DAYS, stopped.size)), opening(data)
    may[LOCKDOWN:BUSINESS] = 1 - stopped
    for account in np.flatnonzero((opens >= 0) & ~data.of("H49", "H50", "H51")):  # transport ran, without passengers
        may[LOCKDOWN : opens[account], account] = 1 - max(closed, stopped[account])
        may[opens[account] :, account] = 1

    lost = lost_demand(data)
    for labels, share in ((("I55-56", "N79", "R90-92", "R93"), 0.8), (("H49", "H50", "H51"), 0.67)):
        for account in np.flatnonzero(data.of(*labels)):
            lost[:, account] = share * fade(opens[account], back)
    lost[LOCKDOWN:SHOPS, data.of("C13-15", "C29", "C31-32")] = 0.8
    return may, lost
