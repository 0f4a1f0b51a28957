"""The mode of a posterior of technologies by Gauss-Newton steps that never leave the productive region."""

import abc
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.sparse.linalg
from jaxtyping import Array, Bool, Float, Int

HALVINGS = 40
SUFFICIENT = 1e-4
"""Share of the descent that the gradient promises which a step must keep (Armijo)."""
CLOSE = 1e-3
"""Posterior standard deviations from the mode within which the cost is a parabola."""
EXACT = 1e-12
ITERATIONS = 200

Objective = Callable[[Float[Array, "n n"]], Float[Array, ""]]


class AbstractPosterior(eqx.Module):
    """Minus the logarithm of a posterior of `theta = log A / A0`, and how far the data let theta move."""

    @abc.abstractmethod
    def cost(self, theta: Float[Array, "*years n n"], objective: Objective | None) -> Float[Array, ""]:
        """Return minus the logarithm of the posterior, up to a constant, plus the objective."""

    @abc.abstractmethod
    def deviations(self) -> Float[Array, "*years n n"]:
        """Return the prior's standard deviation of each theta, 0 for those that do not move."""

    @abc.abstractmethod
    def covariance(self, theta: Float[Array, "*years n n"]) -> Callable[[Array], Array]:
        """Return the product of a vector with the Gauss-Newton covariance of the posterior at theta."""

    @abc.abstractmethod
    def towards(
        self, theta: Float[Array, "*years n n"], gradient: Float[Array, "*years n n"]
    ) -> Float[Array, "*years n n"]:
        """Return the step that a positive definite approximation of the second derivative takes from the gradient."""

    @abc.abstractmethod
    def rounding(self) -> Float[Array, ""]:
        """Return the deviation of the misfit that rounding of the outputs makes, in standard deviations of their noise."""

    @abc.abstractmethod
    def productive(self, theta: Float[Array, "*years n n"]) -> Bool[Array, ""]:
        """Say whether every technology satisfies Hawkins-Simon."""


class Mode(NamedTuple):
    """The most likely theta, the last Newton decrement, steps taken, and whether the last step was possible.

    What is left of the decrement within rounding counts as 0.
    """

    theta: Float[Array, "*years n n"]
    decrement: Float[Array, ""]
    steps: Int[Array, ""]
    moved: Bool[Array, ""]


def climb(
    data: AbstractPosterior, objective: Objective | None, tolerance: Array, max_steps: Array, begun: Array
) -> Mode:
    """Return the posterior mode by Gauss-Newton steps, each halved until it descends and stays productive.

    A technology is productive (Hawkins-Simon) exactly where `(I - A) v = 1` has a solution v > 0; no step leaves that region,
    and the cost rises without bound towards its border.
    """

    rounding = data.rounding()

    def unfinished(now: Mode) -> Array:
        return (now.decrement > tolerance) & (now.steps < max_steps) & now.moved

    def step(now: Mode) -> Mode:
        before, gradient = jax.value_and_grad(data.cost)(now.theta, objective)
        towards = data.towards(now.theta, gradient)
        slope = jnp.vdot(gradient, towards)
        # The cost is half a sum of squares, each of them of a number with this rounding.
        slack = 8 * jnp.finfo(begun.dtype).eps * jnp.abs(before) + rounding * jnp.sqrt(2 * jnp.abs(before))

        def halved(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            share = state[0] / 2
            theta = now.theta + share * towards
            # Close to the mode the cost changes by less than its rounding, and steps need no check.
            enough = before + SUFFICIENT * share * slope + slack
            descends = (data.cost(theta, objective) <= enough) | (-slope <= CLOSE**2)
            return share, theta, descends & data.productive(theta)

        twice = (jnp.full_like(slope, 2), now.theta, jnp.asarray(False))
        _, theta, good = jax.lax.while_loop(lambda s: ~s[-1] & (s[0] > 0.5**HALVINGS), halved, twice)
        # What is below the rounding of the prior's own measure of the gradient is not known to be small.
        steep = jnp.sum((data.deviations() * gradient) ** 2)
        lost = -slope <= 8 * jnp.finfo(steep.dtype).eps * steep
        decrement = jnp.sqrt(jnp.where(lost, steep, -slope))
        decrement = jnp.where(decrement <= rounding, 0, decrement)
        return Mode(jnp.where(good, theta, now.theta), decrement, now.steps + 1, good)

    unknown = jnp.asarray(jnp.inf, begun.dtype)
    return jax.lax.while_loop(unfinished, step, Mode(begun, unknown, jnp.asarray(0), jnp.asarray(True)))


def misfit_rounding(output: Float[Array, "years n"], noise: Float[Array, "years n"]) -> Float[Array, ""]:
    """Return what 4 units of rounding in every output are in standard deviations of its noise, as a norm."""
    return 4 * jnp.finfo(output.dtype).eps * jnp.sqrt(jnp.sum((output / noise) ** 2))


def precise(
    factor: Float[Array, "m m"], noise: Float[Array, " m"], prior: Float[Array, "n n"], variance: Float[Array, "n n"]
) -> Bool[Array, ""]:
    """Say whether variances, what data with this covariance and noise leave of the prior's, are known to about a hundredth.

    They are differences whose rounding, relative to the prior's variance, is about that of the data's signal.
    """
    signal = jnp.max(jnp.sum(factor**2, axis=1) / noise)
    return jnp.all((prior == 0) | (variance > 100 * jnp.finfo(variance.dtype).eps * signal * prior))


def root(variance: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the square root; 0, with a derivative of 0, where nothing is above 0, as for coefficients that do not move."""
    above = variance > 0
    return jnp.where(above, jnp.sqrt(jnp.where(above, variance, 1)), 0)


def productive(A: Float[Array, "n n"]) -> Bool[Array, ""]:
    """Say whether A >= 0 satisfies Hawkins-Simon: `(I - A) v = 1` has a solution v > 0."""
    n = A.shape[0]
    v = jnp.linalg.solve(jnp.eye(n, dtype=A.dtype) - A, jnp.ones(n, A.dtype))
    return jnp.all(v > 0)


@eqx.filter_custom_jvp
def mode(
    data: AbstractPosterior, objective: Objective | None, tolerance: Array, max_steps: Array, begun: Array
) -> Mode:
    """Return the posterior mode, searched from a productive theta; derivatives are by the implicit function theorem."""
    return climb(data, objective, tolerance, max_steps, begun)


@mode.def_jvp
def _mode_jvp(primals, tangents):
    """Differentiate `gradient(theta, data) = 0`: `H dtheta = -d gradient`, with the whole second derivative H.

    Conjugate gradients solve it, preconditioned by the Gauss-Newton curvature, which lacks only terms of the misfit.
    """
    data, objective, tolerance, max_steps, begun = primals
    found = mode(data, objective, tolerance, max_steps, begun)

    def gradient(theta: Array, data: AbstractPosterior) -> Array:
        return jax.grad(data.cost)(theta, objective)

    _, moved = eqx.filter_jvp(lambda data: gradient(found.theta, data), (data,), (tangents[0],))
    covariance, spread = data.covariance(found.theta), data.deviations()
    moves = spread > 0

    def hessian(theta: Array) -> Array:
        return jax.jvp(lambda t: gradient(t, data), (found.theta,), (theta,))[1]

    # In units of the prior's standard deviations the system is symmetric and has a unit of 1.
    scale = jnp.where(moves, spread, 1)

    def product(theta: Array) -> Array:
        return jnp.where(moves, scale * hessian(jnp.where(moves, scale * theta, 0)), theta)

    def precondition(theta: Array) -> Array:
        return jnp.where(moves, covariance(theta / scale) / scale, theta)

    right = jnp.where(moves, -scale * moved, 0)
    exact = max(EXACT, float(jnp.finfo(right.dtype).eps))
    towards = jax.lax.custom_linear_solve(
        product,
        right,
        lambda f, b: jax.scipy.sparse.linalg.cg(f, b, tol=exact, maxiter=ITERATIONS, M=precondition)[0],
        symmetric=True,
    )
    return found, Mode(scale * towards, jnp.zeros_like(found.decrement), None, None)  # pyright: ignore[reportArgumentType]
