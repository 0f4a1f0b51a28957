"""Paths of warming: closed forms of the productivity that is left, and the hand-over to the supply simulator."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q
from quesnay._errors import InputError
from quesnay.climate.damage import ByAccount, Polynomial
from quesnay.climate.paths import damage_path
from quesnay.climate.published import DICE2023
from quesnay.climate.tables import Tabulated

YEARS, WARMING = [2025, 2030, 2050], [1.3, 1.5, 2.4]
LINE = Polynomial([0.02], source="of the test", year=None, valid=(0.0, 2.0))


def test_warming_moves_in_a_straight_line_between_the_years():
    path = damage_path(LINE, YEARS, WARMING, steps=300, steps_per_year=12)
    np.testing.assert_allclose(path.time, 2025 + np.arange(300) / 12, rtol=1e-15)
    np.testing.assert_allclose(path.temperature, np.interp(path.time, YEARS, WARMING), rtol=1e-12)
    np.testing.assert_array_equal(path.temperature[np.array([0, 60])], [1.3, 1.5])
    np.testing.assert_array_equal(path.outside, np.asarray(path.temperature) > 2.0)


def test_productivity_is_relative_to_the_reference():
    """`z = (1 - gamma D) / (1 - gamma D_ref)`, 1 at the reference itself and everywhere for gamma = 0."""
    gamma = np.array([0.0, 1.0, 3.0])
    path = damage_path(LINE, YEARS, WARMING, gamma=gamma, reference=1.3, steps=300, steps_per_year=12)
    T = np.asarray(path.temperature)[:, None]
    np.testing.assert_allclose(path.factor, (1 - gamma * 0.02 * T) / (1 - gamma * 0.02 * 1.3), rtol=1e-12)
    np.testing.assert_array_equal(path.factor[0], 1)
    np.testing.assert_array_equal(path.loss[:, 0], 0)


def test_without_a_reference_damage_counts_from_zero():
    path = damage_path(DICE2023(), YEARS, WARMING, steps=300)
    assert path.factor.shape == (300, 1)
    np.testing.assert_allclose(path.loss[0], 0.003467 * 1.3**2, rtol=1e-10)


def test_steps_begin_at_the_start_and_have_their_length():
    """300 steps from 2030, 15 a year: the last straight line alone."""
    later = damage_path(LINE, YEARS, WARMING, start=2030, steps=300, steps_per_year=15)
    np.testing.assert_allclose(later.temperature, 1.5 + 0.9 * np.arange(300) / 300, rtol=1e-12)


def test_warming_and_vulnerability_have_derivatives():
    """`d loss / d T_k` at a knot is gamma D', and `d loss / d gamma` is D."""

    def last(T, gamma):
        return damage_path(LINE, YEARS, T, gamma=gamma, steps=301, steps_per_year=12).loss[-1, 0]

    by_T, by_gamma = jax.jit(jax.grad(last, argnums=(0, 1)))(jnp.array(WARMING), jnp.array(1.5))
    np.testing.assert_allclose(by_T, [0, 0, 1.5 * 0.02], atol=1e-15)
    assert float(by_gamma) == pytest.approx(0.02 * 2.4)


def test_the_loss_is_what_the_supply_simulator_takes():
    """With no spare capacity and demand for all of it, an isolated account makes exactly z(t) x(0)."""
    network = q.Network.from_table(np.zeros((2, 2)), np.array([10.0, 20.0]), days=1)
    path = damage_path(LINE, YEARS, WARMING, gamma=[1.0, 2.0], reference=1.3, steps=40)
    model = q.SupplyModel(network, inventory=5.0, adjustment=5.0, capacity=1.0)
    run = q.simulate(model, q.ByDay(capacity=path.loss), steps=40)
    np.testing.assert_allclose(run.output, path.factor * np.array([10.0, 20.0]), rtol=1e-12)


def test_warming_that_stays_loses_nothing():
    """A level table and a warming that stays at the reference: no rounding is a loss, or worse, a gain."""
    level = Tabulated([0.0, 1.0, 3.0], [0.1, 0.1, 0.1], source="a test", year=None)
    assert np.all(np.asarray(level(np.linspace(0, 3, 40))) == 0.1)
    path = damage_path(DICE2023(), YEARS, [1.3, 1.3, 1.3], gamma=[0.7, 1.1], reference=1.3, steps=40)
    np.testing.assert_array_equal(path.loss, 0)
    nearly = dataclasses.replace(path, factor=path.factor + 2.2e-16)
    np.testing.assert_array_equal(nearly.loss, 0)
    assert "40 steps from 2025 to 2025.11, 2 accounts: warming 1.3 to 1.3 degrees C" in repr(path)


def test_accounts_may_have_their_own_curves():
    path = damage_path(ByAccount([LINE, DICE2023()]), YEARS, WARMING, gamma=[1.0, 2.0], reference=1.3, steps=40)
    for j, (curve, gamma) in enumerate([(LINE, 1.0), (DICE2023(), 2.0)]):
        alone = damage_path(curve, YEARS, WARMING, gamma=gamma, reference=1.3, steps=40)
        np.testing.assert_allclose(path.factor[:, j], alone.factor[:, 0], rtol=1e-14)
        np.testing.assert_allclose(path.damage[:, j], alone.damage[:, 0], rtol=1e-14)


def test_a_path_is_labelled_by_day_and_where_accounts_differ_by_account():
    economy = q.load("us-2020")
    one = economy.label(damage_path(LINE, YEARS, WARMING, steps=40))
    assert one.factor.dims == ("day",)
    gamma = np.linspace(0, 1, len(economy.index))
    many = economy.label(damage_path(LINE, YEARS, WARMING, gamma=gamma, reference=1.3, steps=40))
    assert many.factor.dims == ("day", "region", "sector")
    assert many.damage.dims == ("day",)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"years": [2030, 2025, 2050]}, "years do not rise"),
        ({"years": [2025, 2030]}, "one warming for each"),
        ({"temperatures": [1.0, math.nan, 2.0]}, "temperatures has an entry that is not finite"),
        ({"gamma": [-1.0]}, "gamma has an entry -1"),
        ({"gamma": [[1.0]]}, r"gamma has shape \(1, 1\)"),
        ({"gamma": 60.0}, "leaves an account no productivity"),
        ({"damage": ByAccount([LINE, LINE]), "gamma": [1.0, 1.0, 1.0]}, "gamma has 3 entries and damage 2 curves"),
        ({"steps": 0}, "steps is 0; give the number of steps"),
        ({"steps": 30 * 365}, "steps run from 2025 to .*, but the warming is given from 2025 to 2050"),
        ({"start": 2020}, "run from 2020"),
        ({"start": "2030"}, "start holds <U4, not numbers"),
        ({"start": [2030, 2031]}, r"start has shape \(2,\); give one number, the year of the first step"),
        ({"steps_per_year": -1}, "steps_per_year is -1; give a positive number"),
        ({"reference": [1.0, 1.1]}, r"reference has shape \(2,\); give one number, a temperature"),
        ({"temperatures": [288.0, 288.2, 289.0]}, "temperatures has 289, as if in kelvin; give degrees C of warming"),
        ({"damage": lambda T: T}, "a curve of your own is Tabulated"),
        ({"damage": 0.1}, "give a damage function"),
    ],
)
def test_paths_that_do_not_fit_are_refused(change, part):
    given = {"damage": LINE, "years": YEARS, "temperatures": WARMING, "steps": 10} | change
    with pytest.raises(InputError, match=part):
        damage_path(given.pop("damage"), given.pop("years"), given.pop("temperatures"), **given)
