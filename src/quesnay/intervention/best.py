"""The best intervention for one penalty or one budget, with its certificate."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from . import policy, programme
from .assignments import Assignments
from .policy import ROUNDING, Policy
from .programme import Vertex

STEEP = 1e3
"""How many times the cost of all outputs penalties of all may come to before they no longer say what rounding is."""
MAX_LINES = 100
"""Policies that the search for a budget may try; each is a corner of the trade-off, of which there are few."""


class Setting(eqx.Module):
    """What is traded off: an economy in base outputs, its costs and weights per base output, and bounds of the factors.

    Attributes
    ----------
    cost, weight:
        `c x0` and `e x0` (n,).
    base, largest:
        u without intervention and at the upper bounds (n,).
    falling:
        Whether no factor may exceed 1, so that no output rises and the loss is linear.
    """

    economy: Assignments
    cost: Float[Array, " n"]
    weight: Float[Array, " n"]
    lo: Float[Array, " n"]
    hi: Float[Array, " n"]
    base: Float[Array, " n"]
    largest: Float[Array, " n"]
    falling: bool = eqx.field(static=True)


class Best(eqx.Module):
    """An intervention: factors, outputs u and worths (n,); what it costs and moves; its duality gap; policies tried."""

    alpha: Float[Array, " n"]
    u: Float[Array, " n"]
    worth: Float[Array, " n"]
    penalty: Float[Array, ""]
    outcome: Float[Array, ""]
    moved: Float[Array, ""]
    loss: Float[Array, ""]
    gap: Float[Array, ""]
    steps: Int[Array, ""]


def choose(setting: Setting, penalty: Array, guess: Array) -> Policy | Vertex:
    """Return the best policy for a penalty."""
    s, penalty = jax.lax.stop_gradient((setting, penalty))
    if s.falling:
        return policy.iterate(s.economy, s.cost - penalty * s.weight, s.lo, s.hi, guess)
    return programme.solve(s.economy, s.cost, penalty * s.weight, s.lo, s.hi, s.base)


def outputs(setting: Setting, chosen: Policy | Vertex) -> Array:
    """Return u under a policy, with its derivatives while the policy stays."""
    if isinstance(chosen, Vertex):
        return programme.outputs(setting.economy, chosen, setting.base)
    return setting.economy.solve(chosen.alpha, chosen.alpha * setting.economy.final_demand)[0]


def lower_bound(setting: Setting, penalty: Array, chosen: Policy | Vertex) -> tuple[Array, Array]:
    """Return a lower bound of the loss of every policy, and the worths that prove it.

    `c'u + penalty e'|u - base| >= g'u - (g - c)'base` for every g within `c -+ penalty e`: that of the policy itself.
    """
    s = setting
    if isinstance(chosen, Vertex):
        slope = s.cost + penalty * s.weight * chosen.side
        ours, theirs = programme.multipliers(s.economy, chosen, slope), (chosen.dual, s.cost + chosen.lean)
        # Where more equations hold than a vertex takes, those taken may price what is bound by another one.
        pairs = [
            (w, jnp.clip(slope, s.cost - penalty * s.weight, s.cost + penalty * s.weight))
            for w, slope in (ours, theirs)
        ]
        bounds = [_bound(s, w, slope) for w, slope in pairs]
        better = bounds[1] > bounds[0]
        return jnp.maximum(*bounds), jnp.where(better, pairs[1][0], pairs[0][0])
    slope = s.cost - penalty * s.weight
    w = s.economy.worth(chosen.alpha, slope, chosen.worth, policy.INNER)
    return _bound(s, w, slope), w


def _bound(s: Setting, w: Array, slope: Array) -> Array:
    return policy.bound(s.economy, slope, w, s.lo, s.hi, s.largest) - (slope - s.cost) @ s.base


def appraise(setting: Setting, penalty: Array, chosen: Policy | Vertex, u: Array) -> Best:
    """Return what outputs u come to, beside the bound that the policy gives; where rounding is all of both, the gap is 0."""
    s = setting
    asked = s.economy.uses(u) + s.economy.final_demand
    idle = asked == 0
    alpha = jnp.clip(jnp.where(idle, s.hi, u / jnp.where(idle, 1, asked)), s.lo, s.hi)
    outcome, moved = s.cost @ u, s.weight @ jnp.abs(u - s.base)
    dual, w = lower_bound(*jax.lax.stop_gradient((s, penalty)), chosen)
    loss = outcome + penalty * moved
    missed = jnp.abs(w) @ jnp.abs(alpha * asked - u)
    over, scale = loss + missed - dual, jnp.maximum(jnp.abs(loss), jnp.abs(dual))
    # A penalty beside which all else is rounding must not make a proof of anything.
    cost, weight = jnp.abs(s.cost) @ s.largest, s.weight @ s.largest
    priced = jnp.where(cost > 0, jnp.minimum(penalty * weight, STEEP * cost), penalty * weight)
    nothing = ROUNDING * jnp.finfo(u.dtype).eps * (cost + priced)
    gap = jnp.where(jnp.abs(over) <= nothing * (scale <= nothing), 0, over / jnp.where(scale > 0, scale, 1))
    return Best(alpha, u, w, penalty, outcome, moved, loss, jax.lax.stop_gradient(gap), chosen.steps)


def for_penalty(setting: Setting, penalty: Array, guess: Array) -> Best:
    """Return the best intervention for a penalty."""
    chosen = choose(setting, penalty, guess)
    return appraise(setting, penalty, chosen, outputs(setting, chosen))


def for_budget(setting: Setting, allowed: Array) -> tuple[Best, Array]:
    """Return the best intervention that moves no more than is allowed, and by how much the least that can be is more.

    The lowest loss is concave in the penalty, the lower envelope of one line for each policy. Where the lines of a policy
    that moves too much and of one that does not cross, either nothing lies below, and a mixture of both is the optimum; or
    what lies below takes the place of one of them.
    """
    zero = jnp.zeros_like(setting.cost)
    frozen = jax.lax.stop_gradient(setting)
    line = partial(_line, frozen)
    free = choose(frozen, jnp.zeros_like(allowed), zero)
    none = eqx.tree_at(lambda s: s.cost, frozen, zero)
    still = choose(none, jnp.ones_like(allowed), zero)
    if isinstance(still, Vertex):
        idle = jnp.all((frozen.lo <= 1) & (frozen.hi >= 1))
        still = jax.tree.map(partial(jnp.where, idle), programme.at_base(frozen.base), still)
    rounding = ROUNDING * jnp.finfo(zero.dtype).eps
    nothing = rounding * (jnp.abs(frozen.cost) @ frozen.largest)
    least = line(still)[1]
    limit = jax.lax.stop_gradient(allowed)
    slight = rounding * (frozen.weight @ frozen.largest)
    # A policy that moves what it may but for rounding does not move too much.
    limit = jnp.where(least - limit <= slight, jnp.maximum(limit, least) + slight, limit)

    def unsettled(at):
        *_, step, settled = at
        return ~settled & (step < MAX_LINES)

    def advance(at):
        over, under, _, last, step, _ = at
        (c1, m1), (c0, m0) = line(over), line(under)
        new = jnp.where(m1 > m0, (c0 - c1) / jnp.where(m1 > m0, m1 - m0, 1), 0)
        chosen = choose(frozen, new, last.worth)
        c, m = line(chosen)
        below = c + new * m < c1 + new * m1 - nothing
        over, under = (
            jax.tree.map(partial(jnp.where, below & takes), chosen, old)
            for takes, old in ((m > limit, over), (m <= limit, under))
        )
        return over, under, new, chosen, step + 1, ~below

    start = free, still, jnp.zeros_like(limit), free, jnp.asarray(0), line(free)[1] <= limit
    over, under, penalty, last, _, _ = jax.lax.while_loop(unsettled, advance, start)
    slack = line(free)[1] <= limit
    last = jax.tree.map(partial(jnp.where, slack), free, last)
    u1 = outputs(setting, jax.tree.map(partial(jnp.where, slack), free, over))
    u0 = outputs(setting, jax.tree.map(partial(jnp.where, slack), free, under))
    m1, m0 = (setting.weight @ jnp.abs(u - setting.base) for u in (u1, u0))
    share = jnp.where(m1 > m0, (allowed - m0) / jnp.where(m1 > m0, m1 - m0, 1), 0)
    share = jnp.where(slack, 1, jnp.clip(share, 0, 1))
    best = appraise(setting, jnp.where(slack, 0, penalty), last, share * u1 + (1 - share) * u0)
    return best, jnp.maximum(least - limit, 0)


def _line(setting: Setting, chosen: Policy | Vertex) -> tuple[Array, Array]:
    u = outputs(setting, chosen)
    return setting.cost @ u, setting.weight @ jnp.abs(u - setting.base)
