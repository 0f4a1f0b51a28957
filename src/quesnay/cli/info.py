"""What `quesnay info` says about a table."""

import json
import sys
import textwrap
from typing import Any

import numpy as np

from ..economy import Economy, load


def describe(table: str, *, as_json: bool) -> None:
    """Load a table and print what it is and whether the supply model can use it."""
    economy = load(table)
    if as_json:
        sys.stdout.write(json.dumps(facts(economy), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        return
    ready = "ready for the supply model" if usable(economy) else "the supply model needs `nonnegative = true`"
    sys.stdout.write(f"{economy!r}\n  {ready}\n")
    for what, names in (("regions", economy.regions), ("sectors", economy.sectors)):
        sys.stdout.write(_wrapped(f"  {what}: ", names))


def _wrapped(head: str, names: tuple[str, ...]) -> str:
    """Return the names in lines of 100 columns, no name broken."""
    text = ", ".join(repr(name).replace(" ", "\xa0") for name in names)
    lines = textwrap.fill(text, 100, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False)
    return lines.replace("\xa0", " ") + "\n"


def usable(economy: Economy) -> bool:
    """Say whether the table has no negative flow, no negative final demand, and no buyer without output."""
    Z, demand, output = (np.asarray(values) for values in (economy.Z, economy.final_demand, economy.output))
    return bool((Z >= 0).all() and (demand >= 0).all() and not Z[:, output == 0].any())


def facts(economy: Economy) -> dict[str, Any]:
    """Return what programs want to know about a table."""
    balance = economy.balance()
    return {
        "name": economy.name,
        "year": economy.year,
        "currency": economy.currency,
        "accounts": economy.n,
        "regions": list(economy.regions),
        "sectors": list(economy.sectors),
        "totals": {
            name: {"value": float(np.sum(economy.total(name))), "unit": economy.unit(name)}
            for name in ("output", "final_demand", "value_added", "imports", *economy.satellites)
        },
        "spectral_radius": economy.spectral_radius,
        "imbalance": {"rows": float(balance.row_share), "columns": float(balance.column_share)},
        "nonnegative": usable(economy),
        "notes": [str(note) for note in economy.notes],
        "source": economy.source,
    }
