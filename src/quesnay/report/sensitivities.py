"""Which lever helps: exact derivatives of the value added lost, with respect to every account's parameters."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
ROUNDING = 1e-13
"""Effects below this share of the value added of the whole period are rounding and count as none."""
EVERYWHERE = -1
"""In place of an account's position: all accounts at once."""
MOST, AFFORDABLE = 10, 5e7
"""How many steps are simulated, and up to how many links times days of a run."""
PER = {
    "inventory": "extra day of inventory",
    "capacity": "percentage point of spare capacity",
    "adjustment": "day of adjustment time",
    "loss": "percentage point of capacity lost",
}


@dataclass(frozen=True)
class Effect:
    """What a step in one parameter of one account does to the value added lost.

    Attributes
    ----------
    parameter, account:
        "inventory", "capacity", "adjustment" or "loss", and the position of the account, or `EVERYWHERE`.
    value, unit:
        The derivative times the step, in currency, and the unit in words; positive: more is lost.
    taken:
        The change in the value added lost where the step is really taken, in currency; None where that was not simulated.
    """

    parameter: str
    account: int
    value: float
    unit: str
    taken: float | None = None

    @property
    def best(self) -> float:
        """What the step does: as simulated where it was, else by the derivative."""
        return self.value if self.taken is None else self.taken


@dataclass(frozen=True, eq=False)
class Sensitivities:
    """Derivatives of the value added lost over the period, at this scenario.

    Attributes
    ----------
    effects:
        One per parameter and account, the largest derivative first; accounts that lost no capacity have none for "loss". The
        steps of the ten largest are simulated, unless the run is very large.
    everywhere:
        One per parameter: the same step in all accounts at once ("loss": in those that lost capacity).
    """

    effects: Sequence[Effect]
    everywhere: Sequence[Effect]


def sensitivities(run: Run) -> Sensitivities:
    """Return the effect of a small step in every parameter of every account on the value added lost over the period."""
    n, theta = run.economy.n, _parameters(run)
    gradient, by_loss = _gradient(theta, run.model, run.shock, run.days)
    slopes = {name: np.asarray(value) for name, value in gradient.items()}
    moved = dict.fromkeys(slopes, np.ones(n, bool))
    if theta[1]:
        # One derivative per account: shocks that overlap are all moved together.
        pairs = [(np.asarray(loss) > 0, np.asarray(slope)) for loss, slope in zip(theta[1], by_loss, strict=True)]
        slopes["loss"] = np.sum([np.where(hit, slope, 0) for hit, slope in pairs], axis=0)
        moved["loss"] = np.any([hit for hit, _ in pairs], axis=0)
    # What is rounding beside the value added of the whole period is no effect.
    small = ROUNDING * run.days * abs(float(np.sum(np.asarray(run.model.network.value_added))))
    effects, everywhere = [], []
    for name, slope in slopes.items():
        steps = np.where(np.abs(STEP[name] * slope) > small, STEP[name] * slope, 0)
        unit = f"{run.economy.currency} of value added per {PER[name]}"
        effects += [Effect(name, int(k), float(steps[k]), unit) for k in np.flatnonzero(moved[name])]
        everywhere.append(Effect(name, EVERYWHERE, float(steps[moved[name]].sum()), unit))
    effects.sort(key=lambda effect: -abs(effect.value))
    if n * n * run.days <= AFFORDABLE:
        take = _Take(run, small)
        effects = [take(effect) if k < MOST and effect.value else effect for k, effect in enumerate(effects)]
        everywhere = [take(effect) for effect in everywhere]
    return Sensitivities(effects, everywhere)


def _parameters(run: Run) -> tuple[dict[str, Array], tuple[Array, ...]]:
    """Return the parameters of the model and the losses of the shock, each broadcast to all accounts."""
    n = run.economy.n
    theta = {name: jnp.broadcast_to(getattr(run.model, name), (n,)) for name in ("inventory", "capacity", "adjustment")}
    return theta, tuple(jnp.broadcast_to(part.loss, (n,)) for part in losses_of(run.shock))


class _Take:
    """Simulate steps, one at a time."""

    def __init__(self, run: Run, small: float):
        self._run, self._small = run, small
        self._theta = _parameters(run)
        self._before = self._lost(self._theta)

    def _lost(self, theta) -> float:
        return float(_objective(theta, self._run.model, self._run.shock, self._run.days))

    def __call__(self, effect: Effect) -> Effect:
        parameters, losses = self._theta
        every = effect.account == EVERYWHERE
        here = jnp.ones(self._run.economy.n, bool) if every else jnp.arange(self._run.economy.n) == effect.account
        if effect.parameter == "loss":
            step = STEP["loss"]
            losses = tuple(jnp.where(here & (loss > 0), jnp.minimum(1, loss + step), loss) for loss in losses)
        else:
            value = parameters[effect.parameter]
            parameters = {**parameters, effect.parameter: jnp.where(here, value + STEP[effect.parameter], value)}
        change = self._lost((parameters, losses)) - self._before
        return replace(effect, taken=change if abs(change) > self._small else 0.0)


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


_objective = eqx.filter_jit(value_added_lost)
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
