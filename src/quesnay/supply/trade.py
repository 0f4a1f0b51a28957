"""What is ordered and what of it is served: orders in three factors, so that no array over all links is kept."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from quesnay.network import AbstractLinks


class Orders(eqx.Module):
    """Orders placed: `O_e = a_e q_s(e) g_p(e)` on the link e of the supplier s and the input p.

    Attributes
    ----------
    placed:
        g, an input array, in units of the customer's output.
    tilt:
        q (n,), how much more (or less) of an input is asked of a supplier than its base share; None: the base shares.
    """

    placed: Array
    tilt: Float[Array, " n"] | None = None

    def by_supplier(self, links: AbstractLinks, open_links: Array | None = None) -> Float[Array, " n"]:
        """Return the orders that each supplier has (n,), in currency per day; only the open part of the links counts."""
        if open_links is not None:
            return links.sum_by_supplier(open_links * self.by_link(links))
        asked = links.requirement(self.placed)
        return asked if self.tilt is None else self.tilt * asked

    def by_link(self, links: AbstractLinks) -> Array:
        """Return the orders on every link, in currency per day."""
        asked = links.coefficient * links.of_input(self.placed)
        return asked if self.tilt is None else links.of_supplier(self.tilt) * asked


class Trade(eqx.Module):
    """What a day's output is to be shared among.

    Attributes
    ----------
    links, orders:
        Who buys from whom, and what was ordered yesterday.
    open_links:
        The share of each link that is open today, a link array; None: all of them wholly.
    demand, intermediate, final:
        All that is asked of each supplier today (n,), in currency per day: orders (open links only) and final demand.
    base_output, base_final:
        The same at the base state: output of the customers (n,) and final demand (n,).
    """

    links: AbstractLinks
    orders: Orders
    open_links: Array | None
    demand: Float[Array, " n"]
    intermediate: Float[Array, " n"]
    final: Float[Array, " n"]
    base_output: Float[Array, " n"]
    base_final: Float[Array, " n"]

    def at_shares(self, orders: Float[Array, " n"], final: Float[Array, " n"]) -> "Served":
        """Serve each supplier's orders and final demand in the given shares."""
        return Served(self, orders, None, orders * self.intermediate, final)


class Served(eqx.Module):
    """What was served.

    Attributes
    ----------
    share:
        The share of a supplier's orders (n,); None where it differs by customer.
    by_link:
        What was delivered on every link, in currency per day; None where the share says it.
    deliveries:
        To other accounts (n,), in currency per day.
    final:
        The share of final demand (n,).
    """

    trade: Trade
    share: Any
    by_link: Any
    deliveries: Float[Array, " n"]
    final: Float[Array, " n"]

    def received(self, only: Array | None = None) -> Array:
        """Return what each input receives, in units of the customer's output; `only` is the share of every link that counts."""
        trade, links = self.trade, self.trade.links
        if self._by_share and only is None:
            return trade.orders.placed * links.supply(self._per_order())
        delivered = self.by_link
        if delivered is None:
            delivered = links.of_supplier(self.share) * trade.orders.by_link(links)
            delivered = delivered if trade.open_links is None else trade.open_links * delivered
        total = links.sum_by_input(delivered if only is None else only * delivered)
        return jnp.where(links.need > 0, total / jnp.where(links.need > 0, links.need, 1), 0)

    def received_beside(self, values: Float[Array, " n"]) -> tuple[Array, Array]:
        """Return `received()` and `links.supply(values)`; the coefficients are read once for both where that is possible."""
        links = self.trade.links
        if self._by_share:
            both = jax.vmap(links.supply)(jnp.stack([self._per_order(), values]))
            return self.trade.orders.placed * both[0], both[1]
        return self.received(), links.supply(values)

    @property
    def _by_share(self) -> bool:
        return self.by_link is None and self.trade.open_links is None

    def _per_order(self) -> Float[Array, " n"]:
        """Return what a supplier delivers per unit of the order at its base share."""
        tilt = self.trade.orders.tilt
        return self.share if tilt is None else self.share * tilt
