"""Damage functions against their equations, the numbers that their authors state, and other programs' constants."""

import math
import re
from pathlib import Path

import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from quesnay._errors import InputError
from quesnay.climate.damage import AbstractDamage, ByAccount, Polynomial, Sigmoid, outside, slopes
from quesnay.climate.published import DICE2016R, DICE2023, BurkeHsiangMiguel, HowardSterner, Weitzman

HOT = BurkeHsiangMiguel(25.0, years=80, reference=1.1, growth=0.02)
COLD = BurkeHsiangMiguel(5.0, years=80, reference=1.1)
CURVES = [Sigmoid(), DICE2016R(), DICE2023(), HowardSterner(), HowardSterner(catastrophic=True), Weitzman(), HOT, COLD]
NAMES = [type(c).__name__ for c in CURVES[:4]] + ["HowardSternerCatastrophic", "Weitzman", "hot", "cold"]
every = pytest.mark.parametrize("damage", CURVES, ids=NAMES)
warmings = st.floats(0.0, 8.0)


def test_a_sigmoid_is_half_at_its_threshold_and_steepest_there():
    """`D' = s / 4` at the threshold, and `D(T) = 1 / (1 + exp(-s (T - T_thresh)))` elsewhere."""
    damage = Sigmoid(steepness=2.5, threshold=2.0)
    assert float(damage(2.0)) == 0.5
    assert float(jax.grad(damage)(2.0)) == pytest.approx(2.5 / 4, rel=1e-15)
    assert float(damage(1.1)) == pytest.approx(1 / (1 + math.exp(-2.5 * (1.1 - 2))), rel=1e-14)
    assert float(damage(-400.0)) < 1e-300
    assert float(damage(400.0)) == 1


@pytest.mark.parametrize(
    ("damage", "T", "share"),
    [
        (DICE2016R(), 3.0, 0.021),  # as quoted by Keen et al. (2021): 2.1 percent at 3 degrees C
        (Weitzman(), 6.0, 0.5),  # half of output at 6 degrees C
    ],
)
def test_curves_have_the_losses_that_are_quoted_from_them(damage, T, share):
    assert float(damage(T)) == pytest.approx(share, abs=6e-4)


def test_dice_2023_is_a_half_larger_than_dice_2016():
    """The ratio of the coefficients of the two models' GAMS code, 0.003467 / 0.00236."""
    assert float(DICE2023()(3.0) / DICE2016R()(3.0)) == pytest.approx(0.003467 / 0.00236, rel=1e-12)


@pytest.mark.parametrize(
    ("flags", "coefficient"),
    [
        ({}, 0.00744),  # REMIND: HowardNonCatastrophic
        ({"catastrophic": True}, 0.0100),  # REMIND: HowardInclCatastrophic
        ({"catastrophic": True, "productivity": True}, 0.01145),  # Traeger's ACE
    ],
)
def test_howard_and_sterner_has_the_coefficients_that_other_models_take_from_it(flags, coefficient):
    """As rounded there; EPA adds the parts as we do."""
    assert float(HowardSterner(**flags)(1.0)) == pytest.approx(coefficient, abs=5.1e-5)


def test_the_parts_of_howard_and_sterner_add_up():
    """Only the 25 percent for what is omitted does not apply to catastrophes."""
    b = np.array([0.5953827, 0.2598511, 0.1133249]) / 100
    for catastrophic in (False, True):
        for productivity in (False, True):
            damage = HowardSterner(catastrophic=catastrophic, productivity=productivity)
            expected = 1.25 * (b[0] + b[2] * productivity) + b[1] * catastrophic
            assert float(damage(2.0)) == pytest.approx(4 * expected, rel=1e-6)


def test_published_standard_errors_are_those_of_the_regressions():
    """The square roots of the covariances beside the printed standard errors (EPA's copy of Table 2, and Nordhaus)."""
    errors = np.sqrt(np.diag(HowardSterner().covariance["coefficients"]))
    np.testing.assert_allclose(errors, [0.1904833, 0.2672706, 0.125483], rtol=1e-6)
    assert float(DICE2016R().covariance["a2"][0, 0]) == pytest.approx((0.00236 / 2) ** 2, rel=1e-12)


def test_growth_is_fastest_at_thirteen_degrees():
    """`-b_1 / (2 b_2)` = 13.06 degrees C, the optimum that the authors report as 13."""
    best = BurkeHsiangMiguel(13.0, years=1)
    b1, b2 = best.coefficients
    assert float(-b1 / (2 * b2)) == pytest.approx(13.06, abs=0.005)
    assert float(jax.grad(best.effect)(0.0)) == pytest.approx(float(b1 + 2 * b2 * 13), rel=1e-12)


@settings(max_examples=20)
@given(st.floats(-5, 30), st.floats(0, 6), st.floats(0, 0.05))
def test_growth_effects_accumulate_as_in_the_authors_loop(climate, T, growth):
    """A plain loop over years, GDP with and without warming, the response held at 30 degrees C."""
    damage = BurkeHsiangMiguel(climate, years=40, reference=1.0, amplification=1.3, growth=growth)

    def h(temperature):
        held = min(temperature, 30.0)
        return 0.0127184 * held - 0.0004871 * held**2

    with_warming = without = 1.0
    for j in range(1, 41):
        local = climate + 1.3 * (T - 1.0) * j / 40
        with_warming *= 1 + growth + h(local) - h(climate)
        without *= 1 + growth
    assert float(damage(T)) == pytest.approx(1 - with_warming / without, rel=1e-10, abs=1e-13)


def test_a_growth_effect_grows_with_the_years_and_a_level_effect_would_not():
    """Without base growth, `years` equal effects e take `1 - (1 + e)^years`; warming helps the cold and harms the hot."""
    path = jnp.full(30, 2.0)
    effect = float(HOT.effect(2.0))
    still = BurkeHsiangMiguel(25.0, years=1, reference=1.1)
    np.testing.assert_allclose(still.along(path), 1 - (1 + effect) ** np.arange(1, 31), rtol=1e-12)
    assert float(HOT(3.0)) > 0 > float(COLD(3.0))
    assert float(HOT(1.1)) == pytest.approx(0, abs=1e-14)


def test_the_domain_of_a_growth_effect_ends_where_the_country_reaches_thirty_degrees():
    assert float(HOT.domain[1]) == pytest.approx(1.1 + 5.0)
    assert not bool(outside(HOT, 6.0))
    assert bool(outside(HOT, 6.2))
    assert bool(outside(HOT, 1.0))


@every
@settings(max_examples=10)
@given(T=warmings)
def test_derivatives_are_those_of_finite_differences(damage, T):
    T = T if abs(T - 6.1) > 1e-3 else 6.0  # the kink at 30 degrees C
    step = 1e-5
    found = float(jax.grad(damage)(T + 0.01))
    expected = (float(damage(T + 0.01 + step)) - float(damage(T + 0.01 - step))) / (2 * step)
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-8)


@every
def test_parameters_have_derivatives(damage):
    """Every gradient is finite, also at no warming at all, and those of some parameter are not zero."""
    for T in (0.0, 2.0):
        gradients = jax.tree.leaves(eqx.filter_grad(lambda d, T=T: d(T))(damage))
        assert all(bool(jnp.all(jnp.isfinite(g))) for g in gradients)
    assert any(bool(jnp.any(g != 0)) for g in gradients)


@every
def test_traced_and_mapped_values_are_the_plain_ones(damage):
    T = jnp.linspace(0, 5, 7)
    plain = damage(T)
    np.testing.assert_allclose(jax.jit(lambda t: damage(t))(T), plain, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(jax.vmap(damage)(T), plain, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(eqx.filter_jit(lambda d: d(T))(damage), plain, rtol=1e-12, atol=1e-15)
    assert damage(T.reshape(7, 1)).shape == (7, 1)


def test_precision_is_kept_where_all_is_given_in_it():
    half = Sigmoid(steepness=jnp.float32(2.5), threshold=jnp.float32(2.0))
    assert half(jnp.float32(2.0)).dtype == jnp.float32
    assert Sigmoid()(2.0).dtype == jnp.float64


@every
def test_every_curve_says_where_it_is_from(damage):
    assert isinstance(damage, AbstractDamage)
    assert len(damage.source) > 20
    assert damage.year is None or 1990 < damage.year < 2030
    assert damage.source in repr(damage)
    assert damage.warning == ""


@every
def test_slopes_of_both_sides_agree_where_a_curve_is_smooth(damage):
    left, right = slopes(damage, jnp.array([0.0, 1.5, 3.0]))
    np.testing.assert_allclose(left, right, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(right[1:], jax.vmap(jax.grad(damage))(jnp.array([1.5, 3.0])), rtol=1e-11)


def test_slopes_of_both_sides_differ_at_a_kink():
    """At 30 degrees C the response of growth stops; the last of N years is the only one there: slope from the left only."""
    once = BurkeHsiangMiguel(29.0, years=1)
    left, right = slopes(once, 1.0)
    assert float(left) == pytest.approx(-(0.0127184 - 2 * 0.0004871 * 30), rel=1e-10)
    assert float(right) == 0


def test_outside_is_beyond_the_domain_and_the_value_is_still_the_curves():
    damage = DICE2023()
    np.testing.assert_array_equal(outside(damage, [-0.1, 0.0, 4.5, 4.6]), [True, False, False, True])
    assert float(damage(10.0)) == pytest.approx(0.3467)
    assert not bool(jnp.any(outside(Sigmoid(), jnp.array([-50.0, 50.0]))))


def test_a_polynomial_is_horners_sum():
    damage = Polynomial([0.01, -0.002, 0.0005], source="of the test", year=None, valid=(0.0, 5.0))
    T = np.linspace(-1, 6, 5)
    np.testing.assert_allclose(damage(T), np.polynomial.Polynomial([0, 0.01, -0.002, 0.0005])(T), rtol=1e-12)
    np.testing.assert_array_equal(outside(damage, T), [True, False, False, False, True])


def test_curves_by_account_are_those_of_each():
    damage = ByAccount([DICE2016R(), Weitzman(), DICE2016R()])
    T = jnp.array([1.0, 3.0])
    np.testing.assert_array_equal(damage(T), jnp.stack([c(T) for c in damage.curves], axis=-1))
    assert damage(2.0).shape == (3,)
    assert tuple(float(end) for end in damage.domain) == (0.0, 6.0)
    np.testing.assert_array_equal(outside(damage, [5.0, 7.0]), [False, True])
    assert damage.source.count("Nordhaus") == 1
    assert damage.year == 2017
    left, right = slopes(damage, 2.0)
    np.testing.assert_allclose(left, right, rtol=1e-11)


def test_curves_by_account_warn_where_one_is_retracted():
    def curve(source, year):
        return Polynomial([0.02], source=source, year=year, valid=(0.0, 5.0))

    assert "retracted" in ByAccount([DICE2023(), curve("Kotz et al., Nature 628", 2024)]).warning
    assert ByAccount([curve("Kotz et al., Nature 601", 2022), curve("Doe, Journal 3", 2024)]).warning == ""


def test_a_source_that_is_retracted_warns():
    damage = Polynomial([0.02], source="Kotz, Levermann and Wenz, Nature 628", year=2024, valid=(0.0, 5.0))
    assert "retracted" in damage.warning
    assert "retracted" in repr(damage)
    assert Polynomial([0.02], source="Kotz et al., Nature 601", year=2022, valid=(0.0, 5.0)).warning == ""


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: Sigmoid(steepness=0.0), "steepness is 0; give a number above 0"),
        (lambda: Sigmoid(steepness=math.nan), "steepness is nan"),
        (lambda: Sigmoid(threshold=[1.0, 2.0]), r"threshold has shape \(2,\); give one number"),
        (lambda: DICE2016R("high"), "a2 holds <U4, not numbers"),
        (lambda: Weitzman(power=1.0), "power is 1; give a number above 1"),
        (lambda: HowardSterner(catastrophic=1), "catastrophic is 1; give True or False"),
        (lambda: HowardSterner(coefficients=[0.6, 0.3]), "give 3 of them"),
        (lambda: BurkeHsiangMiguel(25.0, years=0), "years is 0; give the number of years"),
        (lambda: BurkeHsiangMiguel(25.0, years=10, amplification=-1), "amplification is -1"),
        (lambda: BurkeHsiangMiguel(25.0, years=10, growth=-1), "growth is -1"),
        (lambda: Polynomial([], source="s", year=2000, valid=(0.0, 1.0)), "coefficients is empty"),
        (lambda: Polynomial([1.0], source=" ", year=2000, valid=(0.0, 1.0)), "say where the curve is from"),
        (lambda: Polynomial([1.0], source="s", year="2000", valid=(0.0, 1.0)), "year is '2000'"),
        (lambda: Polynomial([1.0], source="s", year=2000, valid=(1.0, 0.0)), "lowest and the highest"),
        (lambda: ByAccount([]), "curves is empty"),
        (lambda: ByAccount([DICE2023(), 0.1]), "the curve of account 1 is 0.1; give a damage function"),
        (lambda: outside(DICE2023, 1.0), "give a damage function such as DICE2023()"),
        (lambda: slopes(0.1, 1.0), "give a damage function"),
    ],
)
def test_wrong_parameters_are_refused_in_one_sentence(make, part):
    with pytest.raises(InputError, match=part.replace("()", r"\(\)")) as caught:
        make()
    assert str(caught.value).count("\n") == 0


def test_the_guide_has_the_values_of_the_code():
    """The table that benchmarks/damage_curves.py writes: calls in the first column, percent in the last four."""
    known = {cls.__name__: cls for cls in (Sigmoid, DICE2016R, DICE2023, HowardSterner, Weitzman, BurkeHsiangMiguel)}
    page = Path(__file__).parents[2] / "docs" / "guide" / "climate-damage.md"
    rows = re.findall(r"^\| `(\w+\(.*?\))` \|.*? \|.*? \| (.*) \|$", page.read_text(encoding="utf-8"), flags=re.M)
    assert len(rows) >= 8
    for call, cells in rows:
        damage = eval(call, known)
        expected = [f"{v:.2%}".replace("%", " %") for v in np.asarray(damage([1.5, 2.0, 3.0, 4.0]))]
        assert [cell.strip("() ") for cell in cells.split("|")] == expected
