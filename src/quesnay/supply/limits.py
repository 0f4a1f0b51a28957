"""The least of demand, capacity and inputs, and which of them it was."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quesnay.network import TIE

from .path import CAPACITY, DEMAND


def times(productivity: Array, inputs: Array) -> Array:
    """Return `z inp`, where no limit stays no limit, but nothing is made without any productivity."""
    finite = jnp.isfinite(inputs)
    limited = jnp.where(finite, productivity * jnp.where(finite, inputs, 0), inputs)
    return jnp.where(productivity > 0, limited, 0)


def per(output: Array, productivity: Array) -> Array:
    """Return `x / z`, what output asks of the inputs; 0 without any productivity."""
    some = productivity > 0
    return jnp.where(some, output / jnp.where(some, productivity, 1), 0)


def least(
    demand: Float[Array, " n"],
    capacity: Float[Array, " n"],
    inputs: Float[Array, " n"],
    supplier: Int[Array, " n"],
) -> tuple[Float[Array, " n"], Int[Array, " n"]]:
    """Return `min(demand, capacity, inputs)` and which of them it was.

    Where they tie to within `TIE` units of rounding, demand goes before capacity and capacity before inputs, in derivative
    and report. Against inputs also in value: a stock that is short of demand by rounding only, as at a steady state with
    stocks of one day, must not take its rounding into output, or it would feed on itself.
    """
    slack = 1 + TIE * jnp.finfo(demand.dtype).eps
    by_demand = demand <= capacity * slack
    wanted = jnp.where(by_demand, demand, capacity)
    # The lesser one's value with the derivative of the one that goes first.
    wanted = jax.lax.stop_gradient(jnp.minimum(demand, capacity)) + (wanted - jax.lax.stop_gradient(wanted))
    enough = wanted <= inputs * slack
    return jnp.where(enough, wanted, inputs), jnp.where(enough, jnp.where(by_demand, DEMAND, CAPACITY), supplier)
