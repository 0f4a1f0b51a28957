"""Uncertain damage functions: normal draws against their closed forms, and the delta method where it is exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quesnay._errors import InputError, SolveError
from quesnay._results import RESULTS
from quesnay.climate.damage import Sigmoid
from quesnay.climate.published import DICE2016R, DICE2023, BurkeHsiangMiguel, HowardSterner, Weitzman
from quesnay.climate.uncertainty import curves, draw

KEY = jax.random.key(0)
T = jnp.array([1.5, 3.0])
COUNT = 20_000


def test_a_curve_that_is_linear_in_its_parameters_is_normal():
    """DICE: D = a_2 T^2 with sd 0.00118 T^2; the delta method is exact, the draws are within their sampling error."""
    found = curves(DICE2016R(), lambda d: d(T), key=KEY, count=COUNT)
    sd = 0.00118 * np.asarray(T) ** 2
    np.testing.assert_allclose(found.delta, sd, rtol=1e-12)
    np.testing.assert_allclose(found.sd, sd, rtol=0.03)
    np.testing.assert_allclose(found.mean, found.value, atol=4 * sd.max() / np.sqrt(COUNT))
    expected = np.asarray(found.value) + stats.norm.ppf([0.05, 0.5, 0.95])[:, None] * sd
    np.testing.assert_allclose(found.quantiles, expected, atol=0.05 * sd.max())


def test_correlated_parameters_have_the_variance_of_their_sum():
    """Howard and Sterner with all parts: the weights are 1.25, 1 and 1.25, and the covariance of the first two counts."""
    damage = HowardSterner(catastrophic=True, productivity=True)
    w = np.array([1.25, 1.0, 1.25]) / 100
    C = damage.covariance["coefficients"]
    found = curves(damage, lambda d: d(T), key=KEY, count=COUNT)
    expected = np.sqrt(w @ C @ w) * np.asarray(T) ** 2
    np.testing.assert_allclose(found.delta, expected, rtol=1e-12)
    np.testing.assert_allclose(found.sd, expected, rtol=0.03)


def test_draws_have_the_published_covariance():
    damage = BurkeHsiangMiguel(25.0, years=20)
    sample = np.asarray(draw(damage, key=KEY, count=COUNT).coefficients)
    C = damage.covariance["coefficients"]
    scale = np.sqrt(np.outer(np.diag(C), np.diag(C)))
    np.testing.assert_allclose(np.cov(sample.T) / scale, C / scale, atol=0.04)


def test_the_delta_method_is_the_gradient_times_the_sd():
    """Sigmoid at its threshold: dD/dT_thresh = -s / 4 and dD/ds = 0."""
    found = curves(Sigmoid(), lambda d: d(2.0), key=KEY, count=100, sd={"steepness": 0.3, "threshold": 0.2})
    assert float(found.delta) == pytest.approx(2.5 / 4 * 0.2, rel=1e-10)
    assert float(curves(Sigmoid(), lambda d: d(2.0), key=KEY, count=100, sd={"steepness": 0.3}).sd) == 0


def test_a_given_sd_goes_before_the_published_one_and_zero_is_certain():
    found = curves(DICE2016R(), lambda d: d(T), key=KEY, count=50, sd={"a2": 0.0})
    np.testing.assert_allclose(found.sd, 0, atol=1e-17)
    np.testing.assert_allclose(found.quantiles, np.broadcast_to(found.value, (3, 2)), rtol=1e-14)


def test_draws_mapped_by_hand_are_those_of_curves_and_a_key_repeats_them():
    found = curves(Weitzman(), lambda d: d(T), key=KEY, count=50, sd={"steep": 0.2})
    by_hand = jax.vmap(lambda d: d(T))(draw(Weitzman(), key=KEY, count=50, sd={"steep": 0.2}))
    np.testing.assert_allclose(found.draws, by_hand, rtol=1e-12)
    again = jax.jit(lambda key: curves(Weitzman(), lambda d: d(T), key=key, count=50, sd={"steep": 0.2}).draws)(KEY)
    np.testing.assert_allclose(again, by_hand, rtol=1e-12)


def test_any_result_can_be_carried_and_its_unit_scales():
    one = curves(DICE2016R(), lambda d: 100 * (1 - d(T)), key=KEY, count=50)
    other = curves(DICE2016R(), lambda d: 1e9 * (1 - d(T)), key=KEY, count=50)
    np.testing.assert_allclose(np.asarray(other.quantiles) / 1e7, one.quantiles, rtol=1e-12)
    assert "50 draws" in repr(one)


def test_a_draw_that_is_not_finite_raises_or_is_reported():
    def bad(d):
        return jnp.sqrt(d(T))  # some draws are gains

    with pytest.raises(SolveError, match=r"draw \d+ of 500 gives a result that is not finite, with DICE2016R\(a2=-"):
        curves(DICE2016R(), bad, key=KEY, count=500)
    kept = curves(DICE2016R(), bad, key=KEY, count=500, throw=False)
    assert not bool(jnp.all(jnp.isfinite(kept.draws)))
    assert "not finite" in RESULTS[kept.result]


@pytest.mark.parametrize(
    ("damage", "options", "part"),
    [
        (DICE2023(), {}, r"DICE2023 has no published uncertainty; give sd= with standard deviations of \['a2'\]"),
        (DICE2023(), {"sd": {"a3": 1.0}}, "'a3', which is no parameter of DICE2023"),
        (DICE2023(), {"sd": {"a2": -1.0}}, "the sd of a2 is not a number of at least 0"),
        (HowardSterner(), {"sd": {"coefficients": [1.0, 1.0]}}, r"the sd of coefficients has shape \(2,\)"),
        (DICE2016R(), {"count": 0}, "count is 0; give the number of draws"),
        (DICE2016R(), {"levels": (0.9, 0.1)}, "levels are not shares"),
        (DICE2016R(), {"levels": (0.5, 1.5)}, "levels are not shares"),
        ("DICE", {}, "give a damage function such as HowardSterner"),
    ],
)
def test_what_cannot_be_drawn_is_refused(damage, options, part):
    with pytest.raises(InputError, match=part):
        curves(damage, lambda d: d(T), key=KEY, **options)
