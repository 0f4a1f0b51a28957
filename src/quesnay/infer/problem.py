"""A simulator, a prior and what was observed, checked once and brought into the form that every method shares."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from quesnay._checks import floating, instance
from quesnay._errors import InputError

from .prior import Prior, read_prior


class Problem(NamedTuple):
    """What is to be inferred from what: arrays only, all of the observed series in one vector."""

    simulator: Callable[..., PyTree]
    prior: Prior
    observed: Float[Array, " p"]
    seen: Bool[Array, " p"]
    shapes: tuple[tuple[int, ...], ...]
    unravel: Callable[[Array], PyTree]
    draws: bool

    @property
    def missing(self) -> int:
        """Number of observations that are missing."""
        return int(np.sum(~np.asarray(self.seen)))

    @property
    def bare(self) -> "Problem":
        """The same without what only describes the observations: one compiled program then serves other observations too."""
        return self._replace(shapes=(), unravel=flat)

    def simulate(self, z: Float[Array, " size"], key: PRNGKeyArray) -> Float[Array, " p"]:
        """Return the simulated observations of one z, all series in one vector; what was not observed is 0."""
        theta = self.prior.constrain(z)
        return jnp.where(self.seen, flat(self.simulator(theta, key) if self.draws else self.simulator(theta)), 0.0)


def read_problem(simulator: Any, prior: Any, observed: Any, *, missing: bool = False) -> Problem:
    """Return the checked problem.

    Raises
    ------
    InputError
        A simulator that cannot be called, a prior that is not one, observations that are not finite numbers, or simulations
        of another structure or shape.
    """
    if not callable(simulator):
        raise InputError(
            f"simulator is a {type(simulator).__name__}; give a function of a dict of parameters (and a key) that returns the "
            f"simulated observations."
        )
    space = read_prior(prior)
    values = _series(observed)
    if not jax.tree.leaves(values):
        raise InputError("observed holds no series; give an array, or a dict of them.")
    vector, unravel = ravel_pytree(values)
    if vector.size == 0:
        raise InputError("observed is empty; give at least one observation.")
    seen = jnp.isfinite(vector)
    if bool(jnp.any(jnp.isinf(vector))):
        raise InputError(
            f"observed has {int(jnp.sum(jnp.isinf(vector)))} infinite values; give finite ones, or NaN where missing."
        )
    gaps = int(jnp.sum(~seen))
    if gaps and not missing:
        raise InputError(
            f"observed has {gaps} of {vector.size} values missing (NaN); give them, or leave them out by missing=True."
        )
    if gaps == vector.size:
        raise InputError("observed has no value at all, only NaN; give at least one observation.")
    shapes = tuple(jnp.shape(leaf) for leaf in jax.tree.leaves(values))
    problem = Problem(simulator, space, jnp.where(seen, vector, 0.0), seen, shapes, unravel, takes_key(simulator))
    _check_simulation(problem, values)
    return problem


def takes_key(simulator: Callable[..., Any]) -> bool:
    """Say whether the simulator is one of (theta, key), by its required arguments."""
    try:
        parameters = inspect.signature(simulator).parameters.values()
    except (TypeError, ValueError):
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in parameters if p.kind in kinds and (p.default is p.empty or p.name == "key")]
    if len(required) > 2 or not required:
        raise InputError(
            f"simulator takes {len(required)} arguments; give a function of a dict of parameters, or of it and a key."
        )
    return len(required) == 2


def split(key: Any, count: int) -> PRNGKeyArray:
    """Return keys from one, or say what a key is.

    Raises
    ------
    InputError
        No random key of JAX.
    """
    try:
        return jax.random.split(key, count)
    except (TypeError, ValueError):
        raise InputError(f"key is {key!r}; give a random key of JAX, such as jax.random.key(0).") from None


def flat(values: PyTree) -> Float[Array, " p"]:
    """Return all series of one simulation in one vector."""
    return ravel_pytree(values)[0]


def _series(observed: Any) -> PyTree:  # labels of pandas and xarray are dropped
    if isinstance(observed, Mapping):
        return {name: _series(value) for name, value in observed.items()}
    if isinstance(observed, (list, tuple)) and any(np.ndim(value) for value in observed):
        return type(observed)(_series(value) for value in observed)
    return floating(getattr(observed, "to_numpy", lambda: observed)(), "observed")


def _check_simulation(problem: Problem, values: PyTree) -> None:
    z, key = (
        jax.ShapeDtypeStruct((problem.prior.size,), problem.observed.dtype),
        jax.eval_shape(lambda: jax.random.key(0)),
    )
    instance(problem.prior, Prior, "prior", "a dict of distributions")

    def run(z, key):
        theta = problem.prior.constrain(z)
        return problem.simulator(theta, key) if problem.draws else problem.simulator(theta)

    simulated = eqx.filter_eval_shape(run, z, key)
    ours, theirs = jax.tree.structure(values), jax.tree.structure(simulated)
    if ours != theirs:
        raise InputError(
            f"The simulator returns {_said(simulated)}, but observed is {_said(values)}; give both the same series."
        )
    for (path, want), have in zip(jax.tree.leaves_with_path(values), jax.tree.leaves(simulated), strict=True):
        where = "observed" + jax.tree_util.keystr(path)
        if not hasattr(have, "shape") or not jnp.issubdtype(have.dtype, jnp.inexact):
            raise InputError(f"The simulator returns no floating-point array for {where}; return one.")
        if want.shape != have.shape:
            raise InputError(
                f"{where} has shape {want.shape}, but the simulator returns {have.shape}; give both the same shape."
            )


def _said(values: PyTree) -> str:
    leaves = jax.tree.leaves_with_path(values)
    if len(leaves) == 1 and not leaves[0][0]:
        return f"one array of shape {jnp.shape(leaves[0][1])}"
    return "{" + ", ".join(f"{jax.tree_util.keystr(path)}: {jnp.shape(leaf)}" for path, leaf in leaves[:4]) + "}"
