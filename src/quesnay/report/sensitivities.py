"""Which lever helps: exact derivatives of the value added lost, with respect to every account's parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..supply import AbstractShock, CapacityLoss, SupplyModel, Together
from .run import Run

STEP = {"inventory": 1.0, "capacity": 0.01, "adjustment": 1.0, "loss": 0.01}
"""The step that an effect is given for: days, share of base output, days, share of capacity lost."""
ROUNDING = 1e-14
"""Effects below this share of the value added of the whole period are rounding and count as none."""
PER = {
    "inventory": "extra day of inventory",
    "capacity": "percentage point of spare capacity",
    "adjustment": "day of adjustment time",
    "loss": "percentage point of capacity lost",
}


@dataclass(frozen=True)
class Effect:
    """What a small step in one parameter of one account does to the value added lost.

    Attributes
    ----------
    parameter, account:
        "inventory", "capacity", "adjustment" or "loss", and the position of the account.
    value, unit:
        Currency per step, and the unit in words; positive: more is lost.
    """

    parameter: str
    account: int
    value: float
    unit: str


@dataclass(frozen=True, eq=False)
class Sensitivities:
    """Derivatives of the value added lost over the period, at this scenario.

    Attributes
    ----------
    effects:
        One per parameter and account, sorted by size; accounts that lost no capacity have none for "loss".
    everywhere:
        Effect of the same step in all accounts at once, by parameter.
    """

    effects: Sequence[Effect]
    everywhere: Mapping[str, float]


def sensitivities(run: Run) -> Sensitivities:
    """Return the effect of a small step in every parameter of every account on the value added lost over the period."""
    model, n = run.model, run.economy.n
    theta = {name: jnp.broadcast_to(getattr(model, name), (n,)) for name in ("inventory", "capacity", "adjustment")}
    losses = tuple(jnp.broadcast_to(part.loss, (n,)) for part in losses_of(run.shock))
    gradient, by_loss = _gradient((theta, losses), model, run.shock, run.days)
    values = {name: np.asarray(value) for name, value in gradient.items()}
    kept = dict.fromkeys(values, np.ones(n, bool))
    if losses:
        # One derivative per account: shocks that overlap are all moved together.
        pairs = [(np.asarray(loss) > 0, np.asarray(slope)) for loss, slope in zip(losses, by_loss, strict=True)]
        values["loss"] = np.sum([np.where(hit, slope, 0) for hit, slope in pairs], axis=0)
        kept["loss"] = np.any([hit for hit, _ in pairs], axis=0)
    # What is rounding beside the value added of the whole period is no effect.
    small = ROUNDING * run.days * abs(float(np.sum(np.asarray(model.network.value_added))))
    effects = []
    for name, value in values.items():
        steps = np.where(np.abs(STEP[name] * value) > small, STEP[name] * value, 0)
        unit = f"{run.economy.currency} of value added per {PER[name]}"
        effects += [Effect(name, int(k), float(steps[k]), unit) for k in np.flatnonzero(kept[name])]
    everywhere = {name: sum(e.value for e in effects if e.parameter == name) for name in values}
    return Sensitivities(sorted(effects, key=lambda effect: -abs(effect.value)), everywhere)


def value_added_lost(theta, model: SupplyModel, shock: AbstractShock | None, steps: int) -> Float[Array, ""]:
    """Return the value added lost over the steps, for parameters (inventory, capacity, adjustment as a dict; losses).

    The days run in segments whose inside is computed again on the way back: memory grows with the root of their number.
    """
    parameters, losses = theta
    names = tuple(parameters)
    model = eqx.tree_at(lambda m: tuple(getattr(m, k) for k in names), model, tuple(parameters.values()))
    if losses:
        shock = eqx.tree_at(lambda s: tuple(part.loss for part in losses_of(s)), shock, losses)

    @jax.checkpoint
    def day(state, t):
        state = model.step(state, t, shock, None)
        return state, jnp.where(t < steps, jnp.sum(state.seen.value_added), 0)

    @jax.checkpoint
    def segment(state, days):
        state, added = jax.lax.scan(day, state, days)
        return state, jnp.sum(added)

    state = model.init()
    base = jnp.sum(state.seen.value_added)
    # The last segment may run past the end; those days do not count.
    width = isqrt(steps - 1) + 1
    days = jnp.arange(-(-steps // width) * width).reshape(-1, width)
    _, added = jax.lax.scan(segment, state, days)
    return steps * base - jnp.sum(added)


_gradient = eqx.filter_jit(eqx.filter_grad(value_added_lost))


def losses_of(shock: AbstractShock | None) -> tuple[CapacityLoss, ...]:
    """Return the losses of capacity that a shock consists of."""
    match shock:
        case CapacityLoss():
            return (shock,)
        case Together(shocks=shocks):
            return tuple(part for one in shocks for part in losses_of(one))
        case _:
            return ()
