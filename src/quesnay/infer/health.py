"""How a fit went: whether its losses fell, still fall, or stand on a plateau."""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from .losses import AbstractLoss
from .problem import Problem
from .variational import loss_at

WORTH = 0.5
"""Nats by which a loss must still change to count."""
ASTRAY = 0.02
"""Share of the last steps that may end where the simulator does not run."""
LOOKS = 16
"""Prior draws that an end is compared with."""
PLATEAU = (
    "The loss at the end, {last:.4g}, is no lower than at half of {looks} prior draws: the search stands on a plateau; give "
    "scouts= (prior draws, of which it begins at the best), more draws= of the loss, or one that sees further, such as "
    "cumulative(...)."
)


class Health(NamedTuple):
    """How a fit went, by its losses."""

    first: float
    last: float
    not_finite: int
    falling: bool
    converged: bool


def judge(losses: np.ndarray) -> Health:
    """Judge a fit by the fifths of its losses.

    `falling` where the last one lies below the one before by more than 2 standard errors and half a nat; not converged either
    where it lies above the first by as much, or where one in fifty of its steps was not finite: the posterior then holds
    parameters under which the simulator does not run, and which the loss cannot see.
    """
    finite = losses[np.isfinite(losses)]
    bad = len(losses) - len(finite)
    if not len(finite):
        return Health(math.nan, math.inf, bad, False, False)
    n = max(len(finite) // 5, 1)
    last, before = finite[-n:], finite[-2 * n : -n]
    first, end = float(np.median(finite[:n])), float(np.median(last))
    falling, rising = n >= 5 and _above(before, last), n >= 5 and _above(last, finite[:n])
    astray = bad > 0.1 * len(losses) or np.mean(~np.isfinite(losses[-max(len(losses) // 5, 1) :])) > ASTRAY
    return Health(first, end, bad, falling, not falling and not astray and not rising)


def _above(high: np.ndarray, low: np.ndarray) -> bool:
    """Say whether losses lie above others by more than 2 standard errors of their difference, and `WORTH` nats."""
    apart = high.mean() - low.mean()
    error = math.sqrt(high.var() / len(high) + low.var() / len(low))
    return bool(apart > 2 * error and apart > WORTH)


def on_plateau(problem: Problem, loss: AbstractLoss, ends: Array, key: PRNGKeyArray) -> float | None:
    """Return the mean loss at ends (LOOKS, size) of a search, if it is no lower, by half a nat, than at half of prior draws.

    Each end has the random numbers of one prior draw; losses that are not finite are high.
    """
    points, own = jax.random.split(key)
    drawn, there = (losses_at(problem, loss, z, own) for z in (problem.prior.sample(points, LOOKS), ends))
    apart = np.where(np.isfinite(drawn), drawn, np.inf) - np.where(np.isfinite(there), there, np.finfo(float).max)
    return float(there.mean()) if np.median(apart) < WORTH else None


def losses_at(problem: Problem, loss: AbstractLoss, z: Array, key: PRNGKeyArray) -> np.ndarray:
    """Return the loss at each of several points (count, size), each with random numbers of its own."""
    keys = jax.random.split(key, len(z))
    return np.asarray(_losses(problem.bare, loss, jnp.asarray(z), keys))


@eqx.filter_jit
def _losses(problem: Problem, loss: AbstractLoss, z: Array, keys: PRNGKeyArray) -> Array:
    return jax.lax.map(lambda a: loss_at(problem, loss, *a), (z, keys))
