"""Derivatives of models of agents by estimators, against finite differences with common random numbers.

Run with `python benchmarks/agents_models.py --out benchmarks/results/agents_models.json`: some cases take minutes to compile.
`--only epidemic` runs some of them anew, and keeps the others in the file; each says which command made it.

Predators and prey: 36 cells, 3 prey and 1.5 predators in each at the start, 8 steps; mean numbers per cell at the end. The
epidemic: 200 agents, 5 % infected at the start, 20 days; the share infected on the way, on a small world (6 neighbours, a tenth
of them rewired) and on random graphs of 6 and of 40 neighbours in the mean, at the same rate of contact in all. The market: 100
agents that choose between a fundamental forecast at a cost and a trend, 50 steps with noise; the mean square of prices. In
chaos it is that of four forecasts at an intensity of 120, over 10 steps and over 100.

Biases are in per cent of the finite differences, with the standard errors of both.
"""

import argparse
import json
import platform
import shlex
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np

import quesnay as q

KEY = jax.random.key(2026)
COMPARED = (q.agents.Smoothed(), q.agents.StraightThrough(), q.agents.MeanField())
ALL = (*COMPARED, q.agents.Score())
GRID = {"height": 6, "width": 6, "prey": 3.0, "predators": 1.5, "conversion": 0.5, "mobility": 0.5, "crowding": 0.01}
RATES = {"predation": 0.15, "birth": 0.15, "death": 0.15}
GRAPHS = {
    "a small world": nx.connected_watts_strogatz_graph(200, 6, 0.1, seed=0),
    "a random graph of 6": nx.gnm_random_graph(200, 600, seed=0),
    "a random graph of 40": nx.gnm_random_graph(200, 4000, seed=0),
}


def wild(kind):
    """Return the mean number per cell of one kind at the end, by the three rates."""

    def count(theta, key, estimator):
        path = q.simulate(q.agents.PredatorPrey(**GRID, **theta, estimator=estimator), steps=8, key=key, throw=False)
        return getattr(path, kind)[-1]

    return count


def attack(graph):
    """Return the share of agents that were infected on the way, by the rates of contact with all neighbours and of recovery."""
    ends = np.array(graph.edges).T
    links = q.agents.contacts(*ends, 100 / ends.shape[1], agents=200)

    def share(theta, key, estimator):
        model = q.agents.SIR(agents=200, infected=0.05, contacts=links, estimator=estimator, **theta)
        return jnp.sum(q.simulate(model, steps=20, key=key, throw=False).infections)

    return share


def volatility(theta, key, estimator):
    """Return the mean square of prices among a fundamental forecast at a cost and a trend."""
    model = q.agents.BrockHommes(
        trend=jnp.stack([jnp.zeros(()), theta["trend"]]), intensity=theta["intensity"], interest=0.05, sigma=0.3,
        cost=jnp.array([0.5, 0.0]), agents=100, estimator=estimator,
    )  # fmt: skip
    return jnp.mean(q.simulate(model, steps=50, key=key, throw=False).price ** 2)


def chaos(steps):
    """Return the mean square of prices among four forecasts, between which agents switch fast."""

    def square(theta, key, estimator):
        model = q.agents.BrockHommes(
            trend=[0.0, 0.9, 0.9, 1.01], bias=[0.0, 0.2, -0.2, 0.0], interest=0.01, start=0.1, sigma=0.04,
            agents=100, estimator=estimator, **theta,
        )  # fmt: skip
        return jnp.mean(q.simulate(model, steps=steps, key=key, throw=False).price ** 2)

    return square


CASES = {
    "predators and prey: prey": (wild("prey"), RATES, COMPARED, 1000, 2000, 0.25),
    "predators and prey: predators": (wild("predators"), RATES, COMPARED, 1000, 2000, 0.25),
    **{
        f"epidemic on {name}: attack rate": (attack(graph), {"beta": 0.3, "gamma": 0.1}, ALL, 6000, 10_000, 0.2)
        for name, graph in GRAPHS.items()
    },
    "market of 100 agents: mean square": (volatility, {"intensity": 2.0, "trend": 0.9}, ALL, 20_000, 20_000, 0.1),
    "market in chaos, 10 steps: mean square": (chaos(10), {"intensity": 120.0}, COMPARED, 5000, 20_000, 0.1),
    "market in chaos, 100 steps: mean square": (chaos(100), {"intensity": 120.0}, COMPARED, 5000, 20_000, 0.1),
}
"""Function, parameters, estimators, derivatives, differences, and their step."""


def judged(fn, theta, estimators, draws, referee_draws, step) -> dict:
    """Return what a check says, by estimator and parameter."""
    begun = time.perf_counter()
    found = q.agents.check_gradient(
        fn, theta, key=KEY, draws=draws, referee_draws=referee_draws, step=step, estimators=estimators
    )
    size = np.abs(found.referee)
    table = {
        name: {
            parameter: {
                "mean": found.mean[k, p],
                "error": found.error[k, p],
                "sd": found.sd[k, p],
                "bias_percent": 100 * found.bias[k, p] / size[p],
                "bias_error_percent": 100 * found.bias_error[k, p] / size[p],
            }
            for p, parameter in enumerate(found.parameters)
        }
        | {"verdict": found.verdict(name), "ms_per_derivative": 1000 * found.seconds[k]}
        for k, name in enumerate(found.estimators)
    }
    return {
        "command": shlex.join(["python", "benchmarks/agents_models.py", *sys.argv[1:]]),
        "theta": theta,
        "draws": draws,
        "referee_draws": referee_draws,
        "step": step,
        "referee": dict(zip(found.parameters, found.referee.tolist(), strict=True)),
        "referee_error": dict(zip(found.parameters, found.referee_error.tolist(), strict=True)),
        "estimators": table,
        "seconds": time.perf_counter() - begun,
    }


def main() -> None:
    """Write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the numbers of draws")
    parser.add_argument("--only", default="", help="cases whose names contain this")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    kept = arguments.out is not None and arguments.out.exists()
    table = json.loads(arguments.out.read_text(encoding="utf-8"))["models"] if kept else {}
    for name, (fn, theta, estimators, draws, referee_draws, step) in CASES.items():
        if arguments.only in name:
            many = (max(int(n * arguments.scale), 2) for n in (draws, referee_draws))
            table[name] = judged(fn, theta, estimators, *many, step)
            print(name, json.dumps(table[name], indent=1), flush=True)
            write(table, arguments.out)


def write(table: dict, out: Path | None) -> None:
    """Write the cases so far."""
    result = {
        "what": __doc__,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "models": table,
    }
    if out:
        out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
