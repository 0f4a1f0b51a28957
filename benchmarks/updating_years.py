"""Tables of real years predicted from the year before: `ras`, `kl`, `fit` and `track` beside copying, for BEA and WIOD.

Run with `python benchmarks/updating_years.py --data SHARED/data --out benchmarks/results/updating_years.json --figure
docs/assets/updating_years.svg`.

The tables are domestic: BEA 2012 to 2019, 71 industries, and WIOD 2013, 35 industries, of four countries, 2000 and 2005 to
2011. Negative intermediate flows are set to 0, and final demand is what balances each row: `d = x - Z 1`. Accounts without
output in any year are dropped. Steps lead from each table to the next that there is. Statistical offices and WIOD make the
tables between benchmark years by biproportional methods themselves, which favours `ras` here.

Three tasks, each for year t with the table of the year before, A_t-1:

- margins: x, d and the intermediate inputs v of year t are known. Error of A: `sum |A - A_t| x / sum A_t x`.
- outputs: x and d of year t are known. The same error.
- forecast: d of year t is known, and nothing else of that year. Error of output: `sum |L d - x| / sum x`. "Oldest" methods
  know only the first table and x and d of the years since.

What a method needs to be told (the standard deviation of a coefficient by its size, or by size and cell; of factors that rows
and columns have in common) it learns from steps before t alone; on the first step, where there are none, it is 0.2. With
"common factors" `fit` also lets the coefficients of a row, and of a column where inputs are known, change together by as much
as they did before. Means are over the steps after the first two.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import jax
import matplotlib as mpl
import numpy as np
import pandas as pd

import quesnay as q

mpl.use("svg")
import matplotlib.pyplot as plt

COUNTRIES, YEARS = ("DEU", "FRA", "USA", "JPN"), (2000, *range(2005, 2012))
US_YEARS = tuple(range(2012, 2020))
PRIOR_SD, NOISE_SD = 0.2, 1e-3
GRID = (0.05, 0.1, 0.2, 0.4)
WINDOW = 3
"""Years of outputs that a forecast from the oldest table is fitted to."""
DRIFT = 0.01
"""Standard deviation of an output that a technology of another year explains: about the error of a forecast by copying."""
FIRST = 2
"""Steps left out of the means: those from which some method has nothing to learn."""
NORMAL = 0.6351814227307392
"""Minus the mean of log |z| for a standard normal z: (Euler's constant + log 2) / 2."""
WEIGHT = 3.0
"""How many changes the standard deviation by size is worth, beside those of the cell itself."""


class Year(NamedTuple):
    """A table: coefficients (n, n), outputs, final demand and intermediate inputs (n,)."""

    year: int
    A: np.ndarray
    x: np.ndarray
    d: np.ndarray
    v: np.ndarray


class Task(NamedTuple):
    """What is known before year t: the tables until then, and what was learned from them."""

    past: list[Year]
    now: Year
    gap: int
    sd: np.ndarray | float
    sd_by_cell: np.ndarray | float


def united_states(data: Path) -> list[Year]:
    folder = data / "bea_us_summary"

    def read(name: str, year: int) -> pd.DataFrame:
        return pd.read_csv(folder / f"{name}_{year}.csv", index_col=0)

    return balanced(
        {y: (read("Z_domestic", y).to_numpy(float), read("x", y)["output"].to_numpy(float)) for y in US_YEARS}
    )


def country(data: Path, code: str) -> list[Year]:
    tables = {}
    for year in YEARS:
        table = pd.read_csv(data / "wiod2013" / "national" / f"{code}_{year}.csv", index_col=0)
        sectors = [label for label in table.columns if label in table.index]
        tables[year] = (table.loc[sectors, sectors].to_numpy(float), table.loc[sectors, "output"].to_numpy(float))
    return balanced(tables)


def balanced(tables: dict[int, tuple[np.ndarray, np.ndarray]]) -> list[Year]:
    """Return the tables without negative flows and without accounts that have no output."""
    used = np.all([x > 0 for _, x in tables.values()], axis=0)
    found = []
    for year, (Z, x) in tables.items():
        flows, output = np.maximum(Z, 0)[np.ix_(used, used)], x[used]
        found.append(Year(year, flows / output, output, output - flows.sum(1), flows.sum(0)))
    return found


def changes(past: list[Year]) -> tuple[np.ndarray, np.ndarray]:
    """Return log A and its changes a year (steps, n, n) in the steps so far; NaN where a coefficient is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.array([np.where(t.A > 0, np.log(t.A), np.nan) for t in past])
    gaps = np.diff([t.year for t in past])
    return logs[:-1], np.diff(logs, axis=0) / np.sqrt(gaps)[:, None, None]


def spreads(past: list[Year]) -> tuple[np.ndarray | float, np.ndarray | float]:
    """Return standard deviations of log A a year: a power of the coefficient; and that, nearer to the cell's own."""
    if len(past) < 2:
        return PRIOR_SD, PRIOR_SD
    size, change = changes(past)
    some = np.isfinite(change) & (change != 0)
    slope, level = np.polyfit(size[some], np.log(np.abs(change[some])) + NORMAL, 1)
    A = past[-1].A
    by_size = np.exp(level + slope * np.log(np.where(A > 0, A, np.nanmin(A[A > 0]))))
    own = np.nansum(change**2, axis=0)
    count = np.sum(np.isfinite(change), axis=0)
    return by_size, np.sqrt((WEIGHT * by_size**2 + own) / (WEIGHT + count))


def fitted(task: Task, sd: np.ndarray | float, *, inputs: bool) -> q.update.Fit:
    now = task.now
    more = {"inputs": now.v, "inputs_sd": NOISE_SD} if inputs else {}
    spread = np.sqrt(task.gap) * np.asarray(sd)
    return q.update.fit(task.past[-1].A, now.x, now.d, prior_sd=spread, noise_sd=NOISE_SD, throw=False, **more)


def by_evidence(task: Task, *, inputs: bool) -> q.update.Fit:
    """Return the fit of the standard deviation, one for all cells, that has the highest evidence."""
    return max((fitted(task, sd, inputs=inputs) for sd in GRID), key=lambda found: float(found.evidence))


def scaled(task: Task, sd: np.ndarray | float | None) -> np.ndarray:
    """Return RAS, or its kin with standard deviations of cells."""
    now, flows = task.now, task.past[-1].A * task.now.x
    columns = now.v * ((now.x - now.d).sum() / now.v.sum())
    with_sd = {} if sd is None else {"cell_sd": np.broadcast_to(sd, flows.shape)}
    return np.asarray(q.update.ras(flows, now.x - now.d, columns, **with_sd).value) / now.x


def trend(task: Task, share: float) -> np.ndarray:
    """Return the last table with its rows moved on as in the step before."""
    if len(task.past) < 2:
        return task.past[-1].A
    before, last = task.past[-2:]
    step = share * task.gap / (last.year - before.year)
    return np.asarray(q.update.kl(before.A, last.x, last.d).factor)[:, None] ** step * last.A


def from_oldest(task: Task) -> np.ndarray:
    """Return a fit of the first table to outputs and final demand of the last years, all taken for one technology."""
    first, recent = task.past[0], task.past[1:][-WINDOW:]
    if not recent:
        return first.A
    age = recent[-1].year - first.year
    x, d = (np.array([getattr(t, name) for t in recent]) for name in "xd")
    found = q.update.fit(first.A, x, d, prior_sd=PRIOR_SD * np.sqrt(age), noise_sd=DRIFT, throw=False)
    return np.asarray(found.A)


def tracked(task: Task) -> np.ndarray:
    """Return the last technology of a walk from the first table through outputs and final demand of all years since."""
    first, seen = task.past[0], task.past[1:]
    if not seen:
        return first.A
    x, d = (np.array([getattr(t, name) for t in seen]) for name in "xd")
    late = PRIOR_SD * np.sqrt(max(seen[0].year - first.year - 1, 0))
    found = q.update.track(first.A, x, d, prior_sd=late, drift_sd=PRIOR_SD, noise_sd=NOISE_SD, throw=False)
    return np.asarray(found.A[-1])


def effects(past: list[Year]) -> tuple[float, float, np.ndarray | float]:
    """Return standard deviations a year of what rows and columns have in common, and by size of what is left in a cell."""
    if len(past) < 2:
        return PRIOR_SD, PRIOR_SD, PRIOR_SD
    size, change = changes(past)
    weight = np.where(np.isfinite(change), np.exp(np.nan_to_num(size, neginf=0, posinf=0) / 2), 0)
    change = np.nan_to_num(change)
    row_weight, column_weight = (np.maximum(weight.sum(axis), np.finfo(float).tiny) for axis in (2, 1))
    rows, columns = np.zeros(change.shape[:2]), np.zeros(change.shape[:2])
    for _ in range(30):
        rows = (weight * (change - columns[:, None, :])).sum(2) / row_weight
        columns = (weight * (change - rows[:, :, None])).sum(1) / column_weight
    left = np.abs(change - rows[:, :, None] - columns[:, None, :])
    some = (weight > 0) & (left > np.finfo(float).eps)
    slope, level = np.polyfit(size[some], np.log(left[some]) + NORMAL, 1)
    A = past[-1].A
    return float(rows.std()), float(columns.std()), np.exp(level + slope * np.log(np.where(A > 0, A, A[A > 0].min())))


def with_common_factors(task: Task, *, inputs: bool) -> np.ndarray:
    """Return a fit whose rows, and columns where inputs are known, change in common as well."""
    row_sd, column_sd, cell_sd = (np.sqrt(task.gap) * np.asarray(sd) for sd in effects(task.past))
    now = task.now
    more = {"inputs": now.v, "inputs_sd": NOISE_SD, "fabrication_sd": column_sd} if inputs else {}
    found = q.update.fit(
        task.past[-1].A, now.x, now.d, prior_sd=cell_sd, substitution_sd=row_sd, noise_sd=NOISE_SD, throw=False, **more
    )
    return np.asarray(found.A)


Method = Callable[[Task], np.ndarray]
COPY = "copy A of the year before"
MARGINS: dict[str, Method] = {
    COPY: lambda t: t.past[-1].A,
    "ras": lambda t: scaled(t, None),
    "ras, cell_sd equal": lambda t: scaled(t, PRIOR_SD),
    "ras, cell_sd by size": lambda t: scaled(t, t.sd),
    "ras, cell_sd by size and cell": lambda t: scaled(t, t.sd_by_cell),
    "fit, sd 0.2": lambda t: np.asarray(fitted(t, PRIOR_SD, inputs=True).A),
    "fit, sd by evidence": lambda t: np.asarray(by_evidence(t, inputs=True).A),
    "fit, sd by size": lambda t: np.asarray(fitted(t, t.sd, inputs=True).A),
    "fit, sd by size and cell": lambda t: np.asarray(fitted(t, t.sd_by_cell, inputs=True).A),
    "fit, common factors": lambda t: with_common_factors(t, inputs=True),
}
OUTPUTS: dict[str, Method] = {
    COPY: lambda t: t.past[-1].A,
    "kl": lambda t: np.asarray(q.update.kl(t.past[-1].A, t.now.x, t.now.d).value),
    "fit, sd 0.2": lambda t: np.asarray(fitted(t, PRIOR_SD, inputs=False).A),
    "fit, sd by evidence": lambda t: np.asarray(by_evidence(t, inputs=False).A),
    "fit, sd by size": lambda t: np.asarray(fitted(t, t.sd, inputs=False).A),
    "fit, sd by size and cell": lambda t: np.asarray(fitted(t, t.sd_by_cell, inputs=False).A),
    "fit, common factors": lambda t: with_common_factors(t, inputs=False),
}
FORECAST: dict[str, Method] = {
    COPY: lambda t: t.past[-1].A,
    "kl trend": lambda t: trend(t, 1.0),
    "half the kl trend": lambda t: trend(t, 0.5),
    "oldest table": lambda t: t.past[0].A,
    "oldest, kl": lambda t: np.asarray(q.update.kl(t.past[0].A, t.past[-1].x, t.past[-1].d).value),
    "oldest, fit": from_oldest,
    "oldest, track": tracked,
}


def error_of_coefficients(A: np.ndarray, now: Year) -> float:
    return float(np.sum(np.abs(A - now.A) * now.x) / np.sum(now.A * now.x))


def error_of_output(A: np.ndarray, now: Year) -> float:
    return float(np.sum(np.abs(np.linalg.solve(np.eye(len(A)) - A, now.d) - now.x)) / np.sum(now.x))


def growth(task: Task) -> float:
    """Return the error of outputs that grow as final demand does in total."""
    last, now = task.past[-1], task.now
    return float(np.sum(np.abs(last.x * (now.d.sum() / last.d.sum()) - now.x)) / np.sum(now.x))


def tasks(years: list[Year]) -> list[Task]:
    return [
        Task(years[:k], years[k], years[k].year - years[k - 1].year, *spreads(years[:k])) for k in range(1, len(years))
    ]


def evaluate(years: list[Year]) -> dict[str, object]:
    """Return the errors of every method by year, their means, and how often each beats copying and RAS."""
    steps = tasks(years)
    report: dict[str, object] = {"accounts": len(years[0].x), "years": [step.now.year for step in steps]}
    for name, methods, error in (
        ("margins", MARGINS, error_of_coefficients),
        ("outputs", OUTPUTS, error_of_coefficients),
        ("forecast", FORECAST, error_of_output),
    ):
        errors = {method: [error(run(step), step.now) for step in steps] for method, run in methods.items()}
        if name == "forecast":
            errors["growth of final demand in total"] = [growth(step) for step in steps]
        rival = "ras" if name == "margins" else "kl" if name == "outputs" else COPY
        report[name] = {
            method: {
                "by_year": values, "mean": float(np.mean(values[FIRST:])),
                "over_copy": float(np.mean(values[FIRST:]) / np.mean(errors[COPY][FIRST:])),
                f"better_than_{rival.split()[0]}": int(np.sum(np.array(values[FIRST:]) < np.array(errors[rival][FIRST:]))),
            }
            for method, values in errors.items()
        }  # fmt: skip
    last, some = steps[-1], steps[-1].past[-1].A > 0
    row, column, cell = effects(last.past)
    report["learned_before_the_last_step"] = {
        "sd_of_the_smallest_tenth": float(np.quantile(np.asarray(last.sd)[some], 0.9)),
        "sd_of_the_largest_tenth": float(np.quantile(np.asarray(last.sd)[some], 0.1)),
        "common_to_a_row": row, "common_to_a_column": column, "median_left_in_a_cell": float(np.median(np.asarray(cell)[some])),
    }  # fmt: skip
    return report


def draw(report: dict[str, dict], path: Path) -> None:
    """Draw the errors by year: coefficients from margins, coefficients from outputs, and outputs."""
    grey, blue, red, green = "#555555", "#0072B2", "#D55E00", "#009E73"
    shown = {
        "margins": {COPY: (grey, "-"), "ras": (blue, "-"), "fit, sd by size": (red, "-"), "fit, common factors": (green, "--")},
        "outputs": {COPY: (grey, "-"), "kl": (blue, "-"), "fit, sd by size": (red, "-"), "fit, common factors": (green, "--")},
        "forecast": {COPY: (grey, "-"), "oldest table": ("#BBBBBB", "-"), "oldest, kl": (blue, "-"),
                     "oldest, track": (red, "--"), "half the kl trend": (green, ":")},
    }  # fmt: skip
    titles = {
        "margins": "error of A: margins known",
        "outputs": "error of A: x and d known",
        "forecast": "error of x: d known",
    }
    plt.rcParams |= {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "updating"}
    figure, axes = plt.subplots(3, len(report), figsize=(13.5, 7.2), layout="constrained", sharex="col", sharey="row")
    for row, (task, methods) in zip(axes, shown.items(), strict=True):
        for axis, found in zip(row, report.values(), strict=True):
            for method, (colour, style) in methods.items():
                axis.plot(
                    found["years"],
                    found[task][method]["by_year"],
                    style,
                    color=colour,
                    marker="o",
                    ms=2.5,
                    label=method,
                )
            axis.grid(alpha=0.25, linewidth=0.6)
            axis.set_xticks(found["years"][::2])
        row[0].set_ylabel(titles[task])
        row[-1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        row[0].set_ylim(0, 1.04 * max(max(found[task][m]["by_year"]) for found in report.values() for m in methods))
    for axis, (place, found) in zip(axes[0], report.items(), strict=True):
        axis.set_title(f"{place}, {found['accounts']} accounts", loc="left", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Evaluate all places, print, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--figure", type=Path, required=True)
    arguments = parser.parse_args()
    places = {"USA (BEA)": lambda: united_states(arguments.data)}
    places |= {f"{code} (WIOD)": lambda code=code: country(arguments.data, code) for code in COUNTRIES}
    report = {}
    for place, read in places.items():
        report[place] = evaluate(read())
        print(place, report[place]["years"])
        for task in ("margins", "outputs", "forecast"):
            for method, row in report[place][task].items():
                print(
                    f"  {task:9s}{method:34s}{row['mean']:8.4f}{row['over_copy']:8.3f}  "
                    + " ".join(f"{e:.4f}" for e in row["by_year"])
                )
        print(report[place]["learned_before_the_last_step"], flush=True)
    command = "python benchmarks/updating_years.py --data SHARED/data"
    command += f" --out {arguments.out} --figure {arguments.figure}"
    made = {
        "command": command, "what": __doc__, "python": platform.python_version(), "jax": jax.__version__,
        "numpy": np.__version__, "prior_sd": PRIOR_SD, "noise_sd": NOISE_SD, "grid": GRID, "drift": DRIFT,
        "window": WINDOW, "steps_left_out": FIRST,
    }  # fmt: skip
    arguments.out.write_text(json.dumps(made | {"places": report}, indent=1) + "\n", encoding="utf-8")
    draw(report, arguments.figure)


if __name__ == "__main__":
    main()
