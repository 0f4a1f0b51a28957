"""Derivatives through every pair of a production rule and a rationing rule: JVP = VJP = finite differences off the kinks.

python benchmarks/supply_gradients.py --seeds 12 --out benchmarks/results/supply_gradients.json

Runs the models of the tests (six accounts, four shocks at once, 40 steps), with derivatives by inventories, adjustment times,
capacities and two losses. Differences are central, of fourth order, at six step sizes from 1.6e-5 to 5e-7; where no two next
to each other agree to 3e-9, a kink lies between all of them and the case is counted as such.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import jax  # noqa: E402

from rules import CASES  # noqa: E402
from slopes import compare  # noqa: E402

DOUBT, BAR = 3e-9, 1e-8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    for case in CASES:
        found = [compare(case, seed) for seed in range(options.seeds)]
        smooth = [each for each in found if each.doubt <= DOUBT]
        rows.append(
            {
                "production": case[0],
                "rationing": case[1],
                "storage": case[2],
                "orders": type(case[3]).__name__,
                "cases": len(found),
                "not finite": sum(not each.finite for each in found),
                "kinks": len(found) - len(smooth),
                "worst of differences": max(each.differences for each in smooth),
                "worst of JVP against VJP": max(each.modes for each in found),
                "beyond the bar": sum(not each.differences <= BAR for each in smooth),
            }
        )
        print(*rows[-1].values(), flush=True)
        # Each case has three programs of its own.
        jax.clear_caches()
    result = {
        "command": "python benchmarks/supply_gradients.py " + " ".join(sys.argv[1:]),
        "bar": BAR,
        "jax": jax.__version__,
        "totals": {name: sum(row[name] for row in rows) for name in ("cases", "not finite", "kinks", "beyond the bar")},
        "worst of differences": max(row["worst of differences"] for row in rows),
        "worst of JVP against VJP": max(row["worst of JVP against VJP"] for row in rows),
        "pairs": rows,
    }
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
