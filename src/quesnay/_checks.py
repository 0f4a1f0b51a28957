"""Checks of arguments at the border of traced code."""

from collections.abc import Callable
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

    Raises `InputError` for what has no real numbers: text, objects, ragged lists, complex numbers.
    """
    if not isinstance(value, jax.Array):
        try:
            value = np.asarray(value)
            value = value.astype(float) if value.dtype == object else value
        except (TypeError, ValueError):
            raise InputError(f"{name} is not an array of numbers; give a rectangular one.") from None
    array = value if isinstance(value, jax.Array) else _real(value, name)
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise InputError(f"{name} is complex; give real numbers.")
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.result_type(float))


def _real(value: np.ndarray, name: str) -> Array:
    if value.dtype.kind not in "biufc":
        raise InputError(f"{name} holds {value.dtype}, not numbers.")
    return jnp.asarray(value)


def first_bad(bad: Any) -> int:
    """Return the position of the first true entry."""
    return int(np.argmax(np.ravel(np.asarray(bad))))
