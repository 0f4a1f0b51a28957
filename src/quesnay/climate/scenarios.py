"""Damage functions from tables of scenarios in the IAMC format, such as those of the NGFS."""

import csv
import io
import itertools
import math
from pathlib import Path
from typing import NamedTuple

from quesnay._errors import TableError

from .tables import DIGITS, Tabulated, shown, text_of

COLUMNS = ("model", "scenario", "region", "variable", "unit")
TEMPERATURE = "AR6 climate diagnostics|Surface Temperature (GSAT)|MAGICCv7.5.3|50.0th Percentile"
DAMAGED = "GDP|PPP|including medium chronic physical risk damage estimate"
UNDAMAGED = "GDP|PPP|Counterfactual without damage"
WORLD = "World"
PHASE_5 = "3.3-4.8"
"""The version of REMIND-MAgPIE in phase V of the NGFS scenarios, whose physical damages rest on Kotz et al. (2024)."""


class Series(NamedTuple):
    """A row of a table of scenarios: its line, its unit, and its values by year."""

    line: int
    unit: str
    values: dict[int, float]


def read_scenarios(
    path: str | Path,
    *,
    source: str,
    year: int,
    temperature: str = TEMPERATURE,
    damaged: str = DAMAGED,
    undamaged: str = UNDAMAGED,
) -> dict[tuple[str, str, str], Tabulated]:
    """Return the damage functions that a table of scenarios implies: `D(T_t) = 1 - damaged_t / undamaged_t`.

    The file is in the IAMC format: the columns Model, Scenario, Region, Variable and Unit, then one per year. Each scenario
    gives one curve per region with both outputs, over its own warming, which has to rise from year to year. The losses are
    those along a path: where the model's damages depend on how fast it warms, or act on growth, another path has others.

    Parameters
    ----------
    path:
        The file, UTF-8, comma-separated.
    source, year:
        Where the table is from, and when that was published.
    temperature, damaged, undamaged:
        The variables of global warming (in K or degrees C above 1850-1900, region World), of output with the damage and of
        output without it. The default are those of the NGFS scenarios of phases IV and V.

    Returns
    -------
    The curves by (model, scenario, region).

    Raises
    ------
    TableError
        The file is not there, is no such table, has a value that is no number, lacks a warming, has outputs in different
        units, has a warming that falls, or has no region with both outputs; with the line.

    References
    ----------
    The IAMC format as in pyam, https://pyam-iamc.readthedocs.io.
    """
    series = _series(path)
    curves: dict[tuple[str, str, str], Tabulated] = {}
    for (model, scenario, region, variable), with_damage in series.items():
        without = series.get((model, scenario, region, undamaged))
        if variable != damaged or without is None:
            continue
        if with_damage.unit != without.unit:
            raise TableError(
                f"{path}, lines {with_damage.line} and {without.line}: the outputs are in {with_damage.unit!r} and "
                f"{without.unit!r}; give both in one unit."
            )
        warming = series.get((model, scenario, WORLD, temperature))
        if warming is None:
            raise TableError(
                f"{path}, line {with_damage.line}: the scenario {scenario!r} of {model!r} has no variable {temperature!r} for "
                f"the region {WORLD}; add it, or name its warming by temperature=."
            )
        if warming.unit.strip("°") not in ("K", "C"):
            raise TableError(f"{path}, line {warming.line}: warming is in {warming.unit!r}; give it in K or °C.")
        cite = f"{source}, on Kotz et al. (2024)" if PHASE_5 in model else source
        curves[model, scenario, region] = _curve(path, warming, with_damage, without, cite, year)
    if not curves:
        raise TableError(
            f"{path} has no region with both {damaged!r} and {undamaged!r}; name them by damaged= and undamaged=."
        )
    return curves


def _curve(path: str | Path, warming: Series, damaged: Series, undamaged: Series, source: str, year: int) -> Tabulated:
    years = sorted(warming.values.keys() & damaged.values.keys() & undamaged.values.keys())
    if len(years) < 2:
        raise TableError(
            f"{path}, line {damaged.line}: fewer than two years have the warming and both outputs; give more."
        )
    for before, after in itertools.pairwise(years):
        if not warming.values[before] < warming.values[after]:
            raise TableError(
                f"{path}, line {warming.line}: warming does not rise from {before} to {after}, so that damage is no function "
                f"of it; leave out the years from {after} on."
            )
    for at in years:
        if not undamaged.values[at] > 0 or damaged.values[at] < 0:
            raise TableError(f"{path}, line {damaged.line}: output in {at} is not positive; check the table.")
    return Tabulated(
        [warming.values[at] for at in years],
        [1 - damaged.values[at] / undamaged.values[at] for at in years],
        source=source,
        year=year,
    )


def _series(path: str | Path) -> dict[tuple[str, str, str, str], Series]:
    """Return every row of the table by model, scenario, region and variable."""
    reader = csv.reader(io.StringIO(text_of(Path(path)), newline=""))
    try:
        rows = [(reader.line_num, cells) for cells in reader if any(cells)]
    except csv.Error as error:
        raise TableError(f"{path}, line {reader.line_num}: is no CSV ({error}); save it as CSV again.") from None
    header = [cell.strip() for cell in rows[0][1]] if rows else []
    if tuple(name.casefold() for name in header[:5]) != COLUMNS or len(header) < 6:
        raise TableError(
            f"{path} does not begin with the columns Model, Scenario, Region, Variable and Unit; save the table in the IAMC "
            f"format, a row per variable and a column per year."
        )
    known: set[int] = set()
    for name in header[5:]:
        if not name.isdecimal() or len(name) > DIGITS:
            raise TableError(f"{path}, line {rows[0][0]}: the column {shown(name)} is no year; leave it out.")
        if int(name) in known:
            raise TableError(f"{path}, line {rows[0][0]}: the year {int(name)} has two columns; keep one.")
        known.add(int(name))
    found: dict[tuple[str, str, str, str], Series] = {}
    for line, cells in rows[1:]:
        if len(cells) != len(header):
            raise TableError(
                f"{path}, line {line}: there are {len(cells)} cells, but {len(header)} columns; give one each."
            )
        model, scenario, region, variable, unit = (cell.strip() for cell in cells[:5])
        if (model, scenario, region, variable) in found:
            raise TableError(f"{path}, line {line}: {variable!r} of this scenario and region is there twice; keep one.")
        values = {
            int(name): _number(path, line, name, text) for name, text in zip(header[5:], cells[5:], strict=True) if text
        }
        found[model, scenario, region, variable] = Series(line, unit, values)
    return found


def _number(path: str | Path, line: int, year: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TableError(
            f"{path}, line {line}: the value of {year} is {shown(text)}; give a number, or leave it empty."
        )
    return value
