"""The search for a local optimum: sequential quadratic programming on a branch of equilibria, and the conditions it meets."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from .problem import Problem

HALVINGS = 12
"""How often the way to a new element may be halved before the equilibrium counts as lost."""
PIECES = 40
"""Equilibria that may be computed on the way to one element."""
NEAR = 1e-7
"""Share of its scale within which a constraint counts as at its limit, and an absolute value as at its kink."""
LOSSES = 5
"""How often the search may turn back from where there is no equilibrium before it ends."""
ASIDE, ASKED = 1e-3, 50
"""How far from a stationary point, in units of the coordinates, and in how many directions a better one is looked for."""
ROUNDS = 6
"""Searches, each begun where the last one ended, before the result is what it is."""


class Limits(NamedTuple):
    """Bounds of the coordinates (m,), limits of the constraints (c,), and weights of the absolute values (r,).

    Coordinates are measured in units of their own, so that none is lost beside another.
    """

    lo: np.ndarray
    hi: np.ndarray
    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray


class LostError(Exception):
    """The search goes again and again to where there is no equilibrium."""


class Values(NamedTuple):
    """At an element: the smooth objective (1,), residuals of absolute terms (r,), constraints (c,), stacked; and derivatives.

    Attributes
    ----------
    x, found:
        The equilibrium (n,), and whether there is one.
    value, slope:
        What is stacked (1 + r + c,), and its derivative by the coordinates (1 + r + c, m).
    """

    x: np.ndarray
    found: np.ndarray
    value: np.ndarray
    slope: np.ndarray


class Branch:
    """The equilibria met on the way, on the branch of the observed one; where it ends, the last good one is kept."""

    def __init__(self, problem: Problem, unit: np.ndarray, u: np.ndarray, start: np.ndarray):
        self.problem, self.unit, self.count, self.losses = problem, unit, 0, 0
        self.u = u
        self.last = Values(start, np.asarray(False), np.zeros(0), np.zeros((0, u.size)))
        self.last = self._evaluate(u, start)
        self.first = self.last

    def _evaluate(self, u: np.ndarray, near: np.ndarray) -> Values:
        self.count += 1
        try:
            found = self.problem.at(jnp.asarray(self.unit * u), jnp.asarray(near))
            x, there, value, slope = (np.asarray(part) for part in found)
        except eqx.EquinoxRuntimeError:
            # Where there is no equilibrium the linear system of its derivative may have no solution either.
            return self.last._replace(found=np.asarray(False))
        return Values(x, there, value, slope * self.unit)

    def value(self, u: np.ndarray) -> np.ndarray | None:
        """Return what is asked for at an element near the last one, without going there."""
        self.count += 1
        value, point = self.problem.value(jnp.asarray(self.unit * u), jnp.asarray(self.last.x))
        return np.asarray(value) if bool(point.found) and bool(jnp.all(jnp.isfinite(value))) else None

    def at(self, u: np.ndarray) -> Values | None:
        """Return what is asked for at an element, or None where the branch does not lead there."""
        step = 1.0
        for _ in range(PIECES):
            if np.array_equal(u, self.u):
                return self.last
            aim = u if step >= 1 else self.u + step * (u - self.u)
            found = self._evaluate(aim, self.last.x)
            if found.found:
                self.u, self.last, step = aim, found, min(2 * step, 1.0)
            elif step < 2.0**-HALVINGS:
                break
            else:
                step /= 2
        self.losses += 1
        if self.losses > LOSSES:
            raise LostError
        return None


class Found(NamedTuple):
    """Where a search ended (m,), what is there, and the conditions of optimality.

    `dual` has 1 for the objective, and for absolute values and constraints what the derivative of the objective is balanced
    with (1 + r + c,); `lower` and `upper` likewise for the bounds (m,). What is left of it is `stationarity`.
    """

    u: np.ndarray
    values: Values
    dual: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    left: float
    stationarity: float
    violation: float


def search(branch: Branch, limits: Limits, tolerance: float, max_steps: int) -> Found:
    """Return a local optimum, or the best point that was found."""
    found = conditions(branch, limits)
    for turn in range(ROUNDS):
        try:
            # Every other search leaves out what bounds hold, beside which the rest may be too small to be seen.
            branch.at(_programmed(branch, limits, found if turn % 2 else None, max_steps))
            found = conditions(branch, limits)
            if max(found.stationarity, found.violation) > tolerance:
                continue
            better = _better(branch, found, limits)
            if better is None:
                break
            branch.at(better)
            found = conditions(branch, limits)._replace(stationarity=np.inf)
        except LostError:
            return conditions(branch, limits)
    return found


def _better(branch: Branch, found: Found, limits: Limits) -> np.ndarray | None:
    """Return a point beside a stationary one that is better than rounding allows, or None where none of those tried is.

    Stationary points that are no minima, on which a search that begins on an axis of symmetry ends, have some.
    """
    m = found.u.size
    directions = np.eye(m) if m <= ASKED else np.random.default_rng(0).normal(size=(ASKED, m)) / m**0.5
    price = 2 * np.abs(found.dual[1 + limits.weight.size :])

    def merit(value: np.ndarray) -> float:
        c = value[1 + limits.weight.size :]
        missed = np.maximum(np.maximum(limits.low - c, c - limits.high), 0)
        return total(value, limits) + float(price @ missed)

    here = merit(found.values.value)
    allowed = np.sqrt(np.finfo(float).eps) * ASIDE * (abs(here) + abs(total(branch.first.value, limits)))
    for direction in (*directions, *-directions):
        aside = np.clip(found.u + ASIDE * direction, limits.lo, limits.hi)
        value = branch.value(aside)
        if value is not None and merit(value) < here - allowed:
            return aside
    return None


def total(value: np.ndarray, limits: Limits) -> float:
    """Return the objective with its absolute terms."""
    return float(value[0] + limits.weight @ np.abs(value[1 : 1 + limits.weight.size]))


def _programmed(branch: Branch, limits: Limits, found: Found | None, max_steps: int) -> np.ndarray:
    """Return where SLSQP goes from the last point, with a variable above each weighted absolute value.

    Where conditions are given, coordinates at bounds whose multipliers hold them there stay.
    """
    start, m, r = branch.last, branch.u.size, limits.weight.size
    size, stays = _size(start, limits), np.zeros(m, bool)
    if found is not None:
        size, stays = found.left or size, (found.lower > 0) | (found.upper > 0)
    lo, hi = np.where(stays, branch.u, limits.lo), np.where(stays, branch.u, limits.hi)
    begun, moves = start.value[0], ~stays
    scale = _scales(start, limits)
    weight = limits.weight / size
    equal = limits.low == limits.high
    below, above = (np.isfinite(end) & ~equal for end in (limits.high, limits.low))

    def of(z: np.ndarray) -> Values | None:
        return branch.at(np.clip(z[:m], lo, hi))

    def objective(z):
        at = of(z)
        return np.inf if at is None else (at.value[0] - begun) / size + z[m:].sum()

    def slope(z):
        at = of(z) or branch.last
        return np.concatenate([at.slope[0] * moves / size, np.ones(r)])

    def inequalities(z):
        at = of(z) or branch.last
        residual, c = weight * at.value[1 : 1 + r], at.value[1 + r :]
        room = ((limits.high - c) / scale)[below], ((c - limits.low) / scale)[above]
        return np.concatenate([z[m:] - residual, z[m:] + residual, *room])

    def inequality_slopes(z):
        at = of(z) or branch.last
        by, c = weight[:, None] * at.slope[1 : 1 + r], at.slope[1 + r :] / scale[:, None]
        limited = np.concatenate([-c[below], c[above]])
        return np.block([[-by, np.eye(r)], [by, np.eye(r)], [limited, np.zeros((len(limited), r))]])

    def equations(z):
        at = of(z) or branch.last
        return ((at.value[1 + r :] - limits.low) / scale)[equal]

    def equation_slopes(z):
        at = of(z) or branch.last
        return np.hstack([(at.slope[1 + r :] / scale[:, None])[equal], np.zeros((int(equal.sum()), r))])

    given = [{"type": "ineq", "fun": inequalities, "jac": inequality_slopes}]
    given += [{"type": "eq", "fun": equations, "jac": equation_slopes}] if equal.any() else []
    done = scipy.optimize.minimize(
        objective,
        np.concatenate([branch.u, weight * np.abs(start.value[1 : 1 + r])]),
        jac=slope,
        bounds=[*zip(lo, hi, strict=True), *[(0, None)] * r],
        constraints=given if r or below.any() or above.any() else given[1:],
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": max_steps},
    )
    return np.clip(done.x[:m], lo, hi)


def _size(values: Values, limits: Limits) -> float:
    total = abs(values.value[0]) + limits.weight @ np.abs(values.value[1 : 1 + limits.weight.size])
    return float(max(total, np.abs(values.slope[0]).max(initial=0)) or 1)


def _scales(values: Values, limits: Limits) -> np.ndarray:
    r = limits.weight.size
    ends = [np.where(np.isfinite(end), np.abs(end), 0) for end in (limits.low, limits.high)]
    steep = np.abs(values.slope[1 + r :]).max(axis=1, initial=0)
    scale = np.maximum(np.maximum(*ends), np.maximum(np.abs(values.value[1 + r :]), steep))
    return np.where(scale > 0, scale, 1)


def conditions(branch: Branch, limits: Limits) -> Found:
    """Return the multipliers with which the last point is nearest to being stationary, by least squares, and how near that is.

    What is left of the derivative by each coordinate is measured against what there was at the start, the terms that it is
    made of, and a small share of all that the objective has changed by.
    """
    u, values, first = branch.u, branch.last, branch.first
    r = limits.weight.size
    residual, c = values.value[1 : 1 + r], values.value[1 + r :]
    gradient, by, by_c = values.slope[0], values.slope[1 : 1 + r], values.slope[1 + r :]
    scale = _scales(values, limits)
    violation = np.maximum(np.maximum(limits.low - c, c - limits.high), 0) / scale
    tight = np.abs(residual) <= NEAR * np.maximum(np.abs(by).max(axis=1, initial=0), np.abs(residual).max(initial=0))
    fixed = gradient + (limits.weight * np.sign(residual) * ~tight) @ by
    at_high, at_low = (c >= limits.high - NEAR * scale, c <= limits.low + NEAR * scale)
    span = NEAR * np.where(np.isfinite(limits.hi - limits.lo), limits.hi - limits.lo, 1)
    on_lo, on_hi = u <= limits.lo + span, u >= limits.hi - span
    # Columns: kinks between -weight and weight, limits that hold, bounds that hold.
    one = np.eye(u.size)
    columns = [limits.weight[tight, None] * by[tight], by_c[at_high], -by_c[at_low], -one[on_lo], one[on_hi]]
    kinks = int(tight.sum())
    matrix = np.concatenate(columns).T
    size = np.abs(matrix).max(axis=0, initial=0)
    unit = np.where(size > 0, size, 1)
    free = np.full(matrix.shape[1] - kinks, np.inf)
    low, high = np.concatenate([-unit[:kinks], np.zeros(free.size)]), np.concatenate([unit[:kinks], free])
    largest = max(_largest(fixed), _largest(gradient), _largest(matrix[:, :kinks])) or 1.0
    y = np.zeros(0)
    if matrix.shape[1]:
        best = scipy.optimize.lsq_linear(matrix / unit, -fixed / largest, (low / largest, high / largest), tol=1e-14)
        y = best.x * largest / unit
    left = fixed + matrix @ y
    parts = np.split(y, np.cumsum([kinks, int(at_high.sum()), int(at_low.sum()), int(on_lo.sum())]))
    price, limited, lower, upper = (
        np.sign(residual) * limits.weight,
        np.zeros(c.size),
        np.zeros(u.size),
        np.zeros(u.size),
    )
    price[tight] = limits.weight[tight] * parts[0]
    limited[at_high] += parts[1]
    limited[at_low] -= parts[2]
    lower[on_lo], upper[on_hi] = parts[3], parts[4]
    # Where both bounds hold only their difference has a meaning.
    net = lower - upper
    lower, upper = np.where(on_lo & on_hi, [np.maximum(net, 0), np.maximum(-net, 0)], [lower, upper])
    dual = np.concatenate([[1.0], price, limited])
    terms = np.abs(matrix[:, : kinks + int(at_high.sum()) + int(at_low.sum())]) @ np.abs(
        y[: matrix.shape[1] - on_lo.sum() - on_hi.sum()]
    )
    begun = np.abs(first.slope[0]) + limits.weight @ np.abs(first.slope[1 : 1 + r])
    moved = abs(total(values.value, limits) - total(first.value, limits))
    against = np.maximum(np.maximum(begun, terms), 1e-3 * moved)
    share = np.abs(left) / np.where(against > 0, against, 1)
    return Found(u, values, dual, lower, upper, _largest(np.asarray(left)), _largest(share), _largest(violation))


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max(initial=0))
