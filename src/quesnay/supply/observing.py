"""What is kept of each day: sums over groups of accounts, so that the path of a large network fits into memory."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int
from numpy.typing import ArrayLike

from quesnay._checks import require, whole
from quesnay._errors import InputError

from .path import SupplyPath


class ByGroup(eqx.Module):
    """Keep the sums of every flow and stock over groups of accounts; which input was scarcest is not kept."""

    groups: Int[Array, " n"]
    count: int = eqx.field(static=True)

    def __call__(self, seen: SupplyPath) -> SupplyPath:
        """Return the day's observation by group, each field (count,)."""
        if seen.output.shape != self.groups.shape:
            raise InputError(
                f"groups has shape {self.groups.shape}, but the model has {seen.output.size} accounts: one group for each."
            )
        sums = {
            field.name: jax.ops.segment_sum(value, self.groups, self.count)
            for field in dataclasses.fields(seen)
            if isinstance(value := getattr(seen, field.name), jax.Array) and field.name != "bottleneck"
        }
        return SupplyPath(**sums, bottleneck=None)


def by_group(groups: ArrayLike, count: int) -> ByGroup:
    """Return an observation that keeps, of every flow and stock, the sums over groups of accounts.

    Parameters
    ----------
    groups:
        The group of each account (n,), integers from 0 to count - 1: a region, a sector, or a pair of them.
    count:
        Number of groups.

    Raises
    ------
    InputError
        Groups that are not integers from 0 to count - 1.
    """
    size = whole(count, "count", "number of groups")
    values = jnp.asarray(groups) if isinstance(groups, jax.Array) else jnp.asarray(np.asarray(groups))
    if values.ndim != 1 or not jnp.issubdtype(values.dtype, jnp.integer):
        raise InputError(f"groups has shape {values.shape} and type {values.dtype}; give one integer per account.")
    require(
        lambda v: (v >= 0) & (v < size),
        f"groups has an entry outside 0 to {size - 1}; give the group of each account.",
        values,
    )
    return ByGroup(values, size)
