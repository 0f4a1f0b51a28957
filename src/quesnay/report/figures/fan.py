"""Fans: what a path and its fit look like under many draws of the parameters."""

import numpy as np
import plotly.graph_objects as go

from .. import words
from ..ensemble import LEVELS, Change, Ensemble
from ..run import Run
from .theme import LOSS, MUTED, REGIONS, Key, Panel, averaged, days_axis, figure, safe, shading, thin

BANDS = ((0, 4, 0.18), (1, 3, 0.38))
"""Lower and upper of `LEVELS`, and how opaque the band between them is."""
BLUE = REGIONS[0]
MOST_REGIONS, MOST_SERIES = 4, 6
LEGEND = (
    Key("rgba(31,111,178,.18)", "nine tenths of the draws"),
    Key("rgba(31,111,178,.5)", "the middle half"),
    Key(BLUE, "median", "solid"),
)
OBSERVED = Key(LOSS, "observed")


def fans(run: Run, ensemble: Ensemble) -> list[Panel]:
    """Return the fan of output for the whole economy and for the regions that lose most, in per cent of their base."""
    whole, *regions = ensemble.changes()
    few = 2 * (min(len(regions), MOST_REGIONS) // 2)  # two stand side by side below the whole
    chosen = [whole, *(part for part in regions[:few] if part.base > 0)]
    return [_fan(run, part, alone=k == 0) for k, part in enumerate(chosen)]


def _fan(run: Run, part: Change, *, alone: bool) -> Panel:
    quantiles = np.quantile(100 * part.change / part.base, LEVELS, axis=0)
    drawn = [averaged(q, thin(run.days)) for q in quantiles]
    data = [*bands(days_axis(run), drawn), line(days_axis(run), drawn[2])]
    day = int(np.argmin(quantiles[2]))
    low, middle, high = (words.signed(quantiles[k, day]) for k in (0, 2, 4))
    message = f"On the median's worst day, day {words.number(day)}: {middle} %; in nine tenths of the draws {low} to {high} %."
    zero = {"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": 0, "y1": 0, "layer": "below"}
    zero["line"] = {"color": MUTED, "width": 1}
    calm = np.abs(quantiles).max() <= 1e-9
    made = figure(
        data,
        hovermode="x unified",
        shapes=[*shading(run), zero],
        xaxis={"title": {"text": "Day"}, "range": [0, max(run.days - 1, 1)], "showgrid": False, "ticks": "outside"},
        yaxis={"title": {"text": "Change in output, % of base"}, "nticks": 7, **({"range": [-1, 0.2]} if calm else {})},
    )
    return Panel(made, 320, message, part.name, narrow_height=260, wide=alone)


def fits(ensemble: Ensemble) -> list[Panel]:
    """Return, for the series with most observations, what was observed beside what the draws give."""
    targets, predicted = ensemble.targets, ensemble.predicted
    assert targets is not None
    assert predicted is not None
    observed = targets.observed.to_numpy()
    order = np.argsort(-np.isfinite(observed).sum(axis=0), kind="stable")[:MOST_SERIES]
    names = [str(v) for v in targets.observed.coords["series"].to_numpy()]
    days = targets.span[:, 0] + (targets.span[:, 1] - 1) / 2
    return [_fit(names[k], days, observed[:, k], predicted[:, :, k], targets) for k in order]


def _fit(name: str, days: np.ndarray, observed: np.ndarray, predicted: np.ndarray, targets) -> Panel:
    labels = [str(v) for v in targets.observed.coords["period"].to_numpy()]
    seen = np.isfinite(observed)
    quantiles = np.quantile(predicted, LEVELS, axis=0)
    at = np.argsort(days, kind="stable")
    mode = "lines" if len(days) > 1 else "lines+markers"
    data = [*bands(days[at], quantiles[:, at]), line(days[at], quantiles[2, at], mode)]
    data.append(
        go.Scatter(
            x=days[seen], y=observed[seen], name="observed", mode="markers", text=[safe(v) for v in np.array(labels)[seen]],
            marker={"color": LOSS, "size": 6}, hovertemplate="%{y:,.4g} (%{text})",
        )
    )  # fmt: skip
    inside = np.sum((quantiles[0] <= observed) & (observed <= quantiles[4]))
    message = f"{words.number(inside)} of {words.count(int(seen.sum()), 'observation')} in the band of nine tenths."
    unit = f"Index, base state = {targets.base:g}" if targets.measure == "index" else "Sum over the period, currency"
    made = figure(
        data,
        hovermode="closest",
        xaxis={"title": {"text": "Day (middle of the period)"}, "showgrid": False, "ticks": "outside"},
        yaxis={"title": {"text": unit}, "nticks": 6},
    )
    return Panel(made, 280, message, name, narrow_height=240, wide=False)


def bands(x: np.ndarray, quantiles) -> list[go.Scatter]:
    """Return the two bands of a fan from the quantiles at `LEVELS` (5, k)."""
    found = []
    for low, high, opacity in BANDS:
        colour = f"rgba(31,111,178,{opacity})"
        edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "x": x}
        found += [
            go.Scatter(y=quantiles[low], **edge),
            go.Scatter(y=quantiles[high], fill="tonexty", fillcolor=colour, **edge),
        ]
    return found


def line(x: np.ndarray, values: np.ndarray, mode: str = "lines") -> go.Scatter:
    """Return the median of a fan."""
    return go.Scatter(
        x=x, y=values, name="median", mode=mode, line={"color": BLUE, "width": 2}, hovertemplate="%{y:,.4g}"
    )
