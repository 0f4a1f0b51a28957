"""The inverse Leontief problem by gradient descent in PyTorch, and by `q.update.kl` and `q.update.fit`, in one run.

Run with `python benchmarks/inverse_leontief.py --out benchmarks/results/inverse_leontief.json`. It wants
PyTorch (the CPU build). One core; float64 unless said.

Descent is Adam on the sum of squared errors of output, through `torch.linalg.solve`, on the productive parametrisation of
`examples/inverse_leontief`, from the same start that is the prior of ours. It has 1,001 epochs at n = 3 and 500 at n = 200:
in float32 at a learning rate of 0.01, which is what a script in PyTorch's defaults does, and in float64 at the best of
several learning rates (at n = 200 also with outputs relative to the observed ones); its time is that of the best run alone,
without the search. The residual is `max_i |L d - x|_i / x_i`; `in_the_same_time` is that of the descent when ours is done.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

import jax
import numpy as np
import torch
from inverse_leontief.command import DEMAND, OUTPUT
from inverse_leontief.descent import start, technology

import quesnay as q

RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
PRIOR_SD, NOISE_SD = 0.5, 1e-4
EPS = float(np.finfo(float).eps)
"""A residual below is taken for it."""
Run = Callable[[], np.ndarray]


def problem(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return outputs and final demand of a random economy of n sectors, of sizes that differ as in real tables."""
    rng = np.random.default_rng(seed)
    A = rng.lognormal(0, 1.5, (n, n))
    A *= rng.uniform(0.3, 0.7, n) / A.sum(0)
    d = rng.lognormal(0, 1, n)
    return np.linalg.solve(np.eye(n) - A, d), d


def descend(
    begun: np.ndarray, x: np.ndarray, d: np.ndarray, *, epochs: int, rate: float, dtype: torch.dtype, relative: bool
) -> np.ndarray:
    """Return A (n, n) after Adam."""
    parameters = torch.tensor(begun, dtype=dtype, requires_grad=True)
    demand, observed = torch.tensor(d, dtype=dtype), torch.tensor(x, dtype=dtype)
    eye, weight = torch.eye(len(d), dtype=dtype), 1 / observed if relative else torch.ones_like(observed)
    optimiser = torch.optim.Adam([parameters], lr=rate)
    for _ in range(epochs):
        optimiser.zero_grad()
        A = torch.softmax(parameters, 0)[:-1]
        loss = torch.sum((weight * (torch.linalg.solve(eye - A, demand) - observed)) ** 2)
        loss.backward()
        optimiser.step()
    return torch.softmax(parameters, 0)[:-1].detach().numpy().astype(float)


def errors(A: np.ndarray, x: np.ndarray, d: np.ndarray) -> dict[str, float]:
    """Return the sum of squares and the largest relative error of the output, in float64."""
    missed = np.linalg.solve(np.eye(len(d)) - A, d) - x
    return {"loss": float(np.sum(missed**2)), "residual": float(np.max(np.abs(missed) / x))}


def best(runs: dict[str, partial], x: np.ndarray, d: np.ndarray) -> tuple[str, dict[str, float]]:
    """Return the run of the smallest residual, and the residual of each."""
    found = {name: errors(run(), x, d)["residual"] for name, run in runs.items()}
    found = {name: value if np.isfinite(value) else float("inf") for name, value in found.items()}
    return min(found, key=lambda name: found[name]), found


def compare(
    x: np.ndarray, d: np.ndarray, torches: dict[str, partial], begun: np.ndarray, rounds: int
) -> dict[str, object]:
    """Time all calls in turn; ours as a user calls them, after one call that compiles."""
    A0 = np.asarray(technology(begun))
    calls: dict[str, Run] = {
        "q.update.kl": lambda: np.asarray(q.update.kl(A0, x, d).value),
        "q.update.fit": lambda: np.asarray(q.update.fit(A0, x, d, prior_sd=PRIOR_SD, noise_sd=NOISE_SD).A),
    } | torches
    rows: dict[str, dict] = {name: errors(call(), x, d) for name, call in calls.items()}
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - began)
    for name, row in rows.items():
        row |= {"seconds": statistics.median(taken[name]), "spread": [min(taken[name]), max(taken[name])]}
    for name in list(calls)[:2]:
        rows[name]["against"] = {other: against(rows, taken, name, other, torches[other], x, d) for other in torches}
    return rows


def against(
    rows: dict[str, dict],
    taken: dict[str, list[float]],
    name: str,
    other: str,
    run: partial,
    x: np.ndarray,
    d: np.ndarray,
) -> dict[str, object]:
    """Compare ours with a descent: at its end, and after the epochs that it had done when ours was finished."""
    faster = statistics.median(b / a for a, b in zip(taken[name], taken[other], strict=True))
    epochs = max(round(run.keywords["epochs"] / faster), 1)
    residual, floor = rows[other]["residual"], max(rows[name]["residual"], EPS)
    meanwhile = errors(partial(run, epochs=epochs)(), x, d)["residual"]
    return {
        "times_faster": faster,
        "smaller_loss": rows[name]["loss"] < rows[other]["loss"],
        "residual_times_smaller": residual / floor,
        "in_the_same_time": {"epochs": epochs, "residual": meanwhile, "residual_times_smaller": meanwhile / floor},
    }


def small(rounds: int) -> dict[str, object]:
    """The three sectors of the example."""
    begun = np.asarray(start(3, 0))
    run = partial(descend, begun, OUTPUT, DEMAND, epochs=1001, relative=False)
    tried = {f"rate {rate:g}": partial(run, rate=rate, dtype=torch.float64) for rate in RATES}
    name, found = best(tried, OUTPUT, DEMAND)
    torches = {
        "torch float32, rate 0.01": partial(run, rate=0.01, dtype=torch.float32),
        f"torch float64, {name}": tried[name],
    }
    return {"n": 3, "epochs": 1001, "tried": found} | compare(OUTPUT, DEMAND, torches, begun, rounds)


def large(n: int, epochs: int, rounds: int) -> dict[str, object]:
    """A random economy."""
    x, d = problem(n)
    begun = np.asarray(start(n, 0))
    run = partial(descend, begun, x, d, epochs=epochs, dtype=torch.float64)
    tried = {
        f"{'relative' if relative else 'absolute'}, rate {rate:g}": partial(run, rate=rate, relative=relative)
        for relative in (False, True) for rate in RATES
    }  # fmt: skip
    name, found = best(tried, x, d)
    torches = {
        "torch float32, rate 0.01": partial(run, rate=0.01, dtype=torch.float32, relative=False),
        f"torch float64, {name}": tried[name],
    }
    return {"n": n, "epochs": epochs, "tried": found} | compare(x, d, torches, begun, rounds)


def main() -> None:
    """Measure, print, and write the numbers if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    command = f"python benchmarks/inverse_leontief.py --rounds {arguments.rounds}"
    command += "" if arguments.out is None else f" --out {arguments.out}"
    found: dict[str, object] = {
        "command": command, "what": __doc__, "python": platform.python_version(), "jax": jax.__version__,
        "torch": torch.__version__, "threads": 1, "prior_sd": PRIOR_SD, "noise_sd": NOISE_SD,
        "cases": [small(arguments.rounds), large(200, 500, max(arguments.rounds // 2, 3))],
    }  # fmt: skip
    print(json.dumps(found["cases"], indent=1))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
