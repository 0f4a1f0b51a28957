"""The numbers of a stress test with labels, units and where they come from, ready for netCDF."""

import dataclasses
from typing import Any

import numpy as np
import xarray as xr

from ...climate import Stress
from ..dataset import Declared, flattened, variable_name
from ..sources import attributes
from .study import Study

Declaration = tuple[tuple[str, ...], Any, str, str]
COMMON = ("damage", "spectral_radius", "margin", "outside")
"""Variables that do not depend on the reading."""
CONVENTIONS = (
    "Flows are per year, in the prices of the table. value_added is (1 - 1'A(T))_j x_j, inputs and output at base prices, and "
    "adds up to gdp, which is final demand delivered, imported inputs included. slope is the exact derivative of gdp by "
    "temperature on the warmer side, slope_left on the cooler side; slope_by_damage adds up to slope. per_tenth is GDP(T) - "
    "GDP(T + 0.1). result says how each temperature ended: successful; collapsed (nothing is delivered); infeasible (a "
    "delivery would be negative; values have their sign); inadmissible (no technology is left). base_* is the reference."
)


def dataset(study: Study) -> xr.Dataset:
    """Return everything that a stress test found as labelled variables with units; `to_netcdf` writes it with every engine."""
    economy = study.economy
    taken = set(_bare(study.main).variables())
    names = {}
    for name in study.outcomes:
        names[name] = variable_name(name, taken)
        taken |= {names[name], f"{names[name]}_slope", f"base_{names[name]}"}
    parts = [_result(study, k, names) for k in range(len(study.results))]
    reading = xr.Variable("reading", np.array(study.names, dtype=object), {"long_name": "reading of the damage"})
    common = parts[0][[*COMMON]]
    own = xr.concat([part.drop_vars([*COMMON]) for part in parts], dim="reading").assign_coords(reading=reading)
    whole = xr.merge([own, common, economy.label(Declared(_further(study, names)))], combine_attrs="override")
    flat = flattened(whole)
    flat = flat.transpose("reading", "temperature", ...)
    flat.attrs = attributes(
        study,
        damage=repr(study.damage),
        damage_source=study.damage.source,
        warning=study.damage.warning,
        reference="" if study.reference is None else float(study.reference),
        headline=float(study.temperatures[study.at]),
        seed="" if study.seed is None else str(study.seed),
        conventions=CONVENTIONS,
    )
    return flat


def _result(study: Study, which: int, names: dict[str, str]) -> xr.Dataset:
    economy, result = study.economy, study.results[which]
    along, factor = ("temperature",), economy.unit(study.factor) if study.factor else economy.currency
    outcomes: dict[str, Declaration] = {}
    for name, own in names.items():
        unit = economy.unit(name)
        outcomes[own] = (along, result.outcomes[name], unit, name)
        outcomes[f"{own}_slope"] = (
            along, result.outcome_slopes[name], f"{unit} per degree C", f"change of {name} per degree of warming",
        )  # fmt: skip
    made = economy.label(_bare(result)).merge(economy.label(Declared(outcomes)))
    made["factor"].attrs["units"] = factor
    made["factor_slope"].attrs["units"] = f"{factor} per degree C"
    made["result"] = ("temperature", np.array(study.ended[which], dtype=object), {"long_name": "how it ended"})
    return made


def _bare(result: Stress) -> Stress:
    """Return a result without its outcomes, whose names could be those of other variables."""
    return dataclasses.replace(result, outcomes={}, outcome_slopes={})


def _further(study: Study, names: dict[str, str]) -> dict[str, Declaration]:
    economy, account = study.economy, ("account",)
    out: dict[str, Declaration] = {
        "gamma": (account, study.gamma, "1", "vulnerability"),
        "base_output": (account, study.base_output, "{currency}", "output at the reference"),
        "base_value_added": (account, study.base_value_added, "{currency}", "value added at the reference"),
        "base_gdp": ((), study.base_gdp, "{currency}", "GDP at the reference"),
        "collapse_temperature": (
            (),
            study.collapse.temperature,
            "degree C",
            "temperature of the collapse, inf if none",
        ),
        "collapse_share": (account, study.collapse.shares, "1", "share in what circulates at the collapse"),
    }
    for name, own in names.items():
        out[f"base_{own}"] = ((), study.base_outcome(name), economy.unit(name), f"{name} at the reference")
    if study.resilience is not None:
        headline = f"{study.temperatures[study.at]:g} degrees C"
        out["resilience_gain"] = (
            account, study.resilience.gain, "{currency}", f"GDP gained at {headline} per unit of gamma less",
        )  # fmt: skip
    if study.match is not None:
        out["match_scale"] = ((), study.match.found.scale, "1", "factor on all vulnerabilities")
    if study.gdp_draws is not None and study.damage_draws is not None:
        at, draws = ("drawn_at",), study.gdp_draws
        what, unit = ("factor needed", "") if study.requirement else ("GDP", "{currency}")
        levels = ("level", *at)
        out |= {
            "level": (("level",), draws.levels, "1", "quantile"),
            "drawn_at": (at, study.drawn_at, "degree C", "warming above 1850-1900"),
            "gdp_quantile": (levels, draws.quantiles, unit, f"{what}, quantiles of the draws"),
            "gdp_draw_sd": (at, draws.sd, unit, f"{what}, standard deviation of the draws"),
            "gdp_delta_sd": (at, draws.delta, unit, f"{what}, standard deviation by the delta method"),
            "damage_quantile": (levels, study.damage_draws.quantiles, "1", "damage, quantiles of the draws"),
        }
    return out
