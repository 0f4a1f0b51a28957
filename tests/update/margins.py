"""Random tables with margins that some table has, and plain loops and differences to compare with."""

import jax
import jax.numpy as jnp
import numpy as np


def table_and_margins(seed, n=5, m=5, *, signed=False, density=0.8):
    """Return Z0 (n, m) and the row and column sums of another table with the same zeros and signs."""
    rng = np.random.default_rng(seed)
    Z0 = np.exp(rng.normal(0, 1.5, (n, m))) * (rng.uniform(size=(n, m)) < density)
    # A band without zeros keeps rows and columns from being empty, and the margins from forcing cells to 0.
    Z0 += np.where((np.arange(n)[:, None] - np.arange(m)) % max(n, m) < 2, np.exp(rng.normal(0, 1.5, (n, m))), 0)
    if signed:
        Z0 *= np.where(rng.uniform(size=(n, m)) < 0.3, -1, 1)
    truth = Z0 * np.exp(rng.normal(0, 0.4, (n, m)))
    return Z0, truth.sum(1), truth.sum(0)


def plain_ras(Z, rows, columns, rounds=5000):
    """RAS as the textbook has it."""
    Z = Z.copy()
    for _ in range(rounds):
        Z *= (rows / Z.sum(1))[:, None]
        Z *= columns / Z.sum(0)
    return Z


def plain_gras(Z, rows, columns, rounds=5000):
    """GRAS as in Junius and Oosterhaven (2003) and Temurshoev, Miller and Bouwmeester (2013)."""
    P, N = np.maximum(Z, 0), np.maximum(-Z, 0)
    r, s = np.ones(Z.shape[0]), np.ones(Z.shape[1])

    def root(target, p, n):
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(p > 0, (target + np.sqrt(target**2 + 4 * p * n)) / (2 * p), -n / target)

    for _ in range(rounds):
        r = root(rows, P @ s, N @ (1 / s))
        s = root(columns, r @ P, (1 / r) @ N)
    return r[:, None] * P * s - N / r[:, None] / s


def differences(f, step=1e-4):
    """Return `f'(0)` by central differences of the fourth order."""
    near, far = (float(f(step) - f(-step)), float(f(2 * step) - f(-2 * step)))
    return (8 * near - far) / (12 * step)


def exactness(f):
    """Return a check that both modes of f agree along a direction, and with differences; it compiles two programs, once."""
    both = jax.jit(jax.value_and_grad(lambda at: f(*at)))
    slope = jax.jit(lambda at, towards: jax.jvp(f, at, towards)[1])

    def require(at, towards, step=1e-4):
        at, towards = (tuple(map(jnp.asarray, values)) for values in (at, towards))
        gradient = both(at)[1]
        forward = slope(at, towards)
        reverse = sum(jnp.vdot(g, t) for g, t in zip(gradient, towards, strict=True))
        np.testing.assert_allclose(reverse, forward, rtol=1e-8)
        line = differences(lambda t: both(tuple(a + t * b for a, b in zip(at, towards, strict=True)))[0], step)
        np.testing.assert_allclose(forward, line, rtol=1e-7)

    return require
