"""Parameters of accounts and of inputs: one number, one per account, one per product, or one per input."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import concrete, first_bad, floating, require
from quesnay._errors import InputError
from quesnay.network import AbstractLinks, Network


class ByProduct(eqx.Module):
    """A parameter of inputs that depends on what they are: one number per product (m,), whoever holds it.

    Without pooling every supplier makes a product of its own, and m is the number of accounts.
    """

    values: Float[Array, " m"]

    def __init__(self, values: ArrayLike):
        self.values = floating(values, "the values by product")


class ByInput(eqx.Module):
    """A parameter of inputs, one by one: an input array of the network's links."""

    values: Array

    def __init__(self, values: ArrayLike):
        self.values = floating(values, "the values by input")


def by_account(
    name: str,
    value: ArrayLike,
    network: Network,
    *,
    least: float,
    unit: str,
    strict: bool = False,
    most: float = np.finfo(float).max,
) -> Array:
    """Return a parameter of accounts, scalar or (n,), in the precision of the network, or raise `InputError`."""
    array = floating(value, name).astype(network.output.dtype)
    sized(name, array, network, unit)
    _inside(name, array, least, most, unit, strict)
    return array


def sized(name: str, array: Array, network: Network, unit: str) -> None:
    """Raise `InputError` unless the array is one number or one per account of the network."""
    if array.ndim > 1 or array.size not in (1, network.firms):
        raise InputError(
            f"{name} has shape {array.shape}: give one number or one per account ({network.firms},), in {unit}."
        )


def of_inputs(
    name: str,
    value: "ArrayLike | ByProduct | ByInput",
    network: Network,
    *,
    least: float,
    unit: str,
    strict: bool = False,
    most: float = np.finfo(float).max,
) -> "Array | ByInput":
    """Return a parameter of inputs: scalar or (n,) where it is the customer's, else an input array."""
    links = network.links
    if isinstance(value, ByProduct):
        if value.values.shape != (links.products,):
            raise InputError(
                f"{name} by product has shape {value.values.shape}, but there are {links.products} products."
            )
        value = ByInput(links.of_product(value.values))
    if not isinstance(value, ByInput):
        return by_account(name, value, network, least=least, unit=unit, strict=strict, most=most)
    array = value.values.astype(network.output.dtype)
    if array.shape != links.need.shape:
        raise InputError(f"{name} by input has shape {array.shape}, but the inputs have {links.need.shape}.")
    # What is said of an input that does not exist does not matter; 1 is safe wherever it is used.
    if concrete(array, links.need):
        array = jnp.where(links.need > 0, array, 1)
    _inside(name, array, least, most, unit, strict)
    return ByInput(array)


def on_inputs(value: "Array | ByInput", links: AbstractLinks) -> Array:
    """Return a parameter as an input array that has a number, not 0, also where there is no input."""
    if isinstance(value, ByInput):
        return value.values
    if value.size == 1:
        return jnp.broadcast_to(value.reshape(()), links.need.shape)
    given = links.of_customer(value)
    return jnp.where(links.need > 0, given, 1)


def _inside(name: str, array: Array, least: float, most: float, unit: str, strict: bool) -> None:
    def fits(values):
        return (values <= most) & ((values > least) if strict else (values >= least))

    def message():
        host = np.ravel(np.asarray(array))
        k = first_bad(~fits(host))
        bound = f"above {least:g}" if strict else f"at least {least:g}"
        finite = "finite and " if most < np.inf else ""
        return f"{name} is {host[k]:g} (entry {k}); it must be {finite}{bound}, in {unit}."

    require(fits, message, array)
