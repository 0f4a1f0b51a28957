"""`ras`, `gras` and `newton`: a table updated to new margins, with exact derivatives."""

from collections.abc import Callable, Mapping
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import concrete, positive
from quesnay._errors import SolveError
from quesnay._results import RESULTS, SUCCESSFUL, raise_unless_successful, result_if

from . import dual, scaling
from .blocks import Blocks
from .diagnosis import explain
from .problem import Problem, Sums, largest_ratio
from .setup import LOOSE, Given, build, check, keeps_signs, require_signs

TOLERANCE = 1e-12
SOFT = (
    "The table was not brought to its soft margins within the steps allowed; check that row_sd and column_sd are in currency "
    "and cell_sd is relative, or take the last table, whose `deviation` says what it misses, with throw=False."
)
EXACT = 1e-12
"""Residual of the linear solve behind derivatives, relative to its right-hand side."""


class Balance(eqx.Module):
    """A table brought to its margins, and how well it meets them.

    Attributes
    ----------
    value:
        The table Z (n, m), in currency.
    iterations:
        Rounds of scaling and Newton steps.
    error:
        Largest deviation of a sum from its exact target, relative to the gross flows of that row, column or block.
    deviation:
        Sums less targets, in currency, by row, column and block: what soft margins gave way by.
    multiplier:
        Logarithms of the factors of rows, columns and blocks, `Z_ij = Z0_ij exp(r_i + c_j + b)` (minus the sum where
        Z0_ij < 0); where cells have standard deviations, in units of 1 / currency.
    result:
        How the solve ended; `q.equilibrium.RESULTS[z.result]` is the sentence where it failed.
    """

    value: Float[Array, "n m"]
    iterations: Int[Array, ""]
    error: Float[Array, ""]
    deviation: Sums
    multiplier: Sums
    result: RESULTS

    def __repr__(self) -> str:
        if not (concrete(self.error) and isinstance(self.error, jax.Array) and self.error.ndim == 0):
            return eqx.tree_pformat(self)
        ended = RESULTS[self.result] or "balanced"
        rows, columns = self.value.shape
        missed = max(float(jnp.max(jnp.abs(part), initial=0)) for part in self.deviation)
        return (
            f"Balance of {rows} x {columns} cells: error of exact sums {float(self.error):.1e}, sums off by up to "
            f"{missed:.3g}, {int(self.iterations)} iterations; {ended}"
        )

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        return {
            "value": (("account", "account_to"), self.value, "{currency}", "updated flows"),
            "row_deviation": (("account",), self.deviation.row, "{currency}", "row sums less their targets"),
            "column_deviation": (
                ("account_to",),
                self.deviation.column,
                "{currency}",
                "column sums less their targets",
            ),
        }


def ras(
    Z0: ArrayLike,
    rows: ArrayLike | None,
    columns: ArrayLike | None,
    *,
    blocks: Blocks | None = None,
    fixed: ArrayLike | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    row_sd: ArrayLike | None = None,
    column_sd: ArrayLike | None = None,
    cell_sd: ArrayLike | None = None,
    tolerance: float = TOLERANCE,
    throw: bool = True,
) -> Balance:
    """Return the non-negative table nearest to Z0 with the given margins: `Z = diag(r) Z0 diag(s)`.

    Minimises `sum_ij Z_ij log(Z_ij / Z0_ij) - Z_ij + Z0_ij`, by alternating scaling, and by Newton's method on the dual
    (see `newton`) where the scaling crawls or the options below leave its form. Derivatives of any order are exact.

    Parameters
    ----------
    Z0:
        Prior table (n, m) >= 0, in currency; cells at 0 stay there. Not square where final demand stands beside.
    rows, columns:
        Wanted sums of rows (n,) and columns (m,), in currency, of the same total (to half of the digits that numbers have:
        what is left between the totals is put on the columns, and is part of `error`); None for no target.
    blocks:
        `Blocks` of cells with sums of their own, such as bilateral trade between regions.
    fixed:
        Cells (n, m), true where Z0 is kept as it is.
    lower, upper:
        Bounds of cells (n, m), or one number for all, in currency; -inf and inf for none.
    row_sd, column_sd:
        Standard deviations of the wanted sums, in currency, not relative to them (0.02 * rows for two per cent): (n,), (m,) or
        one for all; inf for a sum that is unknown, 0 for an exact one.
        Such margins are soft: they need not agree, and give way to each other and to the cells as they are uncertain
        (`deviation`). They need cell_sd.
    cell_sd:
        Relative standard deviations of cells (n, m), or one for all: the divergence is weighed by `1 / (cell_sd^2 Z0)`,
        so that surer cells move less; 0 keeps a cell.
    tolerance:
        Largest error of a sum, relative to the flows it sums; no less than 32 units of rounding.
    throw:
        Raise where the margins are not met; with False the code is in `result`. Exact margins of different totals are an
        error all the same.

    Raises
    ------
    InputError
        Shapes that do not fit; negative cells or targets; margins that no such table has, with the rows and columns that
        contradict each other.
    SolveError
        Not met within 10,000 rounds and 100 Newton steps.

    References
    ----------
    Stone (1961); Bacharach (1970); Miller and Blair (2009), section 7.4. Soft margins: Lenzen, Gallego and Wood (2009),
    Economic Systems Research 21, give way by standard deviation likewise.
    """
    given = check(Z0, rows, columns, blocks, fixed, lower, upper, row_sd, column_sd, cell_sd, signed=False)
    return _balance(given, False, _scaling_first, tolerance, throw)


def gras(
    Z0: ArrayLike,
    rows: ArrayLike | None,
    columns: ArrayLike | None,
    *,
    blocks: Blocks | None = None,
    fixed: ArrayLike | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    row_sd: ArrayLike | None = None,
    column_sd: ArrayLike | None = None,
    cell_sd: ArrayLike | None = None,
    tolerance: float = TOLERANCE,
    throw: bool = True,
) -> Balance:
    """Return the table nearest to Z0, with negative cells, that has the given margins: `Z = r P s - (1/r) N (1/s)`.

    P and N are the positive and the negative part of Z0, r and s diagonal: every cell keeps its sign, and margins may be
    negative or 0. Without negative cells it is `ras`, whose arguments it takes.

    Raises
    ------
    InputError
        As for `ras`; a target that the signs of its cells cannot reach.
    SolveError
        As for `ras`.

    References
    ----------
    Junius and Oosterhaven (2003), Economic Systems Research 15, with the objective of Huang, Kobayashi and Tanji (2008),
    Economic Systems Research 20; Temurshoev, Miller and Bouwmeester (2013), Economic Systems Research 25, for rows
    without positive cells.
    """
    given = check(Z0, rows, columns, blocks, fixed, lower, upper, row_sd, column_sd, cell_sd, signed=True)
    return _balance(given, True, _scaling_first, tolerance, throw)


def newton(
    Z0: ArrayLike,
    rows: ArrayLike | None,
    columns: ArrayLike | None,
    *,
    blocks: Blocks | None = None,
    fixed: ArrayLike | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    row_sd: ArrayLike | None = None,
    column_sd: ArrayLike | None = None,
    cell_sd: ArrayLike | None = None,
    tolerance: float = TOLERANCE,
    throw: bool = True,
) -> Balance:
    """Return the table of `gras` by Newton's method on the dual alone, whatever the coupling of the table.

    The dual is the sum of `int_0^s P e^t - N e^-t dt` over cells less `target' multiplier`, convex, with one multiplier
    for each target; its Newton steps are damped so that they converge from any start, and solved by conjugate gradients
    with products only. Alternating scaling is the better choice where parts of the table trade freely, this one where they
    hardly do; `ras` and `gras` choose by themselves. The arguments are those of `ras`.

    Raises
    ------
    InputError
        As for `gras`.
    SolveError
        Not met within 100 steps.

    References
    ----------
    Sun and Tran-Dinh (2019), Mathematical Programming 178, for the damping.
    """
    given = check(Z0, rows, columns, blocks, fixed, lower, upper, row_sd, column_sd, cell_sd, signed=True)
    return _balance(given, True, _newton_only, tolerance, throw)


def _balance(
    given: Given, signed: bool, method: Callable[[Problem, float], dual.Found], tolerance: float, throw: bool
) -> Balance:
    least = 32 * float(jnp.finfo(given.table.dtype).eps)
    signed = keeps_signs(given, signed)
    balance = _solved(given, signed, method, max(positive(tolerance, "tolerance"), least))
    code = balance.result._value  # pyright: ignore[reportAttributeAccessIssue]
    if not throw or (concrete(code) and code.ndim == 0 and int(code) == SUCCESSFUL):
        return balance
    if concrete(code, given):
        problem = build(given, signed=signed).problem
        names = given.blocks.names if given.blocks is not None else None
        require_signs(problem, given.fixed is not None, names)
        explain(problem, names)
        if given.soft:
            raise SolveError(SOFT)
    return raise_unless_successful(balance, balance.result)


@partial(jax.jit, static_argnames=("signed", "method", "tolerance"))
def _solved(given: Given, signed: bool, method: Callable[[Problem, float], dual.Found], tolerance: float) -> Balance:
    setup = build(given, signed=signed)
    problem = setup.problem
    found = _multipliers(problem, method, tolerance)
    value = problem.cells(found.multipliers) + setup.kept
    reached, gross = problem.sums(value), problem.sums(jnp.abs(value))
    deviation = jax.tree.map(
        lambda there, got, given: jnp.where(there, got - given, 0), setup.given, reached, setup.target
    )
    exact = jax.tree.map(lambda miss, variance: jnp.where(variance == 0, miss, 0), deviation, problem.variance)
    error = jax.lax.stop_gradient(
        largest_ratio(exact, jax.tree.map(lambda g, t: jnp.maximum(g, jnp.abs(t)), gross, setup.target))
    )
    # Totals that differ by rounding were made to agree, and `error` says by how much; traced ones may differ by more.
    result = result_if(~(found.error <= tolerance) | ~(error <= max(tolerance, LOOSE[value.dtype])), RESULTS.unbalanced)
    return Balance(value, found.steps, error, deviation, found.multipliers, result)


def _scaling_first(problem: Problem, tolerance: float) -> dual.Found:
    begun = scaling.scale(problem, tolerance) if problem.scales else dual.nothing(problem)
    return dual.newton(problem, begun, tolerance)


def _newton_only(problem: Problem, tolerance: float) -> dual.Found:
    return dual.newton(problem, dual.nothing(problem), tolerance)


@eqx.filter_custom_jvp
def _multipliers(problem: Problem, method: Callable[[Problem, float], dual.Found], tolerance: float) -> dual.Found:
    return method(problem, tolerance)


@_multipliers.def_jvp
def _multipliers_jvp(primals, tangents):
    """Differentiate `remainder(multipliers, problem) = 0`: `H dl = -d remainder`, at the solution."""
    problem, method, tolerance = primals
    found = _multipliers(problem, method, tolerance)
    there, moved = eqx.filter_jvp(lambda p: p.remainder(found.multipliers), (problem,), (tangents[0],))
    against = Sums(*(jnp.zeros_like(r) if dr is None else -dr for r, dr in zip(there, moved, strict=True)))
    towards = dual.Hessian.at(problem, found.multipliers).solve(against, EXACT)
    return found, dual.Found(towards, jnp.zeros_like(found.error), None)  # pyright: ignore[reportArgumentType]
