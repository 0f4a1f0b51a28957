"""`fit_neural`: a network beside the linear technology, as strong as years that were held back support."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
from numpy.typing import ArrayLike

from quesnay._checks import concrete, floating, positive, require, whole
from quesnay._errors import InputError
from quesnay._results import RESULTS, first_failure, raise_unless_successful, result_if

from .fitting import Fit, fit
from .neural import TRUNK_SD, NeuralTechnology, Weights

STRENGTHS = (0.0, 0.03, 0.1, 0.3, 1.0)
TOLERANCE = 1e-2
MAX_STEPS = 200
HALVINGS = 40
SUFFICIENT = 1e-4
"""Share of the descent that the gradient promises which a step must keep (Armijo)."""


class NeuralFit(eqx.Module):
    """A network fitted to several years, beside the Leontief model fitted to the same.

    Attributes
    ----------
    technology:
        The `NeuralTechnology`; Leontief's where the strength is 0.
    linear:
        The `Fit` whose A it bends.
    strength:
        Prior standard deviation of the weights, chosen among `strengths`.
    strengths:
        The candidates (candidates,).
    held_back:
        Root mean square of the relative error of outputs in the years held back (candidates, folds).
    output, residual:
        Outputs of the technology (years, n), in currency, and `(x - output) / x`.
    effective_parameters:
        How many numbers of the network the data determine rather than its prior, beyond the linear fit.
    iterations:
        Gauss-Newton steps of the last fit.
    result:
        How it ended; `q.equilibrium.RESULTS[fit.result]` is the sentence where it failed.
    """

    technology: NeuralTechnology
    linear: Fit
    strength: Float[Array, ""]
    strengths: Float[Array, " candidates"]
    held_back: Float[Array, "candidates folds"]
    output: Float[Array, "years n"]
    residual: Float[Array, "years n"]
    effective_parameters: Float[Array, ""]
    iterations: Int[Array, ""]
    result: RESULTS

    def __repr__(self) -> str:
        if not concrete(self.strength, self.residual) or not isinstance(self.residual, jax.Array):
            return eqx.tree_pformat(self)
        years, n = self.output.shape
        said = f"strength {float(self.strength):g}" if self.strength > 0 else "strength 0, Leontief's"
        error = f"largest residual {float(jnp.max(jnp.abs(self.residual))):.1e}"
        ended = RESULTS[self.result] or f"{int(self.iterations)} iterations"
        return (
            f"NeuralFit of {n} accounts to {years} years: {said}, {float(self.effective_parameters):.1f} effective "
            f"parameters beyond the linear fit, {error}; {ended}"
        )

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        square, base = ("account", "account_to"), self.technology.base
        average, marginal = self.technology.technology(base), self.technology.marginal(base)
        elasticity = jnp.where(average > 0, marginal / jnp.where(average > 0, average, 1) - 1, 0)
        return {
            "A": (square, average, "1", "technical coefficients at base outputs"),
            "elasticity": (
                square,
                elasticity,
                "1",
                "elasticity of the coefficients to the user's output, at base outputs",
            ),
        }


def fit_neural(
    A0: ArrayLike,
    x: ArrayLike,
    d: ArrayLike,
    *,
    key: PRNGKeyArray,
    prior_sd: ArrayLike,
    noise_sd: ArrayLike,
    strengths: Sequence[float] = STRENGTHS,
    folds: Sequence[tuple[Sequence[int], Sequence[int]]] | None = None,
    features: int = 3,
    rank: int = 2,
    width: float = 0.5,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
    throw: bool = True,
) -> NeuralFit:
    """Return a technology whose coefficients bend with outputs as far as years that were held back support it.

    `fit` gives A; then `sum_ti ((x - x*(d))_ti / (noise_sd x_ti))^2 / 2 + |weights / strength|^2 / 2` is minimised over the
    weights of a `NeuralTechnology` by Gauss-Newton steps, x* being its equilibrium; the trunk stays near its draw. The strength
    is the smallest whose error in the years held back exceeds the least by no more than the standard error of their difference:
    0, Leontief's model, unless the data say otherwise. Numbers only: what it chooses among has no derivative.

    Parameters
    ----------
    A0, x, d, prior_sd, noise_sd:
        As for `fit`, with at least 3 years; the prior and the noise are those of the linear part too.
    key:
        Key of `jax.random` for the features; the same key gives the same fit.
    strengths:
        Candidates, rising, of the prior standard deviation of the weights: the share of the width that the network may take,
        where it is small.
    folds:
        Pairs (years to fit, years to hold back), as positions in x; leaves out each year once where not given. Where later
        years are to be predicted, hold back later years: years between others are easier. At least two where there are
        several strengths: one has no standard error.
    features, rank, width:
        As for `NeuralTechnology`.
    tolerance:
        Largest Newton decrement at the end: distance from the mode in posterior standard deviations.
    max_steps:
        Gauss-Newton steps before the fit counts as failed.
    throw:
        Raise where a linear fit or the last fit did not converge; with False the code is in `result`.

    Raises
    ------
    InputError
        As for `fit` and `NeuralTechnology`; fewer than 3 years; strengths that do not rise from 0; folds without years.
    SolveError
        Not converged within max_steps.

    References
    ----------
    MacKay (1992), Neural Computation 4, for the prior of the weights; Hastie, Tibshirani and Friedman (2009), section 7.10, for
    the rule of one standard error.
    """
    if not concrete(A0, x, d, prior_sd, noise_sd, key):
        raise InputError("fit_neural chooses by numbers, which traced arrays lack; call it outside jit, grad and vmap.")
    candidates = _candidates(strengths)
    settings = (positive(tolerance, "tolerance"), whole(max_steps, "max_steps", "number of steps"))
    output, demand = jnp.atleast_2d(floating(x, "x")), jnp.atleast_2d(floating(d, "d"))
    years = output.shape[0]
    if years < 3:
        raise InputError(f"x has {years} years; give at least 3, or take fit, which needs one.")
    linear = fit(A0, output, demand, prior_sd=prior_sd, noise_sd=noise_sd, throw=throw)
    noise = jnp.broadcast_to(floating(noise_sd, "noise_sd"), output.shape)

    def best(A: Array, fitted: np.ndarray, strength: Array) -> tuple[NeuralTechnology, _Point]:
        # Years held back have infinite noise: they say nothing, and their outputs are predicted beside the others.
        unseen = noise.at[np.setdiff1d(np.arange(years), fitted)].set(jnp.inf)
        logs = jnp.log(output[fitted])
        spread = jnp.sqrt(jnp.mean(jnp.var(logs, axis=0)))
        start = _leontief(A, jnp.exp(logs.mean(0)), spread, key, features, rank, width)
        return _trained(start, output, demand, unseen, strength, *settings)

    pairs = _folds(folds, years)
    if len(pairs) < 2 <= len(candidates):
        raise InputError(
            "folds has one pair, whose error has no standard error to choose a strength by; give two or more, or one strength."
        )
    for fitted in (np.arange(years), *(pair[0] for pair in pairs)):
        still = "x does not vary over the years to fit; take fit, which needs one year."
        require(lambda x: np.any(x != x[0]), still, output[fitted])
    errors = []
    for fitted, held in pairs:
        A = fit(A0, output[fitted], demand[fitted], prior_sd=prior_sd, noise_sd=noise[fitted], throw=throw).A
        found = [best(A, fitted, strength)[1].output[held] for strength in candidates]
        errors.append([jnp.sqrt(jnp.mean((predicted / output[held] - 1) ** 2)) for predicted in found])
    held_back = jnp.asarray(errors).T
    strength = candidates[_simplest(np.asarray(held_back) ** 2)]
    technology, last = best(linear.A, np.arange(years), strength)
    value = NeuralFit(
        technology,
        linear,
        strength,
        candidates,
        held_back,
        last.output,
        (output - last.output) / output,
        last.effective,
        last.steps,
        first_failure(linear.result, result_if(~(last.decrement <= settings[0]), RESULTS.not_fitted)),
    )
    return raise_unless_successful(value, value.result) if throw else value


class _Point(NamedTuple):
    """Weights in units of their prior's standard deviation, what the network gives there, and how the last step went."""

    phi: Float[Array, " p"]
    output: Float[Array, "years n"]
    cost: Float[Array, ""]
    effective: Float[Array, ""]
    decrement: Float[Array, ""]
    steps: Int[Array, ""]
    moved: Bool[Array, ""]


@eqx.filter_jit
def _trained(
    start: NeuralTechnology, x: Array, d: Array, noise: Array, strength: Array, tolerance: float, max_steps: int
) -> tuple[NeuralTechnology, _Point]:
    """Return the posterior mode over the weights of Leontief's model, by Gauss-Newton steps that are halved until they descend.

    The curvature `J'J + I` is inverted in the space of the data, which are fewer than the weights.
    """
    origin, unravel = ravel_pytree(start.weights)
    scale = ravel_pytree(_prior_sd(start.weights, strength))[0]

    def technology(phi: Array) -> NeuralTechnology:
        return eqx.tree_at(lambda t: t.weights, start, unravel(origin + scale * phi))

    def missed(output: Array) -> Array:
        return ((output / x - 1) / noise).ravel()

    def cost(phi: Array, output: Array) -> Array:
        return (jnp.sum(missed(output) ** 2) + jnp.sum(phi**2)) / 2

    def slopes(now: _Point) -> Array:
        def one(x: Array) -> Array:
            direct = jax.jacrev(lambda phi: technology(phi)(x))(now.phi)
            left = jnp.eye(x.shape[0], dtype=x.dtype) - technology(now.phi).marginal(x)
            return jnp.linalg.solve(left, direct)

        return (jax.vmap(one)(now.output) / (noise * x)[..., None]).reshape(x.size, -1)

    def step(now: _Point) -> _Point:
        J = slopes(now)
        inverse = jnp.linalg.inv(J @ J.T + jnp.eye(J.shape[0], dtype=J.dtype))
        gradient = missed(now.output) @ J + now.phi
        towards = (inverse @ (J @ gradient)) @ J - gradient
        slope = jnp.vdot(gradient, towards)

        def halved(state):
            share = state[0] / 2
            phi = now.phi + share * towards
            output = _outputs(technology(phi), d)
            # Near the mode the cost changes by less than its rounding.
            slack = 8 * jnp.finfo(phi.dtype).eps * now.cost
            value = cost(phi, output)
            return share, phi, output, value, value <= now.cost + SUFFICIENT * share * slope + slack

        begun = (jnp.full_like(slope, 2), now.phi, now.output, now.cost, jnp.asarray(False))
        last = jax.lax.while_loop(lambda s: ~s[-1] & (s[0] > 0.5**HALVINGS), halved, begun)
        good = last[-1]
        phi, output, value = (jnp.where(good, new, old) for new, old in zip(last[1:-1], begun[1:-1], strict=True))
        effective = J.shape[0] - jnp.trace(inverse)
        return _Point(phi, output, value, effective, jnp.sqrt(jnp.maximum(-slope, 0)), now.steps + 1, good)

    phi, zero = jnp.zeros_like(origin), jnp.zeros((), origin.dtype)
    output = jnp.linalg.solve(jnp.eye(start.A.shape[0], dtype=start.A.dtype) - start.A, d.T).T
    first = _Point(phi, output, cost(phi, output), zero, jnp.inf + zero, jnp.asarray(0), jnp.asarray(True))
    last = jax.lax.while_loop(
        lambda now: (now.decrement > tolerance) & (now.steps < max_steps) & now.moved, step, first
    )
    return technology(last.phi), last


def _prior_sd(weights: Weights, strength: Array) -> Weights:
    """Return the prior standard deviations: the strength for what changes coefficients, fixed ones for how."""
    trunk, changes = (lambda w: jnp.full_like(w, TRUNK_SD)), (lambda w: jnp.full_like(w, strength))
    return Weights(
        steepness=trunk(weights.steepness),
        shift=trunk(weights.shift),
        row=changes(weights.row),
        column=changes(weights.column),
        supplier=jnp.ones_like(weights.supplier),
        customer=changes(weights.customer),
    )


def _outputs(technology: NeuralTechnology, demand: Float[Array, "years n"]) -> Float[Array, "years n"]:
    return jax.vmap(lambda d: technology.equilibrium(d, throw=False).value)(demand)


@eqx.filter_jit
def _leontief(
    A: Array, base: Array, spread: Array, key: PRNGKeyArray, features: int, rank: int, width: float
) -> NeuralTechnology:
    return NeuralTechnology(A, base, key=key, features=features, rank=rank, width=width, spread=spread)


def _candidates(strengths: Sequence[float]) -> Array:
    values = np.asarray(floating(strengths, "strengths"))
    if (
        values.ndim != 1
        or not values.size
        or not (np.isfinite(values) & (values >= 0)).all()
        or (np.diff(values) <= 0).any()
    ):
        raise InputError("strengths do not rise from 0 or more; give (0.0, 0.03, 0.1), say.")
    return jnp.asarray(values)


def _folds(
    folds: Sequence[tuple[Sequence[int], Sequence[int]]] | None, years: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    every = np.arange(years)
    if folds is None:
        return [(np.delete(every, year), every[[year]]) for year in range(years)]
    pairs = [tuple(np.atleast_1d(np.asarray(part, dtype=int)) for part in pair) for pair in folds]
    if not pairs or any(len(pair) != 2 or not all(p.size and np.isin(p, every).all() for p in pair) for pair in pairs):
        raise InputError(
            f"folds has no years, or years beyond {years - 1}; give pairs (years to fit, years to hold back)."
        )
    if any(np.isin(pair[0], pair[1]).any() for pair in pairs):
        raise InputError("folds has years that are fitted and held back; give each pair years apart.")
    return [(fitted, held) for fitted, held in pairs]


def _simplest(squared: np.ndarray) -> int:
    """Return the first candidate whose error (candidates, folds) exceeds the least by no more than its standard error."""
    excess = squared - squared[np.argmin(squared.mean(1))]
    folds = squared.shape[1]
    doubt = excess.std(1, ddof=1) / np.sqrt(folds) if folds > 1 else np.zeros(len(squared))
    return int(np.argmax(excess.mean(1) <= doubt))
