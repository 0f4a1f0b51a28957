"""The packaged pages are what Typer makes, and they cost next to nothing."""

import pytest

from quesnay.cli import help as help_
from quesnay.cli.app import app

COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands]


def test_the_pages_are_what_typer_makes_now():
    written = {path.name: path.read_text(encoding="utf-8") for path in help_.PAGES.glob("*.txt")}
    assert written == help_.pages(), "run: python -m quesnay.cli.help"


@pytest.mark.parametrize("arguments", [[], ["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_prints_the_page(arguments, program):
    page = arguments[0] if len(arguments) == 2 else "quesnay"
    done = program(*arguments)
    assert (done.code, done.err) == (0, "")
    assert done.out == (help_.PAGES / f"{page}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_typer_prints_the_same_page_itself(name, quesnay):
    done = quesnay(name, "--help")
    assert done.code == 0
    assert done.out.rstrip() == (help_.PAGES / f"{name}.txt").read_text(encoding="utf-8").rstrip()


def test_every_page_names_the_exit_codes_and_fits_80_columns():
    for name, text in help_.pages().items():
        assert "Exit codes:" in text, name
        assert max(map(len, text.splitlines())) <= 80, name


def test_version(program, quesnay):
    import quesnay as package

    assert program("--version").out == quesnay("--version").out == f"quesnay {package.__version__}\n"
