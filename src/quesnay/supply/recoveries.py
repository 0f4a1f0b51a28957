"""Recoveries: how a loss fades."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import floating, require
from quesnay._errors import InputError


class AbstractRecovery(eqx.Module):
    """How a loss fades."""

    @abc.abstractmethod
    def remaining(self, days: Float[Array, " #n"]) -> Float[Array, " #n"]:
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
        self.days = _duration("Linear", days)

    def remaining(self, days):
        return jnp.maximum(0, 1 - days / self.days)


class Convex(AbstractRecovery):
    """Fast at first, as rebuilding a fixed share of what is left each day: the loss left is `(1 - 1 / days)^t`.

    Parameters
    ----------
    days:
        Time constant in days, scalar or (n,), above 1; after it 37 % of the loss is left.

    References
    ----------
    BoARIO's convex recovery.
    """

    days: Float[Array, " #n"]

    def __init__(self, *, days: ArrayLike):
        self.days = _duration("Convex", days, above=1)

    def remaining(self, days):
        return (1 - 1 / self.days) ** days


class Concave(AbstractRecovery):
    """Slow at first: the loss left is `1 / (1 + (2 t / days)^p)`, half of it at `days / 2` and the share `left` at `days`.

    Parameters
    ----------
    days:
        Time in days, scalar or (n,), after which the share `left` of the loss remains.
    left:
        That share, between 0 and 0.5; the exponent is `p = log2(1 / left - 1)`.

    References
    ----------
    The form (a Hill function) of BoARIO's concave recovery, whose exponent depends on the time unit; here it does not.
    """

    days: Float[Array, " #n"]
    left: Float[Array, ""]

    def __init__(self, *, days: ArrayLike, left: ArrayLike = 0.05):
        self.days, self.left = _duration("Concave", days), floating(left, "left")
        if self.left.ndim:
            raise InputError(f"left has shape {self.left.shape}; give one share between 0 and 0.5.")
        require(
            lambda v: (v > 0) & (v < 0.5), lambda: f"left is {self.left}; give a share between 0 and 0.5.", self.left
        )

    def remaining(self, days):
        exponent = jnp.log2(1 / self.left - 1)
        begun = days > 0
        # A power at 0 has no derivative with respect to its exponent: both branches of a `where` are differentiated.
        return jnp.where(begun, 1 / (1 + (jnp.where(begun, 2 * days / self.days, 1)) ** exponent), 1.0)


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


class Custom(AbstractRecovery):
    """The loss left is any function of the days since recovery began; results outside [0, 1] are cut to it.

    Parameters
    ----------
    function:
        Takes days (scalar or (n,)) to the share left, written in `jax.numpy`; an `equinox.Module` where it has parameters to
        differentiate.
    """

    function: Callable[[Float[Array, " #n"]], Float[Array, " #n"]]

    def __init__(self, function: Callable[[Float[Array, " #n"]], Float[Array, " #n"]]):
        if not callable(function):
            raise InputError(f"Custom needs a function of the days since recovery began, not {function!r}.")
        self.function = function

    def remaining(self, days):
        return jnp.clip(self.function(days), 0, 1)


def _duration(name: str, days: ArrayLike, *, above: float = 0) -> Array:
    value = floating(days, "days")
    require(lambda v: v > above, lambda: f"{name} needs days > {above}, not {np.asarray(value).min():g}.", value)
    return value
