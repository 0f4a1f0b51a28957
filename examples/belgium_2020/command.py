"""Read the data, run the three tasks, print the tables; on request refit, draw and write.

    python examples/belgium_2020 [FOLDER] [--fit] [--figure FOLDER] [--json FILE]

FOLDER is `belgium_covid_2020`; without it, `$QUESNAY_SHARED/data/belgium_covid_2020` is read.
"""

import argparse
import importlib.metadata
import json
import os
import platform
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from .data import Belgium, read
from .evaluate import Row, months, runs, tables
from .fit import fit, selection
from .model import at_surveys

FROZEN = Path(__file__).with_name("frozen.json")
TITLES = {
    "nowcast": "Nowcast: staff known at every date",
    "forecast": "Forecast from 27 April: no later staff",
    "a priori": "A priori: closures and published shocks only",
}


def main() -> None:
    """Run the example as the command line says."""
    parser = argparse.ArgumentParser(prog="belgium_2020", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="the folder belgium_covid_2020")
    parser.add_argument("--fit", action="store_true", help="fit again on the first five dates, and write frozen.json")
    parser.add_argument("--figure", type=Path, metavar="FOLDER", help="draw belgium_2020.svg and .png there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(os.environ.get("QUESNAY_SHARED", "shared")) / "data" / "belgium_covid_2020"
    if not (folder / "Z.csv").is_file():
        parser.error(f"there is no {folder / 'Z.csv'}: name the folder belgium_covid_2020, or set QUESNAY_SHARED.")

    data = read(folder)
    if arguments.fit:
        refit(data)
    fitted = json.loads(FROZEN.read_text(encoding="utf-8"))
    made = tables(data, fitted)
    numbers = report(data, fitted, made, observed_index(folder))
    if arguments.json:
        write(numbers, arguments.json)
    if arguments.figure:
        from .figure import draw  # matplotlib is in the extra `bench`

        draw(data, fitted, made, arguments.figure)


def refit(data: Belgium) -> None:
    """Fit on the first five dates, write what was found, and print the comparison by which variants were chosen."""
    found = fit(data)
    FROZEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print("Fitted on the first five dates; leave-one-date-out errors there, points:")
    for name, error in selection(data, found["ratio"]).items():
        print(f"  {name:45s}{error:6.2f}")
    print()


def report(data: Belgium, fitted: dict, made: dict[str, list[Row]], observed: dict[str, float]) -> dict:
    """Print the tables and return the numbers in them."""
    for task, rows in made.items():
        print_table(TITLES[task], rows)
    paths = runs(data, fitted)
    country = {"survey, as published": data.country, "survey, weights here": data.revenue @ data.weight}
    country |= {name: at_surveys(data, *run) @ data.weight for name, run in paths.items()}
    print("Revenue of the economy, percent, by survey date")
    for name, values in country.items():
        print(f"  {name:24s}" + "".join(f"{value:7.1f}" for value in values))
    index = {name: months(path) for name, (path, _) in paths.items()}
    print("\nValue added, share of normal       March  April    May   June")
    for name, values in {"synthetic index, mid-month": observed, **index}.items():
        print(f"  {name:30s}" + "".join(f"{values[month]:7.3f}" for month in index["nowcast"]))
    return {
        "tables": {task: [asdict(row) for row in rows] for task, rows in made.items()},
        "economy": {name: np.round(values, 3).tolist() for name, values in country.items()},
        "value_added": {"synthetic index": observed, **index},
        "fitted": fitted,
    }


def print_table(title: str, rows: list[Row]) -> None:
    """Print one task."""
    print(f"{title} (percentage points)")
    print(f"  {'':36s}{'first five':>10s}{'last five':>10s}   model minus this, 90 % interval")
    for row in rows:
        interval = "" if row.against is None else "{:+8.2f}  [{:+.2f}, {:+.2f}]".format(*row.against)
        print(f"  {row.name:36s}{row.first:10.2f}{row.last:10.2f}{interval}")
    print()


def observed_index(folder: Path) -> dict[str, float]:
    """Return the synthetic index of GDP at mid-month."""
    index = pd.read_csv(folder / "observed_gdp_employment_index.csv", index_col="date")["GDP"]
    return {name: float(index[f"2020-{n:02d}-15"]) for n, name in enumerate(("March", "April", "May", "June"), 3)}


def write(numbers: dict, path: Path) -> None:
    """Write the numbers with what made them."""
    made = {
        "command": "python examples/belgium_2020 FOLDER --json FILE",
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in ("quesnay", "numpy", "jax", "pandas")},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(made | numbers, indent=1) + "\n", encoding="utf-8")
