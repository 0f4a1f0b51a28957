"""Read a table: a builtin, a folder of CSV files, what pymrio saved, or a database that its file names give away."""

import os
import re
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

from quesnay._errors import InputError, LabelError, TableError
from quesnay.economy import builtin
from quesnay.economy.accounts import Economy
from quesnay.economy.builtin import BUILTINS
from quesnay.economy.folders import FLOWS, TABLE, Files, load_folder, read_long, read_wide
from quesnay.economy.match import listed, suggestion

from . import databases, nations
from .archives import check, refusing, unpacked
from .figaro import FILES, figaro
from .saved import PARAMETERS

OWN, PYMRIO, EXIOBASE3 = "a folder of CSV files", "a table saved by pymrio", "exiobase3"
SIGNS = {
    EXIOBASE3: databases.IOT,
    "exiobase1": re.compile(r"mrIot(?!.*version2).*\.txt"),
    "exiobase2": re.compile(r"mrIot.*version2.*\.txt"),
    "wiod": nations.WIOT,
    "oecd": re.compile(nations.ICIO.pattern + r"|ICIO.*\.zip"),
    "eora26": nations.EORA,
    "gloria": nations.MRIOS,
    "figaro": FILES,
}
"""What the name of a file says about the database that it belongs to."""


def load(table: str | os.PathLike[str], *, year: int | None = None, close: str | None = None) -> Economy:
    """Return the economy of a builtin name, such as "us-2020", or of a path.

    A path is a folder of CSV files, or a zip archive of it; a folder or zip archive that pymrio saved; or a folder, an
    archive or a file of EXIOBASE 1 to 3, WIOD (2013), OECD ICIO, Eora26, GLORIA or FIGARO under the names of the download
    (`quesnay.economy.readers` has a reader with more options for each). The CSV folder has

    - `Z.csv`: flows, rows supply; two header rows (region, sector) and two index columns (region, sector);
    - `accounts.csv`: columns region, sector, final_demand, and optionally imports, value_added, output, and satellites
      named with their unit as in `ghg [kt CO2e]`;
    - `table.toml`: currency, and optionally name and year;
    - optionally `Y.csv` instead of the column final_demand, like `Z.csv` with the header rows region and category;
    - optionally `primary.csv`: columns region, sector, and one for every further primary input;
    - optionally `direct.csv`: columns region, category, and satellites named as in `accounts.csv`: what final consumers emit
      themselves.

    Parameters
    ----------
    table:
        a builtin name or a path.
    year:
        which year of a database to read, where the path holds several; of a table that pymrio saved, which does not say it,
        the year that it is of.
    close:
        name under which residuals are booked, as `Economy.close` does.

    Raises
    ------
    LabelError
        Neither a builtin of that name nor such a path; or the labels of the files do not agree.
    TableError
        A file is missing, broken, ragged or unsafe, the format cannot be told from the names of the files, or the table is
        one that `Economy` refuses; the message names the file.
    InputError
        The path holds tables of several years, or of one, and `year` is none of them.
    """
    if isinstance(table, str) and table in BUILTINS:
        return _of_year(_builtin(table, close), year)
    path = Path(table)
    if not path.exists():
        near = suggestion(str(table), BUILTINS)
        raise LabelError(
            f"There is no path {str(table)!r} and no builtin table of that name; "
            f"the builtins are {listed(BUILTINS)}{near or '.'}"
        )
    with refusing(str(path)):
        names = check(path, contents=False)
        kind = recognise(path, names)
        if kind == OWN:
            return _of_year(_own(path, close), year)
        reader = {
            PYMRIO: databases.saved_by_pymrio,
            EXIOBASE3: databases.exiobase3,
            "exiobase1": databases.exiobase1,
            "exiobase2": databases.exiobase2,
            "wiod": nations.wiod,
            "oecd": nations.oecd,
            "eora26": nations.eora26,
            "gloria": nations.gloria,
            "figaro": figaro,
        }[kind]
        return reader(path, close=close) if year is None else reader(path, year=year, close=close)


def _of_year(economy: Economy, year: int | None) -> Economy:
    """Return the economy, unless another year was asked for."""
    if year is not None and economy.year != year:
        raise InputError(
            f"{economy.name} is the table of {economy.year or 'no year'}, not of {year}; leave the year out."
        )
    return economy


def recognise(path: Path, names: tuple[str, ...]) -> str:
    """Return what the names of its files say that a folder, an archive or a file is.

    Raises
    ------
    TableError
        The names say nothing, or several things; the message names the reader to call.
    """
    bases = {part for name in names for part in PurePosixPath(name).parts}
    if FLOWS in names and (path.is_dir() or TABLE in names):
        return OWN
    found = {kind for kind, sign in SIGNS.items() if any(sign.fullmatch(base) for base in {*bases, path.name})}
    if PARAMETERS in bases and EXIOBASE3 not in found:
        found.add(PYMRIO)
    if len(found) > 1:
        raise TableError(
            f"its files belong to several formats ({listed(sorted(found))}); give the folder or file of one of them, or call "
            f"its reader in quesnay.economy.readers."
        )
    if found:
        return found.pop()
    raise TableError(_unknown(path, bases))


def _unknown(path: Path, bases: set[str]) -> str:
    by_hand = "call one of quesnay.economy.readers"
    if path.suffix.lower() == ".toml":
        return "it is a TOML file; where it maps the ranges of a workbook, call quesnay.readers.excel(path)."
    if {"A.csv", "D.csv"} <= bases or {"A.parquet", "D.csv"} <= bases or {"A.bin", "D.bin"} <= bases:
        return "it looks like a model made by useeior; call quesnay.readers.useeio(path)."
    if path.is_dir():
        return f"it has neither {FLOWS} nor {PARAMETERS} nor the files of a known database; {by_hand}."
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        return (
            "it is a workbook; write a .toml file that says which ranges are what and give that to quesnay.readers.excel, "
            "whose help says how."
        )
    if path.suffix.lower() == ".zip":
        return f"it was not written by pymrio; parse it with pymrio and pass the system to from_pymrio, or {by_hand}."
    return f"it is a file of another kind; give the folder that holds {FLOWS}, a table saved by pymrio, or {by_hand}."


def _own(path: Path, close: str | None) -> Economy:
    """Return the economy of a folder of CSV files, or of a zip archive of one."""
    with unpacked(path) as folder:
        return load_folder(folder, close)


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
