"""The error of an equilibrium against its number of sectors: figure 3a of Besserve and Schölkopf (2022), on the WIOD tables.

Run with `OMP_NUM_THREADS=1 python benchmarks/figure_3a.py --data SHARED/data --out benchmarks/results/figure_3a.json
--figure docs/assets/figure_3a.svg`.

The paper solves `x = A x + d` from 0 by forward iteration and by Anderson acceleration with mixing 1 and 2, and measures
`|x - f(x)| / |x|` of what is returned. The rivals here have the settings of the deep-equilibrium tutorial that it uses: five
points, 1e-4 added to the diagonal of the normal matrix, weights that sum to 1 by a bordered system, tolerance 1e-12, at most
200 iterations. Ours gets as many evaluations of f as the rival took.

A subset of d sectors is drawn without replacement, all equally likely; the system is `A[S, S]` and `d[S]` alone.
"""

import argparse
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optimistix as optx
import pandas as pd
from matplotlib.axes import Axes

from quesnay.equilibrium.anderson import AndersonAcceleration

SEED, TOLERANCE, LIMIT = 20260101, 1e-12, 200
EPS = float(np.finfo(float).eps)
COUNTRIES, NATIONAL_YEARS = ("DEU", "FRA", "USA", "JPN"), (2000, *range(2005, 2012))
REGIONAL_YEARS = (2000, *range(2007, 2012))
FAMILIES = {
    "national": (range(5, 40, 5), 4),
    "regional": ((5, 10, 20, 35, 50, 75, 100, 150, 200, None), 6),
    "world": ((200, 400, 800, None), 6),
}
"""Sizes (None: the whole table) and subsets for each table and size."""
RIVALS = {"forward": None, "anderson_1": 1.0, "anderson_2": 2.0}
OURS = {"ours": 5, "ours_five_points": 4}
"""Differences kept; five points have four."""
LOOK = {
    "forward": ("forward iteration", "#555555"),
    "anderson_1": ("tutorial Anderson, β = 1", "#E69F00"),
    "anderson_2": ("tutorial Anderson, β = 2", "#0072B2"),
    "ours": ("quesnay", "#D55E00"),
}


def tables(data: Path, family: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield technical coefficients and final demand of each table, without the accounts that have no output."""

    def system(Z, d, x):
        used = x > 0
        return Z[np.ix_(used, used)] / x[used], d[used]

    folder = data / "wiod2013"
    if family == "national":
        for country in COUNTRIES:
            for year in NATIONAL_YEARS:
                table = pd.read_csv(folder / "national" / f"{country}_{year}.csv", index_col=0)
                sectors = [label for label in table.columns if label in table.index]
                rows = table.loc[sectors]
                final = rows.filter(like="FD_").sum(axis=1)  # exports among them
                yield system(rows[sectors].to_numpy(float), final.to_numpy(float), rows["output"].to_numpy(float))
        return
    for name, year in [("mrio13x35", y) for y in REGIONAL_YEARS] if family == "regional" else [("full41x35", 2011)]:
        Z, Y = (pd.read_parquet(folder / f"{name}_{part}_{year}.parquet").to_numpy(float) for part in "ZY")
        x = pd.read_csv(folder / f"{name}_x_{year}.csv", index_col=0)["output"].to_numpy(float)
        yield system(Z, Y.sum(axis=1), x)


def subsets(data: Path, family: str) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """Yield the nominal size, the table's number, and the coefficients and final demand of each subset."""
    sizes, draws = FAMILIES[family]
    for number, (A, d) in enumerate(tables(data, family)):
        for size in sizes:
            whole = size is None or size >= len(d)
            for draw in range(1 if whole else draws):
                rng = np.random.default_rng([SEED, number, size or 0, draw])
                S = np.arange(len(d)) if whole else np.asarray(rng.choice(len(d), size, replace=False))
                yield size or len(d), number, A[np.ix_(S, S)], d[S]


def residual(A: np.ndarray, d: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return `|x - f(x)| / |x|` of every row of x; 1 for x = 0, which is as far as the starting point."""
    size = np.linalg.norm(x, axis=-1)
    return np.where(size > 0, np.linalg.norm(x @ A.T + d - x, axis=-1) / np.where(size > 0, size, 1), 1.0)


def forward(f: Callable[[np.ndarray], np.ndarray], n: int) -> np.ndarray:
    """Return what forward iteration from 0 gives after 1, 2, ... evaluations, until it stops."""
    points, x = [], np.zeros(n)
    for _ in range(LIMIT):
        value = f(x)
        points.append(value)
        if np.linalg.norm(value - x) / np.linalg.norm(value) < TOLERANCE:
            break
        x = value
    return np.array(points)


def tutorial_anderson(f: Callable[[np.ndarray], np.ndarray], n: int, mixing: float) -> np.ndarray:
    """Return what the tutorial's Anderson acceleration from 0 gives after 1, 2, ... evaluations, until it stops."""
    memory, ridge = 5, 1e-4
    values = [f(np.zeros(n))]
    points = [np.zeros(n), values[0]]
    values.append(f(points[1]))
    while len(values) < LIMIT:
        X, F = np.array(points[-memory:]), np.array(values[-memory:])
        m = len(X)
        bordered = np.zeros((m + 1, m + 1))
        bordered[0, 1:] = bordered[1:, 0] = 1
        bordered[1:, 1:] = (F - X) @ (F - X).T + ridge * np.eye(m)
        alpha = np.linalg.solve(bordered, np.eye(m + 1)[0])[1:]
        points.append(mixing * alpha @ F + (1 - mixing) * alpha @ X)
        values.append(f(points[-1]))
        if np.linalg.norm(values[-1] - points[-1]) / np.linalg.norm(values[-1]) < TOLERANCE:
            break
    return np.array(points)


@eqx.filter_jit
def ours(A: jax.Array, d: jax.Array, memory: int) -> jax.Array:
    """Return what `optimistix.fixed_point` from 0 would give with `max_steps` = 1, 2, ...

    The steps are the solver's own; the tolerance is one that only a residual of 0 meets.
    """
    solver = AndersonAcceleration(rtol=1e-100, atol=0.0, memory=memory)
    zero, no_tags = jnp.zeros_like(d), frozenset()

    def fn(x, args):
        return A @ x + d, None

    def step(carry, _):
        y, state = carry
        y, state, _ = solver.step(fn, y, None, {}, state, no_tags)
        given = solver.postprocess(fn, y, None, None, {}, state, no_tags, optx.RESULTS.successful)[0]
        return (y, state), given

    state = solver.init(fn, zero, None, {}, None, None, no_tags)
    return jax.lax.scan(step, (zero, state), None, length=LIMIT)[1]


def run_case(A: np.ndarray, d: np.ndarray) -> dict[str, np.ndarray]:
    """Return for each method the errors after 1, 2, ... evaluations: until it stops for the rivals, all for ours."""

    def f(x):
        return A @ x + d

    n = len(d)
    points = {k: forward(f, n) if mixing is None else tutorial_anderson(f, n, mixing) for k, mixing in RIVALS.items()}
    points |= {k: np.asarray(ours(jnp.asarray(A), jnp.asarray(d), memory)) for k, memory in OURS.items()}
    return {k: residual(A, d, x) for k, x in points.items()}


def summarise(cases: list[dict[str, np.ndarray]]) -> dict[str, object]:
    """Return mean, standard deviation and evaluations of each method, and how ours compares with each rival."""
    fewest = [min(len(case[rival]) for rival in RIVALS) for case in cases]
    methods: dict[str, object] = {"cases": len(cases)}
    for name in RIVALS:
        last, counts = np.array([case[name][-1] for case in cases]), [len(case[name]) for case in cases]
        methods[name] = moments(last) | {"evaluations": float(np.mean(counts)), "stopped_by_limit": counts.count(LIMIT)}
    for name in OURS:
        at_fewest = np.array([case[name][count - 1] for case, count in zip(cases, fewest, strict=True)])
        reached = [int(np.argmax(case[name] < TOLERANCE)) + 1 for case in cases if np.any(case[name] < TOLERANCE)]
        methods[name] = moments(at_fewest) | {
            "evaluations": float(np.mean(fewest)),
            "evaluations_to_tolerance": float(np.mean(reached)),
            "tolerance_reached": len(reached),
            "against": {rival: compare(cases, name, rival) for rival in RIVALS},
        }
    return methods


def moments(errors: np.ndarray) -> dict[str, float]:
    """Return mean, standard deviation and largest of errors."""
    return {"mean": float(errors.mean()), "std": float(errors.std()), "largest": float(errors.max())}


def compare(cases: list[dict[str, np.ndarray]], name: str, rival: str) -> dict[str, float]:
    """Return how often the error of ours is at most the rival's plus 10 eps: where the rival stopped, and at all counts.

    Ours returns a point that it has measured, forward iteration one that it has not: so the comparison at all counts is also
    made with one more evaluation for ours.
    """
    pairs = [(case[name][len(case[rival]) - 1], case[rival][-1]) for case in cases]
    mine, theirs = np.array(pairs).T
    held = mine <= theirs + 10 * EPS
    every = [case[name][: len(case[rival])] <= case[rival] + 10 * EPS for case in cases]
    later = [case[name][1 : len(case[rival]) + 1] <= case[rival][: LIMIT - 1] + 10 * EPS for case in cases]
    behind = [int(np.flatnonzero(~held_at)[-1]) + 1 for held_at in every if not np.all(held_at)]
    return {
        "share_held": float(held.mean()),
        "exceptions": int(np.sum(~held)),
        "worst_ratio": float(np.max(np.maximum(mine, EPS) / np.maximum(theirs, EPS))),
        "share_held_at_all_counts": float(np.concatenate(every).mean()),
        "share_held_one_evaluation_later": float(np.concatenate(later).mean()),
        "last_count_behind": max(behind, default=0),
    }


def curve(cases: list[dict[str, np.ndarray]]) -> dict[str, list[float]]:
    """Return the mean error after 1, 2, ... evaluations; a method that has stopped keeps its last error."""
    found = {}
    for name in LOOK:
        padded = [np.pad(case[name], (0, LIMIT - len(case[name])), mode="edge") for case in cases]
        found[name] = [float(v) for v in np.mean(padded, axis=0)]
    return found


def measure(data: Path) -> dict[str, object]:
    """Return the numbers of every family of tables and size."""
    report: dict[str, object] = {}
    everything: list[dict[str, np.ndarray]] = []
    for family in FAMILIES:
        found: dict[int, list[dict[str, np.ndarray]]] = {}
        for size, _, A, d in subsets(data, family):
            found.setdefault(size, []).append(run_case(A, d))
        everything += [case for cases in found.values() for case in cases]
        report[family] = {str(size): summarise(cases) for size, cases in sorted(found.items())}
        if family == "regional":
            report["curve"] = {"family": family, "size": 200, "mean_error": curve(found[200])}
        print(family, "done", flush=True)
    report["all"] = {
        name: {rival: compare(everything, name, rival) for rival in RIVALS} | {"cases": len(everything)}
        for name in OURS
    }
    return report


def draw(report: dict, path: Path) -> None:
    """Draw errors against size, evaluations against size, and errors against evaluations."""
    plt.rcParams |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "figure_3a"}
    figure, axes = plt.subplots(2, 2, figsize=(10, 7.4), layout="constrained")
    regional = report["regional"]
    world = regional | {k: v for k, v in report["world"].items() if int(k) > max(map(int, regional))}
    draw_errors(axes[0, 0], report["national"], "National tables, where the rivals stop (dashed: mean + std)")
    draw_errors(axes[0, 1], world, "Multi-regional, where the rivals stop (dashed: mean + std)")
    draw_evaluations(axes[1, 0], world)
    draw_curve(axes[1, 1], report["curve"])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=130)


def draw_errors(axis: Axes, sizes: dict, title: str) -> None:
    """Draw mean (solid) and mean + std (dashed) of the final error against the number of sectors."""
    x = [int(size) for size in sizes]
    for name, (_, colour) in LOOK.items():
        mean = np.array([row[name]["mean"] for row in sizes.values()])
        spread = mean + np.array([row[name]["std"] for row in sizes.values()])
        axis.plot(x, mean, color=colour)
        axis.plot(x, spread, color=colour, linestyle="--", linewidth=0.9)
    axis.axhline(EPS, color="#999999", linewidth=0.8, linestyle=":")
    axis.annotate("eps", (x[0], EPS), xytext=(0, 2), textcoords="offset points", color="#777777", fontsize=8)
    axis.set_yscale("log")
    finish(axis, title, "sectors d", "relative error |x − f(x)| / |x|", x)
    label_ends(axis, [sizes[str(x[-1])][name]["mean"] for name in LOOK])


def draw_evaluations(axis: Axes, sizes: dict) -> None:
    """Draw the evaluations that a relative error of 1e-12 takes, against the number of sectors."""
    x = [int(size) for size in sizes]
    ends = []
    for name, (_, colour) in LOOK.items():
        key = "evaluations_to_tolerance" if name == "ours" else "evaluations"
        counts = [row[name][key] for row in sizes.values()]
        axis.plot(x, counts, color=colour)
        ends.append(counts[-1])
    axis.set_ylim(bottom=0)
    finish(axis, "Multi-regional tables: evaluations to an error of 1e-12", "sectors d", "mean evaluations of f", x)
    label_ends(axis, ends)


def draw_curve(axis: Axes, found: dict) -> None:
    """Draw the mean error against the evaluations made; a rival that has stopped keeps its error."""
    shown = 60
    for name, (_, colour) in LOOK.items():
        axis.plot(range(1, shown + 1), found["mean_error"][name][:shown], color=colour)
    axis.set_yscale("log")
    title = f"Multi-regional tables, d = {found['size']}: error against evaluations"
    finish(axis, title, "evaluations of f", "mean relative error")
    label_ends(axis, [found["mean_error"][name][shown - 1] for name in LOOK])


def finish(axis: Axes, title: str, x: str, y: str, sizes: Sequence[int] = ()) -> None:
    """Name an axis; sizes stand on a logarithmic scale."""
    axis.set_title(title, loc="left", fontsize=10)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.grid(alpha=0.25, linewidth=0.6)
    if sizes:
        axis.set_xscale("log")
        ticks = [size for size in (5, 10, 20, 35, 100, 200, 500, 1000) if size <= sizes[-1]]
        axis.set_xticks(ticks, [str(tick) for tick in ticks])
        axis.set_xticks([], minor=True)


def label_ends(axis: Axes, ends: Sequence[float]) -> None:
    """Write the name of each line beside its end, moved apart where they would overlap."""
    to_axes = (axis.transData + axis.transAxes.inverted()).transform
    heights = [to_axes((axis.get_xlim()[1], end))[1] for end in ends]
    place = 1.0
    for (label, colour), height in sorted(zip(LOOK.values(), heights, strict=True), key=lambda pair: -pair[1]):
        place = min(height, place - 0.055)
        axis.annotate(label, (1.01, place), xycoords="axes fraction", color=colour, va="center", fontsize=8)


def main() -> None:
    """Measure, print a summary, and write the numbers and the figure if files are named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds wiod2013")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--redraw", type=Path, help="draw the figure of earlier numbers, measure nothing")
    arguments = parser.parse_args()
    if arguments.redraw is not None:
        draw(json.loads(arguments.redraw.read_text(encoding="utf-8")), arguments.figure)
        return
    command = "OMP_NUM_THREADS=1 python benchmarks/figure_3a.py --data SHARED/data"
    command += f" --out {arguments.out}" if arguments.out else ""
    command += f" --figure {arguments.figure}" if arguments.figure else ""
    packages = ("quesnay", "numpy", "jax", "optimistix", "lineax")
    report = {
        "command": command,
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "seed": SEED,
        "tolerance": TOLERANCE,
        "limit": LIMIT,
        "memory": {"rivals": "5 points"} | {name: f"{m} differences" for name, m in OURS.items()},
        "bar": "error of ours <= error of the rival + 10 eps after as many evaluations of f",
    } | measure(arguments.data)
    print(json.dumps(report["all"], indent=2))
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if arguments.figure is not None:
        draw(report, arguments.figure)


if __name__ == "__main__":
    main()
