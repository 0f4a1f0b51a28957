"""From panels to the page: markup with a place for every figure, and the data that fill them."""

import json
from collections.abc import Sequence
from html import escape

from . import markup
from .figures.theme import Panel
from .markup import tag


class Drawn:
    """The figures of one page, in the order in which they are placed."""

    def __init__(self) -> None:
        self._panels: list[Panel] = []

    def place(self, panels: Sequence[Panel]) -> str:
        """Return the markup that holds these panels, side by side where they are not wide."""
        if not panels:
            return ""
        # One that is alone has the whole width.
        alone = len(panels) == 1
        return tag("div", "".join(self._figure(panel, panel.wide or alone) for panel in panels), class_="panels")

    def _figure(self, panel: Panel, wide: bool) -> str:
        name = f"figure-{len(self._panels) + 1}"
        self._panels.append(panel)
        heading = tag("h3", markup.text_of(panel.title)) if panel.title or not wide else ""
        label = f"{panel.title}: {panel.message}" if panel.title else panel.message
        plot = (
            f'<div class="plot" id="{name}" role="img" tabindex="0" aria-label="{escape(label)}" '
            f'style="height:{panel.height}px"></div>'
        )
        inner = heading + plot + markup.legend(panel.legend)
        return tag("figure", inner, **({"class_": "wide"} if wide else {}))

    def json(self) -> str:
        """Return all figures as JSON that may stand inside a script element."""
        data = {
            f"figure-{k}": {
                "figure": json.loads(panel.figure.to_json() or "{}"),
                "height": panel.height,
                "narrow": dict(panel.narrow),
                "narrow_height": panel.narrow_height,
                "narrow_below": panel.narrow_below,
            }
            for k, panel in enumerate(self._panels, start=1)
        }
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
        for character in "<>&\u2028\u2029":
            text = text.replace(character, f"\\u{ord(character):04x}")
        return text


def _plain(value):
    """Return a numpy number as a Python one."""
    return value.item()
