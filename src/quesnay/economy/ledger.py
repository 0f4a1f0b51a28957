"""The numbers of a table with their labels, and the notes on what was done to them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

ALL = "all"
"""Region label of a table without regions, and of final demand whose consumers' region is not known."""
OUTSIDE = "outside"
"""Region label of the consumers outside a selected block."""
VALUE_ADDED = "value_added"
IMPORTS = "imports"
OTHERS = ("A", "B", "Z", "Y", "primary", "satellites", "direct", "output", "final_demand", "region", "sector")
"""What no primary input may be called: other parts of a table, and the label columns of its files."""


@dataclass(frozen=True)
class Note:
    """One thing that was done to a table, or found in it: the action, its amount and unit, and a sentence."""

    action: str
    amount: float
    unit: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.action}: {self.sentence}"


@dataclass(frozen=True, eq=False)
class Ledger:
    """The accounts of a table as read-only numpy arrays in the order of `index`.

    Row identity: `output = Z 1 + Y 1`; column identity: `output = 1'Z + 1'primary`.

    Attributes
    ----------
    index:
        (n,) MultiIndex of (region, sector).
    Z:
        (n, n) flows, rows supply, columns use; currency per year.
    categories:
        (m,) MultiIndex of (region, category).
    Y:
        (n, m) final demand; currency per year.
    output:
        (n,) gross output; currency per year.
    inputs:
        names of the k primary inputs, "value_added" and "imports" among them.
    primary:
        (k, n) primary inputs; currency per year.
    names:
        names of the s satellite accounts.
    units:
        their units.
    satellites:
        (s, n) their values.
    direct:
        (s, m) what final consumers emit or use themselves, by the columns of Y; in the satellites' units.
    """

    index: pd.MultiIndex
    Z: np.ndarray
    categories: pd.MultiIndex
    Y: np.ndarray
    output: np.ndarray
    inputs: tuple[str, ...]
    primary: np.ndarray
    names: tuple[str, ...]
    units: tuple[str, ...]
    satellites: np.ndarray
    direct: np.ndarray

    def __post_init__(self) -> None:
        for field in ("Z", "Y", "output", "primary", "satellites", "direct"):
            array = np.ascontiguousarray(getattr(self, field), dtype=np.float64)
            array.flags.writeable = False
            object.__setattr__(self, field, array)

    @property
    def final_demand(self) -> np.ndarray:
        """Return the row sums of Y (n,); a sum that is zero up to the rounding of its own terms is exactly zero."""
        total = self.Y.sum(axis=1)
        rounding = self.Y.shape[1] * np.finfo(float).eps * np.abs(self.Y).sum(axis=1)
        return np.where(np.abs(total) <= rounding, 0.0, total)

    @property
    def row_residual(self) -> np.ndarray:
        """Return `output - Z 1 - Y 1` (n,), currency per year."""
        return self.output - self.Z.sum(axis=1) - self.Y.sum(axis=1)

    @property
    def column_residual(self) -> np.ndarray:
        """Return `output - 1'Z - 1'primary` (n,), currency per year."""
        return self.output - self.Z.sum(axis=0) - self.primary.sum(axis=0)

    def row(self, name: str) -> np.ndarray:
        """Return the primary input called `name` (n,), currency per year."""
        return self.primary[self.inputs.index(name)]


def over_output(values: np.ndarray, output: np.ndarray) -> np.ndarray:
    """Return `values / output` along the last axis, and 0 where output is 0."""
    return np.divide(values, output, out=np.zeros(np.broadcast_shapes(values.shape, output.shape)), where=output > 0)


def blocks(n: int) -> Iterator[slice]:
    """Yield n rows in at most sixteen blocks, so that work on one block takes a sixteenth of the memory of the whole."""
    step = max(1, -(-n // 16))
    for start in range(0, n, step):
        yield slice(start, start + step)


def absolute_sums(Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the row sums and the column sums of `|Z|` (n,), without a copy of Z."""
    rows, columns = np.empty(len(Z)), np.zeros(Z.shape[1])
    for block in blocks(len(Z)):
        size = np.abs(Z[block])
        rows[block] = size.sum(axis=1)
        columns += size.sum(axis=0)
    return rows, columns


def with_demand(ledger: Ledger, label: tuple[str, str], column: np.ndarray) -> Ledger:
    """Add a column to final demand, into the column of that label where there is one; a new one emits nothing itself."""
    labels = list(ledger.categories)
    if label in labels:
        Y = ledger.Y.copy()
        Y[:, labels.index(label)] += column
        return replace(ledger, Y=Y)
    return replace(
        ledger,
        categories=multi_index([*labels, label], ("region", "category")),
        Y=np.column_stack([ledger.Y, column]),
        direct=np.column_stack([ledger.direct, np.zeros(len(ledger.direct))]),
    )


def with_input(ledger: Ledger, name: str, row: np.ndarray) -> Ledger:
    """Add a row to the primary inputs, into the row of that name where there is one."""
    if name in ledger.inputs:
        primary = ledger.primary.copy()
        primary[ledger.inputs.index(name)] += row
        return replace(ledger, primary=primary)
    return replace(ledger, inputs=(*ledger.inputs, name), primary=np.vstack([ledger.primary, row]))


def multi_index(labels: list[tuple[str, str]], names: tuple[str, str] = ("region", "sector")) -> pd.MultiIndex:
    """Return the two-level index of these pairs."""
    return pd.MultiIndex.from_arrays([[a for a, _ in labels], [b for _, b in labels]], names=list(names))


def unique(index: pd.MultiIndex, level: int) -> tuple[str, ...]:
    """Return the labels of one level, each once, in their order of appearance."""
    return tuple(dict.fromkeys(index.get_level_values(level)))


def constant(values: np.ndarray) -> Array:
    """Return an array that is one even where it is first asked for inside `jit` or `grad`, whose tracers it would keep."""
    with jax.ensure_compile_time_eval():
        return jnp.asarray(values)
