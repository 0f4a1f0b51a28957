"""Checkpointed reverse mode: the same path and derivatives, from less memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q

KEY = jax.random.key(3)


def epidemic(rates, checkpoints, steps=7, agents=60):
    model = q.agents.SIR(agents=agents, infected=0.1, beta=rates[0], gamma=rates[1], lumped=False)
    path = q.simulate(model, steps=steps, key=KEY, checkpoints=checkpoints)
    return jnp.stack([path.infections, path.recoveries])


def supply(inventory, checkpoints):
    flows = jnp.array([[0.0, 2.0, 1.0], [1.0, 0.0, 2.0], [2.0, 1.0, 0.0]])
    model = q.SupplyModel(q.Network.from_table(flows, jnp.array([4.0, 5.0, 6.0])), inventory=inventory, adjustment=4.0)
    shock = q.CapacityLoss(jnp.array([0.5, 0.0, 0.0]), start=1, duration=3)
    return q.simulate(model, shock, steps=7, checkpoints=checkpoints).output


@pytest.mark.parametrize("checkpoints", [3, 20])
@pytest.mark.parametrize(("run", "at"), [(epidemic, jnp.array([0.5, 0.2])), (supply, jnp.array([3.0, 2.0, 4.0]))])
def test_paths_and_derivatives_are_those_without(run, at, checkpoints):
    np.testing.assert_array_equal(run(at, checkpoints), run(at, None))
    for take in (jax.jacrev, jax.jacfwd):
        np.testing.assert_allclose(take(run)(at, checkpoints), take(run)(at, None), rtol=1e-12, atol=1e-14)


def test_reverse_mode_needs_less_memory():
    """Of 400 steps, 20 states are kept, and 20 steps at a time."""

    def needed(checkpoints):
        fn = jax.grad(lambda rates: jnp.sum(epidemic(rates, checkpoints, 400, 2000) ** 2))
        return jax.jit(fn).lower(jnp.array([0.5, 0.2])).compile().memory_analysis().temp_size_in_bytes

    assert needed(20) < needed(None) / 4


@pytest.mark.parametrize("checkpoints", [0, -1, 2.5, True])
def test_no_whole_number_is_refused(checkpoints):
    with pytest.raises(q.InputError, match=r"checkpoints is .*; give a positive whole number"):
        epidemic(jnp.array([0.5, 0.2]), checkpoints)
