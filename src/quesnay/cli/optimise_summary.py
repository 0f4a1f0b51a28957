"""The short account of a trade-off on the terminal."""

from typing import Any

from rich.console import Console

from ..report.words import percent, rounded
from .summary import number, table

MOST, WIDE = 5, 500


def show(found: dict[str, Any]) -> None:
    """Print the summary of a trade-off as tables for people."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if not console.is_terminal:  # a pipe has no width, at which a table would have to cut its columns
        console.width = WIDE
    reduce, keep, curve = found["reduce"], found["keep"], found["curve"]
    console.print(found["title"], style="bold")
    for name, part in (("reduce", reduce), ("keep", keep)):
        console.print(f"{name:7s}{part['name']}: {number(part['base'])} {part['unit']} in {found['table']}")
    budgets = curve[0]["budget"] is not None
    shown = [
        [
            *([f"{100 * row['budget']:.4g}"] if budgets else []),
            _share(row["reduced"]),
            f"{100 * row['moved_share']:.3g}",
            number(row["penalty"]),
        ]
        for row in curve
    ]
    price = "shadow price" if budgets else "penalty"
    headings = (*(["budget, %"] if budgets else []), f"{reduce['name']} reduced, %", f"{keep['name']} moved, %", price)
    console.print(table(f"The trade-off; {price} in {found['price_unit']}", headings, shown))
    console.print(f"Proved: the largest relative duality gap is {found['gap']:.1e}")
    at = curve[found["headline"]]
    point = f"a budget of {100 * at['budget']:.4g} %" if budgets else f"a penalty of {number(at['penalty'])}"
    title = f"Change of {keep['name']} at {point}, {keep['unit']}"
    _sums(console, found, title)
    _accounts(console, found, title)
    console.print(f"Wrote {' and '.join(found['files'])}")
    console.print("Open the .html file in a browser.")


def _sums(console: Console, found: dict[str, Any], title: str) -> None:
    base = found["keep"]["base"]
    for what in ("regions", "sectors"):
        rows = [row for row in found[what] if rounded(row["change"], base)]
        if len(found[what]) < 2 or not rows:
            continue
        losses = [row for row in rows if row["change"] < 0][:MOST]
        gains = [row for row in rows if row["change"] > 0][-MOST:]
        shown = [
            [
                row["name"],
                number(row["change"]),
                "-" if row["share"] is None else _share(row["share"]),
                number(-row["reduced"], found["reduce"]["base"]),
            ]
            for row in (*losses, *gains)
        ]
        unit = f"{found['reduce']['name']}, {found['reduce']['unit']}"
        console.print(table(title, (what.removesuffix("s"), "change", "%", unit), shown))


def _accounts(console: Console, found: dict[str, Any], title: str) -> None:
    rows = found["accounts"]
    losses = [row for row in rows if row["change"] < 0][:MOST]
    gains = [row for row in rows if row["change"] > 0][-MOST:]
    if not losses and not gains:
        console.print(f"Nothing moves: no {found['keep']['name']} are lost or gained.")
        return
    shown = [
        [row["region"], row["sector"], f"{rounded(row['alpha']):.4g}", _share(row["output"]), number(row["change"])]
        for row in (*losses, *gains)
    ]
    console.print(table(title, ("region", "sector", "factor", "output, %", "change"), shown))


def _share(share: float) -> str:
    return percent(rounded(share), 3).removesuffix("%").strip()
