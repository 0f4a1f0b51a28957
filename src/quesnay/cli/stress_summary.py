"""The short account of a stress test on the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from ..climate import ResourceRequirement
from ..report.climate.story import MILESTONES
from ..report.climate.study import NAMES, SAME
from ..report.words import money, percent, rounded
from .summary import number, table

MOST, ROWS, WIDE = 5, 12, 500
MEANING = {
    "outside": "outside: beyond the warming that the damage function's source supports",
    "kink": "kink: the slope is that of the warmer side",
    "collapsed": "collapsed: no output meets any demand",
    "infeasible": "infeasible: an account would have to deliver less than nothing",
    "inadmissible": "inadmissible: damage leaves an account without a technology",
}


def show(found: dict[str, Any]) -> None:
    """Print the summary of a stress test as tables for people."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if not console.is_terminal:  # a pipe has no width, at which a table would have to cut its columns
        console.width = WIDE
    console.print(found["title"], style="bold")
    base = money(found["base"]["gdp"], found["currency"]).replace("\u00a0", " ")
    console.print(f"{found['table']}: GDP of {base} a year")
    console.print(f"Damage: {found['damage']['source']}")
    if found["damage"]["warning"]:
        console.print(f"Warning: {found['damage']['warning']}", style="bold")
    if found["match"] is not None:
        scale, at, loss = (found["match"][key] for key in ("scale", "at", "loss"))
        console.print(f"Vulnerabilities times {scale:.4g} lose {100 * loss:.3g} % of GDP at {at:g} °C, as published")
    for name, rows in found["readings"].items():
        _reading(console, name, rows, found)
    console.print(_collapse(found["collapse"]))
    headline = f"at {found['headline']:g} °C"
    for what, rows in (("regions", found["regions"]), ("sectors", found["sectors"])):
        # Where the demand is met whatever it takes, nobody loses.
        if len(rows) > 1 and next(iter(found["readings"])) != NAMES[ResourceRequirement]:
            shown = [[row["name"], number(row["loss"]), _share(row["share"])] for row in rows[:MOST]]
            title = f"Value added lost {headline}, {found['currency']}"
            console.print(table(title, (what.removesuffix("s"), "loss", "%"), shown))
    if found["resilience"]:
        shown = [
            [row["region"], row["sector"], f"{row['gamma']:.3g}", number(row["tenth"])]
            for row in found["resilience"][:MOST]
        ]
        title = f"GDP gained {headline} if a tenth of the vulnerability goes, {found['currency']}"
        console.print(table(title, ("region", "sector", "gamma", "gain"), shown))
    console.print(f"Wrote {' and '.join(found['files'])}")
    console.print("Open the .html file in a browser.")


def _reading(console: Console, name: str, rows: Sequence[dict[str, Any]], found: dict[str, Any]) -> None:
    requirement = name == NAMES[ResourceRequirement]
    headings = ("output", "change, %", "factor, %") if requirement else ("GDP", "loss, %", "dGDP/dT", "next 0.1°")
    base = {"output": found["base"]["output"], "factor": found["base"]["factor"]}
    amounts = _required if requirement else _delivered
    shown = [
        [
            f"{row['temperature']:.4g}",
            _said(row["damage"]),
            *amounts(row, base),
            _said(row["spectral_radius"]),
            _note(row),
        ]
        for row in _thinned(rows, found["headline"])
    ]
    what = f"{name}, {found['currency']} a year"
    notes = any(row[-1] for row in shown)
    columns = ("°C", "D(T)", *headings, "radius", *["note"] * notes)
    console.print(table(what, columns, [row[: len(columns)] for row in shown]))
    for text in _legend(rows):
        console.print(f"  {text}")


def _delivered(row: dict[str, Any], _: dict[str, float]) -> list[str]:
    amounts = [_number(row[key], row["gdp"]) for key in ("slope", "per_tenth")]
    return [_number(row["gdp"], None), _share(row["loss"]), *amounts]


def _required(row: dict[str, Any], base: dict[str, float]) -> list[str]:
    shares = [None if row[key] is None else row[key] / base[key] - 1 for key in ("output", "factor")]
    return [_number(row["output"], None), *map(_share, shares)]


def _note(row: dict[str, Any]) -> str:
    """Return a word: how it ended, or what has to be known of the row."""
    if row["result"] != "successful":
        return row["result"]
    return "outside" if row["outside"] else "kink" if row["kink"] else ""


def _legend(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return what the notes of a table mean, and who limits first."""
    used = {_note(row) for row in rows}
    said = [text for word, text in MEANING.items() if word in used]
    limits = [row for row in rows if row["bottleneck"] is not None]
    if limits:
        sector, region = reversed(limits[0]["bottleneck"])
        said.append(f"first to limit, at {limits[0]['temperature']:g} °C: {sector} in {region}")
    return said


def _thinned(rows: Sequence[dict[str, Any]], headline: float) -> list[dict[str, Any]]:
    """Return about a dozen rows, evenly spaced, with the first, the last, the headline and the round ones asked for most."""
    step = -(-(len(rows) - 1) // (ROWS - 1)) or 1
    last = len(rows) - 1
    asked = (headline, *MILESTONES)
    return [
        row
        for k, row in enumerate(rows)
        if k % step == 0 or k == last or any(abs(row["temperature"] - at) < SAME for at in asked)
    ]


def _collapse(found: dict[str, Any]) -> str:
    at = found["temperature"]
    if at is None:
        return "No warming makes this economy collapse under this damage function."
    beyond = ", outside the damage function's domain" if found["outside"] else ""
    return f"The economy collapses at {at:.2f} °C{beyond}: from there on, no output meets any demand."


def _share(share: float | None) -> str:
    return "-" if share is None else percent(rounded(share), 3).removesuffix("%").strip()


def _said(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _number(value: float | None, scale: float | None) -> str:
    return "-" if value is None else number(value, scale or 0.0)
