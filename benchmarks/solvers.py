"""What each solver costs, for a solve and for a solve with its gradient, beside SciPy's LU and Krylov methods.

Run with `python benchmarks/solvers.py --out benchmarks/results/solvers.json`. Every figure is a ratio to SciPy in one round;
the rounds take all solvers in turn, so that noise of the machine falls on all alike. One core. All of ours return the whole
solution, with its proof, unless the name says "value alone".
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np
import scipy
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

import quesnay as q

TOLERANCE = 1e-12
DENSE = (50, 100, 200, 500, 1000, 2000, 5000, 10_000)
SPARSE = (10_000, 100_000, 1_000_000)
LINKS = 10
"""Suppliers of a firm, on average."""
DIRECT = 20_000
"""Firms up to which SciPy's sparse LU is tried, once: its factors fill up."""
ONCE = "SciPy sparse LU"
Call = Callable[[], object]


def table(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return A and d like those of a real table: skewed coefficients, spectral radius about 0.6."""
    rng = np.random.default_rng(seed)
    A = rng.lognormal(0, 2, (n, n))
    A *= rng.uniform(0.4, 0.8, n) / A.sum(0)
    return A, rng.lognormal(0, 2, n)


def firms(n: int, seed: int = 0) -> tuple[q.Network, scipy.sparse.csr_array, np.ndarray]:
    """Return a network of n firms with skewed degrees and flows, its coefficients as SciPy holds them, and final demand."""
    rng = np.random.default_rng(seed)
    supplier = np.minimum((n * rng.random(LINKS * n) ** 1.5).astype(int), n - 1)
    customer = rng.integers(0, n, LINKS * n)
    a = rng.lognormal(0, 1, LINKS * n)
    a *= 0.6 / np.bincount(customer, a, n)[customer]
    A = scipy.sparse.csr_array((a, (supplier, customer)), (n, n))
    d = rng.lognormal(0, 1, n)
    x, error = scipy.sparse.linalg.gmres(scipy.sparse.eye_array(n) - A, d, rtol=1e-13, restart=50)
    if error:
        raise RuntimeError("SciPy's GMRES did not converge on the benchmark's own network")
    return q.Network.from_edges(supplier, customer, a * x[customer], d), A, d


def in_turns(calls: dict[str, Call], rounds: int, *, base: str) -> dict[str, dict[str, float]]:
    """Return for every call the median and the quartiles of its time over that of `base` in the same round."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for name, call in calls.items():
        if name != ONCE:
            call()
    for turn in range(rounds):
        for name, call in calls.items():
            if name == ONCE and turn:
                continue
            begun = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begun)
    found = {}
    for name, taken in times.items():
        ratios = sorted(t / b for t, b in zip(taken, times[base], strict=False))
        low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
        found[name] = {"ratio": round(middle, 3), "quartiles": [round(low, 3), round(high, 3)]}
    return found | {"base_ms": {base: round(1e3 * statistics.median(times[base]), 3)}}


def wait(function: Callable, *arguments: object) -> Call:
    """Return a call that waits for its result."""
    return lambda: jax.block_until_ready(function(*arguments))


def ours(system: Callable, solver: object) -> tuple[Callable, Callable]:
    """Return the compiled solve, and the compiled solve with the gradient of total output by technology and demand."""

    def total(technology, d):
        solution = q.solve(system(technology), d, solver=solver, throw=False)
        return solution.value.sum(), solution

    # A network is a pytree with integers; its gradient is taken by demand and by coefficients.
    solve = jax.jit(lambda technology, d: q.solve(system(technology), d, solver=solver, throw=False))
    return solve, jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True, allow_int=True))


def dense(n: int, rounds: int) -> dict[str, object]:
    """Compare all solvers on one dense table."""
    A, d = table(n)
    at = jnp.asarray(A), jnp.asarray(d)
    eye = np.eye(n)

    def lu():
        return scipy.linalg.lu_solve(scipy.linalg.lu_factor(eye - A), d)

    def lu_gradient():
        factors = scipy.linalg.lu_factor(eye - A)
        x = scipy.linalg.lu_solve(factors, d)
        to_d = scipy.linalg.lu_solve(factors, np.ones(n), trans=1)
        return x, to_d, np.outer(to_d, x)

    M = eye - A
    calls: dict[str, Call] = {
        "SciPy LU": lu,
        "SciPy BiCGStab": lambda: scipy.sparse.linalg.bicgstab(M, d, rtol=1e-13),
        "SciPy GMRES": lambda: scipy.sparse.linalg.gmres(M, d, rtol=1e-13),
        "default, called eagerly": wait(lambda A, d: q.solve(q.Leontief(A), d), *at),
        "default, value alone": wait(jax.jit(lambda A, d: q.solve(q.Leontief(A), d, throw=False).value), *at),
    }
    gradients: dict[str, Call] = {"SciPy LU": lu_gradient}
    residuals = {}
    solvers = {"default": None, "LU": q.LU(), "BiCGStab": q.BiCGStab(), "GMRES": q.GMRES(), "Forward": q.Forward()}
    solvers |= {"Anderson": q.Anderson(), "Newton": q.Newton()}
    for name, solver in solvers.items():
        solve, gradient = ours(q.Leontief, solver)
        calls[name], gradients[name] = wait(solve, *at), wait(gradient, *at)
        found = solve(*at)
        residuals[name] = {"residual": float(f"{found.residual:.2g}"), "bound": float(f"{found.error:.2g}")}
    both = {"solve": calls["default"], "solve + gradient": gradients["default"]}
    return {
        "n": n,
        "solve": in_turns(calls, rounds, base="SciPy LU"),
        "solve_and_gradient": in_turns(gradients, rounds, base="SciPy LU"),
        "gradient_over_solve": in_turns(both, rounds, base="solve")["solve + gradient"],
        "reached": residuals,
    }


def sparse(n: int, rounds: int) -> dict[str, object]:
    """Compare the matrix-free solvers on one network of firms."""
    network, A, d = firms(n)
    M = (scipy.sparse.eye_array(n) - A).tocsr()
    at = network, jnp.asarray(d)
    calls: dict[str, Call] = {
        "SciPy BiCGStab": lambda: scipy.sparse.linalg.bicgstab(M, d, rtol=1e-13),
        "SciPy GMRES": lambda: scipy.sparse.linalg.gmres(M, d, rtol=1e-13, restart=20),
    }
    if n <= DIRECT:
        columns = M.tocsc()
        calls[ONCE] = lambda: scipy.sparse.linalg.splu(columns).solve(d)
    gradients, residuals = {}, {}
    for name, solver in {"default": None, "GMRES": q.GMRES(), "Forward": q.Forward(), "Anderson": q.Anderson()}.items():
        solve, gradient = ours(q.Leontief, solver)
        calls[name], gradients[name] = wait(solve, *at), wait(gradient, *at)
        found = solve(*at)
        residuals[name] = {"residual": float(f"{found.residual:.2g}"), "bound": float(f"{found.error:.2g}")}
    both = {"solve": calls["default"], "solve + gradient": gradients["default"]}
    return {
        "n": n,
        "links": network.edges,
        "solve": in_turns(calls, rounds, base="SciPy BiCGStab"),
        "gradient_over_solve": in_turns(both, rounds, base="solve")["solve + gradient"],
        "reached": residuals,
    }


def alone(times: dict[str, dict]) -> float | None:
    """Return what the default costs without its proof, over SciPy's LU, where both were measured."""
    return times["default, value alone"]["ratio"] if {"SciPy LU", "default, value alone"} <= set(times) else None


def judge(cases: list[dict]) -> list[dict[str, object]]:
    """Return the bars: the default over the best solver that reaches the tolerance, and over SciPy's LU."""
    rows = []
    for case in cases:
        good = [name for name, at in case["reached"].items() if at["residual"] <= TOLERANCE]
        best = min((name for name in good if name != "default"), key=lambda name: case["solve"][name]["ratio"])
        default = case["solve"]["default"]["ratio"]
        direct = next((case["solve"][name]["ratio"] for name in ("SciPy LU", ONCE) if name in case["solve"]), None)
        rows.append(
            {
                "n": case["n"],
                "best": best,
                "default_over_best": round(default / case["solve"][best]["ratio"], 2),
                "default_over_scipy_lu": None if direct is None else float(f"{default / direct:.3g}"),
                "default_value_alone_over_scipy_lu": alone(case["solve"]),
                "gradient_over_solve": case["gradient_over_solve"]["ratio"],
            }
        )
    return rows


def main() -> None:
    """Measure, print, and write the numbers if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--largest", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    command = f"python benchmarks/solvers.py --rounds {arguments.rounds} --largest {arguments.largest}"
    if arguments.out is not None:
        command += f" --out {arguments.out}"
    found: dict[str, object] = {"command": command, "python": platform.python_version(), "jax": jax.__version__}
    found |= {"scipy": scipy.__version__, "device": str(jax.devices()[0]), "threads": 1, "tolerance": TOLERANCE}
    results: dict[str, list[dict]] = {"dense": [], "sparse": []}
    for kind, sizes, measure in (("dense", DENSE, dense), ("sparse", SPARSE, sparse)):
        for n in sizes:
            if n > arguments.largest:
                continue
            few = (
                arguments.rounds
                if n <= 1000
                else max(arguments.rounds // (3 if n <= 10_000 and kind == "sparse" else 5), 3)
            )
            results[kind].append(measure(n, 3 if n >= 5000 and kind == "dense" else few))
            print(kind, judge(results[kind])[-1], flush=True)
            if arguments.out is not None:
                bars = {k: judge(v) for k, v in results.items()}
                arguments.out.write_text(
                    json.dumps(found | {"bars": bars} | results, indent=2) + "\n", encoding="utf-8"
                )


if __name__ == "__main__":
    main()
