"""The laws of shock propagation: they hold on every day, for every table, parameter and shock."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import quesnay as q
from tables import TOLERANCE, close, random_model, random_parameters, random_shock, random_table, seeds, sizes

STEPS = 60


@pytest.fixture(scope="module")
def us_model(us2020):
    network = q.Network.from_table(us2020.Z, us2020.final_demand, value_added=us2020.value_added, days=365)
    return q.SupplyModel(network, inventory=5.0, adjustment=10.0, capacity=1.05)


@pytest.fixture(scope="module")
def us_shock(us2020):
    loss = np.where(us2020.index.get_level_values("region") == "Georgia", 0.6, 0.0)
    return q.CapacityLoss(loss, start=3, duration=30, recovery=q.Exponential(days=20))


@eqx.filter_jit
def states(model, shock, steps):
    """Return the model's states, stacked: what a path does not keep, link by link."""

    def advance(state, day):
        state = model.step(state, day, shock, None)
        return state, state

    return jax.lax.scan(advance, model.init(), jnp.arange(steps))[1]


def holds_conservation(model, shock, steps=STEPS):
    path = q.simulate(model, shock, steps=steps)
    a = model.network.links.coefficient
    links = states(model, shock, steps)
    before = jnp.concatenate([model.init().orders.placed[None], links.orders.placed[:-1]])
    stock_before = jnp.concatenate([path.base.stock[None], path.stock[:-1]])
    demand_before = jnp.concatenate([path.base.demand[None], path.demand[:-1]])
    delivered = jnp.einsum("tij->tj", a * before)
    assert close(path.output, path.deliveries + path.final_consumption, path.output), (
        "output = deliveries + consumption"
    )
    assert close(path.stock - stock_before, path.received - path.used, path.base.stock), (
        "stock change = received - used"
    )
    assert close(path.deliveries.sum(axis=1), path.received.sum(axis=1), path.output), "what is delivered is received"
    assert np.all(links.stock >= 0), "stocks are not negative"
    assert np.all(path.received <= delivered * (1 + TOLERANCE)), "deliveries <= orders"
    assert np.all(path.final_consumption <= model.network.final_demand * (1 + TOLERANCE)), "consumption <= final demand"
    assert np.all(path.output <= jnp.minimum(demand_before, path.capacity) * (1 + TOLERANCE)), (
        "output <= demand, capacity"
    )
    assert np.all(path.output >= 0)


@settings(max_examples=40)
@given(seeds, sizes)
def test_goods_are_conserved_on_random_tables(seed, n):
    holds_conservation(random_model(seed, n), random_shock(seed, n))


def test_goods_are_conserved_on_us_2020(us_model, us_shock):
    holds_conservation(us_model, us_shock, steps=200)


@settings(max_examples=15)
@given(seeds, sizes)
def test_without_a_shock_random_tables_stay_flat_for_a_thousand_days(seed, n):
    model = random_model(seed, n)
    path = q.simulate(model, steps=1000)
    for name in ("output", "final_consumption", "demand", "stock", "deliveries", "value_added"):
        assert close(getattr(path, name), getattr(path.base, name), getattr(path.base, name)), name


@settings(max_examples=15)
@given(seeds)
def test_stocks_of_one_day_and_fast_orders_stay_flat_wherever_the_step_is_stable(seed):
    """At one day of stock every input ties with demand on every day: rounding must not feed on itself."""
    rng = np.random.default_rng(seed)
    network = q.Network.from_table(*random_table(seed, 5))
    adjustment = rng.uniform(0.6, 12.0, 5)
    if q.supply.stability(network, jnp.asarray(adjustment)).radius < 0.99:
        path = q.simulate(q.SupplyModel(network, inventory=1.0, adjustment=adjustment), steps=1000)
        assert close(path.output, path.base.output, path.base.output)


def test_one_day_of_stock_and_fast_orders_stay_flat_on_a_table_that_once_collapsed():
    Z = [[0.9272687987305654, 0.7202854143764663], [0.22861327495178618, 0.4693763724185115]]
    network = q.Network.from_table(Z, [0.9725759497261729, 0.24393223133469202])
    path = q.simulate(q.SupplyModel(network, inventory=1.0, adjustment=0.6), steps=1000)
    assert q.supply.stability(network, jnp.asarray(0.6)).radius < 0.9
    assert close(path.output, path.base.output, path.base.output)


def test_without_a_shock_us_2020_stays_flat_for_a_thousand_days(us_model):
    path = q.simulate(us_model, steps=1000)
    positive = path.base.output > 0
    assert np.max(np.abs(path.output / path.base.output - 1)[:, positive]) <= TOLERANCE
    assert np.all(path.bottleneck == q.supply.DEMAND)


def holds_permutation(Z, d, parameters, loss, order):
    def run(Z, d, p, loss):
        model = q.SupplyModel(q.Network.from_table(Z, d), **p)
        return q.simulate(model, q.CapacityLoss(loss, start=2, duration=9, recovery=q.Linear(days=20)), steps=STEPS)

    path = run(Z, d, parameters, loss)
    moved = run(Z[np.ix_(order, order)], d[order], {k: v[order] for k, v in parameters.items()}, loss[order])
    for name in ("output", "stock", "final_consumption"):
        assert close(getattr(moved, name), getattr(path, name)[:, order], getattr(path, name)), name


@settings(max_examples=20)
@given(seeds, sizes)
def test_the_order_of_the_accounts_does_not_matter(seed, n):
    order = np.random.default_rng(seed).permutation(n)
    loss = np.asarray(random_shock(seed, n).loss)
    holds_permutation(*random_table(seed, n), random_parameters(seed, n), loss, order)


def test_the_order_of_the_accounts_of_us_2020_does_not_matter(us2020):
    order = np.random.default_rng(0).permutation(58)
    n = np.full(58, 4.0)
    parameters = {"inventory": n, "adjustment": 3 * n, "capacity": np.full(58, 1.1)}
    loss = np.random.default_rng(1).uniform(0, 1, 58)
    holds_permutation(np.asarray(us2020.Z), np.asarray(us2020.final_demand), parameters, loss, order)


@settings(max_examples=20)
@given(seeds, sizes)
def test_the_unit_of_money_does_not_matter(seed, n):
    shock = random_shock(seed, n)
    path = q.simulate(random_model(seed, n), shock, steps=STEPS)
    for unit in (1e-6, 1e6, 1.2345e3):
        scaled = q.simulate(random_model(seed, n, unit=unit), shock, steps=STEPS)
        assert close(scaled.output / unit, path.output, path.output)
        assert close(scaled.stock / unit, path.stock, path.base.stock)


@settings(max_examples=20)
@given(seeds, sizes)
def test_the_period_of_the_table_does_not_matter(seed, n):
    """An annual table split into 365 days gives the path of the daily table times its length."""
    Z, d = random_table(seed, n)
    shock, parameters = random_shock(seed, n), random_parameters(seed, n)
    daily = q.simulate(q.SupplyModel(q.Network.from_table(Z, d), **parameters), shock, steps=STEPS)
    annual = q.simulate(q.SupplyModel(q.Network.from_table(Z, d, days=365), **parameters), shock, steps=STEPS)
    assert close(365 * annual.output, daily.output, daily.output)


@settings(max_examples=6)
@given(seeds, sizes)
def test_a_list_of_links_gives_the_path_of_the_table(seed, n):
    Z, d = random_table(seed, n)
    supplier, customer = np.nonzero(Z)
    network = q.Network.from_edges(supplier, customer, Z[supplier, customer], d)
    shock, parameters = random_shock(seed, n), random_parameters(seed, n)
    links = q.simulate(q.SupplyModel(network, **parameters), shock, steps=STEPS)
    dense = q.simulate(q.SupplyModel(q.Network.from_table(Z, d), **parameters), shock, steps=STEPS)
    for name in ("output", "received", "used", "stock"):
        assert close(getattr(links, name), getattr(dense, name), getattr(dense, name)), name


def lost_output(model, shock, weights):
    """Return a smooth function of the inventories, adjustment times, capacities and losses, relative to base output."""

    def fn(theta):
        inventory, adjustment, capacity, loss = theta
        varied = q.SupplyModel(model.network, inventory=inventory, adjustment=adjustment, capacity=capacity)
        hit = q.CapacityLoss(loss, start=shock.start, duration=shock.duration, recovery=shock.recovery)
        path = q.simulate(varied, hit, steps=STEPS)
        return jnp.sum(weights * path.output) / jnp.sum(path.base.output), path.bottleneck

    return fn


def holds_derivatives(model, shock, seed, h=1e-6):
    n = model.network.firms
    rng = np.random.default_rng(seed)
    fn = lost_output(model, shock, rng.uniform(0, 1, (STEPS, n)))
    theta = [jnp.broadcast_to(v, (n,)) for v in (model.inventory, model.adjustment, model.capacity, shock.loss)]
    # One step inside the admissible region, so that both neighbours are admissible too.
    theta = [theta[0] + 0.37, theta[1], theta[2] + 0.011, 0.01 + 0.98 * theta[3]]
    direction = [jnp.asarray(rng.normal(size=n)) * jnp.asarray(v) for v in theta]

    def moved(s):
        return [jnp.clip(v + s * w, 0) for v, w in zip(theta, direction, strict=True)]

    value, tangent, limits = jax.jvp(fn, (theta,), (direction,), has_aux=True)
    gradient = jax.grad(lambda t: fn(t)[0])(theta)
    pulled = sum(jnp.vdot(g, w) for g, w in zip(gradient, direction, strict=True))
    assert np.isfinite(value)
    assert np.all(np.isfinite(np.concatenate([np.ravel(g) for g in gradient])))
    size = float(sum(jnp.sum(jnp.abs(g * w)) for g, w in zip(gradient, direction, strict=True)))
    assert abs(float(tangent - pulled)) <= 1e-12 * max(size, float(value)), "JVP = VJP"
    up, down, up2, down2 = (fn(moved(s)) for s in (h, -h, 2 * h, -2 * h))
    smooth = all(np.array_equal(limits, side[1]) for side in (up, down, up2, down2))
    # Fourth-order central difference.
    difference = (8 * (up[0] - down[0]) - (up2[0] - down2[0])) / (12 * h)
    return smooth, abs(float(tangent - difference)) / max(size, 1e-3 * float(value))


@settings(max_examples=12)
@given(seeds)
def test_derivatives_agree_on_random_tables(seed):
    smooth, error = holds_derivatives(random_model(seed, 5), random_shock(seed, 5), seed)
    assert error <= 1e-7 or not smooth


def test_the_comparison_with_finite_differences_is_off_the_kinks_almost_always():
    """Guards the law above: it must not pass because every case is called a kink."""
    cases = [holds_derivatives(random_model(seed, 5), random_shock(seed, 5), seed)[0] for seed in range(8)]
    assert np.mean(cases) >= 0.75


def test_derivatives_agree_on_us_2020(us_model, us_shock):
    smooth, error = holds_derivatives(us_model, us_shock, 0, h=1e-7)
    assert smooth
    assert error <= 1e-7


def test_jit_equals_eager():
    model, shock = random_model(3, 2), random_shock(3, 2)
    path = q.simulate(model, shock, steps=12)
    with jax.disable_jit():
        eager = q.simulate(model, shock, steps=12)
    assert close(path.output, eager.output, path.output)
    assert np.array_equal(path.bottleneck, eager.bottleneck)


def test_vmap_equals_loop():
    model, shock = random_model(4, 5), random_shock(4, 5)
    losses = jnp.linspace(0, 1, 7)[:, None] * jnp.asarray([1.0, 0.5, 0, 0.2, 0])

    def run(loss):
        return q.simulate(model, q.CapacityLoss(loss, start=2, recovery=shock.recovery), steps=STEPS).output

    assert close(jax.vmap(run)(losses), jnp.stack([run(loss) for loss in losses]), run(losses[0]))


def test_batched_paths_know_their_own_base():
    model = random_model(4, 5)
    shock = q.CapacityLoss(0.5, start=1)

    def run(inventory):
        varied = q.SupplyModel(model.network, inventory=inventory, adjustment=20.0, capacity=1.1)
        return q.simulate(varied, shock, steps=3)

    inventories = jnp.asarray([2.0, 5.0, 9.0])
    batch, single = jax.vmap(run)(inventories), [run(n) for n in inventories]
    for name in ("stock", "output"):
        assert close(
            getattr(batch.difference(), name), jnp.stack([getattr(p.difference(), name) for p in single]), batch.stock
        )
    assert close(batch.losses().direct, jnp.stack([p.losses().direct for p in single]), batch.output)


def test_a_model_may_be_a_constant_of_a_traced_function():
    model = random_model(4, 5)
    total = q.simulate(model, steps=3).output.sum()
    assert close(jax.jit(lambda s: s * q.simulate(model, steps=3).output.sum())(2.0), 2 * total, total)
    gradient = jax.grad(jax.checkpoint(lambda s: s * q.simulate(model, steps=3).output.sum()))(1.0)
    assert close(gradient, total, total)
    _, rows = jax.lax.scan(lambda c, _: (c, q.simulate(model, steps=3).output.sum()), 0.0, None, length=2)
    assert close(rows, jnp.stack([total, total]), total)


@pytest.mark.parametrize("parameter", [20, 20.0, np.full(5, 20.0)])
def test_single_precision_networks_take_any_parameter(parameter):
    Z, d = random_table(4, 5)
    network = q.Network.from_table(np.float32(Z), np.float32(d))
    shock = q.CapacityLoss(0.5, start=np.float64(1), recovery=q.Exponential(days=30.0))
    path = q.simulate(q.SupplyModel(network, inventory=parameter, adjustment=parameter), shock, steps=20)
    double = q.SupplyModel(q.Network.from_table(Z, d), inventory=parameter, adjustment=parameter)
    exact = q.simulate(double, shock, steps=20)
    assert path.output.dtype == jnp.float32
    np.testing.assert_allclose(path.output, exact.output, rtol=1e-4, atol=1e-5 * float(jnp.max(exact.output)))
