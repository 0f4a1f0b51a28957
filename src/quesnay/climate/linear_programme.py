"""The most final demand that capacities permit: a linear programme, solved by HiGHS and differentiated at its vertex."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import floating, require
from quesnay._errors import InputError
from quesnay._vertices import independent

from .readings import TIE, AbstractReading, Delivery

PRECISE = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
BOUND = 1e-12
"""Distance to a bound, relative to capacity, within which a variable is at it: HiGHS leaves those of a vertex exactly there."""
INSIDE = 1e-9
"""What the vertex may miss a bound by, ten times the tolerance of HiGHS, relative to the largest capacity."""
PRICED = 1e-9
"""A dual above this counts as positive; the objective's coefficients are shares of final demand."""


def _share(name: str, value: ArrayLike | None) -> Array | None:
    if value is None:
        return None
    share = floating(value, name)
    if share.ndim:
        raise InputError(f"{name} has shape {share.shape}; give one multiple of the base.")
    require(
        lambda v: (v > 0) & np.isfinite(v), lambda: f"{name} is {share}; give a multiple of the base above 0.", share
    )
    return share


class LinearProgramme(AbstractReading):
    """The best that could be done: outputs within capacities, final demand up to what it was, as much of it as possible.

    ```
    max 1'y    subject to    y = (I - A(T)) x,    0 <= x <= k x0 / f,    0 <= y <= d,    l(T)'x <= w l'x0
    ```

    with f as for `FixedCapacity`; throwing output away would not help. The optimum is the vertex where n of the bounds hold,
    and its derivatives are those of their equations, which for GDP is the envelope theorem `-pi' dA x` with the duals pi. Where
    more bounds hold than the vertex needs, those that go on holding in the direction asked for are taken: the programme of
    the directions is solved as well.

    Parameters
    ----------
    spare:
        k, capacity as a multiple of base output.
    labour:
        w, labour as a multiple of what was used at the reference; None: it does not limit.

    Raises
    ------
    InputError
        A multiple that is not a positive number.

    References
    ----------
    Gal and Greenberg (1997), on the directional derivatives of degenerate programmes; Huangfu and Hall (2018), HiGHS.
    """

    spare: Float[Array, ""]
    labour: Float[Array, ""] | None

    def __init__(self, *, spare: ArrayLike = 1.0, labour: ArrayLike | None = None):
        checked = _share("spare", spare)
        assert checked is not None
        self.spare, self.labour = checked, _share("labour", labour)

    def __call__(self, technology, towards, base, productive):
        n, dtype = base.output.size, base.output.dtype
        identity = jnp.eye(n, dtype=dtype)
        rows = [identity, identity - technology.A]
        change = [jnp.zeros_like(identity), -towards.A]
        upper = [self.spare.astype(dtype) * base.output / technology.effort, base.final_demand]
        moving = [-upper[0] * towards.effort / technology.effort, jnp.zeros_like(base.final_demand)]
        if self.labour is not None:
            # In multiples of the outputs' unit: a row beside the others.
            rows.append((base.labour * technology.effort / jnp.max(base.labour))[None])
            change.append((base.labour * towards.effort / jnp.max(base.labour))[None])
            upper.append((self.labour.astype(dtype) * base.factor / jnp.max(base.labour))[None])
            moving.append(jnp.zeros(1, dtype))
        G, g = jnp.concatenate(rows), jnp.concatenate(upper)
        dG, dg = jnp.concatenate(change), jnp.concatenate(moving)
        which, full, found = _vertex(*jax.lax.stop_gradient((G, g, dG, dg)), n)
        x = jnp.linalg.solve(G[which], jnp.where(full, g[which], 0))
        room = jnp.max(g)
        slack = max(INSIDE, TIE * float(jnp.finfo(dtype).eps)) * room
        inside = jnp.all((G @ x >= -slack) & (G @ x <= g + slack))
        # What is at a bound is there exactly, derivatives included.
        value = (G @ x).at[which].set(jnp.where(full, g[which], 0))
        return Delivery(value[:n], value[n : 2 * n], jnp.asarray(-1), jnp.asarray(True), found & inside)


def _vertex(G: Array, g: Array, dG: Array, dg: Array, n: int) -> tuple[Array, Array, Array]:
    """Return the n rows of `0 <= G x <= g` that hold at the optimum, whether at the upper bound, and whether it was found."""
    form = (
        jax.ShapeDtypeStruct((n,), jnp.int32),
        jax.ShapeDtypeStruct((n,), jnp.bool_),
        jax.ShapeDtypeStruct((), jnp.bool_),
    )
    bound = max(BOUND, TIE * float(jnp.finfo(G.dtype).eps))
    return jax.pure_callback(partial(_solve, bound=bound), form, G, g, dG, dg, vmap_method="sequential")


def _solve(G, g, dG, dg, *, bound):
    G, g, dG, dg = (np.asarray(value, dtype=float) for value in (G, g, dG, dg))
    n = G.shape[1]
    nothing = np.arange(n, dtype=np.int32), np.zeros(n, bool), np.asarray(False)
    if not all(np.isfinite(value).all() for value in (G, g, dG, dg)):
        return nothing
    # One unit per account: shares of its capacity. An account without any is fixed at 0.
    size = np.where(g[:n] > 0, g[:n], 1)
    per_row = np.concatenate([size, size, np.full(len(g) - 2 * n, g[2 * n :].sum() or 1)])
    G, dG, g, dg = G * size / per_row[:, None], dG * size / per_row[:, None], g / per_row, dg / per_row
    gain = np.zeros(len(g))
    gain[n : 2 * n] = size / g[n : 2 * n].dot(size)
    first = _programme(G, np.zeros(len(G)), np.zeros(len(g)), g, gain)
    if first is None:
        return nothing
    z, price = first
    if np.any((np.abs(price) <= PRICED) & _at(z, g, bound) & (g > 0)):
        z = _best_of_optima(G, dG, dg, g, gain, z, price)
    held = _at(z, g, bound)
    if held.sum() > n:
        tangent = _tangent(G, dG, dg, g, gain, z, held, bound)
        if tangent is None:
            return nothing
        held, price = tangent
    candidates = np.flatnonzero(held)
    which = np.sort(candidates[independent(G[candidates], np.abs(price[candidates]) > PRICED, n)])
    return which.astype(np.int32), z[which] >= g[which] / 2, np.asarray(len(which) == n)


def _at(z: np.ndarray, g: np.ndarray, bound: float) -> np.ndarray:
    return (z <= bound) | (z >= g - bound)


def _programme(G, constant, lower, upper, gain) -> tuple[np.ndarray, np.ndarray] | None:
    """Maximise `gain' z` for `z = G x + constant` between bounds; the first n rows of G are the identity. Return z, duals."""
    n = G.shape[1]
    rest = len(G) - n
    equal = np.hstack([G[n:], -np.eye(rest)])
    found = scipy.optimize.linprog(
        -gain,
        A_eq=equal,
        b_eq=-constant[n:],
        bounds=np.column_stack([lower, upper]),
        method="highs-ds",
        options=PRECISE,  # pyright: ignore[reportArgumentType]
    )
    return (found.x, found.lower.marginals + found.upper.marginals) if found.status == 0 else None


def _best_of_optima(G, dG, dg, g, gain, z, price) -> np.ndarray:
    """Return, of several optima, the one that stays the best in the direction: `max -pi' dG x` over the face of optima."""
    n = G.shape[1]
    # The Lagrangian's derivative is `-duals' dG x`; the dual of a row is its price plus what the row gains itself.
    worth = (gain + price)[n:] @ dG[n:]
    objective = np.concatenate([worth, np.zeros(len(g) - n)])
    fixed = np.abs(price) > PRICED
    lower, upper = np.where(fixed, z, 0), np.where(fixed, z, g)
    if not np.any(objective) or fixed.sum() >= n:
        return z
    size = np.abs(objective).max()
    found = _programme(G, np.zeros(len(G)), lower, upper, objective / size)
    return z if found is None else found[0]


def _tangent(G, dG, dg, g, gain, z, held, bound) -> tuple[np.ndarray, np.ndarray] | None:
    """Return which bounds go on holding in the direction, with their prices: a programme of the rates of change."""
    top, bottom = held & (z >= g - bound), held & (z <= bound)
    rate = dG @ z[: G.shape[1]]
    size = max(np.abs(rate).max(), np.abs(dg).max())
    scale = size if size > 0 else 1.0
    # Rates of change of z less those of its upper bounds, so that 0 is "goes on holding" for every row.
    shift = np.where(top, dg, 0) / scale
    constant = rate / scale - shift
    constant[: G.shape[1]] = 0
    moved = constant + 0
    moved[G.shape[1] :] += G[G.shape[1] :] @ shift[: G.shape[1]]
    lower = np.where(bottom, 0.0, -np.inf)
    upper = np.where(top, 0.0, np.inf)
    found = _programme(G, moved, lower, upper, gain)
    if found is None:
        return None
    dz, price = found
    return held & (np.abs(dz) <= bound), price
