"""Whole inverses, and the checks of arguments that the analyses of them share."""

from collections.abc import Hashable, Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import concrete, floating, require
from quesnay._errors import InputError
from quesnay.equilibrium.solution import solve
from quesnay.equilibrium.solvers import AbstractLinearSolver
from quesnay.equilibrium.system import AbstractLinearSystem


def precision(*values: Any) -> jnp.dtype:
    """Return the highest floating-point type among the arrays of the values."""
    return jnp.result_type(*jax.tree.leaves(eqx.filter(values, eqx.is_inexact_array)))


def inverse(system: AbstractLinearSystem, *, solver: AbstractLinearSolver | None = None) -> Float[Array, "n n"]:
    """Return `(I - M)^-1` (n, n): n solves that share factors."""
    return solve(system, jnp.eye(system.size, dtype=precision(system)), solver=solver).value


def vector(value: ArrayLike, name: str, size: int) -> Float[Array, " n"]:
    """Return the value as a vector of `size` finite numbers, or raise `InputError`."""
    array = floating(value, name)
    if array.shape != (size,):
        raise InputError(f"{name} has shape {array.shape}; give one number per account, ({size},).")
    return _finite(array, name)


def weights(value: ArrayLike, name: str, size: int) -> Float[Array, "*k n"]:
    """Return the value as one or k rows of `size` finite numbers, or raise `InputError`."""
    array = floating(value, name)
    if array.ndim not in (1, 2) or array.shape[-1] != size:
        raise InputError(f"{name} has shape {array.shape}; give ({size},), or (k, {size}) for k of them.")
    return _finite(array, name)


def _finite(array: Array, name: str) -> Array:
    require(np.isfinite, f"{name} has an entry that is not finite.", array)
    return array


def position(value: ArrayLike, name: str, size: int) -> Array:
    """Return the positions of accounts as integers from 0 to size - 1, or raise `InputError`."""
    try:
        array = value if isinstance(value, jax.Array) else np.asarray(value)
    except (TypeError, ValueError):  # a ragged list
        array = np.asarray(None)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise InputError(
            f"{name} is {' '.join(str(value).split())[:60]}; give the position of an account, an integer from 0 to {size - 1}: "
            f"that of a label is economy.index.get_loc(label)."
        )
    array = jnp.asarray(array)
    require(
        lambda v: (v >= 0) & (v < size),
        lambda: f"{name} is {value}, but the accounts are numbered 0 to {size - 1}.",
        array,
    )
    return array


def codes(labels: Iterable[Hashable], name: str, size: int, known: tuple = ()) -> tuple[tuple, np.ndarray]:
    """Return the different labels, those known first and then in order of appearance, and each label's position there."""
    if not concrete(labels):
        raise InputError(f"{name} are being traced; labels are fixed: give a list of text or integers.")
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise InputError(f"{name} is of type {type(labels).__name__}; give a list of text or integers.")
    given = tuple(np.asarray(labels).tolist() if isinstance(labels, jax.Array) else labels)
    if len(given) != size:
        raise InputError(f"{name} has {len(given)} labels; give {size}.")
    try:
        order = {label: k for k, label in enumerate(dict.fromkeys((*known, *given)))}
        found = np.array([order[label] for label in given], dtype=int)
    except TypeError:
        raise InputError(f"{name} holds labels that cannot be compared; give text or integers.") from None
    return tuple(order), found
