"""All derivatives of the outputs of the quantity model, held as two small factors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import floating, require
from quesnay._errors import InputError
from quesnay.equilibrium.solvers import AbstractLinearSolver
from quesnay.equilibrium.system import Leontief
from quesnay.network import Network

from .inverse import inverse, position, precision, vector

LIMIT = 100_000_000
"""Numbers that `Jacobian.materialise` makes at most unless told otherwise: 0.8 GB in double precision, n = 464."""


class Jacobian(eqx.Module):
    """The derivatives of `x = L d` by A, `dx_i / dA_jk = L_ij x_k` (n, n, n), and by d, `dx_i / dd_j = L_ij` (n, n).

    It holds L and x, n^2 + n numbers; entries, slices and products follow from them.

    Attributes
    ----------
    A:
        Technical coefficients (n, n).
    inverse:
        L (n, n), which is the derivative by final demand.
    output:
        x (n,), in currency.
    """

    A: Float[Array, "n n"]
    inverse: Float[Array, "n n"]
    output: Float[Array, " n"]

    @property
    def operator(self) -> lx.FunctionLinearOperator:
        """The derivative as a lineax operator from a pair (dA, dd) to dx, `dx = L (dA x + dd)`."""
        like = jax.ShapeDtypeStruct(self.A.shape, self.inverse.dtype)
        vector_like = jax.ShapeDtypeStruct(self.output.shape, self.inverse.dtype)
        return lx.FunctionLinearOperator(
            lambda change: self.inverse @ (change[0] @ self.output + change[1]), (like, vector_like)
        )

    def mv(self, dA: ArrayLike, dd: ArrayLike | None = None) -> Float[Array, " n"]:
        """Return `dx = L (dA x + dd)` (n,) for changes dA (n, n) of coefficients and dd (n,) of final demand."""
        return self.operator.mv(self._direction(dA, dd))

    def vmv(self, g: ArrayLike) -> tuple[Float[Array, "n n"], Float[Array, " n"]]:
        """Return the gradients of `g' x` for weights g (n,): by A `m_j x_k` (n, n), and by d `m` (n,), with `m = g' L`."""
        given = vector(g, "g", self.output.size).astype(self.inverse.dtype)
        return self.operator.transpose().mv(given)

    def by_coefficient(self, i: ArrayLike, j: ArrayLike, k: ArrayLike) -> Float[Array, "..."]:
        """Return `dx_i / dA_jk = L_ij x_k`; positions broadcast like NumPy's."""
        i, j, k = self._positions(i, j, k)
        return self.inverse[i, j] * self.output[k]

    def by_output(self, i: ArrayLike) -> Float[Array, "n n"]:
        """Return the derivatives of one output by all coefficients, `L_ij x_k` for all (j, k)."""
        return jnp.outer(self.inverse[self._one(i)], self.output)

    def elasticity(self, i: ArrayLike, j: ArrayLike, k: ArrayLike) -> Float[Array, "..."]:
        """Return `dln x_i / dln A_jk = L_ij A_jk x_k / x_i`; raises `InputError` where account i produces nothing."""
        i, j, k = self._positions(i, j, k)
        return self.inverse[i, j] * self.A[j, k] * self.output[k] / self._produced(i)

    def elasticities(self, i: ArrayLike) -> Float[Array, "n n"]:
        """Return the elasticities of one output by all coefficients (n, n); row j adds up to `L_ij (x_j - d_j) / x_i`."""
        at = self._one(i)
        return self.by_output(at) * self.A / self._produced(at)

    def second(self, dA: ArrayLike, dd: ArrayLike | None = None) -> Float[Array, " n"]:
        """Return the second derivative of x along (dA, dd), `x'' = 2 L dA x'` with `x' = L (dA x + dd)`; (n,)."""
        change = self._direction(dA, dd)
        return 2 * self.inverse @ (change[0] @ self.operator.mv(change))

    def materialise(self, *, limit: int = LIMIT) -> Float[Array, "n n n"]:
        """Return the derivative by A as an array (n, n, n); raises `InputError` beyond `limit` numbers."""
        numbers = self.output.size**3
        if numbers > limit:
            raise InputError(
                f"The derivative by A has {numbers:,} numbers, more than the limit of {limit:,}; "
                f"use by_coefficient, by_output, mv or vmv, or raise the limit."
            )
        return jnp.einsum("ij,k->ijk", self.inverse, self.output)

    def _direction(self, dA: ArrayLike, dd: ArrayLike | None) -> tuple[Array, Array]:
        first = floating(dA, "dA")
        if first.shape != self.A.shape:
            raise InputError(f"dA has shape {first.shape}; give that of A, {self.A.shape}.")
        require(np.isfinite, "dA has an entry that is not finite.", first)
        second = jnp.zeros_like(self.output) if dd is None else vector(dd, "dd", self.output.size)
        return first.astype(self.inverse.dtype), second.astype(self.inverse.dtype)

    def _positions(self, *given: ArrayLike) -> list[Array]:
        return [position(value, name, self.output.size) for value, name in zip(given, "ijk", strict=True)]

    def _one(self, i: ArrayLike) -> Array:
        at = position(i, "i", self.output.size)
        if at.ndim:
            raise InputError(f"i has shape {at.shape}; give one position.")
        return at

    def _produced(self, i: Array) -> Array:
        x = self.output[i]
        require(lambda v: v != 0, f"account {i} produces nothing, so its output has no elasticity; leave it out.", x)
        return x


def jacobian(A: ArrayLike, final_demand: ArrayLike, *, solver: AbstractLinearSolver | None = None) -> Jacobian:
    """Return the derivatives of the outputs by every coefficient and every final demand, `dx_i / dA_jk = L_ij x_k`.

    Parameters
    ----------
    A:
        Technical coefficients (n, n). For a `Network`, differentiate `solve`, which needs no inverse.
    final_demand:
        d (n,), in currency.
    solver:
        As for `solve`.

    Raises
    ------
    InputError
        Shapes that do not fit, or a `Network`.
    SolveError
        The technology is not productive.

    References
    ----------
    Miller and Blair (2009), chapter 12.3; Magnus and Neudecker (2019), differential of the inverse.
    """
    if isinstance(A, Network):
        raise InputError("jacobian takes the matrix of coefficients; for a Network differentiate solve with JAX.")
    system = Leontief(A)
    d = vector(final_demand, "final demand", system.size)
    L = inverse(system, solver=solver)
    dtype = precision(system, d)
    return Jacobian(jnp.asarray(system.A).astype(dtype), L.astype(dtype), L.astype(dtype) @ d.astype(dtype))
