"""Checks of arguments at the border of traced code."""

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from ._errors import InputError


def concrete(*values: Any) -> bool:
    """Say whether every array among the values has numbers (none is being traced by `jit`, `grad` or `vmap`)."""
    return not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(values))


def require(condition: Callable[..., Any], message: Callable[[], str] | str, *values: Any) -> None:
    """Raise `InputError(message)` unless `condition(*values)` holds everywhere; traced values have no numbers yet and pass.

    The condition gets NumPy arrays: inside `jit`, an operation of JAX would be traced even where its operands have numbers.
    """
    if concrete(*values) and not bool(np.all(condition(*(np.asarray(value) for value in values)))):
        raise InputError(message() if callable(message) else message)


def floating(value: Any, name: str = "the value") -> Array:
    """Return the value as a floating-point array, keeping float32 and float64 and promoting all else to the default.

    Raises `InputError` for what has no real numbers: text, objects, ragged lists, complex numbers; and for what has labels.
    """
    if value is None:
        raise InputError(f"{name} is None; give numbers.")
    if not isinstance(value, jax.Array):
        if hasattr(value, "to_numpy"):  # pandas and xarray
            raise InputError(
                f"{name} is a {type(value).__name__}, whose labels an array would lose unchecked; bring it into the order of "
                f"the table by economy.align, or give its to_numpy() where it is in that order."
            )
        try:
            array = np.asarray(value)
            value = array.astype(float) if array.dtype == object else array
        except (TypeError, ValueError, OverflowError):
            if isinstance(value, (list, tuple, np.ndarray)):
                raise InputError(f"{name} is not an array of numbers; give a rectangular one.") from None
            raise InputError(
                f"{name} is of type {type(value).__name__}, not an array of numbers; give one, such as the table's own "
                f"(economy.A, economy.final_demand)."
            ) from None
    array = value if isinstance(value, jax.Array) else _real(value, name)
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise InputError(f"{name} is complex; give real numbers.")
    if not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool):
        raise InputError(f"{name} holds {array.dtype}, not numbers.")
    kept = array.dtype in (jnp.float32, jnp.float64)
    return array if kept else array.astype(jnp.result_type(float))


def _real(value: np.ndarray, name: str) -> Array:
    if value.dtype.kind not in "biufc":
        raise InputError(f"{name} holds {value.dtype}, not numbers.")
    return jnp.asarray(value)


def integers(value: Any, name: str, what: str) -> Any:
    """Return an array of integers, on the host or JAX's own, or raise `InputError` with what should be given."""
    try:
        array = value if isinstance(value, jax.Array) else np.asarray(value)
    except (TypeError, ValueError):
        raise InputError(f"{name} is not a rectangular array; give {what}.") from None
    if array.size == 0 and array.ndim == 1:
        return array.astype(int)
    if array.dtype.kind not in "iu":
        raise InputError(f"{name} has shape {array.shape} and type {array.dtype}; give {what}.")
    return array


def instance(value: Any, kind: type | tuple[type, ...], name: str, what: str) -> None:
    """Raise `InputError` with what should be given unless the value is of the kind."""
    if not isinstance(value, kind):
        raise InputError(f"{name} is {_said(value)}; give {what}.")


def positive(value: Any, name: str, below: float = math.inf) -> float:
    """Return a positive number (below a limit), or raise `InputError`."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < below:
        limit = "a positive number" if below == math.inf else f"a number between 0 and {below:g}"
        raise InputError(f"{name} is {_said(value)}; give {limit}.")
    return float(value)


def whole(value: Any, name: str, what: str, *, least: int = 1) -> int:
    """Return an integer, or raise `InputError` with what it is the number of where it is below the least."""
    if isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least:
        return int(value)
    raise InputError(f"{name} is {_said(value)}; give the {what}, an integer of at least {least}.")


def _said(value: Any) -> str:
    return " ".join(repr(value).split())[:60]


def first_bad(bad: Any) -> int:
    """Return the position of the first true entry."""
    return int(np.argmax(np.ravel(np.asarray(bad))))
