"""What pymrio saved: its parameter files, checked before pymrio follows them."""

import io
import json
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from quesnay._errors import TableError

from .archives import Limits

PARAMETERS = "file_parameters.json"
TEXT, PARQUET = (".txt", ".tsv", ".csv"), (".parquet", ".par", ".parq")
LEVELS = 8
"""Most header rows or index columns of a table."""
NEEDED = ("Z", "Y", "x", "unit", "F", "F_Y", "FY")
SIZE = 2**20
"""Largest parameter file; bytes."""


class Saved(NamedTuple):
    """The tables to read: their names for pymrio, their files, and whether names of before EXIOBASE 3.7 occur."""

    subset: tuple[str, ...]
    files: tuple[str, ...]
    legacy: bool


def saved_tables(path: Path, names: tuple[str, ...], limits: Limits) -> Saved:
    """Return the tables that an economy needs, after checking every parameter file in a folder or zip archive.

    Raises
    ------
    TableError
        There is no parameter file; one is broken, names a file outside, a missing one, or a pickled one, which could run any
        program when it is read; or a parquet file unpacks to more than the limits allow.
    """
    members = set(names)
    parameters = [name for name in names if PurePosixPath(name).name == PARAMETERS]
    if not parameters:
        raise TableError(
            "it was not written by pymrio; parse it with pymrio and pass the system to from_pymrio, or call the reader of "
            "the database in quesnay.economy.readers."
        )
    listed = {name: _entries(name, _read(path, name)) for name in parameters}
    keys = {key for entries in listed.values() for key in entries}
    subset: list[str] = list(NEEDED)
    if "Z" not in keys:
        subset.append("A")
    if any("S" in entries and "F" not in entries for entries in listed.values()):
        subset.append("S")
    files = [*parameters]
    for name, entries in listed.items():
        for key, file in entries.items():
            member = (PurePosixPath(name).parent / file).as_posix()
            if key in subset:
                if member not in members:
                    raise TableError(f"{name} names the file {file!r}, which is not in its folder; add it.")
                refuse_huge(path, member, limits)
                files.append(member)
    return Saved(tuple(subset), tuple(files), "F_hh" in keys)


def _read(path: Path, name: str) -> bytes:
    if path.is_dir():
        with path.joinpath(name).open("rb") as file:
            text = file.read(SIZE + 1)
    else:
        with zipfile.ZipFile(path) as archive, archive.open(name) as file:
            text = file.read(SIZE + 1)
    if len(text) > SIZE:
        raise TableError(f"{name} is longer than {SIZE:,} bytes; save the table again with pymrio.")
    return text


def _entries(name: str, text: bytes) -> dict[str, str]:
    """Return the file of every table that a parameter file lists."""
    again = "pymrio cannot read it, save it again with pymrio"
    try:
        about: Any = json.loads(text.decode("utf-8"))
        entries = {str(key): dict(entry) for key, entry in about["files"].items()}
        about["systemtype"]
        files = {key: str(entry["name"]) for key, entry in entries.items()}
        levels = [int(entry[count]) for entry in entries.values() for count in ("nr_index_col", "nr_header")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TableError(f"{name} does not list the tables as pymrio does ({type(error).__name__}); {again}.") from None
    if any(not 0 <= level <= LEVELS for level in levels):
        raise TableError(f"{name} gives a number of header rows or index columns that is not 0 to {LEVELS}; {again}.")
    for file in files.values():
        suffix = PurePosixPath(file).suffix.lower()
        if suffix not in TEXT + PARQUET:
            raise TableError(
                f"{name} names {file!r}, which is neither text nor parquet and is not opened, because pickled tables can run "
                f"any program; save the system again as text."
            )
        if "/" in file or "\\" in file or file in ("..", "."):
            raise TableError(f"{name} names {file!r}, which is not in its own folder; {again}.")
    return files


def refuse_huge(path: Path, member: str, limits: Limits) -> None:
    """Refuse a parquet file whose table would take up more memory than a file may take up on disk."""
    if PurePosixPath(member).suffix.lower() not in PARQUET:
        return
    from pyarrow import parquet

    if path.is_dir():
        about = parquet.read_metadata(path / member)
    else:
        with zipfile.ZipFile(path) as archive:
            about = parquet.read_metadata(io.BytesIO(archive.read(member)))
    size = 8 * about.num_rows * about.num_columns
    if size > limits.single:
        raise TableError(
            f"{member!r} unpacks to more than {limits.single:,} bytes; if that is right, raise limits.single."
        )
