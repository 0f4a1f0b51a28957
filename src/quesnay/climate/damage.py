"""Damage functions: which share of output a warming takes, by assumed curves; `published` has those of the literature."""

import abc
import dataclasses
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike

from quesnay._checks import concrete, floating, instance, require
from quesnay._errors import InputError

RETRACTED = (
    "it rests on Kotz, Levermann and Wenz (2024), The economic commitment of climate change, which Nature retracted on "
    "3 December 2025."
)


class AbstractDamage(eqx.Module):
    """A damage function: the share D(T) of output that a warming of T degrees C above 1850-1900 takes.

    A curve of one's own needs `source`, `year`, `domain` and `__call__`.

    Attributes
    ----------
    source:
        Where the curve is from, a full citation; give one's own with parameters of one's own.
    year:
        When that was published; None for an assumption.
    covariance:
        Published covariances of the parameters by the name of their field, where the source has them.
    """

    source: eqx.AbstractVar[str]
    year: eqx.AbstractVar[int | None]
    covariance: ClassVar[Mapping[str, np.ndarray]] = {}

    @property
    @abc.abstractmethod
    def domain(self) -> tuple[Any, Any]:
        """The lowest and the highest T for which the source supports the curve; it is computed beyond, see `outside`."""

    @property
    def warning(self) -> str:
        """What a reader of results has to know about the source; empty where there is nothing."""
        return RETRACTED if retracted(_cite(self)) else ""

    @abc.abstractmethod
    def __call__(self, temperature: ArrayLike) -> Float[Array, "..."]:
        """Return D(T), shaped like T; negative where warming is a gain."""

    def __repr__(self) -> str:
        given = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        numbers = ", ".join(f"{k}={said(v)}" for k, v in given.items() if not isinstance(v, str | tuple | None))
        caution = f" Warning: {self.warning}" if self.warning else ""
        return f"{type(self).__name__}({numbers}): {self.source}{caution}"


def outside(damage: AbstractDamage, temperature: ArrayLike) -> Bool[Array, "..."]:
    """Say where a temperature is outside of what the curve's source supports: `T < lowest` or `T > highest`.

    Parameters
    ----------
    damage:
        A damage function.
    temperature:
        T, degrees C above 1850-1900, any shape.

    Raises
    ------
    InputError
        damage is no damage function, or temperature is not numbers.
    """
    checked(damage)
    T = floating(temperature, "temperature")
    lowest, highest = damage.domain
    return (lowest > T) | (highest < T)


def slopes(damage: AbstractDamage, temperature: ArrayLike) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Return dD/dT from the left and from the right; they differ at the kinks of a curve, such as the knots of a table.

    They are the exact derivatives just beside T, 64 units of rounding away, so that those of a smooth curve agree to rounding.

    Parameters
    ----------
    damage:
        A damage function.
    temperature:
        T, degrees C above 1850-1900, any shape.

    Returns
    -------
    The slopes from the left and from the right, per degree C, each shaped like T.

    Raises
    ------
    InputError
        damage is no damage function, or temperature is not numbers.
    """
    checked(damage)
    T = floating(temperature, "temperature")
    return tuple(jax.jvp(damage, (beside(T, side),), (jnp.ones_like(T),))[1] for side in (-1, 1))  # pyright: ignore[reportReturnType]


def beside(x: Float[Array, "..."], side: int) -> Float[Array, "..."]:
    """Return a number next to x, on the left for -1 and on the right for 1: 64 units of rounding away, of 1 or of x."""
    # One unit would be lost in a curve that adds to x, such as a country's own temperature.
    return x + side * 64 * jnp.finfo(x.dtype).eps * jnp.maximum(1, jnp.abs(x))


class Sigmoid(AbstractDamage):
    """A logistic step at a threshold: `D(T) = 1 / (1 + exp(-s (T - T_thresh)))`. It is an assumption, fitted to no data.

    Parameters
    ----------
    steepness:
        s > 0, per degree C.
    threshold:
        T_thresh, degrees C above 1850-1900, where D = 1/2.

    Raises
    ------
    InputError
        A steepness that is not positive, or a number that is not finite.
    """

    steepness: Float[Array, ""] = eqx.field(converter=lambda v: floating(v, "steepness"), default=2.5)
    threshold: Float[Array, ""] = eqx.field(converter=lambda v: floating(v, "threshold"), default=2.0)
    source: str = eqx.field(static=True, default="an assumption for stress tests, fitted to no data", kw_only=True)
    year: int | None = eqx.field(static=True, default=None, kw_only=True)

    def __check_init__(self):
        settled(self)
        above(self, 0, "steepness")

    @property
    def domain(self):
        """Every temperature: there is no source to leave."""
        return -np.inf, np.inf

    def __call__(self, temperature):
        return jax.nn.sigmoid(self.steepness * (floating(temperature, "temperature") - self.threshold))


class Polynomial(AbstractDamage):
    """A curve with coefficients of one's own: `D(T) = a_1 T + a_2 T^2 + ...`.

    Parameters
    ----------
    coefficients:
        a_1, a_2, ... (k,), shares of output per degree C, per degree C squared, and so on.
    valid:
        The lowest and the highest temperature that they hold for, degrees C above 1850-1900.
    source, year:
        Where the coefficients are from, and when they were published; None for an assumption.

    Raises
    ------
    InputError
        No coefficients, or one that is not finite; an empty source; `valid` that is not two numbers in rising order.
    """

    coefficients: Float[Array, " k"] = eqx.field(converter=lambda v: floating(v, "coefficients"))
    valid: tuple[float, float] = eqx.field(static=True, kw_only=True)
    source: str = eqx.field(static=True, kw_only=True)
    year: int | None = eqx.field(static=True, kw_only=True)

    def __check_init__(self):
        if self.coefficients.size == 0:
            raise InputError("coefficients is empty; give a_1, a_2 and so on.")
        settled(self, coefficients=self.coefficients.size)
        cited(self.source, self.year)
        ends = self.valid if isinstance(self.valid, tuple) else ()
        if len(ends) != 2 or not all(isinstance(end, Real) for end in ends) or not ends[0] < ends[1]:
            raise InputError(
                f"valid is {self.valid!r}; give the lowest and the highest temperature, such as (0.0, 4.0)."
            )

    @property
    def domain(self):
        """The temperatures that the coefficients hold for."""
        return self.valid

    def __call__(self, temperature):
        T = floating(temperature, "temperature")
        value = jnp.zeros_like(T)
        for k in reversed(range(self.coefficients.size)):
            value = (value + self.coefficients[k]) * T
        return value


class ByAccount(AbstractDamage):
    """A damage function per account: `D(T)` is (..., n), with the curve of account j in column j.

    `stress` and `damage_path` take it in place of one curve for all. Its domain is where those of all curves overlap.

    Parameters
    ----------
    curves:
        n damage functions, in the order of the accounts.

    Raises
    ------
    InputError
        No curves, or one that is no damage function.
    """

    curves: tuple[AbstractDamage, ...]
    source: str = eqx.field(static=True)
    year: int | None = eqx.field(static=True)

    def __init__(self, curves: Iterable[AbstractDamage]):
        if not isinstance(curves, Iterable):
            raise InputError(f"curves is {type(curves).__name__}; give a damage function for every account, in a list.")
        self.curves = tuple(curves)
        if not self.curves:
            raise InputError("curves is empty; give a damage function for every account.")
        for j, curve in enumerate(self.curves):
            instance(curve, AbstractDamage, f"the curve of account {j}", "a damage function such as DICE2023()")
        years = [curve.year for curve in self.curves if curve.year is not None]
        self.source = "; ".join(dict.fromkeys(_cite(curve) for curve in self.curves))
        self.year = max(years, default=None)

    @property
    def domain(self):
        """From the highest of the lowest temperatures to the lowest of the highest ones."""
        ends = [curve.domain for curve in self.curves]
        return jnp.stack([jnp.asarray(a) for a, _ in ends]).max(), jnp.stack([jnp.asarray(b) for _, b in ends]).min()

    def __call__(self, temperature):
        return jnp.stack([curve(temperature) for curve in self.curves], axis=-1)


KELVIN = 150
"""Degrees C that no warming reaches; such numbers are temperatures in kelvin."""


def above_preindustrial(temperatures: Array, name: str) -> None:
    """Raise `InputError` for temperatures that are no warming but kelvin."""
    require(
        lambda v: v < KELVIN,
        lambda: (
            f"{name} has {float(jnp.max(temperatures)):g}, as if in kelvin; give degrees C of warming above 1850-1900."
        ),
        temperatures,
    )


def one_number(value: ArrayLike, name: str, what: str) -> Array:
    """Return a finite number, or raise `InputError` with what should be given."""
    array = floating(value, name)
    if array.ndim:
        raise InputError(f"{name} has shape {array.shape}; give one number, {what}.")
    require(np.isfinite, lambda: f"{name} is {array}; give {what}.", array)
    return array


def one_warming(value: ArrayLike, name: str) -> Array:
    """Return one temperature, degrees C above 1850-1900, or raise `InputError`."""
    array = one_number(value, name, "a temperature in degrees C")
    above_preindustrial(array, name)
    return array


def _cite(curve: AbstractDamage) -> str:
    year = curve.year
    return curve.source if year is None or str(year) in curve.source else f"{curve.source} ({year})"


def retracted(text: str) -> bool:
    """Say whether a text names Kotz, Levermann and Wenz (2024); sources in it are apart by semicolons."""
    parts = text.casefold().split(";")
    return any(("kotz" in part and "2024" in part) or "economic commitment of climate change" in part for part in parts)


def cited(source: Any, year: Any) -> None:
    """Raise `InputError` unless there are a source and a year (or None, for an assumption)."""
    if not isinstance(source, str) or not source.strip():
        raise InputError(f"source is {source!r}; say where the curve is from, as in a list of references.")
    if not (year is None or (isinstance(year, int) and not isinstance(year, bool))):
        raise InputError(f"year is {year!r}; give the year of publication, or None for an assumption.")


def checked(damage: Any, example: str = "DICE2023()") -> None:
    """Raise `InputError` unless it is a damage function."""
    own = ""
    if callable(damage) and not isinstance(damage, AbstractDamage | type):
        own = (
            "; a curve of your own is Tabulated(temperature, loss, source=, year=), or a class derived from "
            "climate.AbstractDamage with source, year, domain and __call__"
        )
    instance(damage, AbstractDamage, "damage", f"a damage function such as {example}{own}")


def settled(damage: AbstractDamage, **size: int) -> None:
    """Raise `InputError` unless the parameters are finite and scalars, or vectors of the named size."""
    for field in dataclasses.fields(damage):
        value, name = getattr(damage, field.name), field.name
        if eqx.is_array(value):
            shape = (size[name],) if name in size else ()
            if value.shape != shape:
                wanted = f"{size[name]} of them" if name in size else "one number"
                raise InputError(f"{name} has shape {value.shape}; give {wanted}.")
            require(np.isfinite, f"{name} is {said(value)}; give finite numbers.", value)


def above(damage: AbstractDamage, least: float, *names: str) -> None:
    """Raise `InputError` unless the named parameters are larger than the least."""
    for name in names:
        value = getattr(damage, name)
        require(lambda v: v > least, f"{name} is {said(value)}; give a number above {least:g}.", value)


def said(value: Any) -> str:
    """Return a parameter in words."""
    if not eqx.is_array(value):
        return str(value)
    if not concrete(value):
        return "traced"
    host = np.asarray(value)
    if host.size > 4:
        return f"{host.size} numbers"
    return f"{host:g}" if host.ndim == 0 else "[" + ", ".join(f"{v:g}" for v in host.ravel()) + "]"
