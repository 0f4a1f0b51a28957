"""Stochastic gradient descent: the mode of a simulator that draws, under new random numbers at every step."""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from quesnay._checks import positive, whole

from .health import Health, judge
from .losses import AbstractLoss
from .problem import Problem
from .variational import loss_at

PART = 25
"""Steps that are taken at once."""
ADAM = optax.scale_by_adam()
TAIL = 4
"""The mean of the last of so many parts of a search is where it ends."""


class Descent(NamedTuple):
    """A search: where it ended, and its losses (steps,), points and gradients (steps, size) on the way."""

    z: np.ndarray
    losses: np.ndarray
    points: np.ndarray
    slopes: np.ndarray
    start: int

    @property
    def health(self) -> Health:
        """How it went, by its losses."""
        return judge(self.losses)

    @property
    def value(self) -> float:
        """Mean loss over the last part; infinite where none is finite."""
        last = self.losses[-self._tail :]
        finite = last[np.isfinite(last)]
        return float(finite.mean()) if len(finite) else math.inf

    @property
    def slope(self) -> np.ndarray:
        """Mean gradient over the last part."""
        return np.nanmean(self.slopes[-self._tail :], axis=0)

    @property
    def _tail(self) -> int:
        return max(len(self.losses) // TAIL, 1)


def descend(
    problem: Problem,
    loss: AbstractLoss,
    points: Float[Array, "starts size"],
    key: PRNGKeyArray,
    steps: int,
    learning_rate: float,
) -> Descent:
    """Return the best of searches for the mode of E[loss] - log prior by Adam, each at the mean of its last quarter of points.

    The learning rate falls to zero along a cosine. A step whose loss or gradient is not finite is not taken.
    """
    total, rate = whole(steps, "steps", "number of gradient steps"), positive(learning_rate, "learning_rate")
    rates = np.asarray(optax.cosine_decay_schedule(rate, total)(np.arange(total)))
    # Parts of one length, filled up with steps of length 0, are one program for searches of any length.
    filled = np.concatenate([rates, np.zeros(-total % PART)]).reshape(-1, PART)
    found = []
    for number, (z, own) in enumerate(zip(points, jax.random.split(key, len(points)), strict=True)):
        at, seen = (z, ADAM.init(z)), []
        for part, k in zip(filled, jax.random.split(own, len(filled)), strict=True):
            at, row = _advance(problem.bare, loss, at, jnp.asarray(part, z.dtype), jax.random.split(k, PART))
            seen.append(row)
        losses, path, slopes = (np.concatenate([np.asarray(row[k]) for row in seen])[:total] for k in range(3))
        found.append(Descent(path[-max(total // TAIL, 1) :].mean(axis=0), losses, path, slopes, number))
    return min(found, key=lambda one: one.value)


@eqx.filter_jit
def _advance(problem: Problem, loss: AbstractLoss, at: Any, rates: Array, keys: PRNGKeyArray) -> tuple[Any, Any]:
    def objective(z: Array, key: PRNGKeyArray) -> Array:
        return loss_at(problem, loss, z, key) - problem.prior.log_density(z)

    def one(at, row):
        z, state = at
        rate, key = row
        value, slope = jax.value_and_grad(objective)(z, key)
        fine = jnp.isfinite(value) & jnp.all(jnp.isfinite(slope))
        change, then = ADAM.update(jnp.where(fine, slope, 0), state)
        moved = jax.tree.map(lambda new, old: jnp.where(fine, new, old), (z - rate * change, then), at)
        return moved, (jnp.where(fine, value, jnp.nan), z, jnp.where(fine, slope, jnp.nan))

    return jax.lax.scan(one, at, (rates, keys))
