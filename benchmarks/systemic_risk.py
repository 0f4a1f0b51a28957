"""The systemic risk index of every firm of a drawn network: time against NumPy, plateau, and marginal risk.

The yardstick runs the same iteration to the same tolerance one closure at a time on compressed rows (scipy.sparse) with
`maximum.reduceat`, on closures spread evenly over the ranks of size: once as published, both cascades until both stand still,
and once each until it stands still itself, as quesnay does. Both run on one thread; times are that thread's (CPU seconds),
quartiles over rounds in which they take turns.

Run with `OMP_NUM_THREADS=1 python benchmarks/systemic_risk.py --out benchmarks/results/systemic_risk.json`.
"""

import argparse
import json
import os
import platform
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import numpy as np
import scipy.sparse
import scipy.stats

import quesnay as q
from quesnay._results import RESULTS
from quesnay.economy import firms as qf
from quesnay.supply import risk

TOLERANCE = 1e-6
BATCH = 64
GOODS = 14
"""The first sectors of us-2020 make goods: from agriculture to furniture."""
CHOICES = {"goods": TOLERANCE, "goods and transport": TOLERANCE} | {f"{n} products": 0.01 for n in (100, 200, 300, 600)}
"""Which inputs are essential, and the tolerance: losses creep where a market is nearly gone, and the source stops at 0.01."""


class OneAtATime:
    """The index of one firm after the other in NumPy: what the batched program is compared with."""

    def __init__(self, network: q.Network, sector: np.ndarray, essential: np.ndarray, dtype: type) -> None:
        supplier, customer = np.asarray(network.links.supplier), np.asarray(network.links.customer)
        self.output = np.asarray(network.output).astype(dtype)
        flow = np.asarray(network.links.coefficient) * np.asarray(network.output)[customer]
        count = network.firms
        strong = essential[sector[supplier], sector[customer]]
        kind = np.where(strong, sector[supplier], len(essential))
        present, row = np.unique(customer.astype(np.int64) * (len(essential) + 1) + kind, return_inverse=True)
        whole = np.where(strong, np.bincount(row, flow)[row], np.bincount(customer, flow, count)[customer])
        shape = (len(present), count)
        self.inputs = scipy.sparse.csr_array(((flow / whole).astype(dtype), (row, supplier)), shape=shape)
        self.buyer, self.first = np.unique(present // (len(essential) + 1), return_index=True)
        shares = (flow / np.asarray(network.output)[supplier]).astype(dtype)
        self.sales = scipy.sparse.csr_array((shares, (supplier, customer)), shape=(count, count))
        self.sector, self.sectors = sector, len(essential)
        self.tiny = np.finfo(dtype).tiny

    def downstream(self, closed: np.ndarray, down: np.ndarray) -> np.ndarray:
        left = np.bincount(self.sector, self.output * (1 - down), self.sectors)
        share = np.minimum(1, self.output / np.maximum(left, self.tiny)[self.sector])
        lost = closed.copy()
        rows = self.inputs @ (share * down).astype(self.output.dtype)
        lost[self.buyer] = np.maximum(lost[self.buyer], np.maximum.reduceat(rows, self.first))
        return lost

    def index(self, firm: int, tolerance: float, *, apart: bool = False) -> float:
        """Return the index of one firm; `apart`: no step for a cascade that has ended."""
        closed = np.zeros_like(self.output)
        closed[firm] = 1
        down, up = closed, closed
        moving = [True, True]
        while any(moving):
            lost = self.downstream(closed, down) if moving[0] else down
            unsold = np.maximum(closed, self.sales @ up) if moving[1] else up
            still = [np.abs(lost - down).max() <= tolerance, np.abs(unsold - up).max() <= tolerance]
            moving = [not s for s in still] if apart else [not all(still)] * 2
            down, up = lost, unsold
        return float(self.output @ np.maximum(down, up) / self.output.sum())


def case(count: int, seed: int, essential: str = "goods") -> tuple[q.Network, np.ndarray, np.ndarray]:
    """Return a drawn network, the products of its firms, and which inputs are essential to whom.

    "goods": goods (utilities and construction among them) to their makers, services to nobody, as in the source.
    "goods and transport": transport beside them, on both sides. "300 products": as "goods", with each sector's firms split at
    random into products so that there are about 300 in all; the source has 600 classes of industry.
    """
    economy = q.load("us-2020").nonnegative()
    firms = qf.draw(economy, firms=count, key=jax.random.key(seed))
    sector, names = firms.groups("sector")
    physical = np.isin(
        names, [*economy.sectors[:GOODS], *(["Transport and storage"] if "transport" in essential else [])]
    )
    if essential.endswith("products"):
        each = -(-int(essential.split()[0]) // len(names))
        sector = sector * each + np.random.default_rng(seed).integers(0, each, count)
        physical = np.repeat(physical, each)
    return firms.network, sector, np.outer(physical, physical)


def timed(work) -> tuple[float, object]:
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def quartiles(values) -> list[float]:
    return [float(f"{v:.3g}") for v in np.quantile(values, [0.25, 0.5, 0.75])]


def speed(count: int, dtype: type, tolerance: float, rounds: int, sample: int) -> dict[str, object]:
    """Return what all indices take in one batched run, and by the yardsticks, from a sample of closures."""
    network, sector, essential = case(count, 0)
    network = jax.tree.map(lambda leaf: leaf.astype(dtype) if leaf.dtype == np.float64 else leaf, network)
    slow = OneAtATime(network, sector, essential, dtype)
    ranks = np.argsort(-slow.output)[np.linspace(0, count - 1, sample).astype(int)]

    def all_of_them():
        return jax.block_until_ready(
            risk.systemic_risk(network, sector, essential=essential, batch=BATCH, tolerance=tolerance).total
        )

    first, total = timed(all_of_them)
    batched, single, apart = [], [], []
    for _ in range(rounds):
        batched.append(timed(all_of_them)[0])
        seconds, some = timed(lambda: [slow.index(firm, tolerance) for firm in ranks])
        single.append(seconds * count / sample)
        apart.append(timed(lambda: [slow.index(firm, tolerance, apart=True) for firm in ranks])[0] * count / sample)
    return {
        "firms": count,
        "links": network.edges,
        "dtype": np.dtype(dtype).name,
        "tolerance": tolerance,
        "batch": BATCH,
        "all_indices_seconds": quartiles(batched),
        "first_call_with_compilation_seconds": round(first, 2),
        "numpy_all_indices_seconds": quartiles(single),
        "numpy_cascades_apart_seconds": quartiles(apart),
        "numpy_measured_on": sample,
        "times_faster": quartiles(np.array(single) / np.array(batched)),
        "times_faster_than_cascades_apart": quartiles(np.array(apart) / np.array(batched)),
        "largest_relative_difference_of_the_two": float(
            np.max(np.abs(np.asarray(total)[ranks] - some) / np.asarray(some))
        ),
    }


def shape(count: int, seed: int, choice: str, tolerance: float) -> dict[str, object]:
    """Return the profile of the indices and how the marginal risk ranks the firms."""
    network, sector, essential = case(count, seed, choice)
    found = risk.systemic_risk(network, sector, essential=essential, batch=BATCH, tolerance=tolerance)
    seconds, marginal = timed(lambda: risk.marginal_risk(network, sector, essential=essential, throw=False))
    index, slope = np.asarray(found.total), np.asarray(marginal.total)
    size = np.asarray(network.output) / np.asarray(network.output).sum()
    order = np.argsort(-index)
    top = order[:100]

    def rank(a, b):
        return round(float(scipy.stats.spearmanr(a, b).statistic), 4)

    return {
        "firms": count,
        "seed": seed,
        "essential": choice,
        "products": int(sector.max()) + 1,
        "tolerance": tolerance,
        "largest": np.round(index[order[:20]], 3).tolist(),
        "own_share_of_output_of_these": np.round(size[order[:20]], 4).tolist(),
        "firms_above_a_fifth": int((index > 0.2).sum()),
        "firms_above_a_twentieth": int((index > 0.05).sum()),
        "median_of_those_above_a_fifth": round(float(np.median(index[index > 0.2])), 3) if index.max() > 0.2 else None,
        "firms_within_a_tenth_of_the_largest": int((index > 0.9 * index.max()).sum()),
        "share_of_firms_below_1_percent": float((index < 0.01).mean()),
        "downstream_and_upstream_of_the_largest": [
            round(float(found.downstream[order[0]]), 3),
            round(float(found.upstream[order[0]]), 3),
        ],
        "steps_median_and_most": [float(np.median(found.steps)), int(found.steps.max())],
        "rank_correlation_of_index": {
            "with_marginal_risk": rank(index, slope),
            "with_marginal_risk_among_the_top_100": rank(index[top], slope[top]),
            "with_output": rank(index, size),
            "with_output_among_the_top_100": rank(index[top], size[top]),
        },
        "of_the_top_100_also_by_marginal_risk": len(set(top.tolist()) & set(np.argsort(-slope)[:100].tolist())),
        "marginal_risk_converged": bool(marginal.result == RESULTS.successful),
        "marginal_risk_seconds_with_compilation": round(seconds, 2),
    }


def main() -> None:
    """Measure, print, and write the numbers if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--firms", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sample", type=int, default=100)
    arguments = parser.parse_args()
    result = {
        "command": " ".join(["OMP_NUM_THREADS=1 python", *sys.argv]),
        "python": platform.python_version(),
        "jax": version("jax"),
        "numpy": version("numpy"),
        "scipy": version("scipy"),
    }
    result["speed"] = []
    for dtype, tolerance in ((np.float32, TOLERANCE), (np.float32, 0.01), (np.float64, TOLERANCE)):
        result["speed"].append(speed(arguments.firms, dtype, tolerance, arguments.rounds, arguments.sample))
        print(result["speed"][-1], flush=True)
    result["peak_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)
    result["shape"] = []
    for choice, tolerance in CHOICES.items():
        for seed in range(arguments.seeds):
            result["shape"].append(shape(arguments.firms, seed, choice, tolerance))
            print(json.dumps(result["shape"][-1]), flush=True)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
