"""The prior as one standardised vector."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats
from numpyro.distributions.transforms import AffineTransform, ExpTransform

import quesnay as q
from quesnay.infer.prior import entries, read_prior

# The densities that the same variables have in scipy, x = distribution's own variable.
CASES = {
    "normal": (dist.Normal(3.0, 2.0), scipy.stats.norm(3, 2)),
    "lognormal": (dist.LogNormal(1.0, 0.5), scipy.stats.lognorm(0.5, scale=np.e)),
    "gamma": (dist.Gamma(2.0, 3.0), scipy.stats.gamma(2, scale=1 / 3)),
    "beta": (dist.Beta(2.0, 5.0), scipy.stats.beta(2, 5)),
    "uniform": (dist.Uniform(1.0, 4.0), scipy.stats.uniform(1, 3)),
}


@pytest.mark.parametrize("name", CASES)
def test_density_of_z_is_the_density_of_x_times_the_volume(name):
    """p(z) = p(x) dx/dz, p(x) by scipy, dx/dz by a central difference."""
    ours, theirs = CASES[name]
    prior = read_prior({"x": ours})
    for z in (-1.2, 0.0, 0.7):
        x = lambda z: float(prior.constrain(jnp.asarray([z]))["x"])  # noqa: E731
        volume = (x(z + 1e-5) - x(z - 1e-5)) / 2e-5
        expected = theirs.logpdf(x(z)) + np.log(volume)
        assert abs(float(prior.log_density(jnp.asarray([z]))) - expected) < 1e-7


@pytest.mark.parametrize("name", CASES)
def test_draws_have_the_quantiles_of_the_distribution(name):
    """Kolmogorov and Smirnov against scipy's distribution function, at one in a thousand."""
    ours, theirs = CASES[name]
    prior = read_prior({"x": ours})
    draws = jax.vmap(prior.constrain)(prior.sample(jax.random.key(2), 2000))["x"]
    assert scipy.stats.kstest(np.asarray(draws), theirs.cdf).pvalue > 1e-3


def test_normal_priors_are_standard_normal_in_z():
    shifted = dist.TransformedDistribution(dist.Normal(jnp.zeros(2), 0.7), [ExpTransform(), AffineTransform(1.0, 1.0)])
    prior = read_prior({"a": dist.Normal(1.0, 2.0), "b": shifted, "c": dist.LogNormal(0.0, 1.0).expand([3])})
    z = jnp.linspace(-2, 2, prior.size)
    assert prior.size == 6
    np.testing.assert_allclose(prior.log_density(z), scipy.stats.norm.logpdf(np.asarray(z)).sum(), rtol=1e-12)
    theta = prior.constrain(z)
    assert (theta["b"] > 1).all()  # 1 + exp(.), also where the transform does not say so
    np.testing.assert_allclose(theta["b"], 1 + np.exp(0.7 * np.asarray(z[1:3])), rtol=1e-12)
    assert [v.shape for v in theta.values()] == [(), (2,), (3,)]


def test_a_prior_on_shares_keeps_them_shares():
    """A Dirichlet has one unknown less than entries."""
    prior = read_prior({"w": dist.Dirichlet(jnp.ones(4))})
    assert prior.size == 3
    w = prior.constrain(jnp.asarray([0.3, -1.0, 2.0]))["w"]
    assert w.shape == (4,)
    np.testing.assert_allclose(w.sum(), 1.0, rtol=1e-12)


def test_entries_have_the_users_labels():
    prior = read_prior({"a": dist.Normal(0.0, 1.0), "b": dist.Normal(jnp.zeros((2, 2)), 1.0)})
    assert entries(prior, {"b": ["x", "y"]}) == ["a", "b[x, 0]", "b[x, 1]", "b[y, 0]", "b[y, 1]"]
    with pytest.raises(q.LabelError, match="the prior has not"):
        entries(prior, {"c": ["x"]})
    with pytest.raises(q.LabelError, match="one per row"):
        entries(prior, {"b": ["x"]})


@pytest.mark.parametrize(
    ("prior", "sentence"),
    [
        ({}, "one per parameter"),
        ([1], "one per parameter"),
        ({"a": 3.0}, "numpyro.distributions"),
        ({"a": dist.Poisson(2.0)}, "discrete"),
        ({1: dist.Normal(0.0, 1.0)}, "as text"),
        ({"a": dist.Cauchy(0.0, 1.0)}, None),
    ],
)
def test_a_prior_that_is_none_is_refused(prior, sentence):
    if sentence is None:
        assert read_prior(prior).size == 1  # heavy tails have a scale here: that of the draws
        return
    with pytest.raises(q.InputError, match=sentence):
        read_prior(prior)


def test_parameters_keep_their_order_through_jax():
    """JAX sorts the keys of a dict; z must mean the same before and after."""
    prior = read_prior({"late": dist.Normal(0.0, 1.0), "early": dist.Normal(5.0, 2.0)})
    z = jnp.asarray([0.3, -0.7])
    traced = jax.jit(lambda p, z: p.constrain(z))(prior, z)
    assert {k: float(v) for k, v in traced.items()} == {k: float(v) for k, v in prior.constrain(z).items()}
    assert list(jax.tree.map(lambda v: v, prior).parameters) == ["late", "early"]
