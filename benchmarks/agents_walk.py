"""Derivatives of a random walk by every estimator: fifty samples each, their mean, and the truth.

Run with `python benchmarks/agents_walk.py --out benchmarks/results/agents_walk.json --figure docs/assets/agents_walk.svg`.

theta 0.4, 49 draws, as in the notebook that the project grew from; its truth, 2 n, counts one draw too many, for n positions
come from n - 1 draws: `dE[x_t] / dtheta = 2 t` after t draws. Means, standard errors and deviations after the last draw are
those of 20,000 derivatives; the figure shows fifty.
"""

import argparse
import json
import platform
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np

import quesnay as q

THETA, STEPS, DRAWS, SHOWN = 0.4, 49, 20_000, 50
CASES = {
    "none": None,
    "GumbelSoftmax(0.1)": q.agents.GumbelSoftmax(0.1),
    "GumbelSoftmax(0.5)": q.agents.GumbelSoftmax(0.5),
    "GumbelSoftmax(1)": q.agents.GumbelSoftmax(1.0),
    "StraightThrough": q.agents.StraightThrough(),
    "Smoothed": q.agents.Smoothed(),
}


def position(theta, key, estimator):
    """Return the positions of a walk (steps,)."""
    return q.simulate(q.agents.RandomWalk(theta, estimator), steps=STEPS, key=key, throw=False).position


def draw(samples: dict, path: Path) -> None:
    """Draw the samples of every estimator and their means over time."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "quesnay"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(11, 6.2), sharex=True, sharey=True, layout="constrained")
    steps = np.arange(1, STEPS + 1)
    for axis, (name, slopes) in zip(axes.flat, samples.items(), strict=True):
        axis.plot(steps, slopes.T, color="#1f6f8b", alpha=0.15, linewidth=0.8)
        axis.plot(steps, slopes.mean(axis=0), color="#1f6f8b", linewidth=2, label="mean of 50")
        axis.plot(steps, 2 * steps, color="0.1", linestyle="--", linewidth=1.2, label="truth, 2 t")
        axis.set_title(name, fontsize=11)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(frameon=False, loc="upper left")
    for axis in axes[1]:
        axis.set_xlabel("draws t")
    for axis in axes[:, 0]:
        axis.set_ylabel("derivative of the position by theta")
    axes[0, 0].set_ylim(-40, 220)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    keys = jax.random.split(jax.random.key(0), DRAWS)
    table, samples = {}, {}
    for name, estimator in CASES.items():
        slopes = jax.jit(jax.vmap(lambda key, e=estimator: jax.jacfwd(position)(jnp.asarray(THETA), key, e)))(keys)
        slopes = np.asarray(slopes)
        last, truth = slopes[:, -1], 2 * STEPS
        table[name] = {
            "mean_over_truth": last.mean() / truth,
            "standard_error": last.std(ddof=1) / DRAWS**0.5 / truth,
            "sd_over_truth": last.std(ddof=1) / truth,
        }
        samples[name] = slopes[:SHOWN]
        print(name, json.dumps(table[name]), flush=True)
    result = {
        "command": f"python benchmarks/agents_walk.py {' '.join(sys.argv[1:])}".strip(),
        "what": __doc__,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "estimators": table,
    }
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if arguments.figure:
        draw(samples, arguments.figure)


if __name__ == "__main__":
    main()
