"""The posterior of a technology that drifts: a random walk of log A over the years."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsp
from jaxtyping import Array, Bool, Float, Int

from .gauss_newton import AbstractPosterior, misfit_rounding, precise, productive, root


class Drifting(AbstractPosterior):
    """A prior of coefficients that walk, and what was observed in each year.

    `A_t = A0 exp(theta_1 + ... + theta_t)` with the steps `theta_1 ~ N(0, s^2 + q^2)`, `theta_t ~ N(0, q^2)`, so that log A
    has the covariance `s^2 + q^2 min(t, u)` between years; outputs are `x_t = (I - A_t)^-1 d_t + e_t`. In the steps the prior
    is independent, and a q of 0 leaves coefficients that do not move. Each account is measured in its own mean output.

    Attributes
    ----------
    unit:
        Mean output of each account (n,), in the user's unit.
    prior, spread, drift:
        A0, s and q (n, n); s and q are 0 for cells that are not to move.
    output, demand, noise:
        x, d and the standard deviation of x, (years, n); infinite in years at the end that only keep the shape.
    """

    unit: Float[Array, " n"]
    prior: Float[Array, "n n"]
    spread: Float[Array, "n n"]
    drift: Float[Array, "n n"]
    output: Float[Array, "years n"]
    demand: Float[Array, "years n"]
    noise: Float[Array, "years n"]

    @property
    def years(self) -> int:
        return self.output.shape[0]

    @property
    def last(self) -> Int[Array, ""]:
        """Return the last year that was observed, counted from 0."""
        return jnp.sum(jnp.isfinite(self.noise[:, 0])) - 1

    def widened(self, years: int) -> "Drifting":
        """Return the same with years at the end in which nothing is observed, to a number of them."""
        more = ((0, years - self.years), (0, 0))
        ends = zip((self.output, self.demand, self.noise), (1.0, 0.0, jnp.inf), strict=True)
        own = tuple(jnp.pad(part, more, constant_values=end) for part, end in ends)
        return eqx.tree_at(lambda data: (data.output, data.demand, data.noise), self, own)

    def technology(self, theta: Float[Array, "years n n"]) -> Float[Array, "years n n"]:
        return self.prior * jnp.exp(jnp.cumsum(theta, axis=0))

    def modelled(self, A: Float[Array, "years n n"]) -> Float[Array, "years n"]:
        """Return the outputs that the final demand of each year takes."""
        left = jnp.eye(A.shape[-1], dtype=A.dtype) - A
        # One after the other: batches of factorisations inside a loop can lock the threads of two cores.
        return jax.lax.map(lambda year: jnp.linalg.solve(*year), (left, self.demand))

    def cost(self, theta, objective):
        spread = self.deviations()
        moves = spread > 0
        total = jnp.sum(jnp.where(moves, theta / jnp.where(moves, spread, 1), 0) ** 2)
        A = self.technology(theta)
        total = total + jnp.sum(((self.output - self.modelled(A)) / self.noise) ** 2)
        return total / 2 + (0 if objective is None else sum(objective(own) for own in A))

    def deviations(self):
        first = self.spread**2 + self.drift**2
        return root(jnp.concatenate([first[None], jnp.broadcast_to(self.drift**2, (self.years - 1, *first.shape))]))

    def between(self, t: Array, u: Array) -> Float[Array, "... n n"]:
        """Return the prior covariance of log A in years t and u, counted from 0."""
        together = jnp.minimum(t, u)[..., None, None] + 1
        return self.spread**2 + self.drift**2 * together

    def covariance(self, theta):
        seen, variance = self.seen(theta), self.deviations() ** 2

        def product(gradient: Array) -> Array:
            prior = variance * gradient
            rows = jnp.einsum("tjk,tjk->tj", seen.weight, jnp.cumsum(prior, axis=0))
            found = jsp.cho_solve((seen.factor, True), rows.ravel()).reshape(rows.shape)
            # Each step is seen in all years from its own on.
            return prior - variance * jnp.cumsum((seen.weight * found[:, :, None])[::-1], axis=0)[::-1]

        return product

    def towards(self, theta, gradient):
        return -self.covariance(theta)(gradient)

    def rounding(self):
        return misfit_rounding(self.output, self.noise)

    def productive(self, theta):
        return jnp.all(jax.lax.map(productive, self.technology(theta)))

    def seen(self, theta: Float[Array, "years n n"]) -> "Seen":
        """Return what the data see of log A: their derivative and their covariance."""
        A = self.technology(theta)
        x = self.modelled(A)
        there = jnp.isfinite(self.noise)
        weight = jnp.where(there[:, :, None], A * x[:, None, :], 0)
        years, n = x.shape
        together = jnp.minimum(jnp.arange(years)[:, None], jnp.arange(years)) + 1
        still = jnp.einsum("tjk,ujk->tuj", self.spread**2 * weight, weight)
        walk = jnp.einsum("tjk,ujk->tuj", self.drift**2 * weight, weight) * together[:, :, None]
        rows, every = jnp.arange(n), jnp.arange(years)
        matrix = jnp.zeros((years, n, years, n), x.dtype).at[:, rows, :, rows].set(jnp.moveaxis(still + walk, 2, 0))
        left = jnp.eye(n, dtype=x.dtype) - A
        noise = jnp.einsum("tij,tj,tkj->tik", left, jnp.where(there, self.noise, 1) ** 2, left)
        matrix = matrix.at[every, :, every, :].add(noise).reshape(years * n, years * n)
        return Seen(A, x, weight, jnp.linalg.cholesky(matrix), jnp.diagonal(noise, axis1=1, axis2=2).ravel())

    def last_variance(self, seen: "Seen") -> Float[Array, "n n"]:
        """Return the posterior variance of log A in the last year."""
        years, n = seen.modelled.shape
        last = self.between(self.last, jnp.arange(years))
        W = jsp.cho_solve((seen.factor, True), jnp.eye(years * n, dtype=seen.factor.dtype))
        rows = jnp.arange(n)
        by_row = W.reshape(years, n, years, n)[:, rows, :, rows]
        pull = last * seen.weight
        return self.between(self.last, self.last) - jnp.einsum("tjk,jtu,ujk->jk", pull, by_row, pull)

    def precise(self, seen: "Seen", variance: Float[Array, "n n"]) -> Bool[Array, ""]:
        """Say whether the variances of the last year are known to a hundredth."""
        return precise(seen.factor, seen.noise, self.between(self.last, self.last), variance)

    def ahead(self, seen: "Seen", A: Float[Array, "n n"], demand: Float[Array, " n"]) -> tuple[Array, Array]:
        """Return the outputs of the year after the last, and their covariance without the noise of observing them."""
        years, n = seen.modelled.shape
        left = jnp.eye(n, dtype=A.dtype) - A
        x = jnp.linalg.solve(left, demand)
        weight = A * x
        last = self.between(self.last, jnp.arange(years))
        own = jnp.diag(jnp.sum((self.between(self.last, self.last) + self.drift**2) * weight**2, axis=1))
        crossed = jnp.einsum("jk,tjk,tjk->tj", weight, last, seen.weight)
        rows = jnp.arange(n)
        wide = jnp.zeros((n, years, n), A.dtype).at[rows, :, rows].set(crossed.T).reshape(n, years * n)
        half = jsp.solve_triangular(seen.factor, wide.T, lower=True)
        inverse = jnp.linalg.inv(left)
        return x, inverse @ (own - half.T @ half) @ inverse.T


class Seen(NamedTuple):
    """Technologies and outputs of each year, the derivative of the data to log A, and their covariance: factor, noise alone."""

    technology: Float[Array, "years n n"]
    modelled: Float[Array, "years n"]
    weight: Float[Array, "years n n"]
    factor: Float[Array, "m m"]
    noise: Float[Array, " m"]
