"""The short account of a run: totals over the period, split into direct and indirect, and who is hit most."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..report import Run, summary

MOST = 5
WORDS = ("outcome", "unit", "region", "sector", "note")


def summarise(run: Run) -> dict[str, Any]:
    """Return the report's summary, every total of it split into a direct and an indirect part.

    With r the intensity of an outcome and x(0) base output, its change is `sum_t r (x(t) - x(0))`. The direct part is what
    the lost capacity alone takes away, `sum_t r min(0, cap(t) - x(0))`; the rest is indirect.
    """
    found = summary(run)
    lost = np.asarray(run.findings.split.direct)
    for name, total in found["totals"].items():
        intensity = run.economy.intensity("value_added" if name == "value added" else name)
        direct = -float(np.asarray(intensity) @ lost)
        total |= {"direct": direct, "indirect": total["change"] - direct}
    return found


def show(found: dict[str, Any]) -> None:
    """Print a summary as tables for people."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(found["title"], style="bold")
    for shock in found["shocks"]:
        console.print(shock)
    totals = [
        [name, total["unit"], *map(number, (total["base"], total["change"])), f"{100 * total['share']:.2f}"]
        + [number(total[key], total["change"]) for key in ("direct", "indirect")]
        for name, total in found["totals"].items()
    ]
    headings = ("outcome", "unit", "base", "change", "%", "direct", "indirect")
    console.print(table(f"{found['table']}, {found['days']} days", headings, totals))
    output, value_added = (found["totals"][name]["by_region"] for name in ("output", "value added"))
    worst = sorted(output, key=output.__getitem__)[:MOST]
    regions = [[region, number(output[region]), number(value_added[region])] for region in worst]
    console.print(table(f"Change by region, {found['currency']}", ("region", "output", "value added"), regions))
    losses = [
        [row["region"], row["sector"], *(number(-row[key], row["loss"]) for key in ("loss", "direct", "indirect"))]
        for row in found["sectors"][:MOST]
    ]
    headings = ("region", "sector", "change", "direct", "indirect")
    console.print(table(f"Largest losses of output, {found['currency']}", headings, losses))
    console.print(f"Wrote {' and '.join(found['files'])}")
    console.print("Open the .html file in a browser; `quesnay new my-shock.toml` begins a scenario of your own.")


def table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table for the terminal; columns of names are set left, numbers right."""
    made = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD)
    for heading in headings:
        words = heading in WORDS
        made.add_column(Text(heading), justify="left" if words else "right", no_wrap=not words)
    for row in rows:
        made.add_row(*map(Text, row))
    return made


def number(value: float, scale: float = 0.0) -> str:
    """Return a number with about four significant digits and its thousands separated; rounding errors of `scale` are 0."""
    size = abs(value)
    if size <= 1e-9 * abs(scale):
        return "0"
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if size >= 1e-4 else f"{value:.3e}"
