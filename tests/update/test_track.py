"""Laws of technologies that drift, updated as periods arrive."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import quesnay as q

from .margins import exactness
from .truth import outputs, slopes, truth

OPTIONS = {"prior_sd": 0.2, "drift_sd": 0.05, "noise_sd": 0.01}
N, YEARS = 5, 3


def dense(A0, x, d, A):
    """Return the gradient of the dense cost at A (years, n, n), and the inverse of its Gauss-Newton curvature."""
    theta, year = np.log(A / A0).ravel(), np.arange(1, YEARS + 1)
    prior = np.linalg.inv(np.kron(0.04 + 0.0025 * np.minimum(year[:, None], year), np.eye(N * N)))
    miss = (x - np.concatenate([outputs(a, b[None]) for a, b in zip(A, d, strict=True)])) / (0.01 * x)
    J = -scipy.linalg.block_diag(*(slopes(a, b[None]) for a, b in zip(A, d, strict=True))) / (0.01 * x).reshape(-1, 1)
    return prior @ theta + J.T @ miss.ravel(), np.linalg.inv(J.T @ J + prior)


def test_without_drift_it_is_the_fit_of_one_technology():
    A0, _, x, d = truth(0)
    path = q.update.track(A0, x, d, **(OPTIONS | {"drift_sd": 0.0}))
    fit = q.update.fit(A0, x, d, prior_sd=0.2, noise_sd=0.01)
    for A in path.A:
        np.testing.assert_allclose(A, fit.A, rtol=1e-7)
    np.testing.assert_allclose(path.log_sd, fit.log_sd, rtol=1e-7)


def test_the_mode_its_deviation_and_a_forecast_are_those_of_the_dense_random_walk():
    """With the covariance `s^2 + q^2 min(t, u)` of log A between years; the forecast by the delta method."""
    A0, _, x, d = truth(1)
    path = q.update.track(A0, x, d, **OPTIONS)
    gradient, posterior = dense(A0, x, d, np.asarray(path.A))
    np.testing.assert_allclose(0.2 * gradient, 0, atol=1e-6)
    np.testing.assert_allclose(path.log_sd.ravel(), np.sqrt(np.diag(posterior))[-N * N :], rtol=1e-9)
    ahead, demand = path.predict(d[-1] * 1.1), 1.1 * d[-1:]
    np.testing.assert_allclose(ahead.output, outputs(path.A[-1], demand)[0], rtol=1e-10)
    last, G = posterior[-N * N :, -N * N :] + 0.0025 * np.eye(N * N), slopes(path.A[-1], demand)
    np.testing.assert_allclose(ahead.sd, np.sqrt(np.diag(G @ last @ G.T)), rtol=1e-8)
    np.testing.assert_allclose(ahead.observed_sd, np.hypot(ahead.sd, 0.01 * ahead.output), rtol=1e-12)
    np.testing.assert_allclose(path.predict(demand[0], noise_sd=0.0).observed_sd, ahead.sd, rtol=1e-12)


def test_observing_period_by_period_is_tracking_them_all():
    A0, _, x, d = truth(2)
    whole = q.update.track(A0, x, d, **OPTIONS)
    step = q.update.track(A0, x[:1], d[:1], **OPTIONS)
    step = step.observe(x[1], d[1], noise_sd=0.01).observe(x[2], d[2], noise_sd=0.01)
    np.testing.assert_allclose(step.A, whole.A, rtol=1e-7)
    np.testing.assert_allclose(step.log_sd, whole.log_sd, rtol=1e-7)
    assert step.A.shape == (YEARS, N, N)
    # From the first period to the fourth the arrays have the same shape, and one program does.
    assert q.update.track(A0, x[:1], d[:1], **OPTIONS).theta.shape == step.theta.shape


def test_drifting_coefficients_are_followed():
    """A coefficient that grows by a fifth in twelve quarters is found again, a constant one stays."""
    rng = np.random.default_rng(4)
    A0, *_ = truth(4)
    growth = np.zeros((N, N))
    growth[0] = 0.2
    quarters = 12
    A = [A0 * np.exp(growth * (t + 1) / quarters) for t in range(quarters)]
    d = np.exp(rng.normal(0, 0.3, (quarters, N)))
    x = np.stack([np.linalg.solve(np.eye(N) - a, b) for a, b in zip(A, d, strict=True)])
    path = q.update.track(A0, x, d, prior_sd=0.01, drift_sd=0.03, noise_sd=0.002)
    before, after = (np.abs(np.log(np.asarray(guess) / A[-1]))[0].mean() for guess in (A0, path.A[-1]))
    assert after < before / 2
    assert np.max(np.abs(np.linalg.eigvals(path.A))) < 1


def test_derivatives_are_exact():
    A0, _, x, d = truth(5)
    A0[1, 2] = 0
    w = np.random.default_rng(0).normal(size=(YEARS + 1, N, N))

    def outcome(x):
        path = q.update.track(A0, x, d, **OPTIONS, tolerance=1e-12, throw=False)
        return jnp.vdot(w[1:], path.A) + jnp.vdot(w[0], path.log_sd)

    exactness(outcome)((x,), (0.1 * x * np.random.default_rng(1).normal(size=x.shape),), 1e-3)


def test_a_forecast_needs_the_demand_of_one_period():
    A0, _, x, d = truth(6)
    path = q.update.track(A0, x, d, **OPTIONS)
    with pytest.raises(q.InputError, match=r"d has shape \(3, 5\); give the final demand of one period, \(5,\)"):
        path.predict(d)
    with pytest.raises(q.InputError, match="drift_sd has negative"):
        q.update.track(A0, x, d, **(OPTIONS | {"drift_sd": -1.0}))
