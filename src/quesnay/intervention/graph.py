"""The causal graph of a system, read off the sparsity of its Jacobian."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse.csgraph
from jaxtyping import Bool, PyTree

from quesnay._errors import InputError

from .flat import assignments, checked, observed, position

SPREAD = 0.1
"""Relative distance of the points at which the Jacobian is looked at, beside the equilibrium."""
POINTS = 3


class Graph(eqx.Module):
    """Who depends on whom: an arrow from j to k where the assignment of k depends on x_j.

    Attributes
    ----------
    nodes:
        Names (n,).
    depends:
        Whether k depends on j, at [k, j] (n, n).
    """

    nodes: tuple[str, ...] = eqx.field(static=True)
    depends: Bool[np.ndarray, "n n"]

    def parents(self, node: int | str) -> tuple[str, ...]:
        """Return the names of what the assignment of a node depends on."""
        return tuple(self.nodes[j] for j in np.flatnonzero(self.depends[self._at(node)]))

    def children(self, node: int | str) -> tuple[str, ...]:
        """Return the names of the nodes whose assignments depend on a node."""
        return tuple(self.nodes[k] for k in np.flatnonzero(self.depends[:, self._at(node)]))

    def cycles(self) -> tuple[tuple[str, ...], ...]:
        """Return the groups of nodes that depend on each other in turn (strongly connected components with a cycle)."""
        count, group = scipy.sparse.csgraph.connected_components(self.depends, connection="strong")
        groups = [np.flatnonzero(group == g) for g in range(count)]
        return tuple(
            tuple(self.nodes[i] for i in members)
            for members in groups
            if len(members) > 1 or self.depends[members[0], members[0]]
        )

    def mermaid(self) -> str:
        """Return the graph as a Mermaid flow chart, which Markdown viewers draw."""
        lines = [f'  n{i}["{name}"]' for i, name in enumerate(self.nodes)]
        arrows = [f"  n{j} --> n{k}" for k, j in np.argwhere(self.depends)]
        return "\n".join(["flowchart LR", *lines, *arrows])

    def __repr__(self) -> str:
        cyclic = sum(len(group) for group in self.cycles())
        return f"Graph of {len(self.nodes)} nodes and {int(self.depends.sum())} arrows, {cyclic} nodes in cycles"

    def _at(self, node: int | str) -> int:
        if isinstance(node, str) and node in self.nodes:
            return self.nodes.index(node)
        number = -1 if isinstance(node, bool) or not isinstance(node, int | np.integer) else int(node)
        if not 0 <= number < len(self.nodes):
            raise InputError(f"{node!r} is no node of the graph; it has {', '.join(self.nodes[:8])}.")
        return number


def graph(system, theta: PyTree) -> Graph:
    """Return the causal graph of `x = f(x, theta)`: `j -> k` where `df_k/dx_j` is not 0.

    The derivative is looked at in the equilibrium and at three points within 10 % of it, so that one that happens to vanish
    in the equilibrium is seen; a dependence that begins farther away is not.

    Parameters
    ----------
    system:
        `System(f, x0)` of at most 2,000 unknowns.
    theta:
        What f takes.

    Raises
    ------
    SolveError
        There is no equilibrium near x0.

    References
    ----------
    Besserve and Schoelkopf (2022), definition 1; Bongers, Forre, Peters and Mooij (2021).
    """
    point = observed(checked(system), theta)
    n = point.x.size
    # The points are the same in every call: what a graph has does not depend on chance.
    shift = jax.random.uniform(jax.random.key(0), (POINTS, n), minval=-1.0, maxval=1.0)
    largest = jnp.max(jnp.abs(point.x))
    scale = jnp.where(point.x != 0, jnp.abs(point.x), jnp.where(largest > 0, largest, 1))
    around = point.x + SPREAD * shift * scale
    jacobians = _jacobians(system, theta, around)
    seen = np.concatenate([np.asarray(point.jacobian)[None], np.asarray(jacobians)])
    defined = np.isfinite(seen).all(axis=(1, 2))
    return Graph(system.nodes, np.any(seen[defined] != 0, axis=0))


@eqx.filter_jit
def _jacobians(system, theta: PyTree, points):
    return jax.vmap(jax.jacfwd(lambda z: assignments(system, z, theta)))(points)


def parents(system, theta: PyTree, node: int | str, name: str) -> tuple[int, ...]:
    """Return the positions of the parents of a node."""
    return tuple(int(j) for j in np.flatnonzero(graph(system, theta).depends[position(system, node, name)]))
