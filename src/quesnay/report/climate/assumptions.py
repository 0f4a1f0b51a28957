"""What a stress test assumes, in words: the readings, the damage, who is vulnerable, and what is left out."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from ...climate import (
    DICE2016R,
    DICE2023,
    AbstractDamage,
    AbstractReading,
    AbstractVulnerability,
    Bottleneck,
    BurkeHsiangMiguel,
    ByAccount,
    FactorLimited,
    FixedCapacity,
    HowardSterner,
    InputRequirement,
    LinearProgramme,
    Polynomial,
    Productivity,
    ResourceRequirement,
    Sigmoid,
    Tabulated,
    Weitzman,
)
from ...climate.damage import said
from .. import words
from .study import Study

MOST_ROWS = 12
READINGS: Mapping[type[AbstractReading], tuple[str, str]] = {
    FactorLimited: (
        "y = s d,   s = l′x₀ / (l′ L(T) d),   x = L(T) y",
        (
            "Factor-limited: the factor l′x₀ is fixed and moves freely between accounts; final demand keeps its proportions. "
            "What needs more inputs leaves less for final use. To first order the loss is the cost of the additional inputs as "
            "a share of GDP (Hulten's theorem)."
        ),
    ),
    FixedCapacity: (
        "x = x₀,   y = x − A(T) x",
        (
            "Fixed capacity: nothing moves. Every account makes what it made (less, where labour loses productivity too), and "
            "final demand takes what the other accounts leave. Where that is less than nothing, the temperature has no answer."
        ),
    ),
    Bottleneck: (
        "y = s d,   s = min x₀ᵢ / (L(T) d)ᵢ",
        (
            "Bottleneck: no account can make more than it did, and final demand keeps its proportions. The scarcest account "
            "sets the level of all."
        ),
    ),
    LinearProgramme: (
        "max 1′y   with   y = (I − A(T)) x,   0 ≤ x ≤ k x₀,   0 ≤ y ≤ d",
        (
            "Linear programme: the best that could be done within capacities, with as much of the old final demand as "
            "possible, of whatever kind."
        ),
    ),
    ResourceRequirement: (
        "x = L(T) d,   y = d",
        (
            "Resource requirement: what would have to be made to meet all of the old final demand. Gross output rises with "
            "damage. It is a requirement, not a forecast."
        ),
    ),
}
CURVES: Mapping[type[AbstractDamage], str] = {
    Sigmoid: "D(T) = 1 / (1 + exp(−s (T − T_thresh)))",
    Polynomial: "D(T) = a₁ T + a₂ T² + …",
    DICE2016R: "D(T) = a₂ T²",
    DICE2023: "D(T) = a₂ T²",
    HowardSterner: "D(T) = ((1 + o)(b₁ + b₃) + b₂) T² / 100",
    Weitzman: "D(T) = 1 − 1 / (1 + (T / T₁)² + (T / T₂)ᵖ)",
    BurkeHsiangMiguel: "D(T) = 1 − Π (1 + g + h(T_c) − h(climate)) / (1 + g),   h = b₁ T_c + b₂ T_c²",
    Tabulated: "D(T): straight lines between the temperatures of the table",
    ByAccount: "D_j(T): a curve for every account",
}
MEANS: Mapping[type[AbstractVulnerability], tuple[str, str]] = {
    InputRequirement: (
        "A(T) = A diag((1 + γ D(T)) / (1 + γ D_ref))",
        (
            "Damage raises the inputs that a unit of output takes, by column; labour per unit stays. γ is the extra input at "
            "full damage, as a share of inputs."
        ),
    ),
    Productivity: (
        "A(T) = A diag(f),   l(T) = f l,   f = (1 − γ D_ref) / (1 − γ D(T))",
        "Damage lowers what inputs and labour make. γ is the share of productivity lost at full damage.",
    ),
}
LEFT_OUT = (
    "Prices do not move and nobody substitutes one input or supplier for another, except where a reading says so.",
    "Nothing is dated: today's structure is put into a warmer climate, without growth, new capital or adaptation.",
    "Final demand keeps its proportions (its upper bounds, in the linear programme); imports do not change with damage abroad.",
    "Jobs, emissions and other accounts follow output in fixed proportion: they show what output carries.",
    "GDP here is final demand delivered at the prices of the table; where the table has imported inputs, it contains them.",
)


def readings(study: Study) -> list[tuple[str, str]]:
    """Return equation and meaning of every reading."""
    default = ("", "A reading of one's own.")
    return [READINGS.get(type(reading), (type(reading).__name__, default[1])) for reading in study.readings]


def damage_equations(study: Study) -> list[tuple[str, str]]:
    """Return how damage comes about and enters: equations with their meaning."""
    damage, means = study.damage, study.vulnerability
    year = "" if damage.year is None or str(damage.year) in damage.source else f" ({damage.year})"
    curve = CURVES.get(type(damage), f"D(T): {type(damage).__name__}")
    return [
        (curve, f"Source: {damage.source}{year}."),
        MEANS.get(type(means), (type(means).__name__, "A vulnerability of one's own.")),
    ]


def parameters(study: Study) -> list[tuple[str, str, str]]:
    """Return the parameters: name, value, meaning."""
    damage, T = study.damage, study.temperatures
    rows = []
    for entry in dataclasses.fields(damage):
        value = getattr(damage, entry.name)
        if entry.name not in ("source", "year", "curves"):
            rows.append((entry.name, said(value), "parameter of the damage function"))
    low, high = (float(end) for end in damage.domain)
    domain = "any warming" if not np.isfinite([low, high]).any() else f"{words.number(low)} to {words.number(high)} °C"
    reference = "none" if study.reference is None else f"{study.reference:g} °C"
    count = f"{words.count(T.size, 'temperature')}, {T[0]:g} to {T[-1]:g} °C" if T.size > 1 else f"{T[0]:g} °C"
    factor = f"{words.number(study.base_factor)} {study.economy.unit(study.factor) if study.factor else study.economy.currency}"
    name = study.factor or "all primary inputs, so that factor income is GDP"
    rows += [
        ("domain", domain, "warming that the source of the damage function supports"),
        ("reference", reference, "when the table was observed; its damage is in the table already"),
        ("temperatures", count, "warming above 1850–1900 that was tested"),
        ("factor l′x₀", factor, name.replace("_", " ")),
    ]
    if study.match is not None:
        found, source = study.match.found, study.match.source or "a given share"
        rows.append(
            (
                "scale of γ",
                words.number(float(found.scale), 4),
                f"solved for, so that GDP at {study.match.at:g} °C is {words.percent(float(found.loss), 3)} lower: {source}",
            )
        )
    return rows


def vulnerabilities(study: Study) -> list[tuple[str, str]]:
    """Return each value of gamma with the accounts that have it, the largest first."""
    gamma = study.gamma
    values = sorted({float(v) for v in gamma}, reverse=True)
    sectors, regions = len(study.economy.sectors), study.economy.regions
    rows = []
    for value in values[:MOST_ROWS]:
        accounts = [study.accounts[k] for k in np.flatnonzero(gamma == value)]
        names = list(dict.fromkeys(sector for _, sector in accounts))
        whole = len(accounts) == len(names) * len(regions)
        if len(accounts) == study.economy.n:
            who = "all accounts"
        elif whole:
            who = words.listed(names, 8) + (" (every region)" if len(regions) > 1 else "")
        elif len({region for region, _ in accounts}) == 1 and len(names) == sectors:
            who = f"all sectors of {accounts[0][0]}"
        else:
            who = words.listed([study.label(int(k)) for k in np.flatnonzero(gamma == value)], 8)
        rows.append((f"{value:.4g}", who))
    if len(values) > MOST_ROWS:
        rows.append((f"{len(values) - MOST_ROWS} more", "in result.nc"))
    return rows
