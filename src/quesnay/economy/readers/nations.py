"""Readers for WIOD, OECD ICIO, Eora26 and GLORIA: checked here, parsed by pymrio, labelled as an `Economy`."""

import contextlib
import re
import zipfile
from pathlib import Path
from typing import Any

from quesnay._errors import TableError
from quesnay.economy.accounts import Economy
from quesnay.economy.ledger import Note

from .archives import DEFAULT, GLORIA, Limits, check, unpacked
from .parsing import century, chosen, dated, economy_of, last_year, parsing

WIOT = re.compile(r"wiot(\d\d).*\.xlsx")
ICIO = re.compile(r"ICIO(?:20\d\d)_((?:19|20)\d\d)\.(?:csv|CSV|zip)|((?:19|20)\d\d)(?:_SML)?\.(?:csv|CSV)")
EORA = re.compile(r"Eora26_((?:19|20)\d\d)_(bp|pp)(?:_T\.txt|\.zip)")
MRIOS = re.compile(r"GLORIA_MRIOs_(\w+?)_((?:19|20)\d\d).*")
WIOD_EXTENSIONS = ("WIOD_SEA", "SEA", "AIR_", "CO2_", "EM_", "EU_", "lan_", "mat_", "wat_")


def wiod(
    path: Any,
    *,
    year: int | None = None,
    currency: str | None = None,
    close: str | None = None,
    limits: Limits = DEFAULT,
) -> Economy:
    """Return the economy of one year of WIOD's 2013 release, sectors by their ISIC codes.

    Parameters
    ----------
    path:
        the workbook wiot??_row_*.xlsx; a folder with it and, as downloaded or unpacked, the socio-economic (WIOD_SEA*) and
        environmental accounts (AIR_*, CO2_*, EM_*, EU_*, lan_*, mat_*, wat_*); or a zip archive of such a folder, which is
        unpacked to a temporary folder (read by `pymrio.parse_wiod`).
    year:
        which of several workbooks to read.
    currency, close, limits:
        as in `exiobase1`.

    Raises
    ------
    TableError
        The path is not a complete WIOD table, is unsafe (see `archives.check`), or is a table that `Economy` refuses.
    InputError
        There are workbooks of several years and `year` is none of them.

    References
    ----------
    Timmer, M. P. et al. (2015), Review of International Economics 23(3), 575-605.
    """
    path = Path(path)
    with contextlib.ExitStack() as stack:
        pymrio, notes = stack.enter_context(parsing(path, "WIOD"))
        packed = path.is_file() and path.suffix.lower() == ".zip"
        place = stack.enter_context(unpacked(path, limits=limits)) if packed else path
        if place.is_dir():
            check(place, limits=limits)
            book, year = dated(place, WIOT, year, "a workbook wiot*.xlsx")
        else:
            name = WIOT.fullmatch(path.name)
            book, year = place, century(name[1]) if year is None and name else year
        tops = [top for top in book.parent.iterdir() if top.name.startswith(WIOD_EXTENSIONS)]
        files = [book, *(file for top in tops for file in (top, *top.rglob("*")) if file.is_file())]
        for file in (*tops, *files):
            check(file, limits=limits)
        system = pymrio.parse_wiod(book)
        return economy_of(system, [path] if packed else files, path, "WIOD", currency, year, close, notes)


def oecd(
    path: Any,
    *,
    year: int | None = None,
    currency: str | None = None,
    close: str | None = None,
    limits: Limits = DEFAULT,
) -> Economy:
    """Return the economy of one year of the OECD's inter-country tables (ICIO), China and Mexico as one region each.

    pymrio reads empty cells as zero; a note says how many there were.

    Parameters
    ----------
    path:
        a file such as ICIO2018_2010.csv or 2016_SML.csv, as it is or in a zip archive; or a folder or a zip archive with
        several of them (read by `pymrio.parse_oecd`).
    year:
        which of several files to read.
    currency, close, limits:
        as in `exiobase1`.

    Raises
    ------
    TableError
        The path is not a complete table, is unsafe (see `archives.check`), or is a table that `Economy` refuses.
    InputError
        There are files of several years and `year` is none of them.

    References
    ----------
    OECD, Inter-Country Input-Output tables; Yamano, N. and Guilhoto, J. (2020), OECD STI Working Papers 2020/11.
    """
    path = Path(path)
    with contextlib.ExitStack() as stack:
        pymrio, notes = stack.enter_context(parsing(path, "OECD"))
        names, place = check(path, limits=limits), path
        packed = path.is_file() and zipfile.is_zipfile(path)
        if packed and len(names) != 1:
            place = stack.enter_context(unpacked(path, limits=limits))
        file, year = (
            dated(place, ICIO, year, "a file ICIO*.csv") if place.is_dir() else (place, year or last_year(path))
        )
        if file.suffix.lower() not in (".csv", ".zip"):
            raise TableError(f"{file.name!r} is no CSV file; give one such as ICIO2018_2010.csv, or its zip archive.")
        inner = check(file, limits=limits)
        if year is None and inner:
            year = last_year(Path(inner[0]))
        empty = _empty_cells(file)
        if empty:
            text = f"{empty} empty cells of the source were read as zero by pymrio.parse_oecd."
            notes.append(Note("read", float(empty), "cells", text))
        return economy_of(
            pymrio.parse_oecd(file), [path if packed else file], path, "OECD", currency, year, close, notes
        )


def eora26(
    path: Any,
    *,
    year: int | None = None,
    purchasers_prices: bool = False,
    full_names: bool = False,
    currency: str | None = None,
    close: str | None = None,
    limits: Limits = DEFAULT,
) -> Economy:
    """Return the economy of one year of Eora26, without its statistical discrepancies (region ROW), which notes name.

    Parameters
    ----------
    path:
        a zip archive such as Eora26_2015_bp.zip, with indices.zip beside it where the labels are not in it; or a folder
        with such an archive or with its files (read by `pymrio.parse_eora26`).
    year:
        which of several years to read.
    purchasers_prices:
        read the table in purchasers' instead of basic prices.
    full_names:
        name countries in full, not by Eora's codes.
    currency, close, limits:
        as in `exiobase1`.

    Raises
    ------
    TableError
        The path is not a complete Eora26, is unsafe (see `archives.check`), or is a table that `Economy` refuses.
    InputError
        There are tables of several years and `year` is none of them.

    References
    ----------
    Lenzen, M. et al. (2013), Economic Systems Research 25(1), 20-49.
    """
    path, price = Path(path), "pp" if purchasers_prices else "bp"
    country_names = "full" if full_names else "eora"
    with parsing(path, "Eora26") as (pymrio, notes):
        names = check(path, limits=limits)
        files, folder = [path], path
        if path.is_dir():
            found = {int(m[1]) for name in names if (m := EORA.fullmatch(Path(name).name)) and m[2] == price}
            year = chosen(year, found, f"a table Eora26_*_{price}")
            used = [
                path / name
                for name in names
                if f"Eora26_{year}_{price}" in name or "labels_" in name or "indices" in name
            ]
            files = used
        else:
            name = EORA.fullmatch(path.name)
            if name is None:
                raise TableError(
                    "the name of the archive does not say year and prices; name it as in Eora26_2015_bp.zip."
                )
            year, price, folder = int(name[1]), name[2], path.parent
            indices = folder / "indices.zip"
            if "labels_T.txt" in names or not indices.is_file():
                folder = path
            else:
                files = [path, indices]
        for file in files:
            check(file, limits=limits)
        system = pymrio.parse_eora26(folder, year=year, price=price, country_names=country_names)
        notes += [Note("read", 1.0, "table", f"{entry}.") for entry in system.meta.modification_history]
        for extension in system.get_extensions(data=True):
            unknown = extension.unit.iloc[:, 0].isna()
            if unknown.any():
                extension.unit = extension.unit.fillna("unit not given")
                text = f"{int(unknown.sum())} rows of {extension.name} have no unit in the source."
                notes.append(Note("read", float(unknown.sum()), "rows", text))
        return economy_of(system, files, path, "Eora26", currency, year, close, notes)


def gloria(
    path: Any,
    *,
    year: int | None = None,
    version: int | str = 59,
    purchasers_prices: bool = False,
    full_names: bool = False,
    currency: str = "000 USD",
    close: str | None = None,
    limits: Limits = GLORIA,
) -> Economy:
    """Return the economy of one year of GLORIA, products by products (industry technology; its supply table is diagonal).

    Parameters
    ----------
    path:
        folder with GLORIA_MRIOs_*, GLORIA_SatelliteAccounts_* (each a zip archive or a folder) and GLORIA_ReadMe_*.xlsx
        (read by `pymrio.parse_gloria`).
    year:
        which of several years to read.
    version:
        of GLORIA, as the file names say.
    purchasers_prices, full_names:
        as in `eora26`.
    currency, close:
        as in `exiobase1`.
    limits:
        how much the archives may hold.

    Raises
    ------
    TableError
        The path is not a complete GLORIA, is unsafe (see `archives.check`), or is a table that `Economy` refuses.
    InputError
        There are tables of several years and `year` is none of them.

    References
    ----------
    Lenzen, M. et al. (2021), Journal of Economic Structures 11, 33.
    """
    path = Path(path)
    with contextlib.ExitStack() as stack:
        pymrio, notes = stack.enter_context(parsing(path, "GLORIA"))
        packed = path.is_file()
        folder = stack.enter_context(unpacked(path, limits=limits))
        number = str(version).removesuffix("a")
        found = {int(m[2]) for p in folder.iterdir() if (m := MRIOS.fullmatch(p.name)) and m[1] == number}
        year = chosen(year, found, f"a table GLORIA_MRIOs_{number}_*")
        heads = (
            f"GLORIA_MRIOs_{number}_{year}",
            f"GLORIA_SatelliteAccounts_0{number}_{year}",
            f"GLORIA_ReadMe_0{version}",
        )
        tops = [top for top in folder.iterdir() if top.name.startswith(heads)]
        files = [top / name for top in tops if top.is_dir() for name in check(top, limits=limits)]
        files += [top for top in tops if top.is_file() and check(top, limits=limits)]
        price, names = "pp" if purchasers_prices else "bp", "full" if full_names else "gloria"
        system = pymrio.parse_gloria(folder, year=year, version=version, price=price, country_names=names)
        notes += [
            Note("read", 1.0, "table", f"{entry}.") for entry in system.meta.modification_history if "[]" not in entry
        ]
        return economy_of(system, [path] if packed else files, path, "GLORIA", currency, year, close, notes)


def _empty_cells(file: Path) -> int:
    """Return the number of empty cells in a CSV file, which may be the only member of a zip archive; the corner is none."""
    with contextlib.ExitStack() as stack:
        if zipfile.is_zipfile(file):
            archive = stack.enter_context(zipfile.ZipFile(file))
            stream = stack.enter_context(archive.open(archive.namelist()[0]))
        else:
            stream = stack.enter_context(file.open("rb"))
        next(iter(stream), b"")
        lines = (line.strip() for line in stream)
        return sum(cell.strip() in (b"", b'""') for line in lines if line for cell in line.split(b",")[1:])
