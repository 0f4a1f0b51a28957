"""Which closures are computed side by side: those that are likely to take as many steps. Only the time depends on it."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from quesnay.network import Network

from .cascade import Weights

ROUNDS = 4
"""Rounds of orders after which the losses of suppliers fall alike for every closure."""
DECADES = 2.0
"""Width of the classes of the first losses of customers, in powers of ten."""


def by_steps(w: Weights, network: Network, market: np.ndarray, tolerance: float) -> np.ndarray:
    """Return the closures of single firms (M,), those that are likely to take as many steps as neighbours.

    Downstream the number follows from the largest loss of a customer in the first step, upstream from all losses of suppliers
    in the fourth: the columns' sums of the fourth power of the matrix of sales shares.
    """
    count, output = network.firms, np.asarray(network.output)
    left = np.bincount(market, output)[market] - output
    share = np.minimum(1, output / np.where(left > 0, left, output))
    first = np.zeros(count)
    np.maximum.at(first, w.supplier[w.counts], (w.input_share * share[w.supplier])[w.counts])
    above = np.log10(np.maximum(first / tolerance, 1)) / DECADES
    later = np.ones(count)
    for _ in range(ROUNDS):
        later = np.bincount(w.customer, w.sales_share * later[w.supplier], count)
    return np.lexsort((-later, -np.ceil(above)))


def chunks(order: np.ndarray, batch: int) -> Int[Array, "chunks b"]:
    """Return scenarios in rows of `batch`; the last is filled up with the last scenario."""
    rows = -(-len(order) // batch)
    full = np.concatenate([order, np.repeat(order[-1:], rows * batch - len(order))])
    return jnp.asarray(full.reshape(rows, batch).astype(np.int32))
