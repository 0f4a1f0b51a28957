"""From a scenario to the library's objects; what does not fit the table is an error that names the file and the key."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .scenario import (
    CapacityLossSection,
    ExponentialRecovery,
    LinearRecovery,
    Scenario,
    TabulatedRecovery,
    read,
)
from .sentence import quoted
from .source import ACCOUNT, Source

if TYPE_CHECKING:  # imported where they are used: reading a scenario needs neither JAX nor pandas
    import pandas as pd

    from ..economy import Economy
    from ..supply import CapacityLoss, SupplyModel
    from ..supply.recoveries import AbstractRecovery
    from ..supply.shocks import AbstractShock


@dataclass
class Builder(Source[Scenario]):
    """The scenario file of a shock and what is made of it."""

    @staticmethod
    def of(path: Path) -> Builder:
        """Read and validate a scenario file."""
        return Builder(path, *read(path))

    def economy(self) -> Economy:
        """Return the table that the scenario names; a path is relative to the scenario file."""
        return self.table(self.scenario.economy, self.scenario.report.outcomes)

    def model(self, economy: Economy) -> SupplyModel:
        """Return the supply model of the table."""
        from ..network import Network
        from ..supply import SupplyModel

        section = self.scenario.model
        with self.at("model"):
            network = Network.from_table(
                economy.Z, economy.final_demand, value_added=economy.value_added, days=section.days_per_year
            )
            return SupplyModel(
                network, inventory=section.inventory, adjustment=section.adjustment, capacity=section.capacity
            )

    def shock(self, economy: Economy) -> AbstractShock:
        """Return all shocks of the scenario as one."""
        from ..supply import AbstractShock

        return functools.reduce(AbstractShock.__add__, self.shocks(economy))

    def shocks(self, economy: Economy) -> list[CapacityLoss]:
        """Return the shocks of the scenario one by one."""
        return [self._capacity_loss(k, section, economy) for k, section in enumerate(self.scenario.shock, start=1)]

    def _capacity_loss(self, number: int, section: CapacityLossSection, economy: Economy) -> CapacityLoss:
        from ..supply import CapacityLoss

        key = f"shock #{number}"
        steps = self.scenario.run.steps
        if section.start >= steps:
            what = f"{section.start:g} is after the end of the run"
            raise self.error(f"{key}.start", f"{what}, which has the days 0 to {steps - 1} (run.steps = {steps})")
        if section.losses is None:
            where, series = f"{key}.loss", self._chosen(key, section, economy)
        else:
            where, series = f"{key}.losses: {quoted(section.losses)}", self._losses(f"{key}.losses", section.losses)
        with self.at(where):
            loss = economy.align(series, fill=0.0)
        with self.at(f"{key}.recovery"):
            fades = recovery(section)
        with self.at(key):
            return CapacityLoss(loss, start=section.start, duration=section.duration, recovery=fades)

    def _chosen(self, key: str, section: CapacityLossSection, economy: Economy) -> pd.Series:
        """Return the loss of the accounts in the regions and sectors that the section names."""
        import pandas as pd

        regions = self.known(f"{key}.regions", section.regions, economy.regions)
        sectors = self.known(f"{key}.sectors", section.sectors, economy.sectors)
        labels = [(region, sector) for region, sector in economy.index if region in regions and sector in sectors]
        if not labels:
            raise self.error(key, f"none of these regions has any of these sectors in {quoted(economy.name)}")
        return pd.Series(section.loss, index=pd.MultiIndex.from_tuples(labels, names=ACCOUNT), dtype=float)

    def _losses(self, key: str, name: str) -> pd.Series:
        """Return the losses in a CSV file with the columns region, sector and loss."""
        return self.series(key, name, "loss", lambda share: 0 <= share <= 1, "a number from 0 to 1")


def recovery(section: CapacityLossSection) -> AbstractRecovery | None:
    """Return how the loss of a section fades."""
    from ..supply import Exponential, Linear, Tabulated

    match section.recovery:
        case None:
            return None
        case ExponentialRecovery(days=days, rate=rate):
            return Exponential(days=days, rate=rate)
        case LinearRecovery(days=days):
            return Linear(days=days)
        case TabulatedRecovery(days=days, remaining=remaining):
            return Tabulated(days=days, remaining=remaining)
