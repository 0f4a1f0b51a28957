"""Interventions: what turns a system into another one, soft where its graph stays and hard where it does not."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree

from quesnay._checks import concrete, floating, require
from quesnay._errors import InputError
from quesnay.equilibrium import System

from .actions import ParameterScaling, Product
from .flat import checked, position, vector
from .groups import AbstractAction


class AbstractIntervention(eqx.Module):
    """What turns a system into another one."""

    @abc.abstractmethod
    def on(self, system: System) -> System:
        """Return the system after the intervention."""


class Act(AbstractIntervention):
    """A Lie intervention: one element of a group acts on the assignments.

    Parameters
    ----------
    action:
        `Scaling("energy")`, say.
    element:
        Which element of its group: a factor, a shift, angles; the identity changes nothing.

    References
    ----------
    Besserve and Schoelkopf (2022), definition 3.
    """

    action: AbstractAction
    element: Any

    def __check_init__(self):
        if not isinstance(self.action, AbstractAction):
            raise InputError(
                f"action is of type {type(self.action).__name__}; give Scaling(...), Shift(...) or another action."
            )

    def on(self, system):
        return self.action.on(system, self.action.element(checked(system), self.element))


class Hard(AbstractIntervention):
    """A hard intervention: a node is held at a value, whatever its parents do.

    Parameters
    ----------
    node:
        Name or position.
    value:
        A number, in the unit of the node.

    References
    ----------
    Pearl (2000), the do-operator.
    """

    node: int | str = eqx.field(static=True)
    value: Float[Array, ""]

    def __init__(self, node: int | str, value: Any):
        self.node, self.value = node, floating(value, "value")
        if self.value.shape != ():
            raise InputError(f"value has shape {self.value.shape}; a node is held at one number.")
        require(np.isfinite, f"the value at which {node} is held is not finite.", self.value)

    def on(self, system):
        return replaced(system, position(checked(system), self.node, "node"), _Constant(self.value))


class Soft(AbstractIntervention):
    """A soft intervention: the assignment of a node is another function of its parents.

    Parameters
    ----------
    node:
        Name or position.
    parents:
        Names or positions of the nodes that the new assignment takes, in that order.
    assignment:
        Function of the parents' values (p,) that returns a number.

    References
    ----------
    Besserve and Schoelkopf (2022), definition 4.
    """

    node: int | str = eqx.field(static=True)
    parents: tuple[int | str, ...] = eqx.field(static=True, converter=tuple)
    assignment: Callable[[Array], Array]

    def on(self, system):
        at = [position(system, parent, "parents") for parent in self.parents]
        new = _OfParents(jnp.array(at, int), self.assignment, str(self.node))
        return replaced(checked(system), position(system, self.node, "node"), new)


def intervene(system: System, *interventions: AbstractIntervention) -> System:
    """Return the system after interventions, the first one first; `q.solve` finds its equilibrium.

    Parameters
    ----------
    system:
        `System(f, x0)`.
    interventions:
        `Act(action, element)`, `Hard(node, value)`, `Soft(node, parents, assignment)`, or the `intervention` of what
        `optimise` and `invariant` return.
    """
    for intervention in interventions:
        if not isinstance(intervention, AbstractIntervention):
            raise InputError(
                f"{type(intervention).__name__} is no intervention; give Act(...), Hard(...) or Soft(...)."
            )
        system = intervention.on(checked(system))
    return system


def replaced(system: System, node: int | Array, assignment: Callable[[Array, PyTree], Array]) -> System:
    """Return the system with the assignment of one node replaced by a function of (x, theta), x the vector of unknowns."""
    return eqx.tree_at(lambda s: s.f, system, _Replaced(system.f, system.x0, jnp.asarray(node), assignment))


class _Constant(eqx.Module):
    value: Array

    def __call__(self, x, theta):
        return self.value


class _OfParents(eqx.Module):
    at: Int[Array, " p"]
    assignment: Callable
    node: str = eqx.field(static=True)

    def __call__(self, x, theta):
        value = jnp.asarray(self.assignment(x[self.at]))
        if value.shape != ():
            raise InputError(f"the new assignment of {self.node} returns shape {value.shape}; give one number.")
        return value


class _Replaced(eqx.Module):
    f: Callable
    form: PyTree
    node: Int[Array, ""]
    assignment: Callable

    def __call__(self, x, theta):
        y = vector(self.f(x, theta)).at[self.node].set(self.assignment(vector(x), theta))
        return ravel_pytree(self.form)[1](y)


def lawful(action: AbstractAction, theta: PyTree) -> None:
    """Raise `InputError` where the changes of parameters in an action are none: identity and compatibility, at two elements."""
    parts: Sequence[AbstractAction] = action.actions if isinstance(action, Product) else (action,)
    for part in parts:
        if not isinstance(part, ParameterScaling) or not concrete(theta):
            continue
        g, h = jnp.linspace(0.8, 1.1, part.size), jnp.linspace(1.2, 0.9, part.size)
        same = part.change(jnp.ones(part.size), theta)
        if jax.tree.structure(same) != jax.tree.structure(theta) or not _equal(same, theta):
            raise InputError("change(1, theta) is not theta; give a change whose factors of 1 change nothing.")
        if not _equal(part.change(g, part.change(h, theta)), part.change(g * h, theta)):
            raise InputError("change(g, change(h, theta)) is not change(g h, theta); give a change that composes.")


def _equal(a: PyTree, b: PyTree) -> bool:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.shape(i) == np.shape(j) and np.allclose(i, j, rtol=1e-6, atol=0, equal_nan=True) for i, j in pairs)
