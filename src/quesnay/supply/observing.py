"""What is kept of each day: sums over groups of accounts, so that the path of a large network fits into memory."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import integers, require, whole
from quesnay._errors import InputError

from .path import SupplyPath

LEFT_OUT = ("received", "used", "stock", "bottleneck")
"""What sums over groups leave out: it would take another pass over all links on every day."""


class ByGroup(eqx.Module):
    """Keep the sums of flows over groups of accounts."""

    groups: Int[Array, " n"]
    count: int = eqx.field(static=True)
    forward_mode: bool = eqx.field(static=True, default=False)

    def __call__(self, seen: SupplyPath) -> SupplyPath:
        """Return the day's observation by group, each field (count,)."""
        fields: dict[str, Any] = {
            f.name: getattr(seen, f.name) for f in dataclasses.fields(seen) if f.name not in ("base", "result")
        }
        kept: dict[str, Any] = {k: None if k in LEFT_OUT else self.total(v) for k, v in fields.items()}
        return SupplyPath(**kept)

    def total(self, values: Float[Array, " n"]) -> Float[Array, " count"]:
        """Return the sums of a vector over the groups."""
        if values.shape != self.groups.shape:
            raise InputError(
                f"groups has shape {self.groups.shape}, but the model has {values.size} accounts: give one group for each."
            )
        return jax.ops.segment_sum(values, self.groups, self.count)


def by_group(groups: ArrayLike, count: int, *, forward_mode: bool = False) -> ByGroup:
    """Return an observation that keeps the sums of flows over groups of accounts: `path.output` is (steps, count).

    A list of links with the default rules then runs on an engine with an adjoint of its own, in little memory. `received`,
    `used`, `stock` and `bottleneck` are left out of the path (None).

    Parameters
    ----------
    groups:
        The group of each account (n,), integers from 0 to count - 1: a region, a sector, or a pair of them.
    count:
        Number of groups.
    forward_mode:
        Take the plain path, through which `jax.jvp` and `jax.jacfwd` go; the engine knows `jax.grad` and `jax.vmap` only.

    Raises
    ------
    InputError
        Groups that are not integers from 0 to count - 1.
    """
    size = whole(count, "count", "number of groups")
    what = f"one integer from 0 to {size - 1} per account, the number of its group, as pandas.factorize makes them"
    values = jnp.asarray(integers(groups, "groups", what))
    if values.ndim != 1:
        raise InputError(f"groups has shape {values.shape}; give {what}.")
    require(
        lambda v: (v >= 0) & (v < size),
        f"groups has an entry outside 0 to {size - 1}; give each account's group.",
        values,
    )
    return ByGroup(values, size, bool(forward_mode))
