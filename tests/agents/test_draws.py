"""Draws: exact in value, and derivatives against all outcomes enumerated with their probabilities."""

import itertools
from fractions import Fraction

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import quesnay as q
from quesnay.agents.estimators import Uniforms, event, threefry, uniforms

ag = q.agents
KEYS = jax.random.split(jax.random.key(0), 4000)
ALL = {
    "smoothed": ag.Smoothed(),
    "straight": ag.StraightThrough(),
    "gumbel": ag.GumbelSoftmax(0.5),
    "mean": ag.MeanField(),
    "none": None,
}
COUNTS = {name: ALL[name] for name in ("smoothed", "straight", "mean", "none")}


def slopes(fn, theta):
    """Return value and derivative of fn(theta, key) for many keys, by outcome: the first is seen of each."""
    value, slope = jax.vmap(lambda key: jax.jvp(lambda t: fn(t, key), (theta,), (jnp.ones_like(theta),)))(KEYS)
    outcome, derivative = (np.asarray(part).reshape(len(KEYS), -1) for part in (value, slope))
    rows, first, group = np.unique(outcome, axis=0, return_index=True, return_inverse=True)
    # The derivative is a function of what was drawn.
    np.testing.assert_allclose(derivative, derivative[first][group.ravel()], rtol=1e-12, atol=1e-12)
    return rows, derivative[first]


@pytest.mark.parametrize("p", [0.03, 0.5, 0.9])
def test_smoothed_bernoulli_has_no_bias_where_what_follows_is_quadratic(p):
    """Of all outcomes: dE[f]/dp = f(1) - f(0)."""
    x, w = slopes(lambda p, key: ag.bernoulli(key, p), jnp.asarray(p))
    np.testing.assert_array_equal(x, [[0], [1]])
    for a, b in ((1.0, 0.0), (-0.3, 2.0)):
        expected = np.array([1 - p, p]) @ ((a + 2 * b * x) * w)
        np.testing.assert_allclose(expected, a + b, rtol=1e-12)


def test_two_smoothed_draws_in_turn_have_no_bias_either():
    """The second depends on the first: P = p, then p / 2 or p; f is the square of their sum."""

    def both(p, key):
        one, two = jax.random.split(key)
        first = ag.bernoulli(one, p)
        second = ag.bernoulli(two, p * (1 + first) / 2)
        return jnp.stack([first, second])

    p = 0.3
    x, w = slopes(both, jnp.asarray(p))
    np.testing.assert_array_equal(x, [[0, 0], [0, 1], [1, 0], [1, 1]])
    chance = np.array([(1 - p) * (1 - p / 2), (1 - p) * p / 2, p * (1 - p), p * p])
    found = chance @ (2 * x.sum(axis=1) * w.sum(axis=1))
    # E = (1-p) p/2 + p (1-p) + 4 p p, whose derivative by p is 3/2 (1 - 2 p) + 8 p.
    assert found == pytest.approx(1.5 * (1 - 2 * p) + 8 * p, rel=1e-12)


@pytest.mark.parametrize("p", [[0.2, 0.5, 0.3], [0.6, 0.4, 0.0], [0.0, 1.0, 0.0]])
def test_smoothed_categories_have_no_bias_where_what_follows_is_quadratic(p):
    """f(x) = g'x + (h'x)^2, so that dE[f] = sum_j p'_j f(e_j); categories without probability are never drawn."""
    p, towards = np.array(p), np.array([0.3, -0.5, 0.2])
    x, w = slopes(lambda t, key: ag.categorical(key, p + t * towards), jnp.asarray(0.0))
    chance = x @ p
    np.testing.assert_allclose(chance.sum(), 1)
    g, h = np.array([1.0, -2.0, 0.5]), np.array([0.4, 1.0, -1.0])
    found = chance @ np.sum((g + 2 * (x @ h)[:, None] * h) * w, axis=1)
    if (p > 0).all():
        assert found == pytest.approx(towards @ (g + h**2), rel=1e-12)
    linear = chance @ (w @ g)
    assert linear == pytest.approx(towards @ g, rel=1e-12)


def test_smoothed_counts_have_no_bias_where_what_follows_is_quadratic():
    n, p, rate = 3.0, 0.3, 0.7
    x, w = slopes(lambda p, key: ag.binomial(key, n, p), jnp.asarray(p))
    chance = scipy.stats.binom.pmf(x, n, p)
    # E[x^2] = n p (1 - p) + n^2 p^2.
    assert float(np.sum(chance * 2 * x * w)) == pytest.approx(n * (1 - 2 * p) + 2 * n**2 * p, rel=1e-12)
    x, w = slopes(lambda n, key: ag.binomial(key, n, p), jnp.asarray(n))
    chance = scipy.stats.binom.pmf(x, n, p)
    # By one more or one less trial, in the mean: E[x^2] by n is p (1 - p) + 2 n p^2.
    assert float(np.sum(chance * 2 * x * w)) == pytest.approx(p * (1 - p) + 2 * n * p**2, rel=1e-12)
    x, w = slopes(lambda r, key: ag.poisson(key, r), jnp.asarray(rate))
    # E[x^2] = r + r^2; the weight is that of every outcome, seen or not.
    np.testing.assert_allclose(w, (1 + x / rate) / 2, rtol=1e-12)
    counts = np.arange(60)
    chance = scipy.stats.poisson.pmf(counts, rate)
    assert np.sum(chance * 2 * counts * (1 + counts / rate) / 2) == pytest.approx(1 + 2 * rate, rel=1e-12)


@pytest.mark.parametrize("estimator", ALL.values(), ids=ALL)
def test_certain_events_are_certain_and_both_modes_agree(estimator):
    p = jnp.array([0.0, 1.0, 0.4, 0.02])

    def draw(p):
        return ag.bernoulli(jax.random.key(3), p, estimator=estimator)

    np.testing.assert_array_equal(draw(p)[:2], [0, 1])
    forward, reverse = jax.jacfwd(draw)(p), jax.jacrev(draw)(p)
    np.testing.assert_array_equal(forward, reverse)
    assert np.isfinite(forward).all()
    edge = {"GumbelSoftmax": 0, "NoneType": 0}.get(type(estimator).__name__, 1)
    np.testing.assert_array_equal(np.diag(forward)[:2], edge)
    for dtype in (jnp.float32, jnp.float64):
        assert draw(p.astype(dtype)).dtype == dtype
    many = jax.vmap(lambda key, p: ag.bernoulli(key, p, estimator=estimator))(KEYS[:3], jnp.full(3, 0.4))
    one = [ag.bernoulli(key, 0.4, estimator=estimator) for key in KEYS[:3]]
    np.testing.assert_array_equal(many, one)
    three = jnp.array([0.0, 0.5, 0.5])
    drawn = jax.vmap(lambda key: ag.categorical(key, three, estimator=estimator))(KEYS)
    assert not drawn[:, 0].any()


@pytest.mark.parametrize("estimator", COUNTS.values(), ids=COUNTS)
def test_counts_of_certain_events_are_certain(estimator):
    n, p = jnp.array([0.0, 5.0, 5.0, 0.0]), jnp.array([0.5, 0.0, 1.0, 1.0])
    np.testing.assert_array_equal(ag.binomial(KEYS[0], n, p, estimator=estimator), [0, 0, 5, 0])
    assert float(ag.poisson(KEYS[0], 0.0, estimator=estimator)) == 0
    slope = jax.grad(lambda p: jnp.sum(ag.binomial(KEYS[0], n, p, estimator=estimator)))(p)
    np.testing.assert_array_equal(slope, 0 * n if estimator is None else n)


def test_draws_have_their_distributions():
    """Frequencies of 4,000 draws against SciPy's probabilities, by a chi-squared test at 1e-4."""
    draws = {
        "bernoulli": (lambda key: ag.bernoulli(key, 0.3), scipy.stats.bernoulli(0.3), 2),
        "binomial": (lambda key: ag.binomial(key, 5, 0.4), scipy.stats.binom(5, 0.4), 6),
        "poisson": (lambda key: ag.poisson(key, 1.5), scipy.stats.poisson(1.5), 5),
    }
    for name, (draw, law, most) in draws.items():
        values = np.minimum(np.asarray(jax.vmap(draw)(KEYS)), most - 1).astype(int)
        chance = law.pmf(np.arange(most))
        chance[-1] = 1 - chance[:-1].sum()
        found = scipy.stats.chisquare(np.bincount(values, minlength=most), chance * len(KEYS))
        assert found.pvalue > 1e-4, name
    for estimator in (ag.Smoothed(), ag.GumbelSoftmax(1.0)):
        p = np.array([0.2, 0.5, 0.3])
        drawn = jax.vmap(lambda key: ag.categorical(key, p, estimator=estimator))(KEYS)  # noqa: B023
        assert scipy.stats.chisquare(np.asarray(drawn).sum(axis=0), p * len(KEYS)).pvalue > 1e-4


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_an_event_is_a_uniform_number_below_its_probability(dtype):
    """In exact fractions: (bits + below) / 2^32 < p."""
    last = 2**32 - 1
    for bits, below, p in itertools.product(
        (0, 1, 1288490188, 1288490189, last),
        (0.0, 0.25, 0.75),
        (0.0, 1e-10, 1.5 / 2**32, 0.3, 1 - 2.0**-24, 1 - 2.0**-53, 1.0),
    ):
        u, p = Uniforms(jnp.array([bits], jnp.uint32), jnp.asarray(below, dtype)), jnp.asarray(p, dtype)
        expected = Fraction(bits) + Fraction(below) < Fraction(float(p)) * 2**32
        assert float(event(u, p)[0]) == expected, (bits, below, p)


def test_words_are_those_of_the_cipher_in_jax():
    key, count = jnp.array([7, 11], jnp.uint32), jnp.arange(5, dtype=jnp.uint32)
    found = threefry(key[0], key[1], count, 3 * count)
    expected = jax.extend.random.threefry_2x32(key, jnp.concatenate([count, 3 * count]))
    np.testing.assert_array_equal(jnp.concatenate(found), expected)


def test_events_of_many_are_independent_and_share_numbers_where_they_should():
    """Neighbours, whose numbers come from one word of 64 bits, and those two apart; nested events by shared numbers."""
    u = uniforms(KEYS[0], jnp.zeros((3, 2667)))
    rare, common = (np.asarray(ag.bernoulli(u, p)).ravel() for p in (0.2, 0.6))
    assert np.all(rare <= common)
    for apart in (1, 2):
        both = rare[:-apart] + 2 * rare[apart:]
        counts = np.bincount(both.astype(int), minlength=4)
        assert scipy.stats.chisquare(counts, np.array([0.64, 0.16, 0.16, 0.04]) * len(both)).pvalue > 1e-4


def test_the_relaxation_has_the_slope_of_its_softmax_and_warns_of_rare_events():
    tau, p, key = 0.7, 0.35, KEYS[1]
    number = uniforms(key, jnp.zeros(()))
    u = (number.bits + number.below) / 2**32
    soft = jax.grad(lambda p: jax.nn.sigmoid((jnp.log(p / (1 - p)) - jnp.log(u / (1 - u))) / tau))(p)
    found = jax.grad(lambda p: ag.bernoulli(key, p, estimator=ag.GumbelSoftmax(tau)))(p)
    assert float(found) == pytest.approx(float(soft), rel=1e-12)

    def rare():
        ag.bernoulli(key, 1e-3, estimator=ag.GumbelSoftmax(tau))
        jax.effects_barrier()

    with pytest.warns(q.RareEventWarning, match="less probable than 1 %"):
        rare()


WRONG = {
    "above": (lambda key: ag.bernoulli(key, [0.2, 1.5]), "no probabilities, the first 1.5"),
    "nan": (lambda key: ag.bernoulli(key, np.nan), "no probabilities, the first nan"),
    "sum": (lambda key: ag.categorical(key, [0.2, 0.2]), "p adds up to 0.4"),
    "one": (lambda key: ag.categorical(key, [1.0]), "two or more categories"),
    "trials": (lambda key: ag.binomial(key, 2.5, 0.5), "negative or not whole"),
    "rate": (lambda key: ag.poisson(key, -1.0), "negative or not finite"),
    "estimator": (lambda key: ag.bernoulli(key, 0.5, estimator="smoothed"), "estimator is 'smoothed'; give Smoothed"),
    "count": (lambda key: ag.binomial(key, 3, 0.5, estimator=ag.GumbelSoftmax()), "relaxes choices, not counts"),
    "rates": (lambda key: ag.poisson(key, 3, estimator=ag.GumbelSoftmax()), "relaxes choices, not counts"),
    "key": (lambda key: ag.bernoulli(0, 0.5), "key is of type int"),
    "tau": (lambda key: ag.GumbelSoftmax(0), "tau is 0; give a positive number"),
    "walk": (lambda key: q.simulate(ag.RandomWalk(1.2), steps=3, key=key), "theta is no probability"),
    "keyless": (lambda key: q.simulate(ag.RandomWalk(0.2), steps=3), "draws at random; give simulate a key"),
    "nobody": (lambda key: ag.SIR(agents=0, infected=0.1, beta=1, gamma=1), "agents is 0; give the number of agents"),
    "rates of SIR": (
        lambda key: q.simulate(ag.SIR(agents=9, infected=0.1, beta=np.nan, gamma=1), steps=3, key=key),
        "beta is out of its range; give a number of at least 0",
    ),
    "waning": (
        lambda key: q.simulate(ag.SIR(agents=9, infected=0.1, beta=1, gamma=1, waning=-1), steps=3, key=key),
        "waning is out of its range",
    ),
    "shock": (lambda key: q.simulate(ag.RandomWalk(0.2), 3.0, steps=3, key=key), "knows no shocks"),
}


@pytest.mark.parametrize(("call", "says"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(call, says):
    with pytest.raises(q.InputError, match=says):
        call(KEYS[0])


def test_traced_probabilities_that_are_none_do_not_pass_silently():
    path = jax.jit(lambda p: q.simulate(ag.RandomWalk(p), steps=3, key=KEYS[0], throw=False))(1.5)
    assert np.isnan(path.position).all()
    with pytest.raises(Exception, match="not finite"):
        jax.block_until_ready(jax.jit(lambda p: q.simulate(ag.RandomWalk(p), steps=3, key=KEYS[0]))(1.5))
