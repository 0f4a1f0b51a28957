"""Policies that are best for a linear loss, by policy iteration, and the dual bound that proves it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .assignments import Assignments

MAX_POLICIES = 200
INNER = 1e-2
"""Each policy is valued to this share of what the last one missed; only the last one has to be valued well."""
ROUNDING = 16
"""Units of rounding of a sum of absolute values within which two actions are worth the same."""


class Policy(NamedTuple):
    """Factors alpha (n,); worths (n,) from which the next search may begin; and how many policies were tried."""

    alpha: Float[Array, " n"]
    worth: Float[Array, " n"]
    steps: Int[Array, ""]


def iterate(
    economy: Assignments, cost: Float[Array, " n"], lo: Float[Array, " n"], hi: Float[Array, " n"], guess: Array
) -> Policy:
    """Return the policy with the least `cost' u` over `lo (A~ u + d~) <= u <= hi (A~ u + d~)`, by policy iteration.

    The worth of one more unit of u_i is `w = cost + A~' (alpha w)`; the best policy takes lo where w is positive and hi
    elsewhere, whatever the final demand is. Each round values the policy and takes what is best by its worths (Howard, 1960).
    """

    eps = jnp.finfo(cost.dtype).eps

    def choose(w: Array, room: Array) -> Array:
        return jnp.where(w > room, lo, hi)

    def unsettled(at):
        *_, step, settled = at
        return ~settled & (step < MAX_POLICIES)

    def advance(at):
        w, alpha, last, step, _ = at
        w = economy.worth(alpha, cost, w, INNER)
        room = ROUNDING * eps * (jnp.abs(cost) + economy.inputs(hi * jnp.abs(w)))
        new = choose(w, room)
        miss = jnp.abs(cost - w + economy.inputs(new * w))
        worst = jnp.max(miss / jnp.where(room > 0, room, 1))
        # Where rounding is all that is left, the same policy is found again and misses as much as before.
        again = jnp.all(new == alpha) & (economy.direct | (worst > last / 2))
        return w, new, worst, step + 1, (worst <= 1) | again | ~jnp.isfinite(worst)

    start = choose(guess, jnp.zeros_like(guess))
    begin = guess, start, jnp.asarray(jnp.inf, cost.dtype), jnp.asarray(0), jnp.asarray(False)
    w, alpha, _, steps, _ = jax.lax.while_loop(unsettled, advance, begin)
    return Policy(alpha, w, steps)


def bound(
    economy: Assignments,
    slope: Float[Array, " n"],
    w: Float[Array, " n"],
    lo: Float[Array, " n"],
    hi: Float[Array, " n"],
    largest: Float[Array, " n"],
) -> Float[Array, ""]:
    """Return a lower bound of `slope' u` over all policies, for any worths w: weak duality, with what w misses put against it.

    With `m_i = min(lo_i w_i, hi_i w_i)` and `b = slope - w + A~' m`, every policy has `slope' u >= m' d~ + b' u`, and u lies
    between 0 and `largest`.
    """
    m = jnp.minimum(lo * w, hi * w)
    b = slope - w + economy.inputs(m)
    return m @ economy.final_demand + jnp.minimum(b, 0) @ largest
