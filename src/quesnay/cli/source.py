"""A scenario file that has been read: its table, the files beside it, and errors that name the file and the key."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic

from .._errors import InputError, LabelError, ScenarioError, TableError
from .scenario import EconomySection, S
from .sentence import nearest, quoted

if TYPE_CHECKING:  # imported where they are used: reading a scenario needs neither JAX nor pandas
    import numpy as np
    import pandas as pd

    from ..economy import Economy

ACCOUNT = ["region", "sector"]
UNNAMED = -1.0
"""Stands for "no number of its own"; those that are given are at least 0."""
LONG = 200
"""Characters from which on a name is not said in full."""


@dataclass
class Source(Generic[S]):
    """A scenario file and its text; `inputs` collects the SHA-256 of every file that was read."""

    path: Path
    scenario: S
    text: str
    inputs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.inputs[self.path.name] = hashlib.sha256(self.text.encode()).hexdigest()

    def table(self, section: EconomySection, outcomes: Sequence[str]) -> Economy:
        """Return the table that a section names, with the outcomes looked up in it; a path is relative to the scenario file."""
        from ..economy import load
        from ..economy.builtin import BUILTINS

        beside = self.path.parent / section.table
        if section.table not in BUILTINS and not _exists(beside):
            short = len(section.table) < LONG and section.table.isprintable()
            named = str(beside) if short else "file of this name beside the scenario"
            what = f"{quoted(section.table)} is no packaged table, and there is no {named}"
            raise self.error("economy.table", f"{what}; {nearest(section.table, BUILTINS)}")
        with self.at("economy.table"):
            economy = load(section.table if section.table in BUILTINS else beside, close=section.close)
        if section.nonnegative:
            with self.at("economy.nonnegative"):
                economy = economy.nonnegative()
        self.inputs |= economy.source
        for name in outcomes:
            with self.at("report.outcomes"):
                economy.intensity(name)
        return economy

    def nonnegative(self, section: EconomySection, outcomes: Sequence[str]) -> Economy:
        """Return the table as `table` does; negative flows or final demand are an error."""
        import numpy as np

        economy = self.table(section, outcomes)
        for name in ("Z", "final_demand"):
            least = float(np.min(np.asarray(getattr(economy, name))))
            if least < 0:
                what = "flow" if name == "Z" else "final demand"
                raise self.error("economy.nonnegative", f"the table has a {what} of {least:g}; set nonnegative = true")
        return economy

    def by_name(
        self, key: str, economy: Economy, default: float, regions: Mapping[str, float], sectors: Mapping[str, float]
    ) -> np.ndarray:
        """Return a number of at least 0 for every account (n,): its sector's, else its region's, else the default."""
        import numpy as np
        import pandas as pd

        values = np.full(economy.n, default)
        for level, named in (("region", regions), ("sector", sectors)):
            if named:
                own = f"{key}.{level}s"
                self.known(own, list(named), getattr(economy, f"{level}s"))
                series = pd.Series(list(named.values()), index=pd.Index(list(named), name=level), dtype=float)
                values = self.over(values, own, economy, series)
        return values

    def over(self, values: np.ndarray, key: str, economy: Economy, series: pd.Series) -> np.ndarray:
        """Return the numbers, replaced by those of a labelled series for the accounts that it names."""
        import numpy as np

        with self.at(key):
            own = np.asarray(economy.align(series, fill=UNNAMED))
        return np.where(own == UNNAMED, values, own)

    def known(self, key: str, names: Sequence[str] | None, known: Sequence[str]) -> frozenset[str]:
        """Return the names, or all known ones where there are none; an unknown one is an error."""
        for name in names or ():
            if name not in known:
                raise self.error(key, f"{quoted(name)} is not in the table; {nearest(name, known)}")
        return frozenset(known if names is None else names)

    def series(self, key: str, name: str, column: str, allowed: Callable[[float], bool], expected: str) -> pd.Series:
        """Return the numbers in a CSV file with the columns region, sector and one more, labelled."""
        import pandas as pd

        columns = [*ACCOUNT, column]
        path = self.path.parent / name
        try:
            self.hash(path)
            with path.open(encoding="utf-8-sig", newline="") as file:
                header, *rows = list(csv.reader(file, strict=True)) or [[]]
        except OSError as error:
            raise self.error(key, f"{quoted(name)} cannot be read ({error.strerror})") from None
        except (csv.Error, UnicodeDecodeError) as error:
            raise self.error(key, f"{quoted(name)} is not a CSV file in UTF-8 ({error})") from None
        except ValueError:
            raise self.error(key, f"{quoted(name)} can be no file's name; give its path") from None
        if sorted(header) != sorted(columns):
            found = ", ".join(quoted(column) for column in header) or "none"
            raise self.error(key, f"{quoted(name)} has the columns {found}; give region, sector and {column}")
        order = [header.index(column) for column in columns]
        values: list[float] = []
        for number, row in enumerate(rows, start=2):
            given = row[order[2]] if len(row) == len(header) else None
            if given is None:
                raise self.error(key, f"{quoted(name)} row {number} has {len(row)} entries; give three")
            values.append(_number(given))
            if not allowed(values[-1]):
                what = f"{quoted(name)} row {number} has the {column} {quoted(given)}; expected {expected}"
                raise self.error(key, what)
        labels = [(row[order[0]], row[order[1]]) for row in rows]
        if not labels:
            raise self.error(key, f"{quoted(name)} has no rows; give one for every account that has a {column}")
        return pd.Series(values, index=pd.MultiIndex.from_tuples(labels, names=ACCOUNT), dtype=float)

    def hash(self, path: Path) -> None:
        """Note the SHA-256 of a file that is read."""
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


def _exists(path: Path) -> bool:
    """Say whether there is a file or folder, also of names that none can have."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
