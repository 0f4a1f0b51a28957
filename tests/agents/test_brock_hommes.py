"""The market of Brock and Hommes against its recursion, written out in NumPy, and the law of its draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import quesnay as q
from quesnay.agents.brock_hommes import BrockHommes

KEY = jax.random.key(0)
STEPS = 30
GIVEN = {
    "trend": np.array([0.0, 0.9, 0.9, 1.01]),
    "bias": np.array([0.0, 0.2, -0.2, 0.0]),
    "intensity": 3.0,
    "interest": 0.05,
    "cost": np.array([0.02, 0.0, 0.0, 0.01]),
    "start": np.array([0.1, 0.25, 0.3]),
}


def run(key=None, steps=STEPS, **change):
    return q.simulate(BrockHommes(**{**GIVEN, **change}), steps=steps, key=key)


def recursion(trend, bias, intensity, interest, cost, start):
    """Return prices and fractions by the three equations, with prices x[t] from t = -3 on."""
    x, R, fractions = list(start), 1 + interest, []
    for _ in range(STEPS):
        U = [(x[-1] - R * x[-2]) * (g * x[-3] + b - R * x[-2]) - c for g, b, c in zip(trend, bias, cost, strict=True)]
        n = np.exp(intensity * np.array(U))
        fractions.append(n / n.sum())
        x.append(fractions[-1] @ (trend * x[-1] + bias) / R)
    return np.array(x[3:]), np.array(fractions)


def test_the_limit_of_many_is_the_recursion_and_so_is_the_mean_field():
    for path in (run(), run(KEY, agents=100, estimator=q.agents.MeanField())):
        price, fractions = recursion(**GIVEN)
        np.testing.assert_allclose(path.price, price, rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(path.fractions, fractions, rtol=1e-11)


def test_the_fundamental_equilibrium_stays():
    """At x = 0 without biases profits are 0: nothing moves, and fractions are those by costs alone."""
    path = run(start=0.0, bias=0.0)
    np.testing.assert_array_equal(path.price, 0)
    weights = np.exp(-3.0 * GIVEN["cost"])
    np.testing.assert_allclose(path.fractions, np.broadcast_to(weights / weights.sum(), (STEPS, 4)), rtol=1e-12)


def test_derivatives_of_the_limit_are_those_of_the_recursion():
    """By every parameter, beside central differences of the NumPy recursion."""
    slope = jax.jacrev(lambda given: jnp.mean(run(**given).price ** 2))(GIVEN)

    def f(name, change):
        return np.mean(recursion(**{**GIVEN, name: GIVEN[name] + change})[0] ** 2)

    for name, value in GIVEN.items():
        for i in np.ndindex(np.shape(value)):
            h = np.zeros(np.shape(value))
            h[i] = 1e-5
            found = (f(name, h) - f(name, -h)) / 2e-5
            np.testing.assert_allclose(slope[name][i], found, rtol=1e-6, atol=1e-9)


def test_agents_draw_their_forecasts_and_make_the_price():
    path = run(KEY, agents=50)
    counts = 50 * path.fractions
    np.testing.assert_allclose(counts, np.round(counts), rtol=0, atol=1e-12)
    np.testing.assert_allclose(counts.sum(axis=1), 50, rtol=1e-12)
    before = np.append(0.3, path.price[:-1])
    expected = np.sum(path.fractions * (GIVEN["trend"] * before[:, None] + GIVEN["bias"]), axis=1)
    np.testing.assert_allclose(path.price, expected / 1.05, rtol=1e-12)
    slope = jax.grad(lambda beta: jnp.mean(run(KEY, agents=50, intensity=beta).price ** 2))(3.0)
    assert np.isfinite(slope)
    assert slope != 0
    assert jax.grad(lambda b: jnp.mean(run(KEY, agents=50, intensity=b, estimator=None).price ** 2))(3.0) == 0


def test_without_intensity_forecasts_are_drawn_at_random_and_noise_is_normal():
    """Two agents, three forecasts: six outcomes of equal chances 1/9 and 2/9, and residuals with deviation sigma / (1 + r)."""
    path = run(KEY, 2000, trend=[0.3, 0.2, 0.1], bias=0.0, cost=0.0, start=0.0, intensity=0.0, agents=2, sigma=0.5)
    rows, times = np.unique(np.round(2 * np.asarray(path.fractions)), axis=0, return_counts=True)
    chance = scipy.stats.multinomial.pmf(rows, 2, [1 / 3] * 3)
    assert chance.sum() == pytest.approx(1)
    assert scipy.stats.chisquare(times, 2000 * chance).pvalue > 1e-4
    before = np.append(0, path.price[:-1])
    noise = 1.05 * np.asarray(path.price) - path.fractions @ np.array([0.3, 0.2, 0.1]) * before
    assert scipy.stats.kstest(noise / 0.5, "norm").pvalue > 1e-4


WRONG = {
    "one": ({"trend": [0.5]}, r"trend has shape \(1,\); give those of two or more"),
    "shape": ({"bias": [0.1, 0.2]}, r"bias has shape \(2,\); give one number, or 4 of them"),
    "start": ({"start": [0.1, 0.2]}, "give one number, or 3 of them"),
    "number": ({"intensity": [1.0, 2.0]}, "give one number, and vmap over models"),
    "range": ({"intensity": -1.0}, "intensity is out of its range; give a number of at least 0"),
    "finite": ({"trend": [0.5, np.nan, 0.2, 0.1]}, "trend is out of its range"),
    "agents": ({"agents": 0}, "agents is 0; give the number of agents"),
    "key": ({"agents": 5}, "draws at random; give simulate a key"),
    "noise": ({"sigma": 0.1}, "draws at random; give simulate a key"),
}


@pytest.mark.parametrize(("change", "says"), WRONG.values(), ids=WRONG)
def test_what_is_no_market_is_refused_in_one_sentence(change, says):
    with pytest.raises(q.InputError, match=says):
        run(**change)


def test_prices_without_bound_are_reported():
    with pytest.raises(q.SolveError, match="not finite"):
        run(trend=[9.0, 9.0], bias=0.0, cost=0.0, steps=2000)
