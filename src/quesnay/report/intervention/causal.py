"""The causal graph of a system as a drawing."""

import numpy as np
import plotly.graph_objects as go

from quesnay._errors import InputError
from quesnay.intervention import Graph

from ..figures.ring import CYCLE, LINK, Link, View, arranged, drawn
from ..figures.theme import figure, safe

MOST = 80
"""Nodes around which labels can be read."""
VIEW = View(stretch=1.6, reach=(2.9, 2.1), pixels=150, dot=1.0, font=13, letters=26, line=0.3)


def causal_graph(graph: Graph) -> go.Figure:
    """Return the causal graph as a plotly figure: a dot for each node, an arrow from each parent to its child.

    Arrows on cycles, and nodes that lie on one, are dark; hovering over a node names its parents.

    Parameters
    ----------
    graph:
        What `quesnay.intervention.graph` returns, of at most 80 nodes.

    Raises
    ------
    InputError
        Something else than a graph, or one with more nodes; `graph.mermaid()` has no limit.
    """
    if not isinstance(graph, Graph):
        raise InputError("what is to be drawn is no graph; give what quesnay.intervention.graph returns.")
    if len(graph.nodes) > MOST:
        raise InputError(
            f"{len(graph.nodes)} nodes are more than {MOST}, which cannot be read; take graph.mermaid(), or fewer nodes."
        )
    group = {name: number for number, names in enumerate(graph.cycles()) for name in names}
    links = [
        Link(int(j), int(k), 1.0, graph.nodes[j] in group and group.get(graph.nodes[j]) == group.get(graph.nodes[k]))
        for k, j in np.argwhere(graph.depends)
    ]
    joined = arranged([link for link in links if link.seller != link.buyer])
    circle = joined + [k for k in range(len(graph.nodes)) if k not in joined]
    names = [graph.nodes[k] for k in circle]
    shown = drawn(circle, links, dict.fromkeys(circle, 14.0), names, VIEW)
    dots = go.Scatter(
        x=shown["x"],
        y=shown["y"],
        mode="markers",
        marker={
            "size": shown["size"],
            "color": [CYCLE if name in group else LINK for name in names],
            "opacity": 1,
            "line": {"color": "#ffffff", "width": 1.5},
        },
        customdata=[f"{safe(name)}<br>{_parents(graph, name)}" for name in names],
        hovertemplate="%{customdata}<extra></extra>",
    )
    axis = {"visible": False, "automargin": False}
    return figure(
        [dots],
        shapes=shown["shapes"],
        annotations=shown["annotations"],
        xaxis={**axis, "range": [-VIEW.reach[0], VIEW.reach[0]]},
        yaxis={**axis, "range": [-VIEW.reach[1], VIEW.reach[1]], "scaleanchor": "x"},
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        width=int(2 * VIEW.reach[0] * VIEW.pixels),
        height=int(2 * VIEW.reach[1] * VIEW.pixels),
        paper_bgcolor="#ffffff",
    )


def _parents(graph: Graph, name: str) -> str:
    parents = graph.parents(name)
    return "depends on " + ", ".join(map(safe, parents)) if parents else "depends on no node"
