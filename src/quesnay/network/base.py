"""Who buys from whom: a production network at its base state."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import concrete, first_bad, floating, integers, require
from quesnay._errors import InputError

from .buckets import Buckets
from .links import AbstractLinks, DenseLinks, EdgeLinks
from .pools import pool


class Network(eqx.Module):
    """A production network at its base state.

    Attributes
    ----------
    links:
        Coefficients `a_e = Z_e / x_c(e)` and their storage.
    final_demand, output, value_added:
        Base flows per day, shape (n,), in currency per day; `output = A output + final_demand` to rounding.
    """

    links: AbstractLinks
    final_demand: Float[Array, " n"]
    output: Float[Array, " n"]
    value_added: Float[Array, " n"]

    @staticmethod
    def from_table(
        Z: ArrayLike, final_demand: ArrayLike, *, value_added: ArrayLike | None = None, days: float = 1.0
    ) -> "Network":
        """Return the network of an input-output table: one account per row, `x = Z 1 + d`, `a_ij = Z_ij / x_j`.

        Parameters
        ----------
        Z:
            Flows (n, n), rows supply and columns use, in currency per period, not negative.
        final_demand:
            Final demand (n,), in currency per period, not negative (`economy.nonnegative()` makes it so).
        value_added:
            Value added (n,), in currency per period; without it, all that is not bought from within the table (imported
            inputs included) counts as value added: `x - Z' 1`.
        days:
            Days that the period has: 365 turns an annual table into daily flows.

        Raises
        ------
        InputError
            Shapes that do not fit, entries that are negative or not finite, `days` not positive.
        """
        flows, d, added = _together(Z=Z, final_demand=final_demand, value_added=value_added)
        if d.size == 0 or flows.ndim != 2 or flows.shape[0] != flows.shape[1] or d.shape != flows.shape[:1]:
            raise InputError(
                f"Z has shape {flows.shape} and final demand {d.shape}; give a square table (n, n) and a vector (n,)."
            )
        _check_flows(flows, d, days, cell=lambda k: f"Z[{k // flows.shape[1]}, {k % flows.shape[1]}]")
        output = jnp.sum(flows, axis=1) + d
        positive = output > 0
        # An account that buys but sells nothing would have infinite coefficients.
        idle = ~positive & jnp.any(flows > 0, axis=0)
        require(
            lambda v: ~v,
            lambda: (
                f"account {first_bad(idle)} buys inputs but sells nothing: `economy.nonnegative()` moves its purchases."
            ),
            idle,
        )
        links = DenseLinks(jnp.where(positive, flows / jnp.where(positive, output, 1), 0))
        return _network(links, d, output, jnp.sum(flows, axis=0), added, days)

    @staticmethod
    def from_edges(
        supplier: ArrayLike,
        customer: ArrayLike,
        flow: ArrayLike,
        final_demand: ArrayLike,
        *,
        value_added: ArrayLike | None = None,
        days: float = 1.0,
    ) -> "Network":
        """Return the network of a list of links: link e carries `flow_e` from firm `supplier_e` to firm `customer_e`.

        Parameters
        ----------
        supplier, customer:
            Positions of the firms (E,), integers from 0 to n - 1.
        flow:
            Flows (E,), in currency per period, positive.
        final_demand:
            Sales outside the network (n,), in currency per period, not negative.
        value_added, days:
            As for `from_table`.

        Raises
        ------
        InputError
            Shapes that do not fit, positions outside the network, flows that are not positive and finite.
        """
        s, c = (
            jnp.asarray(integers(ends, name, "integer positions of firms (E,)"))
            for name, ends in (("supplier", supplier), ("customer", customer))
        )
        f, d, added = _together(flow=flow, final_demand=final_demand, value_added=value_added)
        if d.size == 0 or d.ndim != 1 or not (s.shape == c.shape == f.shape == (s.size,)):
            raise InputError(
                f"supplier {s.shape}, customer {c.shape} and flow {f.shape} must be vectors of one length, "
                f"and final demand {d.shape} a vector with one entry per firm."
            )
        for name, ends in (("supplier", s), ("customer", c)):
            require(
                lambda v: (v >= 0) & (v < d.size),
                lambda n=name, v=ends: (
                    f"{n}{_entry(v, (v < 0) | (v >= d.size))}, but the firms are numbered 0 to {d.size - 1}."
                ),
                ends,
            )
        require(lambda v: v > 0, lambda: f"flow{_entry(f, ~(f > 0))}: drop links that carry nothing.", f)
        _check_flows(f, d, days, cell=lambda k: f"flow[{k}]")
        output = jax.ops.segment_sum(f, s, d.size) + d
        # A firm that buys but sells nothing would have an infinite coefficient.
        idle = (output <= 0)[c]
        require(
            lambda v: ~v,
            lambda: f"firm {int(c[first_bad(idle)])} buys inputs but sells nothing: give it sales or drop it.",
            idle,
        )
        buckets = Buckets.of(np.asarray(s), np.asarray(c), int(d.size)) if concrete(s, c) else None
        links = EdgeLinks(f / jnp.where(idle, 1, output[c]), s, c, int(d.size), buckets)
        return _network(links, d, output, jax.ops.segment_sum(f, c, d.size), added, days)

    def pooled(self, product: ArrayLike) -> "Network":
        """Return the network in which a customer's inputs pool over the suppliers of one product.

        Without it every supplier's good is an input of its own, which no other can replace; pooled, a customer holds one stock
        of each product, from whichever supplier it comes.

        Parameters
        ----------
        product:
            The product that each account makes (n,), integers from 0 on: the sector of a firm, or of a region's industry.

        Raises
        ------
        InputError
            Numbers that are not whole, negative, traced, or not one per account; a network that is pooled already.
        """
        if not concrete(product):
            raise InputError("product is being traced; which inputs pool decides the shapes, so it must have numbers.")
        what = f"one integer from 0 on per account, {self.output.shape}"
        kinds = np.asarray(integers(product, "product", what))
        if kinds.shape != self.output.shape or kinds.min(initial=0) < 0:
            least = f" and least entry {kinds.min()}" if kinds.size else ""
            raise InputError(f"product has shape {kinds.shape}{least}; give {what}.")
        return Network(pool(self.links, kinds), self.final_demand, self.output, self.value_added)

    @property
    def value_added_share(self) -> Float[Array, " n"]:
        """Value added per unit of output at the base state (n,); 0 without output."""
        positive = self.output > 0
        return jnp.where(positive, self.value_added / jnp.where(positive, self.output, 1), 0)

    @property
    def firms(self) -> int:
        """Number of accounts (sectors or firms)."""
        return self.links.accounts

    @property
    def edges(self) -> int:
        """Number of links that carry something."""
        return int(jnp.sum(self.links.coefficient > 0))

    def matvec(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return `A x`: the inputs (by supplier) that the outputs x use."""
        return self.links.matvec(x)

    def rmatvec(self, p: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return `A' p`: the cost of inputs per unit of output (by customer) at the prices p."""
        return self.links.rmatvec(p)


def _together(**arrays: ArrayLike | None) -> list[Any]:
    """Return the arrays in one precision, the highest among them; value added may be None and stays so."""
    given = {
        name: None if value is None and name == "value_added" else floating(value, name)
        for name, value in arrays.items()
    }
    dtype = jnp.result_type(*(value for value in given.values() if value is not None))
    return [None if value is None else value.astype(dtype) for value in given.values()]


def _entry(values: Array, bad: Array) -> str:
    k = first_bad(bad)
    return f"[{k}] is {np.asarray(values)[k]:g}"


def _check_flows(flows: Array, final_demand: Array, days: float, cell) -> None:
    require(
        lambda v: (v > 0) & np.isfinite(v),
        lambda: f"days is {days}; it is the number of days in the table's period and must be positive and finite.",
        floating(days, "days"),
    )
    if not concrete(flows, final_demand):
        return
    for values, name, remedy in (
        (flows, cell, "flows between accounts must be finite and not negative (`economy.nonnegative()` moves them)"),
        (
            final_demand,
            lambda k: f"final_demand[{k}]",
            "final demand must be finite and not negative here (`economy.nonnegative()` makes it so)",
        ),
    ):
        host = np.asarray(values)
        bad = ~(np.isfinite(host) & (host >= 0))
        if bad.any():
            k = first_bad(bad)
            raise InputError(f"{name(k)} is {host.ravel()[k]:g}: {remedy}.")


def _network(links: AbstractLinks, final_demand, output, inputs, value_added, days) -> Network:
    if value_added is None:
        value_added = output - inputs
    else:
        if value_added.shape != output.shape:
            raise InputError(
                f"value_added has shape {value_added.shape}; it needs one entry per account, {output.shape}."
            )
        require(np.isfinite, "value_added has an entry that is not finite.", value_added)
    return Network(links, final_demand / days, output / days, value_added / days)
