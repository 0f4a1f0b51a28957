"""Assignments `x = alpha (A x + d)` of a Leontief economy: products, solves, and the bound that certifies a policy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from quesnay.equilibrium.krylov import RelativeBiCGStab, attainable
from quesnay.network import DenseLinks, Network

DIRECT = 1500
"""Accounts up to which a matrix is factored; above, and for links, products are enough."""
MAX_STEPS = 1000


class Assignments(eqx.Module):
    """A Leontief economy whose accounts are measured in their outputs without intervention.

    With `u = x / size`, `u = alpha (A~ u + d~)`, `A~ = size^-1 A size`: nothing here has a unit.

    Attributes
    ----------
    A:
        Technical coefficients (n, n) in the table's units, or a `Network`.
    demand:
        Final demand (n,) in the table's units.
    size:
        Output without intervention (n,), 1 where there is none.
    """

    A: Float[Array, "n n"] | Network
    demand: Float[Array, " n"]
    size: Float[Array, " n"]

    def uses(self, u: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return `A~ u`, what outputs u ask of every account."""
        x = self.size * u
        return (self.A.matvec(x) if isinstance(self.A, Network) else self.A @ x) / self.size

    def inputs(self, w: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return `A~' w`, what the inputs of every account are worth."""
        p = w / self.size
        return (self.A.rmatvec(p) if isinstance(self.A, Network) else self.A.T @ p) * self.size

    @property
    def final_demand(self) -> Float[Array, " n"]:
        """d~, final demand in base outputs."""
        return self.demand / self.size

    @property
    def direct(self) -> bool:
        """Whether solves are by factors, to rounding."""
        return self._stored is not None and self.size.size <= DIRECT

    @property
    def matrix(self) -> Float[Array, "n n"]:
        """A~ as a matrix; only where there is one."""
        stored = self._stored
        assert stored is not None
        return stored * self.size / self.size[:, None]

    @property
    def _stored(self) -> Array | None:
        if not isinstance(self.A, Network):
            return self.A
        return self.A.links.coefficient if isinstance(self.A.links, DenseLinks) else None

    def solve(self, alpha: Float[Array, " n"], right: Float[Array, " n"]) -> tuple[Float[Array, " n"], Array]:
        """Return `u = alpha A~ u + right` and whether it was found, with exact derivatives."""
        if self.direct:
            operator = lx.MatrixLinearOperator(jnp.eye(alpha.size, dtype=alpha.dtype) - alpha[:, None] * self.matrix)
            found = lx.linear_solve(operator, right, lx.LU(), throw=False)
        else:
            form = jax.ShapeDtypeStruct(right.shape, right.dtype)
            operator = lx.FunctionLinearOperator(lambda u: u - alpha * self.uses(u), form)
            found = lx.linear_solve(operator, right, RelativeBiCGStab(1e-15, MAX_STEPS), throw=False)
        return found.value, (found.result == lx.RESULTS.successful) & jnp.all(jnp.isfinite(found.value))

    def worth(
        self, alpha: Float[Array, " n"], right: Float[Array, " n"], guess: Float[Array, " n"], tolerance: float
    ) -> Float[Array, " n"]:
        """Return `w = right + A~' (alpha w)`: by factors, or where there are none nearer than the guess by the tolerance."""
        if self.direct:
            return jnp.linalg.solve(jnp.eye(alpha.size, dtype=alpha.dtype) - self.matrix.T * alpha, right)
        miss = right - guess + self.inputs(alpha * guess)
        operator = lx.FunctionLinearOperator(
            lambda w: w - self.inputs(alpha * w), jax.ShapeDtypeStruct(right.shape, right.dtype)
        )
        method = RelativeBiCGStab(tolerance, MAX_STEPS)
        return guess + method.compute(method.init(operator, {}), miss, {})[0]


def productive(economy: Assignments, hi: Float[Array, " n"]) -> Array:
    """Return whether the spectral radius of `hi A` is below 1, by a positive v with `v > hi A~ v`; A is not negative."""
    v, _ = economy.solve(hi, jnp.ones_like(hi))
    return jnp.all(jnp.isfinite(v) & (v > 0) & (v - hi * economy.uses(v) > attainable(1e-13, hi.dtype) * v))
