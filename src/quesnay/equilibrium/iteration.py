"""Iterate any system to its fixed point, with derivatives by the implicit function theorem."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from quesnay._checks import floating
from quesnay._errors import InputError
from quesnay._results import RESULTS

from .solvers import AbstractIteration, Found, tangent
from .system import AbstractSystem, form


def iterate(system: AbstractSystem, theta: PyTree, solver: AbstractIteration) -> Found:
    """Return the fixed point that the iteration reaches from the system's start.

    The point is one vector, measured array by array in units of the largest entry of `f(x0)`, so that no tolerance has a unit,
    in the solve and in the linear solve of its derivatives.
    """
    x0 = jax.tree.map(jax.lax.stop_gradient, system.start(theta))
    first = _same_form(x0, system(x0, theta))
    flat, unravel = ravel_pytree(x0)
    scale = jax.lax.stop_gradient(ravel_pytree(jax.tree.map(_scale, x0, first))[0])

    def step(z, args):
        system, theta = args
        return ravel_pytree(system(unravel(z * scale), theta))[0] / scale

    def remainder(z, args):
        # The residual relative to the size of the point: scaling by a number moves no root and no step of Newton's.
        return (step(z, args) - z) / jax.lax.stop_gradient(_size_by_array(z, x0))

    method = solver.method(flat)
    adjoint = optx.ImplicitAdjoint(tangent(flat.size))
    args, start = (system, theta), flat / scale
    if isinstance(method, optx.AbstractFixedPointSolver):
        found = optx.fixed_point(step, method, start, args, max_steps=solver.max_steps, adjoint=adjoint, throw=False)
    else:
        found = optx.root_find(remainder, method, start, args, max_steps=solver.max_steps, adjoint=adjoint, throw=False)
    result = RESULTS.where(found.result == optx.RESULTS.successful, RESULTS.successful, RESULTS.not_converged)
    return Found(unravel(found.value * scale), jnp.asarray(found.stats["num_steps"]), result)


def relative_residual(system: AbstractSystem, theta: PyTree, x: PyTree) -> Float[Array, ""]:
    """Return the largest `max |f(x) - x| / max |x|` over the arrays of x; it has no derivative."""
    system, theta, x = jax.tree.map(
        lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) else leaf, (system, theta, x)
    )
    return apart(system(x, theta), x)


def apart(there: PyTree, here: PyTree) -> Float[Array, ""]:
    """Return the largest `max |there - here| / max |here|` over the arrays of a pytree."""

    def one(a, b):
        size = jnp.max(jnp.abs(b), initial=0)
        return jnp.max(jnp.abs(a - b), initial=0) / jnp.where(size > 0, size, 1)

    return jnp.max(jnp.stack(jax.tree.leaves(jax.tree.map(one, there, here))))


def _same_form(x: PyTree, image: PyTree) -> PyTree:
    """Return the image as real arrays, or raise `InputError` where it is not of the form of x."""
    try:
        image = jax.tree.map(lambda leaf: floating(leaf, "what f returns"), image)
    except InputError as error:
        raise InputError(f"{error} f must return the same form as x0, {form(x)}.") from None
    wanted, got = jax.tree.structure(x), jax.tree.structure(image)
    shapes = [[leaf.shape for leaf in jax.tree.leaves(tree)] for tree in (x, image)]
    if wanted != got or shapes[0] != shapes[1]:
        raise InputError(f"f returns {form(image)}, but x0 is {form(x)}; f must return the same form as x0.")
    return image


def _scale(x: Array, image: Array) -> Array:
    size = jnp.maximum(jnp.max(jnp.abs(image), initial=0), jnp.max(jnp.abs(x), initial=0))
    return jnp.full_like(x, jnp.where(jnp.isfinite(size) & (size > 0), size, 1))


def _size_by_array(z: Array, like: PyTree) -> Array:
    _, unravel = ravel_pytree(like)

    def size(leaf):
        most = jnp.max(jnp.abs(leaf), initial=0)
        return jnp.full_like(leaf, jnp.where(most > 0, most, 1))

    return ravel_pytree(jax.tree.map(size, unravel(z)))[0]
