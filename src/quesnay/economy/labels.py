"""The two crossings between labels and arrays: `align` brings labelled data in, `label` takes results out."""

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import xarray as xr
from xarray.indexes import PandasMultiIndex

from quesnay._errors import InputError, LabelError

from .ledger import unique
from .match import account_index, listed, numbers, positions, refuse_duplicates, say, suggestion

ACCOUNT = "account"


class Variable(NamedTuple):
    """One variable of a result: its dims, its values, its unit, and what it is in words.

    In the unit "{currency}" and "{outcome}" are replaced, the latter by what the user says; values whose unit is "{account}"
    are positions of accounts (-1 for none) and become "region, sector".
    The dim "account" is the (region, sector) axis in index order; "account_to" is a second one, of pairwise results.
    """

    dims: tuple[str, ...]
    values: Any
    unit: str
    long_name: str = ""


@runtime_checkable
class Labelled(Protocol):
    """A result that declares its variables; any object with this method can be labelled, no base class is needed."""

    def variables(self) -> Mapping[str, Any]:
        """Return name -> (dims, values, unit) or (dims, values, unit, long name)."""
        ...


def align(index: pd.MultiIndex, labelled: Any, fill: float | None) -> np.ndarray:
    """Return labelled values in the order of `index`; `Economy.align` documents it."""
    data = _as_pandas(labelled)
    if data.index.nlevels > 1:
        level, labels, order = None, account_index(data.index, "align", None), index
    else:
        level, labels = _level(data.index, index), data.index.map(str)
        refuse_duplicates(labels, "align")
        order = pd.Index(unique(index, level))
    if fill is not None and not (isinstance(fill, Real) and math.isfinite(fill)):
        raise InputError(
            f"align: fill is {fill!r}; give a finite number, or leave it out to have every label required."
        )
    values = numbers(data, "align")
    bad = ~np.isfinite(values)
    if bad.any():
        worst = labels[np.argwhere(bad)[0][0]]
        raise InputError(
            f"align: the value of {say(worst)} is missing or infinite; give a finite number or leave it out."
        )
    found = positions(labels, order, "align", partial=fill is not None)
    out = values[found] if len(values) else np.zeros((len(order), *values.shape[1:]))
    if fill is not None:
        out[found < 0] = fill
    return out if level is None else out[order.get_indexer(index.get_level_values(level))]


def _as_pandas(labelled: Any) -> pd.Series | pd.DataFrame:
    if isinstance(labelled, xr.DataArray):
        labelled = labelled.to_series()
    elif isinstance(labelled, Mapping):
        keys = list(labelled)
        pairs = bool(keys) and all(isinstance(key, tuple) for key in keys)
        labelled = pd.Series(
            list(labelled.values()),
            index=pd.MultiIndex.from_tuples(keys) if pairs else pd.Index(keys, dtype=object),
            dtype=object,
        )
    if not isinstance(labelled, (pd.Series, pd.DataFrame)):
        raise InputError(
            f"align: a {type(labelled).__name__} carries no labels; "
            f"give a Series, a dict or a DataFrame whose rows are accounts."
        )
    return labelled


def _level(given: pd.Index, index: pd.MultiIndex) -> int:
    """Return 0 where a plain index holds regions, 1 where it holds sectors."""
    if given.name in ("region", "sector"):
        return 0 if given.name == "region" else 1
    labels = set(given.map(str))
    known = [set(unique(index, level)) for level in (0, 1)]
    hits = [len(labels & k) for k in known]
    if labels and hits[0] == hits[1] == len(labels):
        raise LabelError(
            f"align: {listed(labels)} can be regions as well as sectors; name the index 'region' or 'sector'."
        )
    if labels and not any(hits):
        label = next(iter(given.map(str)))
        everything = [*unique(index, 0), *unique(index, 1)]
        raise LabelError(
            f"align: the table has no region and no sector {label!r}{suggestion(label, everything) or '.'}"
        )
    if all(hits):
        strange = sorted(labels - known[int(hits[1] > hits[0])])
        raise LabelError(f"align: the labels mix regions and sectors ({listed(strange)}); give (region, sector) pairs.")
    return int(hits[1] >= hits[0])


def label(
    index: pd.MultiIndex, result: Any, currency: str, attributes: Mapping[str, Any], outcome: str | None = None
) -> xr.Dataset:
    """Return a result's declared variables with coordinates and units; `Economy.label` documents it."""
    if not callable(getattr(result, "variables", None)):
        raise InputError(
            f"label: what is given is of type {type(result).__name__} and declares no variables; give a result with a method "
            f"variables(), name -> (dims, values, unit)."
        )
    regions, sectors = unique(index, 0), unique(index, 1)
    full = pd.MultiIndex.from_product([regions, sectors], names=index.names)
    order = index.get_indexer(full) if len(full) == len(index) else None
    out: dict[str, xr.Variable] = {}
    accounts: set[str] = set()
    for name, declared in result.variables().items():
        variable = _variable(name, declared, len(index))
        accounts |= {d for d in variable.dims if d.split("_")[0] == ACCOUNT}
        attrs = attributes_of(variable, currency, outcome)
        dims, values = variable.dims, variable.values
        if variable.unit == "{account}":
            named = np.array([*(", ".join(account) for account in index), ""])
            values = named[values]
        if order is not None:
            dims, values = _expand(dims, values, order, (len(regions), len(sectors)))
        out[name] = xr.Variable(dims, values, attrs)
    coords = _coordinates(out, accounts, index, None if order is None else (regions, sectors))
    more: Any = getattr(result, "attributes", None)
    extra = {str(k): str(v) for k, v in more().items()} if more is not None else {}
    known = {key: value for key, value in attributes.items() if value is not None}
    return xr.Dataset(out, coords=coords, attrs={**known, **extra})


def attributes_of(variable: Variable, currency: str, outcome: str | None) -> dict[str, str]:
    """Return the unit, unless it is that of an outcome which nobody has said, and the long name."""
    unit = variable.unit.replace("{currency}", currency).replace("{account}", "")
    attrs = {} if "{outcome}" in unit and outcome is None else {"units": unit.replace("{outcome}", outcome or "")}
    return attrs | ({"long_name": variable.long_name} if variable.long_name else {})


def _variable(name: str, declared: Any, n: int) -> Variable:
    try:
        variable = Variable(*declared)
        variable = variable._replace(dims=tuple(variable.dims), values=np.asarray(variable.values))
    except TypeError:
        raise InputError(
            f"label: variable {name!r} is not a (dims, values, unit) triple; correct its declaration."
        ) from None
    if variable.values.ndim != len(variable.dims) or len(set(variable.dims)) < len(variable.dims):
        raise InputError(
            f"label: variable {name!r} declares dims {variable.dims} for values of shape {variable.values.shape}; "
            f"declare one name per axis."
        )
    for dim, size in zip(variable.dims, variable.values.shape, strict=True):
        if dim.split("_")[0] == ACCOUNT and size != n:
            raise InputError(
                f"label: variable {name!r} has {size} accounts and this table has {n}; "
                f"label the result with the table that it was computed from."
            )
    return variable


def _suffix(dim: str) -> str:
    return dim.removeprefix(ACCOUNT)


def _expand(
    dims: tuple[str, ...], values: np.ndarray, order: np.ndarray, shape: tuple[int, int]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Replace every account axis by a region axis and a sector axis."""
    names: list[str] = []
    sizes: list[int] = []
    for axis, dim in enumerate(dims):
        if dim.split("_")[0] == ACCOUNT:
            values = np.take(values, order, axis=axis)
            names += [f"region{_suffix(dim)}", f"sector{_suffix(dim)}"]
            sizes += shape
        else:
            names.append(dim)
            sizes.append(values.shape[axis])
    return tuple(names), values.reshape(sizes)


def _coordinates(
    out: dict[str, xr.Variable],
    accounts: set[str],
    index: pd.MultiIndex,
    levels: tuple[tuple[str, ...], tuple[str, ...]] | None,
) -> xr.Coordinates:
    coords = xr.Coordinates()
    for dim in sorted(accounts):
        names = [f"region{_suffix(dim)}", f"sector{_suffix(dim)}"]
        if levels is None:
            # As text of numpy: xarray plots no coordinate of Python objects.
            kinds = {name: np.array(index.get_level_values(k), dtype=str).dtype for k, name in enumerate(names)}
            levels_of = PandasMultiIndex(index.set_names(names), dim, level_coords_dtype=kinds)
            made = xr.Coordinates(levels_of.create_variables(), dict.fromkeys([dim, *names], levels_of))
            coords = coords.merge(made).coords
        else:
            for name, labels in zip(names, levels, strict=True):
                coords[name] = (name, np.array(labels, dtype=str))
    days = {v.sizes["day"] for v in out.values() if "day" in v.dims}
    if len(days) > 1:
        raise InputError(
            f"label: the variables have {' and '.join(map(str, sorted(days)))} days; give all the same length."
        )
    if days and "day" not in out:
        coords["day"] = ("day", np.arange(days.pop()), {"long_name": "day", "units": "day"})
    return coords
