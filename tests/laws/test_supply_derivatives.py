"""Derivatives through every kind of rule: finite everywhere, forward equals backward, and finite differences off the kinks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q
from rules import CASES, N, build, everything, shocks

STEPS = 40


WEIGHTS = jnp.asarray(np.random.default_rng(5).uniform(0, 1, (STEPS, N)))


def value(theta, model, shock):
    """Return a smooth function of inventories, adjustment times, capacities and two losses: weighted output beside its base."""
    varied = eqx.tree_at(lambda m: (m.inventory, m.adjustment, m.capacity), model, tuple(theta[:3]))
    hit = eqx.tree_at(lambda s: [part.loss for part in first_two(s)], shock, list(theta[3:]))
    path = q.simulate(varied, hit, steps=STEPS)
    return jnp.sum(WEIGHTS * path.output) / jnp.sum(path.base.output)


def first_two(shock):
    return shock.shocks[0].shocks[0].shocks


# Compiled once per case: the model and the shock are arguments.
function = eqx.filter_jit(value)
gradient = eqx.filter_jit(eqx.filter_grad(value))
pushforward = eqx.filter_jit(
    lambda theta, w, model, shock: jax.jvp(lambda t: value(t, model, shock), (theta,), (w,))[1]
)


def start(model, shock):
    wide = [jnp.broadcast_to(v, (N,)) for v in (model.inventory, model.adjustment, model.capacity)]
    return [*wide, *(part.loss for part in first_two(shock))]


def agrees(case, seeds):
    """Compare with central differences of fourth order; where two step sizes disagree there is a kink between them."""
    smooth = 0
    for seed in seeds:
        model, shock = build(seed, *case), shocks(seed)
        theta = start(model, shock)
        rng = np.random.default_rng(seed)
        theta = [theta[0] + 0.37, theta[1] + 0.1, theta[2] + 0.011, 0.01 + 0.9 * theta[3], 0.01 + 0.9 * theta[4]]
        direction = [jnp.asarray(rng.normal(size=N)) * v for v in theta]
        slope = gradient(theta, model, shock)
        assert all(np.all(np.isfinite(g)) for g in slope)
        pulled = float(sum(jnp.vdot(g, w) for g, w in zip(slope, direction, strict=True)))
        size = float(sum(jnp.sum(jnp.abs(g * w)) for g, w in zip(slope, direction, strict=True)))
        pushed = float(pushforward(theta, direction, model, shock))
        assert abs(pushed - pulled) <= 1e-11 * max(size, 1e-3), "JVP = VJP"

        def difference(h, model=model, shock=shock, theta=theta, direction=direction):
            moved = ([v + s * h * w for v, w in zip(theta, direction, strict=True)] for s in (1, -1, 2, -2))
            at = [float(function(point, model, shock)) for point in moved]
            return (8 * (at[0] - at[1]) - (at[2] - at[3])) / (12 * h)

        coarse, fine = difference(2e-6), difference(1e-6)
        if abs(coarse - fine) <= 1e-8 * max(size, 1e-3):
            smooth += 1
            assert abs(fine - pulled) <= 1e-7 * max(size, 1e-3)
    return smooth


@pytest.mark.parametrize("case", CASES[1::8], ids=lambda case: " / ".join(map(str, case[:3])))
def test_derivatives_of_pairs_of_rules_are_those_of_finite_differences(case):
    assert agrees(case, range(4)) >= 1, "it must not pass because every case is called a kink"


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
