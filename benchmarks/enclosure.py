"""Whether the enclosure of an equilibrium holds, and how much too wide it is, against 50-digit arithmetic.

Run with `python benchmarks/enclosure.py --data ../shared/data --out benchmarks/results/enclosure.json`.
"""

import argparse
import decimal
import json
import platform
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import quesnay as q

DIGITS = 50
SIZES = (2, 5, 15, 40)
SOLVERS = (q.LU(), q.BiCGStab(), q.GMRES(), q.Forward(max_steps=200_000), q.Anderson(), q.Newton())
decimals = np.vectorize(decimal.Decimal, otypes=[object])


def exact(A: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Return `(I - A)^-1 d` to 50 digits: refined from double precision, with residuals in decimals."""
    L = np.linalg.inv(np.eye(len(d)) - A)
    M, b = decimals(A), decimals(d)
    x = decimals(L @ d)
    last = None
    for _ in range(200):
        r = b + M @ x - x
        change = decimals(L @ (r / (scale := max(abs(r).max(), decimal.Decimal("1e-400")))).astype(float)) * scale
        x = x + change
        size = abs(change).max() / abs(x).max()
        if size < decimal.Decimal(10) ** (3 - DIGITS):
            return x
        if last is not None and size > last:
            raise ArithmeticError("the refinement does not converge: the table is too close to unproductive")
        last = size
    raise ArithmeticError("the refinement did not end")


def random_case(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return A and d: full or sparse, of any grading, spectral radius .3 to .9999, sometimes slightly negative, any unit."""
    A = rng.lognormal(0, rng.choice([0.1, 1, 3]), (n, n)) * (rng.random((n, n)) < rng.choice([0.2, 0.6, 1]))
    grading = 10.0 ** rng.uniform(-3, 3, n) if rng.random() < 0.3 else np.ones(n)
    A = A * grading[:, None] / grading
    radius = max(abs(np.linalg.eigvals(A)))
    A *= (1 - 10 ** rng.uniform(-4, -0.15)) / radius if radius > 1e-12 else 0
    if rng.random() < 0.1:
        A *= np.where(rng.random((n, n)) < 0.05, -1e-3, 1)
    d = (
        rng.lognormal(0, rng.choice([0.1, 3]))
        * rng.lognormal(0, rng.choice([0.1, 3]), n)
        * (rng.random(n) < rng.choice([0.3, 1]))
    )
    d[rng.integers(n)] += 1
    return A, d * 10.0 ** rng.uniform(-9, 9)


def judge(A: np.ndarray, d: np.ndarray, value: np.ndarray, radius: np.ndarray, error: float) -> tuple[bool, float]:
    """Return whether the enclosure holds entry by entry and as the reported bound, and bound over true error."""
    apart = abs(decimals(value) - exact(A, d))
    size = decimal.Decimal(float(np.max(np.abs(value))))
    true = apart.max() / size
    holds = bool(np.all(apart <= decimals(radius))) and true <= decimal.Decimal(float(error))
    return holds, float(decimal.Decimal(float(error)) / true) if true > 0 else float("nan")


def random_cases(many: int, seed: int) -> dict[str, object]:
    """Judge so many random tables, in turns by every solver."""
    rng = np.random.default_rng(seed)
    kept = {type(solver).__name__: [] for solver in SOLVERS}
    failed, unproven = 0, 0
    for solver in SOLVERS:
        for n in SIZES:
            batch = [random_case(rng, n) for _ in range(-(-many // (len(SOLVERS) * len(SIZES))))]
            A, d = (np.stack(part) for part in zip(*batch, strict=True))
            run = jax.jit(jax.vmap(lambda A, d, s=solver: q.solve(q.Leontief(A), d, solver=s, throw=False)))
            found = jax.tree.map(np.asarray, run(jnp.asarray(A), jnp.asarray(d)))
            for k in range(len(batch)):
                if not np.isfinite(found.error[k]):
                    unproven += 1
                    continue
                holds, ratio = judge(A[k], d[k], found.value[k], found.radius[k], found.error[k])
                failed += not holds
                kept[type(solver).__name__].append(ratio)
    everything = np.concatenate([np.array(ratios) for ratios in kept.values()])
    return {
        "cases": int(everything.size),
        "sizes": SIZES,
        "failed": failed,
        "without_a_proof": unproven,
        "over_estimate": spread(everything),
        "over_estimate_by_solver": {name: spread(np.array(ratios)) for name, ratios in kept.items()},
    }


def spread(ratios: np.ndarray) -> dict[str, float]:
    """Return quantiles of bound over true error; cases without any error are left out and counted."""
    some = ratios[np.isfinite(ratios)]
    names = {"median": 0.5, "p90": 0.9, "p99": 0.99, "largest": 1.0}
    return {name: float(f"{np.quantile(some, at):.3g}") for name, at in names.items()} | {
        "exact": int(ratios.size - some.size)
    }


def tables(data: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Give (name, A, d) of the real tables that are there."""
    economy = q.load("us-2020")
    yield "us-2020", np.asarray(economy.A), np.asarray(economy.final_demand)
    for year in range(2012, 2020):
        for kind in ("total", "domestic"):
            Z, Y, x = (
                pd.read_csv(data / "bea_us_summary" / f"{name}.csv", index_col=0)
                for name in (f"Z_{kind}_{year}", f"Y_{kind}_{year}", f"x_{year}")
            )
            yield f"BEA {year} {kind}", Z.to_numpy() / x.to_numpy().ravel(), np.abs(Y.to_numpy().sum(1))
    for name, demand in (("useeio_us_411_2012", "2012_US_Production_Complete"), ("useeio_georgia_2region_2020", None)):
        A = pd.read_parquet(data / name / "A.parquet")
        demands = pd.read_csv(data / name / "demands.csv", index_col=0)
        column = demand if demand in demands else demands.select_dtypes("number").columns[0]
        yield name, A.to_numpy(), demands[column].reindex(A.index).fillna(0).to_numpy()
    folder = data / "ons_uk_2010"
    Z, Y, x = (pd.read_csv(folder / f"{name}.csv", index_col=0) for name in ("Z_domestic", "Y_domestic", "x"))
    yield "ONS 2010", Z.to_numpy() / x.to_numpy().ravel(), Y.to_numpy().sum(1)
    for year in (2000, 2007, 2008, 2009, 2010, 2011):
        Z, Y = (pd.read_parquet(data / "wiod2013" / f"mrio13x35_{name}_{year}.parquet").to_numpy() for name in "ZY")
        x = Z.sum(1) + Y.sum(1)
        yield f"WIOD 13x35 {year}", Z / np.where(x > 0, x, 1) * (x > 0), np.maximum(Y.sum(1), 0)
    Z, Y = (pd.read_parquet(data / "wiod2013" / f"full41x35_{name}_2011.parquet").to_numpy() for name in "ZY")
    x = Z.sum(1) + Y.sum(1)
    yield "WIOD 41x35 2011", Z / np.where(x > 0, x, 1) * (x > 0), np.maximum(Y.sum(1), 0)


def real_cases(data: Path) -> dict[str, object]:
    """Judge every real table by the default solver and by LU."""
    rows = []
    for name, A, d in tables(data):
        for solver in (None, q.LU()):
            s = q.solve(q.Leontief(A), d, solver=solver)
            holds, ratio = judge(A, d, np.asarray(s.value), np.asarray(s.radius), float(s.error))
            rows.append((name, len(d), type(solver).__name__ if solver else "default", holds, float(s.error), ratio))
    return {
        "cases": len(rows),
        "failed": sum(not row[3] for row in rows),
        "over_estimate": spread(np.array([row[5] for row in rows])),
        "largest_error": max(row[4] for row in rows),
        "tables": [
            {
                "table": name,
                "n": n,
                "solver": solver,
                "error": float(f"{error:.3g}"),
                "over_estimate": float(f"{ratio:.3g}"),
            }
            for name, n, solver, _, error, ratio in rows
        ],
    }


def main() -> None:
    """Measure, print, and write the numbers if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    decimal.getcontext().prec = DIGITS + 30
    command = f"python benchmarks/enclosure.py --cases {arguments.cases} --seed {arguments.seed}"
    found = {"digits": DIGITS, "python": platform.python_version(), "jax": jax.__version__}
    found["random"] = random_cases(arguments.cases, arguments.seed)
    if arguments.data is not None:
        command += " --data ../shared/data"
        found["real"] = real_cases(arguments.data)
    if arguments.out is not None:
        command += f" --out {arguments.out}"
    text = json.dumps({"command": command} | found, indent=2)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
