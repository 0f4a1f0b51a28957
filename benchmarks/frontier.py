"""Emissions against jobs: the exact path of interventions, HiGHS, and gradient descent on the same loss, in one run.

Run with `python benchmarks/frontier.py --data DIR --out benchmarks/results/frontier.json
--figure docs/assets/frontier.svg`; DIR holds useeio_us_411_2012,
useeio_georgia_2region_2020 and bea_us_summary. It wants PyTorch (the CPU build). One core; float64.

The loss is `c'x + penalty sum_i e_i |x_i - x0_i|`, `x = alpha (A x + d)`: c greenhouse gases and e jobs per output. A path has
12 penalties between 0.01 and 30 times `c'x0 / e'x0`. `frontier` is timed compiled (its first call is given too), in turn with
the descent; its gaps are relative and proved. HiGHS solves the textbook's programme for every penalty by itself.

The descent is that of Besserve and Schoelkopf (2022): factors are twice a sigmoid, Adam takes 20,000 steps at a learning rate
of 1e-3 from factors of 1, anew for every penalty; equilibria are solved for by LU, which takes less time here than Anderson
iterations. It is run for two penalties, and the path is taken for six times as long. Its excess is that of its loss over the
least one with factors between 0 and 2, relative to that.

Curves have budgets instead: shares of jobs that may move. Regions are taken by themselves, with what they sell to the other
one as final demand. The years are those of the BEA tables, domestic, at current prices, with the intensities of 2020: what
differs between them is technology, prices and demand.
"""

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import jax
import matplotlib as mpl
import numpy as np
import pandas as pd
import scipy.optimize
import torch

import quesnay as q

STEPS, RATE = 20_000, 1e-3
TRIED = (4, 8)
"""Positions of the two penalties that the descent is run for."""
BUDGETS = np.concatenate([[0.002, 0.005], np.linspace(0.01, 0.3, 30)])
YEARS = range(2012, 2020)
Problem = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def problem(economy: q.Economy, gases: str, jobs: str) -> Problem:
    """Return A, d, c and e."""
    return (
        np.asarray(economy.A), np.asarray(economy.final_demand),
        np.asarray(economy.intensity(gases)), np.asarray(economy.intensity(jobs)),
    )  # fmt: skip


def outputs(A: np.ndarray, d: np.ndarray) -> np.ndarray:
    return np.linalg.solve(np.eye(len(d)) - A, d)


def descend(given: Problem, penalty: float) -> float:
    """Return the loss that the descent ends at."""
    A, d, c, e = (torch.tensor(part) for part in given)
    eye, x0 = torch.eye(len(d), dtype=A.dtype), torch.tensor(outputs(*given[:2]))
    # The learning rate of Adam is one for any unit of the loss.
    u = torch.zeros(len(d), dtype=A.dtype, requires_grad=True)
    optimiser = torch.optim.Adam([u], lr=RATE)
    for _ in range(STEPS):
        optimiser.zero_grad()
        alpha = 2 * torch.sigmoid(u)
        x = torch.linalg.solve(eye - alpha[:, None] * A, alpha * d)
        loss = c @ x + penalty * torch.sum(e * torch.abs(x - x0))
        loss.backward()
        optimiser.step()
    return float(loss.detach())


def programme(given: Problem, penalty: float, hi: float) -> float:
    """Return the least loss by HiGHS, in variables x and t >= |x - x0| relative to x0."""
    A, d, c, e = given
    x0 = outputs(A, d)
    size, one = np.where(x0 > 0, x0, 1), np.eye(len(d))
    M, right, zero = A * size / size[:, None], d / size, np.zeros((len(d), len(d)))
    base = x0 / size
    scale = float(np.abs(c) @ x0 + penalty * (e @ x0))
    found = scipy.optimize.linprog(
        np.concatenate([c * size, penalty * e * size]) / scale,
        A_ub=np.block([[one - hi * M, zero], [one, -one], [-one, -one]]),
        b_ub=np.concatenate([hi * right, base, -base]),
        method="highs",
    )
    return found.fun * scale


def against(name: str, given: Problem, rounds: int) -> dict[str, object]:
    """Return times, gaps and agreement for the two ranges of factors."""
    A, d, c, e = given
    x0 = outputs(A, d)
    penalties = np.geomspace(0.01, 30, 12) * (c @ x0) / (e @ x0)
    row: dict[str, object] = {"table": name, "accounts": len(d), "penalties": penalties.tolist()}
    paths = {}
    for hi in (1.0, 2.0):

        def path(hi=hi):
            return jax.block_until_ready(
                q.intervention.frontier(A, d, reduce=c, keep=e, penalties=penalties, bounds=(0.0, hi))
            )

        began = time.perf_counter()
        curve = path()
        first = time.perf_counter() - began
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            path()
            times.append(time.perf_counter() - began)
        losses = np.asarray(curve.loss)
        known = [programme(given, penalty, hi) for penalty in penalties]
        paths[hi] = statistics.median(times), losses
        row[f"up_to_{hi:g}"] = {
            "largest_gap": float(np.max(np.asarray(curve.gap))),
            "largest_difference_from_highs": float(np.max(np.abs(losses / known - 1))),
            "spread_of_times": max(times) / min(times),
            "first_call_over_path": first / paths[hi][0],
            "reduced": (1 - np.asarray(curve.outcome) / float(curve.base_outcome)).tolist(),
            "moved": (np.asarray(curve.moved) / float(curve.base_kept)).tolist(),
        }  # fmt: skip
        print(name, hi, row[f"up_to_{hi:g}"], flush=True)
    excess, seconds = [], []
    for position in TRIED:
        began = time.perf_counter()
        reached = descend(given, float(penalties[position]))
        seconds.append(time.perf_counter() - began)
        excess.append(reached / float(paths[2.0][1][position]) - 1)
    extrapolated = sum(seconds) / len(TRIED) * len(penalties)
    row["descent"] = {
        "penalties": [float(penalties[p]) for p in TRIED],
        "excess_of_its_loss": excess,
        "extrapolated_time_over_path_up_to_1": extrapolated / paths[1.0][0],
        "extrapolated_time_over_path_up_to_2": extrapolated / paths[2.0][0],
        "spread_of_times": max(seconds) / min(seconds),
    }
    print(name, row["descent"], flush=True)
    return row


def curve(name: str, given: Problem, labels: list[str]) -> dict[str, object]:
    """Return what falls for what is moved, and who loses most jobs at 5 %."""
    A, d, c, e = given
    found = q.intervention.frontier(A, d, reduce=c, keep=e, budgets=BUDGETS)
    at = int(np.argmin(np.abs(BUDGETS - 0.05)))
    lost = -np.asarray(found.change)[at] / float(found.base_kept)
    order = np.argsort(-lost)[:8]
    return {
        "name": name,
        "moved": (np.asarray(found.moved) / float(found.base_kept)).tolist(),
        "reduced": (1 - np.asarray(found.outcome) / float(found.base_outcome)).tolist(),
        "largest_gap": float(np.max(np.asarray(found.gap))),
        "jobs_lost_at_5_percent": {labels[i]: float(lost[i]) for i in order if lost[i] > 1e-9},
    }


def years(data: Path) -> list[dict[str, object]]:
    """Return the curves of the BEA tables at the intensities of 2020."""
    codes = q.readers.useeio(data / "useeio_georgia_2region_2020")
    output, by = np.asarray(codes.output), {}
    regions = len(codes.regions)
    for name in ("GHG", "JOBS"):
        total = np.asarray(codes.intensity(name)) * output
        with np.errstate(invalid="ignore"):
            mean = total.reshape(regions, -1).sum(0) / output.reshape(regions, -1).sum(0)
        by[name] = dict(zip(codes.sectors, mean, strict=True))
    names = pd.read_csv(data / "bea_us_summary" / "industries.csv", index_col=0).iloc[:, 0]
    found = []
    for year in YEARS:
        Z = pd.read_csv(data / "bea_us_summary" / f"Z_domestic_{year}.csv", index_col=0)
        x = pd.read_csv(data / "bea_us_summary" / f"x_{year}.csv", index_col=0)["output"].to_numpy(float)
        kept = [code for code in Z.index if code in by["GHG"]]
        if len(kept) != len(Z):
            raise ValueError(f"no intensities for {sorted(set(Z.index) - set(kept))}")
        flows = np.maximum(Z.to_numpy(float), 0)
        A = flows / x
        d = np.maximum(x - flows.sum(1), 0)
        # Intensities are per USD, the tables in millions of them.
        c, e = (np.array([by[name][code] for code in Z.index]) * 1e6 for name in ("GHG", "JOBS"))
        found.append(curve(str(year), (A, d, c, e), [str(names.get(code, code)) for code in Z.index]))
    return found


def regions() -> list[dict[str, object]]:
    """Return the curves of the packaged table: the whole, and its regions by themselves."""
    whole = q.load("us-2020").nonnegative()
    found = [
        curve(
            "United States",
            problem(whole, "ghg", "jobs"),
            [f"{region} / {sector}" for region in whole.regions for sector in whole.sectors],
        )
    ]
    for region in whole.regions:
        alone = whole.select(regions=[region]).nonnegative()
        found.append(curve(region, problem(alone, "ghg", "jobs"), list(alone.sectors)))
    return found


def draw(found: dict, path: Path) -> None:
    """Draw the curves."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "quesnay"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for row in found["regions"]:
        axes[0].plot(100 * np.array(row["moved"]), 100 * np.array(row["reduced"]), label=row["name"])
    shades = plt.colormaps["viridis"](np.linspace(0.1, 0.9, len(found["years"])))
    for row, shade in zip(found["years"], shades, strict=True):
        axes[1].plot(100 * np.array(row["moved"]), 100 * np.array(row["reduced"]), color=shade, label=row["name"])
    axes[0].set(title="2020, by region", xlabel="jobs moved (%)", ylabel="greenhouse gases avoided (%)", xlim=(0, 30))
    axes[1].set(title="United States, intensities of 2020", xlabel="jobs moved (%)", xlim=(0, 30), ylim=(0, 100))
    for axis in axes:
        axis.axvline(5, color="0.7", linewidth=1, linestyle="--", zorder=0)
        axis.legend(frameon=False, fontsize=8, loc="lower right")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, print, and write the numbers and the figure where files are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    detail = q.readers.useeio(given.data / "useeio_us_411_2012", domestic=True).nonnegative()
    found: dict[str, object] = {
        "command": f"python benchmarks/frontier.py --data DIR --rounds {given.rounds} --out {given.out}"
        f" --figure {given.figure}",
        "what": __doc__, "python": platform.python_version(), "jax": jax.__version__, "torch": torch.__version__,
        "threads": 1, "steps": STEPS, "rate": RATE, "regions": regions(), "years": years(given.data),
    }  # fmt: skip
    print(json.dumps(found["regions"], indent=1), flush=True)
    found["speed"] = [
        against("us-2020", problem(q.load("us-2020").nonnegative(), "ghg", "jobs"), given.rounds),
        against("useeio_us_411_2012", problem(detail, "GHG", "JOBS"), given.rounds),
    ]
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if given.figure is not None:
        draw(found, given.figure)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
