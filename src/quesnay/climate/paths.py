"""Paths of warming in time, and the paths of damage that follow from them, as arrays for a simulator."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike

from quesnay._checks import concrete, floating, positive, require, whole
from quesnay._errors import InputError

from .damage import AbstractDamage, above_preindustrial, checked, one_number, one_warming, outside
from .tables import between

ROUNDING = 16
"""Losses of so many units of rounding are none."""


class DamagePath(eqx.Module):
    """What a path of warming does to the productivity of n accounts, step by step.

    Attributes
    ----------
    time:
        Years (t,), row 0 is the first step.
    temperature:
        T (t,), degrees C above 1850-1900.
    damage:
        D(T) (t, n), or (t, 1) for one curve, the share of output that it takes.
    factor:
        Productivity relative to the reference (t, n).
    outside:
        Where T is outside of what the curve's source supports (t,).
    """

    time: Float[Array, " t"]
    temperature: Float[Array, " t"]
    damage: Float[Array, "t n"]
    factor: Float[Array, "t n"]
    outside: Bool[Array, " t"]

    @property
    def loss(self) -> Float[Array, "t n"]:
        """The share of productivity lost since the reference, `1 - factor`: negative where there is less damage than then.

        What is rounding counts as 0.
        """
        lost = 1 - self.factor
        rounding = jnp.where(jnp.abs(lost) <= ROUNDING * float(jnp.finfo(lost.dtype).eps), lost, 0)
        return lost - jax.lax.stop_gradient(rounding)

    def __repr__(self) -> str:
        if not concrete(self.factor) or self.factor.ndim != 2:
            return eqx.tree_pformat(self)
        (steps, columns), T, z = self.factor.shape, self.temperature, self.factor
        who = "one factor for all accounts" if columns == 1 else f"{columns:,} accounts"
        far = int(jnp.sum(self.outside))
        return (
            f"DamagePath of {steps:,} steps from {float(self.time[0]):.6g} to {float(self.time[-1]):.6g}, {who}: warming "
            f"{float(T[0]):.4g} to {float(T[-1]):.4g} degrees C, lowest productivity {float(z[0].min()):.4g} to "
            f"{float(z[-1].min()):.4g} of the reference's"
            + (f"; {far:,} steps outside of the damage function's domain" if far else "")
        )

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        return {
            "temperature": (("day",), self.temperature, "degree_Celsius", "warming above 1850-1900"),
            "damage": (*_narrow(self.damage), "1", "share of output taken by the damage function"),
            "factor": (*_narrow(self.factor), "1", "productivity relative to the reference"),
            "outside": (("day",), self.outside, "1", "outside of what the source of the curve supports"),
        }


def _narrow(values: Array) -> tuple[tuple[str, ...], Array]:
    """Return dims and values, without the axis of accounts where all have the same."""
    return (("day",), values[:, 0]) if values.shape[1] == 1 else (("day", "account"), values)


def damage_path(
    damage: AbstractDamage,
    years: ArrayLike,
    temperatures: ArrayLike,
    *,
    gamma: ArrayLike = 1.0,
    reference: ArrayLike | None = None,
    start: float | None = None,
    steps: int,
    steps_per_year: float = 365.0,
) -> DamagePath:
    """Return the productivity of every account along a path of warming: `z_j(t) = (1 - gamma_j D(T(t))) / (1 - gamma_j D_ref)`.

    The warming of a year holds at its beginning and moves in a straight line to that of the next year given. `1 - z` is a
    loss of capacity for the supply simulator: `q.ByDay(capacity=path.loss)`.

    Parameters
    ----------
    damage:
        A damage function; `ByAccount` where the accounts have their own.
    years:
        (k,), k >= 2, in rising order; they need not be whole or evenly spaced.
    temperatures:
        T at those years (k,), degrees C above 1850-1900.
    gamma:
        Vulnerability of each account, at least 0, a number or (n,), 1 by default: the share of productivity lost per share of
        damage.
    reference:
        T at which productivity is 1; None for no damage at all (D_ref = 0).
    start:
        The year of the first step; the first of `years` by default. Every step has to lie between the first and the last.
    steps:
        The number of steps.
    steps_per_year:
        Steps per year: 365 for days, 12 for months.

    Returns
    -------
    The path; `factor` is (t, 1) where gamma is a number and there is one curve.

    Raises
    ------
    InputError
        Years that do not rise, shapes that do not fit, a number that is not finite, kelvin, a step outside of the years, a
        negative gamma, steps per year that are not above 0, or damage that leaves an account no productivity at all.
    """
    checked(damage)
    t, T, g = floating(years, "years"), floating(temperatures, "temperatures"), floating(gamma, "gamma")
    if t.ndim != 1 or t.size < 2 or T.shape != t.shape:
        raise InputError(
            f"years has shape {t.shape} and temperatures {T.shape}; give at least two years, and one warming for each."
        )
    if g.ndim > 1:
        raise InputError(f"gamma has shape {g.shape}; give a number, or one per account.")
    for name, value in (("years", t), ("temperatures", T), ("gamma", g)):
        require(np.isfinite, f"{name} has an entry that is not finite; give numbers.", value)
    require(lambda v: np.diff(v) > 0, "years do not rise; sort them, each once.", t)
    require(lambda v: v >= 0, lambda: f"gamma has an entry {np.min(np.asarray(g)):g}; give at least 0.", g)
    whole(steps, "steps", "number of steps")
    steps_per_year = positive(steps_per_year, "steps_per_year")
    first = t[0] if start is None else one_number(start, "start", "the year of the first step")
    before = None if reference is None else one_warming(reference, "reference")
    above_preindustrial(T, "temperatures")
    time = first.astype(t.dtype) + jnp.arange(steps, dtype=t.dtype) / steps_per_year
    require(
        lambda at, given: (at[0] >= given[0]) & (at[-1] <= given[-1]),
        lambda: (
            f"the {steps:,} steps run from {float(time[0]):g} to {float(time[-1]):g}, but the warming is given from "
            f"{float(t[0]):g} to {float(t[-1]):g}; give the years around them, or take fewer steps."
        ),
        time,
        t,
    )
    warming = between(time, t, T)
    lost = damage(warming)
    lost = lost[:, None] if lost.ndim == 1 else lost
    then = jnp.zeros((), lost.dtype) if before is None else damage(before)
    if g.ndim and lost.shape[1] not in (1, g.size):
        raise InputError(f"gamma has {g.size} entries and damage {lost.shape[1]} curves; give one of each per account.")
    kept, base = 1 - jnp.atleast_1d(g) * lost, 1 - jnp.atleast_1d(g) * then
    require(
        lambda now, then: np.all(now > 0) & np.all(then > 0),
        lambda: (
            f"gamma D(T) reaches {float(jnp.maximum(jnp.max(1 - kept), jnp.max(1 - base))):g}, which leaves an account no "
            f"productivity; lower gamma, or take another damage function."
        ),
        kept,
        base,
    )
    return DamagePath(time, warming, lost, kept / base, outside(damage, warming))
