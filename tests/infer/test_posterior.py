"""What is known of a posterior: labels, intervals, contraction, files."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats
import xarray as xr

import quesnay as q
from quesnay.infer.posterior import make_posterior
from quesnay.infer.problem import read_problem

PRIOR = {"a": dist.Normal(2.0, 3.0), "b": dist.LogNormal(jnp.zeros(2), 0.5)}
simulator = lambda t: t["a"] * t["b"]  # noqa: E731


@pytest.fixture(scope="module")
def posterior():
    """Draws that are known: normal with means 0, 1, -1 and deviations 1, 0.5, 0.1 in z."""
    grid = scipy.stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
    rng = np.random.default_rng(0)
    z = np.stack([rng.permutation(grid) * s + m for m, s in ((0, 1), (1, 0.5), (-1, 0.1))], axis=-1)
    problem = read_problem(simulator, PRIOR, np.array([1.0, 2.0]))
    return make_posterior(
        problem, z.reshape(2, 1000, 3), method="known", simulations=7, converged=True, diagnostics={"x": 1.5},
        labels={"b": ["Farms", "Mines"]},
    )  # fmt: skip


def test_samples_are_in_the_priors_units_and_labelled(posterior):
    """Means and quantiles of normal and log-normal variables, from scipy."""
    assert posterior.samples["b"].dims == ("chain", "draw", "b_dim_0")
    np.testing.assert_allclose(posterior.mean()["a"], 2.0, atol=1e-9)
    lower, upper = posterior.interval(0.9)["b"].sel(b_dim_0="Farms")
    exact = np.exp(0.5 * (1 + 0.5 * scipy.stats.norm.ppf([0.05, 0.95])))
    np.testing.assert_allclose([lower, upper], exact, rtol=2e-3)


def test_contraction_is_one_minus_the_ratio_of_variances(posterior):
    found = posterior.contraction()
    np.testing.assert_allclose(found["a"], 0.0, atol=2e-3)
    np.testing.assert_allclose(found["b"], [1 - 0.25, 1 - 0.01], atol=2e-3)


def test_predictions_are_simulations_at_the_draws(posterior):
    theta = posterior.theta(10)
    found = posterior.predict(jax.random.key(0), draws=10)
    np.testing.assert_allclose(found.samples, theta["a"][:, None] * theta["b"], rtol=1e-12)
    assert found.interval(0.5).shape == (2, 2)
    other = posterior.predict(jax.random.key(0), draws=10, simulator=lambda t, key: t["a"] + jax.random.normal(key))
    assert other.samples.shape == (10,)
    assert (other.samples != np.asarray(theta["a"])).all()


def test_a_saved_posterior_is_the_same(posterior, tmp_path):
    path = posterior.save(tmp_path / "posterior.nc")
    again = q.infer.load(path)
    np.testing.assert_array_equal(again.z, posterior.z)
    assert again.samples.equals(posterior.samples)
    assert again.contraction().equals(posterior.contraction())
    assert (again.method, again.simulations, again.converged, again.diagnostics) == ("known", 7, True, {"x": 1.5})
    assert [p.name for p in tmp_path.iterdir()] == ["posterior.nc"]
    with pytest.raises(q.InputError, match="pass simulator="):
        again.predict(jax.random.key(0))
    np.testing.assert_allclose(
        again.predict(jax.random.key(0), simulator=simulator).samples, posterior.predict(jax.random.key(0)).samples
    )


def test_what_is_no_posterior_is_refused(tmp_path):
    with pytest.raises(q.InputError, match="cannot be read"):
        q.infer.load(tmp_path / "none.nc")
    other = tmp_path / "other.nc"
    xr.Dataset({"a": 1.0}).to_netcdf(other)
    with pytest.raises(q.InputError, match="holds no posterior"):
        q.infer.load(other)


def test_arviz_reads_it(posterior):
    """ArviZ's own summary has the means and deviations of the draws."""
    az = pytest.importorskip("arviz")
    summary = az.summary(posterior.to_arviz(), kind="stats", round_to=6)
    assert [str(k) for k in summary.index] == ["a", "b[Farms]", "b[Mines]"]
    np.testing.assert_allclose(
        np.asarray(summary["mean"], float), np.r_[posterior.mean()["a"], posterior.mean()["b"]], rtol=1e-4
    )
