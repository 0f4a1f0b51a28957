"""What an intervention is chosen by: terms of the objective and constraints, functions of the equilibrium."""

import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from quesnay._checks import floating, require
from quesnay._errors import InputError

Function = Callable[..., Any]


class Absolute(eqx.Module):
    """A term `sum_i weight_i |r_i|` of an objective, such as jobs moved: its kinks are treated as such.

    Parameters
    ----------
    residual:
        Function of the equilibrium x (or of x and the group element) that returns the array r.
    weight:
        A number, or one for each entry; not negative.
    """

    residual: Function
    weight: Float[Array, "..."]

    def __init__(self, residual: Function, weight: Any = 1.0):
        self.residual, self.weight = residual, floating(weight, "weight")
        require(
            lambda w: (w >= 0) & np.isfinite(w),
            "weight of Absolute has negative entries; give none below 0.",
            self.weight,
        )


class Constraint(eqx.Module):
    """A limit of a function of the equilibrium: `low <= r(x) <= high`.

    Attributes
    ----------
    function:
        Of x (or of x and the group element); returns a number or an array.
    low, high:
        Numbers, in the units of the function; infinite where there is no limit.
    name:
        What messages call it.
    """

    function: Function
    low: Float[Array, ""]
    high: Float[Array, ""]
    name: str = eqx.field(static=True)

    def __str__(self) -> str:
        low, high = float(self.low), float(self.high)
        ends = [f"at least {low:.6g}"] * (low > -np.inf) + [f"at most {high:.6g}"] * (high < np.inf)
        return f"{self.name} ({f'equal to {low:.6g}' if low == high else ' and '.join(ends)})"


def at_most(function: Function, limit: Any, name: str = "") -> Constraint:
    """Return the constraint that a function of the equilibrium is at most a limit."""
    return _constraint(function, -jnp.inf, limit, name)


def at_least(function: Function, limit: Any, name: str = "") -> Constraint:
    """Return the constraint that a function of the equilibrium is at least a limit."""
    return _constraint(function, limit, jnp.inf, name)


def equal(function: Function, value: Any, name: str = "") -> Constraint:
    """Return the constraint that a function of the equilibrium has a value."""
    return _constraint(function, value, value, name)


def _constraint(function: Function, low: Any, high: Any, name: str) -> Constraint:
    if not callable(function):
        raise InputError("a constraint has no function; give one of the equilibrium x that returns a number.")
    ends = (floating(low, "the limit of a constraint"), floating(high, "the limit of a constraint"))
    for end in ends:
        if end.shape != ():
            raise InputError(f"the limit of a constraint has shape {end.shape}; give a number.")
        require(lambda v: ~np.isnan(v), "the limit of a constraint is not a number.", end)
    return Constraint(function, ends[0], ends[1], name or _named(function))


def _named(function: Function) -> str:
    name = getattr(function, "__name__", "")
    return name if name.isidentifier() else "a constraint without a name"


def evaluated(function: Function, x: PyTree, element: Any) -> Float[Array, " k"]:
    """Return a function of the equilibrium, or of it and the group element, as a vector."""
    return jnp.ravel(jnp.asarray(function(x, element) if _takes_element(function) else function(x), float))


def _takes_element(function: Function) -> bool:
    """Say whether a function has a second parameter; one with a default, as in `lambda x, w=w: ...`, is the user's own."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # a builtin that does not say what it takes
        return False
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in places and p.default is p.empty for p in parameters) > 1
