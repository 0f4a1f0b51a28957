"""Firms that hire, default and are replaced: the supply model as a limit, accounts, and derivatives of a chain."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q
from quesnay.agents.firms import FirmDynamics

ag = q.agents
KEY = jax.random.key(3)
WORKERS = np.array([20.0, 8.0, 15.0, 30.0, 12.0])
Z = np.array([[0, 2, 0, 1, 0], [1, 0, 2, 0, 1], [0, 1, 0, 2, 0], [2, 0, 1, 0, 1], [0, 1, 0, 1, 0.0]])
FINAL = np.array([4.0, 3.0, 5.0, 4.0, 6.0])
STILL = {"separation": 0.0, "hiring": 0.0, "default": 0.0, "entry": 0.0}
LOSS = q.CapacityLoss(jnp.array([0.9, 0, 0, 0.3, 0]), start=2, duration=8)


def network(edges):
    if not edges:
        return q.Network.from_table(Z, FINAL)
    supplier, customer = np.nonzero(Z)
    return q.Network.from_edges(supplier, customer, Z[supplier, customer], FINAL)


def supply(edges=False, **more):
    return q.SupplyModel(network(edges), inventory=4.0, adjustment=8.0, capacity=1.1, **more)


@pytest.mark.parametrize("edges", [False, True])
def test_without_quits_and_defaults_it_is_the_supply_model(edges):
    model, more = supply(edges), q.supply.LabourLoss(0.3, start=4, duration=5) + q.supply.InputLoss(0.5, start=3)
    firms = FirmDynamics(model, workers=WORKERS, margin=0.2, estimator=None, **STILL)
    found = q.simulate(firms, LOSS + more, steps=20, key=KEY)
    plain = q.simulate(model, LOSS + more, steps=20)
    for name, mine in vars(plain).items():
        if name not in ("base", "result"):
            np.testing.assert_allclose(getattr(found.supply, name), mine, rtol=1e-11, atol=1e-11, err_msg=name)
    assert plain.output[-1].sum() < 0.99 * plain.base.output.sum()
    np.testing.assert_array_equal(found.workers, np.broadcast_to(WORKERS, (20, 5)))
    added = model.network.value_added
    np.testing.assert_allclose(found.profit[:2], np.broadcast_to(0.2 * added, (2, 5)), rtol=1e-10)


BUSY = {"separation": 0.05, "hiring": 0.2, "default": 0.3, "entry": 0.15, "buffer": 1.0}


def test_workers_firms_and_cash_are_accounted_for():
    busy = {**BUSY, "default": 1.0, "buffer": 0.2}
    pooled = q.SupplyModel(
        network(True).pooled([0, 1, 0, 1, 2]),
        inventory=4.0,
        adjustment=8.0,
        reallocation=q.supply.TowardsCapacity(),
        delay=1,
    )
    path = q.simulate(
        FirmDynamics(pooled, workers=WORKERS, credit=0.5, estimator=None, **busy), LOSS, steps=90, key=KEY
    )
    base = 0.2 * np.asarray(pooled.network.output)

    def before(rows, first):
        return np.concatenate([np.broadcast_to(first, (1, 5)), rows[:-1]])

    there, kept = before(path.active, 1), 1 - path.defaults
    cash = before(path.cash, base)
    assert path.defaults.sum() > 3
    assert path.entries.sum() > 3
    np.testing.assert_array_equal(path.active, there - path.defaults + path.entries)
    np.testing.assert_array_equal(path.workers, kept * (before(path.workers, WORKERS) + path.hires - path.separations))
    assert np.all((path.workers >= 0) & (path.workers <= WORKERS) & (path.workers == np.round(path.workers)))
    np.testing.assert_allclose(
        path.cash, kept * (cash + path.profit - path.loss) + path.entries * base, rtol=1e-12, atol=1e-12
    )
    assert not np.asarray(path.supply.output)[there == 0].any()
    gone = (there == 0) & (before(there, 1) == 0)  # goods are a day on their way
    assert gone.any()
    assert not np.asarray(path.supply.received)[gone].any()
    for rows in (path.workers, path.cash):
        assert not np.asarray(rows)[path.active == 0].any()
    # Half of the debts, less what suppliers lose that are no longer there.
    debts = np.maximum(0, -(cash + path.profit)) * path.defaults
    share = Z / Z.sum(axis=0)
    np.testing.assert_allclose(path.loss, there * (0.5 * debts @ share.T), rtol=1e-10, atol=1e-12)
    assert path.loss.sum() > 0


def test_the_mean_field_is_its_equations_step_by_step():
    """A day of the supply model and of the firms in NumPy, as the guide and the docstring state them."""
    model, rates = supply(), {**BUSY, "credit": 0.4, "labour": 0.5, "margin": 0.05}
    path = q.simulate(FirmDynamics(model, workers=WORKERS, estimator=ag.MeanField(), **rates), LOSS, steps=25, key=KEY)
    x0 = np.asarray(model.network.output)
    A, v = Z / x0, x0 - Z.sum(axis=0)
    stock, order = np.where(A > 0, 4.0 * x0, np.inf), np.tile(x0, (5, 1))
    a, W, C = np.ones(5), WORKERS.copy(), 1.0 * x0
    for t in range(25):
        z = 1 - np.asarray(LOSS.loss) * (2 <= t < 10)
        D = (A * order) @ a + FINAL
        W = W + a * (WORKERS - W) * (1 - np.exp(-0.2 * np.minimum(1, D / x0))) - W * (1 - np.exp(-0.05))
        x = np.minimum(np.minimum(D, 1.1 * z * x0 * a * W / WORKERS), stock.min(axis=0))
        arrived = (x / D)[:, None] * order * a
        stock = stock - x + arrived
        order = np.where(A > 0, np.maximum(0, D + (4.0 * x0 - stock) / 8.0), 0)
        C = C + x - (A * arrived).sum(axis=0) - a * (0.5 * v * W / WORKERS + 0.45 * v)
        d = a * (1 - np.exp(-0.3 * np.maximum(0, -C) / x0))
        e = (1 - a) * (1 - np.exp(-0.15))
        lost = a * ((Z / Z.sum(axis=0)) @ (0.4 * d * np.maximum(0, -C)))
        C = (1 - e) * (1 - d) * (C - lost) + e * x0
        a, W = a - d + e, (1 - d) * W
        for name, mine in (("active", a), ("workers", W), ("cash", C)):
            np.testing.assert_allclose(getattr(path, name)[t], mine, rtol=1e-9, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(path.supply.output[t], x, rtol=1e-9)
    assert a.min() < 0.95


ALONE = q.SupplyModel(q.Network.from_table(np.zeros((2, 2)), np.array([3.0, 5.0])), inventory=1.0, adjustment=1.0)


def test_employment_settles_where_hires_are_quits():
    """A worker's place is taken with probability h / (h + s) in the long run; days hang together by 1 - h - s."""
    rates = {"separation": 0.1, "hiring": 0.3, "default": 0.0, "entry": 0.0}
    model = FirmDynamics(ALONE, workers=200, estimator=None, **rates)
    share = q.simulate(model, steps=400, key=KEY, observe=lambda seen: seen["workers"].mean() / 200).value[50:]
    h, s = 1 - np.exp(-0.3), 1 - np.exp(-0.1)
    mean, memory = h / (h + s), 1 - h - s
    error = np.sqrt(mean * (1 - mean) / 400 / 350 * (1 + memory) / (1 - memory))
    assert abs(float(share.mean()) - mean) < 4 * error


def test_certain_rates_are_certain():
    ruin = q.CapacityLoss(jnp.array([1.0, 0.0]), duration=3)
    rates = {"separation": 0.0, "hiring": 1e3, "default": 1e6, "entry": 1e3, "buffer": 0.5, "estimator": None}
    path = q.simulate(FirmDynamics(ALONE, workers=10, **rates), ruin, steps=6, key=KEY)
    # Costs are 0.9 of output a day without sales: half a day's cash is gone on day 0, and again where an entrant sells nothing.
    np.testing.assert_array_equal(path.defaults[:, 0], [1, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(path.active[:, 0], [0, 1, 0, 1, 1, 1])
    np.testing.assert_array_equal(path.workers[:, 0], [0, 0, 0, 0, 10, 10])
    np.testing.assert_array_equal(path.workers[:, 1], 10)
    leave = q.simulate(
        FirmDynamics(ALONE, workers=10, estimator=None, **{**STILL, "separation": 1e3}), steps=2, key=KEY
    )
    np.testing.assert_array_equal(leave.workers, 0)
    np.testing.assert_array_equal(leave.supply.output, 0)


def expected(default, entry, steps):
    """Return the mean output of firms without workers over some days, by the probability of every history of each."""
    final, loss, total = np.array([3.0, 5.0]), np.array([0.5, 0.0]), 0.0
    for i in range(2):
        alive, gone = {1.0: 1.0}, 0.0  # probabilities, by cash in days of output
        for _ in range(steps):
            sold = 1 - loss[i]
            total += final[i] * sold * sum(alive.values())
            later, left = {}, 0.0
            for cash, chance in alive.items():
                cash = round(cash + sold - 0.9, 9)
                p = 1 - np.exp(-default * max(0, -cash))
                later[cash] = later.get(cash, 0) + chance * (1 - p)
                left += chance * p
            new = gone * (1 - np.exp(-entry))
            later[1.0] = later.get(1.0, 0) + new
            alive, gone = later, gone - new + left
    return total


def test_derivatives_by_defaults_and_entries_are_those_of_the_chain():
    """Means and differences of the exact probabilities of all histories."""
    ruin, at = q.CapacityLoss(jnp.array([0.5, 0.0])), jnp.array([0.3, 0.2])

    def total(theta, key):
        rates = {**STILL, "default": theta[0], "entry": theta[1]}
        model = FirmDynamics(ALONE, workers=0, labour=0.0, buffer=1.0, **rates)
        return q.simulate(model, ruin, steps=12, key=key, throw=False).supply.output.sum()

    keys = jax.random.split(KEY, 4000)
    value, slope = jax.jit(jax.vmap(lambda key: jax.value_and_grad(total)(at, key)))(keys)
    spread = np.asarray(value).std() / np.sqrt(4000)
    assert abs(value.mean() - expected(0.3, 0.2, 12)) < 4 * spread
    exact = np.array(
        [
            (expected(0.3 + 1e-5, 0.2, 12) - expected(0.3 - 1e-5, 0.2, 12)) / 2e-5,
            (expected(0.3, 0.2 + 1e-5, 12) - expected(0.3, 0.2 - 1e-5, 12)) / 2e-5,
        ]
    )
    error = np.asarray(slope).std(axis=0) / np.sqrt(4000)
    assert np.all(error < 0.06 * np.abs(exact)), "sure enough to tell"
    assert np.all(np.abs(slope.mean(axis=0) - exact) < 4 * error)
    forward = jax.jit(jax.vmap(jax.jacfwd(total), (None, 0)))(at, keys[:20])
    np.testing.assert_allclose(forward, slope[:20], rtol=1e-9, atol=1e-9)


def test_values_do_not_depend_on_the_estimator_and_keep_their_precision():
    net = q.Network.from_table(Z.astype(np.float32), FINAL.astype(np.float32))
    model = q.SupplyModel(net, inventory=4.0, adjustment=8.0)

    def run(estimator):
        firms = FirmDynamics(model, workers=WORKERS, estimator=estimator, **BUSY)
        observe = lambda seen: (seen["workers"].sum(), seen["supply"].output)  # noqa: E731
        return q.simulate(firms, LOSS, steps=12, key=KEY, observe=observe).value

    for left, right in zip(run(ag.Smoothed()), run(None), strict=True):
        np.testing.assert_array_equal(left, right)
        assert left.dtype == np.float32


def test_what_does_not_fit_is_refused():
    def make(model=ALONE, **more):
        return FirmDynamics(model, **{"workers": 3, **STILL, **more})

    hired = q.SupplyModel(ALONE.network, inventory=1.0, adjustment=1.0, labour=q.supply.Labour())
    for message, wrong in (
        ("labour rule", {"model": hired}),
        ("supply is", {"model": ALONE.network}),
        ("not whole", {"workers": 2.5}),
        ("per worker and day", {"separation": -0.1}),
        ("one number or one per firm", {"entry": [0.1, 0.1, 0.1]}),
        ("between 0 and 1", {"credit": 1.5}),
        ("more than all of value added", {"labour": 0.8, "margin": 0.3}),
    ):
        with pytest.raises(q.InputError, match=message):
            make(**wrong)
    with pytest.raises(q.InputError, match="give simulate a key"):
        q.simulate(make(), steps=2)
    with pytest.raises(q.InputError, match="shock is a float"):
        q.simulate(make(), 0.5, steps=2, key=KEY)
