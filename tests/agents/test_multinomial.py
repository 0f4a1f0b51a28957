"""Counts by category: their law, and derivatives against all outcomes enumerated with their probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import quesnay as q
from quesnay.agents.multinomial import multinomial
from quesnay.agents.score import with_log_probability

ag = q.agents
KEYS = jax.random.split(jax.random.key(0), 4000)
N, P, TOWARDS = 3, np.array([0.2, 0.5, 0.3]), np.array([0.3, -0.5, 0.2])
COUNTS = {"smoothed": ag.Smoothed(), "straight": ag.StraightThrough(), "mean": ag.MeanField(), "none": None}


def outcomes(estimator, p=P):
    """Return all outcomes of N trials that 4,000 keys meet, their frequencies, and slopes by p (along TOWARDS) and by n."""

    def draw(theta, key):
        return multinomial(key, N + theta[1], p + theta[0] * TOWARDS, estimator=estimator)

    at = jnp.zeros(2)
    value, slope = jax.vmap(lambda key: (draw(at, key), jax.jacfwd(draw)(at, key)))(KEYS)
    value, slope = np.asarray(value), np.asarray(slope)
    rows, first, group, times = np.unique(value, axis=0, return_index=True, return_inverse=True, return_counts=True)
    np.testing.assert_allclose(slope, slope[first][group.ravel()], rtol=1e-12, atol=1e-12)
    return rows, times, slope[first, :, 0], slope[first, :, 1]


def test_smoothed_counts_have_no_bias_where_what_follows_is_quadratic():
    """f(x) = g'x + x'Ax, E f = n g'p + n diag(A)'p + n (n - 1) p'Ap; its derivatives by p and, as a polynomial, by n."""
    x, times, by_p, by_n = outcomes(ag.Smoothed())
    chance = scipy.stats.multinomial.pmf(x, N, P)
    assert chance.sum() == pytest.approx(1, rel=1e-12)
    assert scipy.stats.chisquare(times, chance * len(KEYS)).pvalue > 1e-4
    np.testing.assert_allclose(by_p.sum(axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(by_n.sum(axis=1), 1, rtol=1e-14)
    g, A = np.array([1.0, -2.0, 0.5]), np.array([[0.4, 1.0, -1.0], [1.0, 2.0, 0.3], [-1.0, 0.3, -0.7]])
    after = g + 2 * x @ A
    # Chained binomial draws would be off by 2 % here, and by a quarter where p is uneven: no trials are left in the end.
    assert chance @ np.sum(after * by_p, axis=1) == pytest.approx(
        N * (g + np.diag(A)) @ TOWARDS + 2 * N * (N - 1) * P @ A @ TOWARDS, rel=1e-12
    )
    assert chance @ np.sum(after * by_n, axis=1) == pytest.approx(
        (g + np.diag(A)) @ P + (2 * N - 1) * P @ A @ P, rel=1e-12
    )


@pytest.mark.parametrize("estimator", COUNTS.values(), ids=COUNTS)
def test_trials_are_conserved_and_means_have_their_derivatives(estimator):
    """E x = n p, by all outcomes; the sum has the derivative of n, but where there is none at all."""
    x, _, by_p, by_n = outcomes(estimator)
    np.testing.assert_allclose(x.sum(axis=1), N, rtol=0, atol=1e-15)
    if estimator is None:
        assert not by_p.any()
        assert not by_n.any()
        return
    chance = np.ones(1) if isinstance(estimator, ag.MeanField) else scipy.stats.multinomial.pmf(x, N, P)
    np.testing.assert_allclose(chance @ x, N * P, rtol=1e-12)
    np.testing.assert_allclose(chance @ by_p, N * TOWARDS, rtol=1e-12)
    np.testing.assert_allclose(chance @ by_n, P, rtol=1e-12)
    np.testing.assert_allclose(by_p.sum(axis=1), 0, atol=1e-13)
    np.testing.assert_allclose(by_n.sum(axis=1), 1, rtol=1e-13)


@pytest.mark.parametrize("estimator", COUNTS.values(), ids=COUNTS)
def test_certain_categories_are_certain(estimator):
    n = jnp.array([4.0, 4.0, 0.0, 4.0])
    p = jnp.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.2, 0.5, 0.3], [0.0, 1.0, 0.0]])

    def draw(n, p):
        return multinomial(KEYS[0], n, p, estimator=estimator)

    np.testing.assert_array_equal(draw(n, p), n[:, None] * p)
    forward, reverse = (by(draw, argnums=(0, 1))(n, p) for by in (jax.jacfwd, jax.jacrev))
    for one, other in zip(forward, reverse, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    if estimator is not None:
        np.testing.assert_allclose(np.einsum("ijl->ij", forward[0]), p, rtol=1e-12)
        # Into a category without probability, and out of one that is certain.
        towards = jnp.array([[-0.5, 0.2, 0.3], [0.1, 0.2, -0.3], [0.1, -0.1, 0.0], [0.3, -0.3, 0.0]])
        slope = jax.jvp(lambda p: draw(n, p), (p,), (towards,))[1]
        np.testing.assert_allclose(slope, n[:, None] * towards, rtol=1e-12, atol=1e-12)


def test_the_score_is_that_of_the_multinomial_law():
    """d log P / dt = sum_j x_j p'_j / p_j."""

    def one(key):
        draw = with_log_probability(lambda t: multinomial(key, N, P + t * TOWARDS, estimator=ag.Score()))
        (x, _), (_, by) = jax.jvp(draw, (0.0,), (1.0,))
        return x, by

    x, by = jax.vmap(one)(KEYS[:50])
    np.testing.assert_allclose(by, x @ (TOWARDS / P), rtol=1e-12, atol=1e-12)


WRONG = {
    "sum": ((3, [0.2, 0.2]), {}, "p adds up to 0.4"),
    "one": ((3, [1.0]), {}, "two or more categories"),
    "none": ((3, [1.2, -0.2]), {}, "no probabilities, the first 1.2"),
    "trials": ((2.5, [0.5, 0.5]), {}, "negative or not whole"),
    "relaxed": ((3, [0.5, 0.5]), {"estimator": ag.GumbelSoftmax()}, "relaxes choices, not counts"),
    "estimator": ((3, [0.5, 0.5]), {"estimator": "smoothed"}, "estimator is 'smoothed'; give Smoothed"),
}


@pytest.mark.parametrize(("given", "more", "says"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(given, more, says):
    with pytest.raises(q.InputError, match=says):
        multinomial(KEYS[0], *given, **more)
    with pytest.raises(q.InputError, match="key is of type int"):
        multinomial(0, 3, [0.5, 0.5])
