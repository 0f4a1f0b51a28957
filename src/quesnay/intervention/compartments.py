"""Compartments of a system: whether interventions in one stay in it, by the graph and by the numbers."""

from collections.abc import Mapping, Sequence
from itertools import product

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from quesnay._checks import positive
from quesnay._errors import InputError, SolveError
from quesnay.equilibrium import System

from .flat import Nodes, assignments, checked, equilibrium, observed, positions
from .graph import graph
from .interventions import AbstractIntervention, intervene


class Compartments(eqx.Module):
    """What interventions in several compartments do, together, to each of them.

    Attributes
    ----------
    names:
        Of the compartments (K,).
    outgoing:
        By compartment, the nodes with an arrow into another one: Proposition 4 asks that all of them are held, wherever
        there are interventions.
    open:
        Those of them that are not.
    x:
        Equilibria for all combinations of interventions (k_1, ..., k_K, n); position 0 is no intervention.
    leakage:
        By compartment, the largest relative change of its nodes by the interventions of other compartments (K,).
    deviation:
        By compartment, the largest relative change of its held nodes by any intervention (K,).
    moved:
        By compartment, the nodes that are said to be held and change by more than the tolerance.
    """

    names: tuple[str, ...] = eqx.field(static=True)
    outgoing: tuple[tuple[str, ...], ...] = eqx.field(static=True)
    open: tuple[tuple[str, ...], ...] = eqx.field(static=True)
    x: Float[Array, "... n"]
    leakage: Float[Array, " K"]
    deviation: Float[Array, " K"]
    moved: tuple[tuple[str, ...], ...] = eqx.field(static=True)

    @property
    def closed(self) -> bool:
        """Whether interventions in every compartment hold its outgoing nodes, which stay (the condition of Proposition 4)."""
        return not any(self.open) and not any(self.moved)

    def __repr__(self) -> str:
        lines = [f"Compartments: proposition 4 {'holds' if self.closed else 'does not hold'}"]
        for k, name in enumerate(self.names):
            active = self.x.shape[k] > 1
            loose = f", of which {', '.join(self.open[k])} not held" if self.open[k] else ", all held" if active else ""
            moved = f"; said to be held, but moves: {', '.join(self.moved[k])}" if self.moved[k] else ""
            ways = f"{', '.join(self.outgoing[k])}{loose}" if self.outgoing[k] else "nothing"
            lines.append(
                f"  {name}: can act on others by {ways}; "
                f"others change it by at most {float(self.leakage[k]):.1e}, held nodes by {float(self.deviation[k]):.1e}{moved}"
            )
        return "\n".join(lines)


def compartments(
    system: System,
    theta: PyTree,
    parts: Mapping[str, Nodes],
    interventions: Mapping[str, AbstractIntervention | Sequence[AbstractIntervention]],
    *,
    held: Mapping[str, Nodes] | None = None,
    tolerance: float = 1e-6,
) -> Compartments:
    """Return what interventions in compartments do to each other, and whether Proposition 4 says that they do nothing.

    All combinations are solved for: of every compartment none, or one of its interventions.

    Parameters
    ----------
    system:
        `System(f, x0)`.
    theta:
        What f takes.
    parts:
        Compartment -> its nodes; together all nodes, each once.
    interventions:
        Compartment -> interventions in it, such as the `intervention` of what `invariant` returns.
    held:
        Compartment -> the nodes that its interventions leave as they are, which is measured.
    tolerance:
        Largest relative change of a held node that counts as none.

    Raises
    ------
    InputError
        Parts that are no partition of the nodes; compartments that are not among them; an intervention that acts on the
        nodes of another compartment.
    SolveError
        A combination has no equilibrium.

    References
    ----------
    Besserve and Schoelkopf (2022), definition 5 and proposition 4.
    """
    held, tolerance = {} if held is None else held, positive(tolerance, "tolerance")
    names = tuple(parts)
    for given, what in ((interventions, "interventions"), (held, "held")):
        unknown = [name for name in given if name not in parts]
        if unknown:
            raise InputError(
                f"{what} names the compartment {unknown[0]!r}, which parts does not; it has {', '.join(names)}."
            )
    nodes = {name: positions(checked(system), members, name) for name, members in parts.items()}
    counted = np.bincount([i for members in nodes.values() for i in members], minlength=len(system.nodes))
    if (counted != 1).any():
        i = int(np.argmax(counted != 1))
        raise InputError(f"parts has {system.nodes[i]} {counted[i]} times; put every node into one compartment.")
    kept = {name: positions(system, held[name], "held") if name in held else () for name in names}
    depends = graph(system, theta).depends
    for name in names:
        foreign = [j for j in kept[name] if j not in nodes[name]]
        if foreign:
            raise InputError(f"held: {system.nodes[foreign[0]]} is no node of {name!r}; name one of its own.")
    outgoing = tuple(
        tuple(j for j in nodes[name] if depends[[k for k in range(len(counted)) if k not in nodes[name]], j].any())
        for name in names
    )
    choices = [_listed(interventions.get(name, ())) for name in names]
    start = observed(system, theta).x
    for name, choice in zip(names, choices, strict=True):
        _require_inside(system, theta, start, name, nodes, choice)
    x = _combined(system, theta, start, choices)
    return Compartments(
        names,
        tuple(tuple(system.nodes[j] for j in group) for group in outgoing),
        tuple(
            tuple(system.nodes[j] for j in group if choice and j not in kept[name])
            for name, group, choice in zip(names, outgoing, choices, strict=True)
        ),
        jnp.asarray(x),
        jnp.asarray([_change(np.moveaxis(x, k, -2), nodes[name], -2) for k, name in enumerate(names)]),
        jnp.asarray([_change(x, kept[name], None) for name in names]),
        tuple(tuple(system.nodes[j] for j in kept[name] if not _change(x, (j,), None) <= tolerance) for name in names),
    )


def _listed(given: AbstractIntervention | Sequence[AbstractIntervention]) -> Sequence[AbstractIntervention]:
    return (given,) if isinstance(given, AbstractIntervention) else tuple(given)


def _require_inside(
    system: System,
    theta: PyTree,
    x: Array,
    name: str,
    nodes: Mapping[str, Sequence[int]],
    choice: Sequence[AbstractIntervention],
) -> None:
    """Raise `InputError` where an intervention changes the assignment of a node of another compartment."""
    before = assignments(system, x, theta)
    for intervention in choice:
        changed = np.asarray(assignments(intervene(system, intervention), x, theta) != before)
        for other, members in nodes.items():
            touched = [j for j in members if changed[j]]
            if other != name and touched:
                raise InputError(
                    f"interventions: one of {name!r} acts on {system.nodes[touched[0]]}, a node of {other!r}; give it there."
                )


def _combined(system: System, theta: PyTree, start: Array, choices: list[Sequence[AbstractIntervention]]) -> np.ndarray:
    table = np.zeros((*(len(choice) + 1 for choice in choices), start.size))
    for combination in product(*(range(len(choice) + 1) for choice in choices)):
        chosen = [choices[k][at - 1] for k, at in enumerate(combination) if at]
        found = equilibrium(intervene(system, *chosen), theta, start)
        if not bool(found.found):
            raise SolveError(
                f"The system has no equilibrium near the observed one under the interventions {combination} (0 is none); take "
                "interventions nearer to the identity."
            )
        table[combination] = np.asarray(found.x)
    return table


def _change(x: np.ndarray, nodes: Sequence[int], own: int | None) -> float:
    """Return the largest relative change of nodes over the table, apart from that along its own axis."""
    if not nodes:
        return 0.0
    values = x[..., list(nodes)]
    flat = values.reshape(-1, *values.shape[-2:]) if own else values.reshape(-1, 1, values.shape[-1])
    base = np.abs(flat[:1])
    scale = np.where(base > 0, base, np.abs(flat).max() or 1)
    return float(np.max(np.abs(flat - flat[:1]) / scale))
