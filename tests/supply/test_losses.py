"""When losses begin and end, and what of them is a group's own."""

import jax
import numpy as np
import pytest

import quesnay as q
from quesnay import supply
from tables import random_network, random_parameters

N = 12


@pytest.mark.parametrize("storage", ["table", "links"])
def test_the_direct_loss_of_a_group_is_the_sum_of_its_accounts(storage):
    """Spare capacity of one account does not hide the loss of another."""
    network = random_network(3, N, storage)
    model = q.SupplyModel(network, **random_parameters(3, N))
    loss = np.where(np.arange(N) < 4, 0.7, 0.0)
    shock = q.CapacityLoss(loss, start=2, duration=6, recovery=q.Linear(days=5))
    groups = np.arange(N) % 3
    each = q.simulate(model, shock, steps=25).losses()
    grouped = q.simulate(model, shock, steps=25, observe=q.by_group(groups, 3)).losses()
    for name in ("direct", "indirect", "total"):
        sums = np.stack([np.asarray(getattr(each, name))[:, groups == g].sum(axis=1) for g in range(3)], axis=1)
        np.testing.assert_allclose(getattr(grouped, name), sums, atol=1e-12 * float(network.output.sum()))
    assert float(grouped.direct.sum()) > 0


@pytest.mark.parametrize("kind", [q.CapacityLoss, q.LabourLoss])
def test_without_a_recovery_a_loss_ends_after_its_duration_or_stays_for_good(kind):
    network = q.Network.from_table(np.zeros((2, 2)), [1.0, 1.0])
    model = q.SupplyModel(network, inventory=1.0, adjustment=5.0)
    path = q.simulate(model, kind(0.4, start=3, duration=[4.0, 0.0]), steps=12)
    days = np.arange(12)
    np.testing.assert_allclose(path.output[:, 0], np.where((days >= 3) & (days < 7), 0.6, 1.0))
    np.testing.assert_allclose(path.output[:, 1], np.where(days >= 3, 0.6, 1.0))


def reconstruction():
    network = q.Network.from_table([[1.0, 2], [3, 4]], [5.0, 6])
    return q.SupplyModel(
        network,
        inventory=5.0,
        adjustment=5.0,
        reconstruction=supply.Reconstruction([10.0, 20.0], [1.0, 0.0]),
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: q.simulate(reconstruction(), q.CapitalLoss([0.0, 21.0]), steps=2), "more capital than account 1 has"),
        (
            lambda: q.simulate(reconstruction(), q.CapitalLoss([6.0, 0.0]) + q.CapitalLoss([5.0, 0.0]), steps=2),
            "more capital than account 0 has",
        ),
        (lambda: q.by_group(["a", "b"], 2), "one integer from 0 to 1 per account, the number of its group"),
        (lambda: q.firms.draw(q.load("us-2020").nonnegative(), firms=500, key=0), "key is 0; give a random key"),
    ],
)
def test_what_cannot_be_is_one_sentence(call, message):
    with pytest.raises(q.InputError, match=message):
        call()


def test_a_linear_response_is_to_losses_of_capacity_and_labour_only():
    model = q.SupplyModel(random_network(1, 5, "table"), inventory=5.0, adjustment=9.0)
    observe = q.by_group(np.arange(5), 5)
    response = supply.impulse(model, steps=4, observe=observe)
    with pytest.raises(q.InputError, match="the shock has a DemandLoss"):
        response.shock(model, q.DemandLoss(0.1) + q.CapacityLoss(0.1))
    with pytest.raises(q.InputError, match="shock is a NoneType"):
        response.error(model, None, observe)
    # Within the spare capacity nothing is lost: no rounding over rounding.
    roomy = q.SupplyModel(model.network, inventory=5.0, adjustment=9.0, capacity=1.5)
    assert float(response.error(roomy, q.CapacityLoss(0.01, duration=3), observe)) < 1e-12


def test_a_cascade_that_still_moves_says_what_to_do():
    firms = q.firms.draw(q.load("us-2020").nonnegative(), firms=400, key=jax.random.key(0))
    sector, names = firms.groups("sector")
    with pytest.raises(q.SolveError, match="give more max_steps or a larger tolerance"):
        supply.systemic_risk(firms.network, sector, essential=np.ones((len(names),) * 2, bool), max_steps=2)


@pytest.mark.parametrize("storage", ["table, pooled", "links, pooled"])
def test_a_loss_of_all_inputs_may_be_one_number(storage):
    network = random_network(4, 6, storage)
    model = q.SupplyModel(network, **random_parameters(4, 6))
    one, each = (
        q.simulate(model, q.InputLoss(loss, start=1), steps=20).output
        for loss in (0.5, np.full(network.links.need.shape, 0.5))
    )
    np.testing.assert_array_equal(one, each)
