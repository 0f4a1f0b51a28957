"""USEEIO models: coefficients, commodity output and intensities, as useeior exports them for its API."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from quesnay._errors import LabelError, QuesnayError, TableError
from quesnay.economy.accounts import Economy
from quesnay.economy.folders import with_notes
from quesnay.economy.ledger import ALL, Note, multi_index
from quesnay.economy.match import listed, numbers, refuse_duplicates, refuse_missing, suggestion, unknown

from .archives import DEFAULT, Limits, check, refusing
from .useeio_files import Folder, model_folder, texts

OUTPUTS = ("q", "q_commodity_output", "x", "x_industry_output")
VALUE_ADDED = "VADD"
DOLLARS = ("$", "USD")


class Model(NamedTuple):
    """What a model's files say: account ids, A and A_d (n, n), output (n,), D (s, n), its codes and units, demands (n, m)."""

    ids: list[str]
    places: list[tuple[str, str]]
    A: pd.DataFrame
    A_d: pd.DataFrame | None
    output: np.ndarray
    D: pd.DataFrame
    units: list[str]
    demands: dict[str, np.ndarray]


def useeio(
    path: str | os.PathLike[str],
    *,
    demand: str | Sequence[str] | None = None,
    domestic: bool = False,
    currency: str = "USD",
    year: int | None = None,
    name: str | None = None,
    close: str | None = None,
    limits: Limits = DEFAULT,
) -> Economy:
    """Return the economy of a USEEIO model, a folder as useeior exports it for its API.

    `Z = A diag(q)` and satellites `D diag(q)`, so that `N = D inv(I - A)` are the economy's footprints.

    With the total A, which counts imported inputs as if they had been made here, final demand is net of imports and negative
    where more is imported than finally used. With `domestic` A_d takes its place, final demand is what is bought of domestic
    output, and the imported inputs `1'(A - A_d) diag(q)` are the primary input "imports". Accounts are (location, code), in
    the order of the files. Value added is the indicator VADD where it is in dollars, and the rest of output otherwise.

    A commodity of negative output that uses and emits nothing, as used goods and noncomparable imports in USEEIO 2.0, is left
    out, and what others buy of it is imports; a note says so.

    Parameters
    ----------
    path:
        folder with A, D and q (x in a model of industries) as .parquet, .csv, .json or .bin, in the folder or its "matrix",
        sectors and indicators as .csv or .json, A_d where `domestic` is wanted, and demands; or a folder above one such.
    demand:
        demand vector that is final demand, such as "2012_US_Production_Complete", or several, one column each, of
        demands.csv or demands/*.json; `d = q - A q` where missing, which makes both identities hold.
    domestic:
        whether Z are the flows of domestic products only.
    currency:
        of q and the demands.
    year:
        of the table; that of the demands' names where missing and all agree.
    name:
        of the table; the folder's name where missing.
    close:
        name under which residuals are booked, as `Economy.close` does.
    limits:
        how much the folder may hold.

    Raises
    ------
    TableError
        A file is missing, broken or of another size; the folder is unsafe (see `archives.check`); or the table is one that
        `Economy` refuses, such as one with a demand vector of consumption, which is not what the country's output meets.
    LabelError
        A sector or demand vector is unknown, or several models lie below the path.
    InputError
        A .parquet file and no pyarrow.

    References
    ----------
    Ingwersen et al. (2022), USEEIO v2.0, Scientific Data 9, 194.
    """
    path = Path(path)
    if not path.is_dir():
        raise TableError(f"There is no folder {path}; give the folder of a USEEIO model.")
    with refusing(str(path)):
        check(path, limits=limits)
    folder = Folder(model_folder(path), limits)
    try:
        model = _model(folder, demand, domestic)
        economy = _economy(model, folder, demand, domestic, currency, year, name, close)
    except QuesnayError as error:
        raise type(error)(f"{folder.path}: {error}") from error
    return economy


def _model(folder: Folder, demand: str | Sequence[str] | None, domestic: bool) -> Model:
    A = folder.matrix(["A"])
    sectors = folder.records("sectors")
    if sectors is not None and "id" in sectors:
        ids = texts(sectors, "id", "sectors")
    elif _labelled(A.index):
        ids = [str(label) for label in A.index]
    else:
        raise TableError("A has no labels and there is no sectors.csv or sectors.json with the column id; add it.")
    refuse_duplicates(pd.Index(ids), "sectors")
    places = [_place(label) for label in ids]
    D = folder.matrix(["D"])
    indicators = folder.records("indicators")
    if indicators is None or not {"code", "unit"} <= set(indicators.columns):
        raise TableError("There is no indicators.csv or indicators.json with the columns code and unit; add it.")
    codes = texts(indicators, "code", "indicators")
    D = (
        D.rename(index=dict(zip(texts(indicators, "id", "indicators"), codes, strict=True)))
        if "id" in indicators
        else D
    )
    wanted = [demand] if isinstance(demand, str) else list(demand or ())
    return Model(
        ids=ids,
        places=places,
        A=_in_order(A, ids, ids, "A"),
        A_d=_in_order(folder.matrix(["A_d"]), ids, ids, "A_d") if domestic else None,
        output=_output(folder, ids),
        D=_in_order(D, codes, ids, "D"),
        units=texts(indicators, "unit", "indicators"),
        demands={one: _demand(folder, one, ids) for one in wanted},
    )


def _economy(
    model: Model,
    folder: Folder,
    demand: Any,
    domestic: bool,
    currency: str,
    year: int | None,
    name: str | None,
    close: str | None,
) -> Economy:
    q = model.output
    total = model.A.to_numpy() * q
    flows = total if model.A_d is None else model.A_d.to_numpy() * q
    satellites = model.D.to_numpy() * q
    keep = ~((q < 0) & ~total.any(axis=0) & ~flows.any(axis=0) & ~satellites.any(axis=0))
    Z = flows[np.ix_(keep, keep)]
    # What is bought and is no flow of this table came from abroad, what was bought of the accounts left out included.
    imports = (total - flows)[:, keep].sum(axis=0) + flows[np.ix_(~keep, keep)].sum(axis=0)
    index = multi_index([place for place, kept in zip(model.places, keep, strict=True) if kept])
    rest = (q[keep] - Z.sum(axis=1))[:, None]
    columns = [(ALL, "final demand")] if demand is None else [(_region(one, model), one) for one in model.demands]
    Y = rest if demand is None else np.array(list(model.demands.values())).T[keep]
    codes = [str(code) for code in model.D.index]
    added = codes.index(VALUE_ADDED) if VALUE_ADDED in codes else None
    if added is not None and model.units[added] not in DOLLARS:
        added = None
    economy = Economy.from_frames(
        Z=pd.DataFrame(Z, index, index),
        Y=pd.DataFrame(Y, index, multi_index(columns, ("region", "category"))),
        output=pd.Series(q[keep], index),
        imports=pd.Series(imports, index),
        value_added=None if added is None else pd.Series(satellites[added, keep], index),
        satellites={
            code: (pd.Series(values[keep], index), unit)
            for code, unit, values in zip(codes, model.units, satellites, strict=True)
        },
        currency=currency,
        year=year if year is not None else _year(folder),
        name=name or folder.path.resolve().name,
        source=folder.hashes,
        close=close,
    )
    notes = []
    if demand is None:
        text = "final demand is output less sales to sectors; name a demand vector to have it from the model."
        notes.append(Note("useeio", float(rest.sum()), currency, text))
    if not keep.all():
        bought = float(flows[np.ix_(~keep, keep)].sum())
        left = listed([place for place, kept in zip(model.places, keep, strict=True) if not kept])
        text = f"of negative output and left out: {left}; what others buy of it, {bought:.6g} {currency}, is imports."
        notes.append(Note("useeio", bought, currency, text))
    return with_notes(economy, tuple(notes))


def _output(folder: Folder, ids: list[str]) -> np.ndarray:
    """Return commodity output, or industry output where it is that which has the accounts of A."""
    for name in OUTPUTS:
        if folder.find([name]) is None:
            continue
        vector = folder.matrix([name])
        if vector.shape == (1, len(ids)):
            vector = vector.T
        if vector.shape == (len(ids), 1) and (not _labelled(vector.index) or set(vector.index) == set(ids)):
            return _in_order(vector, ids, None, name).to_numpy()[:, 0]
    raise TableError(f"There is no output q (or x) of the {len(ids)} accounts of A; add q.")


def _demand(folder: Folder, name: str, ids: list[str]) -> np.ndarray:
    """Return a demand vector (n,) of the table of all of them, or of its own file."""
    table = folder.find(["demands"], (".parquet", ".csv"))
    wide = folder.matrix(["demands"]) if table is not None else None
    if wide is not None and name in wide.columns:
        return _in_order(pd.DataFrame(wide[name]), ids, None, f"demand {name!r}").to_numpy()[:, 0]
    amounts = folder.demand(name)
    if amounts is not None:
        strange = [label for label in amounts.index if label not in ids]
        if strange:
            raise unknown(strange, ids, f"demand {name!r}")
        return _in_order(amounts.reindex(ids, fill_value=0.0).to_frame(), ids, None, f"demand {name!r}").to_numpy()[
            :, 0
        ]
    known = folder.demands()
    raise LabelError(
        f"The model has no demand {name!r}; it has {listed(known) or 'none'}{suggestion(name, known) or '.'}"
    )


def _year(folder: Folder) -> int | None:
    years = {name[:4] for name in folder.demands() if name[:4].isdecimal()}
    return int(years.pop()) if len(years) == 1 else None


def _region(demand: str, model: Model) -> str:
    """Return the location in a name such as "2020_US-GA_Production_Complete", where the model has it."""
    locations = dict.fromkeys(region for region, _ in model.places)
    return next((part for part in demand.split("_") if part in locations), ALL)


def _place(label: str) -> tuple[str, str]:
    code, slash, location = label.rpartition("/")
    return (location, code) if slash else (ALL, label)


def _labelled(index: pd.Index) -> bool:
    return not isinstance(index, pd.RangeIndex) and index.dtype.kind not in "iuf"


def _in_order(frame: pd.DataFrame, rows: list[str], columns: list[str] | None, what: str) -> pd.DataFrame:
    """Return a frame in the order of these labels; one without labels is in that order already and of that size."""
    for axis, labels in ((0, rows), (1, columns)):
        if labels is None:
            continue
        given = frame.axes[axis]
        if _labelled(given):
            refuse_duplicates(given, what)
            strange, absent = given.difference(labels), pd.Index(labels).difference(given)
            if len(strange):
                raise unknown(list(strange), labels, what)
            if len(absent):
                raise LabelError(f"{what}: {listed(absent)} is missing; export the model again.")
            frame = frame.reindex(labels, axis=axis)
        elif len(given) != len(labels):
            side = ("rows", "columns")[axis]
            raise TableError(
                f"{what} has {len(given)} {side} where the model has {len(labels)}; export the model again."
            )
        else:
            frame = frame.set_axis(labels, axis=axis)
    values = numbers(frame, what)
    refuse_missing(values, frame.index, what, frame.columns)
    return pd.DataFrame(values, frame.index, frame.columns)
