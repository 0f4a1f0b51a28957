"""Sums and maxima over the entries of sparse rows, many scenarios at once, and single columns of a sparse matrix."""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

WIDTHS = (1, 2, 3, 4, 6, 8)
"""Widths of the blocks that rows are padded to; longer rows are split and their parts combined in turn."""
AT_ONCE = 8
"""Entries of each column that are written in one turn."""


def rows_at(values: Float[Array, "n b"], position: Int[Array, " r"]) -> Float[Array, "r b"]:
    """Return rows of values at positions that are known to exist."""
    return values.at[position].get(mode="promise_in_bounds", wrap_negative_indices=False)


class Block(eqx.Module):
    """Rows of nearly the same length: positions of their entries (w, r) and factors, zero on padding."""

    position: Int[Array, "w r"]
    factor: Float[Array, "w r"]

    def reduce(self, values: Float[Array, "n b"], operation: Callable[[Array, Array], Array]) -> Float[Array, "r b"]:
        # One gather after the other: the loop over scenarios stays innermost and contiguous, and nothing of size w r b is made.
        total = self.factor[0][:, None] * rows_at(values, self.position[0])
        for place, factor in zip(self.position[1:], self.factor[1:], strict=True):
            total = operation(total, factor[:, None] * rows_at(values, place))
        return total


class Segments(eqx.Module):
    """Rows of a sparse matrix of non-negative numbers in padded blocks, for sums and maxima of non-negative values.

    Rows come out in the order of the blocks: whoever uses them numbers what they stand for in that order, so that nothing
    has to be put in its place.

    Attributes
    ----------
    levels:
        The blocks of whole rows and, where rows are longer than the widest, the block of their parts, whose results are the
        entries of the next level.
    empty:
        Number of rows without entries; they come last.
    """

    levels: tuple[tuple[tuple[Block, ...], Block | None], ...]
    empty: int = eqx.field(static=True)

    @staticmethod
    def of(row: np.ndarray, column: np.ndarray, factor: np.ndarray, rows: int) -> tuple["Segments", np.ndarray]:
        """Return the rows of a matrix with these entries (E,), and which row (R,) comes out at each place."""
        order = np.argsort(row, kind="stable")
        column, factor = column[order].astype(np.int32), factor[order]
        length = np.bincount(row, minlength=rows)
        owner = np.flatnonzero(length)
        idle, length = np.flatnonzero(length == 0), length[owner]
        start = np.cumsum(length) - length
        levels, out = [], []
        while owner.size:
            # Parts of long rows are few: one width is enough, and every width is compiled.
            widths = np.array(WIDTHS if not levels else WIDTHS[-1:])
            kind = np.searchsorted(widths, length)
            whole = []
            for k, width in enumerate(widths):
                own = np.flatnonzero(kind == k)
                if own.size:
                    whole.append(_block(width, start[own], length[own], column, factor))
                    out.append(owner[own])
            left = kind == len(widths)
            owner, start, length = owner[left], start[left], length[left]
            parts = None
            if owner.size:
                widest = widths[-1]
                pieces = -(-length // widest)
                piece = np.repeat(np.arange(owner.size), pieces)
                first = np.cumsum(pieces) - pieces
                offset = (np.arange(piece.size) - first[piece]) * widest
                parts = _block(widest, start[piece] + offset, length[piece] - offset, column, factor)
                column, factor = np.arange(piece.size, dtype=np.int32), np.ones(piece.size, factor.dtype)
                start, length = first, pieces
            levels.append((tuple(whole), parts))
        return Segments(tuple(levels), len(idle)), np.concatenate([*out, idle]).astype(np.int64)

    def reduce(self, values: Float[Array, "n b"], operation: Callable[[Array, Array], Array]) -> Float[Array, "R b"]:
        """Return per row `operation` (`jnp.add`, `jnp.maximum`) over its entries of `factor * values`; 0 where empty."""

        def rows(levels, values):
            found, source = [], values
            for whole, parts in levels:
                found += [block.reduce(source, operation) for block in whole]
                if parts is not None:
                    source = _apart(parts, partial(Block.reduce, operation=operation), parts, source)
            return jnp.concatenate([*found, jnp.zeros((self.empty, values.shape[1]), values.dtype)])

        if not self.levels:
            return rows(self.levels, values)
        whole, parts = self.levels[0]
        return _apart(parts if parts is not None else whole[0], rows, self.levels, values)


def _apart(block: Block, work: Callable[..., Array], *values: Any) -> Array:
    """Return what some work gives, computed before whatever uses it."""
    # The condition always holds. XLA cannot know it, so that it keeps the work apart: fused into the gathers that use it, it
    # would be done for one number at a time, and again for every use.
    shape = jax.eval_shape(work, *values)
    return jax.lax.cond(block.position[0, 0] >= 0, work, lambda *_: jnp.zeros(shape.shape, shape.dtype), *values)


def _block(width: int, start: np.ndarray, length: np.ndarray, column: np.ndarray, factor: np.ndarray) -> Block:
    inside = np.arange(width)[:, None] < length
    at = np.where(inside, start + np.arange(width)[:, None], start)
    return Block(jnp.asarray(column[at]), jnp.asarray(np.where(inside, factor[at], 0).astype(factor.dtype)))


class Columns(eqx.Module):
    """Columns of a sparse matrix (R, C): the rows and factors of each one's entries, one column after the other.

    Attributes
    ----------
    begin:
        Where each column begins (C + 1,).
    row, factor:
        The entries (E,).
    rows:
        R.
    """

    begin: Int[Array, " C_1"]
    row: Int[Array, " E"]
    factor: Float[Array, " E"]
    rows: int = eqx.field(static=True)

    @staticmethod
    def of(row: np.ndarray, column: np.ndarray, factor: np.ndarray, rows: int, columns: int) -> "Columns":
        """Return the columns of a matrix with these entries (E,)."""
        order = np.argsort(column, kind="stable")
        begin = np.concatenate([[0], np.cumsum(np.bincount(column, minlength=columns))])
        # One entry that is never read lets a matrix without entries be indexed.
        row, factor = np.append(row[order], rows), np.append(factor[order], 0).astype(factor.dtype)
        start, member = begin.astype(np.int32), row.astype(np.int32)
        return Columns(jnp.asarray(start), jnp.asarray(member), jnp.asarray(factor), rows)

    def take(self, columns: Int[Array, " b"]) -> Float[Array, "R b"]:
        """Return some of the columns, side by side."""
        begin, end = self.begin[columns], self.begin[columns + 1]
        longest, side = jnp.max(end - begin), jnp.arange(len(columns))

        def write(state):
            done, out = state
            at = begin + done + jnp.arange(AT_ONCE)[:, None]
            inside, at = at < end, jnp.minimum(at, len(self.row) - 1)
            place = jnp.where(inside, self.row[at], self.rows)
            return done + AT_ONCE, out.at[place, side].add(self.factor[at], mode="drop")

        empty = jnp.zeros((self.rows, len(columns)), self.factor.dtype)
        return jax.lax.while_loop(lambda state: state[0] < longest, write, (jnp.zeros_like(longest), empty))[1]
