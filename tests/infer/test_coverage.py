"""Laws of `coverage`: the exact posterior passes, one that is too sure does not, and one program for all replicates is gvi."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import quesnay as q
from quesnay.infer.coverage import coverage

KEY = jax.random.key(3)
ERROR = 0.5
A = jnp.asarray([[1.0, 0.4, 0.0], [0.6, 1.0, 0.3], [0.0, 0.5, 1.0], [1.0, 1.0, 1.0]])
PRIOR = {"x": dist.Normal(jnp.zeros(3), 1.0)}
COVARIANCE = jnp.linalg.inv(A.T @ A / ERROR**2 + jnp.eye(3))


def linear(theta):
    return A @ theta["x"]


def exact(simulator, prior, observed, *, key, narrower=1.0, draws=199):
    """The posterior of a linear model with normal errors and a standard normal prior, in closed form."""
    mean = np.asarray(COVARIANCE @ (A.T @ observed) / ERROR**2)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    z = mean + narrower * rng.normal(size=(draws, 3)) @ np.linalg.cholesky(COVARIANCE).T
    return types.SimpleNamespace(z=z[None], converged=True)


def fit(**settings):
    chosen = {"loss": q.infer.Gaussian(ERROR), "guide": q.infer.full_covariance(), "steps": 150, "draws": 199}
    return functools.partial(q.infer.gvi, **{**chosen, **settings})


def width_exact(level=0.9):
    # The central interval of a normal is 2 * 1.6449 of its standard deviations wide at 90 %.
    return 2 * 1.6448536 * np.sqrt(np.diag(np.asarray(COVARIANCE)))[None]


def test_the_exact_posterior_is_calibrated():
    report = coverage(exact, linear, PRIOR, key=KEY, replicates=200, noise=ERROR)
    assert (report.p_value > 0.001).all()
    # Binomial standard errors over 200 replicates: 3.5 and 2.1 points.
    assert (abs(report.coverage - report.coverage["level"]) < 3.5 * report.coverage_error).all()
    assert report.ranks.shape == (200, 3)
    assert report.ranks.min() >= 0
    assert report.ranks.max() <= report.draws == 199
    assert (report.failed, report.not_converged) == (0, 0)
    expected = 1 - np.diag(COVARIANCE)
    np.testing.assert_allclose(report.contraction, expected, atol=0.02)
    # Without a reference, widths are relative to the prior's, which has unit variance.
    np.testing.assert_allclose(report.width, np.tile(np.sqrt(1 - expected), (2, 1)), rtol=0.05)
    assert "200 replicates, 0 failed" in str(report)


def test_a_posterior_that_is_too_sure_is_caught():
    sure = functools.partial(exact, narrower=0.5)
    report = coverage(sure, linear, PRIOR, key=KEY, replicates=100, noise=ERROR, levels=(0.9,), reference=exact)
    # Half as wide: the 90 % interval of a normal then holds 2 Phi(1.645 / 2) - 1 = 59 %.
    np.testing.assert_allclose(report.overall, 0.59, atol=0.08)
    assert (report.p_value < 0.001).all()
    np.testing.assert_allclose(report.width, 0.5, rtol=0.05)
    assert float(report.reference_coverage.mean()) > 0.84


def test_gvi_with_full_covariance_covers_a_linear_model():
    method = fit(draws=1000)
    report = coverage(
        method, linear, PRIOR, key=KEY, replicates=200, noise=ERROR, levels=(0.9,), reference=width_exact()
    )
    assert 0.86 <= float(report.overall[0]) <= 0.94
    assert float(report.width.max()) <= 1.3
    assert report.failed == 0


@pytest.mark.parametrize("precondition", [False, True])
def test_one_program_for_all_replicates_gives_the_draws_of_gvi_itself(precondition):
    method = fit(steps=25, guide=None, precondition=precondition)
    # A function around gvi is not looked into, and runs one replicate after the other.
    plain = lambda *arguments, **keywords: method(*arguments, **keywords)  # noqa: E731
    fast, slow = (coverage(m, linear, PRIOR, key=KEY, replicates=2, noise=ERROR) for m in (method, plain))
    np.testing.assert_array_equal(fast.ranks, slow.ranks)
    np.testing.assert_allclose(fast.width_z, slow.width_z, rtol=1e-6)
    assert fast.not_converged == slow.not_converged


def test_failures_are_counted_and_leave_no_rank():
    calls = iter(range(20))

    def fragile(simulator, prior, observed, *, key):
        if next(calls) % 4 == 0:
            raise q.SolveError("no finite loss")
        return exact(simulator, prior, observed, key=key)

    report = coverage(fragile, linear, PRIOR, key=KEY, replicates=20, noise=ERROR)
    assert report.failed == 5
    assert report.ranks.sizes["replicate"] == 15
    assert 0 not in report.ranks["replicate"]

    def never(simulator, prior, observed, *, key):
        raise q.SolveError("no finite loss")

    with pytest.raises(q.SolveError, match="None of 4 replicates"):
        coverage(never, linear, PRIOR, key=KEY, replicates=4)


def test_simulations_that_are_not_finite_fail_in_both_ways_of_running():
    def breaks(theta):
        return jnp.where(theta["x"][0] > 0, jnp.nan, 1.0) * (A @ theta["x"])

    report = coverage(fit(steps=5, guide=None), breaks, PRIOR, key=KEY, replicates=20, noise=ERROR, batch=8)
    assert 4 <= report.failed <= 16
    assert report.ranks.sizes["replicate"] == 20 - report.failed
    one_by_one = coverage(exact, breaks, PRIOR, key=KEY, replicates=20, noise=ERROR)
    assert one_by_one.failed == report.failed


def test_noise_may_be_a_function_and_a_simulator_may_draw():
    def multiplied(key, simulated):
        return simulated + ERROR * jax.random.normal(key, simulated.shape)

    def drawing(theta, key):
        return multiplied(key, linear(theta))

    for simulator, noise in ((linear, multiplied), (drawing, None)):
        report = coverage(exact, simulator, PRIOR, key=KEY, replicates=60, noise=noise, levels=(0.9,))
        assert 0.8 < float(report.overall[0]) < 0.97


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": 3}, "method is a int"),
        ({"levels": (0.9, 0.9)}, "levels"),
        ({"levels": (1.5,)}, "levels"),
        ({"replicates": 1}, "replicates"),
        ({"reference": np.ones((2, 7))}, "reference"),
        ({"noise": lambda key, y: y[:2]}, "noise returns 2 values for 4"),
        ({"method": lambda *a, key: 5}, "returns a int"),
    ],
)
def test_what_does_not_fit_is_said(change, said):
    arguments = {"method": exact, "simulator": linear, "prior": PRIOR, "replicates": 2, "noise": ERROR, **change}
    with pytest.raises(q.InputError, match=said):
        coverage(**arguments, key=KEY)
