"""Bring labelled data into the order of an index: every label is known, present once, and every cell a number."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd

from quesnay._errors import InputError, LabelError, TableError

from .ledger import ALL, Ledger, blocks, multi_index

SHOWN = 5
SHOWN_LETTERS = 60


def say(label: Any) -> str:
    """Return an account's label in words."""
    if isinstance(label, tuple) and len(label) == 2:
        region, sector = label
        return f"sector {sector!r}" if region == ALL else f"sector {sector!r} of region {region!r}"
    return repr(label)


def listed(labels: Iterable[Any]) -> str:
    """Return up to five labels in words, and how many more there are."""
    words = [say(label) for label in labels]
    rest = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + rest


def suggestion(label: Any, known: Iterable[Any]) -> str:
    """Return "; did you mean ...?" with the known label that is nearest in spelling, or nothing."""
    spelled = {str(k if not isinstance(k, tuple) else " | ".join(map(str, k))): k for k in known}
    wanted = str(label if not isinstance(label, tuple) else " | ".join(map(str, label)))
    folded = {s.casefold(): s for s in spelled}
    near = get_close_matches(wanted.casefold(), folded, n=1, cutoff=0.5)
    return f"; did you mean {say(spelled[folded[near[0]]])}?" if near else ""


def unknown(labels: Sequence[Any], known: Iterable[Any], what: str) -> LabelError:
    """Return the error for labels that the table does not have."""
    return LabelError(f"{what}: the table has no {listed(labels)}{suggestion(labels[0], known) or '.'}")


def account(ledger: Ledger, name: str, currency: str) -> tuple[np.ndarray, str]:
    """Return the values (n,) and the unit of a satellite, of output, of final demand or of a primary input.

    Raises
    ------
    LabelError
        There is none of that name, nor one satellite "extension: name"; the message lists what there is.
    """
    if name in ledger.names:
        k = ledger.names.index(name)
        return ledger.satellites[k], ledger.units[k]
    if name == "output":
        return ledger.output, currency
    if name == "final_demand":
        return ledger.final_demand, currency
    if name in ledger.inputs:
        return ledger.row(name), currency
    short = [k for k, full in enumerate(ledger.names) if full.endswith(f": {name}")]
    if len(short) == 1:
        return ledger.satellites[short[0]], ledger.units[short[0]]
    known = [*ledger.names, "output", "final_demand", *ledger.inputs]
    raise LabelError(f"The table has no account {name!r}; it has {listed(known)}{suggestion(name, known) or '.'}")


def refuse_duplicates(index: pd.Index, what: str) -> None:
    """Raise `LabelError` where a label is given twice."""
    if not index.is_unique:
        twice = list(dict.fromkeys(index[index.duplicated()]))
        raise LabelError(f"{what}: {listed(twice)} is given more than once; add the entries up or rename them.")


def refuse_surrogates(labels: Iterable[str], what: str) -> None:
    """Raise `LabelError` where a label is text that UTF-8 cannot hold: neither files nor pandas' strings take it."""
    for label in labels:
        try:
            label.encode()
        except UnicodeEncodeError:
            raise LabelError(f"{what}: {label!r} has a lone surrogate, which UTF-8 cannot hold; rename it.") from None


def account_index(
    index: pd.Index, what: str, region: str | None, names: tuple[str, str] = ("region", "sector")
) -> pd.MultiIndex:
    """Return an index as text labels (region, sector), a plain one under the single region given.

    Raises
    ------
    LabelError
        A label is missing or given twice, there are more than two levels, or a plain index in a table of several regions.
    """
    if not isinstance(index, pd.MultiIndex):
        if region is None:
            raise LabelError(
                f"{what}: the labels are {names[1]}s without a region, in a table of several regions; "
                f"give an index of ({names[0]}, {names[1]})."
            )
        refuse_surrogates([region], what)
        index = pd.MultiIndex.from_arrays([[region] * len(index), index])
    elif index.nlevels != 2:
        raise LabelError(f"{what}: the index has {index.nlevels} levels; give two, ({names[0]}, {names[1]}).")
    elif tuple(index.names) == names[::-1]:
        index = index.swaplevel()
    if any(pd.isna(index.get_level_values(k)).any() or (index.get_level_values(k) == "").any() for k in (0, 1)):
        raise LabelError(f"{what}: a {names[0]} or {names[1]} label is empty; name every row and column.")
    pairs = [(str(a), str(b)) for a, b in index]
    refuse_surrogates((label for pair in pairs for label in pair), what)
    labels = multi_index(pairs, names)
    refuse_duplicates(labels, what)
    return labels


def positions(labels: pd.Index, order: pd.Index, what: str, *, partial: bool = False) -> np.ndarray:
    """Return for each label of `order` its position in `labels`, -1 where it is missing and `partial` allows that.

    Raises
    ------
    LabelError
        `labels` has one that `order` does not know, or misses one; the message names it and the nearest.
    """
    strange = order.get_indexer(labels) < 0
    if strange.any():
        raise unknown(list(labels[strange]), list(order), what)
    found = labels.get_indexer(order)
    if not partial and (found < 0).any():
        absent = list(order[found < 0])
        raise LabelError(f"{what}: {listed(absent)} is missing; give every label of the table once.")
    return found


def numbers(data: Any, what: str) -> np.ndarray:
    """Return the values of a Series or DataFrame as float64.

    Raises
    ------
    TableError
        A cell holds text or another thing that is not a number; the message names its labels.
    """
    blocks = data.dtypes if isinstance(data, pd.DataFrame) else [data.dtype]
    if all(dtype.kind in "iuf" for dtype in blocks):
        return np.array(data.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)
    cells = data.to_numpy(dtype=object)
    bad = np.vectorize(lambda c: isinstance(c, (bool, np.bool_)) or not _number(c), otypes=[bool])(cells)
    if bad.any():
        where = np.argwhere(bad)[0]
        row = say(data.index[where[0]])
        at = row if data.ndim == 1 else f"{row}, column {say(data.columns[where[1]])}"
        raise TableError(
            f"{what}: the cell at {at} holds {_shown(cells[tuple(where)])}, which is not a number; correct it."
        )
    return np.vectorize(lambda c: np.nan if c is None or c is pd.NA else float(c), otypes=[float])(cells)


def _number(cell: Any) -> bool:
    if cell is None or cell is pd.NA:
        return True
    try:
        float(cell)
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(cell, (str, bytes))


def _shown(cell: Any) -> str:
    """Return a cell as it is written in Python, cut where it is long."""
    try:
        words = repr(cell)
    except ValueError:  # an int of more than some thousand digits, which Python does not write out
        words = f"an int of {cell.bit_length()} bits"
    return words if len(words) <= SHOWN_LETTERS else f"{words[:SHOWN_LETTERS]}..."


def refuse_missing(values: np.ndarray, index: Any, what: str, columns: Any = None) -> None:
    """Raise `TableError` where a value is NaN or infinite; the message names its labels."""
    if all(np.isfinite(values[block]).all() for block in blocks(len(values))):
        return
    bad = ~np.isfinite(values)
    where = np.argwhere(bad)[0]
    at = say(index[where[0]])
    if columns is not None:
        at += f", column {say(columns[where[1]])}"
    raise TableError(
        f"{what}: {int(bad.sum())} value(s) are missing or infinite, the first at {at}; fill them in the source."
    )


def series(data: Any, what: str) -> pd.Series:
    """Return a Series, a one-column DataFrame or a mapping as a Series.

    Raises
    ------
    InputError
        The data carry no labels, or are a DataFrame of several columns.
    """
    if isinstance(data, pd.DataFrame):
        if data.shape[1] != 1:
            raise InputError(f"{what} is a DataFrame of {data.shape[1]} columns; give one column of it.")
        return data.iloc[:, 0]
    if isinstance(data, pd.Series):
        return data
    if isinstance(data, Mapping):
        return pd.Series(dict(data), dtype=object)
    raise InputError(
        f"{what} is a {type(data).__name__}, which carries no labels of accounts; give a pandas Series or a dict."
    )


class Aligner:
    """Brings labelled series into the order of an index of two levels, `order`.

    The labels of series that share one index object, such as the rows of a DataFrame, are looked up once.

    Parameters
    ----------
    order:
        the labels, in the order wanted.
    region:
        of labels of one level; None in a table of several regions.
    partial:
        whether a series may leave labels of `order` out, which are zero then.
    """

    def __init__(self, order: pd.MultiIndex, region: str | None, *, partial: bool = False) -> None:
        self.order, self.region, self.partial = order, region, partial
        self.names = (str(order.names[0]), str(order.names[1]))
        self.last: pd.Index | None = None
        self.labels, self.found = order, np.arange(len(order))

    def values(self, data: Any, what: str) -> np.ndarray:
        """Return the numbers (n,) in the order of the index, every one finite.

        Raises
        ------
        LabelError
            A label is unknown, missing, empty or given twice.
        TableError
            A cell is not a finite number.
        InputError
            The data carry no labels.
        """
        labelled = series(data, what)
        self._look_up(labelled.index, what)
        cells = numbers(labelled, what)
        if not self.partial:
            cells = cells[self.found]
            refuse_missing(cells, self.order, what)
            return cells
        refuse_missing(cells, self.labels, what)
        return np.where(self.found >= 0, np.append(cells, 0.0)[self.found], 0.0)

    def _look_up(self, index: pd.Index, what: str) -> None:
        """Set `labels` and `found`, unless the index is the very one that they were found for."""
        if self.last is not None and index.is_(self.last) and index.names == self.last.names:
            return
        if index.equals(self.order) and tuple(index.names) != self.names[::-1]:
            labels, found = self.order, np.arange(len(self.order))
        else:
            labels = account_index(index, what, self.region, self.names)
            found = positions(labels, self.order, what, partial=self.partial)
        self.last, self.labels, self.found = index, labels, found


def vector(data: Any, order: pd.MultiIndex, what: str, region: str | None) -> np.ndarray:
    """Return a labelled series in the order of the accounts (n,); every account once, every value finite."""
    return Aligner(order, region).values(data, what)
