"""The posterior of a technology that is constant over the years: its cost, and its curvature in the space of the data."""

import equinox as eqx
import jax.numpy as jnp
import jax.scipy.linalg as jsp
from jaxtyping import Array, Float

from .gauss_newton import AbstractPosterior, Objective, productive


class Observations(AbstractPosterior):
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
    weight, share, share_noise:
        Where weighted sums of columns are observed, `sum_i w_ij A_ij = u_j` with noise: w (n, n), u (n,) and its standard
        deviation. With the weights that take A back to currency they are intermediate inputs per unit of output. None if not.
    """

    unit: Float[Array, " n"]
    prior: Float[Array, "n n"]
    spread: Float[Array, "n n"]
    output: Float[Array, "years n"]
    demand: Float[Array, "years n"]
    noise: Float[Array, "years n"]
    weight: Float[Array, "n n"] | None
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
        if self.weight is not None and self.share is not None and self.share_noise is not None:
            total = total + jnp.sum(((self.share - (self.weight * A).sum(0)) / self.share_noise) ** 2)
        return total / 2 + (0 if objective is None else objective(self.units * A))

    def deviations(self):
        return self.spread

    def covariance(self, theta):
        curvature = Curvature.at(self, theta)
        return lambda gradient: curvature.covariance(gradient, self.spread)

    def towards(self, theta, gradient):
        bent = bent_by_logarithm(self, theta, gradient)
        return -Curvature.at(bent, theta).covariance(gradient, bent.spread)

    def productive(self, theta):
        return productive(self.technology(theta))


class Curvature(eqx.Module):
    """The Gauss-Newton curvature of the posterior at a point, in the space of the data: `S - S J' M^-1 J S` is its inverse.

    Multiplied by `I - A`, the derivative of the outputs of year t along dA is `dA x_t`: each row of A is seen by its own
    account only. So `M = J S J' + R` has a block for each pair of years that is diagonal, plus `(I - A) R_t (I - A)'` in each
    year: as many rows as there are numbers observed, where the coefficients would be the square of the accounts.

    Attributes
    ----------
    reach:
        `s^2 A` (n, n): covariance of theta with A.
    technology, weight:
        A (n, n), and the weights with which sums of its columns are observed, or None.
    modelled:
        Outputs of the model (years, n).
    factor:
        Cholesky factor of M.
    noise:
        R in these coordinates, of the size of M.
    """

    reach: Float[Array, "n n"]
    technology: Float[Array, "n n"]
    weight: Float[Array, "n n"] | None
    modelled: Float[Array, "years n"]
    factor: Float[Array, "m m"]
    noise: Float[Array, "m m"]

    @classmethod
    def at(cls, data: Observations, theta: Float[Array, "n n"], vague: Float[Array, " n"] | float = 0.0) -> "Curvature":
        """Return the curvature at theta; `vague` is the prior variance of sums of columns that theta does not make."""
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
        if data.weight is not None and data.share_noise is not None:
            crossed = jnp.einsum("jk,tk->tjk", variance * data.weight, x).reshape(size, n)
            matrix = jnp.block([[matrix, crossed], [crossed.T, jnp.diag((variance * data.weight**2).sum(0) + vague)]])
            noise = jsp.block_diag(noise, jnp.diag(data.share_noise**2))
        return cls(data.spread**2 * A, A, data.weight, x, jnp.linalg.cholesky(matrix + noise), noise)

    def seen(self, theta: Float[Array, "n n"]) -> Float[Array, " m"]:
        """Return `J theta`: what a change of theta does to the data."""
        moved = self.technology * theta
        rows = (self.modelled @ moved.T).ravel()
        return rows if self.weight is None else jnp.concatenate([rows, (self.weight * moved).sum(0)])

    def pulled(self, seen: Float[Array, " m"]) -> Float[Array, "n n"]:
        """Return `S J' seen`."""
        years, n = self.modelled.shape
        back = seen[: years * n].reshape(years, n).T @ self.modelled
        return self.reach * (back if self.weight is None else back + self.weight * seen[years * n :])

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
        if self.weight is not None:
            crossed = W[:size, size:].reshape(years, n, n)
            known = known + 2 * self.weight * jnp.einsum("tk,tjk->jk", self.modelled, crossed)
            known = known + self.weight**2 * jnp.diag(W)[size:]
        return spread**2 - self.reach**2 * known

    def effective(self) -> Float[Array, ""]:
        """Return `tr(J S J' M^-1)`: how many numbers the data determine rather than the prior."""
        return self.factor.shape[0] - jnp.trace(jsp.cho_solve((self.factor, True), self.noise))


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
