"""The laws of shock propagation for every pair of a production rule and a rationing rule, and for all other rules together."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import quesnay as q
from quesnay import supply
from quesnay.supply.shocks import parts
from rules import CASES, PAIRS, PRODUCTION, RATIONING, N, build, destroyed, everything, shocks
from tables import TOLERANCE, close, random_network, random_parameters, seeds

STEPS = 50


def losses_of(shock):
    return [part.loss for part in parts(shock)]


@eqx.filter_jit
def states(model, shock, steps):
    def advance(state, day):
        state = model.step(state, day, shock, None)
        return state, state

    return jax.lax.scan(advance, model.init(), jnp.arange(steps))[1]


def holds(model, shock):
    net, links = model.network, model.network.links
    all_days, base = states(model, shock, STEPS), model.init()
    path, stock = all_days.seen, all_days.stock
    before = jnp.concatenate([base.stock[None], stock[:-1]])
    placed = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest[:-1]]), base.orders, all_days.orders)
    by_link = jax.vmap(lambda orders: orders.by_link(links))(placed)
    asked = jax.vmap(links.sum_by_input)(by_link)
    asked = jax.vmap(links.sum_by_customer)(asked)
    demand = jnp.concatenate([base.demand[None], all_days.demand[:-1]])
    final = jnp.concatenate([base.final[None], all_days.final[:-1]])
    assert all(np.all(np.isfinite(v)) for v in jax.tree.leaves(all_days)), "finite"
    assert close(path.output, path.deliveries + path.final_consumption, path.output), (
        "output = deliveries + consumption"
    )
    assert close(path.deliveries.sum(axis=1), path.received.sum(axis=1), path.output), "what is delivered is received"
    total = jax.vmap(lambda v: links.sum_by_customer(links.need * v))
    assert close(total(stock) - total(before), path.received - path.used, path.stock), "stock change = received - used"
    assert np.all(stock >= 0), "stocks are not negative"
    assert np.all(path.received <= asked * (1 + TOLERANCE)), "deliveries <= orders"
    assert np.all(path.output <= jnp.minimum(demand, path.capacity) * (1 + TOLERANCE) + 0), "output <= demand, capacity"
    assert np.all(path.output >= 0)
    assert np.all(path.final_consumption <= final * (1 + TOLERANCE)), "consumption <= final demand"
    assert close(path.final_consumption + path.unmet, final, final), "final demand = served + unmet"
    return net


@pytest.mark.parametrize("case", CASES, ids=lambda case: " / ".join(map(str, case[:3])))
@settings(max_examples=6)
@given(seeds)
def test_goods_are_conserved_and_no_shock_is_no_change(case, seed):
    model = build(seed, *case)
    holds(model, shocks(seed))
    nothing = jax.tree.map(jnp.zeros_like, eqx.filter(shocks(seed), eqx.is_array))
    path = states(model, eqx.tree_at(losses_of, shocks(seed), losses_of(nothing)), STEPS).seen
    for name in ("output", "final_consumption", "demand", "stock", "deliveries"):
        base = getattr(model.init().seen, name)
        assert close(getattr(path, name), base, base), name


@settings(max_examples=10)
@given(seeds)
def test_all_other_rules_together_conserve_goods_money_and_the_base_state(seed):
    model = everything(seed)
    shock = destroyed(seed, model.network)
    path = q.simulate(model, shock, steps=STEPS)
    assert close(path.output, path.deliveries + path.final_consumption, path.output)
    damage = np.asarray(shock.shocks[1].damage).sum()
    rebuilt = np.cumsum(np.asarray(path.reconstruction).sum(axis=1))
    assert np.max(np.abs((rebuilt + np.asarray(path.damage).sum(axis=1))[3:] - damage)) <= TOLERANCE * damage
    assert rebuilt[-1] > 0.05 * damage
    calm = q.simulate(model, steps=200)
    assert close(calm.output, calm.base.output, calm.base.output)
    assert close(calm.stock, calm.base.stock, calm.base.stock)


@settings(max_examples=6)
@given(seeds)
def test_what_is_sent_is_received_or_on_its_way(seed):
    model = everything(seed)
    links = model.network.links
    all_days = states(model, destroyed(seed, model.network), STEPS)
    under_way = jax.vmap(lambda v: jnp.sum(links.need * v))(all_days.transit)
    start = jnp.sum(links.need * model.init().transit)
    change = under_way - jnp.concatenate([start[None], under_way[:-1]])
    path = all_days.seen
    assert close(change, (path.deliveries - path.received).sum(axis=1), start)


@settings(max_examples=6)
@given(seeds)
def test_neither_the_order_of_accounts_nor_the_unit_of_money_matters_to_any_rule(seed):
    # Two products in turn: an even permutation within each keeps the pools, but not the blocks.
    order = np.random.default_rng(seed).permutation(N)
    model, moved, scaled = everything(seed), everything(seed, order=order), everything(seed, unit=1e6)
    path = q.simulate(model, destroyed(seed, model.network), steps=STEPS)
    other = q.simulate(moved, destroyed(seed, moved.network, order), steps=STEPS)
    third = q.simulate(scaled, destroyed(seed, scaled.network), steps=STEPS)
    for name in ("output", "stock", "damage", "unmet", "received"):
        mine = getattr(path, name)
        assert np.max(np.abs(getattr(other, name) - mine[:, order])) <= 1e-11 * np.max(np.abs(mine)), name
        assert np.max(np.abs(getattr(third, name) / 1e6 - mine)) <= 1e-11 * np.max(np.abs(mine)), name


# A rating is an input array, drawn in the order of the inputs: its rules have their own test with a table of ratings.
UNRATED = [case for case in CASES if case[0] not in ("strong", "half", "weak")]


@pytest.mark.parametrize("case", UNRATED[::5], ids=lambda case: " / ".join(map(str, case[:3])))
@settings(max_examples=4)
@given(seeds)
def test_order_and_unit_do_not_matter_to_pairs_of_rules(case, seed):
    order = np.random.default_rng(seed).permutation(N)
    path = q.simulate(build(seed, *case), shocks(seed), steps=STEPS)
    other = q.simulate(build(seed, *case, order=order), shocks(seed, order), steps=STEPS)
    scaled = q.simulate(build(seed, *case, unit=1e-5), shocks(seed), steps=STEPS)
    for name in ("output", "stock", "final_consumption"):
        mine = getattr(path, name)
        assert np.max(np.abs(getattr(other, name) - mine[:, order])) <= 1e-11 * np.max(np.abs(mine)), name
        assert np.max(np.abs(getattr(scaled, name) / 1e-5 - mine)) <= 1e-11 * np.max(np.abs(mine)), name


@pytest.mark.parametrize("pair", PAIRS[::6], ids=" / ".join)
def test_a_list_of_links_gives_the_path_of_the_table_for_pairs_of_rules(pair):
    for kinds in (("table", "links"), ("table, pooled", "links, pooled")):
        if pair[0] in ("strong", "half", "weak"):
            table, links = (
                (
                    network := random_network(11, N, storage, patterned=True),
                    supply.criticality(network, RATING, np.arange(N) % 2),
                )
                for storage in kinds
            )
            made = [
                q.SupplyModel(
                    network,
                    production=type(PRODUCTION[pair[0]](0, network))(rating),
                    rationing=RATIONING[pair[1]],
                    **random_parameters(11, N),
                )
                for network, rating in (table, links)
            ]
        else:
            made = [build(11, *pair, storage, supply.StockAdjustment(), patterned=True) for storage in kinds]
        first, second = (q.simulate(model, shocks(11), steps=STEPS) for model in made)
        for name in ("output", "received", "used", "stock", "final_consumption"):
            assert close(getattr(first, name), getattr(second, name), getattr(first, name)), (kinds, name)


RATING = np.array([[1.0, 0.5], [0.5, 0.0]])
