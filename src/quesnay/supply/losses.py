"""Losses that begin on a day, last, and fade: of capacity, productivity, labour, demand, inputs, links and capital."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int
from numpy.typing import ArrayLike

from quesnay._checks import floating, require
from quesnay._errors import InputError
from quesnay.network import Network

from .recoveries import AbstractRecovery, Concave, Convex, Exponential, Linear
from .shocks import AbstractShock


def _share_of(what: str) -> tuple[float, float, str]:
    return 0.0, 1.0, f"the share of {what} lost, from 0 to 1"


def _loss(value: ArrayLike) -> Array:
    return floating(value, "loss")


def _damage(value: ArrayLike) -> Array:
    return floating(value, "damage")


def _start(value: ArrayLike) -> Array:
    return floating(value, "start")


def _duration(value: ArrayLike) -> Array:
    return floating(value, "duration")


class AbstractLoss(AbstractShock):
    """A loss that begins on a day, lasts wholly for some days, and then fades.

    From day `start` on, the loss is `delta f(t - start - duration)` with f the recovery's share left, 1 before recovery begins.
    Without a recovery it ends at once: days `start` to `start + duration - 1` feel it; with a duration of 0 it stays for good.
    """

    RANGE: ClassVar[tuple[float, float, str]]
    loss: eqx.AbstractVar[Array]
    start: eqx.AbstractVar[Array]
    duration: eqx.AbstractVar[Array]
    recovery: eqx.AbstractVar[AbstractRecovery | None]

    def __check_init__(self):
        if not isinstance(self.recovery, AbstractRecovery | None):
            raise InputError(f"recovery is {self.recovery!r}; give a recovery such as Exponential(days=30), or None.")
        least, most, meaning = self.RANGE
        require(
            lambda v: (v >= least) & (v <= most),
            lambda: f"loss has an entry {_outside(self.loss, least, most):g}; it is {meaning}.",
            self.loss,
        )
        for name in ("start", "duration"):
            given = getattr(self, name)
            require(
                lambda v: (v >= 0) & np.isfinite(v),
                lambda v=given, n=name: (
                    f"{n} has an entry {_outside(v, 0, np.finfo(float).max):g}; it counts days from 0."
                ),
                given,
            )

    def lost(self, day: Int[Array, ""], dtype: Any) -> Array:
        """Return the loss on a day."""
        since = day - self.start
        if self.recovery is None:
            fades = jnp.where((self.duration == 0) | (since < self.duration), 1.0, 0.0)
        else:
            fades = self.recovery.remaining(jnp.maximum(0, since - self.duration))
        return jnp.where(since >= 0, self.loss * fades, 0).astype(dtype)


class CapacityLoss(AbstractLoss):
    """A loss of capacity: `z_i(t) = 1 - delta_i f(t - start - duration)`, in `cap_i = z_i k_i x_i(0)`.

    Inputs are used in proportion to output, as ever.

    Parameters
    ----------
    loss:
        delta, the share of capacity lost, scalar or (n,), in [0, 1].
    start:
        Day of the shock, counted from 0 (row `start` of the path is the first that feels it), scalar or (n,).
    duration:
        Days that the whole loss lasts before recovery begins, scalar or (n,).
    recovery:
        How the loss fades; None: it ends at once after the duration, or never where that is 0.

    Raises
    ------
    InputError
        A loss outside [0, 1], a negative start or duration, or a length that does not fit the model.
    """

    RANGE: ClassVar = _share_of("capacity")
    loss: Array = eqx.field(converter=_loss)
    start: Array = eqx.field(converter=_start, default=0.0, kw_only=True)
    duration: Array = eqx.field(converter=_duration, default=0.0, kw_only=True)
    recovery: AbstractRecovery | None = eqx.field(default=None, kw_only=True)

    def apply(self, conditions, day):
        lost = self.lost(day, conditions.capacity.dtype)
        return eqx.tree_at(lambda c: c.capacity, conditions, conditions.capacity + lost)

    def check(self, network):
        _per_account((self.loss, self.start, self.duration, *_arrays(self.recovery)), network)


class ProductivityLoss(AbstractLoss):
    """A loss of productivity: `inp_i = z_i min_p s_p` and `use_p = x_i / z_i`: the same inputs make less.

    The second reading of a productivity shock; in the first one (`CapacityLoss`) capacity is lost and inputs are as good as
    ever. With z at 0 nothing is made and nothing used.

    Parameters
    ----------
    loss, start, duration, recovery:
        As for `CapacityLoss`, with delta the share of productivity lost, in [0, 1].
    """

    RANGE: ClassVar = _share_of("productivity")
    loss: Array = eqx.field(converter=_loss)
    start: Array = eqx.field(converter=_start, default=0.0, kw_only=True)
    duration: Array = eqx.field(converter=_duration, default=0.0, kw_only=True)
    recovery: AbstractRecovery | None = eqx.field(default=None, kw_only=True)

    def apply(self, conditions, day):
        lost = self.lost(day, conditions.productivity.dtype)
        return eqx.tree_at(lambda c: c.productivity, conditions, conditions.productivity + lost)

    def check(self, network):
        _per_account((self.loss, self.start, self.duration, *_arrays(self.recovery)), network)


class LabourLoss(AbstractLoss):
    """A loss of labour supply: at most `1 - delta_i f` of an account's staff can work.

    With a labour rule in the model staff fall to that at once and are hired back slowly; without one it takes capacity in
    proportion.

    Parameters
    ----------
    loss, start, duration, recovery:
        As for `CapacityLoss`, with delta the share of staff that cannot work, in [0, 1].
    """

    RANGE: ClassVar = _share_of("staff")
    loss: Array = eqx.field(converter=_loss)
    start: Array = eqx.field(converter=_start, default=0.0, kw_only=True)
    duration: Array = eqx.field(converter=_duration, default=0.0, kw_only=True)
    recovery: AbstractRecovery | None = eqx.field(default=None, kw_only=True)

    def apply(self, conditions, day):
        lost = self.lost(day, conditions.labour.dtype)
        return eqx.tree_at(lambda c: c.labour, conditions, conditions.labour + lost)

    def check(self, network):
        _per_account((self.loss, self.start, self.duration, *_arrays(self.recovery)), network)


class DemandLoss(AbstractLoss):
    """A loss of final demand: `d_i(t) = d_i(0) max(0, 1 - delta_i f)`; a negative delta is more demand.

    Parameters
    ----------
    loss, start, duration, recovery:
        As for `CapacityLoss`, with delta the share of final demand lost, at most 1.
    """

    RANGE: ClassVar = (
        -np.finfo(float).max,
        1.0,
        "the share of final demand lost, at most 1; negative where demand grows",
    )
    loss: Array = eqx.field(converter=_loss)
    start: Array = eqx.field(converter=_start, default=0.0, kw_only=True)
    duration: Array = eqx.field(converter=_duration, default=0.0, kw_only=True)
    recovery: AbstractRecovery | None = eqx.field(default=None, kw_only=True)

    def apply(self, conditions, day):
        lost = self.lost(day, conditions.demand.dtype)
        return eqx.tree_at(lambda c: c.demand, conditions, conditions.demand - lost)

    def check(self, network):
        _per_account((self.loss, self.start, self.duration, *_arrays(self.recovery)), network)


class InputLoss(AbstractLoss):
    """A loss of inputs: of what is ordered of an input, the share `1 - delta_p f` can be delivered; the rest lapses.

    Parameters
    ----------
    loss:
        delta, an input array in [0, 1]; `network.links.of_product` and `of_customer` make one.
    start, duration, recovery:
        As for `CapacityLoss`, scalars.
    """

    RANGE: ClassVar = _share_of("an input")
    loss: Array = eqx.field(converter=_loss)
    start: Array = eqx.field(converter=_start, default=0.0, kw_only=True)
    duration: Array = eqx.field(converter=_duration, default=0.0, kw_only=True)
    recovery: AbstractRecovery | None = eqx.field(default=None, kw_only=True)

    def apply(self, conditions, day):
        lost = self.lost(day, conditions.capacity.dtype)
        total = lost if conditions.inputs is None else conditions.inputs + lost
        return eqx.tree_at(lambda c: c.inputs, conditions, total, is_leaf=lambda leaf: leaf is None)

    def check(self, network):
        _whole("the loss of inputs", self, network.links.need.shape)


class LinkLoss(AbstractLoss):
    """A closed link: of what a customer orders of one supplier, the share `1 - delta_e f` can be delivered; the rest lapses.

    Parameters
    ----------
    loss:
        delta, a link array in [0, 1]: (n, n) for a table, (E,) for a list of links.
    start, duration, recovery:
        As for `CapacityLoss`, scalars.
    """

    RANGE: ClassVar = _share_of("a link")
    loss: Array = eqx.field(converter=_loss)
    start: Array = eqx.field(converter=_start, default=0.0, kw_only=True)
    duration: Array = eqx.field(converter=_duration, default=0.0, kw_only=True)
    recovery: AbstractRecovery | None = eqx.field(default=None, kw_only=True)

    def apply(self, conditions, day):
        lost = self.lost(day, conditions.capacity.dtype)
        total = lost if conditions.links is None else conditions.links + lost
        return eqx.tree_at(lambda c: c.links, conditions, total, is_leaf=lambda leaf: leaf is None)

    def check(self, network):
        _whole("the loss of links", self, network.links.coefficient.shape)


class CapitalLoss(AbstractShock):
    """Capital destroyed on one day, to be rebuilt by the model's `Reconstruction`.

    Parameters
    ----------
    damage:
        (n,), in currency, not negative: by owner.
    start:
        Day of the event, counted from 0.
    """

    damage: Array = eqx.field(converter=_damage)
    start: Array = eqx.field(converter=_start, default=0.0, kw_only=True)

    def __check_init__(self):
        for name, value in (("damage", self.damage), ("start", self.start)):
            require(
                lambda v: (v >= 0) & np.isfinite(v),
                lambda v=value, n=name: (
                    f"{n} has an entry {_outside(v, 0, np.finfo(float).max):g}; it must not be negative."
                ),
                value,
            )

    def apply(self, conditions, day):
        hit = jnp.where(day == jnp.floor(self.start), self.damage, 0).astype(conditions.destroyed.dtype)
        return eqx.tree_at(lambda c: c.destroyed, conditions, conditions.destroyed + hit)

    def check(self, network):
        _per_account((self.damage, self.start), network)


class ByDay(AbstractShock):
    """Conditions given day by day, as observed or assumed elsewhere; the last row holds on.

    Parameters
    ----------
    capacity, labour, demand:
        Shares lost on each day (t, n) or (t, 1), row 0 is day 0; for demand a negative entry is a gain. None: nothing.
    """

    capacity: Array | None = None
    labour: Array | None = None
    demand: Array | None = None

    def __init__(
        self,
        *,
        capacity: ArrayLike | None = None,
        labour: ArrayLike | None = None,
        demand: ArrayLike | None = None,
    ):
        for name, given, least in (("capacity", capacity, 0), ("labour", labour, 0), ("demand", demand, -np.inf)):
            value = None if given is None else floating(given, name)
            if value is not None:
                if value.ndim != 2 or value.shape[0] == 0:
                    raise InputError(f"{name} has shape {value.shape}; give one row per day, (days, accounts).")
                require(
                    lambda v, least=least: (v >= least) & (v <= 1) & np.isfinite(v),
                    f"{name} has an entry outside [{least:g}, 1]; it holds the shares that are lost on each day.",
                    value,
                )
            setattr(self, name, value)

    def apply(self, conditions, day):
        def row(values):
            return values[jnp.minimum(day, values.shape[0] - 1)]

        for name, sign in (("capacity", 1), ("labour", 1), ("demand", -1)):
            values = getattr(self, name)
            if values is not None:
                now = getattr(conditions, name)
                moved = now + sign * row(values).astype(now.dtype)
                conditions = eqx.tree_at(lambda c, n=name: getattr(c, n), conditions, moved)
        return conditions

    def check(self, network):
        for name in ("capacity", "labour", "demand"):
            value = getattr(self, name)
            if value is not None and value.shape[1] not in (1, network.firms):
                raise InputError(f"{name} has {value.shape[1]} columns, but the model has {network.firms} accounts.")


def _arrays(recovery: AbstractRecovery | None) -> list[Any]:
    """Return the parameters of a recovery that may differ by account."""
    match recovery:
        case Exponential(rate=rate):
            return [rate]
        case Linear(days=days) | Convex(days=days) | Concave(days=days):
            return [days]
        case _:
            return []


def _per_account(values, network: Network) -> None:
    for value in values:
        if value.ndim > 1 or value.size not in (1, network.firms):
            raise InputError(
                f"the shock has an entry of shape {value.shape}, but the model has {network.firms} accounts: "
                f"give a number or a vector ({network.firms},)."
            )


def _whole(what: str, shock: AbstractLoss, shape: tuple[int, ...]) -> None:
    if shock.loss.ndim and shock.loss.shape != shape:
        raise InputError(f"{what} has shape {shock.loss.shape}; give a number or one share for each, {shape}.")
    if shock.start.ndim or shock.duration.ndim:
        raise InputError(
            f"{what} takes one start and one duration, not one per account; add shocks of different days with +."
        )


def _outside(values: Array, low: float, high: float) -> float:
    host = np.ravel(np.asarray(values))
    return float(host[~((host >= low) & (host <= high))][0])
