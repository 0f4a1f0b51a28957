"""One day of the cascade backwards, written by hand: two passes over the links."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from quesnay.network import TIE, Buckets

from .forward import Blocks, Firms, Graph, Seen, gather, rows_of, scatter, share, slack


class Gradient(NamedTuple):
    """Derivatives summed over the days so far, by place; `coefficient` is None where nobody asked for it."""

    pull: Array
    rate: Array
    capacity: Array
    coefficient: Blocks | None


class Pending(NamedTuple):
    """Derivatives with respect to what a day leaves to the next.

    Attributes
    ----------
    stock:
        Stocks at the end of day t, all later uses included.
    demand:
        Demand placed on day t, without what the day itself shows.
    earlier:
        Demand placed on day t - 1, as far as the orders of day t use it.
    final_demand:
        Final demand of day t.
    """

    stock: Blocks
    demand: Array
    earlier: Array
    final_demand: Array


def nothing(buckets: Buckets, stock: Blocks, like: Array, *, coefficient: bool) -> tuple[Pending, Gradient]:
    """Return the zeros before the last day."""
    zero, links = jnp.zeros_like(like), tuple(jnp.zeros_like(block) for block in stock)
    return Pending(links, zero, zero, zero), Gradient(zero, zero, zero, links if coefficient else None)


def _half(v: Array) -> Array:
    """Return the derivative of `max(0, v)`: shared evenly at 0."""
    return jnp.where(v > 0, 1, jnp.where(v == 0, 0.5, 0)).astype(v.dtype)


def _free(buckets: Buckets, sums: list[Array], like: Array) -> Array:
    return jnp.concatenate([jnp.zeros((buckets.without_inputs, *like.shape[1:]), like.dtype), *sums])


def reverse(
    buckets: Buckets,
    graph: Graph,
    firms: Firms,
    stock: Blocks,
    history: tuple[Array, Array, Array, Array, Array],
    shown: Seen,
    shown_before: Array,
    later: Pending,
    gradient: Gradient,
    first: Array,
) -> tuple[Pending, Gradient, Array, Array]:
    """Go back over one day.

    Parameters
    ----------
    stock:
        Stocks at its start.
    history:
        The day's output, the demand and final demand that it served, the demand of the day before that, and z.
    shown, shown_before:
        Derivatives with respect to what the day showed, `demand` excepted, and to the demand that the day before showed.
    later, gradient:
        What the later days ask of this one, and the sums so far.
    first:
        Whether it is day 0: the demand that it serves then is the base output, and no sum of orders.

    Returns
    -------
    What this day asks of the one before, the sums, and the derivatives with respect to z and to the day's final demand.
    """
    output, demand, final_demand, earlier, z = history
    served = share(output, demand)
    held = earlier + firms.pull
    bound = jnp.where(jnp.isfinite(output), output + TIE * jnp.finfo(output.dtype).eps * jnp.abs(output), -1)
    rows_all = rows_of(buckets)

    # First pass: what the stocks ask of deliveries (by supplier), of output (use), and how many inputs tie.
    g_served = shown.served + final_demand * shown.consumed
    used, ties, delivered = [], [], []
    for old, g, rows in zip(stock, later.stock, rows_all, strict=True):
        delivered.append(g * jnp.maximum(0, held[rows] - old * firms.rate[rows]))
        used.append(jnp.sum(g, axis=0))
        ties.append(jnp.sum((old <= bound[rows]).astype(g.dtype), axis=0))
    g_served = scatter(g_served, graph.supplier, tuple(delivered))
    g_output = shown.output - _free(buckets, used, output)

    # By firm: the share served, then the least of demand, capacity and inputs.
    wanted = demand > 0
    safe = jnp.where(wanted, demand, 1)
    g_output = g_output + jnp.where(wanted, g_served / safe, 0)
    g_demand = later.earlier - jnp.where(wanted, g_served * served / safe, 0)
    capacity = z * firms.capacity
    by_demand = demand <= capacity * slack(output.dtype)
    enough = jnp.minimum(demand, capacity) <= output * slack(output.dtype)
    g_demand = g_demand + jnp.where(enough & by_demand, g_output, 0)
    g_capacity = shown.capacity + jnp.where(enough & ~by_demand, g_output, 0)
    count = _free(buckets, ties, output)
    g_least = jnp.where(enough, 0, g_output) / jnp.maximum(count, 1)

    # Second pass: the orders of the day before, which ask of demand (by supplier) and of what was served today.
    g_before = g_demand + shown_before
    asked = jnp.where(first, 0, g_before)
    stocks, pulls, rates, coefficients = [], [], [], []
    for k, rows in enumerate(rows_all):
        old, g, supplier, a = stock[k], later.stock[k], graph.supplier[k], graph.coefficient[k]
        rate = firms.rate[rows]
        wish = held[rows] - old * rate
        price = gather(asked, supplier)
        h = _half(wish) * (a * price + g * gather(served, supplier))
        h = jax.lax.optimization_barrier(h)
        stocks.append(g + jnp.where(old <= bound[rows], g_least[rows], 0) - rate * h)
        pulls.append(jnp.sum(h, axis=0))
        rates.append(jnp.sum(old * h, axis=0))
        if gradient.coefficient is not None:
            coefficients.append(gradient.coefficient[k] + jnp.maximum(0, wish) * price)
    pull = _free(buckets, pulls, output)
    summed = Gradient(
        gradient.pull + pull,
        gradient.rate - _free(buckets, rates, output),
        gradient.capacity + g_capacity * z,
        tuple(coefficients) if gradient.coefficient is not None else None,
    )
    g_final = asked + served * shown.consumed
    before = Pending(tuple(stocks), g_before, pull, g_final)
    return before, summed, g_capacity * firms.capacity, later.final_demand
