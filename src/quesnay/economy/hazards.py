"""Losses by region and sector, as hazard models give them: a file or a frame in, a labelled series out."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from quesnay._errors import InputError, TableError

from .checks import headed_rows

LEVELS = ("region", "sector")


def read_losses(table: str | Path | pd.DataFrame, *, column: str = "loss", add: bool = False) -> pd.Series:
    """Return losses labelled (region, sector), for `economy.align(losses, fill=0.0)`.

    The unit is the file's own: a share of capacity for `CapacityLoss`, an amount of currency for `CapitalLoss`.

    Parameters
    ----------
    table:
        CSV or parquet file, or a frame, with columns region, sector and the column of losses; others are left alone. A hazard
        model's impacts by region and sector (as CLIMADA users export them) have this form.
    column:
        Name of the column of losses.
    add:
        Add up the rows of one account, such as several assets or events in currency; else an account listed twice is an error.

    Raises
    ------
    InputError
        No such file, or a file that is neither CSV nor parquet.
    TableError
        A column is missing, a label is empty, a loss is negative or not a number, an account is listed twice.
    """
    frame: Any = table if isinstance(table, pd.DataFrame) else _read(Path(table))
    where = "the frame of losses" if isinstance(table, pd.DataFrame) else str(table)
    missing = [name for name in (*LEVELS, column) if name not in frame.columns]
    if missing:
        raise TableError(
            f"{where} has no column {missing[0]!r}; it needs region, sector and {column} (columns: "
            f"{', '.join(map(str, frame.columns[:8]))})."
        )
    twice = [name for name in (*LEVELS, column) if (frame.columns == name).sum() > 1]
    if twice:
        raise TableError(f"{where} has more than one column {twice[0]!r}; keep one of them.")
    if frame.empty:
        raise TableError(f"{where} has no rows; give at least one account with its loss.")
    labels = frame[list(LEVELS)]
    empty = labels.isna().any(axis=1) | (labels.astype(object).map(lambda v: str(v).strip()) == "").any(axis=1)
    if empty.any():
        raise TableError(f"{where}, row {_row(empty)}: region or sector is empty; every loss needs both.")
    if frame[column].dtype.kind in "mM":
        raise TableError(f"{where}: {column} holds dates or times; give numbers of at least 0.")
    numbers: Any = pd.to_numeric(frame[column], errors="coerce")
    values = numbers.to_numpy(dtype=float, na_value=np.nan)
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        row = _row(bad)
        raise TableError(
            f"{where}, row {row}: {column} is {frame[column].tolist()[row - 1]!r}; give a number of at least 0."
        )
    index = pd.MultiIndex.from_frame(labels.astype(str), names=LEVELS)
    series: Any = pd.Series(values, index=index, name=column)
    if add:
        return series.groupby(level=list(LEVELS), sort=False).sum()
    twice = index.duplicated()
    if twice.any():
        raise TableError(
            f"{where}, row {_row(twice)}: {', '.join(index[int(np.argmax(twice))])} is listed twice; add=True adds such rows."
        )
    return series


def _row(flags) -> int:
    return int(np.argmax(np.asarray(flags))) + 1


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}; give the CSV or parquet file of the losses.")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        with headed_rows():
            return pd.read_csv(
                path, dtype=dict.fromkeys(LEVELS, str), keep_default_na=False, na_values=[""], index_col=False
            )
    except ImportError:
        raise InputError(f"{path} is a parquet file, which needs pyarrow: pip install pyarrow.") from None
    except (ValueError, OSError, UnicodeError, pd.errors.ParserWarning) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is neither a CSV nor a parquet file that can be read ({reason}).") from None
