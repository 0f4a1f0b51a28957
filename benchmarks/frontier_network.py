"""The exact intervention in a network of a million firms and twenty million links, in solves of the network and in memory.

Run with `python benchmarks/frontier_network.py --out benchmarks/results/frontier_network.json`. All cores of the machine;
the ratio is that of medians of calls taken in turn, each compiled. A solve is `q.solve(q.Leontief(network), d)`, which proves
its error; a product is one of the network with a vector. The memory is the peak of the process, the making of the network
included.

Suppliers are drawn with a Pareto tail (exponent 1.3), customers evenly; shares of links are log-normal, and what a firm buys
is between 0.3 and 0.72 of what it sells. Emissions and jobs per output are log-normal (2 and 0.7 in logarithms); the penalty
is their ratio in the whole.
"""

import argparse
import json
import platform
import resource
import statistics
import time
from pathlib import Path

import jax
import numpy as np
import scipy.sparse as sp

import quesnay as q


def network(firms: int, links: int) -> tuple[q.Network, np.ndarray, np.ndarray]:
    """Return a network, its final demand and its outputs."""
    rng = np.random.default_rng(0)
    tail = rng.pareto(1.3, firms) + 1
    supplier = rng.choice(firms, links, p=tail / tail.sum()).astype(np.int32)
    customer = rng.integers(0, firms, links).astype(np.int32)
    pairs = np.unique(supplier.astype(np.int64) * firms + customer)
    supplier, customer = (pairs // firms).astype(np.int32), (pairs % firms).astype(np.int32)
    share = rng.lognormal(0, 1, pairs.size)
    share *= 0.6 / np.bincount(customer, share, firms)[customer] * rng.uniform(0.5, 1.2, firms)[customer]
    d = rng.lognormal(0, 1, firms)
    A = sp.csr_array((share, (supplier, customer)), shape=(firms, firms))
    x = d
    for _ in range(200):
        x = A @ x + d
    return q.Network.from_edges(supplier, customer, share * x[customer], final_demand=d), d, x


def main() -> None:
    """Measure, print, and write the numbers if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--firms", type=int, default=1_000_000)
    parser.add_argument("--links", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    firms, d, x = network(given.firms, given.links)
    rng = np.random.default_rng(1)
    c, e = rng.lognormal(0, 2, given.firms), rng.lognormal(0, 0.7, given.firms)
    penalty = float((c @ x) / (e @ x))
    product = jax.jit(lambda v: firms.matvec(v))
    calls = {
        "product": lambda: product(d),
        "solve": lambda: q.solve(q.Leontief(firms), d).value,
        "frontier": lambda: q.intervention.frontier(firms, d, reduce=c, keep=e, penalties=[penalty]),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    result = {}
    for turn in range(given.rounds + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            result[name] = jax.block_until_ready(call())
            if turn:
                times[name].append(time.perf_counter() - began)
    median = {name: statistics.median(spent) for name, spent in times.items()}
    curve = result["frontier"]
    found = {
        "command": f"python benchmarks/frontier_network.py --firms {given.firms} --links {given.links} --rounds {given.rounds}"
        f" --out {given.out}",
        "what": __doc__,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "firms": given.firms,
        "links": given.links,
        "solves": median["frontier"] / median["solve"],
        "products": median["frontier"] / median["product"],
        "spread_of_times": {name: max(spent) / min(spent) for name, spent in times.items()},
        "gap": float(curve.gap[0]),
        "policies": int(curve.policies[0]),
        "reduced": float(1 - curve.outcome[0] / curve.base_outcome),
        "moved": float(curve.moved[0] / curve.base_kept),
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }
    print(json.dumps(found, indent=1))
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
