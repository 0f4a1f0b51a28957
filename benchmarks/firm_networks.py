"""How near drawn networks of firms come to the table and to the published moments, and what drawing and reading them takes.

Every size and seed in a process of its own, whose peak memory (ru_maxrss) is taken. Times are also given as multiples of
sorting as many random 64-bit keys as there are links, in the same process.

Run with `OMP_NUM_THREADS=1 python benchmarks/firm_networks.py --out benchmarks/results/firm_networks.json`.
"""

import argparse
import json
import math
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np
import pandas as pd

import quesnay as q
from quesnay.economy import firms as qf

RUNS = {1_000: 4, 10_000: 4, 100_000: 2, 1_000_000: 1}
"""Seeds for each number of firms."""
MOMENTS = {"Hungary": qf.HUNGARY, "Ecuador": qf.ECUADOR}


def exactness(economy: q.Economy, firms: qf.Firms) -> dict[str, float]:
    """Return the largest relative differences from the table, of flows between sectors and of final demand."""
    at = pd.MultiIndex.from_arrays([firms.table.region.astype(str), firms.table.sector.astype(str)])
    sector, n = economy.index.get_indexer(at), economy.n
    cell = sector[firms.supplier] * n + sector[firms.customer]
    # Summed exactly, so that the error of a sum of half a million links is not taken for one of the network.
    order = np.argsort(cell, kind="stable")
    linked, begin = np.unique(cell[order], return_index=True)
    flows = np.zeros(n * n)
    flows[linked] = [365 * math.fsum(part) for part in np.split(firms.flow[order], begin[1:])]
    flows = flows.reshape(n, n)
    Z = np.asarray(economy.Z)
    kept = flows > 0
    demand = 365 * np.bincount(sector, np.asarray(firms.network.final_demand), n)
    wanted = np.asarray(economy.final_demand) + np.where(kept, 0, Z).sum(axis=1)
    return {
        "flows": float(np.max(np.abs(flows[kept] / Z[kept] - 1))),
        "final_demand": float(np.max(np.abs(demand - wanted) / np.maximum(wanted, wanted.sum() * 1e-12))),
    }


def tail(values: np.ndarray) -> float:
    """Return how many standard deviations the 99.9 % quantile of the logs lies above their mean; 3.09 for a lognormal law."""
    logs = np.log(values[values > 0])
    return float((np.quantile(logs, 0.999) - logs.mean()) / logs.std())


def one(count: int, seed: int, place: str) -> dict[str, object]:
    """Draw one network and describe it."""
    economy = q.load("us-2020").nonnegative()
    began = time.perf_counter()
    firms = qf.draw(economy, firms=count, key=jax.random.key(seed), moments=MOMENTS[place])
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    keys = np.random.default_rng(0).integers(0, 2**62, len(firms.supplier))
    began = time.perf_counter()
    np.sort(keys)
    sorting = time.perf_counter() - began
    report = firms.drawn
    assert report is not None
    target = MOMENTS[place]
    apart = exactness(economy, firms)
    assert apart["flows"] <= 1e-12, apart
    assert report.kept >= 0.999
    strengths = [np.bincount(ends, firms.flow, count) for ends in (firms.supplier, firms.customer)]
    return {
        "moments": place,
        "firms": count,
        "seed": seed,
        "links_per_firm": round(report.links / count, 4),
        "kept": report.kept,
        "largest_relative_difference": apart,
        "variance": np.round(report.variance, 3).tolist(),
        "variance_over_published": np.round(report.variance / target.variance, 3).tolist(),
        "largest_difference_of_correlations": round(float(np.abs(report.correlation - target.correlation).max()), 3),
        "tail_of_sales_and_purchases_sd": [round(tail(v), 2) for v in strengths],
        "selling": round(report.selling, 3),
        "buying": round(report.buying, 3),
        "firms_with_purchases_above_output": report.uncovered,
        "their_share_of_output": round(report.uncovered_share, 6),
        "seconds": round(seconds, 1),
        "over_sorting_the_links": round(seconds / sorting, 1),
        "peak_gb": round(peak, 2),
    }


def reading(count: int) -> dict[str, object]:
    """Write a network as CSV in one process, read it in another."""
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        links = 14 * count
        supplier = rng.integers(0, count, links)
        customer = (supplier + rng.integers(1, count, links)) % count
        path = Path(folder) / "links.csv"
        frame = pd.DataFrame({"supplier": supplier, "customer": customer, "value": rng.lognormal(size=links)})
        frame.to_csv(path, index=False)
        del frame, supplier, customer
        done = subprocess.run(
            [sys.executable, __file__, "--read", str(path)], capture_output=True, text=True, check=True
        )
        return {"links": links, "megabytes": round(path.stat().st_size / 1e6)} | json.loads(done.stdout)


def read(path: str) -> dict[str, object]:
    """Read one network and say what it took."""
    began = time.perf_counter()
    firms = qf.read(path)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"firms": firms.network.firms, "seconds": round(seconds, 1), "peak_gb": round(peak, 2)}


def main() -> None:
    """Measure, print, and write the numbers if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=3, metavar=("FIRMS", "SEED", "PLACE"))
    parser.add_argument("--read")
    parser.add_argument("--largest", type=int, default=1_000_000)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(int(arguments.one[0]), int(arguments.one[1]), arguments.one[2])))
        return
    if arguments.read:
        print(json.dumps(read(arguments.read)))
        return
    found = []
    cases = [(c, s, "Hungary") for c, n in RUNS.items() for s in range(n)]
    cases += [(c, s, "Ecuador") for c in (1_000, 10_000, 100_000) for s in range(RUNS[c])]
    for count, seed, place in cases:
        if count <= arguments.largest:
            command = [sys.executable, __file__, "--one", str(count), str(seed), place]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout))
            print(found[-1], flush=True)
    result = {
        "command": "OMP_NUM_THREADS=1 python benchmarks/firm_networks.py --out benchmarks/results/firm_networks.json",
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "jax": version("jax"),
        "tolerance_of_variances": qf.TOLERANCE,
        "published": {place: np.round(m.variance, 3).tolist() for place, m in MOMENTS.items()},
        "order": ["customers", "suppliers", "sales to firms", "purchases from firms"],
        "drawn": found,
        "read": [reading(count) for count in (100_000, 1_000_000) if count <= arguments.largest],
    }
    print(json.dumps(result["read"]))
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
