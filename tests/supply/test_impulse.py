"""The linear response and the levers: against the full model, closed forms and brute force."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q
from quesnay import supply
from tables import random_parameters, random_table


class Withheld(supply.AbstractShock):
    """Output withheld day by day (t, n)."""

    rows: jnp.ndarray

    def apply(self, conditions, day):
        row = jnp.where(day < len(self.rows), self.rows[jnp.minimum(day, len(self.rows) - 1)], 0)
        return eqx.tree_at(lambda c: c.withheld, conditions, row, is_leaf=lambda leaf: leaf is None)

    def check(self, network):
        pass


def roomy(seed=1, n=5, **more):
    """Return a model whose stocks and capacity never limit small shocks."""
    network = q.Network.from_table(*random_table(seed, n))
    parameters = random_parameters(seed, n) | {"capacity": 5.0}
    parameters["inventory"] = parameters["inventory"] + 20
    return q.SupplyModel(network, **parameters, **more)


EACH = q.by_group(np.arange(5), 5)


@pytest.mark.parametrize(
    "more", [{}, {"orders": supply.MovingTarget()}, {"delay": 2}, {"rationing": supply.FinalDemandLast()}], ids=str
)
def test_the_error_of_the_linear_response_shrinks_with_the_shock(more):
    """The response is the derivative: its relative error is of the order of the shock."""
    model = roomy(**more)
    response, errors = supply.impulse(model, steps=40, observe=EACH), []
    for size in (1e-3, 1e-4):
        rows = jnp.zeros((8, 5)).at[1:6].set(size * model.network.output * jnp.linspace(0.2, 1, 5))
        path = q.simulate(model, Withheld(rows), steps=40, observe=EACH)
        found = response.respond(rows)
        errors.append(float(jnp.max(jnp.abs(found - path.output)) / jnp.max(jnp.abs(path.output - response.base))))
    assert errors[0] < 0.02
    assert errors[1] <= max(errors[0] / 5, 1e-9), "exactly linear, or to the order of the shock"


def test_the_response_on_the_day_itself_is_what_is_withheld():
    model = roomy()
    response = supply.impulse(model, steps=3, observe=EACH)
    np.testing.assert_allclose(response.kernel[0], -np.eye(5), atol=1e-14)


def test_the_error_against_the_full_model_is_reported_and_grows_with_the_shock():
    """With capacity to spare a loss of capacity is withheld output; a loss so large that stocks run out is not linear."""
    model = roomy()
    model = eqx.tree_at(lambda m: m.capacity, model, jnp.ones_like(model.capacity))
    response = supply.impulse(model, steps=60, observe=EACH)
    small, large = (
        float(response.error(model, q.CapacityLoss([0, loss, 0, 0, 0], start=2, duration=days), EACH))
        for loss, days in ((1e-4, 1), (1.0, 50))
    )
    assert small < large


def test_growth_is_the_stability_of_plain_stock_adjustment():
    network = q.Network.from_table([[0, 0.8], [0.8, 0]], [0.2, 0.2])
    for tau in (1.0, 3.0, 20.0):
        model = q.SupplyModel(network, inventory=5.0, adjustment=tau)
        assert supply.growth(model) == pytest.approx(supply.stability(network, jnp.asarray(tau)).radius, rel=1e-6)


def test_the_growth_of_a_moving_target_by_hand():
    """One account that buys the share m from itself: `z^2 - (1 + m (1 + n / tau) - (1 - m) / tau) z + m (1 + n / tau) = 0`."""
    m, n, tau = 0.5, 3.0, 10.0
    model = q.SupplyModel(
        q.Network.from_table([[0.5]], [0.5]), inventory=n, adjustment=tau, orders=supply.MovingTarget()
    )
    roots = np.roots([1, -(1 + m * (1 + n / tau) - (1 - m) / tau), m * (1 + n / tau)])
    assert supply.growth(model) == pytest.approx(np.abs(roots).max(), rel=1e-9)


def test_a_rule_that_is_not_linear_at_rest_is_refused():
    model = roomy(labour=supply.Labour())
    with pytest.raises(q.InputError, match="rule for labour"):
        supply.impulse(model, steps=3, observe=EACH)


SHOCK = q.CapacityLoss([0.0, 0.7, 0.0, 0.3, 0.0], start=2, duration=6, recovery=q.Exponential(days=5))


@pytest.mark.parametrize(("lever", "budget"), [(supply.Inventories(), 0.5), (supply.SpareCapacity(), 0.05)], ids=str)
def test_a_budget_is_spent_wholly_and_never_worse_than_evenly(lever, budget):
    network = q.Network.from_table(*random_table(3, 5))
    model = q.SupplyModel(network, inventory=2.0, adjustment=12.0)
    money = budget * float(network.output.sum())
    found = supply.allocate(model, SHOCK, steps=60, budget=money, lever=lever, iterations=60)
    assert float(found.spent.sum()) == pytest.approx(money, rel=1e-9)
    assert np.all(np.asarray(found.spent) >= 0)
    assert found.after >= found.even
    assert found.after > found.before
    path = q.simulate(lever.pull(model, found.spent), SHOCK, steps=60)
    assert float(path.output.sum()) == pytest.approx(float(found.after), rel=1e-12)


def test_the_best_place_for_spare_capacity_is_found_among_two_accounts():
    """Brute force over all splits of the budget between two accounts."""
    network = q.Network.from_table([[0.0, 3.0], [1.0, 0.0]], [4.0, 6.0])
    model = q.SupplyModel(network, inventory=2.0, adjustment=9.0)
    shock = q.CapacityLoss([0.4, 0.1], start=1, duration=8, recovery=q.Linear(days=10))
    found = supply.allocate(model, shock, steps=40, budget=1.0, lever=supply.SpareCapacity(), iterations=200, pace=0.3)
    best = max(
        float(q.simulate(supply.SpareCapacity().pull(model, jnp.asarray([s, 1 - s])), shock, steps=40).output.sum())
        for s in np.linspace(0, 1, 41)
    )
    lost = 40 * 14.0 - best
    assert 40 * float(network.output.sum()) - float(found.after) <= 1.02 * abs(lost) + 1e-9
    assert float(found.after) >= best - 0.02 * (best - float(found.before))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"budget": 0.0}, "budget is 0"), ({"lever": 3}, "lever is 3"), ({"iterations": 0}, "iterations is 0")],
)
def test_a_search_that_makes_no_sense_is_refused(change, message):
    arguments = {"steps": 5, "budget": 1.0, "lever": supply.SpareCapacity()} | change
    with pytest.raises(q.InputError, match=message):
        supply.allocate(roomy(), SHOCK, **arguments)
