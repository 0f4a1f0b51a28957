"""Random scenarios with random parameters through every rule: nothing is NaN, no stock is negative, goods are conserved.

python benchmarks/supply_stress.py --out benchmarks/results/supply_stress.json
"""

import argparse
import itertools
import json
import sys
import time
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import quesnay as q
from quesnay import supply
from quesnay._results import RESULTS

N, STEPS, PRODUCTS = 12, 120, 4
TOLERANCE = 1e-11
PATTERN = np.random.default_rng(0).uniform(size=(N, N)) < 0.5
PRODUCTION = {
    "fixed proportions": lambda rating: supply.FixedProportions(),
    "psi": lambda rating: supply.PsiRelaxed(0.8),
    "strongly critical": supply.StronglyCritical,
    "half-critical": supply.HalfCritical,
    "weakly critical": supply.WeaklyCritical,
    "linear": lambda rating: supply.LinearProduction(),
    "CES 0.3": lambda rating: supply.CES(0.3),
    "CES 3": lambda rating: supply.CES(3.0),
}
RATIONING = (supply.Proportional(), supply.FinalDemandFirst(), supply.FinalDemandLast(), supply.Progressive())
ORDERS = (supply.StockAdjustment(), supply.MovingTarget(), supply.Replacement())


def network(rng) -> q.Network:
    """Return a productive table with flows over twelve orders of magnitude and some accounts without final demand."""
    A = rng.uniform(0, 1, (N, N)) ** rng.uniform(1, 8) * PATTERN
    A *= rng.uniform(0.05, 0.98, N) / np.maximum(A.sum(axis=0), 1e-300)
    d = np.exp(rng.normal(0, 4, N)) * (rng.uniform(size=N) < 0.7)
    d[rng.integers(N)] += 1
    x = np.linalg.solve(np.eye(N) - A, d)
    return q.Network.from_table(A * x, d)


def scenario(rng, production: str, rationing, orders, pooled: bool):
    """Return a random model and shock; parameters go to their extremes, also where orders are unstable."""
    net = network(rng)
    net = net.pooled(np.arange(N) % PRODUCTS) if pooled else net
    rating = rng.choice([0.0, 0.5, 1.0], net.links.need.shape)
    model = q.SupplyModel(
        net,
        inventory=1 + rng.exponential(rng.choice([0.1, 5, 200]), N),
        adjustment=rng.exponential(rng.choice([0.5, 10, 1000]), N) + 1e-3,
        capacity=1 + rng.exponential(rng.choice([1e-3, 0.2, 5]), N),
        production=PRODUCTION[production](rating),
        rationing=rationing,
        orders=orders,
        reallocation=supply.TowardsCapacity() if pooled else None,
        overproduction=supply.Overproduction(1 + rng.uniform(0, 1), days=rng.uniform(1, 400)),
        labour=supply.Labour(hiring=rng.uniform(0, 1), firing=rng.uniform(0, 1)),
        reconstruction=supply.Reconstruction(
            rng.uniform(0, 900, N) * net.output, np.full(N, 1 / N), days=rng.uniform(1, 99)
        ),
    )

    def hit(most=1.0):
        loss = rng.uniform(0, most, N) * (rng.uniform(size=N) < rng.uniform(0, 1))
        return np.where(rng.uniform(size=N) < 0.1, most * (loss > 0), loss)

    when = {"start": rng.integers(0, 40, N).astype(float), "duration": rng.integers(0, 30, N).astype(float)}
    shock = (
        q.CapacityLoss(hit(), recovery=q.Exponential(days=rng.uniform(0.1, 300, N)), **when)
        + q.ProductivityLoss(hit(), recovery=q.Linear(days=rng.uniform(0.1, 90)), **when)
        + q.LabourLoss(hit(), recovery=q.Convex(days=rng.uniform(1.1, 90)), **when)
        + q.DemandLoss(hit() - hit(3.0), recovery=q.Concave(days=rng.uniform(1, 90)), **when)
        + q.InputLoss(
            rng.uniform(0, 1, net.links.need.shape) * (rng.uniform(size=net.links.need.shape) < 0.2), start=5.0
        )
        + q.CapitalLoss(hit() * model.reconstruction.capital, start=float(rng.integers(0, 40)))
    )
    return model, shock


@jax.jit
def verdicts(path) -> dict[str, jax.Array]:
    """Return which of the laws hold."""
    flow = jnp.max(path.output, initial=0) + jnp.max(path.base.output)
    gap = jnp.abs(path.output - path.deliveries - path.final_consumption)
    fields = [v for v in jax.tree.leaves(path) if jnp.issubdtype(v.dtype, jnp.floating)]
    return {
        "finite": jnp.all(jnp.asarray([jnp.all(jnp.isfinite(v)) for v in fields])),
        "stocks not negative": jnp.all(path.stock >= 0),
        "output not negative": jnp.all(path.output >= 0),
        "output = deliveries + consumption": jnp.max(gap) <= TOLERANCE * flow,
        "output <= capacity": jnp.all(path.output <= path.capacity * (1 + TOLERANCE)),
        "damage not negative": jnp.all(path.damage >= 0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore", q.StabilityWarning)
    cases = list(itertools.product(PRODUCTION, RATIONING))
    broken: list[dict] = []
    overflown: list[dict] = []

    def names(k):
        return (cases[k][0], type(cases[k][1]).__name__, type(ORDERS[k % 3]).__name__)

    def growth(model):
        plain = q.SupplyModel(
            model.network, inventory=model.inventory, adjustment=model.adjustment, orders=model.orders
        )
        return round(supply.growth(plain), 3)

    began, slowest = time.perf_counter(), 0.0
    each = -(-args.scenarios // len(cases))
    for k, (production, rationing) in enumerate(cases):
        for j in range(each):
            rng = np.random.default_rng([k, j])
            model, shock = scenario(rng, production, rationing, ORDERS[k % 3], pooled=k % 2 == 1)
            start = time.perf_counter()
            path = q.simulate(model, shock, steps=STEPS, throw=False)
            if path.result != RESULTS.successful:
                # Orders that grow without bound (an unstable rule) end beyond the largest number; the result says so.
                overflown.append({"rules": names(k), "seed": [k, j], "growth": growth(model)})
                continue
            held = {name: bool(v) for name, v in verdicts(path).items()}
            if j:
                slowest = max(slowest, time.perf_counter() - start)
            if not all(held.values()):
                broken.append({"rules": names(k), "seed": [k, j], "broken": [n for n, ok in held.items() if not ok]})
    result = {
        "command": "python " + " ".join(sys.argv),
        "scenarios": each * len(cases),
        "pairs of rules": len(cases),
        "accounts": N,
        "steps": STEPS,
        "scenarios with a broken law": broken,
        "scenarios that the result code calls not finite": overflown,
        "slowest scenario, seconds, compilation left out": round(slowest, 3),
        "seconds": round(time.perf_counter() - began, 1),
    }
    print(json.dumps(result, indent=2))
    if args.out:
        args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
