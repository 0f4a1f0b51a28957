"""Read a network of firms from a list of links and a table of firms, CSV or parquet."""

import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from quesnay._checks import instance, positive
from quesnay._errors import InputError, TableError
from quesnay.economy.checks import headed_rows
from quesnay.economy.ledger import Note
from quesnay.economy.match import listed
from quesnay.network import Network

from .result import FIRM, Firms

LINK = ("supplier", "customer", "value")
AMOUNTS = ("output", "final_demand")
BLANK = ("", "NA", "NaN", "nan")
"""What stands for an amount that is missing."""
ROUNDING = 1e-9
"""Relative differences below this are rounding of the file: outputs just below sales, totals that do not quite add up."""


def read(
    path: str | Path,
    firms: str | Path | None = None,
    *,
    days: float = 365.0,
    value_added: float = 0.3,
    currency: str = "currency",
) -> Firms:
    """Return the network of a list of links: who sells how much to whom.

    Final demand of firm i is `output_i - sales to firms_i` where the table of firms gives an output, or the final demand
    that it gives. Where it gives neither, output is `max(sales to firms, purchases / (1 - value_added))`, which a note says.

    Parameters
    ----------
    path:
        CSV or parquet with the columns supplier, customer (ids, read as text) and value (currency per period, positive). Rows
        for the same pair are added up, which a note says.
    firms:
        CSV or parquet with the column firm (ids), and as far as known region, sector, output and final_demand (currency per
        period); further columns are kept. Without it the firms are those of the links, in order of appearance.
    days:
        Days that the period has: 365 turns annual values into the network's daily ones.
    value_added:
        Share of output that is not bought from firms, for firms whose output is not known.
    currency:
        Unit of the values.

    Raises
    ------
    InputError
        No such file, a missing column, or arguments outside their range.
    TableError
        The row and id of: an unknown or empty id, a link from a firm to itself, a value that is not a positive finite number, a
        firm listed twice, an output below the sales, a firm that buys but sells nothing.
    """
    for name, given in (("path", path), *((("firms", firms),) if firms is not None else ())):
        instance(given, (str, os.PathLike), name, "the path of a CSV or parquet file")
    days = positive(days, "days")
    share = positive(value_added, "value_added", below=1.0)
    path = Path(path)
    links = _frame(path, LINK, ids=LINK[:2], amounts=LINK[2:])
    table = None if firms is None else _table(Path(firms))
    ids, supplier, customer = _positions(links, path, table, firms)
    value = _values(links["value"], path, ids, supplier, customer)
    same = np.flatnonzero(supplier == customer)
    if same.size:
        raise TableError(
            f"{_at(path, same)}: firm {ids[supplier[same[0]]]!r} sells to itself; leave out sales within a firm."
        )
    notes: list[Note] = []
    supplier, customer, value = _added_up(supplier, customer, value, len(ids), currency, notes)
    if table is None:
        table = pd.DataFrame(index=ids)
    demand = _final_demand(table, firms, supplier, customer, value, share, currency, notes)
    _refuse_idle(ids, supplier, customer, value, demand)
    network = Network.from_edges(supplier, customer, value, demand, days=days)
    out = table.drop(columns=[name for name in AMOUNTS if name in table])
    # What the network holds, not what the file said: currency per day, and outputs that add up.
    for name, values in (
        ("output", network.output),
        ("final_demand", network.final_demand),
        ("value_added", network.value_added),
    ):
        out[name] = np.asarray(values)
    notes += _isolated(ids, supplier, customer)
    notes += _losing(ids, out["value_added"].to_numpy())
    return Firms(network, out, currency, tuple(notes))


def _at(path: Path, rows: np.ndarray) -> str:
    """Return the place of the first of these data rows, and how many more there are; empty lines of CSV files count."""
    more = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
    if path.suffix == ".parquet":
        return f"{path.name}, row {rows[0]}{more}"
    with path.open(encoding="utf-8", errors="replace") as lines:
        filled = (number for number, line in enumerate(lines, 1) if line.strip("\r\n"))
        return f"{path.name}, line {next(itertools.islice(filled, int(rows[0]) + 1, None), rows[0] + 2)}{more}"


def _frame(path: Path, needed: tuple[str, ...], *, ids: tuple[str, ...], amounts: tuple[str, ...]) -> pd.DataFrame:
    """Return a file with its ids as categories of text and its amounts as numbers, or as text where they are none."""
    if not path.is_file():
        raise InputError(f"{path} is not a file; give a CSV or parquet file with the columns {listed(needed)}.")
    if path.suffix == ".parquet":
        try:
            frame = pd.read_parquet(path)
        except ImportError:
            raise InputError(f"{path.name} is parquet, which needs the package pyarrow: pip install pyarrow.") from None
        except (ValueError, OSError) as error:
            raise TableError(f"{path.name} is not a readable parquet file ({error}).") from None
        _columns(frame, needed, path)
        for name in ids:
            frame[name] = frame[name].astype("category")
            frame[name] = frame[name].cat.rename_categories(frame[name].cat.categories.map(str))
        return frame
    try:
        known = pd.Index(pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0])
        _columns(pd.DataFrame(columns=known), needed, path)
        kinds = dict.fromkeys([n for n in (*ids, "region", "sector") if n in known], "category")
        numbers = {name: float for name in amounts if name in known}
        blank = {name: list(BLANK) for name in numbers}
        fast = _fast(path, kinds, numbers)
        if fast is not None:
            return fast
        reading = {"keep_default_na": False, "na_values": blank, "index_col": False}
        with headed_rows():
            try:
                return pd.read_csv(path, dtype={**kinds, **numbers}, **reading)
            except ValueError:  # some amount is no number: as text, so that its row can be named
                frame = pd.read_csv(path, dtype={**dict.fromkeys(kinds, str), **dict.fromkeys(numbers, str)}, **reading)
                return frame.astype(kinds)
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise TableError(f"{path.name} is not a readable CSV file ({error}).") from None


def _fast(path: Path, kinds: dict[str, Any], numbers: dict[str, Any]) -> pd.DataFrame | None:
    """Return a CSV file read by pyarrow, whose ids never exist as one text per row; None where something in it is amiss."""
    try:
        import pyarrow as pa
        import pyarrow.csv
    except ImportError:
        return None
    ids = dict.fromkeys(kinds, pa.dictionary(pa.int32(), pa.string()))
    options = pyarrow.csv.ConvertOptions(
        column_types={**ids, **dict.fromkeys(numbers, pa.float64())},
        null_values=[],
        strings_can_be_null=False,
    )
    try:
        table = pyarrow.csv.read_csv(path, convert_options=options)
    except pa.ArrowInvalid:  # pandas finds the row
        return None
    return table.unify_dictionaries().to_pandas(self_destruct=True, split_blocks=True)


def _columns(frame: pd.DataFrame, needed: tuple[str, ...], path: Path) -> None:
    absent = [name for name in needed if name not in frame]
    if absent:
        raise InputError(f"{path.name} has no column {listed(absent)}; it has {listed(frame.columns)}.")
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise InputError(f"{path.name} has more than one column {twice[0]!r}; keep one of them.")


def _table(path: Path) -> pd.DataFrame:
    """Return the table of firms, indexed by id."""
    frame = _frame(path, (FIRM,), ids=(FIRM,), amounts=AMOUNTS)
    ids = frame[FIRM]
    empty = np.flatnonzero(ids.isna() | (ids == ""))
    if empty.size:
        raise TableError(f"{_at(path, empty)}: the id of the firm is empty; give every firm one.")
    twice = np.flatnonzero(ids.duplicated())
    if twice.size:
        raise TableError(
            f"{_at(path, twice)}: firm {ids.iloc[twice[0]]!r} is listed a second time; keep one row per firm."
        )
    for name in AMOUNTS:
        if name in frame:
            amounts = _numbers(frame[name])
            bad = np.flatnonzero(~(np.isfinite(amounts) & (amounts >= 0)))
            if bad.size:
                raise TableError(
                    f"{_at(path, bad)}: the {name} of firm {ids.iloc[bad[0]]!r} is {frame[name].iloc[bad[0]]}; give a "
                    f"finite number that is not negative."
                )
            frame[name] = amounts
    return frame.set_index(pd.Index(ids.astype(str), name=FIRM)).drop(columns=FIRM)


def _positions(
    links: pd.DataFrame, path: Path, table: pd.DataFrame | None, firms: str | Path | None
) -> tuple[pd.Index, np.ndarray, np.ndarray]:
    """Return the ids of the firms, and the suppliers and customers as positions among them."""
    ends = [links[name] for name in LINK[:2]]
    for name, end in zip(LINK, ends, strict=False):
        empty = np.flatnonzero(end.isna() | (end == ""))
        if empty.size:
            raise TableError(f"{_at(path, empty)}: the {name} is empty; give its id.")
    if table is None:
        seen = []
        for end in ends:
            codes, first = np.unique(end.cat.codes.to_numpy(), return_index=True)
            seen.append(pd.Index(end.cat.categories)[codes[np.argsort(first)]].astype(str))
        ids = seen[0].append(seen[1][~seen[1].isin(seen[0])]).rename(FIRM)
    else:
        ids = table.index
    if len(ids) == 0:
        raise TableError(f"{path.name} has no links and there is no table of firms; a network needs one of them.")
    out = []
    for name, end in zip(LINK, ends, strict=False):
        known = ids.get_indexer(pd.Index(end.cat.categories).astype(str))
        codes = end.cat.codes.to_numpy()
        found = known[codes] if len(known) else np.zeros(0, dtype=int)
        strange = np.flatnonzero(found < 0)
        if strange.size:
            row = strange[0]
            raise TableError(
                f"{_at(path, strange)}: {name} {end.iloc[row]!r} is not in {Path(str(firms)).name}; add the firm or "
                f"drop the link."
            )
        out.append(found.astype(np.int32))
    return ids, out[0], out[1]


def _numbers(column: Any) -> np.ndarray:
    """Return a column as floats, NaN where it holds something else."""
    return np.asarray(pd.to_numeric(column, errors="coerce"), dtype=float)


def _values(column: Any, path: Path, ids: pd.Index, supplier: np.ndarray, customer: np.ndarray) -> np.ndarray:
    value = _numbers(column)
    bad = np.flatnonzero(~(np.isfinite(value) & (value > 0)))
    if bad.size:
        row = bad[0]
        raise TableError(
            f"{_at(path, bad)}: the value from {ids[supplier[row]]!r} to {ids[customer[row]]!r} is {column.iloc[row]}; values "
            f"are positive and finite (book a refund against the sales of its link, and drop links that carry nothing)."
        )
    return value


def _added_up(supplier, customer, value, firms: int, currency: str, notes: list[Note]):
    """Add up the rows for the same pair, keeping the order of the first ones."""
    key = supplier.astype(np.int64) * firms + customer
    inorder = np.sort(key)
    if not (inorder[1:] == inorder[:-1]).any():
        return supplier, customer, value
    once, first, into = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(first)
    notes.append(
        Note(
            "added up",
            float(len(key) - len(once)),
            "rows",
            f"{len(key) - len(once)} rows for pairs of firms that have one already",
        )
    )
    return supplier[first[order]], customer[first[order]], np.bincount(into, value)[order]


def _final_demand(
    table, firms, supplier, customer, value, share: float, currency: str, notes: list[Note]
) -> np.ndarray:
    count = len(table.index)
    sales, purchases = np.bincount(supplier, value, count), np.bincount(customer, value, count)
    given = table["final_demand"].to_numpy() if "final_demand" in table else None
    if "output" not in table:
        if given is not None:
            return given
        output = np.maximum(sales, purchases / (1 - share))
        sentence = f"output is the larger of sales and purchases / {1 - share:g}: no table gives it"
        notes.append(Note("assumed", float(output.sum() - sales.sum()), currency, sentence))
        return output - sales
    output = table["output"].to_numpy()
    demand = output - sales
    below = np.flatnonzero(demand < -ROUNDING * sales)
    if below.size:
        k = below[0]
        raise TableError(
            f"{_at(Path(str(firms)), below)}: the output of firm {table.index[k]!r} is {output[k]:.9g}, below its sales to "
            f"firms, {sales[k]:.9g}; correct one of them."
        )
    demand = np.where(np.abs(demand) <= ROUNDING * sales, 0, demand)
    if given is not None:
        apart = np.flatnonzero(np.abs(sales + given - output) > 1e-6 * output)
        if apart.size:
            k = apart[0]
            raise TableError(
                f"{_at(Path(str(firms)), apart)}: firm {table.index[k]!r} has output {output[k]:.9g}, but sales {sales[k]:.9g} "
                f"and final demand {given[k]:.9g}; give one of the two, or numbers that add up."
            )
    return demand


def _refuse_idle(ids: pd.Index, supplier, customer, value, demand) -> None:
    idle = (np.bincount(supplier, value, len(ids)) + demand <= 0) & (np.bincount(customer, minlength=len(ids)) > 0)
    if idle.any():
        firm = ids[np.flatnonzero(idle)[0]]
        raise TableError(f"firm {firm!r} buys but sells nothing, to firms or otherwise; give its output or drop it.")


def _isolated(ids: pd.Index, supplier, customer) -> list[Note]:
    """Note the firms without suppliers, without customers, and without either."""
    sells, buys = (np.bincount(ends, minlength=len(ids)) > 0 for ends in (supplier, customer))
    found = (("suppliers", ~buys & sells), ("customers among firms", ~sells & buys), ("links", ~sells & ~buys))
    return [
        Note("found", float(which.sum()), "firms", f"{which.sum()} firms without {what}, such as {ids[which][0]!r}")
        for what, which in found
        if which.any()
    ]


def _losing(ids: pd.Index, value_added: np.ndarray) -> list[Note]:
    """Note the firms that buy more than they make."""
    which = value_added < 0
    if not which.any():
        return []
    sentence = (
        f"{which.sum()} firms buy more than their output, such as {ids[which][0]!r}: their value added is negative"
    )
    return [Note("found", float(which.sum()), "firms", sentence)]
