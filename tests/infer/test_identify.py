"""Laws of `identify`: linear models in closed form, what only a sum shows, and both modes of derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import quesnay as q
from quesnay.infer.identify import identify, unconstrain
from quesnay.infer.prior import read_prior

KEY = jax.random.key(0)
A = jnp.asarray(np.random.default_rng(0).normal(size=(6, 3)))
PRIOR = {"x": dist.Normal(jnp.zeros(3), 2.0)}


def linear(theta):
    return A @ theta["x"]


@jax.custom_vjp
def backwards_only(x):
    return A @ x


backwards_only.defvjp(lambda x: (A @ x, None), lambda _, g: (A.T @ g,))


def test_a_linear_model_has_its_closed_form():
    scale = np.linspace(0.5, 2, 6)
    report = identify(linear, PRIOR, key=KEY, scale=scale)
    J = 2.0 * np.asarray(A) / scale[:, None]  # x = 2 z
    F = J.T @ J
    np.testing.assert_allclose(report.information, F, rtol=1e-5)
    np.testing.assert_allclose(report.spectrum, np.linalg.eigvalsh(F)[::-1], rtol=1e-5)
    np.testing.assert_allclose(report.contraction, 1 - np.diag(np.linalg.inv(F + np.eye(3))), rtol=1e-5)
    np.testing.assert_allclose(report.effective, np.trace(F @ np.linalg.inv(F + np.eye(3))), rtol=1e-5)
    assert report.observations == 6


def test_the_difference_is_unseen_where_data_show_a_sum():
    prior = {"a": dist.Normal(0.0, 1.0), "b": dist.Normal(0.0, 1.0), "c": dist.Normal(0.0, 1.0)}
    report = identify(lambda t: jnp.stack([t["a"] + t["b"], t["c"]]), prior, key=KEY, scale=0.1)
    least = report.unseen(1)[0]
    np.testing.assert_allclose(abs(least.sel(unknown=["a", "b", "c"])), [2**-0.5, 2**-0.5, 0], atol=1e-6)
    assert float(least.sel(unknown="a") * least.sel(unknown="b")) < 0
    np.testing.assert_allclose(report.spectrum[-1], 0, atol=1e-4)
    np.testing.assert_allclose(abs(report.directions(1)[0]), [2**-0.5, 2**-0.5, 0], atol=1e-6)
    assert report.seen == 2
    assert "2 of 3 directions are seen" in str(report)
    # Half of each term's variance stays, but for what the sum (variance 2, error 0.1) leaves: 1 - (1/2 + 1/2 / 201).
    np.testing.assert_allclose(report.contraction.sel(unknown="a"), 0.5 - 0.5 / 201, rtol=1e-4)


def test_a_simulator_with_only_reverse_mode_has_the_same_information():
    here = identify(linear, PRIOR, key=KEY, scale=1.0)
    there = identify(lambda t: backwards_only(t["x"]), PRIOR, key=KEY, scale=1.0)
    np.testing.assert_allclose(there.information, here.information, rtol=1e-5)


def test_a_simulator_with_only_forward_mode_has_the_same_information():
    def loops(theta):
        return jax.lax.while_loop(
            lambda s: s[0] < 1.0, lambda s: (s[0] + 1.0, s[1] + theta["x"][:2]), (0.0, jnp.zeros(2))
        )[1]

    report = identify(loops, PRIOR, key=KEY, scale=1.0)
    np.testing.assert_allclose(report.information, np.diag([4.0, 4.0, 0.0]), atol=1e-6)


def test_sketches_are_unbiased():
    exact = identify(linear, PRIOR, key=KEY, scale=1.0).information
    many = identify(linear, PRIOR, key=KEY, scale=1.0, sketches=20_000)
    # The standard error of an entry is below sqrt(2 F_ii F_jj / K), by the variance of a quadratic form in signs.
    bound = 4 * np.sqrt(2 * np.outer(np.diag(exact), np.diag(exact)) / 20_000)
    assert (abs(np.asarray(many.information - exact)) < bound).all()
    few = identify(linear, PRIOR, key=KEY, scale=1.0, sketches=2)
    assert np.linalg.matrix_rank(few.information.to_numpy(), tol=1e-3) <= 2
    assert "estimated from 2 random" in str(few)


def test_the_point_matters_and_draws_average_over_it():
    prior = {"r": dist.LogNormal(0.5, 0.3)}
    at = identify(lambda t: t["r"][None], prior, key=KEY, scale=1.0, at={"r": 2.0})
    np.testing.assert_allclose(at.information, (0.3 * 2.0) ** 2, rtol=1e-5)  # dr/dz = 0.3 r
    mean = identify(lambda t: t["r"][None], prior, key=KEY, scale=1.0, draws=200)
    assert mean.points == 200
    # E r^2 of a log-normal is exp(2 mu + 2 sigma^2).
    np.testing.assert_allclose(mean.information, 0.09 * np.exp(1 + 2 * 0.09), rtol=0.2)


@pytest.mark.parametrize(
    ("prior", "theta"),
    [
        (dist.LogNormal(jnp.zeros(2), 1.0), [0.5, 3.0]),
        (dist.Uniform(0.0, 4.0).expand([2]), [0.1, 3.9]),
        (dist.TransformedDistribution(dist.Normal(0.0, 1.0), dist.transforms.AffineTransform(3.0, 2.0)), 4.0),
        (dist.Dirichlet(jnp.ones(3)), [0.2, 0.3, 0.5]),
    ],
)
def test_a_point_goes_to_z_and_back(prior, theta):
    space = read_prior({"p": prior})
    np.testing.assert_allclose(space.constrain(unconstrain(space, {"p": theta}))["p"], theta, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"at": {"y": 1.0}}, "at has the entries y"),
        ({"at": {"x": 1.0}}, "has shape"),
        (
            {"at": {"x": [-1.0, 1.0, 1.0]}, "prior": {"x": dist.LogNormal(jnp.zeros(3), 1.0)}},
            "outside the prior's support",
        ),
        ({"at": {"x": [1.0, 1.0, 1.0]}, "draws": 2}, "one of the two"),
        ({"scale": -1.0}, "scale"),
        ({"scale": np.ones(5)}, "scale"),
        ({"sketches": 0}, "sketches"),
        ({"simulator": 1}, "simulator is a int"),
    ],
)
def test_what_does_not_fit_is_said(change, said):
    with pytest.raises(q.InputError, match=said):
        identify(**{"simulator": linear, "prior": PRIOR, "key": KEY, "scale": 1.0, **change})


def test_derivatives_that_are_not_finite_are_said():
    with pytest.raises(q.SolveError, match="not finite for 3 of 3"):
        identify(lambda t: jnp.sqrt(t["x"]), PRIOR, key=KEY, scale=1.0)
