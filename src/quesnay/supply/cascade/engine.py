"""The cascade as one function with its own adjoint and its own batching."""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float, Int, PyTree

from quesnay._errors import InputError
from quesnay.network import Buckets, EdgeLinks

from . import days, native, scan
from .days import Kept
from .forward import Firms, blocks_of
from .scan import Fixed, Plan, Stored, Task

CHUNK = 16
"""Scenarios at a time: their stocks of a thousand firms then stay in the cache of a processor."""


def cascade(
    links: EdgeLinks,
    buckets: Buckets,
    output: Float[Array, " M"],
    final_demand: Float[Array, " M"],
    inventory: Float[Array, " #M"],
    adjustment: Float[Array, " #M"],
    capacity: Float[Array, " #M"],
    drive: Callable[[Int[Array, ""]], tuple[Float[Array, " M"], Float[Array, " M"]]],
    emit: Callable[..., PyTree],
    *,
    steps: int,
) -> PyTree:
    r"""Run a network of firms with fixed proportions, proportional rationing and stock adjustment; keep what `emit` returns.

    ```
    cap_i(t) = z_i(t) k_i x_i(0)
    x_i(t)   = min(D_i(t-1), cap_i(t), min over inputs of s_e(t-1))
    r_i(t)   = x_i(t) / D_i(t-1)
    s_e(t)   = s_e(t-1) - min(x_c(e)(t), s_e(t-1)) + r_s(e)(t) o_e(t-1)
    o_e(t)   = max(0, D_c(e)(t-1) + (n_c(e) x_c(e)(0) - s_e(t)) / tau_c(e))
    D_i(t)   = d_i(t) + sum over customers of a_e o_e(t)
    ```

    The path and its derivatives are those of `SupplyModel` with its default rules, to rounding. Only the stocks are carried
    from day to day (yesterday's orders follow from them); the adjoint stores about `sqrt(steps)` of them and two vectors
    per day. Under `jax.vmap` all scenarios run together; `jax.grad` and `jax.vmap` go in either order, `jax.jvp` does not.

    Parameters
    ----------
    links:
        The links; their coefficients have a derivative.
    buckets:
        `Buckets.of` the same links. An argument of the compiled function, as `links` is, never a constant in it.
    output, final_demand:
        Base state (M,), in currency per day.
    inventory, adjustment, capacity:
        n in days, tau in days and k as a share of base output, scalar or (M,).
    drive:
        Day -> capacity share z (M,) and final demand d (M,) of that day; an `eqx.Module`, whose leaves have a derivative.
    emit:
        Output, share of demand served, demand placed, capacity and final demand served of a day, each (M,) -> arrays to
        keep; an `eqx.Module`, whose leaves have a derivative. Keep sums by groups rather than every firm.
    steps:
        Number of days.

    Returns
    -------
    What `emit` returns, stacked along a leading axis of days.

    Raises
    ------
    InputError
        Buckets that do not fit the links.

    References
    ----------
    Hallegatte (2014); checkpoints as in Griewank and Walther, *Evaluating Derivatives* (2008), chapter 12.
    """
    if buckets.firm.shape != output.shape or links.accounts != buckets.firm.size:
        raise InputError(
            f"the buckets hold {buckets.firm.size} firms, the links {links.accounts} and output {output.shape}: "
            "make the buckets from these links."
        )
    dtype = output.dtype
    n, tau, k = (jnp.broadcast_to(v, output.shape).astype(dtype) for v in (inventory, adjustment, capacity))
    firms = Firms(n * output, n * output / tau, 1 / tau, k * output, output, final_demand.astype(dtype))
    firms = Firms(*(v[buckets.firm] for v in firms))
    a = jnp.where(buckets.pad, 0, links.coefficient.astype(dtype)[buckets.edge])
    driving, drive_fixed, drive_static = _parted(drive)
    emitting, emit_fixed, emit_static = _parted(emit)

    plan = _plan(drive_static, emit_static, jax.ShapeDtypeStruct(output.shape, dtype), steps)
    # The compiled kernel takes all slots at once, XLA one block after the other.
    compiled = native.available() and buckets.edge.size > 0
    cut = (lambda slots: (slots,)) if compiled else functools.partial(blocks_of, buckets)
    task = Task(cut(a), firms, driving, emitting)
    fixed = Fixed(cut(buckets.supplier), cut(buckets.pad), (drive_fixed, emit_fixed, buckets.firm, buckets.place))
    shapes = eqx.filter(buckets, eqx.is_array, inverse=True)
    return _runner(plan, shapes, days if compiled else scan)(task, fixed)


def _plan(drive, emit, like: jax.ShapeDtypeStruct, steps: int) -> Plan:
    """Return the run's two functions between the order of the firms, which the user sees, and that of the places."""

    def by_place(leaves, fixed, day):
        z, d = eqx.combine(leaves, fixed[0], drive)(day)
        return _moved(z, like, fixed[2], fixed[3]), _moved(d, like, fixed[2], fixed[3])

    def by_firm(leaves, fixed, seen):
        return eqx.combine(leaves, fixed[1], emit)(*(_moved(v, like, fixed[3], fixed[2]) for v in seen))

    return Plan(by_place, by_firm, int(steps))


def _runner(plan: Plan, buckets: Buckets, engine: ModuleType) -> Callable[[Task, Fixed], PyTree]:
    """Return the run as a function with its own adjoint, each part of which runs a batch with the scenarios last."""

    @jax.custom_vjp
    def run(task, fixed):
        return _together(plan, lambda plan, *arrays: engine.forward(plan, buckets, *arrays))(task, fixed)

    def ahead(task, fixed):
        wanted = any(leaf.perturbed for leaf in task.coefficient)
        task, fixed = jax.tree.map(lambda leaf: leaf.value, (task, fixed), is_leaf=lambda v: hasattr(v, "perturbed"))
        rows, stored = _together(plan, lambda plan, *arrays: engine.forward_storing(plan, buckets, *arrays))(
            task, fixed
        )
        # Whether coefficients are wanted travels in the structure: it is known when the way back is compiled.
        return rows, (task, fixed, stored, () if wanted else None)

    def back(kept, g_rows):
        task, fixed, stored, wanted = kept
        g_rows = jax.tree.map(_materialised, g_rows, is_leaf=lambda v: isinstance(v, SymbolicZero))
        found = _together(plan, lambda plan, *a: engine.backward(plan, buckets, *a, coefficient=wanted is not None))(
            task, fixed, stored, g_rows
        )
        return found, None

    run.defvjp(ahead, back, symbolic_zeros=True)
    return run


def _materialised(g: Any) -> Array:
    return jnp.zeros(g.shape, g.dtype) if isinstance(g, SymbolicZero) else g  # pyright: ignore[reportArgumentType]


def _together(plan: Plan, function: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """Return `function(plan, task, fixed, *rest)` that, under vmap, runs all scenarios with the scenarios last."""

    @custom_vmap
    def single(*arrays):
        return function(plan, *arrays)

    @single.def_vmap
    def _batch(size, batched, *arrays):
        leaves, structure = jax.tree.flatten(arrays)
        found = _level(size, structure, jax.tree.leaves(batched))(*leaves)
        return found, jax.tree.map(lambda _: True, found)

    def _level(size, structure, on):
        """Return the batch as a function of its leaves, of which a further vmap makes a longer batch."""

        @custom_vmap
        def level(*leaves):
            if size <= CHUNK or any(leaf.size == 0 for leaf in leaves):
                return _at_once(size, structure.unflatten(on), *structure.unflatten(leaves))

            def one(moving):
                own = iter(moving)
                return single(
                    *structure.unflatten([next(own) if each else leaf for leaf, each in zip(leaves, on, strict=True)])
                )

            return jax.lax.map(one, [leaf for leaf, each in zip(leaves, on, strict=True) if each], batch_size=CHUNK)

        @level.def_vmap
        def _longer(outer, batched, *leaves):
            def merged(leaf, outside, inside):
                if not outside and not inside:
                    return leaf
                wide = leaf if outside else leaf[None]
                wide = wide if inside else wide[:, None]
                return jnp.broadcast_to(wide, (outer, size, *wide.shape[2:])).reshape(outer * size, *wide.shape[2:])

            both = [outside or inside for outside, inside in zip(batched, on, strict=True)]
            longer = map(merged, leaves, batched, on)
            found = _level(outer * size, structure, both)(*longer)
            found = jax.tree.map(lambda leaf: leaf.reshape(outer, size, *leaf.shape[1:]), found)
            return found, jax.tree.map(lambda _: True, found)

        return level

    def _at_once(size, batched, task, fixed, *rest):
        on_task, on_fixed, *on_rest = batched
        if any(jax.tree.leaves((on_fixed.supplier, on_fixed.pad))):
            raise InputError("the links cannot differ between the scenarios of a batch, only their coefficients.")
        spread = functools.partial(jax.tree.map, lambda v, on: v if on else jnp.broadcast_to(v, (size, *v.shape)))
        last = functools.partial(jax.tree.map, lambda v: jnp.moveaxis(v, 0, -1))
        coefficient = tuple(
            jnp.moveaxis(a, 0, -1) if on else a[..., None]
            for a, on in zip(task.coefficient, on_task.coefficient, strict=True)
        )
        leaves = spread((task.drive, task.emit), (on_task.drive, on_task.emit))
        wide = Task(coefficient, last(spread(task.firms, on_task.firms)), *leaves)
        if rest:
            stored, g_rows = spread(rest, tuple(on_rest))
            rest = last(stored), jax.tree.map(lambda g: jnp.moveaxis(g, 0, 1), g_rows)
        return _first(function(_widened(plan, size, on_fixed.leaves), wide, fixed, *rest))

    return single


def _widened(plan: Plan, size: int, on) -> Plan:
    """Return the plan for a batch: leaves of `drive` and `emit` and what is kept have the scenarios first, the rest last."""
    axes = jax.tree.map(lambda on: 0 if on else None, on)
    drive = jax.vmap(plan.drive, in_axes=(0, axes, None), out_axes=-1, axis_size=size)
    emit = jax.vmap(plan.emit, in_axes=(0, axes, -1), out_axes=0, axis_size=size)
    return Plan(drive, emit, plan.steps)


def _first(found):
    """Bring the scenarios to the front."""
    front = functools.partial(jax.tree.map, lambda v: jnp.moveaxis(v, -1, 0))
    match found:
        case Task(coefficient, firms, drive, emit):
            return Task(front(coefficient), front(firms), drive, emit)
        case (rows, (Stored() | Kept()) as stored):
            return jax.tree.map(lambda v: jnp.moveaxis(v, 1, 0), rows), front(stored)
        case rows:
            return jax.tree.map(lambda v: jnp.moveaxis(v, 1, 0), rows)


def _parted(function):
    leaves, rest = eqx.partition(function, eqx.is_inexact_array)
    return leaves, *eqx.partition(rest, eqx.is_array)


def _moved(values: Array, like: jax.ShapeDtypeStruct, to: Array, back: Array) -> Array:
    """Permute (M,); the adjoint is the inverse permutation, a gather too."""
    return _permuted(jnp.broadcast_to(values, like.shape).astype(like.dtype), to, back)


@jax.custom_vjp
def _permuted(values, to, back):
    return values.at[to].get(mode="promise_in_bounds")


_permuted.defvjp(
    lambda values, to, back: (_permuted(values, to, back), (to, back)),
    lambda kept, g: (_permuted(g, kept[1], kept[0]), None, None),
)
