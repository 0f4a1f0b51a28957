"""The order of losses by production rule and by rationing rule, on named scenarios of the packaged table us-2020.

Two regions (Georgia and the rest of the United States) of 29 sectors, every supplier's good an input of its own (nothing
pooled), stocks of 5 days, 10 days to refill them, no spare capacity; 30 days of loss, then none. The criticality is synthetic:
goods (the first 14 sectors, agriculture to furniture) are critical to makers of goods and important to everybody else;
trade and transport are important to everybody; no other service is either.

Losses are output lost over 180 days, in days of the base output of both regions together. Days are compared too, for each pair
of neighbours in the order from fixed proportions to weakly critical: on how many days the laxer rule loses more than the
stricter one (what was made with scarce inputs during the shock is missing from stocks after it), the first of them, and on how
many days it has lost more since the start.

Run with `python benchmarks/production_rules.py --out benchmarks/results/production_rules.json`.
"""

import argparse
import itertools
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

import quesnay as q

GOODS, MANUFACTURING = slice(0, 14), slice(4, 14)
CARRIERS = ("Wholesale trade", "Retail trade", "Transport and storage")
DAYS = 180
ORDER = ("fixed proportions", "strongly critical", "half critical", "weakly critical")


def rating(sectors: tuple[str, ...]) -> np.ndarray:
    """Return the synthetic criticality (m, m), rows the input and columns its user."""
    goods = np.isin(sectors, sectors[GOODS])
    important = goods | np.isin(sectors, CARRIERS)
    return np.where(goods[:, None] & goods, 1.0, np.where(important[:, None], 0.5, 0.0))


def production_rules(network: q.Network, sector: np.ndarray, sectors: tuple[str, ...]) -> dict:
    """Return the rules to compare, by name."""
    critical = q.supply.criticality(network, rating(sectors), sector)
    return {
        "fixed proportions": q.supply.FixedProportions(),
        "strongly critical": q.supply.StronglyCritical(critical),
        "half critical": q.supply.HalfCritical(critical),
        "weakly critical": q.supply.WeaklyCritical(critical),
        "linear": q.supply.LinearProduction(),
        "psi .25": q.supply.PsiRelaxed(0.25),
        "psi .5": q.supply.PsiRelaxed(0.5),
        "psi .8": q.supply.PsiRelaxed(0.8),
        "CES .3": q.supply.CES(0.3),
        "CES .9": q.supply.CES(0.9),
        "CES 3": q.supply.CES(3.0),
    }


RATIONING = {
    "proportional": q.supply.Proportional(),
    "final demand first": q.supply.FinalDemandFirst(),
    "final demand last": q.supply.FinalDemandLast(),
    "progressive": q.supply.Progressive(),
}


def scenarios(economy: q.Economy) -> dict[str, np.ndarray]:
    """Return the shares of capacity lost, by name."""
    region, sector = (economy.index.get_level_values(level).to_numpy() for level in ("region", "sector"))
    georgia, manufacturing = region == "Georgia", np.isin(sector, economy.sectors[MANUFACTURING])
    goods = np.isin(sector, economy.sectors[GOODS])
    return {
        "60 % of Georgia's manufacturing": 0.6 * (georgia & manufacturing),
        "20 % of all manufacturing": 0.2 * manufacturing,
        "60 % of Georgia's services": 0.6 * (georgia & ~goods),
    }


def run(network: q.Network, loss: np.ndarray, rule, rationing) -> dict[str, np.ndarray]:
    """Return the losses of a scenario, by day and account, in base output of a day."""
    model = q.SupplyModel(network, inventory=5.0, adjustment=10.0, production=rule, rationing=rationing)
    path = q.simulate(model, q.CapacityLoss(loss, start=5, duration=30, recovery=q.Linear(days=1e-6)), steps=DAYS)
    losses = path.losses()
    base = float(network.output.sum())
    unmet = np.asarray(path.base.final_consumption - path.final_consumption)
    return {
        "output": np.asarray(losses.total) / base,
        "direct": np.asarray(losses.direct) / base,
        "final": unmet / float(network.final_demand.sum()),
    }


def main() -> None:
    """Run, print, and write the numbers if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    economy = q.load("us-2020").nonnegative()
    network = q.Network.from_table(economy.Z, economy.final_demand, value_added=economy.value_added, days=365)
    sector = economy.index.get_level_values("sector")
    rules = production_rules(network, np.array([economy.sectors.index(name) for name in sector]), economy.sectors)
    result = {"command": " ".join(["python", *sys.argv]), "python": platform.python_version(), "jax": version("jax")}
    result["scenarios"] = {}
    for name, loss in scenarios(economy).items():
        found = {
            (made, shared): run(network, loss, rule, rationing)
            for made, rule in rules.items()
            for shared, rationing in RATIONING.items()
            if shared == "proportional" or made in ("fixed proportions", "half critical")
        }
        direct = found["fixed proportions", "proportional"]["direct"].sum()
        table = {
            f"{made}, {shared}": {
                "output_lost_days": round(float(losses["output"].sum()), 4),
                "times_direct": round(float(losses["output"].sum() / direct), 2),
                "final_demand_unserved_days": round(float(losses["final"].sum()), 4),
                "worst_day_percent": round(float(100 * losses["output"].sum(axis=1).max()), 2),
            }
            for (made, shared), losses in found.items()
        }
        by_day = {made: found[made, "proportional"]["output"].sum(axis=1) for made in ORDER}
        broken = {}
        for strict, lax in itertools.pairwise(ORDER):
            more, since = (by_day[lax] - by_day[strict] > 1e-9, np.cumsum(by_day[lax] - by_day[strict]) > 1e-9)
            broken[f"{lax} loses more than {strict}"] = {
                "days": int(more.sum()),
                "first_day": int(np.argmax(more)) if more.any() else None,
                "days_since_the_start": int(since.sum()),
            }
        result["scenarios"][name] = {
            "direct_days": round(float(direct), 4),
            "rules": table,
            "days_out_of_order": broken,
        }
        print(f"\n{name}: direct loss {direct:.4f} days of output")
        print(f"{'':42s}{'days lost':>10s}{'x direct':>10s}{'final':>10s}{'worst day':>11s}")
        for which, row in sorted(table.items(), key=lambda item: -item[1]["output_lost_days"]):
            print(
                f"{which:42s}{row['output_lost_days']:10.4f}{row['times_direct']:10.2f}"
                f"{row['final_demand_unserved_days']:10.4f}{row['worst_day_percent']:10.2f}%"
            )
        print(broken, flush=True)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
