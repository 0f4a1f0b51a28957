"""A table as a folder of CSV files: Z.csv, accounts.csv, table.toml, and where needed Y.csv, primary.csv and direct.csv."""

import csv
import hashlib
import io
import json
import os
import secrets
import shutil
import tomllib
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from quesnay._errors import InputError, LabelError, TableError

from .accounts import Economy
from .ledger import IMPORTS, VALUE_ADDED, Note, multi_index
from .match import listed, refuse_surrogates, unknown

FLOWS, ACCOUNTS, DEMAND, PRIMARY, TABLE = "Z.csv", "accounts.csv", "Y.csv", "primary.csv", "table.toml"
DIRECT = "direct.csv"
COLUMNS = ("final_demand", "imports", "value_added", "output")
QUOTE = '"'
SPECIAL = {",", QUOTE, "\r", "\n"}
KEYS = {"name": str, "currency": str, "year": int, "notes": list, "made_from": dict}
NOTE_KEYS = {"action": str, "amount": (int, float), "unit": str, "sentence": str}


class Files:
    """The files of one table, read once each, with their SHA-256."""

    def __init__(self, folder: Path | Traversable) -> None:
        self.folder = folder
        self.hashes: dict[str, str] = {}

    def has(self, name: str) -> bool:
        """Say whether the folder has this file."""
        return self.folder.joinpath(name).is_file()

    def text(self, name: str) -> str:
        """Return the text of a file; raises `TableError` where it is missing or not UTF-8."""
        try:
            data = self.folder.joinpath(name).read_bytes()
            text = data.decode("utf-8-sig")
        except (FileNotFoundError, IsADirectoryError):
            raise TableError(f"{name} is missing from the folder of the table; add it.") from None
        except UnicodeDecodeError as error:
            raise TableError(
                f"{name} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8."
            ) from None
        self.hashes[name] = hashlib.sha256(data).hexdigest()
        return text

    def rows(self, name: str) -> list[tuple[int, list[str]]]:
        """Return (line number, cells) of every line that is not blank; raises `TableError` for ragged or broken CSV."""
        reader = csv.reader(io.StringIO(self.text(name), newline=""), strict=True)
        rows = []
        try:
            for row in reader:
                if row:
                    rows.append((reader.line_num, row))
        except csv.Error as error:
            raise TableError(f"{name}, line {reader.line_num}: {error}; correct the quoting of this line.") from None
        if not rows:
            raise TableError(f"{name} is empty; give its header and rows.")
        width = len(rows[0][1])
        for line, row in rows:
            if len(row) != width:
                raise TableError(
                    f"{name}, line {line}: {len(row)} cells where the first line has {width}; complete the row."
                )
        return rows


def read_wide(files: Files, name: str, columns: tuple[str, str] = ("region", "sector")) -> pd.DataFrame:
    """Return a table with two header rows and two index columns; a third row with the names of the index is skipped."""
    rows = files.rows(name)
    if len(rows) < 3 or len(rows[0][1]) < 3:
        raise TableError(f"{name} needs two header rows, two index columns and at least one cell; complete it.")
    first, *cells = rows[1][1]
    # Sector codes may be numbers too, but then the cell before them is empty or says what they are.
    if first.strip().lower() not in ("", columns[1]) and all(_is_number(cell) for cell in cells[1:]):
        raise TableError(
            f"{name} has one header row and needs two, {columns[0]} and {columns[1]}, and two index columns, region and sector."
        )
    above, below = rows[0][1][2:], rows[1][1][2:]
    body = rows[2:] if any(rows[2][1][2:]) else rows[3:]
    index = multi_index([(row[0], row[1]) for _, row in body])
    values = _floats(
        name, [(line, row[2:]) for line, row in body], [f"{a} | {b}" for a, b in zip(above, below, strict=True)]
    )
    return pd.DataFrame(values, index, multi_index(list(zip(above, below, strict=True)), columns))


def read_long(files: Files, name: str, columns: tuple[str, str] = ("region", "sector")) -> pd.DataFrame:
    """Return a table with one header row and two columns of labels, region and sector, one line per account."""
    rows = files.rows(name)
    header = rows[0][1]
    if len(set(header)) < len(header):
        twice = [h for h in dict.fromkeys(header) if header.count(h) > 1]
        raise TableError(f"{name}: the column {listed(twice)} is given more than once; rename or remove one.")
    if any(column not in header for column in columns):
        raise TableError(f"{name} needs the columns {' and '.join(columns)}; it has {listed(header)}.")
    region, below = (header.index(column) for column in columns)
    rest = [k for k in range(len(header)) if k not in (region, below)]
    index = multi_index([(row[region], row[below]) for _, row in rows[1:]], columns)
    values = _floats(name, [(line, [row[k] for k in rest]) for line, row in rows[1:]], [header[k] for k in rest])
    return pd.DataFrame(values, index, [header[k] for k in rest])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _floats(name: str, rows: list[tuple[int, list[str]]], columns: list[str]) -> np.ndarray:
    try:
        return np.array([row for _, row in rows], dtype=np.float64).reshape(len(rows), len(columns))
    except ValueError:
        for line, row in rows:
            for column, cell in zip(columns, row, strict=True):
                if not _is_number(cell):
                    what = f"{cell!r}, which is not a number" if cell.strip() else "nothing"
                    raise TableError(
                        f"{name}, line {line}, column {column!r} holds {what}; correct the cell."
                    ) from None
        raise


def load_folder(folder: Path, close: str | None) -> Economy:
    """Return the economy of a folder of CSV files; `load` documents the format."""
    files = Files(folder)
    about = _about(files)
    Z = read_wide(files, FLOWS)
    accounts = read_long(files, ACCOUNTS)
    given: dict[str, Any] = {column: accounts[column] for column in COLUMNS if column in accounts}
    satellites = {}
    for column in accounts.columns.difference(COLUMNS, sort=False):
        name, unit = _split(column, ACCOUNTS)
        satellites[name] = (accounts[column], unit)
    Y = read_wide(files, DEMAND, ("region", "category")) if files.has(DEMAND) else None
    if (Y is None) == ("final_demand" not in given):
        raise TableError(f"Give final demand once, as {DEMAND} or as the column final_demand of {ACCOUNTS}.")
    primary = read_long(files, PRIMARY).T if files.has(PRIMARY) else None
    direct = _direct(files, satellites) if files.has(DIRECT) else None
    economy = Economy.from_frames(
        Z=Z,
        Y=Y,
        primary=primary,
        satellites=satellites,
        direct=direct,
        currency=about["currency"],
        year=about.get("year"),
        name=about.get("name", folder.name),
        source=files.hashes,
        close=close,
        **given,
    )
    stored = tuple(Note(n["action"], float(n["amount"]), n["unit"], n["sentence"]) for n in about.get("notes", ()))
    return with_notes(economy, stored)


def _direct(files: Files, satellites: dict[str, tuple[pd.Series, str]]) -> dict[str, pd.Series]:
    table = read_long(files, DIRECT, ("region", "category"))
    direct = {}
    for column in table.columns:
        name, unit = _split(column, DIRECT)
        if name not in satellites:
            raise unknown([name], satellites, DIRECT)
        if unit != satellites[name][1]:
            raise TableError(
                f"{DIRECT}: {name!r} is in {unit!r} and in {satellites[name][1]!r} in {ACCOUNTS}; give both in one unit."
            )
        direct[name] = table[column]
    return direct


def with_notes(economy: Economy, earlier: tuple[Note, ...]) -> Economy:
    """Return the economy with earlier notes before its own, each once."""
    notes = tuple(dict.fromkeys(earlier + economy.notes))
    return Economy(economy.ledger, economy.currency, economy.year, economy.name, economy.files, notes)


def _about(files: Files) -> dict[str, Any]:
    try:
        about = tomllib.loads(files.text(TABLE))
    except tomllib.TOMLDecodeError as error:
        raise TableError(f"{TABLE} is not valid TOML: {error}; correct the line.") from None
    for key, value in about.items():
        if key not in KEYS:
            raise TableError(f"{TABLE}: the key {key!r} is unknown; the keys are {listed(KEYS)}.")
        if not isinstance(value, KEYS[key]) or isinstance(value, bool):
            raise TableError(f"{TABLE}: {key} is {value!r}; give it as {KEYS[key].__name__}.")
    if "currency" not in about:
        raise TableError(f'{TABLE} does not say the currency; add a line such as currency = "MUSD".')
    for note in about.get("notes", ()):
        if not (isinstance(note, dict) and all(isinstance(note.get(k), kind) for k, kind in NOTE_KEYS.items())):
            raise TableError(f"{TABLE}: a note needs {listed(NOTE_KEYS)}; complete or remove it.")
    return about


def _split(column: str, file: str) -> tuple[str, str]:
    """Return name and unit of a column "name [unit]", the unit being in the last pair of brackets."""
    if column.endswith("]"):
        depth = 0
        for k in range(len(column) - 1, 0, -1):
            depth += {"]": 1, "[": -1}.get(column[k], 0)
            if depth == 0:
                name = column[:k].removesuffix(" ")
                if name and column[k + 1 : -1].strip():
                    return name, column[k + 1 : -1]
                break
    known = f"is neither one of {listed(COLUMNS)} nor" if file == ACCOUNTS else "is not"
    raise TableError(
        f"{file}: the column {column!r} {known} a satellite with its unit; name a satellite as in 'ghg [kt CO2e]'."
    )


def save(economy: Economy, folder: str | os.PathLike[str]) -> Path:
    """Write an economy as a folder of CSV files that `load` reads back to the bit, all at once or not at all.

    Z.csv, Y.csv, accounts.csv, table.toml, primary.csv where there are further primary inputs, and direct.csv where final
    consumers emit something themselves; the notes are kept and the hashes of the original source are written under
    `made_from`. The files appear under a temporary name beside the folder and are then renamed.

    Parameters
    ----------
    economy:
        what to write.
    folder:
        where; a new or empty folder.

    Raises
    ------
    InputError
        The folder has something in it, or is a file.
    LabelError
        The table's name cannot be written as UTF-8, or a satellite's name and unit cannot be told apart.
    """
    refuse_surrogates((economy.name, economy.currency, *economy.source), "save")
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} exists and is not an empty folder; give another name, or move it away.")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.parent / f".{target.name}-{secrets.token_hex(4)}"
    draft.mkdir()
    try:
        _write(economy, draft)
        if target.exists():
            target.rmdir()
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return target


def _write(economy: Economy, folder: Path) -> None:
    ledger = economy.ledger
    accounts = {
        IMPORTS: ledger.row(IMPORTS),
        VALUE_ADDED: ledger.row(VALUE_ADDED),
        "output": ledger.output,
    }
    for name, unit, values in zip(ledger.names, ledger.units, ledger.satellites, strict=True):
        column = f"{name} [{unit}]"
        if _split(column, ACCOUNTS) != (name, unit):
            raise LabelError(
                f"The satellite {name!r} with unit {unit!r} cannot be told apart in a column name; rename it."
            )
        accounts[column] = values
    extra = {k: v for k, v in zip(ledger.inputs, ledger.primary, strict=True) if k not in (VALUE_ADDED, IMPORTS)}
    _write_wide(folder / FLOWS, ledger.index, ledger.index, ledger.Z, "sector")
    _write_wide(folder / DEMAND, ledger.index, ledger.categories, ledger.Y, "category")
    _write_long(folder / ACCOUNTS, ledger.index, accounts)
    if extra:
        _write_long(folder / PRIMARY, ledger.index, extra)
    own = zip(ledger.names, ledger.units, ledger.direct, strict=True)
    emitted = {f"{name} [{unit}]": values for name, unit, values in own if values.any()}
    if emitted:
        _write_long(folder / DIRECT, ledger.categories, emitted, "category")
    (folder / TABLE).write_text(_toml(economy), encoding="utf-8", newline="\n")


def _write_wide(path: Path, index: pd.MultiIndex, columns: pd.MultiIndex, values: np.ndarray, below: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(_line(["region", "", *columns.get_level_values(0)]))
        file.write(_line([below, "", *columns.get_level_values(1)]))
        file.write(_line(["region", "sector", *[""] * len(columns)]))
        file.writelines(_line([*label, *row]) for label, row in zip(index, values.tolist(), strict=True))


def _write_long(path: Path, index: pd.MultiIndex, columns: dict[str, np.ndarray], below: str = "sector") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(_line(["region", below, *columns]))
        values = np.array(list(columns.values())).T.tolist()
        file.writelines(_line([*label, *row]) for label, row in zip(index, values, strict=True))


def _line(cells: list[str | float]) -> str:
    # Python's csv.writer leaves a bare carriage return unquoted, which its reader takes for the end of a line.
    words = (cell if isinstance(cell, str) else repr(cell) for cell in cells)
    return ",".join(f'"{w.replace(QUOTE, QUOTE * 2)}"' if SPECIAL & set(w) else w for w in words) + "\n"


def _toml(economy: Economy) -> str:
    lines = [f"name = {_quoted(economy.name)}", f"currency = {_quoted(economy.currency)}"]
    if economy.year is not None:
        lines.append(f"year = {economy.year}")
    if economy.files:
        lines += ["", "[made_from]", *(f"{_quoted(name)} = {_quoted(digest)}" for name, digest in economy.files)]
    for note in economy.notes:
        lines += ["", "[[notes]]", f"action = {_quoted(note.action)}", f"amount = {float(note.amount)!r}"]
        lines += [f"unit = {_quoted(note.unit)}", f"sentence = {_quoted(note.sentence)}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's, except that TOML also wants DEL escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
