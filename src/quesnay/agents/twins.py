"""A second path that parts from the first at one draw: derivatives of events that change all that follows."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

RARE = 1e-4
"""Probability below which twins part as often as at this one: those of 0 may have a derivative too."""


class Twin(eqx.Module):
    """Another path, on which one draw of 0 or 1 went otherwise.

    It is replaced at random, so that at any time every draw so far is the one with a probability in proportion to its weight.
    `total` is the sum of the weights; `lift` is the draw's own probability over its weight, and it is only there for its
    derivative.
    """

    state: PyTree
    lift: Float[Array, ""]
    total: Float[Array, ""]


def twin(state: PyTree, dtype: Any) -> Twin:
    """Return the twin of a path on which nothing has been drawn yet."""
    return Twin(fixed(state), jnp.zeros((), dtype), jnp.zeros((), dtype))


def follow(
    before: Twin,
    later: PyTree,
    parting: Callable[[Array], PyTree],
    able: Array,
    p: Array,
    x: Array,
    slopes: Callable[[Array], tuple[Array, Array]],
    key: PRNGKeyArray,
) -> Twin:
    """Return the twin after a step in which x was drawn with probabilities p.

    ```
    weight of a twin   w_J = s_J sqrt(p_J),    s the slopes where x_J is 1 and where it is 0
    derivative of f    p_J' s_J (f where x_J is 1 - f where x_J is 0) sum(w) / w_J,    J the draw at which the twin parted
    ```

    Slopes of 1 have no bias where f is linear in what is observed of a step; those of `Smoothed` none where it is quadratic,
    as f is then met with its slopes on both paths.

    Parameters
    ----------
    before:
        The twin before the step.
    later:
        Its state after the step, with the random numbers of the path itself.
    parting:
        The state after the step from the path's own before it, where draws of 1 are added, modulo 2, to x.
    able:
        0 where a draw has no effect, or a probability that no parameter changes.
    slopes:
        Of an `AbstractOutcomeSlopes`.
    key:
        A key of its own.

    References
    ----------
    Gong and Ho (1987); Arya et al. (2022), whose pruning this is.
    """
    slope = jnp.where(x > 0, *slopes(fixed(p)))
    w = (fixed(able) * slope * jnp.sqrt(jnp.maximum(fixed(p), RARE))).ravel()
    ends = jnp.cumsum(w)
    total = before.total + ends[-1]
    at = jax.random.uniform(key, (), w.dtype) * total
    new, which = at < ends[-1], jnp.minimum(jnp.sum(ends <= at), w.size - 1)
    flip = jnp.zeros_like(w).at[which].set(1).reshape(x.shape)
    effect = (1 - 2 * x.ravel()[which]) * slope.ravel()[which]
    lift = effect * p.ravel()[which] / jnp.where(new, w[which], 1)
    states = parting(flip), later
    state, lift = jax.tree.map(lambda a, b: jnp.where(new, a, b), (states[0], lift), (states[1], before.lift))
    return Twin(fixed(state), lift, total)


def lifted(seen: PyTree, others: PyTree, twins: Twin) -> PyTree:
    """Return what was seen of a path; its derivative has those of draws, times differences to twins (K, ...), on top."""
    lift = twins.lift * twins.total

    def one(mine, theirs):
        return _towards(mine, theirs, lift) if jnp.issubdtype(jnp.result_type(mine), jnp.inexact) else mine

    return jax.tree.map(one, seen, others)


def revived(
    start: PyTree,
    step: Callable,
    size: Callable[[PyTree], Array],
    cut: Callable[[PyTree, Array], PyTree],
    alone: Callable[[PyTree], PyTree],
    onward: Callable,
    shown: Callable[[PyTree], PyTree],
) -> tuple[PyTree, Callable]:
    """Return a start and a step that go on from an absorbing state, where a size is 0, by the path that one more would take.

    There the slopes of what follows are those of nobody: they would grow from step to step, while a path from one would end,
    or be bounded. So derivatives of the size are cut off when it falls to 0, and times the difference to such a path.

    Parameters
    ----------
    start, step:
        A state, and `step(state, day, key) -> (state, what is seen)`.
    size:
        Of a state, with its derivative.
    cut:
        `cut(state, over)`: the state without derivatives of its size where that is over.
    alone, onward:
        The state of a path from one more than a state in which it is over, and its step.
    shown:
        What of that which is seen has derivatives.
    """

    def turned(state, twin):
        """Return the state after a step, and the twin, which begins when it is over."""
        n = size(state)
        over = n <= 0
        begins = over & (twin.total == 0)
        lone = jax.tree.map(lambda a, b: jnp.where(begins, a, b), fixed(alone(state)), twin.state)
        lift = jnp.where(begins, n - fixed(n), twin.lift)
        return cut(state, over), Twin(lone, lift, jnp.where(over, 1, fixed(twin.total)))

    def advance(carried, day, key):
        state, other = carried
        state, seen = step(state, day, key)
        later, theirs = onward(other.state, day, jax.random.fold_in(key, 1))
        twins, theirs = jax.tree.map(lambda v: v[None], (other, shown(theirs)))
        return turned(state, Twin(fixed(later), other.lift, other.total)), lifted(shown(seen), fixed(theirs), twins)

    return turned(start, twin(alone(start), size(start).dtype)), advance


def fixed(tree: PyTree) -> PyTree:
    """Return values without their derivatives."""
    return jax.tree.map(jax.lax.stop_gradient, tree)


@jax.custom_jvp
def _towards(mine: Array, theirs: Array, lift: Array) -> Array:
    return mine


@_towards.defjvp
def _towards_jvp(primals, tangents):
    mine, theirs, _ = primals
    return mine, tangents[0] + jnp.tensordot(tangents[2].astype(mine.dtype), theirs - mine, 1) / len(theirs)
