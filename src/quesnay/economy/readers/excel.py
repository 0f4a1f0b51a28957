"""A table in an Excel workbook, by a small mapping file that says where in the workbook everything is."""

import hashlib
import io
import os
import re
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from quesnay._errors import QuesnayError, TableError
from quesnay.economy.accounts import Economy
from quesnay.economy.ledger import ALL, multi_index
from quesnay.economy.match import listed, refuse_duplicates, suggestion

from .archives import check
from .excel_mapping import entries_of, entry_of

RANGE = re.compile(
    r"(?:(?P<sheet>'(?:[^']|'')+'|[^'!]+)!)?\$?([A-Za-z]{1,3})\$?(\d{1,7})(?::\$?([A-Za-z]{1,3})\$?(\d{1,7}))?"
)
READ = (".xlsx", ".xlsm")


class Cells(NamedTuple):
    """A range of a sheet: its name, and its first and last row and column, counted from 1, the last included."""

    sheet: str
    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns."""
        return self.bottom - self.top + 1, self.right - self.left + 1

    def at(self, row: int, column: int) -> str:
        """Return the address of a cell of the range, as in SIOT!C4."""
        return f"{self.sheet}!{_letters(self.left + column)}{self.top + row}"

    def __str__(self) -> str:
        rows, columns = self.shape
        return f"{self.at(0, 0)}:{self.at(rows - 1, columns - 1).rpartition('!')[2]}"


class Workbook:
    """The sheets of a workbook as lists of rows of values, each sheet read once."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data = path, data
        self.sheets: dict[tuple[str, bool], list[tuple[Any, ...]]] = {}
        self.books: dict[bool, Any] = {}

    def block(self, cells: Cells) -> list[tuple[Any, ...]]:
        """Return the values of a range, the stored ones of formulas; raises `TableError` where the sheet does not reach."""
        rows = self._rows(cells.sheet, True)
        width = max((len(row) for row in rows), default=0)
        if cells.bottom > len(rows) or cells.right > width:
            last = f"{_letters(width)}{len(rows)}" if width else "nowhere"
            raise TableError(f"The range {cells} leads outside the sheet, which ends at {last}; correct the range.")
        pad = (None,) * width
        return [(row + pad)[cells.left - 1 : cells.right] for row in rows[cells.top - 1 : cells.bottom]]

    def formula(self, cells: Cells, row: int, column: int) -> Any:
        """Return what is written in a cell whose stored value is empty: a formula, or None."""
        rows = self._rows(cells.sheet, False)
        line = rows[cells.top - 1 + row] if cells.top - 1 + row < len(rows) else ()
        return line[cells.left - 1 + column] if cells.left - 1 + column < len(line) else None

    def _rows(self, sheet: str, stored: bool) -> list[tuple[Any, ...]]:
        if (sheet, stored) not in self.sheets:
            book = self._book(stored)
            if sheet not in book.sheetnames:
                known = f"{self.path.name} has {listed(book.sheetnames)}"
                raise TableError(f"There is no sheet {sheet!r}; {known}{suggestion(sheet, book.sheetnames) or '.'}")
            page = book[sheet]
            if not hasattr(page, "iter_rows"):
                raise TableError(f"The sheet {sheet!r} is a chart and has no cells; name the sheet of the table.")
            page.reset_dimensions()  # some programs write none, or wrong ones
            self.sheets[sheet, stored] = [tuple(row) for row in page.iter_rows(values_only=True)]
        return self.sheets[sheet, stored]

    def _book(self, stored: bool) -> Any:
        if stored not in self.books:
            import openpyxl

            try:
                self.books[stored] = openpyxl.load_workbook(io.BytesIO(self.data), read_only=True, data_only=stored)
            except Exception as error:  # whatever zipfile, the XML parser and openpyxl raise
                words = " ".join(str(error).split())[:200]
                raise TableError(
                    f"{self.path.name} is no workbook that openpyxl reads ({type(error).__name__}: {words}); save it as .xlsx."
                ) from error
        return self.books[stored]


class Mapping(NamedTuple):
    """A mapping file that has been checked, with its workbook."""

    entries: dict[str, Any]
    book: Workbook

    def cells(self, text: str, where: str) -> Cells:
        """Return the range of a text such as "C4:H9" or "Emissions!C4:H9"."""
        from openpyxl.utils import column_index_from_string as number

        found = RANGE.fullmatch(text.strip())
        if found is None:
            raise TableError(f"{where}: {text!r} is not a range; give one such as 'C4:H9', or 'Sheet2!C4:H9'.")
        sheet, left, top, right, bottom = found.groups()
        if sheet is None:
            sheet = self.entries.get("sheet")
            if sheet is None:
                raise TableError(f"{where}: {text!r} names no sheet; add sheet = \"...\", or write 'Sheet1!{text}'.")
        elif sheet.startswith("'"):
            sheet = sheet[1:-1].replace("''", "'")
        cells = Cells(sheet, int(top), number(left), int(bottom or top), number(right or left))
        if cells.top < 1 or cells.top > cells.bottom or cells.left > cells.right:
            raise TableError(
                f"{where}: {text!r} does not go from the upper left to the lower right cell; turn it round."
            )
        return cells

    def numbers(self, text: str, where: str, shape: tuple[int, int] | None = None) -> np.ndarray:
        """Return the numbers of a range; empty cells are `blank` where the mapping says so, and refused otherwise."""
        cells = self.cells(text, where)
        if shape is not None and cells.shape != shape:
            raise TableError(
                f"{where}: the range {cells} has {cells.shape[0]} row(s) and {cells.shape[1]} column(s), not {shape[0]} and "
                f"{shape[1]} as its labels; correct the range."
            )
        return np.array(
            [
                [self._number(cells, i, j, value) for j, value in enumerate(row)]
                for i, row in enumerate(self.book.block(cells))
            ]
        )

    def _number(self, cells: Cells, i: int, j: int, value: Any) -> float:
        if isinstance(value, Real) and not isinstance(value, bool):
            return float(value)
        if value is not None:
            kind = "an error" if isinstance(value, str) and value.startswith("#") else "not a number"
            raise TableError(f"The cell {cells.at(i, j)} holds {value!r}, which is {kind}; correct it, or the range.")
        if self.book.formula(cells, i, j) is not None:
            raise TableError(
                f"The cell {cells.at(i, j)} holds a formula without a stored value; open the workbook in a spreadsheet program "
                f"and save it."
            )
        if "blank" not in self.entries:
            raise TableError(f"The cell {cells.at(i, j)} is empty; fill it, or write blank = 0.0 for all empty cells.")
        return float(self.entries["blank"])

    def vector(self, text: str, where: str, n: int) -> np.ndarray:
        """Return the n numbers of a range of one row or one column."""
        cells = self.cells(text, where)
        if cells.shape not in ((1, n), (n, 1)):
            raise TableError(
                f"{where}: the range {cells} is not one row or one column of {n} cells; correct the range."
            )
        return self.numbers(text, where).ravel()

    def series(self, text: str, where: str, rows: pd.Index, columns: pd.Index) -> pd.Series:
        """Return the numbers of a range beside the rows of Z, in their order, or above or below its columns, in theirs."""
        return pd.Series(
            self.vector(text, where, len(rows)), rows if self.cells(text, where).shape[1] == 1 else columns
        )

    def labels(self, text: str, where: str, *, across: bool) -> pd.Index:
        """Return the labels of a range: one line of them, or two, regions before sectors."""
        cells = self.cells(text, where)
        lines = [tuple(row) for row in self.book.block(cells)]
        words = [[self._label(cells, i, j, value) for j, value in enumerate(row)] for i, row in enumerate(lines)]
        levels = words if across else [list(column) for column in zip(*words, strict=True)]
        if len(levels) > 2:
            side = "rows" if across else "columns"
            raise TableError(
                f"{where}: the range {cells} has {len(levels)} {side} of labels; give one, or two with regions first."
            )
        return pd.Index(levels[0], dtype=object) if len(levels) == 1 else multi_index(list(zip(*levels, strict=True)))

    def _label(self, cells: Cells, i: int, j: int, value: Any) -> str:
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, Real) and not isinstance(value, bool):
            return f"{value:.15g}" if isinstance(value, float) else str(value)
        if value is None or isinstance(value, str):
            why = "empty; of merged cells only the first one holds the label, so fill in every cell"
        else:
            why = f"a {type(value).__name__} ({value}); spreadsheet programs take codes such as 10-1 for dates; make it text"
        raise TableError(f"The label in cell {cells.at(i, j)} is {why}.")


def excel(mapping: str | os.PathLike[str], *, close: str | None = None) -> Economy:
    """Return the economy of a workbook (.xlsx) by a TOML file that says where its parts are.

    Ranges are written as in a spreadsheet, "C4:H9", or "Emissions!C4:H9" on another sheet than `sheet`:

    - `workbook` (its path, seen from the mapping file), `currency`; optionally `sheet`, `year`, `name`, `region` of labels
      without one, and `blank`, the value of empty cells, which are refused without it;
    - `[Z]`: `cells` (n, n), rows supply; `rows` and, where they differ, `columns`: the labels, one column (row) of sectors,
      or two, regions first;
    - `[Y]`: `cells` (n, m) and `columns`; or `final_demand`, a range of n cells; optionally `output`, n cells;
    - `[primary]`: `cells` (k, n) and `rows`; `[primary.names]` renames rows, such as to "value_added" and "imports"; rows
      that get the same name are added up;
    - `[satellites.NAME]`: `unit`, `cells` (n), and `direct`, what final consumers emit themselves: a range (m), or a cell
      by category, as in `direct = { Households = "H2" }`.

    Y and primary may be lists of ranges with as many of labels, where totals lie between. Rows of Y and columns of primary
    are in the order of Z unless they have labels (`rows`, `columns`) of their own; output and satellites in that of the rows
    of Z where the range is a column, and of its columns where it is a row.

    Parameters
    ----------
    mapping:
        the TOML file.
    close:
        name under which residuals are booked, as `Economy.close` does.

    Raises
    ------
    TableError
        A key is unknown or missing, a file, sheet or range is not there, a cell holds no number (its address is named),
        or a table that `Economy` refuses.
    LabelError
        Labels do not agree, or one is given twice.
    """
    path = Path(mapping)
    try:
        entries = entries_of(path)
        workbook = path.parent / entries["workbook"]
        if workbook.suffix.lower() not in READ:
            raise TableError(f"{workbook.name} is not a workbook of the kinds {listed(READ)}; save it as .xlsx.")
        if not workbook.is_file():
            raise TableError(f"There is no workbook {str(workbook)!r}; correct the path in the mapping.")
        check(workbook)
        data = workbook.read_bytes()
        files = ((path.name, path.read_bytes()), (workbook.name, data))
        source = {name: hashlib.sha256(content).hexdigest() for name, content in files}
        return _economy(Mapping(entries, Workbook(workbook, data)), path.stem, source, close)
    except QuesnayError as error:
        raise type(error)(f"{path}: {error}") from error


def _economy(mapping: Mapping, stem: str, source: dict[str, str], close: str | None) -> Economy:
    given = mapping.entries
    Z = given["Z"]
    rows = mapping.labels(Z["rows"], "Z.rows", across=False)
    columns = mapping.labels(Z["columns"], "Z.columns", across=True) if "columns" in Z else rows
    parts: dict[str, Any] = {
        "Z": pd.DataFrame(mapping.numbers(Z["cells"], "Z.cells", (len(rows), len(columns))), rows, columns)
    }
    categories: pd.Index | None = None
    if "Y" in given:
        Y = given["Y"]
        own = mapping.labels(Y["rows"], "Y.rows", across=False) if "rows" in Y else rows
        categories, values = _parts(mapping, Y, "Y", len(own), across=True)
        parts["Y"] = pd.DataFrame(values, own, categories)
    for key in ("final_demand", "output"):
        if key in given:
            parts[key] = mapping.series(given[key], key, rows, columns)
    if "primary" in given:
        primary = given["primary"]
        own = mapping.labels(primary["columns"], "primary.columns", across=True) if "columns" in primary else columns
        names, values = _parts(mapping, primary, "primary", len(own), across=False)
        renamed = primary.get("names", {})
        for label, new in renamed.items():
            if label not in names or not isinstance(new, str):
                raise TableError(f"primary.names: there is no row {label!r}{suggestion(label, names) or '.'}")
        refuse_duplicates(pd.Index([name for name in names if name not in renamed]), "primary.rows")
        new = pd.Index([renamed.get(name, name) for name in names])
        parts["primary"] = pd.DataFrame(values, new, own).groupby(level=0, sort=False).sum()
    satellites, direct = {}, {}
    for name, entry in given.get("satellites", {}).items():
        where = f"satellites.{name}"
        cells = mapping.series(entry["cells"], f"{where}.cells", rows, columns)
        satellites[name] = (cells, entry_of(entry, where, "unit"))
        if "direct" in entry:
            if categories is None:
                raise TableError(f"{where}.direct goes with the columns of Y, and there is no [Y]; add it.")
            direct[name] = _direct(mapping, entry["direct"], f"{where}.direct", categories)
    return Economy.from_frames(
        **parts,
        satellites=satellites,
        direct=direct,
        currency=given["currency"],
        year=given.get("year"),
        name=given.get("name", stem),
        region=given.get("region", ALL),
        source=source,
        close=close,
    )


def _parts(mapping: Mapping, entry: dict[str, Any], where: str, n: int, *, across: bool) -> tuple[pd.Index, np.ndarray]:
    """Return the labels and the numbers of a block that may be given as several ranges, side by side or one below another."""
    key = "columns" if across else "rows"
    cells, labels = (
        [part] if isinstance(part, str) else part for part in (entry["cells"], entry_of(entry, where, key))
    )
    if not cells or len(cells) != len(labels) or not all(isinstance(text, str) for text in [*cells, *labels]):
        raise TableError(
            f"{where}: cells and {key} are {cells} and {labels}; give a range of labels with every range of cells."
        )
    indices, values = [], []
    for text, named in zip(cells, labels, strict=True):
        index = mapping.labels(named, f"{where}.{key}", across=across)
        shape = (n, len(index)) if across else (len(index), n)
        indices.append(index)
        values.append(mapping.numbers(text, f"{where}.cells", shape))
    return indices[0].append(indices[1:]), np.concatenate(values, axis=1 if across else 0)


def _direct(mapping: Mapping, given: Any, where: str, categories: pd.Index) -> pd.Series:
    """Return direct emissions from a range along the columns of Y, or from single cells by category."""
    if isinstance(given, str):
        return pd.Series(mapping.vector(given, where, len(categories)), categories)
    cells = {category: mapping.vector(str(text), f"{where}.{category}", 1)[0] for category, text in given.items()}
    return pd.Series(cells, dtype=float)


def _letters(number: int) -> str:
    from openpyxl.utils import get_column_letter

    return get_column_letter(number)
