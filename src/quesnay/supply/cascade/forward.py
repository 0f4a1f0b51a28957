"""One day of the cascade on blocks of links, forwards: few passes over the links, and nothing kept but their stocks.

Every array has the firms (by place) or the slots of a block first and, in a batch, the scenarios last: `(M,)`, or `(M, B)`
and `(M, 1)` for what the scenarios share. A gather then moves rows of B neighbouring numbers.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from quesnay.network import TIE, Buckets

Blocks = tuple[Array, ...]


class Graph(NamedTuple):
    """The links of each block: place of the supplier and coefficient, each (width, firms), and which slots are pads."""

    supplier: Blocks
    coefficient: Blocks
    pad: Blocks


class Firms(NamedTuple):
    """Parameters of the firms by place: target stock n x(0), target / tau, 1 / tau, k x(0), x(0), and d before day 0."""

    target: Array
    pull: Array
    rate: Array
    capacity: Array
    output: Array
    final_demand: Array


class Vectors(NamedTuple):
    """What one day needs of the days before: scarcest stock, demand placed yesterday and the day before, final demand."""

    least: Array
    demand: Array
    earlier: Array
    final_demand: Array


class Seen(NamedTuple):
    """What a day shows of every firm: output, share of demand served, demand placed, capacity, final demand served."""

    output: Array
    served: Array
    demand: Array
    capacity: Array
    consumed: Array


def blocks_of(buckets: Buckets, slots: Array) -> Blocks:
    """Cut an array over the slots into blocks (width, firms), each with the trailing axes of the array."""
    return tuple(
        slots[first:last].reshape(width, end - begin, *slots.shape[1:])
        for first, last, begin, end, width in buckets.spans
    )


def gather(values: Array, supplier: Array) -> Array:
    """Give every slot of a block its supplier's value."""
    found = values.at[supplier.ravel()].get(mode="promise_in_bounds")
    return found.reshape(*supplier.shape, *values.shape[1:])


def scatter(total: Array, suppliers: Blocks, values: Blocks) -> Array:
    """Add every slot of every block to its supplier's total."""

    def add(total, suppliers, values):
        for supplier, value in zip(suppliers, values, strict=True):
            total = _scatter_block(total, supplier, value)
        return total

    if not suppliers:
        return total
    # The condition always holds. XLA cannot know it, so that it computes the values in kernels of their own, whose inner
    # loop runs along the firms, rather than one by one with the scatter (2 to 5 ns per link).
    return jax.lax.cond(suppliers[0][0, 0] >= 0, add, lambda total, *_: total, total, suppliers, values)


def _scatter_block(total: Array, supplier: Array, values: Array) -> Array:
    if total.ndim > 1:
        return total.at[supplier.ravel()].add(values.reshape(-1, *total.shape[1:]), mode="promise_in_bounds")
    # XLA's own form of a scatter (one window of length 1 per row): any other costs it a copy of the values.
    numbers = jax.lax.ScatterDimensionNumbers((1,), (), (0,))
    rows = supplier.reshape(-1, 1), values.reshape(-1, 1)
    return jax.lax.scatter_add(total, *rows, numbers, mode="promise_in_bounds")


def rows_of(buckets: Buckets) -> list[slice]:
    """Return the places of each block."""
    return [slice(begin, end) for _, _, begin, end, _ in buckets.spans]


def start(buckets: Buckets, graph: Graph, firms: Firms) -> tuple[Blocks, Vectors]:
    """Return stocks and vectors before day 0: stocks at their target, orders and demand at base output."""
    # A pad holds more than any stock, so that it is never the least, never ordered and never tied.
    far = jnp.finfo(firms.target.dtype).max
    stock = tuple(
        jnp.where(_like(pad, firms.target), far, firms.target[rows])
        for pad, rows in zip(graph.pad, rows_of(buckets), strict=True)
    )
    x = firms.output
    return stock, Vectors(_least(buckets, stock, x), x, x, firms.final_demand)


def _like(block: Array, vector: Array) -> Array:
    return block.reshape(*block.shape, *(1,) * (vector.ndim - 1))


def _least(buckets: Buckets, stock: Blocks, like: Array) -> Array:
    free = jnp.full((buckets.without_inputs, *like.shape[1:]), jnp.inf, like.dtype)
    return jnp.concatenate([free, *(jnp.min(block, axis=0) for block in stock)])


def slack(dtype) -> float:
    """Return the factor within which values tie."""
    return 1 + TIE * float(jnp.finfo(dtype).eps)


def settle(demand: Array, capacity: Array, least: Array) -> Array:
    """Return output `min(D, cap, inp)`; inputs that fall short by rounding only do not bind."""
    wanted = jnp.minimum(demand, capacity)
    return jnp.where(wanted <= least * slack(demand.dtype), wanted, least)


def share(output: Array, demand: Array) -> Array:
    """Return the share of demand served, 0 where there is none."""
    wanted = demand > 0
    return jnp.where(wanted, output / jnp.where(wanted, demand, 1), 0)


def receive(stock: Array, output: Array, served: Array, order: Array) -> Array:
    """Return the stock after use and receipt, slot by slot."""
    return (stock - jnp.minimum(output, stock)) + served * order


def advance(
    buckets: Buckets, graph: Graph, firms: Firms, stock: Blocks, before: Vectors, z: Array, final_demand: Array
) -> tuple[Blocks, Vectors, Seen]:
    """Return stocks, vectors and what is seen after one day at capacity share z and final demand d."""
    capacity = z * firms.capacity
    output = settle(before.demand, capacity, before.least)
    served = share(output, before.demand)
    held, wished = before.earlier + firms.pull, before.demand + firms.pull
    after, orders = [], []
    for old, supplier, a, rows in zip(stock, graph.supplier, graph.coefficient, rows_of(buckets), strict=True):
        rate = firms.rate[rows]
        # The barrier keeps the gather from being done once for each of the three uses of the stock.
        delivered = jax.lax.optimization_barrier(gather(served, supplier))
        new = receive(old, output[rows], delivered, jnp.maximum(0, held[rows] - old * rate))
        new = jax.lax.optimization_barrier(new)
        orders.append(a * jnp.maximum(0, wished[rows] - new * rate))
        after.append(new)
    demand = scatter(final_demand, graph.supplier, tuple(orders))
    seen = Seen(output, served, demand, capacity, served * before.final_demand)
    return tuple(after), Vectors(_least(buckets, tuple(after), demand), demand, before.demand, final_demand), seen


def replay(
    buckets: Buckets, graph: Graph, firms: Firms, stock: Blocks, output: Array, served: Array, earlier: Array
) -> Blocks:
    """Return the stocks after one day whose output and demand are known: no minimum and no sum by supplier."""
    held = earlier + firms.pull
    return tuple(
        receive(old, output[rows], gather(served, supplier), jnp.maximum(0, held[rows] - old * firms.rate[rows]))
        for old, supplier, rows in zip(stock, graph.supplier, rows_of(buckets), strict=True)
    )
