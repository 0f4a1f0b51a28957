"""What an economy delivers at one damage: the function that every question differentiates."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .perron import spectral_radius
from .readings import AbstractReading
from .setting import RESULTS, Base
from .vulnerability import Technology


class Values(NamedTuple):
    """What is differentiated, at one temperature."""

    gdp: Array
    output: Array
    final_demand: Array
    value_added: Array
    factor: Array
    outcomes: dict[str, Array]


class Facts(NamedTuple):
    """What is not."""

    spectral_radius: Array
    bottleneck: Array
    feasible: Array
    result: RESULTS


def evaluate(
    base: Base, reading: AbstractReading, weights: dict[str, Array], damage: Array, towards: Array
) -> tuple[Values, Facts]:
    """Return what the economy delivers at damage (n,); kinks are resolved in the direction `towards` (n,)."""
    means = base.vulnerability
    admissible = jnp.all(means.admissible(damage))

    def technology(shares: Array) -> Technology:
        return means.technology(base.A, jnp.where(admissible, shares, base.reference), base.reference)

    now, change = jax.jvp(technology, (damage,), (jax.lax.stop_gradient(towards),))
    radius = spectral_radius(now.A)
    productive = admissible & (radius < 1)
    delivery = reading(now, change, base, productive)
    # Without a technology nothing is made: the reference's stands in for it, and what that would deliver is not the answer.
    x = jnp.where(admissible | ~jnp.isfinite(delivery.output), delivery.output, 0)
    y = jnp.where(admissible, delivery.final_demand, 0)
    values = Values(
        gdp=jnp.sum(y),
        output=x,
        final_demand=y,
        value_added=_weighed(1 - jnp.sum(now.A, axis=0), x, lost=0),
        factor=jnp.sum(_weighed(base.labour * now.effort, x, lost=jnp.inf)),
        outcomes={name: jnp.sum(_weighed(r, x, lost=jnp.inf)) for name, r in weights.items()},
    )
    solved = RESULTS.where(delivery.solved, RESULTS.successful, RESULTS.unsolved)  # pyright: ignore[reportArgumentType]
    delivered = RESULTS.where(delivery.feasible, solved, RESULTS.infeasible)
    sustained = RESULTS.where(productive, delivered, RESULTS.collapsed)
    result = RESULTS.where(admissible, sustained, RESULTS.inadmissible)
    radius = jnp.where(admissible, radius, jnp.inf)
    bottleneck = jnp.where(admissible, delivery.bottleneck, -1)
    return values, Facts(radius, bottleneck, delivery.feasible, result)


def _weighed(weight: Array, x: Array, *, lost: float) -> Array:
    """Return `weight x` entry by entry; an output without bound counts as `lost` where it has a weight."""
    finite = jnp.isfinite(x)
    return jnp.where(finite, weight * jnp.where(finite, x, 0), jnp.where(weight == 0, 0, jnp.sign(weight) * lost))
