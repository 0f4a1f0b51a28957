"""A neural input-output map beside linear coefficients on years held back: US tables, 2012-2019 and sector series 1997-2019.

Run with `OMP_NUM_THREADS=1 python benchmarks/neural_map.py --data ../shared/data --out benchmarks/results/neural_map.json`.

Every method sees one old table and then only outputs and final demand of the years of a window, as an office between two full
tables does, and predicts the outputs of the next years from their final demand. Cases:

- demand: `x = A x + d`, domestic BEA tables, 71 industries and the 15 sectors they add up to, at current prices and at those of
  2017 (each row by the price of its output); windows of 5 years, the old table is that of the window's first year.
- supply: the same model read along columns, `x' = x' B + v'`, since the sector series of 1997-2019 have value added and no
  final demand; 15 sectors, at current prices and deflated by the price of all output; windows of 15 years; the old table is
  that of 2012, and no window ends before it.

Methods: `old table`; `last table` (the full table of the window's last year, which the others do not see); `kl` (the old table
brought to the window's last year); `linear` (`q.update.fit`); `neural` (`q.update.fit_neural` on top of it) with its strength
chosen by leaving out each year once, or by predicting later years within the window; and the network at every strength
without a choice, which nobody could have known. Standard deviations of prior and noise are those with the highest evidence of
the linear fit. Errors are root mean squares of `x*(d) / x - 1` over accounts and years held back.
"""

import argparse
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd

import quesnay as q
from quesnay.update.neural_fitting import STRENGTHS, fit_neural

TABLES, SERIES = range(2012, 2020), range(1997, 2020)
PRIOR_SD, NOISE_SD = (0.03, 0.1, 0.3, 1.0), (0.003, 0.01, 0.03, 0.1)
AHEAD = 3
KEYS = 3
TOLERANCE, STEPS = 0.1, 60
"""The fits end a tenth of a posterior standard deviation from the mode; `converged` says where they did not get there."""
SECTORS = {"11": 2, "21": 3, "22": 1, "23": 1, "31G": 19, "42": 1, "44RT": 4, "48TW": 8, "51": 4, "FIRE": 7, "PROF": 6,
           "6": 5, "7": 4, "81": 1, "G": 5}  # fmt: skip
"""Industries of each sector, which follow each other."""


class Case(NamedTuple):
    """One economy by year: outputs, what is given, and tables of flows where there are any, rows selling."""

    name: str
    years: list[int]
    x: np.ndarray
    d: np.ndarray
    tables: dict[int, np.ndarray]
    window: int
    ends: range


def cases(folder: Path) -> Iterator[Case]:
    """Yield every case."""

    def table(name: str) -> pd.DataFrame:
        return pd.read_csv(folder / f"{name}.csv", index_col=0)

    adds = np.repeat(np.eye(len(SECTORS)), list(SECTORS.values()), axis=1)
    years = list(TABLES)
    x = np.array([table(f"x_{year}")["output"].to_numpy(float) for year in years])
    Z = np.array([np.maximum(table(f"Z_domestic_{year}").to_numpy(float), 0) for year in years])
    price = table("gross_output_price_index_2017_100_1997_2019")[[str(y) for y in years]].to_numpy(float).T / 100
    for prices, by in (("current prices", np.ones_like(price)), ("prices of 2017", price)):
        for size, G in ((15, adds), (71, np.eye(71))):
            flows, output = G @ (Z / by[:, :, None]) @ G.T, (x / by) @ G.T
            name = f"demand, {size} accounts, {prices}"
            found = dict(zip(years, flows, strict=True))
            yield Case(name, years, output, output - flows.sum(2), found, 5, range(2016, 2019))
    output, added = (
        table(f"sector15_{what}_current_usd_mn_1997_2019").to_numpy(float).T for what in ("gross_output", "value_added")
    )
    index = table("sector15_price_index_2017_100_1997_2019").to_numpy(float).T / 100
    level = output.sum(1) / (output / index).sum(1)
    total = {year: (adds @ np.maximum(table(f"Z_total_{year}").to_numpy(float), 0) @ adds.T).T for year in years}
    for prices, by in (("current prices", np.ones_like(level)), ("deflated", level)):
        of_year = dict(zip(SERIES, by, strict=True))
        flows = {year: Z / of_year[year] for year, Z in total.items()}
        name = f"supply, 15 accounts, {prices}"
        yield Case(name, list(SERIES), output / by[:, None], added / by[:, None], flows, 15, range(2012, 2017))


def error(predicted: np.ndarray, x: np.ndarray) -> float:
    """Return the root mean square of the relative error."""
    return float(np.sqrt(np.mean((np.asarray(predicted) / x - 1) ** 2)))


def leontief(A: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Return the outputs (years, n) of linear coefficients."""
    return np.linalg.solve(np.eye(len(A)) - np.asarray(A), d.T).T


def forward_folds(window: int) -> list[tuple[range, range]]:
    """Return folds that predict later years: three fifths of the window, then the next years."""
    size = 3 * window // 5
    return [(range(s, s + size), range(s + size, min(s + size + AHEAD, window))) for s in range(window - size)][:AHEAD]


def run(case: Case, end: int, keys: int) -> dict[str, object]:
    """Return the errors of every method on the years after a window."""
    last = case.years.index(end)
    seen, ahead = slice(last + 1 - case.window, last + 1), slice(last + 1, last + 1 + AHEAD)
    x, d = case.x[seen], case.d[seen]
    old = max(case.years[seen][0], min(case.tables))
    tables = {year: Z / case.x[case.years.index(year)] for year, Z in case.tables.items()}
    A0 = tables[old]

    def ahead_of(A: np.ndarray) -> float:
        return error(leontief(A, case.d[ahead]), case.x[ahead])

    sds = [(prior, noise) for prior in PRIOR_SD for noise in NOISE_SD]
    fits = {sd: q.update.fit(A0, x, d, prior_sd=sd[0], noise_sd=sd[1], throw=False) for sd in sds}
    fits = {sd: f for sd, f in fits.items() if f.result == q.equilibrium.RESULTS.successful}
    best = max(fits, key=lambda sd: float(fits[sd].evidence))
    linear = fits[best]
    errors = {
        "old table": ahead_of(A0),
        "last table": ahead_of(tables[end]),
        "kl": ahead_of(q.update.kl(A0, x[-1], d[-1]).value),
        "linear": ahead_of(linear.A),
    }
    within = {"linear": error(linear.output, x)}
    given = {"prior_sd": best[0], "noise_sd": best[1], "tolerance": TOLERANCE, "max_steps": STEPS, "throw": False}
    chosen: dict[str, list[float]] = {}
    converged = True
    for number in range(keys):
        for name, folds in (("each year left out", None), ("later years", forward_folds(case.window))):
            found = fit_neural(A0, x, d, key=jax.random.key(number), folds=folds, **given)
            converged &= bool(found.result == q.equilibrium.RESULTS.successful)
            chosen.setdefault(name, []).append(float(found.strength))
            _note(errors, f"neural, {name}", found, case, ahead)
            _note_within(within, f"neural, {name}", found, x)
        for strength in STRENGTHS[1:]:
            one = [(range(1, case.window), [0])]
            found = fit_neural(A0, x, d, key=jax.random.key(number), strengths=[strength], folds=one, **given)
            _note(errors, f"strength {strength:g}", found, case, ahead)
            _note_within(within, f"strength {strength:g}", found, x)
    return {
        "case": case.name,
        "window": [case.years[seen][0], end],
        "ahead": case.years[ahead],
        "table": old,
        "prior_sd": best[0],
        "noise_sd": best[1],
        "width": float(found.technology.width),
        "contraction": float(found.technology.contraction),
        "converged": converged,
        "strengths_chosen": chosen,
        "errors": {k: _summary(v) for k, v in errors.items()},
        "errors_within_window": {k: _summary(v) for k, v in within.items()},
    }


def _note(errors: dict, name: str, found: q.update.Fit, case: Case, ahead: slice) -> None:
    predicted = [found.technology.equilibrium(d).value for d in case.d[ahead]]
    errors.setdefault(name, []).append(error(np.array(predicted), case.x[ahead]))


def _note_within(within: dict, name: str, found: q.update.Fit, x: np.ndarray) -> None:
    within.setdefault(name, []).append(error(found.output, x))


def _summary(values: float | list[float]) -> float | dict[str, float]:
    """Return a number to five digits, or mean, least and largest over keys."""
    if isinstance(values, list):
        return {"mean": rounded(np.mean(values)), "least": rounded(min(values)), "largest": rounded(max(values))}
    return rounded(values)


def rounded(value: float) -> float:
    """Return a number to five digits."""
    return float(f"{float(value):.5g}")


def compare(rows: list[dict]) -> dict[str, object]:
    """Return errors over those of the linear fit: geometric mean over windows, least, largest, and how many are better."""
    found = {}
    for name in rows[0]["errors"]:
        if name == "linear":
            continue
        values = [row["errors"][name] for row in rows]
        means = np.array([v["mean"] if isinstance(v, dict) else v for v in values])
        worst = np.array([v["largest"] if isinstance(v, dict) else v for v in values])
        linear = np.array([row["errors"]["linear"] for row in rows])
        found[name] = {
            "mean_ratio": rounded(np.exp(np.mean(np.log(means / linear)))),
            "least_ratio": rounded(np.min(means / linear)),
            "largest_ratio_of_any_key": rounded(np.max(worst / linear)),
            "better": f"{int(np.sum(means < linear))} of {len(rows)}",
        }
    return found


def main() -> None:
    """Measure, print, and write the numbers if a file is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds bea_us_summary")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keys", type=int, default=KEYS)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    arguments = parser.parse_args()
    rows = []
    for case in sorted(cases(arguments.data / "bea_us_summary"), key=lambda case: case.x.shape[1]):
        if arguments.only not in case.name:
            continue
        for end in case.ends:
            rows.append(run(case, end, arguments.keys if case.x.shape[1] <= len(SECTORS) else 1))
            print(
                case.name, rows[-1]["window"], json.dumps(rows[-1]["errors"]), rows[-1]["strengths_chosen"], flush=True
            )
    names = list(dict.fromkeys(row["case"] for row in rows))
    command = "OMP_NUM_THREADS=1 python benchmarks/neural_map.py --data ../shared/data"
    command += f" --keys {arguments.keys}" if arguments.keys != KEYS else ""
    command += f" --only '{arguments.only}'" if arguments.only else ""
    result = {
        "command": command + (f" --out {arguments.out}" if arguments.out else ""),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in ("quesnay", "jax", "equinox", "optimistix")},
        "strengths": STRENGTHS,
        "tolerance": TOLERANCE,
        "max_steps": STEPS,
        "keys": {"15 accounts": arguments.keys, "71 accounts": 1},
        "relative_to_linear": {"all": compare(rows)}
        | {name: compare([row for row in rows if row["case"] == name]) for name in names},
        "rows": rows,
    }
    print(json.dumps(result["relative_to_linear"]["all"], indent=2))
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
