"""A system, an action on it and what it is chosen by, as functions of the coordinates of the group element."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from quesnay._errors import InputError
from quesnay.equilibrium import System

from .flat import Point, equilibrium, like
from .groups import AbstractAction
from .terms import Absolute, Constraint, Function, evaluated


class Problem(eqx.Module):
    """A system, an action on it, and what it is chosen by."""

    system: System
    theta: PyTree
    action: AbstractAction
    smooth: tuple[Function, ...]
    absolute: tuple[Absolute, ...]
    constraints: tuple[Constraint, ...]

    def stacked(self, u: Float[Array, " m"], theta: PyTree, near: Float[Array, " n"]) -> tuple[Array, Point]:
        """Return the objective, residuals and constraints at an element (1 + r + c,), and the equilibrium."""
        g = self.action.exp(self.system, u)
        point = equilibrium(self.action.on(self.system, g), theta, near)
        x = like(self.system, point.x)
        return jnp.concatenate([self.total(x, g)[None], *self.parts(x, g)]), point

    def total(self, x: PyTree, g: Any) -> Float[Array, ""]:
        """Return the smooth part of the objective."""
        return sum((jnp.sum(evaluated(term, x, g)) for term in self.smooth), jnp.zeros(()))

    def parts(self, x: PyTree, g: Any) -> list[Array]:
        """Return what is in the absolute values, and what is constrained, as vectors."""
        functions = [part.residual for part in self.absolute] + [part.function for part in self.constraints]
        return [evaluated(function, x, g) for function in functions]

    @eqx.filter_jit
    def value(self, u: Float[Array, " m"], near: Float[Array, " n"]) -> tuple[Array, Point]:
        """Return what is asked for at an element, without derivatives, and the equilibrium."""
        return self.stacked(u, self.theta, near)

    def sizes(self, m: int) -> tuple[list[int], list[int]]:
        """Return how many numbers each absolute term and each constraint has, or raise `InputError`."""
        x, g = self.system.x0, self.action.exp(self.system, jnp.zeros(m))
        for term in self.smooth:
            shape = jax.eval_shape(lambda term=term: evaluated(term, x, g)).shape
            if shape != (1,):
                raise InputError(f"the objective returns {shape[0]} numbers; give one that returns one, their sum say.")
        sizes = [part.shape[0] for part in jax.eval_shape(lambda: self.parts(x, g))]
        return sizes[: len(self.absolute)], sizes[len(self.absolute) :]

    @eqx.filter_jit
    def at(self, u: Float[Array, " m"], near: Float[Array, " n"]) -> tuple[Array, ...]:
        """Return equilibrium, whether there is one, what is asked for, and its derivative by the coordinates."""

        def both(v):
            value, point = self.stacked(v, self.theta, near)
            return value, (value, point)

        rows = sum(map(sum, self.sizes(u.size))) + 1
        by = jax.jacrev if rows < u.size else jax.jacfwd
        slope, (value, point) = by(both, has_aux=True)(u)
        return point.x, point.found & jnp.all(jnp.isfinite(value)), value, slope

    @eqx.filter_jit
    def by_theta(self, u: Float[Array, " m"], near: Float[Array, " n"], dual: Float[Array, " k"]) -> PyTree:
        """Return the derivative by theta of a sum of what is asked for."""
        free, fixed = eqx.partition(jax.tree.map(jnp.asarray, self.theta), eqx.is_inexact_array)
        return jax.grad(lambda t: dual @ self.stacked(u, eqx.combine(t, fixed), near)[0])(free)
