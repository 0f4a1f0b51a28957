"""`Study`: a trade-off and its best interventions, with everything that their report has to say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import numpy as np

from ..._errors import InputError
from ...economy import Economy
from ...intervention import Frontier
from ..naming import Named

SAME = 1e-9
"""Relative difference within which two numbers are one."""
DIGITS = 12
"""Decimals of shares and factors; what comes after them is rounding."""
USUAL = 0.05
"""The share moved that is shown where nothing else is asked for."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Study(Named):
    """The best interventions in one economy along a trade-off.

    Attributes
    ----------
    economy:
        The labelled table.
    found:
        What `q.intervention.frontier` returned for it.
    reduce, keep:
        Accounts of the table that c and e are the intensities of.
    bounds:
        lo and hi, numbers or (n,) each.
    budgets:
        Shares of what is kept that may move, one for each intervention; None where penalties were given.
    title, description, inputs, scenario:
        As for `Run`.
    outcomes:
        Further accounts that are followed.
    headline:
        The budget (or penalty) whose intervention is shown by sector and region; by default the one that moves about 5 %.

    Raises
    ------
    InputError
        A frontier that does not belong to the table; nothing to reduce or to keep; a headline that is not there.
    LabelError
        An account is not in the table.
    """

    economy: Economy
    found: Frontier
    reduce: str
    keep: str
    bounds: tuple[np.ndarray, np.ndarray]
    title: str
    budgets: tuple[float, ...] | None = None
    description: str = ""
    outcomes: tuple[str, ...] = ()
    headline: float | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    scenario: str | None = None

    def __post_init__(self) -> None:
        shape, count = self.found.output.shape, self.found.penalty.size
        if shape != (count, self.economy.n) or (self.budgets is not None and len(self.budgets) != count):
            raise InputError(
                f"the frontier has outputs {shape} and the table {self.economy.n} accounts; give the frontier of this table, "
                "and a budget for each of its interventions."
            )
        try:
            low, high = (np.broadcast_to(np.asarray(bound, float), (self.economy.n,)) for bound in self.bounds)
        except (TypeError, ValueError):
            raise InputError(
                f"bounds is not a pair of numbers, or of {self.economy.n} each; give those of the frontier."
            ) from None
        object.__setattr__(self, "bounds", (low, high))
        for name in (self.reduce, self.keep, *self.outcomes):
            self.economy.unit(name)
        for name, total in ((self.reduce, self.found.base_outcome), (self.keep, self.found.base_kept)):
            if not float(total) > 0:
                raise InputError(
                    f"{name} is {float(total):g} in all, of which there are no shares; name another account."
                )
        if self.headline is not None and not self._near(self.headline).any():
            raise InputError(f"headline is {self.headline:g}, which is not on the frontier; give one of its points.")
        own = ("value_added", *self.outcomes)
        object.__setattr__(
            self, "outcomes", tuple(name for name in dict.fromkeys(own) if name not in (self.reduce, self.keep))
        )
        object.__setattr__(self, "inputs", dict(self.inputs) or self.economy.source)

    def _near(self, value: float) -> np.ndarray:
        return np.abs(self.points - value) <= SAME * max(abs(value), 1e-300)

    @cached_property
    def points(self) -> np.ndarray:
        """Budgets or penalties (L,), as they were given."""
        return np.asarray(self.found.penalty if self.budgets is None else self.budgets)

    @cached_property
    def at(self) -> int:
        """The position of the headline."""
        if self.headline is not None:
            return int(np.argmax(self._near(self.headline)))
        return int(np.argmin(np.abs((self.moved if self.budgets is None else self.points) - USUAL)))

    @cached_property
    def reduced(self) -> np.ndarray:
        """The share of what is reduced that goes (L,)."""
        return 1 - np.asarray(self.found.outcome) / float(self.found.base_outcome)

    @cached_property
    def moved(self) -> np.ndarray:
        """The share of what is kept that moves, up or down (L,)."""
        return np.round(np.asarray(self.found.moved) / float(self.found.base_kept), DIGITS)

    @cached_property
    def inert(self) -> bool:
        """Whether the table as it is keeps the bounds, so that the curve begins there."""
        low, high = self.bounds
        return bool((low <= 1).all() and (high >= 1).all())

    @property
    def price_unit(self) -> str:
        """The unit of penalties and shadow prices."""
        return f"{self.economy.unit(self.reduce)} per {self.economy.unit(self.keep)}"

    @property
    def loss_unit(self) -> str:
        """The unit of worths."""
        return f"{self.economy.unit(self.reduce)} per {self.economy.currency}"

    @cached_property
    def alpha(self) -> np.ndarray:
        """The factors at the headline (n,)."""
        return np.round(np.asarray(self.found.alpha[self.at]), DIGITS)

    @cached_property
    def change(self) -> np.ndarray:
        """The change of what is kept at the headline (n,); rounding is 0."""
        change = np.asarray(self.found.change[self.at])
        return np.where(np.abs(change) <= SAME * float(self.found.base_kept), 0.0, change)

    @cached_property
    def saved(self) -> np.ndarray:
        """What each account adds to what goes at the headline (n,)."""
        c = np.asarray(self.economy.intensity(self.reduce))
        return c * (np.asarray(self.found.base_output) - np.asarray(self.found.output[self.at]))

    @cached_property
    def growth(self) -> np.ndarray:
        """The relative change of each output at the headline (n,); 0 where there was none."""
        base = np.asarray(self.found.base_output)
        some = base > 0
        return np.where(some, np.asarray(self.found.output[self.at]) / np.where(some, base, 1) - 1, 0.0)

    @cached_property
    def acted(self) -> np.ndarray:
        """Whether the intervention acts on each account (n,): whether its factor is not 1."""
        return (np.abs(self.alpha - 1) > SAME) & (np.asarray(self.found.base_output) > 0)

    @cached_property
    def held(self) -> np.ndarray:
        """Whether each account is held back (n,): whether it delivers less than it is asked for."""
        return self.acted & (self.alpha < 1)

    @cached_property
    def closed(self) -> np.ndarray:
        """Whether each account is closed (n,)."""
        return (self.alpha <= SAME) & (np.asarray(self.found.base_output) > 0)

    @cached_property
    def marginal(self) -> np.ndarray:
        """Whether each account that the intervention acts on is between its bounds (n,): those that use up the budget."""
        low, high = self.bounds
        return self.acted & (self.alpha > low + SAME) & (self.alpha < high - SAME)

    def totals(self, name: str) -> np.ndarray:
        """Return an account under every intervention (L,), in its unit."""
        return np.asarray(self.found.output) @ np.asarray(self.economy.intensity(name))

    def base(self, name: str) -> float:
        """Return an account without any intervention, in its unit."""
        return float(np.asarray(self.economy.intensity(name)) @ np.asarray(self.found.base_output))

    @cached_property
    def ranked(self) -> list[int]:
        """The accounts whose share of what is kept changes, the largest loss first."""
        return [int(k) for k in np.argsort(self.change, kind="stable") if self.change[k]]
