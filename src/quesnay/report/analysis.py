"""What was lost, where and when: the arrays of a path summed, labelled and compared with the base state."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from . import words
from .run import Run

BACK = 1e-3
"""A quantity is back where it stays within this share of its base."""
ROUNDING = 1e-9
"""Changes below this share of the base are rounding and count as no change."""

NOISE = 1e-13
"""The change of an account on a day is set to zero below this share of its base, so that rounding does not add up."""


@dataclass(frozen=True, eq=False)
class Quantity:
    """One quantity per account: its path (days, n) and its base (n,), per day, and the unit of its sum over days."""

    name: str
    unit: str
    path: np.ndarray
    base: np.ndarray

    @property
    def change(self) -> np.ndarray:
        """The change from the base (days, n), per day; negative is lost, and what is rounding is zero."""
        change = self.path - self.base
        return np.where(np.abs(change) > NOISE * np.abs(self.base), change, 0.0)


@dataclass(frozen=True, eq=False)
class Total:
    """One quantity added up over accounts and days.

    Attributes
    ----------
    name, unit:
        What it is, and the unit of the sums.
    base, actual, change, share:
        Sums over the period without and with the shock; `change = actual - base`; `share = change / base`.
    base_year:
        The base over the table's year.
    worst, worst_share, worst_day:
        The largest loss of a single day (>= 0), its share of the day's base, and the day; None where nothing was lost.
    left, back:
        The first day on which it is more than 0.1 % off its base (None: never), and the first day from which it stays within
        0.1 % until the end (None: not within the horizon, or never left).
    by_region:
        Region -> change over the period.
    """

    name: str
    unit: str
    base: float
    actual: float
    change: float
    share: float
    base_year: float
    worst: float
    worst_share: float
    worst_day: int | None
    left: int | None
    back: int | None
    by_region: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Split:
    """Output lost over the period, by where it begins: `total = direct.sum() + indirect.sum()`.

    Attributes
    ----------
    direct, indirect:
        By account (n,), currency; direct is what the account's own capacity takes from its base output.
    hit:
        Which accounts (n,) lost capacity on some day.
    neighbours:
        Which accounts (n,) were not hit but share a region with one that was.
    """

    direct: np.ndarray
    indirect: np.ndarray
    hit: np.ndarray
    neighbours: np.ndarray

    @property
    def lost(self) -> np.ndarray:
        """Output lost by account (n,), currency."""
        return self.direct + self.indirect

    @property
    def total(self) -> float:
        """All output lost, currency."""
        return float(self.direct.sum() + self.indirect.sum())

    @property
    def indirect_at_hit(self) -> float:
        """Indirect loss of the accounts that were hit, currency."""
        return float(self.indirect[self.hit].sum())

    @property
    def indirect_same_region(self) -> float:
        """Indirect loss of all other accounts in the regions that were hit, currency."""
        return float(self.indirect[self.neighbours].sum())

    @property
    def indirect_elsewhere(self) -> float:
        """Indirect loss in all other regions, currency."""
        return float(self.indirect[~self.hit & ~self.neighbours].sum())


def quantities(run: Run) -> dict[str, Quantity]:
    """Return output, value added and every outcome of a run, by name."""
    economy, path = run.economy, run.path
    base = path.base
    assert base is not None
    found = {
        "output": Quantity("output", economy.currency, _host(path.output), _host(base.output)),
        "value added": Quantity("value added", economy.currency, _host(path.value_added), _host(base.value_added)),
    }
    for name in run.outcomes:
        intensity = economy.intensity(name)
        found[name] = Quantity(name, unit_of(run, name), _host(path.impact(intensity)), _host(base.impact(intensity)))
    return found


def unit_of(run: Run, name: str) -> str:
    """Return the unit of an outcome's sum over days; people at work become person-years."""
    unit = run.economy.unit(name)
    return words.person_years(unit) if words.is_labour(name, unit) else unit


def total(run: Run, quantity: Quantity) -> Total:
    """Return a quantity added up over accounts and days, with its worst day and its return to the base."""
    change, base = quantity.change.sum(axis=1), float(quantity.base.sum())
    scale = base if base else 1.0
    worst_day = int(change.argmin())
    lost = max(0.0, -float(change[worst_day]))
    fell = lost > ROUNDING * abs(scale)
    left, back = back_to_base(base + change, base)
    period = base * run.days
    return Total(
        name=quantity.name,
        unit=quantity.unit,
        base=period,
        actual=period + float(change.sum()),
        change=float(change.sum()),
        share=float(change.sum()) / (scale * run.days),
        base_year=base * run.days_per_year,
        worst=lost if fell else 0.0,
        worst_share=lost / scale if fell else 0.0,
        worst_day=worst_day if fell else None,
        left=left,
        back=back,
        by_region={name: float(values.sum()) for name, values in by_region(run, quantity.change).items()},
    )


def back_to_base(daily: np.ndarray, base: float) -> tuple[int | None, int | None]:
    """Return the first day more than 0.1 % off the base, and the first day from which it stays within 0.1 %."""
    off = np.flatnonzero(np.abs(daily - base) > BACK * abs(base))
    if not off.size:
        return None, None
    return int(off[0]), int(off[-1]) + 1 if off[-1] + 1 < len(daily) else None


def totals(run: Run) -> dict[str, Total]:
    """Return the totals of output, value added and every outcome."""
    return {name: total(run, quantity) for name, quantity in quantities(run).items()}


def by_region(run: Run, values: np.ndarray) -> dict[str, np.ndarray]:
    """Return values (..., n) added up over the sectors of each region."""
    return {region: values[..., run.regions == region].sum(axis=-1) for region in run.economy.regions}


def lost_share(quantity: Quantity) -> np.ndarray:
    """Return the loss (days, n) as a share of each account's base; 0 where the base is 0."""
    positive = quantity.base > 0
    return np.where(positive, -quantity.change / np.where(positive, quantity.base, 1), 0.0)


def split(run: Run) -> Split:
    """Return output lost over the period by account, in its direct and indirect part."""
    path, losses, base = run.path, run.path.losses(), run.path.base
    assert base is not None
    hit = np.any(_host(path.capacity) < _host(base.capacity) * (1 - ROUNDING), axis=0)
    same = np.isin(run.regions.astype(str), run.regions[hit].astype(str)) & ~hit
    return Split(_host(losses.direct).sum(axis=0), _host(losses.indirect).sum(axis=0), hit, same)


def ranked_regions(found: Mapping[str, Total]) -> list[str]:
    """Return the regions by output lost, the largest loss first."""
    change = found["output"].by_region
    return sorted(change, key=lambda region: change[region])


def _host(values) -> np.ndarray:
    return np.asarray(values, dtype=float)
