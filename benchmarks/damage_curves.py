"""The damage functions of the library: their values in the table of docs/guide/climate-damage.md, and their figure.

Run with `python benchmarks/damage_curves.py --page docs/guide/climate-damage.md --figure docs/assets/damage_curves.svg`. The
table stands between two marks in the page and is written anew.
"""

import argparse
import textwrap
from pathlib import Path

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from quesnay.climate.damage import AbstractDamage, Sigmoid, outside
from quesnay.climate.published import DICE2016R, DICE2023, BurkeHsiangMiguel, HowardSterner, Weitzman

MARK = "<!-- values: benchmarks/damage_curves.py -->"
AT = (1.5, 2.0, 3.0, 4.0)
CURVES: dict[str, tuple[AbstractDamage, str]] = {
    "DICE2016R()": (DICE2016R(), "#888888"),
    "DICE2023()": (DICE2023(), "#56B4E9"),
    "HowardSterner()": (HowardSterner(), "#009E73"),
    "HowardSterner(catastrophic=True)": (HowardSterner(catastrophic=True), "#0072B2"),
    "HowardSterner(catastrophic=True, productivity=True)": (
        HowardSterner(catastrophic=True, productivity=True),
        "#CC79A7",
    ),
    "Weitzman()": (Weitzman(), "#D55E00"),
    "BurkeHsiangMiguel(25.0, years=75, reference=1.1)": (BurkeHsiangMiguel(25.0, years=75, reference=1.1), "#E69F00"),
    "BurkeHsiangMiguel(8.0, years=75, reference=1.1)": (BurkeHsiangMiguel(8.0, years=75, reference=1.1), "#8C6D31"),
    "Sigmoid(steepness=2.5, threshold=2.0)": (Sigmoid(steepness=2.5, threshold=2.0), "#000000"),
}
"""Calls, what they make, and a colour."""


def table() -> str:
    """Return the values as a Markdown table; those outside of the curve's domain in parentheses."""
    rows = [
        "| `q.climate.` | year | domain, °C | " + " | ".join(f"{T:g} °C" for T in AT) + " |",
        "|---|---|---|" + "---:|" * len(AT),
    ]
    for call, (damage, _) in CURVES.items():
        low, high = (float(end) for end in damage.domain)
        domain = "any" if np.isinf(low) else f"{low:g} to {high:g}"
        cells = []
        for far, lost in zip(np.asarray(outside(damage, AT)), np.asarray(damage(AT)), strict=True):
            cells.append(f"({lost:.2%})" if far else f"{lost:.2%}")
        rows.append(f"| `{call}` | {damage.year or '-'} | {domain} | " + " | ".join(cells).replace("%", " %") + " |")
    return "\n".join(rows)


def figure(out: Path) -> None:
    """Draw every curve, dashed where its source no longer supports it."""
    plt.rcParams |= {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.hashsalt": "damage_curves",
    }
    drawing, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    T = jnp.linspace(0, 6, 601)
    for call, (damage, colour) in CURVES.items():
        lost, far = np.asarray(damage(T)), np.asarray(outside(damage, T))
        label = textwrap.fill(call, 34)
        axes.plot(T, np.where(far, np.nan, lost), color=colour, label=label, lw=1.6)
        axes.plot(T, np.where(far, lost, np.nan), color=colour, ls=":", lw=1.2)
    axes.set(xlabel="warming above 1850-1900, °C", ylabel="share of output lost", xlim=(0, 6), ylim=(-0.6, 1))
    axes.axhline(0, color="#BBBBBB", lw=0.6)
    axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    out.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(out, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    print(table())
    if options.page:
        before, _, after = options.page.read_text(encoding="utf-8").split(MARK)
        options.page.write_text(f"{before}{MARK}\n\n{table()}\n\n{MARK}{after}", encoding="utf-8")
    if options.figure:
        figure(options.figure)


if __name__ == "__main__":
    main()
