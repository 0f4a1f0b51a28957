"""Filling vessels to one level: the water level at which a sum of capped powers reaches a total."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from quesnay.network import TIE


class Vessels(eqx.Module):
    """Vessels and how they belong to their owners.

    Attributes
    ----------
    height, weight:
        h >= 0 and w >= 0 of every vessel; one without weight counts for nothing.
    exponent:
        rho, not 0; with a negative one the level rises as the sum falls.
    sum_up, spread:
        From vessels to owners, and from owners to vessels.
    """

    height: Array
    weight: Array
    exponent: float
    sum_up: Callable[[Array], Float[Array, " n"]]
    spread: Callable[[Float[Array, " n"]], Array]


def fill(vessels: Vessels, total: Float[Array, " n"]) -> Array:
    """Return `min(mu, h)` of every vessel, for the level mu at which `sum of w min(mu, h)^rho = total` over an owner's vessels.

    Starts below the root and adds, in each turn, the vessels that are full at the level so far; levels only rise, so that it
    ends after at most as many turns as an owner has vessels. The derivative is that of the last turn, where the set of full
    vessels is fixed. Where all of an owner's vessels together hold the total, to within `TIE` units of rounding, all are full:
    the level is then what the vessel that counts least makes of rounding.
    """
    fixed, fixed_total = jax.lax.stop_gradient((eqx.filter(vessels, eqx.is_array), total))
    frozen = eqx.combine(fixed, vessels)
    brim = jnp.abs(_held(frozen, True) - fixed_total) <= TIE * jnp.finfo(total.dtype).eps * fixed_total

    def turn(carry):
        full, _ = carry
        now = full | (frozen.height <= frozen.spread(_level(frozen, full, fixed_total)))
        return now, jnp.any(now & ~full & (frozen.weight > 0))

    start = (frozen.spread(brim.astype(total.dtype)) > 0, jnp.asarray(True))
    full, _ = jax.lax.while_loop(lambda carry: carry[1], turn, start)
    # What is full stays so, whatever rounding does to a level that only small vessels are left to decide.
    return jnp.where(full, vessels.height, jnp.minimum(vessels.spread(_level(vessels, full, total)), vessels.height))


def _level(vessels: Vessels, full: Array, total: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return the level at which the vessels that are not full make up for those that are; inf where all are full."""
    w, rho = vessels.weight, vessels.exponent
    free = vessels.sum_up(jnp.where(full, 0, w))
    some = free > 0
    rest = (total - _held(vessels, full)) / jnp.where(some, free, 1)
    positive = some & (rest > 0)
    level = jnp.where(positive, rest, 1) ** (1 / rho)
    return jnp.where(positive, level, jnp.where(some & (rho > 0), 0, jnp.inf))


def _held(vessels: Vessels, full: Array | bool) -> Float[Array, " n"]:
    """Return `sum of w h^rho` over an owner's full vessels."""
    h, w = vessels.height, vessels.weight
    # An empty vessel holds nothing, whatever the exponent; both branches of a `where` are differentiated.
    counts = full & (w > 0) & (h > 0)
    return vessels.sum_up(jnp.where(counts, w * jnp.where(counts, h, 1) ** vessels.exponent, 0))
