"""Laws of emission coefficients learned with the technology."""

import numpy as np
import pytest

import quesnay as q

from .truth import outputs, slopes, truth

OPTIONS = {"prior_sd": 0.2, "C_sd": 0.5, "noise_sd": 0.01, "emissions_sd": 0.02}
N = 5


def case(seed):
    """Return A0, the true C, a prior of it, outputs, demand and emissions; only the first two inputs emit."""
    rng = np.random.default_rng(seed)
    A0, A, x, d = truth(seed)
    C0 = np.zeros((N, N))
    C0[:2] = np.exp(rng.normal(0, 1, (2, N)))
    C = C0 * np.exp(0.5 * rng.normal(size=(N, N)))
    E = x * (C * A).sum(0) * (1 + 0.02 * rng.normal(size=x.shape))
    return A0, C, C0, x, d, E


def test_the_mode_and_its_deviations_are_those_of_the_dense_problem():
    """The gradient of the dense cost in log A and log C, and the inverse of its Gauss-Newton curvature."""
    A0, _, C0, x, d, E = case(0)
    fit = q.update.fit_emissions(A0, C0, x, d, E, **OPTIONS)
    share, noise = (E / x).mean(0), 0.02 / np.sqrt(3)
    A, C = np.asarray(fit.A), np.asarray(fit.C)
    some = C0 > 0
    theta = np.concatenate([np.log(A / A0).ravel(), np.log(np.where(some, C, 1) / np.where(some, C0, 1)).ravel()])
    emitted = (np.eye(N)[:, None] * (C * A / share)).reshape(N, N * N) / noise
    rows = slopes(A, d) / (0.01 * x).reshape(-1, 1)
    J = np.block([[-rows, np.zeros_like(rows)], [emitted, emitted]])
    miss = np.concatenate([((x - outputs(A, d)) / (0.01 * x)).ravel(), ((C * A).sum(0) / share - 1) / noise])
    prior = np.concatenate([np.full(N * N, 0.2), np.full(N * N, 0.5)])
    np.testing.assert_allclose((theta / prior**2 + J.T @ miss) * prior, 0, atol=1e-6)
    sd = np.sqrt(np.diag(np.linalg.inv(J.T @ J + np.diag(1 / prior**2))))
    np.testing.assert_allclose(fit.log_sd.ravel(), sd[: N * N], rtol=1e-8)
    moves = some.ravel()
    np.testing.assert_allclose(fit.C_log_sd.ravel()[moves], sd[N * N :][moves], rtol=1e-8)
    assert np.all(fit.C_log_sd.ravel()[~moves] == 0)


def test_totals_are_met_and_the_truth_is_nearer():
    A0, C, C0, x, d, E = case(1)
    fit = q.update.fit_emissions(A0, C0, x, d, E, **OPTIONS)
    np.testing.assert_allclose(fit.emissions, E, rtol=0.1)
    np.testing.assert_allclose(fit.intensity, (fit.C * fit.A).sum(0), rtol=1e-12)
    some = C0 > 0
    before, after = (np.abs(np.log(guess[some] / C[some])).mean() for guess in (C0, np.asarray(fit.C)))
    assert after < before


def test_units_of_emissions_change_nothing_else():
    A0, _, C0, x, d, E = case(2)
    fit, tonnes = (q.update.fit_emissions(A0, u * C0, x, d, u * E, **OPTIONS) for u in (1, 1e6))
    np.testing.assert_allclose(tonnes.A, fit.A, rtol=1e-8)
    np.testing.assert_allclose(tonnes.C, 1e6 * fit.C, rtol=1e-8)


def test_emissions_in_another_unit_than_their_prior_are_doubted():
    A0, _, C0, x, d, E = case(2)
    fit = q.update.fit_emissions(A0, C0, x, d, E, **OPTIONS)
    np.testing.assert_allclose(fit.residual, 1 - x * fit.intensity / E, rtol=1e-9, atol=1e-12)
    some = C0 > 0
    np.testing.assert_allclose(fit.shift[some], np.log(fit.C[some] / C0[some]) / 0.5, rtol=1e-9)
    with pytest.warns(q.update.UnitsWarning, match=r"moved log C by up to 1\d\.\d standard deviations of its prior"):
        q.update.fit_emissions(A0, C0, x, d, 1000 * E, **OPTIONS)


def test_emissions_without_a_coefficient_are_refused():
    A0, _, C0, x, d, E = case(3)
    with pytest.raises(
        q.InputError, match="account 2 has emissions in its total or in its column of C0 A0, but not in both"
    ):
        q.update.fit_emissions(A0, np.where(np.arange(N) == 2, 0, C0), x, d, E, **OPTIONS)
    with pytest.raises(q.InputError, match="C0 has shape"):
        q.update.fit_emissions(A0, C0[:2], x, d, E, **OPTIONS)
