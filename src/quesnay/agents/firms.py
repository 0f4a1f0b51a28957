"""Firms that hire, lose money, default and are replaced, as agents on a production network."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.typing import ArrayLike

from quesnay._checks import floating, instance, require
from quesnay._errors import InputError
from quesnay._results import RESULTS
from quesnay.dynamics import AbstractDynamics, each_step
from quesnay.network import AbstractLinks, Network
from quesnay.supply import AbstractShock, SupplyModel, SupplyPath, SupplyState
from quesnay.supply.shocks import left

from .contacts import where_event
from .draws import bernoulli, binomial
from .estimators import DEFAULT, AbstractEstimator, AbstractOutcomeSlopes
from .twins import follow, lifted, twin
from .walk import Observed, drawn, own

PER_DAY = {"separation": "per worker and day", "hiring": "per vacancy and day", "default": "per day and day of debt"}
PER_DAY["entry"] = "per place and day"

EVENTS: tuple[str, ...] = ("profit", "loss", "hires", "separations", "defaults", "entries")


class FirmPath(eqx.Module):
    """A path of firms, row t at the end of day t, each (steps, n) but for `supply`.

    Attributes
    ----------
    supply:
        What firms made, delivered, received and so on: a `SupplyPath`.
    active:
        1 where there is a firm, 0 where it has defaulted and nobody has taken its place.
    workers, cash:
        Employed, and held (debt where negative), in currency; 0 without a firm.
    profit, loss:
        The day's sales less costs, and the claims on customers that defaulted, in currency.
    hires, separations:
        Workers that were hired and that quit; those of a firm that defaults lose their work on top.
    defaults, entries:
        1 where a firm exits, and where a new one takes its place.
    """

    supply: SupplyPath
    active: Float[Array, "steps n"]
    workers: Float[Array, "steps n"]
    cash: Float[Array, "steps n"]
    profit: Float[Array, "steps n"]
    loss: Float[Array, "steps n"]
    hires: Float[Array, "steps n"]
    separations: Float[Array, "steps n"]
    defaults: Float[Array, "steps n"]
    entries: Float[Array, "steps n"]
    result: RESULTS


class FirmState(eqx.Module):
    """The state at the end of a day: that of the supply model, of the firms, and what was seen of them on this day."""

    supply: SupplyState
    active: Float[Array, " n"]
    workers: Float[Array, " n"]
    cash: Float[Array, " n"]
    events: dict[str, Array]


class Evening(eqx.Module):
    """A day up to its last draws: a state in which nobody has defaulted or entered yet, and who may, (2, n) each.

    `chance` is the probability of a default and of an entry where `open` is 1, and `drawn` the draws.
    """

    state: FirmState
    open: Float[Array, "2 n"]
    chance: Float[Array, "2 n"]
    drawn: Float[Array, "2 n"]


class Staffing(AbstractShock):
    """A shock by which firms have the capacity of their staff, and places without a firm make and receive nothing.

    ```
    labour lost = 1 - a (W / W0) max(0, 1 - labour lost to the other shock)
    inputs closed = 1 - a max(0, 1 - inputs closed by the other shock)
    ```

    Parameters
    ----------
    shock:
        What happens besides, or None.
    links:
        Of the network.
    staff, active:
        W / W0 and a, each (n,).
    """

    shock: AbstractShock | None
    links: AbstractLinks
    staff: Float[Array, " n"]
    active: Float[Array, " n"]

    def apply(self, conditions, day):
        now = conditions if self.shock is None else self.shock.apply(conditions, day)
        labour = 1 - self.active * self.staff * left(now.labour)
        closed = self.links.of_customer(1 - self.active)
        inputs = closed if now.inputs is None else 1 - (1 - closed) * left(now.inputs)
        return eqx.tree_at(lambda c: (c.labour, c.inputs), now, (labour, inputs), is_leaf=lambda leaf: leaf is None)

    def check(self, network):
        if self.shock is not None:
            self.shock.check(network)


class FirmDynamics(AbstractDynamics):
    """Firms on a production network that hire at random, default and are replaced, in steps of a day.

    W are workers (W0 at the base state), C is cash, a is 1 where there is a firm and 0 where there is none, x(0) and v are
    output and value added at the base state.

    ```
    quits     binomial(W, 1 - exp(-separation))
    hires     a binomial(W0 - W, 1 - exp(-hiring min(1, D / x(0)))),    D what the firm is asked for today
    supply    a day with a share 1 - a (W / W0) (1 - shock's) of labour lost, and no orders where a = 0
    profit    x - received - other x - a (labour v W / W0 + (1 - labour - margin) v)
    default   with probability a (1 - exp(-default max(0, -C) / x(0))), at the end of the day
    entry     with probability (1 - a) (1 - exp(-entry)), from the day after a default on
    ```

    Wages follow workers, and purchases what is received; `other` is the share of output that goes for what is bought
    elsewhere or never runs out; the rest of value added is a fixed cost, so that profit is `margin v` at the base state. A
    firm that defaults lays off its workers and loses its cash; its suppliers lose the share `credit` of its debt, in
    proportion to what they sell to it at the base state. Stocks and customers are left to the firm that takes its place, which
    begins with cash of `buffer x(0)` and nobody employed. Nobody hires beyond W0; spare capacity of the supply model is what
    the same workers make in more hours. Prices are left out.

    While no worker quits and no firm defaults, the path is that of the supply model.

    Derivatives through hires and quits are those of the estimator. One default may change all that follows, of which no slope
    knows: with `Smoothed` and `StraightThrough` a second path goes beside the first, on which one default or entry so far was
    drawn otherwise, and their difference counts. It has no bias for sums of what is observed of single days, and with
    `Smoothed` none for their squares. That takes twice the time; `estimator=None` gives the same values without.

    Parameters
    ----------
    supply:
        A `SupplyModel` without a labour rule of its own.
    workers:
        W0, the workers of a firm at the base state, scalar or (n,), whole; a firm with 0 needs none.
    separation, hiring:
        Rates at which a worker quits, and at which a vacancy is filled, per day, scalar or (n,).
    default:
        Rate of default, per day and day of debt: debt counts in days of base output. Scalar or (n,).
    entry:
        Rate at which the place of a firm that is gone is taken, per day, scalar or (n,).
    buffer:
        Cash at the start and at entry, in days of base output, scalar or (n,).
    labour, margin:
        Shares of value added that are wages, and profit, at the base state: 0 to 1, together at most 1; scalar or (n,).
    credit:
        Share of the debt of a firm that defaults which its suppliers lose, 0 to 1, scalar or (n,) by customer.
    estimator:
        Of derivatives through draws; None for none. `MeanField` takes a firm for partly there.

    Raises
    ------
    InputError
        Parameters outside of their range, or of a shape that does not fit the network; a supply model with labour.

    References
    ----------
    Hopenhayn (1992) on entry and exit; Battiston et al. (2007) on losses of suppliers; Davis, Faberman and Haltiwanger (2013),
    who find that 5 % of vacancies are filled per day. Gong and Ho (1987) and Arya et al. (2022) on differences of paths.
    """

    supply: SupplyModel
    workers: Float[Array, " n"]
    separation: Float[Array, " #n"]
    hiring: Float[Array, " #n"]
    default: Float[Array, " #n"]
    entry: Float[Array, " #n"]
    buffer: Float[Array, " #n"]
    labour: Float[Array, " #n"]
    margin: Float[Array, " #n"]
    credit: Float[Array, " #n"]
    estimator: AbstractEstimator | None

    def __init__(
        self,
        supply: SupplyModel,
        *,
        workers: ArrayLike,
        separation: ArrayLike,
        hiring: ArrayLike,
        default: ArrayLike,
        entry: ArrayLike,
        buffer: ArrayLike = 20.0,
        labour: ArrayLike = 0.6,
        margin: ArrayLike = 0.1,
        credit: ArrayLike = 0.0,
        estimator: AbstractEstimator | None = DEFAULT,
    ):
        instance(supply, SupplyModel, "supply", "a SupplyModel, whose network the firms are on")
        if supply.labour is not None:
            raise InputError(
                "supply has a labour rule, but firms hire on their own here; leave it out of the SupplyModel."
            )
        self.supply, self.estimator = supply, estimator
        net = supply.network
        count = _of_firms("workers", workers, net, "workers, whole numbers", np.inf)
        require(lambda w: w == np.floor(w), "workers has entries that are not whole; round them.", count)
        self.workers = jnp.broadcast_to(count, net.output.shape)
        rates = {"separation": separation, "hiring": hiring, "default": default, "entry": entry}
        for name, value in rates.items():
            setattr(self, name, _of_firms(name, value, net, f"a rate {PER_DAY[name]}", np.inf))
        self.buffer = _of_firms("buffer", buffer, net, "days of base output", np.inf)
        for name, value in {"labour": labour, "margin": margin, "credit": credit}.items():
            setattr(self, name, _of_firms(name, value, net, "a share", 1))
        require(
            lambda wages, profit: wages + profit <= 1 + 1e-6,
            "labour and margin add up to more than all of value added; give shares of at most 1 together.",
            self.labour,
            self.margin,
        )

    def init(self) -> FirmState:
        output = self.supply.network.output
        zero = jnp.zeros_like(output)
        events: dict[str, Array] = dict.fromkeys(EVENTS, zero)
        return FirmState(self.supply.init(), jnp.ones_like(output), self.workers, self.buffer * output, events)

    def step(self, state, day, shock, key):
        evening = self._evening(state, day, shock, drawn(key, self))
        return self._night(evening, evening.drawn)

    def _evening(self, state: FirmState, day: Array, shock: AbstractShock | None, key: PRNGKeyArray) -> Evening:
        """Return a day up to its last draws: staff, what is made and sold, and who may default or enter."""
        net = self.supply.network
        quitting, hiring, ending, _ = jax.random.split(key, 4)
        quits = self._counts(quitting, state.workers, self.separation)
        hires = state.active * self._counts(hiring, self.workers - state.workers, self.hiring * self._demand(state))
        workers = state.workers + hires - quits

        staff = _ratio(workers, self.workers, 1)
        supply = self.supply.step(state.supply, day, Staffing(shock, net.links, staff, state.active), None)
        profit = self._profit(supply.seen, state.active, staff)
        cash = state.cash + profit

        rate = self.default * _ratio(jnp.maximum(0, -cash), net.output, 0)
        chance = -jnp.expm1(-jnp.stack(jnp.broadcast_arrays(rate, self.entry)))
        estimator = None if self._slopes else self.estimator
        events: dict[str, Array] = {"profit": profit, "hires": hires, "separations": quits}
        return Evening(
            FirmState(supply, state.active, workers, cash, events),
            jnp.stack([state.active * (cash < 0), 1 - state.active]),
            chance,
            bernoulli(ending, chance, estimator=estimator),
        )

    def _night(self, evening: Evening, draws: Array) -> FirmState:
        """Return the state after defaults and entries."""
        state = evening.state
        defaults, entries = evening.open * draws
        loss = state.active * self._claims(defaults * jnp.maximum(0, -state.cash))
        nothing = jnp.zeros_like(loss)
        workers, cash = where_event(defaults, (nothing, nothing), (state.workers, state.cash - loss))
        cash = where_event(entries, self.buffer * self.supply.network.output, cash)
        events = {**state.events, "loss": loss, "defaults": defaults, "entries": entries}
        return FirmState(state.supply, state.active - defaults + entries, workers, cash, events)

    def _counts(self, key, n, rate):
        return binomial(key, n, -jnp.expm1(-rate), estimator=self.estimator)

    @property
    def _slopes(self):
        """The slopes of the estimator where derivatives of defaults and entries come from a path that parts from this one."""
        return self.estimator.slopes if isinstance(self.estimator, AbstractOutcomeSlopes) else None

    def _demand(self, state: FirmState) -> Array:
        """Return what firms are asked for today by those that are left, as a share of base output, at most 1."""
        links, before = self.supply.network.links, state.supply
        orders = before.orders.by_supplier(links, links.of_input(links.of_customer(state.active)))
        asked = before.demand - before.intermediate + orders
        return jnp.minimum(1, _ratio(asked, self.supply.network.output, 0))

    def _profit(self, seen: SupplyPath, active: Array, staff: Array) -> Array:
        """Return the day's sales less costs."""
        net, base = self.supply.network, self.supply.init().seen
        added = jnp.maximum(0, net.value_added)
        others = 1 - _ratio(base.received + net.value_added, net.output, 0)  # pyright: ignore[reportOptionalOperand]
        fixed = net.value_added - (self.labour + self.margin) * added
        # What is still on its way to a firm when it defaults is not paid for.
        received = jnp.where(active > 0, seen.received, 0)  # pyright: ignore[reportArgumentType]
        return (1 - others) * seen.output - received - active * (self.labour * added * staff + fixed)

    def _claims(self, debt: Array) -> Array:
        """Return what suppliers lose of the debts of firms that default."""
        links = self.supply.network.links
        return links.matvec(_ratio(self.credit * debt, links.rmatvec(jnp.ones_like(debt)), 0))

    def observe(self, state):
        return {
            "supply": self.supply.observe(state.supply),
            "active": state.active,
            "workers": state.workers,
            "cash": state.cash,
            **state.events,
        }

    def rows(self, shock, steps, key, observe, scan):
        slopes = self._slopes
        if slopes is None:
            return each_step(self, shock, steps, drawn(key, self), observe, scan)

        def advance(carried, at):
            (state, other), (day, own) = carried, at
            evening = self._evening(state, day, shock, own)
            state = self._night(evening, evening.drawn)
            later = self.step(other.state, day, shock, own)
            other = follow(
                other,
                later,
                lambda flip: self._night(evening, jnp.abs(flip - evening.drawn)),
                evening.open,
                evening.chance,
                evening.drawn,
                slopes,
                jax.random.split(own, 4)[3],
            )
            seen, theirs = (
                self.observe(one) if observe is None else observe(self.observe(one)) for one in (state, other.state)
            )
            return (state, other), lifted(seen, *jax.tree.map(lambda v: v[None], (theirs, other)))

        start = self.init()
        keys = jax.random.split(drawn(key, self), steps)
        return scan(advance, (start, twin(start, self.workers.dtype)), (jnp.arange(steps), keys))[1]

    def path(self, rows, base, result):
        if not own(rows, FirmPath):
            return Observed(rows, result)
        supply = self.supply.path(rows["supply"], base["supply"], result)
        return FirmPath(**{**rows, "supply": supply}, result=result)

    def check(self, shock):
        self.supply.check(shock)


def _of_firms(name: str, value: Any, network: Network, unit: str, most: float) -> Array:
    """Return a parameter of firms, scalar or (n,), in the precision of the network."""
    array = floating(value, name).astype(network.output.dtype)
    if array.shape not in ((), network.output.shape):
        raise InputError(f"{name} has shape {array.shape}; give one number or one per firm, ({network.firms},).")
    limits = "of at least 0" if most == np.inf else f"between 0 and {most:g}"
    require(
        lambda v: (v >= 0) & (v <= most) & np.isfinite(v),
        f"{name} is out of its range; it is {unit}: give numbers {limits}.",
        array,
    )
    return array


def _ratio(part: Array, whole: Array, without: float) -> Array:
    """Return `part / whole`, and another number where the whole is 0."""
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1), without)
