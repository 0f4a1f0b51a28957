"""How an equilibrium is solved; each solver is a small final class around lineax."""

import abc
from typing import Any

import equinox as eqx
import jax
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
        return found.value, jnp.asarray(0), _in_our_words(found.result)


class BiCGStab(AbstractLinearSolver):
    """The stabilised biconjugate gradient method; needs only products with A, so it takes a `Network` of any size.

    Parameters
    ----------
    tolerance:
        Largest residual, relative to the largest entry of the right-hand side, and no less than 8 units of rounding.
    max_steps:
        Iterations before the solve counts as failed.

    References
    ----------
    van der Vorst (1992).
    """

    tolerance: float = 1e-13
    max_steps: int = 1000

    def solve(self, system, b):
        solver = _RelativeBiCGStab(self.tolerance, self.max_steps)
        found = lx.linear_solve(system.operator(), b, solver=solver, throw=False)
        return found.value, jnp.asarray(found.stats["num_steps"]), _in_our_words(found.result)


def _in_our_words(result: lx.RESULTS) -> RESULTS:
    """Return lineax's code as one of ours, whose sentence speaks of equilibria; lineax calls singular what is not finite."""
    failed = RESULTS.where(result == lx.RESULTS.singular, RESULTS.no_unique_solution, RESULTS.not_converged)
    return RESULTS.where(result == lx.RESULTS.successful, RESULTS.successful, failed)


class _Iterate(eqx.Module):
    x: Float[Array, " n"]
    r: Float[Array, " n"]
    shadow: Float[Array, " n"]
    p: Float[Array, " n"]
    rho: Float[Array, ""]
    step: Int[Array, ""]


class _RelativeBiCGStab(lx.AbstractLinearSolver):
    """BiCGStab that stops on the residual relative to the right-hand side, and restarts where its recurrence breaks down.

    `lineax.BiCGStab` has absolute tolerances, which have a unit, above all for the adjoint, whose scale the caller never sees;
    and it divides 0 by 0 where a half step happens to solve the system.
    """

    tolerance: float
    max_steps: int

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        return lx.linearise(operator)

    def compute(self, state: lx.AbstractLinearOperator, vector: Array, options: dict[str, Any]):
        # No residual can be known to better than rounding.
        enough = jnp.maximum(self.tolerance, 8 * jnp.finfo(vector.dtype).eps)
        largest = jnp.max(jnp.abs(vector))
        scale = jnp.where(largest > 0, largest, 1)

        def unsolved(at: _Iterate):
            return (jnp.max(jnp.abs(at.r)) > enough) & (at.step < self.max_steps)

        last = jax.lax.while_loop(unsolved, lambda at: _advance(state, at), _restart(vector / scale))
        result = lx.RESULTS.where(
            jnp.max(jnp.abs(last.r)) > enough, lx.RESULTS.max_steps_reached, lx.RESULTS.successful
        )
        return last.x * scale, result, {"num_steps": last.step, "max_steps": self.max_steps}

    def transpose(self, state: lx.AbstractLinearOperator, options: dict[str, Any]):
        return state.transpose(), {}

    def conj(self, state: lx.AbstractLinearOperator, options: dict[str, Any]):
        return lx.conj(state), {}

    def assume_full_rank(self):
        return True


def _restart(vector: Array) -> _Iterate:
    zero = jnp.zeros_like(vector)
    return _Iterate(zero, vector, vector, vector, jnp.vdot(vector, vector), jnp.asarray(0))


def _advance(operator: lx.AbstractLinearOperator, at: _Iterate) -> _Iterate:
    v = operator.mv(at.p)
    alpha = _ratio(at.rho, jnp.vdot(at.shadow, v))
    s = at.r - alpha * v
    t = operator.mv(s)
    omega = _ratio(jnp.vdot(t, s), jnp.vdot(t, t))
    r = s - omega * t
    rho = jnp.vdot(at.shadow, r)
    beta = _ratio(rho, at.rho) * _ratio(alpha, omega)
    # The recurrence is spent where the residual has become orthogonal to its shadow: begin again from this residual.
    size = jnp.vdot(r, r)
    spent = (beta == 0) | (jnp.abs(rho) <= jnp.finfo(r.dtype).eps * jnp.sqrt(size * jnp.vdot(at.shadow, at.shadow)))
    return _Iterate(
        x=at.x + alpha * at.p + omega * s,
        r=r,
        shadow=jnp.where(spent, r, at.shadow),
        p=jnp.where(spent, r, r + beta * (at.p - omega * v)),
        rho=jnp.where(spent, size, rho),
        step=at.step + 1,
    )


def _ratio(numerator: Array, denominator: Array) -> Array:
    return jnp.where(denominator == 0, 0, numerator / jnp.where(denominator == 0, 1, denominator))
