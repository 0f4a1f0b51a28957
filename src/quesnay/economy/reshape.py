"""Close, select, aggregate and make non-negative: each maps accounts to accounts and says in notes what it moved."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from quesnay._errors import InputError, LabelError, TableError

from .ledger import ALL, IMPORTS, OTHERS, OUTSIDE, Ledger, Note, multi_index, unique, with_demand, with_input
from .match import listed, numbers, refuse_duplicates, refuse_surrogates, say, unknown

EXPORTS = "Exports"
MOVED = "Moved negative flows"
IDLE = "Purchases of sectors without output"
SUPPLIED = "Supplied from stocks or imports"
ROUNDING = 4 * np.finfo(float).eps
Changed = tuple[Ledger, tuple[Note, ...]]
Mapped = Mapping[str, str] | pd.Series | pd.DataFrame


def close(ledger: Ledger, name: str, currency: str) -> Changed:
    """Book the row residual into final demand and the column residual into a primary input, both under `name`."""
    if not (isinstance(name, str) and name) or name in OTHERS or name in ledger.names:
        raise LabelError(
            f"close: {name!r} is empty, reserved or a satellite; give a name such as 'Statistical discrepancy'."
        )
    refuse_surrogates([name], "close")
    row, column = ledger.row_residual, ledger.column_residual
    amount = float(np.abs(row).sum() + np.abs(column).sum())
    if amount <= ROUNDING * len(row) * ledger.output.sum():
        return ledger, ()
    closed = with_input(with_demand(ledger, (ALL, name), row), name, column)
    total = ledger.output.sum()
    sentence = (
        f"booked as {name!r}: rows {np.abs(row).sum():.6g} {currency} ({100 * np.abs(row).sum() / total:.2g} % of output) "
        f"in final demand, columns {np.abs(column).sum():.6g} {currency} "
        f"({100 * np.abs(column).sum() / total:.2g} %) in primary inputs."
    )
    return closed, (Note("close", amount, currency, sentence),)


def select(ledger: Ledger, regions: Any, sectors: Any, currency: str) -> Changed:
    """Cut a block out; what it buys from the rest becomes imports, what it sells to the rest becomes exports."""
    region, sector = ledger.index.get_level_values(0), ledger.index.get_level_values(1)
    keep = np.ones(len(ledger.index), dtype=bool)
    for level, wanted, known in (
        (region, regions, unique(ledger.index, 0)),
        (sector, sectors, unique(ledger.index, 1)),
    ):
        if wanted is not None:
            keep &= np.asarray(level.isin(_wanted(wanted, known)))
    if not keep.any():
        raise LabelError("The selection is empty: no account has one of these regions and one of these sectors.")
    if keep.all():
        return ledger, ()
    index = pd.MultiIndex.from_tuples(list(ledger.index[keep]), names=ledger.index.names)
    consumers = ledger.categories.get_level_values(0)
    away = np.asarray(consumers.isin(set(region) - set(unique(index, 0))))
    bought = ledger.Z[np.ix_(~keep, keep)].sum(axis=0)
    sold = ledger.Z[np.ix_(keep, ~keep)].sum(axis=1) + ledger.Y[keep][:, away].sum(axis=1)
    left = [label for label, gone in zip(ledger.categories, away, strict=True) if not gone]
    block = Ledger(
        index=index,
        Z=ledger.Z[np.ix_(keep, keep)],
        categories=multi_index(left, ("region", "category")),
        Y=ledger.Y[keep][:, ~away],
        output=ledger.output[keep],
        inputs=ledger.inputs,
        primary=ledger.primary[:, keep],
        names=ledger.names,
        units=ledger.units,
        satellites=ledger.satellites[:, keep],
        direct=ledger.direct[:, ~away],
    )
    block = with_input(with_demand(block, (OUTSIDE, EXPORTS), sold), IMPORTS, bought)
    size = f"{keep.sum()} of {len(keep)} accounts"
    purchases = f"{size}; their purchases from the rest, {bought.sum():.6g} {currency}, are booked into imports."
    sales = (
        f"{size}; their sales to the rest, {sold.sum():.6g} {currency}, are booked into final demand as {EXPORTS!r}."
    )
    notes = [
        Note("select", float(bought.sum()), currency, purchases),
        Note("select", float(sold.sum()), currency, sales),
    ]
    for name, unit, gone in zip(ledger.names, ledger.units, ledger.direct[:, away].sum(axis=1), strict=True):
        if gone:
            words = (
                f"{size}; the {name!r} of final consumers outside themselves, {gone:.6g} {unit}, are left with them."
            )
            notes.append(Note("select", float(gone), unit, words))
    return block, tuple(notes)


def _wanted(wanted: Any, known: tuple[str, ...]) -> list[str]:
    labels = [wanted] if isinstance(wanted, str) else list(wanted)
    strange = [label for label in labels if label not in known]
    if strange:
        raise unknown(strange, known, "select")
    return labels


def aggregate(ledger: Ledger, sectors: Mapped | None, regions: Mapped | None, currency: str) -> Changed:
    """Add accounts up by weights from old to new labels: `Z' = G'ZG`, `Y' = G'Y`, `x' = G'x`."""
    if sectors is None and regions is None:
        return ledger, ()
    old_regions, old_sectors = unique(ledger.index, 0), unique(ledger.index, 1)
    new_regions, R = _concordance(regions, old_regions, "regions")
    new_sectors, S = _concordance(sectors, old_sectors, "sectors")
    to_region = {label: _shares(row) for label, row in zip(old_regions, R, strict=True)}
    to_sector = {label: _shares(row) for label, row in zip(old_sectors, S, strict=True)}
    cells = [
        (k, i, j, v * w) for k, (r, s) in enumerate(ledger.index) for i, v in to_region[r] for j, w in to_sector[s]
    ]
    labels = sorted({(i, j) for _, i, j, _ in cells})
    place = {label: k for k, label in enumerate(labels)}
    rows, columns, weights = [c[0] for c in cells], [place[c[1], c[2]] for c in cells], [c[3] for c in cells]
    G = scipy.sparse.csr_array((weights, (rows, columns)), shape=(len(ledger.index), len(labels)))
    categories, H = _consumers(ledger.categories, old_regions, new_regions, R)
    grouped = Ledger(
        index=multi_index([(new_regions[i], new_sectors[j]) for i, j in labels]),
        Z=(G.T @ ledger.Z) @ G,
        categories=categories,
        Y=(G.T @ ledger.Y) @ H,
        output=G.T @ ledger.output,
        inputs=ledger.inputs,
        primary=ledger.primary @ G,
        names=ledger.names,
        units=ledger.units,
        satellites=ledger.satellites @ G,
        direct=ledger.direct @ H,
    )
    amount = float(grouped.output.sum())
    sentence = f"{len(ledger.index)} accounts were added up to {len(grouped.index)}; totals are unchanged."
    return grouped, (Note("aggregate", amount, currency, sentence),)


def _shares(row: np.ndarray) -> list[tuple[int, float]]:
    return [(int(k), float(row[k])) for k in np.flatnonzero(row)]


def _concordance(mapped: Mapped | None, old: tuple[str, ...], what: str) -> tuple[tuple[str, ...], np.ndarray]:
    if mapped is None:
        return old, np.eye(len(old))
    if isinstance(mapped, pd.DataFrame):
        table = mapped.copy()
        if any(pd.isna(label) or str(label) == "" for label in table.columns):
            raise LabelError(f"aggregate, new {what}: the label of a column is empty; name every column.")
        table.index, table.columns = table.index.map(str), table.columns.map(str)
    elif not isinstance(mapped, Mapping | pd.Series):
        raise InputError(
            f"aggregate: {what} is a {type(mapped).__name__}; "
            f"give a dict or Series from old to new labels, or a concordance DataFrame."
        )
    else:
        given = pd.Series(mapped) if isinstance(mapped, pd.Series) else pd.Series(dict(mapped), dtype=object)
        lost = next((label for label, new in given.items() if pd.isna(new) or str(new) == ""), None)
        if lost is not None:
            raise LabelError(f"aggregate, {what}: {say(lost)} is mapped to nothing; give it a new label.")
        new = list(dict.fromkeys(str(label) for label in given))
        refuse_surrogates(new, f"aggregate, new {what}")
        hits = np.array([[str(label) == n for n in new] for label in given], dtype=float)
        table = pd.DataFrame(hits, index=given.index.map(str), columns=new)
    refuse_duplicates(table.index, f"aggregate, {what}")
    refuse_duplicates(table.columns, f"aggregate, new {what}")
    strange = [label for label in table.index if label not in old]
    if strange:
        raise unknown(strange, old, f"aggregate, {what}")
    absent = [label for label in old if label not in table.index]
    if absent:
        raise LabelError(f"aggregate, {what}: {listed(absent)} is not mapped to a new label; map every one.")
    values = numbers(table.loc[list(old)], f"aggregate, {what}")
    sums = values.sum(axis=1)
    bad = ~((values >= 0).all(axis=1) & (np.abs(sums - 1) <= 1e-9))
    if bad.any():
        worst = int(bad.argmax())
        raise TableError(
            f"aggregate, {what}: the weights of {old[worst]!r} must be non-negative and add up to 1, not {sums[worst]:.6g}; "
            f"correct its row of the concordance."
        )
    return tuple(table.columns), values / sums[:, None]


def _consumers(
    categories: pd.MultiIndex, old: tuple[str, ...], new: tuple[str, ...], R: np.ndarray
) -> tuple[pd.MultiIndex, scipy.sparse.csr_array]:
    """Return the new columns of final demand and the weights (m, m'); regions that no account has stay as they are."""
    labels: dict[tuple[str, str], int] = {}
    entries: list[tuple[int, int, float]] = []
    for k, (region, category) in enumerate(categories):
        shares: Iterable[tuple[str, float]] = [(region, 1.0)]
        if region in old:
            shares = [(r, w) for r, w in zip(new, R[old.index(region)], strict=True) if w > 0]
        for r, w in shares:
            entries.append((k, labels.setdefault((r, category), len(labels)), w))
    rows, columns, weights = zip(*entries, strict=True)
    H = scipy.sparse.csr_array((weights, (rows, columns)), shape=(len(categories), len(labels)))
    return multi_index(list(labels), ("region", "category")), H


def nonnegative(ledger: Ledger, currency: str) -> Changed:
    """Clear negative flows, purchases without output and negative final demand, keeping output and both identities."""
    first, moved = _without_negative_flows(ledger, currency)
    second, cleared = _without_idle_purchases(first, currency)
    third, supplied = _without_negative_demand(second, currency)
    return third, moved + cleared + supplied


def _without_negative_flows(ledger: Ledger, currency: str) -> Changed:
    below = np.maximum(-ledger.Z, 0.0)
    cells = int((below > 0).sum())
    if not cells:
        return ledger, ()
    changed = with_demand(replace(ledger, Z=np.maximum(ledger.Z, 0.0)), (ALL, MOVED), -below.sum(axis=1))
    changed = with_input(changed, MOVED, -below.sum(axis=0))
    sentence = f"{cells} negative flow(s) were moved to final demand (row) and primary inputs (column) as {MOVED!r}."
    return changed, (Note("nonnegative", float(below.sum()), currency, sentence),)


def _without_idle_purchases(ledger: Ledger, currency: str) -> Changed:
    bought = np.where(ledger.output == 0, ledger.Z, 0.0)
    spent = bought.sum(axis=0)
    if not spent.any():
        return ledger, ()
    changed = with_demand(replace(ledger, Z=ledger.Z - bought), (ALL, IDLE), bought.sum(axis=1))
    changed = with_input(changed, IDLE, spent)
    sentence = (
        f"the purchases of {int((spent > 0).sum())} sector(s) with zero output, most {say(ledger.index[int(spent.argmax())])}, "
        f"were moved to final demand (rows) and primary inputs (columns) as {IDLE!r}."
    )
    return changed, (Note("nonnegative", float(spent.sum()), currency, sentence),)


def _without_negative_demand(ledger: Ledger, currency: str) -> Changed:
    short = np.maximum(-ledger.final_demand, 0.0)
    if not short.any():
        return ledger, ()
    sold = ledger.Z.sum(axis=1)
    left = sold - short
    scale = sold + np.abs(ledger.Y).sum(axis=1)
    beyond = (short > 0) & (left < -len(sold) * np.finfo(float).eps * scale)
    if beyond.any():
        worst = int((short * beyond).argmax())
        raise TableError(
            f"The final demand of {say(ledger.index[worst])} is negative by {short[worst]:.6g} {currency}, more than its "
            f"intermediate sales of {sold[worst]:.6g}, because its row does not add up; "
            f'book the gap first with economy.close("Statistical discrepancy").'
        )
    kept = np.where(short > 0, np.divide(np.maximum(left, 0.0), sold, out=np.zeros_like(sold), where=sold > 0), 1.0)
    Z = ledger.Z * kept[:, None]
    changed = with_demand(replace(ledger, Z=Z), (ALL, SUPPLIED), short)
    changed = with_input(changed, SUPPLIED, ledger.Z.sum(axis=0) - Z.sum(axis=0))
    sentence = (
        f"{int((short > 0).sum())} sector(s) had negative final demand, most {say(ledger.index[int(short.argmax())])}; "
        f"that part of their sales to sectors was booked as {SUPPLIED!r} instead of current output."
    )
    return changed, (Note("nonnegative", float(short.sum()), currency, sentence),)
