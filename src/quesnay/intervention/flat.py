"""Systems as functions of one vector: unknowns by name, the equilibrium near a point, and the Jacobian there."""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree

from quesnay._checks import concrete, instance, require
from quesnay._errors import InputError, SolveError
from quesnay.equilibrium import RESULTS, Newton, System, solve

LARGEST = 2000
"""Unknowns up to which Jacobians are stored as matrices."""
Nodes = int | str | Sequence[int | str]


class Point(NamedTuple):
    """An equilibrium: x (n,), whether it was found, and the Jacobian of the assignments there (n, n)."""

    x: Float[Array, " n"]
    found: Bool[Array, ""]
    jacobian: Float[Array, "n n"]


def vector(tree: PyTree) -> Float[Array, " n"]:
    """Return the entries of a pytree of arrays."""
    return ravel_pytree(tree)[0]


def like(system: System, x: Float[Array, " n"]) -> PyTree:
    """Return entries in the form of the system's x0."""
    return ravel_pytree(system.x0)[1](x)


def checked(system: System) -> System:
    """Return the system, or raise `InputError` where it is none whose Jacobian can be stored."""
    instance(system, System, "system", "a System(f, x0)")
    if len(system.nodes) > LARGEST:
        raise InputError(
            f"system has {len(system.nodes)} unknowns; interventions by its Jacobian take at most {LARGEST}: "
            "`frontier` takes linear economies of any size."
        )
    return system


def positions(system: System, nodes: Nodes | None, name: str = "nodes") -> tuple[int, ...]:
    """Return the positions of nodes given by name or position; of all where None is given."""
    if nodes is None:
        return tuple(range(len(system.nodes)))
    single = isinstance(nodes, int | str | np.integer)
    listed = [nodes] if single else list(nodes)
    found = tuple(position(system, node, name) for node in listed)
    if len(set(found)) != len(found) or not found:
        raise InputError(f"{name} names {'nothing' if not found else 'a node twice'}; give every node once.")
    return found


def position(system: System, node: int | str, name: str) -> int:
    """Return the position of a node given by name or position."""
    known = system.nodes
    if isinstance(node, str):
        if node not in known:
            raise InputError(f"{name}: {node!r} is no node of the system; it has {_some(known)}.")
        return known.index(node)
    if isinstance(node, bool) or not hasattr(node, "__index__"):
        raise InputError(f"{name}: {node!r} is neither the name nor the position of a node.")
    at = node.__index__()
    if not 0 <= at < len(known):
        raise InputError(f"{name}: there is no node {at}; the system has {len(known)}, numbered from 0.")
    return at


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def assignments(system: System, x: Float[Array, " n"], theta: PyTree) -> Float[Array, " n"]:
    """Return f(x, theta) of vectors."""
    return vector(system(like(system, x), theta))


@eqx.filter_jit
def equilibrium(system: System, theta: PyTree, start: Float[Array, " n"]) -> Point:
    """Return the equilibrium that Newton's method reaches from a point, with derivatives by theta and the system."""
    near = eqx.tree_at(lambda s: s.x0, system, like(system, jax.lax.stop_gradient(start)))
    solution = solve(near, theta, solver=Newton(), throw=False)
    x = vector(solution.value)
    found = (solution.result == RESULTS.successful) & jnp.all(jnp.isfinite(x))
    return Point(x, found, jax.jacfwd(lambda z: assignments(system, z, theta))(x))


def observed(system: System, theta: PyTree) -> Point:
    """Return the equilibrium of the model without intervention, from the observed point, or raise `SolveError`."""
    for leaf in jax.tree.leaves(theta):
        if eqx.is_inexact_array_like(leaf):
            require(np.isfinite, "theta has entries that are not finite.", leaf)
    point = equilibrium(system, theta, vector(system.x0))
    if concrete(point.found) and not bool(point.found):
        raise SolveError(
            "Newton's method found no equilibrium of the model without intervention from its x0; give the observed state as "
            "x0, or look for equilibria with `equilibria`."
        )
    return point


def solvability(jacobian: Float[Array, "n n"]) -> Float[Array, ""]:
    """Return the smallest singular value of `I - J`: 0 where the equilibrium is not locally unique."""
    return jnp.linalg.svd(jnp.eye(jacobian.shape[0]) - jacobian, compute_uv=False)[-1]
