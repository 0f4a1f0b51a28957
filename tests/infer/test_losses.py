"""Losses: their values against other formulas, their refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats

import quesnay as q
from quesnay.infer.problem import read_problem
from quesnay.infer.synthetic import SyntheticLikelihood, _discrepancy, _noise, _normal

PRIOR = {"a": dist.Normal(0.0, 1.0)}
KEY = jax.random.key(0)


def problem(y, simulator=None, **options):
    y = jax.tree.map(jnp.asarray, y)
    return read_problem(simulator or (lambda t: jax.tree.map(lambda v: t["a"] + 0 * v, y)), PRIOR, y, **options)


def fitted(loss, p):
    return loss.fit(p, KEY).loss


def test_gaussian_is_minus_the_log_density_up_to_a_constant():
    """Against scipy.stats.norm, with a scale of its own for each series."""
    y = {"u": np.array([1.0, 2.0]), "v": np.array([[3.0], [5.0]])}
    p = problem(y)
    loss = fitted(q.infer.Gaussian({"u": 0.5, "v": np.array([[1.0], [2.0]])}), p)

    def exact(f):
        scales = np.array([0.5, 0.5, 1.0, 2.0])
        return -scipy.stats.norm(f, scales).logpdf([1, 2, 3, 5]).sum()

    difference = loss(jnp.full((1, 4), 2.5), p.observed) - loss(jnp.full((1, 4), 0.5), p.observed)
    np.testing.assert_allclose(difference, exact(2.5) - exact(0.5), rtol=1e-12)


def test_missing_observations_leave_the_loss_alone():
    full, gaps = np.array([1.0, 2.0, 4.0]), np.array([1.0, np.nan, 4.0])
    simulated = jnp.asarray([[0.5, 77.0, 3.0]])
    for make in (q.infer.Gaussian(2.0), q.infer.SquaredError(0.125)):
        p, some = problem(gaps, missing=True), problem(full[[0, 2]])
        assert p.missing == 1
        np.testing.assert_allclose(
            fitted(make, p)(simulated, p.observed), fitted(make, some)(simulated[:, [0, 2]], some.observed), rtol=1e-12
        )


def test_missing_observations_have_no_gradient():
    p = problem(np.array([1.0, np.nan]), missing=True)
    for make in (q.infer.Gaussian(2.0), q.infer.SquaredError(1.0), q.infer.EnergyScore(1.0, draws=2)):
        slope = jax.grad(fitted(make, p))(jnp.asarray([[0.5, 7.0], [0.4, 3.0]]), p.observed)
        assert np.isfinite(slope).all()
        assert (slope[:, 1] == 0).all()


def test_energy_score_is_that_of_its_definition():
    """Gneiting and Raftery (2007), eq. 22, written out in loops."""
    rng = np.random.default_rng(0)
    y, draws = rng.normal(size=3), rng.normal(size=(4, 3))
    near = np.mean([np.linalg.norm(d - y) for d in draws])
    apart = np.mean([np.linalg.norm(a - b) for i, a in enumerate(draws) for j, b in enumerate(draws) if i != j])
    ours = q.infer.EnergyScore(2.0, draws=4)(jnp.asarray(draws), jnp.asarray(y))
    np.testing.assert_allclose(ours, 2.0 * (near - 0.5 * apart), rtol=1e-12)


def test_mmd_is_that_of_its_definition_and_blind_to_order():
    """Gretton et al. (2012), eq. 3, written out in loops."""
    rng = np.random.default_rng(1)
    y, x = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    p = problem(y)
    loss = fitted(q.infer.MMD(3.0, bandwidth=0.8), p)
    k = lambda a, b: np.exp(-((a - b) ** 2).sum() / (2 * 0.8**2))  # noqa: E731
    pairs = [(i, j) for i in range(5) for j in range(5)]
    within = sum(k(x[i], x[j]) + k(y[i], y[j]) for i, j in pairs if i != j) / 20
    expected = 3.0 * (within - 2 * np.mean([k(x[i], y[j]) for i, j in pairs]))
    np.testing.assert_allclose(loss(jnp.asarray(x.reshape(1, -1)), p.observed), expected, rtol=1e-12)
    np.testing.assert_allclose(loss(jnp.asarray(x[::-1].reshape(1, -1)), p.observed), expected, rtol=1e-12)


def test_own_loss_gets_the_structure_of_the_observations():
    y = {"u": np.ones(2), "v": np.zeros((1, 3))}
    p = problem(y)
    own = q.infer.Custom(lambda s, o: jnp.sum((s["u"] - o["u"]) ** 2) + jnp.sum(jnp.abs(s["v"])), weight=2.0)
    np.testing.assert_allclose(fitted(own, p)(jnp.full((1, 5), 3.0), p.observed), 2.0 * (2 * 4 + 3 * 3))


@pytest.mark.parametrize("name", ["SquaredError", "EnergyScore", "MMD"])
def test_a_loss_without_a_scale_is_refused_without_a_weight(name):
    with pytest.raises(q.InputError, match="give weight="):
        getattr(q.infer, name)()
    with pytest.raises(q.InputError, match="give weight="):
        q.infer.gvi(lambda t: t["a"][None], PRIOR, np.ones(1), key=KEY, loss=lambda s, o: jnp.sum((s - o) ** 2))


def test_noise_of_a_stochastic_simulator_is_estimated_in_full():
    """The precision of noise with covariance L L', from so many draws that no shrinkage is called for."""
    L = np.array([[1.0, 0, 0], [0.8, 0.5, 0], [0.1, -0.4, 2.0]])
    draws = np.random.default_rng(6).normal(size=(20_000, 3)) @ L.T
    loss = _noise(SyntheticLikelihood(), problem(np.array([0.3, 0.1, -1.0])), draws)
    # Half the Hessian of a quadratic form; relative errors of n draws are of the order sqrt(2 / n), 0.01.
    precision = jax.hessian(lambda r: loss(r[None], jnp.zeros(3)))(jnp.zeros(3))
    np.testing.assert_allclose(precision, np.linalg.inv(L @ L.T), atol=0.05 * np.linalg.norm(np.linalg.inv(L @ L.T), 2))


def test_few_draws_of_noise_are_shrunk_to_their_variances():
    """Independent noise of 40 observations from 10 draws: next to nothing of the sample's correlations is believed."""
    draws = np.random.default_rng(7).normal(size=(10, 40))
    loss = _noise(SyntheticLikelihood(), problem(np.zeros(40)), draws)
    share = (
        1.0
        if loss.draws and not hasattr(loss, "whiten")
        else float(np.mean(np.asarray(loss.scale) ** 2 / draws.var(0, ddof=1)))
    )
    assert share > 0.8


def test_scale_of_a_deterministic_simulator_comes_from_its_residuals():
    """White residuals of a known size: the scale is theirs, to the error of their number, and never far below."""
    rng = np.random.default_rng(3)
    y = 0.4 + 0.2 * rng.normal(size=400)
    loss = fitted(SyntheticLikelihood(), problem(y, lambda t: t["a"] + jnp.zeros(400)))
    assert 0.19 < float(loss.scale[0]) < 0.26


def test_repeated_rows_tell_nothing_new():
    """Every observation m times in a row: the variance grows by (1 + r) / (1 - r) = 2 m - 1, r = (m - 1) / m."""
    residuals, m = np.random.default_rng(4).normal(size=(10, 3000)), 5
    once = _discrepancy(SyntheticLikelihood(), problem(np.zeros(3000)), residuals).scale[0]
    often = _discrepancy(SyntheticLikelihood(), problem(np.zeros(3000 * m)), np.repeat(residuals, m, axis=1)).scale[0]
    np.testing.assert_allclose(often / once, np.sqrt(2 * m - 1), rtol=0.02)


def test_every_simulation_of_a_pilot_is_counted():
    """8 scouts, three rounds of gradients and draws, and the noise at the end."""
    simulator = lambda t, key: t["a"] + jax.random.normal(key, (3,))  # noqa: E731
    found = SyntheticLikelihood(pilot_steps=4, pilot_draws=5).fit(problem(np.zeros(3), simulator), KEY)
    assert found.simulations == 8 + 3 * (4 + 5) + 5


def test_a_shrunk_covariance_is_the_sum_it_says():
    """Woodbury against the dense inverse."""
    rng = np.random.default_rng(5)
    factor, diagonal, r = rng.normal(size=(3, 6)), rng.uniform(1, 2, 6), rng.normal(size=6)
    dense = 0.7 * factor.T @ factor + 0.3 * np.diag(diagonal)
    loss = _normal(factor, diagonal, 0.3, np.ones(6, bool), 1)
    np.testing.assert_allclose(
        loss(jnp.asarray(r)[None], jnp.zeros(6)), 0.5 * r @ np.linalg.solve(dense, r), rtol=1e-10
    )
