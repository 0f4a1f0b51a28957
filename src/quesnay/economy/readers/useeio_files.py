"""The files of a USEEIO model: matrices as .parquet, .csv, .json or .bin, and records of sectors and indicators."""

import contextlib
import csv
import hashlib
import io
import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from quesnay._errors import InputError, LabelError, QuesnayError, TableError
from quesnay.economy.match import listed, refuse_duplicates

from .archives import Limits
from .saved import refuse_huge

FOLDERS = ("", "matrix", "matrices")
SUFFIXES = (".parquet", ".csv", ".json", ".bin")


class Folder:
    """The files of one model, each read once, with their SHA-256."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path, self.limits = path, limits
        self.hashes: dict[str, str] = {}

    def find(self, names: Iterable[str], suffixes: Sequence[str] = SUFFIXES) -> Path | None:
        """Return the first file of one of these names, in the folder itself or where the API keeps its matrices."""
        places = [self.path / sub / f"{name}{suffix}" for name in names for sub in FOLDERS for suffix in suffixes]
        return next((place for place in places if place.is_file()), None)

    def matrix(self, names: Sequence[str]) -> pd.DataFrame:
        """Return a matrix with its labels, or with numbers where the file has none."""
        file = self.find(names)
        if file is None:
            raise TableError(f"{self.path} has no {names[0]} (.parquet, .csv, .json or .bin); add it.")
        with _reading(file):
            frame = self._parsed(file, self._bytes(file))
            if frame.index.nlevels > 1 or frame.columns.nlevels > 1:
                raise TableError("it has more than one row or column of labels; export it again.")
            return frame

    def _parsed(self, file: Path, data: bytes) -> pd.DataFrame:
        if file.suffix == ".parquet":
            refuse_huge(self.path, file.relative_to(self.path).as_posix(), self.limits)
            return pd.read_parquet(io.BytesIO(data))
        if file.suffix == ".bin":
            return _binary(data)
        if file.suffix == ".json":
            return pd.DataFrame(json.loads(data))
        return _csv(data.decode("utf-8-sig"))

    def records(self, name: str) -> pd.DataFrame | None:
        """Return the rows of sectors or indicators, in the order of their column index, or None where there is no such file.

        Raises
        ------
        TableError
            The file is broken, or its column index does not number the rows.
        LabelError
            A column is given twice.
        """
        file = self.find([name], (".csv", ".json"))
        if file is None:
            return None
        with _reading(file):
            text = self._bytes(file).decode("utf-8-sig")
            table = (
                pd.DataFrame(json.loads(text)) if file.suffix == ".json" else pd.read_csv(io.StringIO(text), dtype=str)
            )
        table.columns = [str(column).strip().lower() for column in table.columns]
        refuse_duplicates(table.columns, f"columns of {file.name}")
        if "index" in table:
            order = np.asarray(pd.to_numeric(table["index"].map(str), errors="coerce"), dtype=float)
            bad = ~np.isfinite(order) | pd.Series(order).duplicated().to_numpy()
            if bad.any():
                cell = table["index"].iloc[int(bad.argmax())]
                raise TableError(
                    f"{file.name}: the column index holds {cell!r}, which is no number or is given twice; export it again."
                )
            table = table.iloc[np.argsort(order)]
        return table.reset_index(drop=True)

    def demand(self, name: str) -> pd.Series | None:
        """Return the amounts of demands/NAME.json by sector, or None where there is no such file."""
        file = self.path / "demands" / f"{name}.json"
        if not file.is_file():
            return None
        with _reading(file):
            entries = json.loads(self._bytes(file))
            amounts = pd.Series(
                [float(entry["amount"]) for entry in entries], [str(entry["sector"]) for entry in entries], dtype=float
            )
        refuse_duplicates(amounts.index, f"demand {name!r}")
        return amounts

    def demands(self) -> list[str]:
        """Return the names of the demand vectors."""
        files = sorted((self.path / "demands").glob("*.json"))
        table = self.find(["demands"], (".csv",))
        header: list[str] = []
        if table is not None:
            with _reading(table):
                header = [str(column) for column in pd.read_csv(io.BytesIO(table.read_bytes()), nrows=0).columns]
        wide = [] if any(column.lower() == "id" for column in header) else header[1:]
        return [*wide, *(file.stem for file in files)]

    def _bytes(self, file: Path) -> bytes:
        data = file.read_bytes()
        self.hashes[file.relative_to(self.path).as_posix()] = hashlib.sha256(data).hexdigest()
        return data


def model_folder(path: Path) -> Path:
    """Return the one folder at or below the path that holds a model.

    Raises
    ------
    TableError
        There is none.
    LabelError
        There are several.
    """
    if any(
        (path / sub / f"{name}{suffix}").is_file() for sub in FOLDERS for name in ("A", "A_d") for suffix in SUFFIXES
    ):
        return path
    tops = {
        file.parent
        for depth in ("*", "*/*", "*/*/*", "*/*/*/*")
        for name in ("A", "A_d")
        for file in path.glob(f"{depth}/{name}.*")
    }
    found = sorted({top.parent if top.name in FOLDERS else top for top in tops})
    if len(found) > 1:
        raise LabelError(f"{path} holds {len(found)} models ({listed(f.name for f in found)}); give the folder of one.")
    if not found:
        raise TableError(f"{path} has no matrix A (.parquet, .csv, .json or .bin); give the folder of a USEEIO model.")
    return found[0]


def texts(table: pd.DataFrame, column: str, what: str) -> list[str]:
    """Return a column as text; raises `TableError` where a cell is empty."""
    cells: list[Any] = list(table[column])
    # None, and whatever is not equal to itself, are what pandas makes of a cell without content.
    empty = [
        k for k, cell in enumerate(cells) if cell is None or (isinstance(cell, float) and cell != cell) or cell == ""
    ]
    if empty:
        raise TableError(f"{what}: the column {column} is empty in row {empty[0] + 1}; export the model again.")
    return [str(cell) for cell in cells]


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Turn whatever pandas, pyarrow, json and the operating system raise into one sentence that names the file."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"Reading {file.name} needs pyarrow, which is not installed; run `pip install pyarrow`."
        ) from error
    except QuesnayError as error:
        raise type(error)(f"{file.name}: {error}") from None
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        raise TableError(
            f"{file.name} is no {file.suffix} file ({type(error).__name__}: {words}); export it again."
        ) from error


def _binary(data: bytes) -> pd.DataFrame:
    """Return a matrix of useeior's binary format: two little-endian int32, then float64 column by column."""
    rows, columns = struct.unpack_from("<2i", data) if len(data) >= 8 else (0, 0)
    if rows < 1 or columns < 1 or len(data) != 8 + 8 * rows * columns:
        raise TableError(f"it says {rows} rows and {columns} columns and has {len(data)} bytes; export it again.")
    return pd.DataFrame(np.frombuffer(data, dtype="<f8", offset=8).reshape((rows, columns), order="F"))


def _csv(text: str) -> pd.DataFrame:
    """Return a matrix with or without a header and a first column of labels."""
    lines = list(csv.reader(text.splitlines()))
    if not lines:
        raise TableError("it is empty; export it again.")
    header = None if all(_is_number(cell) for cell in lines[0]) else 0
    labels = header == 0 and (not lines[0][0] or not _is_number(lines[-1][0]))
    frame = pd.read_csv(
        io.StringIO(text), header=header, dtype={0: str} if labels else None, index_col=0 if labels else None
    )
    return frame.reset_index(drop=True) if labels and all(label.isdecimal() for label in frame.index) else frame


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
