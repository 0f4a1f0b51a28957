"""How an equilibrium is solved: small final settings, each of which names the method of a library."""

import abc
import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import optimistix as optx
from jaxtyping import Array, Int, PyTree

from quesnay._checks import positive, whole
from quesnay._results import RESULTS

from . import krylov
from .anderson import AndersonAcceleration, largest
from .system import AbstractLinearSystem

CROSSOVER = 64
"""Accounts above which BiCGStab is faster than LU (benchmarks/solvers.py)."""
COLUMNS = 32
"""LU pays at any size where there are more right-hand sides than one for so many accounts (benchmarks/solvers.py)."""
COARSE = 1e-3
"""Tolerance of a solve that only has to prove something."""


class Found(NamedTuple):
    """What a solver found: the point, the number of iterations, and how it ended."""

    value: PyTree
    iterations: Int[Array, ""]
    result: RESULTS


class AbstractSolver(eqx.Module):
    """A way to find an equilibrium; derivatives follow from the implicit function theorem, whichever it is."""

    def __check_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type in (int, "int"):
                whole(value, field.name, "number", least=0)
            else:
                positive(value, field.name)

    @abc.abstractmethod
    def coarse(self) -> "AbstractLinearSolver":
        """Return the linear solver that proves what was found, to three digits; it shares this one's factors, if any."""


class AbstractLinearSolver(AbstractSolver):
    """A way to solve the linear system `(I - M) x = b`, and its adjoint with the same means."""

    @abc.abstractmethod
    def method(self, system: AbstractLinearSystem, cases: int) -> lx.AbstractLinearSolver:
        """Return lineax's solver for this system and so many right-hand sides."""


class AbstractIteration(AbstractSolver):
    """A way to iterate `x = f(x, theta)` from a starting point, for linear and nonlinear systems."""

    tolerance: eqx.AbstractVar[float]
    max_steps: eqx.AbstractVar[int]

    @abc.abstractmethod
    def method(self, x: Array) -> optx.AbstractFixedPointSolver | optx.AbstractRootFinder:
        """Return optimistix's solver for points like x."""


class LU(AbstractLinearSolver):
    """LU factors with partial pivoting; the adjoint and further right-hand sides reuse them. Dense: n^2 numbers."""

    def method(self, system, cases):
        return lx.LU()

    def coarse(self):
        return self


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

    def method(self, system, cases):
        return krylov.RelativeBiCGStab(self.tolerance, self.max_steps)

    def coarse(self):
        return BiCGStab(COARSE, self.max_steps)


class GMRES(AbstractLinearSolver):
    """The generalised minimal residual method, restarted; needs only products with A. lineax's.

    Parameters
    ----------
    tolerance:
        Largest residual, relative to the largest entry of the right-hand side, and no less than 8 units of rounding.
    max_steps:
        Restarts before the solve counts as failed; `iterations` of the solution counts restarts.
    restart:
        Products between two restarts, and vectors held.

    References
    ----------
    Saad and Schultz (1986).
    """

    tolerance: float = 1e-13
    max_steps: int = 200
    restart: int = 20

    def method(self, system, cases):
        return krylov.RelativeGMRES(self.tolerance, self.max_steps, self.restart)

    def coarse(self):
        return GMRES(COARSE, self.max_steps, self.restart)


class Automatic(AbstractLinearSolver):
    """The default: LU for small tables and for many right-hand sides, BiCGStab above, and LU where BiCGStab stalls.

    Where to cross over is measured in `benchmarks/solvers.py`. A `Network` of links is never made dense, so that LU does not
    stand behind it.

    Parameters
    ----------
    tolerance:
        As for `BiCGStab`.
    max_steps:
        Iterations before BiCGStab counts as stalled.
    """

    tolerance: float = 1e-13
    max_steps: int = 200

    def method(self, system, cases):
        iterative = krylov.RelativeBiCGStab(self.tolerance, self.max_steps)
        if system.matrix is None:
            return iterative
        if system.size <= CROSSOVER or cases * COLUMNS > system.size:
            return lx.LU()
        return krylov.OrLU(iterative)

    def coarse(self):
        return Automatic(COARSE, self.max_steps)


class Forward(AbstractIteration):
    """Forward iteration `x <- f(x)`: the round-by-round sum `d + A d + A^2 d + ...` of a Leontief system.

    Parameters
    ----------
    tolerance:
        Largest change of an entry in one step, relative to the largest entry (of its array, where x has several).
    max_steps:
        Evaluations of f before the solve counts as failed; a contraction by r takes about `log(tolerance) / log(r)`.
    """

    tolerance: float = 1e-13
    max_steps: int = 10_000

    def method(self, x):
        return _accelerated(self.tolerance, x, memory=0, mixing=1.0)

    def coarse(self):
        return Automatic(COARSE)


class Anderson(AbstractIteration):
    """Anderson acceleration: extrapolates from the last points, with a ridge relative to the differences it weighs.

    Parameters
    ----------
    memory:
        Number of differences kept.
    mixing:
        Share of the extrapolated residual that is added.
    tolerance, max_steps:
        As for `Forward`.

    References
    ----------
    Anderson (1965); Walker and Ni (2011). `AndersonAcceleration` says how, and what guards it.
    """

    memory: int = 5
    mixing: float = 1.0
    tolerance: float = 1e-13
    max_steps: int = 1000

    def method(self, x):
        return _accelerated(self.tolerance, x, memory=self.memory, mixing=self.mixing)

    def coarse(self):
        return Automatic(COARSE)


class Newton(AbstractIteration):
    """Newton's method on `x - f(x)`: few steps, each with a linear solve (LU for small systems, BiCGStab above).

    Parameters
    ----------
    tolerance:
        Largest residual, relative to the largest entry (of its array, where x has several).
    max_steps:
        Steps before the solve counts as failed.
    """

    tolerance: float = 1e-13
    max_steps: int = 50

    def method(self, x):
        tolerance = krylov.attainable(self.tolerance, x.dtype)
        # A step is no smaller than rounding times the condition of the system; the residual it starts from tells the rest.
        return optx.Newton(tolerance**0.5, tolerance, linear_solver=tangent(x.size))

    def coarse(self):
        return Automatic(COARSE)


def from_lineax(
    system: AbstractLinearSystem, b: Array, solver: AbstractLinearSolver, cases: int
) -> tuple[Found, Callable[[Array], tuple[Array, RESULTS]]]:
    """Return the solution of `(I - M) x = b`, and a function that solves for other right-hand sides to a few digits.

    The derivatives of the solution, the adjoint's solve and the function share the factors, where there are any.
    """
    operator, method, quick = system.operator(), solver.method(system, cases), solver.coarse().method(system, cases)
    fixed = jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_array(leaf) else leaf, operator)
    state = method.init(fixed, {})
    found = lx.linear_solve(operator, b, solver=method, state=state, throw=False)

    def approximate(w):
        value, result, _ = quick.compute(state, w, {})
        return value, _in_our_words(lx.RESULTS.where(jnp.all(jnp.isfinite(value)), result, lx.RESULTS.singular))

    steps = jnp.asarray(found.stats.get("num_steps", 0))
    return Found(found.value, steps, _in_our_words(found.result)), approximate


def _in_our_words(result: lx.RESULTS) -> RESULTS:
    """Return lineax's code as one of ours, whose sentence speaks of equilibria; lineax calls singular what is not finite."""
    failed = RESULTS.where(result == lx.RESULTS.singular, RESULTS.no_unique_solution, RESULTS.not_converged)
    return RESULTS.where(result == lx.RESULTS.successful, RESULTS.successful, failed)


def tangent(size: int) -> lx.AbstractLinearSolver:
    """Return the solver for derivatives of a system whose Jacobian is known by its products only."""
    return lx.LU() if size <= CROSSOVER else krylov.RelativeBiCGStab(1e-13, 1000)


def _accelerated(tolerance: float, x: Array, *, memory: int, mixing: float) -> AndersonAcceleration:
    rtol = krylov.attainable(tolerance, x.dtype)
    return AndersonAcceleration(rtol, 0.0, memory=memory, mixing=mixing, magnitude=largest)
