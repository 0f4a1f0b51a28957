"""The SIR epidemic as an agent-based model: susceptible, infected, recovered; all meet all, or along contacts."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from quesnay._checks import floating, instance, whole
from quesnay._errors import InputError
from quesnay._results import RESULTS
from quesnay.dynamics import AbstractDynamics
from quesnay.network import AbstractLinks

from .draws import bernoulli, binomial, chosen_estimator, probability
from .estimators import (
    DEFAULT,
    AbstractEstimator,
    AbstractOutcomeSlopes,
    GumbelSoftmax,
    event,
    happens,
    through,
    uniforms,
)
from .score import Score
from .twins import fixed, follow, lifted, revived, twin
from .walk import Observed, drawn, own, unshocked, within

OPTIONAL = ("waning", "vaccination")
TWINS = 8
"""Second paths along contacts."""


class Epidemic(eqx.Module):
    """A path, in fractions of all agents (steps,).

    Attributes
    ----------
    infections, recoveries:
        New ones of each step.
    susceptible, infected, recovered:
        At the end of each step.
    """

    infections: Float[Array, " steps"]
    recoveries: Float[Array, " steps"]
    susceptible: Float[Array, " steps"]
    infected: Float[Array, " steps"]
    recovered: Float[Array, " steps"]
    result: RESULTS


class SIR(AbstractDynamics):
    """Agents that infect each other and recover, in steps of dt days.

    ```
    infection  1 - exp(-beta I dt)  of a susceptible agent,  I the infected fraction, or the sum of w over infected contacts
    recovery   1 - exp(-gamma dt)   of an infected agent, from the step after its infection
    waning, vaccination  likewise: of a recovered agent, who is susceptible again, and of a susceptible one that stayed so
    ```

    With `waning` it is the SIRS epidemic; those vaccinated count as recovered.

    Agents are exchangeable, so that the numbers of events are binomial: with `lumped` they are drawn as such, which has the
    same distribution at the cost of one agent. Without, every agent has a uniform number of its own in each step.

    Parameters
    ----------
    agents:
        Number of agents.
    infected:
        Probability that an agent is infected at the start; derivatives pass through it too.
    beta, gamma:
        Rates of contact and recovery, per day.
    dt:
        Days in a step.
    waning, vaccination:
        Rates per day; None where there is none.
    estimator:
        Of derivatives through draws; None for none.
    contacts:
        `contacts(source, target, weight, agents=)`: who infects whom, beta then per contact of weight 1. None: all meet all.
    lumped:
        Draw counts rather than agents. None: where the estimator has counts and all meet all.
    twins:
        Second paths for derivatives of agents; None: 8 along contacts, otherwise 0. Where one infection may change all that
        follows, no slope knows of it: with `Smoothed` and `StraightThrough` each of these paths has one draw so far otherwise,
        and their differences count. They have no bias for sums of what is observed of single steps, with `Smoothed` none for
        their squares; more of them spread less. With 0, slopes of draws are followed from step to step, which spread less in
        large crowds, and grow without bound where agents have few contacts or an epidemic dies out.

    References
    ----------
    Kermack and McKendrick (1927); Quera-Bofarull et al. (2023).
    """

    agents: int = eqx.field(static=True)
    infected: Float[Array, ""]
    beta: Float[Array, ""]
    gamma: Float[Array, ""]
    dt: Float[Array, ""]
    waning: Float[Array, ""] | None
    vaccination: Float[Array, ""] | None
    estimator: AbstractEstimator | None
    contacts: AbstractLinks | None
    lumped: bool = eqx.field(static=True)
    twins: int = eqx.field(static=True)

    def __init__(
        self,
        *,
        agents: int,
        infected,
        beta,
        gamma,
        dt: Any = 1.0,
        waning=None,
        vaccination=None,
        estimator: AbstractEstimator | None = DEFAULT,
        contacts: AbstractLinks | None = None,
        lumped: bool | None = None,
        twins: int | None = None,
    ):
        self.agents = whole(agents, "agents", "number of agents")
        given = {
            "infected": infected,
            "beta": beta,
            "gamma": gamma,
            "dt": dt,
            "waning": waning,
            "vaccination": vaccination,
        }
        numbers = {n: None if v is None and n in OPTIONAL else floating(v, n) for n, v in given.items()}
        # Plain numbers, such as dt where none is given, take the precision of the arrays.
        kinds = [v.dtype for n, v in numbers.items() if v is not None and not isinstance(given[n], int | float)]
        for name, number in numbers.items():
            if number is not None and number.shape != ():
                raise InputError(f"{name} has shape {number.shape}; give one number, and vmap over models for more.")
            setattr(self, name, number if number is None or not kinds else number.astype(jnp.result_type(*kinds)))
        self.estimator = estimator
        if contacts is not None:
            instance(contacts, AbstractLinks, "contacts", "contacts(source, target, agents=...)")
            if contacts.accounts != self.agents:
                raise InputError(f"contacts are those of {contacts.accounts} agents; agents is {self.agents}.")
            if lumped:
                raise InputError("agents with contacts of their own cannot be exchanged; leave lumped out.")
        self.contacts = contacts
        able = contacts is None and not isinstance(estimator, GumbelSoftmax)
        self.lumped = able if lumped is None else bool(lumped)
        self.twins = (
            (TWINS if contacts is not None else 0) if twins is None else whole(twins, "twins", "number", least=0)
        )
        if self.twins and self.lumped:
            raise InputError("counts have no second paths; give lumped=False beside twins, or leave twins out.")

    def init(self):
        """Return the state before anybody is infected: susceptible, infected, new infections, new recoveries."""
        nobody = jnp.zeros(() if self.lumped else (self.agents,), self.beta.dtype)
        return (nobody + (self.agents if self.lumped else 1), nobody, nobody, nobody)

    def step(self, state, day, shock, key):
        keys = self._keys(key)
        return self._moved(state, lambda k, where, rate, met=1: self._events(keys[k], where, self._chance(rate * met)))

    def _keys(self, key):
        """Return keys, or uniform numbers, of infections, recoveries, vaccinations and losses of immunity."""
        keys = jax.random.split(drawn(key, self), 4)
        if self.lumped:
            return keys
        one, _, three, four = (uniforms(own, jnp.zeros(self.agents, self.beta.dtype)) for own in keys)
        return one, one, three, four  # an agent is in one state, so that one number serves infection and recovery

    def _moved(self, state, draw):
        """Return the state after a step in which `draw(which, where, rate, met)` says to how many, or whom, events happen."""
        susceptible, infected, *_ = state
        met = jnp.sum(infected) / self.agents if self.contacts is None else self.contacts.rmatvec(infected)
        new, well = draw(0, susceptible, self.beta, met), draw(1, infected, self.gamma)
        immune = (self.agents if self.lumped else 1) - susceptible - infected
        susceptible, infected = susceptible - new, infected + new - well
        if self.vaccination is not None:
            susceptible = susceptible - draw(2, susceptible, self.vaccination)
        if self.waning is not None:
            susceptible = susceptible + draw(3, immune, self.waning)
        return susceptible, infected, new, well

    def _chance(self, rate):
        return -jnp.expm1(-rate * self.dt)

    def _events(self, key, where, p):
        """Return how many of those in a state, or which, meet an event within the step."""
        if self.lumped:
            return binomial(key, where, p, estimator=self.estimator)
        # Scores of those in another state say nothing; by shared numbers they would even depend on what happens.
        p = where * p if isinstance(self.estimator, Score) else p
        return where * bernoulli(uniforms(key, where), p, estimator=self.estimator)

    def observe(self, state):
        return self._shown(*(jnp.sum(part) / self.agents for part in state))

    def _shown(self, susceptible, infected, new, well):
        return {
            "infections": new,
            "recoveries": well,
            "susceptible": susceptible,
            "infected": infected,
            "recovered": 1 - susceptible - infected,
        }

    def rows(self, shock, steps, key, observe, scan):
        begin, rest = jax.random.split(drawn(key, self))
        estimator = chosen_estimator(self.estimator)
        slopes = estimator.slopes if isinstance(estimator, AbstractOutcomeSlopes) else None

        def shown(seen):
            return seen if observe is None else observe(seen)

        if slopes and self.twins and self.estimator is not None:
            start, step = self._in_twins(begin, slopes, shown)
        else:
            plain = not self.lumped and self.contacts is None and self.waning is None and self.vaccination is None
            quick = bool(slopes) and plain
            start, step = self._in_bytes(begin, slopes) if quick else self._in_numbers(begin, shock)
            start, step = self._lasting(start, step, quick, shown)

        def advance(state, at):
            return step(state, *at)

        if not self.lumped:  # drawing again is faster than reading what reverse mode would have kept
            advance = jax.checkpoint(advance, prevent_cse=False)
        return scan(advance, start, (jnp.arange(steps), jax.random.split(rest, steps)))[1]

    def _lasting(self, start, step, quick, shown):
        """Return a start and a step with derivatives that last when nobody is infected any more."""
        if self.contacts is not None or self.estimator is None or not isinstance(self.estimator, AbstractOutcomeSlopes):

            def seen(state, day, key):
                state, seen = step(state, day, key)
                return state, shown(seen)

            return start, seen
        counts = SIR(
            agents=self.agents,
            infected=self.infected,
            beta=self.beta,
            gamma=self.gamma,
            dt=self.dt,
            waning=self.waning,
            vaccination=self.vaccination,
            estimator=None,
        )
        nobody = jnp.zeros((), self.beta.dtype)

        def size(state):
            return state[3] * self.agents if quick else jnp.sum(state[1])

        def cut(state, over):
            fields = [1, 3] if quick else [1]
            return tuple(
                jax.tree.map(lambda v: jnp.where(over, fixed(v), v), part) if k in fields else part
                for k, part in enumerate(state)
            )

        def alone(state):
            susceptible = jnp.round(state[2] * self.agents) if quick else jnp.sum(state[0])
            return susceptible, nobody + 1, nobody, nobody

        def onward(state, day, key):
            state = counts.step(state, day, None, key)
            return state, counts.observe(state)

        return revived(start, step, size, cut, alone, onward, shown)

    def _in_numbers(self, begin, shock):
        """Return a start, and a step `(state, day, key) -> (state, what is seen)`."""
        everybody, nobody, *_ = self.init()
        if self.lumped:
            first = binomial(begin, everybody, self.infected, estimator=self.estimator)
        else:
            first = bernoulli(begin, jnp.broadcast_to(self.infected, everybody.shape), estimator=self.estimator)

        def step(state, day, key):
            state = self.step((*state, nobody, nobody), day, shock, key)
            return state[:2], self.observe(state)

        return (everybody - first, first), step

    def _in_twins(self, begin, slopes, shown):
        """Return those of the same path, whose derivatives come from others, on each of which one draw went otherwise."""
        nobody = jnp.zeros(self.agents, self.beta.dtype)
        p = probability(jnp.broadcast_to(self.infected, nobody.shape))
        x = fixed(event(uniforms(begin, nobody), p))
        path = (1 - x, x, nobody, nobody)

        def begun(key):
            def apart(flip):
                other = jnp.abs(flip - x)
                return 1 - other, other, nobody, nobody

            return follow(twin(path, x.dtype), path, apart, jnp.ones_like(p), p, x, slopes, key)

        def step(state, day, key):
            (before, others), keys, notes = state, self._keys(key), {}

            def chance(rate, met):
                return probability(jnp.broadcast_to(self._chance(rate * met), nobody.shape))

            def draw(k, where, rate, met=1):
                p = chance(rate, met)
                x = fixed(event(keys[k], p))
                notes[k] = where * (met > 0), p, x
                return where * x

            own = fixed(self._moved(before, draw))
            order = {k: row for row, k in enumerate(notes)}
            able, p, x = (jnp.stack(part) for part in zip(*notes.values(), strict=True))

            def apart(flip):
                return self._moved(before, lambda k, where, *_: where * jnp.abs(flip - x)[order[k]])

            def one(other, key):
                later = self._moved(
                    other.state, lambda k, where, rate, met=1: where * event(keys[k], chance(rate, met))
                )
                other = follow(other, later, apart, able, p, x, slopes, key)
                return other, shown(self.observe(other.state))

            others, theirs = jax.vmap(one)(others, self._keys_of_twins(key))
            return (own, others), lifted(shown(self.observe(own)), theirs, others)

        return (path, jax.vmap(begun)(self._keys_of_twins(begin))), step

    def _keys_of_twins(self, key):
        return jax.random.split(jax.random.fold_in(key, 1), self.twins)

    def _in_bytes(self, begin, slopes):
        """Return a start and a step of the same numbers, for agents who all meet all.

        Whether an agent is in a state is kept in a byte, and its derivative as that of a zero, which costs nothing where nobody
        asks for it.
        """
        zeros = jnp.zeros(self.agents, self.beta.dtype)

        def meet(u, those, p):
            """Return whose number is below p, in bytes, and the derivative of those in a state who meet the event."""
            within, slope = those
            happened = happens(u, p)
            by_p = jnp.where(within > 0, jnp.where(happened, *slopes(jax.lax.stop_gradient(p))), 0)
            change = jnp.where(happened, slope, 0) + by_p * (p - jax.lax.stop_gradient(p))
            return happened.astype(jnp.uint8), change

        def kept(who, change):
            return who, through(zeros, change)

        def share(who, change):
            return through(jnp.sum(who, dtype=jnp.int32).astype(change.dtype), jnp.sum(change)) / self.agents

        def step(state, day, key):
            susceptible, infected, before, ill = state
            u = uniforms(jax.random.split(key, 4)[0], zeros)
            p, q = probability(-jnp.expm1(-self.beta * ill * self.dt)), probability(-jnp.expm1(-self.gamma * self.dt))
            (falls, new), (heals, well) = meet(u, susceptible, p), meet(u, infected, q)
            after = kept(susceptible[0] & (1 - falls), susceptible[1] - new)
            infected = kept((susceptible[0] & falls) | (infected[0] & (1 - heals)), infected[1] + new - well)
            nothing = 0 * (before + p + q)  # or nan
            left, now = share(*after) + nothing, share(*infected) + nothing
            return (after, infected, left, now), self._shown(left, now, before - left, before + ill - left - now)

        one = jnp.ones(self.agents, jnp.uint8)
        p = probability(self.infected)
        first, change = meet(uniforms(begin, zeros), (one, zeros), p)
        susceptible, infected = kept(one - first, -change), kept(first, change)
        return (susceptible, infected, share(*susceptible) + 0 * p, share(*infected) + 0 * p), step

    def path(self, rows, base, result):
        return Epidemic(**rows, result=result) if own(rows, Epidemic) else Observed(rows, result)

    def check(self, shock):
        unshocked(shock, self)
        within("infected", self.infected, 0, 1)
        within("beta", self.beta, 0)
        within("gamma", self.gamma, 0)
        within("dt", self.dt, 0)
        for name in OPTIONAL:
            if getattr(self, name) is not None:
                within(name, getattr(self, name), 0)
