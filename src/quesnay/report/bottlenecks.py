"""What held output back: episodes of a scarce input, days by cause, and how low the stocks of single inputs fell."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from ..network import AbstractLinks
from ..supply import CAPACITY, DEMAND, AbstractShock, SupplyModel
from .run import Run


@dataclass(frozen=True)
class Episode:
    """An unbroken spell in which one input held an account back: positions of both accounts, first and last day."""

    customer: int
    supplier: int
    first: int
    last: int

    @property
    def days(self) -> int:
        """The length of the spell."""
        return self.last - self.first + 1


@dataclass(frozen=True, eq=False)
class Causes:
    """The share of days on which demand, own capacity or an input set an account's output, each (n,); they add up to 1."""

    demand: np.ndarray
    capacity: np.ndarray
    input: np.ndarray

    @property
    def held_back(self) -> int:
        """How many accounts an input held back on some day."""
        return int((self.input > 0).sum())


@dataclass(frozen=True)
class LowestStock:
    """How low the stock of an account's product fell anywhere.

    Attributes
    ----------
    supplier, customer:
        Positions of the account and of the customer with the lowest stock.
    days:
        Days of the customer's base output that the stock would have lasted.
    day:
        The day at whose end it was lowest.
    """

    supplier: int
    customer: int
    days: float
    day: int


def episodes(run: Run) -> list[Episode]:
    """Return every spell in which one input held an account back, the longest first."""
    cause = np.asarray(run.path.bottleneck).T
    steps = cause.shape[1]
    starts = np.ones(cause.shape, bool)
    starts[:, 1:] = cause[:, 1:] != cause[:, :-1]
    customer, first = np.nonzero(starts)
    # In account order, a spell ends where the next one begins or the path ends.
    last = np.append(first[1:], 0) - 1
    last = np.where(last < first, steps - 1, last)
    supplier = cause[customer, first]
    spells = zip(*(v[supplier >= 0].tolist() for v in (customer, supplier, first, last)), strict=True)
    return sorted((Episode(*spell) for spell in spells), key=lambda episode: -episode.days)


def causes(run: Run) -> Causes:
    """Return on which share of days demand, own capacity or an input set each account's output."""
    cause = np.asarray(run.path.bottleneck)
    return Causes(*(mask.mean(axis=0) for mask in (cause == DEMAND, cause == CAPACITY, cause >= 0)))


def lowest_stocks(run: Run) -> list[LowestStock]:
    """Return, for every account that sells to others, how low the stock of its product fell anywhere, the lowest first.

    The path holds stocks of all inputs together; those of single inputs are found by running the model once more.
    """
    least, when = (np.asarray(v) for v in _lowest(run.model, run.shock, run.days))
    supplier, customer, present = _ends(run.model.network.links)
    base = np.asarray(run.model.network.output)
    kept = present & (base[customer] > 0)
    days = least[kept] / base[customer[kept]]
    links = zip(*(v.tolist() for v in (supplier[kept], customer[kept], days, when[kept])), strict=True)
    lowest: dict[int, LowestStock] = {}
    for link in sorted(links, key=lambda link: link[2]):
        lowest.setdefault(link[0], LowestStock(*link))
    return list(lowest.values())


def _ends(links: AbstractLinks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the product and customer of every input, in the shape of an input array, and which inputs there are."""
    customer = np.broadcast_to(np.asarray(links.of_customer(jnp.arange(links.accounts))), links.need.shape)
    product = np.broadcast_to(np.asarray(links.of_product(jnp.arange(links.products))), links.need.shape)
    return product, customer, np.asarray(links.need) > 0


@eqx.filter_jit
def _lowest(model: SupplyModel, shock: AbstractShock | None, steps: int) -> tuple[Array, Int[Array, "..."]]:
    def day(carry, t):
        state, least, when = carry
        state = model.step(state, t, shock, None)
        lower = state.stock < least
        return (state, jnp.where(lower, state.stock, least), jnp.where(lower, t, when)), None

    state = model.init()
    start = (state, jnp.full_like(state.stock, jnp.inf), jnp.zeros(state.stock.shape, int))
    (_, least, when), _ = jax.lax.scan(day, start, jnp.arange(steps))
    return least, when
