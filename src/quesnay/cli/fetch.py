"""What `quesnay fetch` prints and asks: the list of databases, the account where one is needed, and what to do next."""

import getpass
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .._errors import InputError
from ..economy.readers import Login, fetch
from ..economy.readers.fetch import DATABASES, ELSEWHERE, EMAIL, PASSWORD


def show() -> None:
    """Print the databases that can be downloaded, and where the others are."""
    width = max(map(len, [*DATABASES, *ELSEWHERE]))
    lines = [f"{name:{width}}  {d.first}-{d.last or '    '}  {d.about}" for name, d in DATABASES.items()]
    lines += ["", "Not to be had by a program; quesnay reads them once you have them:"]
    lines += [f"{name:{width}}  {place}" for name, place in ELSEWHERE.items()]
    sys.stdout.write("\n".join(lines) + "\n")


def download(name: str, to: Path | None, years: Sequence[int] | None, *, overwrite: bool) -> None:
    """Download a database, after asking for the account where its provider wants one."""
    known = DATABASES.get(name)
    folder = Path(name) if to is None else to
    if os.path.lexists(folder) and not overwrite:
        raise InputError(f"{folder} exists already; give another folder with --to, or replace it with --overwrite.")
    login = _login() if known is not None and known.login else None
    sys.stderr.write(f"fetching {name} into {folder} ...\n" if known else "")
    fetch(name, folder, years=years, login=login, overwrite=overwrite)
    sys.stderr.write(f"wrote {folder}; look at it with: quesnay info {folder}\n")


def _login() -> Login:
    email, password = os.environ.get(EMAIL), os.environ.get(PASSWORD)
    if email and password:
        return Login(email, password)
    if not sys.stdin.isatty():
        raise InputError(f"eora26 needs an account at worldmrio.com; set {EMAIL} and {PASSWORD}.")
    sys.stderr.write("Eora26 needs an account at worldmrio.com.\n")
    sys.stderr.write("E-mail address: ")
    return Login(input().strip(), getpass.getpass("Password: "))
