"""`multinomial`: how many of a number of agents choose each of several categories, with derivatives."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.typing import ArrayLike

from .draws import chosen_estimator, random_key, shares, trials
from .estimators import DEFAULT, AbstractEstimator, Detached, MeanField, Smoothed, StraightThrough


def multinomial(
    key: PRNGKeyArray | None, n: ArrayLike, p: ArrayLike, *, estimator: AbstractEstimator | None = DEFAULT
) -> Float[Array, "... k"]:
    """Return how many of n trials fall into each of k categories: n exchangeable agents that choose at once.

    ```
    x_j ~ binomial(n - x_1 - ... - x_(j-1), p_j / (p_j + ... + p_k)),   x_k the rest, so that they add up to n
    Smoothed   dx = (n p' + x p' / p - p sum(x p' / p)) / 2 + (p + x / n) n' / 2,   p n' where n is 0
    ```

    The derivative of `Smoothed` is that of n agents with a `categorical` draw each: it adds up to that of n, does not depend on
    the order of categories, and has no bias where what follows is at most quadratic in the counts. Carried through the chain of
    binomial draws it would have one, since a category for which no trials are left has no slope on both sides.

    Parameters
    ----------
    key:
        A JAX random key.
    n:
        Numbers of trials (...), as for `binomial`.
    p:
        Probabilities (..., k), as for `categorical`; n and p[..., 0] broadcast.
    estimator:
        As for `binomial`.

    Raises
    ------
    InputError
        As for `binomial` and `categorical`.
    """
    p, estimator = shares(p), chosen_estimator(estimator)
    n = trials(n, estimator).astype(p.dtype)
    shape = jnp.broadcast_shapes(n.shape, p.shape[:-1])
    n, p = jnp.broadcast_to(n, shape), jnp.broadcast_to(p, (*shape, p.shape[-1]))
    key, mean = random_key(key), n[..., None] * p
    if isinstance(estimator, MeanField):
        return mean
    if not isinstance(estimator, Smoothed | StraightThrough | Detached):
        return _chain(key, n, p, estimator)
    x = _chain(key, *jax.lax.stop_gradient((n, p)), Detached())
    if isinstance(estimator, Smoothed):
        return _summed(x, n, p)
    return x + (mean - jax.lax.stop_gradient(mean)) if isinstance(estimator, StraightThrough) else x


def _chain(key: PRNGKeyArray, n: Array, p: Array, estimator: AbstractEstimator) -> Array:
    """Return counts (..., k) by a binomial number for each category but the last, of those that are left."""
    ends = jnp.flip(jnp.cumsum(jnp.flip(p, -1), axis=-1), -1)  # >= p, so that no share is above 1
    share = jnp.where(ends > 0, p / jnp.where(ends > 0, ends, 1), 0 * p)

    def choose(left, at):
        x = estimator.binomial(at[0], left, at[1])
        return left - x, x

    each = jax.random.split(key, p.shape[-1] - 1), jnp.moveaxis(share, -1, 0)[:-1]
    left, counts = jax.lax.scan(choose, n, each)  # a loop: a binomial draw takes seconds to compile
    return jnp.concatenate([jnp.moveaxis(counts, 0, -1), left[..., None]], axis=-1)


@jax.custom_jvp
def _summed(x: Array, n: Array, p: Array) -> Array:
    """Return counts x, with the derivative of the smoothed choices of n agents."""
    return x


@_summed.defjvp
def _summed_jvp(primals, tangents):
    x, n, p = primals
    _, more, own = tangents
    n, more = n[..., None], more[..., None]
    ratio = jnp.where(p > 0, own / jnp.where(p > 0, p, 1), 0)
    # Into a category without probability the way counts whole, as for one agent.
    new = jnp.where(p == 0, own, 0)
    by_p = n * (own + new) + x * (ratio - jnp.sum(new, axis=-1, keepdims=True))
    by_p = by_p - p * jnp.sum(x * ratio, axis=-1, keepdims=True)
    return x, 0.5 * by_p + more * jnp.where(n > 0, 0.5 * p + 0.5 * x / jnp.where(n > 0, n, 1), p)
