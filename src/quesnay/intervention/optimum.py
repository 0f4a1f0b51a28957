"""The best intervention in any smooth system: a local optimum, with the conditions that it meets and their multipliers."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from quesnay._checks import instance, positive, whole
from quesnay._errors import InputError, SolveError
from quesnay.equilibrium import System

from .flat import checked, like, observed, solvability
from .groups import AbstractAction
from .interventions import Act, lawful
from .problem import Problem
from .search import NEAR, Branch, Found, Limits, search, total
from .terms import Absolute, Constraint


class Optimum(eqx.Module):
    """A local optimum: the first-order conditions hold, and no point beside it that was tried is better.

    Attributes
    ----------
    element:
        The group element: factors for `Scaling`.
    x:
        The equilibrium under it, in the form of x0.
    objective, base:
        The objective (with its absolute terms) there, and without intervention.
    values:
        What the constraints' functions are there, by constraint.
    multipliers:
        By constraint: what the objective would gain where the limit was loosened by one unit of it, not negative for limits
        that hold, 0 for those that do not; of an equation, either sign.
    lower, upper:
        Multipliers of the bounds (m,), in units of the objective per coordinate.
    stationarity:
        What is left of the derivative of the objective after the multipliers, relative to the largest of its terms: 0 at a
        local optimum.
    violation:
        Largest violation of a constraint, relative to its scale.
    solvability:
        Smallest singular value of `I - J` there: how far the equilibrium is from being lost.
    by_theta:
        Derivative of the best objective by theta, by the envelope theorem.
    evaluations:
        Equilibria with derivatives that were computed.
    intervention:
        What to give to `intervene`.
    """

    element: Any
    x: PyTree
    objective: Float[Array, ""]
    base: Float[Array, ""]
    values: tuple[Array, ...]
    multipliers: tuple[Array, ...]
    lower: Float[Array, " m"]
    upper: Float[Array, " m"]
    stationarity: Float[Array, ""]
    violation: Float[Array, ""]
    solvability: Float[Array, ""]
    by_theta: PyTree
    evaluations: int = eqx.field(static=True)
    intervention: Act

    def __repr__(self) -> str:
        return (
            f"Optimum: objective {float(self.objective):.6g} (without intervention {float(self.base):.6g}), stationary to "
            f"{float(self.stationarity):.1e}, constraints met to {float(self.violation):.1e}, {self.evaluations} evaluations"
        )


def optimise(
    system: System,
    theta: PyTree,
    *,
    action: AbstractAction,
    objective: Callable[..., Any] | Absolute | Sequence[Callable[..., Any] | Absolute],
    bounds: tuple[Any, Any] | None = None,
    constraints: Constraint | Sequence[Constraint] = (),
    tolerance: float = 1e-6,
    max_steps: int = 300,
    throw: bool = True,
) -> Optimum:
    """Return the element of a group whose action on a system makes an objective of its equilibrium least.

    ```
    min over g    F(x) + sum_i w_i |r_i(x)|,    x = (g f)(x, theta),    low <= c(x) <= high,    lo <= g <= hi
    ```

    The search begins at the identity and follows the equilibrium from the observed one; derivatives go through it by the
    implicit function theorem. What is found is a local optimum, and its conditions are verified. Where f is linear,
    not negative, and the action scales outputs, `frontier` finds the global one.

    Parameters
    ----------
    system:
        `System(f, x0)`, x0 the observed equilibrium or near it.
    theta:
        What f takes.
    action:
        `Scaling(nodes)`, `Shift`, `Rotation`, `ParameterScaling(change)`, or `Product` of several.
    objective:
        Function of the equilibrium x (or of x and the element) that returns a number; an `Absolute`; or a list of them, which
        add up.
    bounds:
        (lo, hi) of the element, numbers or one for each dimension; of a product, tuples of them. A lower bound of 0 of a
        factor is approached, not reached. None: no bounds.
    constraints:
        `at_most(function, limit)`, `at_least`, `equal`.
    tolerance:
        Largest stationarity and violation that count as an optimum.
    max_steps:
        Steps of each search.
    throw:
        Raise where no optimum was found; with False see `stationarity` and `violation`.

    Raises
    ------
    InputError
        Nodes that the system does not have; bounds in the wrong order; an objective that is no number.
    SolveError
        There is no equilibrium near x0; the action leaves the neighbourhood in which there is one; the constraints cannot be
        met; the search did not converge. The message names the last good point.

    References
    ----------
    Besserve and Schoelkopf (2022), section 4; Kraft (1988), sequential quadratic programming, by SciPy.
    """
    tolerance, max_steps = positive(tolerance, "tolerance"), whole(max_steps, "max_steps", "number of steps")
    terms = list(objective) if isinstance(objective, Sequence) else [objective]
    if not terms:
        raise InputError("objective is empty; give a function of x, or several.")
    for term in terms:
        if not (isinstance(term, Absolute) or callable(term)):
            raise InputError(
                "objective has a term that is no function; give functions of x, or Absolute(function, weight)."
            )
    constraints = (constraints,) if isinstance(constraints, Constraint) else tuple(constraints)
    for constraint in constraints:
        if not isinstance(constraint, Constraint):
            raise InputError("constraints has an entry that is none; give at_most(function, limit), at_least or equal.")
    instance(action, AbstractAction, "action", "Scaling(nodes), Shift(nodes) or another action")
    lawful(action, theta)
    smooth = tuple(term for term in terms if not isinstance(term, Absolute))
    absolute = tuple(term for term in terms if isinstance(term, Absolute))
    problem = Problem(checked(system), theta, action, smooth, absolute, constraints)
    base = observed(system, theta)
    lo, hi = _bounds(problem, bounds)
    sizes = problem.sizes(lo.size)
    unit = _units(problem, lo, hi, base.x)
    lo, hi = lo / unit, hi / unit
    branch = Branch(problem, unit, np.clip(np.zeros(lo.size), lo, hi), np.asarray(base.x))
    if not branch.last.found:
        _require_values(problem, unit * branch.u, base.x, sizes)
    low, high = (_spread([getattr(part, end) for part in constraints], sizes[1]) for end in ("low", "high"))
    limits = Limits(lo, hi, low, high, _spread([part.weight for part in absolute], sizes[0]))
    found = search(branch, limits, tolerance, max_steps)
    best = _optimum(problem, base.x, found, limits, sizes[1], branch)
    if throw and not max(found.stationarity, found.violation) <= tolerance:
        raise SolveError(_failure(problem, best, found, branch, tolerance))
    return best


def _require_values(problem: Problem, u: np.ndarray, x: Array, sizes: tuple[list[int], list[int]]) -> None:
    """Raise the error that says why the search cannot begin."""
    value, point = problem.value(jnp.asarray(u), x)
    if not bool(point.found):
        raise SolveError(
            "There is no equilibrium at the bounds, from which the search would begin; take bounds that hold the identity."
        )
    absolute, limited = sizes
    names = ["the objective", *(["an Absolute term"] * sum(absolute))]
    for part, size in zip(problem.constraints, limited, strict=True):
        names += [f"the constraint {part}"] * size
    bad = [name for name, number in zip(names, np.asarray(value), strict=True) if not np.isfinite(number)]
    what = bad[0] if bad else "a derivative"
    raise InputError(f"{what} is not finite in the equilibrium from which the search begins; give functions that are.")


def _units(problem: Problem, lo: np.ndarray, hi: np.ndarray, x: Array) -> np.ndarray:
    """Return what coordinates are measured in: their range where they have one that is smaller than their unit."""
    unit, span = np.asarray(problem.action.unit(problem.system, x)), hi - lo
    return np.where(np.isfinite(span) & (span > 0), np.minimum(unit, span), unit)


def _bounds(problem: Problem, bounds: Any) -> tuple[np.ndarray, np.ndarray]:
    action, system = problem.action, problem.system
    m = action.dimension(system)
    if bounds is None:
        return np.full(m, -np.inf), np.full(m, np.inf)
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise InputError("bounds is not a pair; give (lo, hi) of the group element.")
    try:
        lo, hi = (np.asarray(action.log(system, bound)) for bound in bounds)
    except InputError as error:
        raise InputError(f"bounds: {error}") from None
    if not (lo <= hi).all():
        raise InputError(f"bounds of dimension {int(np.argmax(lo > hi))} are in the wrong order; give lo <= hi.")
    return lo, hi


def _spread(values: list[Array], sizes: list[int]) -> np.ndarray:
    parts = []
    for value, size in zip(values, sizes, strict=True):
        if value.size not in (1, size):
            raise InputError(
                f"a weight has shape {value.shape}, but what it weighs has {size} entries; give one or {size}."
            )
        parts.append(np.broadcast_to(np.ravel(np.asarray(value)), (size,)))
    return np.concatenate([np.zeros(0), *parts])


def _optimum(problem: Problem, base: Array, found: Found, limits: Limits, sizes: list[int], branch: Branch) -> Optimum:
    system, action, u = problem.system, problem.action, jnp.asarray(branch.unit * found.u)
    r, cuts = limits.weight.size, np.cumsum(sizes)[:-1]
    element, x = action.exp(system, u), jnp.asarray(found.values.x)
    without, _ = problem.value(jnp.zeros(u.size), base)
    _, point = problem.value(u, x)
    limited = found.dual[1 + r :]
    # An equation has the derivative by its value; a limit what loosening it gains.
    gain = np.where(limits.low == limits.high, -limited, np.abs(limited))
    return Optimum(
        element=element,
        x=like(system, x),
        objective=jnp.asarray(total(found.values.value, limits)),
        base=jnp.asarray(total(np.asarray(without), limits)),
        values=tuple(map(jnp.asarray, np.split(found.values.value[1 + r :], cuts))) if sizes else (),
        multipliers=tuple(map(jnp.asarray, np.split(gain, cuts))) if sizes else (),
        lower=jnp.asarray(found.lower / branch.unit),
        upper=jnp.asarray(found.upper / branch.unit),
        stationarity=jnp.asarray(found.stationarity),
        violation=jnp.asarray(found.violation),
        solvability=solvability(point.jacobian),
        by_theta=problem.by_theta(u, x, jnp.asarray(found.dual)),
        evaluations=branch.count,
        intervention=Act(action, element),
    )


def _failure(problem: Problem, best: Optimum, found: Found, branch: Branch, tolerance: float) -> str:
    last = f"the last good element is {np.array2string(np.asarray(jax.tree.leaves(best.element)[0]), precision=4, threshold=6)}"
    state = f"{last}, with the objective {float(best.objective):.6g}; throw=False returns it."
    if branch.losses:
        return (
            f"The action leaves the neighbourhood in which the system has its equilibrium (smallest singular value of I - J "
            f"{float(best.solvability):.2g}); give bounds, or narrower ones; {state}"
        )
    if found.violation > tolerance:
        return (
            f"The constraints cannot be met from here: {_contradiction(problem.constraints, best.values)}; loosen "
            f"one of them or the bounds; {state}"
        )
    return (
        f"The search did not converge (stationary to {found.stationarity:.1e}); allow more max_steps, narrow the bounds, or "
        f"give kinks of the objective as Absolute; {state}"
    )


def _contradiction(constraints: Sequence[Constraint], values: Sequence[Array]) -> str:
    """Return which constraints are missed, by how much, and which others are at their limit, where they may be in the way."""
    missed, held = [], []
    for part, value in zip(constraints, values, strict=True):
        beyond = np.maximum(np.asarray(part.low - value), np.asarray(value - part.high)).max()
        limit = max([abs(float(end)) for end in (part.low, part.high) if np.isfinite(end)], default=0.0)
        near = NEAR * max(limit, float(np.abs(value).max()))
        if beyond > near:
            missed.append(f"{part} is missed by {beyond:.4g}")
        elif beyond >= -near:
            held.append(f"{part} is at its limit")
    return ", ".join([*(missed or ["they are missed by a little"]), *held])
