"""Delivery delays: what is shipped today and arrives later."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int
from numpy.typing import ArrayLike

from quesnay._checks import concrete, integers
from quesnay._errors import InputError
from quesnay.network import AbstractLinks, Network

from .trade import Served

LONGEST = 400
"""Days; a pipeline holds one input array for every day of the longest delay."""


class Delays(eqx.Module):
    """Days that deliveries travel on each link.

    What is in transit is an array with one input array per day to go: entry k arrives in k + 1 days. At the base state every
    link carries its base flow, so that nothing changes before a shock; what is under way arrives even where the supplier stops.
    """

    days: Int[Array, "..."]
    longest: int = eqx.field(static=True)

    def start(self, links: AbstractLinks, flow: Array) -> Array:
        """Return what is in transit at the base state, for the flow of each input."""
        return jnp.stack([self._part(links, self.days > k) * flow for k in range(self.longest)])

    def ship(self, served: Served, transit: Array) -> tuple[Array, Array]:
        """Return what arrives today and what is in transit afterwards."""
        sent = [served.received((self.days == k).astype(transit.dtype)) for k in range(self.longest + 1)]
        return transit[0] + sent[0], jnp.concatenate([transit[1:], jnp.zeros_like(transit[:1])]) + jnp.stack(sent[1:])

    def _part(self, links: AbstractLinks, which: Array) -> Array:
        total = links.sum_by_input(jnp.where(which, links.coefficient, 0))
        return jnp.where(links.need > 0, total / jnp.where(links.need > 0, links.need, 1), 0)


def delays(value: ArrayLike, network: Network) -> Delays | None:
    """Return the delays of a network's links; None where there are none.

    Raises
    ------
    InputError
        Days that are traced, not whole, negative or above `LONGEST`, or of a shape that does not fit.
    """
    if not concrete(value):
        raise InputError("delay is being traced; it decides how long the pipeline is, so it must have numbers.")
    shape = network.links.coefficient.shape
    what = f"whole days, one number or a link array {shape}"
    days = np.asarray(integers(value, "delay", what))
    if days.ndim and days.shape != shape:
        raise InputError(f"delay has shape {days.shape}; give {what}.")
    if days.size and (days.min() < 0 or days.max() > LONGEST):
        raise InputError(f"delay goes from {days.min()} to {days.max()}; give days from 0 to {LONGEST}.")
    longest = int(days.max(initial=0))
    return Delays(jnp.asarray(np.broadcast_to(days, shape)), longest) if longest else None
