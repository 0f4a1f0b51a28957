"""Shocks as paths in time, and how they fade."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import floating, require
from quesnay._errors import InputError


class Conditions(eqx.Module):
    """What the outside world imposes on one day, as shares of the base state.

    Attributes
    ----------
    capacity:
        z (n,): productive capacity left.
    """

    capacity: Float[Array, " n"]


class AbstractShock(eqx.Module):
    """A path in time that changes the conditions of each day; shocks add up with `+`."""

    @abc.abstractmethod
    def apply(self, conditions: Conditions, day: Int[Array, ""]) -> Conditions:
        """Return the day's conditions with this shock in them."""

    @abc.abstractmethod
    def check(self, accounts: int) -> None:
        """Raise `InputError` unless the shock fits a model with this many accounts."""

    def __add__(self, other: "AbstractShock") -> "Together":
        return Together((self, other))


class Together(AbstractShock):
    """Several shocks at once; their losses add up, and a capacity never falls below zero."""

    shocks: tuple[AbstractShock, ...]

    def apply(self, conditions, day):
        for shock in self.shocks:
            conditions = shock.apply(conditions, day)
        return conditions

    def check(self, accounts):
        for shock in self.shocks:
            shock.check(accounts)


class AbstractRecovery(eqx.Module):
    """How a loss fades."""

    @abc.abstractmethod
    def remaining(self, days: Float[Array, ""]) -> Float[Array, ""]:
        """Return the share of the loss that is left `days` (>= 0) after recovery began; 1 at 0."""


class Exponential(AbstractRecovery):
    """The loss left is `exp(-lambda days)`; give `days = 1 / lambda`, the time to 37 % of the loss, or `rate = lambda`.

    Parameters
    ----------
    days:
        Time constant in days, scalar or (n,).
    rate:
        Rate per day, scalar or (n,); exactly one of the two.
    """

    rate: Float[Array, " #n"]

    def __init__(self, *, days: ArrayLike | None = None, rate: ArrayLike | None = None):
        if (days is None) == (rate is None):
            raise InputError("Exponential takes exactly one of `days` (time constant) and `rate` (per day).")
        name, given = ("days", floating(days)) if rate is None else ("rate", floating(rate))
        require(lambda v: v > 0, lambda: f"Exponential needs {name} > 0, not {np.asarray(given).min():g}.", given)
        self.rate = 1 / given if rate is None else given

    def remaining(self, days):
        return jnp.exp(-self.rate * days)


class Linear(AbstractRecovery):
    """The loss left is `max(0, 1 - t / days)`; `days`, scalar or (n,), is the time to full recovery."""

    days: Float[Array, " #n"]

    def __init__(self, *, days: ArrayLike):
        self.days = floating(days)
        require(lambda v: v > 0, lambda: f"Linear needs days > 0, not {np.asarray(days).min():g}.", self.days)

    def remaining(self, days):
        return jnp.maximum(0, 1 - days / self.days)


class Tabulated(AbstractRecovery):
    """The loss left is read off a table, straight between its points and constant after the last one.

    Parameters
    ----------
    days:
        Days since recovery began (p,), increasing, the first one 0.
    remaining:
        Share of the loss left at each (p,), in [0, 1], the first one 1.
    """

    days: Float[Array, " p"]
    share: Float[Array, " p"]

    def __init__(self, *, days: ArrayLike, remaining: ArrayLike):
        self.days, self.share = floating(days), floating(remaining)
        if self.days.ndim != 1 or self.days.shape != self.share.shape or self.days.size == 0:
            raise InputError(
                f"Tabulated needs days {self.days.shape} and remaining {self.share.shape} as vectors of one length."
            )
        require(
            lambda v: (np.diff(v) > 0).all() & (v[0] == 0),
            "Tabulated needs days that begin at 0 and increase.",
            self.days,
        )
        require(
            lambda v: ((v >= 0) & (v <= 1)).all() & (v[0] == 1),
            "Tabulated needs shares of the loss in [0, 1] that begin at 1.",
            self.share,
        )

    def remaining(self, days):
        return jnp.interp(days, self.days, self.share)


class CapacityLoss(AbstractShock):
    """A loss of capacity: `z_i(t) = 1 - delta_i f(t - start - duration)` from day `start` on; f = 1 before recovery.

    Parameters
    ----------
    loss:
        delta, the share of capacity lost, scalar or (n,), in [0, 1].
    start:
        Day of the shock, counted from 0 (row `start` of the path is the first that feels it), scalar or (n,).
    duration:
        Days that the whole loss lasts before recovery begins, scalar or (n,).
    recovery:
        How the loss fades; None: it does not.

    Raises
    ------
    InputError
        A loss outside [0, 1], a negative start or duration, or a length that does not fit the model.
    """

    loss: Float[Array, " #n"]
    start: Float[Array, " #n"]
    duration: Float[Array, " #n"]
    recovery: AbstractRecovery | None

    def __init__(
        self,
        loss: ArrayLike,
        *,
        start: ArrayLike = 0,
        duration: ArrayLike = 0,
        recovery: AbstractRecovery | None = None,
    ):
        self.loss, self.start, self.duration = (
            floating(value, name) for value, name in ((loss, "loss"), (start, "start"), (duration, "duration"))
        )
        self.recovery = recovery
        if not isinstance(recovery, AbstractRecovery | None):
            raise InputError(f"recovery is {recovery!r}; give a recovery such as Exponential(days=30), or None.")
        require(
            lambda v: (v >= 0) & (v <= 1),
            lambda: f"loss has an entry {_outside(self.loss, 0, 1):g}; it is the share of capacity lost, from 0 to 1.",
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

    def apply(self, conditions, day):
        since = day - self.start
        fades = 1.0 if self.recovery is None else self.recovery.remaining(jnp.maximum(0, since - self.duration))
        lost = jnp.where(since >= 0, self.loss * fades, 0)
        left = jnp.maximum(0, conditions.capacity - lost.astype(conditions.capacity.dtype))
        return eqx.tree_at(lambda c: c.capacity, conditions, left)

    def check(self, accounts):
        for value in (self.loss, self.start, self.duration, *_arrays(self.recovery)):
            if value.ndim > 1 or value.size not in (1, accounts):
                raise InputError(
                    f"the shock has an entry of shape {value.shape}, but the model has {accounts} accounts: "
                    f"give a number or a vector ({accounts},)."
                )


def _arrays(recovery: AbstractRecovery | None) -> list[Any]:
    match recovery:
        case Exponential(rate=rate):
            return [rate]
        case Linear(days=days):
            return [days]
        case _:
            return []


def _outside(values: Array, low: float, high: float) -> float:
    host = np.ravel(np.asarray(values))
    return float(host[~((host >= low) & (host <= high))][0])
