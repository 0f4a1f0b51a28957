"""Gradient descent on `|(I - A)^-1 d - x|^2`, with coefficients that stay productive."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

LEARNING_RATE = 0.02


def technology(parameters: Float[Array, "m n"]) -> Float[Array, "n n"]:
    """Return A (n, n) from any numbers (n + 1, n): each column is a share of its sector's costs, the last row value added.

    `A_ij = exp(p_ij) / sum_k exp(p_kj)`: positive, and every column sums to less than 1, so that A is productive
    (Hawkins-Simon) whatever the parameters are.
    """
    return jax.nn.softmax(parameters, axis=0)[:-1]


def start(n: int, seed: int, *, bought: float = 0.5) -> Float[Array, "m n"]:
    """Return random parameters (n + 1, n) by which every sector spends the share `bought` of its output on inputs."""
    inputs = jnp.asarray(np.random.default_rng(seed).normal(0, 0.5, (n, n)))
    value_added = jax.nn.logsumexp(inputs, axis=0) + jnp.log((1 - bought) / bought)
    return jnp.concatenate([inputs, value_added[None]])


def unproductive(n: int, draws: int, seed: int) -> float:
    """Return the share of starts without repair, `A_ij` uniform on [0, 1), whose spectral radius is 1 or more."""
    A = np.random.default_rng(seed).uniform(size=(draws, n, n))
    return float(np.mean(np.max(np.abs(np.linalg.eigvals(A)), axis=1) >= 1))


def output(A: Float[Array, "n n"], d: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return `x = (I - A)^-1 d`."""
    return jnp.linalg.solve(jnp.eye(len(d)) - A, d)


def loss(parameters: Float[Array, "m n"], x: Float[Array, " n"], d: Float[Array, " n"]) -> Float[Array, ""]:
    """Return `sum_i (x_i(A) - x_i)^2`."""
    return jnp.sum((output(technology(parameters), d) - x) ** 2)


def descend(
    parameters: Float[Array, "m n"], x: Float[Array, " n"], d: Float[Array, " n"], epochs: int, every: int
) -> Iterator[tuple[int, float, Float[Array, "m n"]]]:
    """Yield the epoch, the loss, and the parameters that have it: after every `every` epochs, and after the last."""
    optimiser = optax.adam(LEARNING_RATE)

    @jax.jit
    def steps(parameters, state, number):
        def step(_, now):
            slope = jax.grad(loss)(now[0], x, d)
            update, state = optimiser.update(slope, now[1])
            return optax.apply_updates(now[0], update), state

        return jax.lax.fori_loop(0, number, step, (parameters, state))

    state, done = optimiser.init(parameters), 0
    while True:
        yield done, float(loss(parameters, x, d)), parameters
        if done == epochs - 1:
            return
        number = min(every, epochs - 1 - done)
        parameters, state = steps(parameters, state, number)
        done += number
