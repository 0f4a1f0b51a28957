"""`solve`: an equilibrium with its proof."""

from collections.abc import Mapping
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree
from numpy.typing import ArrayLike

from quesnay._checks import concrete, floating, require
from quesnay._errors import InputError
from quesnay._results import RESULTS, first_failure, raise_unless_successful, result_if

from .domain import require_within
from .enclosure import enclose
from .iteration import iterate, relative_residual
from .krylov import largest
from .solvers import AbstractIteration, AbstractLinearSolver, AbstractSolver, Anderson, Automatic, from_lineax
from .system import AbstractLinearSystem, AbstractSystem, System

DEFAULT = Automatic()
LOST = 1000
"""A solve whose true residual exceeds the solver's own tolerance by this factor has not converged, whatever it says."""


class Solution(eqx.Module):
    """An equilibrium and how good it is.

    Attributes
    ----------
    value:
        x (n,), or (n, k) for k right-hand sides; of a `System`, a pytree like its x0.
    residual:
        `max |f(x) - x| / max |x|`, a number (or (k,)); of a pytree, the largest over its arrays.
    radius:
        Bounds of `|x - x*|`, like value: the equilibrium lies in `value -+ radius`, rounding included. inf where there is no
        proof, and for a `System`.
    error:
        `max radius / max |x|`, a number (or (k,)).
    iterations:
        Iterations of the solver, 0 for a direct solve.
    result:
        How the solve ended: `s.result == q.equilibrium.RESULTS.successful`, and `q.equilibrium.RESULTS[s.result]` is the
        sentence where it failed.
    """

    value: PyTree
    residual: Float[Array, "*k"]
    radius: PyTree
    error: Float[Array, "*k"]
    iterations: Int[Array, "*k"]
    result: RESULTS

    def __repr__(self) -> str:
        parts = (self.residual, self.error, self.iterations, self.result)
        if not all(
            isinstance(leaf, jax.Array) and leaf.ndim == 0 and concrete(leaf) for leaf in jax.tree.leaves(parts)
        ):
            return eqx.tree_pformat(self)
        values = sum(leaf.size for leaf in jax.tree.leaves(self.value))
        proof = f"error at most {float(self.error):.1e}" if np.isfinite(self.error) else "no bound of the error"
        steps = f"{int(self.iterations)} iterations"
        ended = RESULTS[self.result] or "solved"
        return f"Solution of {values:,} unknowns: residual {float(self.residual):.1e}, {proof}, {steps}; {ended}"

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        if not eqx.is_array(self.value):
            raise InputError("the solution of a System has no accounts; label its arrays one by one.")
        dims = ("account", "case")[: self.value.ndim]
        return {
            "value": (dims, self.value, "{currency}", "equilibrium"),
            "radius": (dims, self.radius, "{currency}", "bound of the error"),
            "residual": (dims[1:], self.residual, "1", "largest residual, relative to the largest value"),
            "error": (dims[1:], self.error, "1", "bound of the largest error, relative to the largest value"),
        }


def solve(
    system: AbstractSystem,
    theta: PyTree,
    *,
    solver: AbstractSolver | None = None,
    throw: bool = True,
) -> Solution:
    """Return the equilibrium `x = f(x, theta)`, with exact derivatives of any order by the implicit function theorem.

    Parameters
    ----------
    system:
        `Leontief(A)`, `Price(A)`, `Ghosh(B)`, or any `System(f, x0)`.
    theta:
        For the linear systems the right-hand side: final demand, primary cost per unit, or primary inputs; (n,), or (n, k)
        for k cases that share factors. For a `System`, what f takes: any pytree.
    solver:
        `LU()`, `BiCGStab()` or `GMRES()` for linear systems, `Forward()`, `Anderson()` or `Newton()` for all. The default
        is LU or BiCGStab by size (`Automatic`), and `Anderson()` for a `System`.
    throw:
        Raise where the solve did not succeed; with False the code is in `result`.

    Raises
    ------
    InputError
        theta has a shape that does not fit the system, or entries that are not finite; f returns another form than x0;
        a linear solver for a `System`.
    SolveError
        The solver failed, or the technology is not productive (spectral radius of a non-negative M at or above 1), or
        negative coefficients prevent the proof that it is.
    """
    if not isinstance(system, AbstractSystem):
        raise InputError(
            f"system is of type {type(system).__name__}; give Leontief(A), Price(A), Ghosh(B) or System(f, x0)."
        )
    if isinstance(solver, type) and issubclass(solver, AbstractSolver):
        raise InputError(f"solver is the class {solver.__name__}; give a solver, {solver.__name__}().")
    if solver is not None and not isinstance(solver, AbstractSolver):
        raise InputError(
            f"solver is of type {type(solver).__name__}; give one of quesnay's, such as LU() or Anderson()."
        )
    if isinstance(system, AbstractLinearSystem):
        solution = _linear(system, theta, DEFAULT if solver is None else solver)
    else:
        if isinstance(system, System):
            require_within(system.domain, theta)
        solution = _nonlinear(system, _traceable(theta), Anderson() if solver is None else solver)
    return raise_unless_successful(solution, solution.result) if throw else solution


def _linear(system: AbstractLinearSystem, theta: ArrayLike, solver: AbstractSolver) -> Solution:
    b = floating(theta, "the right-hand side")
    dtype = b.dtype if b.dtype == system.dtype else jnp.promote_types(b.dtype, system.dtype)
    if b.dtype != dtype or system.dtype != dtype:
        system, b = jax.tree.map(lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf, (system, b))
    if b.ndim not in (1, 2) or b.shape[0] != system.size:
        raise InputError(f"the right-hand side has shape {b.shape}; the system has {system.size} accounts.")
    require(np.isfinite, "the right-hand side has entries that are not finite.", b)
    smallest = float(np.finfo(dtype).tiny) / float(np.finfo(dtype).eps)
    require(
        lambda values: (values.size == 0) | (np.max(np.abs(values), initial=0) >= smallest) | ~values.any(),
        f"the right-hand side is below {smallest:.0e}, where numbers lose their digits; give it in a smaller unit.",
        b,
    )
    return _solve(system, b, solver) if b.ndim == 1 else _solve_cases(system, b, solver)


@partial(jax.jit, static_argnames="solver")
def _solve(system: AbstractLinearSystem, b: Array, solver: AbstractSolver) -> Solution:
    return _one(system, b, solver, 1)


@partial(jax.jit, static_argnames="solver")
def _solve_cases(system: AbstractLinearSystem, b: Array, solver: AbstractSolver) -> Solution:
    solution = jax.vmap(lambda column: _one(system, column, solver, b.shape[1]), in_axes=1)(b)
    return eqx.tree_at(lambda s: (s.value, s.radius), solution, (solution.value.T, solution.radius.T))


def _one(system: AbstractLinearSystem, b: Array, solver: AbstractSolver, cases: int) -> Solution:
    if isinstance(solver, AbstractLinearSolver):
        found, approximate = from_lineax(system, b, solver, cases)
        tolerance = 0.0
    else:
        assert isinstance(solver, AbstractIteration)
        found = iterate(system, b, solver)
        _, approximate = from_lineax(system, b, Automatic(), cases)
        tolerance = solver.tolerance
    known = jax.lax.stop_gradient((eqx.filter(system, eqx.is_inexact_array), b, found.value))
    fixed = eqx.combine(known[0], system)
    proof = enclose(fixed, known[1], known[2], approximate)
    scale = largest(known[2])
    residual = jnp.max(jnp.abs(proof.residual)) / scale
    error = jnp.where(jnp.isfinite(scale), jnp.max(proof.radius) / scale * (1 + 8 * jnp.finfo(b.dtype).eps), jnp.inf)
    result = first_failure(proof.proof, found.result, _lost(residual, tolerance))
    return Solution(found.value, residual, proof.radius, error, found.iterations, result)


@eqx.filter_jit
def _nonlinear(system: AbstractSystem, theta: PyTree, solver: AbstractSolver) -> Solution:
    if not isinstance(solver, AbstractIteration):
        raise InputError(f"{type(solver).__name__} solves linear systems; give Anderson(), Newton() or Forward().")
    found = iterate(system, theta, solver)
    residual = relative_residual(system, theta, found.value)
    unknown = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.inf), found.value)
    undefined = result_if(~jnp.isfinite(residual), RESULTS.undefined)
    result = first_failure(undefined, found.result, _lost(residual, solver.tolerance))
    return Solution(found.value, residual, unknown, jnp.full_like(residual, jnp.inf), found.iterations, result)


def _traceable(theta: PyTree) -> PyTree:
    """Return theta with its floats as arrays: a new value of one is no reason to compile anew."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf) if isinstance(leaf, float) else leaf, theta)


def _lost(residual: Array, tolerance: float) -> RESULTS:
    """Return the failure of an iteration whose residual is not what it was asked to be."""
    enough = LOST * jnp.maximum(tolerance, 8 * jnp.finfo(residual.dtype).eps)
    return result_if(~(residual <= enough), RESULTS.not_converged)
