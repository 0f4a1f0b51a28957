"""The numbers of a run with labels, units and where they come from, ready for netCDF."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from .analysis import unit_of
from .run import Run
from .shocks import sentences
from .sources import attributes

CONVENTIONS = (
    "Row t is day t, counted from 0; the base state comes before day 0 and is stored as base_* variables. Flows are per day, "
    "stocks at the end of the day. output = deliveries + final_consumption; loss_total = base_output - output = loss_direct + "
    "loss_indirect; loss_direct = max(0, base_output - capacity). demand placed on day t is served on day t + 1. bottleneck: "
    "position (from 0) in supplier_region and supplier_sector of the supplier whose input was scarcest; -1 demand, "
    "-2 own capacity. Outcomes are intensity times output; those that count people at work are in person-years per day."
)
_BASE = ("output", "value_added", "final_consumption", "capacity", "stock")


def dataset(run: Run) -> xr.Dataset:
    """Return the path, losses, outcomes and base values of a run as labelled variables with units.

    `dataset(run).to_netcdf("result.nc")` works with every netCDF engine, and what is read back is equal.
    """
    economy, path = run.economy, run.path
    labelled = economy.label(path).merge(economy.label(Declared(_further(run))))
    flat = labelled.reset_index("account") if "account" in labelled.dims else labelled
    flat["bottleneck"] = flat["bottleneck"].astype(np.int32)
    flat["day"] = flat["day"].astype(np.int32)
    for name, level in (("supplier_region", 0), ("supplier_sector", 1)):
        flat[name] = ("supplier", economy.index.get_level_values(level).to_numpy(dtype=object))
    flat = flat.transpose("day", ...)
    flat.attrs = attributes(
        run,
        shocks="\n".join(sentences(run)),
        seed="" if run.seed is None else str(run.seed),
        days_per_year=run.days_per_year,
        conventions=CONVENTIONS,
    )
    return flat


class Declared:
    """Variables that are ready to be labelled."""

    def __init__(self, declared: Mapping[str, tuple[tuple[str, ...], Any, str, str]]):
        self._declared = declared

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Any, str, str]]:
        return self._declared


def _further(run: Run) -> dict[str, tuple[tuple[str, ...], Any, str, str]]:
    economy, base = run.economy, run.path.base
    assert base is not None
    out = {f"loss_{name}": declared for name, declared in run.path.losses().variables().items()}
    declared = base.variables()
    for name in _BASE:
        _, values, unit, meaning = declared[name]
        out[f"base_{name}"] = (("account",), values, unit, f"{meaning}, base state")
    taken = {*out, *declared}
    for name in run.outcomes:
        intensity, unit = economy.intensity(name), unit_of(run, name)
        own = variable_name(name, taken)
        taken |= {own, f"base_{own}"}
        out[own] = (("day", "account"), run.path.impact(intensity), f"{unit}/day", name)
        out[f"base_{own}"] = (("account",), base.impact(intensity), f"{unit}/day", f"{name}, base state")
    return out


def variable_name(name: str, taken: set[str]) -> str:
    """Return a name that netCDF accepts and that is not taken: letters, digits and underscores."""
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in name).strip("_")
    plain = plain if plain[:1].isalpha() else f"outcome_{plain}".rstrip("_")
    own, k = plain, 2
    while own in taken or f"base_{own}" in taken:
        own, k = f"{plain}_{k}", k + 1
    return own


def flattened(labelled: xr.Dataset) -> xr.Dataset:
    """Return a dataset that every netCDF engine can store: no indices of pairs, no truth values, text as objects."""
    flat = labelled.reset_index("account") if "account" in labelled.dims else labelled
    for name, variable in flat.variables.items():
        if variable.dtype == bool:
            flat[name] = variable.astype(np.int8)
        elif variable.dtype.kind == "U":
            flat[name] = variable.astype(object)
    return flat
