"""Technical coefficients that make several years of outputs and final demand likely: the posterior mode and its curvature."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsp
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


class Observations(eqx.Module):
    """A prior of the coefficients and what was observed.

    The coefficients are `A = A0 exp(theta)`, `theta_ij ~ N(0, s_ij^2)`, so that they keep their signs and zeros; outputs are
    `x_t = (I - A)^-1 d_t + e_t`, `e_ti ~ N(0, noise_ti^2)`; and, where shares of inputs are observed, `1' A = u + e`.
    Each account is measured in its own mean output, so that no solve sees the units that the user's accounts happen to have.

    Attributes
    ----------
    unit:
        Mean output of each account (n,), in the user's unit.
    prior:
        A0 (n, n), in these units.
    spread:
        s (n, n), 0 for cells that are not to move.
    output, demand, noise:
        x, d and the standard deviation of x, (years, n), in these units.
    share, share_noise:
        Intermediate inputs per unit of output (n,), in currency, and their standard deviation; None where not observed.
    """

    unit: Float[Array, " n"]
    prior: Float[Array, "n n"]
    spread: Float[Array, "n n"]
    output: Float[Array, "years n"]
    demand: Float[Array, "years n"]
    noise: Float[Array, "years n"]
    share: Float[Array, " n"] | None
    share_noise: Float[Array, " n"] | None

    @property
    def units(self) -> Float[Array, "n n"]:
        """Return what takes coefficients (n, n) back to the user's units."""
        return self.unit[:, None] / self.unit

    def technology(self, theta: Float[Array, "n n"]) -> Float[Array, "n n"]:
        return self.prior * jnp.exp(theta)

    def modelled(self, A: Float[Array, "n n"]) -> Float[Array, "years n"]:
        """Return the outputs that the final demand of each year takes."""
        return jnp.linalg.solve(jnp.eye(A.shape[0], dtype=A.dtype) - A, self.demand.T).T

    def cost(self, theta: Float[Array, "n n"], objective: Objective | None) -> Float[Array, ""]:
        """Return minus the logarithm of the posterior, up to a constant, plus the objective."""
        A = self.technology(theta)
        moves = self.spread > 0
        total = jnp.sum(jnp.where(moves, theta / jnp.where(moves, self.spread, 1), 0) ** 2)
        total = total + jnp.sum(((self.output - self.modelled(A)) / self.noise) ** 2)
        if self.share is not None and self.share_noise is not None:
            total = total + jnp.sum(((self.share - (self.units * A).sum(0)) / self.share_noise) ** 2)
        return total / 2 + (0 if objective is None else objective(self.units * A))


class Curvature(eqx.Module):
    """The Gauss-Newton curvature of the posterior at a point, in the space of the data: `S - S J' M^-1 J S` is its inverse.

    Multiplied by `I - A`, the derivative of the outputs of year t along dA is `dA x_t`: each row of A is seen by its own
    account only. So `M = J S J' + R` has a block for each pair of years that is diagonal, plus `(I - A) R_t (I - A)'` in each
    year: as many rows as there are numbers observed, where the coefficients would be the square of the accounts.

    Attributes
    ----------
    reach:
        `s^2 A` (n, n): covariance of theta with A.
    technology, units:
        A (n, n), and its user's units.
    modelled:
        Outputs of the model (years, n).
    factor:
        Cholesky factor of M.
    noise:
        R in these coordinates, of the size of M.
    """

    reach: Float[Array, "n n"]
    technology: Float[Array, "n n"]
    units: Float[Array, "n n"]
    modelled: Float[Array, "years n"]
    factor: Float[Array, "m m"]
    noise: Float[Array, "m m"]

    @classmethod
    def at(cls, data: Observations, theta: Float[Array, "n n"]) -> "Curvature":
        A = data.technology(theta)
        x = data.modelled(A)
        years, n = x.shape
        variance = (data.spread * A) ** 2
        every = jnp.arange(years)
        rows = jnp.arange(n)
        within = jnp.einsum("jk,tk,uk->tuj", variance, x, x)
        matrix = jnp.zeros((years, n, years, n), A.dtype).at[:, rows, :, rows].set(jnp.moveaxis(within, 2, 0))
        left = jnp.eye(n, dtype=A.dtype) - A
        seen = jnp.einsum("ij,tj,kj->tik", left, data.noise**2, left)
        noise = jnp.zeros((years, n, years, n), A.dtype).at[every, :, every, :].set(seen)
        size = years * n
        matrix, noise = matrix.reshape(size, size), noise.reshape(size, size)
        if data.share_noise is not None:
            crossed = jnp.einsum("jk,tk->tjk", variance * data.units, x).reshape(size, n)
            matrix = jnp.block([[matrix, crossed], [crossed.T, jnp.diag((variance * data.units**2).sum(0))]])
            noise = jsp.block_diag(noise, jnp.diag(data.share_noise**2))
        return cls(data.spread**2 * A, A, data.units, x, jnp.linalg.cholesky(matrix + noise), noise)

    def seen(self, theta: Float[Array, "n n"]) -> Float[Array, " m"]:
        """Return `J theta`: what a change of theta does to the data."""
        moved = self.technology * theta
        rows = (self.modelled @ moved.T).ravel()
        return rows if rows.size == self.factor.shape[0] else jnp.concatenate([rows, (self.units * moved).sum(0)])

    def pulled(self, seen: Float[Array, " m"]) -> Float[Array, "n n"]:
        """Return `S J' seen`."""
        years, n = self.modelled.shape
        back = seen[: years * n].reshape(years, n).T @ self.modelled
        return self.reach * (back if seen.size == years * n else back + self.units * seen[years * n :])

    def covariance(self, gradient: Float[Array, "n n"], spread: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """Return the posterior covariance of theta times a vector: `S g - S J' M^-1 J S g`."""
        prior = spread**2 * gradient
        return prior - self.pulled(jsp.cho_solve((self.factor, True), self.seen(prior)))

    def variance(self, spread: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """Return the posterior variance of each theta."""
        years, n = self.modelled.shape
        W = jsp.cho_solve((self.factor, True), jnp.eye(self.factor.shape[0], dtype=self.factor.dtype))
        size = years * n
        rows = jnp.arange(n)
        by_row = W[:size, :size].reshape(years, n, years, n)[:, rows, :, rows]
        known = jnp.einsum("tk,jtu,uk->jk", self.modelled, by_row, self.modelled)
        if W.shape[0] > size:
            crossed = W[:size, size:].reshape(years, n, n)
            known = known + 2 * self.units * jnp.einsum("tk,tjk->jk", self.modelled, crossed)
            known = known + self.units**2 * jnp.diag(W)[size:]
        return spread**2 - self.reach**2 * known

    def effective(self) -> Float[Array, ""]:
        """Return `tr(J S J' M^-1)`: how many numbers the data determine rather than the prior."""
        return self.factor.shape[0] - jnp.trace(jsp.cho_solve((self.factor, True), self.noise))


class Mode(NamedTuple):
    """The most likely theta, the cost there, the last Newton decrement, steps taken, and whether the last step was possible."""

    theta: Float[Array, "n n"]
    cost: Float[Array, ""]
    decrement: Float[Array, ""]
    steps: Int[Array, ""]
    moved: Bool[Array, ""]


def climb(data: Observations, objective: Objective | None, tolerance: float, max_steps: int) -> Mode:
    """Return the posterior mode by Gauss-Newton steps from the prior, each halved until it descends and stays productive.

    A technology is productive (Hawkins-Simon) exactly where `(I - A) v = 1` has a solution v > 0; no step leaves that region,
    and the cost rises without bound towards its border.
    """

    def unfinished(now: Mode) -> Array:
        return (now.decrement > tolerance) & (now.steps < max_steps) & now.moved

    def step(now: Mode) -> Mode:
        gradient = jax.grad(data.cost)(now.theta, objective)
        bent = bent_by_logarithm(data, now.theta, gradient)
        towards = -Curvature.at(bent, now.theta).covariance(gradient, bent.spread)
        slope = jnp.vdot(gradient, towards)

        def measured(share: Array) -> tuple[Array, Array, Array]:
            theta = now.theta + share * towards
            cost = data.cost(theta, objective)
            # Close to the mode the cost changes by less than its rounding, and steps need no check.
            descends = (cost <= now.cost + SUFFICIENT * share * slope) | (-slope <= CLOSE**2)
            return theta, cost, descends & productive(data.technology(theta))

        def halved(state):
            share, *_, tries = state
            return share / 2, *measured(share / 2), tries + 1

        whole = jnp.ones_like(slope)
        _, theta, cost, good, _ = jax.lax.while_loop(
            lambda s: ~s[3] & (s[4] < HALVINGS), halved, (whole, *measured(whole), jnp.asarray(0))
        )
        decrement = jnp.sqrt(jnp.maximum(-slope, 0))
        return Mode(jnp.where(good, theta, now.theta), jnp.where(good, cost, now.cost), decrement, now.steps + 1, good)

    begun = jnp.zeros_like(data.prior)
    unknown = jnp.asarray(jnp.inf, data.prior.dtype)
    first = Mode(begun, data.cost(begun, objective), unknown, jnp.asarray(0), jnp.asarray(True))
    return jax.lax.while_loop(unfinished, step, first)


def bent_by_logarithm(data: Observations, theta: Float[Array, "n n"], gradient: Float[Array, "n n"]) -> Observations:
    """Return the prior as narrow, or as wide, as the curvature of `A = A0 exp(theta)` makes it.

    Of the second derivative that Gauss-Newton leaves out, this part is diagonal and known: `a dcost/da`, the gradient of all
    but the prior. With it a step errs by the square of log A / A0, without it by log A / A0.
    """
    moves = data.spread > 0
    precision = jnp.where(moves, 1 / jnp.where(moves, data.spread, 1) ** 2, 1)
    bend = gradient - jnp.where(moves, theta * precision, 0)
    # Far from the mode the whole may be indefinite; a tenth of the prior's precision keeps every step a descent.
    spread = jnp.where(moves, jnp.maximum(precision + bend, 0.1 * precision) ** -0.5, 0)
    return eqx.tree_at(lambda d: d.spread, data, spread)


def productive(A: Float[Array, "n n"]) -> Bool[Array, ""]:
    """Say whether A >= 0 satisfies Hawkins-Simon: `(I - A) v = 1` has a solution v > 0."""
    n = A.shape[0]
    v = jnp.linalg.solve(jnp.eye(n, dtype=A.dtype) - A, jnp.ones(n, A.dtype))
    return jnp.all(v > 0)


@eqx.filter_custom_jvp
def mode(data: Observations, objective: Objective | None, tolerance: float, max_steps: int) -> Mode:
    """Return the posterior mode, with derivatives by the implicit function theorem."""
    return climb(data, objective, tolerance, max_steps)


@mode.def_jvp
def _mode_jvp(primals, tangents):
    """Differentiate `gradient(theta, data) = 0`: `H dtheta = -d gradient`, with the whole second derivative H.

    Conjugate gradients solve it, preconditioned by the Gauss-Newton curvature, which lacks only terms of the misfit.
    """
    data, objective, tolerance, max_steps = primals
    found = mode(data, objective, tolerance, max_steps)

    def gradient(theta: Array, data: Observations) -> Array:
        return jax.grad(data.cost)(theta, objective)

    _, moved = eqx.filter_jvp(lambda data: gradient(found.theta, data), (data,), (tangents[0],))
    curvature = Curvature.at(data, found.theta)
    moves = data.spread > 0

    def hessian(theta: Array) -> Array:
        return jax.jvp(lambda t: gradient(t, data), (found.theta,), (theta,))[1]

    # In units of the prior's standard deviations the system is symmetric and has a unit of 1.
    scale = jnp.where(moves, data.spread, 1)

    def product(theta: Array) -> Array:
        return jnp.where(moves, scale * hessian(scale * theta), theta)

    def precondition(theta: Array) -> Array:
        return jnp.where(moves, curvature.covariance(theta / scale, data.spread) / scale, theta)

    right = jnp.where(moves, -scale * moved, 0)
    towards = jax.lax.custom_linear_solve(
        product,
        right,
        lambda f, b: jax.scipy.sparse.linalg.cg(f, b, tol=EXACT, maxiter=ITERATIONS, M=precondition)[0],
        symmetric=True,
    )
    cost = jax.tree.map(jnp.zeros_like, found.cost)
    return found, Mode(scale * towards, cost, cost, None, None)  # pyright: ignore[reportArgumentType]
