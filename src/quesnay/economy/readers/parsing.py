"""What the readers of databases share: pymrio's parsers held at arm's length, and what they parsed made an `Economy`."""

import contextlib
import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.linalg

from quesnay._errors import InputError, TableError
from quesnay.economy.accounts import Economy
from quesnay.economy.folders import with_notes
from quesnay.economy.ledger import Note
from quesnay.economy.match import listed

from .archives import hashes, refusing
from .systems import from_system, import_pymrio

COMPLETE = "check that it is the complete and unchanged download"


@contextlib.contextmanager
def parsing(path: Path, what: str | None) -> Iterator[tuple[Any, list[Note]]]:
    """Give pymrio and a list for notes; whatever pymrio raises becomes one sentence, what it warns of a note."""
    pymrio = import_pymrio()
    notes: list[Note] = []
    otherwise = (
        f"pymrio cannot read it as {what}; {COMPLETE}" if what else "pymrio cannot read it; save it again with pymrio"
    )
    with refusing(str(path), otherwise), warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: notes.append(_warned(message))  # restored by catch_warnings
        warnings.simplefilter("ignore")
        for category in (pymrio.tools.ioparser.ParserWarning, UserWarning):
            warnings.simplefilter("always", category)
        yield pymrio, notes


def _warned(message: Warning | str) -> Note:
    return Note("read", 1.0, "warning", " ".join(str(message).split()))


def economy_of(
    system: Any,
    files: Iterable[Path],
    path: Path,
    what: str | None,
    currency: str | None,
    year: int | None,
    close: str | None,
    notes: list[Note],
) -> Economy:
    """Hand a parsed system over, without the tables that an `Economy` has no need of."""
    flows(system)
    keep = {"Z", "Y", "x", "unit"}
    for name, value in list(vars(system).items()):
        if isinstance(value, (pd.DataFrame, pd.Series)) and name not in keep:
            setattr(system, name, None)
    for extension in (getattr(system, name) for name in system.get_extensions()):
        wanted = {"F", "F_Y", "unit"} if getattr(extension, "F", None) is not None else {"S", "F_Y", "unit"}
        for name, value in list(vars(extension).items()):
            if isinstance(value, (pd.DataFrame, pd.Series)) and name not in wanted:
                setattr(extension, name, None)
            elif isinstance(value, pd.DataFrame) and name != "unit":
                # In one block, not one per column as pandas reads it, of which taking out rows is very slow.
                setattr(extension, name, pd.DataFrame(value.to_numpy(), value.index, value.columns))
    if what is not None:
        system.meta.change_meta("name", what)
    source = hashes(files, path if path.is_dir() else path.parent)
    return with_notes(from_system(system, currency, year, close, source, keep=False), tuple(notes))


def flows(system: Any) -> None:
    """Give a system in coefficients its output and its flows, `x = (I - A)^-1 Y 1` and `Z = A diag(x)`.

    Raises
    ------
    TableError
        The labels of A and Y are not the same, or I - A is singular.
    """
    A, Y = getattr(system, "A", None), getattr(system, "Y", None)
    if getattr(system, "Z", None) is not None or A is None or Y is None or getattr(system, "x", None) is not None:
        return
    if not (A.index.equals(A.columns) and A.index.equals(Y.index)):
        raise TableError(f"the rows and columns of A and the rows of Y are not labelled alike; {COMPLETE}.")
    values = A.to_numpy(dtype=float)
    technology = np.asfortranarray(-values)
    technology[np.diag_indices(len(values))] += 1.0
    singular = "I - A is singular, so that output does not follow from A and Y; check the source."
    try:
        # Told that the matrix is general: where scipy 1.17 looks for a structure itself, it crashes on singular ones.
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always", scipy.linalg.LinAlgWarning)
            demand = Y.to_numpy(dtype=float).sum(axis=1)
            x = scipy.linalg.solve(technology, demand, overwrite_a=True, assume_a="gen")
    except np.linalg.LinAlgError:
        raise TableError(singular) from None
    if any(issubclass(doubt.category, scipy.linalg.LinAlgWarning) for doubt in doubts):
        raise TableError(singular)
    system.x = pd.DataFrame({"indout": x}, index=A.index)
    system.Z = pd.DataFrame(values * x, index=A.index, columns=A.columns)
    system.A = None


def dated(folder: Path, pattern: re.Pattern[str], year: int | None, what: str) -> tuple[Path, int]:
    """Return the file of a year in a folder, the first in order where it is there in several forms."""
    found: dict[int, Path] = {}
    for file in sorted(folder.rglob("*"), reverse=True):
        match = pattern.fullmatch(file.name)
        if match and file.is_file():
            found[century(next(group for group in match.groups() if group))] = file
    year = chosen(year, found, what)
    return found[year], year


def chosen(year: int | None, found: Iterable[int], what: str) -> int:
    years = sorted(found)
    if not years:
        raise TableError(f"there is no {what.removeprefix('a ')} in it; {COMPLETE}.")
    if year is None and len(years) > 1:
        raise InputError(
            f"it holds {what} of the years {listed(years)}; pass the year that you want, as in year={years[-1]}."
        )
    if year is not None and int(year) not in years:
        raise InputError(f"it holds {what} of {listed(years)} and not of {year}; pass one of these years.")
    return years[0] if year is None else int(year)


def century(digits: str) -> int:
    return int(digits) if len(digits) == 4 else int(digits) + (1900 if int(digits) >= 50 else 2000)


def last_year(path: Path) -> int | None:
    years = re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", path.stem)
    return int(years[-1]) if years else None
