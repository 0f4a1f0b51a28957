"""Sums and maxima over the entries of sparse rows, many scenarios at once."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

WIDTHS = (1, 2, 3, 4, 6, 8)
"""Widths of the blocks that rows are padded to; longer rows are split and their parts combined in turn."""


class Block(eqx.Module):
    """Rows of nearly the same length: positions of their entries (w, r) and factors, zero on padding."""

    position: Int[Array, "w r"]
    factor: Float[Array, "w r"]

    def reduce(self, values: Float[Array, "n b"], operation: Callable[[Array, Array], Array]) -> Float[Array, "r b"]:
        # One gather after the other: the loop over scenarios stays innermost and contiguous, and nothing of size w r b is made.
        total = self.factor[0][:, None] * values[self.position[0]]
        for place, factor in zip(self.position[1:], self.factor[1:], strict=True):
            total = operation(total, factor[:, None] * values[place])
        return total


class Segments(eqx.Module):
    """Rows of a sparse matrix of non-negative numbers in padded blocks, for sums and maxima of non-negative values.

    Attributes
    ----------
    levels:
        The blocks: of the entries, then of the parts of long rows, and so on.
    place:
        Where the result of each row (R,) is found.
    """

    levels: tuple[tuple[Block, ...], ...]
    place: Int[Array, " R"]

    @staticmethod
    def of(row: np.ndarray, column: np.ndarray, factor: np.ndarray, rows: int) -> "Segments":
        """Return the rows of a matrix with these entries (E,); a row without any is zero."""
        order = np.argsort(row, kind="stable")
        column, data = column[order].astype(np.int32), factor[order]
        count = np.bincount(row, minlength=rows)
        owner = np.flatnonzero(count)
        length = count[owner]
        start = (np.cumsum(count) - count)[owner]
        place, levels, made = np.zeros(rows, dtype=np.int64), [], 1  # position 0 holds the zero of empty rows
        while owner.size:
            # Parts of long rows are few: one width is enough, and every width is compiled.
            widths = WIDTHS if not levels else WIDTHS[-1:]
            blocks, found, start, length, made, column, data = _level(widths, start, length, made, column, data)
            levels.append(blocks)
            done = found >= 0
            place[owner[done]] = found[done]
            owner, start, length = owner[~done], start[~done], length[~done]
        return Segments(tuple(levels), jnp.asarray(place.astype(np.int32)))

    def reduce(self, values: Float[Array, "n b"], operation: Callable[[Array, Array], Array]) -> Float[Array, "R b"]:
        """Return per row `operation` (`jnp.add`, `jnp.maximum`) over its entries of `factor * values`; 0 where empty."""
        sizes = [block.position.shape[1] for blocks in self.levels for block in blocks]
        found, at = jnp.zeros((1 + sum(sizes), values.shape[1]), values.dtype), 1
        source = values
        for blocks in self.levels:
            first = at
            for block in blocks:
                # Written in its place: fused into a concatenation, the loops of the blocks would not be vectorised.
                found = jax.lax.dynamic_update_slice(found, block.reduce(source, operation), (at, 0))
                at += block.position.shape[1]
            source = found[first:at]
        return found[self.place]


def _level(widths, start, length, made, column, data):
    """Split rows into parts of at most the largest width and put those of similar width into blocks.

    Returns the blocks, the position of the result of every row that is whole (-1 for the others), and the next
    level's entries: the parts of the rows that were split.
    """
    widest = widths[-1]
    parts = -(-length // widest)
    part_of = np.repeat(np.arange(len(length)), parts)
    within = np.arange(len(part_of)) - np.repeat(np.cumsum(parts) - parts, parts)
    begin = start[part_of] + within * widest
    size = np.minimum(widest, length[part_of] - within * widest)
    kind = np.searchsorted(widths, size)
    blocks, sequence = [], []
    for k, width in enumerate(widths):
        rows = np.flatnonzero(kind == k)
        if rows.size:
            inside = np.arange(width)[:, None] < size[rows]
            at = np.where(inside, begin[rows] + np.arange(width)[:, None], begin[rows])
            blocks.append(Block(jnp.asarray(column[at]), jnp.asarray(np.where(inside, data[at], 0).astype(data.dtype))))
            sequence.append(rows)
    # Where each part ended up among this level's results, in the order of parts.
    rank = np.empty(len(part_of), dtype=np.int64)
    rank[np.concatenate(sequence)] = np.arange(len(part_of))
    first = np.cumsum(parts) - parts
    found = np.where(parts == 1, made + rank[first], -1)
    return (
        tuple(blocks),
        found,
        first,
        parts,
        made + len(part_of),
        rank.astype(np.int32),
        np.ones(len(part_of), data.dtype),
    )
