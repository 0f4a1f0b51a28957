"""`expectation`: the mean of a random function, with a derivative by any estimator."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quesnay._checks import whole
from quesnay._errors import InputError

from .score import with_log_probability


def expectation(
    fn: Callable[[PyTree, PRNGKeyArray], Any], theta: PyTree, *, key: PRNGKeyArray, draws: int, batch: int = 256
) -> Float[Array, ""]:
    """Return the mean of a random function over draws, whose derivative by theta is that of its estimators.

    Parameters
    ----------
    fn:
        Function of (theta, key) that returns a number; draws in it may have any estimator, `Score()` among them, with the mean
        of all other runs as the baseline.
    theta:
        Parameters.
    key:
        A JAX random key.
    draws:
        Runs; two or more.
    batch:
        Runs that are in memory at once.

    Raises
    ------
    InputError
        fn returns no number.
    """
    draws = whole(draws, "draws", "number of draws", least=2)
    return jnp.mean(surrogates(fn, theta, jax.random.split(key, draws), batch))


def surrogates(fn: Callable[..., Any], theta: PyTree, keys: PRNGKeyArray, batch: int) -> Float[Array, " draws"]:
    """Return the values of runs (draws,), the mean of whose derivatives is that of the expectation."""

    def one(own: PRNGKeyArray) -> tuple[Array, Array]:
        value, log = with_log_probability(lambda theta: fn(theta, own))(theta)
        value = jnp.asarray(value)
        if value.shape != ():
            raise InputError(f"fn returns shape {value.shape}; give a function that returns one number.")
        return value, log

    value, log = jax.lax.map(one, keys, batch_size=batch)
    fixed = jax.lax.stop_gradient(value)
    others = (jnp.sum(fixed) - fixed) / (keys.shape[0] - 1)
    return value + (fixed - others) * (log - jax.lax.stop_gradient(log))
