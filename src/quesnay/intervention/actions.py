"""Lie groups that act on systems: scaling, shift, affine maps and rotation of assignments, scaling of parameters, products."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from quesnay._checks import floating, require, whole
from quesnay._errors import InputError

from .flat import Nodes, positions
from .groups import (
    AbstractAction,
    AbstractNodeAction,
    AbstractPositive,
    factors,
    frozen,
    numbers,
    opened,
    sizes,
    spread,
)


class Scaling(AbstractPositive, AbstractNodeAction):
    """Positive factors: `x_k = alpha_k f_k(x, theta)`; elements alpha (k,), `alpha = exp(u)`.

    Parameters
    ----------
    nodes:
        Names or positions; None for all of them, a distributed intervention.

    References
    ----------
    Besserve and Schoelkopf (2022), section 3.2.
    """

    nodes: Nodes | None = eqx.field(static=True, converter=frozen, default=None)

    def dimension(self, system):
        return len(positions(system, self.nodes))

    @staticmethod
    def move(g, y):
        return g * y


class Shift(AbstractNodeAction):
    """Additions: `x_k = f_k(x, theta) + b_k`; elements b (k,), in the units of the nodes.

    Parameters
    ----------
    nodes:
        As for `Scaling`.

    References
    ----------
    Rothenhaeusler et al. (2015), on shift interventions.
    """

    nodes: Nodes | None = eqx.field(static=True, converter=frozen, default=None)

    def dimension(self, system):
        return len(positions(system, self.nodes))

    def exp(self, system, u):
        return u

    def log(self, system, g):
        return spread("Shift", g, self.dimension(system))

    def unit(self, system, x):
        return sizes(x, positions(system, self.nodes))

    def element(self, system, g):
        return opened(self, system, g)

    def compose(self, g, h):
        return numbers(self, g) + numbers(self, h)

    def inverse(self, g):
        return -numbers(self, g)

    @staticmethod
    def move(g, y):
        return y + g


class Affine(AbstractNodeAction):
    """Factors and additions together, `x_k = alpha_k f_k(x, theta) + b_k`; elements (2, k), alpha above b.

    It is the group that `Scaling` and `Shift` of the same nodes generate, which do not commute. Coordinates (of the second
    kind) are log alpha and b.

    Parameters
    ----------
    nodes:
        As for `Scaling`.
    """

    nodes: Nodes | None = eqx.field(static=True, converter=frozen, default=None)

    def dimension(self, system):
        return 2 * len(positions(system, self.nodes))

    def exp(self, system, u):
        alpha, b = jnp.reshape(u, (2, -1))
        return jnp.stack([jnp.exp(alpha), b])

    def log(self, system, g):
        k = self.dimension(system) // 2
        pair = floating(g, "the element of Affine")
        if pair.shape not in ((2,), (2, k)):
            raise InputError(f"Affine takes (alpha, b), two numbers or an array (2, {k}); there is {pair.shape}.")
        return jnp.concatenate([factors("Affine", pair[0], k), spread("Affine", pair[1], k)])

    def unit(self, system, x):
        size = sizes(x, positions(system, self.nodes))
        return jnp.concatenate([jnp.ones_like(size), size])

    def element(self, system, g):
        return opened(self, system, g)

    def compose(self, g, h):
        (a, b), (alpha, shift) = numbers(self, g), numbers(self, h)
        return jnp.stack([a * alpha, a * shift + b])

    def inverse(self, g):
        alpha, b = numbers(self, g)
        return jnp.stack([1 / alpha, -b / alpha])

    @staticmethod
    def move(g, y):
        return g[0] * y + g[1]


class Rotation(AbstractNodeAction):
    """Rotations SO(k) of the vector of the assignments of k nodes: `x_K = R f_K(x, theta)`; elements R (k, k).

    `R = exp(S)`, S antisymmetric; its entries above the diagonal, row by row, are the coordinates (angles, in radians).
    Bounds are bounds of these.

    Parameters
    ----------
    nodes:
        As for `Scaling`; two or more, in one unit.

    References
    ----------
    Besserve, Shajarisales, Schoelkopf and Janzing (2018).
    """

    nodes: Nodes | None = eqx.field(static=True, converter=frozen, default=None)

    def dimension(self, system):
        k = len(positions(system, self.nodes))
        if k < 2:
            raise InputError("Rotation turns two nodes or more; name them.")
        return k * (k - 1) // 2

    def exp(self, system, u):
        k = len(positions(system, self.nodes))
        upper = jnp.zeros((k, k), u.dtype).at[np.triu_indices(k, 1)].set(u)
        return jax.scipy.linalg.expm(upper - upper.T)

    def log(self, system, g):
        return spread("Rotation", g, self.dimension(system))

    def element(self, system, g):
        k, given = len(positions(system, self.nodes)), floating(g, "the element of Rotation")
        if given.shape != (k, k):
            return opened(self, system, g)
        require(
            lambda R: np.allclose(R @ R.T, np.eye(k), atol=1e-6) and np.linalg.det(R) > 0,
            "the element of Rotation is no rotation matrix; give angles, or R with R R' = 1 and determinant 1.",
            given,
        )
        return given

    def unit(self, system, x):
        return jnp.ones(self.dimension(system))

    def compose(self, g, h):
        return numbers(self, g) @ numbers(self, h)

    def inverse(self, g):
        return numbers(self, g).T

    @staticmethod
    def move(g, y):
        return g @ y


class ParameterScaling(AbstractPositive):
    """Positive factors on parameters: `f(x, change(g, theta))`, as where energy efficiency scales a row of A.

    Parameters
    ----------
    change:
        Function of (g, theta), g (m,), that returns theta in the same form: an action, so that `change(1, theta)` is theta and
        `change(g, change(h, theta))` is `change(g h, theta)`; `optimise` and `invariant` check both.
    size:
        Number of factors m.
    """

    change: Callable[[Array, PyTree], PyTree]
    size: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        whole(self.size, "size", "number of factors")
        if not callable(self.change):
            raise InputError("change is not a function; give one of (g, theta).")

    def dimension(self, system):
        return self.size

    def on(self, system, g):
        return eqx.tree_at(lambda s: s.f, system, _Changed(system.f, self.change, g))


class _Changed(eqx.Module):
    f: Callable
    change: Callable
    g: Array

    def __call__(self, x, theta):
        return self.f(x, self.change(self.g, theta))


class Product(AbstractAction):
    """Several actions at once, on different nodes (or parameters), so that they commute; elements are tuples.

    Products in products are taken apart.

    Parameters
    ----------
    actions:
        Actions; those on assignments have no node in common. For scaling and shift of the same nodes there is `Affine`.
    """

    actions: tuple[AbstractAction, ...]

    def __init__(self, *actions: AbstractAction):
        if not actions or not all(isinstance(action, AbstractAction) for action in actions):
            raise InputError("Product takes actions, such as Scaling(...) and Shift(...).")
        nested = [action.actions if isinstance(action, Product) else (action,) for action in actions]
        self.actions = tuple(action for group in nested for action in group)

    def dimension(self, system):
        taken: set[int] = set()
        for action in self.actions:
            nodes = set(positions(system, action.nodes)) if isinstance(action, AbstractNodeAction) else set()
            if taken & nodes:
                raise InputError(
                    f"Product: {system.nodes[min(taken & nodes)]} is in two of its actions, which need not commute; take it "
                    "out of one, or take Affine for scaling and shift."
                )
            taken |= nodes
        return sum(action.dimension(system) for action in self.actions)

    def exp(self, system, u):
        ends = np.cumsum([action.dimension(system) for action in self.actions])[:-1]
        parts = jnp.split(u, ends)
        return tuple(action.exp(system, part) for action, part in zip(self.actions, parts, strict=True))

    def log(self, system, g):
        self.dimension(system)
        return jnp.concatenate([action.log(system, h) for action, h in zip(self.actions, self._each(g), strict=True)])

    def unit(self, system, x):
        return jnp.concatenate([action.unit(system, x) for action in self.actions])

    def element(self, system, g):
        self.dimension(system)
        given = self._each(g)
        return tuple(action.element(system, h) for action, h in zip(self.actions, given, strict=True))

    def _each(self, g: Any) -> Any:
        given = g if isinstance(g, tuple | list) else (g,) * len(self.actions)
        if len(given) != len(self.actions):
            raise InputError(
                f"Product has {len(self.actions)} actions; give an element for each, there are {len(given)}."
            )
        return given

    def compose(self, g, h):
        return tuple(a.compose(i, j) for a, i, j in zip(self.actions, self._each(g), self._each(h), strict=True))

    def inverse(self, g):
        return tuple(a.inverse(i) for a, i in zip(self.actions, self._each(g), strict=True))

    def on(self, system, g):
        for action, h in zip(self.actions, g, strict=True):
            system = action.on(system, h)
        return system
