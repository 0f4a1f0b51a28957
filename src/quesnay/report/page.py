"""The report as one HTML page that opens without a network: text, tables, and all figures with the program that draws them."""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..economy import Economy
from . import sections, story, words
from .markup import bullets, cards, paragraph, tag
from .run import Run

if TYPE_CHECKING:
    from .panels import Drawn

HERE = Path(__file__).parent
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' "
    "rx='3' fill='%231f4e79'/%3E%3Cpath d='M2 5h3l3 6 2.5-4H14' fill='none' stroke='white' stroke-width='1.6'/%3E%3C/svg%3E"
)
# Nothing may be loaded from anywhere: a browser refuses it even where a library would try.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="generator" content="quesnay {version}">
<title>{title}</title>
<link rel="icon" href="{icon}">
<style>
{css}</style>
</head>
<body>
<a class="skip" href="#report">Skip to the report</a>
<div class="shell">
{nav}
<header>{header}</header>
<main id="report">
<section class="lede" aria-label="Summary">{lede}</section>
<noscript><p>The figures need JavaScript; all numbers are in the text and the tables.</p></noscript>
{body}
</main>
<footer>Computed and drawn by quesnay {version}. This page holds all that it shows and makes no request to any server.</footer>
</div>
<script type="application/json" id="panels">{panels}</script>
<script>{plotly}</script>
<script>
{script}</script>
</body>
</html>
"""


def html(run: Run) -> str:
    """Return the report of a run as one self-contained HTML page.

    It holds everything that it shows and makes no request; all labels and texts are escaped.
    """
    from .panels import Drawn

    drawn = Drawn()
    parts = [
        (name, heading if isinstance(heading, str) else heading(run), content(run, drawn))
        for name, heading, content in sections.parts(run)
    ]
    lede = bullets(story.summary_sentences(run)) + cards(story.key_figures(run))
    meta = [
        f"{run.economy.currency} per day",
        words.count(run.days, "day"),
        *([] if run.seed is None else [f"seed {run.seed}"]),
    ]
    header = header_of("Stress test of a production network", run.title, run.description, run.economy, meta)
    return render(run.title, header, lede, parts, drawn)


def render(title: str, header: str, lede: str, parts: Sequence[tuple[str, str, str]], drawn: "Drawn") -> str:
    """Return the page of a report; every part is an anchor, a heading in plain text, and markup."""
    from plotly.offline import get_plotlyjs

    entries = "".join(f'<li><a href="#{name}">{tag("span", escape(heading))}</a></li>' for name, heading, _ in parts)
    body = "".join(
        tag(
            "section",
            tag("h2", escape(heading), id=f"{name}-heading") + inner,
            id=name,
            aria_labelledby=f"{name}-heading",
        )
        for name, heading, inner in parts
    )
    return PAGE.format(
        policy=escape(POLICY),
        version=__version__,
        title=escape(title),
        icon=ICON,
        css=(HERE / "page.css").read_text(encoding="utf-8"),
        nav=tag("nav", tag("p", "Contents") + tag("ol", entries), aria_label="Contents"),
        header=header,
        lede=lede,
        body=body,
        panels=drawn.json(),
        plotly=get_plotlyjs(),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
    )


def header_of(kind: str, title: str, description: str, economy: Economy, meta: Sequence[str]) -> str:
    """Return the head of a page: what it is, its title, and the table that it is about."""
    regions, sectors = len(economy.regions), len(economy.sectors)
    table = [
        economy.name if economy.year is None else f"{economy.name}, {economy.year}",
        f"{words.count(regions, 'region')}, {words.count(sectors, 'sector')}",
    ]
    return (
        paragraph(kind, "kind")
        + tag("h1", escape(title))
        + "".join(paragraph(text, "description") for text in _paragraphs(description))
        + bullets([*table, *meta], "meta")
    )


def _paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, which blank lines part; single line breaks are those of its file."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]
