"""Coordinates in which a posterior is near a standard normal: centred at its mode, scaled by the curvature there.

In the coordinates of the prior, what the data say sharply and what they hardly say lie orders of magnitude apart, and along a
narrow valley stochastic gradients need thousands of steps. In those of the curvature, they need few.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .losses import AbstractLoss
from .problem import Problem
from .variational import Chart, loss_at

MOST = 100
"""Unknowns up to which a fit looks for the curvature by itself."""
STEPS, RATE = 150, 0.1
"""Gradients of the search for the mode, and its learning rate in units of the prior's standard deviation."""
NEAR = 1e-3
"""Step of the differences that the curvature is taken from, in units of the prior's standard deviation."""


class Conditioned(NamedTuple):
    """The coordinates, how many simulations they took, and how many of these were not finite."""

    chart: Chart
    simulations: int
    not_finite: Int[Array, ""]


def condition(problem: Problem, loss: AbstractLoss, start: Float[Array, " size"], key: PRNGKeyArray) -> Conditioned:
    """Return z = centre + root u: the mode that Adam and one step of Newton's find, and root = H^-1/2 there, symmetric.

    H is the Hessian of loss - log prior by central differences of gradients, with eigenvalues of at least 1, the prior's. Where
    it is not finite, z = start + u is left. Everything is compiled, and goes through `jax.vmap`.
    """
    size = problem.prior.size
    function = jax.value_and_grad(lambda z: loss_at(problem, loss, z, key) - problem.prior.log_density(z))
    best, bad = _descend(function, start)
    h = max(NEAR, float(jnp.finfo(start.dtype).eps) ** (1 / 3))
    moves = h * jnp.concatenate([jnp.eye(size, dtype=start.dtype), -jnp.eye(size, dtype=start.dtype)])
    slopes = jax.lax.map(lambda v: function(best + v)[1], moves)
    hessian = (slopes[:size] - slopes[size:]) / (2 * h)
    good = jnp.all(jnp.isfinite(hessian))
    values, vectors = jnp.linalg.eigh(jnp.where(good, (hessian + hessian.T) / 2, jnp.eye(size)))
    root = (vectors / jnp.sqrt(jnp.maximum(values, 1.0))) @ vectors.T
    value, slope = function(best)
    newton = best - root @ (root @ jnp.where(jnp.isfinite(slope), slope, 0.0))
    # At the mode itself rounding decides which of the two is lower; a millionth of a nat does not matter.
    centre = jnp.where(good & (function(newton)[0] <= value + 1e-6 * jnp.maximum(1.0, jnp.abs(value))), newton, best)
    bad = bad + jnp.sum(~jnp.all(jnp.isfinite(slopes), axis=1))
    return Conditioned(Chart(centre, root), (STEPS + 2 * size + 2) * loss.draws, bad)


def _descend(function, start: Float[Array, " size"]) -> tuple[Float[Array, " size"], Int[Array, ""]]:
    """Return the best point that Adam meets, and how many were not finite: from these it goes halfway back to the best."""
    optimiser = optax.adam(optax.cosine_decay_schedule(RATE, STEPS))

    def step(carry, _):
        z, state, best, lowest, bad = carry
        value, slope = function(z)
        good = jnp.isfinite(value) & jnp.all(jnp.isfinite(slope))
        better = good & (value < lowest)
        best, lowest = jnp.where(better, z, best), jnp.where(better, value, lowest)
        move, after = optimiser.update(jnp.where(good, slope, 0.0), state)
        state = jax.tree.map(lambda a, b: jnp.where(good, a, b), after, state)
        return (jnp.where(good, z + move, (z + best) / 2), state, best, lowest, bad + ~good), None

    first = (start, optimiser.init(start), start, jnp.asarray(jnp.inf, start.dtype), jnp.asarray(0))
    (_, _, best, _, bad), _ = jax.lax.scan(step, first, None, length=STEPS)
    return best, bad
