"""Order rules: what a customer orders of each input."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from quesnay.network import AbstractLinks


class AbstractOrders(eqx.Module):
    """A rule that places orders from demand and stocks, both in units of the customer's output."""

    @abc.abstractmethod
    def place(
        self,
        links: AbstractLinks,
        demand: Float[Array, " n"],
        stock: Array,
        target: Float[Array, " n"],
        adjustment: Float[Array, " #n"],
    ) -> Array:
        """Return the orders on each link, not negative, that reach the stock `target` (n,) in `adjustment` days."""


class StockAdjustment(AbstractOrders):
    """Cover demand and close the gap to the target stock in tau days: `o_e = max(0, D_c + (n_c x_c(0) - s_e) / tau_c)`.

    References
    ----------
    Hallegatte (2014), with demand in place of the customer's expected output.
    """

    def place(self, links, demand, stock, target, adjustment):
        wanted = links.of_customer(demand + target / adjustment)
        gap = stock * links.of_customer(jnp.broadcast_to(1 / adjustment, demand.shape))
        return jnp.maximum(0, wanted - gap)
