"""Synthetic truth for fits: a technology drawn from its prior, noisy outputs of several years, and their derivative."""

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


def outputs(A, d):
    """Return the outputs (years, n) that final demand takes."""
    return np.linalg.solve(np.eye(len(A)) - A, d.T).T


def slopes(A, d):
    """Return the derivative (years n, n n) of these outputs to log A: `L_ki A_ij x_j`."""
    A = np.asarray(A)
    L = np.linalg.inv(np.eye(len(A)) - A)
    return np.einsum("ki,ij,tj->tkij", L, A, outputs(A, d)).reshape(d.size, A.size)
