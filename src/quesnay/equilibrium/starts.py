"""Systems with several equilibria: search from many starting points, and check that the observed state is one."""

import equinox as eqx
import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree

from quesnay._checks import concrete, floating, positive, require
from quesnay._errors import InputError, SolveError
from quesnay._results import RESULTS

from .iteration import apart
from .solution import Solution, solve
from .solvers import AbstractIteration, Anderson
from .system import AbstractSystem, System, form

EIGENVALUES = 1000
"""Unknowns up to which the eigenvalues at an equilibrium are computed."""


class Equilibria(eqx.Module):
    """The distinct equilibria that were found, in the order in which the starting points found them.

    Attributes
    ----------
    value:
        A pytree like x0, with a leading axis of length `count`.
    count:
        How many distinct ones were found; there may be others that no starting point leads to.
    reached:
        Position of the equilibrium that each starting point led to (s,), -1 where the solver did not converge.
    residual:
        `max |f(x) - x| / max |x|` of each (count,).
    spectral_radius:
        Of the Jacobian of f at each (count,): below 1 forward iteration returns to it after a small disturbance. nan above
        1,000 unknowns, where it is not computed.
    """

    value: PyTree
    count: int = eqx.field(static=True)
    reached: Int[np.ndarray, " s"]
    residual: Float[np.ndarray, " count"]
    spectral_radius: Float[np.ndarray, " count"]

    def __str__(self) -> str:
        lost = int(np.sum(self.reached < 0))
        found = f"{self.count} {'equilibrium' if self.count == 1 else 'equilibria'} from {len(self.reached)} starts"
        hits = ", ".join(str(int(np.sum(self.reached == k))) for k in range(self.count))
        return f"{found} (reached from {hits or 'none'}; {lost} did not converge)"


def equilibria(
    system: System,
    theta: PyTree,
    starts: PyTree,
    *,
    solver: AbstractIteration | None = None,
    distinct: float = 1e-6,
) -> Equilibria:
    """Return the distinct equilibria of `x = f(x, theta)` that these starting points lead to, and how many they are.

    Parameters
    ----------
    system:
        `System(f, x0)`.
    theta:
        What f takes.
    starts:
        Starting points: a pytree like x0 with a leading axis of length s.
    solver:
        `Anderson()` (default), `Newton()` or `Forward()`. Newton's method also finds equilibria that forward iteration leaves.
    distinct:
        Two equilibria are the same where no array of them differs by more than this share of its largest entry.

    Raises
    ------
    InputError
        starts has another form than x0, or entries that are not finite; called inside `jit` (the number found is no array).
    SolveError
        No starting point led to an equilibrium.
    """
    solver = Anderson() if solver is None else solver
    points, many = _starts(system, starts)
    if not concrete(points, theta, eqx.filter(system, eqx.is_array)):
        raise InputError("equilibria counts what it finds, which jit and vmap cannot; call it outside of them.")
    distinct = positive(distinct, "distinct", below=1)
    found: Solution = eqx.filter_vmap(lambda x0: solve(System(system.f, x0), theta, solver=solver, throw=False))(points)
    good = np.asarray(found.result == RESULTS.successful)
    if not good.any():
        raise SolveError(
            f"None of the {many} starting points led to an equilibrium; allow more steps, begin nearer, or try Newton()."
        )
    arrays = [np.asarray(leaf).reshape(many, -1) for leaf in jax.tree.leaves(found.value)]
    reached, kept = _assign(arrays, good, distinct)
    value = jax.tree.map(lambda leaf: leaf[np.array(kept)], found.value)
    radius = [_spectral_radius(system, theta, jax.tree.map(lambda leaf, k=k: leaf[k], value)) for k in range(len(kept))]
    return Equilibria(value, len(kept), reached, np.asarray(found.residual)[kept], np.array(radius))


class Reproduction(eqx.Module):
    """Whether a model reproduces an observed state, and where it goes from there.

    Attributes
    ----------
    residual:
        `max |f(x) - x| / max |x|` at the observed x, the largest over its arrays: 0 where it is an equilibrium.
    distance:
        `max |x* - x| / max |x|` to the equilibrium that the solver reaches from the observed x.
    solution:
        That equilibrium.
    reproduced:
        The distance is within the tolerance, and the solve succeeded.
    """

    residual: Float[Array, ""]
    distance: Float[Array, ""]
    solution: Solution
    reproduced: Array

    def __repr__(self) -> str:
        if not concrete(self) or not isinstance(self.reproduced, Array):
            return eqx.tree_pformat(self)
        said = "reproduced" if bool(self.reproduced) else "not reproduced"
        return f"Reproduction: {said}, residual {float(self.residual):.1e}, distance {float(self.distance):.1e}"


def reproduce(
    system: AbstractSystem,
    theta: PyTree,
    observed: PyTree,
    *,
    solver: AbstractIteration | None = None,
    tolerance: float = 1e-6,
) -> Reproduction:
    """Return whether the observed state is an equilibrium of the model, starting the solve at it.

    Parameters
    ----------
    system:
        `System(f, x0)`, or a linear system.
    theta:
        What f takes.
    observed:
        The observed x, in the form of x0.
    solver:
        As for `equilibria`.
    tolerance:
        Largest distance that still counts as reproduced.

    Raises
    ------
    InputError
        observed has another form than x0, or entries that are not finite.
    """
    tolerance = positive(tolerance, "tolerance")
    if isinstance(system, System):
        free = System(system, observed)
        _same(system.x0, free.x0)
    else:
        theta, free = floating(theta, "the right-hand side"), System(system, floating(observed, "observed"))
        _same(theta, free.x0)
    found = solve(free, theta, solver=Anderson() if solver is None else solver, throw=False)
    image = system(free.x0, theta)
    residual, distance = (apart(there, free.x0) for there in (image, found.value))
    reproduced = (found.result == RESULTS.successful) & (distance <= tolerance)
    return Reproduction(residual, distance, found, reproduced)


def _starts(system: System, starts: PyTree) -> tuple[PyTree, int]:
    if not isinstance(system, System):
        raise InputError(
            f"system is a {type(system).__name__}; a linear system has one equilibrium: give System(f, x0)."
        )
    points = jax.tree.map(lambda leaf: floating(leaf, "starts"), starts)
    leaves = jax.tree.leaves(points)
    sizes = {leaf.shape[:1] for leaf in leaves}
    if len(sizes) != 1 or not all(leaf.ndim and leaf.size for leaf in leaves):
        raise InputError("starts needs a leading axis with one entry per starting point, the same in every array.")
    _same(system.x0, jax.tree.map(lambda leaf: leaf[0], points))
    for leaf in leaves:
        require(np.isfinite, "starts has entries that are not finite.", leaf)
    return points, leaves[0].shape[0]


def _same(x0: PyTree, given: PyTree) -> None:
    forms = [(jax.tree.structure(tree), [leaf.shape for leaf in jax.tree.leaves(tree)]) for tree in (x0, given)]
    if forms[0] != forms[1]:
        raise InputError(f"the point is {form(given)}, but x0 of the system is {form(x0)}; give the same form.")


def _assign(arrays: list[np.ndarray], good: np.ndarray, distinct: float) -> tuple[np.ndarray, list[int]]:
    """Return the equilibrium that each start belongs to, and the starts that stand for the distinct ones."""
    reached, kept = np.full(good.size, -1), []
    for k in np.flatnonzero(good):
        for position, other in enumerate(kept):
            if all(_close(array[k], array[other], distinct) for array in arrays):
                reached[k] = position
                break
        else:
            reached[k] = len(kept)
            kept.append(int(k))
    return reached, kept


def _close(a: np.ndarray, b: np.ndarray, distinct: float) -> bool:
    return bool(np.max(np.abs(a - b)) <= distinct * max(np.max(np.abs(a)), np.max(np.abs(b))))


def _spectral_radius(system: System, theta: PyTree, x: PyTree) -> float:
    flat, unravel = ravel_pytree(x)
    if flat.size > EIGENVALUES:
        return float("nan")
    jacobian = jax.jacfwd(lambda z: ravel_pytree(system(unravel(z), theta))[0])(flat)
    return float(np.max(np.abs(np.linalg.eigvals(np.asarray(jacobian)))))
