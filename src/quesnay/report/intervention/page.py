"""The report of a trade-off as one HTML page that opens without a network."""

from .. import words
from ..markup import bullets, cards
from ..page import header_of, render
from . import sections, story
from .study import Study


def html(study: Study) -> str:
    """Return the report of a trade-off as one self-contained HTML page.

    It holds everything that it shows and makes no request; all labels and texts are escaped.
    """
    from ..panels import Drawn

    drawn = Drawn()
    parts = [(name, heading, content(study, drawn)) for name, heading, content in sections.parts(study)]
    kind = "budget" if study.budgets is not None else "penalty"
    many = "budgets" if study.budgets is not None else "penalties"
    meta = [f"{study.economy.currency} per year", words.count(study.points.size, kind, many)]
    header = header_of("Best interventions", study.title, study.description, study.economy, meta)
    lede = bullets(story.summary_sentences(study)) + cards(story.key_figures(study))
    return render(study.title, header, lede, parts, drawn)
