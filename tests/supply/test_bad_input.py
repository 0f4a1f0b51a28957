"""Arguments outside their domain: one sentence that says what, where, and what to do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q

Z, D = np.array([[1.0, 2], [3, 4]]), np.array([5.0, 6])
NETWORK = q.Network.from_table(Z, D)


def model(**changes):
    return q.SupplyModel(NETWORK, **({"inventory": 2.0, "adjustment": 9.0, "capacity": 1.1} | changes))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: q.Network.from_table(Z[:1], D), "square table"),
        (lambda: q.Network.from_table(-Z, D), r"Z\[0, 0\] is -1: .*nonnegative"),
        (lambda: q.Network.from_table(Z, -D), r"final_demand\[0\] is -5: .*economy\.nonnegative\(\)"),
        (lambda: q.Network.from_table(np.where(Z == 3, np.nan, Z), D), r"Z\[1, 0\] is nan"),
        (lambda: q.Network.from_table(Z, D, days=0), "days is 0"),
        (lambda: q.Network.from_table(Z, D, days=np.inf), "days is inf"),
        (lambda: q.Network.from_table(Z, D, days="365"), "days holds <U3, not numbers"),
        (lambda: q.Network.from_table([[0, 5.0], [0, 0]], [10.0, 0]), "account 1 buys inputs but sells nothing"),
        (lambda: q.Network.from_table(np.zeros((0, 0)), []), "square table"),
        (lambda: q.simulate(NETWORK, steps=2), "model is a Network"),
        (lambda: q.Network.from_table(Z, D, value_added=[1.0]), "value_added has shape"),
        (lambda: q.Network.from_edges([0], [5], [1.0], D), r"customer\[0\] is 5, but the firms are numbered 0 to 1"),
        (lambda: q.Network.from_edges([0.0], [1.0], [1.0], D), "integer positions"),
        (lambda: q.Network.from_edges([0], [1], [0.0], D), r"flow\[0\] is 0: drop"),
        (lambda: q.Network.from_edges([0, 1], [1], [1.0], D), "vectors of one length"),
        (lambda: q.Network.from_edges([0], [1], [1.0], [1.0, 0.0]), "firm 1 buys inputs but sells nothing"),
        (lambda: model(inventory=0.5), r"inventory is 0\.5 \(entry 0\); it must be at least 1, in days"),
        (lambda: model(adjustment=0.0), "adjustment is 0 .*above 0"),
        (lambda: model(capacity=[1.0, np.nan]), r"capacity is nan \(entry 1\)"),
        (lambda: model(inventory=[1.0, 2, 3]), r"inventory has shape \(3,\)"),
        (lambda: q.CapacityLoss(1.5), "loss has an entry 1.5; it is the share of capacity lost"),
        (lambda: q.CapacityLoss(0.5, start=-1), "start has an entry -1"),
        (lambda: q.CapacityLoss(0.5, recovery=30), "recovery is 30; give a recovery"),
        (lambda: q.Exponential(), "exactly one of `days`"),
        (lambda: q.Exponential(days=3, rate=0.3), "exactly one of `days`"),
        (lambda: q.Exponential(days=0), "days > 0"),
        (lambda: q.Linear(days=-2), "days > 0, not -2"),
        (lambda: q.Tabulated(days=[0, 5], remaining=[1.0]), "one length"),
        (lambda: q.Tabulated(days=[1, 5], remaining=[1.0, 0]), "begin at 0 and increase"),
        (lambda: q.Tabulated(days=[0, 5], remaining=[0.9, 0]), "begin at 1"),
        (lambda: q.simulate(model(), steps=0), "steps is 0"),
        (lambda: q.simulate(model(), steps=2.5), "steps is 2.5"),
        (lambda: q.simulate(model(), 0.5, steps=2), "shock is a float"),
        (lambda: q.simulate(model(), q.CapacityLoss([0.1, 0.2, 0.3]), steps=2), "the model has 2 accounts"),
        (lambda: q.simulate(model(), steps=2).impact([1.0]), "intensity has shape"),
        (lambda: q.simulate(model(), steps=2).difference(q.simulate(model(), steps=3)), "shapes"),
        (lambda: q.simulate(model(), steps=2).difference().difference(), "no base state"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, message):
    with pytest.raises(q.InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_path_that_is_not_finite_is_an_error_or_a_code():
    huge = q.SupplyModel(q.Network.from_table(Z * 1e300, D * 1e300), inventory=1e300, adjustment=9.0, capacity=1.1)
    with pytest.raises(q.SolveError, match="not finite"):
        q.simulate(huge, steps=3)
    path = q.simulate(huge, steps=3, throw=False)
    assert path.result == q.equilibrium.RESULTS.not_finite


def test_precision_follows_the_input():
    single = q.Network.from_table(jnp.asarray(Z, jnp.float32), jnp.asarray(D, jnp.float32))
    assert single.output.dtype == jnp.float32
    assert NETWORK.output.dtype == jnp.float64


def test_steps_may_be_a_numpy_integer():
    assert q.simulate(model(), steps=np.int64(3)).output.shape == (3, 2)


def test_a_network_without_links_is_a_network():
    network = q.Network.from_edges([], [], [], [1.0, 2.0])
    path = q.simulate(q.SupplyModel(network, inventory=2.0, adjustment=9.0), q.CapacityLoss([0.5, 0]), steps=2)
    np.testing.assert_allclose(path.output[0], [0.5, 2.0])


def test_a_shock_of_the_wrong_length_is_refused_under_jit_too():
    with pytest.raises(q.InputError, match="the model has 2 accounts"):
        jax.jit(lambda loss: q.simulate(model(), q.CapacityLoss(loss), steps=2).output)(jnp.zeros(3))
