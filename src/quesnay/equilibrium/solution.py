"""`solve`: an equilibrium with its proof."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import floating, require
from quesnay._errors import InputError
from quesnay._results import RESULTS, first_failure, raise_unless_successful

from .solvers import LU, AbstractLinearSolver
from .system import AbstractLinearSystem


class Solution(eqx.Module):
    """An equilibrium and how good it is.

    Attributes
    ----------
    value:
        x (n,), or (n, k) for k right-hand sides.
    residual:
        `max |M x + d - x| / max |x|`, a number (or (k,)).
    error:
        A bound of `max |x - x*| / max |x|` by an M-matrix enclosure, rounding included; inf where negative entries of M
        prevent one.
    iterations:
        Iterations of the solver, 0 for a direct solve.
    result:
        How the solve ended; `q.equilibrium.RESULTS[s.result]` is the sentence.
    """

    value: Float[Array, " n *k"]
    residual: Float[Array, "*k"]
    error: Float[Array, "*k"]
    iterations: Int[Array, "*k"]
    result: RESULTS

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        dims = ("account", "case")[: self.value.ndim]
        return {
            "value": (dims, self.value, "{currency}", "equilibrium"),
            "residual": (dims[1:], self.residual, "1", "largest residual, relative to the largest value"),
            "error": (dims[1:], self.error, "1", "bound of the largest error, relative to the largest value"),
        }


def solve(
    system: AbstractLinearSystem,
    theta: ArrayLike,
    *,
    solver: AbstractLinearSolver | None = None,
    throw: bool = True,
) -> Solution:
    """Return the equilibrium `x = M x + theta`, with exact derivatives in both modes by the implicit function theorem.

    Parameters
    ----------
    system:
        `Leontief(A)`, `Price(A)` or `Ghosh(B)`.
    theta:
        Right-hand side: final demand, primary cost per unit, or primary inputs; (n,), or (n, k) for k cases that share
        factors.
    solver:
        `LU()` (default) or `BiCGStab()`.
    throw:
        Raise where the solve did not succeed; with False the code is in `result`.

    Raises
    ------
    InputError
        theta has a shape that does not fit the system, or entries that are not finite.
    SolveError
        The solver failed, or the technology is not productive (spectral radius of a non-negative M at or above 1), or
        negative coefficients prevent the proof that it is.
    """
    if not isinstance(system, AbstractLinearSystem):
        raise InputError(f"system is a {type(system).__name__}; give Leontief(A), Price(A) or Ghosh(B).")
    b = floating(theta, "the right-hand side")
    dtype = jnp.result_type(b, *jax.tree.leaves(eqx.filter(system, eqx.is_inexact_array)))
    system, b = jax.tree.map(lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf, (system, b))
    if b.ndim not in (1, 2) or b.shape[0] != system.size:
        raise InputError(f"the right-hand side has shape {b.shape}; the system has {system.size} accounts.")
    require(np.isfinite, "the right-hand side has entries that are not finite.", b)
    solver = LU() if solver is None else solver
    if b.ndim == 1:
        solution = _solve(system, b, solver)
    else:
        solution = eqx.filter_vmap(_solve, in_axes=(None, 1, None))(system, b, solver)
        solution = eqx.tree_at(lambda s: s.value, solution, solution.value.T)
    return raise_unless_successful(solution, solution.result) if throw else solution


@eqx.filter_jit
def _solve(system: AbstractLinearSystem, b: Array, solver: AbstractLinearSolver) -> Solution:
    value, iterations, result = solver.solve(system, b)
    known = jax.tree.map(
        lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) else leaf, (system, b, value)
    )
    residual, error, proof = _enclosure(known[0], known[1], known[2], solver)
    result = first_failure(proof, result)
    return Solution(value, residual, error, iterations, result)


def _enclosure(
    system: AbstractLinearSystem, b: Array, x: Array, solver: AbstractLinearSolver
) -> tuple[Array, Array, RESULTS]:
    """Return the relative residual, a bound of the relative error, and the proof that the technology is productive.

    For any v > 0 with `(I - |M|) v > 0`: the spectral radius of M is below 1 and `|x - x*| <= max(|r| / (I - |M|) v) v`.
    The solution itself serves as v where it can (final demand everywhere positive); else the equilibrium for a demand of 1.
    """
    largest = jnp.max(jnp.abs(x))
    scale = jnp.where(largest > 0, largest, 1)
    rounding = (system.size + 2) * jnp.finfo(x.dtype).eps
    r = b + system.apply(x) - x
    r_bound = jnp.abs(r) + rounding * (jnp.abs(b) + system.magnitude(jnp.abs(x)) + jnp.abs(x))

    def gap(v):
        use = system.magnitude(jnp.abs(v))
        return v - use - rounding * (jnp.abs(v) + use)

    def proves(v):
        return jnp.all(v > 0) & jnp.all(gap(v) > 0)

    def unit():
        v, _, result = solver.solve(system, jnp.ones_like(b))
        return v, result

    v, ended = jax.lax.cond(proves(x), lambda: (x, RESULTS.successful), unit)
    proven = proves(v)
    bound = jnp.max(r_bound / jnp.where(proven, gap(v), 1)) * jnp.max(v) / scale
    # With M >= 0 the equilibrium for a demand of 1 proves productivity whenever there is any, and I - M is singular only
    # where there is none. A solver that did not find that equilibrium has proved nothing.
    ones = jnp.ones_like(b)
    non_negative = jnp.all(system.magnitude(ones) == system.apply(ones))
    found = (ended == RESULTS.successful) | (ended == RESULTS.no_unique_solution)
    failure = RESULTS.where(non_negative, RESULTS.where(found, RESULTS.unproductive, ended), RESULTS.unproven)
    proof = RESULTS.where(proven, RESULTS.successful, failure)
    return jnp.max(jnp.abs(r)) / scale, jnp.where(proven, bound, jnp.inf), proof
