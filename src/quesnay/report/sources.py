"""Where the numbers of a report come from: the table, the files, the versions, the scenario."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Protocol

from .. import __version__
from ..economy import Economy
from . import words
from .assumptions import table_facts, versions
from .markup import bullets, paragraph, table, tag

MOST_NOTES, MOST_FILES = 12, 40


class Reported(Protocol):
    """What every report is about."""

    @property
    def economy(self) -> Economy: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def inputs(self) -> Mapping[str, str]: ...
    @property
    def scenario(self) -> str | None: ...


def equations(pairs: Sequence[tuple[str, str]]) -> str:
    """Return formulas with their meanings."""
    inner = "".join(tag("dt", escape(formula)) + tag("dd", escape(meaning)) for formula, meaning in pairs)
    return tag("dl", inner, class_="equations")


def sources(about: Reported, software: Sequence[tuple[str, str]] = ()) -> list[str]:
    """Return the end of a report: the table and what was changed in it, the files, the software, the scenario."""
    parts = [table("The table", (), table_facts(about.economy), kind="words")]
    notes = [note.sentence for note in about.economy.notes]
    if notes:
        parts += [tag("h3", "What was found and changed in the table"), bullets(notes[:MOST_NOTES])]
        if len(notes) > MOST_NOTES:
            parts.append(paragraph(f"{words.count(len(notes) - MOST_NOTES, 'more note')} in economy.notes.", "note"))
    if about.inputs:
        files = list(about.inputs.items())[:MOST_FILES]
        parts.append(table("Files that were read (SHA-256)", (), files, kind="words"))
    parts.append(table("Software", (), [*versions(), *software], kind="words"))
    if about.scenario:
        inner = tag("summary", "Scenario file") + tag("pre", tag("code", escape(about.scenario)))
        parts.append(tag("details", inner))
    return parts


def attributes(about: Reported, **own: Any) -> dict[str, Any]:
    """Return attributes of a dataset that every netCDF format can store: text and numbers; empty ones are left out."""
    economy = about.economy
    given = {
        "title": about.title,
        "description": about.description,
        "table": economy.name,
        "year": "" if economy.year is None else int(economy.year),
        "currency": economy.currency,
        **own,
        "inputs": "\n".join(f"{digest}  {name}" for name, digest in about.inputs.items()),
        "scenario": about.scenario or "",
        "notes": "\n".join(note.sentence for note in economy.notes),
        "source": f"quesnay {__version__}",
        **{f"version_{name}": version for name, version in versions()},
    }
    return {key: value for key, value in given.items() if value != ""}
