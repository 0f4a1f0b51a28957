"""The fast engine for firm networks against the plain model: one path, one gradient, any batch."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q
from quesnay.network import EdgeLinks
from quesnay.supply.cascade import Buckets, cascade, days, native

STEPS = 17
MANY = 19
"""Scenarios: more than are run at a time."""


class Drive(eqx.Module):
    shock: q.supply.AbstractShock
    network: q.Network

    def __call__(self, day):
        now = self.shock.apply(q.supply.Conditions.calm(self.network), day)
        return jnp.maximum(0, 1 - now.capacity), self.network.final_demand


class Emit(eqx.Module):
    weight: jax.Array

    def __call__(self, output, served, demand, capacity, consumed):
        everything = {"output": output, "demand": demand, "capacity": capacity, "consumed": consumed}
        return {**everything, "weighted": self.weight @ served}


def random_network(seed, n, *, isolated=0.2):
    """Return a productive network of firms, some of them without inputs and some without final demand."""
    rng = np.random.default_rng(seed)
    A = rng.uniform(0, 1, (n, n)) * (rng.uniform(size=(n, n)) < 0.4) * (rng.uniform(size=n) >= isolated)
    np.fill_diagonal(A, 0)
    A *= rng.uniform(0.2, 0.8, n) / np.maximum(A.sum(axis=0), 1e-300)
    d = rng.uniform(0.5, 2, n) * (rng.uniform(size=n) < 0.7)
    d[0] = 1.0
    Z = A * np.linalg.solve(np.eye(n) - A, d)
    Z[:, Z.sum(axis=1) + d == 0] = 0
    supplier, customer = np.nonzero(Z)
    return q.Network.from_edges(supplier, customer, Z[supplier, customer], d)


def layout(network):
    assert isinstance(network.links, EdgeLinks)
    return Buckets.of(np.asarray(network.links.supplier), np.asarray(network.links.customer), network.firms)


def scenario(seed, n):
    rng = np.random.default_rng(seed + 1)
    parameters = {
        "inventory": jnp.asarray(rng.uniform(1, 6, n)),
        "adjustment": jnp.asarray(rng.uniform(9.6, 30, n)),
        "capacity": jnp.asarray(rng.uniform(1, 1.4, n)),
    }
    loss = rng.uniform(0, 0.9, n) * (rng.uniform(size=n) < 0.5)
    loss[-1] = 0.7
    return parameters, jnp.asarray(loss), jnp.asarray(rng.normal(size=n))


def shock_of(loss):
    return q.CapacityLoss(loss, start=2, duration=3, recovery=q.Exponential(days=6.0))


def fast(network, buckets, parameters, loss, weight):
    drive = Drive(shock_of(loss), network)
    x, d = network.output, network.final_demand
    return cascade(network.links, buckets, x, d, **parameters, drive=drive, emit=Emit(weight), steps=STEPS)


def plain(network, buckets, parameters, loss, weight):
    path = q.simulate(q.SupplyModel(network, **parameters), shock_of(loss), steps=STEPS)
    before = jnp.concatenate([path.base.demand[None], path.demand[:-1]])
    served = jnp.where(before > 0, path.output / jnp.where(before > 0, before, 1), 0)
    return {
        "output": path.output,
        "demand": path.demand,
        "capacity": path.capacity,
        "consumed": path.final_consumption,
        "weighted": served @ weight,
    }


def weighted(run):
    """Return a scalar of the run in which every entry counts differently, a function of the coefficients and the run's."""

    def value(coefficients, values, statics, buckets, parameters, loss, weight):
        rows = run(eqx.combine(values, statics), buckets, parameters, loss, weight)
        return sum(jnp.sum(coefficients[name] * row) for name, row in rows.items())

    return value


def compiled(run):
    """Return the run and its gradient, compiled once for each shape."""
    path = eqx.filter_jit(lambda *arguments: run(*arguments))
    return path, eqx.filter_jit(jax.grad(weighted(run), argnums=(1, 4, 5, 6)))


PLAIN = compiled(plain)


@pytest.fixture(scope="module", params=["native", "replayed", "pure"])
def engine(request):
    """Return path and gradient by the compiled kernel, which keeps stocks or runs them again, and by the engine in JAX."""
    compiles = request.param != "pure"
    if compiles and not native.available():
        pytest.skip("no C++ compiler")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "available", lambda: compiles)
        if request.param == "replayed":
            patch.setattr(days, "ROOM", 0)
        yield compiled(fast)


def mixed(rows, seed=5):
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(rng.normal(size=row.shape)) for name, row in rows.items()}


def agree(left, right, tolerance=1e-12):
    """Compare every entry to a share of the largest entry: some derivatives are zero but for the rounding of their terms."""
    largest = max(np.max(np.abs(leaf), initial=0) for leaf in jax.tree.leaves(right))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * largest), left, right)


def both(engine, network, parameters, loss, weight):
    """Check path and gradient of the two on one scenario."""
    buckets = layout(network)
    arguments = (network, buckets, parameters, loss, weight)
    rows = PLAIN[0](*arguments)
    agree(engine[0](*arguments), rows)
    values, statics = eqx.partition(network, eqx.is_inexact_array)
    found = [
        gradient(mixed(rows), values, statics, buckets, parameters, loss, weight) for _, gradient in (engine, PLAIN)
    ]
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(found))
    agree(*found)


def test_path_and_gradient_equal_those_of_the_plain_model(engine):
    both(engine, random_network(0, 12), *scenario(0, 12))


def test_path_and_gradient_are_equal_where_everything_ties(engine):
    """At k = 1 and n = 1 demand, capacity and every stock tie on every day before the shock."""
    ones = jnp.ones(12)
    loss = jnp.zeros(12).at[4].set(0.5)
    both(engine, random_network(0, 12), {"inventory": ones, "adjustment": 20 * ones, "capacity": ones}, loss, ones)


def test_path_and_gradient_are_equal_and_finite_where_demand_falls_to_zero(engine):
    """Firm 1 sells to firm 2 only, which stops, is overstocked and orders nothing; firm 0 runs short as well."""
    network = q.Network.from_edges([0, 1, 0], [1, 2, 2], [1.0, 2.0, 1.0], [1.0, 0.0, 4.0])
    parameters = {"inventory": jnp.full(3, 1.5), "adjustment": jnp.full(3, 0.75), "capacity": jnp.full(3, 1.1)}
    loss, weight = jnp.asarray([0.9, 0.0, 1.0]), jnp.asarray([1.0, -2.0, 0.5])
    rows = engine[0](network, layout(network), parameters, loss, weight)
    assert np.min(rows["demand"][:, 1]) == 0
    both(engine, network, parameters, loss, weight)


def test_gradient_equals_finite_differences(engine):
    network, (parameters, loss, weight) = random_network(0, 12), scenario(0, 12)
    buckets = layout(network)
    values, statics = eqx.partition(network, eqx.is_inexact_array)
    coefficients = mixed(engine[0](network, buckets, parameters, loss, weight))
    rng = np.random.default_rng(0)
    direction = jax.tree.map(lambda v: jnp.asarray(rng.normal(size=v.shape)) * v, parameters)

    @jax.jit
    def value(h):
        moved = jax.tree.map(lambda v, u: v + h * u, parameters, direction)
        return weighted(fast)(coefficients, values, statics, buckets, moved, loss, weight)

    exact = float(jax.grad(value)(0.0))
    # Richardson's fourth-order difference: its error is below rounding / h at this h.
    h = 1e-4
    d1, d2 = ((float(value(k * h)) - float(value(-k * h))) / (2 * k * h) for k in (1, 2))
    assert (4 * d1 - d2) / 3 == pytest.approx(exact, rel=1e-8)


@pytest.fixture(scope="module")
def batch(engine):
    network, (parameters, loss, weight) = random_network(0, 12), scenario(0, 12)
    losses = loss * jnp.linspace(0.3, 1.0, MANY if native.available() else 3)[:, None]
    values, statics = eqx.partition(network, eqx.is_inexact_array)
    coefficients = mixed(engine[0](network, layout_of := layout(network), parameters, loss, weight))

    def value(values, parameters, loss):
        return weighted(fast)(coefficients, values, statics, layout_of, parameters, loss, weight)

    gradient = jax.jit(jax.value_and_grad(value, argnums=(0, 1, 2)))
    each = [gradient(values, parameters, loss) for loss in losses]
    return value, values, parameters, losses, jax.tree.map(lambda *rows: jnp.stack(rows), *each)


def test_gradients_of_a_batch_equal_a_loop(batch):
    value, values, parameters, losses, expected = batch
    run = jax.jit(jax.vmap(jax.value_and_grad(value, argnums=(0, 1, 2)), in_axes=(None, None, 0)))
    agree(run(values, parameters, losses), expected)


def test_the_gradient_of_a_batch_equals_the_sum_of_a_loop(batch):
    value, values, parameters, losses, (_, (by_value, by_parameter, by_loss)) = batch

    def everything(values, parameters, losses):
        return jnp.sum(jax.vmap(value, in_axes=(None, None, 0))(values, parameters, losses))

    found = jax.jit(jax.grad(everything, argnums=(0, 1, 2)))(values, parameters, losses)
    summed = jax.tree.map(lambda g: jnp.sum(g, axis=0), (by_value, by_parameter))
    agree(found, (*summed, by_loss))


def test_a_batch_of_batches_equals_loops(engine):
    """Also beyond the number of scenarios that are run at a time, and for a Jacobian in a batch."""
    network, (parameters, loss, weight) = random_network(0, 12), scenario(0, 12)
    buckets = layout(network)

    def served(inventory, loss):
        return fast(network, buckets, parameters | {"inventory": inventory}, loss, weight)["output"].sum(axis=0)

    inner, outer = jnp.linspace(1.0, 2.0, 3), jnp.linspace(0.3, 1.0, 6)
    many = jax.jit(jax.vmap(lambda o: jax.vmap(lambda i: served(i * parameters["inventory"], o * loss))(inner)))(outer)
    one = jax.jit(lambda i, o: served(i * parameters["inventory"], o * loss))
    agree(many, jnp.stack([jnp.stack([one(i, o) for i in inner]) for o in outer]))
    slope = jax.jit(jax.jacrev(lambda o: served(parameters["inventory"], o * loss)))
    agree(jax.jit(jax.vmap(slope))(outer), jnp.stack([slope(o) for o in outer]))


def test_many_scenarios_of_firms_without_links(engine):
    network = q.Network.from_edges(np.zeros(0, int), np.zeros(0, int), [], [1.0, 2.0])
    model = q.SupplyModel(network, inventory=2.0, adjustment=5.0)

    def kept(loss):
        return jnp.sum(q.simulate(model, q.CapacityLoss(loss), steps=4, observe=q.by_group([0, 1], 2)).output)

    losses = jnp.linspace(0.1, 0.9, MANY)[:, None] * jnp.ones(2)
    np.testing.assert_allclose(jax.vmap(jax.grad(kept))(losses), np.tile([-4.0, -8.0], (MANY, 1)))


def test_single_precision_stays_single(engine):
    network, (parameters, loss, weight) = random_network(0, 12), scenario(0, 12)
    assert isinstance(network.links, EdgeLinks)
    single = jax.tree.map(lambda v: v.astype(jnp.float32), (network.output, network.final_demand, parameters, loss))
    output, final_demand, parameters32, loss32 = single
    single_network = jax.tree.map(lambda v: v.astype(jnp.float32) if eqx.is_inexact_array(v) else v, network)
    drive = Drive(shock_of(loss32), single_network)
    emit = Emit(weight.astype(jnp.float32))
    buckets = layout(network)
    rows = cascade(network.links, buckets, output, final_demand, **parameters32, drive=drive, emit=emit, steps=STEPS)
    assert {row.dtype for row in rows.values()} == {jnp.dtype(jnp.float32)}
    agree(rows, engine[0](network, buckets, parameters, loss, weight), tolerance=1e-5)


def test_every_link_lies_in_one_slot_and_pads_repeat_links_of_their_customer():
    network = random_network(7, 30)
    assert isinstance(network.links, EdgeLinks)
    s, c = np.asarray(network.links.supplier), np.asarray(network.links.customer)
    buckets = layout(network)
    edge, pad = np.asarray(buckets.edge), np.asarray(buckets.pad)
    assert np.array_equal(np.sort(edge[~pad]), np.arange(len(s)))
    assert np.array_equal(np.asarray(buckets.firm)[np.asarray(buckets.supplier)], s[edge])
    for first, last, begin, end, width in buckets.spans:
        customers = c[edge[first:last]].reshape(width, end - begin)
        assert np.all(customers == np.asarray(buckets.firm)[begin:end])


def test_bad_layouts_are_refused():
    network, (parameters, loss, weight) = random_network(0, 12), scenario(0, 12)
    with pytest.raises(q.InputError, match="growth is 1"):
        Buckets.of(np.zeros(1, int), np.zeros(1, int), 1, growth=1.0)
    with pytest.raises(q.InputError, match="vectors of one length"):
        Buckets.of(np.zeros(1, int), np.zeros(2, int), 1)
    with pytest.raises(q.InputError, match="make the buckets from these links"):
        fast(network, layout(random_network(0, 9)), parameters, loss, weight)
