"""Stress under warming: what holds for every reading."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

import quesnay as q
from quesnay import climate
from tables import random_table, seeds

from .curves import REFERENCE, SIGMOID, Kinked, N, damaged, inverse, radius, run, sigmoid, table

T = (1.3, 2.0, 2.7)
READINGS = {
    "factor": climate.FactorLimited(),
    "capacity": climate.FixedCapacity(),
    "bottleneck": climate.Bottleneck(),
    "programme": climate.LinearProgramme(),
    "requirement": climate.ResourceRequirement(),
}
every = pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS)
SMOOTH = [climate.FactorLimited(), climate.FixedCapacity(), climate.ResourceRequirement()]
smooth = pytest.mark.parametrize("reading", SMOOTH, ids=["factor", "capacity", "requirement"])


@every
@settings(max_examples=6)
@given(seed=seeds)
def test_at_the_reference_the_economy_is_as_it_was_observed(reading, seed):
    (A, d, labour, _), found = run(seed, reading, (REFERENCE, *T[1:]), throw=False)
    x0 = inverse(A) @ d
    np.testing.assert_allclose(found.output[0], x0, rtol=1e-12, atol=1e-14 * x0.max())
    np.testing.assert_allclose(found.final_demand[0], d, rtol=1e-12, atol=1e-13 * x0.max())
    np.testing.assert_allclose(found.gdp[0], d.sum(), rtol=1e-12)
    np.testing.assert_allclose(found.factor[0], labour @ x0, rtol=1e-12)
    np.testing.assert_allclose(found.loss[0], 0, atol=1e-12)
    assert found.feasible[0]


@every
@settings(max_examples=5)
@given(seed=seeds)
def test_without_vulnerability_warming_changes_nothing(reading, seed):
    (A, d, *_), found = run(seed, reading, T, scale=0.0)
    np.testing.assert_allclose(found.output, np.tile(inverse(A) @ d, (3, 1)), rtol=1e-12, atol=1e-14 * d.max())
    np.testing.assert_array_equal(found.slope, 0)
    np.testing.assert_array_equal(found.slope_left, 0)
    assert not found.kink.any()
    np.testing.assert_allclose(found.per_tenth, 0, atol=1e-13 * d.sum())


@every
@settings(max_examples=6)
@given(seed=seeds)
def test_parts_add_up(reading, seed):
    """Value added adds up to GDP and so do their slopes; what the damages contribute adds up to the slope."""
    (_, d, *_), found = run(seed, reading, T, scale=0.2, throw=False)
    size = d.sum()
    np.testing.assert_allclose(found.value_added.sum(axis=1), found.gdp, rtol=1e-10, atol=1e-12 * size)
    np.testing.assert_allclose(found.final_demand.sum(axis=1), found.gdp, rtol=1e-12, atol=1e-13 * size)
    np.testing.assert_allclose(found.slope_by_damage.sum(axis=1), found.slope, rtol=1e-10, atol=1e-11 * size)
    slack = 1e-10 * np.abs(found.value_added_slope).sum() + 1e-12 * size
    np.testing.assert_allclose(found.value_added_slope.sum(axis=1), found.slope, rtol=1e-10, atol=slack)


@smooth
@settings(max_examples=5)
@given(seed=seeds)
def test_slopes_are_those_of_central_differences(reading, seed):
    h = 1e-5
    at = np.asarray(T)
    (_, d, *_), found = run(seed, reading, at, scale=0.1, throw=False)
    _, ahead = run(seed, reading, at + h, scale=0.1, throw=False)
    _, back = run(seed, reading, at - h, scale=0.1, throw=False)
    size = np.abs(found.output).max() + d.sum()
    for value, slope in (
        ("gdp", "slope"),
        ("output", "output_slope"),
        ("value_added", "value_added_slope"),
        ("factor", "factor_slope"),
    ):
        differences = (getattr(ahead, value) - getattr(back, value)) / (2 * h)
        np.testing.assert_allclose(getattr(found, slope), differences, rtol=1e-6, atol=1e-8 * size, err_msg=slope)
    differences = (ahead.outcomes["jobs"] - back.outcomes["jobs"]) / (2 * h)
    np.testing.assert_allclose(found.outcome_slopes["jobs"], differences, rtol=1e-6, atol=1e-8 * size)
    assert not found.kink.any()


def test_the_next_tenth_of_a_degree_costs_the_difference():
    _, found = run(3, READINGS["factor"], (1.5, 1.6, 1.7), scale=0.1)
    np.testing.assert_allclose(found.per_tenth[:2], -np.diff(found.gdp), rtol=1e-9)


@every
@settings(max_examples=4)
@given(seed=seeds)
def test_the_unit_of_money_scales_the_results_and_nothing_else(reading, seed):
    _, found = run(seed, reading, T, scale=0.2, throw=False)
    _, scaled = run(seed, reading, T, scale=0.2, unit=2.0**30, throw=False)
    for name in ("gdp", "output", "slope", "slope_left", "slope_by_damage", "per_tenth", "value_added"):
        size = np.abs(found.output).max()
        expected = getattr(found, name)
        np.testing.assert_allclose(
            getattr(scaled, name) / 2.0**30, expected, rtol=1e-9, atol=1e-10 * size, err_msg=name
        )
    np.testing.assert_array_equal(found.bottleneck, scaled.bottleneck)
    np.testing.assert_array_equal(found.kink, scaled.kink)


@every
@settings(max_examples=4)
@given(seed=seeds)
def test_results_follow_the_order_of_the_accounts(reading, seed):
    (A, d, labour, gamma), found = run(seed, reading, T, scale=0.2, throw=False)
    order = np.random.default_rng(seed).permutation(N)
    moved = climate.stress(
        A[np.ix_(order, order)], d[order], SIGMOID, temperatures=jnp.asarray(T), reading=reading, labour=labour[order],
        gamma=gamma[order], reference=REFERENCE, intensities={"jobs": labour[order] / 2}, throw=False,
    )  # fmt: skip
    size = np.abs(found.output).max()
    np.testing.assert_allclose(moved.gdp, found.gdp, rtol=1e-9, atol=1e-10 * size)
    for name in ("output", "value_added", "slope_by_damage"):
        np.testing.assert_allclose(
            getattr(moved, name), getattr(found, name)[:, order], rtol=1e-8, atol=1e-8 * size, err_msg=name
        )


def test_a_compiled_batch_is_a_loop():
    A, d, labour, gamma = damaged(3)

    @jax.jit
    @jax.vmap
    def batch(scale):
        found = climate.stress(
            A, d, SIGMOID, temperatures=jnp.asarray(T), labour=labour, gamma=scale * gamma, reference=REFERENCE
        )
        return found.gdp, found.slope

    loop = [run(3, READINGS["factor"], T, scale=scale)[1] for scale in (0.05, 0.1)]
    gdp, slope = batch(jnp.asarray([0.05, 0.1]))
    np.testing.assert_allclose(gdp, [found.gdp for found in loop], rtol=1e-12)
    np.testing.assert_allclose(slope, [found.slope for found in loop], rtol=1e-12)


def test_gradients_and_second_derivatives_go_through():
    A, d, labour, gamma = damaged(3)

    @jax.jit
    @jax.jacrev
    def gradient(scale):
        found = climate.stress(
            A, d, SIGMOID, temperatures=jnp.asarray(T), labour=labour, gamma=scale * gamma, reference=REFERENCE
        )
        return jnp.stack([found.gdp.sum(), found.slope.sum()])

    h = 1e-5
    ahead, back = (run(3, READINGS["factor"], T, scale=scale)[1] for scale in (0.1 + h, 0.1 - h))
    differences = [(getattr(ahead, name) - getattr(back, name)).sum() / (2 * h) for name in ("gdp", "slope")]
    np.testing.assert_allclose(gradient(0.1), differences, rtol=1e-7)


@pytest.mark.parametrize("reading", [READINGS["factor"], READINGS["programme"]], ids=["factor", "programme"])
def test_a_kink_of_the_damage_function_has_two_slopes(reading):
    """Below 2 degrees there is no damage; at 3 the slope of damage doubles."""
    A, d, labour, gamma = damaged(3)
    d, gamma = d + 1, 0.2 * gamma
    at = jnp.asarray([2.0, 2.5, 3.0])
    found = climate.stress(A, d, Kinked(), temperatures=at, gamma=gamma, labour=labour, reading=reading)
    np.testing.assert_array_equal(found.kink, [True, False, True])
    np.testing.assert_allclose(found.slope_left[0], 0, atol=1e-12 * d.sum())
    np.testing.assert_allclose(found.slope[2], 2 * found.slope_left[2], rtol=1e-11)
    np.testing.assert_array_equal(found.outside, False)


def test_beyond_the_collapse_nothing_is_delivered_and_the_code_says_so():
    (A, _, _, gamma), found = run(3, READINGS["factor"], (1.3, 3.5, 4.0), scale=20.0, throw=False)
    assert radius(table(A, gamma, 3.5)) > 1
    for value in (found.gdp, found.slope, found.slope_left, found.factor, found.per_tenth, found.outcomes["jobs"]):
        np.testing.assert_array_equal(value[1:], 0)
    for value in (found.output, found.value_added, found.slope_by_damage, found.output_slope):
        np.testing.assert_array_equal(value[1:], 0)
    np.testing.assert_array_equal(found.result == climate.RESULTS.collapsed, [False, True, True])
    assert np.all(found.margin[1:] < 0)
    assert "collapsed" in repr(found)
    assert repr(found).startswith("Stress of 5 accounts by FactorLimited, 3 temperatures; base GDP ")


def test_beyond_the_collapse_the_requirement_has_no_bound():
    _, found = run(3, READINGS["requirement"], (1.3, 3.5, 4.0), scale=20.0, throw=False)
    assert np.all(np.asarray(found.output[1:]) == np.inf)
    assert np.all(np.asarray(found.factor[1:]) == np.inf)
    np.testing.assert_array_equal(found.gdp[1:], 0)
    assert not np.isnan(found.value_added).any()
    assert not np.isnan(found.factor_slope).any()


@pytest.mark.parametrize("reading", [READINGS["capacity"], READINGS["programme"]], ids=["capacity", "programme"])
def test_without_a_technology_nothing_is_delivered_and_the_step_before_costs_everything(reading):
    """`gamma D = 2 sigmoid(T)` reaches 1 at 2 degrees; until then and without inputs, `x = x0 (1 - 2 D(T)) / (1 - 2 D_ref)`."""
    means = climate.Productivity(2 * np.ones(N))
    (_, d, *_), found = run(
        3, reading, (1.3, 1.95, 2.0), throw=False, A=np.zeros((N, N)), gamma=None, vulnerability=means
    )
    left = d.sum() * (1 - 2 * sigmoid(1.95)) / (1 - 2 * sigmoid(REFERENCE))
    np.testing.assert_allclose([found.gdp[1], found.per_tenth[1]], left, rtol=1e-12)
    np.testing.assert_array_equal(found.result == climate.RESULTS.inadmissible, [False, False, True])
    for value in (found.gdp, found.slope, found.slope_left, found.factor, found.output, found.final_demand):
        np.testing.assert_array_equal(value[2], 0)


def test_the_error_names_the_first_collapsed_temperature_and_that_of_the_collapse():
    (A, _, _, gamma), _ = run(3, READINGS["factor"], (1.3, 3.5, 4.0), scale=20.0, throw=False)
    where = climate.collapse(A, SIGMOID, gamma=gamma, reference=REFERENCE).temperature
    with pytest.raises(q.SolveError, match=rf"^At 3\.5 degrees C .* collapses at {float(where):.4g} degrees") as caught:
        run(3, READINGS["factor"], (1.3, 3.5, 4.0), scale=20.0)
    assert "\n" not in str(caught.value)


def test_inside_compiled_code_the_error_rises_when_the_value_is_computed():
    A, d, labour, gamma = damaged(3)

    @jax.jit
    def gdp(gamma):
        return climate.stress(
            A, d, SIGMOID, temperatures=jnp.asarray([1.3, 3.5, 4.0]), labour=labour, gamma=gamma, reference=REFERENCE,
            intensities={"jobs": labour / 2},
        ).gdp  # fmt: skip

    with pytest.raises(Exception, match="cannot sustain itself"):
        gdp(20 * gamma).block_until_ready()


def test_labels_return():
    Z, d = random_table(5, N)
    sectors = list("abcde")
    economy = q.Economy.from_frames(
        Z=pd.DataFrame(Z, sectors, sectors), final_demand=pd.Series(d, sectors), currency="MUSD", year=2020
    )
    found = climate.stress(
        economy.A, economy.final_demand, SIGMOID, temperatures=T, gamma=np.full(N, 0.1), reference=REFERENCE,
        intensities={"jobs": np.ones(N)},
    )  # fmt: skip
    data = economy.label(found)
    assert data.jobs.sel(temperature=2.0) == pytest.approx(float(found.output[1].sum()), rel=1e-12)
    assert list(data.temperature.to_numpy()) == list(T)
    assert data.gdp.attrs["units"] == "MUSD"
    assert data.value_added.sel(temperature=2.0).sum() == pytest.approx(float(found.gdp[1]), rel=1e-12)
    assert data.attrs["damage"] == SIGMOID.source
    # Factor income is GDP where labour is value added per unit.
    assert float(found.factor[0]) == pytest.approx(d.sum(), rel=1e-12)
    at = climate.collapse(economy.A, SIGMOID, gamma=np.ones(N), reference=REFERENCE)
    assert set(economy.label(at).data_vars) >= {"temperature", "shares"}


def test_single_precision_stays():
    A, d, labour, gamma = (value.astype(np.float32) for value in damaged(3))
    found = climate.stress(A, d, SIGMOID, temperatures=np.float32(T), labour=labour, gamma=0.1 * gamma, reference=1.1)
    _, exact = run(3, READINGS["factor"], T, scale=0.1)
    for name in ("gdp", "slope", "output", "value_added_slope"):
        assert getattr(found, name).dtype == jnp.float32
        np.testing.assert_allclose(getattr(found, name), getattr(exact, name), rtol=1e-3, atol=1e-4 * d.sum())


TABLE = np.kron(np.eye(N), [[0.2]]) + 0.05
ONES = np.ones(N)
SMALL = np.array([0.01, 1, 1, 1, 1])


def refused(error, message, *arguments, **more):
    defaults = {"temperatures": T, "gamma": ONES, "labour": ONES, "reference": REFERENCE, "intensities": {"jobs": ONES}}
    return pytest.param(arguments or (TABLE, ONES, SIGMOID), defaults | more, error, message, id=message[:30])


@pytest.mark.parametrize(
    ("arguments", "more", "error", "message"),
    [
        refused(q.InputError, "gamma has an entry -0.5", gamma=[-0.5, 1.0]),
        refused(q.InputError, r"gamma has shape \(3,\) and the table 5 accounts", gamma=[1.0, 1.0, 1.0]),
        refused(q.InputError, "labour is zero in every account", labour=0 * ONES),
        refused(q.InputError, "labour is -1 at account 0; give labour per unit", labour=-ONES),
        refused(q.InputError, r"labour has shape \(3,\)", labour=[1.0, 1.0, 1.0]),
        refused(q.SolveError, "spectral radius 1.2 at the reference", 1.2 * np.eye(N), ONES, SIGMOID),
        refused(
            q.InputError, "1 - 1'A, the default for labour, is -0.1 at account 1",
            TABLE + 0.65 * np.eye(N, k=1), ONES, SIGMOID, labour=None,
        ),
        refused(q.InputError, "d is zero everywhere", TABLE, 0 * ONES, SIGMOID),
        refused(q.InputError, "d is -1 at account 0", TABLE, -ONES, SIGMOID),
        refused(q.InputError, r"temperatures has shape \(0,\)", temperatures=[]),
        refused(q.InputError, "temperatures has an entry that is not finite", temperatures=[np.nan]),
        refused(q.InputError, "temperatures has shape", temperatures=[[1.0]]),
        refused(q.InputError, "temperatures has 288.5, as if in kelvin; give degrees C", temperatures=[2.0, 288.5]),
        refused(q.InputError, "reference has 287, as if in kelvin", reference=287.0),
        refused(q.InputError, r"reference has shape \(2,\)", reference=[1.0, 1.1]),
        refused(q.InputError, "a curve of your own is Tabulated", TABLE, ONES, lambda T: 0.1 * T),
        refused(q.InputError, "reading is <class", reading=climate.Bottleneck),
        refused(q.InputError, r"intensities\['jobs'\] has shape", intensities={"jobs": [1.0]}),
        refused(q.SolveError, "At 1.3 degrees C account 0 would", TABLE, SMALL, SIGMOID, reading=READINGS["capacity"]),
        refused(
            q.SolveError, r"At 2.7 degrees C: The damage leaves an account without a technology",
            vulnerability=climate.Productivity(1.2 * ONES), gamma=None,
        ),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_one_sentence(arguments, more, error, message):
    with pytest.raises(error, match=message) as caught:
        climate.stress(*arguments, **more)
    assert "\n" not in str(caught.value)
