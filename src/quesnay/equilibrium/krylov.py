"""Krylov methods without units, written against lineax's abstract class."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, Int


def largest(values: Array) -> Array:
    """Return the largest size of an entry, or 1 where all are 0: what a residual is measured by."""
    size = jnp.max(jnp.abs(values))
    return jnp.where(size > 0, size, 1)


def attainable(tolerance: float, dtype: Any) -> float:
    """Return the tolerance, but no less than 8 units of rounding: no residual can be known to better."""
    return max(tolerance, 8 * float(jnp.finfo(dtype).eps))


class RelativeGMRES(lx.AbstractLinearSolver):
    """lineax's GMRES, cycle by cycle, each on the residual that is left over the largest entry that it has.

    The tolerance then has no unit; and it is measured by the solution, where that is the larger: near a spectral radius of 1
    no residual falls to the tolerance times the right-hand side.
    """

    tolerance: float
    max_steps: int
    restart: int

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        return lx.linearise(operator)

    def compute(self, state: lx.AbstractLinearOperator, vector: Array, options: dict[str, Any]):
        tolerance, scale = attainable(self.tolerance, vector.dtype), largest(vector)
        b = vector / scale
        # lineax's first step only forms the residual.
        cycle = lx.GMRES(0.0, 0.0, max_steps=2, restart=self.restart)

        def unsolved(at):
            x, r, step = at
            enough = tolerance * jnp.maximum(jnp.max(jnp.abs(x)), 1)
            return (jnp.max(jnp.abs(r)) > enough) & (step < self.max_steps)

        def advance(at):
            x, r, step = at
            size = largest(r)
            x = x + cycle.compute(state, r / size, {})[0] * size
            return x, b - state.mv(x), step + 1

        x, r, steps = jax.lax.while_loop(unsolved, advance, (jnp.zeros_like(b), b, jnp.asarray(0)))
        solved = jnp.max(jnp.abs(r)) <= tolerance * jnp.maximum(jnp.max(jnp.abs(x)), 1)
        result = lx.RESULTS.where(solved, lx.RESULTS.successful, lx.RESULTS.max_steps_reached)
        return x * scale, result, {"num_steps": steps, "max_steps": self.max_steps}

    def transpose(self, state: lx.AbstractLinearOperator, options: dict[str, Any]):
        return state.transpose(), {}

    def conj(self, state: lx.AbstractLinearOperator, options: dict[str, Any]):
        return lx.conj(state), {}

    def assume_full_rank(self):
        return True


class OrLU(lx.AbstractLinearSolver):
    """Relative BiCGStab with products of a stored matrix, and LU factors of that matrix where it stalls."""

    iterative: "RelativeBiCGStab"

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        return lx.MatrixLinearOperator(operator.as_matrix())

    def compute(self, state: lx.MatrixLinearOperator, vector: Array, options: dict[str, Any]):
        value, result, stats = self.iterative.compute(state, vector, options)
        direct = lx.LU()

        def factorise():
            return direct.compute(direct.init(state, {}), vector, {})[0]

        stalled = result != lx.RESULTS.successful
        value = jax.lax.cond(stalled, factorise, lambda: value)
        return value, lx.RESULTS.successful, stats

    def transpose(self, state: lx.MatrixLinearOperator, options: dict[str, Any]):
        return state.transpose(), {}

    def conj(self, state: lx.MatrixLinearOperator, options: dict[str, Any]):
        return lx.conj(state), {}

    def assume_full_rank(self):
        return True


class _Iterate(eqx.Module):
    x: Float[Array, " n"]
    r: Float[Array, " n"]
    shadow: Float[Array, " n"]
    p: Float[Array, " n"]
    rho: Float[Array, ""]
    step: Int[Array, ""]


class RelativeBiCGStab(lx.AbstractLinearSolver):
    """BiCGStab that stops on the residual relative to the right-hand side, and restarts where its recurrence breaks down.

    `lineax.BiCGStab` has absolute tolerances, which have a unit, above all for the adjoint, whose scale the caller never sees;
    and it divides 0 by 0 where a half step happens to solve the system.
    """

    tolerance: float
    max_steps: int

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]):
        return lx.linearise(operator)

    def compute(self, state: lx.AbstractLinearOperator, vector: Array, options: dict[str, Any]):
        enough, scale = attainable(self.tolerance, vector.dtype), largest(vector)

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
