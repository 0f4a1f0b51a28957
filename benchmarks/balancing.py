"""What a table brought to its margins costs, and how near it comes: `ras` and `newton` beside plain NumPy and `ipfn`.

Run with `python benchmarks/balancing.py --out benchmarks/results/balancing.json`. One core; every ratio is taken within one
round, which takes all calls in turn, so that noise of the machine falls on all alike. All stop at an error of 1e-12: the
largest relative change of a factor.

A table of k blocks has log-normal cells, those outside of the blocks times the coupling. Its new margins are those of the
same table with every row, column and cell moved, each by a normal of standard deviation 0.3 in logarithms. Alternating
scaling is stopped after a number of rounds where it is not done; the rounds that were left follow from its rate of
convergence, the square of the second singular value of `Z_ij / sqrt(u_i v_j)` at the balanced table Z with row sums u and
column sums v, and are marked as extrapolated. The errors of margins are the largest relative ones.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import ipfn.ipfn
import jax
import numpy as np

import quesnay as q
from quesnay.update import dual, scaling
from quesnay.update.problem import Problem
from quesnay.update.setup import set_up

TOLERANCE = 1e-12
CAP = 3000
"""Rounds after which NumPy's scaling is stopped; the compiled one stops by itself, at `scaling.MAX_STEPS`."""
WEAK = [(1000, blocks, coupling) for blocks in (2, 20) for coupling in (1e-2, 1e-4, 1e-6)]
CROSSING = [(n, blocks) for n in (50, 200, 1000) for blocks in (2, 20)]
SWEEP = tuple(float(c) for c in np.geomspace(1, 1e-3, 10))
Margins = tuple[np.ndarray, np.ndarray, np.ndarray]
Call = Callable[[], object]


def table(n: int, blocks: int, coupling: float, seed: int = 0) -> Margins:
    """Return Z0 and its new row and column sums."""
    rng = np.random.default_rng(seed)
    block = np.arange(n) * blocks // n
    Z0 = rng.lognormal(0, 1, (n, n)) * np.where(block[:, None] == block, 1, coupling)
    moved = Z0 * np.exp(0.3 * (rng.normal(size=(n, 1)) + rng.normal(size=n) + rng.normal(size=(n, n))))
    return Z0, moved.sum(1), moved.sum(0)


def loop(Z0: np.ndarray, rows: np.ndarray, columns: np.ndarray, cap: int = 10**6) -> np.ndarray:
    """RAS as the textbook has it: the table itself is scaled."""
    Z = Z0.copy()
    for _ in range(cap):
        factor = rows / Z.sum(1)
        Z *= factor[:, None]
        Z *= columns / Z.sum(0)
        if np.max(np.abs(factor - 1)) <= TOLERANCE:
            break
    return Z


def factors(Z0: np.ndarray, rows: np.ndarray, columns: np.ndarray, cap: int = 10**6) -> tuple[np.ndarray, int, float]:
    """RAS by products with factors, the fastest that plain NumPy does; with the rounds it took and the error at the end."""
    r, s, error = np.ones(len(rows)), np.ones(len(columns)), np.inf
    for taken in range(1, cap + 1):  # noqa: B007
        new = rows / (Z0 @ s)
        error, r = np.max(np.abs(new / r - 1)), new
        s = columns / (r @ Z0)
        if error <= TOLERANCE:
            break
    return r[:, None] * Z0 * s, taken, float(error)


def in_turns(calls: dict[str, Call], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every call in every round, after one that compiles."""
    for call in calls.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - begun)
    return taken


def ratio(over: list[float], under: list[float]) -> dict[str, object]:
    """Return the median and the quartiles of the ratio within one round."""
    low, middle, high = statistics.quantiles([a / b for a, b in zip(over, under, strict=True)], n=4)
    return {"ratio": round(middle, 3), "quartiles": [round(low, 3), round(high, 3)]}


def wait(function: Callable, *arguments: object) -> Call:
    """Return a call that waits for its result."""
    return lambda: jax.block_until_ready(function(*arguments))


def speed(n: int, rounds: int) -> dict[str, object]:
    """Compare `q.update.ras`, as a user calls it and within a compiled program, with NumPy."""
    given = table(n, 1, 1.0)
    calls: dict[str, Call] = {
        "as called": wait(q.update.ras, *given),
        "within a compiled program": wait(jax.jit(lambda *g: q.update.ras(*g, throw=False)), *map(jax.numpy.asarray, given)),
        "NumPy, the table scaled": partial(loop, *given),
        "NumPy, factors only": partial(factors, *given),
    }  # fmt: skip
    taken = in_turns(calls, rounds)
    names = list(calls)
    return {
        "n": n, "rounds_of_scaling": int(q.update.ras(*given).iterations),
        "milliseconds": {name: round(1e3 * statistics.median(taken[name]), 4) for name in names},
        "over": {base: {name: ratio(taken[name], taken[base]) for name in names[:2]} for base in names[2:]},
    }  # fmt: skip


def problem_of(given: Margins) -> Problem:
    return set_up(*given, None, None, None, None, None, None, None, signed=False).problem


@partial(jax.jit, static_argnames="patient")
def scaled(problem: Problem, patient: bool = True) -> dual.Found:
    return scaling.scale(problem, TOLERANCE, patient=patient)


@jax.jit
def by_newton(problem: Problem) -> dual.Found:
    return dual.newton(problem, dual.nothing(problem), TOLERANCE)


def needed(rounds: int, error: float, rate: float) -> float:
    """Return the rounds that scaling takes in all, given the error after some and its rate."""
    return rounds if error <= TOLERANCE else rounds + float(np.log(TOLERANCE / error) / np.log(rate))


def weak(n: int, blocks: int, coupling: float, rounds: int) -> dict[str, object]:
    """Compare `q.update.newton`, as a user calls it, with alternating scaling to the same tolerance."""
    given = table(n, blocks, coupling)
    problem = problem_of(given)
    found = q.update.newton(*given)
    Z = np.asarray(found.value)
    values = np.linalg.svd(Z / np.sqrt(np.outer(given[1], given[2])), compute_uv=False)
    rate = float(values[1] ** 2)
    done, (_, numpy_rounds, numpy_error) = scaled(problem), factors(*given, cap=CAP)
    taken = in_turns(
        {
            "newton": wait(q.update.newton, *given), "ras": wait(q.update.ras, *given),
            "compiled": wait(scaled, problem), "numpy": partial(factors, *given, cap=CAP),
        },
        rounds,
    )  # fmt: skip
    newton = statistics.median(taken["newton"])
    row: dict[str, object] = {
        "n": n, "blocks": blocks, "coupling": coupling, "rate": rate, "slow_modes": int(np.sum(values[1:] ** 2 > 0.9)),
        "newton": {"seconds": newton, "spread": [min(taken["newton"]), max(taken["newton"])],
                   "steps": int(found.iterations), "error": float(found.error)},
        "ras_by_itself": {"seconds": statistics.median(taken["ras"]), "steps": int(q.update.ras(*given).iterations)},
    }  # fmt: skip
    for name, count, error in (
        ("compiled", int(done.steps), float(done.error)), ("numpy", numpy_rounds, numpy_error)
    ):  # fmt: skip
        total, over = needed(count, error, rate), ratio(taken[name], taken["newton"])
        seconds = statistics.median(taken[name])
        row[f"scaling_{name}"] = {
            "rounds_run": count, "seconds_run": seconds, "error_reached": error, "rounds_needed": round(total),
            "extrapolated": error > TOLERANCE, "seconds_needed": seconds * total / count,
            "over_newton": over["ratio"] * total / count, "over_newton_when_stopped": over,
        }  # fmt: skip
    return row


def crossing(n: int, blocks: int, rounds: int) -> dict[str, object]:
    """Return, by coupling, the rounds of scaling and what Newton costs in rounds; compiled, without setting up."""
    rows = []
    for coupling in SWEEP:
        problem = problem_of(table(n, blocks, coupling))
        done, newton = scaled(problem), by_newton(problem)
        taken = in_turns({"scaling": wait(scaled, problem), "newton": wait(by_newton, problem)}, rounds)
        one = [t / int(done.steps) for t in taken["scaling"]]
        rows.append({"coupling": coupling, "rounds": int(done.steps), "newton_steps": int(newton.steps),
                     "newton_in_rounds": round(ratio(taken["newton"], one)["ratio"], 1),
                     "scaling_over_newton": ratio(taken["scaling"], taken["newton"])["ratio"]})  # fmt: skip
    slower = [row["rounds"] for row in rows if row["scaling_over_newton"] > 1]
    return {"n": n, "blocks": blocks, "rounds_from_which_newton_is_faster": min(slower, default=None), "sweep": rows}


def differences(n: int, blocks: int, coupling: float) -> dict[str, object]:
    """Return the largest difference of a cell, relative to it, from the loop and from `ipfn`; and the margins' error."""
    given = table(n, blocks, coupling)
    Z0, rows, columns = given
    columns = columns * (rows.sum() / columns.sum())
    fitted = ipfn.ipfn.ipfn(
        Z0.copy(), [rows, columns], [[0], [1]], convergence_rate=1e-14, max_iteration=3000, rate_tolerance=0
    )
    peers = {"loop": loop(*given), "ipfn": fitted.iteration()}
    found = {"n": n, "blocks": blocks, "coupling": coupling}
    for name, method in (("ras", q.update.ras), ("newton", q.update.newton)):
        Z = np.asarray(method(*given).value)
        margins = max(np.max(np.abs(Z.sum(1) / rows - 1)), np.max(np.abs(Z.sum(0) / columns - 1)))
        found[name] = {"margins": float(margins)} | {
            peer: float(np.max(np.abs(Z / other - 1))) for peer, other in peers.items()
        }
    found["loop against ipfn"] = float(np.max(np.abs(peers["loop"] / peers["ipfn"] - 1)))
    return found


def main() -> None:
    """Measure, print, and write the numbers if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    command = f"python benchmarks/balancing.py --rounds {arguments.rounds}"
    command += "" if arguments.out is None else f" --out {arguments.out}"
    few = max(arguments.rounds // 15, 3)
    found: dict[str, object] = {
        "command": command, "what": __doc__, "python": platform.python_version(), "jax": jax.__version__,
        "numpy": np.__version__, "ipfn": importlib.metadata.version("ipfn"), "threads": 1, "tolerance": TOLERANCE,
        "patience": scaling.PATIENCE,
        "differences": [differences(200, 1, 1.0), differences(200, 2, 0.03), differences(60, 20, 0.03)],
        "speed": [speed(n, arguments.rounds) for n in (50, 200, 1000)],
    }  # fmt: skip
    print(json.dumps(found["differences"]), json.dumps(found["speed"], indent=1), sep="\n", flush=True)
    for part, measured, cases in (("weak", weak, WEAK), ("crossing", crossing, CROSSING)):
        rows: list[dict[str, object]] = []
        for case in cases:
            rows.append(measured(*case, few))
            print(json.dumps(rows[-1]), flush=True)
            found[part] = rows
            if arguments.out is not None:
                arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
