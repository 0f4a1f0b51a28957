"""The economy of a pymrio system in memory."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from quesnay._errors import InputError, TableError
from quesnay.economy.accounts import Economy
from quesnay.economy.folders import with_notes
from quesnay.economy.ledger import Note
from quesnay.economy.match import listed


def import_pymrio() -> Any:
    try:
        import pymrio
    except ImportError as error:
        raise InputError(
            "Reading this table needs pymrio, which is not installed; run `pip install pymrio`."
        ) from error
    return pymrio


def from_pymrio(
    system: Any, *, currency: str | None = None, year: int | None = None, close: str | None = None
) -> Economy:
    """Return the economy of a pymrio `IOSystem` in memory.

    Z (or A and x), Y and x become the accounts; imports are zero, and value added is output less inputs,
    `v = x - 1'Z`. Every row of every extension becomes a satellite called "extension: row", of which the short name
    "row" is enough where it is unique; pollution of final consumers (F_Y) belongs to no sector and is left out, with a note.

    Parameters
    ----------
    system:
        `pymrio.IOSystem` with Z and Y, or A, x and Y; flows in the system's unit.
    currency:
        what to call the unit of the flows; the system's own name for it where missing.
    year:
        of the table; pymrio does not store it.
    close:
        name under which residuals are booked, as `Economy.close` does.

    Raises
    ------
    TableError
        Flows are missing, or in several units (a hybrid table), or the table is one that `Economy` refuses.
    InputError
        The system does not say its unit and `currency` is missing.
    """
    return from_system(system, currency, year, close, {})


def from_system(
    system: Any, currency: str | None, year: int | None, close: str | None, source: Mapping[str, str]
) -> Economy:
    x = None if getattr(system, "x", None) is None else system.x.iloc[:, 0]
    Z = getattr(system, "Z", None)
    if Z is None and x is not None and getattr(system, "A", None) is not None:
        Z = system.A * x.reindex(system.A.columns)
    if Z is None or getattr(system, "Y", None) is None:
        raise TableError("The pymrio system has no flows Z or no final demand Y; load them, or call calc_all() first.")
    satellites, notes = {}, []
    for extension in (getattr(system, name) for name in system.get_extensions()):
        satellites |= _rows(extension, x)
        if getattr(extension, "F_Y", None) is not None and bool((extension.F_Y != 0).any(axis=None)):
            own = f"final consumers' own {extension.name} (F_Y, {len(extension.F_Y)} rows)"
            text = f"{own} belong to no sector and are left out."
            notes.append(Note("from_pymrio", float(len(extension.F_Y)), "rows", text))
    meta = getattr(system, "meta", None)
    economy = Economy.from_frames(
        Z=Z,
        Y=system.Y,
        output=x,
        satellites=satellites,
        currency=_currency(system, currency),
        year=year,
        name=getattr(meta, "name", None) or "pymrio system",
        source=source,
        close=close,
    )
    return with_notes(economy, tuple(notes))


def _currency(system: Any, currency: str | None) -> str:
    unit = getattr(system, "unit", None)
    units = [] if unit is None else list(dict.fromkeys(str(u) for u in pd.DataFrame(unit).iloc[:, 0]))
    if len(units) > 1:
        raise TableError(
            f"The flows of the pymrio system are in several units ({listed(units)}); convert them to one currency."
        )
    if currency is None and not units:
        raise InputError("The pymrio system does not say the unit of its flows; pass currency, such as 'MUSD'.")
    return currency if currency is not None else units[0]


def _rows(extension: Any, x: pd.Series | None) -> dict[str, tuple[pd.Series, str]]:
    F = getattr(extension, "F", None)
    if F is None and x is not None and getattr(extension, "S", None) is not None:
        F = extension.S * x.reindex(extension.S.columns)
    if F is None:
        return {}
    units = None if extension.unit is None else extension.unit.iloc[:, 0].reindex(F.index)
    rows = {}
    for k, label in enumerate(F.index):
        row = ", ".join(str(part) for part in label) if isinstance(label, tuple) else str(label)
        if units is None or pd.isna(units.iloc[k]):
            raise TableError(
                f"Row {row!r} of the extension {extension.name!r} has no unit; add it to the extension's unit."
            )
        rows[f"{extension.name}: {row}"] = (F.iloc[k], str(units.iloc[k]))
    return rows
