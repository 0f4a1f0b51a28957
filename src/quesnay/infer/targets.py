"""What was observed, as people have it: a CSV file of dates, regions, sectors and values, beside a model of days."""

import dataclasses
import datetime as dt
import functools
from pathlib import Path
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array, Float, Int

from quesnay._checks import positive, whole
from quesnay._errors import InputError, TableError
from quesnay.supply import SupplyPath, by_group
from quesnay.supply.observing import ByGroup

from .series import FREQUENCIES, Row, member, name, read

VARIABLES = ("output", "value_added", "final_consumption")
MEASURES = ("index", "level")


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Targets:
    """Series to calibrate on: what was observed, and the same quantities of a simulated path.

    Attributes
    ----------
    observed:
        Values by `period` and `series`, NaN where the file has none: what `gvi` and the others take, with `missing=True`.
    groups:
        The group of each account (n,) that sums are kept of, so that every series is a sum of groups; `count` of them.
    span:
        First day and number of days of every period (periods, 2).
    members, weights:
        Which groups a series adds up (count, series), and which days a period (periods, steps).
    """

    observed: xr.DataArray
    groups: Int[Array, " n"]
    members: Float[Array, "count series"]
    weights: Float[Array, "periods steps"]
    span: np.ndarray
    measure: str
    base: float
    variable: str

    @property
    def count(self) -> int:
        """Number of groups."""
        return len(self.members)

    @property
    def missing(self) -> int:
        """Number of pairs of a period and a series without a value."""
        return int(np.sum(~np.isfinite(self.observed.to_numpy())))

    def __repr__(self) -> str:
        rows, columns = self.observed.shape
        given = rows * columns - self.missing
        return f"Targets: {given} values of {columns} series in {rows} periods, {self.measure} of {self.variable}"

    def keep(self) -> ByGroup:
        """Return the observation for `simulate(..., observe=...)` that keeps no more of each day than the series need."""
        return by_group(np.asarray(self.groups), self.count)

    def observe(self, path: SupplyPath) -> Float[Array, "periods series"]:
        """Return of a path what was observed: means over periods in per cent of the base (index), or sums (level).

        Raises
        ------
        InputError
            A path of another number of days or accounts, or one without its base state.
        """
        if path.base is None:
            raise InputError("the path is a difference; give the path that `simulate` returned.")
        daily, base = getattr(path, self.variable), getattr(path.base, self.variable)
        steps = self.weights.shape[1]
        if daily.ndim != 2 or len(daily) != steps or daily.shape[1] not in (len(self.groups), self.count):
            raise InputError(
                f"the path has shape {daily.shape}; give one of {steps} days and {len(self.groups)} accounts, as the targets."
            )
        if daily.shape[1] != self.count:
            total = functools.partial(jax.ops.segment_sum, segment_ids=self.groups, num_segments=self.count)
            daily, base = jax.vmap(total)(daily), total(base)
        series = self.weights.astype(daily.dtype) @ (daily @ self.members)
        return series if self.measure == "level" else self.base * series / (base @ self.members)


def read_targets(
    path: str | Path,
    accounts: Any,
    *,
    steps: int,
    begin: str | dt.date | None = None,
    measure: str = "index",
    base: float = 100.0,
    frequency: str | None = None,
    variable: str = "output",
) -> Targets:
    """Return the series of a CSV file with the columns date, region, sector, value.

    A row is the value of a region's sector, of a whole region (sector left empty), of a sector everywhere (region left empty)
    or of the whole economy (both empty), over a day `2020-03-15`, week `2020-W11`, month `2020-03`, quarter `2020-Q1` or year
    `2020`. In place of `date` there may be a column `day`, counted from 0. Rows without a value are missing observations.

    Parameters
    ----------
    path:
        The file, CSV in UTF-8. Columns: date (or day), value, and, where they are needed, region and sector.
    accounts:
        Whose accounts they are: an Economy, or Firms with the columns region and sector.
    steps:
        Days of the simulation.
    begin:
        The date of day 0 (a `datetime.date`, or text such as "2020-03-01"); needed with dates.
    measure:
        "index": the mean of the period's days as a share of the base state, times `base`; "level": the sum over the period's
        days, in the table's currency.
    base:
        What the base state counts as in an index: 100, or 1 for shares.
    frequency:
        "day", "week", "month", "quarter" or "year", for files that write a month as its first day; None takes the dates as
        they are written.
    variable:
        "output", "value_added" or "final_consumption".

    Raises
    ------
    TableError
        The file cannot be read, or a row holds no date, no number, a period outside the run, or is given twice.
    LabelError
        A region or sector that the accounts have not.
    InputError
        Any other argument.
    """
    days = whole(steps, "steps", "number of days")
    _choice(measure, "measure", MEASURES)
    _choice(variable, "variable", VARIABLES)
    if frequency is not None:
        _choice(frequency, "frequency", tuple(FREQUENCIES))
    scale = float(positive(base, "base"))
    known = _accounts(accounts)
    seen = [r for r in read(Path(path), known, begin, frequency, days) if np.isfinite(r.value)]
    if not seen:
        raise TableError(f"{path}: holds no value; give at least one row with one.")
    if measure == "index":
        _refuse_scale(path, np.array([r.value for r in seen]), scale)
    return _targets(seen, known, days, measure, scale, variable)


def _targets(rows: list[Row], known: pd.DataFrame, steps: int, measure: str, base: float, variable: str) -> Targets:
    labels = {r.period[1:]: r.period[0] for r in rows}
    periods = [(labels[span], *span) for span in sorted(labels)]
    series = list(dict.fromkeys(r.series for r in rows))
    values = np.full((len(periods), len(series)), np.nan)
    row = {period[1:]: k for k, period in enumerate(periods)}
    column = {place: k for k, place in enumerate(series)}
    for r in rows:
        values[row[r.period[1:]], column[r.series]] = r.value
    mine = np.stack([member(place, known) for place in series], axis=1)
    groups, first = pd.factorize(pd.Series(list(map(bytes, np.packbits(mine, axis=1)))))
    at = [int(np.argmax(groups == k)) for k in range(len(first))]
    weights = np.zeros((len(periods), steps))
    for k, (_, start, length) in enumerate(periods):
        weights[k, start : start + length] = 1.0 if measure == "level" else 1.0 / length
    names = [name(place) for place in series]
    return Targets(
        xr.DataArray(values, dims=("period", "series"), coords={"period": [p[0] for p in periods], "series": names}),
        jnp.asarray(groups), jnp.asarray(mine[at].astype(float)), jnp.asarray(weights),
        np.array([p[1:] for p in periods]), measure, base, variable,
    )  # fmt: skip


def _choice(value: Any, name: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{name} is {value!r}; give one of {', '.join(map(repr, known))}.")


def _accounts(accounts: Any) -> pd.DataFrame:
    table = accounts.table if isinstance(getattr(accounts, "table", None), pd.DataFrame) else None
    if table is not None and {"region", "sector"} <= set(table.columns):
        return table[["region", "sector"]].astype(str)
    index = getattr(accounts, "index", None)
    if not isinstance(index, pd.MultiIndex) or index.nlevels != 2:
        raise InputError(
            f"accounts is a {type(accounts).__name__} without regions and sectors; give an Economy, or Firms whose table has "
            f"the columns region and sector."
        )
    return pd.DataFrame(
        {"region": index.get_level_values(0).astype(str), "sector": index.get_level_values(1).astype(str)}
    )


def _refuse_scale(path: Any, values: np.ndarray, base: float) -> None:
    if values.max() < base / 10 or values.min() > base * 10 or values.min() < 0:
        raise TableError(
            f"{path}: the values are {values.min():g} to {values.max():g}, in an index whose base is {base:g}; "
            f'give what the base state counts as (base = 1 for shares), or measure = "level".'
        )
