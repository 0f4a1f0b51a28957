"""What households do with money that shocks leave them: laws of the budget."""

import hypothesis.strategies as st
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from quesnay import supply
from tables import seeds

N = 7


def consumer(seed, redirection):
    rng = np.random.default_rng(seed)
    consumption = rng.uniform(0, 1, N) * (rng.uniform(size=N) < 0.8)
    consumption[0] = 1.0
    lost = rng.uniform(-0.5, 1, N) * (rng.uniform(size=N) < 0.7)
    return supply.Households(consumption, np.ones(N), redirection=redirection), consumption, lost


@given(seeds, st.floats(0, 1))
def test_of_what_shocks_take_from_the_basket_all_but_the_redirected_is_saved(seed, redirection):
    rule, consumption, lost = consumer(seed, redirection)
    level = -0.1
    spent = np.asarray(rule.consumed(jnp.asarray(level), jnp.asarray(-lost)))
    taken = consumption @ lost / consumption.sum()
    expected = np.exp(level) * (1 - (1 - redirection) * taken) * consumption.sum()
    assert spent.sum() == pytest.approx(expected, rel=1e-12)
    # What is still bought keeps its proportions.
    np.testing.assert_allclose(
        spent * (consumption * (1 - lost)).sum(), consumption * (1 - lost) * spent.sum(), rtol=1e-12
    )


@given(seeds)
def test_without_redirection_only_what_is_lost_is_missing(seed):
    rule, consumption, lost = consumer(seed, 0.0)
    np.testing.assert_allclose(
        rule.consumed(jnp.asarray(0.0), jnp.asarray(-lost)), consumption * (1 - lost), rtol=1e-12
    )


def test_who_can_buy_nothing_spends_nothing():
    rule = supply.Households(np.ones(3), np.ones(3), redirection=1.0)
    np.testing.assert_array_equal(rule.consumed(jnp.asarray(0.0), -jnp.ones(3)), 0)


def test_half_of_a_lost_half_goes_to_the_other_good():
    # By hand: of 10 spent, 4 were on good 1 and half of that is lost. 1 is saved; 9 is spent on 2 and 6, in proportion.
    rule = supply.Households(np.array([4.0, 6.0]), np.ones(2), redirection=0.5)
    found = rule.consumed(jnp.asarray(0.0), jnp.array([-0.5, 0.0]))
    np.testing.assert_allclose(found, [9 * 2 / 8, 9 * 6 / 8], rtol=1e-14)
