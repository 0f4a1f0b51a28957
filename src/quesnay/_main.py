"""The console entry: help and version pages are printed from files, all else goes on to `quesnay.cli`.

Importing Typer alone takes several bare interpreter starts, so the pages that Typer makes are written beforehand
(`python -m quesnay.cli.help`) and a test holds them equal to what Typer would print.
"""

import os
import sys

from . import __version__


def main() -> None:
    """Run the command line on `sys.argv`."""
    text = _page(sys.argv[1:])
    if text is not None:
        _print(text)
        return
    try:
        from .cli.app import run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


def _page(arguments: list[str]) -> str | None:
    if arguments == ["--version"]:
        return f"quesnay {__version__}\n"
    if arguments in ([], ["--help"]):
        name = "quesnay"
    elif len(arguments) == 2 and arguments[1] == "--help" and arguments[0].isalpha():
        name = arguments[0]
    else:
        return None
    path = os.path.join(os.path.dirname(__file__), "cli", "pages", name + ".txt")  # noqa: PTH118, PTH120 (pathlib costs a start)
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            return file.read()
    except FileNotFoundError:
        return None


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
