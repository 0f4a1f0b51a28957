"""The drawing of a causal graph against the graph itself."""

import numpy as np
import pytest

import quesnay as q
from quesnay.intervention import Graph
from quesnay.report.figures.ring import CYCLE, LINK
from quesnay.report.intervention import causal_graph

DEPENDS = np.zeros((5, 5), bool)
DEPENDS[0, 0] = DEPENDS[1, 0] = DEPENDS[1, 2] = DEPENDS[2, 1] = DEPENDS[4, 3] = True
GRAPH = Graph(("a", "b", "c", "<d>", "e"), DEPENDS)


def test_every_node_and_arrow_is_drawn_and_cycles_are_dark():
    drawing = causal_graph(GRAPH)
    texts = {note.text: (note.x, note.y) for note in drawing.layout.annotations}
    dots = drawing.data[0]
    assert set(texts) == {"a", "b", "c", "&lt;d&gt;", "e"}
    dark = {text: colour for (x, y), colour in zip(zip(dots.x, dots.y, strict=True), dots.marker.color, strict=True)
            for text, place in texts.items() if place == (x, y)}  # fmt: skip
    assert dark == {"a": CYCLE, "b": CYCLE, "c": CYCLE, "&lt;d&gt;": LINK, "e": LINK}
    # Of the five arrows three lie on cycles: that of a to itself, and those between b and c; each has a line and a head.
    heads = [shape.fillcolor for shape in drawing.layout.shapes if shape.fillcolor]
    lines = [shape.line.color for shape in drawing.layout.shapes if shape.line.width]
    assert sorted(heads) == sorted(lines) == sorted([CYCLE] * 3 + [LINK] * 2)
    assert "depends on a, c" in {text.split("<br>")[1] for text in dots.customdata}


def test_a_graph_without_arrows_is_drawn():
    assert len(causal_graph(Graph(("a", "b"), np.zeros((2, 2), bool))).layout.annotations) == 2


def test_what_cannot_be_drawn_is_refused():
    many = tuple(f"n{i}" for i in range(81))
    with pytest.raises(q.InputError, match=r"81 nodes are more than 80"):
        causal_graph(Graph(many, np.zeros((81, 81), bool)))
    with pytest.raises(q.InputError, match="no graph"):
        causal_graph("a -> b")
