"""The economy of a pymrio system in memory."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from quesnay._errors import InputError, TableError
from quesnay.economy.accounts import Economy
from quesnay.economy.frames import flows_from_frame
from quesnay.economy.ledger import ALL
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
    "row" is enough where it is unique. What final consumers emit themselves (F_Y) is `Economy.direct`.

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
    return from_system(system, currency, year, close, {}, keep=True)


def from_system(
    system: Any,
    currency: str | None,
    year: int | None,
    close: str | None,
    source: Mapping[str, str],
    *,
    keep: bool,
) -> Economy:
    """Return the economy of a pymrio system, with the hashes of the files that it was read from.

    Unless it is to be kept, the system loses its Z once that is copied: two of them at a time are most of the memory.
    """
    x = None if getattr(system, "x", None) is None else system.x.iloc[:, 0]
    Z = getattr(system, "Z", None)
    if Z is None and x is not None and getattr(system, "A", None) is not None:
        Z = system.A * x.reindex(system.A.columns)
    if Z is None or getattr(system, "Y", None) is None:
        raise TableError("The pymrio system has no flows Z or no final demand Y; load them, or call calc_all() first.")
    satellites, direct = {}, {}
    for extension in (getattr(system, name) for name in system.get_extensions()):
        satellites |= _rows(extension, x)
        direct |= _own(extension, system.Y.sum())
    unit = _currency(system, currency)
    flows = flows_from_frame(Z, ALL)
    if not keep:
        del Z
        system.Z = None
    meta = getattr(system, "meta", None)
    return Economy.from_frames(
        Z=flows,
        Y=system.Y,
        output=x,
        satellites=satellites,
        direct=direct,
        currency=unit,
        year=year,
        name=getattr(meta, "name", None) or "pymrio system",
        source=source,
        close=close,
    )


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
        row = _words(label)
        if units is None or pd.isna(units.iloc[k]):
            raise TableError(
                f"Row {row!r} of the extension {extension.name!r} has no unit; add it to the extension's unit."
            )
        rows[f"{extension.name}: {row}"] = (F.iloc[k], str(units.iloc[k]))
    return rows


def _own(extension: Any, demand: pd.Series) -> dict[str, pd.Series]:
    """Return the rows of F_Y, or of S_Y times the sums of final demand, that are not zero."""
    F_Y = getattr(extension, "F_Y", None)
    if F_Y is None and getattr(extension, "S_Y", None) is not None:
        F_Y = extension.S_Y * demand.reindex(extension.S_Y.columns)
    if F_Y is None:
        return {}
    # A row that holds a NaN is not zero, so that it is met by the check that names it.
    return {f"{extension.name}: {_words(label)}": row for label, row in F_Y.iterrows() if (row != 0).any()}


def _words(label: Any) -> str:
    return ", ".join(str(part) for part in label) if isinstance(label, tuple) else str(label)
