"""The mode of a function without noise: Adam from several starts, and L-BFGS from the best point that it met."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.optimize
from jaxtyping import Array, Float

from quesnay._checks import positive, whole

FLAT = 0.05
"""Norm of the gradient below which a point is a mode: with at least the prior's curvature, at most 0.00125 nats are left."""
FALL = 1e-5
"""Fall of the norm of the gradient since the start below which a point is a mode too."""


class Mode(NamedTuple):
    """The lowest point that was seen, and how the search for it went."""

    z: np.ndarray
    value: float
    slope: np.ndarray
    first: float
    not_finite: int
    gradients: int
    start: int

    @property
    def gradient(self) -> float:
        """Norm of the gradient."""
        return float(np.linalg.norm(self.slope))

    @property
    def flat(self) -> bool:
        """Whether the gradient is small."""
        return math.isfinite(self.value) and self.gradient <= max(FLAT, FALL * self.first)


Slope = Callable[[Any], tuple[Array, Array]]
"""A compiled function that returns value and gradient."""


def find_mode(
    slope: Slope,
    points: Float[Array, "starts size"],
    steps: int,
    learning_rate: float,
    trail: list[tuple[float, np.ndarray]] | None = None,
) -> Mode:
    """Return the lowest point that Adam meets from any start and L-BFGS from the best of these; note all in the trail."""
    if trail is not None:
        slope = _noted(slope, trail)
    total, rate = whole(steps, "steps", "number of gradient steps"), positive(learning_rate, "learning_rate")
    found = [_adam(slope, np.asarray(point), total, rate, number) for number, point in enumerate(points)]
    best = min(found, key=lambda mode: mode.value)
    bad, used = sum(mode.not_finite for mode in found), sum(mode.gradients for mode in found)
    return _polish(slope, best._replace(not_finite=bad, gradients=used), total // 3)


def _noted(slope: Slope, trail: list[tuple[float, np.ndarray]]) -> Slope:
    def run(z: Any) -> tuple[Array, Array]:
        value, gradient = slope(z)
        trail.append((float(value), np.asarray(z)))
        return value, gradient

    return run


def _adam(slope: Slope, z: np.ndarray, steps: int, rate: float, number: int) -> Mode:
    optimiser = optax.adam(optax.cosine_decay_schedule(rate, steps))
    update = jax.jit(lambda gradient, state: optimiser.update(gradient, state))
    state, best = optimiser.init(jnp.asarray(z)), Mode(z, math.inf, np.full_like(z, np.nan), math.nan, 0, steps, number)
    for _ in range(steps):
        value, gradient = slope(z)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            best = best._replace(not_finite=best.not_finite + 1)
            z = (z + best.z) / 2
            continue
        if float(value) < best.value:
            best = best._replace(z=z, value=float(value), slope=np.asarray(gradient))
        if math.isnan(best.first):
            best = best._replace(first=best.gradient)
        moved, state = update(gradient, state)
        z = z + np.asarray(moved)
    return best


def _polish(slope: Slope, best: Mode, most: int) -> Mode:
    """Return the mode after at most so many iterations of L-BFGS, the best point kept."""
    if most == 0 or not math.isfinite(best.value):
        return best
    seen = [best]

    def run(z: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = slope(z.astype(best.z.dtype))
        here = seen[0]._replace(gradients=seen[0].gradients + 1)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            seen[0] = here._replace(not_finite=here.not_finite + 1)
            return 1e300, np.zeros(z.shape)
        if float(value) <= here.value:
            here = here._replace(z=z.astype(best.z.dtype), value=float(value), slope=np.asarray(gradient))
        seen[0] = here
        return float(value), np.asarray(gradient, float)

    options = {"maxiter": most, "maxfun": most, "ftol": 0.0, "gtol": 1e-9}
    scipy.optimize.minimize(run, np.asarray(best.z, float), jac=True, method="L-BFGS-B", options=options)
    return seen[0]
