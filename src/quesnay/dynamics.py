"""The dynamic interface `init / step / observe`, and the one loop that runs it."""

import abc
from numbers import Integral
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from ._errors import InputError
from ._results import RESULTS, raise_unless_successful, result_if


class AbstractDynamics(eqx.Module):
    """A model in discrete time: a state, a step, and what of the state is kept."""

    @abc.abstractmethod
    def init(self) -> PyTree:
        """Return the state before the first step."""

    @abc.abstractmethod
    def step(self, state: PyTree, day: Int[Array, ""], shock: Any, key: PRNGKeyArray | None) -> PyTree:
        """Return the state after step `day` (counted from 0) under the shock; `key` is this step's own, or None."""

    @abc.abstractmethod
    def observe(self, state: PyTree) -> PyTree:
        """Return what is kept of a state."""

    @abc.abstractmethod
    def path(self, rows: PyTree, base: PyTree, result: RESULTS) -> Any:
        """Return the finished path from the observations, stacked along a leading axis, and that of the initial state."""

    @abc.abstractmethod
    def check(self, shock: Any) -> None:
        """Raise or warn about a model or shock that should not be run; called once before the loop, also on traced values."""


def simulate(
    model: AbstractDynamics,
    shock: Any = None,
    *,
    steps: int,
    key: PRNGKeyArray | None = None,
    throw: bool = True,
) -> Any:
    """Run a model for a number of steps under a shock and return its path.

    Row t of the path is step t, counted from 0; the base state comes before row 0.

    Parameters
    ----------
    model:
        Any `AbstractDynamics`, such as `SupplyModel`.
    shock:
        A path in time that the model understands, such as `CapacityLoss`; None is no shock.
    steps:
        Number of steps, at least 1.
    key:
        A JAX random key for models that draw; each step gets its own.
    throw:
        Raise where a value is not finite; with False the path carries the code in `result`.

    Raises
    ------
    InputError
        `steps` is not a positive integer, or the shock does not fit the model.
    SolveError
        The path is not finite and `throw` is True.
    """
    if not isinstance(model, AbstractDynamics):
        raise InputError(f"model is a {type(model).__name__}; give a model in time, such as SupplyModel.")
    if isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 1:
        raise InputError(f"steps is {steps!r}; give a positive whole number of steps.")
    steps = int(steps)
    # Inside a trace, the checks of a model that is itself not traced must run now, on its numbers.
    with jax.ensure_compile_time_eval():
        model.check(shock)
    path = _run(model, shock, steps, key)
    return raise_unless_successful(path, path.result) if throw else path


@eqx.filter_jit
def _run(model: AbstractDynamics, shock: Any, steps: int, key: PRNGKeyArray | None) -> Any:
    def advance(state, t):
        day, own = t
        state = model.step(state, day, shock, own)
        return state, model.observe(state)

    state = model.init()
    keys = None if key is None else jax.random.split(key, steps)
    _, rows = jax.lax.scan(advance, state, (jnp.arange(steps), keys))
    return model.path(rows, model.observe(state), result_if(~_finite(rows), RESULTS.not_finite))


def _finite(tree: PyTree) -> Array:
    leaves = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.all(jnp.stack(leaves)) if leaves else jnp.asarray(True)
