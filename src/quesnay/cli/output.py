"""Writing results: all files of a run appear complete or not at all, inside one folder and nowhere else."""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from .._errors import InputError, QuesnayError

Writer = Callable[[Path], object]
NAMES = ("result.nc", "index.html")
"""The files of a run, in the order in which they appear."""


def check(folder: Path) -> None:
    """Raise `InputError` if the files of a run cannot be written into the folder; creates nothing.

    Files of an earlier run are replaced; whatever else the folder holds is left alone.
    """
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(parent))
    if not existing.is_dir():
        raise InputError(f"--out {folder}: {existing} is not a folder; choose another one.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"--out {folder}: {existing} cannot be written to; choose another folder.")
    missing = folder.absolute().relative_to(existing).parts
    for path in (*(existing / name for name in missing), folder.absolute() / NAMES[0]):
        try:
            path.lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            where = f"{str(folder)[:60]}..." if len(str(folder)) > 60 else folder
            raise InputError(f"--out {where}: cannot be a folder ({error.strerror}); choose another one.") from None
    for name in NAMES:
        if (folder / name).is_dir():
            raise InputError(
                f"--out {folder}: {folder / name} is a folder where a file would go; choose another folder."
            )


def write(folder: Path, writers: Mapping[str, Writer]) -> list[Path]:
    """Write the files into the folder and return their paths.

    They are written to a hidden folder beside their final place, flushed to disk, and renamed one by one; if anything fails
    before that, neither the files nor a folder that was not there before remain.

    Raises
    ------
    QuesnayError
        The operating system refuses.
    """
    try:
        with _terminable(), _made(folder), _partial(folder) as partial:
            for name, writer in writers.items():
                _write(partial / name, writer)
                _flush(partial / name)
            for name in writers:
                (partial / name).replace(folder / name)
    except OSError as error:
        raise QuesnayError(f"--out {folder}: cannot be written ({error.strerror or error}).") from error
    return [folder / name for name in writers]


def _write(path: Path, writer: Writer) -> None:
    try:
        writer(path)
    except RuntimeError as error:  # HDF5 says no more than that something failed
        raise OSError(f"{path.name}: {error}; is the disk full, or a file larger than allowed?") from error


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an exit, which cleans up what is half written, as its default does not."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make the folder and its parents, and take those away again if the block fails."""
    made = []
    try:
        for parent in reversed((folder, *folder.parents)):
            with contextlib.suppress(FileExistsError):
                parent.mkdir()
                made.append(parent)
        yield
    except BaseException:
        for parent in reversed(made):
            with contextlib.suppress(OSError):  # somebody else has put something there meanwhile
                parent.rmdir()
        raise


@contextlib.contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
