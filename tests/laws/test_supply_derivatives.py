"""Derivatives through every kind of rule: finite everywhere, forward equals backward, and finite differences off the kinks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q
from rules import CASES, N, build, everything, shocks
from slopes import compare, function, gradient, start

# Every storage and every rationing rule; `benchmarks/supply_gradients.py` takes all pairs. Two of these had wrong derivatives:
# CES on a table with missing links (not a number), and with a stock that is used up (jumps).
SOME = [CASES[k] for k in (7, 14, 24, 25)]


@pytest.mark.parametrize("case", SOME, ids=lambda case: " / ".join(map(str, case[:3])))
def test_derivatives_of_pairs_of_rules_are_those_of_finite_differences(case):
    found = [compare(case, seed) for seed in (4, 5, 7)]
    assert all(each.finite for each in found)
    assert all(each.modes <= 1e-12 for each in found), "JVP = VJP"
    smooth = [each for each in found if each.doubt <= 3e-9]
    assert len(smooth) >= 2, "it must not pass because every case is called a kink"
    assert all(each.differences <= 1e-8 for each in smooth)


@pytest.mark.parametrize("case", CASES[::10], ids=lambda case: " / ".join(map(str, case[:3])))
def test_derivatives_are_finite_where_everything_ties(case):
    """Stocks of one day, no spare capacity, orders that oscillate, accounts without demand or inputs."""
    model = build(3, *case)
    model = eqx.tree_at(
        lambda m: (m.inventory, m.adjustment, m.capacity),
        model,
        (jnp.ones(N), jnp.full(N, 0.3), jnp.ones(N)),
    )
    shock = shocks(3)
    for loss in (0.0, 1.0):
        theta = [*start(model, shock)[:3], jnp.full(N, loss), jnp.zeros(N)]
        assert np.isfinite(function(theta, model, shock))
        assert all(np.all(np.isfinite(g)) for g in gradient(theta, model, shock)), loss


def test_derivatives_through_all_other_rules_are_finite():
    model = everything(2)

    def made(capacity, hiring):
        varied = eqx.tree_at(lambda m: (m.capacity, m.labour.hiring), model, (capacity, hiring))
        return jnp.sum(
            q.simulate(varied, shocks(2) + q.CapitalLoss(5 * model.network.output, start=3), steps=30).output
        )

    slopes = jax.grad(made, (0, 1))(model.capacity, model.labour.hiring)
    assert all(np.all(np.isfinite(g)) for g in slopes)
    assert float(slopes[1]) > 0
