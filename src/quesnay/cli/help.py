"""Write the help pages that `quesnay --help` prints without importing Typer: `python -m quesnay.cli.help`."""

from pathlib import Path

from typer.main import get_command

from .app import app

PAGES = Path(__file__).parent / "pages"


def pages() -> dict[str, str]:
    """Return the text of every help page as Typer makes it now, by file name."""
    group = get_command(app)
    context = group.make_context("quesnay", ["--help"], resilient_parsing=True)
    texts = {"quesnay": context.get_help()}
    for name, command in group.commands.items():  # pyright: ignore[reportAttributeAccessIssue]
        child = command.make_context(name, ["--help"], parent=context, resilient_parsing=True)
        texts[name] = child.get_help()
    return {f"{name}.txt": text.rstrip() + "\n" for name, text in texts.items()}


def write() -> None:
    """Write the pages beside this file, and remove those of commands that are gone."""
    PAGES.mkdir(exist_ok=True)
    for old in PAGES.glob("*.txt"):
        old.unlink()
    for name, text in pages().items():
        (PAGES / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
