"""Small economies and runs to report on."""

import numpy as np
import pandas as pd

import quesnay as q
from quesnay.report import Run


def economy(
    regions: list[str],
    sectors: list[str],
    *,
    seed: int = 0,
    satellites: bool = True,
    idle: int | None = None,
    linked: bool = True,
    drop: tuple[int, ...] = (),
) -> q.Economy:
    """Return a random productive table; `idle` is the position of an account without output, `drop` of those left out."""
    labels = [(r, s) for r in regions for s in sectors]
    labels = [label for k, label in enumerate(labels) if k not in drop]
    index = pd.MultiIndex.from_tuples(labels, names=["region", "sector"])
    n, draw = len(index), np.random.default_rng(seed)
    A = draw.uniform(0, 1, (n, n)) * (draw.uniform(0, 1, (n, n)) < max(0.3, 3 / n)) * linked
    A = 0.5 * A / max(A.sum(axis=0).max(), 1e-300)
    d = draw.uniform(1, 10, n) * 1000
    if idle is not None:
        A[idle, :], A[:, idle], d[idle] = 0, 0, 0
    x = np.linalg.solve(np.eye(n) - A, d)
    given = {}
    if satellites:
        given["jobs"] = (pd.Series(x * draw.uniform(0.5, 2, n) / 100, index), "thousand jobs")
        given["ghg"] = (pd.Series(x * draw.uniform(0, 1, n), index), "kt CO2e")
    frame = pd.DataFrame(A * x, index, index)
    return q.Economy.from_frames(
        Z=frame, final_demand=pd.Series(d, index), satellites=given, currency="MUSD", year=2020, name="random"
    )


def run(
    table: q.Economy,
    *,
    hit: dict[int, float] | None = None,
    steps: int = 90,
    inventory: float = 6.0,
    adjustment: float = 10.0,
    capacity: float = 1.1,
    title: str = "A test",
    **more,
) -> Run:
    """Return a run in which the accounts in `hit` lose a share of their capacity from day 5 for 12 days."""
    network = q.Network.from_table(table.Z, table.final_demand, value_added=table.value_added, days=365)
    model = q.SupplyModel(network, inventory=inventory, adjustment=adjustment, capacity=capacity)
    loss = np.zeros(table.n)
    for k, share in ({0: 0.6} if hit is None else hit).items():
        loss[k] = share
    shock = q.CapacityLoss(loss, start=5, duration=12, recovery=q.Exponential(days=8)) if loss.any() else None
    path = q.simulate(model, shock, steps=steps)
    return Run(
        economy=table,
        model=model,
        shock=shock,
        path=path,
        title=title,
        outcomes=tuple(more.pop("outcomes", table.satellites)),
        **more,
    )
