"""What a run assumes, in words: the model and its parameters, what is left out, the shock, the data and the software."""

import platform
from dataclasses import dataclass

import jax
import numpy as np

from .. import __version__, supply
from ..economy import Economy
from ..supply.stability import technology_bound
from . import words
from .run import Run
from .shocks import sentences

_LARGE = 400
EQUATIONS = (
    (
        "cap(t) = z(t) · k · x(0)",
        "Capacity is base output times spare capacity k, less what the shock takes: z falls from 1 to 1 − loss.",
    ),
    ("inp(t) = min s(t−1)", "What the scarcest stock of inputs allows: every input is needed in a fixed proportion."),
    (
        "x(t) = min(D(t−1), cap(t), inp(t))",
        "Output is the least of what was ordered, what capacity allows and what inputs allow.",
    ),
    (
        "r(t) = x(t) / D(t−1)",
        "A supplier that cannot serve everybody gives all customers and final demand the same share of their order.",
    ),
    ("s(t) = s(t−1) + received − used", "Stocks grow by what is received and shrink by what is used."),
    (
        "o(t) = max(0, D(t−1) + (n · x(0) − s(t)) / τ)",
        "Firms order what they need to serve demand, and close the gap to n days of stock within τ days.",
    ),
    (
        "D(t) = d + Σ a · o(t)",
        "Tomorrow's demand is final demand and all orders placed today; what was not delivered is not ordered again by itself.",
    ),
)
LEFT_OUT = (
    "Prices do not move, so that nothing is rationed by price and nobody substitutes one input for another.",
    (
        "An input from one region cannot be replaced by the same product from another region; with several regions and small "
        "stocks this makes losses large."
    ),
    "Imported inputs from outside the table are always available; final demand stays what it is.",
    "Incomes, credit and policy do not react; lost sales to final demand are lost.",
    (
        "Jobs, emissions and other accounts follow output in fixed proportion on the same day: they show what output carries, "
        "not dismissals or measured emissions."
    ),
)


@dataclass(frozen=True)
class Assumptions:
    """Everything that the last section of a report says.

    Attributes
    ----------
    shocks: sentences.
    parameters: (name, value, meaning).
    rules: sentences on the rules in use.
    equations: (formula, in words); empty where other rules than the default ones are in use.
    left_out: sentences.
    stability: a sentence on the order rule.
    """

    shocks: tuple[str, ...]
    parameters: tuple[tuple[str, str, str], ...]
    rules: tuple[str, ...]
    equations: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...]
    stability: str


def assumptions(run: Run) -> Assumptions:
    """Return what a run assumes."""
    model = run.model
    defaults = (supply.FixedProportions, supply.Proportional, supply.StockAdjustment)
    rules = (model.production, model.rationing, model.orders)
    usual = all(type(rule) is default for rule, default in zip(rules, defaults, strict=True))
    return Assumptions(
        shocks=sentences(run),
        parameters=(
            ("n, inventory", _values(model.inventory, "days"), "target stock of every input, in days of base output"),
            ("τ, adjustment time", _values(model.adjustment, "days"), "time in which orders close a gap in stocks"),
            ("k, capacity", _values(model.capacity, "× base"), "largest output, as a multiple of base output"),
            ("time step", "1 day", f"{words.number(run.days_per_year, 4)} days make the table's year"),
            ("horizon", words.count(run.days, "day"), "days that were simulated; the base state comes before day 0"),
        ),
        rules=tuple(_first_line(rule) for rule in rules),
        equations=EQUATIONS if usual else (),
        left_out=LEFT_OUT,
        stability=_stability(run),
    )


def versions() -> tuple[tuple[str, str], ...]:
    """Return the versions of what computed the numbers."""
    return (
        ("quesnay", __version__),
        ("jax", jax.__version__),
        ("numpy", np.__version__),
        ("python", platform.python_version()),
    )


def _values(values, unit: str) -> str:
    host = np.asarray(values, dtype=float)
    low, high = (f"{v:,.6g}" for v in (host.min(), host.max()))
    return f"{low} {unit}" if low == high else f"{low} to {high} {unit}, by sector"


def _first_line(rule) -> str:
    text = (type(rule).__doc__ or type(rule).__name__).strip().splitlines()[0]
    return f"{type(rule).__name__}: {text.replace('`', '')}"


def _stability(run: Run) -> str:
    if type(run.model.orders) is not supply.StockAdjustment:
        return "Stability is not known for this order rule."
    rho = float(technology_bound(run.model.network))
    # The bound costs little; the eigenvalues of a large network are computed only where it does not decide.
    enough = (1 + rho) / (2 * (1 - rho)) if rho < 1 else np.inf
    if run.economy.n > _LARGE and np.min(np.asarray(run.model.adjustment)) > enough:
        return (
            f"The order rule is stable: with these coefficients (spectral radius at most {words.number(rho, 4)}) every "
            f"adjustment time above {words.number(enough)} days is."
        )
    found = supply.stability(run.model.network, run.model.adjustment)  # pyright: ignore[reportArgumentType]
    radius = words.number(found.radius, 4)
    if found.radius > 1 + 1e-9:
        return (
            f"The order rule is unstable: small disturbances grow by a factor of {radius} a day around the base state, so "
            f"that part of what this report shows is oscillation of orders; adjustment times above "
            f"{words.number(found.sufficient_adjustment)} days are stable in any network with these coefficients."
        )
    return (
        f"The order rule is stable: around the base state small disturbances shrink by a factor of {radius} a day "
        f"(spectral radius of the linearised step; below 1 is stable)."
    )


def table_facts(economy: Economy) -> tuple[tuple[str, str], ...]:
    """Return what a table is, as (name, value)."""
    state = economy.balance()
    regions, sectors = len(economy.regions), len(economy.sectors)
    size = f"{words.count(regions, 'region')}, {words.count(sectors, 'sector')}, {words.count(economy.n, 'account')}"
    size += f", {words.count(int((np.asarray(economy.Z) > 0).sum()), 'flow')}"
    unused = int((np.asarray(economy.output) == 0).sum())
    rows = [
        ("Table", economy.name if economy.year is None else f"{economy.name}, year {economy.year}"),
        ("Size", size),
        ("Unit", f"{economy.currency} per year"),
        ("Gross output", f"{words.number(float(np.sum(economy.output)))} {economy.currency}"),
        ("Value added", f"{words.number(float(np.sum(economy.value_added)))} {economy.currency}"),
        ("Imported inputs", f"{words.number(float(np.sum(economy.imports)))} {economy.currency}"),
        ("Balance", f"rows miss {_imbalance(state.row_share)} of output, columns {_imbalance(state.column_share)}"),
        ("Spectral radius of A", f"{words.number(economy.spectral_radius, 4)} (below 1: productive)"),
    ]
    if unused:
        rows.append(("Without output", words.count(unused, "account")))
    return tuple(rows)


def _imbalance(share: float) -> str:
    return "nothing" if share < 1e-12 else words.percent(share)
