"""A network that bends coefficients: what holds for any weights, and what years held back may choose."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import quesnay as q
from quesnay.update.neural import SHARP, NeuralTechnology, Weights
from quesnay.update.neural_fitting import _simplest, fit_neural
from tables import random_table, seeds

N = 4
KEY = jax.random.key(0)


@eqx.filter_jit
def leontief(A, base):
    return NeuralTechnology(A, base, key=KEY)


@eqx.filter_jit
def solved(technology, d):
    return technology.equilibrium(d, throw=False)


@eqx.filter_jit
def seen(technology, x):
    """Return intermediate use, average and marginal coefficients, and the derivative, which should be the latter."""
    x = jnp.asarray(x)
    return technology(x), technology.technology(x), technology.marginal(x), jax.jacfwd(technology)(x)


def economy(seed):
    """Return A, outputs and final demand of a table with zeros among them."""
    Z, d = random_table(seed, N)
    x = Z.sum(1) + d
    used = x > 0
    return Z / np.where(used, x, 1), np.where(used, x, 1), d


def bent(seed, size=None):
    """Return a technology with random weights, from too small to matter to as large as they like, and outputs far and near."""
    A, base, d = economy(seed)
    rng = np.random.default_rng(seed)
    size = 10 ** rng.uniform(-2, 3) if size is None else size
    technology = leontief(A, base)
    weights = jax.tree.map(lambda w: w + size * rng.normal(size=w.shape), technology.weights)
    weights = eqx.tree_at(lambda w: w.steepness, weights, jnp.asarray(rng.normal(0, 2, 3)))
    return eqx.tree_at(lambda t: t.weights, technology, weights), base * np.exp(rng.normal(0, 2, N)), d


@settings(max_examples=20)
@given(seeds)
def test_without_weights_it_is_leontiefs_model(seed):
    A, base, d = economy(seed)
    technology = leontief(A, base)
    x = base * np.exp(np.random.default_rng(seed).normal(0, 2, N))
    use, average, marginal, _ = seen(technology, x)
    np.testing.assert_allclose(use, A @ x, rtol=1e-13)
    np.testing.assert_allclose(average, A, rtol=1e-13)
    np.testing.assert_allclose(marginal, A, rtol=1e-13)
    wanted = np.linalg.solve(np.eye(N) - A, d)
    np.testing.assert_allclose(solved(technology, d).value, wanted, rtol=1e-12, atol=1e-12 * wanted.max())


@settings(max_examples=40)
@given(seeds)
def test_marginal_coefficients_stay_within_the_width_whatever_the_weights(seed):
    technology, x, _ = bent(seed)
    _, average, marginal, slope = (np.asarray(v) for v in seen(technology, x))
    A, width = np.asarray(technology.A), float(technology.width)
    np.testing.assert_allclose(slope, marginal, rtol=1e-9, atol=1e-12)
    for coefficients in (average, marginal):
        assert np.all(coefficients >= (1 - width) * A * (1 - 1e-12))
        assert np.all(coefficients <= (1 + width) * A * (1 + 1e-12))


def test_the_width_is_approached():
    A = np.full((N, N), 0.1)
    technology = leontief(A, np.ones(N))
    steep = eqx.tree_at(lambda w: w.shift, technology.weights, jnp.zeros(3))
    steep = eqx.tree_at(lambda w: w.steepness, steep, jnp.full(3, np.log(0.5)))
    far = eqx.tree_at(lambda t: t.weights, technology, eqx.tree_at(lambda w: w.row, steep, jnp.full((N, 3), 1e3)))
    width = far.width / 2 ** (1 / SHARP)
    for x, wanted in ((1e9, 1 + width), (1e-9, 1 - width)):
        np.testing.assert_allclose(seen(far, np.full(N, x))[2], wanted * A, rtol=1e-5)


@settings(max_examples=25)
@given(seeds)
def test_any_weights_are_productive_and_bring_outputs_nearer(seed):
    technology, x, _ = bent(seed)
    C, v, contraction = np.asarray(technology.bound), np.asarray(technology.norm), float(technology.contraction)
    assert np.max(np.abs(np.linalg.eigvals(C))) <= contraction + 1e-9
    assert contraction < 1
    assert np.all(v > 0)
    other = technology.base * np.exp(np.random.default_rng(seed + 1).normal(0, 2, N))
    apart = v @ np.abs(np.asarray(seen(technology, x)[0] - seen(technology, other)[0]))
    assert apart <= contraction * (v @ np.abs(x - other)) * (1 + 1e-12)


@settings(max_examples=15)
@given(seeds)
def test_the_equilibrium_balances_and_is_not_negative(seed):
    technology, _, d = bent(seed)
    x, more = (np.asarray(solved(technology, scale * d).value) for scale in (1.0, 1.5))
    use, average, *_ = seen(technology, x)
    np.testing.assert_allclose(use + d, x, rtol=0, atol=1e-12 * x.max())
    np.testing.assert_allclose(average @ x, use, rtol=1e-12, atol=1e-13 * x.max())
    assert np.all(x >= -1e-12 * x.max())
    assert np.all(more >= x - 1e-12 * x.max())


def test_many_starts_lead_to_one_equilibrium():
    technology, _, d = bent(5, size=1.0)
    far = technology.base * np.exp(np.random.default_rng(0).normal(0, 4, (10, N)))
    starts = jnp.concatenate([far, -far])
    rounds = int(np.ceil(np.log(1e-16) / np.log(float(technology.contraction)))) + 100

    @jax.jit
    def iterated(starts):
        return jax.lax.fori_loop(0, rounds, lambda _, x: jax.vmap(technology)(x) + d, starts)

    wanted = solved(technology, d).value
    np.testing.assert_allclose(iterated(starts), np.broadcast_to(wanted, starts.shape), rtol=1e-10)


def test_derivatives_of_the_equilibrium_are_exact():
    technology, _, d = bent(7, size=0.5)
    d = jnp.asarray(d) + 0.1
    towards = jax.tree.map(lambda w: jnp.cos(jnp.arange(float(w.size))).reshape(w.shape), technology.weights)

    @jax.jit
    def outputs(d, step):
        weights = jax.tree.map(lambda w, t: w + step * t, technology.weights, towards)
        return eqx.tree_at(lambda t: t.weights, technology, weights).equilibrium(d, throw=False).value

    by_demand, by_weights = jax.jit(jax.jacfwd(outputs, (0, 1)))(d, 0.0)
    marginal = seen(technology, outputs(d, 0.0))[2]
    np.testing.assert_allclose(by_demand, np.linalg.inv(np.eye(N) - marginal), rtol=1e-9, atol=1e-12)
    h = 1e-3
    coarse, fine = ((outputs(d, s) - outputs(d, -s)) / (2 * s) for s in (2 * h, h))
    np.testing.assert_allclose(by_weights, (4 * fine - coarse) / 3, rtol=1e-7, atol=1e-9 * np.abs(by_weights).max())


def test_units_change_nothing_else():
    A, base, d = economy(11)
    unit = 10.0 ** np.array([6, -3, 0, 9])
    plain, other = leontief(A, base), leontief(A * unit[:, None] / unit, base * unit)
    weights = jax.tree.map(lambda w: w + 0.7, plain.weights)
    plain, other = (eqx.tree_at(lambda t: t.weights, t, weights) for t in (plain, other))
    np.testing.assert_allclose(other.contraction, plain.contraction, rtol=1e-9)
    np.testing.assert_allclose(other.width, plain.width, rtol=1e-9)
    x = base * np.array([0.5, 1.5, 2.0, 0.9])
    np.testing.assert_allclose(seen(other, x * unit)[0], seen(plain, x)[0] * unit, rtol=1e-12)
    scaled = leontief(A, 1e6 * base)
    scaled = eqx.tree_at(lambda t: t.weights, scaled, weights)
    np.testing.assert_allclose(solved(scaled, 1e6 * d).value, 1e6 * solved(plain, d).value, rtol=1e-12)


def years(bend, noise=0.0, count=6):
    """Return A, outputs and final demand of years in which accounts buy more or less per unit the more they make."""
    rng = np.random.default_rng(1)
    A = rng.uniform(0.05, 0.2, (N, N))
    true = leontief(A, np.full(N, 10.0))
    true = eqx.tree_at(
        lambda t: t.weights.column, true, jnp.asarray(bend * rng.choice([-1.0, 1.0], (N, 1)) * np.ones(3))
    )
    d = 6 * np.exp(rng.normal(0, 0.5, (count, N)))
    x = np.array([solved(true, v).value for v in d])
    return A, x * np.exp(noise * rng.normal(size=x.shape)), d


OPTIONS = {
    "key": KEY,
    "prior_sd": 0.05,
    "noise_sd": 0.003,
    "strengths": (0.0, 0.3),
}


def test_years_that_bend_are_fitted_better_than_by_any_linear_technology():
    A, x, d = years(0.5)
    found = fit_neural(A, x, d, **OPTIONS)
    assert found.strength == 0.3
    assert found.held_back[1].mean() < found.held_back[0].mean()
    assert np.linalg.norm(found.residual) < 0.5 * np.linalg.norm(found.linear.residual)
    assert 0 < found.effective_parameters < x.size
    assert "strength 0.3" in repr(found)
    np.testing.assert_allclose(found.output[2], solved(found.technology, d[2]).value, rtol=1e-9)


def test_years_of_fixed_coefficients_choose_leontief_and_the_fit_is_the_linear_one():
    A, x, d = years(0.0, noise=0.003)
    found = fit_neural(A, x, d, **OPTIONS)
    assert found.strength == 0
    np.testing.assert_allclose(found.output, found.linear.output, rtol=1e-10)
    np.testing.assert_allclose(seen(found.technology, 2 * x[0])[1], found.linear.A, rtol=1e-12)


def test_the_same_key_gives_the_same_fit_in_any_currency():
    A, x, d = years(0.5)
    first, second = fit_neural(A, x, d, **OPTIONS), fit_neural(A, x, d, **OPTIONS)
    assert eqx.tree_equal(first.technology, second.technology)
    other = fit_neural(A, 1e6 * x, 1e6 * d, **OPTIONS)
    np.testing.assert_allclose(other.output, 1e6 * first.output, rtol=1e-7)


@pytest.mark.parametrize(
    ("errors", "chosen"),
    [
        ([[1, 1, 1], [2, 2, 2]], 0),
        ([[3, 3, 3.1], [2, 2, 2], [1, 1, 1]], 2),
        ([[1, 9, 1], [1.5, 1.2, 1.4], [1, 1, 1]], 0),
        ([[2], [1]], 1),
    ],
)
def test_the_weakest_network_within_one_standard_error_is_chosen(errors, chosen):
    assert _simplest(np.array(errors, float)) == chosen


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"A": np.eye(3) * 1.2}, r"A is not productive \(Hawkins-Simon\)"),
        ({"A": -np.eye(3)}, "A has negative or missing entries"),
        ({"base": np.zeros(3)}, "base is not positive"),
        ({"base": np.ones(2)}, r"A has shape \(3, 3\) and base \(2,\)"),
        ({"key": 0}, "key is no key of jax.random"),
        ({"width": 1.5}, "width is 1.5; give a number between 0 and 1"),
        ({"features": 0}, "features is 0"),
    ],
)
def test_what_makes_no_technology_is_refused(change, said):
    given = {"A": np.eye(3) * 0.2, "base": np.ones(3), "key": KEY} | change
    with pytest.raises(q.InputError, match=said):
        NeuralTechnology(given.pop("A"), given.pop("base"), **given)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"strengths": (0.1, 0.1)}, "strengths do not rise"),
        ({"strengths": ()}, "strengths do not rise"),
        ({"folds": [((0, 1), (7,))]}, "folds has no years, or years beyond 5"),
        ({"folds": []}, "folds has no years"),
        ({"folds": [((0, 1, 2), (2,))]}, "fitted and held back"),
        ({"folds": [((0,), (2,)), ((1,), (3,))]}, "x does not vary"),
        ({"folds": [((0, 1, 2), (3,))]}, "folds has one pair"),
        ({"prior_sd": None}, "prior_sd"),
        ({"key": "seed"}, "key is no key"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change, said):
    with pytest.raises(q.InputError, match=said):
        fit_neural(*years(0.0), **(OPTIONS | change))


def test_fewer_than_three_years_and_traced_numbers_are_refused():
    A, x, d = years(0.0)
    with pytest.raises(q.InputError, match="x has 2 years; give at least 3"):
        fit_neural(A, x[:2], d[:2], **OPTIONS)
    with pytest.raises(q.InputError, match="call it outside jit"):
        jax.jit(lambda x: fit_neural(A, x, d, **OPTIONS).output)(x)
    with pytest.raises(q.InputError, match=r"d has shape \(2,\); the technology has 4 accounts"):
        leontief(A, x[0]).equilibrium(np.ones(2))


def test_what_a_fit_shows_has_labels():
    A, base, _ = economy(2)
    technology = leontief(A, base)
    assert isinstance(technology.weights, Weights)
    assert not np.any(technology.weights.row)
    assert not np.any(technology.weights.customer)
