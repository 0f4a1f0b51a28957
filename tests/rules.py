"""Random models with every rule, and shocks of every kind, for the laws."""

import itertools

import numpy as np

import quesnay as q
from quesnay import supply
from tables import STORAGES, random_network, random_parameters, random_rating, random_shock

N = 6
"""Accounts: one size, so that few programs are compiled."""
PRODUCTION = {
    "fixed": lambda seed, network: supply.FixedProportions(),
    "psi": lambda seed, network: supply.PsiRelaxed(0.8),
    "strong": lambda seed, network: supply.StronglyCritical(random_rating(seed, network)),
    "half": lambda seed, network: supply.HalfCritical(random_rating(seed, network)),
    "weak": lambda seed, network: supply.WeaklyCritical(random_rating(seed, network)),
    "linear": lambda seed, network: supply.LinearProduction(),
    "complements": lambda seed, network: supply.CES(0.4),
    "substitutes": lambda seed, network: supply.CES(3.0),
}
RATIONING = {
    "proportional": supply.Proportional(),
    "final first": supply.FinalDemandFirst(),
    "final last": supply.FinalDemandLast(),
    "progressive": supply.Progressive(),
}
PAIRS = list(itertools.product(PRODUCTION, RATIONING))
# Every pair with one storage and one order rule, so that all of them meet often.
ORDERS = (supply.StockAdjustment(), supply.MovingTarget(), supply.Replacement())
CASES = [(*pair, STORAGES[k % 4], ORDERS[k % 3]) for k, pair in enumerate(PAIRS)]


def build(seed, production, rationing, storage, orders, **more):
    order = more.pop("order", None)
    network = random_network(
        seed, N, storage, unit=more.pop("unit", 1.0), order=order, patterned=more.pop("patterned", False)
    )
    rule = PRODUCTION[production](seed, network)
    parameters = {k: v if order is None else v[order] for k, v in random_parameters(seed, N).items()}
    # A target that follows demand amplifies it: stable only with stocks that are small beside the adjustment time.
    if isinstance(orders, supply.MovingTarget):
        parameters["adjustment"] = parameters["adjustment"] + 8 * parameters["inventory"]
    return q.SupplyModel(network, production=rule, rationing=RATIONING[rationing], orders=orders, **parameters, **more)


def shocks(seed, order=None):
    """Return four shocks at once: on capacity, productivity, labour and final demand."""
    rng = np.random.default_rng(seed + 9)
    losses = [rng.uniform(0, 0.7, N) * (rng.uniform(size=N) < 0.4) for _ in range(3)]
    gain = rng.uniform(-0.5, 0.5, N)
    hit = np.asarray(random_shock(seed, N).loss)
    if order is not None:
        losses, gain, hit = [v[order] for v in losses], gain[order], hit[order]
    return (
        q.CapacityLoss(hit, start=2, duration=5, recovery=q.Exponential(days=8.0))
        + q.ProductivityLoss(losses[0], start=4, duration=3, recovery=q.Linear(days=9))
        + q.LabourLoss(losses[1], start=1, duration=10, recovery=q.Convex(days=6))
        + q.DemandLoss(gain, start=7, duration=4, recovery=q.Concave(days=12))
    )


def everything(seed, *, order=None, unit=1.0):
    """Return a model with overproduction, labour, households, reconstruction, delays, endless stocks, all at once."""
    rng = np.random.default_rng(seed + 4)
    network = random_network(seed, N, "table, pooled", unit=unit, order=order)
    take = np.arange(N) if order is None else order
    shares = rng.uniform(0, 1, (N, N))[np.ix_(take, take)]
    parameters = {k: v[take] for k, v in random_parameters(seed, N).items()}
    return q.SupplyModel(
        network,
        **parameters,
        rationing=supply.FinalDemandFirst(),
        reallocation=supply.TowardsCapacity(),
        overproduction=supply.Overproduction(1.3, days=50),
        labour=supply.Labour(),
        households=supply.Households(
            rng.uniform(0, 0.9, N)[take] * network.final_demand, rng.uniform(0.1, 1, N)[take] * network.output
        ),
        reconstruction=supply.Reconstruction(
            rng.uniform(100, 500, N)[take] * network.output, shares / shares.sum(axis=0), days=20.0
        ),
        delay=rng.integers(0, 4, (N, N))[np.ix_(take, take)],
    )


def destroyed(seed, network, order=None):
    take = np.arange(N) if order is None else order
    share = np.random.default_rng(seed + 5).uniform(0, 0.5, N)[take]
    return shocks(seed, order) + q.CapitalLoss(share * 20 * network.output, start=3)
