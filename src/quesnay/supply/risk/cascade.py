"""How a closed firm hurts its customers and suppliers, and theirs: the coefficients of both cascades, and one step of each."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import concrete, first_bad, integers
from quesnay._errors import InputError
from quesnay.network import DenseLinks, EdgeLinks, Network

from .segments import Columns, Segments, rows_at


class Cascade(eqx.Module):
    """A network made ready for cascades of losses; losses are shares of base output, `1 - h`.

    Firms are numbered as their inputs lie in memory; `firm` and `place` lead there and back.

    Attributes
    ----------
    inputs:
        Rows of inputs by suppliers: one row for each essential input (sector) of a customer, with the shares of the suppliers
        in it, and one for all its inputs that are not essential, with their shares in all inputs. Rows of one supplier are
        left out.
    worst:
        Customers by suppliers (where they are a row of their own) and rows of inputs.
    missed:
        Customers by suppliers: what the customer loses for the supplier alone, where nobody replaces it.
    resold:
        Sellers (firms that sell to firms) by those of their customers that sell to firms themselves: the share of each
        customer in the seller's output. Only their losses go on.
    final:
        Sellers by all their other customers, whose orders fall by their own closure only.
    final_place:
        The row of `final` that belongs to each seller.
    unsold:
        Sellers by all their customers.
    rivals:
        Markets by their firms: the base output of each.
    seller, seller_place:
        The firm at each place among the sellers, and the place of each firm (M,), their number for the firms that are none.
    output:
        s, base output (M,).
    market:
        Position of the market in which each firm competes (M,).
    firm, place:
        The firm at each place, and the place of each firm (M,).
    """

    inputs: Segments
    worst: Segments
    missed: Columns
    resold: Segments
    final: Segments
    final_place: Int[Array, " K"]
    unsold: Columns
    rivals: Segments
    seller: Int[Array, " K"]
    seller_place: Int[Array, " M"]
    output: Float[Array, " M"]
    market: Int[Array, " M"]
    firm: Int[Array, " M"]
    place: Int[Array, " M"]

    def shares(self, lost: Float[Array, "M b"]) -> Float[Array, "M b"]:
        """Return `sigma_j = min(1, s_j / sum over its market of s_l (1 - lost_l))`, the market shares after the losses."""
        left = self.rivals.reduce(1 - lost, jnp.add)
        # A market that is all but gone leaves nobody to step in; its firms without output have no share of it.
        share = self.output[:, None] / rows_at(jnp.maximum(left, jnp.finfo(lost.dtype).tiny), self.market)
        return jnp.minimum(1, share)

    def downstream(self, lost: Float[Array, "M b"], share: Float[Array, "M b"]) -> Float[Array, "M b"]:
        """Return what each firm loses to missing inputs when its suppliers have lost these shares of their output."""
        missed = share * lost
        return self.worst.reduce(jnp.concatenate([missed, self.inputs.reduce(missed, jnp.add)]), jnp.maximum)

    def passed_on(self, lost: Float[Array, "K b"]) -> Float[Array, "K b"]:
        """Return what each seller loses to missing orders when its customers among the sellers have lost these shares."""
        return self.resold.reduce(lost, jnp.add)

    def from_final(self, lost: Float[Array, "M b"]) -> Float[Array, "K b"]:
        """Return what each seller loses to missing orders of customers that sell to no firm."""
        return rows_at(self.final.reduce(lost, jnp.add), self.final_place)

    def everywhere(self, sellers: Float[Array, "K b"]) -> Float[Array, "M b"]:
        """Return values of sellers for all firms, 0 where a firm is none."""
        none = jnp.zeros((1, sellers.shape[1]), sellers.dtype)
        return rows_at(jnp.concatenate([sellers, none]), self.seller_place)

    def upstream(self, lost: Float[Array, "M b"]) -> Float[Array, "M b"]:
        """Return what each firm loses to missing orders when its customers have lost these shares of their output."""
        return self.everywhere(self.passed_on(rows_at(lost, self.seller)) + self.from_final(lost))


class Weights(eqx.Module):
    """The coefficients of both cascades per link (E,), with the row of inputs that each belongs to."""

    supplier: np.ndarray
    customer: np.ndarray
    row: np.ndarray
    input_share: np.ndarray
    counts: np.ndarray
    sales_share: np.ndarray
    row_customer: np.ndarray


def weights(network: Network, sector: np.ndarray, essential: np.ndarray, relevant: np.ndarray) -> Weights:
    """Return the coefficients of both cascades.

    Essential inputs: `w_ji / sum of w_li over suppliers l of j's sector`; others: `w_ji / sum of w_li over all suppliers l`;
    sales: `w_ij / s_i`.
    """
    supplier, customer, flow = edges(network)
    output = np.asarray(network.output)
    count, sectors = network.firms, len(essential)
    strong = essential[sector[supplier], sector[customer]]
    counts = strong | relevant[sector[supplier], sector[customer]]
    # Row 0 .. sectors - 1 of a customer: its essential inputs; row `sectors`: the others.
    kind = np.where(strong, sector[supplier], sectors)
    packed = customer.astype(np.int64) * (sectors + 1) + kind
    present, row = np.unique(packed, return_inverse=True)
    whole = np.where(
        strong, np.bincount(row, flow)[row] if len(row) else 0, np.bincount(customer, flow, count)[customer]
    )
    return Weights(
        supplier,
        customer,
        row,
        flow / np.where(whole > 0, whole, 1),
        counts,
        flow / output[supplier],
        present // (sectors + 1),
    )


def cascade(w: Weights, network: Network, market: np.ndarray) -> Cascade:
    """Return the network made ready."""
    count, output = network.firms, np.asarray(network.output)
    dtype = output.dtype
    supplier, row, share = (values[w.counts] for values in (w.supplier, w.row, w.input_share.astype(dtype)))
    # A row of one supplier needs no sum: its customer takes the worst of these suppliers and of the rows that are sums.
    entries = np.bincount(row, minlength=len(w.row_customer))
    alone = entries[row] == 1
    summed = np.flatnonzero(entries > 1)
    number = np.zeros(len(entries), dtype=np.int64)
    number[summed] = np.arange(len(summed))
    # The layout of rows depends on their lengths only: what the columns stand for is filled in once the order is known.
    customers = np.concatenate([w.row_customer[row[alone]], w.row_customer[summed]])
    _, firm = Segments.of(customers, customers, customers, count)
    place = inverse(firm)
    inputs, order = Segments.of(number[row[~alone]], place[supplier[~alone]], share[~alone], len(summed))
    worst, _ = Segments.of(
        customers,
        np.concatenate([place[supplier[alone]], count + inverse(order)]),
        np.concatenate([share[alone], np.ones(len(summed), dtype)]),
        count,
    )
    missed = Columns.of(place[w.row_customer[row]], place[supplier], share, count, count)
    labels, group = np.unique(market, return_inverse=True)
    rivals, order = Segments.of(group, place, output, len(labels))
    group = inverse(order)[group]
    return Cascade(
        inputs,
        worst,
        missed,
        **_orders(w, place, count, dtype),
        rivals=rivals,
        output=jnp.asarray(output[firm]),
        market=_integers(group[firm]),
        firm=_integers(firm),
        place=_integers(place),
    )


def _orders(w: Weights, place: np.ndarray, count: int, dtype: np.dtype) -> dict[str, Any]:
    """Return the fields that hold orders: of customers that sell on, of the others, and of each customer alone."""
    share = w.sales_share.astype(dtype)
    sells = np.zeros(count, dtype=bool)
    sells[w.supplier] = True
    firms = np.flatnonzero(sells)
    number = np.cumsum(sells) - 1
    on = sells[w.customer]
    supplier, customer = number[w.supplier], number[w.customer]
    # As above: first the order of the rows, then the columns in it.
    _, order = Segments.of(supplier[on], customer[on], share[on], len(firms))
    at = inverse(order)
    resold, _ = Segments.of(supplier[on], at[customer[on]], share[on], len(firms))
    final, final_order = Segments.of(supplier[~on], place[w.customer[~on]], share[~on], len(firms))
    seller_place = np.full(count, len(firms))
    seller_place[place[firms]] = at
    return {
        "resold": resold,
        "final": final,
        "final_place": _integers(inverse(final_order)[order]),
        "unsold": Columns.of(at[supplier], place[w.customer], share, len(firms), count),
        "seller": _integers(place[firms[order]]),
        "seller_place": _integers(seller_place),
    }


def inverse(order: np.ndarray) -> np.ndarray:
    """Return where each one of a permutation stands."""
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return place


def _integers(values: np.ndarray) -> Array:
    return jnp.asarray(values.astype(np.int32))


def edges(network: Network) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return supplier, customer and flow of every link (E,), as numbers on the host."""
    if not concrete(network):
        raise InputError(
            "the network is traced: a cascade's layout follows from its numbers; build it outside jit and grad."
        )
    links, output = network.links, np.asarray(network.output)
    if isinstance(links, EdgeLinks):
        supplier, customer = np.asarray(links.supplier), np.asarray(links.customer)
        flow = np.asarray(links.coefficient) * output[customer]
    elif isinstance(links, DenseLinks):
        coefficient = np.asarray(links.coefficient)
        supplier, customer = np.nonzero(coefficient)
        flow = coefficient[supplier, customer] * output[customer]
    else:
        raise InputError(
            f"links of type {type(links).__name__} have no list of suppliers and customers; use Network.from_edges."
        )
    return supplier, customer, flow


def positions(values: ArrayLike, count: int, name: str) -> np.ndarray:
    """Return one non-negative integer per firm, or raise."""
    what = f"one integer per firm, ({count},)"
    array = np.asarray(integers(values, name, what))
    if array.shape != (count,):
        raise InputError(f"{name} has shape {array.shape}; give {what}.")
    if (array < 0).any():
        raise InputError(f"{name}[{first_bad(array < 0)}] is negative; give positions from 0.")
    return array.astype(np.int64)


def matrix(values: ArrayLike | None, sectors: int, name: str) -> np.ndarray:
    """Return a boolean matrix by (supplying, using) sector; all true for None."""
    if values is None:
        return np.ones((sectors, sectors), dtype=bool)
    what = f"a boolean matrix by (supplying, using) sector, at least ({sectors}, {sectors})"
    try:
        array = np.asarray(values)
    except ValueError:
        raise InputError(f"{name} is not a rectangular array; give {what}.") from None
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.shape[0] < sectors or array.dtype != bool:
        raise InputError(f"{name} has shape {array.shape} of {array.dtype}; give {what}.")
    return array
