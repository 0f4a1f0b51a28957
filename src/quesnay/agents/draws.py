"""Random draws through which derivatives pass: `bernoulli`, `categorical`, `binomial`, `poisson`."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.typing import ArrayLike

from quesnay._checks import floating, instance, require
from quesnay._errors import InputError

from .estimators import DEFAULT, AbstractEstimator, Detached, MeanField, Uniforms

SUM = 1e-5
"""How far from 1 probabilities of all categories may add up."""


def bernoulli(
    key: PRNGKeyArray | Uniforms | None, p: ArrayLike, *, estimator: AbstractEstimator | None = DEFAULT
) -> Float[Array, "..."]:
    """Return draws of 1 with probability p and of 0 without, one uniform number each; certain events are certain.

    Parameters
    ----------
    key:
        A JAX random key.
    p:
        Probabilities (...), between 0 and 1.
    estimator:
        What the derivative by p is: `Smoothed()`, `StraightThrough()`, `GumbelSoftmax(tau)`, `MeanField()`, which returns p
        itself, or None for none.

    Raises
    ------
    InputError
        A probability outside 0 to 1, or none; traced ones become nan, which `simulate` reports.

    References
    ----------
    See the estimators.
    """
    return chosen_estimator(estimator).bernoulli(random_key(key), probability(p))


def categorical(
    key: PRNGKeyArray | None, p: ArrayLike, *, estimator: AbstractEstimator | None = DEFAULT
) -> Float[Array, "... k"]:
    """Return unit vectors (..., k), the j-th one with probability p_j, by one uniform number each.

    Parameters
    ----------
    key:
        A JAX random key.
    p:
        Probabilities (..., k), which add up to 1 along the last axis. Derivatives are those of `p / sum(p)`.
    estimator:
        As for `bernoulli`.

    Raises
    ------
    InputError
        As for `bernoulli`; probabilities that do not add up to 1.
    """
    return chosen_estimator(estimator).categorical(random_key(key), shares(p))


def binomial(
    key: PRNGKeyArray | None, n: ArrayLike, p: ArrayLike, *, estimator: AbstractEstimator | None = DEFAULT
) -> Float[Array, "..."]:
    """Return the number of events in n trials with probability p each: n exchangeable agents at once.

    Parameters
    ----------
    key:
        A JAX random key.
    n:
        Numbers of trials (...), whole and not negative; they may be draws themselves and carry derivatives on.
    p:
        Probabilities, which broadcast with n.
    estimator:
        As for `bernoulli`; `GumbelSoftmax` relaxes no counts.

    Raises
    ------
    InputError
        As for `bernoulli`; n that is negative or not whole; an estimator without counts.
    """
    n, p = jnp.broadcast_arrays(trials(n, estimator), probability(p))
    return chosen_estimator(estimator).binomial(random_key(key), n.astype(p.dtype), p)


def poisson(
    key: PRNGKeyArray | None, rate: ArrayLike, *, estimator: AbstractEstimator | None = DEFAULT
) -> Float[Array, "..."]:
    """Return the number of events at a rate.

    Parameters
    ----------
    key:
        A JAX random key (of the default kind, threefry).
    rate:
        Means (...), not negative.
    estimator:
        As for `bernoulli`; `GumbelSoftmax` relaxes no counts.

    Raises
    ------
    InputError
        A rate that is negative or not finite; an estimator without counts.
    """
    rate = floating(rate, "rate")
    require(lambda r: (r >= 0) & np.isfinite(r), "rate has entries that are negative or not finite; give means.", rate)
    rate = jnp.where((rate >= 0) & jnp.isfinite(rate), rate, jnp.nan)
    return chosen_estimator(estimator).poisson(random_key(key), rate)


def probability(p: ArrayLike) -> Float[Array, "..."]:
    """Return probabilities, nan where traced ones are none."""
    p = floating(p, "p")
    require(
        lambda v: (v >= 0) & (v <= 1),
        lambda: f"p has entries that are no probabilities, the first {_first(p)}; give numbers between 0 and 1.",
        p,
    )
    return jnp.where((p >= 0) & (p <= 1), p, jnp.nan)


def shares(p: ArrayLike) -> Float[Array, "... k"]:
    """Return probabilities of all categories, divided by their sum."""
    p = probability(p)
    if p.ndim == 0 or p.shape[-1] < 2:
        raise InputError(f"p has shape {p.shape}; give probabilities of two or more categories along the last axis.")
    total = jnp.sum(p, axis=-1, keepdims=True)
    require(
        lambda t: np.abs(t - 1) <= SUM,
        lambda: (
            f"p adds up to {float(np.ravel(total)[np.argmax(np.abs(np.ravel(total) - 1))]):.6g}; give probabilities of all "
            "categories, which add up to 1."
        ),
        total,
    )
    return p / total


def trials(n: ArrayLike, estimator: AbstractEstimator | None) -> Float[Array, "..."]:
    """Return numbers of trials, which are whole but for a mean field."""
    n = floating(n, "n")
    whole = not isinstance(estimator, MeanField)  # whose own counts are means
    require(
        lambda v: (v >= 0) & np.isfinite(v) & ((v == np.floor(v)) | (not whole)),
        "n has entries that are negative or not whole; give numbers of trials.",
        n,
    )
    return jnp.where((n >= 0) & jnp.isfinite(n), n, jnp.nan)


def _first(p: Any) -> str:
    values = np.ravel(np.asarray(p))
    return f"{values[np.argmin((values >= 0) & (values <= 1))]:g}"


def chosen_estimator(estimator: AbstractEstimator | None) -> AbstractEstimator:
    """Return the estimator, which is one without derivatives where None is given."""
    if estimator is None:
        return Detached()
    instance(estimator, AbstractEstimator, "estimator", "Smoothed(), StraightThrough(), another estimator, or None")
    return estimator


def random_key(key: Any) -> PRNGKeyArray:
    """Return the key, or raise `InputError` where it is none."""
    if not hasattr(key, "dtype") or not hasattr(key, "shape"):
        raise InputError(f"key is of type {type(key).__name__}; give a JAX random key, such as jax.random.key(0).")
    return key
