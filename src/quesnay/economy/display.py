"""How an economy shows itself: one screen of text, or the same as HTML."""

import math
from html import escape
from typing import TYPE_CHECKING

from .ledger import IMPORTS, VALUE_ADDED

if TYPE_CHECKING:
    from .accounts import Economy

SHOWN = 8


def amount(value: float) -> str:
    """Return a number with six significant digits and thousands separated."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = math.floor(math.log10(abs(value)))
    if not -4 <= digits < 15:
        return f"{value:.5e}"
    return f"{value:,.{max(0, 5 - digits)}f}"


def rows(economy: "Economy") -> list[tuple[str, str]]:
    """Return what is worth saying about an economy as pairs of a heading and a text."""
    ledger, state = economy.ledger, economy.balance()
    out = [
        ("output", f"{amount(ledger.output.sum())} {economy.currency}"),
        ("value added", f"{amount(ledger.row(VALUE_ADDED).sum())} {economy.currency}"),
        ("imported inputs", f"{amount(ledger.row(IMPORTS).sum())} {economy.currency}"),
        ("final demand", f"{amount(ledger.final_demand.sum())} {economy.currency}"),
    ]
    sums = zip(ledger.names, ledger.units, ledger.satellites.sum(axis=1), ledger.direct.sum(axis=1), strict=True)
    for name, unit, total, own in list(sums)[:SHOWN]:
        more = f", and {amount(own)} of final consumers themselves" if own else ""
        out.append((name, f"{amount(total)} {unit}{more}"))
    if len(ledger.names) > SHOWN:
        out.append(("more satellites", str(len(ledger.names) - SHOWN)))
    out.append(("spectral radius", f"{economy.spectral_radius:.4f}"))
    out.append(("imbalance", f"rows {state.row_share:.1e}, columns {state.column_share:.1e} of output"))
    counts = {
        "with zero output": int((ledger.output == 0).sum()),
        "with negative final demand": int((ledger.final_demand < 0).sum()),
        "negative flows": int((ledger.Z < 0).sum()),
    }
    odd = [f"{count} {what}" for what, count in counts.items() if count]
    out.append(("sectors", ", ".join(odd) if odd else "none without output, no negative flows or final demand"))
    return out


def title(economy: "Economy") -> str:
    """Return name, year, size and currency in one line."""
    regions, sectors = len(economy.regions), len(economy.sectors)
    if regions == 1:
        size = f"{sectors} sectors"
    elif regions * sectors == economy.n:
        size = f"{regions} regions x {sectors} sectors"
    else:
        size = f"{economy.n} accounts in {regions} regions and {sectors} sectors"
    year = "" if economy.year is None else f" {economy.year}"
    return f"{economy.name}{year}: {size}, {economy.currency}"


def text(economy: "Economy") -> str:
    """Return the economy in some fifteen lines of text."""
    pairs = rows(economy)
    width = max(len(heading) for heading, _ in pairs)
    lines = [f"Economy {title(economy)}", *(f"  {heading:{width}}  {words}" for heading, words in pairs)]
    lines += [f"  note: {note}" for note in economy.notes]
    return "\n".join(lines)


def html(economy: "Economy") -> str:
    """Return the economy as a small HTML table; every label is escaped."""
    cell = "text-align:left;padding:1px 12px 1px 0;vertical-align:top"
    body = "".join(
        f'<tr><th style="{cell};font-weight:normal;opacity:.7">{escape(heading)}</th>'
        f'<td style="{cell};font-variant-numeric:tabular-nums">{escape(words)}</td></tr>'
        for heading, words in rows(economy)
    )
    notes = "".join(f"<li>{escape(str(note))}</li>" for note in economy.notes)
    listed = f'<ul style="margin:4px 0;padding-left:18px">{notes}</ul>' if notes else ""
    return f"<div><strong>{escape(title(economy))}</strong><table>{body}</table>{listed}</div>"
