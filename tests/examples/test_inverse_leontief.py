"""The inverse Leontief example: productive whatever the parameters, and three answers that all reproduce the output."""

import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from inverse_leontief import command, descent


@pytest.fixture(scope="module")
def found():
    return command.calibrate()


@pytest.mark.parametrize("size", [0.1, 1.0, 10.0])
def test_the_technology_is_positive_and_productive_whatever_the_parameters_are(size):
    for seed in range(20):
        A = np.asarray(descent.technology(jnp.asarray(np.random.default_rng(seed).normal(0, size, (4, 3)))))
        assert np.all(A > 0)
        assert np.all(A.sum(0) < 1)
        assert np.all(np.linalg.solve(np.eye(3) - A, np.eye(3)) >= 0)


@pytest.mark.parametrize("bought", [0.1, 0.5, 0.9])
def test_a_start_spends_the_wanted_share_on_inputs(bought):
    np.testing.assert_allclose(descent.technology(descent.start(5, 0, bought=bought)).sum(0), bought, rtol=1e-12)


def test_starts_without_repair_are_mostly_not_productive():
    assert descent.unproductive(3, 200, 0) > 0.5


def test_the_loss_is_shown_every_200_epochs_of_1001_and_falls(found):
    assert list(found.losses) == [0, 200, 400, 600, 800, 1000]
    assert found.losses[200] < 1e-6 * found.losses[0]
    assert found.losses[1000] < 1e-20 * found.losses[0]


def test_every_way_leaves_the_observed_demand(found):
    for A, within in ((found.descent, 1e-12), (np.asarray(found.kl.value), 1e-14), (np.asarray(found.fit.A), 1e-6)):
        np.testing.assert_allclose(command.OUTPUT - A @ command.OUTPUT, command.DEMAND, rtol=within)
        assert np.all(np.linalg.solve(np.eye(3) - A, np.eye(3)) >= 0)


def test_three_numbers_leave_the_coefficients_open(found):
    """The ways agree on the output and not on A; the standard deviations cover the difference."""
    A = np.asarray(found.fit.A)
    apart = np.abs(found.descent - A)
    assert apart.max() > 1e-3
    assert np.all(apart < 2 * np.asarray(found.fit.sd))
    assert 2.99 < float(found.fit.effective_parameters) <= 3


def test_descent_goes_on_where_it_stopped():
    """The losses are those of one run, whatever the epochs at which they are looked at."""
    x, d = jnp.asarray(command.OUTPUT), jnp.asarray(command.DEMAND)
    often = {epoch: loss for epoch, loss, _ in descent.descend(descent.start(3, 0), x, d, 41, 10)}
    seldom = {epoch: loss for epoch, loss, _ in descent.descend(descent.start(3, 0), x, d, 41, 20)}
    assert list(often) == [0, 10, 20, 30, 40]
    np.testing.assert_allclose(seldom[40], often[40], rtol=1e-10)
