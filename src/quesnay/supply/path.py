"""The path of a supply model: what happened on each day, per account."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quesnay._checks import floating
from quesnay._errors import InputError
from quesnay._results import RESULTS

DEMAND, CAPACITY = -1, -2
"""Values of `bottleneck` other than a supplier: output met demand, or was limited by the account's own capacity."""

_MEANING = {
    "output": ("gross output", "{currency}/day"),
    "value_added": ("value added", "{currency}/day"),
    "final_consumption": ("final demand served, reconstruction included", "{currency}/day"),
    "unmet": ("final demand not served", "{currency}/day"),
    "reconstruction": ("output delivered to rebuild destroyed capital", "{currency}/day"),
    "deliveries": ("deliveries to other accounts", "{currency}/day"),
    "demand": ("orders and final demand placed, to be served on the next day", "{currency}/day"),
    "received": ("inputs received", "{currency}/day"),
    "used": ("inputs used", "{currency}/day"),
    "stock": ("stock of inputs held, all suppliers together", "{currency}"),
    "capacity": ("productive capacity", "{currency}/day"),
    "direct_loss": ("base output that own capacity is not enough for", "{currency}/day"),
    "damage": ("capital destroyed and not yet rebuilt", "{currency}"),
}


class SupplyPath(eqx.Module):
    """Flows per day and stocks at the end of the day, each (t, n): row t is day t; the base state comes before row 0.

    Attributes
    ----------
    output, value_added, final_consumption, deliveries, demand, received, used, capacity:
        Currency per day. `output = deliveries + final_consumption`; `demand` placed on day t is served on day t + 1. Inputs
        with an endless stock count in `deliveries` but not in `received`, `used` and `stock`.
    unmet:
        Final demand that was not served, reconstruction left out: it stays asked for. Currency per day.
    reconstruction:
        By builder: the part of `final_consumption` that rebuilds destroyed capital. Currency per day.
    stock:
        Currency: the inputs that an account holds, summed over its suppliers; its change is `received - used`. These three are
        None in sums over groups, which a large network affords without adding up its links every day.
    direct_loss:
        `max(0, x(0) - cap(t))` of every account: what own capacity takes from base output. Currency per day.
    damage:
        By owner: capital destroyed and not yet rebuilt, in currency.
    bottleneck:
        What limited output: the scarcest input's product (without pooling, the position of its supplier), `DEMAND` (-1) or
        `CAPACITY` (-2). None for sums over groups.
    base:
        The same quantities (n,) before the first day; None for the base itself and for differences.
    result:
        How the simulation ended.
    """

    output: Float[Array, "*t n"]
    value_added: Float[Array, "*t n"]
    final_consumption: Float[Array, "*t n"]
    unmet: Float[Array, "*t n"]
    reconstruction: Float[Array, "*t n"]
    deliveries: Float[Array, "*t n"]
    demand: Float[Array, "*t n"]
    received: Float[Array, "*t n"] | None
    used: Float[Array, "*t n"] | None
    stock: Float[Array, "*t n"] | None
    capacity: Float[Array, "*t n"]
    direct_loss: Float[Array, "*t n"]
    damage: Float[Array, "*t n"]
    bottleneck: Int[Array, "*t n"] | None
    base: "SupplyPath | None" = None
    result: RESULTS = eqx.field(default_factory=lambda: RESULTS.successful)

    def impact(self, intensity: Float[Array, " n"]) -> Float[Array, "*t n"]:
        """Return the impact `r_i x_i(t)` per day of an account with intensity r (n,), in its unit per currency."""
        intensity = floating(intensity)
        if intensity.shape != self.output.shape[-1:]:
            raise InputError(f"intensity has shape {intensity.shape}; the path has accounts {self.output.shape[-1:]}.")
        return self.output * intensity

    def difference(self, other: "SupplyPath | None" = None) -> "SupplyPath":
        """Return this path minus another one, or minus the base state; the bottlenecks stay this path's own.

        Raises
        ------
        InputError
            A difference has no base to subtract, and paths of different lengths cannot be compared.
        """
        if other is None:
            if self.base is None:
                raise InputError("this path has no base state to subtract; give the path to compare with.")
            other = _every_day(self.base)
        if other.output.shape not in (self.output.shape, _one_day(self.output.shape)):
            raise InputError(
                f"the paths have shapes {self.output.shape} and {other.output.shape}; give two of one shape."
            )
        flows, rest = eqx.partition(eqx.tree_at(lambda p: p.base, self, None, is_leaf=_none), eqx.is_inexact_array)
        others = eqx.filter(eqx.tree_at(lambda p: p.base, other, None, is_leaf=_none), eqx.is_inexact_array)
        return eqx.combine(jax.tree.map(jnp.subtract, flows, others), rest)

    def losses(self) -> "Losses":
        """Return output lost against the base state, per day: `total = direct + indirect`.

        Raises
        ------
        InputError
            The path is a difference already and has no base state.
        """
        if self.base is None:
            raise InputError("this path has no base state; take the losses of the path that `simulate` returned.")
        total = _every_day(self.base).output - self.output
        return Losses(direct=self.direct_loss, indirect=total - self.direct_loss, total=total)

    def recovery_day(self, share: float = 0.99) -> Int[Array, " n"]:
        """Return the first day from which output stays at or above a share of base output, by account (n,).

        0 where it never fell below; the number of days where the path ends before it recovers.

        Raises
        ------
        InputError
            A share that is not between 0 and 1, or a path without a base state.
        """
        if not 0 < share <= 1:
            raise InputError(
                f"share is {share}; give the share of base output that counts as recovered, above 0 and up to 1."
            )
        if self.base is None:
            raise InputError("this path has no base state; take the recovery of the path that `simulate` returned.")
        below = self.output < share * _every_day(self.base).output
        days = self.output.shape[-2]
        return jnp.max(jnp.where(below, jnp.arange(1, days + 1)[:, None], 0), axis=-2)

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        dims = ("day", "account")[2 - self.output.ndim :]
        labelled = {
            k: (dims, getattr(self, k), unit, name)
            for k, (name, unit) in _MEANING.items()
            if getattr(self, k) is not None
        }
        if self.bottleneck is None:
            return labelled
        meaning = "what limited output: position of the scarcest input's supplier, -1 demand, -2 own capacity"
        return {**labelled, "bottleneck": (dims, self.bottleneck, "1", meaning)}


class Losses(eqx.Module):
    """Output lost against the base state (t, n), in currency per day; negative where output exceeds the base.

    Attributes
    ----------
    direct:
        `max(0, x(0) - cap(t))`: what an account's own capacity takes from its base output; added up in a group.
    indirect:
        The rest: missing inputs, missing demand, and (negative) catching up.
    total:
        `x(0) - x(t)`.
    """

    direct: Float[Array, "t n"]
    indirect: Float[Array, "t n"]
    total: Float[Array, "t n"]

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        dims = ("day", "account")
        return {
            "direct": (dims, self.direct, "{currency}/day", "output lost to own capacity"),
            "indirect": (dims, self.indirect, "{currency}/day", "output lost to missing inputs and demand"),
            "total": (dims, self.total, "{currency}/day", "output lost"),
        }


def _every_day(base: SupplyPath) -> SupplyPath:
    """Give the base state a day axis of length 1, so that it goes with every day of its path, batched or not."""
    return jax.tree.map(lambda leaf: leaf[..., None, :] if eqx.is_array(leaf) and leaf.ndim else leaf, base)


def _one_day(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-2], 1, shape[-1])


def _none(leaf) -> bool:
    return leaf is None
