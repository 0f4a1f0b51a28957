"""How often intervals of generalised variational inference hold the truth, and how wide they are beside the exact ones.

Two models whose exact posterior is known: a linear one whose unknowns the data mix (correlated posterior, closed form), and an
epidemic (SIR, Euler steps of a day) with known errors of observation (posterior on a grid).

Run with `python benchmarks/infer_coverage.py --out benchmarks/results/infer_coverage.json`.
"""

import argparse
import functools
import itertools
import json
import platform
import sys
import time
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import quesnay as q
from quesnay.infer.coverage import coverage

ERROR = {"linear": 0.5, "sir": 0.02}
A = jnp.asarray([[1.0, 0.9, 0.8], [0.9, 1.0, 0.9], [0.8, 0.9, 1.0], [1.0, 1.0, 1.0]])
COVARIANCE = np.linalg.inv(np.asarray(A.T @ A) / ERROR["linear"] ** 2 + np.eye(3))
PRIORS = {
    "linear": {"x": dist.Normal(jnp.zeros(3), 1.0)},
    "sir": {"beta": dist.LogNormal(float(np.log(0.4)), 0.3), "gamma": dist.LogNormal(float(np.log(0.15)), 0.3)},
}
GRID = 121


def linear(theta):
    return A @ theta["x"]


def sir(theta):
    """Return the infected share of the population on every second one of 60 days."""

    def day(state, _):
        s, i = state
        new = theta["beta"] * s * i
        return (s - new, i + new - theta["gamma"] * i), i

    return jax.lax.scan(day, (0.99, 0.01), None, length=60)[1][::2]


def exact_linear(simulator, prior, observed, *, key):
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    mean = COVARIANCE @ np.asarray(A.T @ observed) / ERROR["linear"] ** 2
    z = mean + rng.normal(size=(4000, 3)) @ np.linalg.cholesky(COVARIANCE).T
    return types.SimpleNamespace(z=z[None], converged=True)


@jax.jit
def squares(observed, z):
    def one(v):
        theta = {"beta": 0.4 * jnp.exp(0.3 * v[0]), "gamma": 0.15 * jnp.exp(0.3 * v[1])}
        return -0.5 * jnp.sum((sir(theta) - observed) ** 2) / ERROR["sir"] ** 2 - 0.5 * jnp.sum(v**2)

    return jax.vmap(one)(z)


def exact_sir(simulator, prior, observed, *, key):
    """Draw from the posterior on a grid in z, refined once to where its mass is."""
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    low, high = np.full(2, -5.0), np.full(2, 5.0)
    for _ in range(3):
        axes = [np.linspace(a, b, GRID) for a, b in zip(low, high, strict=True)]
        z = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
        logs = np.asarray(squares(observed, jnp.asarray(z)), float)
        weights = np.exp(logs - logs.max())
        kept, step = z[weights > 1e-7], (high - low) / (GRID - 1)
        low, high = kept.min(axis=0) - 2 * step, kept.max(axis=0) + 2 * step
    chosen = rng.choice(len(z), 4000, p=weights / weights.sum())
    steps = np.array([axis[1] - axis[0] for axis in axes])
    return types.SimpleNamespace(z=(z[chosen] + steps * (rng.random((4000, 2)) - 0.5))[None], converged=True)


def measure(name, guide, replicates, steps):
    simulator, reference = {"linear": (linear, exact_linear), "sir": (sir, exact_sir)}[name]
    method = functools.partial(q.infer.gvi, loss=q.infer.Gaussian(ERROR[name]), guide=guide, steps=steps)
    start = time.perf_counter()
    report = coverage(
        method,
        simulator,
        PRIORS[name],
        key=jax.random.key(0),
        replicates=replicates,
        noise=ERROR[name],
        reference=reference,
    )
    return {
        "coverage": {f"{v:g}": round(float(report.overall.sel(level=v)), 4) for v in (0.5, 0.9)},
        "standard_error": {f"{v:g}": round(float(report.overall_error.sel(level=v)), 4) for v in (0.5, 0.9)},
        "width_over_exact": {f"{v:g}": np.round(report.width.sel(level=v).to_numpy(), 3).tolist() for v in (0.5, 0.9)},
        "exact_coverage": {
            f"{v:g}": round(float(report.reference_coverage.sel(level=v).mean()), 4) for v in (0.5, 0.9)
        },
        "uniform_ranks_p_value": np.round(report.p_value.to_numpy(), 4).tolist(),
        "failed": report.failed,
        "not_converged": report.not_converged,
        "seconds": round(time.perf_counter() - start, 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=1600)
    parser.add_argument("--steps", type=int, nargs="+", default=[300, 1000])
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    results = {
        "command": f"python {' '.join(sys.argv)}",
        "python": platform.python_version(),
        "jax": jax.__version__,
        "replicates": chosen.replicates,
    }
    guides = {"default": None, "mean_field": q.infer.mean_field(), "full_covariance": q.infer.full_covariance()}
    for name in PRIORS:
        results[name] = {}
        for (label, guide), steps in itertools.product(guides.items(), chosen.steps):
            results[name][f"{label}, {steps} steps"] = found = measure(name, guide, chosen.replicates, steps)
            print(name, label, steps, found, flush=True)
            if chosen.out is not None:
                chosen.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
