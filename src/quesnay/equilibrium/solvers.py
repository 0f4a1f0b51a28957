"""How an equilibrium is solved; each solver is a small final class around lineax."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, Int

from quesnay._results import RESULTS

from .system import AbstractLinearSystem


class AbstractLinearSolver(eqx.Module):
    """A way to solve `(I - M) x = b`; derivatives follow from the implicit function theorem with the same solver."""

    @abc.abstractmethod
    def solve(
        self, system: AbstractLinearSystem, b: Float[Array, " n"]
    ) -> tuple[Float[Array, " n"], Int[Array, ""], RESULTS]:
        """Return the solution, the number of iterations (0 for a direct solve), and how it ended."""


class LU(AbstractLinearSolver):
    """LU factors with partial pivoting; the adjoint and further right-hand sides reuse them. Dense: n^2 numbers."""

    def solve(self, system, b):
        found = lx.linear_solve(system.operator(), b, solver=lx.LU(), throw=False)
        return found.value, jnp.asarray(0), RESULTS.promote(found.result)


class BiCGStab(AbstractLinearSolver):
    """The stabilised biconjugate gradient method; needs only products with A, so it takes a `Network` of any size.

    Parameters
    ----------
    tolerance:
        Largest residual, relative to the largest entry of the right-hand side.
    max_steps:
        Iterations before the solve counts as failed.

    Source: van der Vorst (1992).
    """

    tolerance: float = 1e-13
    max_steps: int = 1000

    def solve(self, system, b):
        solver = _ScaledBiCGStab(lx.BiCGStab(rtol=0.0, atol=self.tolerance, max_steps=self.max_steps))
        found = lx.linear_solve(system.operator(), b, solver=solver, throw=False)
        return found.value, jnp.asarray(found.stats["num_steps"]), RESULTS.promote(found.result)


class _ScaledBiCGStab(lx.AbstractLinearSolver):
    """BiCGStab on the right-hand side divided by its largest entry, so that its absolute tolerance has no unit.

    This holds for the adjoint's right-hand side as well, whose scale the caller never sees.
    """

    inner: lx.BiCGStab

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        return self.inner.init(operator, options)

    def compute(self, state: Any, vector: Array, options: dict[str, Any]):
        largest = jnp.max(jnp.abs(vector))
        scale = jnp.where(largest > 0, largest, 1)
        value, result, stats = self.inner.compute(state, vector / scale, options)
        return value * scale, result, stats

    def transpose(self, state: Any, options: dict[str, Any]):
        return self.inner.transpose(state, options)

    def conj(self, state: Any, options: dict[str, Any]):
        return self.inner.conj(state, options)

    def assume_full_rank(self):
        return self.inner.assume_full_rank()
