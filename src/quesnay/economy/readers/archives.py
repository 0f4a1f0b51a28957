"""Archives and folders of tables, checked before anything is read from them; nothing is ever unpickled."""

import contextlib
import hashlib
import os
import re
import stat
import struct
import tempfile
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from quesnay._errors import QuesnayError, TableError

from .workbooks import Sheets

GIB = 2**30
SMALL = 16 * 2**20
"""Members that unpack to less than this may be compressed as highly as they like."""
CHUNK = 2**20
NAME, PART = 1024, 255
"""Longest path of a member, and longest part of one; bytes."""
DEPTH = 1
"""How many archives may lie within one another below the one that is given: a workbook or a zip in a zip, but no further."""
ENTRY = 1024
"""Most that the directory of a zip archive may take up per member; bytes."""
ZIPS = (".zip", ".xlsx", ".xlsm")
OTHERS = (".7z", ".bz2", ".gz", ".rar", ".tar", ".tbz2", ".tgz", ".txz", ".xz", ".zst")
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
SEALED = 0x1 | 0x40 | 0x2000
"""Flags of a zip member that is encrypted, or whose directory is."""


class Limits(NamedTuple):
    """How much an archive or a folder may hold; beyond that it is refused before its tables are read.

    The defaults are several times a year of EXIOBASE 3 (3 GB of text). `GLORIA` holds those of GLORIA.

    Attributes
    ----------
    members:
        number of files and folders, archives within included.
    single:
        size of the largest file, unpacked; bytes.
    total:
        size of all files together, unpacked, archives within included; bytes.
    ratio:
        unpacked over packed size, of members of 16 MiB or more.
    cells:
        largest row times largest column of a sheet of a workbook.
    """

    members: int = 10_000
    single: int = 8 * GIB
    total: int = 32 * GIB
    ratio: float = 200.0
    cells: int = 20_000_000


DEFAULT = Limits()
GLORIA = Limits(single=64 * GIB, total=256 * GIB, ratio=1000.0)
"""Limits for GLORIA, whose supply and use table of one year takes up to 20 GB as text, most of it zeros."""


def check(path: str | os.PathLike[str], *, limits: Limits = DEFAULT, contents: bool = True) -> tuple[str, ...]:
    """Return the names of the files in a folder, a zip archive or a workbook after checking that it is safe and whole.

    Every member of an archive is unpacked once, in pieces and to nowhere, so that its size and its checksum are true. Of a
    file of another kind only the size is checked. Nothing is written but the temporary copy of an archive within another.

    Parameters
    ----------
    path:
        folder or file.
    limits:
        how much it may hold.
    contents:
        whether to unpack the members; without, only names, sizes and places are looked at.

    Raises
    ------
    TableError
        There is nothing at the path; a name is absolute, leads outside by "..", has a drive letter, a backslash or a control
        character, or is given twice; a member is a link, a device, encrypted, overlaps another one, or is not what the
        directory says (size, checksum); a limit is exceeded; a workbook's XML is broken or declares a document type; the
        archive cannot be read at all; or it is of a kind that is not read, such as tar.
    """
    path = Path(path)
    with refusing(path.name or str(path)):
        if path.is_dir():
            return _folder(path, limits)
        if not path.exists():
            raise TableError("there is no such file or folder; check the path.")
        _refuse_special(path.stat().st_mode, path.name)
        if path.suffix.lower() in OTHERS:
            kind = path.suffix.lower().lstrip(".")
            raise TableError(f"archives of the kind {kind!r} are not read; unpack it and give the folder.")
        if path.suffix.lower() in ZIPS or zipfile.is_zipfile(path):
            with path.open("rb") as file:
                return _zip(file, path.name, limits, _Budget(limits), contents=contents)
        _Budget(limits).take(path.name, path.stat().st_size)
        return (path.name,)


@contextlib.contextmanager
def refusing(where: str, otherwise: str = "it is damaged; download it again") -> Iterator[None]:
    """Turn whatever is raised within into a `TableError` of one sentence that begins with where it happened."""
    try:
        yield
    except QuesnayError as error:
        raise type(error)(_placed(where, str(error))) from error
    except Exception as error:  # zipfile, zlib, bz2, lzma, struct, the operating system
        words = " ".join(str(error).split())[:300]
        raise TableError(f"{where}: {otherwise} ({type(error).__name__}{': ' if words else ''}{words}).") from error


def _placed(where: str, text: str) -> str:
    """Return the text behind the place, which is not said twice where the text begins with the name of the place."""
    name = Path(where).name
    if text.startswith(f"{where}: "):
        return text
    return f"{where}{text[len(name) :]}" if text.startswith(f"{name}: ") else f"{where}: {text}"


@contextlib.contextmanager
def unpacked(path: str | os.PathLike[str], *, limits: Limits = DEFAULT) -> Iterator[Path]:
    """Give a folder with what is in a zip archive, temporary and removed in the end; a folder is given as it is.

    Raises
    ------
    TableError
        The archive or folder is one that `check` refuses.
    """
    path = Path(path)
    check(path, limits=limits)
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="quesnay-") as temporary:
        folder = Path(temporary) / (path.stem or "table")
        folder.mkdir()
        with refusing(path.name), zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                target = folder / info.filename
                if info.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as packed, target.open("xb") as file:
                    while piece := packed.read(CHUNK):
                        file.write(piece)
        yield folder


def hashes(files: Iterable[Path], folder: Path) -> dict[str, str]:
    """Return the SHA-256 of files by their names relative to a folder, in the order of the names."""
    found = {}
    for path in sorted(set(files)):
        with path.open("rb") as file:
            name = path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)
            found[name.as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


class _Budget:
    """What may still be unpacked, over an archive and those within it."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.members, self.total = limits.members, limits.total

    def count(self, number: int) -> None:
        self.members -= number
        if self.members < 0:
            raise TableError(
                f"it has more than {self.limits.members:,} members; give the folder or archive of one table only, "
                f"or raise limits.members."
            )

    def take(self, name: str, size: int) -> None:
        self.total -= size
        for what, excess, limit in (
            ("", size - self.limits.single, "single"),
            (" with the rest", -self.total, "total"),
        ):
            if excess > 0:
                raise TableError(
                    f"{name!r}{what} takes more than {getattr(self.limits, limit):,} bytes unpacked; if that is right, "
                    f"raise limits.{limit}."
                )


def _folder(folder: Path, limits: Limits) -> tuple[str, ...]:
    budget, names, root = _Budget(limits), [], folder.resolve()
    for top, folders, files in os.walk(folder):
        budget.count(len(folders) + len(files))
        for name in sorted(folders + files):
            path = Path(top) / name
            relative = path.relative_to(folder).as_posix()
            _refuse_name(relative)
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                raise TableError(f"{relative!r} is a link that leads out of the folder; put the file itself there.")
            if name in files:
                mode = path.stat().st_mode
                _refuse_special(mode, relative)
                budget.take(relative, path.stat().st_size)
                names.append(relative)
    return tuple(sorted(names))


def _zip(
    file: BinaryIO, where: str, limits: Limits, budget: _Budget, *, depth: int = 0, contents: bool = True
) -> tuple[str, ...]:
    if _directory_size(file) > max(limits.members, 1) * ENTRY:
        budget.count(budget.members + 1)
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        budget.count(len(infos))
        for info in infos:
            _refuse_name(info.orig_filename.removesuffix("/") or info.orig_filename)
            _refuse_member(info, limits)
        files = [info for info in infos if not info.is_dir()]
        _refuse_twice(infos, files)
        for info in files:
            budget.take(info.filename, info.file_size)
        _refuse_overlap(file, infos, archive.start_dir)
        if contents:
            sheets = Sheets(limits.cells) if where.lower().endswith((".xlsx", ".xlsm")) else None
            for info in files:
                _verify(archive, info, limits, budget, depth, sheets)
    return tuple(info.filename for info in files)


def _directory_size(file: BinaryIO) -> int:
    """Return the size of a zip archive's directory as its end record says, 0 where there is none."""
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - 65_557 - 20))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + 22 > len(tail):
        return 0
    size = struct.unpack_from("<L", tail, at + 12)[0]
    if at >= 20 and tail[at - 20 : at - 16] == b"PK\x06\x07":  # ZIP64: where the larger end record is
        file.seek(min(struct.unpack_from("<Q", tail, at - 12)[0], length))
        record = file.read(56)
        if record[:4] == b"PK\x06\x06" and len(record) == 56:
            size = struct.unpack_from("<Q", record, 40)[0]
    return min(size, length)


def _refuse_name(name: str) -> None:
    parts = name.split("/")
    wrong = None
    if not name or name.startswith("/"):
        wrong = "is an absolute path"
    elif "\\" in name:
        wrong = "has a backslash"
    elif re.match(r"[A-Za-z]:", name):
        wrong = "has a drive letter"
    elif ".." in parts or "." in parts or "" in parts:
        wrong = "leads outside or is ambiguous ('..', '.' or '//')"
    elif any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        wrong = "has a control character"
    elif len(name.encode("utf-8", "surrogatepass")) > NAME or any(
        len(p.encode("utf-8", "replace")) > PART for p in parts
    ):
        wrong = "is too long"
    if wrong:
        shown = name if len(name) <= 80 else name[:77] + "..."
        raise TableError(f"the name {shown!r} {wrong}; rename the member, or unpack it by hand and give the folder.")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _refuse_twice(infos: list[zipfile.ZipInfo], files: list[zipfile.ZipInfo]) -> None:
    """Refuse names that file systems may take for the same one, and files that are folders as well."""
    seen: dict[str, str] = {}
    for name in (info.filename.removesuffix("/") for info in infos):
        if _folded(name) in seen:
            raise TableError(f"{name!r} and {seen[_folded(name)]!r} are the same name twice; keep one of them.")
        seen[_folded(name)] = name
    plain = {_folded(info.filename) for info in files}
    for info in infos:
        for parent in PurePosixPath(info.filename).parents:
            if _folded(str(parent)) in plain:
                raise TableError(f"{str(parent)!r} is a file as well as a folder; pack the archive again.")


def _refuse_special(mode: int, name: str) -> None:
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise TableError(
            f"{name!r} is neither a file nor a folder (a link, a pipe or a device); put the file itself there."
        )


def _refuse_member(info: zipfile.ZipInfo, limits: Limits) -> None:
    name, mode = info.filename, info.external_attr >> 16
    if stat.S_IFMT(mode):
        _refuse_special(mode, name)
    if info.flag_bits & SEALED:
        raise TableError(f"{name!r} is encrypted; unpack it with its password and give the folder.")
    if info.compress_type not in METHODS:
        raise TableError(
            f"{name!r} is compressed in a way that is not read (method {info.compress_type}); use deflate."
        )
    if info.is_dir() and info.file_size:
        raise TableError(f"{name!r} is a folder that holds {info.file_size} bytes; pack the archive again.")
    if info.file_size > SMALL and info.file_size > limits.ratio * info.compress_size:
        raise TableError(
            f"{name!r} unpacks to {info.file_size:,} bytes from {info.compress_size:,}, more than {limits.ratio:g} to 1; "
            f"if that is right, raise limits.ratio."
        )


def _refuse_overlap(file: BinaryIO, infos: list[zipfile.ZipInfo], start: int) -> None:
    spans = []
    for info in infos:
        file.seek(info.header_offset)
        head = file.read(30)
        if len(head) < 30 or head[:4] != b"PK\x03\x04":
            raise TableError(f"{info.filename!r} is not where the directory says; download the archive again.")
        extra = sum(struct.unpack("<HH", head[26:30]))
        spans.append((info.header_offset, info.header_offset + 30 + extra + info.compress_size, info.filename))
    for (_, end, name), (begin, _, _) in pairwise([*sorted(spans), (start, start, "")]):
        if end > begin:
            raise TableError(f"{name!r} overlaps what follows it in the archive; download it again.")


def _verify(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits, budget: _Budget, depth: int, sheets: Sheets | None
) -> None:
    """Unpack a member in pieces, so that its size and checksum are known to be true; look into workbooks and zips."""
    inner = info.filename.lower().endswith(ZIPS)
    if inner and depth >= DEPTH:
        raise TableError(f"{info.filename!r} is an archive too deep within others; unpack the outer ones.")
    seen = 0
    parser = sheets.parser(info.filename) if sheets else None
    with refusing(info.filename, "is damaged; download the archive again"), contextlib.ExitStack() as stack:
        copy = stack.enter_context(tempfile.TemporaryFile(prefix="quesnay-")) if inner else None
        with archive.open(info) as packed:
            while piece := packed.read(CHUNK):
                seen += len(piece)
                if copy:
                    copy.write(piece)
                if parser:
                    parser.feed(piece)
        if seen != info.file_size:
            raise TableError(
                f"it holds {seen:,} bytes where the directory says {info.file_size:,}; download the archive again."
            )
        if parser:
            parser.close()
        if copy:
            _zip(copy, info.filename, limits, budget, depth=depth + 1)
