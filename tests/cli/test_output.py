"""Files appear complete or not at all, and only where they were asked for."""

import os
import signal
from pathlib import Path

import pytest

from quesnay import InputError, QuesnayError
from quesnay.cli import output


def writes(text: str):
    return lambda path: path.write_text(text)


def fails(path: Path) -> None:
    path.write_text("half")
    raise OSError("disk full")


def test_files_are_written(tmp_path):
    paths = output.write(tmp_path / "a" / "b", {"one": writes("1"), "two": writes("2")})
    assert [path.read_text() for path in paths] == ["1", "2"]
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == ["one", "two"]


def test_a_failure_leaves_neither_files_nor_folders(tmp_path):
    with pytest.raises(QuesnayError, match="disk full"):
        output.write(tmp_path / "a" / "b", {"one": writes("1"), "two": fails})
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_earlier_results_as_they_were(tmp_path):
    output.write(tmp_path, {"one": writes("old"), "two": writes("old")})
    with pytest.raises(KeyboardInterrupt):
        output.write(tmp_path, {"one": writes("new"), "two": lambda path: (_ for _ in ()).throw(KeyboardInterrupt)})
    with pytest.raises(QuesnayError, match="disk full"):
        output.write(tmp_path, {"one": writes("new"), "two": fails})
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"one": "old", "two": "old"}


def test_being_terminated_leaves_nothing(tmp_path):
    with pytest.raises(SystemExit) as exit_:
        output.write(tmp_path / "out", {"one": lambda path: os.kill(os.getpid(), signal.SIGTERM)})
    assert exit_.value.code == 143
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "mine").write_text("mine")
    output.write(tmp_path, {"one": writes("1")})
    assert (tmp_path / "mine").read_text() == "mine"


def test_results_have_the_permissions_of_the_user(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("")
    (path,) = output.write(tmp_path / "out", {"one": writes("1")})
    assert path.stat().st_mode == plain.stat().st_mode


def test_checking_creates_nothing(tmp_path):
    output.check(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_dangling_link_is_not_a_folder(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="not a folder"):
        output.check(tmp_path / "link")


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        output.check(tmp_path / "out")
