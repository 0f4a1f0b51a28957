"""All days of the cascade, forwards with few stored stocks and backwards over recomputed ones; one scenario or a batch."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from quesnay.network import Buckets

from .adjoint import Gradient, Pending, nothing, reverse
from .forward import Blocks, Firms, Graph, Seen, advance, replay, share, start


class Task(NamedTuple):
    """What of a run has a derivative: coefficients by block, parameters by place, the leaves of `drive` and of `emit`."""

    coefficient: Blocks | None
    firms: Firms
    drive: PyTree
    emit: PyTree


class Fixed(NamedTuple):
    """What of a run has none: the graph, and the other arrays of `drive` and `emit`."""

    supplier: Blocks
    pad: Blocks
    leaves: PyTree


class Plan(NamedTuple):
    """What of a run is known when it is compiled: how its parts fit together, and the number of days."""

    drive: Callable[[PyTree, PyTree, Array], tuple[Array, Array]]
    emit: Callable[[PyTree, PyTree, tuple[Array, ...]], PyTree]
    steps: int

    @property
    def segment(self) -> int:
        """Days between stored stocks."""
        return max(1, math.isqrt(self.steps))


class Stored(NamedTuple):
    """What the way back needs: stocks at the start of each segment, output of each day, demand from two days before on."""

    stocks: Blocks
    output: Array
    demand: Array


def forward(plan: Plan, buckets: Buckets, task: Task, fixed: Fixed) -> PyTree:
    """Return what is kept of each day, stacked."""

    def day(carry, t):
        stock, vectors, seen = _day(plan, buckets, task, fixed, carry[0], carry[1], t)
        return (stock, vectors), plan.emit(task.emit, fixed.leaves, seen)

    return jax.lax.scan(day, start(buckets, _graph(task, fixed), task.firms), jnp.arange(plan.steps))[1]


def _graph(task: Task, fixed: Fixed) -> Graph:
    assert task.coefficient is not None, "only a derivative can be without coefficients"
    return Graph(fixed.supplier, task.coefficient, fixed.pad)


def _day(plan, buckets, task, fixed, stock, vectors, t):
    z, d = plan.drive(task.drive, fixed.leaves, t)
    return advance(buckets, _graph(task, fixed), task.firms, stock, vectors, z, d)


def forward_storing(plan: Plan, buckets: Buckets, task: Task, fixed: Fixed) -> tuple[PyTree, Stored]:
    """Return what is kept of each day, and what the way back needs."""
    steps, length = plan.steps, plan.segment
    segments = steps // length + 1
    stock, vectors = start(buckets, _graph(task, fixed), task.firms)
    x = task.firms.output
    seen = jax.eval_shape(lambda: _day(plan, buckets, task, fixed, stock, vectors, jnp.asarray(0))[2])
    row = jax.eval_shape(lambda v: plan.emit(task.emit, fixed.leaves, v), seen)
    rows = jax.tree.map(lambda v: jnp.zeros((steps, *v.shape), v.dtype), row)
    output = jnp.zeros((steps + 1, *seen.output.shape), seen.output.dtype)
    demand = jnp.zeros((steps + 2, *seen.output.shape), seen.output.dtype).at[:2].set(x)

    def day(t, carry):
        stock, vectors, rows, output, demand = carry
        stock, vectors, seen = _day(plan, buckets, task, fixed, stock, vectors, t)
        row = plan.emit(task.emit, fixed.leaves, seen)
        rows = jax.tree.map(lambda all_, one: all_.at[t].set(one), rows, row)
        return stock, vectors, rows, output.at[t].set(seen.output), demand.at[t + 2].set(seen.demand)

    def segment(carry, k):
        begin = k * length
        return jax.lax.fori_loop(begin, jnp.minimum(begin + length, steps), day, carry), carry[0]

    carry = (stock, vectors, rows, output, demand)
    (_, _, rows, output, demand), stocks = jax.lax.scan(segment, carry, jnp.arange(segments))
    return rows, Stored(stocks, output, demand)


def backward(
    plan: Plan,
    buckets: Buckets,
    task: Task,
    fixed: Fixed,
    stored: Stored,
    g_rows: PyTree,
    *,
    coefficient: bool,
) -> Task:
    """Return the derivatives with respect to the task."""
    steps, length, firms = plan.steps, plan.segment, task.firms
    graph = _graph(task, fixed)
    segments = steps // length + 1
    like = stored.output[0]

    def output_on(t):
        return stored.output[t], stored.demand[t + 1], stored.demand[t]

    def replayed(j, carry):
        k, stocks = carry
        output, demand, earlier = output_on(k * length + j)
        old = tuple(block[j] for block in stocks)
        new = replay(buckets, graph, firms, old, output, share(output, demand), earlier)
        return k, tuple(block.at[j + 1].set(one) for block, one in zip(stocks, new, strict=True))

    def day(begin, stocks, i, carry):
        t = begin - i  # from the segment's last day back
        later, total, g_drive, g_emit, shown = carry
        now, before = jnp.minimum(t, steps - 1), jnp.maximum(t - 1, 0)
        output, demand, earlier = output_on(t)
        (z, _), drive_back = jax.vjp(lambda leaves: plan.drive(leaves, fixed.leaves, now), task.drive)
        z_before, d_before = plan.drive(task.drive, fixed.leaves, before)
        d_before = jnp.where(t > 0, d_before, firms.final_demand)
        g_emit, shown_before = _emitted(
            plan, task, fixed, g_rows, g_emit, before, t > 0, stored, z_before, _final(plan, task, fixed, before - 1)
        )
        stock = tuple(block[t % length] for block in stocks)
        later, total, g_z, g_d = reverse(
            buckets,
            graph,
            firms,
            stock,
            (output, demand, d_before, earlier, z),
            shown,
            shown_before.demand,
            later,
            total,
            t == 0,
        )
        # Day `steps` is not part of the path: nothing is asked of it.
        (own,) = drive_back((g_z, jnp.where(t < steps, g_d, 0)))
        return later, total, jax.tree.map(jnp.add, g_drive, own), g_emit, shown_before

    def segment(carry, k):
        first = k * length
        last = jnp.minimum(first + length - 1, steps)
        stocks = tuple(
            jnp.zeros((length, *block.shape[1:]), block.dtype).at[0].set(block[k]) for block in stored.stocks
        )
        _, stocks = jax.lax.fori_loop(0, last - first, replayed, (k, stocks))
        carry = jax.lax.fori_loop(0, last - first + 1, lambda i, c: day(last, stocks, i, c), carry)
        return carry, None

    initial = tuple(block[0] for block in stored.stocks)
    zeros = jax.tree.map(jnp.zeros_like, (task.drive, task.emit))
    carry = (*nothing(buckets, initial, like, coefficient=coefficient), *zeros, Seen(*(jnp.zeros_like(like),) * 5))
    (left, total, g_drive, g_emit, _), _ = jax.lax.scan(segment, carry, jnp.arange(segments), reverse=True)
    return _collect(buckets, task, left, total, g_drive, g_emit)


def _final(plan: Plan, task: Task, fixed: Fixed, t: Array) -> Array:
    """Return final demand of day t, that of the base before day 0."""
    d = plan.drive(task.drive, fixed.leaves, jnp.maximum(t, 0))[1]
    return jnp.where(t >= 0, d, task.firms.final_demand)


def _emitted(plan, task, fixed, g_rows, g_emit, t, real, stored, z, final_demand) -> tuple[PyTree, Seen]:
    """Return the derivatives of what day t emitted, by what it saw."""
    output, demand = stored.output[t], stored.demand[t + 1]
    served = share(output, demand)
    capacity = z * task.firms.capacity
    seen = Seen(output, served, stored.demand[t + 2], capacity, served * final_demand)
    _, back = jax.vjp(lambda leaves, v: plan.emit(leaves, fixed.leaves, v), task.emit, seen)
    leaves, shown = back(jax.tree.map(lambda g: jnp.where(real, g[t], 0), g_rows))
    return jax.tree.map(jnp.add, g_emit, leaves), shown


def _collect(buckets: Buckets, task: Task, left: Pending, total: Gradient, g_drive, g_emit) -> Task:
    held = [jnp.sum(block, axis=0) for block in left.stock]
    zero = jnp.zeros_like(left.demand)
    target = jnp.concatenate([zero[: buckets.without_inputs], *held])
    firms = Firms(target, total.pull, total.rate, total.capacity, left.demand + left.earlier, left.final_demand)
    return Task(total.coefficient, firms, g_drive, g_emit)
