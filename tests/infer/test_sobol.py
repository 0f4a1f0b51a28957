"""Laws of `sobol`: published indices, closed forms of linear outcomes, and gradients against differences."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import quesnay as q
from quesnay.infer.prior import read_prior
from quesnay.infer.sobol import quantile, sobol

KEY = jax.random.key(1)
LINEAR = {"a": dist.Normal(0.0, 1.0), "b": dist.Normal(jnp.ones(2), 2.0)}


def linear(theta):
    return jnp.stack([theta["a"] + theta["b"][0], 3.0 * theta["a"] + 0.0 * theta["b"][1]])


def test_ishigami_has_its_published_indices():
    prior = {"x": dist.Uniform(-jnp.pi, jnp.pi).expand([3])}

    def ishigami(theta):
        x = theta["x"]
        return jnp.sin(x[0]) + 7 * jnp.sin(x[1]) ** 2 + 0.1 * x[2] ** 4 * jnp.sin(x[0])

    report = sobol(ishigami, prior, key=KEY, samples=1024)
    # Ishigami and Homma (1990), in closed form for a = 7, b = 0.1: Saltelli et al. (2000), Sensitivity Analysis, table 2.
    np.testing.assert_allclose(report.first[0], [0.3139, 0.4424, 0.0], atol=0.04)
    np.testing.assert_allclose(report.total[0], [0.5576, 0.4424, 0.2437], atol=0.04)
    # Its variance is a^2/8 + b pi^4/5 + b^2 pi^8/18 + 1/2.
    variance = 49 / 8 + 0.1 * np.pi**4 / 5 + 0.01 * np.pi**8 / 18 + 0.5
    np.testing.assert_allclose(report.variance, variance, rtol=0.05)
    assert report.evaluations == 1024 * 5


def test_a_linear_outcome_has_the_squares_of_its_slopes_as_indices():
    report = sobol(linear, LINEAR, key=KEY, samples=512, outcomes=["sum", "a alone"], labels={"b": ["north", "south"]})
    # b = 1 + 2 z: slopes in z of (1, 2, 0), squares of 1 and 4.
    np.testing.assert_allclose(report.gradient.sel(outcome="sum"), [1, 2, 0], atol=1e-6)
    np.testing.assert_allclose(report.share.sel(outcome="sum"), [0.2, 0.8, 0], atol=1e-6)
    for index in (report.first, report.total):
        np.testing.assert_allclose(index.sel(outcome="sum"), [0.2, 0.8, 0], atol=0.04)
        np.testing.assert_allclose(index.sel(outcome="a alone"), [1, 0, 0], atol=0.04)
    assert list(report.first["unknown"].to_numpy()) == ["a", "b[north]", "b[south]"]
    assert "sum: total Sobol' index b[north]" in str(report)


def test_gradients_are_those_of_finite_differences():
    prior = {"r": dist.LogNormal(0.2, 0.5), "s": dist.Uniform(1.0, 3.0)}
    space = read_prior(prior)

    def outcome(theta):
        return jnp.log1p(theta["r"]) * theta["s"] ** 2

    report = sobol(outcome, prior, key=KEY, samples=8)
    h = 1e-2
    for k, z in enumerate(np.eye(2) * h):
        up, down = (float(outcome(space.constrain(jnp.asarray(s * z)))) for s in (1, -1))
        np.testing.assert_allclose(report.gradient[0, k], (up - down) / (2 * h), rtol=1e-3)


@pytest.mark.parametrize(
    "value", [dist.Normal(2.0, 3.0), dist.LogNormal(0.0, 1.0), dist.Uniform(1.0, 5.0), dist.Exponential(2.0)]
)
def test_the_quantile_transform_is_the_inverse_of_the_distribution_function(value):
    space = read_prior({"p": value})
    for u in (0.03, 0.5, 0.9):
        x = space.constrain(quantile(space, jnp.asarray([u])))["p"]
        np.testing.assert_allclose(value.cdf(x), u, rtol=1e-3)


def test_an_outcome_that_does_not_vary_has_no_indices():
    report = sobol(lambda t: jnp.stack([t["a"], 0.0 * t["a"] + 4.0]), {"a": dist.Normal(0.0, 1.0)}, key=KEY, samples=8)
    assert np.isnan(report.first[1]).all()
    assert (report.share[1] == 0).all()
    assert "1: does not vary" in str(report)


def test_the_same_key_gives_the_same_report_and_a_drawing_function_one_path():
    def drawing(theta, key):
        return theta["a"] + jax.random.normal(key)

    one, two = (sobol(drawing, {"a": dist.Normal(0.0, 1.0)}, key=KEY, samples=16) for _ in range(2))
    np.testing.assert_array_equal(one.total, two.total)
    np.testing.assert_allclose(one.total, 1.0, atol=0.4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"samples": 100}, "power of 2, such as 64"),
        ({"limit": 100}, "more than limit=100"),
        ({"outcomes": ["one"]}, "1 labels for 2 outcomes"),
        ({"prior": {"p": dist.Dirichlet(jnp.ones(3))}}, "has no quantile function"),
        ({"function": lambda t: {"y": t["a"]}}, "function returns dict"),
        ({"function": 2}, "function is a int"),
    ],
)
def test_what_does_not_fit_is_said(change, said):
    with pytest.raises(q.InputError, match=said):
        sobol(**{"function": linear, "prior": LINEAR, "key": KEY, "samples": 64, **change})


def test_outcomes_that_are_not_finite_are_counted():
    with pytest.raises(q.SolveError, match="of 48 evaluations over the prior are not finite"):
        sobol(lambda t: jnp.log(t["a"]), {"a": dist.Normal(0.0, 1.0)}, key=KEY, samples=16)
