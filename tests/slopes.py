"""Forward and reverse derivatives of a random model with every kind of rule, beside finite differences."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import quesnay as q
from rules import N, build, shocks

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


class Comparison(NamedTuple):
    """Differences along one random direction, relative to the sum of the absolute contributions to the slope.

    `doubt` is the least disagreement of two step sizes next to each other; `differences` is the error beside the finer one.
    """

    finite: bool
    modes: float
    differences: float
    doubt: float


def compare(case, seed) -> Comparison:
    """Compare with central differences of fourth order, at the two step sizes that agree best: the others cross a kink."""
    model, shock = build(seed, *case), shocks(seed)
    theta = start(model, shock)
    rng = np.random.default_rng(seed)
    theta = [theta[0] + 0.37, theta[1] + 0.1, theta[2] + 0.011, 0.01 + 0.9 * theta[3], 0.01 + 0.9 * theta[4]]
    direction = [jnp.asarray(rng.normal(size=N)) * v for v in theta]
    slope = gradient(theta, model, shock)
    finite = all(bool(np.all(np.isfinite(g))) for g in slope)
    pulled = float(sum(jnp.vdot(g, w) for g, w in zip(slope, direction, strict=True)))
    size = max(1e-3, float(sum(jnp.sum(jnp.abs(g * w)) for g, w in zip(slope, direction, strict=True))))
    pushed = float(pushforward(theta, direction, model, shock))

    def along(s):
        return float(function([v + s * w for v, w in zip(theta, direction, strict=True)], model, shock))

    found = np.array(
        [
            (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)
            for h in 5e-7 * 2.0 ** np.arange(5, -1, -1)
        ]
    )
    apart = np.abs(np.diff(found))
    best = int(np.argmin(apart))
    return Comparison(
        finite, abs(pushed - pulled) / size, abs(found[best + 1] - pulled) / size, float(apart[best]) / size
    )
