"""The dynamic interface `init / step / observe`, and the one loop that runs it."""

import abc
from collections.abc import Callable
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
    def rows(self, shock: Any, steps: int, key: PRNGKeyArray | None, observe: Callable[[Any], Any] | None) -> PyTree:
        """Return what is kept of every step, stacked along a leading axis: `each_step`, or a faster way to the same numbers."""

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
    observe: Callable[[Any], Any] | None = None,
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
    observe:
        What to keep of each step, such as `by_group(groups, count)`; None keeps what the model shows of every account.
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
    if observe is not None and not callable(observe):
        raise InputError(
            f"observe is {observe!r}; give a function of what the model shows of a step, such as by_group(...)."
        )
    steps = int(steps)
    # Inside a trace, the checks of a model that is itself not traced must run now, on its numbers.
    with jax.ensure_compile_time_eval():
        model.check(shock)
    path = _run(model, shock, steps, key, observe)
    return raise_unless_successful(path, path.result) if throw else path


@eqx.filter_jit
def _run(model: AbstractDynamics, shock: Any, steps: int, key: PRNGKeyArray | None, observe: Any) -> Any:
    rows = model.rows(shock, steps, key, observe)
    base = model.observe(model.init())
    base = base if observe is None else observe(base)
    return model.path(rows, base, result_if(~_finite(rows), RESULTS.not_finite))


def each_step(
    model: AbstractDynamics, shock: Any, steps: int, key: PRNGKeyArray | None, observe: Callable[[Any], Any] | None
) -> PyTree:
    """Return the observations of all steps, one after the other."""

    def advance(state, t):
        day, own = t
        state = model.step(state, day, shock, own)
        seen = model.observe(state)
        return state, seen if observe is None else observe(seen)

    keys = None if key is None else jax.random.split(key, steps)
    return jax.lax.scan(advance, model.init(), (jnp.arange(steps), keys))[1]


def _finite(tree: PyTree) -> Array:
    leaves = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.all(jnp.stack(leaves)) if leaves else jnp.asarray(True)
