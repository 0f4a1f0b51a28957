"""How the links of a firm network lie in memory: rows of similar length side by side."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Shaped

from quesnay._errors import InputError


class Buckets(eqx.Module):
    """The links, laid out in blocks of firms with similar numbers of suppliers.

    Block b is a dense array (width, firms of the block); a column holds the links of one customer, filled up to the width by
    *pads* that repeat the column's first link. Firms are renumbered: by block, and within a block by falling number of
    customers, so that the firms that many buy from share cache lines. It holds arrays only (never close over it: pass it),
    and the shapes of its blocks are all that a compiled program depends on.

    Attributes
    ----------
    edge:
        The link that lies in each slot, shape (slots,), in the order of the edge list.
    supplier:
        The place of its supplier, shape (slots,).
    pad:
        Whether the slot repeats another one, shape (slots,).
    firm:
        The firm at each place, shape (M,).
    place:
        The place of each firm, shape (M,).
    blocks:
        Width and number of firms of each block, in the order of the places; a width of 0 holds the firms without inputs.
    """

    edge: Int[Array, " slots"]
    supplier: Int[Array, " slots"]
    pad: Bool[Array, " slots"]
    firm: Int[Array, " M"]
    place: Int[Array, " M"]
    blocks: tuple[tuple[int, int], ...] = eqx.field(static=True)

    @staticmethod
    def of(
        supplier: Int[np.ndarray, " E"], customer: Int[np.ndarray, " E"], firms: int, *, growth: float = 1.25
    ) -> "Buckets":
        """Return the layout of a list of links; NumPy, once per network.

        Parameters
        ----------
        supplier, customer:
            Positions of the firms (E,), integers from 0 to M - 1, on the host.
        firms:
            M.
        growth:
            Ratio of the widths of neighbouring blocks, above 1: small ratios pad less, large ones compile faster.

        Raises
        ------
        InputError
            A growth of 1 or less, or ends that are not two vectors of one length.
        """
        if not growth > 1:
            raise InputError(f"growth is {growth}; it is the ratio of the widths of neighbouring blocks, above 1.")
        supplier, customer = np.asarray(supplier), np.asarray(customer)
        if supplier.ndim != 1 or supplier.shape != customer.shape:
            raise InputError(f"supplier {supplier.shape} and customer {customer.shape} must be vectors of one length.")
        inputs = np.bincount(customer, minlength=firms)
        widths = _widths(int(inputs.max(initial=0)), growth)
        block = np.searchsorted(widths, inputs)
        firm = np.lexsort((-np.bincount(supplier, minlength=firms), block)).astype(np.int32)
        place = np.empty(firms, np.int32)
        place[firm] = np.arange(firms, dtype=np.int32)
        # By customer, and for each customer by supplier: neighbouring links then read neighbouring suppliers.
        edge = np.argsort(place[customer].astype(np.int64) * firms + place[supplier]).astype(np.int32)
        held = inputs[firm]
        begin = np.cumsum(held) - held
        edges, pads, blocks, first = [], [], [], 0
        for width, count in zip(widths, np.bincount(block, minlength=len(widths)), strict=True):
            if count:
                column, own = np.arange(width)[:, None], slice(first, first + count)
                pad = column >= held[own]
                edges.append(edge[(begin[own] + np.where(pad, 0, column)).ravel()])
                pads.append(pad.ravel())
                blocks.append((int(width), int(count)))
                first += count
        slots = np.concatenate([np.zeros(0, np.int32), *edges])
        pad = np.concatenate([np.zeros(0, bool), *pads])
        arrays = _device(slots, place[supplier[slots]], pad, firm, place)
        return Buckets(*arrays, blocks=tuple(blocks))

    @property
    def spans(self) -> tuple[tuple[int, int, int, int, int], ...]:
        """First and last slot, first and last place (exclusive), and width of each block that has links."""
        found, slot, place = [], 0, 0
        for width, count in self.blocks:
            if width:
                found.append((slot, slot + width * count, place, place + count, width))
            slot, place = slot + width * count, place + count
        return tuple(found)

    @property
    def without_inputs(self) -> int:
        """Number of firms without inputs; they come first."""
        return sum(count for width, count in self.blocks if width == 0)


def _widths(most: int, growth: float) -> Int[np.ndarray, " widths"]:
    widths = [0, 1]
    while widths[-1] < most:
        widths.append(max(widths[-1] + 1, int(widths[-1] * growth)))
    return np.minimum(widths, max(most, 1)) if most else np.zeros(1, int)


def _device(*arrays: Shaped[np.ndarray, "..."]) -> list[Array]:
    return [jnp.asarray(array) for array in arrays]
