"""Modes of simulators that draw: found under new random numbers, from afar, and not believed where nothing was learnt."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import quesnay as q
from quesnay.infer import Gaussian, SyntheticLikelihood, load
from quesnay.infer import map as most_probable
from quesnay.infer.problem import read_problem
from quesnay.infer.synthetic import Normal

KEY = jax.random.key(0)
PRIOR = {"a": dist.Normal(0.0, 1.0)}


def noisy(theta, key):
    return theta["a"] + jax.random.normal(key, (4,))


def far(theta, key):
    """A bump whose place is the parameter: from afar neither moves the other."""
    return jnp.exp(-((jnp.arange(8.0) - theta["place"]) ** 2)) + 0.05 * jax.random.normal(key, (8,))


BUMP = np.exp(-((np.arange(8.0) - 6.0) ** 2))
PLACE = {"place": dist.Normal(-4.0, 5.0)}


@pytest.fixture(scope="module")
def found():
    return most_probable(noisy, PRIOR, np.full(4, 2.0), key=KEY, loss=Gaussian(0.5, draws=8), steps=200)


def test_the_mode_is_that_of_the_expected_loss(found):
    """E[loss] = 4 (a - 2)^2 / (2 0.5^2) + constant, prior a^2 / 2: the mode is 32 / 17."""
    # Tails of Adam have a deviation of about sqrt(learning rate) times that of one gradient over its curvature, at most 0.1.
    assert float(found.mean()["a"]) == pytest.approx(32 / 17, abs=0.1)
    assert found.converged
    assert found.simulations == (200 + 32) * 8
    assert not found.diagnostics["plateau"]


def test_a_search_has_a_history_that_files_keep(found, tmp_path):
    history = found.history
    assert history["loss"].sizes == {"step": 200}
    assert float(history["a"][0]) == 0  # the prior's centre
    np.testing.assert_allclose(history["a"][-50:].mean(), found.mean()["a"], rtol=1e-6)
    titles = [trace.name for trace in found.plot_history().data]
    assert titles == ["each step", "mean", "a"]
    found.save(tmp_path / "found.nc")
    again = load(tmp_path / "found.nc")
    assert again.history.equals(history)
    assert set(again.samples) == {"a"}


def test_a_laplace_fit_has_that_of_its_mode():
    fit = q.infer.laplace(
        lambda t: t["a"] * jnp.ones(4), PRIOR, np.full(4, 2.0), key=KEY, loss=Gaussian(0.5), steps=30, draws=10
    )
    assert fit.history["loss"].sizes["step"] == fit.diagnostics["gradients"]
    np.testing.assert_allclose(fit.history["a"].min(), 0, atol=1e-12)  # the prior's centre, where it begins
    np.testing.assert_allclose(fit.history["a"][-1], 32 / 17, atol=1e-3)


@pytest.mark.parametrize("starts", [1, 2])
def test_variational_fits_have_a_history_too(starts, tmp_path):
    given = {"key": KEY, "loss": Gaussian(0.5), "steps": 60, "draws": 10}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        fit = q.infer.gvi(noisy, PRIOR, np.full(4, 2.0), starts=starts, **given)
    assert fit.history["loss"].sizes == {"step": 60}
    assert fit.history["at"].to_numpy().tolist() == [25, 50, 60]
    with pytest.raises(q.InputError, match="abc does not search"):
        q.infer.abc(noisy, PRIOR, np.full(4, 2.0), key=KEY, simulations=20, keep=5).plot_history()


def test_a_loss_that_nothing_moves_is_a_plateau():
    with pytest.warns(UserWarning, match="stands on a plateau"):
        lost = most_probable(
            lambda t, key: 0 * t["a"] + jax.random.normal(key, (4,)),
            PRIOR,
            np.full(4, 2.0),
            key=KEY,
            loss=Gaussian(1.0),
            steps=50,
        )
    assert lost.diagnostics["plateau"]
    assert not lost.converged


def test_scouts_find_what_a_gradient_does_not_see():
    given = {"key": KEY, "loss": Gaussian(0.1, draws=2), "steps": 150}
    with pytest.warns(UserWarning, match="scouts="):
        lost = most_probable(far, PLACE, BUMP, **given)
    there = most_probable(far, PLACE, BUMP, scouts=100, **given)
    assert float(lost.mean()["place"]) < 0
    assert float(there.mean()["place"]) == pytest.approx(6, abs=0.1)
    assert there.converged
    pilot = SyntheticLikelihood(pilot_scouts=100, pilot_draws=40, pilot_steps=25, draws=2)
    piloted = most_probable(far, PLACE, BUMP, **(given | {"loss": pilot}))
    assert float(piloted.mean()["place"]) == pytest.approx(6, abs=0.1)
    assert piloted.simulations == 100 + 3 * (25 * 2 + 40) + (150 + 32) * 2


def test_a_pilot_from_scouts_knows_the_errors_of_the_simulator():
    """Noise of 0.05 at every place: the loss of one unit there is 1 / (2 0.05^2), within sqrt(2 / draws)."""
    problem = read_problem(far, PLACE, BUMP)
    loss = SyntheticLikelihood(pilot_scouts=100, pilot_draws=4000, pilot_steps=25, shrinkage=1.0, draws=2)
    own = loss.fit(problem, KEY).loss
    one = own(jnp.asarray(BUMP)[None] + 1.0, jnp.asarray(BUMP))
    np.testing.assert_allclose(one, 8 / (2 * 0.05**2), rtol=5 * np.sqrt(2 / 4000))


def test_the_loss_of_a_mean_has_nothing_of_its_variance():
    """Of two simulations, `(2 Q(mean) - mean Q) / 2` is half of r1' S^-1 r2: without bias, as r1 and r2 are independent."""
    rows = jax.random.normal(KEY, (3, 5)) / 3
    loss = Normal(jnp.full(5, 2.0), rows, draws=2)
    x, y = jax.random.normal(jax.random.key(1), (2, 5)), jnp.ones(5)
    residual = (x - y) / 2
    expected = 0.5 * (residual[0] @ residual[1] - (rows @ residual[0]) @ (rows @ residual[1]))
    np.testing.assert_allclose(loss(x, y), expected, rtol=1e-10)
