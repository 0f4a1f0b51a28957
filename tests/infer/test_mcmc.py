"""Laws of the no-U-turn sampler's posterior, against closed forms."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import quesnay as q
from quesnay._errors import ConvergenceWarning
from quesnay.infer.losses import Gaussian
from quesnay.infer.mcmc import mcmc

KEY = jax.random.key(0)
DESIGN = np.random.default_rng(0).normal(size=(12, 3))
MEANS, SPREADS, ERROR = np.array([1.0, -2.0, 0.5]), np.array([2.0, 0.5, 10.0]), 0.3
DATA = DESIGN @ np.array([0.3, -1.5, 4.0]) + 0.1 * np.random.default_rng(1).normal(size=12)
PRIOR = {"x": dist.Normal(MEANS, SPREADS)}


def linear(theta):
    return DESIGN @ theta["x"]


@pytest.fixture(scope="module")
def fitted():
    return mcmc(linear, PRIOR, DATA, key=KEY, loss=Gaussian(ERROR), warmup=200, draws=400)


def test_chains_have_the_posterior_of_a_linear_model(fitted):
    """Lambda = X'X / s^2 + D^-2 in closed form; 4 Monte Carlo standard errors by the least effective sample size."""
    precision = DESIGN.T @ DESIGN / ERROR**2 + np.diag(SPREADS**-2.0)
    mean = np.linalg.solve(precision, DESIGN.T @ DATA / ERROR**2 + MEANS / SPREADS**2)
    covariance = np.linalg.inv(precision)
    x, effective = fitted.theta()["x"], fitted.diagnostics["effective_sample_size"]
    deviation = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(x.mean(axis=0) - mean) < 4 * deviation / np.sqrt(effective))
    # Var of a sample covariance of normals: (C_ij^2 + C_ii C_jj) / n; squares are less independent than the draws: n / 2.
    error = np.sqrt((covariance**2 + np.outer(deviation, deviation) ** 2) * 2 / effective)
    assert np.all(np.abs(np.cov(x.T) - covariance) < 4 * error)


def test_chains_that_agree_say_so(fitted):
    assert fitted.converged
    assert fitted.diagnostics["divergences"] == 0
    assert fitted.diagnostics["r_hat"] < 1.01
    assert 0.6 < fitted.diagnostics["acceptance"] <= 1  # the step adapts towards 0.8
    assert fitted.samples.sizes["chain"] == 4
    assert fitted.samples.sizes["draw"] == 400


def test_simulations_hold_the_steps_of_the_warm_up(fitted):
    """Every draw takes one leapfrog step at least: 4 chains of 200 and of 400 draws, and 4 starts."""
    d = fitted.diagnostics
    assert fitted.simulations == d["leapfrog_steps"] + 4
    assert d["warmup_steps"] >= 4 * 200
    assert d["leapfrog_steps"] - d["warmup_steps"] >= 4 * 400


def test_equal_keys_give_equal_chains(fitted):
    again = mcmc(linear, PRIOR, DATA, key=KEY, loss=Gaussian(ERROR), warmup=200, draws=400)
    np.testing.assert_array_equal(fitted.z, again.z)


def test_a_stochastic_simulator_meets_one_set_of_random_numbers():
    """With 2 simulations of 4 observations each and s = 0.5 the precision is 1 + 4 / 0.25, whatever the random numbers are."""

    def noisy(theta, key):
        return theta["a"] + jax.random.normal(key, (4,))

    found = mcmc(
        noisy,
        {"a": dist.Normal(0.0, 1.0)},
        np.full(4, 2.0),
        key=KEY,
        loss=Gaussian(0.5, draws=2),
        warmup=100,
        draws=300,
    )
    effective = found.diagnostics["effective_sample_size"]
    assert float(found.std()["a"]) == pytest.approx(17**-0.5, rel=4 / np.sqrt(effective))
    assert found.simulations == 2 * (found.diagnostics["leapfrog_steps"] + 4)


def half(theta):
    return jnp.where(theta["a"] < 0, jnp.nan, theta["a"])[None]


def test_chains_stay_where_the_simulator_is_finite():
    """Half of the prior has no finite simulation; N(4; a, 1) times N(a; 0, 1) is N(a; 2, 1/2), 0.2 % of it in that half."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = mcmc(
            half, {"a": dist.Normal(0.0, 1.0)}, np.full(1, 4.0), key=KEY, loss=Gaussian(1.0), warmup=100, draws=300
        )
    assert float(found.samples["a"].min()) >= 0
    assert found.diagnostics["starts_not_finite"] > 0
    effective = found.diagnostics["effective_sample_size"]
    assert float(found.mean()["a"]) == pytest.approx(2.0, abs=0.02 + 4 * 0.5**0.5 / np.sqrt(effective))


def test_no_finite_start_is_an_error():
    with pytest.raises(q.SolveError, match="None of 36 starts has a finite loss"):
        mcmc(lambda t: t["a"][None] * jnp.nan, {"a": dist.Normal(0.0, 1.0)}, np.ones(1), key=KEY, loss=Gaussian(1.0))


def test_chains_in_two_modes_do_not_converge():
    """(a^2 - 4) / 0.1: no trajectory crosses from -2 to 2, so that chains from both sides disagree."""
    with pytest.warns(UserWarning, match="The chains are not to be trusted"):
        found = mcmc(
            lambda t: t["a"][None] ** 2, {"a": dist.Normal(0.0, 3.0)}, np.full(1, 4.0),
            key=jax.random.key(2), loss=Gaussian(0.1), warmup=100, draws=100,
        )  # fmt: skip
    assert not found.converged
    assert found.diagnostics["r_hat"] > 1.01


@pytest.mark.parametrize(
    ("name", "value"), [("warmup", 0), ("draws", 3), ("chains", 0), ("target_accept", 1.0), ("dense", 1)]
)
def test_arguments_outside_their_domain_are_refused(name, value):
    with pytest.raises(q.InputError, match=name):
        mcmc(linear, PRIOR, DATA, key=KEY, loss=Gaussian(ERROR), **{name: value})


def test_progress_is_reported_every_fifty_draws():
    seen = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mcmc(
            lambda t: t["a"][None], {"a": dist.Normal(0.0, 1.0)}, np.zeros(1), key=KEY, loss=Gaussian(1.0),
            warmup=60, draws=40, chains=2, progress=lambda *done: seen.append(done),
        )  # fmt: skip
    assert seen == [(50, 100), (100, 100)]
