"""The report of a stress test as one HTML page that opens without a network."""

from .. import words
from ..markup import bullets, cards
from ..page import header_of, render
from . import sections, story
from .study import Study


def html(study: Study) -> str:
    """Return the report of a stress test as one self-contained HTML page.

    It holds everything that it shows and makes no request; all labels and texts are escaped.
    """
    from ..panels import Drawn

    drawn = Drawn()
    parts = [(name, heading, content(study, drawn)) for name, heading, content in sections.parts(study)]
    T = study.temperatures
    span = f"{T[0]:g} to {T[-1]:g} °C" if T.size > 1 else f"{T[0]:g} °C"
    meta = [
        f"{study.economy.currency} per year",
        f"{words.count(T.size, 'temperature')}, {span}",
        *([] if study.seed is None else [f"seed {study.seed}"]),
    ]
    header = header_of("Stress test under warming", study.title, study.description, study.economy, meta)
    lede = bullets(story.summary_sentences(study)) + cards(story.key_figures(study))
    return render(study.title, header, lede, parts, drawn)
