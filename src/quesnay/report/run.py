"""`Run`: one simulated scenario with everything that its report has to say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, final

import numpy as np

from .._errors import InputError
from ..economy import Economy
from ..supply import AbstractShock, SupplyModel, SupplyPath
from .ensemble import Ensemble
from .naming import Named

if TYPE_CHECKING:
    from .findings import Findings


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Run(Named):
    """One simulated scenario: the table, the model, the shock, the path, and where they come from.

    Attributes
    ----------
    economy:
        The labelled table that the model was made from.
    model, shock:
        What was simulated; no shock is None.
    path:
        What `simulate(model, shock, steps=...)` returned.
    title, description:
        One line that says what happens, and any further text.
    outcomes:
        Names of satellite accounts that are shown beside output and value added.
    seed:
        The seed of whatever was drawn; the supply model itself draws nothing.
    inputs:
        File name -> SHA-256 of everything that was read; by default the table's own.
    scenario:
        The text of the scenario file.
    shocks:
        The shocks as sentences; by default they are derived from `shock`.
    ensemble:
        The scenario under draws of calibrated parameters, by `ensemble(...)`: the report then has fan charts.

    Raises
    ------
    InputError
        The path has no base state, or its accounts are not those of the table; an ensemble of other days or regions.
    LabelError
        An outcome is not an account of the table.
    """

    economy: Economy
    model: SupplyModel
    shock: AbstractShock | None
    path: SupplyPath
    title: str
    description: str = ""
    outcomes: tuple[str, ...] = ()
    seed: int | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    scenario: str | None = None
    shocks: tuple[str, ...] = ()
    ensemble: Ensemble | None = None

    def __post_init__(self) -> None:
        shape = self.path.output.shape
        if self.path.base is None:
            raise InputError("the path is a difference; report the path that `simulate` returned.")
        if len(shape) != 2 or shape[1] != self.economy.n:
            raise InputError(
                f"the path has shape {shape} and the table {self.economy.n} accounts; give a path (days, accounts) "
                f"that was simulated from this table."
            )
        if self.ensemble is not None:
            days, regions = self.ensemble.output.shape[1], self.ensemble.regions
            if days != shape[0] or regions != tuple(map(str, self.economy.regions)):
                raise InputError(
                    f"the ensemble has {days} days and {len(regions)} regions, the path {shape[0]} days and the table "
                    f"{len(self.economy.regions)} regions; simulate both for the same days and table."
                )
        for name in self.outcomes:
            self.economy.unit(name)
        object.__setattr__(self, "outcomes", tuple(dict.fromkeys(self.outcomes)))
        object.__setattr__(self, "shocks", tuple(self.shocks))
        object.__setattr__(self, "inputs", dict(self.inputs) or self.economy.source)

    @property
    def days(self) -> int:
        """The number of days of the path."""
        return self.path.output.shape[0]

    @cached_property
    def days_per_year(self) -> float:
        """The days that the table's year has in the model: output per year over output per day."""
        table = float(np.sum(np.asarray(self.economy.Z))) + float(np.sum(np.asarray(self.economy.final_demand)))
        return table / float(np.sum(np.asarray(self.model.network.output)))

    @cached_property
    def findings(self) -> "Findings":
        """All numbers of the report, computed once."""
        from .findings import find

        return find(self)
