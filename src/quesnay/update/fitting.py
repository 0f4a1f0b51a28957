"""`fit`: technical coefficients learned from several years of outputs and final demand, with their uncertainty."""

from collections.abc import Mapping
from statistics import NormalDist

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import concrete, first_bad, floating, positive, require, whole
from quesnay._errors import InputError
from quesnay._results import RESULTS, first_failure, raise_unless_successful, result_if

from .blocks import deviations
from .constant import Curvature, Observations
from .doubts import doubt_logarithmic, doubt_relative
from .gauss_newton import Mode, Objective, mode, root

TOLERANCE = 1e-8
MAX_STEPS = 500
BEYOND = 6
"""Standard deviations of noise that no output is off by."""


class Fit(eqx.Module):
    """A posterior of technical coefficients: its mode, its curvature, and what of it the data say.

    Attributes
    ----------
    A:
        Most likely coefficients (n, n); productive (Hawkins-Simon).
    sd:
        Posterior standard deviation of A (n, n), to first order: `A log_sd`.
    log_sd:
        Posterior standard deviation of log A (n, n).
    effective_parameters:
        `tr(J S J' (J S J' + R)^-1)`: how many of the n^2 coefficients, or combinations of them, the data determine.
    output:
        Outputs of the fitted technology (years, n), in currency.
    residual:
        `(x - output) / x` (years, n).
    misfit:
        The same in standard deviations of the noise, `(x - output) / (noise_sd x)`: most are within 2 where the model is right.
    evidence:
        Logarithm of the probability of the outputs under prior and noise (Laplace); of two priors the one with the higher is
        better supported.
    iterations:
        Gauss-Newton steps.
    result:
        How the fit ended; `q.equilibrium.RESULTS[fit.result]` is the sentence where it failed.
    data, curvature:
        What `identify` needs.
    """

    A: Float[Array, "n n"]
    log_sd: Float[Array, "n n"]
    effective_parameters: Float[Array, ""]
    output: Float[Array, "years n"]
    residual: Float[Array, "years n"]
    evidence: Float[Array, ""]
    iterations: Int[Array, ""]
    result: RESULTS
    data: Observations
    curvature: Curvature

    @property
    def sd(self) -> Float[Array, "n n"]:
        return self.A * self.log_sd

    @property
    def misfit(self) -> Float[Array, "years n"]:
        return self.residual * self.data.output / self.data.noise

    def interval(self, level: float = 0.95) -> tuple[Float[Array, "n n"], Float[Array, "n n"]]:
        """Return the ends of the central credible interval of each coefficient: `A exp(-+ z log_sd)`."""
        z = NormalDist().inv_cdf(0.5 + positive(level, "level", below=1) / 2)
        return self.A * jnp.exp(-z * self.log_sd), self.A * jnp.exp(z * self.log_sd)

    def __repr__(self) -> str:
        if not concrete(self.evidence) or not isinstance(self.evidence, jax.Array):
            return eqx.tree_pformat(self)
        cells = int(np.sum(np.asarray(self.data.spread * self.data.prior) > 0))
        years, n = self.output.shape
        how = RESULTS[self.result] or f"{int(self.iterations)} iterations"
        return (
            f"Fit of {cells:,} coefficients of {n} accounts to {years} years: {float(self.effective_parameters):.1f} effective "
            f"parameters, largest residual {float(jnp.max(jnp.abs(self.residual))):.1e} "
            f"({float(jnp.max(jnp.abs(self.misfit))):.2g} noise_sd); {how}"
        )

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        square = ("account", "account_to")
        return {
            "A": (square, self.A, "1", "technical coefficients"),
            "sd": (square, self.sd, "1", "posterior standard deviation of the coefficients"),
            "log_sd": (square, self.log_sd, "1", "posterior standard deviation of their logarithms"),
        }


def fit(
    A0: ArrayLike,
    x: ArrayLike,
    d: ArrayLike,
    *,
    prior_sd: ArrayLike,
    noise_sd: ArrayLike,
    substitution_sd: ArrayLike | None = None,
    fabrication_sd: ArrayLike | None = None,
    inputs: ArrayLike | None = None,
    inputs_sd: ArrayLike | None = None,
    objective: Objective | None = None,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
    throw: bool = True,
) -> Fit:
    """Return the technology that several years of outputs and final demand make likely, given a prior.

    Minimises `sum_ij (log A_ij - log A0_ij)^2 / (2 prior_sd^2) + sum_ti ((x - L d)_ti / (noise_sd x_ti))^2 / 2`, plus the
    objective, by Gauss-Newton steps in log A that never leave the productive region. Years of n outputs say something about n
    combinations of n^2 coefficients; the prior says the rest, which is why there is no default for it.

    Parameters
    ----------
    A0:
        Prior technical coefficients (n, n) >= 0, productive; cells at 0 stay there. Rows may be in units of their own
        (MJ, t), as long as x and d of the row are.
    x, d:
        Outputs > 0 and final demand (years, n), or (n,) for one year, in currency.
    prior_sd:
        Standard deviation of log A: (n, n), or one for all; 0 keeps a coefficient.
    noise_sd:
        Standard deviation of the observed outputs, relative to them: (years, n), (n,), or one for all.
    substitution_sd, fabrication_sd:
        Standard deviations of what the log coefficients of a row, and those of a column, have in common: (n,), or one for all.
        A product is used more, or less, by everyone; an industry buys more, or less, of everything: Stone's R and S. With
        them the prior says what RAS assumes, and prior_sd what single coefficients do beside.
    inputs, inputs_sd:
        Intermediate inputs (years, n) that each account bought, in currency, and their relative standard deviation: with
        them the columns of A are observed as well as its rows, as in RAS. Their columns must be in one unit.
    objective:
        Function of A (n, n), in JAX operations, that is added to minus the log posterior: a penalty of emissions or of jobs
        lost, times its weight. It moves the mode; uncertainty stays that of the data.
    tolerance:
        Largest Newton decrement at the end: distance from the mode in posterior standard deviations.
    max_steps:
        Gauss-Newton steps before the fit counts as failed.
    throw:
        Raise where the fit did not converge; with False the code is in `result`.

    Raises
    ------
    InputError
        Shapes that do not fit, outputs that are not positive, a negative coefficient, an A0 that is not productive, no prior.
    SolveError
        Not converged within max_steps; noise so small that what it leaves of the prior is below rounding.

    References
    ----------
    The prior is that of Golan, Judge and Robinson (1994) up to second order, in logarithms; curvature as in Tarantola (2005),
    section 3.2; effective parameters as in MacKay (1992), Neural Computation 4.
    """
    data = observations(A0, x, d, prior_sd, noise_sd, inputs, inputs_sd, substitution_sd, fabrication_sd)
    if objective is not None:
        _require_objective(objective, data)
    found = _fitted(data, objective, *limits(tolerance, max_steps))
    return raise_unless_successful(found, found.result) if throw else found


def limits(tolerance: float, max_steps: int) -> tuple[Array, Array]:
    """Return the tolerance and the steps allowed as arrays, so that other ones need no other program; or raise `InputError`."""
    steps = whole(max_steps, "max_steps", "number of steps")
    return jnp.asarray(positive(tolerance, "tolerance")), jnp.asarray(steps)


def _require_objective(objective: Objective, data: Observations) -> None:
    if not callable(objective):
        raise InputError(f"objective is {type(objective).__name__}; give a function of the coefficients A (n, n).")
    value = floating(objective(data.units * data.prior), "what objective returns")
    if value.ndim:
        raise InputError(f"objective returns shape {value.shape}; give a function to one number.")
    require(np.isfinite, "objective is not finite at A0; give a function that is defined for every technology.", value)


@eqx.filter_jit
def _fitted(data: Observations, objective: Objective | None, tolerance: Array, max_steps: Array) -> Fit:
    found = mode(data, objective, tolerance, max_steps, jnp.zeros_like(data.prior))
    curvature = Curvature.at(data, found.theta)
    residual = (data.output - curvature.modelled) / data.output
    noise = (data.unit * data.noise).ravel()
    # Of each side, twice the logarithm of the determinant's root.
    widened = 2 * (
        jnp.log(jnp.diag(curvature.factor)).sum() - jnp.log(jnp.diag(jnp.linalg.cholesky(curvature.noise))).sum()
    )
    noise = noise if data.share_noise is None else jnp.concatenate([noise, data.share_noise])
    evidence = (
        -data.cost(found.theta, None) - 0.5 * widened - jnp.sum(jnp.log(noise)) - 0.5 * noise.size * jnp.log(2 * jnp.pi)
    )
    variance = curvature.variance()
    return Fit(
        data.units * curvature.technology,
        root(variance),
        curvature.effective(),
        data.unit * curvature.modelled,
        residual,
        evidence,
        found.steps,
        ended(found, tolerance, curvature.precise(variance)),
        data,
        curvature,
    )


def ended(found: Mode, tolerance: Array, precise: Array) -> RESULTS:
    """Return how a fit ended: not at its mode, with variances that rounding hides, or well."""
    return first_failure(
        result_if(~(found.decrement <= tolerance), RESULTS.not_fitted), result_if(~precise, RESULTS.too_sure)
    )


def observations(
    A0: ArrayLike,
    x: ArrayLike,
    d: ArrayLike,
    prior_sd: ArrayLike,
    noise_sd: ArrayLike,
    inputs: ArrayLike | None,
    inputs_sd: ArrayLike | None,
    substitution_sd: ArrayLike | None = None,
    fabrication_sd: ArrayLike | None = None,
) -> Observations:
    """Return what was observed beside its prior, in each account's own units, or raise `InputError`."""
    prior, output, demand = floating(A0, "A0"), jnp.atleast_2d(floating(x, "x")), jnp.atleast_2d(floating(d, "d"))
    n = prior.shape[0] if prior.ndim == 2 else 0
    if output.ndim == 2 and not len(output):
        raise InputError("x has no years; give the outputs of one or more.")
    if n == 0 or prior.shape != (n, n) or output.ndim != 2 or output.shape[1:] != (n,) or output.shape != demand.shape:
        raise InputError(
            f"A0 has shape {prior.shape}, x {output.shape} and d {demand.shape}; give (n, n), (years, n) and (years, n)."
        )
    require(
        lambda a: np.isfinite(a) & (a >= 0),
        "A0 has negative or missing entries; clear them, or fix their flows apart.",
        prior,
    )
    require(
        lambda v: np.isfinite(v) & (v > 0),
        lambda: _not_positive(np.asarray(output)),
        output,
    )
    require(np.isfinite, "d has entries that are not finite.", demand)
    _require_productive(prior)
    if prior_sd is None:
        raise InputError(
            f"{output.size} numbers cannot determine {int(np.sum(np.asarray(prior) > 0))} coefficients; give prior_sd, the "
            f"standard deviation of log A around A0 (0.2, say)."
        )
    spread = square(prior_sd, n, "prior_sd")
    relative = floating(noise_sd, "noise_sd")
    if relative.shape not in ((), (n,), output.shape):
        raise InputError(f"noise_sd has shape {relative.shape}; give {output.shape}, ({n},), or one number for all.")
    require(
        lambda s: np.isfinite(s) & (s > 0),
        "noise_sd is not positive; give a relative standard deviation, such as 0.01.",
        relative,
    )
    doubt_relative(relative, "noise_sd")
    require(
        lambda v, f, s: ~_beyond(v, f, s),
        lambda: (
            f"final demand exceeds output in {_place(_beyond(*map(np.asarray, (output, demand, relative))))} "
            f"by more than {BEYOND} standard deviations of its noise, but no technology sells less than nothing to sectors; "
            f"check the order and the units of x and d."
        ),
        output,
        demand,
        relative,
    )
    share = share_noise = None
    if (inputs is None) != (inputs_sd is None):
        raise InputError("inputs and inputs_sd belong together; give both or neither.")
    if inputs is not None and inputs_sd is not None:
        share, share_noise = _shares(inputs, inputs_sd, output)
    moves = jnp.where(prior > 0, spread, 0)
    unit = jax.lax.stop_gradient(output.mean(0))
    own = (output / unit, demand / unit, relative * output / unit)
    weight = None if share is None else unit[:, None] / unit
    common = (_common(substitution_sd, n, "substitution_sd"), _common(fabrication_sd, n, "fabrication_sd"))
    data = Observations(unit, prior * unit / unit[:, None], moves, *common, *own, weight, share, share_noise)
    # Deviations, which may have come as plain numbers, do not widen what is in single precision.
    return jax.tree.map(lambda a: a.astype(jnp.result_type(prior, output, demand)), data)


def _common(sd: ArrayLike | None, n: int, name: str) -> Array | None:
    if sd is None:
        return None
    values = deviations(sd, (n,), name)
    require(
        np.isfinite, f"{name} has infinite entries; give the standard deviation of a common change of log A.", values
    )
    return values


def square(sd: ArrayLike, n: int, name: str) -> Array:
    """Return standard deviations of log A (n, n), or raise `InputError`."""
    values = deviations(sd, (n, n), name)
    require(np.isfinite, f"{name} has infinite entries; give the standard deviation of log A, such as 0.2.", values)
    doubt_logarithmic(values, name)
    return values


def _shares(inputs: ArrayLike, inputs_sd: ArrayLike, output: Array) -> tuple[Array, Array]:
    """Return inputs per unit of output, pooled over the years (A is one, so that all see the same), and their deviation."""
    values = jnp.atleast_2d(floating(inputs, "inputs"))
    if values.shape != output.shape:
        raise InputError(f"inputs has shape {values.shape}, but x {output.shape}; give one for each year and account.")
    require(lambda v: np.isfinite(v) & (v >= 0), "inputs has negative or missing entries.", values)
    relative = jnp.broadcast_to(deviations(inputs_sd, output.shape, "inputs_sd"), output.shape)
    require(
        lambda s: np.isfinite(s) & (s > 0),
        "inputs_sd is not positive; give a relative standard deviation, such as 0.01.",
        relative,
    )
    # The error is relative to what was bought, and no less than that of inputs of a hundredth of output.
    share = values / output
    precision = 1 / (relative * jnp.maximum(share, 0.01)) ** 2
    total = precision.sum(0)
    return (precision * share).sum(0) / total, 1 / jnp.sqrt(total)


def _require_productive(prior: Array) -> None:
    def holds(A: np.ndarray) -> np.ndarray:
        try:
            return np.linalg.solve(np.eye(len(A)) - A, np.ones(len(A))) > 0
        except np.linalg.LinAlgError:
            return np.array(False)

    require(
        holds,
        "A0 is not productive (Hawkins-Simon): its spectral radius is 1 or more; begin with a table that is.",
        prior,
    )


def _beyond(output: np.ndarray, demand: np.ndarray, noise: np.ndarray) -> np.ndarray:
    return demand > output * (1 + BEYOND * noise)


def _not_positive(output: np.ndarray) -> str:
    bad = ~(np.isfinite(output) & (output > 0))
    if np.isfinite(output[bad].ravel()[0]):
        return f"x is not positive in {_place(bad)}; drop accounts without output."
    return f"x is {output[bad].ravel()[0]} in {_place(bad)}; give an output, or leave out the year or the account."


def _place(bad: np.ndarray) -> str:
    year, account = np.unravel_index(first_bad(bad), bad.shape)
    return f"year {year}, account {account}"
