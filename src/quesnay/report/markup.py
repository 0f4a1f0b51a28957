"""Small pieces of HTML; every text is escaped here and nowhere else."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .figures.theme import Key

Row = Sequence[str]
_PERCENT = re.compile(r"(?<=\d) %")


def tag(name: str, inner: str, **attributes: str) -> str:
    """Return an element around markup; attribute names end in an underscore where Python has the word."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{given}>{inner}</{name}>"


def text_of(text: str) -> str:
    """Return plain text as markup; a per cent sign stays on the line of its number."""
    return escape(_PERCENT.sub("\u00a0%", text))


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of plain text."""
    return tag("p", text_of(text), class_=kind) if kind else tag("p", text_of(text))


def bullets(texts: Iterable[str], kind: str = "") -> str:
    """Return a list of plain texts."""
    inner = "".join(tag("li", text_of(text)) for text in texts)
    return tag("ul", inner, class_=kind) if kind else tag("ul", inner)


def table(caption: str, heads: Row, rows: Iterable[Row], numeric: Iterable[int] = (), kind: str = "") -> str:
    """Return a table of plain texts; the first cell of a row is its heading, the columns in `numeric` are set right."""
    right = set(numeric)

    def cell(k: int, text: str, name: str, **scope: str) -> str:
        return tag(name, text_of(text), **scope, **({"class_": "n"} if k in right else {}))

    head = "".join(cell(k, text, "th", scope="col") for k, text in enumerate(heads))
    body = "".join(
        tag("tr", "".join(cell(k, t, "td") if k else cell(0, t, "th", scope="row") for k, t in enumerate(row)))
        for row in rows
    )
    inner = tag("caption", tag("span", text_of(caption))) if caption else ""
    inner += tag("thead", tag("tr", head)) if heads else ""
    whole = tag("table", inner + tag("tbody", body), **({"class_": kind} if kind else {}))
    return tag("div", whole, class_="scroll", tabindex="0", role="group", aria_label=caption or "Table")


def legend(entries: Iterable["Key"]) -> str:
    """Return colours, or kinds of lines, with what they mean."""

    def swatch(key: "Key") -> str:
        if key.line == "none":
            return ""
        if key.line:
            return tag("i", "", class_="line", style=f"border-top-style:{key.line};border-top-color:{key.colour}")
        return tag("i", "", style=f"background:{key.colour}")

    inner = "".join(tag("li", swatch(key) + tag("span", text_of(key.text))) for key in entries)
    return tag("ul", inner, class_="legend", aria_label="Legend") if inner else ""


def cards(entries: Iterable[tuple[str, str, str]]) -> str:
    """Return key figures: what, how much, and a line of explanation."""
    inner = "".join(
        tag(
            "div",
            tag("dt", text_of(name))
            + tag("dd", _amount(value), class_="value")
            + tag("dd", text_of(more), class_="more"),
            class_="card",
        )
        for name, value, more in entries
    )
    return tag("dl", inner, class_="cards")


def _amount(value: str) -> str:
    """Return a number with its unit set smaller."""
    head, *rest = value.replace("\u00a0%", "%").split(maxsplit=1)
    if not rest or not any(c.isdigit() for c in head):
        return text_of(value)
    return f"{text_of(head)} {tag('small', text_of(rest[0]))}"
