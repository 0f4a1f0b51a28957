"""Order rules: how much a customer orders of each input, and of which supplier."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from quesnay.network import AbstractLinks


class Outlook(eqx.Module):
    """What a customer knows when it places its orders, each (n,) and in currency per day.

    Attributes
    ----------
    demand:
        D(t - 1), what was asked of it today.
    possible:
        `min(D(t - 1), cap(t))`, what it would have made with all inputs.
    output:
        x(t), what it made.
    base:
        x(0).
    """

    demand: Float[Array, " n"]
    possible: Float[Array, " n"]
    output: Float[Array, " n"]
    base: Float[Array, " n"]


class AbstractOrders(eqx.Module):
    """A rule that places orders; what it orders and the stocks that it looks at are in units of the customer's output."""

    @abc.abstractmethod
    def place(self, links: AbstractLinks, outlook: Outlook, stock: Array, days: Array, adjustment: Array) -> Array:
        """Return the orders of each input, not negative, for target stocks of `days` and an adjustment time in days.

        All but the outlook are input arrays; an input with a target of infinitely many days has no gap to close.
        """


class StockAdjustment(AbstractOrders):
    """Cover demand and close the gap to a fixed target stock: `o_p = max(0, D_c + (n_p x_c(0) - s_p) / tau_p)`.

    References
    ----------
    Hallegatte (2014), with demand in place of the customer's expected output; Pichler et al. (2022).
    """

    def place(self, links, outlook, stock, days, adjustment):
        gap = _gap(links.of_customer(outlook.base), stock, days)
        return jnp.maximum(0, links.of_customer(outlook.demand) + gap / adjustment)


class MovingTarget(AbstractOrders):
    """Cover demand and close the gap to a target that follows demand: `o_p = max(0, D_c + (n_p D_c - s_p) / tau_p)`.

    References
    ----------
    Henriet, Hallegatte and Tabourier (2012); Inoue and Todo (2019).
    """

    def place(self, links, outlook, stock, days, adjustment):
        wanted = links.of_customer(outlook.demand)
        return jnp.maximum(0, wanted + _gap(wanted, stock, days) / adjustment)


class Replacement(AbstractOrders):
    """Replace what was used and close the gap to what could be made: `o_p = x_c + max(0, n_p min(D_c, cap_c) - s_p) / tau_p`.

    Stocks above their target are not run down by ordering less.

    References
    ----------
    BoARIO's `ARIOPsiModel`, after Hallegatte (2014).
    """

    def place(self, links, outlook, stock, days, adjustment):
        gap = _gap(links.of_customer(outlook.possible), stock, days)
        return links.of_customer(outlook.output) + jnp.maximum(0, gap) / adjustment


class AbstractReallocation(eqx.Module):
    """A rule that tells how the orders of an input are shared among its suppliers, where inputs are pooled."""

    @abc.abstractmethod
    def tilt(self, capacity: Float[Array, " n"], base: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return q (n,): a supplier's share of an input's orders is in proportion to its base share times q."""


class TowardsCapacity(AbstractReallocation):
    """Orders move to suppliers that can make more: `q_i = cap_i(t) / cap_i(0)` (0 where there is none).

    A pool whose suppliers all stand still is ordered from in base shares, and not served.

    References
    ----------
    BoARIO's order type "alt", which has no spare capacity at the base state: `cap_i(0) = x_i(0)`.
    """

    def tilt(self, capacity, base):
        return jnp.where(base > 0, capacity / jnp.where(base > 0, base, 1), 0)


def _gap(level: Array, stock: Array, days: Array) -> Array:
    """Return `days level - stock`, and 0 where the target has no end."""
    finite = jnp.isfinite(days)
    return jnp.where(finite, jnp.where(finite, days, 0) * level - stock, 0)
