"""Damage functions for the laws, and random damaged economies."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from quesnay import climate
from quesnay.climate import AbstractDamage, Sigmoid
from tables import random_table

N = 5
REFERENCE = 1.1
SIGMOID = Sigmoid(steepness=2.5, threshold=2.0)


class Falling(AbstractDamage):
    """Damage that warming undoes."""

    source: ClassVar[str] = "a test"
    year: ClassVar[int] = 2025
    domain: ClassVar[tuple[float, float]] = (-np.inf, np.inf)

    def __call__(self, temperature):
        return jax.nn.sigmoid(-temperature)


class Kinked(AbstractDamage):
    """No damage up to two degrees, then a fifth per degree, beyond three degrees two fifths."""

    source: ClassVar[str] = "a test"
    year: ClassVar[int] = 2025
    domain: ClassVar[tuple[float, float]] = (0.0, 4.0)

    def __call__(self, temperature):
        return 0.2 * jnp.maximum(temperature - 2, 0) + 0.2 * jnp.maximum(temperature - 3, 0)


def damaged(seed: int, *, unit: float = 1.0):
    """Return A, d, labour and gamma of a random economy; some final demands are 0."""
    Z, d = random_table(seed, N, unit=unit)
    x = Z.sum(axis=1) + d
    rng = np.random.default_rng(seed + 11)
    return Z / np.where(x > 0, x, 1), d, rng.uniform(0.1, 1, N), rng.uniform(0, 1, N)


def sigmoid(T, steepness=2.5, threshold=2.0):
    return 1 / (1 + np.exp(-steepness * (T - threshold)))


def table(A, gamma, T, reference=REFERENCE):
    """Return A(T) of `InputRequirement` in NumPy."""
    return A * (1 + gamma * sigmoid(T)) / (1 + gamma * sigmoid(reference))


def radius(A):
    return np.abs(np.linalg.eigvals(A)).max()


def inverse(A):
    return np.linalg.inv(np.eye(len(A)) - A)


def run(seed, reading, temperatures, *, scale=1.0, unit=1.0, throw=True, A=None, **more):
    """Return A, d, labour, gamma and the stress of a random economy; always compiled for three temperatures."""
    drawn, d, labour, gamma = damaged(seed, unit=unit)
    A = drawn if A is None else A
    gamma = scale * gamma
    temperatures = jnp.asarray(temperatures, float)
    assert temperatures.shape == (3,)
    arguments = {"labour": labour, "gamma": gamma, "reference": REFERENCE, "intensities": {"jobs": labour / 2}} | more
    found = climate.stress(A, d, SIGMOID, temperatures=temperatures, reading=reading, throw=throw, **arguments)
    return (A, d, labour, gamma), found
