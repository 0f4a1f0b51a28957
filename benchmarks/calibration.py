"""A thousand firms calibrated from group totals: loss and coverage of GVI and ABC against the number of model runs.

    python benchmarks/calibration.py --seeds 5

Every firm has two unknowns, the days of stock n and the adjustment time tau, with log(n - 1) ~ N(log 4, 0.7) and
log(tau - 1.5) ~ N(log 4, 0.5). What is seen is the daily output of 100 groups of firms as a share of its base, over 100 days
after a loss of capacity of 30 % of the firms. Out of sample are four new shocks under the same true parameters. The loss of a
posterior is the mean over its draws of the mean squared error; the coverage is that of the same posterior, over all unknowns.
Pilots and scouts count as model runs; a gradient counts as one.
"""

import argparse
import functools
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions.transforms import AffineTransform, ExpTransform

import quesnay as q

FIRMS, GROUPS, DAYS = 1000, 100, 100
DRAWS = 20
SCALE = 0.06


def above(bound: float, median: float, spread: float) -> dist.Distribution:
    """Return the distribution of bound + exp(N(log median, spread)), one for every firm."""
    return dist.TransformedDistribution(
        dist.Normal(jnp.full(FIRMS, jnp.log(median)), spread), [ExpTransform(), AffineTransform(bound, 1.0)]
    )


PRIOR = {"inventory": above(1.0, 4.0, 0.7), "adjustment": above(1.5, 4.0, 0.5)}


class Firms:
    """One drawn network, its shocks and its simulator."""

    def __init__(self, seed: int) -> None:
        firms = q.firms.draw(q.load("us-2020").nonnegative(), firms=FIRMS, key=jax.random.key(seed))
        self.network = jax.tree.map(lambda v: v.astype(jnp.float32) if v.dtype == jnp.float64 else v, firms.network)
        groups = np.arange(FIRMS) * GROUPS // FIRMS
        self.base = np.bincount(groups, np.asarray(self.network.output), GROUPS)
        self.observe = q.by_group(groups, GROUPS)
        self.seed = seed

    @functools.lru_cache  # noqa: B019
    def shock(self, number: int) -> q.CapacityLoss:
        rng = np.random.default_rng(1000 * self.seed + number)
        lost = (rng.random(FIRMS) < 0.3) * rng.uniform(0.3, 1.0, FIRMS)
        return q.CapacityLoss(jnp.asarray(lost, jnp.float32), start=5, recovery=q.Exponential(rate=jnp.float32(0.05)))

    def run(self, theta: dict, shock: q.CapacityLoss) -> jax.Array:
        n, tau = (theta[name].astype(jnp.float32) for name in ("inventory", "adjustment"))
        model = q.SupplyModel(self.network, inventory=n, adjustment=tau, capacity=jnp.float32(1.2))
        return q.simulate(model, shock, steps=DAYS, observe=self.observe).output / self.base

    def simulator(self, shocks: int):
        return lambda theta: {str(k): self.run(theta, self.shock(k)) for k in range(shocks)}


def judge(firms: Firms, posterior, truth: dict, observed: dict, run) -> dict:
    """Return losses and coverage of one posterior."""
    theta = posterior.theta(DRAWS)
    draws = [jax.tree.map(lambda v, k=k: v[k], theta) for k in range(len(jax.tree.leaves(theta)[0]))]

    def loss(shocks: range) -> float:
        errors = [
            np.mean((np.asarray(run(t, firms.shock(s))) - np.asarray(run(truth, firms.shock(s)))) ** 2)
            for t in draws for s in shocks
        ]  # fmt: skip
        return float(np.mean(errors))

    bounds = posterior.interval(0.9)
    inside = {
        name: np.mean((bounds[name][0].to_numpy() <= truth[name]) & (truth[name] <= bounds[name][1].to_numpy()))
        for name in PRIOR
    }
    contraction = posterior.contraction()
    told = np.concatenate([contraction[k].to_numpy() > 0.3 for k in PRIOR])
    held = np.concatenate(
        [(bounds[k][0].to_numpy() <= truth[k]) & (truth[k] <= bounds[k][1].to_numpy()) for k in PRIOR]
    )
    return {
        "simulations": posterior.simulations,
        "in_sample": loss(range(len(observed))),
        "out_of_sample": loss(range(10, 14)),
        "coverage_90": {k: float(v) for k, v in inside.items()} | {"all": float(np.mean(list(inside.values())))},
        "converged": posterior.converged,
        "contraction": {k: float(contraction[k].mean()) for k in PRIOR},
        "contracted": {k: float((contraction[k] > 0.3).mean()) for k in PRIOR},
        "coverage_90_of_contracted": float(held[told].mean()) if told.any() else None,
    }


def methods(simulator, observed, key, shocks: int, abc: int):
    """Yield the name and the posterior of each method."""
    common = {"key": key, "loss": q.infer.Gaussian(SCALE)}
    for steps in (10, 30, 100, 300, 1000) if shocks == 1 else (10, 100, 300, 1000):
        rate = 0.3 if steps <= 30 else 0.1
        found = functools.partial(q.infer.gvi, simulator, PRIOR, observed, **common, steps=steps, learning_rate=rate)
        yield f"gvi, Gaussian({SCALE}), {steps} steps", found
    yield "gvi, synthetic likelihood", functools.partial(q.infer.gvi, simulator, PRIOR, observed, key=key, steps=202)
    if shocks > 1:
        return
    for count in sorted({min(abc, n) for n in (300, 1000, 3000, 10_000, 30_000)}):
        found = functools.partial(
            q.infer.abc, simulator, PRIOR, observed, key=key, simulations=count, keep=min(100, count // 3)
        )
        yield f"abc, {count} simulations", found


def draw(rows: list[dict], out: Path) -> None:
    """Draw both losses and the coverage against the number of model runs, every seed a line."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "figure_2b"}
    figure, panels = plt.subplots(1, 3, figsize=(9.6, 3.2), layout="constrained")
    kinds = {
        "ABC, one shock": ("#8a97a3", lambda r: r["method"].startswith("abc")),
        "GVI, one shock": ("#1f6fb2", lambda r: r["shocks"] == 1 and "Gaussian" in r["method"]),
        "GVI, four shocks": ("#a23b87", lambda r: r["shocks"] == 4 and "Gaussian" in r["method"]),
    }
    for seed in sorted({row["seed"] for row in rows}):
        for label, (colour, chosen) in kinds.items():
            own = [row for row in rows if row["seed"] == seed and chosen(row)]
            runs = [row["simulations"] for row in own]
            values = (
                [r["in_sample"] for r in own],
                [r["out_of_sample"] for r in own],
                [r["coverage_90"]["all"] for r in own],
            )
            for axes, y in zip(panels, values, strict=True):
                axes.plot(runs, y, "o-", ms=2.5, lw=1, color=colour, label=label if seed == 0 else None)
    for axes, title in zip(panels, ("Loss in sample", "Loss out of sample", "Coverage of 90 % intervals"), strict=True):
        axes.set(xscale="log", xlabel="Model runs", title=title)
        axes.grid(alpha=0.3)
    panels[0].set(yscale="log", ylabel="Mean squared error of output")
    panels[1].set(yscale="log")
    panels[2].axhline(0.9, color="black", lw=0.8, ls=":")
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(out, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--abc", type=int, default=30_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "calibration.json")
    parser.add_argument("--figure", type=Path, help="where to draw it; with --seeds 0 from the results that are there")
    options = parser.parse_args()
    rows = [] if options.seeds else json.loads(options.out.read_text())["rows"]
    for seed in range(options.seeds):
        firms = Firms(seed)
        run = jax.jit(firms.run)
        space = q.infer.read_prior(PRIOR)
        key = jax.random.key(100 + seed)
        truth = space.constrain(space.sample(jax.random.fold_in(key, 1), 1)[0])
        for shocks in (1, 4):
            simulator = firms.simulator(shocks)
            observed = simulator(truth)
            for name, method in methods(simulator, observed, key, shocks, options.abc):
                begun = time.perf_counter()
                row = {"seed": seed, "shocks": shocks, "method": name} | judge(firms, method(), truth, observed, run)
                rows.append(row | {"seconds": round(time.perf_counter() - begun, 1)})
                print(json.dumps(rows[-1]), flush=True)
        record = {
            "command": f"python benchmarks/calibration.py --seeds {options.seeds} --abc {options.abc}",
            "what": __doc__, "firms": FIRMS, "groups": GROUPS, "days": DAYS, "draws": DRAWS, "rows": rows,
        }  # fmt: skip
        options.out.write_text(json.dumps(record, indent=1) + "\n")
    if options.figure:
        draw(rows, options.figure)


if __name__ == "__main__":
    main()
