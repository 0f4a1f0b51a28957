"""Read a table: a builtin, a folder of CSV files, or what pymrio has parsed or saved."""

import hashlib
import os
import zipfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from quesnay._errors import InputError, LabelError, QuesnayError, TableError

from . import builtin
from .accounts import Economy
from .builtin import BUILTINS
from .folders import FLOWS, Files, load_folder, read_long, read_wide, with_notes
from .ledger import Note
from .match import listed, suggestion

PYMRIO_FILES = ("file_parameters.json", "metadata.json")


def load(table: str | os.PathLike[str], *, close: str | None = None) -> Economy:
    """Return the economy of a builtin name, such as "us-2020", or of a path.

    A path is a folder of CSV files, or a folder or zip archive that pymrio saved (read by pymrio). The CSV folder has

    - `Z.csv`: flows, rows supply; two header rows (region, sector) and two index columns (region, sector);
    - `accounts.csv`: columns region, sector, final_demand, and optionally imports, value_added, output, and satellites
      named with their unit as in `ghg [kt CO2e]`;
    - `table.toml`: currency, and optionally name and year;
    - optionally `Y.csv` instead of the column final_demand, like `Z.csv` with the header rows region and category;
    - optionally `primary.csv`: columns region, sector, and one for every further primary input.

    Parameters
    ----------
    table:
        a builtin name or a path.
    close:
        name under which residuals are booked, as `Economy.close` does.

    Raises
    ------
    LabelError
        Neither a builtin of that name nor such a path; or the labels of the files do not agree.
    TableError
        A file is missing, broken or ragged, or the table is one that `Economy` refuses; the message names the file.
    """
    if isinstance(table, str) and table in BUILTINS:
        return _builtin(table, close)
    path = Path(table)
    if not path.exists():
        near = suggestion(str(table), BUILTINS)
        raise LabelError(
            f"There is no path {str(table)!r} and no builtin table of that name; "
            f"the builtins are {listed(BUILTINS)}{near or '.'}"
        )
    try:
        if path.is_dir() and path.joinpath(FLOWS).is_file():
            return load_folder(path, close)
        if (path.is_dir() and any(path.joinpath(name).is_file() for name in PYMRIO_FILES)) or zipfile.is_zipfile(path):
            return _pymrio(path, close)
    except QuesnayError as error:
        raise type(error)(f"{path}: {error}") from error
    if path.is_dir():
        raise TableError(f"{path} has neither {FLOWS} nor {PYMRIO_FILES[0]}; give a folder in one of the two formats.")
    raise TableError(
        f"{path} is a file of another kind; give the folder that holds {FLOWS}, or a table saved by pymrio."
    )


def _builtin(name: str, close: str | None) -> Economy:
    spec = BUILTINS[name]
    files = Files(resources.files(builtin))
    Z, accounts = read_wide(files, spec.flows), read_long(files, spec.accounts)
    given: dict[str, Any] = {account: accounts[column] for account, column in spec.columns.items()}
    return Economy.from_frames(
        Z=Z,
        satellites={k: (accounts[column], unit) for k, (column, unit) in spec.satellites.items()},
        currency=spec.currency,
        year=spec.year,
        name=name,
        source=files.hashes,
        close=close,
        **given,
    )


def _pymrio(path: Path, close: str | None) -> Economy:
    if path.is_file():
        with zipfile.ZipFile(path) as archive:
            if not any(Path(name).name == PYMRIO_FILES[0] for name in archive.namelist()):
                raise TableError(
                    "the archive was not written by pymrio; parse it with pymrio and pass the system to from_pymrio."
                )
    pymrio = _import_pymrio()
    try:
        system = pymrio.load_all(path)
    except Exception as error:  # pymrio raises whatever pandas, json and zipfile raise
        words = " ".join(str(error).split())
        raise TableError(
            f"pymrio cannot read it ({type(error).__name__}: {words}); save it again with pymrio."
        ) from error
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    hashes = {
        (p.relative_to(path).as_posix() if path.is_dir() else p.name): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in files
    }
    return _from_system(system, None, None, close, hashes)


def _import_pymrio() -> Any:
    try:
        import pymrio
    except ImportError as error:
        raise InputError(
            "Reading this table needs pymrio, which is not installed; run `pip install pymrio`."
        ) from error
    return pymrio


def from_pymrio(
    system: Any, *, currency: str | None = None, year: int | None = None, close: str | None = None
) -> Economy:
    """Return the economy of a pymrio `IOSystem` in memory.

    Z (or A and x), Y and x become the accounts; imports are zero, and value added is output less inputs,
    `v = x - 1'Z`. Every row of every extension becomes a satellite called "extension: row", of which the short name
    "row" is enough where it is unique; pollution of final consumers (F_Y) belongs to no sector and is left out, with a note.

    Parameters
    ----------
    system:
        `pymrio.IOSystem` with Z and Y, or A, x and Y; flows in the system's unit.
    currency:
        what to call the unit of the flows; the system's own name for it where missing.
    year:
        of the table; pymrio does not store it.
    close:
        name under which residuals are booked, as `Economy.close` does.

    Raises
    ------
    TableError
        Flows are missing, or in several units (a hybrid table), or the table is one that `Economy` refuses.
    InputError
        The system does not say its unit and `currency` is missing.
    """
    return _from_system(system, currency, year, close, {})


def _from_system(
    system: Any, currency: str | None, year: int | None, close: str | None, source: Mapping[str, str]
) -> Economy:
    x = None if getattr(system, "x", None) is None else system.x.iloc[:, 0]
    Z = getattr(system, "Z", None)
    if Z is None and x is not None and getattr(system, "A", None) is not None:
        Z = system.A * x.reindex(system.A.columns)
    if Z is None or getattr(system, "Y", None) is None:
        raise TableError("The pymrio system has no flows Z or no final demand Y; load them, or call calc_all() first.")
    satellites, notes = {}, []
    for extension in (getattr(system, name) for name in system.get_extensions()):
        satellites |= _rows(extension, x)
        if getattr(extension, "F_Y", None) is not None and bool((extension.F_Y != 0).any(axis=None)):
            own = f"final consumers' own {extension.name} (F_Y, {len(extension.F_Y)} rows)"
            text = f"{own} belong to no sector and are left out."
            notes.append(Note("from_pymrio", float(len(extension.F_Y)), "rows", text))
    meta = getattr(system, "meta", None)
    economy = Economy.from_frames(
        Z=Z,
        Y=system.Y,
        output=x,
        satellites=satellites,
        currency=_currency(system, currency),
        year=year,
        name=getattr(meta, "name", None) or "pymrio system",
        source=source,
        close=close,
    )
    return with_notes(economy, tuple(notes))


def _currency(system: Any, currency: str | None) -> str:
    unit = getattr(system, "unit", None)
    units = [] if unit is None else list(dict.fromkeys(str(u) for u in pd.DataFrame(unit).iloc[:, 0]))
    if len(units) > 1:
        raise TableError(
            f"The flows of the pymrio system are in several units ({listed(units)}); convert them to one currency."
        )
    if currency is None and not units:
        raise InputError("The pymrio system does not say the unit of its flows; pass currency, such as 'MUSD'.")
    return currency if currency is not None else units[0]


def _rows(extension: Any, x: pd.Series | None) -> dict[str, tuple[pd.Series, str]]:
    F = getattr(extension, "F", None)
    if F is None and x is not None and getattr(extension, "S", None) is not None:
        F = extension.S * x.reindex(extension.S.columns)
    if F is None:
        return {}
    units = None if extension.unit is None else extension.unit.iloc[:, 0].reindex(F.index)
    rows = {}
    for k, label in enumerate(F.index):
        row = ", ".join(str(part) for part in label) if isinstance(label, tuple) else str(label)
        if units is None or pd.isna(units.iloc[k]):
            raise TableError(
                f"Row {row!r} of the extension {extension.name!r} has no unit; add it to the extension's unit."
            )
        rows[f"{extension.name}: {row}"] = (F.iloc[k], str(units.iloc[k]))
    return rows
