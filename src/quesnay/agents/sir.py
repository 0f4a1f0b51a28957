"""The SIR epidemic as an agent-based model: susceptible, infected, recovered; all meet all, or along contacts."""

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
from .estimators import DEFAULT, AbstractEstimator, AbstractOutcomeSlopes, GumbelSoftmax, happens, through, uniforms
from .score import Score
from .walk import Observed, drawn, own, unshocked, within

OPTIONAL = ("waning", "vaccination")


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

    def __init__(
        self,
        *,
        agents: int,
        infected,
        beta,
        gamma,
        dt=1.0,
        waning=None,
        vaccination=None,
        estimator: AbstractEstimator | None = DEFAULT,
        contacts: AbstractLinks | None = None,
        lumped: bool | None = None,
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

    def init(self):
        """Return the state before anybody is infected: susceptible, infected, new infections, new recoveries."""
        nobody = jnp.zeros(() if self.lumped else (self.agents,), self.beta.dtype)
        return (nobody + (self.agents if self.lumped else 1), nobody, nobody, nobody)

    def step(self, state, day, shock, key):
        susceptible, infected, *_ = state
        met = jnp.sum(infected) / self.agents if self.contacts is None else self.contacts.rmatvec(infected)
        first, second, *more = jax.random.split(drawn(key, self), 4)
        if not self.lumped:
            # An agent is in one state, so that one uniform number serves infection and recovery.
            first = second = uniforms(first, susceptible)
        new = self._events(first, susceptible, self.beta * met)
        well = self._events(second, infected, self.gamma)
        immune = (self.agents if self.lumped else 1) - susceptible - infected
        susceptible, infected = susceptible - new, infected + new - well
        if self.vaccination is not None:
            susceptible = susceptible - self._events(more[0], susceptible, self.vaccination)
        if self.waning is not None:
            susceptible = susceptible + self._events(more[1], immune, self.waning)
        return susceptible, infected, new, well

    def _events(self, key, where, rate):
        """Return how many of those in a state, or which, meet an event within the step."""
        p = -jnp.expm1(-rate * self.dt)
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
        plain = not self.lumped and self.contacts is None and self.waning is None and self.vaccination is None
        if plain and isinstance(estimator, AbstractOutcomeSlopes):
            start, step = self._in_bytes(begin, estimator.slopes)
        else:
            start, step = self._in_numbers(begin, shock)

        def advance(state, at):
            state, seen = step(state, *at)
            return state, seen if observe is None else observe(seen)

        if not self.lumped:  # drawing again is faster than reading what reverse mode would have kept
            advance = jax.checkpoint(advance, prevent_cse=False)
        return scan(advance, start, (jnp.arange(steps), jax.random.split(rest, steps)))[1]

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
