"""Every rule on networks so small that its path can be worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q
from quesnay import supply
from quesnay.supply.trade import Orders, Trade
from tables import close, random_network, random_parameters


def pair(share=0.5, demand=10.0, **parameters):
    """Return a supplier (0) that sells only to a maker (1), which sells to final demand."""
    network = q.Network.from_table([[0, share * demand], [0, 0]], [0.0, demand])
    return q.SupplyModel(network, **({"inventory": 4.0, "adjustment": 10.0} | parameters))


def star(suppliers=2, flow=2.0, demand=10.0, **parameters):
    """Return suppliers of equal size that sell only to one maker, the last account."""
    Z = np.zeros((suppliers + 1, suppliers + 1))
    Z[:-1, -1] = flow
    return q.Network.from_table(Z, np.r_[np.zeros(suppliers), demand])


def stop(account, n, start=0, **when):
    return q.CapacityLoss(np.eye(n)[account], start=start, **when)


def kept(path, account=-1):
    return np.asarray(path.output[:, account] / path.base.output[account])


def test_under_psi_output_falls_geometrically_from_the_day_the_stock_is_below_its_share():
    """The maker limits itself to s / (psi n): every day it uses the share 1 / (psi n) of what is left."""
    n, psi = 10.0, 0.8
    path = q.simulate(pair(inventory=n, production=supply.PsiRelaxed(psi)), stop(0, 2), steps=30)
    expected, stock = [], n + 0.0
    for _ in range(30):
        x = min(1.0, stock / (psi * n))
        stock -= x
        expected.append(x)
    np.testing.assert_allclose(kept(path), expected, rtol=1e-12)


def test_with_psi_of_at_most_a_day_the_rule_is_fixed_proportions():
    shock = stop(0, 2, start=2, duration=5, recovery=q.Linear(days=9))
    relaxed = q.simulate(pair(production=supply.PsiRelaxed(0.25)), shock, steps=40)
    np.testing.assert_allclose(relaxed.output, q.simulate(pair(), shock, steps=40).output, rtol=1e-13)


@pytest.mark.parametrize(
    ("rule", "rating", "least"),
    [
        (supply.StronglyCritical, 1.0, 0.0),
        (supply.StronglyCritical, 0.5, 0.0),
        (supply.StronglyCritical, 0.0, 1.0),
        (supply.HalfCritical, 1.0, 0.0),
        (supply.HalfCritical, 0.5, 0.5),
        (supply.HalfCritical, 0.0, 1.0),
        (supply.WeaklyCritical, 1.0, 0.0),
        (supply.WeaklyCritical, 0.5, 1.0),
    ],
)
def test_a_missing_input_leaves_what_its_rating_says(rule, rating, least):
    """Pichler et al. (2022), section 3.3: nothing without a critical input, half without an important one, in the half rule."""
    model = pair(production=rule(np.full((2, 2), rating)))
    path = q.simulate(model, stop(0, 2), steps=40)
    assert kept(path)[-1] == pytest.approx(least, abs=1e-12)
    assert float(path.stock[-1, 1]) == pytest.approx(0, abs=1e-12)


def test_under_linear_production_one_of_two_equal_inputs_leaves_the_mean_of_the_stocks():
    network = star()
    model = q.SupplyModel(network, inventory=2.0, adjustment=1e9, production=supply.LinearProduction())
    path = q.simulate(model, stop(0, 3), steps=4)
    # Stocks in days of base output, each with half of the weight: the first gives 1 a day, the second is refilled.
    np.testing.assert_allclose(kept(path), [1, 1, 1, 1], rtol=1e-12)
    both = q.simulate(model, q.CapacityLoss([1.0, 1.0, 0.0]), steps=6)
    np.testing.assert_allclose(kept(both), [1, 1, 0, 0, 0, 0], atol=1e-12)
    limit, _ = supply.LinearProduction().limit(
        network.links, jnp.asarray([[0, 0, 3.0], [0, 0, 8.0], [0, 0, 0]]), None, network.output
    )
    np.testing.assert_allclose(limit[2], 5.5)


@pytest.mark.parametrize("sigma", [0.2, 0.7, 1.5, 4.0])
def test_ces_is_its_formula_and_uses_what_makes_the_output(sigma):
    """Limit: the CES mean of the stocks; use: `min(mu, s)` with the CES mean of the uses equal to output."""
    network, rho = star(3), 1 - 1 / sigma
    rule, stock = supply.CES(sigma), jnp.zeros((4, 4)).at[:3, 3].set(jnp.asarray([1.0, 2.0, 5.0]))
    mean = lambda s: float((np.mean(np.asarray(s) ** rho)) ** (1 / rho))  # noqa: E731
    limit = float(rule.limit(network.links, stock, None, network.output)[0][3])
    assert limit == pytest.approx(mean([1.0, 2.0, 5.0]), rel=1e-12)
    for share in (0.3, 0.9, 0.999):
        output = jnp.zeros(4).at[3].set(share * limit)
        use = np.asarray(rule.use(network.links, output, stock))[:3, 3]
        assert mean(use) == pytest.approx(share * limit, rel=1e-9)
        assert np.all(use <= [1.0, 2.0, 5.0])
        level = use.max()
        np.testing.assert_allclose(use, np.minimum(level, [1.0, 2.0, 5.0]), rtol=1e-12)


def test_ces_goes_to_fixed_proportions_as_the_elasticity_goes_to_0():
    network, stock = star(3), jnp.zeros((4, 4)).at[:3, 3].set(jnp.asarray([1.5, 2.0, 5.0]))
    limits = [float(supply.CES(s).limit(network.links, stock, None, network.output)[0][3]) for s in (0.3, 0.1, 0.01)]
    assert np.all(np.diff(np.abs(np.asarray(limits) - 1.5)) < 0)
    assert limits[-1] == pytest.approx(1.5, rel=0.02)


def test_substitutes_do_without_an_input_and_complements_do_not():
    network, stock = star(2), jnp.zeros((3, 3)).at[1, 2].set(3.0)
    assert float(supply.CES(0.5).limit(network.links, stock, None, network.output)[0][2]) == 0
    # Half of the weight: (0.5 * 3^rho)^(1 / rho) with rho = 1 / 2.
    assert float(supply.CES(2.0).limit(network.links, stock, None, network.output)[0][2]) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("rule", "orders", "final"),
    [
        (supply.Proportional(), 3.0, 3.0),
        (supply.FinalDemandFirst(), 1.0, 5.0),
        (supply.FinalDemandLast(), 5.0, 1.0),
        (supply.Progressive(), 3.0, 3.0),
    ],
)
def test_output_goes_to_those_whom_the_rule_names(rule, orders, final):
    """A supplier with orders of 5 and final demand of 5 makes 6."""
    network = q.Network.from_table([[0, 5.0], [0, 0]], [5.0, 20.0])
    model = q.SupplyModel(network, inventory=9.0, adjustment=9.0, rationing=rule)
    path = q.simulate(model, q.CapacityLoss([0.4, 0.0]), steps=1)
    np.testing.assert_allclose([path.deliveries[0, 0], path.final_consumption[0, 0]], [orders, final], rtol=1e-12)


def test_progressive_filling_serves_the_lowest_order_ratio_first():
    """Base orders 4, 4 and 4, of which 1, 3 and 4 are asked, and 5 are made: level 0.5, so 1, 2 and 2."""
    network = q.Network.from_table([[0, 4.0, 4.0], [0, 0, 0], [0, 0, 0]], [4.0, 20, 20])
    model = q.SupplyModel(network, inventory=9.0, adjustment=9.0)
    state = model.init()
    placed = state.orders.placed.at[0, 1].multiply(0.25).at[0, 2].multiply(0.75)
    asked = Orders(placed)
    ordered = asked.by_supplier(network.links)
    trade = Trade(
        network.links, asked, None, ordered + network.final_demand, ordered, network.final_demand,
        network.output, network.final_demand,
    )  # fmt: skip
    served = supply.Progressive().serve(jnp.asarray([5.0, 20, 20]), trade)
    np.testing.assert_allclose(served.by_link[0], [0, 1, 2], rtol=1e-12)
    np.testing.assert_allclose(served.final[0] * network.final_demand[0], 2, rtol=1e-12)


def test_pooled_suppliers_replace_each_other_and_others_do_not():
    """One of two equal steel mills stops; the other can double its output."""
    network, shock = star(2), stop(0, 3)
    capacity = np.array([1.0, 2.0, 1.0])
    apart = q.SupplyModel(network, inventory=3.0, adjustment=5.0, capacity=capacity)
    pooled = q.SupplyModel(
        network.pooled([0, 0, 1]),
        inventory=3.0,
        adjustment=5.0,
        capacity=capacity,
        reallocation=supply.TowardsCapacity(),
    )
    assert kept(q.simulate(apart, shock, steps=60))[-1] == pytest.approx(0, abs=1e-12)
    path = q.simulate(pooled, shock, steps=60)
    np.testing.assert_allclose(kept(path), 1, rtol=1e-12)
    assert float(path.output[-1, 1] / path.base.output[1]) == pytest.approx(2, rel=1e-3)


def test_overproduction_builds_up_and_decays_as_its_formula():
    """Final demand is a fifth above capacity: m = (D - x) / D each day, in a plain loop."""
    network = q.Network.from_table([[0.0]], [10.0])
    model = q.SupplyModel(network, inventory=1.0, adjustment=5.0, overproduction=supply.Overproduction(1.25, days=30.0))
    path = q.simulate(model, q.DemandLoss(-0.2, start=3, duration=59, recovery=q.Linear(days=1e-9)), steps=120)
    alpha, made, expected = 1.0, 10.0, []
    for day in range(120):
        asked = 12.0 if 4 <= day < 64 else 10.0  # placed on day 3, served on day 4
        missing = (asked - made) / asked
        missing = 0 if abs(missing) < 1e-12 else missing
        alpha = max(1.0, alpha + ((1.25 - alpha) * missing + (1 - alpha) * (missing == 0)) / 30)
        made = min(asked, 10 * alpha)
        expected.append(made)
    np.testing.assert_allclose(path.output[:, 0], expected, rtol=1e-11)
    assert 10.05 < float(path.output[62, 0]) < 12


def test_staff_return_at_the_pace_of_hiring():
    """Two fifths of the staff are away for 10 days; after that a thirtieth of the gap is hired each day."""
    network = q.Network.from_table([[0.0]], [10.0])
    model = q.SupplyModel(network, inventory=1.0, adjustment=5.0, labour=supply.Labour())
    path = q.simulate(model, q.LabourLoss(0.4, start=0, duration=9, recovery=q.Linear(days=1e-9)), steps=60)
    day = np.arange(60)
    # Day 10 works with what was hired at the end of day 9.
    expected = np.where(day < 10, 0.6, 1 - 0.4 * (1 - 1 / 30) ** np.maximum(0, day - 9))
    np.testing.assert_allclose(kept(path), expected, rtol=1e-12)
    without = q.simulate(q.SupplyModel(network, inventory=1.0, adjustment=5.0), q.LabourLoss(0.4, duration=9), steps=5)
    np.testing.assert_allclose(kept(without), 0.6, rtol=1e-12)


@pytest.mark.parametrize("builders", [[0.0, 1.0], [[0.0, 0.0], [1.0, 1.0]]])
def test_served_builders_rebuild_a_fixed_share_of_what_is_left(builders):
    """Damage 100 of a capital of 400 by an owner without customers; the builder has room: 0.95^t from the second day."""
    network = q.Network.from_table(np.zeros((2, 2)), [10.0, 50.0])
    model = q.SupplyModel(
        network, inventory=1.0, adjustment=5.0, capacity=2.0,
        reconstruction=supply.Reconstruction([400.0, 800.0], builders, days=20.0),
    )  # fmt: skip
    path = q.simulate(model, q.CapitalLoss([100.0, 0.0], start=2), steps=40)
    day = np.arange(40)
    expected = np.where(day < 2, 0, 100 * 0.95 ** np.maximum(0, day - 2))
    np.testing.assert_allclose(path.damage[:, 0], expected, rtol=1e-12)
    np.testing.assert_allclose(
        path.output[:, 1], 50 + np.where(day > 2, 5 * 0.95 ** np.maximum(0, day - 3), 0), rtol=1e-12
    )
    np.testing.assert_allclose(path.capacity[:, 0], 20 * (1 - np.r_[0, 0, 100, expected[2:-1]] / 400), rtol=1e-12)


def test_a_closed_link_and_a_closed_input_stop_their_customer_when_its_stock_is_gone():
    model = pair(inventory=3.0, adjustment=1e9)
    for shock in (q.LinkLoss(np.array([[0, 1.0], [0, 0]]), start=2), q.InputLoss(1.0, start=2)):
        path = q.simulate(model, shock, steps=9)
        np.testing.assert_allclose(kept(path), [1, 1, 1, 1, 1, 0, 0, 0, 0], atol=1e-6)
        assert float(path.deliveries[3, 0]) == 0


def test_what_is_under_way_arrives_after_the_supplier_has_stopped():
    """Four days of stock and three days on the road: output holds for seven days."""
    path = q.simulate(pair(delay=3), stop(0, 2), steps=12)
    np.testing.assert_allclose(kept(path), [1] * 7 + [0] * 5, atol=1e-12)


def test_what_cannot_run_out_does_not_limit():
    """Two suppliers, a service (0) and a good (1): the service stops for good."""
    model = q.SupplyModel(star(2), inventory=supply.ByProduct([np.inf, 3.0, 1.0]), adjustment=8.0)
    path = q.simulate(model, stop(0, 3), steps=30)
    np.testing.assert_allclose(kept(path), 1, rtol=1e-12)
    assert kept(q.simulate(model, stop(1, 3), steps=30))[-1] == 0


def test_the_two_readings_of_productivity():
    """At z = 1 / 2 from the start: as a capacity half is made of half the inputs, as a productivity half of all of them."""
    capacity = q.simulate(pair(inventory=1.0), q.CapacityLoss([0.0, 0.5]), steps=1)
    productivity = q.simulate(pair(inventory=1.0), q.ProductivityLoss([0.0, 0.5]), steps=1)
    np.testing.assert_allclose([kept(capacity)[0], kept(productivity)[0]], 0.5)
    np.testing.assert_allclose([capacity.used[0, 1], productivity.used[0, 1]], [2.5, 5.0])
    nothing = q.simulate(pair(), q.ProductivityLoss(1.0), steps=3)
    assert np.all(nothing.output == 0)
    assert np.all(nothing.used == 0)


def test_a_permanent_change_of_demand_ends_at_the_leontief_solution(us2020):
    network = q.Network.from_table(us2020.Z, us2020.final_demand, days=365)
    change = np.random.default_rng(0).uniform(-0.1, 0.1, 58)
    model = q.SupplyModel(network, inventory=10.0, adjustment=15.0, capacity=1.6)
    path = q.simulate(model, q.DemandLoss(-change, start=1), steps=1500)
    expected = np.linalg.solve(np.eye(58) - np.asarray(network.links.coefficient), network.final_demand * (1 + change))
    np.testing.assert_allclose(path.output[-1], expected, rtol=1e-8)


@pytest.mark.parametrize(
    ("recovery", "days", "left"),
    [
        (q.Exponential(days=10.0), [0, 10], [1, np.exp(-1)]),
        (q.Linear(days=10.0), [0, 4, 10, 12], [1, 0.6, 0, 0]),
        (q.Convex(days=10.0), [0, 1, 3], [1, 0.9, 0.9**3]),
        (q.Concave(days=10.0, left=0.05), [0, 5, 10], [1, 0.5, 0.05]),
        (q.Custom(lambda t: 1 - 2 * t), [0, 0.25, 3], [1, 0.5, 0]),
    ],
)
def test_recoveries_leave_what_their_formulas_say(recovery, days, left):
    np.testing.assert_allclose(recovery.remaining(jnp.asarray(days, float)), left, atol=1e-14)


@pytest.mark.parametrize("recovery", [q.Concave, q.Convex, q.Linear])
def test_recoveries_have_finite_derivatives_from_the_first_day(recovery):
    slope = jax.grad(lambda days: jnp.sum(recovery(days=days).remaining(jnp.arange(30.0))))(10.0)
    assert np.isfinite(slope)
    assert slope > 0


def test_the_day_of_recovery_is_the_first_of_those_that_stay():
    shock = q.CapacityLoss(0.5, start=3, duration=4, recovery=q.Linear(days=10))
    path = q.simulate(
        q.SupplyModel(q.Network.from_table([[0.0]], [1.0]), inventory=1.0, adjustment=1.0), shock, steps=30
    )
    # 0.5 (1 - (t - 7) / 10) <= 0.1 from t = 15 on.
    assert path.recovery_day(0.9).tolist() == [15]
    assert path.recovery_day(1.0).tolist() == [17]
    short = q.simulate(
        q.SupplyModel(q.Network.from_table([[0.0]], [1.0]), inventory=1.0, adjustment=1.0), shock, steps=8
    )
    assert short.recovery_day().tolist() == [8]


def test_days_given_one_by_one_are_the_shocks_that_they_describe():
    model = pair(capacity=1.2)
    table = np.zeros((6, 2))
    table[2:5, 0] = 0.4
    given = q.simulate(model, supply.ByDay(capacity=table, demand=np.full((1, 1), 0.1)), steps=20)
    shock = q.CapacityLoss([0.4, 0.0], start=2, duration=2, recovery=q.Linear(days=1e-9)) + q.DemandLoss(0.1)
    np.testing.assert_allclose(given.output, q.simulate(model, shock, steps=20).output, rtol=1e-12)


@pytest.mark.parametrize(
    "rule", [supply.CES(0.4), supply.CES(3.0), supply.LinearProduction(), supply.FixedProportions()]
)
def test_an_endless_stock_has_finite_derivatives(rule):
    network = q.Network.from_table([[1.0, 2], [3, 4]], [5.0, 6])

    def kept(capacity):
        days = supply.ByProduct([np.inf, 3.0])
        model = q.SupplyModel(network, inventory=days, adjustment=9.0, capacity=capacity, production=rule)
        return jnp.sum(q.simulate(model, q.CapacityLoss([0.5, 0.0], start=1), steps=20).output)

    slope = jax.grad(kept)(jnp.array([1.1, 1.2]))
    assert np.all(np.isfinite(slope))
    assert float(slope[0]) > 0


@pytest.mark.parametrize("elasticity", [0.999, 1.001, 1 + 1.1e-4])
def test_nothing_moves_near_cobb_douglas_without_a_shock(elasticity):
    network = random_network(2, 6, "table, pooled")
    path = q.simulate(q.SupplyModel(network, production=supply.CES(elasticity), **random_parameters(2, 6)), steps=100)
    assert close(path.stock, path.base.stock, path.base.stock)
    assert close(path.output, path.base.output, path.base.output)
    with pytest.raises(q.InputError, match="other than 1"):
        supply.CES(1 + 1e-6)


def test_ratings_go_by_product_where_numbers_of_products_have_gaps():
    """As many product numbers as accounts do not make a network that is not pooled."""
    network = q.Network.from_table([[1.0, 2, 1], [3, 4, 1], [1, 1, 1]], [5.0, 6, 7]).pooled([2, 0, 0])
    rating = np.array([[0.0, 0.5, 1.0], [0.5, 1.0, 0.0], [1.0, 0.0, 0.5]])
    found = supply.criticality(network, rating, [2, 0, 0])
    for product in (0, 2):
        np.testing.assert_array_equal(found[product], rating[product, [2, 0, 0]])
    q.SupplyModel(network, inventory=2.0, adjustment=5.0, reallocation=supply.TowardsCapacity())
