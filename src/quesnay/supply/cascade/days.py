"""All days of the cascade by the compiled kernel, a segment at a time; forwards, and backwards over recomputed stocks."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from quesnay.network import TIE, Buckets

from .forward import Seen, share
from .scan import Fixed, Plan, Task


class State(NamedTuple):
    """Where a segment starts: stocks by slot, demand of the last two days, scarcest stock, final demand of the last day."""

    stock: Array
    demand: Array
    earlier: Array
    least: Array
    final_demand: Array


class Kept(NamedTuple):
    """What the way back needs: where each segment starts, its output and demand by day, and the last stocks.

    `between` are the stocks between its days, or None where they would take too much room: then they are run once more.
    """

    starts: State
    output: Array
    demand: Array
    between: Array | None
    stock: Array


class Pending(NamedTuple):
    """Derivatives carried back from segment to segment.

    With respect to the stocks at the end of the segment's last day but for the orders placed then, to the demand placed
    then, and (shared among the ties) to the scarcest stock; the share served and the bound of the ties belong to them.
    """

    stock: Array
    demand: Array
    least: Array
    served: Array
    bound: Array
    pull: Array
    rate: Array
    capacity: Array
    coefficient: Array


ROOM = 16 * 2**20
"""Bytes of stocks that are kept for the way back rather than run again: beyond the caches it takes as long."""


def segments(steps: int) -> tuple[int, int]:
    """Return number and length of the segments: about `sqrt(steps)`, so that few days are run beyond the last one."""
    root = math.isqrt(max(steps, 1))
    length = min(range(max(1, root * 3 // 4), root * 3 // 2 + 1), key=lambda n: (-(-steps // n) * n, abs(n - root)))
    return -(-steps // length), length


def _kept(steps: int, stock: Array) -> tuple[int, int, bool]:
    """Return number and length of the segments of a run with a way back, and whether the stocks of all days are kept."""
    if 0 < stock.size * stock.dtype.itemsize * steps <= ROOM:
        return 1, steps, True
    return *segments(steps), False


def _attributes(buckets: Buckets) -> dict[str, object]:
    spans = [(slot, place, end - place, width) for slot, _, place, end, width in buckets.spans]
    return {"blocks": np.asarray(spans, np.int64).ravel(), "tie": float(TIE)}


def _start(buckets: Buckets, task: Task, fixed: Fixed) -> State:
    target, x = task.firms.target, task.firms.output
    far = jnp.finfo(target.dtype).max
    stock = [
        jnp.broadcast_to(target[begin:end], (width, end - begin, *target.shape[1:])).reshape(-1, *target.shape[1:])
        for _, _, begin, end, width in buckets.spans
    ]
    pad = fixed.pad[0].reshape(-1, *(1,) * (target.ndim - 1))
    stock = jnp.where(pad, far, jnp.concatenate([target[:0], *stock]))
    least = jnp.concatenate(
        [jnp.full_like(target[: buckets.without_inputs], jnp.inf), target[buckets.without_inputs :]]
    )
    return State(stock, x, x, least, task.firms.final_demand)


def _driven(plan: Plan, fixed: Fixed, leaves: PyTree, k: Array, length: int) -> tuple[Array, Array]:
    """Return z and d of the segment's days; days beyond the last one are like it."""
    days = jnp.minimum(k * length + jnp.arange(length), plan.steps - 1)
    return jax.vmap(lambda day: plan.drive(leaves, fixed.leaves, day))(days)


def _shown(plan: Plan, fixed: Fixed, leaves, capacity, output, demand, z, d, before, d_before) -> PyTree:
    """Return what the segment's days emit; `before` is the demand that its first day serves."""
    served = share(output, jnp.concatenate([before[None], demand[:-1]]))
    consumed = served * jnp.concatenate([d_before[None], d[:-1]])
    seen = Seen(output, served, demand, z * capacity, consumed)
    return jax.vmap(lambda *v: plan.emit(leaves, fixed.leaves, Seen(*v)))(*seen)


def forward(plan: Plan, buckets: Buckets, task: Task, fixed: Fixed) -> PyTree:
    """Return what is kept of each day, stacked."""
    return _run(plan, buckets, task, fixed, storing=False)[0]


def forward_storing(plan: Plan, buckets: Buckets, task: Task, fixed: Fixed) -> tuple[PyTree, Kept]:
    """Return what is kept of each day, and what the way back needs."""
    rows, stored, last = _run(plan, buckets, task, fixed, storing=True)
    assert stored is not None, "stored when asked to"
    return rows, Kept(*stored, last.stock)


def _run(plan, buckets, task, fixed, *, storing):
    firms, attributes = task.firms, _attributes(buckets)
    start = _start(buckets, task, fixed)
    count, length, whole = _kept(plan.steps, start.stock) if storing else (*segments(plan.steps), False)
    like = jax.ShapeDtypeStruct
    path = like((length, *firms.output.shape), firms.output.dtype)
    days = like((length - 1 if whole else 0, *start.stock.shape), path.dtype)
    shapes = (like(start.stock.shape, path.dtype), like(start.least.shape, path.dtype), path, path, days)
    call = jax.ffi.ffi_call("quesnay_forward", shapes, input_output_aliases={7: 0, 10: 1})

    def segment(state, k):
        z, d = _driven(plan, fixed, task.drive, k, length)
        stock, least, output, demand, between = call(
            fixed.supplier[0],
            task.coefficient[0],
            firms.pull,
            firms.rate,
            firms.capacity,
            z,
            d,
            *state[:4],
            **attributes,
        )
        row = _shown(plan, fixed, task.emit, firms.capacity, output, demand, z, d, state.demand, state.final_demand)
        earlier = demand[-2] if length > 1 else state.demand
        after = State(stock, demand[-1], earlier, least, d[-1])
        return after, (row, (state, output, demand, between if whole else None) if storing else None)

    last, (rows, stored) = jax.lax.scan(segment, start, jnp.arange(count))
    rows = jax.tree.map(lambda v: v.reshape(count * length, *v.shape[2:])[: plan.steps], rows)
    return rows, stored, last


def backward(
    plan: Plan, buckets: Buckets, task: Task, fixed: Fixed, kept: Kept, g_rows: PyTree, *, coefficient: bool
) -> Task:
    """Return the derivatives with respect to the task."""
    count, length, whole = _kept(plan.steps, kept.stock)
    firms, attributes = task.firms, _attributes(buckets)
    assert task.coefficient is not None, "only a derivative can be without coefficients"
    links = (fixed.supplier[0], task.coefficient[0], firms.pull, firms.rate)
    zero, stocks = jnp.zeros_like(firms.output), jnp.zeros_like(kept.stock)
    nothing = jnp.zeros(0, zero.dtype)
    by_link = stocks if coefficient else nothing
    pending = Pending(stocks, zero, zero, zero, zero, zero, zero, zero, by_link)
    path = jax.ShapeDtypeStruct((length, *zero.shape), zero.dtype)
    room = jax.ShapeDtypeStruct((0 if whole else length - 1, *stocks.shape), zero.dtype)
    like = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in pending]
    aliases = {14 + i: i for i in range(len(like))}
    call = jax.ffi.ffi_call("quesnay_backward", (*like, path, path, room), input_output_aliases=aliases)
    spare = count * length - plan.steps
    g_rows = jax.tree.map(
        lambda g: jnp.pad(g, ((0, spare), *((0, 0),) * (g.ndim - 1))).reshape(count, length, *g.shape[1:]), g_rows
    )

    def segment(carry, inputs):
        pending, g_final, g_drive, g_emit, end = carry
        k, state, output, demand, between, g_row = inputs
        (z, d), drive_back = jax.vjp(lambda leaves: _driven(plan, fixed, leaves, k, length), task.drive)
        _, emit_back = jax.vjp(
            lambda *v: _shown(plan, fixed, *v),
            task.emit, firms.capacity, output, demand, z, d, state.demand, state.final_demand,
        )  # fmt: skip
        own_emit, own_capacity, gx, g_demand, gz, gd, g_before, g_final_before = emit_back(g_row)
        *found, z_more, d_more, _ = call(
            *links, firms.capacity, z, output, demand, state.demand, state.earlier, state.stock, end, gx, g_demand,
            *pending, nothing if between is None else between, **attributes,
        )  # fmt: skip
        pending = Pending(*found)
        pending = pending._replace(demand=pending.demand + g_before, capacity=pending.capacity + own_capacity)
        (own,) = drive_back((gz + z_more, (gd + d_more).at[-1].add(g_final)))
        g_drive, g_emit = jax.tree.map(jnp.add, (g_drive, g_emit), (own, own_emit))
        return (pending, g_final_before, g_drive, g_emit, state.stock), None

    carry = (pending, zero, *jax.tree.map(jnp.zeros_like, (task.drive, task.emit)), kept.stock)
    inputs = (jnp.arange(count), kept.starts, kept.output, kept.demand, kept.between, g_rows)
    (pending, g_final, g_drive, g_emit, first), _ = jax.lax.scan(segment, carry, inputs, reverse=True)

    finish = jax.ffi.ffi_call(
        "quesnay_finish", (like[0], like[1], like[5], like[6]), input_output_aliases={6: 0, 10: 2, 11: 3}
    )
    stock, before, pull, rate = finish(
        *links, first, firms.output, pending.stock, pending.least, pending.served, pending.bound, pending.pull,
        pending.rate, **attributes,
    )  # fmt: skip
    held = [
        jnp.sum(stock[slot:last].reshape(width, end - begin, *zero.shape[1:]), axis=0)
        for slot, last, begin, end, width in buckets.spans
    ]
    target = jnp.concatenate([zero[: buckets.without_inputs], *held])
    found = type(firms)(target, pull, rate, pending.capacity, pending.demand + before, g_final)
    return Task((pending.coefficient,) if coefficient else None, found, g_drive, g_emit)
