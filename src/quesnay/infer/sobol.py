"""Which parameters an outcome depends on: Sobol' indices over the whole prior, and gradients at its centre."""

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import xarray as xr
from jax.scipy.special import ndtri
from jaxtyping import Array, Float, PRNGKeyArray

from quesnay._checks import positive, whole
from quesnay._errors import InputError, SolveError

from .identify import jacobian
from .prior import Parameter, Prior, entries, read_prior
from .problem import takes_key


@dataclasses.dataclass(frozen=True)
class SensitivityReport:
    """Sensitivities of outcomes to the parameters, each with the dimensions outcome and unknown.

    Attributes
    ----------
    first:
        First-order Sobol' index: the share of the outcome's variance that the unknown explains by itself.
    total:
        Total Sobol' index: the share that remains where all other unknowns are known.
    first_error, total_error:
        Half-width of the bootstrap interval of each, at the level asked for.
    gradient:
        Derivative of the outcome with respect to z at the prior's centre: its change, in its own units, by one of the prior's
        standard deviations.
    share:
        gradient^2 over its sum: what `first` would be if the outcome were linear. Zero where the gradient vanishes.
    mean, variance:
        Of each outcome over the prior.
    evaluations:
        How many times the function was evaluated for the indices.

    An outcome that does not vary over the prior has no indices (NaN).
    """

    first: xr.DataArray
    total: xr.DataArray
    first_error: xr.DataArray
    total_error: xr.DataArray
    gradient: xr.DataArray
    share: xr.DataArray
    mean: xr.DataArray
    variance: xr.DataArray
    level: float
    evaluations: int

    def __str__(self) -> str:
        lines = []
        for outcome in self.total["outcome"].to_numpy()[:10]:
            total, error = self.total.sel(outcome=outcome), self.total_error.sel(outcome=outcome)
            if bool(np.isnan(total).any()):
                lines.append(f"{outcome}: does not vary over the prior")
                continue
            order = np.argsort(-total.to_numpy(), kind="stable")[:5]
            parts = [f"{total['unknown'].to_numpy()[k]} {float(total[k]):.2f} ± {float(error[k]):.2f}" for k in order]
            lines.append(f"{outcome}: total Sobol' index {', '.join(parts)}")
        more = self.total.sizes["outcome"] - len(lines)
        return "\n".join(
            [*lines, *([f"and {more} more outcomes"] if more else []), f"({self.evaluations} evaluations)"]
        )


def sobol(
    function: Callable[..., Any],
    prior: Mapping[str, Any],
    *,
    key: PRNGKeyArray,
    samples: int = 1024,
    outcomes: Sequence[Any] | None = None,
    labels: Mapping[str, Sequence[Any]] | None = None,
    level: float = 0.95,
    batch: int = 256,
    limit: int = 1_000_000,
) -> SensitivityReport:
    """Return the Sobol' indices of a function's outcomes over the prior, and its gradients at the prior's centre.

    S1_k = Var(E[f | x_k]) / Var(f) and ST_k = E[Var(f | x_others)] / Var(f), from Saltelli's design of samples (unknowns + 2)
    points of a scrambled Sobol' sequence, brought to the prior by its quantile function.

    Parameters
    ----------
    function:
        A function of a dict of parameters that returns a number or a vector of them; JAX must be able to trace it, and to
        differentiate it for `gradient`. One of (theta, key) meets the same random numbers at every point.
    prior:
        A dict of numpyro distributions whose entries are independent, each normal (or a transform of one) or with a quantile
        function in numpyro.
    key:
        A JAX random key: for the scrambling, the bootstrap and a function that draws.
    samples:
        Points of each part of the design, a power of 2.
    outcomes:
        Labels of the function's outcomes; their numbers by default.
    labels:
        Labels of the first axis of parameters, by name.
    level:
        Level of the bootstrap intervals.
    batch:
        Points that are evaluated at once.
    limit:
        Most evaluations that this may take.

    Raises
    ------
    InputError
        Arguments that do not fit each other, a prior without a quantile function, or more evaluations than `limit`.
    SolveError
        Outcomes that are not finite: the design needs all of them.

    Source: Saltelli et al. (2010), Comput. Phys. Commun. 181; Herman and Usher (2017), J. Open Source Softw. 2(9), 97 (SALib).
    """
    space = read_prior(prior)
    names = entries(space, labels)
    n = whole(samples, "samples", "number of points, a power of 2", least=2)
    size = whole(batch, "batch", "number of points at once")
    if n & (n - 1):
        near = 1 << (n.bit_length() - 1)
        raise InputError(f"samples is {n}; give a power of 2, such as {near}: a Sobol' sequence is balanced there.")
    cost = n * (space.size + 2)
    if cost > whole(limit, "limit", "largest number of evaluations"):
        raise InputError(
            f"{space.size} unknowns take {n} x {space.size + 2} = {cost} evaluations, more than limit={limit}; give fewer "
            f"samples or a higher limit, or see by infer.identify, from gradients, which unknowns matter."
        )
    share = positive(level, "level", 1.0)
    for name, parameter in space.parameters.items():
        _check(name, parameter)
    if not callable(function):
        raise InputError(
            f"function is a {type(function).__name__}; give one of a dict of parameters that returns outcomes."
        )
    own, seed = jax.random.split(key)
    run = _outcomes(function, space, own)
    count = jax.eval_shape(run, jnp.zeros(space.size)).shape[0]
    if outcomes is not None and len(outcomes) != count:
        raise InputError(f"outcomes has {len(outcomes)} labels for {count} outcomes; give one for each.")
    coords = {"outcome": [str(v) for v in (range(count) if outcomes is None else outcomes)], "unknown": names}
    seeds = [int(v) for v in jax.random.randint(seed, (2,), 0, 2**31 - 1)]
    values = _evaluate(run, space, _design(space.size, n, seeds[0]), size)
    parts = np.array([_indices(y, space.size, share, seeds[1]) for y in values.T]).transpose(1, 0, 2)
    gradient = np.asarray(jacobian(run, space.size)(jnp.zeros(space.size)), float)
    square = (gradient**2).sum(axis=1, keepdims=True)
    parts = [*parts, gradient, np.divide(gradient**2, square, out=np.zeros_like(gradient), where=square > 0)]
    first, total, first_error, total_error, slopes, shares = (
        xr.DataArray(part, dims=("outcome", "unknown"), coords=coords) for part in parts
    )
    outcome = {"outcome": coords["outcome"]}
    return SensitivityReport(
        first=first,
        total=total,
        first_error=first_error,
        total_error=total_error,
        gradient=slopes,
        share=shares,
        mean=xr.DataArray(values.mean(axis=0), dims="outcome", coords=outcome),
        variance=xr.DataArray(values.var(axis=0), dims="outcome", coords=outcome),
        level=share,
        evaluations=cost,
    )


def quantile(prior: Prior, u: Float[Array, " size"]) -> Float[Array, " size"]:
    """Return the z whose entries have the probabilities u under the prior."""
    parts, at = [], 0
    for parameter in prior.parameters.values():
        parts.append(_quantile(parameter, u[at : at + parameter.size]))
        at += parameter.size
    return jnp.concatenate(parts)


def _quantile(parameter: Parameter, u: Float[Array, " size"]) -> Float[Array, " size"]:
    if parameter.exact:
        return ndtri(u)
    base = parameter.base
    while isinstance(base, dist.ExpandedDistribution):
        base = base.base_dist
    x = base.icdf(u.reshape(parameter.location.shape))
    return jnp.ravel((parameter.bijection.inv(x) - parameter.location) / parameter.scale)


def _check(name: str, parameter: Parameter) -> None:
    try:
        jax.eval_shape(lambda u: _quantile(parameter, u), jnp.zeros(parameter.size))
    except (NotImplementedError, ImportError, AttributeError):
        raise InputError(
            f"prior[{name!r}] is a {type(parameter.base).__name__}, which has no quantile function in numpyro; give "
            f"independent entries of one that has, such as Normal, LogNormal, Uniform or TruncatedNormal."
        ) from None


def _outcomes(function: Callable[..., Any], prior: Prior, key: PRNGKeyArray) -> Callable[[Array], Array]:
    draws = takes_key(function)

    def run(z: Array) -> Array:
        theta = prior.constrain(z)
        value = function(theta, key) if draws else function(theta)
        if not hasattr(value, "shape") or len(value.shape) > 1 or not jnp.issubdtype(value.dtype, jnp.floating):
            what = getattr(value, "shape", type(value).__name__)
            raise InputError(f"function returns {what}; give a floating-point number or a vector of them.")
        return jnp.atleast_1d(value)

    return run


def _evaluate(run: Callable[[Array], Array], prior: Prior, design: np.ndarray, batch: int) -> np.ndarray:
    @jax.jit
    def every(u: Array) -> Array:
        return jax.lax.map(lambda v: run(quantile(prior, v)), u, batch_size=min(batch, len(design)))

    values = np.asarray(every(jnp.asarray(design)), float)
    bad = int((~np.isfinite(values).all(axis=1)).sum())
    if bad:
        raise SolveError(
            f"{bad} of {len(values)} evaluations over the prior are not finite, and Sobol' indices need all; narrow the prior "
            f"to where the function is finite."
        )
    return values


def _design(size: int, samples: int, seed: int) -> np.ndarray:
    from SALib.sample import sobol as sampling

    own = sampling.sample(_space(size), samples, calc_second_order=False, scramble=True, seed=seed)
    # Single precision has no quantile of a probability closer to 0 or 1.
    return np.clip(own, 1e-7, 1 - 1e-7)


def _indices(values: np.ndarray, size: int, level: float, seed: int) -> np.ndarray:
    """Return first-order and total indices and the half-widths of their intervals, (4, unknowns)."""
    from SALib.analyze import sobol as analysis

    if np.ptp(values) <= 1e-12 * np.abs(values).max():
        return np.full((4, size), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        found = analysis.analyze(_space(size), values, calc_second_order=False, conf_level=level, seed=seed)
    return np.array([found["S1"], found["ST"], found["S1_conf"], found["ST_conf"]])


def _space(size: int) -> dict[str, Any]:
    return {"num_vars": size, "names": [f"z{k}" for k in range(size)], "bounds": [[0.0, 1.0]] * size}
