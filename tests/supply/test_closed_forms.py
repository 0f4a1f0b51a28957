"""Paths that can be worked out by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q


def isolated(demand=10.0, **parameters):
    parameters = {"inventory": 1.0, "adjustment": 5.0, "capacity": 1.0} | parameters
    return q.SupplyModel(q.Network.from_table([[0.0]], [demand]), **parameters)


def chain(tiers, **parameters):
    """Return firms in a row, each the only supplier of the next; the last one sells to final demand."""
    Z = np.diag(np.full(tiers - 1, 5.0), k=1)
    d = np.zeros(tiers)
    d[-1] = 10.0
    return q.SupplyModel(q.Network.from_table(Z, d), **parameters)


@pytest.mark.parametrize("spare", [1.0, 1.2, 1.6])
def test_an_isolated_firm_follows_its_capacity(spare):
    shock = q.CapacityLoss(0.5, start=4, recovery=q.Exponential(rate=0.1))
    path = q.simulate(isolated(capacity=spare), shock, steps=80)
    day = np.arange(80)
    z = np.where(day >= 4, 1 - 0.5 * np.exp(-0.1 * np.maximum(0, day - 4)), 1.0)
    np.testing.assert_allclose(path.output[:, 0], np.minimum(1, spare * z) * 10.0, rtol=1e-14)


def test_an_isolated_firm_loses_a_geometric_series():
    shock = q.CapacityLoss(0.3, start=7, recovery=q.Exponential(rate=0.05))
    path = q.simulate(isolated(), shock, steps=1500)
    np.testing.assert_allclose(path.losses().total.sum(), 0.3 * 10.0 / (1 - np.exp(-0.05)), rtol=1e-12)
    np.testing.assert_allclose(path.losses().direct, path.losses().total, atol=1e-13)


def test_days_and_rate_are_inverse():
    by_days = q.simulate(isolated(), q.CapacityLoss(0.3, recovery=q.Exponential(days=20.0)), steps=30)
    by_rate = q.simulate(isolated(), q.CapacityLoss(0.3, recovery=q.Exponential(rate=0.05)), steps=30)
    np.testing.assert_array_equal(by_days.output, by_rate.output)


def test_linear_recovery_ends_on_its_day():
    shock = q.CapacityLoss(0.4, start=2, duration=3, recovery=q.Linear(days=10))
    path = q.simulate(isolated(), shock, steps=20)
    left = np.interp(np.arange(20), [1.999, 2, 5, 15], [0, 1, 1, 0])
    np.testing.assert_allclose(path.output[:, 0], 10 * (1 - 0.4 * left), rtol=1e-13)


def test_tabulated_recovery_follows_its_table_and_stays_at_its_end():
    recovery = q.Tabulated(days=[0, 4, 10], remaining=[1.0, 0.5, 0.25])
    path = q.simulate(isolated(), q.CapacityLoss(0.4, recovery=recovery), steps=30)
    left = np.interp(np.arange(30), [0, 4, 10], [1.0, 0.5, 0.25])
    np.testing.assert_allclose(path.output[:, 0], 10 * (1 - 0.4 * left), rtol=1e-13)


def test_losses_add_up_and_never_take_more_than_all():
    first, second = q.CapacityLoss(0.3, start=2), q.CapacityLoss(0.8, start=5)
    path = q.simulate(isolated(), first + second, steps=8)
    np.testing.assert_allclose(path.output[:, 0], [10, 10, 7, 7, 7, 0, 0, 0], atol=1e-13)


@pytest.mark.parametrize("days", [1.0, 3.0, 3.5, 7.9])
def test_a_chain_holds_for_the_days_of_its_stocks(days):
    """The customer of a firm that stops keeps its output for floor(n) days, the next tier for floor(2 n).

    Each tier has its own stock of n days and what the tier above could still make: 2 n days of input in all for the second.
    """
    model = chain(3, inventory=days, adjustment=10.0, capacity=1.0)
    path = q.simulate(model, q.CapacityLoss(np.array([1.0, 0, 0]), start=5), steps=40)
    hold = [int(np.floor(tier * days)) for tier in (0, 1, 2)]
    kept = np.asarray(path.output / path.base.output)
    for tier in (0, 1, 2):
        np.testing.assert_allclose(kept[: 5 + hold[tier], tier], 1, rtol=1e-12)
        assert kept[5 + hold[tier], tier] < 1 - 1e-9
    assert path.bottleneck[5, 0] == q.supply.CAPACITY
    assert path.bottleneck[5 + hold[1], 1] == 0
    assert path.bottleneck[5 + hold[2], 2] == 1


def test_enough_spare_capacity_gives_no_loss_at_all():
    model = chain(4, inventory=2.0, adjustment=10.0, capacity=1.5)
    path = q.simulate(model, q.CapacityLoss(1 / 3 - 1e-9, start=3, recovery=q.Exponential(days=10)), steps=50)
    np.testing.assert_allclose(path.output, np.broadcast_to(path.base.output, path.output.shape), rtol=1e-12)


def test_an_account_without_output_stays_at_zero_with_finite_derivatives():
    Z, d = np.array([[1.0, 0, 2], [0, 0, 0], [1, 0, 1]]), np.array([3.0, 0, 4])
    network = q.Network.from_table(Z, d)

    def lost(inventory):
        model = q.SupplyModel(network, inventory=inventory, adjustment=4.0, capacity=1.0)
        path = q.simulate(model, q.CapacityLoss(0.5, recovery=q.Linear(days=9)), steps=30)
        return path.losses().total.sum(), path

    (_, path), gradient = jax.value_and_grad(lost, has_aux=True)(jnp.full(3, 2.0))
    assert np.all(path.output[:, 1] == 0)
    assert np.all(np.isfinite(gradient))


def test_tied_inputs_share_the_derivative_evenly():
    """Two inputs in step: each gets half of the derivative of their minimum, as a symmetric function must have."""
    Z = np.zeros((3, 3))
    Z[:2, 2] = 2.0
    network = q.Network.from_table(Z, [0.0, 0, 6])
    stock = jnp.where(Z > 0, 1.5, 0.0)
    gradient = jax.grad(lambda s: q.supply.FixedProportions().limit(network.links, s, None, network.output)[0][2])(
        stock
    )
    np.testing.assert_array_equal(gradient, np.where(Z > 0, 0.5, 0.0))


def test_the_stability_of_an_order_rule_by_hand():
    """One firm that buys a share m of its output from itself: `z^2 - ((1 - theta) + m (1 + theta)) z + m = 0`."""
    m, tau = 0.6, 2.5
    network = q.Network.from_table([[0.6]], [0.4])
    found = q.supply.stability(network, jnp.asarray(tau))
    roots = np.roots([1, -((1 - 1 / tau) + m * (1 + 1 / tau)), m])
    np.testing.assert_allclose(found.radius, max(np.abs(roots).max(), abs(1 - 1 / tau)), rtol=1e-12)


def test_the_stability_of_uniform_and_of_nearly_uniform_rules_agree():
    """The first is computed from the eigenvalues of A, the second from those of the whole step."""
    rng = np.random.default_rng(0)
    A = rng.uniform(0, 0.15, (9, 9)) * (rng.uniform(size=(9, 9)) < 0.7)
    x = np.linalg.solve(np.eye(9) - A, rng.uniform(0.5, 1, 9))
    network = q.Network.from_table(A * x, x - A @ x)
    for tau in (0.7, 1.5, 10.0):
        uniform = q.supply.stability(network, jnp.asarray(tau)).radius
        nearly = q.supply.stability(network, jnp.asarray(tau * (1 + 1e-10 * np.arange(9)))).radius
        assert uniform == pytest.approx(nearly, rel=1e-6)


def test_the_radius_is_the_growth_of_a_disturbance():
    """A two-firm loop (eigenvalues of A: +-0.8) with fast orders: the simulated disturbance grows by the radius each day."""
    network = q.Network.from_table([[0, 0.8], [0.8, 0]], [0.2, 0.2])
    found = q.supply.stability(network, jnp.asarray(1.0))
    model = q.SupplyModel(network, inventory=50.0, adjustment=1.0, capacity=10.0)
    start = model.init()
    state = eqx.tree_at(lambda s: s.intermediate, start, start.intermediate * jnp.asarray([1.0, 1 + 1e-9]))
    step = eqx.filter_jit(lambda s: model.step(s, 0, None, None))
    size = []
    for _ in range(25):
        state = step(state)
        size.append(float(jnp.max(jnp.abs(state.demand - network.output))))
    assert size[-1] / size[-2] == pytest.approx(found.radius, rel=1e-3)


def test_an_unstable_order_rule_is_reported():
    network = q.Network.from_table([[0, 0.8], [0.8, 0]], [0.2, 0.2])
    model = q.SupplyModel(network, inventory=5.0, adjustment=1.0, capacity=1.2)
    with pytest.warns(q.StabilityWarning, match=r"spectral radius 2\.0.*adjustment times above 4\.50 days"):
        q.simulate(model, steps=3)
