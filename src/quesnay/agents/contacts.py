"""Who meets whom, and branches on draws: what models of agents are put together from."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree
from numpy.typing import ArrayLike

from quesnay._checks import floating, integers, require, whole
from quesnay._errors import InputError
from quesnay.network import EdgeLinks


def contacts(
    source: ArrayLike, target: ArrayLike, weight: ArrayLike = 1.0, *, agents: int, both: bool = True
) -> EdgeLinks:
    """Return links between agents, as those between firms: `links.rmatvec(x)` sums `weight x` over those whom one meets.

    Parameters
    ----------
    source, target:
        Positions of agents (E,), integers from 0 to n - 1.
    weight:
        How much each contact counts, a number or (E,), not negative.
    agents:
        Number of agents n.
    both:
        Each contact goes both ways; with False from source to target only.

    Raises
    ------
    InputError
        Positions outside of the population; weights that are negative or not finite; shapes that do not fit.
    """
    n = whole(agents, "agents", "number of agents")
    ends = [integers(end, name, "positions of agents (E,)") for end, name in ((source, "source"), (target, "target"))]
    strength = floating(weight, "weight")
    if ends[0].ndim != 1 or ends[0].shape != ends[1].shape or strength.shape not in ((), ends[0].shape):
        raise InputError(
            f"source {ends[0].shape}, target {ends[1].shape} and weight {strength.shape} do not fit; give vectors of "
            "one length."
        )
    for end, name in zip(ends, ("source", "target"), strict=True):
        require(
            lambda v: (v >= 0) & (v < n),
            f"{name} has positions outside of the population, 0 to {n - 1}; check agents.",
            end,
        )
    require(lambda w: (w >= 0) & np.isfinite(w), "weight has entries that are negative or not finite.", strength)
    one, other = (jnp.asarray(end, jnp.int32) for end in ends)
    strength = jnp.broadcast_to(strength, one.shape)
    if both:
        one, other, strength = jnp.concatenate([one, other]), jnp.concatenate([other, one]), jnp.tile(strength, 2)
    return EdgeLinks(strength, one, other, n)


def where_event(x: Float[Array, "..."], happened: PyTree, otherwise: PyTree) -> PyTree:
    """Return one value where an event happened and another one where it did not, so that derivatives pass through the draw.

    ```
    x happened + (1 - x) otherwise
    ```

    Parameters
    ----------
    x:
        Draws of 0 or 1 (...), such as `bernoulli` returns; or their mean field.
    happened, otherwise:
        Values, which broadcast with x; or trees of them. Both are finite: what is not taken is computed too.
    """
    return jax.tree.map(lambda a, b: x * a + (1 - x) * b, happened, otherwise)
