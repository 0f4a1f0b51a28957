"""Build the accounts from labelled frames, in the order of the rows of Z, and give labelled frames back."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from quesnay._errors import InputError, LabelError, TableError

from .checks import TOLERATED
from .ledger import ALL, IMPORTS, OTHERS, VALUE_ADDED, Ledger, Note, blocks, multi_index, over_output, unique
from .match import (
    Aligner,
    account,
    account_index,
    listed,
    numbers,
    positions,
    refuse_missing,
    refuse_surrogates,
    unknown,
    vector,
)

CATEGORY = "final demand"


class Flows(NamedTuple):
    """Flows Z (n, n) of these accounts, copied and checked, so that the frame they came from may be let go of."""

    accounts: pd.MultiIndex
    Z: np.ndarray


def ledger_from_frames(
    *,
    Z: pd.DataFrame | Flows,
    final_demand: Any,
    Y: pd.DataFrame | None,
    output: Any,
    value_added: Any,
    imports: Any,
    primary: pd.DataFrame | None,
    satellites: Mapping[str, tuple[Any, str]] | None,
    direct: Mapping[str, Any] | None,
    currency: str,
    region: str,
) -> tuple[Ledger, tuple[Note, ...]]:
    """Return the accounts of these frames and notes on what had to be derived; `Economy.from_frames` documents them."""
    index, flows = Z if isinstance(Z, Flows) else flows_from_frame(Z, region)
    regions = unique(index, 0)
    only = regions[0] if len(regions) == 1 else None
    categories, demand = _demand(final_demand, Y, index, region, only)
    notes = []
    if output is None:
        x = flows.sum(axis=1) + demand.sum(axis=1)
        text = "output was not given and is the row sum of Z and final demand."
        notes.append(Note("derived", float(x.sum()), currency, text))
    else:
        x = vector(output, index, "output", only)
    inputs, rows, derived = _primary(primary, value_added, imports, x - flows.sum(axis=0), index, only)
    if derived:
        amount = float(rows[0].sum())
        negative = int((rows[0] < -len(index) * np.finfo(float).eps * x).sum())
        more = f"; it is negative in {negative} sector(s)" if negative else ""
        text = f"value_added was not given and is output less inputs, imports and the other primary inputs{more}."
        if len(inputs) > 2 and abs(amount) <= TOLERATED * x.sum():
            text = (
                f"value_added was not given and is almost zero ({amount:.6g} {currency}), because the primary rows "
                f"{listed(inputs[2:])} already add up to output; name one of them 'value_added'."
            )
        notes.append(Note("derived", amount, currency, text))
    names, units, values = _satellites(satellites or {}, inputs, index, only)
    own = _direct(direct or {}, names, categories)
    return Ledger(index, flows, categories, demand, x, inputs, rows, names, units, values, own), tuple(notes)


def labelled(ledger: Ledger, name: str, currency: str) -> pd.DataFrame | pd.Series:
    """Return an array of the ledger with its labels, all of them copies; `Economy.frame` documents it."""
    index = ledger.index.copy()
    if name in ("A", "B", "Z"):
        values = ledger.Z.copy()
        if name == "A":
            values = over_output(ledger.Z, ledger.output)
        elif name == "B":
            values = over_output(ledger.Z.T, ledger.output).T
        return pd.DataFrame(values, index, ledger.index.copy())
    if name == "Y":
        return pd.DataFrame(ledger.Y.copy(), index, ledger.categories.copy())
    if name == "primary":
        return pd.DataFrame(ledger.primary.copy(), pd.Index(ledger.inputs, name="input"), index)
    if name == "satellites":
        return pd.DataFrame(ledger.satellites.T.copy(), index, pd.Index(ledger.names, name="satellite"))
    if name == "direct":
        return pd.DataFrame(ledger.direct.T.copy(), ledger.categories.copy(), pd.Index(ledger.names, name="satellite"))
    return pd.Series(account(ledger, name, currency)[0].copy(), index, name=name)


def direct(ledger: Ledger, name: str) -> np.ndarray:
    """Return what final consumers emit or use themselves of a satellite (m,); `Economy.direct` documents it."""
    found = [k for k, full in enumerate(ledger.names) if full == name or full.endswith(f": {name}")]
    if name in ledger.names:
        found = [ledger.names.index(name)]
    if len(found) != 1:
        raise unknown([name], ledger.names, "direct")
    return ledger.direct[found[0]]


def whole_year(year: Any) -> int | None:
    """Return the year as an int, or None; raises `InputError` where it is not a whole number."""
    if year is None:
        return None
    if not isinstance(year, bool) and (isinstance(year, Integral) or (isinstance(year, float) and year.is_integer())):
        return int(year)
    raise InputError(f"year is {year!r}; give a whole number, such as 2020.")


def _frame(data: Any, what: str) -> pd.DataFrame:
    if not isinstance(data, pd.DataFrame):
        raise InputError(f"{what} is a {type(data).__name__}, which carries no labels; give a pandas DataFrame.")
    return data


def flows_from_frame(Z: Any, region: str) -> Flows:
    """Return the flows of a square frame in the order of its rows, as `Economy.from_frames` documents them."""
    frame = _frame(Z, "Z")
    if frame.empty:
        raise TableError(f"The table is empty: Z has shape {frame.shape}; give at least one sector.")
    if frame.shape[0] != frame.shape[1]:
        raise TableError(
            f"Z has {frame.shape[0]} rows and {frame.shape[1]} columns; give a square table of flows, "
            f"with the same accounts supplying (rows) and using (columns)."
        )
    index = account_index(frame.index, "rows of Z", region)
    columns = account_index(frame.columns, "columns of Z", region)
    order = positions(columns, index, "columns of Z")
    values = np.empty(frame.shape)
    # By columns, in which pandas keeps what it read from text: of every slice by rows each column would keep a record.
    for block in blocks(len(frame)):
        values[:, block] = numbers(frame.iloc[:, order[block]], "Z")
    refuse_missing(values, index, "Z", index)
    return Flows(index, values)


def _demand(
    final_demand: Any, Y: Any, index: pd.MultiIndex, region: str, only: str | None
) -> tuple[pd.MultiIndex, np.ndarray]:
    if (final_demand is None) == (Y is None):
        raise InputError("Exactly one of final_demand (a total per sector) and Y (a table by category) is needed.")
    if Y is None:
        total = vector(final_demand, index, "final_demand", only)
        return multi_index([(ALL, CATEGORY)], ("region", "category")), total[:, None]
    frame = _frame(Y, "Y")
    if frame.shape[1] == 0:
        raise TableError("Y has no columns; give at least one category of final demand.")
    labels = account_index(frame.index, "rows of Y", only)
    categories = account_index(frame.columns, "columns of Y", region, ("region", "category"))
    order = positions(labels, index, "rows of Y")
    values = np.empty(frame.shape)
    for block in blocks(frame.shape[1]):
        values[:, block] = numbers(frame.iloc[:, block], "Y")[order]
    refuse_missing(values, index, "Y", categories)
    return categories, values


def _primary(
    primary: Any, value_added: Any, imports: Any, remainder: np.ndarray, index: pd.MultiIndex, only: str | None
) -> tuple[tuple[str, ...], np.ndarray, bool]:
    rows: dict[str, np.ndarray] = {}
    if primary is not None:
        frame = _frame(primary, "primary")
        names = [str(name) for name in frame.index]
        if len(set(names)) < len(names):
            raise LabelError("primary: a row name is given more than once; add the rows up or rename them.")
        refuse_surrogates(names, "primary")
        for name in names:
            if name in OTHERS or not name:
                raise LabelError(
                    f"primary: {name!r} is empty or the name of another account or column; rename the row."
                )
        columns = account_index(frame.columns, "columns of primary", only)
        values = numbers(frame, "primary")[:, positions(columns, index, "columns of primary")]
        rows = dict(zip(names, values, strict=True))
    for name, given in ((VALUE_ADDED, value_added), (IMPORTS, imports)):
        if given is not None:
            if name in rows:
                raise InputError(f"{name} is given twice, alone and as a row of primary; leave one out.")
            rows[name] = vector(given, index, name, only)
    rows.setdefault(IMPORTS, np.zeros(len(index)))
    derived = VALUE_ADDED not in rows
    if derived:
        rows[VALUE_ADDED] = remainder - np.sum(list(rows.values()), axis=0)
    ordered = (VALUE_ADDED, IMPORTS, *(name for name in rows if name not in (VALUE_ADDED, IMPORTS)))
    for name in ordered:
        refuse_missing(rows[name], index, f"primary input {name!r}")
    return ordered, np.array([rows[name] for name in ordered]), derived


def _satellites(
    satellites: Mapping[str, tuple[Any, str]], inputs: tuple[str, ...], index: pd.MultiIndex, only: str | None
) -> tuple[tuple[str, ...], tuple[str, ...], np.ndarray]:
    units, values, aligner = [], np.zeros((len(satellites), len(index))), Aligner(index, only)
    for k, (name, given) in enumerate(satellites.items()):
        if not isinstance(name, str) or not name:
            raise LabelError(f"Satellite {name!r} has no name in text; name it, as in satellites={{'ghg': (...)}}.")
        if name in (*OTHERS, VALUE_ADDED, IMPORTS) or name in inputs:
            raise LabelError(f"Satellite {name!r} has the name of another account; rename it.")
        if not (isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], str) and given[1].strip()):
            raise TableError(f"Satellite {name!r} has no unit; give a pair (series, unit), as in (series, 'kt CO2e').")
        refuse_surrogates((name, given[1]), "satellites")
        values[k] = aligner.values(given[0], f"satellite {name!r}")
        units.append(given[1])
    return tuple(satellites), tuple(units), values


def _direct(direct: Mapping[str, Any], names: tuple[str, ...], categories: pd.MultiIndex) -> np.ndarray:
    """Return direct emissions (s, m) from series by (region, category); what a series leaves out is zero."""
    values = np.zeros((len(names), len(categories)))
    regions, place = unique(categories, 0), {name: k for k, name in enumerate(names)}
    aligner = Aligner(categories, regions[0] if len(regions) == 1 else None, partial=True)
    for name, given in direct.items():
        if name not in place:
            raise unknown([name], names, "direct")
        values[place[name]] = aligner.values(given, f"direct {name!r} of final consumers")
    return values
