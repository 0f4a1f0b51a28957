"""A rigorous enclosure of the equilibrium of a linear system, and with it the proof that the technology is productive.

For any v > 0 with `(I - |M|) v > 0` the spectral radius of |M|, and so that of M, is below 1, and for every x

    |x - x*| <= max_i (|r_i| / ((I - |M|) v)_i) v,    r = b + M x - x

(I - |M| is an M-matrix; Rump, 2010; Neumaier, 1990). The bound is sharp where `(I - |M|) v` is proportional to |r|, so v is
solved for with |r| on the right-hand side. The residual is formed beyond working precision; everything else is rounded, and the
bound accounts for it.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from quesnay._results import RESULTS

from . import exact
from .krylov import largest
from .system import AbstractLinearSystem

FLOOR = 0.01
"""Least entry of the right-hand side that v is solved for, relative to the largest: a coarse solve then still proves it."""
REFINEMENTS = 20
"""Solves with M, at most, towards a proof for |M|."""
ATTEMPTS = 8
"""Solves, at most, towards a proof for M >= 0: one is enough unless the entries of v differ by many orders of magnitude."""
NEGATIVE = 0.01
"""Share of the largest entry of v that a coarse solve cannot get negative by mistake."""


class Enclosure(NamedTuple):
    """What is known of an approximate equilibrium.

    Attributes
    ----------
    residual:
        r (n,).
    radius:
        A bound of |x - x*| (n,); inf without proof.
    proof:
        Success where the technology is proved productive, else why not.
    """

    residual: Float[Array, " n"]
    radius: Float[Array, " n"]
    proof: RESULTS


def enclose(
    system: AbstractLinearSystem,
    b: Float[Array, " n"],
    x: Float[Array, " n"],
    approximate: Callable[[Float[Array, " n"]], tuple[Float[Array, " n"], RESULTS]],
) -> Enclosure:
    """Return the enclosure of the equilibrium around x; `approximate(w)` solves `(I - M) v = w` to a few digits."""
    wide = jnp.promote_types(x.dtype, jnp.result_type(float))
    # The unit comes from x as well, which no compiler knows: of a b that is a constant it would fold `(b - x) - b` in `add`.
    unit = exact.power(jnp.maximum(largest(b), largest(x))).astype(wide)
    known = jax.tree.map(lambda leaf: leaf.astype(wide) if eqx.is_inexact_array(leaf) else leaf, system)
    residual, size = _residual(known, b.astype(wide) / unit, x.astype(wide) / unit)
    # Machines may read and write numbers below `tiny` as 0.
    tiny = float(jnp.finfo(x.dtype).tiny)
    size = size + 2 * tiny / unit
    w = jnp.maximum(size / largest(size), FLOOR)
    mixed = jnp.asarray(False) if system.matrix is None else jnp.any(system.matrix < 0)
    v, left, ended = _certificate(known, w, approximate, mixed, x.dtype)
    proven = _proves(v, left)
    more = 1 + 16 * float(jnp.finfo(x.dtype).eps)
    radius = jnp.max(size / jnp.where(left > 0, left, 1)) * v * unit * more
    # With M >= 0 a solution for w > 0 that is not positive disproves productivity, and a singular I - M does; a positive one
    # whose left side is lost in rounding, or a solver that found no solution, has proved nothing.
    disproved = (ended == RESULTS.no_unique_solution) | ((ended == RESULTS.successful) & jnp.any(v <= 0))
    undecided = RESULTS.where(ended == RESULTS.successful, RESULTS.undecided, ended)
    failure = RESULTS.where(mixed, RESULTS.unproven, RESULTS.where(disproved, RESULTS.unproductive, undecided))
    proof = RESULTS.where(proven, RESULTS.successful, failure)
    radius = jnp.where(proven, radius.astype(x.dtype) * more + 2 * tiny, jnp.inf)
    return Enclosure((residual * unit).astype(x.dtype), radius.astype(x.dtype), proof)


def _residual(system: AbstractLinearSystem, b: Array, x: Array) -> tuple[Array, Array]:
    """Return r and a bound of its size."""
    leading, rest, bound = system.product(x)
    r, lost = exact.add(b, -x, leading, rest)
    u, smallest = float(jnp.finfo(x.dtype).eps), float(jnp.finfo(x.dtype).tiny)
    terms = jnp.abs(b) + jnp.abs(x) + jnp.abs(leading) + jnp.abs(rest)
    return r + lost, (jnp.abs(r + lost) + bound + 16 * u * u * terms) * (1 + 8 * u) + 4 * smallest


def _certificate(
    known: AbstractLinearSystem, w: Array, approximate, mixed: Array, dtype
) -> tuple[Array, Array, RESULTS]:
    """Return v with `(I - |M|) v` at w or above, a lower bound of the left side, and how the last solve ended.

    With negative coefficients a solution for M need not prove anything of |M|; it is then refined for |M|. Where rounding hides
    an entry of the left side, more is asked of that entry.
    """

    def unproven(carry):
        v, left, _, ended, step = carry
        disproved = ~mixed & ((ended != RESULTS.successful) | jnp.any(v < -NEGATIVE * jnp.max(jnp.abs(v))))
        most = jnp.where(mixed, REFINEMENTS, ATTEMPTS)
        return (step == 0) | (~_proves(v, left) & ~disproved & (step < most))

    def refine(carry):
        v, left, hidden, _, step = carry
        wanted = jnp.maximum(w, 4 * hidden)
        change, ended = approximate((wanted - left).astype(dtype))
        v = v + change.astype(w.dtype)
        left, hidden = _gap(known, v)
        return v, left, hidden, ended, step + 1

    zero = jnp.zeros_like(w)
    v, left, _, ended, _ = jax.lax.while_loop(unproven, refine, (zero, zero, zero, RESULTS.successful, jnp.asarray(0)))
    return v, left, ended


def _proves(v: Array, left: Array) -> Array:
    return jnp.all(v > 0) & jnp.all(left > 0)


def _gap(system: AbstractLinearSystem, v: Array) -> tuple[Array, Array]:
    """Return a lower bound of `(I - |M|) v`, and the rounding that it allows for."""
    size = jnp.abs(v)
    use = system.magnitude(size)
    hidden = 2 * exact.rounding(system.terms, v.dtype) * (size + use)
    return v - use - hidden, hidden
