"""Structural decomposition: how much of a change each factor makes, by path integral, polar forms and Shapley's average."""

import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from quesnay._checks import concrete, floating, positive
from quesnay._errors import InputError, SolveError

FIRST_NODES, MAX_NODES = 4, 512
ROUNDING = 256
"""Units of rounding to which effects can be told to agree at best."""
MAX_FACTORS = 10
"""Shapley's average takes the outcome at 2^K mixtures of K factors."""


class FactorEffects(eqx.Module):
    """What each factor adds to a change; the effects sum to it.

    Attributes
    ----------
    effects:
        Effect of each factor, by its name (of a dict) or position (of a tuple), each of the outcome's shape.
    change:
        Outcome at the end minus outcome at the start.
    """

    effects: Mapping[Any, Array]
    change: Array


class PathEffects(eqx.Module):
    """What each factor adds to a change along the straight path; the effects sum to it within the error.

    Attributes
    ----------
    effects:
        Effect of each factor, by its name (of a dict) or position (of a tuple), each of the outcome's shape.
    change:
        Outcome at the end minus outcome at the start.
    nodes:
        Gauss nodes of the last rule.
    error:
        The larger of two differences: effects of the last rule minus those of the one with half its nodes, and the sum of
        the effects minus the change; relative to the largest entry of the outcomes and effects.
    """

    effects: Mapping[Any, Array]
    change: Array
    nodes: int = eqx.field(static=True)
    error: Float[Array, ""]


def decompose_path(
    outcome: Callable[[Any], Array], start: PyTree, end: PyTree, *, tolerance: float = 1e-10, nodes: int | None = None
) -> PathEffects:
    """Return `E_k = integral over t in [0, 1] of dF/dtheta_k (theta(t)) (end_k - start_k)` on the straight path theta(t).

    Gauss-Legendre rules of 4, 8, 16, ... nodes, until the effects of two successive rules agree and the effects sum to the
    change. The result depends on no order of the factors. For an outcome linear in each factor it is Shapley's average.

    Parameters
    ----------
    outcome:
        F, a function of the factors to an array of any shape whose entries share a unit; differentiable by JAX.
    start, end:
        The factors at the two ends: a dict, tuple or list; each entry (an array, or a tree of arrays) is one factor.
    tolerance:
        Largest error, relative to the largest entry of the outcomes and effects, and no less than 256 units of rounding.
    nodes:
        Take this number of nodes (and half of it) without a check of the error, which is in the result; needed under
        `jit`, `grad` and `vmap`, where no refinement can be decided.

    Raises
    ------
    InputError
        Factors that differ in structure or shape, or traced values without `nodes`.
    SolveError
        The outcome is not finite on the path, or the tolerance is not reached with 512 nodes.

    References
    ----------
    Aumann and Shapley (1974), Values of Non-Atomic Games; Harrison, Horridge and Pearson (2000), Computational
    Economics 15 (the straight path); Owen (1972), Management Science 18 (its equality with Shapley's value).
    """
    line = _line(outcome, start, end)
    tolerance = positive(tolerance, "tolerance")
    if nodes is not None:
        if isinstance(nodes, bool) or not isinstance(nodes, int) or nodes < 2 or nodes % 2:
            raise InputError(f"nodes is {nodes!r}; give an even number of at least 2.")
        return _path_effects(line, line.integrate(nodes // 2), line.integrate(nodes), nodes)
    count = FIRST_NODES
    coarse = line.integrate(count)
    if not concrete(coarse):
        raise InputError("under jit, grad or vmap no refinement can be decided; give the number of nodes.")
    while True:
        count *= 2
        fine = line.integrate(count)
        found = _path_effects(line, coarse, fine, count)
        error, enough = float(found.error), max(tolerance, ROUNDING * float(jnp.finfo(found.error.dtype).eps))
        if error <= enough:
            return found
        if not math.isfinite(error):
            raise SolveError("the outcome or its derivative is not finite on the straight path between start and end.")
        if count >= MAX_NODES:
            raise SolveError(
                f"the effects agree to {error:.1e} with {count} nodes, not to {enough:.1e}: the outcome is not smooth, or "
                f"nearly singular, on the straight path between start and end; allow a larger tolerance."
            )
        coarse = fine


def decompose_polar(outcome: Callable[[Any], Array], start: PyTree, end: PyTree) -> FactorEffects:
    """Return the average of the two polar decompositions: factors change first to last, and last to first.

    `E_k = (F(end_<k, end_k, start_>k) - F(end_<k, start_k, start_>k) + F(start_<k, end_k, end_>k) - F(start_<k, start_k,
    end_>k)) / 2`. With three factors or more it depends on the order in which they are given.

    Parameters
    ----------
    outcome:
        F, a function of the factors to an array.
    start, end:
        The factors at the two ends: a dict, tuple or list; each entry is one factor, in this order.

    Raises
    ------
    InputError
        Factors that differ in structure or shape.

    References
    ----------
    Dietzenbacher and Los (1998), Economic Systems Research 10, equations 7 and 8.
    """
    line = _line(outcome, start, end)
    forth = [line.corner(line.names[:k]) for k in range(len(line.names) + 1)]
    back = [line.corner(line.names[k:]) for k in range(len(line.names) + 1)]
    effects = {name: (forth[k + 1] - forth[k]) / 2 + (back[k] - back[k + 1]) / 2 for k, name in enumerate(line.names)}
    return FactorEffects(effects, forth[-1] - forth[0])


def decompose_shapley(outcome: Callable[[Any], Array], start: PyTree, end: PyTree) -> FactorEffects:
    """Return Shapley's average: each factor's effect averaged over all K! orders in which the factors can change.

    `E_k = sum over S without k of |S|! (K - 1 - |S|)! / K! (F(S and k at their end) - F(S at its end))`.

    Parameters
    ----------
    outcome:
        F, a function of the factors to an array.
    start, end:
        The factors at the two ends: a dict, tuple or list; each entry is one factor; ten of them at most.

    Raises
    ------
    InputError
        Factors that differ in structure or shape, or more than ten of them (2^K values of the outcome are needed).

    References
    ----------
    Sun (1998), Energy Economics 20; Ang (2004), Energy Policy 32; de Boer (2009), Economic Systems Research 21.
    """
    line = _line(outcome, start, end)
    size = len(line.names)
    if size > MAX_FACTORS:
        raise InputError(
            f"Shapley's average of {size} factors needs 2^{size} values of the outcome; join them to {MAX_FACTORS} at most, "
            f"or take decompose_path, which needs no orders."
        )
    subsets = itertools.chain.from_iterable(itertools.combinations(line.names, k) for k in range(size + 1))
    value = {frozenset(subset): line.corner(subset) for subset in subsets}

    def effect(name: Hashable) -> Array:
        others = [subset for subset in value if name not in subset]
        weights = [1 / (size * math.comb(size - 1, len(subset))) for subset in others]
        changes = [value[subset | {name}] - value[subset] for subset in others]
        return jnp.tensordot(jnp.asarray(weights, changes[0].dtype), jnp.stack(changes), axes=1)

    effects = {name: effect(name) for name in line.names}
    return FactorEffects(effects, value[frozenset(line.names)] - value[frozenset()])


class _Line(eqx.Module):
    """The straight path between two values of the factors, and the corners of the box that they span."""

    outcome: Callable[[Any], Array]
    start: tuple[PyTree, ...]
    end: tuple[PyTree, ...]
    names: tuple[Hashable, ...] = eqx.field(static=True)
    order: tuple[Hashable, ...] = eqx.field(static=True)
    structure: Any = eqx.field(static=True)

    def value(self, factors: Iterable[PyTree]) -> Array:
        """Return the outcome of the factors, given in the order of the names."""
        given = dict(zip(self.names, factors, strict=True))
        return floating(
            self.outcome(jax.tree.unflatten(self.structure, [given[name] for name in self.order])), "outcome"
        )

    def corner(self, changed: Iterable[Hashable]) -> Array:
        """Return the outcome with the named factors at their end and all others at their start."""
        changed = frozenset(changed)
        return self.value(
            b if name in changed else a for name, a, b in zip(self.names, self.start, self.end, strict=True)
        )

    def integrate(self, nodes: int) -> dict[Hashable, Array]:
        """Return the integral of each factor's part of the slope by the Gauss-Legendre rule with this number of nodes."""
        points, weights = np.polynomial.legendre.leggauss(nodes)
        # As arrays, for a Python number would be compiled in.
        slopes = [_slopes(self, jnp.asarray((1 + point) / 2)) for point in points]
        return {
            name: jnp.tensordot(jnp.asarray(weights / 2, parts[0].dtype), jnp.stack(parts), axes=1)
            for name, parts in zip(self.names, zip(*slopes, strict=True), strict=True)
        }


@eqx.filter_jit
def _slopes(line: _Line, t: Array) -> tuple[Array, ...]:
    """Return, for each factor, the derivative of the outcome at t to t through this factor alone."""
    speed = jax.tree.map(lambda a, b: b - a, line.start, line.end)
    at = jax.tree.map(lambda a, v: a + t.astype(v.dtype) * v, line.start, speed)
    still = jax.tree.map(jnp.zeros_like, speed)
    # Linearised once: an outcome that solves a system has its factors reused for every direction.
    _, push = jax.linearize(line.value, at)
    return tuple(push((*still[:k], speed[k], *still[k + 1 :])) for k in range(len(speed)))


def _path_effects(line: _Line, coarse: dict[Hashable, Array], fine: dict[Hashable, Array], nodes: int) -> PathEffects:
    first, last = line.corner(()), line.corner(line.names)
    effects = jnp.stack(list(fine.values()))
    gaps = (effects - jnp.stack(list(coarse.values())), jnp.sum(effects, axis=0) - (last - first))
    gap = jnp.max(jnp.stack([jnp.max(jnp.abs(g)) for g in gaps]))
    scale = jnp.max(jnp.stack([jnp.max(jnp.abs(v)) for v in (first, last, effects)]))
    return PathEffects(fine, last - first, nodes, jnp.where(gap == 0, 0, gap / jnp.where(scale > 0, scale, 1)))


def _line(outcome: Callable[[Any], Array], start: PyTree, end: PyTree) -> _Line:
    if not callable(outcome):
        raise InputError(f"outcome is of type {type(outcome).__name__}; give a function of the factors.")
    begin, structure = _entries(start)
    finish, other = _entries(end)
    if structure != other:
        raise InputError(
            f"start has the factors {list(begin)} and end {list(finish)}; give the same, in the same container."
        )
    # A dict's own order, which JAX would sort.
    names = tuple(start) if isinstance(start, Mapping) else tuple(begin)
    pairs = [_matched(begin[name], finish[name], name) for name in names]
    return _Line(outcome, tuple(a for a, _ in pairs), tuple(b for _, b in pairs), names, tuple(begin), structure)


def _entries(tree: PyTree) -> tuple[dict[Hashable, PyTree], Any]:
    """Return the top-level entries by name or position, in JAX's order, and the structure that holds them."""
    entries, structure = jax.tree.flatten_with_path(tree, is_leaf=lambda node: node is not tree)
    if not entries or any(len(path) != 1 for path, _ in entries):
        raise InputError(f"the factors are a {type(tree).__name__}; give a dict or a tuple of at least one factor.")
    return {_name(path[0]): value for path, value in entries}, structure


def _name(entry: Any) -> Hashable:
    """Return a dict's key, a sequence's position or a field's name."""
    return next(getattr(entry, kind) for kind in ("key", "idx", "name") if hasattr(entry, kind))


def _matched(a: PyTree, b: PyTree, name: Hashable) -> tuple[PyTree, PyTree]:
    """Return one factor at both ends with arrays of numbers as leaves."""
    if jax.tree.structure(a) != jax.tree.structure(b):
        raise InputError(f"factor {name!r} has different structures at start and end; give the same one.")
    a, b = (jax.tree.map(lambda leaf: floating(leaf, f"factor {name!r}"), side) for side in (a, b))
    shapes = [[leaf.shape for leaf in jax.tree.leaves(side)] for side in (a, b)]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"factor {name!r} has shape {shapes[0]} at the start and {shapes[1]} at the end; give the same."
        )
    return tuple(
        jax.tree.map(lambda leaf, other: leaf.astype(jnp.result_type(leaf, other)), *sides)
        for sides in ((a, b), (b, a))
    )
