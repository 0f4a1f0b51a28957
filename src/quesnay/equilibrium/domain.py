"""The box in which the parameters of a system have a meaning."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from quesnay._checks import concrete, floating
from quesnay._errors import InputError


def box(pair: Any, name: str) -> tuple[PyTree, PyTree]:
    """Return the corners (low, high) of a box of parameters, or raise `InputError` where they are none."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InputError(f"{name} is not a pair; give (low, high), each of them what f takes.")
    low, high = (jax.tree.map(lambda leaf: floating(leaf, name), end) for end in pair)
    forms = [(jax.tree.structure(end), [leaf.shape for leaf in jax.tree.leaves(end)]) for end in (low, high)]
    if forms[0] != forms[1]:
        raise InputError(f"the two ends of {name} have different forms; give the same arrays, low and high.")
    for (path, least), most in zip(jax.tree_util.tree_flatten_with_path(low)[0], jax.tree.leaves(high), strict=True):
        if concrete(least, most) and not bool(jnp.all(least <= most)):
            raise InputError(f"{name}: the low end of {_named(path)} is above its high one, or is not a number.")
    return low, high


def require_within(domain: tuple[PyTree, PyTree] | None, theta: PyTree) -> None:
    """Raise `InputError` where a parameter lies outside of its domain."""
    if domain is None or not concrete(theta, domain):
        return
    if jax.tree.structure(theta) != jax.tree.structure(domain[0]):
        raise InputError("theta has another form than the domain of the system; give the same parameters.")
    ends = zip(*(jax.tree.leaves(end) for end in domain), strict=True)
    for (path, value), (low, high) in zip(jax.tree_util.tree_flatten_with_path(theta)[0], ends, strict=True):
        value, low, high = np.broadcast_arrays(np.asarray(value), low, high)
        outside = ~((value >= low) & (value <= high))
        if outside.any():
            first = tuple(np.argwhere(outside)[0])
            where = f" at {tuple(map(int, first))}" if first else ""
            span = f"{low[first]:.6g} to {high[first]:.6g}"
            raise InputError(f"{_named(path)} is {value[first]:.6g}{where}, outside of its domain, {span}.")


def _named(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".") or "theta"
