"""Interventions that leave a node as it was: an assignment of another one is learnt that keeps their effect off."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from quesnay._checks import instance, positive, whole
from quesnay._errors import InputError, SolveError
from quesnay.equilibrium import System

from .actions import Scaling
from .branches import Range, follow, require_found
from .diagnosis import Triplet, hold, holding, slope, triplet
from .flat import checked, equilibrium, observed
from .groups import AbstractAction
from .interventions import AbstractIntervention, Act, Soft, lawful, replaced
from .soft import MLP, AbstractAssignment, Implicit


class Together(AbstractIntervention):
    """Several interventions as one, the first one first."""

    parts: tuple[AbstractIntervention, ...]

    def on(self, system):
        for part in self.parts:
            system = part.on(system)
        return system


class ClosedLoop(AbstractIntervention):
    """The auxiliary node takes the value that holds the invariant one where it was, for which it sees the parameters.

    Attributes
    ----------
    reference:
        The system without intervention, which says where that is; its equilibrium is sought from `start` (n,).
    held:
        Positions of the invariant and the auxiliary node.
    slope:
        `dx_j / dx_k`, about.
    """

    reference: System
    held: Int[Array, " 2"]
    start: Float[Array, " n"]
    slope: Float[Array, ""]

    def on(self, system):
        return replaced(system, self.held[1], _Loop(self))


class _Loop(eqx.Module):
    loop: ClosedLoop

    def __call__(self, x, theta):
        j, k = self.loop.held
        target = equilibrium(self.loop.reference, theta, self.loop.start).x[j]
        return x[k] + (target - x[j]) / self.loop.slope


class Invariant(eqx.Module):
    """An intervention that leaves a node as it was, and by how much it does not.

    Attributes
    ----------
    intervention:
        What to give to `intervene`: the Lie intervention and the assignment that was learnt.
    deviation:
        Largest relative deviation of the invariant node over the range of parameters, at points that were not learnt from.
    plain:
        That of the Lie intervention by itself.
    sees:
        What the assignment takes: names of nodes; for a closed loop also "the parameters".
    solvability:
        Smallest singular value of `I - J` of the intervened system over the range.
    theta:
        The parameters of these points, in the form of theta with a leading axis (t, ...).
    reference, intervened, lie:
        Equilibria there (t, n): without intervention, with it, and under the Lie intervention by itself.
    """

    intervention: Together
    deviation: Float[Array, ""]
    plain: Float[Array, ""]
    sees: tuple[str, ...] = eqx.field(static=True)
    solvability: Float[Array, ""]
    theta: PyTree
    reference: Float[Array, "t n"]
    intervened: Float[Array, "t n"]
    lie: Float[Array, "t n"]

    def __repr__(self) -> str:
        return (
            f"Invariant: deviates by at most {float(self.deviation):.1e} (the Lie intervention by itself: "
            f"{float(self.plain):.1e}), by an assignment of {' and '.join(self.sees)}"
        )


def invariant(
    system: System,
    theta_range: tuple[PyTree, PyTree] | None = None,
    *,
    intervened: int | str | None = None,
    invariant: int | str,
    auxiliary: int | str | None = None,
    assignment: AbstractAssignment | Implicit | None = None,
    action: AbstractAction | None = None,
    element: Any = 0.5,
    samples: int = 128,
    tolerance: float = 1e-6,
    throw: bool = True,
) -> Invariant:
    """Return an intervention whose effect on a node is kept off by the assignment of another one, learnt over a range.

    ```
    x_i = g f_i(x, theta),    x_k = a(x_Pa(k)),    so that  x_j(theta) = x*_j(theta)  for all theta of the range
    ```

    What the auxiliary node k has to be is solved for at samples of the range; the assignment is fitted to that as a function
    of the values that the parents of k have there, and of nothing else. The intervened system is then solved for at other
    points of the range, and the largest deviation of the invariant node is reported.

    Parameters
    ----------
    system:
        `System(f, x0)`.
    theta_range:
        (low, high): two of what f takes, equal where a parameter is fixed. None: the domain of the system.
    intervened:
        The node that is intervened on; None where `action` acts on parameters.
    invariant:
        The node whose value stays what it was.
    auxiliary:
        The node that gets a new assignment; None: the invariant one.
    assignment:
        `MLP()` (default), `Polynomial()`, or `Implicit()`, a closed loop that sees the parameters too.
    action:
        What acts; None: `Scaling(intervened)`.
    element:
        Which element of its group: a factor for scaling.
    samples:
        Points of the range that are learnt from; a quarter as many more for each further free parameter would not hurt.
    tolerance:
        Largest deviation that counts as invariant.
    throw:
        Raise where it is exceeded; with False see `deviation`.

    Raises
    ------
    InputError
        Nodes that are no triplet; a range with nothing free in it, or whose ends have different forms.
    SolveError
        No equilibrium in a part of the range; no value of the auxiliary node holds the invariant one; the deviation is above
        the tolerance.

    References
    ----------
    Besserve and Schoelkopf (2022), definition 4, proposition 3 and section 4.
    """
    span = Range.of(checked(system).domain if theta_range is None else theta_range)
    assignment = MLP() if assignment is None else assignment
    tolerance, samples = positive(tolerance, "tolerance"), whole(samples, "samples", "number of samples", least=8)
    instance(assignment, (AbstractAssignment, Implicit), "assignment", "MLP(), Polynomial() or Implicit()")
    if action is None and intervened is None:
        raise InputError("nothing is intervened on; name a node as intervened, or give an action on parameters.")
    middle = span.theta(span.middle)
    nodes = triplet(checked(system), middle, intervened, invariant, auxiliary)
    action = Scaling(intervened) if action is None else action
    lawful(action, middle)
    act = Act(action, element)
    changed, start = act.on(system), observed(system, middle).x
    soft, sees = _soft(system, changed, span, nodes, start, assignment, samples)
    found = _appraised(system, changed, Together((act, soft)), span, nodes, start, samples, sees)
    if throw and not float(found.deviation) <= tolerance:
        raise SolveError(
            f"{system.nodes[nodes.invariant]} deviates by up to {float(found.deviation):.2g} of its value, more than "
            f"{tolerance:g}; give more samples, a larger assignment or a narrower range, or see by `diagnose` whether the "
            f"parents of {system.nodes[nodes.auxiliary]} tell enough."
        )
    return found


def _soft(
    system: System,
    changed: System,
    span: Range,
    nodes: Triplet,
    start: Array,
    assignment: AbstractAssignment | Implicit,
    samples: int,
) -> tuple[AbstractIntervention, tuple[str, ...]]:
    """Return what takes the place of the auxiliary node's assignment, and the names of what it sees."""
    node, names = system.nodes[nodes.auxiliary], tuple(system.nodes[p] for p in nodes.parents)
    if isinstance(assignment, Implicit):
        held = hold(changed, span.theta(span.middle), nodes, start[nodes.invariant], start)
        steep = slope(held.jacobian, nodes.invariant, nodes.auxiliary)
        return ClosedLoop(system, nodes.held, start, steep), (*names, system.nodes[nodes.invariant], "the parameters")
    hold(changed, span.theta(span.middle), nodes, start[nodes.invariant], start)
    points = span.points(samples, 1)
    reference, found, _ = follow(system, span, start, points)
    require_found(found, span, points, "The model without intervention has no equilibrium")
    asked, found = _held(changed, span, nodes.held, reference, points)
    require_found(found, span, points, f"No value of {node} holds {system.nodes[nodes.invariant]}")
    function = assignment.fit(asked[:, np.array(nodes.parents, int)], asked[:, nodes.auxiliary])
    return Soft(node, names, function), names


@eqx.filter_jit
def _held(
    changed: System, span: Range, held: Int[Array, " 2"], reference: Array, points: Array
) -> tuple[Float[Array, "s n"], Bool[Array, " s"]]:
    def one(point, x):
        found = holding(changed, span.theta(point), held, x[held[0]], x)
        return found.x, found.found

    return jax.vmap(one)(points, reference)


def _appraised(
    system: System,
    changed: System,
    intervention: Together,
    span: Range,
    nodes: Triplet,
    start: Array,
    samples: int,
    sees: tuple[str, ...],
) -> Invariant:
    """Return what the intervention comes to, at points that were not learnt from."""
    points = span.points(samples, 2)
    reference, found, _ = follow(system, span, start, points)
    require_found(found, span, points, "The model without intervention has no equilibrium")
    intervened, found, jacobians = follow(intervention.on(system), span, start, points)
    require_found(found, span, points, "The intervened model has no equilibrium")
    lie, reached, _ = follow(changed, span, start, points)
    lie = jnp.where(reached[:, None], lie, jnp.nan)
    wanted = np.asarray(reference)[:, nodes.invariant]
    scale = np.where(wanted != 0, np.abs(wanted), np.abs(wanted).max() or 1)
    deviation, plain = (
        jnp.asarray(np.max(np.abs(np.asarray(x)[:, nodes.invariant] - wanted) / scale)) for x in (intervened, lie)
    )
    unique = jnp.asarray(np.linalg.svd(np.eye(start.size) - np.asarray(jacobians), compute_uv=False).min())
    return Invariant(
        intervention, deviation, plain, sees, unique, jax.vmap(span.theta)(points), reference, intervened, lie
    )
