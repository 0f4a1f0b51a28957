"""The score function: no bias whatever follows, by all outcomes enumerated and by the chain of an epidemic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import quesnay as q
from quesnay.agents.expectation import surrogates
from quesnay.agents.score import with_log_probability

ag = q.agents
KEYS = jax.random.split(jax.random.key(0), 4000)
SCORE = ag.Score()


def outcomes(draw, theta):
    """Return every outcome that 4,000 keys meet, and the derivative of its log probability."""

    def one(key):
        return jax.jvp(lambda t: with_log_probability(lambda t: draw(t, key))(t), (theta,), (jnp.ones_like(theta),))

    (value, log), (slope, by) = jax.vmap(one)(KEYS)
    assert not np.asarray(slope).any(), "draws have no derivative of their own"
    rows, first = np.unique(np.asarray(value).reshape(len(KEYS), -1), axis=0, return_index=True)
    return rows, np.asarray(log)[first], np.asarray(by)[first]


def test_all_outcomes_of_two_draws_in_a_scan_add_up_to_the_derivative():
    """f is no polynomial: E exp(x + 2 y), the second draw's probability p (1 + x) / 2."""

    def draw(p, key):
        def advance(x, own):
            x = ag.bernoulli(own, p * (1 + x) / 2, estimator=SCORE)
            return x, x

        return jax.lax.scan(advance, jnp.ones(()), jax.random.split(key))[1]

    def mean(p):
        return sum(
            np.exp(x + 2 * y) * (p if x else 1 - p) * (p * (1 + x) / 2 if y else 1 - p * (1 + x) / 2)
            for x in (0, 1)
            for y in (0, 1)
        )

    p = 0.3
    x, log, by = outcomes(draw, jnp.asarray(p))
    f = np.exp(x @ [1, 2])
    assert np.sum(np.exp(log)) == pytest.approx(1, rel=1e-12)
    assert np.sum(np.exp(log) * f) == pytest.approx(mean(p), rel=1e-12)
    assert np.sum(np.exp(log) * f * by) == pytest.approx((mean(p + 1e-6) - mean(p - 1e-6)) / 2e-6, rel=1e-8)


def test_categories_and_counts_have_their_scores():
    x, _, by = outcomes(lambda p, key: ag.binomial(key, 5, p, estimator=SCORE), jnp.asarray(0.4))
    np.testing.assert_allclose(by, x[:, 0] / 0.4 - (5 - x[:, 0]) / 0.6, rtol=1e-12)
    x, _, by = outcomes(lambda r, key: ag.poisson(key, r, estimator=SCORE), jnp.asarray(1.5))
    np.testing.assert_allclose(by, x[:, 0] / 1.5 - 1, rtol=1e-12, atol=1e-12)
    p, towards = np.array([0.2, 0.5, 0.3]), np.array([0.3, -0.5, 0.2])
    x, log, by = outcomes(lambda t, key: ag.categorical(key, p + t * towards, estimator=SCORE), jnp.asarray(0.0))
    np.testing.assert_allclose(np.exp(log), x @ p)
    np.testing.assert_allclose(by, x @ (towards / p))
    certain = outcomes(lambda p, key: ag.bernoulli(key, jnp.stack([p, 1 - p]), estimator=SCORE), jnp.asarray(0.0))
    np.testing.assert_array_equal(certain[0], [[0, 1]])
    assert (certain[1], certain[2]) == (0, 0)


@pytest.mark.parametrize("lumped", [True, False])
def test_a_small_epidemic_has_no_bias(lumped):
    """One step of six agents, from the binomial law of the start; E f with f = 1 where nobody is infected, whoever recovers."""
    agents, theta = 6, jnp.array([0.9, 0.3, 0.2])

    def spared(theta, key):
        model = ag.SIR(agents=agents, beta=theta[0], gamma=theta[2], infected=theta[1], estimator=SCORE, lumped=lumped)
        path = q.simulate(model, steps=1, key=key)
        return jnp.where(path.infections[0] == 0, 1.0, 0.0)

    def exact(beta, infected):
        i = np.arange(agents + 1)
        return scipy.stats.binom.pmf(i, agents, infected) @ np.exp(-beta * i / agents * (agents - i))

    value, slope = jax.jit(
        jax.value_and_grad(lambda t: ag.expectation(spared, t, key=jax.random.key(2), draws=20_000))
    )(theta)
    assert float(value) == pytest.approx(exact(0.9, 0.3), abs=4 * 0.5 / 20_000**0.5)
    expected = [
        (exact(0.9 + 1e-6, 0.3) - exact(0.9 - 1e-6, 0.3)) / 2e-6,
        (exact(0.9, 0.3 + 1e-6) - exact(0.9, 0.3 - 1e-6)) / 2e-6,
        0.0,
    ]
    # The score by the infected share has variance n / (p (1 - p)), those by the rates less; f a deviation of at most 1/2.
    np.testing.assert_allclose(slope, expected, rtol=0, atol=4 * 0.5 * (agents / (0.3 * 0.7) / 20_000) ** 0.5)


def test_a_single_run_has_no_derivative_and_what_cannot_be_read_says_so():
    with pytest.raises(q.InputError, match="has no derivative of a single run"):
        jax.grad(lambda p: ag.bernoulli(KEYS[0], p, estimator=SCORE))(0.3)

    def endless(p, key):
        return jax.lax.while_loop(lambda x: x < 1, lambda x: x + ag.bernoulli(key, p, estimator=SCORE), 0.0)

    with pytest.raises(q.InputError, match="cannot collect probabilities from draws in while"):
        ag.expectation(endless, 0.3, key=KEYS[0], draws=2)
    with pytest.raises(q.InputError, match="fn returns shape"):
        ag.expectation(lambda p, key: p * jnp.ones(2), 0.3, key=KEYS[0], draws=2)


def test_branches_are_read_and_other_estimators_pass_through():
    def fn(p, key):
        one, two = jax.random.split(key)
        x = ag.bernoulli(one, p, estimator=SCORE)
        return jax.lax.cond(x > 0, lambda p: 3.0 * p, lambda p: p**2 + ag.bernoulli(two, p, estimator=SCORE), p)

    values, log = jax.vmap(lambda key: with_log_probability(fn)(0.4, key))(KEYS[:200])
    chance = np.select([np.isclose(values, 1.2), np.isclose(values, 1.16)], [0.4, 0.24], 0.36)
    np.testing.assert_allclose(np.exp(log), chance)
    # E = 3 p p + (1 - p) (p^2 + p), by each run's own derivative.
    slopes = np.asarray(jax.jacfwd(lambda p: surrogates(fn, p, KEYS, 256))(0.4))
    assert abs(slopes.mean() - (6 * 0.4 + 1 - 3 * 0.4**2)) < 4 * slopes.std() / len(KEYS) ** 0.5
    smooth = jax.grad(lambda p: ag.expectation(lambda p, key: ag.bernoulli(key, p), p, key=KEYS[0], draws=500))(0.4)
    alone = jax.vmap(jax.grad(lambda p, key: ag.bernoulli(key, p)), (None, 0))(0.4, jax.random.split(KEYS[0], 500))
    assert float(smooth) == pytest.approx(float(alone.mean()), rel=1e-12)
