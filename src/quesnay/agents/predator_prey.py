"""Predators and prey that move on a grid, meet, eat, give birth and die: numbers of exchangeable agents in every cell."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from quesnay._checks import floating, whole
from quesnay._errors import InputError
from quesnay._results import RESULTS
from quesnay.dynamics import AbstractDynamics

from .draws import binomial, poisson
from .estimators import DEFAULT, AbstractEstimator
from .multinomial import multinomial
from .walk import Observed, drawn, own, unshocked, within

NEIGHBOURS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0, 0))
"""Where an agent goes: down, up, right, left, or nowhere."""


class Populations(eqx.Module):
    """A path, in means per cell (steps,); or maps (steps, height, width) where `observe=lambda cells: cells` keeps them.

    Attributes
    ----------
    prey, predators:
        At the end of each step.
    eaten:
        Prey eaten in each step.
    """

    prey: Float[Array, " steps"]
    predators: Float[Array, " steps"]
    eaten: Float[Array, " steps"]
    result: RESULTS


class PredatorPrey(AbstractDynamics):
    """Predators and prey on a grid whose edges meet (a torus), in steps of dt days.

    ```
    move      to each of four neighbours with probability mobility / 4, all agents at once; then within every cell
    eaten     1 - exp(-predation P dt)   of a prey among P predators
    birth     1 - exp(-birth dt)         of one prey, by one that was not eaten
    crowding  1 - exp(-crowding N dt)    death of a prey among N that were not eaten
    predators are born with probability conversion for each prey eaten, and die with probability 1 - exp(-death dt)
    ```

    Agents in a cell are exchangeable, so that counts in cells have the same law as agents one by one, at the cost of cells.
    They start as Poisson numbers. With many agents in few cells it is the model of Lotka and Volterra, in steps of dt.

    Parameters
    ----------
    height, width:
        Numbers of cells, both 3 or more.
    prey, predators:
        Mean numbers per cell at the start: a number, or a map (height, width).
    predation:
        Rate at which one predator finds each prey in its cell, per day.
    birth, death:
        Of a prey and of a predator, per day.
    conversion:
        Probability that a prey eaten becomes a predator.
    mobility:
        Probability that an agent moves in a step: one number, or those of prey and predators (2,).
    crowding:
        Rate of death of a prey for each prey in its cell, per day; None for none.
    dt:
        Days in a step.
    estimator:
        Of derivatives through draws; None for none.

    Raises
    ------
    InputError
        Shapes that do not fit; parameters out of their range.

    References
    ----------
    Lotka (1925); Volterra (1926); Mobilia, Georgiev and Taeuber (2007), on lattices.
    """

    height: int = eqx.field(static=True)
    width: int = eqx.field(static=True)
    prey: Float[Array, "..."]
    predators: Float[Array, "..."]
    predation: Float[Array, ""]
    birth: Float[Array, ""]
    death: Float[Array, ""]
    conversion: Float[Array, ""]
    mobility: Float[Array, "..."]
    crowding: Float[Array, ""] | None
    dt: Float[Array, ""]
    estimator: AbstractEstimator | None

    def __init__(
        self,
        *,
        height: int,
        width: int,
        prey,
        predators,
        predation,
        birth,
        death,
        conversion=1.0,
        mobility=1.0,
        crowding=None,
        dt=1.0,
        estimator: AbstractEstimator | None = DEFAULT,
    ):
        self.height = whole(height, "height", "number of cells", least=3)
        self.width = whole(width, "width", "number of cells", least=3)
        cells = (self.height, self.width)
        given = {
            "prey": (prey, cells),
            "predators": (predators, cells),
            "predation": (predation, ()),
            "birth": (birth, ()),
            "death": (death, ()),
            "conversion": (conversion, ()),
            "mobility": (mobility, (2,)),
            "crowding": (crowding, ()),
            "dt": (dt, ()),
        }
        for name, (value, wide) in given.items():
            number = None if value is None and name == "crowding" else floating(value, name)
            if number is not None and number.shape not in ((), wide):
                more = f", or shape {wide}" if wide else ", and vmap over models for more"
                raise InputError(f"{name} has shape {number.shape}; give one number{more}.")
            setattr(self, name, number)
        self.estimator = estimator

    def init(self):
        """Return empty cells: prey, predators, and prey eaten in the last step."""
        nobody = jnp.zeros((self.height, self.width), jnp.result_type(self.prey, self.predators))
        return nobody, nobody, nobody

    def step(self, state, day, shock, key):
        first, second, third = jax.random.split(drawn(key, self), 3)
        prey, predators = self._move(first, state[:2])
        eaten = self._draw(second, prey, self._chance(self.predation * predators))
        prey = prey - eaten
        # Together, since a binomial draw takes seconds to compile.
        born, hatched, starved, *crowded = self._draw(
            third,
            jnp.stack([prey, eaten, predators] + ([] if self.crowding is None else [prey])),
            self._chances(prey),
        )
        return prey + born - sum(crowded), predators + hatched - starved, eaten

    def _chances(self, prey):
        """Return probabilities of births of prey and predators, of deaths of predators, and of prey that are too many."""
        chances = [self._chance(self.birth), self.conversion, self._chance(self.death)]
        if self.crowding is not None:
            chances.append(self._chance(self.crowding * prey))
        return jnp.stack([jnp.broadcast_to(p, prey.shape) for p in chances])

    def _chance(self, rate):
        return -jnp.expm1(-rate * self.dt)

    def _move(self, key, agents):
        """Return agents (prey, predators) of every cell after all have moved at once."""
        mobility = jnp.broadcast_to(self.mobility, (2,))[:, None, None, None]
        p = jnp.concatenate([mobility / 4] * 4 + [1 - mobility], axis=-1)
        gone = multinomial(key, jnp.stack(agents), p, estimator=self.estimator)
        return sum(
            (jnp.roll(gone[..., j], where, (1, 2)) for j, where in enumerate(NEIGHBOURS)), jnp.zeros_like(gone[..., 0])
        )

    def _draw(self, key, agents, p):
        return binomial(key, agents, p, estimator=self.estimator)

    def observe(self, state):
        return dict(zip(("prey", "predators", "eaten"), state, strict=True))

    def rows(self, shock, steps, key, observe, scan):
        begin, rest = jax.random.split(drawn(key, self))
        *_, nobody = self.init()
        means = jnp.stack([jnp.broadcast_to(mean, nobody.shape) for mean in (self.prey, self.predators)])
        start = poisson(begin, means, estimator=self.estimator)

        def advance(state, at):
            state = self.step(state, at[0], shock, at[1])
            seen = self.observe(state)
            return state, jax.tree.map(jnp.mean, seen) if observe is None else observe(seen)

        return scan(advance, (*start, nobody), (jnp.arange(steps), jax.random.split(rest, steps)))[1]

    def path(self, rows, base, result):
        return Populations(**rows, result=result) if own(rows, Populations) else Observed(rows, result)

    def check(self, shock):
        unshocked(shock, self)
        for name in ("conversion", "mobility"):
            within(name, getattr(self, name), 0, 1)
        for name in ("prey", "predators", "predation", "birth", "death", "dt"):
            within(name, getattr(self, name), 0)
        if self.crowding is not None:
            within("crowding", self.crowding, 0)
