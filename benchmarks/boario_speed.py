"""Time per step of BoARIO's own loop and of `q.simulate` on a table of 40 regions x 56 sectors, 2,240 industries.

The same recovery scenario on the same synthetic table (dense, drawn), float64 unless said; both on one thread, in turns, CPU
seconds of that thread. Compilation is left out and reported. The floor is one reading of the coefficients by a sum; a step
reads them twice: for deliveries and the reallocation of orders together, and for demand.

Run with `OMP_NUM_THREADS=1 python benchmarks/boario_speed.py --out benchmarks/results/boario_speed.json`.
"""

import argparse
import json
import logging
import os
import platform
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pymrio
from boario import event
from boario.extended_models import ARIOPsiModel
from boario.simulation import Simulation

import quesnay as q

OCCURRENCE, DURATION, TAU = 5, 5, 60


def table(regions: int, sectors: int, seed: int) -> pymrio.IOSystem:
    """Return a dense table: one technology, drawn deviations, regions of unequal size that buy much at home."""
    rng = np.random.default_rng(seed)
    n = regions * sectors
    size = np.exp(rng.normal(0, 1, regions))
    of = np.repeat(size, sectors)
    A = np.tile(rng.lognormal(0, 1.5, (sectors, sectors)), (regions, regions)) * rng.lognormal(0, 0.5, (n, n))
    home = np.kron(np.eye(regions), np.ones((sectors, sectors))) > 0
    A *= np.where(home, 2 * size.sum(), of[:, None])
    A *= rng.uniform(0.3, 0.6, n) / A.sum(axis=0)
    demand = of * rng.lognormal(0, 1, n) * 1e4
    output = np.linalg.solve(np.eye(n) - A, demand)
    names = [f"region {k:02d}" for k in range(regions)], [f"sector {k:02d}" for k in range(sectors)]
    index = pd.MultiIndex.from_product(names, names=["region", "sector"])
    Y = 0.3 * demand[:, None] * size / size.sum() + 0.7 * demand[:, None] * np.kron(
        np.eye(regions), np.ones((sectors, 1))
    )
    columns = pd.MultiIndex.from_product([names[0], ["final demand"]], names=["region", "category"])
    Z = pd.DataFrame(A * output, index=index, columns=index)
    return pymrio.IOSystem(Z=Z, Y=pd.DataFrame(Y, index=index, columns=columns)).calc_system()


class Theirs:
    """A simulation of BoARIO that is advanced some steps at a time."""

    def __init__(self, system: pymrio.IOSystem, steps: int) -> None:
        model = ARIOPsiModel(system)
        self.run = Simulation(model, n_temporal_units_to_sim=steps)
        capital = pd.Series(model.productive_capital, index=model.industries)
        hit = 0.1 * capital[capital.index.get_level_values("region") == model.regions[1]]
        options = {"occurrence": OCCURRENCE, "duration": DURATION, "recovery_tau": TAU, "recovery_function": "linear"}
        self.run.add_event(event.from_series(hit, event_type="recovery", event_monetary_factor=10**6, **options))

    def advance(self, steps: int) -> None:
        """Make some steps."""
        for _ in range(steps):
            self.run.next_step()

    def output(self, steps: int) -> np.ndarray:
        """Return production (steps, n)."""
        return self.run.production_realised.to_numpy()[:steps]


def model(system: pymrio.IOSystem, dtype: type) -> q.SupplyModel:
    """Return BoARIO's defaults in quesnay's rules."""
    regions, sectors = len(system.get_regions()), len(system.get_sectors())
    Z, d = (jnp.asarray(v.to_numpy(), dtype) for v in (system.Z, system.Y.sum(axis=1)))
    return q.SupplyModel(
        q.Network.from_table(Z, d, days=365).pooled(np.tile(np.arange(sectors), regions)),
        inventory=90.0,
        adjustment=60.0,
        production=q.supply.PsiRelaxed(0.8, least=1e-5 / 365),
        orders=q.supply.Replacement(),
        reallocation=q.supply.TowardsCapacity(),
        overproduction=q.supply.Overproduction(1.25, days=365),
    )


def shock(system: pymrio.IOSystem, scale=1.0) -> q.CapacityLoss:
    """Return the loss of a tenth of the capacity of the second region; BoARIO's recovery begins a day later than it says."""
    second = system.Z.index.get_level_values("region") == system.get_regions()[1]
    return q.CapacityLoss(0.1 * scale * second, start=OCCURRENCE, duration=DURATION + 1, recovery=q.Linear(days=TAU))


def timed(work) -> tuple[float, object]:
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def quartiles(seconds: list[float]) -> list[float]:
    """Return the quartiles in milliseconds."""
    return np.round(1e3 * np.quantile(seconds, [0.25, 0.5, 0.75]), 2).tolist()


def main() -> None:
    """Measure, print, and write the numbers if a file is named."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--regions", type=int, default=40)
    parser.add_argument("--sectors", type=int, default=56)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()
    steps, batch = arguments.steps, arguments.batch
    system = table(arguments.regions, arguments.sectors, 0)
    of_region = q.by_group(np.repeat(np.arange(arguments.regions), arguments.sectors), arguments.regions)
    models = {"float64": model(system, np.float64), "float32": model(system, np.float32)}
    hit = shock(system)
    scales = jnp.linspace(0.5, 1.5, batch)

    total = eqx.filter_jit(jnp.sum)

    @eqx.filter_jit
    def several(which, scales):
        def output(scale):
            return q.simulate(which, shock(system, scale), steps=steps, observe=of_region, throw=False).output

        return jax.vmap(output)(scales)

    works = {}
    for name, which in models.items():
        works[f"{name}, sums by region kept"] = lambda m=which: (
            q.simulate(m, hit, steps=steps, observe=of_region).output
        )
        works[f"{name}, all accounts kept"] = lambda m=which: q.simulate(m, hit, steps=steps).output
        works[f"{name}, {batch} scenarios at once, per scenario"] = lambda m=which: several(m, scales)
    coefficient = models["float64"].network.links.coefficient
    works["floor: the coefficients read once"] = lambda: total(coefficient)

    first = {name: round(timed(lambda w=work: jax.block_until_ready(w()))[0], 1) for name, work in works.items()}
    per = {name: 1 if "floor" in name else steps * (batch if "at once" in name else 1) for name in works}
    taken = {name: [] for name in works}
    theirs, slow = Theirs(system, arguments.rounds * steps), []
    for k in range(arguments.rounds):
        for name, work in works.items():
            taken[name].append(timed(lambda w=work: jax.block_until_ready(w()))[0] / per[name])
        began = k * steps // arguments.rounds
        many = (k + 1) * steps // arguments.rounds - began
        slow.append(timed(lambda many=many: theirs.advance(many))[0] / many)
        print(k, slow[-1], {name: seconds[-1] for name, seconds in taken.items()}, flush=True)

    expected = theirs.output(steps)
    paths = {name: np.asarray(q.simulate(which, hit, steps=steps).output) for name, which in models.items()}
    result = {
        "command": " ".join(["OMP_NUM_THREADS=1 python", *sys.argv]),
        "python": platform.python_version(),
        "jax": version("jax"),
        "boario": version("boario"),
        "numpy": version("numpy"),
        "industries": arguments.regions * arguments.sectors,
        "steps": steps,
        "milliseconds_per_step_quartiles": {"BoARIO": quartiles(slow)} | {n: quartiles(s) for n, s in taken.items()},
        "times_faster_per_step": {
            n: round(float(np.median(np.array(slow) / np.array(s))), 1) for n, s in taken.items()
        },
        "first_call_with_compilation_seconds": first,
        "largest_difference_in_share_of_output": {
            name: float(np.max(np.abs(path / expected - 1))) for name, path in paths.items()
        },
        "lowest_output_of_an_account_in_share_of_base": float((expected / expected[0]).min()),
    }
    print(json.dumps(result, indent=1))
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
