"""How much memory a table takes on its way from a frame to an Economy, in multiples of the table's own size.

Peak of what numpy and Python allocate beyond the frames themselves (tracemalloc), the economy's own numbers included. Two
tables: the world of WIOD 2013 (1,435 accounts) and one of the size of EXIOBASE 3 (9,800), drawn at random, balanced, and so
that no bound spares the eigenvalues.

Run with `OMP_NUM_THREADS=1 python benchmarks/table_memory.py --out benchmarks/results/table_memory.json`.
"""

import argparse
import json
import platform
import tracemalloc
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import quesnay as q

SHAPES = {"wiod-size": (41, 35), "exiobase-size": (49, 200)}
LIMIT = 3.0


def frames(regions: int, sectors: int) -> dict[str, Any]:
    """Return labelled frames of a balanced table with a column of A that adds up to more than 1."""
    index = pd.MultiIndex.from_product([[f"R{k}" for k in range(regions)], [f"S{k}" for k in range(sectors)]])
    n = len(index)
    rng = np.random.default_rng(0)
    Z = rng.uniform(0, 1, (n, n))
    output = np.full(n, 2.5 * n)
    # One column and one row that neither the column sums nor the row sums of A bound below 1.
    Z[:, 0] *= 6
    Z[1] *= 6
    demand = output - Z.sum(axis=1)
    return {
        "Z": pd.DataFrame(Z, index, index),
        "final_demand": pd.Series(demand, index),
        "output": pd.Series(output, index),
    }


def measure(shape: tuple[int, int]) -> dict[str, object]:
    """Return the peak of one construction over the size of Z, and what stays."""
    given = frames(*shape)
    q.Economy.from_frames(**frames(2, 2), currency="MUSD")  # imports and caches that every table shares
    size = given["Z"].to_numpy().nbytes
    tracemalloc.start()
    economy = q.Economy.from_frames(**given, currency="MUSD")
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for axis in (0, 1):
        assert (economy.ledger.Z.sum(axis=axis) > economy.ledger.output).any()
    assert peak <= LIMIT * size, f"the peak is {peak / size:.3f} times the table"
    return {
        "accounts": economy.n,
        "table_mb": round(size / 1e6, 1),
        "peak_over_table": round(peak / size, 3),
        "kept_over_table": round(kept / size, 3),
    }


def main() -> None:
    """Measure, print, and write the numbers if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    command = "OMP_NUM_THREADS=1 python benchmarks/table_memory.py"
    if arguments.out is not None:
        command += f" --out {arguments.out}"
    about = {
        "command": command,
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "pandas": version("pandas"),
        "limit": LIMIT,
    }
    text = json.dumps(about | {name: measure(shape) for name, shape in SHAPES.items()}, indent=2)
    print(text)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
