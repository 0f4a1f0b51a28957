"""Rationing rules: who is served when output falls short of demand."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .filling import Vessels, fill
from .trade import Served, Trade


class AbstractRationing(eqx.Module):
    """A rule that shares output (at most demand) among a supplier's orders and its final demand; all of it is served."""

    @abc.abstractmethod
    def serve(self, output: Float[Array, " n"], trade: Trade) -> Served:
        """Return what is served of the day's trade."""


class Proportional(AbstractRationing):
    """Orders and final demand are served in equal proportion: `r_i = x_i / D_i`, and 0 where D is 0.

    References
    ----------
    Hallegatte (2008); the rule of Acclimate and of BoARIO.
    """

    def serve(self, output, trade):
        share = _share(output, trade.demand)
        return trade.at_shares(share, share)


class FinalDemandFirst(AbstractRationing):
    """Final demand is served before orders: `min(1, x_i / f_i)` of it, and of the orders what is left.

    References
    ----------
    Pichler and Farmer (2022), *Simultaneous supply and demand constraints in input-output networks*, the rule "final first".
    """

    def serve(self, output, trade):
        final = jnp.minimum(trade.final, output)
        return trade.at_shares(_share(output - final, trade.intermediate), _share(final, trade.final))


class FinalDemandLast(AbstractRationing):
    """Orders are served before final demand: `min(1, x_i / o_i)` of them, and of final demand what is left.

    References
    ----------
    Hallegatte (2008), where intermediate consumption goes before final demand; Inoue and Todo (2019) between the two groups.
    """

    def serve(self, output, trade):
        orders = jnp.minimum(trade.intermediate, output)
        return trade.at_shares(_share(orders, trade.intermediate), _share(output - orders, trade.final))


class Progressive(AbstractRationing):
    """Whoever asks for least, beside what it bought at the base state, is served first: all are filled to one level.

    With `O_e(0)` what link e carried at the base state, a supplier delivers `O_e(0) min(lambda_i, O_e / O_e(0))` and serves
    final demand in the same way; lambda_i is the level at which this adds up to output. A customer that has cut its orders most
    is served wholly before any other gets more than it.

    References
    ----------
    Inoue and Todo (2019), *Firm-level propagation of shocks through supply-chain networks*, methods.
    """

    def serve(self, output, trade):
        links = trade.links
        ordered = trade.orders.by_link(links)
        ordered = ordered if trade.open_links is None else trade.open_links * ordered
        base = links.coefficient * links.of_input(links.of_customer(trade.base_output))
        # What was not bought at the base state is measured by itself: it counts as asking for as much as ever.
        base_final = jnp.where(trade.base_final > 0, trade.base_final, trade.final)
        ratio, final_ratio = _share(ordered, base), _share(trade.final, base_final)

        def pack(by_link, by_account):
            return jnp.concatenate([by_link.ravel(), by_account])

        def sum_up(vessels):
            return links.sum_by_supplier(vessels[: base.size].reshape(base.shape)) + vessels[base.size :]

        def spread(accounts):
            return pack(links.of_supplier(accounts), accounts)

        filled = fill(Vessels(pack(ratio, final_ratio), pack(base, base_final), 1.0, sum_up, spread), output)
        delivered = base * filled[: base.size].reshape(base.shape)
        final = base_final * filled[base.size :]
        return Served(trade, None, delivered, links.sum_by_supplier(delivered), _share(final, trade.final))


def _share(part: Array, whole: Array) -> Array:
    # Both branches of a `where` are differentiated: the division must be safe even where it is not used.
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1), 0)
