"""Alternating scaling: RAS, GRAS and their three-dimensional kin."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .dual import Found
from .problem import Problem, Sums

MAX_STEPS = 10_000
LOOK = 10
"""Rounds after which the progress of the scaling is judged."""
PATIENCE = 200.0
"""Newton's method takes over where more rounds than this are ahead: about what it costs (benchmarks/balancing.py)."""


class _State(NamedTuple):
    factors: Sums
    error: Float[Array, ""]
    before: Float[Array, ""]
    rounds: Int[Array, ""]
    crawls: Bool[Array, ""]


def scale(problem: Problem, tolerance: float, *, patient: bool = False) -> Found:
    """Return the multipliers (logarithms of the factors) that alternating scaling reaches: met, or where it crawls.

    Each round scales rows, then columns, then blocks to their targets; a row whose cells have both signs by the positive root
    of `P r - N / r = target` (Junius and Oosterhaven 2003, with the objective of Huang, Kobayashi and Tanji 2008). It
    converges geometrically at a rate that only the table decides, and that is near 1 where parts of it hardly trade.
    """
    small = 8 * jnp.finfo(problem.positive.dtype).eps

    def unfinished(state: _State) -> Array:
        return (state.error > tolerance) & (state.rounds < MAX_STEPS) & (patient | ~state.crawls)

    def one(state: _State) -> _State:
        factors, error = _round(problem, state.factors)
        rounds = state.rounds + 1
        judged = rounds % LOOK == 0
        rate = jnp.log(jnp.maximum(error, small) / jnp.maximum(state.before, small)) / LOOK
        ahead = jnp.log(tolerance / jnp.maximum(error, small)) / jnp.where(rate < 0, rate, -small)
        crawls = judged & (ahead > PATIENCE)
        return _State(factors, error, jnp.where(judged, error, state.before), rounds, crawls)

    ones = jax.tree.map(jnp.ones_like, problem.target)
    unknown = jnp.asarray(jnp.inf, problem.positive.dtype)
    begun = _State(ones, unknown, unknown, jnp.asarray(0), jnp.asarray(False))
    ended = jax.lax.while_loop(unfinished, one, begun)
    # Targets of a sign that no cell has are met by factors below 0, which have no logarithm.
    positive = jnp.all(jnp.stack([jnp.all(factor > 0) for factor in ended.factors]))
    logarithms = jax.tree.map(lambda factor: jnp.log(jnp.where(factor > 0, factor, 1)), ended.factors)
    return Found(logarithms, jnp.where(positive, ended.error, jnp.inf), ended.rounds)


def _round(problem: Problem, factors: Sums) -> tuple[Sums, Array]:
    """Return the factors after one round, and the largest relative change of one: the error of the sums before it."""
    changes = []
    for kind in ("row", "column") if problem.label is None else ("row", "column", "block"):
        plus = _weighed(problem.positive, factors, kind, problem.label)
        minus = None
        if problem.negative is not None:
            minus = _weighed(problem.negative, jax.tree.map(jnp.reciprocal, factors), kind, problem.label)
        there, target, old = (getattr(part, kind) for part in (problem.wanted, problem.target, factors))
        new = jnp.where(there, target / plus if minus is None else _root(target, plus, minus), old)
        changes.append(jnp.max(jnp.abs(new / old - 1), initial=0))
        factors = factors._replace(**{kind: new})
    # Without blocks the columns were met at the end of the last round: what rows change is all the error there is.
    return factors, changes[0] if problem.label is None else jnp.max(jnp.stack(changes))


def _weighed(part: Array, factors: Sums, kind: str, label: Array | None) -> Array:
    """Return the sums of one kind of `part` times the factors of the other kinds."""
    if kind == "block":
        assert label is not None
        scaled = factors.row[:, None] * part * factors.column
        return jax.ops.segment_sum(scaled.ravel(), label.ravel(), factors.block.shape[0] + 1)[:-1]
    if label is not None:
        part = part * jnp.append(factors.block, 1)[label]
    return part @ factors.column if kind == "row" else factors.row @ part


def _root(target: Array, plus: Array, minus: Array) -> Array:
    """Return the positive root f of `plus f - minus / f = target`, in the form that does not cancel."""
    root = jnp.sqrt(target**2 + 4 * plus * minus)
    rising = target > 0
    return jnp.where(rising, target + root, 2 * minus) / jnp.where(rising, 2 * plus, root - target)
