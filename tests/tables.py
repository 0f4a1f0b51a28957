"""Random tables and models for the laws."""

from fractions import Fraction

import hypothesis.strategies as st
import numpy as np

import quesnay as q

SIZES = (1, 2, 5)
"""Few sizes: each one is compiled once."""

seeds = st.integers(0, 2**32 - 1)
sizes = st.sampled_from(SIZES)


TOLERANCE = 1e-12


def close(left, right, scale):
    """Compare to 1e-12 of the scale, which has the unit of the two."""
    return np.max(np.abs(np.asarray(left) - np.asarray(right))) <= TOLERANCE * np.max(np.abs(np.asarray(scale)))


def random_table(seed: int, n: int, *, density: float = 0.6, unit: float = 1.0, pattern: np.ndarray | None = None):
    """Return flows Z (n, n) and final demand d (n,) of a productive table, with some links and some demands missing.

    A `pattern` (n, n) says which links there are; without it they are drawn too.
    """
    rng = np.random.default_rng(seed)
    A = rng.uniform(0, 1, (n, n)) * ((rng.uniform(size=(n, n)) < density) if pattern is None else pattern)
    # Column sums below 0.9: productive by the column-sum criterion.
    A *= rng.uniform(0.1, 0.9, n) / np.maximum(A.sum(axis=0), 1e-300)
    d = np.exp(rng.normal(0, 2, n)) * (rng.uniform(size=n) < 0.8)
    d[rng.integers(n)] += 1.0
    x = np.linalg.solve(np.eye(n) - A, d)
    return unit * A * x, unit * d


def random_parameters(seed: int, n: int) -> dict:
    """Return inventory, adjustment and capacity (n,) with a stable order rule for `random_table`."""
    rng = np.random.default_rng(seed + 1)
    # rho < 0.9, so adjustment times above (1 + 0.9) / (2 (1 - 0.9)) = 9.5 days are stable.
    return {
        "inventory": rng.uniform(1.0, 15.0, n),
        "adjustment": rng.uniform(9.6, 30.0, n),
        "capacity": rng.uniform(1.0, 1.5, n),
    }


def random_model(seed: int, n: int, *, unit: float = 1.0) -> q.SupplyModel:
    """Return a supply model on a random table."""
    return q.SupplyModel(q.Network.from_table(*random_table(seed, n, unit=unit)), **random_parameters(seed, n))


def random_shock(seed: int, n: int) -> q.CapacityLoss:
    """Return a capacity loss that hits about half of the accounts, some of them wholly."""
    rng = np.random.default_rng(seed + 2)
    loss = rng.uniform(0, 1, n) * (rng.uniform(size=n) < 0.5)
    loss[rng.integers(n)] = rng.choice([0.3, 1.0])
    return q.CapacityLoss(
        loss, start=float(rng.integers(0, 8)), duration=float(rng.integers(0, 10)), recovery=q.Exponential(days=8.0)
    )


def exact(A, d):
    """Solve `(I - A) x = d` in rational arithmetic: no rounding at all."""
    n = len(d)
    rows = [
        [Fraction(int(i == j)) - Fraction(float(A[i, j])) for j in range(n)] + [Fraction(float(d[i]))] for i in range(n)
    ]
    for k in range(n):
        pivot = next(i for i in range(k, n) if rows[i][k] != 0)
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [v / rows[k][k] for v in rows[k]]
        for i in range(n):
            if i != k and rows[i][k] != 0:
                rows[i] = [v - rows[i][k] * w for v, w in zip(rows[i], rows[k], strict=True)]
    return [row[-1] for row in rows]


def random_network(
    seed: int, n: int, storage: str, *, unit: float = 1.0, order=None, patterned: bool = False
) -> q.Network:
    """Return the network of a random table as a table or as a list of links, each with inputs apart or pooled (2 products)."""
    # Lists of links of one pattern: their length is compiled in.
    pattern = np.random.default_rng(n).uniform(size=(n, n)) < 0.6 if patterned or storage.startswith("links") else None
    Z, d = random_table(seed, n, unit=unit, pattern=pattern)
    product = np.arange(n) % 2
    if order is not None:
        Z, d, product = Z[np.ix_(order, order)], d[order], product[order]
    if storage.startswith("table"):
        network = q.Network.from_table(Z, d)
    else:
        supplier, customer = np.nonzero(Z)
        network = q.Network.from_edges(supplier, customer, Z[supplier, customer], d)
    return network.pooled(product) if storage.endswith("pooled") else network


STORAGES = ("table", "links", "table, pooled", "links, pooled")
"""How a network may hold its links."""


def random_rating(seed: int, network: q.Network) -> np.ndarray:
    """Return a random criticality of every input of a network: 1, 0.5 or 0."""
    return np.random.default_rng(seed + 3).choice([0.0, 0.5, 1.0], network.links.need.shape)
