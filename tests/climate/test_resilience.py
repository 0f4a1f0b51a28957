"""Which vulnerability to reduce: gradients against differences, budgets against water filling, a knapsack and Brent."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings

import quesnay as q
from quesnay import climate
from tables import seeds

from .curves import REFERENCE, SIGMOID, N, damaged, inverse, radius, run, sigmoid

AT = 2.4
T = (1.3, 2.0, 2.7)
WEIGHTS = np.array([0.2, 0.5, 0.3])
ONES = np.ones(N)


def after(seed, reading, gamma, before, temperatures=T):
    """Return GDP where gamma changed from `before`, and what was observed stays observed."""
    A, d, labour, _ = damaged(seed)
    means = climate.Adapted(climate.InputRequirement(before), gamma)
    return climate.stress(
        A, d, SIGMOID, temperatures=jnp.asarray(temperatures), vulnerability=means, labour=labour, reference=REFERENCE,
        reading=reading, throw=False,
    ).gdp  # fmt: skip


@settings(max_examples=3)
@given(seeds)
def test_gains_are_differences_of_stress_with_less_gamma_from_now_on(seed):
    A, d, labour, gamma = damaged(seed)
    gamma = 0.2 + 0.2 * gamma
    cost = 1 + labour
    found = climate.resilience(
        A, d, SIGMOID, temperatures=T, weights=WEIGHTS, cost=cost, gamma=gamma, labour=labour, reference=REFERENCE
    )
    h = 1e-5
    for j in (0, 3):
        step = h * np.eye(N)[j]
        fewer, more = (WEIGHTS @ after(seed, climate.FactorLimited(), gamma + s * step, gamma) for s in (-1, 1))
        np.testing.assert_allclose(found.gain[j], (fewer - more) / (2 * h), rtol=1e-6, atol=1e-9 * d.sum())
    np.testing.assert_allclose(found.per_cost, found.gain / cost, rtol=1e-15)
    assert np.all(np.diff(np.asarray(found.per_cost)[np.asarray(found.order)]) <= 0)


def capacity_problem(seed):
    """Return an economy and what each unit of gamma costs it at AT, where capacity is fixed: `(1'A)_j x0_j D`."""
    A, d, labour, gamma = damaged(seed)
    d, gamma = d + 3 * d.max(), 0.05 + 0.1 * gamma
    return A, d, labour, gamma, A.sum(axis=0) * (inverse(A) @ d) * sigmoid(AT)


@settings(max_examples=5)
@given(seeds)
def test_a_budget_with_diminishing_effect_fills_up_to_one_level(seed):
    """Fixed capacity, damage from zero: the loss is `sum k_j gamma_j exp(-e_j b_j)`, and every account that is paid for has
    the same gain of one more unit, `k_j gamma_j e_j exp(-e_j b_j) = price`; the others less."""
    A, d, labour, gamma, k = capacity_problem(seed)
    effect = (0.5 + labour) / d.sum()
    budget = 1.5 * d.sum()
    found = climate.adapt(
        A, d, SIGMOID, at=AT, budget=budget, measure=climate.Diminishing(effect), gamma=gamma, labour=labour,
        reading=climate.FixedCapacity(),
    )  # fmt: skip
    first = k * gamma * effect

    def spent(price):
        return np.maximum(np.log(np.maximum(first, 1e-300) / price), 0) / effect

    price = scipy.optimize.brentq(lambda p: spent(p).sum() - budget, 1e-12 * first.max(), first.max(), xtol=1e-18)
    np.testing.assert_allclose(found.spending, spent(price), rtol=1e-4, atol=2e-5 * budget)
    np.testing.assert_allclose(found.price, price, rtol=1e-4)
    gdp = d.sum() - k @ (gamma * np.exp(-effect * spent(price)))
    np.testing.assert_allclose(found.gdp, gdp, rtol=1e-9)
    np.testing.assert_allclose(found.gdp_before, d.sum() - k @ gamma, rtol=1e-12)
    assert found.converged


def test_a_budget_with_proportional_effect_goes_to_the_best_account_first():
    """A knapsack: gain per unit of money is `k_j / c_j`, up to `c_j gamma_j (1 - floor)`."""
    A, d, labour, gamma, k = capacity_problem(5)
    cost = (1 + labour) * d.sum()
    most = cost * gamma * 0.75
    budget = 0.6 * most.sum()
    found = climate.adapt(
        A, d, SIGMOID, at=AT, budget=budget, measure=climate.Proportional(cost, floor=0.25), gamma=gamma, labour=labour,
        reading=climate.FixedCapacity(),
    )  # fmt: skip
    expected, left = np.zeros(N), budget
    for j in np.argsort(-k / cost):
        expected[j] = min(left, most[j])
        left -= expected[j]
    np.testing.assert_allclose(found.spending, expected, atol=1e-7 * budget)
    np.testing.assert_allclose(found.gamma, gamma - expected / cost, rtol=1e-7, atol=1e-9)


def test_money_is_divided_between_less_vulnerability_and_less_warming():
    """One gamma alone counts, so that the division is a search in one dimension, done by Brent's method."""
    A, d, labour, _ = damaged(3)
    gamma = np.eye(N)[0]
    budget, cost = d.sum(), 0.5 * d.sum()
    effect = 2 / d.sum()

    def adapt(budget, mitigation):
        return climate.adapt(
            A, d, SIGMOID, at=AT, budget=budget, measure=climate.Diminishing(effect), mitigation=mitigation,
            gamma=gamma, labour=labour, reference=REFERENCE,
        )  # fmt: skip

    found = adapt(budget, climate.Mitigation(cost))

    def lost(share):
        left = gamma * np.exp(-effect * share * budget)
        T = AT - np.sqrt((1 - share) * budget / cost)
        table = A * (1 + left * sigmoid(T)) / (1 + gamma * sigmoid(REFERENCE))
        return labour @ inverse(table) @ d

    best = scipy.optimize.minimize_scalar(lost, bounds=(0, 1), method="bounded", options={"xatol": 1e-10})
    assert 0.01 < best.x < 0.99
    np.testing.assert_allclose(found.spending[0], best.x * budget, rtol=1e-5)
    np.testing.assert_allclose(found.mitigation, (1 - best.x) * budget, rtol=1e-5)
    np.testing.assert_allclose(found.cooling, np.sqrt((1 - best.x) * budget / cost), rtol=1e-5)
    np.testing.assert_allclose(found.gdp, labour @ inverse(A) @ d / best.fun * d.sum(), rtol=1e-10)
    # The price of the budget is what a little more of it adds, also where all of it cools.
    for mitigation in (climate.Mitigation(cost), climate.Mitigation(cost / 5, most=9.0)):
        less, more = (float(adapt(budget * share, mitigation).gdp) for share in (0.999, 1.001))
        price = adapt(budget, mitigation).price
        np.testing.assert_allclose(price, (more - less) / (0.002 * budget), rtol=1e-4)


def gdp_with(gamma, T, before):
    """Return factor-limited GDP of the third economy by NumPy."""
    A, d, labour, _ = damaged(3)
    then = A * (1 + gamma * sigmoid(T)) / (1 + before * sigmoid(REFERENCE))
    return labour @ inverse(A) @ d / (labour @ inverse(then) @ d) * d.sum()


@pytest.mark.parametrize(
    ("at", "money", "measure", "mitigation", "expected"),
    [
        pytest.param(20.0, 19.0, climate.Diminishing(1e-9), climate.Mitigation(1.0, exponent=1.0), (ONES, 1.0), id="saturated"),
        pytest.param(AT, 1e9, climate.Diminishing(1.0), None, (0 * ONES, AT), id="more than adaptation needs"),
        pytest.param(
            AT, 1e9, climate.Proportional(1.0, floor=0.5), climate.Mitigation(1.0, most=1.0), (0.5 * ONES, AT - 1),
            id="more than all measures need",
        ),
    ],
)  # fmt: skip
def test_a_budget_is_spent_where_it_is_worth_most_however_large(at, money, measure, mitigation, expected):
    A, d, labour, _ = damaged(3)
    found = climate.adapt(
        A, d, SIGMOID, at=at, budget=money, measure=measure, mitigation=mitigation, gamma=ONES,
        labour=labour, reference=REFERENCE,
    )  # fmt: skip
    np.testing.assert_allclose(found.gdp, gdp_with(*expected, before=ONES), rtol=1e-6)
    assert found.converged


def test_out_of_the_collapse_and_no_nearer_than_the_margin():
    """GDP wants the first account, safety the accounts that circulate: the margin binds."""
    A = np.diag([0.1, 0.1, 0.1, 0.1, 0.45])
    d, labour = np.array([2.5, 2.5, 2.5, 2.5, 1.0]), np.array([1.0, 1.0, 1.0, 1.0, 0.1])
    arguments = {"gamma": 2 * ONES, "labour": labour, "measure": climate.Diminishing(0.2), "reference": 0.0}
    assert radius(A * (1 + 2 * sigmoid(3.0))) > 1
    found = climate.adapt(A, d, SIGMOID, at=3.0, budget=10.0, margin=0.3, **arguments)
    np.testing.assert_allclose(found.spectral_radius, 0.7, rtol=1e-6)
    assert found.gdp_before == 0
    free = climate.adapt(A, d, SIGMOID, at=3.0, budget=10.0, **arguments)
    assert 0.7 < free.spectral_radius < 1
    assert free.gdp > found.gdp
    with pytest.raises(
        q.SolveError, match=r"No spending within the budget was found that keeps the spectral radius below 0\.7"
    ):
        climate.adapt(A, d, SIGMOID, at=3.0, budget=0.1, margin=0.3, **arguments)


def test_at_a_kink_of_the_reading_the_optimum_is_reported_as_unproved():
    """Accounts alike, apart from each other: the best division is an even one, where all of them are the bottleneck."""
    A, d = 0.4 * np.eye(N), ONES
    arguments = {"at": AT, "budget": 1.0, "measure": climate.Diminishing(1.0), "reading": climate.Bottleneck()}
    found = climate.adapt(A, d, SIGMOID, throw=False, **arguments)
    assert found.gdp > found.gdp_before
    assert not found.converged
    assert "not converged" in repr(found)
    with pytest.raises(q.SolveError, match="The optimum was not found"):
        climate.adapt(A, d, SIGMOID, **arguments)


MEASURE = climate.Diminishing(1.0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: climate.Diminishing(0.0), q.InputError, "effect has an entry that is not a number above 0"),
        (lambda: climate.Proportional(1.0, floor=2.0), q.InputError, "floor is 2.0; give the share"),
        (lambda: climate.Proportional(1.0, floor="a"), q.InputError, "floor is 'a'; give the share"),
        (lambda: climate.Mitigation(-1.0), q.InputError, "cost is -1.0; give a positive number"),
        (lambda: climate.Mitigation(1.0, exponent=0.5), q.InputError, "exponent is 0.5; give a number of at least 1"),
        (
            lambda: climate.adapt(np.eye(N) / 2, ONES, SIGMOID, at=2.0, budget=0.0, measure=MEASURE),
            q.InputError,
            "budget is 0.0; give a positive number",
        ),
        (
            lambda: climate.adapt(np.eye(N) / 2, ONES, SIGMOID, at=2.0, budget=1.0, measure=MEASURE, margin=1.0),
            q.InputError,
            "margin is 1.0; give a number from 0 to below 1",
        ),
        (
            lambda: climate.adapt(np.eye(N) / 2, ONES, SIGMOID, at=2.0, budget=1.0, measure=MEASURE, margin="a"),
            q.InputError,
            "margin is 'a'; give a number from 0 to below 1",
        ),
        (
            lambda: climate.adapt(
                np.eye(N) / 2, ONES, SIGMOID, at=2.0, budget=1.0, measure=climate.Diminishing([1.0, 2.0])
            ),
            q.InputError,
            r"the measure has shape \(2,\); give one number, or one per account",
        ),
        (
            lambda: climate.resilience(np.eye(N) / 2, ONES, SIGMOID, temperatures=[2.0], weights=[1.0, 2.0]),
            q.InputError,
            r"weights has shape \(2,\); give one per temperature",
        ),
        (
            lambda: climate.resilience(np.eye(N) / 2, ONES, SIGMOID, temperatures=T, gamma=9 * ONES, labour=ONES),
            q.SolveError,
            "At 1.3 degrees C: The damaged economy cannot sustain itself",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_gains_have_labels():
    _, found = run(3, climate.FactorLimited(), T, scale=0.1)
    A, d, labour, gamma = damaged(3)
    gains = climate.resilience(A, d, SIGMOID, temperatures=T, gamma=0.1 * gamma, labour=labour, reference=REFERENCE)
    np.testing.assert_allclose(gains.gdp, found.gdp.mean(), rtol=1e-12)
    assert f"adds most, per unit of cost, in account {int(np.argmax(gains.gain))} (" in repr(gains)
    assert set(gains.variables()) == {"gdp", "gain", "per_cost", "order"}
