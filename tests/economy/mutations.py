"""Ways to break the files of a table: in their bytes, cells, names, archives and folders."""

import io
import json
import os
import re
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

Random = np.random.Generator
CELLS = (
    "", "nan", "NaN", "inf", "-inf", "1e308", "-1e308", "1e999", "-1", "0", "9" * 400, "0x10", "1,5", "text", "é\u202eß",
    "\U0001f4a5", "\x00", '"', "'", "=1+1", "1 000", "None", "True", "\u0660\u0661", "a\nb", "\ufeff", "1_000", "NA", "..", "/",
)  # fmt: skip
NAMES = (
    "../evil",
    "/evil",
    "C:evil",
    "a\\b",
    "",
    ".",
    "x" * 300,
    "Z.txt",
    "file_parameters.json",
    "ü",
    "a\nb",
    "a\x00b",
    "nul",
)
JSON = (
    None,
    -1,
    10**12,
    10**400,
    1.5,
    "../Z.txt",
    "Z.pkl",
    "Z.parquet",
    [],
    {},
    [[]],
    "x",
    True,
    "99999999999",
    "é",
    "1e3",
)
TEXTS = (".txt", ".csv", ".json", ".toml", ".tsv")


def flip(data: bytes, rng: Random) -> bytes:
    """Change up to eight bytes."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if out:
            out[int(rng.integers(len(out)))] = int(rng.integers(256))
    return bytes(out)


def cut(data: bytes, rng: Random) -> bytes:
    """Cut the end off."""
    return data[: int(rng.integers(len(data) + 1))]


def splice(data: bytes, rng: Random) -> bytes:
    """Take a piece out, put it in twice, or replace it by zeros or noise."""
    a, b = sorted(int(k) for k in rng.integers(len(data) + 1, size=2))
    middle = data[a:b]
    return data[:a] + (b"", middle * 2, bytes(len(middle)), rng.bytes(len(middle)))[int(rng.integers(4))] + data[b:]


def cells(data: bytes, rng: Random) -> bytes:
    """Change lines and cells of a text table."""
    lines = data.decode("utf-8", "replace").split("\n")
    for _ in range(int(rng.integers(1, 4))):
        k = int(rng.integers(len(lines)))
        separator = "\t" if "\t" in lines[k] else ","
        row = lines[k].split(separator)
        j = int(rng.integers(len(row)))
        kind = int(rng.integers(9))
        if kind < 3:
            row[j] = CELLS[int(rng.integers(len(CELLS)))]
        elif kind == 3:
            row.insert(j, CELLS[int(rng.integers(len(CELLS)))])
        elif kind == 4:
            del row[j]
        elif kind == 5:
            row[j] = row[int(rng.integers(len(row)))]
        lines[k] = separator.join(row)
        if kind == 6:
            lines.insert(k, lines[int(rng.integers(len(lines)))])
        elif kind == 7 and len(lines) > 1:
            del lines[0 if rng.uniform() < 0.5 else k]
        elif kind == 8:
            lines[k] = lines[k].replace(separator, ";")
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def parameters(data: bytes, rng: Random) -> bytes:
    """Change a value or a key in a JSON file."""
    about = json.loads(data)

    def walk(node: object) -> list[tuple[object, object]]:
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        return [pair for key, value in items for pair in ((node, key), *walk(value))]

    places = walk(about)
    node, key = places[int(rng.integers(len(places)))]
    if rng.uniform() < 0.3 and isinstance(node, dict):
        node[NAMES[int(rng.integers(len(NAMES)))]] = node.pop(key)
    else:
        node[key] = JSON[int(rng.integers(len(JSON)))]  # type: ignore[index]
    return json.dumps(about).encode()


def sheet(data: bytes, rng: Random) -> bytes:
    """Change references, types and values in the XML of a workbook."""
    text = data.decode("utf-8", "replace")
    kinds: tuple[tuple[str, tuple[str, ...]], ...] = (
        (
            r' r="[A-Z]*\d+"',
            (' r="XFD1048576"', ' r="ZZZZ9"', ' r="A0"', ' r="-1"', ' r="A1"', "", ' r="1048576"', ' r="99999999999"'),
        ),
        (r' t="\w+"', (' t="e"', ' t="d"', ' t="b"', ' t="s"', ' t="inlineStr"', ' t="?"', "")),
        (r"<v>[^<]*</v>", tuple(f"<v>{c}</v>" for c in ("", "nan", "1e999", "99999999", "-5", "text", "&#1;", "é"))),
        (r"<(\w+)", ("<row", "<c", "<x:y", "<!--", "<![CDATA[")),
        (r' ref="[^"]*"', (' ref="A1:XFD1048576"', ' ref="?"')),
    )
    for _ in range(int(rng.integers(1, 4))):
        pattern, replacements = kinds[int(rng.integers(len(kinds)))]
        found = list(re.finditer(pattern, text))
        if found:
            at = found[int(rng.integers(len(found)))]
            text = text[: at.start()] + replacements[int(rng.integers(len(replacements)))] + text[at.end() :]
    return text.encode("utf-8", "surrogatepass")


def archive(data: bytes, rng: Random) -> bytes:
    """Pack a zip archive again with a member changed, renamed, doubled, bombed, or lied about."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = [(info.filename, old.read(info)) for info in old.infolist()]
    k, kind = int(rng.integers(len(members))), int(rng.integers(10))
    name, content = members[k]
    mode = 0
    if kind < 4:
        members[k] = name, content_of(name, content, rng)
    elif kind == 4:
        members[k] = NAMES[int(rng.integers(len(NAMES)))], content
    elif kind == 5:
        members.append(members[int(rng.integers(len(members)))])
    elif kind == 6:
        members[k] = name, bytes(int(rng.integers(17, 25)) * 2**20)
    elif kind == 7:
        del members[k]
    elif kind == 8:
        mode = (stat.S_IFLNK | 0o777) << 16
    elif kind == 9:
        members.append(("more.zip", data))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for j, (member, text) in enumerate(members):
            info = zipfile.ZipInfo("placeholder")
            info.filename = info.orig_filename = member
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = mode if j == k else 0
            new.writestr(info, text)
    return file.getvalue()


def lies(data: bytes, rng: Random) -> bytes:
    """Change a number in one of the records of a zip archive: flags, methods, sizes, checksums, places."""
    out = bytearray(data)
    signature, fields = (
        (
            b"PK\x01\x02",
            ((8, "<H"), (10, "<H"), (16, "<L"), (20, "<L"), (24, "<L"), (28, "<H"), (30, "<H"), (38, "<L"), (42, "<L")),
        ),
        (b"PK\x03\x04", ((6, "<H"), (8, "<H"), (14, "<L"), (18, "<L"), (22, "<L"), (26, "<H"), (28, "<H"))),
        (b"PK\x05\x06", ((8, "<H"), (10, "<H"), (12, "<L"), (16, "<L"), (20, "<H"))),
    )[int(rng.integers(3))]
    places = [match.start() for match in re.finditer(re.escape(signature), data)]
    if places:
        at = places[int(rng.integers(len(places)))]
        field, form = fields[int(rng.integers(len(fields)))]
        if at + field + struct.calcsize(form) <= len(out):
            top = 2 ** (8 * struct.calcsize(form))
            before = struct.unpack_from(form, out, at + field)[0]
            values = (0, 1, top - 1, top // 2, (before + 1) % top, (before - 1) % top, int(rng.integers(top)))
            struct.pack_into(form, out, at + field, values[int(rng.integers(len(values)))])
    return bytes(out)


def content_of(name: str, data: bytes, rng: Random) -> bytes:
    """Break the content of a file in one of the ways that fit its kind."""
    ways: list[Callable[[bytes, Random], bytes]] = [flip, cut, splice]
    if name.endswith(TEXTS):
        ways += [cells, cells, cells, cells]
    if name.endswith(".json"):
        ways += [parameters, parameters, parameters]
    if name.endswith((".xml", ".rels")):
        ways += [sheet, sheet, sheet]
    if name.endswith((".zip", ".xlsx")):
        ways += [archive, archive, archive, lies, lies]
    try:
        return ways[int(rng.integers(len(ways)))](data, rng)
    except Exception:  # it was broken already
        return flip(data, rng)


def folder(path: Path, rng: Random, outside: Path) -> None:
    """Break the tree of a folder: take a file away, rename it, link it elsewhere, swap two, or put a pipe or a folder there."""
    files = sorted(file for file in path.rglob("*") if file.is_file() and not file.is_symlink())
    if not files:
        return
    file = files[int(rng.integers(len(files)))]
    kind = int(rng.integers(6))
    if kind == 0:
        file.unlink()
    elif kind == 1:
        file.rename(
            file.with_name(("x" + file.name, "x.txt", file.name.upper(), "a\\b", "Z.txt", "ü")[int(rng.integers(6))])
        )
    elif kind == 2:
        file.unlink()
        file.symlink_to(outside)
    elif kind == 3:
        other = files[int(rng.integers(len(files)))]
        mine, theirs = file.read_bytes(), other.read_bytes()
        file.write_bytes(theirs)
        other.write_bytes(mine)
    elif kind == 4:
        file.unlink()
        file.mkdir()
    else:
        file.unlink()
        os.mkfifo(file)


def broken(path: Path, rng: Random, outside: Path) -> None:
    """Break a file, or one to three of the files of a folder."""
    for _ in range((1, 1, 1, 2, 3)[int(rng.integers(5))]):
        if path.is_dir() and rng.uniform() < 0.15:
            folder(path, rng, outside)
            continue
        files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file() and not f.is_symlink())
        if files:
            file = files[int(rng.integers(len(files)))]
            file.write_bytes(content_of(file.name, file.read_bytes(), rng))
