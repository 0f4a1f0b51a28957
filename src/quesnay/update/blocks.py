"""Targets for parts of a table: bilateral trade, a country's intermediate use, one well-known cell."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import concrete, floating, integers, require
from quesnay._errors import InputError


class Blocks(eqx.Module):
    """Disjoint parts of a table whose sums are known: the third dimension of a multi-regional balance.

    Attributes
    ----------
    label:
        Block of each cell (n, m), from 0; -1 for cells in none.
    total:
        Sum of each block (k,), in currency.
    sd:
        Standard deviation of each total (k,), or of all; None where they are exact.
    names:
        Name of each block, where `between` got names.

    Raises
    ------
    InputError
        Labels that are no integers from -1 to k - 1; totals that are not finite.
    """

    label: Int[Array, "n m"]
    total: Float[Array, " k"]
    sd: Float[Array, " k"] | None
    names: tuple[str, ...] | None = eqx.field(static=True)

    def __init__(
        self,
        label: ArrayLike,
        total: ArrayLike,
        *,
        sd: ArrayLike | None = None,
        names: Sequence[str] | None = None,
    ):
        self.label = jnp.asarray(
            integers(label, "label", "an integer array (n, m): the block of each cell, -1 for none")
        )
        self.total = floating(total, "total")
        if self.label.ndim != 2 or self.total.ndim != 1:
            raise InputError(
                f"label has shape {self.label.shape} and total {self.total.shape}; give the block of each cell (n, m) and "
                f"the sum of each block (k,)."
            )
        blocks = self.total.shape[0]
        require(
            lambda label: (label >= -1) & (label < blocks),
            f"label names blocks beyond the {blocks} totals; give integers from -1 (in no block) to {blocks - 1}.",
            self.label,
        )
        require(np.isfinite, "total has entries that are not finite.", self.total)
        self.sd = None if sd is None else deviations(sd, (blocks,), "sd of the blocks")
        self.names = None if names is None else tuple(names)
        if self.names is not None and len(self.names) != blocks:
            raise InputError(f"names has {len(self.names)} entries for {blocks} totals; give one for each.")

    def __repr__(self) -> str:
        if not (concrete(self.label) and isinstance(self.label, jax.Array)) or self.label.ndim != 2:
            return eqx.tree_pformat(self)
        rows, columns = self.label.shape
        within = int(jnp.sum(self.label >= 0))
        kind = "exact" if self.sd is None else "soft"
        return f"Blocks of {within} of {rows} x {columns} cells: {self.total.shape[0]} {kind} totals"

    @classmethod
    def between(
        cls,
        rows: ArrayLike | Sequence[str],
        columns: ArrayLike | Sequence[str],
        total: ArrayLike | Mapping[tuple[str, str], float],
        *,
        sd: ArrayLike | Mapping[tuple[str, str], float] | None = None,
    ) -> "Blocks":
        """Return the blocks between groups of rows and groups of columns, such as bilateral trade between regions.

        Parameters
        ----------
        rows, columns:
            Group of each row (n,) and of each column (m,): its name, or a number from 0; -1 for none.
        total:
            Sums, in currency: of named groups a dictionary `{(group of rows, group of columns): sum}`, else an array (groups
            of rows, groups of columns), NaN where a block has no target.
        sd:
            Standard deviations, in currency: a dictionary of the same keys, an array of the shape of total, or one for all.

        Raises
        ------
        InputError
            Groups that no row or column is in, or beyond the totals; names without a dictionary.
        """
        if isinstance(total, Mapping):
            return cls._named(np.asarray(rows), np.asarray(columns), total, sd)
        named = [name for name, g in (("rows", rows), ("columns", columns)) if np.asarray(g).dtype.kind in "UO"]
        if named or isinstance(sd, Mapping):
            raise InputError(
                f"{(named or ['sd'])[0]} has names, but total is an array; give total as a dictionary {{(group of rows, group "
                f"of columns): sum}}."
            )
        what = "the group of each, from 0; -1 for none"
        row, column = (jnp.asarray(integers(g, name, what)) for g, name in ((rows, "rows"), (columns, "columns")))
        sums = floating(total, "total")
        if row.ndim != 1 or column.ndim != 1 or sums.ndim != 2:
            raise InputError(
                f"rows has shape {row.shape}, columns {column.shape} and total {sums.shape}; give the group of each row (n,) "
                f"and column (m,), and the sums (groups of rows, groups of columns)."
            )
        for group, name, groups in ((row, "rows", sums.shape[0]), (column, "columns", sums.shape[1])):
            require(
                lambda g, groups=groups: (g >= -1) & (g < groups),
                f"{name} names groups beyond the {groups} of total; give integers from -1 (in none) to {groups - 1}.",
                group,
            )
        known = np.asarray(~np.isnan(np.asarray(sums)))
        number = np.where(known, np.cumsum(known.ravel()).reshape(known.shape) - 1, -1)
        inside = (row[:, None] >= 0) & (column[None, :] >= 0)
        label = jnp.where(inside, jnp.asarray(number)[row[:, None], column[None, :]], -1)
        some = np.flatnonzero(known)
        spread = None if sd is None else jnp.where(known, deviations(sd, sums.shape, "sd"), 0).ravel()[some]
        return cls(label, sums.ravel()[some], sd=spread)

    @classmethod
    def _named(cls, rows: np.ndarray, columns: np.ndarray, total: Mapping[Any, Any], sd: Any) -> "Blocks":
        label = np.full((len(rows), len(columns)), -1)
        for number, key in enumerate(total):
            if not (isinstance(key, tuple) and len(key) == 2):
                raise InputError(f"total has the key {key!r}; give pairs (group of rows, group of columns).")
            for name, groups, group in zip(("rows", "columns"), (rows, columns), key, strict=True):
                if not np.any(groups == group):
                    raise InputError(f"total has a sum for {group!r}, but {name} has no such group.")
            label[np.ix_(rows == key[0], columns == key[1])] = number
        if isinstance(sd, Mapping):
            if set(sd) != set(total):
                raise InputError("sd has other keys than total; give the standard deviation of each of its sums.")
            sd = [sd[key] for key in total]
        return cls(label, list(total.values()), sd=sd, names=[f"{a} -> {b}" for a, b in total])


def deviations(sd: Any, shape: tuple[int, ...], name: str) -> Array:
    """Return standard deviations of a shape, or raise `InputError`; one number stands for all."""
    values = floating(sd, name)
    if values.shape not in ((), shape):
        raise InputError(f"{name} has shape {values.shape}; give {shape}, or one number for all.")
    require(
        lambda s: s >= 0,
        f"{name} has negative or missing entries; give 0 or more (inf for a sum that is unknown).",
        values,
    )
    return jnp.broadcast_to(values, shape)
