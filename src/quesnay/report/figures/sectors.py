"""Which sectors lose output on which days: one heat map per region, in classes that all share."""

import math

import numpy as np
import plotly.graph_objects as go

from .. import words
from ..analysis import ROUNDING, lost_share
from ..run import Run
from .theme import Key, Panel, averaged, days_axis, figure, safe, shading, thin

MOST_REGIONS, MOST_SECTORS = 6, 18
NEUTRAL = "#f1f3f5"
LOSSES = ("#fbe6d6", "#f5c4a0", "#e9976a", "#d0623f", "#a2352b", "#641522")
GAINS = ("#dbe8f3", "#a5c6e1", "#5b95c6")


def bounds(largest: float) -> list[float]:
    """Return seven shares, about half a decade apart, whose last one is at least `largest` (a share, above 0)."""
    # 1, 3, 10, 30, ... per cent: the last step is the first that is not smaller.
    step = math.ceil(2 * math.log10(largest * 100) - 1e-9)
    if step % 2 and largest * 100 > 3 * 10.0 ** (step // 2):
        step += 1
    return [(3 if k % 2 else 1) * 10.0 ** (k // 2) / 100 for k in range(step - 6, step + 1)]


def heat_maps(run: Run) -> tuple[list[Panel], list[Key], str]:
    """Return a panel per region that has losses, the legend that they share, and a sentence on what is not drawn."""
    found = run.findings
    share = lost_share(found.quantities["output"])
    largest = float(share.max(initial=0))
    if largest <= ROUNDING:
        return [], [], "No sector of any region loses output."
    steps = bounds(largest)
    drawn = averaged(share, thin(run.days))
    regions = run.regions
    # A region is shown where one of its sectors leaves the neutral class; if none does elsewhere, the worst one is.
    affected = [r for r in found.regions if share[:, regions == r].max(initial=0) > steps[0]] or found.regions[:1]
    panels = [_panel(run, r, regions == r, drawn, share, steps) for r in affected[:MOST_REGIONS]]
    rest = len(affected) - MOST_REGIONS
    calm = len(found.regions) - len(affected)
    note = ""
    if rest > 0:
        note += (
            f" {words.sentence(words.count(rest, 'more region'))} with losses {'is' if rest == 1 else 'are'} not drawn."
        )
    if calm:
        note += f" In {words.count(calm, 'other region')} no sector loses more than {words.percent(steps[0], 1)} on any day."
    gains = float((-share).max(initial=0)) > steps[0]
    return panels, classes_legend(steps, gains), note


def _panel(run: Run, region: str, mask: np.ndarray, drawn: np.ndarray, share: np.ndarray, steps: list[float]) -> Panel:
    sectors = [sector for (_, sector), mine in zip(run.accounts, mask, strict=True) if mine]
    base = run.findings.quantities["output"].base[mask]
    lost = share[:, mask].sum(axis=0)
    order = [k for k in np.argsort(-lost, kind="stable") if base[k] > 0]
    leaving = [k for k in order if np.abs(share[:, mask][:, k]).max() > steps[0]] or order[:1]
    kept = leaving[:MOST_SECTORS]
    values = drawn[:, mask][:, kept].T
    names = [sectors[k] for k in kept]
    rows = list(range(len(kept)))
    trace = cells(days_axis(run), rows, values, steps, "day %{x:.0f}: %{customdata:.3g} % of base")
    labels = [safe(words.shorten(name, 34)) for name in names]
    short = [safe(words.shorten(name, 17)) for name in names]
    worst = names[0]
    peak = share[:, mask][:, kept[0]].max()
    title = f"{region}: {_title(len(kept), len(leaving), len(order), steps[0])}"
    height = max(115, 74 + 21 * len(kept))
    chart = figure(
        [trace],
        shapes=[s for s in shading(run) if s["type"] == "line"],
        xaxis={"title": {"text": "Day"}, "range": [-0.5, run.days - 0.5], "showgrid": False, "ticks": "outside"},
        yaxis={"tickvals": rows, "ticktext": labels, "range": [len(kept) - 0.5, -0.5], "showgrid": False},
    )
    message = f"{region}: {worst} loses most, up to {words.percent(peak)} of its base output on one day."
    narrow = {"layout.yaxis.ticktext": short, "layout.yaxis.tickfont.size": 10}
    return Panel(chart, height, message, title, narrow=narrow, wide=False)


def cells(x: np.ndarray, rows: list[int], values: np.ndarray, steps: list[float], hover: str) -> go.Heatmap:
    """Return shares lost (rows, columns) as cells in the colour of their class."""
    edges = np.array(steps)
    # Classes: losses upwards from 1, gains downwards from -1, 0 within the smallest bound.
    classes = np.searchsorted(edges[:-1], values, side="left") - np.minimum(
        3, np.searchsorted(edges[:-1:2], -values, side="left")
    )
    palette = [*reversed(GAINS), NEUTRAL, *LOSSES]
    scale = [[(k + end) / len(palette), colour] for k, colour in enumerate(palette) for end in (0, 1)]
    return go.Heatmap(
        z=classes.astype(np.int8),
        x=x,
        y=rows,
        zmin=-3.5,
        zmax=6.5,
        colorscale=scale,
        showscale=False,
        ygap=1,
        customdata=np.round(-100 * values, 4).astype(np.float32),
        hovertemplate=f"%{{y}}<br>{hover}<extra></extra>",
    )


def _title(kept: int, leaving: int, all_: int, bound: float) -> str:
    if kept < leaving:
        return f"the {kept} hardest hit of {words.count(all_, 'sector')}"
    rest = "" if leaving == all_ else f", others within {100 * bound:.3g} %"
    return f"{kept} of {words.count(all_, 'sector')}{rest}" if rest else words.count(all_, "sector")


def classes_legend(steps: list[float], gains: bool) -> list[Key]:
    """Return what the colours of the classes mean."""

    def say(low: float, high: float) -> str:
        return f"{100 * low:.3g} to {100 * high:.3g} %"

    losses = [
        Key(colour, f"{say(low, high)} lost") for colour, low, high in zip(LOSSES, steps[:-1], steps[1:], strict=True)
    ]
    within = Key(NEUTRAL, f"within {100 * steps[0]:.3g} %")
    if not gains:
        return [within, *losses]
    ends = (steps[0], steps[2], steps[4])
    texts = [say(ends[0], ends[1]), say(ends[1], ends[2]), f"more than {100 * ends[2]:.3g} %"]
    above = [Key(colour, f"{text} above base") for colour, text in zip(GAINS, texts, strict=True)]
    return [*reversed(above), within, *losses]
