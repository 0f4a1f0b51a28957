"""Readers for EXIOBASE 1 to 3 and for what pymrio saved: checked here, parsed by pymrio, labelled as an `Economy`."""

import contextlib
import re
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from quesnay._errors import InputError, TableError
from quesnay.economy.accounts import Economy

from .archives import DEFAULT, Limits, check
from .parsing import COMPLETE, chosen, economy_of, parsing
from .saved import PARAMETERS, saved_tables

IOT = re.compile(r"IOT_((?:19|20)\d\d)_([ip]x[ip])(?:\.zip)?")


def exiobase1(
    path: Any,
    *,
    year: int | None = 2000,
    currency: str | None = None,
    close: str | None = None,
    limits: Limits = DEFAULT,
) -> Economy:
    """Return the economy of EXIOBASE 1 in coefficients, `x = (I - A)^-1 Y 1`, `Z = A diag(x)`, `F = S diag(x)`.

    Parameters
    ----------
    path:
        the zip archive or the folder with mrIot*.txt, mrFinalDemand*.txt and the extensions (read by
        `pymrio.parse_exiobase1`).
    year:
        of the table; 2000 is the year of EXIOBASE 1.
    currency:
        what to call the unit of the flows; the source's own name for it where missing.
    close:
        name under which residuals are booked, as `Economy.close` does.
    limits:
        how much the archive may hold.

    Raises
    ------
    TableError
        The path is not a complete EXIOBASE 1, is unsafe (see `archives.check`), or is a table that `Economy` refuses.

    References
    ----------
    Tukker, A. et al. (2013), Economic Systems Research 25(1), 50-70.
    """

    def parse(pymrio: Any, place: Path) -> Any:
        return pymrio.parse_exiobase1(place)

    return _exiobase12(path, parse, "EXIOBASE 1", year, currency, close, limits)


def exiobase2(
    path: Any,
    *,
    year: int | None = 2007,
    currency: str | None = None,
    close: str | None = None,
    limits: Limits = DEFAULT,
) -> Economy:
    """Return the economy of EXIOBASE 2 in coefficients, `x = (I - A)^-1 Y 1`, `Z = A diag(x)`, `F = S diag(x)`.

    The characterised impacts are left out, because pymrio gives them no units; characterise the satellites instead.

    Parameters
    ----------
    path:
        the zip archive or the folder with mrIot*.txt, mrFinalDemand*.txt and the extensions (read by
        `pymrio.parse_exiobase2`).
    year:
        of the table; 2007 is the year of EXIOBASE 2.
    currency, close, limits:
        as in `exiobase1`.

    Raises
    ------
    TableError
        The path is not a complete EXIOBASE 2, is unsafe (see `archives.check`), or is a table that `Economy` refuses.

    References
    ----------
    Wood, R. et al. (2015), Sustainability 7(1), 138-163.
    """

    def parse(pymrio: Any, place: Path) -> Any:
        return pymrio.parse_exiobase2(place, charact=False, popvector=None)

    return _exiobase12(path, parse, "EXIOBASE 2", year, currency, close, limits)


def exiobase3(
    path: Any,
    *,
    year: int | None = None,
    currency: str | None = None,
    close: str | None = None,
    limits: Limits = DEFAULT,
) -> Economy:
    """Return the economy of one year of EXIOBASE 3: flows Z, final demand Y, every stressor and impact a satellite.

    Only Z, Y, x, the units, F and F_Y are read; coefficients, multipliers and footprints that the archive holds as well
    are not.

    Parameters
    ----------
    path:
        the zip archive as downloaded (IOT_2011_pxp.zip), its folder, or a folder with archives of several years (read by
        `pymrio.load_all`, or by `pymrio.parse_exiobase3` where the labels are those of releases before 3.7).
    year:
        of the table, or which of several to read; that of the file name where missing.
    currency, close, limits:
        as in `exiobase1`.

    Raises
    ------
    TableError
        The path is not a complete EXIOBASE 3, is unsafe (see `archives.check`), names pickled tables, or is a table that
        `Economy` refuses.

    References
    ----------
    Stadler, K. et al. (2018), Journal of Industrial Ecology 22(3), 502-515.
    """
    path = Path(path)
    with parsing(path, "EXIOBASE 3") as (pymrio, notes):
        names = check(path, limits=limits)
        if path.is_dir() and not any(PurePosixPath(name).name == PARAMETERS for name in names):
            path, year = _archive_of(path, names, year)
            names = check(path, limits=limits)
        tables = saved_tables(path, names, limits)
        system = None if tables.legacy else pymrio.load_all(path, subset=list(tables.subset))
        if system is None or _has_long_codes(system):
            system = pymrio.parse_exiobase3(path)
        dated = IOT.match(path.name)
        year = int(dated[1]) if year is None and dated else year
        files = [path] if path.is_file() else [path / name for name in tables.files]
        return economy_of(system, files, path, "EXIOBASE 3", currency, year, close, notes)


def saved_by_pymrio(
    path: Any, *, year: int | None = None, close: str | None = None, limits: Limits = DEFAULT
) -> Economy:
    """Return the economy of a folder or zip archive that pymrio saved, in text or parquet; `load` documents it."""
    path = Path(path)
    with parsing(path, None) as (pymrio, notes):
        tables = saved_tables(path, check(path, limits=limits), limits)
        system = pymrio.load_all(path, subset=list(tables.subset))
        files = [path] if path.is_file() else [path / name for name in tables.files]
        return economy_of(system, files, path, None, None, year, close, notes)


def _exiobase12(
    path: Any,
    parse: Callable[[Any, Path], Any],
    what: str,
    year: int | None,
    currency: str | None,
    close: str | None,
    limits: Limits,
) -> Economy:
    path = Path(path)
    with contextlib.ExitStack() as stack:
        pymrio, notes = stack.enter_context(parsing(path, what))
        names = check(path, limits=limits)
        tables = [name for name in names if re.match(r"mr[A-Z]\w*.*\.txt", Path(name).name)]
        if not any(Path(name).name.startswith("mrIot") for name in tables):
            raise TableError(f"there is no mrIot*.txt in it; {COMPLETE}.")
        place = path
        if path.is_file() and path.suffix != ".zip":  # pymrio goes by the suffix
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="quesnay-"))
            place = Path(place) / f"{path.name}.zip"
            place.symlink_to(path.resolve())
        files = [path] if path.is_file() else [path / name for name in tables]
        return economy_of(parse(pymrio, place), files, path, what, currency, year, close, notes)


def _archive_of(folder: Path, names: tuple[str, ...], year: int | None) -> tuple[Path, int]:
    """Return the archive of a year in a folder of downloads."""
    found = {name: match for name in names if name.endswith(".zip") and (match := IOT.fullmatch(name))}
    year = chosen(year, {int(match[1]) for match in found.values()}, "an archive IOT_*.zip")
    archives = sorted(name for name, match in found.items() if int(match[1]) == year)
    if len(archives) > 1:
        raise InputError(f"it holds {archives[0]} and {archives[1]} of the same year; give the path of one of them.")
    return folder / archives[0], year


def _has_long_codes(system: Any) -> bool:
    """Say whether a region has a code of three letters, as in some tables of EXIOBASE 3.4."""
    frames = [system.Y, *(extension.F for extension in system.get_extensions(data=True))]
    codes = {str(code) for frame in frames if frame is not None for code in frame.columns.get_level_values(0)}
    return any(len(code) == 3 and code.isalpha() and code.isupper() for code in codes)
