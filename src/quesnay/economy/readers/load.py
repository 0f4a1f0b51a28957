"""Read a table: a builtin, a folder of CSV files, or what pymrio has parsed or saved."""

import hashlib
import os
import zipfile
from importlib import resources
from pathlib import Path
from typing import Any

from quesnay._errors import LabelError, QuesnayError, TableError
from quesnay.economy import builtin
from quesnay.economy.accounts import Economy
from quesnay.economy.builtin import BUILTINS
from quesnay.economy.folders import FLOWS, Files, load_folder, read_long, read_wide
from quesnay.economy.match import listed, suggestion

from .systems import from_system, import_pymrio

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
    pymrio = import_pymrio()
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
    return from_system(system, None, None, close, hashes)
