"""How near `q.update.fit` comes to the true coefficients, and whether it knows: synthetic truth, by years, noise and prior.

Run with `python benchmarks/recovery.py --data SHARED/data --out benchmarks/results/recovery.json --figure
docs/assets/recovery.svg`.

The truth is `A = A0 exp(prior_sd e)`, drawn again where it is not productive; final demand is log-normal over accounts and
varies by 30 % from year to year; outputs have relative noise. A0 is random with 20 accounts; with 71 it is the BEA's domestic
table of 2012, negative cells cleared, where the data are there. The error is the median over cells of
`|log A - log A_true|`, divided by that of the prior.

Coverage is the share of cells whose 95 % interval holds the truth, over all replicates; "seen" are cells that the data took
at least half of the prior variance of. Its standard error is that of the replicates' own shares. The number of effective
parameters is compared with `tr(J S J' (J S J' + R)^-1)` from a dense J: by reverse-mode differentiation at the mode, and, where
the prior is so narrow that the model is linear, with `J_i,jk = L_ij A_jk x_k` at the prior.
"""

import argparse
import json
import os
import platform
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import pandas as pd

import quesnay as q

mpl.use("svg")
import matplotlib.pyplot as plt

YEARS = (1, 2, 5, 10, 20, 40)
NOISE = (1e-4, 1e-3, 1e-2, 1e-1)
PRIOR_SD = 0.2
REPEATS = {20: 5, 71: 1}
COVERAGE = (
    # accounts, years, noise, prior
    (6, 1, 1e-2, 0.2),
    (6, 5, 1e-2, 0.2),
    (6, 20, 1e-3, 0.2),
    (6, 20, 1e-2, 0.5),
    (6, 20, 1e-4, 0.5),
    (12, 5, 1e-3, 0.2),
    (12, 20, 1e-2, 0.3),
    (12, 20, 1e-1, 0.5),
)
COUNTS = ((6, 1, 1e-2, 0.2), (6, 10, 1e-3, 0.2), (12, 5, 1e-2, 0.5), (20, 10, 1e-3, 0.3))
LINEAR = ((6, 1, 1e-3, 1e-3), (6, 10, 1e-4, 1e-3), (20, 10, 1e-4, 1e-3))
COLOURS = ("#0072B2", "#009E73", "#E69F00", "#D55E00")


def prior_table(n: int, data: Path | None, seed: int = 0) -> tuple[np.ndarray, str]:
    """Return A0 (n, n) and where it comes from."""
    folder = None if data is None else data / "bea_us_summary"
    if n == 71 and folder is not None and folder.is_dir():
        Z = pd.read_csv(folder / "Z_domestic_2012.csv", index_col=0).to_numpy(float)
        x = pd.read_csv(folder / "x_2012.csv", index_col=0)["output"].to_numpy(float)
        return np.maximum(Z, 0) / x, "BEA 2012, domestic"
    rng = np.random.default_rng(seed)
    A0 = rng.lognormal(0, 1.5, (n, n))
    return A0 * (rng.uniform(0.3, 0.6, n) / A0.sum(0)), "random"


def draw_case(
    A0: np.ndarray, years: int, noise: float, prior: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a true A, and outputs and final demand (years, n) of it."""
    rng, n = np.random.default_rng(seed), len(A0)
    while True:
        A = A0 * np.exp(prior * rng.normal(size=(n, n)))
        if np.all(np.linalg.solve(np.eye(n) - A, np.ones(n)) > 0):
            break
    d = rng.lognormal(0, 1, n) * np.exp(0.3 * rng.normal(size=(years, n)))
    x = np.linalg.solve(np.eye(n) - A, d.T).T
    return A, x * (1 + noise * rng.normal(size=x.shape)), d


def fitted(A0: np.ndarray, x: np.ndarray, d: np.ndarray, noise: float, prior: float) -> q.update.Fit:
    return q.update.fit(A0, x, d, prior_sd=prior, noise_sd=noise, throw=False)


def recovery(n: int, data: Path | None) -> dict[str, object]:
    """Return errors and effective parameters by years and noise."""
    A0, source = prior_table(n, data)
    cells, rows = A0 > 0, []
    for years in YEARS:
        for noise in NOISE:
            errors, counts, failed = [], [], 0
            for seed in range(REPEATS[n]):
                A, x, d = draw_case(A0, years, noise, PRIOR_SD, seed)
                found = fitted(A0, x, d, noise, PRIOR_SD)
                failed += not bool(found.result == q.equilibrium.RESULTS.successful)
                missed = np.abs(np.log(np.asarray(found.A)[cells] / A[cells]))
                errors.append(np.median(missed) / np.median(np.abs(np.log(A0[cells] / A[cells]))))
                counts.append(float(found.effective_parameters))
            rows.append(
                {
                    "years": years, "noise": noise, "relative_error": float(np.median(errors)),
                    "spread": [float(min(errors)), float(max(errors))],
                    "effective_share": float(np.mean(counts)) / int(cells.sum()), "not_converged": failed,
                }
            )  # fmt: skip
        print(n, rows[-len(NOISE) :], flush=True)
    return {
        "n": n,
        "cells": int(cells.sum()),
        "table": source,
        "prior_sd": PRIOR_SD,
        "repeats": REPEATS[n],
        "rows": rows,
    }


def coverage(n: int, years: int, noise: float, prior: float, replicates: int) -> dict[str, object]:
    """Return how often 95 % intervals hold the truth."""
    A0, _ = prior_table(n, None)
    shares, inside, seen, failed = [], [], [], 0
    for seed in range(replicates):
        A, x, d = draw_case(A0, years, noise, prior, 1000 + seed)
        found = fitted(A0, x, d, noise, prior)
        failed += not bool(found.result == q.equilibrium.RESULTS.successful)
        low, high = found.interval()
        held = np.abs(np.log(A / np.asarray(found.A))) <= np.log(np.asarray(high / low)) / 2
        shares.append(held.mean())
        inside.append(held)
        seen.append(1 - (np.asarray(found.log_sd) / prior) ** 2 >= 0.5)
    within = float(np.mean(np.array(inside)[np.array(seen)])) if np.any(seen) else None
    row = {
        "n": n, "years": years, "noise": noise, "prior_sd": prior, "replicates": replicates,
        "coverage": float(np.mean(shares)), "standard_error": float(np.std(shares) / np.sqrt(replicates)),
        "seen": {"cells": int(np.sum(seen)), "coverage": within},
        "not_converged": failed,
    }  # fmt: skip
    print(row, flush=True)
    return row


def count(J: np.ndarray, S: np.ndarray, R: np.ndarray) -> float:
    """Return `tr(J S J' (J S J' + R)^-1)`."""
    seen = (J * S) @ J.T
    return float(np.trace(np.linalg.solve(seen + np.diag(R), seen)))


def counts(n: int, years: int, noise: float, prior: float) -> dict[str, object]:
    """Compare the effective parameters with those of a dense J at the mode."""
    A0, _ = prior_table(n, None)
    _, x, d = draw_case(A0, years, noise, prior, 0)
    found = fitted(A0, x, d, noise, prior)

    def outputs(theta):
        return jnp.linalg.solve(jnp.eye(n) - found.A * jnp.exp(theta.reshape(n, n)), d.T).T.ravel()

    dense = count(
        np.asarray(jax.jacrev(outputs)(jnp.zeros(n * n))), np.full(n * n, prior**2), ((noise * x) ** 2).ravel()
    )
    return compared(n, years, noise, prior, found, dense)


def linear_counts(n: int, years: int, noise: float, prior: float) -> dict[str, object]:
    """Compare the effective parameters with the exact value of a model that is as good as linear."""
    A0, _ = prior_table(n, None)
    _, x, d = draw_case(A0, years, noise, prior, 0)
    L = np.linalg.inv(np.eye(n) - A0)
    J = np.einsum("ij,jk,tk->tijk", L, A0, d @ L.T).reshape(years * n, n * n)
    exact = count(J, np.full(n * n, prior**2), ((noise * d @ L.T) ** 2).ravel())
    return compared(n, years, noise, prior, fitted(A0, x, d, noise, prior), exact)


def compared(n: int, years: int, noise: float, prior: float, found: q.update.Fit, exact: float) -> dict[str, object]:
    ours = float(found.effective_parameters)
    row = {"n": n, "years": years, "noise": noise, "prior_sd": prior, "effective": ours, "exact": exact}
    return row | {"relative_difference": abs(ours / exact - 1)}


def draw(tables: list[dict], path: Path) -> None:
    """Draw the error against the years, a line for each noise, and how much of the coefficients the data determine."""
    plt.rcParams |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "recovery"}
    figure, axes = plt.subplots(2, len(tables), figsize=(8.6, 6.0), layout="constrained", sharex=True, squeeze=False)
    for (top, bottom), table in zip(axes.T, tables, strict=True):
        for noise, colour in zip(NOISE, COLOURS, strict=True):
            rows = [row for row in table["rows"] if row["noise"] == noise]
            years = [row["years"] for row in rows]
            top.plot(years, [row["relative_error"] for row in rows], "o-", ms=3, color=colour, label=f"noise {noise:g}")
            top.fill_between(years, *np.array([row["spread"] for row in rows]).T, color=colour, alpha=0.15, linewidth=0)
            bottom.plot(years, [row["effective_share"] for row in rows], "o-", ms=3, color=colour)
        top.set_title(f"{table['n']} accounts ({table['table']})", loc="left", fontsize=10)
        bottom.plot(
            years, [min(1, year * table["n"] / table["cells"]) for year in years], ":", color="#777777", linewidth=1
        )
        bottom.set(xscale="log", yscale="log", xlabel="years observed")
        bottom.set_xticks(YEARS, [str(year) for year in YEARS])
        bottom.set_xticks([], minor=True)
        top.set_ylim(0, 1.05)
        for axis in (top, bottom):
            axis.grid(alpha=0.25, linewidth=0.6)
    axes[0, 0].set_ylabel("error of A, relative to the prior's")
    axes[1, 0].set_ylabel("effective parameters per cell\n(dotted: numbers observed)")
    axes[0, 0].legend(frameon=False, loc="lower left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, write the numbers and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--replicates", type=int, default=400)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--figure", type=Path, required=True)
    arguments = parser.parse_args()
    data = "" if arguments.data is None else " --data SHARED/data"
    command = f"python benchmarks/recovery.py{data} --replicates {arguments.replicates}"
    command += f" --out {arguments.out} --figure {arguments.figure}"
    report: dict[str, object] = {
        "command": command, "what": __doc__, "python": platform.python_version(), "jax": jax.__version__,
        "numpy": np.__version__, "effective_at_the_mode": [counts(*case) for case in COUNTS],
        "effective_in_the_linear_case": [linear_counts(*case) for case in LINEAR],
    }  # fmt: skip
    print(report["effective_at_the_mode"], report["effective_in_the_linear_case"], flush=True)
    report["coverage"] = [coverage(*case, arguments.replicates) for case in COVERAGE]
    tables = [recovery(n, arguments.data) for n in REPEATS]
    report["recovery"] = tables
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    draw(tables, arguments.figure)


if __name__ == "__main__":
    main()
