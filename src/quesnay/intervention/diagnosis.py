"""Whether an invariant intervention exists: the conditions of its existence, each with its number."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree

from quesnay._errors import InputError, SolveError
from quesnay.equilibrium import System

from .flat import Point, assignments, checked, equilibrium, observed, position, vector
from .graph import parents
from .interventions import AbstractIntervention, replaced

RANK = 1e-10
"""Singular values below this share of the largest count as zero."""


class Triplet(NamedTuple):
    """Positions of the intervened node (-1 where parameters are), the invariant and the auxiliary one, and its parents."""

    intervened: int
    invariant: int
    auxiliary: int
    parents: tuple[int, ...]

    @property
    def held(self) -> Int[Array, " 2"]:
        """The invariant and the auxiliary node, as an array: programs are compiled once for all of them."""
        return jnp.array([self.invariant, self.auxiliary])


class Diagnosis(eqx.Module):
    """Numbers on whether a node can be kept invariant by a soft assignment of another one.

    The three conditions of Proposition 3 are sufficient together, not necessary: the floor says what the parents' values
    allow where they fail.

    Attributes
    ----------
    solvability:
        Smallest singular value of `I - J` in the equilibrium: 0 where it is not locally unique (proposition 1).
    rest, rest_condition:
        Smallest singular value, and condition number, of `I - J` without the invariant node (first condition).
    rank, parameters, parents:
        Rank of the derivative of the parents' values by the free parameters, how many of these there are, and the names of
        the parents. The second condition is that the rank is the number of parameters.
    parents_condition:
        Condition number of that derivative.
    derivative:
        `dx_j / dx_k` where the auxiliary node k is held (third condition: it is not 0); 1 where it is the invariant node.
    floor:
        Share of the response that is asked of the auxiliary node that is no function of its parents' values, to first order
        in the parameters: 0 where an invariant intervention exists, 1 where the parents say nothing. This is the necessary
        condition.
    """

    solvability: Float[Array, ""]
    rest: Float[Array, ""]
    rest_condition: Float[Array, ""]
    rank: int = eqx.field(static=True)
    parameters: int = eqx.field(static=True)
    parents: tuple[str, ...] = eqx.field(static=True)
    parents_condition: Float[Array, ""]
    derivative: Float[Array, ""]
    floor: Float[Array, ""]

    @property
    def sufficient(self) -> bool:
        """Whether the three conditions of Proposition 3 hold."""
        rest = float(self.rest_condition) < 1 / RANK
        return rest and self.rank == self.parameters and abs(float(self.derivative)) > RANK

    @property
    def possible(self) -> bool:
        """Whether the parents' values determine what is asked of the auxiliary node, to first order."""
        return abs(float(self.derivative)) > RANK and float(self.floor) < 1e-6

    def __repr__(self) -> str:
        holds = "holds" if self.sufficient else "does not hold"
        exists = "exists" if self.possible else "does not exist"
        parents, ranks = ", ".join(self.parents) or "none", f"rank {self.rank} for {self.parameters} free parameters"
        lines = [
            f"Diagnosis: proposition 3 {holds}; an invariant assignment {exists} to first order",
            f"  unique equilibrium: smallest singular value of I - J {float(self.solvability):.3g}",
            f"  without the invariant node: {float(self.rest):.3g} (condition {float(self.rest_condition):.3g})",
            f"  parents {parents}: {ranks} (condition {float(self.parents_condition):.3g})",
            f"  derivative of the invariant node by the auxiliary one: {float(self.derivative):.3g}",
            f"  share of the response that the parents do not tell: {float(self.floor):.2g}",
        ]
        return "\n".join(lines)


def diagnose(
    system: System,
    theta: PyTree,
    *,
    intervened: int | str | None = None,
    invariant: int | str,
    auxiliary: int | str | None = None,
    intervention: AbstractIntervention | None = None,
    free: PyTree | None = None,
) -> Diagnosis:
    """Return the conditions under which a node can be kept invariant by a soft assignment of another one.

    Parameters
    ----------
    system:
        `System(f, x0)`.
    theta:
        Parameters of the reference point.
    intervened:
        The node that is intervened on, by name or position; None where parameters are.
    invariant:
        The node whose value stays what it was.
    auxiliary:
        The node whose assignment is replaced by a function of its parents; None: the invariant node itself.
    intervention:
        The intervention whose effect is kept off, `Act(action, element)`, at which the floor is taken; None: the identity.
    free:
        Which parameters may vary: booleans, or arrays of them, in the form of theta. None: all of them.

    Raises
    ------
    InputError
        Nodes that the system does not have, or one that is the intervened node and another at once; no free parameter.
    SolveError
        There is no equilibrium near x0, or none in which the invariant node has its value.

    References
    ----------
    Besserve and Schoelkopf (2022), propositions 1 and 3.
    """
    nodes = triplet(checked(system), theta, intervened, invariant, auxiliary)
    j, k, at = nodes.invariant, nodes.auxiliary, np.array(nodes.parents, int)
    point = observed(system, theta)
    one, jacobian = np.eye(point.x.size), np.asarray(point.jacobian)
    forced = _by_free(system, theta, point.x, free)
    moved = np.linalg.solve(one - jacobian, forced)
    rest = _sizes(np.delete(np.delete(one - jacobian, j, 0), j, 1))
    told = _sizes(moved[at])
    rank = int(np.sum(told > RANK * told[0])) if told[0] > 0 else 0

    changed = system if intervention is None else intervention.on(system)
    derivative, floor = slope(jnp.asarray(_by_nodes(changed, theta, point.x)), j, k), 1.0
    if abs(float(derivative)) > RANK:
        closed = hold(changed, theta, nodes, point.x[j], point.x)
        loop, response = one - np.asarray(closed.jacobian), _by_free(changed, theta, closed.x, free)
        loop[k], response[k] = one[j], moved[j]
        response = np.linalg.solve(loop, response)
        derivative, floor = slope(closed.jacobian, j, k), _untold(response[k], response[at])
    return Diagnosis(
        solvability=jnp.asarray(_sizes(one - jacobian)[-1]),
        rest=jnp.asarray(rest[-1]),
        rest_condition=jnp.asarray(rest[0] / rest[-1]),
        rank=rank,
        parameters=forced.shape[1],
        parents=tuple(system.nodes[p] for p in nodes.parents),
        parents_condition=jnp.asarray(told[0] / told[-1] if rank == forced.shape[1] else np.inf),
        derivative=derivative,
        floor=jnp.asarray(floor),
    )


def _sizes(matrix: np.ndarray) -> np.ndarray:
    """Return the singular values of a matrix, or a 1 (0) for one without rows and columns (without rows)."""
    if matrix.size:
        return np.linalg.svd(matrix, compute_uv=False)
    return np.zeros(1) if matrix.shape[1] else np.ones(1)


def triplet(
    system: System,
    theta: PyTree,
    intervened: int | str | None,
    invariant: int | str,
    auxiliary: int | str | None,
) -> Triplet:
    """Return the positions of the three nodes, or raise `InputError` where they are not a triplet."""
    i = -1 if intervened is None else position(system, intervened, "intervened")
    j = position(system, invariant, "invariant")
    k = j if auxiliary is None else position(system, auxiliary, "auxiliary")
    for other, name in ((j, "invariant"), (k, "auxiliary")):
        if i == other:
            raise InputError(f"{system.nodes[i]} is the intervened and the {name} node at once; give two nodes.")
    return Triplet(i, j, k, tuple(p for p in parents(system, theta, k, "auxiliary") if p != k))


def hold(system: System, theta: PyTree, nodes: Triplet, target: Float[Array, ""], start: Float[Array, " n"]) -> Point:
    """Return the equilibrium in which the auxiliary node takes whatever value gives the invariant node its target."""
    steep = float(slope(_by_nodes(system, theta, start), nodes.invariant, nodes.auxiliary))
    if abs(steep) <= RANK:
        raise SolveError(
            f"{system.nodes[nodes.invariant]} does not depend on {system.nodes[nodes.auxiliary]} (derivative {steep:.1g}), "
            "which therefore cannot hold it; take another auxiliary node."
        )
    point = _holding(system, theta, nodes.held, target, start)
    if not bool(point.found):
        raise SolveError(
            f"No value of {system.nodes[nodes.auxiliary]} was found that gives {system.nodes[nodes.invariant]} its value of "
            f"{float(target):.6g} under the intervention; take another auxiliary node, or an intervention nearer "
            "to the identity."
        )
    return point


@eqx.filter_jit
def _holding(*arguments) -> Point:
    return holding(*arguments)


def holding(
    system: System, theta: PyTree, held: Int[Array, " 2"], target: Float[Array, ""], start: Float[Array, " n"]
) -> Point:
    """As `hold`, with what was found in `found`; the Jacobian is that of the system's own assignments."""
    j, k = held
    jacobian = jax.jacfwd(lambda z: assignments(system, z, theta))(jax.lax.stop_gradient(start))
    steep = slope(jacobian, j, k)
    closed = replaced(system, k, lambda x, theta: x[k] + (target - x[j]) / steep)
    found = equilibrium(closed, theta, start)
    return Point(found.x, found.found, jax.jacfwd(lambda z: assignments(system, z, theta))(found.x))


def slope(jacobian: Array, j: int | Array, k: int | Array) -> Array:
    """Return `dx_j / dx_k` where node k is held."""
    n = jacobian.shape[0]
    return jnp.linalg.solve(jnp.eye(n) - jacobian.at[k].set(0), jnp.eye(n)[k])[j]


def _by_free(system: System, theta: PyTree, x: Array, free: PyTree | None) -> np.ndarray:
    """Return the derivative of the assignments by the free parameters (n, p)."""
    flat = vector(theta)
    which = np.ones(flat.size, bool) if free is None else chosen(theta, free)
    if not which.any():
        raise InputError("no parameter is free; say which may vary.")
    return np.array(_by_all(system, jax.tree.map(jnp.asarray, theta), x)[:, np.flatnonzero(which)])


@eqx.filter_jit
def _by_nodes(system: System, theta: PyTree, x: Array) -> Array:
    return jax.jacfwd(lambda z: assignments(system, z, theta))(x)


@eqx.filter_jit
def _by_all(system: System, theta: PyTree, x: Array) -> Array:
    flat, unravel = ravel_pytree(jax.tree.map(lambda leaf: jnp.asarray(leaf, float), theta))
    return jax.jacfwd(lambda t: assignments(system, x, unravel(t)))(flat)


def chosen(theta: PyTree, free: PyTree) -> np.ndarray:
    """Return which entries of the flattened theta are free."""
    try:
        marks = jax.tree.map(lambda leaf, mark: np.broadcast_to(mark, np.shape(leaf)), theta, free)
    except ValueError:
        raise InputError("free has another form than theta; give booleans, or arrays of them, like theta.") from None
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(marks)]).astype(bool)


def _untold(asked: np.ndarray, told: np.ndarray) -> float:
    """Return the share of a response (p,) that is no combination of others (q, p)."""
    size = np.linalg.norm(asked)
    if size == 0 or not told.any():
        return float(size > 0)
    # Each parent counts alike, whatever its unit.
    norms = np.linalg.norm(told, axis=1, keepdims=True)
    _, sizes, right = np.linalg.svd(told / np.where(norms > 0, norms, 1), full_matrices=False)
    right = right[sizes > RANK * sizes[0]]
    return float(np.linalg.norm(asked - (right @ asked) @ right) / size)
