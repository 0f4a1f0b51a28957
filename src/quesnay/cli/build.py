"""From a scenario to the library's objects; what does not fit the table is an error that names the file and the key."""

from __future__ import annotations

import contextlib
import csv
import functools
import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .._errors import InputError, LabelError, ScenarioError, TableError
from .scenario import (
    CapacityLossSection,
    ExponentialRecovery,
    LinearRecovery,
    Scenario,
    TabulatedRecovery,
    read,
)
from .sentence import nearest, quoted

if TYPE_CHECKING:  # imported where they are used: reading a scenario needs neither JAX nor pandas
    import pandas as pd

    from ..economy import Economy
    from ..supply import CapacityLoss, SupplyModel
    from ..supply.recoveries import AbstractRecovery
    from ..supply.shocks import AbstractShock


COLUMNS = ["region", "sector", "loss"]


@dataclass
class Builder:
    """A scenario file and what is made of it; `inputs` collects the SHA-256 of every file that was read."""

    path: Path
    scenario: Scenario
    text: str
    inputs: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def of(path: Path) -> Builder:
        """Read and validate a scenario file."""
        scenario, text = read(path)
        return Builder(path, scenario, text, {path.name: hashlib.sha256(text.encode()).hexdigest()})

    def economy(self) -> Economy:
        """Return the table that the scenario names; a path is relative to the scenario file."""
        from ..economy import load
        from ..economy.builtin import BUILTINS

        section = self.scenario.economy
        beside = self.path.parent / section.table
        if section.table not in BUILTINS and not beside.exists():
            what = f"{quoted(section.table)} is no packaged table, and there is no {beside}"
            raise self.error("economy.table", f"{what}; {nearest(section.table, BUILTINS)}")
        with self.at("economy.table"):
            economy = load(section.table if section.table in BUILTINS else beside, close=section.close)
        if section.nonnegative:
            with self.at("economy.nonnegative"):
                economy = economy.nonnegative()
        self.inputs |= economy.source
        for name in self.scenario.report.outcomes:
            with self.at("report.outcomes"):
                economy.intensity(name)
        return economy

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
            where, series = f"{key}.losses: {quoted(section.losses)}", self._read(key, section.losses)
        with self.at(where):
            loss = economy.align(series, fill=0.0)
        with self.at(f"{key}.recovery"):
            fades = recovery(section)
        with self.at(key):
            return CapacityLoss(loss, start=section.start, duration=section.duration, recovery=fades)

    def _chosen(self, key: str, section: CapacityLossSection, economy: Economy) -> pd.Series:
        """Return the loss of the accounts in the regions and sectors that the section names."""
        import pandas as pd

        regions = self._known(f"{key}.regions", section.regions, economy.regions)
        sectors = self._known(f"{key}.sectors", section.sectors, economy.sectors)
        labels = [(region, sector) for region, sector in economy.index if region in regions and sector in sectors]
        if not labels:
            raise self.error(key, f"none of these regions has any of these sectors in {quoted(economy.name)}")
        return pd.Series(section.loss, index=pd.MultiIndex.from_tuples(labels, names=COLUMNS[:2]), dtype=float)

    def _known(self, key: str, names: Sequence[str] | None, known: Sequence[str]) -> frozenset[str]:
        for name in names or ():
            if name not in known:
                raise self.error(key, f"{quoted(name)} is not in the table; {nearest(name, known)}")
        return frozenset(known if names is None else names)

    def _read(self, key: str, name: str) -> pd.Series:
        """Return the losses in a CSV file with the columns region, sector and loss."""
        import pandas as pd

        key, path = f"{key}.losses", self.path.parent / name
        try:
            self._hash(path)
            with path.open(encoding="utf-8-sig", newline="") as file:
                header, *rows = list(csv.reader(file, strict=True)) or [[]]
        except OSError as error:
            raise self.error(key, f"{quoted(name)} cannot be read ({error.strerror})") from None
        except (csv.Error, UnicodeDecodeError) as error:
            raise self.error(key, f"{quoted(name)} is not a CSV file in UTF-8 ({error})") from None
        if sorted(header) != sorted(COLUMNS):
            found = ", ".join(quoted(column) for column in header) or "none"
            raise self.error(key, f"{quoted(name)} has the columns {found}; give region, sector and loss")
        order = [header.index(column) for column in COLUMNS]
        losses: list[float] = []
        for number, row in enumerate(rows, start=2):
            given = row[order[2]] if len(row) == len(header) else None
            if given is None:
                raise self.error(key, f"{quoted(name)} row {number} has {len(row)} entries; give three")
            losses.append(_share(given))
            if not 0 <= losses[-1] <= 1:
                what = f"{quoted(name)} row {number} has the loss {quoted(given)}; expected a number from 0 to 1"
                raise self.error(key, what)
        labels = [(row[order[0]], row[order[1]]) for row in rows]
        if not labels:
            raise self.error(key, f"{quoted(name)} has no rows; give one for every account that loses capacity")
        return pd.Series(losses, index=pd.MultiIndex.from_tuples(labels, names=COLUMNS[:2]), dtype=float)

    def _hash(self, path: Path) -> None:
        self.inputs[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()

    def error(self, key: str, text: str) -> ScenarioError:
        """Return the error for a key of the file."""
        return ScenarioError(f"{self.path}: {key}: {text}{'' if text.endswith('?') else '.'}")

    @contextlib.contextmanager
    def at(self, key: str) -> Iterator[None]:
        """Say which key of which file an error of the library is about."""
        try:
            yield
        except (TableError, LabelError, InputError) as error:
            raise ScenarioError(f"{self.path}: {key}: {error}") from error


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


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
