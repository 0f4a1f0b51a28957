"""The balancing problem and its dual: one convex function whose minimum scales the table."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Sums(NamedTuple):
    """A number for each row, each column and each block of a table: its sums, their targets, or their multipliers."""

    row: Float[Array, " n"]
    column: Float[Array, " m"]
    block: Float[Array, " blocks"]


class Wanted(NamedTuple):
    """Which sums of one kind there are targets for."""

    row: Bool[Array, " n"]
    column: Bool[Array, " m"]
    block: Bool[Array, " blocks"]


class Problem(eqx.Module):
    """The table nearest to a prior `Z0 = P - N` whose rows, columns and blocks have given sums.

    Nearest by the divergence of RAS and GRAS, each cell weighed by 1/k:
    `sum_ij (1/k_ij) (P_ij h(p_ij) + N_ij h(q_ij))`, `h(t) = t log t - t + 1`, for `z = P p - N q`, `q = 1/p`, plus
    `(sum - target)^2 / (2 variance)` for targets that are not exact. Its dual is smooth and convex, with one multiplier
    for each target: where `s` is the sum of the three that a cell takes part in,
    `z(s) = P e^(k s) - N e^(-k s)`, with s held between `lowest` and `highest` where the cell has bounds.

    Attributes
    ----------
    positive, negative:
        P and N (n, m), both >= 0; negative is None where no cell is.
    elasticity:
        k (n, m), or None for 1.
    lowest, highest:
        Bounds of s (n, m), or None for none.
    target, variance:
        Wanted sums in currency, and their variances, 0 where they are exact.
    wanted:
        Which targets there are.
    label:
        Block of each cell (n, m), as many as there are blocks for none; None without blocks.
    """

    positive: Float[Array, "n m"]
    negative: Float[Array, "n m"] | None
    elasticity: Float[Array, "n m"] | None
    lowest: Float[Array, "n m"] | None
    highest: Float[Array, "n m"] | None
    target: Sums
    variance: Sums
    wanted: Wanted
    label: Int[Array, "n m"] | None

    @property
    def blocks(self) -> int:
        return self.target.block.shape[0]

    @property
    def bounded(self) -> bool:
        return self.lowest is not None

    @property
    def scales(self) -> bool:
        """Whether alternating scaling solves the problem: exact targets, cells free and of one elasticity."""
        return self.elasticity is None and not self.bounded

    def spread(self, multipliers: Sums) -> Float[Array, "n m"]:
        """Return the sum `s` (n, m) of the multipliers of each cell."""
        s = multipliers.row[:, None] + multipliers.column
        return s if self.label is None else s + jnp.append(multipliers.block, 0)[self.label]

    def cells(self, multipliers: Sums) -> Float[Array, "n m"]:
        """Return the table `z(s)`."""
        plus, minus = self._grown(multipliers)
        return plus if minus is None else plus - minus

    def slopes(self, multipliers: Sums) -> Float[Array, "n m"]:
        """Return `dz/ds` (n, m), 0 for cells at a bound."""
        plus, minus = self._grown(multipliers)
        slope = plus if minus is None else plus + minus
        if self.elasticity is not None:
            slope = slope * self.elasticity
        if self.lowest is None or self.highest is None:
            return slope
        s = self.spread(multipliers)
        return jnp.where((s > self.lowest) & (s < self.highest), slope, 0)

    def sums(self, z: Float[Array, "n m"]) -> Sums:
        """Return the sums of a table's rows, columns and blocks."""
        if self.label is None:
            return Sums(z.sum(1), z.sum(0), jnp.zeros(0, z.dtype))
        by_block = jax.ops.segment_sum(z.ravel(), self.label.ravel(), self.blocks + 1)[:-1]
        return Sums(z.sum(1), z.sum(0), by_block)

    def remainder(self, multipliers: Sums) -> Sums:
        """Return the gradient of the dual: `sum - target + variance multiplier`, 0 where there is no target."""
        return jax.tree.map(
            lambda there, got, wanted, variance, m: jnp.where(there, got - wanted + variance * m, 0),
            *(Sums(*self.wanted), self.sums(self.cells(multipliers)), self.target, self.variance, multipliers),
        )

    def error(self, multipliers: Sums) -> Float[Array, ""]:
        """Return the largest remainder, relative to the gross flows (sums of absolute values) of its row, column or block."""
        plus, minus = self._grown(multipliers)
        gross = self.sums(plus if minus is None else plus + minus)
        return largest_ratio(
            self.remainder(multipliers), jax.tree.map(lambda g, t: jnp.maximum(g, jnp.abs(t)), gross, self.target)
        )

    def dual(self, multipliers: Sums) -> Float[Array, ""]:
        """Return the dual function: `sum_ij int_0^s z ds - sum (target l - variance l^2 / 2)`."""
        s = self.spread(multipliers)
        held = self._held(s)
        k = jnp.ones_like(s) if self.elasticity is None else self.elasticity
        area = self.positive * _growth(k, held)
        if self.negative is not None:
            area = area - self.negative * _growth(k, -held)
        flat = self.cells(multipliers) * (s - held)
        priced = jax.tree.map(
            lambda there, wanted, variance, m: jnp.sum(jnp.where(there, wanted * m - variance * m**2 / 2, 0)),
            *(Sums(*self.wanted), self.target, self.variance, multipliers),
        )
        return jnp.sum(area + flat) - sum(priced)

    def _held(self, s: Float[Array, "n m"]) -> Float[Array, "n m"]:
        return jnp.clip(s, self.lowest, self.highest) if self.bounded else s

    def _grown(self, multipliers: Sums) -> tuple[Float[Array, "n m"], Float[Array, "n m"] | None]:
        """Return the positive and the negative part of the cells."""
        if self.scales:  # a factor for each row, column and block: no exponential for each cell
            row, column, block = jax.tree.map(jnp.exp, multipliers)
            factor = row[:, None] * column
            factor = factor if self.label is None else factor * jnp.append(block, 1)[self.label]
        else:
            s = self._held(self.spread(multipliers))
            factor = jnp.exp(s if self.elasticity is None else self.elasticity * s)
        return self.positive * factor, None if self.negative is None else self.negative / factor


def largest_ratio(values: Sums, scales: Sums) -> Float[Array, ""]:
    """Return the largest `|value| / scale`; 0 where the scale is 0 and so is the value."""

    def one(value, scale):
        none = scale == 0
        return jnp.max(jnp.where(none & (value == 0), 0, jnp.abs(value) / jnp.where(none, 1, scale)), initial=0)

    return jnp.max(jnp.stack(jax.tree.leaves(jax.tree.map(one, values, scales))))


def _growth(k: Float[Array, "n m"], s: Float[Array, "n m"]) -> Float[Array, "n m"]:
    """Return `(e^(k s) - 1) / k`, which is s at k = 0."""
    still = k == 0
    return jnp.where(still, s, jnp.expm1(k * s) / jnp.where(still, 1, k))
