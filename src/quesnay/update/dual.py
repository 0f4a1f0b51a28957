"""Newton's method on the dual of a balancing problem."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.sparse.linalg
from jaxtyping import Array, Float, Int

from .problem import Problem, Sums, Wanted

MAX_STEPS = 100
HALVINGS = 30
ITERATIONS = 1000
"""Iterations of conjugate gradients within one step; the point that they reached descends, however many were missing."""
INEXACT = 1e-2
"""Residual of a Newton step, relative to the remainder: more digits than the step itself deserves would be for nothing."""


class Found(NamedTuple):
    """Multipliers, the largest relative error of the sums they make, and how many steps were taken."""

    multipliers: Sums
    error: Float[Array, ""]
    steps: Int[Array, ""]


def newton(problem: Problem, start: Found, tolerance: float) -> Found:
    """Return the minimum of the dual by damped Newton steps from where another method, or nothing yet, has come.

    The dual is generalised self-concordant: its third derivative along a step is at most `d = max |k ds|` times its second.
    So the step `log(1 + d) / d` descends from any start, and ends in quadratic convergence (Sun and Tran-Dinh 2019,
    Mathematical Programming 178). Bounds make the dual piecewise smooth; there the step is halved as well until it descends.
    """

    def unfinished(state: tuple[Found, Array]) -> Array:
        now, moved = state
        return (now.error > tolerance) & (now.steps - start.steps < MAX_STEPS) & moved

    def step(state: tuple[Found, Array]) -> tuple[Found, Array]:
        now, _ = state
        remainder = problem.remainder(now.multipliers)
        towards = jax.tree.map(jnp.negative, Hessian.at(problem, now.multipliers).solve(remainder, INEXACT))
        spread = problem.spread(towards)
        length = jnp.max(jnp.abs(spread if problem.elasticity is None else problem.elasticity * spread))
        share = jnp.where(length > 0, jnp.log1p(length) / jnp.where(length > 0, length, 1), 1)
        if not problem.bounded:
            found = _along(now.multipliers, towards, share)
            return _kept(now, found, problem.error(found), jnp.asarray(True))
        return _halved(problem, now, remainder, towards, share)

    return jax.lax.while_loop(unfinished, step, (start, jnp.asarray(True)))[0]


def nothing(problem: Problem) -> Found:
    """Return the prior itself: multipliers of 0."""
    zeros = jax.tree.map(jnp.zeros_like, problem.target)
    return Found(zeros, problem.error(zeros), jnp.asarray(0))


def _gradients(tolerance: float, product: Callable[[Array], Array], right: Array) -> Array:
    return jax.scipy.sparse.linalg.cg(product, right, tol=tolerance, maxiter=ITERATIONS)[0]


def _halved(problem: Problem, now: Found, slope: Sums, towards: Sums, share: Array) -> tuple[Found, Array]:
    """Return the first of the steps `share, share / 2, ...` that lowers the dual, or halves the error; and whether one did."""
    value = problem.dual(now.multipliers)
    descent = sum(jnp.vdot(a, b) for a, b in zip(slope, towards, strict=True))

    def trial(state):
        share = state[0] / 2
        point = _along(now.multipliers, towards, share)
        error = problem.error(point)
        good = (problem.dual(point) <= value + 1e-4 * share * descent) | (error <= now.error / 2)
        return share, point, error, good, state[-1] + 1

    first = (2 * share, now.multipliers, now.error, jnp.asarray(False), jnp.asarray(0))
    _, point, error, good, _ = jax.lax.while_loop(lambda s: ~s[3] & (s[4] <= HALVINGS), trial, first)
    return _kept(now, point, error, good)


def _kept(now: Found, point: Sums, error: Array, good: Array) -> tuple[Found, Array]:
    """Return the new point where it is good and finite, else the old one; and which of them it is."""
    good = good & jnp.isfinite(error)
    kept = jax.tree.map(lambda new, old: jnp.where(good, new, old), point, now.multipliers)
    return Found(kept, jnp.where(good, error, now.error), now.steps + 1), good


def _along(start: Sums, towards: Sums, share: Array) -> Sums:
    return jax.tree.map(lambda a, b: a + share * b, start, towards)


class Hessian(eqx.Module):
    """Second derivative of the dual, `H = G diag(dz/ds) G' + V`, as products only.

    Rows, each coupled to columns and blocks but not to each other, are eliminated, and conjugate gradients solve the rest,
    scaled to a unit diagonal: their spectrum is near 1 but for as many small values as the table has parts that hardly
    trade, so that few steps are enough where alternating scaling, whose rate is the worst of them, crawls. Multipliers that
    move no cell (a number added to all rows and taken from all columns) are its null space; sums that agree have no part in it.

    Attributes
    ----------
    problem:
        The problem; its targets do not matter here.
    slope:
        `dz/ds` (n, m).
    diagonal:
        Square root of the diagonal of H, 1 for sums without a target, or whose cells cannot move.
    there:
        Which sums have a target, and cells that can move; of those that only repeat what rows say, one multiplier is 0.
    """

    problem: Problem
    slope: Float[Array, "n m"]
    diagonal: Sums
    there: Wanted

    @classmethod
    def at(cls, problem: Problem, multipliers: Sums) -> "Hessian":
        slope = problem.slopes(multipliers)
        diagonal = jax.tree.map(jnp.add, problem.sums(slope), problem.variance)
        there = jax.tree.map(lambda wanted, d: wanted & (d > 0), Sums(*problem.wanted), diagonal)
        size = jax.tree.map(lambda is_, d: jnp.sqrt(jnp.where(is_, d, 1)), there, diagonal)
        free = _apart(problem, slope, diagonal, there)
        return cls(problem, slope, size, Wanted(there.row, there.column & free.column, there.block & free.block))

    def product(self, multipliers: Sums) -> Sums:
        """Return `H l`."""
        held = self._kept(multipliers)
        if self.problem.label is None:
            moved = self.problem.sums(self.slope)
            sums = Sums(
                moved.row * held.row + self.slope @ held.column,
                held.row @ self.slope + moved.column * held.column,
                held.block,
            )
        else:
            sums = self.problem.sums(self.slope * self.problem.spread(held))
        return self._kept(jax.tree.map(lambda a, v, m: a + v * m, sums, self.problem.variance, held))

    def solve(self, remainder: Sums, tolerance: float) -> Sums:
        """Return the multipliers `H^-1 remainder`, linear in it."""
        scaled = self._kept(jax.tree.map(jnp.divide, remainder, self.diagonal))

        def pair(rest: Array) -> tuple[Array, Array]:
            columns = self.diagonal.column.shape[0]
            return rest[:columns], rest[columns:]

        def row_of(rest: Array) -> Array:
            return -self._scaled_product(Sums(jnp.zeros_like(self.diagonal.row), *pair(rest))).row

        def schur(rest: Array) -> Array:
            return jnp.concatenate(self._scaled_product(Sums(row_of(rest), *pair(rest)))[1:])

        alone = self._scaled_product(Sums(scaled.row, *map(jnp.zeros_like, self.diagonal[1:])))
        right = jnp.concatenate(scaled[1:]) - jnp.concatenate(alone[1:])
        rest = jax.lax.custom_linear_solve(schur, right, partial(_gradients, tolerance), symmetric=True)
        return self._kept(jax.tree.map(jnp.divide, Sums(scaled.row + row_of(rest), *pair(rest)), self.diagonal))

    def _scaled_product(self, multipliers: Sums) -> Sums:
        return jax.tree.map(
            jnp.divide, self.product(jax.tree.map(jnp.divide, multipliers, self.diagonal)), self.diagonal
        )

    def _kept(self, values: Sums) -> Sums:
        return jax.tree.map(lambda is_, value: jnp.where(is_, value, 0), Sums(*self.there), values)


def _apart(problem: Problem, slope: Float[Array, "n m"], diagonal: Sums, there: Sums) -> Sums:
    """Say which columns and blocks are not made of whole rows: nothing would be left of the others but rounding."""
    n, m = slope.shape
    limit = 8 * jnp.finfo(slope.dtype).eps * (n + m)
    row = jnp.where(there.row, 1 / jnp.where(there.row, diagonal.row, 1), 0)[:, None]

    def left(cells: Array, whole: Array) -> Array:
        # Not the squares of the cells, which single precision may not hold.
        return whole - jnp.sum(cells * (cells * row), axis=0) > limit * whole

    column = left(slope, diagonal.column)
    if problem.label is None:
        return Sums(there.row, column, there.block)
    blocks = problem.blocks
    place = jnp.arange(n)[:, None] * (blocks + 1) + problem.label
    by_row = jax.ops.segment_sum(slope.ravel(), place.ravel(), n * (blocks + 1)).reshape(n, blocks + 1)[:, :-1]
    return Sums(there.row, column, left(by_row, diagonal.block))
