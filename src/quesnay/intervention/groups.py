"""What a Lie group that acts on systems has to be: coordinates, elements, their products, and what they do."""

import abc
from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree
from numpy.typing import ArrayLike

from quesnay._checks import floating, require
from quesnay._errors import InputError
from quesnay.equilibrium import System

from .flat import Nodes, positions, vector

Element = Any
"""A group element: an array, or a tuple of elements for a product."""


class AbstractAction(eqx.Module):
    """A Lie group and its action on the assignments of a system: the identity gives the model back, and actions compose."""

    @abc.abstractmethod
    def dimension(self, system: System) -> int:
        """Return the dimension m of the group."""

    @abc.abstractmethod
    def exp(self, system: System, u: Float[Array, " m"]) -> Element:
        """Return the group element with coordinates u in the Lie algebra; zeros are the identity."""

    @abc.abstractmethod
    def log(self, system: System, g: Any) -> Float[Array, " m"]:
        """Return coordinates of an element, or of a bound of elements: numbers are spread over all dimensions."""

    @abc.abstractmethod
    def unit(self, system: System, x: Float[Array, " n"]) -> Float[Array, " m"]:
        """Return what one step of a search is in each coordinate; 1 for logarithms and angles."""

    @abc.abstractmethod
    def compose(self, g: Element, h: Element) -> Element:
        """Return `g h`, which acts as h and then g."""

    @abc.abstractmethod
    def inverse(self, g: Element) -> Element:
        """Return the element that undoes g."""

    @abc.abstractmethod
    def on(self, system: System, g: Element) -> System:
        """Return the system whose assignments g has acted on."""

    @abc.abstractmethod
    def element(self, system: System, g: Any) -> Element:
        """Return a group element from what a user gives for one, or raise `InputError`."""


def opened(action: AbstractAction, system: System, g: Any) -> Element:
    """Return the element whose coordinates are given, or raise `InputError` at the edge of the group."""
    u = action.log(system, g)
    require(np.isfinite, f"{type(action).__name__}: the element is at the edge of the group, which is open.", u)
    return action.exp(system, u)


def frozen(nodes: Any) -> Any:
    return tuple(nodes) if isinstance(nodes, Iterable) and not isinstance(nodes, str) else nodes


class AbstractPositive(AbstractAction):
    """Positive factors under multiplication, of which the coordinates are logarithms."""

    def exp(self, system, u):
        return jnp.exp(u)

    def log(self, system, g):
        return factors(type(self).__name__, g, self.dimension(system))

    def unit(self, system, x):
        return jnp.ones(self.dimension(system))

    def element(self, system, g):
        return opened(self, system, g)

    def compose(self, g, h):
        return numbers(self, g) * numbers(self, h)

    def inverse(self, g):
        return 1 / numbers(self, g)


class AbstractNodeAction(AbstractAction):
    """An action on the values of the assignments of some nodes; of all where `nodes` is None."""

    nodes: eqx.AbstractVar[Nodes | None]

    @staticmethod
    @abc.abstractmethod
    def move(g: Element, y: Float[Array, " k"]) -> Float[Array, " k"]:
        """Return `g y`, what becomes of the values of the assignments."""

    def on(self, system, g):
        at = jnp.array(positions(system, self.nodes))
        # Which nodes these are is in the positions alone, so that programs are compiled once for all of them.
        moved = _Moved(system.f, system.x0, type(self).move, at, g)
        return eqx.tree_at(lambda s: s.f, system, moved)


class _Moved(eqx.Module):
    f: Callable
    form: PyTree
    move: Callable
    at: Int[Array, " k"]
    g: Element

    def __call__(self, x, theta):
        y = vector(self.f(x, theta))
        return ravel_pytree(self.form)[1](y.at[self.at].set(self.move(self.g, y[self.at])))


def numbers(action: AbstractAction, g: Any) -> Array:
    """Return an element that is an array."""
    return floating(g, f"the element of {type(action).__name__}")


def sizes(x: Float[Array, " n"], at: tuple[int, ...]) -> Float[Array, " k"]:
    size = jnp.abs(x[np.array(at)])
    return jnp.where(size > 0, size, 1)


def spread(name: str, value: ArrayLike, m: int) -> Float[Array, " m"]:
    array = floating(value, f"the element of {name}")
    if array.shape not in ((), (m,)):
        raise InputError(
            f"{name} takes a number, or an array ({m},) with one for each dimension; there is one of {array.shape}."
        )
    require(lambda v: ~np.isnan(v), f"the element of {name} has entries that are not numbers.", array)
    return jnp.broadcast_to(array, (m,))


def factors(name: str, value: ArrayLike, m: int) -> Float[Array, " m"]:
    factors = spread(name, value, m)
    require(lambda v: v >= 0, f"{name} takes positive factors; one given is negative.", factors)
    return jnp.log(factors)
