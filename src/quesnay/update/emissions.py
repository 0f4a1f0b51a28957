"""`fit_emissions`: what each input emits where it is used, learned with the technology from emission totals by sector."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import concrete, first_bad, floating, require
from quesnay._errors import InputError
from quesnay._results import RESULTS, raise_unless_successful

from .blocks import deviations
from .constant import Curvature, Observations
from .doubts import doubt_relative, doubt_shift
from .fitting import MAX_STEPS, TOLERANCE, ended, limits, observations, square
from .gauss_newton import AbstractPosterior, mode, root


class Emitting(AbstractPosterior):
    """The posterior of a technology and of what each of its coefficients emits.

    Of theta (2, n, n), the first is `log A / A0`, the second `log C / C0`. Sums of columns `sum_i C_ij A_ij` are observed:
    emissions per unit of output, each divided by what was measured.

    Attributes
    ----------
    technology:
        Outputs, demand and the prior of A; its weights are C0 in these units.
    spread:
        Prior standard deviations of log C (n, n).
    """

    technology: Observations
    spread: Float[Array, "n n"]

    def emitting(self, theta: Float[Array, "2 n n"]) -> Observations:
        """Return the observations with the weights of theta."""
        assert self.technology.weight is not None
        return eqx.tree_at(lambda data: data.weight, self.technology, self.technology.weight * jnp.exp(theta[1]))

    def cost(self, theta, objective):
        moves = self.spread > 0
        own = jnp.sum(jnp.where(moves, theta[1] / jnp.where(moves, self.spread, 1), 0) ** 2) / 2
        return own + self.emitting(theta).cost(theta[0], objective)

    def deviations(self):
        return jnp.stack([self.technology.deviations(), self.spread])

    def curvature(self, theta: Float[Array, "2 n n"]) -> Curvature:
        """Return the curvature in the space of the data, where C adds to the variance of the sums of columns."""
        vague = jnp.sum((self.spread * self.emitted(theta)) ** 2, axis=0)
        return Curvature.at(self.emitting(theta), theta[0], vague)

    def emitted(self, theta: Float[Array, "2 n n"]) -> Float[Array, "n n"]:
        """Return what each input emits, as a share of what was measured of the account that uses it."""
        data = self.emitting(theta)
        assert data.weight is not None
        return data.weight * data.technology(theta[0])

    def covariance(self, theta):
        curvature, emitted = self.curvature(theta), self.emitted(theta)
        n = emitted.shape[0]

        def product(gradient: Array) -> Array:
            prior = jnp.stack([self.technology.spread_over(gradient[0]), self.spread**2 * gradient[1]])
            seen = curvature.seen(prior[0]).at[-n:].add((emitted * prior[1]).sum(0))
            found = jsp.cho_solve((curvature.factor, True), seen)
            return prior - jnp.stack([curvature.pulled(found), self.spread**2 * emitted * found[-n:]])

        return product

    def towards(self, theta, gradient):
        return -self.covariance(theta)(gradient)

    def rounding(self):
        return self.technology.rounding()

    def productive(self, theta):
        return self.technology.productive(theta[0])


class EmissionsFit(eqx.Module):
    """A posterior of a technology and of its emission coefficients.

    Attributes
    ----------
    A, C:
        Most likely technical coefficients (n, n), and emissions per unit of each input (n, n).
    log_sd, C_log_sd:
        Posterior standard deviations of log A and log C (n, n).
    intensity:
        `sum_i C_ij A_ij` (n,), emissions per unit of output.
    output, emissions:
        Of the fitted technology (years, n).
    residual:
        `(E - x intensity) / E` (years, n) of the emissions E that were given, 0 where there are none.
    shift:
        `log(C / C0) / C_sd` (n, n): how far, in standard deviations of the prior, each coefficient went; 0 for those that stay.
        Beyond 5 a `q.update.UnitsWarning` says so: emissions a thousand times too large are met by any prior that gives way.
    effective_parameters, iterations, result:
        As for `fit`.
    """

    A: Float[Array, "n n"]
    C: Float[Array, "n n"]
    log_sd: Float[Array, "n n"]
    C_log_sd: Float[Array, "n n"]
    intensity: Float[Array, " n"]
    output: Float[Array, "years n"]
    emissions: Float[Array, "years n"]
    residual: Float[Array, "years n"]
    shift: Float[Array, "n n"]
    effective_parameters: Float[Array, ""]
    iterations: Int[Array, ""]
    result: RESULTS

    def __repr__(self) -> str:
        if not concrete(self.intensity) or not isinstance(self.intensity, jax.Array):
            return eqx.tree_pformat(self)
        years, n = self.output.shape
        how = RESULTS[self.result] or f"{int(self.iterations)} iterations"
        many = float(self.effective_parameters)
        said = f"largest residual of emissions {float(jnp.max(jnp.abs(self.residual))):.1e}"
        moved = f"log C moved by up to {float(jnp.max(jnp.abs(self.shift))):.2g} C_sd"
        return f"EmissionsFit of {n} accounts to {years} years: {many:.1f} effective parameters, {said}, {moved}; {how}"

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        square = ("account", "account_to")
        return {
            "A": (square, self.A, "1", "technical coefficients"),
            "C": (square, self.C, "{outcome} per {currency}", "emissions per unit of input"),
            "log_sd": (square, self.log_sd, "1", "posterior standard deviation of log A"),
            "C_log_sd": (square, self.C_log_sd, "1", "posterior standard deviation of log C"),
            "intensity": (("account",), self.intensity, "{outcome} per {currency}", "emissions per unit of output"),
        }


def fit_emissions(
    A0: ArrayLike,
    C0: ArrayLike,
    x: ArrayLike,
    d: ArrayLike,
    emissions: ArrayLike,
    *,
    prior_sd: ArrayLike,
    C_sd: ArrayLike,
    noise_sd: ArrayLike,
    emissions_sd: ArrayLike,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
    throw: bool = True,
) -> EmissionsFit:
    """Return the technology and what each of its inputs emits where it is used, from outputs and emissions by sector.

    `E_tj = x_tj sum_i C_ij A_ij`: C_ij are emissions per unit of input i in account j, such as t CO2 per currency of fuel. Both
    A and C are log-normal around their priors, and both answer for the totals: `sum (log C / C0)^2 / (2 C_sd^2)` and the
    misfit of `E / x`, relative to emissions_sd, are added to the cost of `fit`.

    Parameters
    ----------
    A0, x, d, prior_sd, noise_sd:
        As for `fit`.
    C0:
        Prior emissions per unit of input (n, n) >= 0; 0 where an input emits nothing.
    emissions:
        Emissions of each account (years, n), or (n,), such as t CO2; 0 only where its column of C0 is.
    C_sd:
        Prior standard deviation of log C (n, n), or one for all; 0 keeps a coefficient.
    emissions_sd:
        Relative standard deviation of emissions: (years, n), or one for all.
    tolerance, max_steps, throw:
        As for `fit`.

    Raises
    ------
    InputError
        As for `fit`; emissions of an account whose column of `C0 A0` is 0, or none of one whose is not.
    SolveError
        As for `fit`.
    """
    data = observations(A0, x, d, prior_sd, noise_sd, None, None)
    prior = floating(C0, "C0")
    posterior = _emitting(data, prior, C_sd, emissions, emissions_sd)
    total = jnp.atleast_2d(floating(emissions, "emissions")).astype(data.prior.dtype)
    found = _fitted(posterior, prior.astype(data.prior.dtype), total, *limits(tolerance, max_steps))
    doubt_shift(found.shift)
    return raise_unless_successful(found, found.result) if throw else found


def _emitting(
    data: Observations, C0: Array, C_sd: ArrayLike, emissions: ArrayLike, emissions_sd: ArrayLike
) -> Emitting:
    n = data.prior.shape[0]
    C0, total = C0.astype(data.prior.dtype), jnp.atleast_2d(floating(emissions, "emissions")).astype(data.prior.dtype)
    if C0.shape != (n, n) or total.shape != data.output.shape:
        raise InputError(
            f"C0 has shape {C0.shape} and emissions {total.shape}; give ({n}, {n}) and {data.output.shape}."
        )
    require(
        lambda c: np.isfinite(c) & (c >= 0), "C0 has negative or missing entries; give emissions per unit of input.", C0
    )
    require(lambda e: np.isfinite(e) & (e >= 0), "emissions has negative or missing entries.", total)
    relative = jnp.broadcast_to(deviations(emissions_sd, total.shape, "emissions_sd"), total.shape).astype(total.dtype)
    require(
        lambda s: np.isfinite(s) & (s > 0),
        "emissions_sd is not positive; give a relative standard deviation, such as 0.05.",
        relative,
    )
    doubt_relative(relative, "emissions_sd")
    precision = 1 / relative**2
    rate = (precision * total / (data.output * data.unit)).sum(0) / precision.sum(0)
    emits = (C0 * data.prior).sum(0) > 0
    require(
        lambda rate, emits: (rate > 0) == emits,
        lambda: (
            f"account {first_bad(np.asarray((rate > 0) != emits))} has emissions in its total or in its column of C0 A0, but "
            f"not in both; give it a coefficient where it emits, and none where it does not."
        ),
        *(rate, emits),
    )
    weight = C0 * data.units / jnp.where(emits, rate, 1)
    noise = jnp.where(emits, 1 / jnp.sqrt(precision.sum(0)), 1)
    seen = (weight, emits.astype(data.prior.dtype), noise)
    known = eqx.tree_at(lambda d: (d.weight, d.share, d.share_noise), data, seen, is_leaf=lambda leaf: leaf is None)
    spread = jnp.where((C0 > 0) & (data.prior > 0), square(C_sd, n, "C_sd"), 0).astype(total.dtype)
    return Emitting(known, spread)


@eqx.filter_jit
def _fitted(posterior: Emitting, C0: Array, total: Array, tolerance: Array, max_steps: Array) -> EmissionsFit:
    found = mode(posterior, None, tolerance, max_steps, jnp.zeros_like(posterior.deviations()))
    data, curvature = posterior.technology, posterior.curvature(found.theta)
    n = data.prior.shape[0]
    inverse = jsp.cho_solve((curvature.factor, True), jnp.eye(curvature.factor.shape[0], dtype=curvature.factor.dtype))
    left = posterior.spread**2 - (posterior.spread**2 * posterior.emitted(found.theta)) ** 2 * jnp.diag(inverse)[-n:]
    variance = curvature.variance()
    A, C = data.units * curvature.technology, C0 * jnp.exp(found.theta[1])
    intensity = jnp.sum(C * A, axis=0)
    output = data.unit * curvature.modelled
    moves, some = posterior.spread > 0, total > 0
    shift = jnp.where(moves, found.theta[1] / jnp.where(moves, posterior.spread, 1), 0)
    residual = jnp.where(some, 1 - data.unit * data.output * intensity / jnp.where(some, total, 1), 0)
    return EmissionsFit(
        A,
        C,
        root(variance),
        root(left),
        intensity,
        output,
        output * intensity,
        residual,
        shift,
        curvature.effective(),
        found.steps,
        ended(found, tolerance, curvature.precise(variance)),
    )
