"""Archives and folders: what is safe and whole is read, everything else is refused in one sentence, and nothing is written."""

import io
import os
import stat
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import quesnay as q
from economy.formats import pack, random_table, saved_by_pymrio
from quesnay.economy import readers
from quesnay.economy.readers.archives import GIB, GLORIA, Limits, check, unpacked

TEXT = b"region,sector\nA,B\n" * 50


def made(path: Path, members: dict[str, bytes], change: Callable[[zipfile.ZipInfo], None] | None = None) -> Path:
    """Write a zip archive, changing what is said about its members."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo("placeholder")
            info.filename = info.orig_filename = name
            info.compress_type = zipfile.ZIP_DEFLATED
            if change:
                change(info)
            archive.writestr(info, data)
    return path


def refused(path: Path, *said: str, limits: Limits | None = None) -> None:
    """The path is refused in one sentence that names it, and nothing is left behind."""
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(q.TableError) as caught:
        check(path, limits=limits or Limits())
    text = str(caught.value)
    assert text.startswith(f"{path.name}: ")
    assert text.endswith(".")
    assert "\n" not in text
    for words in said:
        assert words in text
    assert sorted(path.parent.rglob("*")) == before


def test_what_is_whole_passes_and_its_files_are_listed(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.txt").write_bytes(TEXT)
    (tmp_path / "in" / "deep" / "b é.txt").write_bytes(TEXT)
    archive = pack(tmp_path / "in", tmp_path / "x.zip")
    assert check(tmp_path / "in") == check(archive) == ("a.txt", "deep/b é.txt")
    with unpacked(archive) as folder:
        assert check(folder) == check(archive)
        assert (folder / "deep" / "b é.txt").read_bytes() == TEXT
    assert not folder.exists()
    assert check(tmp_path / "in" / "a.txt") == ("a.txt",)


NAMES = {
    "../evil.txt": "leads outside",
    "a/../../evil.txt": "leads outside",
    "/etc/evil": "absolute path",
    "C:evil.txt": "drive letter",
    "c:/evil.txt": "drive letter",
    "a\\evil.txt": "backslash",
    "a//b.txt": "ambiguous",
    "./a.txt": "ambiguous",
    "a\nb.txt": "control character",
    "a\x7fb.txt": "control character",
    "x" * 300 + ".txt": "too long",
    "/".join(["folder"] * 200) + "/a.txt": "too long",
}


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:20].encode("unicode_escape").decode())
def test_a_member_s_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    refused(made(tmp_path / "x.zip", {"ok.txt": TEXT, name: TEXT}), NAMES[name])


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_links_pipes_and_devices_are_refused(kind: int, tmp_path: Path) -> None:
    def change(info: zipfile.ZipInfo) -> None:
        info.external_attr = (kind | 0o777) << 16

    refused(made(tmp_path / "x.zip", {"a.txt": b"/etc/passwd"}, change), "'a.txt' is neither a file nor a folder")


def patched(path: Path, at: int, form: str, value: int, *, local: int | None = None) -> Path:
    """Change a number in the first entry of the archive's directory, and in its local header."""
    data = bytearray(path.read_bytes())
    struct.pack_into(form, data, data.index(b"PK\x01\x02") + at, value)
    if local is not None:
        struct.pack_into(form, data, data.index(b"PK\x03\x04") + local, value)
    path.write_bytes(data)
    return path


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    refused(patched(made(tmp_path / "x.zip", {"a.txt": TEXT}), 8, "<H", 1, local=6), "'a.txt' is encrypted")


def test_methods_of_compression_that_are_not_read_are_refused(tmp_path: Path) -> None:
    refused(patched(made(tmp_path / "x.zip", {"a.txt": TEXT}), 10, "<H", 9, local=8), "'a.txt' is compressed in a way")


@pytest.mark.parametrize("size", [len(TEXT) - 1, len(TEXT) + 1, 10, 10**6])
def test_sizes_that_are_not_true_are_refused(size: int, tmp_path: Path) -> None:
    refused(patched(made(tmp_path / "x.zip", {"a.txt": TEXT}), 24, "<L", size, local=22), "a.txt")


def test_a_checksum_that_is_not_true_is_refused(tmp_path: Path) -> None:
    refused(patched(made(tmp_path / "x.zip", {"a.txt": TEXT}), 16, "<L", 7, local=14), "a.txt", "damaged")


def test_a_bomb_is_refused_by_its_ratio_and_a_lying_one_by_its_size(tmp_path: Path) -> None:
    path = made(tmp_path / "x.zip", {"a.txt": bytes(40 * 2**20)})
    refused(path, "'a.txt' unpacks to 41,943,040 bytes", "200 to 1", "limits.ratio")
    assert check(path, limits=Limits(ratio=2000)) == ("a.txt",)
    refused(patched(path, 24, "<L", 1000, local=22), "a.txt")


def test_limits_of_size_and_number_are_kept_and_can_be_raised(tmp_path: Path) -> None:
    path = made(tmp_path / "x.zip", {f"{k}.txt": TEXT for k in range(20)})
    refused(path, "more than 19 members", limits=Limits(members=19))
    refused(path, "takes more than 899 bytes", "limits.single", limits=Limits(single=899))
    refused(path, "with the rest", "limits.total", limits=Limits(total=10 * len(TEXT)))
    assert len(check(path, limits=Limits(members=20, single=len(TEXT), total=20 * len(TEXT)))) == 20
    folder = tmp_path / "folder"
    folder.mkdir()
    for k in range(20):
        (folder / f"{k}.txt").write_bytes(TEXT)
    refused(folder, "more than 19 members", limits=Limits(members=19))
    refused(folder, "limits.total", limits=Limits(total=10 * len(TEXT)))


def test_the_limits_hold_the_real_databases() -> None:
    """EXIOBASE 3: 3 GB a year in some 60 files; GLORIA: up to 20 GB a table (readmes of the providers)."""
    assert Limits().single > 3 * GIB
    assert Limits().total > 5 * GIB
    assert GLORIA.single > 20 * GIB


def test_a_directory_of_a_million_members_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = made(tmp_path / "x.zip", {f"{k}": b"" for k in range(100)})
    data = path.read_bytes()
    start = data.index(b"PK\x01\x02")
    end = data.rindex(b"PK\x05\x06")
    directory = data[start:end] * 2000
    tail = bytearray(data[end:])
    struct.pack_into("<L", tail, 12, len(directory))
    path.write_bytes(data[:start] + directory + tail)
    refused(path, "more than 5,000 members", limits=Limits(members=5000))


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    data = made(tmp_path / "x.zip", {"Y.txt": TEXT, "Z.txt": TEXT}).read_bytes()
    (tmp_path / "x.zip").write_bytes(data.replace(b"Y.txt", b"Z.txt"))
    refused(tmp_path / "x.zip", "the same name twice")
    refused(made(tmp_path / "y.zip", {"Z.txt": TEXT, "z.TXT": TEXT}), "the same name twice")
    refused(made(tmp_path / "z.zip", {"a": TEXT, "A/b": TEXT}), "a file as well as a folder")


def test_members_that_overlap_are_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "x.zip", {"a.txt": TEXT, "b.txt": TEXT})
    data = bytearray(path.read_bytes())
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 1)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    path.write_bytes(data)
    refused(path, "overlaps")


def test_an_archive_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    data = made(tmp_path / "x.zip", {"a.txt": TEXT, "b.txt": TEXT}).read_bytes()
    for length in range(0, len(data), 7):
        (tmp_path / "cut.zip").write_bytes(data[:length])
        refused(tmp_path / "cut.zip")


def nested(depth: int) -> bytes:
    data = TEXT
    for _ in range(depth):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("in.zip" if data is not TEXT else "a.txt", data)
        data = file.getvalue()
    return data


def test_archives_within_archives_are_checked_and_not_too_deep(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(nested(2))
    assert check(path) == ("in.zip",)
    path.write_bytes(nested(3))
    refused(path, "too deep")
    refused(made(tmp_path / "y.zip", {"in.zip": nested(1)[:-30]}), "in.zip")
    bomb = made(tmp_path / "bomb.zip", {"a.txt": bytes(40 * 2**20)}).read_bytes()
    refused(made(tmp_path / "z.zip", {"in.zip": bomb}), "200 to 1")


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".7z", ".rar", ".csv.gz"])
def test_archives_of_other_kinds_are_refused(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"x{suffix}").write_bytes(b"x")
    refused(tmp_path / f"x{suffix}", "unpack it and give the folder")


def test_links_in_a_folder_may_lead_within_it_only(tmp_path: Path) -> None:
    folder = tmp_path / "table"
    folder.mkdir()
    (folder / "a.txt").write_bytes(TEXT)
    (folder / "b.txt").symlink_to("a.txt")
    assert check(folder) == ("a.txt", "b.txt")
    (tmp_path / "secret").write_bytes(TEXT)
    (folder / "c.txt").symlink_to(tmp_path / "secret")
    refused(folder, "'c.txt' is a link that leads out of the folder")
    (folder / "c.txt").unlink()
    (folder / "d").symlink_to(tmp_path)
    refused(folder, "'d' is a link that leads out of the folder")


def test_pipes_in_a_folder_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "table"
    folder.mkdir()
    os.mkfifo(folder / "Z.csv")
    refused(folder, "neither a file nor a folder")


def workbook(path: Path, sheet: str, *, head: str = "") -> Path:
    """Write a workbook with one sheet of this XML."""
    import openpyxl

    openpyxl.Workbook().save(path)
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    members["xl/worksheets/sheet1.xml"] = (
        f'<?xml version="1.0"?>{head}<worksheet xmlns="{space}"><sheetData>{sheet}</sheetData></worksheet>'.encode()
    )
    return made(path, members)


BOOKS = {
    "a cell far away": ('<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>', "", "its cells reach row 1,048,576"),
    "a wide and a long row": ('<row r="1"><c r="XFD1"/></row><row r="9000"><c r="A9000"/></row>', "", "column 16,384"),
    "rows beyond the format": ('<row r="9999999"></row>', "", "its cells reach row 9,999,999"),
    "entities": ("<row>&a;</row>", '<!DOCTYPE x [<!ENTITY a "aaaa">]>', "declares a document type"),
    "broken XML": ("<row>", "", "is not XML"),
}


@pytest.mark.parametrize("name", BOOKS)
def test_workbooks_that_would_fill_the_memory_are_refused(name: str, tmp_path: Path) -> None:
    sheet, head, said = BOOKS[name]
    path = workbook(tmp_path / "x.xlsx", sheet, head=head)
    refused(path, said, "xl/worksheets/sheet1.xml")
    refused(made(tmp_path / "x.zip", {"x.xlsx": path.read_bytes()}), said)
    with pytest.raises(q.TableError, match=r"wiot05\.xlsx"):
        readers.wiod(path.rename(tmp_path / "wiot05.xlsx"))


def test_nothing_stays_behind_when_reading_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    folder = saved_by_pymrio(random_table(0), tmp_path / "small")
    (folder / "Z.txt").write_text("no table")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    for path in (folder, pack(folder, tmp_path / "small.zip")):
        with pytest.raises(q.TableError, match="pymrio cannot read it"):
            q.load(path)
    wiods = made(tmp_path / "wiot.zip", {"wiot05_row.xlsx": b"no workbook"})
    with pytest.raises(q.TableError, match="not a zip"):
        readers.wiod(wiods)
    assert list(temporary.iterdir()) == []
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
