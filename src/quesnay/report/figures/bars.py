"""Horizontal bars with their amounts at the end."""

from collections.abc import Sequence

import plotly.graph_objects as go

from .. import words
from .theme import INK, MUTED, PADDED, Panel, figure, safe


def bars(
    rows: Sequence[tuple[str, float, str]], title: str, unit: str, message: str, more: str, less: str, *, wide: bool = False
) -> Panel:  # fmt: skip
    """Return horizontal bars with their amounts at the end; the third of a row is a second line of its label."""
    values = [value for _, value, _ in rows]
    low, high = min(0.0, *values), max(0.0, *values)
    span = (high - low) or 1.0
    at = list(range(len(rows)))
    grey = f"<span style='color:{MUTED}'>"

    def labels(most: int) -> list[str]:
        return [
            safe(words.shorten(name, most)) + (f"<br>{grey}{safe(under)}</span>" if under else "")
            for name, _, under in rows
        ]

    def amounts(size: int) -> list[dict]:
        return [
            {
                "x": value,
                "y": k,
                "text": words.number(value),
                "showarrow": False,
                "xanchor": "left" if value >= 0 else "right",
                "xshift": 5 if value >= 0 else -5,
                "font": {"size": size, "color": INK},
            }
            for k, value in enumerate(values)
        ]

    drawn = go.Bar(
        orientation="h",
        x=values,
        y=at,
        width=0.6,
        marker={"color": [more if value >= 0 else less for value in values]},
        hovertemplate="%{y}<br>%{x:,.4g} " + safe(unit) + "<extra></extra>",
    )
    room = (0.2 if wide else 0.45) * span
    chart = figure(
        [drawn],
        annotations=amounts(12),
        xaxis={
            "title": {"text": safe(unit)},
            "range": [low - (room if low < 0 else 0), high + room],
            "showgrid": False,
            "tickangle": 0,
            "nticks": 5,
            "tickformat": "," if high - low >= 1000 else "",
            "ticks": "outside",
            "zeroline": True,
            "zerolinecolor": INK,
            "zerolinewidth": 1,
        },
        yaxis={
            "tickvals": at,
            "ticktext": labels(44 if wide else 26),
            "tickfont": {"color": INK},
            "range": [len(at) - 0.5, -0.5],
            "showgrid": False,
            **PADDED,
        },
    )
    narrow = {
        "layout.yaxis.ticktext": labels(18),
        "layout.yaxis.tickfont.size": 10,
        "layout.annotations": amounts(10),
        "layout.xaxis.nticks": 3,
        "layout.xaxis.range": [low - (0.6 * span if low < 0 else 0), high + 0.6 * span],
    }
    height = max(130, 74 + (36 if any(under for _, _, under in rows) else 28) * len(rows))
    return Panel(chart, height, message, title, narrow=narrow, narrow_below=560 if wide else 360, wide=wide)
