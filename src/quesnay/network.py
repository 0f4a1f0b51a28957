"""Who buys from whom: coefficients per link, dense for tables and as an edge list for firms; storage and sums, nothing else."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from ._checks import concrete, first_bad, floating, require
from ._errors import InputError

TIE = 4096
"""Values within this many units of rounding of each other tie: the derivative of a minimum is shared among them."""


class AbstractLinks(eqx.Module):
    """Links from suppliers to customers, each with a coefficient a (units of input per unit of the customer's output).

    A *link array* holds one number per link; its shape is the storage's own. The moves between accounts and links are
    all that a model needs, so that it is written once for every storage.
    """

    coefficient: eqx.AbstractVar[Array]

    @property
    @abc.abstractmethod
    def accounts(self) -> int:
        """Number of accounts (sectors or firms)."""

    @abc.abstractmethod
    def of_supplier(self, values: Float[Array, " n"]) -> Array:
        """Give every link the value of its supplier."""

    @abc.abstractmethod
    def of_customer(self, values: Float[Array, " n"]) -> Array:
        """Give every link the value of its customer; 0 where there is no link."""

    @abc.abstractmethod
    def sum_by_supplier(self, links: Array) -> Float[Array, " n"]:
        """Sum a link array over each supplier's links."""

    @abc.abstractmethod
    def sum_by_customer(self, links: Array) -> Float[Array, " n"]:
        """Sum a link array over each customer's links."""

    @abc.abstractmethod
    def matvec(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return `A x`, by supplier."""

    @abc.abstractmethod
    def rmatvec(self, p: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return `A' p`, by customer."""

    @abc.abstractmethod
    def least_by_customer(self, links: Array) -> tuple[Float[Array, " n"], Int[Array, " n"]]:
        """Return the least value among each customer's links (inf without any) and the supplier that holds it (-1 without)."""


class DenseLinks(AbstractLinks):
    """All n x n links, rows supply and columns use; a coefficient of zero is no link. For up to some thousand sectors."""

    coefficient: Float[Array, "n n"]

    @property
    def accounts(self) -> int:
        return self.coefficient.shape[-1]

    def of_supplier(self, values):
        return jnp.broadcast_to(values[:, None], self.coefficient.shape)

    def of_customer(self, values):
        return jnp.where(self.coefficient > 0, values[None, :], 0)

    def sum_by_supplier(self, links):
        return jnp.sum(links, axis=1)

    def sum_by_customer(self, links):
        return jnp.sum(links, axis=0)

    def matvec(self, x):
        return self.coefficient @ x

    def rmatvec(self, p):
        return self.coefficient.T @ p

    def least_by_customer(self, links):
        present = jnp.where(self.coefficient > 0, links, jnp.inf)
        supplier = jnp.where(jnp.any(self.coefficient > 0, axis=0), jnp.argmin(present, axis=0), -1)
        return jnp.min(present, axis=0), supplier


class EdgeLinks(AbstractLinks):
    """A list of E links, each from a supplier to a customer. For networks of firms."""

    coefficient: Float[Array, " E"]
    supplier: Int[Array, " E"]
    customer: Int[Array, " E"]
    firms: int = eqx.field(static=True)

    @property
    def accounts(self) -> int:
        return self.firms

    def of_supplier(self, values):
        return values[self.supplier]

    def of_customer(self, values):
        return values[self.customer]

    def sum_by_supplier(self, links):
        return jax.ops.segment_sum(links, self.supplier, self.accounts)

    def sum_by_customer(self, links):
        return jax.ops.segment_sum(links, self.customer, self.accounts)

    def matvec(self, x):
        return self.sum_by_supplier(self.coefficient * self.of_customer(x))

    def rmatvec(self, p):
        return self.sum_by_customer(self.coefficient * self.of_supplier(p))

    def least_by_customer(self, links):
        least = jax.ops.segment_min(links, self.customer, self.accounts)
        holder = jnp.where(links == least[self.customer], self.supplier, self.accounts)
        supplier = jax.ops.segment_min(holder, self.customer, self.accounts)
        return least, jnp.where(supplier < self.accounts, supplier, -1)


@jax.custom_jvp
def scarcest(links: AbstractLinks, values: Array) -> tuple[Float[Array, " n"], Int[Array, " n"]]:
    """Return `min` over each customer's links and the supplier that holds it.

    The value is the exact minimum. Its derivative is shared evenly among the links that tie with the minimum to within `TIE`
    units of rounding (all of them, at a steady state), so that it does not depend on the order of the links.
    """
    return links.least_by_customer(values)


@scarcest.defjvp  # pyright: ignore[reportArgumentType]
def _scarcest_jvp(primals, tangents):
    links, values = primals
    _, moved = tangents
    least, supplier = links.least_by_customer(values)
    # Comparing on the links: a link that does not exist holds 0 in the mask as well as in the count.
    margin = TIE * jnp.finfo(values.dtype).eps * jnp.abs(least)
    bound = jnp.where(jnp.isfinite(least), least + margin, -1)
    tied = jnp.where(values <= links.of_customer(bound), links.of_customer(jnp.ones_like(least)), 0)
    count = links.sum_by_customer(tied)
    share = tied * links.of_customer(1 / jnp.maximum(count, 1))
    zero = np.zeros(supplier.shape, dtype=jax.dtypes.float0)
    return (least, supplier), (links.sum_by_customer(share * moved), zero)


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
            jnp.asarray(np.asarray(ends, dtype=int) if np.size(ends) == 0 else ends) for ends in (supplier, customer)
        )
        f, d, added = _together(flow=flow, final_demand=final_demand, value_added=value_added)
        if d.size == 0 or d.ndim != 1 or not (s.shape == c.shape == f.shape == (s.size,)):
            raise InputError(
                f"supplier {s.shape}, customer {c.shape} and flow {f.shape} must be vectors of one length, "
                f"and final demand {d.shape} a vector with one entry per firm."
            )
        if not (jnp.issubdtype(s.dtype, jnp.integer) and jnp.issubdtype(c.dtype, jnp.integer)):
            raise InputError(f"supplier ({s.dtype}) and customer ({c.dtype}) must be integer positions of firms.")
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
        links = EdgeLinks(f / jnp.where(idle, 1, output[c]), s, c, int(d.size))
        return _network(links, d, output, jax.ops.segment_sum(f, c, d.size), added, days)

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
    """Return the arrays in one precision, the highest among them; what is None stays so."""
    given = {name: None if value is None else floating(value, name) for name, value in arrays.items()}
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


def _network(links, final_demand, output, inputs, value_added, days) -> Network:
    if value_added is None:
        value_added = output - inputs
    else:
        if value_added.shape != output.shape:
            raise InputError(
                f"value_added has shape {value_added.shape}; it needs one entry per account, {output.shape}."
            )
        require(np.isfinite, "value_added has an entry that is not finite.", value_added)
    return Network(links, final_demand / days, output / days, value_added / days)
