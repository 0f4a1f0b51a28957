"""From what a user gives to the balancing problem: checks, parts that stay, margins that agree."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import concrete, first_bad, floating, instance, require
from quesnay._errors import InputError

from .blocks import Blocks, deviations
from .problem import Problem, Sums, Wanted

ROUNDING = 16
"""Units of rounding, of the sums it was formed from, within which a remaining target is 0."""


class Setup(NamedTuple):
    """A problem, the part of the table that stays as it is, and the targets as they were given."""

    problem: Problem
    kept: Float[Array, "n m"]
    target: Sums
    given: Sums


def set_up(
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
) -> Setup:
    """Return the problem of bringing Z0 to its margins, or raise `InputError` for what no table can meet at sight."""
    table = _table(Z0, signed)
    label, block_target, block_sd = _blocks(blocks, table)
    sd = (_sd(row_sd, rows, "row", table.shape[0]), _sd(column_sd, columns, "column", table.shape[1]), block_sd)
    soft = [
        name
        for name, given in (("row_sd", row_sd), ("column_sd", column_sd), ("blocks", block_sd))
        if given is not None
    ]
    if soft and cell_sd is None:
        raise InputError(
            f"{soft[0]} makes margins soft, but nothing says how sure the cells are; give cell_sd, their relative standard "
            f"deviation (0.2, say)."
        )
    target = Sums(
        _margin(rows, "rows", table.shape[0], table), _margin(columns, "columns", table.shape[1], table), block_target
    )
    given = Sums(
        *(jnp.full(t.shape, part is not None) for t, part in zip(target, (rows, columns, blocks), strict=True))
    )
    spread = Sums(*(jnp.zeros_like(t) if s is None else s.astype(t.dtype) for t, s in zip(target, sd, strict=True)))
    known = jax.tree.map(lambda g, s: g & jnp.isfinite(s), given, spread)
    if not any(part is not None for part in (rows, columns, blocks)):
        raise InputError("there are no margins; give rows, columns, or blocks.")

    kept, free = _kept(table, fixed)
    agreed = _agreeing(target) if rows is not None and columns is not None and not soft else target
    problem = Problem(
        *_signs(free, signed),
        None if cell_sd is None else _cell_sd(cell_sd, table) ** 2 * jnp.abs(free),
        None,
        None,
        agreed,
        jax.tree.map(lambda s: jnp.where(jnp.isfinite(s), s, 0) ** 2, spread),
        Wanted(*known),
        label,
    )
    problem = eqx.tree_at(lambda p: p.target, problem, _less(agreed, problem.sums(kept), problem.sums(jnp.abs(kept))))
    require_signs(problem)
    return Setup(_bounded(_emptied(problem), table, lower, upper), kept, target, known)


def _table(Z0: ArrayLike, signed: bool) -> Float[Array, "n m"]:
    table = floating(Z0, "Z0")
    if table.ndim != 2 or table.size == 0:
        raise InputError(f"Z0 has shape {table.shape}; give a table of flows (n, m).")
    require(np.isfinite, lambda: f"Z0 is not finite in {_places(~np.isfinite(np.asarray(table)))}.", table)
    if not signed:
        require(
            lambda z: z >= 0,
            lambda: (
                f"Z0 is negative in {_places(np.asarray(table) < 0)}; take gras, which keeps signs, or clear the cells."
            ),
            table,
        )
    return table


def _places(bad: np.ndarray) -> str:
    places = np.argwhere(bad)
    first = tuple(int(i) for i in places[0])
    return f"cell {first}" if len(places) == 1 else f"{len(places):,} cells, the first at {first}"


def _margin(sums: ArrayLike | None, name: str, size: int, table: Array) -> Array:
    if sums is None:
        return jnp.zeros(size, table.dtype)
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


def _sd(sd: ArrayLike | None, sums: ArrayLike | None, name: str, size: int) -> Array | None:
    if sd is None:
        return None
    if sums is None:
        raise InputError(f"{name}_sd is given, but {name}s are not; give both or neither.")
    return deviations(sd, (size,), f"{name}_sd")


def _cell_sd(sd: ArrayLike, table: Array) -> Array:
    values = deviations(sd, table.shape, "cell_sd").astype(table.dtype)
    require(np.isfinite, "cell_sd has infinite entries; give relative standard deviations, such as 0.2.", values)
    return values


def _blocks(blocks: Blocks | None, table: Array) -> tuple[Array | None, Array, Array | None]:
    if blocks is None:
        return None, jnp.zeros(0, table.dtype), None
    instance(blocks, Blocks, "blocks", "q.update.Blocks(label, total) or q.update.Blocks.between(...)")
    if blocks.label.shape != table.shape:
        raise InputError(f"the blocks label {blocks.label.shape} cells, but Z0 is {table.shape[0]} x {table.shape[1]}.")
    number = blocks.total.shape[0]
    return jnp.where(blocks.label < 0, number, blocks.label), blocks.total.astype(table.dtype), blocks.sd


def _kept(table: Array, fixed: ArrayLike | None) -> tuple[Array, Array]:
    if fixed is None:
        return jnp.zeros_like(table), table
    mask = fixed if isinstance(fixed, jax.Array) else np.asarray(fixed)
    if mask.shape != table.shape or mask.dtype != bool:
        raise InputError(
            f"fixed is {mask.dtype} of shape {mask.shape}; give true or false for each cell {table.shape}."
        )
    return jnp.where(mask, table, 0), jnp.where(mask, 0, table)


def _signs(free: Array, signed: bool) -> tuple[Array, Array | None]:
    if not signed or (concrete(free) and not bool(np.any(np.asarray(free) < 0))):
        return free, None
    return jnp.where(free > 0, free, 0), jnp.where(free < 0, -free, 0)


def _agreeing(target: Sums) -> Sums:
    """Return the margins with equal totals: columns take up what is rounding, and more than that is an error."""
    total, other = target.row.sum(), target.column.sum()
    size = jnp.abs(target.column).sum()
    loose = float(np.sqrt(jnp.finfo(total.dtype).eps))
    require(
        lambda a, b, gross: np.abs(a - b) <= loose * np.maximum(gross, np.abs(a)),
        lambda: (
            f"the rows sum to {float(total):.10g} and the columns to {float(other):.10g}: no table has both; make them "
            f"agree, or give row_sd, column_sd and cell_sd, so that the margins give way."
        ),
        *(total, other, size),
    )
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


def require_signs(problem: Problem) -> None:
    """Raise `InputError` where a sum has a sign that none of its cells has."""
    if not concrete(problem):
        return
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
                lack = "all cells that may move are 0 there" if p[i] + m[i] == 0 else f"it has no {sign} cell"
                raise InputError(
                    f"{kind} {i} should sum to {target[i]:.6g}, but {lack}, and updating keeps zeros and signs; give it a flow "
                    f"in Z0, or change its target."
                )


def _bounded(problem: Problem, table: Array, lower: ArrayLike | None, upper: ArrayLike | None) -> Problem:
    if lower is None and upper is None:
        return problem
    low, high = (
        jnp.full(table.shape, none, table.dtype) if bound is None else _bound(bound, table, name)
        for bound, name, none in ((lower, "lower", -jnp.inf), (upper, "upper", jnp.inf))
    )
    require(
        lambda a, b: a <= b,
        lambda: f"lower is above upper in {_places(np.asarray(low > high))}.",
        *(low, high),
    )
    plus = problem.positive
    minus = jnp.zeros_like(plus) if problem.negative is None else problem.negative
    require(
        lambda a, b, p, m: ~(((p > 0) & (b <= 0)) | ((m > 0) & (a >= 0))),
        lambda: (
            f"a bound excludes the sign of {_places(np.asarray(((plus > 0) & (high <= 0)) | ((minus > 0) & (low >= 0))))}; "
            f"cells keep their sign: set the cell to 0 in Z0, or fix it."
        ),
        *(low, high, plus, minus),
    )
    k = jnp.ones_like(plus) if problem.elasticity is None else problem.elasticity
    bounds = tuple(_exponent(bound, plus, minus, k, none) for bound, none in ((low, -jnp.inf), (high, jnp.inf)))
    return eqx.tree_at(lambda p: (p.lowest, p.highest), problem, bounds, is_leaf=lambda x: x is None)


def _bound(bound: ArrayLike, table: Array, name: str) -> Array:
    values = floating(bound, name)
    if values.shape not in ((), table.shape):
        raise InputError(f"{name} has shape {values.shape}; give {table.shape}, or one number for all cells.")
    require(lambda b: ~np.isnan(b), f"{name} has missing entries; give -inf or inf where there is no bound.", values)
    return jnp.broadcast_to(values, table.shape).astype(table.dtype)


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
