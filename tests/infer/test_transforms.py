"""Losses of transformed series, against the transform written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import quesnay as q
from quesnay.infer import Gaussian, SyntheticLikelihood, cumulative, scaled, square_root
from quesnay.infer.problem import read_problem

KEY = jax.random.key(0)
PRIOR = {"a": dist.Normal(1.0, 1.0)}
Y = {"counts": np.array([3.0, 0.0, 5.0]), "flows": np.array([[1.0, 4.0], [2.0, 2.0]])}
X = {"counts": np.array([1.0, 2.0, 2.0]), "flows": np.array([[1.0, 1.0], [5.0, 2.0]])}

TRANSFORMS = {
    "cumulative": (cumulative, lambda v, y: np.cumsum(v, axis=0)),
    "square root": (square_root, lambda v, y: 2 * np.sqrt(v + 0.375 * y[y > 0].min())),
    "square root of tenths": (lambda loss: square_root(loss, 0.1), lambda v, y: 2 * np.sqrt(v + 0.0375)),
    "scaled": (scaled, lambda v, y: v / np.sqrt(np.mean(y**2))),
    "nested": (
        lambda loss: cumulative(square_root(loss, 1.0)),
        lambda v, y: 2 * np.sqrt(np.cumsum(v, axis=0) + 0.375),
    ),
}


def problem(observed, **options):
    return read_problem(
        lambda t: jax.tree.map(lambda v: t["a"] * jnp.ones_like(v), observed), PRIOR, observed, **options
    )


def vector(tree):
    return jnp.concatenate([jnp.ravel(tree[name]) for name in ("counts", "flows")])


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_loss_is_that_of_the_transformed_series(name):
    make, change = TRANSFORMS[name]
    loss = make(Gaussian(0.5)).fit(problem(Y), KEY).loss
    expected = sum(0.5 * np.sum((change(X[k], Y[k]) - change(Y[k], Y[k])) ** 2) / 0.25 for k in Y)
    value, slope = jax.value_and_grad(loss)(vector(X)[None], vector(Y))
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    assert np.isfinite(slope).all()


def test_sums_of_noise_have_the_covariance_of_sums():
    """The likelihood of cumulated white noise is that of the noise itself: sums are one-to-one, and the covariance knows it."""

    def noisy(theta, key):
        return theta["a"] + jax.random.normal(key, (4,))

    y, x = jnp.array([1.0, -1.0, 0.5, 2.0]), jnp.array([[0.3, 0.4, -1.0, 0.0]])
    p = read_problem(noisy, PRIOR, y)
    given = SyntheticLikelihood(shrinkage=1e-9, pilot_draws=4000, pilot_steps=2)
    found = cumulative(given).fit(p, KEY).loss(x, y)
    # A covariance of 4 numbers from n draws has relative errors of about sqrt(2 / n).
    np.testing.assert_allclose(found, 0.5 * jnp.sum((x - y) ** 2), rtol=5 * np.sqrt(2 / 4000))


@pytest.mark.parametrize(
    ("make", "observed", "options", "says"),
    [
        (cumulative, np.array([1.0, np.nan]), {"missing": True}, "values missing; fill them"),
        (cumulative, np.array(1.0), {}, "is a single number"),
        (square_root, np.array([1.0, -1.0]), {}, "negative values; leave square_root out"),
        (square_root, np.zeros(2), {}, "give unit="),
        (scaled, np.zeros(2), {}, "zero throughout; leave it out"),
    ],
)
def test_what_cannot_be_transformed_is_refused_in_one_sentence(make, observed, options, says):
    with pytest.raises(q.InputError, match=says):
        make(Gaussian(1.0)).fit(problem(observed, **options), KEY)


def test_what_is_no_loss_is_refused():
    with pytest.raises(q.InputError, match="the loss of scaled"):
        scaled(0.1)
    with pytest.raises(q.InputError, match="unit is 0"):
        square_root(Gaussian(1.0), 0)
    with pytest.raises(q.InputError, match=r"call fit\(problem, key\) first"):
        scaled(Gaussian(1.0))(jnp.ones((1, 2)), jnp.ones(2))
