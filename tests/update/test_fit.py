"""Laws of technologies fitted to several years, and of what the data identify."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from hypothesis import given, settings

import quesnay as q
from tables import seeds

from .margins import exactness, plain_ras
from .truth import outputs, slopes, truth

PRIOR, NOISE = 0.2, 0.01


def fitted(A0, x, d, **options):
    return q.update.fit(A0, x, d, prior_sd=PRIOR, noise_sd=NOISE, **options)


def whitened(A0, x, d, theta, share=None):
    """Return the misfit in standard deviations of the noise, and its derivative to `theta = log A / A0`."""
    n = len(A0)
    A = A0 * np.exp(np.reshape(theta, (n, n)))
    miss, J = ((x - outputs(A, d)) / (NOISE * x)).ravel(), -slopes(A, d) / (NOISE * x).reshape(-1, 1)
    if share is None:
        return miss, J
    columns = (np.eye(n)[:, None] * A).reshape(n, n * n)
    return np.concatenate([miss, (share[0] - A.sum(0)) / share[1]]), np.concatenate([J, -columns / share[1][:, None]])


@settings(max_examples=10)
@given(seeds)
def test_the_mode_is_the_least_squares_solution_of_another_program(seed):
    """scipy's trust-region least squares on the same residuals."""
    A0, _, x, d = truth(seed)
    best = scipy.optimize.least_squares(
        lambda t: np.concatenate([whitened(A0, x, d, t)[0], t / PRIOR]),
        np.zeros(25),
        jac=lambda t: np.concatenate([whitened(A0, x, d, t)[1], np.eye(25) / PRIOR]),
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-12,
    )
    np.testing.assert_allclose(np.log(fitted(A0, x, d).A / A0).ravel(), best.x, atol=1e-6)


COMMON = {"substitution_sd": 0.3, "fabrication_sd": 0.15}


@pytest.mark.parametrize(("with_inputs", "common"), [(False, {}), (True, COMMON)])
def test_deviations_and_effective_parameters_are_those_of_the_dense_curvature(with_inputs, common):
    """`(J'J + S^-1)^-1` and `tr(J'J (J'J + S^-1)^-1)` with the whole Jacobian and the whole prior covariance S."""
    A0, A, x, d = truth(1)
    options = {"inputs": x * A.sum(0), "inputs_sd": 0.01} if with_inputs else {}
    fit = fitted(A0, x, d, **options, **common)
    share = tuple(map(np.asarray, (fit.data.share, fit.data.share_noise))) if with_inputs else None
    theta = np.log(fit.A / A0).ravel()
    miss, J = whitened(A0, x, d, theta, share)
    one, same = np.ones((5, 5)), np.eye(5)
    rows, columns = (common.get(name, 0.0) ** 2 for name in ("substitution_sd", "fabrication_sd"))
    S = PRIOR**2 * np.eye(25) + rows * np.kron(same, one) + columns * np.kron(one, same)
    covariance = np.linalg.inv(J.T @ J + np.linalg.inv(S))
    cost = miss @ miss + theta @ np.linalg.solve(S, theta)
    np.testing.assert_allclose(fit.data.cost(theta.reshape(5, 5), None), cost / 2, rtol=1e-10)
    np.testing.assert_allclose(fit.log_sd.ravel(), np.sqrt(np.diag(covariance)), rtol=1e-9)
    np.testing.assert_allclose(fit.effective_parameters, np.trace(J.T @ J @ covariance), rtol=1e-9)
    np.testing.assert_allclose(fit.sd, fit.A * fit.log_sd)
    seen = q.update.identify(fit, outcomes={"cell": lambda A: A[1, 2], "row": lambda A: A[0]})
    np.testing.assert_allclose(seen.effective_parameters, fit.effective_parameters, rtol=1e-9)
    np.testing.assert_allclose(seen.signal[:10], np.linalg.eigvalsh(J @ S @ J.T)[::-1][:10], rtol=1e-8)
    np.testing.assert_allclose(seen.shrinkage, 1 - fit.log_sd**2 / S[0, 0], rtol=1e-8)
    np.testing.assert_allclose(seen.outcomes["cell"].sd, fit.sd[1, 2], rtol=1e-9)
    np.testing.assert_allclose(seen.outcomes["row"].prior_sd, np.sqrt(S[0, 0]) * fit.A[0], rtol=1e-9)
    assert seen.rank == np.linalg.matrix_rank(J)


def test_where_only_rows_and_columns_move_it_is_ras():
    """With both margins of one year, seen three times, sure, and single cells nearly so, the fit is `diag(r) A0 diag(s)`."""
    A0, A, x, d = truth(2, years=1, noise_sd=0.0)
    options = {
        "inputs": np.tile(x * A.sum(0), (3, 1)),
        "inputs_sd": 5e-4,
        "substitution_sd": 0.5,
        "fabrication_sd": 0.5,
    }
    fit = q.update.fit(A0, np.tile(x, (3, 1)), np.tile(d, (3, 1)), prior_sd=5e-3, noise_sd=5e-4, **options)
    ras = plain_ras(A0 * x[0], x[0] - d[0], x[0] * A.sum(0)) / x[0]
    np.testing.assert_allclose(fit.A, ras, rtol=1e-4)


def test_the_evidence_is_the_density_of_the_data_where_the_model_is_linear():
    """With a prior so sure that outputs are linear in log A, they are normal: scipy's density."""
    A0, _, x, d = truth(2)
    small = 1e-5
    fit = q.update.fit(A0, x, d, prior_sd=small, noise_sd=NOISE)
    J = slopes(A0, d)
    covariance = small**2 * J @ J.T + np.diag((NOISE * x.ravel()) ** 2)
    expected = scipy.stats.multivariate_normal(outputs(A0, d).ravel(), covariance).logpdf(x.ravel())
    np.testing.assert_allclose(fit.evidence, expected, rtol=1e-6)


@settings(max_examples=10)
@given(seeds)
def test_the_technology_is_productive_however_wrong_the_prior(seed):
    A0, _, x, d = truth(seed)
    fit = q.update.fit(A0 * 1.6, x, d, prior_sd=1.0, noise_sd=0.001)
    assert np.max(np.abs(np.linalg.eigvals(fit.A))) < 1
    assert np.all(np.asarray(fit.A) > 0)
    np.testing.assert_allclose(fit.output, x, rtol=0.05)


def test_units_of_single_accounts_and_the_order_of_accounts_change_nothing_else():
    """Hybrid tables: one row in MJ, one in tonnes."""
    A0, _, x, d = truth(3)
    fit = fitted(A0, x, d)
    unit = np.array([1, 1e6, 1e-3, 1, 42.0])
    hybrid = fitted(unit[:, None] * A0 / unit, unit * x, unit * d)
    np.testing.assert_allclose(hybrid.A, unit[:, None] * fit.A / unit, rtol=1e-8)
    np.testing.assert_allclose(hybrid.log_sd, fit.log_sd, rtol=1e-7)
    p = np.array([3, 0, 4, 1, 2])
    np.testing.assert_allclose(fitted(A0[p][:, p], x[:, p], d[:, p]).A, fit.A[p][:, p], rtol=1e-8)


def test_an_emission_row_is_an_account_that_nobody_buys():
    """Emissions per unit of output are learned from totals by sector jointly with the rest, with their own uncertainty."""
    A0, _, x, d = truth(4)
    intensity0, intensity = np.full(5, 0.5), np.array([0.3, 0.5, 0.7, 0.6, 0.4])
    emissions = x @ intensity
    wide = np.zeros((6, 6))
    wide[:5, :5], wide[5, :5] = A0, intensity0
    sd = np.full((6, 6), PRIOR)
    sd[5] = 0.5
    fit = q.update.fit(
        wide, np.column_stack([x, emissions]), np.column_stack([d, np.zeros(3)]), prior_sd=sd, noise_sd=NOISE
    )
    np.testing.assert_allclose(fit.output[:, 5], emissions, rtol=0.02)
    np.testing.assert_allclose(fit.A[:, 5], 0)
    before, after = (np.abs(np.log(np.asarray(f) / intensity)).mean() for f in (intensity0, fit.A[5, :5]))
    assert after < before
    assert np.all(fit.log_sd[5, :5] < 0.5)


def test_an_objective_moves_the_mode_against_its_gradient():
    A0, _, x, d = truth(5)

    def emissions(A):
        return 30.0 * jnp.sum(A[0])

    fit, plain = fitted(A0, x, d, objective=emissions), fitted(A0, x, d)
    assert emissions(fit.A) < emissions(plain.A)
    theta = jnp.log(fit.A / A0)
    gradient = jax.grad(lambda t: fit.data.cost(t, emissions))(theta)
    np.testing.assert_allclose(gradient * PRIOR, 0, atol=1e-5)


def test_a_fixed_coefficient_and_a_zero_stay():
    A0, _, x, d = truth(6)
    A0[1, 3] = 0
    sd = np.full((5, 5), PRIOR)
    sd[2, 2] = 0
    fit = q.update.fit(A0, x, d, prior_sd=sd, noise_sd=NOISE)
    assert fit.A[1, 3] == 0
    np.testing.assert_allclose(fit.A[2, 2], A0[2, 2], rtol=1e-15)
    assert fit.sd[2, 2] == fit.sd[1, 3] == 0


def test_derivatives_are_exact():
    """Of the mode and of its deviations; a coefficient that is kept, and one at 0, stay outside of the implicit system."""
    A0, _, x, d = truth(7)
    A0[1, 2], sd = 0, np.full(A0.shape, PRIOR)
    sd[0, 0] = 0
    rng = np.random.default_rng(0)
    w, v = rng.normal(size=(2, 5, 5))

    def outcome(A0, x, d, sd):
        fit = q.update.fit(A0, x, d, prior_sd=sd, noise_sd=NOISE, tolerance=1e-12, throw=False)
        return jnp.vdot(w, fit.A) + jnp.vdot(v, fit.log_sd)

    at = (A0, x, d, sd)
    exactness(outcome)(at, tuple(0.1 * rng.normal(size=a.shape) * a for a in at), 1e-3)


def test_intervals_cover_the_truth():
    """200 technologies drawn from the prior: of their 5,000 coefficients the 95 % intervals cover 95 %."""
    cases = [truth(seed) for seed in range(200)]
    A0, A, x, d = (np.stack([case[i] for case in cases]) for i in range(4))
    lower, upper = jax.vmap(lambda *case: fitted(*case, throw=False).interval(0.95))(A0, x, d)
    assert abs(np.mean((lower < A) & (upper > A)) - 0.95) < 0.015


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prior_sd": None}, "15 numbers cannot determine 25 coefficients; give prior_sd"),
        ({"prior_sd": -1.0}, "prior_sd has negative or missing"),
        ({"noise_sd": 0.0}, "noise_sd is not positive"),
        ({"d": 1e6 * np.ones((3, 5))}, "final demand exceeds output in year 0, account 0 by more than 6 standard"),
        ({"noise_sd": np.ones(3)}, r"noise_sd has shape \(3,\)"),
        ({"inputs": np.ones((3, 5))}, "inputs and inputs_sd belong together"),
        ({"A0": np.eye(5)}, "A0 is not productive"),
        ({"A0": -np.eye(5)}, "A0 has negative"),
        ({"x": np.zeros((3, 5))}, "x is not positive in year 0, account 0"),
        ({"x": np.full((3, 5), np.nan)}, "x is nan in year 0, account 0; give an output"),
        ({"x": np.ones((0, 5)), "d": np.ones((0, 5))}, "x has no years"),
        ({"d": np.ones(4)}, "A0 has shape"),
        ({"tolerance": 0.0}, "tolerance is 0.0; give a positive number"),
    ],
)
def test_what_cannot_be_fitted_is_refused(options, said):
    A0, _, x, d = truth(8)
    with pytest.raises(q.InputError, match=said):
        q.update.fit(**({"A0": A0, "x": x, "d": d, "prior_sd": PRIOR, "noise_sd": NOISE} | options))


def test_too_few_steps_are_an_error_or_a_code():
    A0, _, x, d = truth(9)
    with pytest.raises(q.SolveError, match="did not converge within its max_steps"):
        fitted(A0, x, d, max_steps=1)
    assert fitted(A0, x, d, max_steps=1, throw=False).result != q.equilibrium.RESULTS.successful


def test_misfits_are_counted_in_deviations_and_wrong_units_doubted():
    A0, _, x, d = truth(9)
    fit = fitted(A0, x, d)
    np.testing.assert_allclose(fit.misfit, (x - fit.output) / (NOISE * x), rtol=1e-9)
    with pytest.warns(q.update.UnitsWarning, match=r"noise_sd is as large as 5: it is relative"):
        q.update.fit(A0, x, d, prior_sd=PRIOR, noise_sd=5.0)
    with pytest.warns(q.update.UnitsWarning, match=r"prior_sd is as large as 20: it is of logarithms"):
        q.update.fit(A0, x, d, prior_sd=20, noise_sd=NOISE, throw=False)


def test_only_fits_are_identified():
    with pytest.raises(q.InputError, match=r"give the result of q\.update\.fit"):
        q.update.identify(np.eye(3))
    A0, _, x, d = truth(0)
    with pytest.raises(q.InputError, match="the outcome 'a' is float; give a function"):
        q.update.identify(fitted(A0, x, d), outcomes={"a": 1.0})
    for outcome in (lambda A: np.linalg.inv(A)[0, 0], lambda A: float(A[0, 0]), lambda A: 1.0 if A[0, 0] > 0 else 0.0):
        with pytest.raises(q.InputError, match=r"asks for the numbers of A, .* write it in jax\.numpy"):
            q.update.identify(fitted(A0, x, d), outcomes={"a": outcome})
