"""`track`: coefficients that change from year to year or quarter to quarter, updated as each arrives."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import concrete, floating, require
from quesnay._errors import InputError
from quesnay._results import RESULTS, raise_unless_successful

from .blocks import deviations
from .drifting import Drifting
from .fitting import MAX_STEPS, TOLERANCE, ended, limits, observations, square
from .gauss_newton import mode, root


class Forecast(eqx.Module):
    """Outputs of a year that has not been observed, given its final demand.

    Attributes
    ----------
    output:
        Outputs (n,), in currency.
    sd:
        Their standard deviation (n,), of the technology and its next step; the noise of observing outputs is not in it.
    observed_sd:
        Standard deviation (n,) of what will be observed: `sqrt(sd^2 + (noise_sd output)^2)`.
    """

    output: Float[Array, " n"]
    sd: Float[Array, " n"]
    observed_sd: Float[Array, " n"]


class Track(eqx.Module):
    """Technologies of successive years or quarters, each given all that was observed.

    Attributes
    ----------
    A:
        Technical coefficients of each period (years, n, n); productive.
    log_sd:
        Posterior standard deviation of log A in the last period (n, n).
    output, residual:
        Outputs of the fitted technologies (years, n), in currency, and `(x - output) / x`.
    misfit:
        `(x - output) / (noise_sd x)` (years, n).
    iterations, result:
        As for `fit`.
    data, theta:
        What `observe` and `predict` need, in arrays with room for periods to come.
    """

    A: Float[Array, "years n n"]
    log_sd: Float[Array, "n n"]
    output: Float[Array, "years n"]
    residual: Float[Array, "years n"]
    iterations: Int[Array, ""]
    result: RESULTS
    data: Drifting
    theta: Float[Array, "years n n"]

    @property
    def misfit(self) -> Float[Array, "years n"]:
        years = self.output.shape[-2]
        return self.residual * self.data.output[..., :years, :] / self.data.noise[..., :years, :]

    def observe(
        self, x: ArrayLike, d: ArrayLike, *, noise_sd: ArrayLike, tolerance: float = TOLERANCE, throw: bool = True
    ) -> "Track":
        """Return the track with one more period, or several: outputs and final demand (n,) or (years, n).

        All periods are weighed again, from where the track was, so that the result is that of `track` on all of them. Programs
        are compiled for a number of periods that leaves room for more, so that most calls compile none.
        """
        old, years = self.data, self.output.shape[0]
        prior, unit = old.prior * old.unit[:, None] / old.unit, old.unit
        new = observations(prior, x, d, 0.0, noise_sd, None, None)
        output, demand, noise = (
            jnp.concatenate([own[:years] * unit, more * new.unit])
            for own, more in zip((old.output, old.demand, old.noise), (new.output, new.demand, new.noise), strict=True)
        )
        data = _drifting(prior, output, demand, noise, old.spread, old.drift)
        return _found(data, self.theta[:years], tolerance, MAX_STEPS, throw)

    def predict(self, d: ArrayLike, *, noise_sd: ArrayLike | None = None) -> Forecast:
        """Return the outputs that final demand d (n,) takes in the period after the last.

        noise_sd, (n,) or one for all, is that of the observation to come; that of the last period where it is not given.
        """
        demand = floating(d, "d")
        if demand.shape != self.data.unit.shape:
            raise InputError(
                f"d has shape {demand.shape}; give the final demand of one period, {self.data.unit.shape}."
            )
        require(np.isfinite, "d has entries that are not finite.", demand)
        output, sd = (self.data.unit * own for own in _ahead(self.data, self.theta, demand / self.data.unit))
        last = self.output.shape[0] - 1
        noise = self.data.noise[last] / self.data.output[last]
        if noise_sd is not None:
            noise = deviations(noise_sd, noise.shape, "noise_sd")
            require(np.isfinite, "noise_sd has infinite entries; give relative standard deviations.", noise)
        return Forecast(output, sd, root(sd**2 + (noise * output) ** 2))

    def __repr__(self) -> str:
        if not concrete(self.residual) or not isinstance(self.residual, jax.Array):
            return eqx.tree_pformat(self)
        years, n = self.output.shape
        how = RESULTS[self.result] or f"{int(self.iterations)} iterations"
        largest = float(jnp.max(jnp.abs(self.residual)))
        return f"Track of {n} accounts over {years} periods: largest residual {largest:.1e}; {how}"

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        square = ("account", "account_to")
        return {
            "A": (("period", *square), self.A, "1", "technical coefficients"),
            "log_sd": (square, self.log_sd, "1", "posterior standard deviation of log A in the last period"),
            "output": (("period", "account"), self.output, "{currency}", "outputs of the fitted technologies"),
        }


def track(
    A0: ArrayLike,
    x: ArrayLike,
    d: ArrayLike,
    *,
    prior_sd: ArrayLike,
    drift_sd: ArrayLike,
    noise_sd: ArrayLike,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
    throw: bool = True,
) -> Track:
    """Return the technologies of successive periods, whose coefficients walk at random in logarithms.

    `log A_t = log A_t-1 + N(0, drift_sd^2)` from `log A_0 = log A0 + N(0, prior_sd^2)`, `x_t = (I - A_t)^-1 d_t + noise`: the
    mode of all A_t given all outputs, by Gauss-Newton steps in the space of the data. With `track.observe` the next period
    is added as it arrives; `track.predict` says the outputs of one that has not been seen.

    Parameters
    ----------
    A0:
        Technical coefficients (n, n) of the period before the first, or of another prior.
    x, d:
        Outputs > 0 and final demand (years, n) of successive periods, in currency.
    prior_sd, noise_sd:
        As for `fit`; prior_sd may be 0 where A0 is sure.
    drift_sd:
        Standard deviation of the change of log A in one period: (n, n), or one for all; 0 keeps a coefficient constant.
    tolerance, max_steps, throw:
        As for `fit`.

    Raises
    ------
    InputError, SolveError
        As for `fit`.

    References
    ----------
    Rauch, Tung and Striebel (1965), AIAA Journal 3, for the smoother whose mode this is; Bell (1994), SIAM Journal on
    Optimization 4, for it as Gauss-Newton steps.
    """
    data = observations(A0, x, d, prior_sd, noise_sd, None, None)
    drift = jnp.where(data.prior > 0, square(drift_sd, data.prior.shape[0], "drift_sd"), 0).astype(data.prior.dtype)
    unit = data.unit
    walk = Drifting(unit, data.prior, data.spread, drift, data.output, data.demand, data.noise)
    return _found(walk, jnp.zeros((0, *data.prior.shape), data.prior.dtype), tolerance, max_steps, throw)


def _drifting(prior: Array, output: Array, demand: Array, noise: Array, spread: Array, drift: Array) -> Drifting:
    unit = jax.lax.stop_gradient(output.mean(0))
    return Drifting(unit, prior * unit / unit[:, None], spread, drift, output / unit, demand / unit, noise / unit)


def _found(data: Drifting, start: Array, tolerance: float, max_steps: int, throw: bool) -> Track:
    """Return the track of data, searched from the technologies of its first years, whatever room its arrays then have."""
    years, room = data.years, _room(data.years)
    wide, begun = data.widened(room), jnp.pad(start, ((0, room - start.shape[0]), (0, 0), (0, 0)))
    found = _tracked(wide, begun, *limits(tolerance, max_steps))
    only = tuple(part[:years] for part in (found.A, found.output, found.residual))
    found = eqx.tree_at(lambda path: (path.A, path.output, path.residual), found, only)
    return raise_unless_successful(found, found.result) if throw else found


def _room(years: int) -> int:
    """Return 4, or the next number of at most two binary digits other than 0: few sizes, each half as large again at most."""
    step = 2 ** max(years.bit_length() - 2, 2)
    return -(-years // step) * step


@eqx.filter_jit
def _tracked(data: Drifting, start: Array, tolerance: Array, max_steps: Array) -> Track:
    found = mode(data, None, tolerance, max_steps, start)
    seen = data.seen(found.theta)
    units = data.unit[:, None] / data.unit
    variance = data.last_variance(seen)
    return Track(
        units * seen.technology,
        root(variance),
        data.unit * seen.modelled,
        (data.output - seen.modelled) / data.output,
        found.steps,
        ended(found, tolerance, data.precise(seen, variance)),
        data,
        found.theta,
    )


@jax.jit
def _ahead(data: Drifting, theta: Array, demand: Array) -> tuple[Array, Array]:
    seen = data.seen(theta)
    output, covariance = data.ahead(seen, seen.technology[-1], demand)
    return output, root(jnp.diag(covariance))
