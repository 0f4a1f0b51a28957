"""Derivatives of an epidemic of agents by every estimator, against a score function with a million paths of counts.

Run with `python benchmarks/agents_sir.py --out benchmarks/results/agents_sir.json`.

1,000 agents, 60 days, beta 0.2, gamma 0.05, 1 % infected at the start. Two outcomes: the attack rate, and the sum of squared
differences of daily infections and recoveries from those of one other epidemic (beta 0.26). The truth is `E[f d log P]` of the
binomial counts, drawn by NumPy, with the scores themselves as control variates; nothing of quesnay is in it. `tutorial` is the
Gumbel-softmax of the notebook that the project grew from: probabilities of all agents clipped at 1e-8, tau 0.5. Ratios are
means over truths, with the standard errors of both; "sd" is the deviation of a single derivative over the truth.
"""

import argparse
import json
import platform
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import quesnay as q

AGENTS, STEPS, BETA, GAMMA, INFECTED = 1000, 60, 0.2, 0.05, 0.01
TAU = 0.5
PARAMETERS, OUTCOMES = ("beta", "gamma", "infected"), ("attack rate", "squared error")


def counts(beta, paths, rng):
    """Return infections and recoveries (steps, paths) as fractions, and scores by the parameters (3, paths)."""
    infected = rng.binomial(AGENTS, INFECTED, paths)
    susceptible, score = AGENTS - infected, np.zeros((3, paths))
    score[2] = infected / INFECTED - (AGENTS - infected) / (1 - INFECTED)
    recovery, news, wells = 1 - np.exp(-GAMMA), [], []
    for _ in range(STEPS):
        share = infected / AGENTS
        p = 1 - np.exp(-beta * share)
        new, well = rng.binomial(susceptible, p), rng.binomial(infected, recovery)
        with np.errstate(divide="ignore", invalid="ignore"):
            score[0] += np.where(p > 0, (new / p - (susceptible - new) / (1 - p)) * share * np.exp(-beta * share), 0)
        score[1] += (well / recovery - (infected - well) / (1 - recovery)) * np.exp(-GAMMA)
        susceptible, infected = susceptible - new, infected + new - well
        news.append(new / AGENTS)
        wells.append(well / AGENTS)
    return np.array(news), np.array(wells), score


def truth(observed, paths, rng):
    """Return derivatives (outcomes, parameters) and their standard errors."""
    values, scores = [], []
    for _ in range(paths // 50_000):
        news, wells, score = counts(BETA, 50_000, rng)
        squares = ((news - observed[0]) ** 2 + (wells - observed[1]) ** 2).sum(axis=0)
        values.append(np.stack([news.sum(axis=0), squares]))
        scores.append(score)
    f, s = np.concatenate(values, axis=1), np.concatenate(scores, axis=1)
    mean, error = np.zeros((2, 3)), np.zeros((2, 3))
    for i, j in np.ndindex(2, 3):
        product = (f[i] - f[i].mean()) * s[j]
        covariance = np.cov(np.vstack([product, s]))
        rest = product - np.linalg.solve(covariance[1:, 1:], covariance[0, 1:]) @ s
        mean[i, j], error[i, j] = rest.mean(), rest.std() / np.sqrt(f.shape[1])
    return mean, error


def clipped(theta, key):
    """Return infections and recoveries by the notebook's relaxation."""
    beta, gamma, infected = theta

    def draw(p, key):
        logits = jnp.log(jnp.stack([p, 1 - p])) + jax.random.gumbel(key, (2, AGENTS))
        soft = jax.nn.softmax(logits / TAU, axis=0)[0]
        return soft + jax.lax.stop_gradient((logits[0] > logits[1]) - soft)

    def advance(state, key):
        susceptible, ill = state
        one, two = jax.random.split(key)
        new = draw(jnp.clip(susceptible * (1 - jnp.exp(-beta * ill.sum() / AGENTS)), 1e-8, 1 - 1e-16), one)
        well = draw(jnp.clip(ill * (1 - jnp.exp(-gamma)), 1e-8, 1 - 1e-16), two)
        return (susceptible - new, ill + new - well), (new.sum() / AGENTS, well.sum() / AGENTS)

    begin, rest = jax.random.split(key)
    first = draw(jnp.full(AGENTS, infected), begin)
    return jax.lax.scan(advance, (1 - first, first), jax.random.split(rest, STEPS))[1]


def derivatives(paths, draws):
    """Return mean and deviation (outcomes, parameters) of derivatives of `paths(theta, key)` less the observed."""
    run = jax.jit(lambda theta, keys: jax.lax.map(lambda key: jax.jacfwd(paths)(theta, key), keys, batch_size=50))
    found = np.asarray(run(jnp.array([BETA, GAMMA, INFECTED]), jax.random.split(jax.random.key(7), draws)))
    return found.mean(axis=0), found.std(axis=0, ddof=1)


def main() -> None:
    """Write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paths", type=int, default=1_000_000)
    parser.add_argument("--draws", type=int, default=200_000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    news, wells, _ = counts(1.3 * BETA, 1, rng)
    observed = news[:, 0], wells[:, 0]
    mean, error = truth((news, wells), arguments.paths, rng)

    def outcomes(news, wells):
        return jnp.stack([news.sum(), jnp.sum((news - observed[0]) ** 2 + (wells - observed[1]) ** 2)])

    def model(theta, key, **more):
        sir = q.agents.SIR(agents=AGENTS, beta=theta[0], gamma=theta[1], infected=theta[2], **more)
        path = q.simulate(sir, steps=STEPS, key=key, throw=False)
        return outcomes(path.infections, path.recoveries)

    cases = {
        "Smoothed, counts": lambda t, k: model(t, k),
        "Smoothed, agents": lambda t, k: model(t, k, lumped=False),
        "StraightThrough, counts": lambda t, k: model(t, k, estimator=q.agents.StraightThrough()),
        "GumbelSoftmax(0.5)": lambda t, k: model(t, k, estimator=q.agents.GumbelSoftmax(TAU)),
        "tutorial, clipped, tau 0.5": lambda t, k: outcomes(*clipped(t, k)),
        "MeanField": lambda t, k: model(t, k, estimator=q.agents.MeanField()),
    }
    table = {}
    for name, paths in cases.items():
        draws = arguments.draws // (4 if "agents" in name else 40 if "tau" in name or "Gumbel" in name else 1)
        found, sd = derivatives(paths, draws)
        ratio = found / mean
        spread = np.hypot(sd / draws**0.5, ratio * error) / np.abs(mean)
        table[name] = {
            outcome: {
                parameter: {
                    "over_truth": ratio[i, j],
                    "standard_error": spread[i, j],
                    "sd": sd[i, j] / abs(mean[i, j]),
                }
                for j, parameter in enumerate(PARAMETERS)
            }
            for i, outcome in enumerate(OUTCOMES)
        }  # fmt: skip
        print(name, json.dumps(table[name]), flush=True)
    result = {
        "command": f"python benchmarks/agents_sir.py {' '.join(sys.argv[1:])}".strip(),
        "what": __doc__,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "truth": {o: dict(zip(PARAMETERS, mean[i].tolist(), strict=True)) for i, o in enumerate(OUTCOMES)},
        "truth_error": {o: dict(zip(PARAMETERS, error[i].tolist(), strict=True)) for i, o in enumerate(OUTCOMES)},
        "estimators": table,
    }
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
