"""A linear model with normal errors, whose posterior is known in closed form."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

ROWS, NOISE = 30, 0.3


def linear(seed: int = 0, size: int = 3):
    """Return simulator, prior, observations, and the mean (size,) and covariance of the posterior.

    y = A theta + e, theta ~ N(m, S), e ~ N(0, s^2): the posterior has precision S^-1 + A'A / s^2.
    """
    rng = np.random.default_rng(seed)
    A, center, spread = rng.normal(size=(ROWS, size)), rng.normal(size=size), rng.uniform(0.5, 3, size)
    truth = center + spread * rng.normal(size=size)
    y = A @ truth + NOISE * rng.normal(size=ROWS)
    covariance = np.linalg.inv(np.diag(spread**-2.0) + A.T @ A / NOISE**2)
    mean = covariance @ (center / spread**2 + A.T @ y / NOISE**2)
    matrix = jnp.asarray(A)
    prior = {"theta": dist.Normal(jnp.asarray(center), jnp.asarray(spread))}
    return (lambda theta: matrix @ theta["theta"]), prior, y, mean, covariance
