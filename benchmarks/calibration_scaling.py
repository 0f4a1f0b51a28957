"""Seconds and memory of a fixed number of steps of variational inference against the number of firms (figure 2A).

    python benchmarks/calibration_scaling.py --device cpu

Every firm has two unknowns, its days of stock and its adjustment time; what is seen is the daily output of 100 groups of
firms over 100 days. Networks are drawn from the packaged table (at least 90 % of its flows: a hundred firms have too few links
for more), 14 links per firm, in float32. Every size runs in a process of its own: as many steps first, which compile, then the
timed ones. Memory is the peak of the process, and what it was before the first fit. Run it again on another device: its rows
are added to the same file.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

SIZES = (100, 300, 1000, 3000, 10_000, 30_000, 100_000)
STEPS, DAYS, ROUNDS = 10, 100, 3
RESULTS = Path(__file__).parent / "results"


def measure(firms: int) -> dict:
    """Return times and memory of one size, in this process."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import numpyro.distributions as dist

    import quesnay as q
    from quesnay.infer.problem import read_problem
    from quesnay.infer.variational import advance, begin, mean_field

    drawn = q.firms.draw(q.load("us-2020").nonnegative(), firms=firms, key=jax.random.key(0), keep=0.9)
    network = jax.tree.map(lambda v: v.astype(jnp.float32) if v.dtype == jnp.float64 else v, drawn.network)
    count = min(firms, 100)
    observe = q.by_group(np.arange(firms) * count // firms, count)
    hit = jnp.asarray((np.random.default_rng(0).random(firms) < 0.3) * 0.5, jnp.float32)
    shock = q.CapacityLoss(hit, start=5, recovery=q.Exponential(rate=jnp.float32(0.05)))

    def simulator(theta):
        n, tau = (theta[name].astype(jnp.float32) for name in ("inventory", "adjustment"))
        model = q.SupplyModel(network, inventory=1 + n, adjustment=1.5 + tau, capacity=jnp.float32(1.2))
        path = q.simulate(model, shock, steps=DAYS, observe=observe, throw=False)
        return path.output / path.base.output

    prior = {name: dist.LogNormal(jnp.full(firms, jnp.log(4.0)), 0.5) for name in ("inventory", "adjustment")}
    truth = {name: 4.0 * jnp.ones(firms) for name in prior}
    problem = read_problem(simulator, prior, jax.jit(simulator)(truth))
    loss = q.infer.Gaussian(0.06).fit(problem, jax.random.key(0)).loss
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fitting = begin(problem, loss, mean_field(), jax.random.key(1), steps=STEPS * (ROUNDS + 1), learning_rate=0.1)
    times, state = [], fitting.start
    for _ in range(ROUNDS + 1):
        begun = time.perf_counter()
        state = jax.block_until_ready(advance(fitting, state, STEPS))
        times.append(time.perf_counter() - begun)
    device = jax.devices()[0]
    stats = device.memory_stats() or {}
    return {
        "firms": firms, "links": int(drawn.network.links.supplier.size), "first": times[0], "seconds": sorted(times[1:]),
        "process_peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "before_bytes": 1024 * before,
        "device_peak_bytes": stats.get("peak_bytes_in_use"), "device": device.device_kind, "platform": device.platform,
        "finite": bool(np.isfinite(state.losses).all()),
    }  # fmt: skip


def draw(rows: list[dict], out: Path) -> None:
    """Draw seconds and memory against the number of firms."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "figure_2a"}
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.0), layout="constrained")
    for device in dict.fromkeys(row["device"] for row in rows):
        own = [row for row in rows if row["device"] == device]
        firms = [row["firms"] for row in own]
        middle = [row["seconds"][len(row["seconds"]) // 2] for row in own]
        left.plot(firms, middle, "o-", ms=3, label=device)
        left.fill_between(firms, [r["seconds"][0] for r in own], [r["seconds"][-1] for r in own], alpha=0.2)
        right.plot(firms, [(r["device_peak_bytes"] or r["process_peak_bytes"]) / 2**30 for r in own], "o-", ms=3)
    left.set(xscale="log", yscale="log", xlabel="Firms", ylabel=f"Seconds for {STEPS} steps")
    right.set(xscale="log", ylim=(0, None), xlabel="Firms", ylabel="Peak memory, GiB")
    left.legend(frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(out, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RESULTS / "calibration_scaling.json")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one)))
        return
    record = json.loads(options.out.read_text()) if options.out.exists() else {"rows": []}
    name = (
        {"device": f"{options.device}: {platform.processor() or platform.machine()}"} if options.device == "cpu" else {}
    )
    rows = []
    for firms in SIZES:
        command = [sys.executable, "-W", "ignore", __file__, "--one", str(firms)]
        done = subprocess.run(
            command, env=os.environ | {"JAX_PLATFORMS": options.device}, capture_output=True, text=True, check=True
        )
        rows.append(json.loads(done.stdout.splitlines()[-1]) | name)
        print(json.dumps(rows[-1]), flush=True)
    kept = [row for row in record["rows"] if row["platform"] != rows[0]["platform"]]
    record = {
        "command": f"python benchmarks/calibration_scaling.py --device {options.device}",
        "what": __doc__, "steps": STEPS, "days": DAYS, "rounds": ROUNDS, "rows": kept + rows,
    }  # fmt: skip
    options.out.write_text(json.dumps(record, indent=1) + "\n")
    draw(record["rows"], options.out.with_suffix(".svg"))


if __name__ == "__main__":
    main()
