"""From what a user gives to the balancing problem: checks, parts that stay, margins that agree."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike

from quesnay._checks import concrete, first_bad, floating, instance, require
from quesnay._errors import InputError

from .blocks import Blocks, deviations
from .problem import Problem, Sums, Wanted

LOOSE = {np.dtype(kind): float(np.sqrt(np.finfo(kind).eps)) for kind in (np.float32, np.float64)}
"""Difference of two totals, relative to them, that counts as rounding."""
ROUNDING = 16
"""Units of rounding, of the sums it was formed from, within which a remaining target is 0."""


class Given(NamedTuple):
    """What a user gave, as arrays whose shapes fit; None where nothing was given."""

    table: Float[Array, "n m"]
    rows: Float[Array, " n"] | None
    columns: Float[Array, " m"] | None
    blocks: Blocks | None
    fixed: Bool[Array, "n m"] | None
    lower: Float[Array, "n m"] | None
    upper: Float[Array, "n m"] | None
    row_sd: Float[Array, " n"] | None
    column_sd: Float[Array, " m"] | None
    cell_sd: Float[Array, "n m"] | None

    @property
    def soft(self) -> bool:
        """Whether any target has a standard deviation."""
        return any(sd is not None for sd in (self.row_sd, self.column_sd, self.blocks and self.blocks.sd))


class Setup(NamedTuple):
    """A problem, the part of the table that stays as it is, and the targets as they were given."""

    problem: Problem
    kept: Float[Array, "n m"]
    target: Sums
    given: Sums


def check(
    Z0: ArrayLike,
    rows: ArrayLike | None,
    columns: ArrayLike | None,
    blocks: Blocks | None,
    fixed: ArrayLike | None,
    lower: ArrayLike | None,
    upper: ArrayLike | None,
    row_sd: ArrayLike | None,
    column_sd: ArrayLike | None,
    cell_sd: ArrayLike | None,
    *,
    signed: bool,
) -> Given:
    """Return what was given as arrays, or raise `InputError` for what does not fit at sight."""
    table = _table(Z0, signed)
    given = Given(
        table,
        _margin(rows, "rows", table.shape[0], table),
        _margin(columns, "columns", table.shape[1], table),
        _blocks(blocks, table),
        _fixed(fixed, table),
        _bound(lower, table, "lower"),
        _bound(upper, table, "upper"),
        _sd(row_sd, rows, "row", table.shape[0], table),
        _sd(column_sd, columns, "column", table.shape[1], table),
        None if cell_sd is None else deviations(cell_sd, table.shape, "cell_sd").astype(table.dtype),
    )
    if rows is None and columns is None and blocks is None:
        raise InputError("there are no margins; give rows, columns, or blocks.")
    if given.soft and cell_sd is None:
        soft = next(
            name for name, sd in (("row_sd", row_sd), ("column_sd", column_sd), ("blocks", True)) if sd is not None
        )
        raise InputError(
            f"{soft} makes margins soft, but nothing says how sure the cells are; give cell_sd, their relative standard "
            f"deviation (0.2, say)."
        )
    if given.cell_sd is not None:
        require(
            np.isfinite, "cell_sd has infinite entries; give relative standard deviations, such as 0.2.", given.cell_sd
        )
    _require_agreement(given)
    _require_bounds(given)
    return given


def build(given: Given, *, signed: bool) -> Setup:
    """Return the problem; nothing is checked here, so that all of it can be compiled."""
    table = given.table
    blocks = given.blocks
    raw = (given.rows, given.columns, None if blocks is None else blocks.total)
    sds = (given.row_sd, given.column_sd, None if blocks is None else blocks.sd)
    sizes = (*table.shape, 0)
    target = Sums(
        *(jnp.zeros(n, table.dtype) if t is None else t.astype(table.dtype) for t, n in zip(raw, sizes, strict=True))
    )
    spread = Sums(*(jnp.zeros_like(t) if sd is None else sd.astype(t.dtype) for t, sd in zip(target, sds, strict=True)))
    there = Sums(*(jnp.full(t.shape, part is not None) for t, part in zip(target, raw, strict=True)))
    known = jax.tree.map(lambda is_, sd: is_ & jnp.isfinite(sd), there, spread)

    kept = jnp.zeros_like(table) if given.fixed is None else jnp.where(given.fixed, table, 0)
    free = table if given.fixed is None else jnp.where(given.fixed, 0, table)
    problem = Problem(
        jnp.where(free > 0, free, 0) if signed else free,
        jnp.where(free < 0, -free, 0) if signed else None,
        None if given.cell_sd is None else given.cell_sd**2 * jnp.abs(free),
        None,
        None,
        target if given.soft or given.rows is None or given.columns is None else _agreeing(target),
        jax.tree.map(lambda sd: jnp.where(jnp.isfinite(sd), sd, 0) ** 2, spread),
        Wanted(*known),
        None if blocks is None else jnp.where(blocks.label < 0, blocks.total.shape[0], blocks.label),
    )
    if given.fixed is not None:
        left = _less(problem.target, problem.sums(kept), problem.sums(jnp.abs(kept)))
        problem = eqx.tree_at(lambda p: p.target, problem, left)
    return Setup(_bounded(_emptied(problem), given), kept, target, known)


def set_up(*given: Any, signed: bool) -> Setup:
    """Return the problem of the arguments of `check`."""
    checked = check(*given, signed=signed)
    return build(checked, signed=keeps_signs(checked, signed))


def keeps_signs(given: Given, signed: bool) -> bool:
    """Say whether the table may have negative cells: not where it has numbers, and none of them is."""
    return signed and not (concrete(given.table) and not bool(np.any(np.asarray(given.table) < 0)))


def _table(Z0: ArrayLike, signed: bool) -> Float[Array, "n m"]:
    table = floating(Z0, "Z0")
    if table.ndim != 2 or table.size == 0:
        raise InputError(f"Z0 has shape {table.shape}; give a table of flows (n, m).")
    require(_finite, lambda: f"Z0 is not finite in {_places(~np.isfinite(np.asarray(table)))}.", table)
    if not signed:
        require(
            lambda z: z.min() >= 0,
            lambda: (
                f"Z0 is negative in {_places(np.asarray(table) < 0)}; take gras, which keeps signs, or clear the cells."
            ),
            table,
        )
    return table


def _finite(values: np.ndarray) -> Any:
    # The sum is one pass without temporaries; only where it overflows, or is not finite, each value is looked at.
    with np.errstate(over="ignore", invalid="ignore"):
        return True if np.isfinite(values.sum()) else np.isfinite(values)


def _places(bad: np.ndarray) -> str:
    places = np.argwhere(bad)
    first = tuple(int(i) for i in places[0])
    return f"cell {first}" if len(places) == 1 else f"{len(places):,} cells, the first at {first}"


def _margin(sums: ArrayLike | None, name: str, size: int, table: Array) -> Array | None:
    if sums is None:
        return None
    values = floating(sums, name)
    if values.shape != (size,):
        raise InputError(
            f"{name} has shape {values.shape}, but Z0 is {table.shape[0]} x {table.shape[1]}; give ({size},)."
        )
    require(
        np.isfinite,
        lambda: (
            f"{name} has no finite number at {first_bad(~np.isfinite(np.asarray(values)))}; where a sum is unknown, "
            f"give any number with an infinite {name.rstrip('s')}_sd."
        ),
        values,
    )
    return values.astype(table.dtype)


def _sd(sd: ArrayLike | None, sums: ArrayLike | None, name: str, size: int, table: Array) -> Array | None:
    if sd is None:
        return None
    if sums is None:
        raise InputError(f"{name}_sd is given, but {name}s are not; give both or neither.")
    return deviations(sd, (size,), f"{name}_sd").astype(table.dtype)


def _blocks(blocks: Blocks | None, table: Array) -> Blocks | None:
    if blocks is None:
        return None
    instance(blocks, Blocks, "blocks", "q.update.Blocks(label, total) or q.update.Blocks.between(...)")
    if blocks.label.shape != table.shape:
        raise InputError(f"the blocks label {blocks.label.shape} cells, but Z0 is {table.shape[0]} x {table.shape[1]}.")
    return blocks


def _fixed(fixed: ArrayLike | None, table: Array) -> Array | None:
    if fixed is None:
        return None
    if hasattr(fixed, "to_numpy"):
        raise InputError(
            f"fixed is a {type(fixed).__name__}, whose labels an array would lose unchecked; give an array."
        )
    try:
        mask = fixed if isinstance(fixed, jax.Array) else np.asarray(fixed)
    except ValueError:
        raise InputError("fixed is not a rectangular array; give true or false for each cell.") from None
    if mask.shape != table.shape or mask.dtype != bool:
        raise InputError(
            f"fixed is {mask.dtype} of shape {mask.shape}; give true or false for each cell {table.shape}."
        )
    return jnp.asarray(mask)


def _bound(bound: ArrayLike | None, table: Array, name: str) -> Array | None:
    if bound is None:
        return None
    values = floating(bound, name)
    if values.shape not in ((), table.shape):
        raise InputError(f"{name} has shape {values.shape}; give {table.shape}, or one number for all cells.")
    require(lambda b: ~np.isnan(b), f"{name} has missing entries; give -inf or inf where there is no bound.", values)
    return jnp.broadcast_to(values, table.shape).astype(table.dtype)


def _require_agreement(given: Given) -> None:
    """Raise `InputError` where margins without deviations have different totals, by more than rounding."""
    if given.soft or given.rows is None or given.columns is None or not concrete(given.rows, given.columns):
        return
    rows, columns = np.asarray(given.rows), np.asarray(given.columns)
    total, other = rows.sum(), columns.sum()
    if not abs(total - other) <= LOOSE[rows.dtype] * max(np.abs(columns).sum(), abs(total)):
        raise InputError(
            f"the rows sum to {float(total):.10g} and the columns to {float(other):.10g}: no table has both; make them "
            f"agree, or give row_sd, column_sd and cell_sd, so that the margins give way."
        )


def _require_bounds(given: Given) -> None:
    """Raise `InputError` for bounds that leave a cell nothing, or not its sign."""
    if (given.lower is None and given.upper is None) or not concrete(given.table, given.lower, given.upper):
        return
    table = np.asarray(given.table)
    low = np.full(table.shape, -np.inf) if given.lower is None else np.asarray(given.lower)
    high = np.full(table.shape, np.inf) if given.upper is None else np.asarray(given.upper)
    if np.any(low > high):
        raise InputError(f"lower is above upper in {_places(low > high)}.")
    moves = np.ones(table.shape, bool) if given.fixed is None else ~np.asarray(given.fixed)
    bad = moves & (((table > 0) & (high <= 0)) | ((table < 0) & (low >= 0)))
    if bad.any():
        raise InputError(
            f"a bound excludes the sign of {_places(bad)}; cells keep their sign: set the cell to 0 in Z0, or fix it."
        )


def _agreeing(target: Sums) -> Sums:
    """Return the margins with equal totals: columns take up what is rounding."""
    total, other = target.row.sum(), target.column.sum()
    size = jnp.abs(target.column).sum()
    share = jnp.abs(target.column) / jnp.where(size > 0, size, 1)
    return target._replace(column=target.column + (total - other) * share)


def _less(target: Sums, kept: Sums, gross: Sums) -> Sums:
    """Return what is left for the other cells; what is rounding of the difference is 0."""

    def one(wanted, stays, flows):
        rest = wanted - stays
        return jnp.where(jnp.abs(rest) <= ROUNDING * jnp.finfo(rest.dtype).eps * flows, 0, rest)

    return jax.tree.map(one, target, kept, gross)


def _emptied(problem: Problem) -> Problem:
    """Return the problem without the sums that are to be 0 and whose cells, all of one sign, then are 0: no factor is."""
    plus, minus = parts(problem)
    exact = jax.tree.map(lambda there, v: there & (v == 0), Sums(*problem.wanted), problem.variance)
    empty = jax.tree.map(
        lambda is_, t, p, m: is_ & (t == 0) & ((p == 0) | (m == 0)), exact, problem.target, plus, minus
    )
    block = jnp.append(empty.block, False)
    gone = empty.row[:, None] | empty.column
    if problem.label is not None:
        gone = gone | block[problem.label]
    wanted = Wanted(*jax.tree.map(lambda there, e: there & ~e, Sums(*problem.wanted), empty))
    cells = (problem.positive, problem.negative, problem.elasticity)
    left = tuple(None if part is None else jnp.where(gone, 0, part) for part in cells)
    return eqx.tree_at(
        lambda p: (p.positive, p.negative, p.elasticity, p.wanted),
        problem,
        (*left, wanted),
        is_leaf=lambda x: x is None,
    )


def parts(problem: Problem) -> tuple[Sums, Sums]:
    """Return the sums of the positive and of the negative parts of the cells."""
    plus = problem.sums(problem.positive)
    return plus, jax.tree.map(jnp.zeros_like, plus) if problem.negative is None else problem.sums(problem.negative)


def require_signs(problem: Problem, fixed: bool, names: tuple[str, ...] | None = None) -> None:
    """Raise `InputError` where a sum has a sign that none of its cells has."""
    plus, minus = parts(problem)
    for kind in ("row", "column", "block"):
        there, target, exact, p, m = (
            np.asarray(getattr(part, kind))
            for part in (problem.wanted, problem.target, jax.tree.map(lambda v: v == 0, problem.variance), plus, minus)
        )
        for bad, sign in (
            (there & exact & (target > 0) & (p == 0), "positive"),
            (there & exact & (target < 0) & (m == 0), "negative"),
        ):
            if bad.any():
                i = first_bad(bad)
                which = f"{kind} {names[i] if kind == 'block' and names else i}"
                lack = "all cells that may move are 0 there" if p[i] + m[i] == 0 else f"it has no {sign} cell"
                wanted = (
                    f"leaves {target[i]:.6g} for cells that are not fixed"
                    if fixed
                    else f"should sum to {target[i]:.6g}"
                )
                raise InputError(
                    f"{which} {wanted}, but {lack}, and updating keeps zeros and signs; give it a flow "
                    f"in Z0, or change its target."
                )


def _bounded(problem: Problem, given: Given) -> Problem:
    if given.lower is None and given.upper is None:
        return problem
    plus = problem.positive
    minus = jnp.zeros_like(plus) if problem.negative is None else problem.negative
    k = jnp.ones_like(plus) if problem.elasticity is None else problem.elasticity
    ends = ((given.lower, -jnp.inf), (given.upper, jnp.inf))
    bounds = tuple(
        jnp.full_like(plus, none) if bound is None else _exponent(bound, plus, minus, k, none) for bound, none in ends
    )
    return eqx.tree_at(lambda p: (p.lowest, p.highest), problem, bounds, is_leaf=lambda x: x is None)


def _exponent(bound: Array, plus: Array, minus: Array, k: Array, none: float) -> Array:
    """Return the s at which the cell is at its bound, `none` where it never is."""
    moves = k > 0
    rising, falling = moves & (plus > 0) & (bound > 0), moves & (minus > 0) & (bound < 0)
    inside = jnp.isfinite(bound)
    ratio = jnp.where(
        rising & inside,
        bound / jnp.where(rising, plus, 1),
        jnp.where(falling & inside, minus / jnp.where(falling & inside, -bound, 1), 1),
    )
    at = jnp.log(ratio) / jnp.where(moves, k, 1)
    return jnp.where((rising | falling) & inside, at, none)
