"""The random walk: the smallest model with discrete draws, whose derivative is known."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from quesnay._checks import floating, require
from quesnay._errors import InputError
from quesnay._results import RESULTS
from quesnay.dynamics import AbstractDynamics, each_step

from .draws import bernoulli
from .estimators import DEFAULT, AbstractEstimator


class Walk(eqx.Module):
    """A path: `position` after each step (steps,)."""

    position: Float[Array, " steps"]
    result: RESULTS


class Observed(eqx.Module):
    """What the user's own `observe` keeps of every step, stacked along a leading axis."""

    value: PyTree
    result: RESULTS


class RandomWalk(AbstractDynamics):
    """`x_t = x_(t-1) + 1` with probability theta, and -1 without; `dE[x_t] / dtheta = 2 t` after t draws.

    Parameters
    ----------
    theta:
        Probability of a step upwards.
    estimator:
        Of the derivative by theta; None for none, which is what a program that branches on draws has.

    References
    ----------
    Quera-Bofarull et al. (2023), on differentiable agent-based models.
    """

    theta: Float[Array, ""]
    estimator: AbstractEstimator | None

    def __init__(self, theta, estimator: AbstractEstimator | None = DEFAULT):
        self.theta, self.estimator = floating(theta, "theta"), estimator
        if self.theta.shape != ():
            raise InputError(
                f"theta has shape {self.theta.shape}; give one probability, and vmap over models for more."
            )

    def init(self):
        return jnp.zeros_like(self.theta)

    def step(self, state, day, shock, key):
        return state + 2 * bernoulli(key, self.theta, estimator=self.estimator) - 1

    def observe(self, state):
        return {"position": state}

    def rows(self, shock, steps, key, observe, scan):
        return each_step(self, shock, steps, drawn(key, self), observe, scan)

    def path(self, rows, base, result):
        return Walk(**rows, result=result) if own(rows, Walk) else Observed(rows, result)

    def check(self, shock):
        unshocked(shock, self)
        require(lambda p: (p >= 0) & (p <= 1), "theta is no probability; give a number between 0 and 1.", self.theta)


def own(rows: PyTree, kind: type) -> bool:
    """Say whether rows have the fields of a model's own path."""
    return isinstance(rows, dict) and {*rows, "result"} == {field.name for field in dataclasses.fields(kind)}


def drawn(key, model) -> jax.Array:
    """Return the key of a model that draws, or raise `InputError` where there is none."""
    if key is None:
        raise InputError(f"{type(model).__name__} draws at random; give simulate a key, such as jax.random.key(0).")
    return key


def unshocked(shock, model) -> None:
    """Raise `InputError` where a model is given a shock that it does not know."""
    if shock is not None:
        raise InputError(f"{type(model).__name__} knows no shocks; give none, or another model.")


def within(name: str, value: Array, low: float, high: float = np.inf) -> None:
    """Raise `InputError` unless a parameter lies between two numbers."""
    limits = f"of at least {low:g}" if high == np.inf else f"between {low:g} and {high:g}"
    require(
        lambda v: (v >= low) & (v <= high) & np.isfinite(v),
        f"{name} is out of its range; give a number {limits}.",
        value,
    )
