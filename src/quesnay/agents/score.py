"""The score function: a derivative from the probabilities of draws, of which a program's own are collected on its way."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float, PyTree

from quesnay._errors import InputError

from .estimators import AbstractEstimator, arrivals, chosen, event, events


class Score(AbstractEstimator):
    """Draws without a derivative of their own, whose probabilities count: no bias, whatever follows; a variance that grows.

    ```
    dE[f] / dtheta = E[ f' + (f - b) d log P(draws) / dtheta ],    b the mean of f over all other runs (leave-one-out)
    ```

    It is a derivative of means: `expectation` and `check_gradient` take it; a single run has none, which is an error. Events of
    probability 0 are never seen, so that nothing is known of what a larger probability would do.

    References
    ----------
    Williams (1992); Kool, van Hoof and Welling (2019), the baseline.
    """

    def bernoulli(self, key, p):
        x = jax.lax.stop_gradient(event(key, p))
        return _noted(x, x * _log(p) + (1 - x) * _log(1 - p))

    def categorical(self, key, p):
        x = jax.lax.stop_gradient(chosen(key, p))
        return _noted(x, x * _log(p))

    def binomial(self, key, n, p):
        x = jax.lax.stop_gradient(events(key, n, p))
        return _noted(x, x * _log(p) + (jax.lax.stop_gradient(n) - x) * _log(1 - p))

    def poisson(self, key, rate):
        x = jax.lax.stop_gradient(arrivals(key, rate))
        return _noted(x, x * _log(rate) - jnp.where(rate > 0, rate, 0))


def _log(p: Array) -> Array:
    """Return log p, and 0 without a derivative where p is 0: what never happens, or always does, says nothing."""
    return jnp.where((p > 0) & (p != 1), jnp.log(jnp.where((p > 0) & (p != 1), p, 0.5)), 0)


_note = core.Primitive("quesnay_log_probability")
_note.def_impl(lambda x, log: x)
_note.def_abstract_eval(lambda x, log: x)
mlir.register_lowering(_note, lambda ctx, x, log: [x])


def _note_batch(arguments, axes):
    size = next(a.shape[axis] for a, axis in zip(arguments, axes, strict=True) if axis is not None)
    moved = [
        jnp.broadcast_to(a, (size, *a.shape)) if axis is None else jnp.moveaxis(a, axis, 0)
        for a, axis in zip(arguments, axes, strict=True)
    ]
    return _note.bind(*moved), 0


def _note_jvp(primals, tangents):
    if not isinstance(tangents[1], ad.Zero):
        raise InputError(
            "Score() is an estimator of means and has no derivative of a single run; take expectation(fn, theta, ...) or "
            "check_gradient, or another estimator."
        )
    return _note.bind(*primals), tangents[0]


batching.primitive_batchers[_note] = _note_batch
ad.primitive_jvps[_note] = _note_jvp


def _noted(x: Array, log: Array) -> Array:
    return _note.bind(x, jnp.broadcast_to(log, x.shape))


def with_log_probability(fn: Callable[..., PyTree]) -> Callable[..., tuple[PyTree, Float[Array, ""]]]:
    """Return a function that returns also the logarithm of the probability of all draws by `Score` within fn."""

    def both(*arguments: Any) -> tuple[PyTree, Float[Array, ""]]:
        closed, shape = jax.make_jaxpr(fn, return_shape=True)(*arguments)
        values, total = _read(closed.jaxpr, closed.consts, jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(shape), values), total

    return both


def _read(jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any]) -> tuple[list[Any], Array]:
    """Evaluate a program, and add up what is noted in it."""
    values: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *arguments], strict=True))
    total = jnp.zeros(())

    def of(variable: Any) -> Any:
        return variable.val if isinstance(variable, core.Literal) else values[variable]

    for equation in jaxpr.eqns:
        given = [of(variable) for variable in equation.invars]
        if equation.primitive is _note:
            found, more = [given[0]], jnp.sum(given[1])
        elif not any(map(_notes, _inner(equation.params))):
            params = equation.primitive.get_bind_params(equation.params)
            # Releases of JAX differ in whether functions stand among the parameters or apart from them.
            functions, params = params if isinstance(params, tuple) else ((), params)
            found, more = equation.primitive.bind(*functions, *given, **params), 0
            found = found if equation.primitive.multiple_results else [found]
        else:
            found, more = _within(equation, given)
        values |= dict(zip(equation.outvars, found, strict=True))
        total = total + more
    return [of(variable) for variable in jaxpr.outvars], total


def _within(equation: Any, given: list[Any]) -> tuple[list[Any], Array]:
    """Evaluate an equation that has programs with notes in it."""
    name, params = equation.primitive.name, equation.params
    if name == "scan":
        return _scan(params, given)
    if name == "cond":
        return jax.lax.switch(
            given[0], [lambda *a, b=branch: _read(b.jaxpr, b.consts, a) for branch in params["branches"]], *given[1:]
        )
    inner = _inner(params)
    if name in ("while", "custom_vjp_call", "custom_jvp_call") or len(inner) != 1:
        raise InputError(
            f"Score() cannot collect probabilities from draws in {name}; draw in a plain program or in a scan, such as that of "
            "simulate."
        )
    return _read(*inner[0], given)


def _scan(params: dict[str, Any], given: list[Any]) -> tuple[list[Any], Array]:
    body = params["jaxpr"]
    if "num_carry" in params:
        fixed, carried = params["num_consts"], params["num_carry"]
        consts, start, rows = given[:fixed], given[fixed : fixed + carried], given[fixed + carried :]
    else:  # JAX 0.12 and later
        consts, start, rows = map(list, params["ft_in"].update(given).unpack())
        carried = len(start)

    def advance(state, row):
        total, *carry = state
        found, more = _read(body.jaxpr, body.consts, [*consts, *carry, *row])
        return [total + more, *found[:carried]], found[carried:]

    (total, *end), stacked = jax.lax.scan(
        advance,
        [jnp.zeros(()), *start],
        rows,
        length=params["length"],
        reverse=params["reverse"],
        unroll=params["unroll"],
    )
    return [*end, *stacked], total


def _inner(params: dict[str, Any]) -> list[tuple[Any, Sequence[Any]]]:
    """Return the programs in the parameters of an equation, with their constants."""
    found = []
    for value in params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if isinstance(part, core.ClosedJaxpr):
                found.append((part.jaxpr, part.consts))
            elif isinstance(part, core.Jaxpr):
                found.append((part, getattr(part, "consts", ())))
    return found


def _notes(program: tuple[Any, Sequence[Any]]) -> bool:
    return any(equation.primitive is _note or any(map(_notes, _inner(equation.params))) for equation in program[0].eqns)
