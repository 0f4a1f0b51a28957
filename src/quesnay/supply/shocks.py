"""Shocks as paths in time: what the outside world does to capacity, productivity, labour, demand, inputs, links and capital."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quesnay._errors import InputError
from quesnay.network import AbstractLinks, Network


class Conditions(eqx.Module):
    """What the outside world imposes on one day, as sums of shares of the base state that are lost or gained.

    Attributes
    ----------
    capacity, productivity, labour:
        Shares lost (n,), added up over all shocks; what is left is `max(0, 1 - loss)`.
    demand:
        Change of final demand (n,), as a share of base final demand.
    destroyed:
        Capital destroyed on this day (n,), in currency.
    inputs, links:
        Share of what is ordered that is closed, an input array and a link array; None: nothing.
    withheld:
        Output that is simply not made (n,), in currency per day; None: nothing. What a linear response is a response to.
    """

    capacity: Float[Array, " n"]
    productivity: Float[Array, " n"]
    labour: Float[Array, " n"]
    demand: Float[Array, " n"]
    destroyed: Float[Array, " n"]
    inputs: Array | None = None
    links: Array | None = None
    withheld: Float[Array, " n"] | None = None

    @staticmethod
    def calm(network: Network) -> "Conditions":
        """Return the conditions of a day without any shock."""
        zero = jnp.zeros_like(network.output)
        return Conditions(zero, zero, zero, zero, zero)

    def open_links(self, links: AbstractLinks) -> Array | None:
        """Return the share of each link that is open, a link array; None where no shock closes any."""
        closed = None if self.inputs is None else left(links.of_input(jnp.broadcast_to(self.inputs, links.need.shape)))
        if self.links is None:
            return closed
        mine = left(jnp.broadcast_to(self.links, links.coefficient.shape))
        return mine if closed is None else closed * mine


def left(loss: Array) -> Array:
    """Return what a sum of losses leaves: `max(0, 1 - loss)`."""
    return jnp.maximum(0, 1 - loss)


class AbstractShock(eqx.Module):
    """A path in time that changes the conditions of each day; shocks add up with `+`, in any number."""

    @abc.abstractmethod
    def apply(self, conditions: Conditions, day: Int[Array, ""]) -> Conditions:
        """Return the day's conditions with this shock in them."""

    @abc.abstractmethod
    def check(self, network: Network) -> None:
        """Raise `InputError` unless the shock fits the network."""

    def __add__(self, other: "AbstractShock") -> "Together":
        return Together((self, other)) if isinstance(other, AbstractShock) else NotImplemented


class Together(AbstractShock):
    """Several shocks at once; their losses add up, and nothing falls below zero."""

    shocks: tuple[AbstractShock, ...]

    def apply(self, conditions, day):
        for shock in self.shocks:
            conditions = shock.apply(conditions, day)
        return conditions

    def check(self, network):
        for shock in self.shocks:
            shock.check(network)


def together(*shocks: AbstractShock) -> AbstractShock | None:
    """Return any number of shocks as one: None for none, the shock itself for one."""
    for shock in shocks:
        if not isinstance(shock, AbstractShock):
            raise InputError(
                f"together takes shocks such as CapacityLoss(...), and was given a {type(shock).__name__}."
            )
    return shocks[0] if len(shocks) == 1 else Together(shocks) if shocks else None


def parts(shock: AbstractShock) -> tuple[AbstractShock, ...]:
    """Return the single shocks that a shock consists of."""
    return tuple(part for one in shock.shocks for part in parts(one)) if isinstance(shock, Together) else (shock,)
