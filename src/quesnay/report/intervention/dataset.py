"""The numbers of a trade-off with labels, units and where they come from, ready for netCDF."""

from typing import Any

import xarray as xr

from ..dataset import Declared, flattened, variable_name
from ..sources import attributes
from .study import Study

Declaration = tuple[tuple[str, ...], Any, str, str]
CONVENTIONS = (
    "Each intervention is x = alpha (A x + d), lower <= alpha <= upper. outcome is c'x and kept is e'x, c and e the "
    "intensities of the accounts reduce and keep; moved = sum e |x - x0|, reduced_share = 1 - outcome / base_outcome, "
    "moved_share = moved / base_kept, loss = outcome + penalty moved. change is e (x - x0) by account. worth is what one more "
    "unit of output adds to the loss. gap is the relative distance of the loss to a lower bound that is proved. penalty is "
    "the shadow price where budget is given. base_* is without any intervention."
)


def dataset(study: Study) -> xr.Dataset:
    """Return everything that was found as labelled variables with units; `to_netcdf` writes it with every engine."""
    economy, found = study.economy, study.found
    made = economy.label(found)
    reduce, keep = economy.unit(study.reduce), economy.unit(study.keep)
    units = {
        "penalty": study.price_unit,
        "worth": study.loss_unit,
        **dict.fromkeys(("outcome", "loss"), reduce),
        **dict.fromkeys(("kept", "moved", "change"), keep),
    }
    for name, unit in units.items():
        made[name].attrs["units"] = unit
    low, high = study.bounds
    along, account = ("intervention",), ("account",)
    further: dict[str, Declaration] = {
        "reduced_share": (along, study.reduced, "1", f"share of {study.reduce} that goes"),
        "moved_share": (along, study.moved, "1", f"share of {study.keep} that moves"),
        "policies": (along, found.policies, "1", "policies tried, -1 by a linear programme"),
        "lower": (account, low, "1", "lower bound of the factor"),
        "upper": (account, high, "1", "upper bound of the factor"),
        "base_output": (account, found.base_output, "{currency}", "output without any intervention"),
        "base_outcome": ((), found.base_outcome, reduce, f"{study.reduce} without any intervention"),
        "base_kept": ((), found.base_kept, keep, f"{study.keep} without any intervention"),
    }
    if study.budgets is not None:
        further["budget"] = (along, study.points, "1", f"share of {study.keep} that may move")
    taken = {*map(str, made.variables), *further}
    for name in study.outcomes:
        own = variable_name(name, taken)
        taken |= {own, f"base_{own}"}
        further[own] = (along, study.totals(name), economy.unit(name), name)
        further[f"base_{own}"] = ((), study.base(name), economy.unit(name), f"{name} without any intervention")
    flat = flattened(xr.merge([made, economy.label(Declared(further))], combine_attrs="override"))
    flat = flat.transpose("intervention", ...)
    flat.attrs = attributes(
        study, reduce=study.reduce, keep=study.keep, headline=float(study.points[study.at]), conventions=CONVENTIONS
    )
    return flat
