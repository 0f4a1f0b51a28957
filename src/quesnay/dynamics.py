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

Scan = Callable[[Callable[[Any, Any], tuple[Any, Any]], PyTree, PyTree], tuple[PyTree, PyTree]]


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
    def rows(
        self, shock: Any, steps: int, key: PRNGKeyArray | None, observe: Callable[[Any], Any] | None, scan: Scan
    ) -> PyTree:
        """Return what is kept of every step, stacked along a leading axis: `each_step`, or a faster way to the same numbers.

        `scan` is called as `jax.lax.scan(function, start, inputs)` is.
        """

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
    checkpoints: int | None = None,
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
    checkpoints:
        How many states reverse mode keeps, each followed by about `steps / checkpoints` steps that it runs again on its way
        back: the square root of `steps` needs the least memory, at the time of one more run. None keeps what it needs of every
        step. Firms on the fast engine of a network keep the square root of `steps` in any case. Forward mode (`jax.jvp`,
        `jax.jacfwd`), for a few parameters and many results, keeps nothing.
    throw:
        Raise where a value is not finite; with False the path carries the code in `result`.

    Raises
    ------
    InputError
        `steps` or `checkpoints` is not a positive integer, or the shock does not fit the model.
    SolveError
        The path is not finite and `throw` is True.
    """
    if not isinstance(model, AbstractDynamics):
        raise InputError(f"model is a {type(model).__name__}; give a model in time, such as SupplyModel.")
    for name, number in {"steps": steps, "checkpoints": 1 if checkpoints is None else checkpoints}.items():
        if isinstance(number, bool) or not isinstance(number, Integral) or number < 1:
            raise InputError(f"{name} is {number!r}; give a positive whole number of {name}.")
    if observe is not None and not callable(observe):
        raise InputError(
            f"observe is {observe!r}; give a function of what the model shows of a step, such as by_group(...)."
        )
    steps, checkpoints = int(steps), None if checkpoints is None else int(checkpoints)
    # Inside a trace, the checks of a model that is itself not traced must run now, on its numbers.
    with jax.ensure_compile_time_eval():
        model.check(shock)
    path = _run(model, shock, steps, key, observe, checkpoints)
    return raise_unless_successful(path, path.result) if throw else path


@eqx.filter_jit
def _run(
    model: AbstractDynamics, shock: Any, steps: int, key: PRNGKeyArray | None, observe: Any, checkpoints: int | None
) -> Any:
    rows = model.rows(shock, steps, key, observe, jax.lax.scan if checkpoints is None else _checkpointed(checkpoints))
    base = model.observe(model.init())
    base = base if observe is None else observe(base)
    return model.path(rows, base, result_if(~_finite(rows), RESULTS.not_finite))


def each_step(
    model: AbstractDynamics,
    shock: Any,
    steps: int,
    key: PRNGKeyArray | None,
    observe: Callable[[Any], Any] | None,
    scan: Scan,
) -> PyTree:
    """Return the observations of all steps, one after the other."""

    def advance(state, t):
        day, own = t
        state = model.step(state, day, shock, own)
        seen = model.observe(state)
        return state, seen if observe is None else observe(seen)

    keys = None if key is None else jax.random.split(key, steps)
    return scan(advance, model.init(), (jnp.arange(steps), keys))[1]


def _checkpointed(parts: int) -> Scan:
    """Return a `jax.lax.scan` whose reverse mode keeps the states before so many parts; all but the last have one length."""

    def scan(function, start, inputs):
        steps = jax.tree.leaves(inputs)[0].shape[0]
        length = -(-steps // parts)
        whole = steps - steps % length

        def part(state, rows):
            return jax.lax.scan(function, state, rows)

        def cut(rows):
            return rows[:whole].reshape(-1, length, *rows.shape[1:])

        state, seen = jax.lax.scan(jax.checkpoint(part, prevent_cse=False), start, jax.tree.map(cut, inputs))
        seen = jax.tree.map(lambda rows: rows.reshape(-1, *rows.shape[2:]), seen)
        if whole == steps:
            return state, seen
        state, rest = jax.checkpoint(part)(state, jax.tree.map(lambda rows: rows[whole:], inputs))
        return state, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), seen, rest)

    return scan


def _finite(tree: PyTree) -> Array:
    leaves = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.all(jnp.stack(leaves)) if leaves else jnp.asarray(True)
