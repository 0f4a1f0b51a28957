"""The posterior of a technology that is constant over the years: its cost, and its curvature in the space of the data."""

import equinox as eqx
import jax.numpy as jnp
import jax.scipy.linalg as jsp
from jaxtyping import Array, Bool, Float

from .gauss_newton import AbstractPosterior, Objective, misfit_rounding, precise, productive, root


class Observations(AbstractPosterior):
    """A prior of the coefficients and what was observed.

    The coefficients are `A = A0 exp(theta)`, `theta_ij = N(0, s_ij^2) + N(0, r_i^2) + N(0, q_j^2)`: each moves alone, with all
    others of its row, and with all others of its column, so that they keep their signs and zeros; outputs are
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
    substitution, fabrication:
        r and q (n,), or None for 0.
    output, demand, noise:
        x, d and the standard deviation of x, (years, n), in these units.
    weight, share, share_noise:
        Where weighted sums of columns are observed, `sum_i w_ij A_ij = u_j` with noise: w (n, n), u (n,) and its standard
        deviation. With the weights that take A back to currency they are intermediate inputs per unit of output. None if not.
    """

    unit: Float[Array, " n"]
    prior: Float[Array, "n n"]
    spread: Float[Array, "n n"]
    substitution: Float[Array, " n"] | None
    fabrication: Float[Array, " n"] | None
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
        total = jnp.vdot(theta, self.precision(theta))
        total = total + jnp.sum(((self.output - self.modelled(A)) / self.noise) ** 2)
        if self.weight is not None and self.share is not None and self.share_noise is not None:
            total = total + jnp.sum(((self.share - (self.weight * A).sum(0)) / self.share_noise) ** 2)
        return total / 2 + (0 if objective is None else objective(self.units * A))

    @property
    def common(self) -> tuple[Array, Array]:
        """Return the standard deviations of what rows and what columns have in common (n,)."""
        none = jnp.zeros(self.prior.shape[0], self.prior.dtype)
        return tuple(none if sd is None else sd for sd in (self.substitution, self.fabrication))  # pyright: ignore[reportReturnType]

    @property
    def alone(self) -> bool:
        """Whether every coefficient moves for itself."""
        return self.substitution is None and self.fabrication is None

    def spread_over(self, gradient: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """Return the prior covariance of theta times a vector."""
        if self.alone:
            return self.spread**2 * gradient
        (row, column), moves = self.common, self.spread > 0
        kept = jnp.where(moves, gradient, 0)
        shared = row[:, None] ** 2 * kept.sum(1, keepdims=True) + column**2 * kept.sum(0)
        return self.spread**2 * gradient + jnp.where(moves, shared, 0)

    def precision(self, theta: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """Return the inverse of the prior covariance times a vector, by Woodbury's identity."""
        moves = self.spread > 0
        weight = jnp.where(moves, 1 / jnp.where(moves, self.spread, 1) ** 2, 0)
        own = weight * theta
        if self.alone:
            return own
        row, column = self.common
        size = theta.shape[0]
        crossed = row[:, None] * weight * column
        inner = jnp.block(
            [[jnp.diag(row**2 * weight.sum(1)), crossed], [crossed.T, jnp.diag(column**2 * weight.sum(0))]]
        )
        seen = jnp.concatenate([row * own.sum(1), column * own.sum(0)])
        shared = jnp.linalg.solve(inner + jnp.eye(2 * size, dtype=theta.dtype), seen)
        return own - weight * (row * shared[:size])[:, None] - weight * (column * shared[size:])

    def deviations(self):
        row, column = self.common
        return root(jnp.where(self.spread > 0, self.spread**2 + row[:, None] ** 2 + column**2, 0))

    def covariance(self, theta):
        return Curvature.at(self, theta).covariance

    def towards(self, theta, gradient):
        return -Curvature.at(bent_by_logarithm(self, theta), theta).covariance(gradient)

    def rounding(self):
        return misfit_rounding(self.output, self.noise)

    def productive(self, theta):
        return productive(self.technology(theta))


class Curvature(eqx.Module):
    """The Gauss-Newton curvature of the posterior at a point, in the space of the data: `S - S J' M^-1 J S` is its inverse.

    Multiplied by `I - A`, the derivative of the outputs of year t along dA is `dA x_t`: each row of A is seen by its own
    account only. So `M = J S J' + R` has a block for each pair of years that is diagonal, plus `(I - A) R_t (I - A)'` in each
    year: as many rows as there are numbers observed, where the coefficients would be the square of the accounts.

    Attributes
    ----------
    data:
        What was observed, and the prior.
    technology:
        A (n, n).
    modelled:
        Outputs of the model (years, n).
    factor:
        Cholesky factor of M.
    noise:
        R in these coordinates, of the size of M.
    """

    data: Observations
    technology: Float[Array, "n n"]
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
        if not data.alone:
            shared = loadings(data, A, x)
            matrix = matrix + (shared * jnp.concatenate(data.common) ** 2) @ shared.T
        return cls(data, A, x, jnp.linalg.cholesky(matrix + noise), noise)

    def seen(self, theta: Float[Array, "n n"]) -> Float[Array, " m"]:
        """Return `J theta`: what a change of theta does to the data."""
        moved = self.technology * theta
        rows = (self.modelled @ moved.T).ravel()
        return rows if self.data.weight is None else jnp.concatenate([rows, (self.data.weight * moved).sum(0)])

    def pulled(self, seen: Float[Array, " m"]) -> Float[Array, "n n"]:
        """Return `S J' seen`."""
        return self.data.spread_over(self.slope(seen))

    def slope(self, seen: Float[Array, " m"]) -> Float[Array, "n n"]:
        """Return `J' seen`."""
        years, n = self.modelled.shape
        back = seen[: years * n].reshape(years, n).T @ self.modelled
        back = back if self.data.weight is None else back + self.data.weight * seen[years * n :]
        return self.technology * back

    def covariance(self, gradient: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """Return the posterior covariance of theta times a vector: `S g - S J' M^-1 J S g`."""
        prior = self.data.spread_over(gradient)
        return prior - self.pulled(jsp.cho_solve((self.factor, True), self.seen(prior)))

    def variance(self) -> Float[Array, "n n"]:
        """Return the posterior variance of each theta: of each cell the prior's, less `q' M^-1 q`, `q = J S` of the cell."""
        data, A, x = self.data, self.technology, self.modelled
        years, n = x.shape
        size, rows = years * n, jnp.arange(n)
        W = jsp.cho_solve((self.factor, True), jnp.eye(self.factor.shape[0], dtype=self.factor.dtype))
        by_row = W[:size, :size].reshape(years, n, years, n)[:, rows, :, rows]
        known = jnp.einsum("tk,jtu,uk->jk", x, by_row, x)
        if data.weight is not None:
            crossed = W[:size, size:].reshape(years, n, n)
            known = known + 2 * data.weight * jnp.einsum("tk,tjk->jk", x, crossed)
            known = known + data.weight**2 * jnp.diag(W)[size:]
        reach = data.spread**2 * A
        known = reach**2 * known
        if not data.alone:
            known = known + self._known_in_common(W, reach)
        return jnp.where(data.spread > 0, data.deviations() ** 2 - known, 0)

    def _known_in_common(self, W: Float[Array, "m m"], reach: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """Return what of `q' M^-1 q` is due to what rows and columns have in common."""
        data, x = self.data, self.modelled
        years, n = x.shape
        size, rows = years * n, jnp.arange(n)
        shared = loadings(data, self.technology, x)
        row, column = (sd**2 for sd in data.common)
        H = W @ shared
        both = shared.T @ H
        from_row = jnp.einsum("tk,tj->jk", x, H[:size].reshape(years, n, 2 * n)[:, rows, rows])
        from_column = jnp.einsum("tk,tjk->jk", x, H[:size].reshape(years, n, 2 * n)[:, :, n:])
        if data.weight is not None:
            from_row = from_row + data.weight * H[size:, :n].T
            from_column = from_column + data.weight * jnp.diag(H[size:, n:])
        alone = row[:, None] ** 2 * jnp.diag(both)[:n, None] + column**2 * jnp.diag(both)[n:]
        together = 2 * row[:, None] * column * both[:n, n:]
        return alone + together + 2 * reach * (row[:, None] * from_row + column * from_column)

    def precise(self, variance: Float[Array, "n n"]) -> Bool[Array, ""]:
        """Say whether the variances are known to a hundredth."""
        return precise(self.factor, jnp.diag(self.noise), self.data.deviations() ** 2, variance)

    def effective(self) -> Float[Array, ""]:
        """Return `tr(J S J' M^-1)`: how many numbers the data determine rather than the prior."""
        return self.factor.shape[0] - jnp.trace(jsp.cho_solve((self.factor, True), self.noise))


def loadings(data: Observations, A: Float[Array, "n n"], x: Float[Array, "years n"]) -> Float[Array, "m 2n"]:
    """Return what the data see of a change that a whole row, and of one that a whole column, has in common."""
    years, n = x.shape
    moving = jnp.where(data.spread > 0, A, 0)
    rows = jnp.arange(n)
    of_rows = jnp.zeros((years, n, n), A.dtype).at[:, rows, rows].set(x @ moving.T).reshape(-1, n)
    of_columns = (moving * x[:, None, :]).reshape(-1, n)
    seen = jnp.concatenate([of_rows, of_columns], axis=1)
    if data.weight is None:
        return seen
    weighed = data.weight * moving
    return jnp.concatenate([seen, jnp.concatenate([weighed.T, jnp.diag(weighed.sum(0))], axis=1)])


def bent_by_logarithm(data: Observations, theta: Float[Array, "n n"]) -> Observations:
    """Return the prior as narrow, or as wide, as the curvature of `A = A0 exp(theta)` makes it.

    Of the second derivative that Gauss-Newton leaves out, this part is diagonal and known, `a dcost/da`: minus `J' l` with the
    multipliers `l = M^-1 (r + J theta)` of the data, which at the mode are `R^-1 r` and elsewhere do not grow as noise falls.
    """
    curvature = Curvature.at(data, theta)
    missed = (data.output - data.output @ curvature.technology.T - data.demand).ravel()
    if data.weight is not None and data.share is not None:
        missed = jnp.concatenate([missed, data.share - (data.weight * curvature.technology).sum(0)])
    multiplier = jsp.cho_solve((curvature.factor, True), missed + curvature.seen(theta))
    moves = data.spread > 0
    precision = jnp.where(moves, 1 / jnp.where(moves, data.spread, 1) ** 2, 1)
    # Far from the mode the whole may be indefinite; a tenth of the prior's precision keeps every step a descent.
    spread = jnp.where(moves, jnp.maximum(precision - curvature.slope(multiplier), 0.1 * precision) ** -0.5, 0)
    return eqx.tree_at(lambda d: d.spread, data, spread)
