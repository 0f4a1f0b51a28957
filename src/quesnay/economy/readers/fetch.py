"""Download a database by pymrio: into a hidden folder beside its place, where it then appears whole or not at all."""

import contextlib
import os
import re
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from quesnay._errors import InputError, QuesnayError
from quesnay.economy.match import listed, suggestion

from .systems import import_pymrio

EMAIL, PASSWORD = "EORA_EMAIL", "EORA_PASSWORD"
"""Variables of the environment with the account at worldmrio.com."""
LOG = "download_log.json"
"""pymrio's log, in which it writes addresses with the account in them; those are taken out."""


class Login(NamedTuple):
    """An account at a provider; used for one download, never stored and never shown."""

    email: str
    password: str

    def __repr__(self) -> str:
        return f"Login(email={self.email!r}, password=...)"


class Database(NamedTuple):
    """A database that can be downloaded: what it is, its first and last year (None: it grows), whether it needs an account."""

    about: str
    first: int
    last: int | None
    login: bool
    download: Callable[..., Any]


def _exiobase3(pymrio: Any, folder: Path, years: list[int] | None, login: Login | None) -> Any:
    return pymrio.download_exiobase3(folder, years=years)


def _wiod(pymrio: Any, folder: Path, years: list[int] | None, login: Login | None) -> Any:
    return pymrio.download_wiod2013(folder, years=years)


def _oecd(pymrio: Any, folder: Path, years: list[int] | None, login: Login | None) -> Any:
    return pymrio.download_oecd(folder, years=years)


def _eora26(pymrio: Any, folder: Path, years: list[int] | None, login: Login | None) -> Any:
    if login is None:
        raise InputError(f"Eora26 needs an account at worldmrio.com; set {EMAIL} and {PASSWORD}, or pass login.")
    return pymrio.download_eora26(folder, email=login.email, password=login.password, years=years)


DATABASES = {
    "exiobase3": Database(
        "EXIOBASE 3 from Zenodo, products and industries, 0.5 GB a file", 1995, None, False, _exiobase3
    ),
    "wiod": Database("WIOD 2013 with its social and environmental accounts", 1995, 2011, False, _wiod),
    "oecd": Database("OECD inter-country tables, 2023 edition", 1995, 2020, False, _oecd),
    "eora26": Database("Eora26 in basic prices; needs an account", 1990, 2016, True, _eora26),
}
ELSEWHERE = {
    "exiobase1": "www.exiobase.eu, which needs an account",
    "exiobase2": "www.exiobase.eu, which needs an account",
    "gloria": "https://ielab.info/labs/ielab-gloria, which needs an account",
    "figaro": "https://ec.europa.eu/eurostat/web/esa-supply-use-input-tables/database",
}
"""Databases that pymrio cannot download, and where they are."""


def fetch(
    name: str,
    to: str | os.PathLike[str],
    *,
    years: Sequence[int] | None = None,
    login: Login | None = None,
    overwrite: bool = False,
) -> Path:
    """Download a database with pymrio and return the folder that it is in, which `load` then reads.

    The files are written to a hidden folder beside `to`, which takes that name when all of them are there; a download that
    fails or is interrupted leaves nothing behind.

    Parameters
    ----------
    name:
        one of `DATABASES`.
    to:
        folder to make.
    years:
        which years; all that there are where missing.
    login:
        account at the provider, for Eora26.
    overwrite:
        replace the folder if it is there already, once the download is complete.

    Raises
    ------
    InputError
        The name or a year is unknown, the folder is there already, or an account is needed and missing.
    QuesnayError
        The download failed: no connection, a server's refusal, no space.
    """
    if name in ELSEWHERE:
        raise InputError(f"{name} cannot be downloaded by a program; get it from {ELSEWHERE[name]}.")
    if name not in DATABASES:
        raise InputError(
            f"There is no database {name!r} to fetch; there are {listed(DATABASES)}{suggestion(name, DATABASES) or '.'}"
        )
    database, target = DATABASES[name], Path(to)
    strange = [year for year in years or () if year < database.first or (database.last and year > database.last)]
    if strange:
        upto = f"to {database.last}" if database.last else "on"
        raise InputError(f"{name} has no year {strange[0]}; give years from {database.first} {upto}.")
    if database.login and login is None:
        raise InputError(f"{name} needs an account at its provider; set {EMAIL} and {PASSWORD}, or pass login.")
    if os.path.lexists(target) and not overwrite:
        raise InputError(f"{target} exists already; give another folder, or ask for it to be replaced.")
    if os.path.lexists(target) and (target.is_symlink() or not target.is_dir()):
        raise InputError(f"{target} is no folder; give another name.")
    pymrio = import_pymrio()
    try:
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.absolute().parent))
    except OSError as error:
        raise InputError(f"{target}: cannot be made ({error.strerror}); give another folder.") from None
    try:
        _download(database, name, pymrio, draft, list(years) if years else None, login)
        _publish(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _download(
    database: Database, name: str, pymrio: Any, draft: Path, years: list[int] | None, login: Login | None
) -> None:
    """Run pymrio's download; what it raises becomes one sentence, in which no address with a password occurs."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where pymrio asks again for an account that was refused
            database.download(pymrio, draft, years, login)
    except QuesnayError:
        raise
    except Exception as error:  # requests, zipfile, ssl, the operating system
        words = "" if login else f": {textwrap.shorten(str(error), 120, placeholder=' ...')}"
        raise QuesnayError(
            f"{name} could not be downloaded ({type(error).__name__}{words}); check the connection and try again, or "
            f"download it in a browser."
        ) from None
    log = draft / LOG
    text = log.read_text(encoding="utf-8") if log.is_file() else ""
    files = [path for path in draft.rglob("*") if path.is_file() and path.name != LOG]
    empty = [path.name for path in files if path.stat().st_size == 0]
    missing = re.search(r"Could not find ([^\"]*)", text)
    if not files or empty or missing:
        what = "the server offered no file"
        if missing:
            what = f"the server has no {missing[1]}"
        elif empty:
            what = f"{empty[0]} is empty"
        raise QuesnayError(f"{name} could not be downloaded: {what}; try again later, or download it in a browser.")
    if login is not None and text:
        log.write_text(re.sub(r"\?email=[^\s\"]*", "", text), encoding="utf-8")


def _publish(draft: Path, target: Path) -> None:
    """Give the finished folder its name; an older one of that name goes only when the new one is in its place."""
    draft.chmod(0o755)
    if not target.exists():
        draft.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.absolute().parent))
    old.rmdir()
    target.rename(old)
    try:
        draft.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
