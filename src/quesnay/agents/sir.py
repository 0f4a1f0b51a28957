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

from .draws import bernoulli, binomial
from .estimators import DEFAULT, AbstractEstimator, GumbelSoftmax
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
        for name, value in given.items():
            number = None if value is None and name in OPTIONAL else floating(value, name)
            if number is not None and number.shape != ():
                raise InputError(f"{name} has shape {number.shape}; give one number, and vmap over models for more.")
            setattr(self, name, number)
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
        # An agent is in one state, so that one uniform number serves infection and recovery; counts need one each.
        second = second if self.lumped else first
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
        return where * bernoulli(key, jnp.broadcast_to(p, where.shape), estimator=self.estimator)

    def observe(self, state):
        susceptible, infected, new, well = (jnp.sum(part) / self.agents for part in state)
        return {
            "infections": new,
            "recoveries": well,
            "susceptible": susceptible,
            "infected": infected,
            "recovered": 1 - susceptible - infected,
        }

    def rows(self, shock, steps, key, observe):
        begin, rest = jax.random.split(drawn(key, self))
        everybody, nobody, *_ = self.init()
        if self.lumped:
            first = binomial(begin, everybody, self.infected, estimator=self.estimator)
        else:
            first = bernoulli(begin, jnp.broadcast_to(self.infected, everybody.shape), estimator=self.estimator)

        def advance(state, at):
            state = self.step(state, at[0], shock, at[1])
            seen = self.observe(state)
            return state, seen if observe is None else observe(seen)

        start = everybody - first, first, nobody, nobody
        return jax.lax.scan(advance, start, (jnp.arange(steps), jax.random.split(rest, steps)))[1]

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
