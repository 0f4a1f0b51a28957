"""The best policy where factors may exceed 1 and outputs may rise: a linear programme in twice the accounts, by HiGHS."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import scipy.optimize
import scipy.sparse as sp
from jaxtyping import Array, Bool, Float, Int

from quesnay._vertices import independent

from .assignments import Assignments
from .policy import ROUNDING

PRECISE = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
PRICED = 1e-9
"""A dual above this counts as positive; the coefficients of the objective add up to 1."""
NEAR = 1e-8
"""Share of an output within which it is at its bound."""
MAX_MOVES = 50
AT_HI, AT_LO, HELD = 0, 1, 2


class Vertex(NamedTuple):
    """A vertex: n equations, each that one account is at a bound of its assignment or at its base output.

    Attributes
    ----------
    account:
        Whose equation it is (n,); an account may have two, or none.
    alpha:
        The bound that it is at (n,), nan where HiGHS failed.
    held:
        Whether it is at its base instead (n,).
    side:
        By account (n,): 1 where its output is above its base, -1 below, 0 where it is held there. At its base without being
        held, it leans to the side that keeps it at its bound.
    worth, steps:
        As for `policy.Policy`: zeros, and -1.
    dual, lean:
        HiGHS's own worths of assignments and of base outputs (n,), to its tolerance.
    """

    account: Int[Array, " n"]
    alpha: Float[Array, " n"]
    held: Bool[Array, " n"]
    side: Float[Array, " n"]
    worth: Float[Array, " n"]
    steps: Int[Array, ""]
    dual: Float[Array, " n"]
    lean: Float[Array, " n"]


def at_base(base: Float[Array, " n"]) -> Vertex:
    """Return the vertex at which every account has its base output."""
    n, zero = base.size, jnp.zeros_like(base)
    return Vertex(
        jnp.arange(n, dtype=jnp.int32), jnp.ones_like(base), jnp.ones(n, bool), zero, zero, jnp.asarray(-1), zero, zero
    )


def solve(
    economy: Assignments,
    cost: Float[Array, " n"],
    weight: Float[Array, " n"],
    lo: Float[Array, " n"],
    hi: Float[Array, " n"],
    base: Float[Array, " n"],
) -> Vertex:
    """Return the vertex with the least `cost' u + weight' |u - base|` over `lo (A~ u + d~) <= u <= hi (A~ u + d~)`.

    The programme's variables are u and `t >= |u - base|`. Of the optimum only the equations that hold are taken; its numbers
    are solved for anew.
    """
    n = cost.size
    form = (
        jax.ShapeDtypeStruct((n,), jnp.int32),
        jax.ShapeDtypeStruct((n,), cost.dtype),
        jax.ShapeDtypeStruct((n,), jnp.bool_),
        *(jax.ShapeDtypeStruct((n,), cost.dtype),) * 3,
    )
    numbers = jax.lax.stop_gradient((economy.matrix, economy.final_demand, cost, weight, lo, hi, base))
    account, alpha, held, side, dual, lean = jax.pure_callback(_vertex, form, *numbers, vmap_method="sequential")
    return Vertex(account, alpha, held, side, jnp.zeros_like(cost), jnp.asarray(-1), dual, lean)


def outputs(economy: Assignments, vertex: Vertex, base: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return u at a vertex, with its derivatives while the vertex stays."""
    right = jnp.where(vertex.held, base[vertex.account], vertex.alpha * economy.final_demand[vertex.account])
    return lx.linear_solve(lx.MatrixLinearOperator(_equations(economy, vertex)), right, lx.LU(), throw=False).value


def multipliers(
    economy: Assignments, vertex: Vertex, slope: Float[Array, " n"]
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Return the worths w of the assignments, and the slope less the multipliers of the base outputs that are held."""
    y = jnp.linalg.solve(_equations(economy, vertex).T, slope)
    nothing = jnp.zeros_like(y)
    w = nothing.at[vertex.account].add(jnp.where(vertex.held, 0, y))
    return w, slope.at[vertex.account].add(jnp.where(vertex.held, -y, 0))


def _equations(economy: Assignments, vertex: Vertex) -> Float[Array, "n n"]:
    one = jnp.eye(vertex.alpha.size, dtype=vertex.alpha.dtype)[vertex.account]
    rest = vertex.alpha[:, None] * economy.matrix[vertex.account]
    return jnp.where(vertex.held[:, None], one, one - rest)


def _vertex(matrix, d, cost, weight, lo, hi, base) -> tuple[np.ndarray, ...]:
    precision = np.asarray(cost).dtype
    matrix, d, cost, weight, lo, hi, base = (np.asarray(v, float) for v in (matrix, d, cost, weight, lo, hi, base))
    n = len(d)
    nothing = np.zeros(n, precision)
    failed = np.arange(n, dtype=np.int32), np.full(n, np.nan, precision), np.zeros(n, bool), nothing, nothing, nothing
    entries, one = sp.csr_array(matrix), sp.eye_array(n)
    scale = (np.abs(cost) + weight).sum() or 1.0
    constraints = [
        [one - sp.diags_array(hi) @ entries, None],
        [sp.diags_array(lo) @ entries - one, None],
        [one, -one],
        [-one, -one],
    ]
    found = scipy.optimize.linprog(
        np.concatenate([cost, weight]) / scale,
        A_ub=sp.block_array(constraints).tocsc(),
        b_ub=np.concatenate([hi * d, -lo * d, base, -base]),
        bounds=(0, None),
        method="highs",
        options=PRECISE,  # pyright: ignore[reportArgumentType]
    )
    if found.status != 0:
        return failed
    u, (to_hi, to_lo, above, below) = found.x[:n], -found.ineqlin.marginals.reshape(4, n)
    asked = matrix @ u + d
    # Equations in the order at hi, at lo, at the base; those that hold, the ones that have a price first.
    factors, price = np.concatenate([hi, lo, 0 * hi]), np.concatenate([to_hi, to_lo, np.minimum(above, below)])
    miss = np.concatenate([hi * asked - u, u - lo * asked, u - base])
    holds = np.flatnonzero(np.abs(miss) <= NEAR * np.tile(np.maximum(u, 1e-3), 3))
    rows = np.eye(n)[holds % n] - factors[holds, None] * matrix[holds % n]
    chosen = holds[independent(rows, price[holds] > PRICED, n)]
    if len(chosen) < n:
        return failed
    account, kind, side = _polished(matrix, d, cost, weight, lo, hi, base, chosen % n, chosen // n)
    alpha = np.where(kind == AT_HI, hi[account], lo[account])
    duals = (scale * (to_lo - to_hi)).astype(precision), (scale * (above - below)).astype(precision)
    return account.astype(np.int32), alpha.astype(precision), kind == HELD, side.astype(precision), *duals


def _polished(matrix, d, cost, weight, lo, hi, base, account, kind) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the vertex, with accounts moved whose worth at working precision is not what HiGHS took it for, and their sides.

    Accounts that weigh less than its tolerance are placed by chance, and are all that is left where nearly all is cut.
    """
    n = len(d)
    single = np.bincount(account, minlength=n)[account] == 1
    one, side = np.eye(n)[account], np.zeros(n)
    kept, least = None, np.inf
    for _ in range(MAX_MOVES):
        held = kind == HELD
        alpha = np.where(kind == AT_HI, hi[account], lo[account])
        rows = np.where(held[:, None], one, one - alpha[:, None] * matrix[account])
        try:
            u = np.linalg.solve(rows, np.where(held, base[account], alpha * d[account]))
            side[account] = np.where(kind == AT_LO, 1, -1)
            side = np.where(np.abs(u - base) > NEAR * np.maximum(base, u), np.sign(u - base), side)
            side[account[held]] = 0
            slope = cost + weight * side
            y = np.linalg.solve(rows.T, slope)
        except np.linalg.LinAlgError:
            break
        asked, loss = matrix @ u + d, cost @ u + weight @ np.abs(u - base)
        slack = NEAR * np.maximum(base, u)
        feasible = np.all((u <= hi * asked + slack) & (u >= lo * asked - slack))
        if kept is not None and not (feasible and loss <= least + NEAR * abs(least)):
            return kept
        kept, least = (account, kind.copy(), side.copy()), loss
        w = np.zeros(n)
        np.add.at(w, account, np.where(held, 0, y))
        room = (np.abs(cost) + weight + matrix.T @ (hi * np.abs(w)))[account] * ROUNDING * np.finfo(float).eps
        slopes, lowest, highest = slope[account] - y, (cost - weight)[account], (cost + weight)[account]
        down = single & ((kind == AT_HI) & (y > room) | held & (slopes < lowest - room))
        up = single & ((kind == AT_LO) & (y < -room) | held & (slopes > highest + room))
        if not (down | up).any():
            break
        kind = np.where(down, AT_LO, np.where(up, AT_HI, kind))
    return account, kind, side
