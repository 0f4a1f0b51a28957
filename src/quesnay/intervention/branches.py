"""Equilibria over a range of parameters: the branch that goes through the observed one."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree

from quesnay._errors import InputError, SolveError
from quesnay.equilibrium import System
from quesnay.equilibrium.domain import box
from quesnay.equilibrium.nodes import node_names

from .flat import equilibrium

STEPS = 4
"""Steps in which parameters go from the middle of their range to where they are asked for, each begun at the last."""


class Range(eqx.Module):
    """A box of parameters: its corners (p,), and the form that theta has."""

    low: Float[Array, " p"]
    high: Float[Array, " p"]
    form: PyTree

    @staticmethod
    def of(pair: Any) -> "Range":
        """Return the box between two thetas, or raise `InputError` where they span none."""
        ends = box(pair, "theta_range")
        low, high = (ravel_pytree(end)[0] for end in ends)
        if not bool(jnp.all(jnp.isfinite(low) & jnp.isfinite(high))):
            raise InputError("theta_range has an end that is not finite; say how far each parameter goes.")
        if not bool(jnp.any(low < high)):
            raise InputError("theta_range leaves no parameter free; give low < high for one or more.")
        return Range(low, high, ends[0])

    def theta(self, point: Float[Array, " p"]) -> PyTree:
        """Return a point in the form of theta."""
        return ravel_pytree(self.form)[1](point)

    @property
    def middle(self) -> Float[Array, " p"]:
        """The centre of the box."""
        return (self.low + self.high) / 2

    @property
    def free(self) -> PyTree:
        """Which parameters vary, in the form of theta."""
        return jax.tree.map(lambda leaf: leaf > 0, self.theta(jnp.where(self.low < self.high, 1.0, 0.0)))

    def points(self, count: int, seed: int) -> Float[Array, "s p"]:
        """Return points of the box: Chebyshev's along one free parameter, Sobol's and the corners' in more of them."""
        at = np.flatnonzero(np.asarray(self.low < self.high))
        if at.size == 1:
            # Roots lie between extrema: no point but the ends, which both have, is in two seeds.
            turns = (
                np.arange(count) / (count - 1) if seed % 2 else np.clip((np.arange(count) - 0.5) / (count - 2), 0, 1)
            )
            unit = (1 - np.cos(np.pi * turns))[:, None] / 2
        else:
            unit = scipy.stats.qmc.Sobol(at.size, rng=seed).random_base2(int(np.ceil(np.log2(count))))
            corners = np.array(np.meshgrid(*[[0.0, 1.0]] * min(at.size, 6))).reshape(min(at.size, 6), -1).T
            ends = np.full((len(corners), at.size), 0.5)
            ends[:, : corners.shape[1]] = corners
            unit = np.concatenate([unit, ends])
        points = np.tile(np.asarray(self.low), (len(unit), 1))
        points[:, at] += unit * np.asarray(self.high - self.low)[at]
        return jnp.asarray(points)


@eqx.filter_jit
def follow(
    system: System, span: Range, start: Float[Array, " n"], points: Float[Array, "s p"]
) -> tuple[Float[Array, "s n"], Bool[Array, " s"], Float[Array, "s n n"]]:
    """Return equilibria at points of a range, whether found, and Jacobians; each is followed from the middle of the range."""

    def one(point):
        def advance(at, share):
            x, found = at
            near = equilibrium(system, span.theta(span.middle + share * (point - span.middle)), x)
            return (jnp.where(near.found, near.x, x), found & near.found), near.jacobian

        shares = jnp.linspace(0, 1, STEPS + 1)
        (x, found), jacobians = jax.lax.scan(advance, (start, jnp.asarray(True)), shares)
        return x, found, jacobians[-1]

    return jax.vmap(one)(points)


def require_found(found: Bool[Array, " s"], span: Range, points: Float[Array, "s p"], what: str) -> None:
    """Raise `SolveError` with the first point of the range where something was not found."""
    lost = np.flatnonzero(~np.asarray(found))
    if lost.size:
        at = np.flatnonzero(np.asarray(span.low < span.high))
        names, values = node_names(span.form, {}), np.asarray(points)[lost[0]]
        where = ", ".join(f"{'theta' if names == ('x',) else names[i]} = {float(values[i]):.4g}" for i in at[:4])
        raise SolveError(
            f"{what} at {lost.size} of {len(points)} points of theta_range, first where {where}; take a narrower range, or an "
            "intervention nearer to the identity."
        )
