"""What the readings deliver: closed forms in NumPy, and the linear programme of SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

import quesnay as q
from quesnay import climate
from tables import seeds

from .curves import REFERENCE, SIGMOID, N, damaged, inverse, radius, run, sigmoid, table

T = (1.3, 2.0, 2.7)
PROGRAMME = climate.LinearProgramme()


@settings(max_examples=15)
@given(seeds)
def test_the_factor_limits_the_level_of_an_unchanged_bundle(seed):
    (A, d, labour, gamma), found = run(seed, climate.FactorLimited(), T, scale=0.1)
    x0 = inverse(A) @ d
    for k, t in enumerate(T):
        L = inverse(table(A, gamma, t))
        level = labour @ x0 / (labour @ L @ d)
        np.testing.assert_allclose(found.final_demand[k], level * d, rtol=1e-12)
        np.testing.assert_allclose(found.output[k], level * L @ d, rtol=1e-12)
    np.testing.assert_allclose(found.factor, labour @ x0, rtol=1e-13)
    np.testing.assert_allclose(found.factor_slope, 0, atol=1e-12 * labour @ x0)


@settings(max_examples=15)
@given(seeds)
def test_the_slope_of_factor_limited_gdp_is_the_closed_form(seed):
    """`d ln Y / dT = -p' (dA/dT) x / (l'x)` with `p' = l'L`."""
    (A, _, labour, gamma), found = run(seed, climate.FactorLimited(), T, scale=0.1)
    for k, t in enumerate(T):
        dD = 2.5 * sigmoid(t) * (1 - sigmoid(t))
        dA = A * gamma * dD / (1 + gamma * sigmoid(REFERENCE))
        p = labour @ inverse(table(A, gamma, t))
        x = np.asarray(found.output[k])
        expected = -(p @ dA * x) / (labour @ x) * float(found.gdp[k])
        np.testing.assert_allclose(found.slope_by_damage[k], expected, rtol=1e-10, atol=1e-13 * found.gdp[k])
        np.testing.assert_allclose(found.slope[k], expected.sum(), rtol=1e-10)
        np.testing.assert_allclose(found.slope_left[k], expected.sum(), rtol=1e-10)


@settings(max_examples=15)
@given(seeds)
def test_to_first_order_the_loss_is_the_sum_of_domar_weights_times_losses_of_productivity(seed):
    """Hulten: with `Productivity` and prices `p' = l'L`, `-d ln Y = sum_j p_j x_j / (p'd) gamma_j dD / (1 - gamma_j D)`."""
    A, d, labour, gamma = damaged(seed)
    gamma = 0.5 * gamma
    found = climate.stress(
        A, d, SIGMOID, temperatures=jnp.asarray([REFERENCE, 1.5, 1.7]), labour=labour, reference=REFERENCE,
        vulnerability=climate.Productivity(gamma), throw=False,
    )  # fmt: skip
    p, x = labour @ inverse(A), inverse(A) @ d
    D = sigmoid(REFERENCE)
    lost = gamma * 2.5 * D * (1 - D) / (1 - gamma * D)
    np.testing.assert_allclose(found.slope[0] / d.sum(), -(p * x / (p @ d)) @ lost, rtol=1e-11)


@settings(max_examples=15)
@given(seeds)
def test_with_fixed_capacity_final_demand_takes_what_is_left(seed):
    (A, d, _, gamma), found = run(seed, climate.FixedCapacity(), T, throw=False)
    x0 = inverse(A) @ d
    for k, t in enumerate(T):
        y = x0 - table(A, gamma, t) @ x0
        np.testing.assert_allclose(found.final_demand[k], y, rtol=1e-11, atol=1e-13 * x0.max())
        assert bool(found.feasible[k]) == bool(np.all(y >= -1e-12 * x0))
        if not found.feasible[k]:
            assert y[int(found.bottleneck[k])] < 0
    np.testing.assert_allclose(found.output, np.tile(x0, (3, 1)), rtol=1e-12)


def test_with_lost_productivity_and_fixed_capacity_the_same_inputs_make_less():
    """`y = x0 / f - A x0`: what is bought stays, what is made falls."""
    A, d, labour, gamma = damaged(4)
    d = d + 1
    gamma = 0.2 * gamma
    found = climate.stress(
        A, d, SIGMOID, temperatures=jnp.asarray(T), labour=labour, reference=REFERENCE,
        vulnerability=climate.Productivity(gamma), reading=climate.FixedCapacity(), throw=False,
    )  # fmt: skip
    x0 = inverse(A) @ d
    for k, t in enumerate(T):
        made = x0 * (1 - gamma * sigmoid(t)) / (1 - gamma * sigmoid(REFERENCE))
        np.testing.assert_allclose(found.output[k], made, rtol=1e-12)
        np.testing.assert_allclose(found.final_demand[k], made - A @ x0, rtol=1e-10, atol=1e-13 * x0.max())
    np.testing.assert_allclose(found.factor, labour @ x0, rtol=1e-12)


@settings(max_examples=15)
@given(seeds)
def test_the_scarcest_account_sets_the_level(seed):
    (A, d, _, gamma), found = run(seed, climate.Bottleneck(), T, scale=0.1)
    x0 = inverse(A) @ d
    for k, t in enumerate(T):
        needed = inverse(table(A, gamma, t)) @ d
        level = np.where(needed > 0, x0 / np.where(needed > 0, needed, 1), np.inf)
        np.testing.assert_allclose(found.gdp[k], level.min() * d.sum(), rtol=1e-12)
        assert level[int(found.bottleneck[k])] <= level.min() * (1 + 1e-12)
        assert np.all(found.output[k] <= x0 * (1 + 1e-12))


@settings(max_examples=15)
@given(seeds)
def test_meeting_the_same_demand_takes_ever_more_output(seed):
    (A, d, _, gamma), found = run(seed, climate.ResourceRequirement(), T, scale=0.1)
    np.testing.assert_allclose(found.output[1], inverse(table(A, gamma, T[1])) @ d, rtol=1e-12)
    assert np.all(np.diff(found.output, axis=0) >= -1e-13 * np.asarray(found.output).max())
    assert np.all(found.output_slope >= -1e-13 * np.asarray(found.output).max())
    np.testing.assert_allclose(found.gdp, d.sum(), rtol=1e-15)
    np.testing.assert_array_equal(found.slope, 0)
    assert np.all(np.diff(found.factor) > 0)


def best(A, x0, d, *, spare=1.0, labour=None, factor=None):
    """Return the optimum of SciPy's linear programme in y alone: `max 1'y` with `L y <= k x0`, `l'L y <= w l'x0`."""
    L = inverse(A)
    rows, limit = (L, spare * x0) if labour is None else (np.vstack([L, labour @ L]), np.append(spare * x0, factor))
    found = scipy.optimize.linprog(-np.ones(N), A_ub=rows, b_ub=limit, bounds=np.column_stack([np.zeros(N), d]))
    assert found.status == 0
    return -found.fun


@settings(max_examples=15)
@given(seeds, st.sampled_from([0.1, 0.5]))
def test_the_programme_finds_the_optimum_of_another_formulation_of_it(seed, scale):
    (A, d, _, gamma), found = run(seed, PROGRAMME, T, scale=scale, throw=False)
    x0 = inverse(A) @ d
    for k, t in enumerate(T):
        if radius(table(A, gamma, t)) < 1:
            np.testing.assert_allclose(found.gdp[k], best(table(A, gamma, t), x0, d), rtol=1e-8)
    assert np.all(found.output <= x0 * (1 + 1e-12) + 1e-13 * x0.max())
    assert np.all(found.final_demand <= d * (1 + 1e-12) + 1e-13 * x0.max())
    assert np.all(found.final_demand >= -1e-12 * x0.max())


@settings(max_examples=10)
@given(seeds)
def test_the_programme_with_spare_capacity_and_limited_labour_finds_it_too(seed):
    reading = climate.LinearProgramme(spare=1.3, labour=1.0)
    (A, d, labour, gamma), found = run(seed, reading, T, scale=0.5, throw=False)
    x0 = inverse(A) @ d
    for k, t in enumerate(T):
        if radius(table(A, gamma, t)) < 1:
            expected = best(table(A, gamma, t), x0, d, spare=1.3, labour=labour, factor=labour @ x0)
            np.testing.assert_allclose(found.gdp[k], expected, rtol=1e-8)
    assert np.all(found.factor <= labour @ x0 * (1 + 1e-12))


@settings(max_examples=12)
@given(seeds)
def test_no_reading_within_capacity_and_demand_delivers_more_than_the_programme(seed):
    (_, d, *_), most = run(seed, PROGRAMME, T, scale=0.3, throw=False)
    _, level = run(seed, climate.Bottleneck(), T, scale=0.3, throw=False)
    _, left = run(seed, climate.FixedCapacity(), T, scale=0.3, throw=False)
    assert np.all(level.gdp <= most.gdp * (1 + 1e-9))
    for k in np.flatnonzero(left.feasible):
        np.testing.assert_allclose(left.gdp[k], most.gdp[k], rtol=1e-9)
    assert np.all(most.gdp <= d.sum() * (1 + 1e-12))


@pytest.mark.parametrize("reading", [climate.Bottleneck(), PROGRAMME], ids=["bottleneck", "programme"])
@settings(max_examples=8)
@given(seed=seeds)
def test_slopes_are_those_of_differences_on_each_side(reading, seed):
    """At the reference every account binds; elsewhere kinks are rare, and a difference across one is none of a side."""
    h = 1e-6
    at = np.array([REFERENCE, 1.9, 2.3])
    _, found = run(seed, reading, at, scale=0.2, throw=False)
    (_, d, *_), ahead = run(seed, reading, at + h, scale=0.2, throw=False)
    _, back = run(seed, reading, at - h, scale=0.2, throw=False)
    size = 1e-5 * np.abs(found.slope_by_damage).sum() + 2e-9 * d.sum() / h
    smooth = np.asarray(found.bottleneck == ahead.bottleneck) | (np.arange(3) == 0)
    right, left = (ahead.gdp - found.gdp) / h, (found.gdp - back.gdp) / h
    assert np.all(np.abs(found.slope - right)[smooth] <= size)
    smooth = np.asarray(found.bottleneck == back.bottleneck) | (np.arange(3) == 0)
    assert np.all(np.abs(found.slope_left - left)[smooth] <= size)


def test_at_the_reference_the_programme_loses_inputs_on_one_side_and_gains_nothing_on_the_other():
    """Warmer: `-1'(dA/dT) x0` as for fixed capacity. Cooler: demand is met already."""
    A, d, labour, gamma = damaged(3)
    d = d + 1.0
    found = climate.stress(
        A, d, SIGMOID, temperatures=jnp.asarray([REFERENCE, 1.0, 1.2]), labour=labour, gamma=gamma, reference=REFERENCE,
        reading=PROGRAMME, intensities={"jobs": labour / 2},
    )  # fmt: skip
    D = sigmoid(REFERENCE)
    dA = A * gamma * 2.5 * D * (1 - D) / (1 + gamma * D)
    np.testing.assert_allclose(found.slope[0], -(dA @ inverse(A) @ d).sum(), rtol=1e-11)
    np.testing.assert_allclose(found.slope_left[0], 0, atol=1e-12 * d.sum())
    assert found.kink[0]
    assert not found.kink[1:].any()


def test_the_programme_is_differentiable_by_the_table_as_the_duals_say():
    """The envelope theorem, with SciPy's duals of `(I - A) x = y`: `dGDP / dA_ij = -pi_i x_j`."""
    A, d, labour, gamma = damaged(8)
    gamma = 0.6 * gamma
    t = 2.4

    @jax.jit
    @jax.grad
    def gradient(A):
        found = climate.stress(
            A, d, SIGMOID, temperatures=jnp.asarray([t]), labour=labour, gamma=gamma, reading=PROGRAMME, throw=False
        )
        return found.gdp[0]

    factor = 1 + gamma * sigmoid(t)
    x0 = inverse(A) @ d
    damaged_table = A * factor
    rows = np.hstack([np.eye(N) - damaged_table, -np.eye(N)])
    solved = scipy.optimize.linprog(
        np.append(np.zeros(N), -np.ones(N)), A_eq=rows, b_eq=np.zeros(N),
        bounds=np.column_stack([np.zeros(2 * N), np.append(x0, d)]),
    )  # fmt: skip
    x, pi = solved.x[:N], solved.eqlin.marginals
    # The base's output x0 = L d moves with the table as well: its capacities are worth the duals of the upper bounds.
    worth = -solved.upper.marginals[:N]
    expected = -np.outer(pi, x) * factor + np.outer(worth @ inverse(A), x0)
    np.testing.assert_allclose(gradient(A), expected, rtol=1e-7, atol=1e-8 * x0.max())


def test_a_batch_of_programmes_is_a_loop():
    A, d, labour, gamma = damaged(3)

    def gdp(scale):
        return climate.stress(
            A, d, SIGMOID, temperatures=jnp.asarray(T), labour=labour, gamma=scale * gamma, reading=PROGRAMME,
            reference=REFERENCE, throw=False,
        ).gdp  # fmt: skip

    scales = jnp.asarray([0.2, 0.5])
    loop = [run(3, PROGRAMME, T, scale=scale, throw=False)[1].gdp for scale in scales]
    np.testing.assert_allclose(jax.jit(jax.vmap(gdp))(scales), loop, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: climate.LinearProgramme(spare=0.0), "spare is 0.0; give a multiple of the base above 0"),
        (lambda: climate.LinearProgramme(labour=[1.0, 2.0]), r"labour has shape \(2,\); give one multiple"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(call, message):
    with pytest.raises(q.InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
