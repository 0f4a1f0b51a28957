"""What money does: to the vulnerability of accounts, and to warming."""

import abc
import math
from collections.abc import Callable
from numbers import Real

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import floating, positive, require
from quesnay._errors import InputError


def _above_zero(name: str) -> Callable[[ArrayLike], Array]:
    def convert(value: ArrayLike) -> Array:
        array = floating(value, name)
        if array.ndim > 1:
            raise InputError(f"{name} has shape {array.shape}; give one number, or one per account (n,).")
        require(lambda v: (v > 0) & np.isfinite(v), f"{name} has an entry that is not a number above 0.", array)
        return array

    return convert


class AbstractMeasure(eqx.Module):
    """What spending b_j (n,), in currency, does to the vulnerability of account j."""

    @abc.abstractmethod
    def reduced(self, gamma: Float[Array, " n"], spending: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return gamma after spending."""

    @abc.abstractmethod
    def most(self, gamma: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return the most that can be spent in each account."""


class Diminishing(AbstractMeasure):
    """Every further unit of money does less: `gamma_j exp(-e_j b_j)`.

    Parameters
    ----------
    effect:
        e, scalar or (n,), per unit of currency, above 0: the share of gamma that the first unit removes.
    """

    effect: Float[Array, " #n"] = eqx.field(converter=_above_zero("effect"))

    def reduced(self, gamma, spending):
        return gamma * jnp.exp(-self.effect.astype(gamma.dtype) * spending)

    def most(self, gamma):
        # Beyond that, what is left of gamma is below the rounding of what there was.
        rounding = float(jnp.finfo(gamma.dtype).eps)
        return jnp.broadcast_to(-math.log(rounding) / self.effect.astype(gamma.dtype), gamma.shape)


class Proportional(AbstractMeasure):
    """Every unit of money does the same, up to a limit: `gamma_j - b_j / c_j`, at least `floor gamma_j`.

    Parameters
    ----------
    cost:
        c, scalar or (n,), currency per unit of gamma removed, above 0.
    floor:
        Share of gamma that stays whatever is spent, from 0 to 1.
    """

    cost: Float[Array, " #n"] = eqx.field(converter=_above_zero("cost"))
    floor: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        if not isinstance(self.floor, Real) or isinstance(self.floor, bool) or not 0 <= self.floor <= 1:
            raise InputError(f"floor is {self.floor!r}; give the share of gamma that stays, from 0 to 1.")

    def reduced(self, gamma, spending):
        return gamma - spending / self.cost.astype(gamma.dtype)

    def most(self, gamma):
        return self.cost.astype(gamma.dtype) * gamma * (1 - self.floor)


class Mitigation(eqx.Module):
    """Less warming: `Delta` degrees cost `cost Delta^exponent`.

    Parameters
    ----------
    cost:
        Currency for the first degree, above 0.
    exponent:
        At least 1; 2 makes the marginal cost rise in proportion.
    most:
        The most degrees that can be had; inf for all of the warming, down to the temperatures of 1850-1900.

    Raises
    ------
    InputError
        A number outside of these.
    """

    cost: float = eqx.field(static=True)
    exponent: float = eqx.field(static=True)
    most: float = eqx.field(static=True)

    def __init__(self, cost: float, *, exponent: float = 2.0, most: float = math.inf):
        self.cost, self.exponent = positive(cost, "cost"), positive(exponent, "exponent")
        self.most = math.inf if most == math.inf else positive(most, "most")
        if self.exponent < 1:
            raise InputError(f"exponent is {self.exponent:g}; give a number of at least 1.")
