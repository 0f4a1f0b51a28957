"""Structural path analysis of published tables: time against one dense LU solve and against a threshold enumeration.

Run with `OMP_NUM_THREADS=1 python benchmarks/paths.py --data DATA --out benchmarks/results/paths.json`, DATA being a folder
that holds `useeio_us_411_2012` and `wiod2013`. Needs pyarrow.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.linalg

import quesnay  # noqa: F401  (64 bits)
from quesnay.equilibrium.analysis.paths import paths

Table = tuple[np.ndarray, np.ndarray, np.ndarray]


def useeio(data: Path) -> Table:
    """Return USEEIO 2.0.1: 411 commodities, complete production of 2012, kg CO2e per dollar."""
    folder = data / "useeio_us_411_2012"
    A = pd.read_parquet(folder / "A.parquet")
    d = pd.read_csv(folder / "demands.csv", index_col=0).loc[A.index, "2012_US_Production_Complete"]
    r = pd.read_csv(folder / "D.csv", index_col=0).loc["GHG", A.index]
    return A.to_numpy(), d.to_numpy(dtype=float), r.to_numpy(dtype=float)


def wiod(data: Path) -> Table:
    """Return WIOD 2011: 41 regions by 35 industries, world final demand, value added per unit of output."""
    folder = data / "wiod2013"
    Z = pd.read_parquet(folder / "full41x35_Z_2011.parquet")
    Y = pd.read_parquet(folder / "full41x35_Y_2011.parquet").loc[Z.index]
    x = pd.read_csv(folder / "full41x35_x_2011.csv", index_col=0).loc[Z.index].iloc[:, 0].to_numpy(dtype=float)
    Z, scale = Z.to_numpy(), np.where(x > 0, x, 1)
    return Z / scale, Y.to_numpy().sum(axis=1), (x - Z.sum(axis=0)) / scale


def lu_solve(A: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Solve `(I - A) x = d` by dense LU factors."""
    return scipy.linalg.lu_solve(scipy.linalg.lu_factor(np.eye(len(d)) - A), d)


def enumerate_above(table: Table, threshold: float) -> dict[tuple[int, ...], float]:
    """Return all paths above a threshold, found depth first; a branch ends where all paths through it sum to less."""
    A, d, r = (np.abs(v) for v in table)
    tree = np.linalg.solve(np.eye(len(d)) - A.T, r)
    found = {}
    waiting = [((int(j),), d[j]) for j in np.flatnonzero(d * tree >= threshold)]
    while waiting:
        path, product = waiting.pop()
        if product * r[path[0]] >= threshold:
            found[path] = product * r[path[0]]
        onward = A[:, path[0]] * product
        waiting += [((int(i), *path), onward[i]) for i in np.flatnonzero(onward * tree >= threshold)]
    return found


def seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def spread(values: list[float]) -> dict[str, float]:
    """Return median and range."""
    return {name: float(f"{f(values):.3g}") for name, f in (("median", statistics.median), ("min", min), ("max", max))}


def measure(table: Table, rounds: int, count: int) -> dict[str, object]:
    """Time the three in turn, and compare the lists."""
    A, d, r = table
    p = paths(A, d, r, count=count)
    threshold = float(abs(p.value[-1])) * (1 - 1e-12)
    names = {tuple(map(int, p.sequence(k))) for k in range(len(p.value))}
    timed = {"paths": [], "lu": [], "threshold": []}
    for _ in range(rounds):
        timed["paths"].append(seconds(lambda: paths(A, d, r, count=count)))
        timed["lu"].append(seconds(lambda: lu_solve(A, d)))
        timed["threshold"].append(seconds(lambda: enumerate_above(table, threshold)))
    found = enumerate_above(table, threshold)
    return {
        "accounts": len(d),
        "paths": len(p.value),
        "seconds": spread(timed["paths"]),
        "over_one_lu_solve": spread([a / b for a, b in zip(timed["paths"], timed["lu"], strict=True)]),
        "over_threshold_enumeration": spread([a / b for a, b in zip(timed["paths"], timed["threshold"], strict=True)]),
        "same_paths_as_threshold_enumeration": found.keys() == names,
        "total": p.total,
        "total_error": float(f"{p.total_error:.2g}"),
        "magnitude": p.magnitude,
        "listed_share_of_magnitude": float(f"{1 - p.remainder_magnitude / p.magnitude:.6g}"),
        "remainder": p.remainder,
        "remainder_error": float(f"{p.remainder_error:.2g}"),
        "largest_unlisted": p.largest_unlisted,
        "smallest_listed": float(abs(p.value[-1])),
        "longest": int(p.tier.max()),
        "negative_coefficients": int(np.sum(A < 0)),
        "negative_demands": int(np.sum(d < 0)),
    }


def main() -> None:
    """Measure, print, and write the numbers if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    command = f"OMP_NUM_THREADS=1 python benchmarks/paths.py --data DATA --rounds {arguments.rounds} --count {arguments.count}"
    if arguments.out is not None:
        command += f" --out {arguments.out}"
    result = {
        "command": command,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "useeio_2012_ghg_kg_of_production": measure(useeio(arguments.data), arguments.rounds, arguments.count),
        "wiod_2011_value_added_musd": measure(wiod(arguments.data), arguments.rounds, arguments.count),
    }
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
