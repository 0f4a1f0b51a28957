"""The economy as observed, and one temperature's technology: what every question about damage begins with."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import concrete, first_bad, floating, require
from quesnay._errors import InputError, SolveError
from quesnay._results import RESULTS as COMMON

from .damage import AbstractDamage, above_preindustrial, checked, one_warming
from .perron import spectral_radius
from .vulnerability import AbstractVulnerability, vulnerability_of


class RESULTS(COMMON):  # pyright: ignore[reportGeneralTypeIssues]
    """How a stress test ended at a temperature; `RESULTS[code]` is the sentence."""

    inadmissible = (
        "The damage leaves an account without a technology (gamma D at or above 1 with Productivity, at or below -1 with "
        "InputRequirement); take a smaller gamma or another damage function."
    )
    collapsed = (
        "The damaged economy cannot sustain itself (spectral radius of A(T) at or above 1); take temperatures below "
        "`collapse`, or a smaller gamma; throw=False reports nothing delivered there."
    )
    infeasible = (
        "An account would have to deliver less than nothing to final demand; take lower temperatures, a smaller gamma, or a "
        "reading that moves resources (FactorLimited, LinearProgramme); throw=False returns the values with their sign."
    )
    unsolved = (
        "The linear programme was not solved to working precision; measure the accounts in units of similar size."
    )


class Base(eqx.Module):
    """The economy as observed, and how it is damaged.

    Attributes
    ----------
    A:
        The table (n, n), as observed at the reference.
    final_demand:
        d (n,).
    labour:
        l (n,), factor per unit of output at the reference.
    output:
        x0 (n,).
    vulnerability:
        How damage enters.
    reference:
        Damage (n,) that is in the table already.
    """

    A: Float[Array, "n n"]
    final_demand: Float[Array, " n"]
    labour: Float[Array, " n"]
    output: Float[Array, " n"]
    vulnerability: AbstractVulnerability
    reference: Float[Array, " n"]

    @property
    def factor(self) -> Float[Array, ""]:
        """l'x0, what there is of the factor."""
        return self.labour @ self.output


class Climate(eqx.Module):
    """A damage function, what it does to a technology, and the damage that the table has in it, all checked together."""

    A: Float[Array, "n n"]
    damage: AbstractDamage
    vulnerability: AbstractVulnerability
    reference: Float[Array, " n"]
    radius: Float[Array, ""]


def climate(
    A: ArrayLike,
    damage: AbstractDamage,
    gamma: ArrayLike | None,
    vulnerability: AbstractVulnerability | None,
    reference: ArrayLike | None,
) -> Climate:
    """Return the checked arguments that every question takes, or raise `InputError`, or `SolveError` for a table that is not
    productive."""
    table = technology(A)
    n = table.shape[0]
    checked(damage, "Sigmoid(steepness=2.5, threshold=2.0)")
    means = vulnerability_of(gamma, vulnerability, n)
    means = jax.tree.map(lambda leaf: leaf.astype(table.dtype), means)
    if reference is None:
        there = jnp.zeros(n, table.dtype)
    else:
        at = one_warming(reference, "reference")
        there = by_account(damage(at), n).astype(table.dtype)
    require(
        lambda ok: ok,
        lambda: (
            f"gamma D is {float(np.ravel(np.abs(means.gamma * there)).max()):g} at the reference already; take a smaller gamma."
        ),
        means.admissible(there),
    )
    radius = spectral_radius(table)
    if concrete(radius) and not float(radius) < 1:
        raise SolveError(
            f"A has spectral radius {float(radius):.4g} at the reference, where it was observed, so that no finite output "
            f"meets the demand; check the columns whose inputs exceed their output."
        )
    return Climate(table, damage, means, there, radius)


def technology(A: Any) -> Array:
    """Return A as a square matrix of finite numbers of at least 0, or raise `InputError`."""
    if hasattr(A, "links"):
        raise InputError("A is a Network; give its matrix, `network.links.coefficient` of a table, or `economy.A`.")
    matrix = floating(A, "A")
    if matrix.size == 0 or matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"A has shape {matrix.shape}; give a square matrix (n, n).")

    def where(bad):
        return tuple(int(i) for i in np.argwhere(bad(np.asarray(matrix)))[0])

    require(
        np.isfinite,
        lambda: f"A has an entry that is not finite at {where(lambda v: ~np.isfinite(v))}.",
        matrix,
    )
    require(
        lambda v: v >= 0,
        lambda: f"A has a negative entry at {where(lambda v: v < 0)}; clear such entries with `economy.nonnegative()`.",
        matrix,
    )
    return matrix


def by_account(damage: Array, size: int) -> Array:
    """Return the damage at one temperature as a vector over accounts, or raise `InputError`."""
    if damage.shape not in ((), (size,)):
        raise InputError(
            f"damage at one temperature has shape {damage.shape}; it is one share, or one per account ({size},)."
        )
    return jnp.broadcast_to(damage, (size,))


def observed(setting: Climate, d: ArrayLike, labour: ArrayLike | None) -> Base:
    """Return the economy at the reference: `x0 = L d`, and l, by default value added per unit of output `1 - 1'A`."""
    A = setting.A
    n = A.shape[0]
    demand = _vector(d, "d", n, A.dtype)
    require(lambda v: v >= 0, lambda: _entry("d", demand, "final demand in currency, at least 0"), demand)
    require(
        lambda v: v.any(), "d is zero everywhere; give the final demand that the economy met at the reference.", demand
    )
    if labour is None:
        per_unit = 1 - jnp.sum(A, axis=0)
        require(
            lambda v: v >= 0,
            lambda: (
                f"value added per unit 1 - 1'A, the default for labour, is {float(per_unit[first_bad(per_unit < 0)]):.3g} at "
                f"account {first_bad(per_unit < 0)}; give labour (n,) of at least 0."
            ),
            per_unit,
        )
    else:
        per_unit = _vector(labour, "labour", n, A.dtype)
        require(lambda v: v >= 0, lambda: _entry("labour", per_unit, "labour per unit of output, at least 0"), per_unit)
    # At a spectral radius of 1 or more (which only traced code gets here with) nothing is solved for.
    productive = setting.radius < 1
    output = jnp.linalg.solve(jnp.eye(n, dtype=A.dtype) - jnp.where(productive, A, 0), demand)
    require(
        lambda total: total > 0,
        "labour is zero in every account with output, so that nothing limits the economy; give labour per unit of output.",
        per_unit @ output,
    )
    return Base(A, demand, per_unit, output, setting.vulnerability, setting.reference)


def _vector(value: ArrayLike, name: str, size: int, dtype: Any) -> Array:
    array = floating(value, name)
    if array.shape != (size,):
        raise InputError(f"{name} has shape {array.shape}; give one number per account, ({size},).")
    require(np.isfinite, lambda: f"{name} has an entry that is not finite.", array)
    return array.astype(dtype)


def _entry(name: str, values: Array, what: str) -> str:
    bad = first_bad(np.asarray(values) < 0)
    return f"{name} is {float(values[bad]):g} at account {bad}; give {what}."


def temperatures_of(value: ArrayLike, name: str = "temperatures") -> Array:
    """Return temperatures (k,), at least one and all finite, or raise `InputError`."""
    given = jnp.atleast_1d(floating(value, name))
    if given.ndim != 1 or given.size == 0:
        raise InputError(f"{name} has shape {given.shape}; give one temperature or more, (k,), in degrees C.")
    require(np.isfinite, lambda: f"{name} has an entry that is not finite.", given)
    above_preindustrial(given, name)
    return given


def name_of(result: RESULTS, k: int) -> str:
    """Return the name of the k-th code."""
    code = int(np.ravel(np.asarray(result._value))[k])  # pyright: ignore[reportAttributeAccessIssue]
    names = ("successful", "inadmissible", "collapsed", "infeasible", "unsolved", "unproductive")
    return next(name for name in names if int(getattr(RESULTS, name)._value) == code)


def sentence_of(result: RESULTS, k: int) -> str:
    """Return the sentence of the k-th code."""
    return RESULTS[jax.tree.map(lambda codes: jnp.ravel(codes)[k], result)]
