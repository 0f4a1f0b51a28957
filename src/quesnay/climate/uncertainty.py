"""How sure a damage function is: draws of its parameters carried to any result, beside the delta method."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.typing import ArrayLike

from quesnay._checks import concrete, floating, require, whole
from quesnay._errors import InputError, SolveError
from quesnay._results import RESULTS, raise_unless_successful, result_if

from .damage import AbstractDamage, checked

MOST_ROWS = 14
"""Entries of a result that its text shows."""


class Curves(eqx.Module):
    """A result of an uncertain damage function.

    Attributes
    ----------
    value:
        The result at the published (or given) parameters, of any shape.
    quantiles:
        Quantiles of the draws (q, ...).
    levels:
        Which quantiles, shares (q,).
    mean, sd:
        Mean and standard deviation of the draws, like value.
    delta:
        Standard deviation by the delta method, `sqrt(J C J')` with J the exact derivative of the result by the parameters and
        C their covariance, like value. Where it is far from sd, the result is not linear in the parameters.
    draws:
        Every draw (count, ...).
    result:
        Whether all draws are finite.
    """

    value: Float[Array, "..."]
    quantiles: Float[Array, "q ..."]
    levels: Float[Array, " q"]
    mean: Float[Array, "..."]
    sd: Float[Array, "..."]
    delta: Float[Array, "..."]
    draws: Float[Array, "count ..."]
    result: RESULTS

    def __repr__(self) -> str:
        if not concrete(self.draws) or self.value.ndim > 1 or self.draws.ndim - self.value.ndim > 1:
            return eqx.tree_pformat(self)
        rows = [f"Curves of {self.draws.shape[0]:,} draws"]
        shown = zip(*(np.atleast_1d(np.asarray(v)) for v in (self.value, self.sd, self.delta)), strict=True)
        band = np.asarray(self.quantiles).reshape(self.levels.size, -1)
        for at, (value, sd, delta) in enumerate(shown):
            if at >= MOST_ROWS:
                rows.append(f"  ... and {self.value.size - at} more")
                break
            ends = " to ".join(f"{band[k, at]:.4g}" for k in (0, -1))
            rows.append(f"  {value:12.4g}  {ends}  sd {sd:.3g}, by the delta method {delta:.3g}")
        rows.append(f"  ranges from the {float(self.levels[0]):g} to the {float(self.levels[-1]):g} quantile")
        return "\n".join(rows)


def draw(
    damage: AbstractDamage, *, key: PRNGKeyArray, count: int, sd: Mapping[str, ArrayLike] | None = None
) -> AbstractDamage:
    """Return draws of a damage function as one, `theta ~ N(theta_0, C)`: every array in it has a leading axis (count,).

    `jax.vmap(function)(draws)` maps any function of a damage function over them; `curves` does that and sums up.

    Parameters
    ----------
    damage, key, count, sd:
        As for `curves`.

    Raises
    ------
    InputError
        As for `curves`.
    """
    parameters = _Parameters(damage, sd)
    return jax.vmap(parameters.put)(parameters.normal(key, whole(count, "count", "number of draws")))


def curves(
    damage: AbstractDamage,
    function: Callable[[AbstractDamage], Float[Array, "..."]],
    *,
    key: PRNGKeyArray,
    count: int = 1000,
    sd: Mapping[str, ArrayLike] | None = None,
    levels: ArrayLike = (0.05, 0.5, 0.95),
    throw: bool = True,
) -> Curves:
    """Return what the uncertainty of a damage function's parameters does to a result that follows from it.

    Parameters are drawn from a normal distribution around those of the curve, with the covariance that its source has
    published. Draws outside of a parameter's range are kept: such a curve may have gains where the central one has losses.

    Parameters
    ----------
    damage:
        A damage function.
    function:
        Takes a damage function and returns an array, made of JAX operations: `lambda D: D(T)`, or
        `lambda D: q.climate.stress(A, d, D, temperatures=T).gdp` (with `throw=False` where draws may collapse).
    key:
        A JAX key, `jax.random.key(0)`.
    count:
        The number of draws.
    sd:
        Standard deviations by the name of the parameter, each like the parameter, independent of each other; they go before
        the published covariance of the same parameter, and 0 makes it certain.
    levels:
        Quantiles to return, shares in rising order (q,).
    throw:
        Raise where a draw is not finite; with False the code is in `result`.

    Raises
    ------
    InputError
        No parameter of the curve has a published covariance or an sd; an sd of an unknown parameter, negative, or of another
        shape; a function that returns no array; levels outside [0, 1].
    SolveError
        A draw gave a result that is not finite.
    """
    parameters = _Parameters(damage, sd)
    levels = jnp.atleast_1d(floating(levels, "levels"))
    require(
        lambda v: np.all((v >= 0) & (v <= 1)) & np.all(np.diff(v) >= 0),
        "levels are not shares between 0 and 1 in rising order; give such as (0.05, 0.5, 0.95).",
        levels,
    )

    def of(theta: Float[Array, " p"]) -> Float[Array, "..."]:
        return floating(function(parameters.put(theta)), "what the function returns")

    # One after the other: a result that solves for a whole economy has its factors in memory once.
    @jax.jit
    def carried(sample: Array) -> tuple[Array, Array]:
        along = jax.lax.map(lambda way: jax.jvp(of, (parameters.centre,), (way,))[1], parameters.factor.T)
        return jax.lax.map(of, jnp.concatenate([parameters.centre[None], sample])), jnp.sqrt(jnp.sum(along**2, axis=0))

    sample = parameters.normal(key, whole(count, "count", "number of draws"))
    found, delta = carried(sample)
    value, draws = found[0], found[1:]
    failed = ~jnp.all(jnp.isfinite(draws))
    if throw and concrete(draws) and bool(failed):
        first = int(np.argmax(~np.isfinite(np.asarray(draws)).reshape(draws.shape[0], -1).all(axis=1)))
        raise SolveError(
            f"draw {first} of {draws.shape[0]:,} gives a result that is not finite, with {parameters.put(sample[first])!r}; "
            f"lower the standard deviations, or find with throw=False how many do."
        )
    result = Curves(
        value,
        jnp.quantile(draws, levels, axis=0),
        levels,
        jnp.mean(draws, axis=0),
        jnp.std(draws, axis=0, ddof=1) if count > 1 else jnp.zeros_like(value),
        delta,
        draws,
        result_if(failed, RESULTS.not_finite),
    )
    return raise_unless_successful(result, result.result) if throw else result


class _Parameters:
    """The uncertain parameters of a damage function as one vector theta (p,), with a factor F of `C = F F'` (p, p)."""

    def __init__(self, damage: AbstractDamage, sd: Mapping[str, ArrayLike] | None):
        checked(damage, "HowardSterner()")
        fields = [f.name for f in dataclasses.fields(damage) if eqx.is_inexact_array(getattr(damage, f.name))]
        for name in sd or {}:
            if name not in fields:
                raise InputError(
                    f"sd has {name!r}, which is no parameter of {type(damage).__name__}; its are {fields}."
                )
        blocks = {name: _factor(getattr(damage, name), name, damage.covariance, sd or {}) for name in fields}
        self.names = [name for name in fields if blocks[name] is not None]
        if not self.names:
            raise InputError(
                f"{type(damage).__name__} has no published uncertainty; give sd= with standard deviations of {fields}."
            )
        self.damage = damage
        self.centre = jnp.concatenate([jnp.ravel(getattr(damage, name)) for name in self.names])
        self.factor = jax.scipy.linalg.block_diag(*(blocks[name] for name in self.names)).astype(self.centre.dtype)

    def normal(self, key: PRNGKeyArray, count: int) -> Float[Array, "count p"]:
        """Return draws of theta."""
        noise = jax.random.normal(key, (count, self.centre.size), self.centre.dtype)
        return self.centre + noise @ self.factor.T

    def put(self, theta: Float[Array, " p"]) -> AbstractDamage:
        """Return the damage function with these parameters."""
        old = [getattr(self.damage, name) for name in self.names]
        parts = jnp.split(theta, np.cumsum([value.size for value in old])[:-1])
        new = [part.reshape(value.shape) for part, value in zip(parts, old, strict=True)]
        return eqx.tree_at(lambda d: [getattr(d, name) for name in self.names], self.damage, new)


def _factor(value: Array, name: str, published: Mapping[str, np.ndarray], sd: Mapping[str, Any]) -> Array | None:
    if name in sd:
        given = floating(sd[name], f"the sd of {name}")
        if given.shape not in ((), value.shape):
            raise InputError(f"the sd of {name} has shape {given.shape}; give one number per entry, {value.shape}.")
        require(
            lambda v: (v >= 0) & np.isfinite(v), f"the sd of {name} is not a number of at least 0; give one.", given
        )
        return jnp.diag(jnp.ravel(jnp.broadcast_to(given, value.shape)))
    return jnp.linalg.cholesky(jnp.asarray(published[name])) if name in published else None
