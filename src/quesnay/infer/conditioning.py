"""Coordinates in which a posterior is near a standard normal: centred at its mode, scaled by the curvature there.

In the coordinates of the prior, what the data say sharply and what they hardly say lie orders of magnitude apart, and along a
narrow valley stochastic gradients need thousands of steps. In those of the curvature, they need few.
"""

from typing import NamedTuple

import equinox as eqx
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
POLISH, LINE, LEAST = 100, 20, 1e-4
"""Most steps of L-BFGS, most gradients of one of them, and the fall in nats below which they end."""
NEAR = 1e-3
"""Step of the differences that the curvature is taken from, in units of the prior's standard deviation."""


class Conditioned(NamedTuple):
    """The coordinates, how many simulations they took and how many of these were not finite, and how far the mode may be.

    `away` is the Newton decrement at the centre, sqrt(g' H^-1 g): its distance from the mode in standard deviations.
    """

    chart: Chart
    simulations: Int[Array, ""]
    not_finite: Int[Array, ""]
    away: Float[Array, ""]


def condition(problem: Problem, loss: AbstractLoss, start: Float[Array, " size"], key: PRNGKeyArray) -> Conditioned:
    """Return z = centre + root u: the mode that Adam, L-BFGS and a step of Newton's find, and root = H^-1/2 there, symmetric.

    H is the Hessian of loss - log prior by central differences of gradients, with eigenvalues of at least 1, the prior's. Where
    it is not finite, the root is the identity. Everything is compiled, and goes through `jax.vmap`.
    """
    size = problem.prior.size
    function = jax.value_and_grad(lambda z: loss_at(problem, loss, z, key) - problem.prior.log_density(z))
    best, bad = _descend(function, start)
    best, used = _polish(function, best)
    h = _step(problem, key)
    moves = h * jnp.concatenate([jnp.eye(size, dtype=start.dtype), -jnp.eye(size, dtype=start.dtype)])
    slopes = jax.lax.map(lambda v: function(best + v)[1], moves)
    hessian = (slopes[:size] - slopes[size:]) / (2 * h)
    good = jnp.all(jnp.isfinite(hessian))
    values, vectors = jnp.linalg.eigh(jnp.where(good, (hessian + hessian.T) / 2, jnp.eye(size)))
    root = (vectors / jnp.sqrt(jnp.maximum(values, 1.0))) @ vectors.T
    value, slope = function(best)
    newton = best - root @ (root @ jnp.where(jnp.isfinite(slope), slope, 0.0))
    other, tilt = function(newton)
    # At the mode itself rounding decides which of the two is lower; a millionth of a nat does not matter.
    taken = good & (other <= value + 1e-6 * jnp.maximum(1.0, jnp.abs(value)))
    away = jnp.linalg.norm(root @ jnp.where(taken, tilt, slope))
    bad = bad + jnp.sum(~jnp.all(jnp.isfinite(slopes), axis=1))
    return Conditioned(
        Chart(jnp.where(taken, newton, best), root), (STEPS + used + 2 * size + 2) * loss.draws, bad, away
    )


def _step(problem: Problem, key: PRNGKeyArray) -> float:
    """Return the step of differences, larger where the simulator computes in single precision."""
    z = jax.ShapeDtypeStruct((problem.prior.size,), problem.observed.dtype)
    own = jax.ShapeDtypeStruct(key.shape, key.dtype)
    run = problem.simulator if problem.draws else lambda theta, key: problem.simulator(theta)
    simulated = eqx.filter_eval_shape(lambda z, key: run(problem.prior.constrain(z), key), z, own)
    least = max(float(jnp.finfo(leaf.dtype).eps) for leaf in jax.tree.leaves(simulated))
    return max(NEAR, least ** (1 / 3))


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


def _polish(function, z: Float[Array, " size"]) -> tuple[Float[Array, " size"], Int[Array, ""]]:
    """Return the best point of at most `POLISH` steps of L-BFGS, and the gradients that they took."""
    search = optax.scale_by_zoom_linesearch(max_linesearch_steps=LINE, initial_guess_strategy="one")
    optimiser = optax.lbfgs(linesearch=search)

    def step(carry):
        k, here, value, slope, state, used, _ = carry
        move, state = optimiser.update(slope, state, here, value=value, grad=slope, value_fn=lambda v: function(v)[0])
        after = here + move
        lower, tilt = function(after)
        better = jnp.isfinite(lower) & jnp.all(jnp.isfinite(tilt)) & (lower < value)
        lines = optax.tree_utils.tree_get(state, "info").num_linesearch_steps
        on = better & (value - lower > LEAST)
        chosen = jnp.where(better, after, here), jnp.where(better, lower, value), jnp.where(better, tilt, slope)
        return (k + 1, *chosen, state, used + lines + 1, on)

    value, slope = function(z)
    first = (jnp.asarray(0), z, value, slope, optimiser.init(z), jnp.asarray(1), jnp.all(jnp.isfinite(slope)))
    last = jax.lax.while_loop(lambda c: c[-1] & (c[0] < POLISH), step, first)
    return last[1], last[-2]
