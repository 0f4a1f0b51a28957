"""Derivatives of firms that hire, default and are replaced, against finite differences with common random numbers.

Run with `python benchmarks/agents_firms.py --out benchmarks/results/agents_firms.json`.

8 firms of 20 workers on a drawn network with 4 products of two suppliers each, 40 days; two firms lose 80 % of their capacity
from day 2 to 16. The outcome is the mean of output over firms and days, as a share of output at the base state. By rates of
separation, hiring, default and entry: the derivative by each estimator over that by finite differences (two steps of 20 and
40 % of the rate, extrapolated to 0), less 1, with the standard error of both; "sd" is the deviation of a single derivative over
its mean. Finite differences are taken with `estimator=None`, whose values are the same in half of the time.
"""

import argparse
import json
import platform
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import quesnay as q

FIRMS, PRODUCTS, WORKERS, STEPS = 8, 4, 20, 40
RATES = {"default": 0.05, "entry": 0.05, "hiring": 0.1, "separation": 0.01}
PLAIN = q.agents.Smoothed()
"""The estimator of the referee's own runs."""


def supply():
    """Return the supply model and its shock."""
    rng = np.random.default_rng(0)
    flows = np.zeros((FIRMS, FIRMS))
    for customer in range(FIRMS):
        suppliers = rng.choice(np.delete(np.arange(FIRMS), customer), 4, replace=False)
        flows[suppliers, customer] = rng.uniform(0.5, 1.5, 4)
    network = q.Network.from_table(flows, rng.uniform(4, 8, FIRMS)).pooled(np.arange(FIRMS) % PRODUCTS)
    model = q.SupplyModel(
        network, inventory=10.0, adjustment=10.0, capacity=1.2, reallocation=q.supply.TowardsCapacity()
    )
    return model, q.CapacityLoss(jnp.where(jnp.arange(FIRMS) < 2, 0.8, 0.0), start=2, duration=15)


def main() -> None:
    """Write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--referee-draws", type=int, default=12_000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    model, shock = supply()
    base, begun = float(model.network.output.sum()) * STEPS, time.perf_counter()

    def outcome(rates, key, estimator, keep=lambda seen: jnp.sum(seen["supply"].output) / base):
        firms = q.agents.FirmDynamics(model, workers=WORKERS, buffer=2.0, credit=0.5, estimator=estimator, **rates)
        return jnp.sum(q.simulate(firms, shock, steps=STEPS, key=key, observe=keep, throw=False).value)

    def cheaply(rates, key, estimator):
        return outcome(rates, key, None if estimator == PLAIN else estimator)

    key = jax.random.key(0)
    checked = {"key": key, "draws": arguments.draws, "step": 0.2}
    through = q.agents.check_gradient(
        cheaply, RATES, referee_draws=arguments.referee_draws, estimators=(q.agents.StraightThrough(),), **checked
    )
    print(through, time.perf_counter() - begun, flush=True)
    others = q.agents.check_gradient(
        outcome, RATES, referee_draws=2, estimators=(PLAIN, q.agents.Score(), q.agents.MeanField()), **checked
    )
    table = {}
    for check in (others, through):
        for k, name in enumerate(check.estimators):
            ratio = check.mean[k] / through.referee
            error = np.hypot(check.error[k], ratio * through.referee_error) / np.abs(through.referee)
            table[name] = {
                parameter: {
                    "bias": ratio[p] - 1,
                    "standard_error": error[p],
                    "sd": check.sd[k, p] / abs(check.mean[k, p]),
                    "seconds": check.seconds[k],
                }
                for p, parameter in enumerate(check.parameters)
            }
            print(name, json.dumps(table[name]), flush=True)
    events = jax.jit(
        jax.vmap(lambda own: outcome(RATES, own, None, lambda seen: jnp.stack([seen[e].sum() for e in ("defaults",)])))
    )(jax.random.split(key, 1000))
    result = {
        "command": f"python benchmarks/agents_firms.py {' '.join(sys.argv[1:])}".strip(),
        "what": __doc__,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "defaults_per_run": float(events.mean()),
        "referee": dict(zip(through.parameters, through.referee.tolist(), strict=True)),
        "referee_error": dict(zip(through.parameters, through.referee_error.tolist(), strict=True)),
        "estimators": table,
        "seconds": time.perf_counter() - begun,
    }
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
