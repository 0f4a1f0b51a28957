"""Synthetic truth for fits: a technology drawn from its prior, and noisy outputs of several years."""

import numpy as np


def truth(seed, n=5, years=3, *, prior_sd=0.2, noise_sd=0.01):
    """Return A0, the true A, outputs and final demand (years, n)."""
    rng = np.random.default_rng(seed)
    A0 = rng.uniform(0.05, 1, (n, n))
    A0 *= rng.uniform(0.3, 0.6, n) / A0.sum(0)
    A = A0 * np.exp(prior_sd * rng.normal(size=(n, n)))
    d = np.exp(rng.normal(0, 1, n)) * np.exp(0.3 * rng.normal(size=(years, n)))
    x = np.linalg.solve(np.eye(n) - A, d.T).T * (1 + noise_sd * rng.normal(size=(years, n)))
    return A0, A, x, d
