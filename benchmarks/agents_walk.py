"""Derivatives of a random walk by every estimator: fifty samples each, their mean, and the truth.

Run with `python benchmarks/agents_walk.py --out benchmarks/results/agents_walk.json --figure docs/assets/agents_walk.svg`.

theta 0.4, 49 draws, as in the notebook that the project grew from: 50 positions come from 49 draws, and
`dE[x_t] / dtheta = 2 t` after t draws, which is what the notebook draws, though it calls the line y = x. Means, standard errors
and deviations after the last draw are those of 20,000 derivatives; the figure shows fifty. `Score()` has a derivative of means
alone: each of its derivatives is that of the mean of 50 walks of t draws.
"""

import argparse
import json
import platform
import re
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np

import quesnay as q

THETA, STEPS, DRAWS, SHOWN, RUNS = 0.4, 49, 20_000, 50, 50
TIMES = np.arange(1, STEPS + 1, 4)
SCORE = f"Score, means of {RUNS} walks"
CASES = {
    "none": None,
    "GumbelSoftmax(0.1)": q.agents.GumbelSoftmax(0.1),
    "GumbelSoftmax(0.5)": q.agents.GumbelSoftmax(0.5),
    "GumbelSoftmax(1)": q.agents.GumbelSoftmax(1.0),
    "StraightThrough": q.agents.StraightThrough(),
    "MeanField": q.agents.MeanField(),
    "Smoothed": q.agents.Smoothed(),
}


def position(theta, key, estimator, steps=STEPS):
    """Return the positions of a walk (steps,)."""
    return q.simulate(q.agents.RandomWalk(theta, estimator), steps=steps, key=key, throw=False).position


def by_score(keys):
    """Return derivatives of the mean position after the times shown (draws, times), by the score of the draws so far."""

    def mean(theta, key, steps):
        def last(theta, key):
            return position(theta, key, q.agents.Score(), steps)[-1]

        return q.agents.expectation(last, theta, key=key, draws=RUNS)

    def slopes(steps):
        return jax.jit(jax.vmap(jax.grad(mean), (None, 0, None)), static_argnums=2)(THETA, keys, int(steps))

    return np.stack([slopes(steps) for steps in TIMES], axis=1)


def draw(samples: dict, path: Path) -> None:
    """Draw the samples of every estimator and their means over time."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "quesnay"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 4, figsize=(13, 6.2), sharex=True, sharey=True, layout="constrained")
    for axis, (name, slopes) in zip(axes.flat, samples.items(), strict=True):
        steps = TIMES if name == SCORE else np.arange(1, STEPS + 1)
        few = slice(None, None, 1 if name == SCORE else 2)  # for a smaller file
        axis.plot(steps[few], slopes[:, few].T, color="#1f6f8b", alpha=0.15, linewidth=0.8)
        axis.plot(steps, slopes.mean(axis=0), color="#1f6f8b", linewidth=2, label=f"mean of {SHOWN}")
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
    shorten(path)


def shorten(path: Path) -> None:
    """Cut the coordinates of lines in a drawing after tenths of a point."""
    cut = partial(re.sub, r"(\.\d)\d+", r"\1")
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'\bd="[^"]*"', lambda found: cut(found[0]), text), encoding="utf-8")


def main() -> None:
    """Write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    keys = jax.random.split(jax.random.key(0), DRAWS)
    table, samples = {}, {}
    for name in (*CASES, SCORE):
        if name == SCORE:
            slopes = by_score(keys)
        else:
            e = CASES[name]
            slopes = np.asarray(
                jax.jit(jax.vmap(lambda key, e=e: jax.jacfwd(position)(jnp.asarray(THETA), key, e)))(keys)
            )
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
