"""Downloads: the folder appears whole or not at all, nothing is replaced unasked, and no account is stored."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

import quesnay as q
from economy.formats import assert_same, pack, random_table, saved_by_pymrio
from quesnay.cli.app import app, failures
from quesnay.economy.readers import Login, fetch
from quesnay.economy.readers.fetch import DATABASES, ELSEWHERE

pymrio = pytest.importorskip("pymrio")
LOGIN = Login("someone@example.org", "s3cret&word")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive as the provider has it."""
    return pack(saved_by_pymrio(random_table(0), tmp_path / "IOT_2011_pxp"), tmp_path / "IOT_2011_pxp.zip", top=True)


def serve(monkeypatch: pytest.MonkeyPatch, name: str, write: Any) -> None:
    """Replace one of pymrio's downloads by a function of the folder and its other arguments."""
    monkeypatch.setattr(pymrio, name, lambda folder, **others: write(Path(folder), **others))


def test_a_download_is_what_the_provider_has_and_loads(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(folder: Path, years: list[int] | None) -> None:
        assert years == [2011]
        assert not (tmp_path / "new" / "exio").exists(), "the folder appears at the end"
        (folder / archive.name).write_bytes(archive.read_bytes())

    serve(monkeypatch, "download_exiobase3", write)
    to = fetch("exiobase3", tmp_path / "new" / "exio", years=[2011])
    assert (to / archive.name).read_bytes() == archive.read_bytes()
    assert [path.name for path in to.parent.iterdir()] == ["exio"]
    assert_same(q.load(to / archive.name), random_table(0), {}, {})


@pytest.mark.parametrize(
    "error", [requests.ConnectionError("no route"), OSError(28, "No space left"), KeyboardInterrupt()]
)
def test_a_download_that_fails_leaves_nothing_behind(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(folder: Path, years: list[int] | None) -> None:
        (folder / "half.zip").write_bytes(b"half")
        raise error

    serve(monkeypatch, "download_exiobase3", write)
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else q.QuesnayError
    with pytest.raises(expected, match=None if expected is KeyboardInterrupt else "could not be downloaded"):
        fetch("exiobase3", tmp_path / "exio")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "offered no file"),
        ({"a.zip": ""}, "a.zip is empty"),
        (
            {"a.zip": "x", "download_log.json": '"Could not find EXIOBASE 3 source file with >1995< and >pxp<"'},
            ">1995<",
        ),
    ],
)
def test_a_download_that_is_not_complete_is_refused(
    files: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(
        monkeypatch, "download_wiod2013", lambda folder, years: [(folder / n).write_text(t) for n, t in files.items()]
    )
    with pytest.raises(q.QuesnayError, match="could not be downloaded") as caught:
        fetch("wiod", tmp_path / "wiod")
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_replaced_unless_asked_and_then_only_by_something_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = tmp_path / "oecd"
    to.mkdir()
    (to / "mine.csv").write_text("mine")
    serve(monkeypatch, "download_oecd", lambda folder, years: (folder / "ICIO.csv").write_text("new"))
    with pytest.raises(q.InputError, match="exists already"):
        fetch("oecd", to)
    serve(monkeypatch, "download_oecd", lambda folder, years: 1 / 0)
    with pytest.raises(q.QuesnayError, match="ZeroDivisionError"):
        fetch("oecd", to, overwrite=True)
    assert [path.name for path in to.iterdir()] == ["mine.csv"]
    serve(monkeypatch, "download_oecd", lambda folder, years: (folder / "ICIO.csv").write_text("new"))
    fetch("oecd", to, overwrite=True)
    assert [path.name for path in to.iterdir()] == ["ICIO.csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["oecd"]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(q.InputError, match="is no folder"):
        fetch("oecd", tmp_path / "file", overwrite=True)


def test_the_account_is_used_and_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = "https://worldmrio.com/Eora26_2015_bp.zip?email={email}&pass={password}"

    def write(folder: Path, email: str, password: str, years: list[int] | None) -> None:
        assert (email, password) == LOGIN
        (folder / "Eora26_2015_bp.zip").write_text("x")
        log = '{"history": ["Downloaded ' + address.format(email=email, password=password) + ' to x.zip"]}'
        (folder / "download_log.json").write_text(log)

    serve(monkeypatch, "download_eora26", write)
    to = fetch("eora26", tmp_path / "eora", login=LOGIN)
    for path in to.iterdir():
        assert LOGIN.password not in path.read_text()
        assert LOGIN.email not in path.read_text()
    assert LOGIN.password not in repr(LOGIN)

    def fail(folder: Path, email: str, password: str, years: list[int] | None) -> None:
        raise requests.ConnectionError(address.format(email=email, password=password))

    serve(monkeypatch, "download_eora26", fail)
    with pytest.raises(q.QuesnayError, match="could not be downloaded") as caught:
        fetch("eora26", tmp_path / "other", login=LOGIN)
    assert LOGIN.password not in str(caught.value)
    with pytest.raises(q.InputError, match="needs an account"):
        fetch("eora26", tmp_path / "other")


def test_names_and_years_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(q.InputError, match="did you mean 'exiobase3'"):
        fetch("exiobase4", tmp_path / "x")
    with pytest.raises(q.InputError, match="from 1995 to 2011"):
        fetch("wiod", tmp_path / "x", years=[2005, 2012])
    with pytest.raises(q.InputError, match="from 1995 on"):
        fetch("exiobase3", tmp_path / "x", years=[1994])
    for name, place in ELSEWHERE.items():
        with pytest.raises(q.InputError, match=place.split(",")[0]):
            fetch(name, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_every_database_has_its_download_in_pymrio() -> None:
    for name in ("exiobase3", "wiod2013", "oecd", "eora26"):
        assert callable(getattr(pymrio, f"download_{name}"))


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def quesnay(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command in this process, without a terminal: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    for name in ("EORA_EMAIL", "EORA_PASSWORD"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_, failures():
            app(list(arguments), prog_name="quesnay")
        out, err = capfd.readouterr()
        return int(exit_.value.code or 0), out, err

    return run


@pytest.mark.parametrize("name", ["exiobase3", "oecd", "wiod"])
def test_without_a_network_the_command_says_so_in_one_sentence(
    name: str, quesnay: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A proxy that refuses every connection stands for the absence of a network, wherever the test runs.
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(variable, "")
    code, out, err = quesnay("fetch", name, "--year", "2011")
    *_, last = err.splitlines()
    assert (code, out) == (1, "")
    assert last.startswith(f"quesnay: {name} could not be downloaded (")
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["fetch"], ["fetch", "--list"], ["fetch", "oecd", "--list"]])
def test_the_command_lists_what_there_is(arguments: list[str], quesnay: Command, tmp_path: Path) -> None:
    code, out, err = quesnay(*arguments)
    assert (code, err) == (0, "")
    assert all(name in out for name in [*DATABASES, *ELSEWHERE])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["wiod"], "exists already; give another folder with --to"),
        (["eora26"], "set EORA_EMAIL and EORA_PASSWORD"),
        (["gloria"], "ielab.info"),
        (["nothing"], "There is no database 'nothing'"),
        (["--year", "2011"], "There is no database to download; name one"),
        (["oecd", "--year", "1066"], "no year 1066"),
    ],
)
def test_the_command_refuses_with_code_2(arguments: list[str], said: str, quesnay: Command, tmp_path: Path) -> None:
    (tmp_path / "wiod").mkdir()
    code, out, err = quesnay("fetch", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert [path.name for path in tmp_path.iterdir()] == ["wiod"]


def test_the_command_writes_the_folder(quesnay: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EORA_EMAIL", LOGIN.email)
    monkeypatch.setenv("EORA_PASSWORD", LOGIN.password)

    def write(folder: Path, email: str, password: str, years: list[int] | None) -> None:
        assert (email, password, years) == (*LOGIN, [1999, 2000])
        (folder / "x.zip").write_text("x")

    serve(monkeypatch, "download_eora26", write)
    code, out, err = quesnay("fetch", "eora26", "--year", "1999", "--year", "2000")
    assert (code, out) == (0, "")
    assert LOGIN.password not in err
    assert (tmp_path / "eora26" / "x.zip").read_text() == "x"
