"""What sectors hide: the same shock on drawn firm networks and on the sector tables that they add up to.

Firms are drawn on us-2020. A shock closes some firms for 20 days; in the sector table every sector loses the share of capacity
that its firms lose together, so that the direct loss is the same. Both run under the same rules: fixed proportions,
proportional rationing, stocks of 10 days, 20 days to refill them, no spare capacity (with some, a sector would make up for what
single firms cannot). Firms are run with every supplier's good an input of its own, and with the suppliers of a sector (in
whichever region) pooled, in their base shares; the table likewise.

`understated` is the share of the firm-level loss of output that the sector table does not show, 1 - sector / firm.

Run with `python benchmarks/aggregation.py --out benchmarks/results/aggregation.json`.
"""

import argparse
import json
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

import quesnay as q
from quesnay.economy import firms as qf

START, CLOSED, DAYS = 5, 20, 120
RULES = {"inventory": 10.0, "adjustment": 20.0, "capacity": 1.0}


def shocks(firms: qf.Firms, sector: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return which firms are closed (M,), by name of the shock."""
    rng = np.random.default_rng(seed)
    output, count = np.asarray(firms.network.output), firms.network.firms
    links = np.bincount(firms.supplier, minlength=count)
    manufacturing = np.isin(sector, q.load("us-2020").sectors[4:14])
    middle = np.argsort(-output)[count // 20 : count // 5]
    return {
        "1 % of firms, drawn": (rng.random(count) < 0.01).astype(float),
        "5 % of manufacturers, drawn": (manufacturing & (rng.random(count) < 0.05)).astype(float),
        "10 middling firms, drawn": np.isin(np.arange(count), rng.choice(middle, 10, replace=False)).astype(float),
        "the firm with most customers": (np.arange(count) == np.argmax(links)).astype(float),
        "10 % of capacity of every manufacturer": 0.1 * manufacturing,
    }


def aggregated(firms: qf.Firms, group: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return flows between groups (count, count) and final demand (count,), per day."""
    flows = np.zeros((count, count))
    np.add.at(flows, (group[firms.supplier], group[firms.customer]), firms.flow)
    return flows, np.bincount(group, np.asarray(firms.network.final_demand), count)


def lost(network: q.Network, loss: np.ndarray, of: np.ndarray, count: int) -> tuple[float, float]:
    """Return the loss of output and the direct part of it, in shares of a year's base output."""
    shock = q.CapacityLoss(loss, start=START, duration=CLOSED, recovery=q.Linear(days=1e-6))
    path = q.simulate(q.SupplyModel(network, **RULES), shock, steps=DAYS, observe=q.by_group(of, count))
    base = float(np.asarray(network.output).sum())
    output = np.asarray(path.output).sum(axis=1)
    direct = np.maximum(0, 1 - RULES["capacity"] * (1 - loss)) @ np.asarray(network.output) * CLOSED
    return float((base - output).sum()) / base / 365, float(direct) / base / 365


def case(count: int, seed: int) -> list[dict[str, object]]:
    """Return the comparison on one drawn network, shock by shock."""
    economy = q.load("us-2020").nonnegative()
    firms = qf.draw(economy, firms=count, key=jax.random.key(seed))
    group, labels = firms.groups(("region", "sector"))
    product, names = firms.groups("sector")
    Z, d = aggregated(firms, group, len(labels))
    of_group = np.array([list(names).index(sector) for _, sector in labels])
    table = q.Network.from_table(Z, d)
    kinds = {
        "inputs apart": (firms.network, table),
        "inputs pooled by sector": (firms.network.pooled(product), table.pooled(of_group)),
    }
    rows = []
    for name, loss in shocks(firms, np.asarray(names)[product], seed).items():
        output = np.asarray(firms.network.output)
        of_sector = np.bincount(group, loss * output, len(labels)) / np.bincount(group, output, len(labels))
        for kind, (fine, coarse) in kinds.items():
            began = time.perf_counter()
            firm, direct = lost(fine, loss, group, len(labels))
            sector, of_table = lost(coarse, np.minimum(1, of_sector), np.arange(len(labels)), len(labels))
            rows.append(
                {
                    "firms": count,
                    "seed": seed,
                    "shock": name,
                    "inputs": kind,
                    "capacity_lost_share": float(f"{loss @ output / output.sum():.4g}"),
                    "direct_percent_of_a_year": float(f"{100 * direct:.4g}"),
                    "direct_in_sectors_percent": float(f"{100 * of_table:.4g}"),
                    "firm_level_percent": float(f"{100 * firm:.4g}"),
                    "sector_level_percent": float(f"{100 * sector:.4g}"),
                    "indirect_over_direct": round((firm - direct) / direct, 2),
                    "understated": round(1 - sector / firm, 4) if firm > 0 else None,
                    "seconds": round(time.perf_counter() - began, 1),
                }
            )
            row = rows[-1]
            print(
                f"{count:6d} {seed} {name:42s}{kind:25s} direct {row['direct_percent_of_a_year']:8.4f} firms "
                f"{row['firm_level_percent']:8.4f} sectors {row['sector_level_percent']:8.4f} %  "
                f"indirect/direct {row['indirect_over_direct']:8.2f} understated {row['understated']}",
                flush=True,
            )
    return rows


def main() -> None:
    """Run, print, and write the numbers if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--firms", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    rows = [row for count in arguments.firms for seed in range(arguments.seeds) for row in case(count, seed)]
    result = {
        "command": " ".join(["python", *sys.argv]),
        "python": platform.python_version(),
        "jax": version("jax"),
        "rules": RULES | {"start": START, "closed_days": CLOSED, "days": DAYS},
        "indirect_exceeds_direct": f"{sum(r['indirect_over_direct'] > 1 for r in rows)} of {len(rows)}",
        "sectors_understate": f"{sum((r['understated'] or 0) > 0 for r in rows)} of {len(rows)}",
        "rows": rows,
    }
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
