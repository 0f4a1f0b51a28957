"""`Study`: one stress test under warming with everything that its report has to say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import numpy as np

from ..._errors import InputError
from ...climate import (
    AbstractDamage,
    AbstractReading,
    AbstractVulnerability,
    Bottleneck,
    Collapse,
    Curves,
    FactorLimited,
    FixedCapacity,
    LinearProgramme,
    Match,
    Resilience,
    ResourceRequirement,
    Stress,
)
from ...climate.setting import name_of
from ...economy import Economy
from ..naming import Named

NAMES: Mapping[type[AbstractReading], str] = {
    FactorLimited: "factor-limited",
    FixedCapacity: "fixed capacity",
    Bottleneck: "bottleneck",
    LinearProgramme: "linear programme",
    ResourceRequirement: "resource requirement",
}
SAME = 1e-6
"""Degrees C within which two temperatures are one."""


@dataclass(frozen=True)
class Matched:
    """A vulnerability that was scaled to a published loss.

    Attributes
    ----------
    found:
        What `climate.match` returned.
    at:
        The temperature, degrees C.
    source:
        Who published the loss; empty where it is a number.
    """

    found: Match
    at: float
    source: str = ""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Study(Named):
    """One stress test under warming: the table, the damage, the readings with their results, and what follows.

    Attributes
    ----------
    economy:
        The labelled table, as observed at the reference.
    damage, vulnerability, reference:
        What was tested; no reference is None, and damage then counts from zero.
    labour:
        Factor per unit of output (n,); `factor` is the account that it is, "" for all primary inputs.
    readings, results:
        Readings and what `climate.stress(..., throw=False)` returned for each; the first one is the main one.
    collapse:
        What `climate.collapse` returned.
    resilience:
        What `climate.resilience` returned for the main reading at the headline, None where it has no answer.
    match:
        How the vulnerability was scaled, or None.
    gdp_draws, damage_draws:
        GDP (with `ResourceRequirement`, the factor needed) of the main reading and the damage D, under draws of the damage
        function, at `drawn_at` (k,) degrees C; or None.
    title, description, outcomes, seed, inputs, scenario:
        As for `Run`.
    headline:
        The temperature of the tables by sector and region; by default the highest one with an answer, other than the
        reference.

    Raises
    ------
    InputError
        Readings and results that do not belong together or to the table; a headline that was not tested.
    LabelError
        An outcome is not an account of the table.
    """

    economy: Economy
    damage: AbstractDamage
    vulnerability: AbstractVulnerability
    reference: float | None
    labour: np.ndarray
    readings: tuple[AbstractReading, ...]
    results: tuple[Stress, ...]
    collapse: Collapse
    title: str
    factor: str = ""
    description: str = ""
    resilience: Resilience | None = None
    match: Matched | None = None
    gdp_draws: Curves | None = None
    damage_draws: Curves | None = None
    drawn_at: np.ndarray | None = None
    outcomes: tuple[str, ...] = ()
    headline: float | None = None
    seed: int | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    scenario: str | None = None

    def __post_init__(self) -> None:
        if not self.readings or len(self.readings) != len(self.results):
            raise InputError(
                f"there are {len(self.readings)} readings and {len(self.results)} results; give one result for each reading."
            )
        for result in self.results:
            if result.output.shape != (len(self.temperatures), self.economy.n):
                raise InputError(
                    f"a result has shape {result.output.shape} and the table {self.economy.n} accounts; give results of this "
                    f"table at the same temperatures."
                )
        for name in self.outcomes:
            self.economy.unit(name)
        if self.headline is not None and not np.any(np.abs(self.temperatures - self.headline) < SAME):
            raise InputError(f"headline is {self.headline:g}, which was not tested; give one of the temperatures.")
        object.__setattr__(self, "outcomes", tuple(dict.fromkeys(self.outcomes)))
        object.__setattr__(self, "inputs", dict(self.inputs) or self.economy.source)

    @property
    def main(self) -> Stress:
        """The result of the main reading."""
        return self.results[0]

    @property
    def requirement(self) -> bool:
        """Whether the main reading asks what it would take, so that GDP does not change."""
        return isinstance(self.readings[0], ResourceRequirement)

    @cached_property
    def temperatures(self) -> np.ndarray:
        """T (k,), degrees C."""
        return np.asarray(self.results[0].temperatures)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What the readings are called."""
        return tuple(NAMES.get(type(reading), type(reading).__name__) for reading in self.readings)

    @cached_property
    def ended(self) -> tuple[tuple[str, ...], ...]:
        """How each reading ended at each temperature: "successful", "collapsed", "infeasible", "inadmissible", "unsolved"."""
        return tuple(tuple(name_of(r.result, k) for k in range(self.temperatures.size)) for r in self.results)

    def answered(self, which: int = 0) -> np.ndarray:
        """Return at which temperatures a reading has an answer (k,)."""
        return np.array([name == "successful" for name in self.ended[which]])

    def drawable(self, which: int = 0) -> np.ndarray:
        """Return at which temperatures a reading has numbers to show (k,): also those whose deliveries are negative."""
        return np.array([name in ("successful", "infeasible") for name in self.ended[which]])

    @cached_property
    def at(self) -> int:
        """The position of the headline among the temperatures."""
        if self.headline is not None:
            return int(np.argmin(np.abs(self.temperatures - self.headline)))
        # At the reference nothing changes, which is no headline where any other temperature has one.
        warmer = np.abs(self.temperatures - (np.inf if self.reference is None else self.reference)) >= SAME
        for good in (self.answered() & warmer, self.drawable() & warmer, self.answered(), self.drawable()):
            if good.any():
                return int(np.flatnonzero(good)[-1])
        return 0

    @cached_property
    def base_output(self) -> np.ndarray:
        """x0 = L d (n,), currency per year."""
        A, d = np.asarray(self.economy.A), np.asarray(self.economy.final_demand)
        return np.linalg.solve(np.eye(d.size) - A, d)

    @cached_property
    def base_value_added(self) -> np.ndarray:
        """`(1 - 1'A)_j x0_j` (n,), currency per year; adds up to `base_gdp`."""
        return (1 - np.asarray(self.economy.A).sum(axis=0)) * self.base_output

    @property
    def base_gdp(self) -> float:
        """GDP at the reference, currency per year."""
        return float(self.main.base_gdp)

    @property
    def base_factor(self) -> float:
        """l'x0, what there is of the factor."""
        return float(self.labour @ self.base_output)

    def base_outcome(self, name: str) -> float:
        """Return an outcome at the reference, in its unit."""
        return float(np.asarray(self.economy.intensity(name)) @ self.base_output)

    @cached_property
    def lost(self) -> np.ndarray:
        """Value added that each account loses at each temperature (k, n), main reading, currency per year."""
        return self.base_value_added - np.asarray(self.main.value_added)

    @cached_property
    def gamma(self) -> np.ndarray:
        """The vulnerability of each account (n,)."""
        return np.broadcast_to(np.asarray(self.vulnerability.gamma), self.economy.n)

    @cached_property
    def ranked_regions(self) -> list[str]:
        """The regions, the largest loss of value added at the headline first."""
        lost = self.by_region(self.lost[self.at])
        return sorted(lost, key=lambda region: -lost[region])

    @cached_property
    def ranked_sectors(self) -> list[str]:
        """The sectors, the largest loss of value added at the headline first."""
        lost = self.by_sector(self.lost[self.at])
        return sorted(lost, key=lambda sector: -lost[sector])

    def tested(self, temperature: float) -> bool:
        """Say whether a temperature lies within those that were tested."""
        return bool(self.temperatures[0] - SAME <= temperature <= self.temperatures[-1] + SAME)
