"""Models of agents: closed forms, conservation, and the chain of all states of a small epidemic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import quesnay as q
from quesnay._results import RESULTS

ag = q.agents
KEY = jax.random.key(0)


def last(theta, key, estimator):
    return q.simulate(ag.RandomWalk(theta, estimator), steps=49, key=key).position[-1]


def gradients(estimator, draws=400):
    keys = jax.random.split(KEY, draws)
    return np.asarray(jax.vmap(jax.grad(last), (None, 0, None))(0.4, keys, estimator))


def test_the_naive_walk_has_no_gradient_and_the_smoothed_one_the_right_one():
    """2 for each draw; the weight has variance (1 - 2 p)^2 / (4 p (1 - p))."""
    assert not gradients(None).any()
    found = gradients(ag.Smoothed())
    sd = 2 * np.sqrt(49 * 0.2**2 / (4 * 0.4 * 0.6))
    assert abs(found.mean() - 98) < 4 * sd / np.sqrt(400)
    assert found.std() == pytest.approx(sd, rel=0.15)
    assert found.std() / found.mean() <= 0.05
    assert (gradients(ag.StraightThrough()) == 98).all()
    relaxed = gradients(ag.GumbelSoftmax(0.5))
    assert abs(relaxed.mean() - 98) > 4 * relaxed.std() / np.sqrt(400), "biased, as it is known to be"


def epidemic(theta, key, *, agents=1000, steps=20, observe=None, **more):
    model = ag.SIR(agents=agents, beta=theta[0], gamma=theta[1], infected=theta[2], **more)
    return q.simulate(model, steps=steps, key=key, observe=observe)


@pytest.mark.parametrize("lumped", [True, False])
def test_agents_are_conserved_and_certain_rates_are_certain(lumped):
    path = epidemic((0.6, 0.2, 0.05), KEY, lumped=lumped)
    total = path.susceptible + path.infected + path.recovered
    np.testing.assert_allclose(total, 1, rtol=1e-12)
    start = 1 - path.susceptible[0] - path.infections[0]
    np.testing.assert_allclose(path.susceptible, 1 - start - np.cumsum(path.infections), atol=1e-12)
    np.testing.assert_allclose(path.recovered, np.cumsum(path.recoveries), atol=1e-12)
    np.testing.assert_allclose(1000 * path.infections, np.round(1000 * path.infections), rtol=0, atol=1e-9)
    none = epidemic((0.6, 0.2, 0.0), KEY, lumped=lumped)
    assert not none.infections.any()
    still = epidemic((0.0, 0.0, 1.0), KEY, lumped=lumped)
    np.testing.assert_array_equal(still.infected, 1)


def test_single_precision_stays_single():
    path = epidemic(jnp.array([0.6, 0.2, 0.05], jnp.float32), KEY, lumped=False)
    assert path.infections.dtype == jnp.float32
    np.testing.assert_allclose(path.susceptible + path.infected + path.recovered, 1, rtol=1e-6)


@pytest.mark.parametrize("estimator", [ag.Smoothed(), ag.StraightThrough(), None])
def test_agents_in_bytes_are_those_in_numbers(estimator):
    """An epidemic in which nobody loses immunity, at a rate of 0, is run in numbers; the same one without the rate in bytes."""

    def run(theta, **options):
        model = ag.SIR(
            agents=50, infected=theta[0], beta=theta[1], gamma=theta[2], estimator=estimator, lumped=False, **options
        )
        path = q.simulate(model, steps=6, key=KEY)
        return jnp.stack([path.infections, path.recoveries, path.infected])

    def both(theta, **options):
        return run(theta, **options), jax.jacfwd(run)(theta, **options), jax.jacrev(run)(theta, **options)

    at = jnp.array([0.1, 0.6, 0.2])
    for bytes_, numbers in zip(both(at), both(at, waning=0.0), strict=True):
        np.testing.assert_allclose(bytes_, numbers, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("bad", [{"infected": jnp.nan}, {"infected": 1.5}, {"beta": -0.1}, {"gamma": jnp.nan}])
def test_traced_parameters_of_agents_that_are_none_do_not_pass_silently(bad):
    def run(**given):
        model = ag.SIR(agents=20, lumped=False, **({"infected": 0.5, "beta": 0.5, "gamma": 0.2} | given))
        return q.simulate(model, steps=3, key=KEY, throw=False)

    path = jax.jit(run)(**{name: jnp.asarray(value) for name, value in bad.items()})
    assert np.isnan(path.infected).all()
    assert path.result == RESULTS.not_finite


def test_the_mean_field_is_the_recursion_of_fractions():
    path = epidemic((0.5, 0.1, 0.02), KEY, estimator=ag.MeanField(), dt=0.5)
    S, I = 0.98, 0.02  # noqa: E741
    for t in range(20):
        new, well = S * (1 - np.exp(-0.5 * I * 0.5)), I * (1 - np.exp(-0.1 * 0.5))
        S, I = S - new, I + new - well  # noqa: E741
        np.testing.assert_allclose(
            [path.infections[t], path.recoveries[t], path.infected[t]], [new, well, I], rtol=1e-12
        )


@pytest.mark.parametrize("lumped", [True, False])
def test_immunity_wanes_and_vaccines_protect(lumped):
    """Those who recovered, less what wanes, in the mean field; and certain rates."""
    path = epidemic((0.5, 0.1, 0.02), KEY, estimator=ag.MeanField(), waning=0.05, vaccination=0.03, lumped=lumped)
    S, I = 0.98, 0.02  # noqa: E741
    for t in range(20):
        new, well = S * (1 - np.exp(-0.5 * I)), I * (1 - np.exp(-0.1))
        waned, vaccinated = (1 - S - I) * (1 - np.exp(-0.05)), (S - new) * (1 - np.exp(-0.03))
        S, I = S - new - vaccinated + waned, I + new - well  # noqa: E741
        np.testing.assert_allclose([path.susceptible[t], path.infected[t]], [S, I], rtol=1e-11)
    drawn = epidemic((0.5, 0.1, 0.2), KEY, waning=0.05, vaccination=0.03, lumped=lumped)
    assert np.all(drawn.susceptible + drawn.infected <= 1 + 1e-12)
    safe = epidemic((0.5, 0.1, 0.2), KEY, vaccination=1e3, lumped=lumped)
    assert not safe.susceptible.any()
    assert float(safe.infections[1:].sum()) == 0
    again = epidemic((0.0, 1e3, 1.0), KEY, waning=1e3, lumped=lumped)
    np.testing.assert_array_equal(again.susceptible[:3], [0, 1, 1])


def chain(theta, agents, steps):
    """Return the probability of every (susceptible, infected) at the end, by all transitions."""
    beta, gamma, infected = theta
    at = np.zeros((agents + 1, agents + 1))
    for i in range(agents + 1):
        at[agents - i, i] = scipy.stats.binom.pmf(i, agents, infected)
    for _ in range(steps):
        then = np.zeros_like(at)
        for s, i in np.argwhere(at > 0):
            new = scipy.stats.binom.pmf(np.arange(s + 1), s, 1 - np.exp(-beta * i / agents))
            well = scipy.stats.binom.pmf(np.arange(i + 1), i, 1 - np.exp(-gamma))
            for a, chance in enumerate(new):
                then[s - a, i + a - np.arange(i + 1)] += at[s, i] * chance * well
        at = then
    return at


@pytest.mark.parametrize("lumped", [True, False])
def test_a_small_epidemic_has_the_law_of_its_chain_and_nearly_its_derivatives(lumped):
    """Mean of those never infected, and of its square, from the chain; their derivatives by its differences."""
    agents, steps, theta = 24, 4, np.array([0.9, 0.3, 0.3])

    def exact(theta):
        share = np.arange(agents + 1) / agents
        spared = chain(theta, agents, steps).sum(axis=1)
        return np.array([spared @ share, spared @ share**2])

    def one(theta, key):
        spared = epidemic(theta, key, agents=agents, steps=steps, lumped=lumped).susceptible[-1]
        return jnp.stack([spared, spared**2])

    keys = jax.random.split(KEY, 10_000)
    value = np.asarray(jax.vmap(one, (None, 0))(theta, keys))
    slope = np.asarray(jax.jit(jax.vmap(jax.jacfwd(one), (None, 0)))(theta, keys))
    error = value.std(axis=0) / np.sqrt(len(keys))
    assert np.all(np.abs(value.mean(axis=0) - exact(theta)) < 4 * error)
    differences = np.stack([(exact(theta + h) - exact(theta - h)) / 2e-4 for h in 1e-4 * np.eye(3)], axis=1)
    error = slope.std(axis=0) / np.sqrt(len(keys))
    # What follows a draw here is no parabola: the rest is the estimator's own bias.
    assert np.all(np.abs(slope.mean(axis=0) - differences) < 4 * error + 0.05 * np.abs(differences))


def test_the_users_own_observation_is_kept():
    seen = epidemic((0.5, 0.1, 0.1), KEY, observe=lambda path: path["infected"] ** 2)
    np.testing.assert_allclose(seen.value, epidemic((0.5, 0.1, 0.1), KEY).infected ** 2)
