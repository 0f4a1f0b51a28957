"""Laws of approximate Bayesian computation, against exact posteriors under |simulated - observed| <= epsilon."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats

import quesnay as q
from quesnay.infer.abc import abc, abc_smc

KEY = jax.random.key(0)
PRIOR = {"a": dist.Normal(0.0, 1.0)}
OBSERVED = np.array([0.8])
ERROR = 0.5


def noisy(theta, key):
    return theta["a"][None] + ERROR * jax.random.normal(key, (1,))


def same(theta):
    return theta["a"][None]


def square(simulated, observed):
    return jnp.sum((simulated - observed) ** 2)


def of_normal(epsilon):
    """Mean and variance of a given |a + e - y| <= epsilon, with a ~ N(0, 1), e ~ N(0, s^2).

    a given a + e = u is N(k u, k s^2), k = 1 / (1 + s^2), and u is N(0, 1 + s^2) on [y - epsilon, y + epsilon].
    """
    k, width = 1 / (1 + ERROR**2), np.sqrt(1 + ERROR**2)
    u = scipy.stats.truncnorm((OBSERVED[0] - epsilon) / width, (OBSERVED[0] + epsilon) / width, scale=width)
    return k * u.mean(), k * ERROR**2 + k**2 * u.var()


def assert_moments(draws, mean, variance, effective):
    """4 Monte Carlo standard errors of so many independent draws; nearly normal, so that Var(s^2) = 2 sigma^4 / n."""
    assert abs(draws.mean() - mean) < 4 * np.sqrt(variance / effective)
    assert abs(draws.var() - variance) < 4 * variance * np.sqrt(2 / effective)


def test_rejection_has_the_exact_posterior_of_what_it_accepts():
    """The threshold is known afterwards only, but it is sharp: of 20,000 draws, the 500th distance varies by 4 %."""
    found = abc(noisy, PRIOR, OBSERVED, key=KEY, simulations=20_000, keep=500, distance=square, batch=1000)
    mean, variance = of_normal(np.sqrt(found.diagnostics["threshold"]))
    assert_moments(found.z.ravel(), mean, variance, 500)
    assert found.converged


def test_what_is_kept_is_nearest_and_the_rest_is_further():
    """A simulator without noise has its distances in the open: the kept draws fill an interval around the observation."""
    found = abc(same, PRIOR, OBSERVED, key=KEY, simulations=5000, keep=100, distance=square, batch=500)
    apart = (found.z.ravel() - OBSERVED[0]) ** 2
    assert np.all(np.diff(apart) >= 0)
    assert found.diagnostics["nearest"] == pytest.approx(apart[0], rel=1e-12)
    assert found.diagnostics["threshold"] == pytest.approx(apart[-1], rel=1e-12)
    # Of 5,000 prior draws, about 100 lie within: binomial, 4 standard deviations.
    epsilon = np.sqrt(apart[-1])
    inside = scipy.stats.norm.cdf(OBSERVED[0] + epsilon) - scipy.stats.norm.cdf(OBSERVED[0] - epsilon)
    assert abs(5000 * inside - 100) < 4 * 10


@pytest.mark.parametrize("batch", [7, 1000])
def test_the_posterior_does_not_depend_on_the_batch(batch):
    arguments = {"key": KEY, "simulations": 200, "keep": 20}
    found = abc(noisy, PRIOR, OBSERVED, batch=batch, **arguments)
    np.testing.assert_allclose(found.z, abc(noisy, PRIOR, OBSERVED, batch=200, **arguments).z, rtol=1e-12)
    assert found.simulations == 200


@pytest.mark.parametrize("method", [abc, abc_smc])
def test_as_many_simulations_run_as_are_reported(method):
    calls = []

    def counted(theta):
        jax.debug.callback(lambda v: calls.append(1), theta["a"])
        return theta["a"][None]

    rest = {"keep": 10} if method is abc else {"particles": 20}
    found = method(counted, PRIOR, OBSERVED, key=KEY, simulations=130, batch=40, **rest)
    jax.effects_barrier()
    assert found.simulations == len(calls)
    assert found.simulations == 130 if method is abc else found.simulations <= 130


def broken(theta):
    return jnp.where(theta["a"] < 0, jnp.nan, theta["a"])[None]


def test_simulations_that_are_not_finite_are_rejected_and_counted():
    """Half of the prior is not finite: binomial, 4 standard deviations of 2,000 draws are 89."""
    found = abc(broken, PRIOR, OBSERVED, key=KEY, simulations=2000, keep=900, batch=500)
    assert abs(found.diagnostics["not_finite"] - 1000) < 89
    assert float(found.samples["a"].min()) >= 0
    with pytest.raises(q.SolveError, match="of 2000 simulations are finite, fewer than the 1100 to keep"):
        abc(broken, PRIOR, OBSERVED, key=KEY, simulations=2000, keep=1100, batch=500)


def test_the_default_distance_is_in_units_of_each_series_and_leaves_missing_values_out():
    """Two series: (1/2) (mean square / variance of each), of what was observed; the deviation is 0 at the draw a = 0.3."""
    data = {"large": np.array([1e6, 3e6, np.nan, 2e6]), "small": np.array([0.1, 0.4, 0.3])}

    def simulator(theta):
        return {"large": jnp.array([1e6, 3e6, jnp.inf, 2e6]) + 1e6 * theta["a"], "small": data["small"] + theta["a"]}

    found = abc(simulator, PRIOR, data, key=KEY, simulations=50, keep=50, batch=50, missing=True)
    a = found.z.ravel()
    expected = 0.5 * ((1e6 * a) ** 2 / np.nanvar(data["large"]) + a**2 / np.var(data["small"]))
    assert found.diagnostics["threshold"] == pytest.approx(expected.max(), rel=1e-9)
    assert found.diagnostics["nearest"] == pytest.approx(expected.min(), rel=1e-9)
    assert found.diagnostics["missing"] == 1


def test_smc_has_the_exact_posterior_below_its_threshold():
    """Particles are resampled copies that moved: as good as half as many independent draws."""
    found = abc_smc(
        noisy, PRIOR, OBSERVED, key=KEY, simulations=40_000, particles=1000, threshold=0.04, distance=square, batch=1000
    )
    assert found.diagnostics["threshold"] == 0.04
    assert found.converged
    mean, variance = of_normal(0.2)
    assert_moments(found.z.ravel(), mean, variance, 500)


def test_smc_of_a_tight_threshold_weighs_by_the_prior():
    """Without noise and with y = 2, a given |a - y| <= 0.5 is the normal prior truncated to [1.5, 2.5]."""
    found = abc_smc(
        same,
        PRIOR,
        np.array([2.0]),
        key=KEY,
        simulations=40_000,
        particles=1000,
        threshold=0.25,
        distance=square,
        batch=1000,
    )
    exact = scipy.stats.truncnorm(1.5, 2.5)
    assert np.all(np.abs(found.z - 2) <= 0.5)
    assert_moments(found.z.ravel(), exact.mean(), exact.var(), 500)


def test_smc_comes_closer_than_rejection_with_as_many_simulations():
    """Four unknowns: prior draws rarely come close to all four observations."""
    prior = {"x": dist.Normal(jnp.zeros(4), 1.0)}
    arguments = (lambda t: t["x"], prior, np.array([1.0, -1.0, 0.5, 1.5]))
    smc = abc_smc(*arguments, key=KEY, simulations=10_000, particles=200, batch=1000)
    rejection = abc(*arguments, key=KEY, simulations=smc.simulations, keep=200, batch=1000)
    assert smc.diagnostics["threshold"] < 0.5 * rejection.diagnostics["threshold"]
    assert smc.diagnostics["rounds"] > 1
    assert 0 < smc.diagnostics["acceptance"] < 1


def test_smc_rejects_and_counts_what_is_not_finite():
    found = abc_smc(broken, PRIOR, OBSERVED, key=KEY, simulations=4000, particles=200, batch=1000)
    assert float(found.samples["a"].min()) >= 0
    assert found.diagnostics["not_finite"] > 50
    with pytest.raises(q.SolveError, match="Only 0 of 200 prior draws have a finite simulation"):
        abc_smc(lambda t: jnp.nan * t["a"][None], PRIOR, OBSERVED, key=KEY, simulations=4000, particles=200)


def test_smc_that_runs_out_of_simulations_says_so():
    with pytest.warns(UserWarning, match="The particles are not to be trusted"):
        found = abc_smc(noisy, PRIOR, OBSERVED, key=KEY, simulations=400, particles=200, threshold=1e-6)
    assert not found.converged
    assert found.diagnostics["threshold"] > 1e-6


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        (abc, {"simulations": 10, "keep": 11}, "keep is 11, more than the 10 simulations"),
        (abc, {"simulations": 0}, "simulations is 0"),
        (abc, {"keep": 2.5}, "keep is 2.5"),
        (abc, {"batch": 0}, "batch is 0"),
        (abc, {"distance": 3}, "distance is a int"),
        (abc, {"distance": lambda s, o: s - o}, "distance returns"),
        (abc_smc, {"particles": 3}, "particles is 3"),
        (abc_smc, {"particles": 100, "simulations": 199}, "simulations is 199"),
        (abc_smc, {"quantile": 1.0}, "quantile is 1.0"),
        (abc_smc, {"threshold": -1.0}, "threshold is -1.0"),
    ],
)
def test_arguments_outside_their_domain_are_refused(method, given, message):
    with pytest.raises(q.InputError, match=message):
        method(noisy, PRIOR, OBSERVED, key=KEY, **given)
