"""`identify`: what the data said about a fitted technology, and what only the prior did."""

from collections.abc import Callable, Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsp
from jaxtyping import Array, Float, Int

from quesnay._checks import concrete, floating, instance
from quesnay._errors import InputError

from .constant import Curvature, Observations
from .fitting import Fit
from .gauss_newton import root


class Outcome(eqx.Module):
    """An outcome of the technology: its value, and its standard deviation before and after the data, to first order.

    Attributes
    ----------
    value:
        The outcome of the fitted technology (k,), or a number.
    prior_sd, sd:
        Standard deviations under the prior and under the posterior, of the same shape and unit.
    """

    value: Float[Array, "*k"]
    prior_sd: Float[Array, "*k"]
    sd: Float[Array, "*k"]


class Identification(eqx.Module):
    """What several years of data identify of a technology.

    Attributes
    ----------
    numbers:
        How many numbers were observed.
    coefficients:
        How many coefficients may move.
    rank:
        How many combinations of coefficients the data see at all.
    effective_parameters:
        How many they determine rather than the prior: the sum of `signal / (1 + signal)`.
    signal:
        Variance of each combination under the prior, relative to its noise, largest first (numbers,).
    shrinkage:
        Share of the prior variance of each log coefficient (n, n) that the data take away: 0 where the prior is all there is.
    outcomes:
        `Outcome` of each named function.
    """

    numbers: int = eqx.field(static=True)
    coefficients: Int[Array, ""]
    rank: Int[Array, ""]
    effective_parameters: Float[Array, ""]
    signal: Float[Array, " numbers"]
    shrinkage: Float[Array, "n n"]
    outcomes: Mapping[str, Outcome]

    def __repr__(self) -> str:
        if not concrete(self.rank) or not isinstance(self.rank, jax.Array):
            return eqx.tree_pformat(self)
        said = (
            f"{self.numbers:,} numbers see {int(self.rank):,} combinations of {int(self.coefficients):,} coefficients"
        )
        lines = [f"{said} and determine {float(self.effective_parameters):.1f}; the prior says the rest."]
        for name, outcome in self.outcomes.items():
            if outcome.value.ndim == 0:
                lines.append(
                    f"  {name}: {float(outcome.value):.6g}, sd {float(outcome.sd):.2g} (prior {float(outcome.prior_sd):.2g})"
                )
        return "\n".join(lines)

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        words = "share of the prior variance of log A that the data take away"
        return {"shrinkage": (("account", "account_to"), self.shrinkage, "1", words)}


def identify(
    fit: Fit, *, outcomes: Mapping[str, Callable[[Float[Array, "n n"]], Float[Array, "*k"]]] | None = None
) -> Identification:
    """Return what the data identify of a fitted technology: rank, effective parameters, shrinkage, and sds of outcomes.

    With J the derivative of the data to log A, S the prior covariance and R the noise, the data see the combinations with
    eigenvalues `signal` of `R^-1/2 J S J' R^-1/2`; the posterior covariance is `S - S J' (J S J' + R)^-1 J S`.

    Parameters
    ----------
    fit:
        The result of `fit`, which had a prior: without one there is nothing to compare with. Tracks and fits of emissions,
        which have more than one technology or more than technologies, are refused: their `log_sd` says what they know.
    outcomes:
        Functions of A (n, n) in JAX operations, each to a number or an array (k,): emissions, a multiplier, one coefficient.

    Raises
    ------
    InputError
        `fit` is no result of `fit`; an outcome that is no function, is not written in
        JAX operations, or does not return numbers.

    References
    ----------
    MacKay (1992), Neural Computation 4; Tarantola (2005), section 3.3.
    """
    instance(fit, Fit, "fit", "the result of q.update.fit, which is not that of track or fit_emissions")
    if outcomes is not None:
        instance(outcomes, Mapping, "outcomes", "a dictionary of functions of A by name")
    given = dict(outcomes or {})
    for name, function in given.items():
        if not callable(function):
            raise InputError(
                f"the outcome {name!r} is {type(function).__name__}; give a function of the coefficients A (n, n)."
            )
    signal, shrinkage, rank = _spectrum(fit.data, fit.curvature, fit.log_sd)
    return Identification(
        fit.curvature.factor.shape[0],
        jnp.sum((fit.data.spread > 0) & (fit.data.prior > 0)),
        rank,
        jnp.sum(signal / (1 + signal)),
        signal,
        shrinkage,
        {name: _outcome(fit, function, name) for name, function in given.items()},
    )


@jax.jit
def _spectrum(data: Observations, curvature: Curvature, log_sd: Array) -> tuple[Array, Array, Array]:
    whole = curvature.factor @ curvature.factor.T
    root = jnp.linalg.cholesky(curvature.noise)
    left = jsp.solve_triangular(root, whole - curvature.noise, lower=True)
    signal = jnp.linalg.eigvalsh(jsp.solve_triangular(root, left.T, lower=True))[::-1]
    least = signal[0] * signal.shape[0] * jnp.finfo(signal.dtype).eps
    moves = data.spread > 0
    shrinkage = jnp.where(moves, 1 - (log_sd / jnp.where(moves, data.deviations(), 1)) ** 2, 0)
    return jnp.maximum(signal, 0), shrinkage, jnp.sum(signal > least)


def _outcome(fit: Fit, function: Callable, name: str) -> Outcome:
    def of(theta: Array) -> Array:
        return floating(function(fit.A * jnp.exp(theta)), f"the outcome {name!r}")

    nothing = jnp.zeros_like(fit.A)
    try:
        jax.eval_shape(of, nothing)
    except jax.errors.JAXTypeError:
        raise InputError(
            f"the outcome {name!r} asks for the numbers of A, but its derivative is needed; write it in jax.numpy "
            f"(jnp.linalg.inv, not np.linalg.inv), without float() and without conditions on A."
        ) from None
    value, pull = jax.vjp(of, nothing)
    if value.ndim > 1:
        raise InputError(
            f"the outcome {name!r} has shape {value.shape}; give a function to a number or to an array (k,)."
        )
    units = jnp.eye(value.size, dtype=value.dtype).reshape(value.size, *value.shape)
    before, after = _deviations(fit.data, fit.curvature, jax.vmap(pull)(units)[0])
    return Outcome(value, before.reshape(value.shape), after.reshape(value.shape))


@jax.jit
def _deviations(data: Observations, curvature: Curvature, slopes: Float[Array, "k n n"]) -> tuple[Array, Array]:
    """Return the prior and the posterior standard deviations of outcomes with these derivatives to log A."""

    def one(slope: Array) -> tuple[Array, Array]:
        return jnp.vdot(slope, data.spread_over(slope)), jnp.vdot(slope, curvature.covariance(slope))

    before, after = jax.vmap(one)(slopes)
    return root(before), root(after)
