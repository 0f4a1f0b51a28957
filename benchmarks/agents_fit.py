"""Contact and recovery rates of an epidemic of agents, found from its daily series: modes from (1, 1), and posteriors.

Run with `python benchmarks/agents_fit.py --out benchmarks/results/agents_fit.json`.

1,000 agents, 60 days, 1 % infected at the start, beta 0.2 and gamma 0.05.

Fits: each seed has an epidemic of its own, with errors of 5 % on the daily infections and recoveries, as in the notebook that
the project grew from, and is fitted by `infer.map` under log-normal priors whose medians are (1, 1), from where squared
errors fall towards no epidemic at all, and whose logarithms have a deviation of 1.5. A fit is good where both rates are
within 20 %; one that raised counts as not good. "likelihood" is the synthetic likelihood with 1,000 scouts; the other losses
begin at the best of as many prior draws.

Posteriors: rates are drawn from LogNormal(log 0.2, 0.4) and LogNormal(log 0.05, 0.4), epidemics from these, and `infer.gvi`
sees two numbers of each, the logarithms of infections per contact of the susceptible with the infected and of recoveries per
infected day, whose errors are 1 over the root of the number of events. Its simulator runs four epidemics, whose mean is
compared with the one observed, less the part that their own variance has in the square. The exact posterior is on a grid, by
the binomial likelihood of all daily counts; widths of 90 % intervals are relative to its own.
"""

import argparse
import json
import platform
import sys
import types
import warnings
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from scipy.special import xlog1py, xlogy

import quesnay as q

AGENTS, STEPS, BETA, GAMMA, INFECTED = 1000, 60, 0.2, 0.05, 0.01
PRIOR = {"beta": dist.LogNormal(0.0, 1.5), "gamma": dist.LogNormal(0.0, 1.5)}
KNOWN = {"beta": dist.LogNormal(jnp.log(BETA), 0.4), "gamma": dist.LogNormal(jnp.log(GAMMA), 0.4)}
RUNS = 4
"""Epidemics of one simulation of posteriors; the first is the one that is observed."""
CENTRE, SPREAD = np.log([BETA, GAMMA]), 0.4
WITHIN = 0.2


def epidemic(theta, key):
    """Return the path of an epidemic at two rates."""
    sir = q.agents.SIR(agents=AGENTS, infected=INFECTED, beta=theta["beta"], gamma=theta["gamma"])
    return q.simulate(sir, steps=STEPS, key=key, throw=False)


def series(theta, key):
    """Return daily infections and recoveries."""
    path = epidemic(theta, key)
    return {"infections": path.infections, "recoveries": path.recoveries}


def losses() -> dict:
    """Return the losses that are compared, and the number of scouts of the search."""
    squares = q.infer.Gaussian(0.002, draws=4)
    return {
        "likelihood": (q.infer.SyntheticLikelihood(pilot_scouts=1000, pilot_draws=300, pilot_steps=60, draws=4), 0),
        "squared error": (squares, 1000),
        "square roots": (q.infer.square_root(q.infer.Gaussian(1 / AGENTS**0.5, draws=4), 1 / AGENTS), 1000),
        "cumulative": (q.infer.cumulative(q.infer.Gaussian(0.05, draws=4)), 1000),
    }


def fits(name: str, seeds: int) -> dict:
    """Return how often both rates are found."""
    loss, scouts = losses()[name]
    rng, ratios, said = np.random.default_rng(0), [], 0
    for seed in range(seeds):
        path, own = jax.random.split(jax.random.key(seed))
        drawn = series({"beta": BETA, "gamma": GAMMA}, path)
        observed = {k: np.asarray(v) * (1 + 0.05 * rng.standard_normal(STEPS)) for k, v in drawn.items()}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                found = q.infer.map(
                    series, PRIOR, jax.tree.map(abs, observed), key=own, loss=loss, scouts=scouts,
                    steps=200, learning_rate=0.05,
                )  # fmt: skip
        except q.SolveError:
            ratios.append([np.nan, np.nan])
            continue
        said += not found.converged
        mean = found.mean()
        ratios.append([float(mean["beta"]) / BETA, float(mean["gamma"]) / GAMMA])
    ratios = np.array(ratios)
    good = np.all(np.abs(ratios - 1) < WITHIN, axis=1)
    fine = ratios[np.isfinite(ratios[:, 0])]
    return {
        "seeds": seeds,
        "both_within_20_percent": float(good.mean()),
        "raised": int(np.isnan(ratios[:, 0]).sum()),
        "not_converged": said,
        "median_over_truth": np.median(fine, axis=0).tolist(),
        "quantiles_over_truth": np.quantile(fine, [0.025, 0.975], axis=0).tolist(),
        "sd_of_logarithm": np.log(fine).std(axis=0).tolist(),
        "simulations_each": int(found.simulations),
    }  # fmt: skip


def rates(theta, key):
    """Return rates per exposure, numbers of events, and the counts that the exact posterior takes, of several epidemics."""
    path = jax.vmap(epidemic, (None, 0))(theta, jax.random.split(key, RUNS))
    start = path.infected[:, :1] - path.infections[:, :1] + path.recoveries[:, :1]
    before = jnp.concatenate([start, path.infected[:, :-1]], axis=1)
    exposed = path.susceptible + path.infections
    events = AGENTS * jnp.stack([path.infections.sum(axis=1), path.recoveries.sum(axis=1)], axis=1)
    exposure = AGENTS * jnp.stack([jnp.sum(exposed * before, axis=1), jnp.sum(before, axis=1)], axis=1)
    return {
        "logs": jnp.log((events + 0.5) / (exposure + 1e-3)),
        "events": events,
        "counts": AGENTS * jnp.stack([path.infections, path.recoveries, exposed, before], axis=1),
    }


def misfit(simulated, observed):
    """Return half the squared distance of the mean logarithm, in units of its error, less what the variance of runs adds."""
    residual = (simulated["logs"] - observed["logs"][0]) * jnp.sqrt(observed["events"][0] + 0.5)
    return 0.5 * jnp.sum((RUNS * residual.mean(axis=0) ** 2 - (residual**2).mean(axis=0)) / (RUNS - 1))


def exact(simulator, prior, observed, *, key):
    """Return draws of the exact posterior, from a grid around its mode, twice refined."""
    new, well, exposed, before = np.round(np.asarray(observed["counts"][0], float))
    rng, middle, reach = np.random.default_rng(int(jax.random.randint(key, (), 0, 2**31 - 1))), np.zeros(2), 6.0
    for _ in range(3):
        axes = [m + reach * np.linspace(-1, 1, 161) for m in middle]
        logs = []
        for k, (events, trials) in enumerate(((new, exposed), (well, before))):
            rate = np.exp(CENTRE[k] + SPREAD * axes[k])[:, None] * (before / AGENTS if k == 0 else 1.0)
            p = -np.expm1(-rate)
            logs.append((xlogy(events, p) + xlog1py(trials - events, -p)).sum(axis=1) - 0.5 * axes[k] ** 2)
        # The likelihood is a product of one of infections and one of recoveries, so that the grid is two lines.
        weights = [np.exp(value - value.max()) for value in logs]
        means = [np.average(a, weights=w) for a, w in zip(axes, weights, strict=True)]
        sds = [np.sqrt(np.average((a - m) ** 2, weights=w)) for a, m, w in zip(axes, means, weights, strict=True)]
        middle, reach = np.array(means), min(reach, 6 * max(max(sds), 1e-3))
    z = np.stack([
        rng.choice(a, 4000, p=w / w.sum()) + (a[1] - a[0]) * (rng.random(4000) - 0.5)
        for a, w in zip(axes, weights, strict=True)
    ], axis=1)  # fmt: skip
    return types.SimpleNamespace(z=z[None], converged=True)


def posteriors(replicates: int) -> dict:
    """Return coverage and widths."""
    method = partial(q.infer.gvi, loss=misfit, weight=1.0, steps=600, draws=2000)
    report = q.infer.coverage(method, rates, KNOWN, key=jax.random.key(1), replicates=replicates, reference=exact)
    at = {"level": 0.9}
    return {
        "replicates": replicates,
        "coverage_90": report.coverage.sel(at).to_numpy().tolist(),
        "coverage_error": report.coverage_error.sel(at).to_numpy().tolist(),
        "overall_90": float(report.overall.sel(at)),
        "overall_error": float(report.overall_error.sel(at)),
        "exact_coverage_90": report.reference_coverage.sel(at).to_numpy().tolist(),
        "width_over_exact": report.width.sel(at).to_numpy().tolist(),
        "contraction": report.contraction.to_numpy().tolist(),
        "p_value_of_ranks": report.p_value.to_numpy().tolist(),
        "failed": report.failed,
        "not_converged": report.not_converged,
    }


def main() -> None:
    """Write both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--others", type=int, default=20, help="seeds of the losses beside the likelihood")
    parser.add_argument("--replicates", type=int, default=400)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    result = {
        "command": f"python benchmarks/agents_fit.py {' '.join(sys.argv[1:])}".strip(),
        "what": __doc__,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "posteriors": posteriors(arguments.replicates),
        "fits": {},
    }
    print(json.dumps(result["posteriors"]), flush=True)
    for name in losses():
        result["fits"][name] = fits(name, arguments.seeds if name == "likelihood" else arguments.others)
        print(name, json.dumps(result["fits"][name]), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
