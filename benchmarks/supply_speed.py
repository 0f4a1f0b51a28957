"""Speed and memory of the fast engine for firm networks, beside NumPy, numba, the primitive floor and JAX's own AD.

Run with `taskset -c 0 python benchmarks/supply_speed.py --out benchmarks/results/supply_speed.json`. Needs numba and
matplotlib. Every measurement runs in a process of its own with one thread; times are processor time of that process, so that
other work on the machine counts little, and wall time stands beside them. Yardsticks and engine take turns.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PINNED = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
if __name__ == "__main__":
    os.environ.update(XLA_FLAGS=PINNED, OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import quesnay as q  # noqa: E402
from quesnay.network import EdgeLinks, Network  # noqa: E402
from quesnay.supply.cascade import Buckets, cascade  # noqa: E402

DEGREE = 14
# Standard deviations of ln k_in and ln k_out of suppliers and customers drawn at random, near the published variances
# (2.06 and 2.89 for Ecuador 2015, of which small degrees contribute a part of their own).
SPREAD_IN, SPREAD_OUT = 1.1, 1.4
START, RATE, STOCK, TAU, SPARE = 5, 0.05, 5.0, 15.0, 1.2
SINGLE = np.float32


def network(firms: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Return supplier, customer, coefficient, final demand, output and capacity loss of a drawn network."""
    rng = np.random.default_rng(seed)
    count = int(firms * DEGREE * 1.03)
    ends = []
    for spread in (SPREAD_OUT, SPREAD_IN):
        weight = np.cumsum(np.exp(rng.normal(0, spread, firms)))
        # Sorted draws search fast; the pairing is random again after the shuffle.
        drawn = np.searchsorted(weight / weight[-1], np.sort(rng.random(count))).clip(max=firms - 1)
        ends.append(rng.permutation(drawn.astype(np.int32)))
    key = np.unique(ends[1].astype(np.int64) * firms + ends[0])
    customer, supplier = (key // firms).astype(np.int32), (key % firms).astype(np.int32)
    other = supplier != customer
    order = rng.permutation(int(other.sum()))
    supplier, customer = supplier[other][order], customer[other][order]
    weight = np.exp(rng.normal(0, 1, len(customer)))
    share = rng.uniform(0.2, 0.7, firms)
    a = weight / np.bincount(customer, weight, firms)[customer] * share[customer]
    d = np.exp(rng.normal(0, 1.5, firms))
    # Links by supplier: each sum then reads neighbours.
    by_supplier = np.argsort(supplier, kind="stable")
    s, c, coefficient = supplier[by_supplier], customer[by_supplier], a[by_supplier]
    x, change = d, np.inf
    while change > 1e-6:
        x, old = d + np.bincount(s, coefficient * x[c], firms), x
        change = np.max(np.abs(x - old) / x)
    loss = rng.random(firms) * (rng.random(firms) < 0.1)
    return supplier, customer, *(v.astype(SINGLE) for v in (a, d, x, loss))


class Drive(eqx.Module):
    loss: jax.Array
    final_demand: jax.Array

    def __call__(self, day):
        left = jnp.where(day >= START, jnp.exp(-RATE * (day - START)), 0).astype(self.loss.dtype)
        return 1 - self.loss * left, self.final_demand


class Total(eqx.Module):
    def __call__(self, output, served, demand, capacity, consumed):
        return jnp.sum(output)


def numpy_days(data, steps: int) -> Callable[[], np.ndarray]:
    """Return the same days in NumPy: links sorted by customer, `minimum.reduceat` and `bincount`."""
    supplier, customer, a, d, x0, loss = data
    order = np.argsort(customer, kind="stable")
    s, c, a = supplier[order], customer[order], a[order]
    buyers, begin = np.unique(c, return_index=True)
    firms, pull, rate = len(x0), SINGLE(STOCK / TAU) * x0, SINGLE(1 / TAU)

    def run():
        stock, demand, earlier = (SINGLE(STOCK) * x0)[c], x0.copy(), x0.copy()
        total = np.zeros(steps, SINGLE)
        for t in range(steps):
            left = SINGLE(np.exp(-RATE * (t - START))) if t >= START else SINGLE(0)
            least = np.full(firms, np.inf, SINGLE)
            least[buyers] = np.minimum.reduceat(stock, begin)
            x = np.minimum(np.minimum(demand, (1 - loss * left) * SINGLE(SPARE) * x0), least)
            served = np.divide(x, demand, out=np.zeros_like(x), where=demand > 0)
            order = np.maximum(0, (earlier + pull)[c] - stock * rate)
            stock = stock - np.minimum(x[c], stock) + served[s] * order
            placed = a * np.maximum(0, (demand + pull)[c] - stock * rate)
            earlier, demand = demand, d + np.bincount(s, placed, firms).astype(SINGLE)
            total[t] = x.sum()
        return total

    return run


def numba_days(data, steps: int) -> Callable[[], np.ndarray]:
    """Return the same days in numba, one thread: rows by customer, and one pass over them."""
    import numba

    supplier, customer, a, d, x0, loss = data
    firms = len(x0)
    order = np.lexsort((supplier, customer))
    begin = np.zeros(firms + 1, np.int32)
    begin[1:] = np.cumsum(np.bincount(customer, minlength=firms))

    @numba.njit(fastmath=True)
    def day(begin, s, a, stock, least, served, demand, earlier, x, pull, rate, placed):
        zero = SINGLE(0)
        for i in range(len(begin) - 1):
            held, wished, use, low = earlier[i] + pull[i], demand[i] + pull[i], x[i], SINGLE(np.inf)
            for e in range(begin[i], begin[i + 1]):
                old = stock[e]
                new = old - min(use, old) + served[s[e]] * max(zero, held - old * rate)
                stock[e] = new
                low = min(low, new)
                placed[s[e]] += a[e] * max(zero, wished - new * rate)
            least[i] = low

    @numba.njit(fastmath=True)
    def days(begin, s, a, d, x0, loss, steps):
        stock, least, served, x = np.empty(len(s), SINGLE), SINGLE(STOCK) * x0, np.empty_like(x0), np.empty_like(x0)
        for i in range(len(x0)):
            stock[begin[i] : begin[i + 1]] = SINGLE(STOCK) * x0[i]
            if begin[i] == begin[i + 1]:
                least[i] = SINGLE(np.inf)
        demand, earlier, placed = x0.copy(), x0.copy(), x0.copy()
        pull, rate, total = SINGLE(STOCK / TAU) * x0, SINGLE(1 / TAU), np.zeros(steps, SINGLE)
        for t in range(steps):
            left = SINGLE(np.exp(-RATE * (t - START))) if t >= START else SINGLE(0)
            for i in range(len(x0)):
                cap = (SINGLE(1) - loss[i] * left) * SINGLE(SPARE) * x0[i]
                x[i] = min(demand[i], min(cap, least[i]))
                served[i] = x[i] / demand[i] if demand[i] > 0 else SINGLE(0)
                total[t] += x[i]
                placed[i] = d[i]
            day(begin, s, a, stock, least, served, demand, earlier, x, pull, rate, placed)
            earlier, demand, placed = demand, placed, earlier
        return total

    return lambda: days(begin, supplier[order], a[order], d, x0, loss, steps)


def floor_days(data, steps: int) -> Callable[[], jax.Array]:
    """Return what no layout can avoid: each day one gather, one scatter-add, and reading and writing the stocks."""
    supplier, customer, a, _, x0, _ = data
    order = np.lexsort((supplier, customer))
    s, a = jnp.asarray(supplier[order]), jnp.asarray(a[order])

    @jax.jit
    def run(s, a, x0, stock):
        def day(carry, _):
            stock, v = carry
            stock = stock * SINGLE(0.5) + v.at[s].get(mode="promise_in_bounds")
            return (stock, jnp.zeros_like(v).at[s].add(a * stock, mode="promise_in_bounds")), None

        return jax.lax.scan(day, (stock, x0), length=steps)[0][1]

    compiled = run.lower(s, a, jnp.asarray(x0), a).compile()
    return lambda: jax.block_until_ready(compiled(s, a, jnp.asarray(x0), a))


def engine(data, steps: int, *, gradient: bool, batch: int = 0) -> tuple[Callable[[], object], dict[str, float]]:
    """Return the engine's days, or value and gradient for stocks and adjustment times of every firm."""
    supplier, customer, a, d, x0, loss = data
    firms = len(x0)
    begun = time.perf_counter()
    buckets = Buckets.of(supplier, customer, firms)
    built = time.perf_counter() - begun
    links = EdgeLinks(jnp.asarray(a), jnp.asarray(supplier), jnp.asarray(customer), firms)
    x, d, loss = (jnp.asarray(v) for v in (x0, d, loss))
    n, tau = jnp.full(firms, STOCK, SINGLE), jnp.full(firms, TAU, SINGLE)

    def total(n, tau, loss, links, buckets, x, d):
        spare = jnp.asarray(SPARE, SINGLE)
        return cascade(links, buckets, x, d, n, tau, spare, Drive(loss, d), Total(), steps=steps)

    run = total
    if batch:
        loss = loss * jnp.linspace(0.1, 1, batch, dtype=SINGLE)[:, None]
        run = jax.vmap(total, in_axes=(None, None, 0, None, None, None, None))
    if gradient:
        run = jax.value_and_grad(lambda *v: jnp.sum(total(*v)), argnums=(0, 1))
    return _compiled(run, (n, tau, loss, links, buckets, x, d), built)


def plain(data, steps: int, *, gradient: bool) -> tuple[Callable[[], object], dict[str, float]]:
    """Return the plain model's days on the same links, with JAX's own derivative."""
    supplier, customer, a, d, x0, loss = data
    firms = len(x0)
    links = EdgeLinks(jnp.asarray(a), jnp.asarray(supplier), jnp.asarray(customer), firms)
    x, d = jnp.asarray(x0), jnp.asarray(d)
    base = Network(links, d, x, d)
    n, tau = jnp.full(firms, STOCK, SINGLE), jnp.full(firms, TAU, SINGLE)
    shock = q.CapacityLoss(loss, start=START, recovery=q.Exponential(rate=RATE))

    def total(n, tau, base, shock):
        model = q.SupplyModel(base, inventory=n, adjustment=tau, capacity=jnp.asarray(SPARE, SINGLE))

        def day(state, t):
            state = model.step(state, t, shock, None)
            return state, jnp.sum(state.seen.output)

        return jax.lax.scan(day, model.init(), jnp.arange(steps))[1]

    run = jax.value_and_grad(lambda *v: jnp.sum(total(*v)), argnums=(0, 1)) if gradient else total
    return _compiled(run, (n, tau, base, shock), 0.0)


def _compiled(run, arguments, built: float) -> tuple[Callable[[], object], dict[str, float]]:
    begun = time.process_time()
    compiled = jax.jit(run).lower(*arguments).compile()
    compile_s = time.process_time() - begun
    return lambda: jax.block_until_ready(compiled(*arguments)), {"layout_s": built, "compile_s": compile_s}


MEASURED: dict[str, Callable[..., tuple[Callable[[], object], dict[str, float]]]] = {
    "numpy": lambda data, steps: (numpy_days(data, steps), {}),
    "numba": lambda data, steps: (numba_days(data, steps), {}),
    "floor": lambda data, steps: (floor_days(data, steps), {}),
    "forward": lambda data, steps: engine(data, steps, gradient=False),
    "gradient": lambda data, steps: engine(data, steps, gradient=True),
    "batch_64": lambda data, steps: engine(data, steps, gradient=False, batch=64),
    "pure_forward": lambda data, steps: engine(data, steps, gradient=False),
    "pure_gradient": lambda data, steps: engine(data, steps, gradient=True),
    "plain": lambda data, steps: plain(data, steps, gradient=False),
    "plain_gradient": lambda data, steps: plain(data, steps, gradient=True),
}


def child(name: str, file: Path, steps: int) -> None:
    """Measure one of them as often as lines come in, and print each result."""
    with np.load(file) as stored:
        data = tuple(stored[k] for k in stored.files)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run, extra = MEASURED[name](data, steps)
    run()
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        row = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, **extra}
        # ru_maxrss counts kilobytes on Linux.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({**row, "peak_gb": peak / 1e6, "peak_over_inputs_gb": (peak - before) / 1e6}), flush=True)


def measure(firms: int, steps: int, names: list[str], rounds: int, folder: Path) -> dict[str, object]:
    """Measure the named ones in turn, `rounds` times; each keeps its process, so that compiling is paid once."""
    file = folder / f"network_{firms}.npz"
    data = network(firms)
    np.savez(file, *data)
    edges = len(data[0])
    pipes = {}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for name in names:
        command = [sys.executable, __file__, "--child", name, "--file", str(file), "--steps", str(steps)]
        environment = {**os.environ, **({"QUESNAY_NATIVE": "0"} if name.startswith("pure") else {})}
        pipes[name] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
    for _ in range(rounds):
        for name, pipe in pipes.items():
            assert pipe.stdin is not None
            assert pipe.stdout is not None
            pipe.stdin.write("\n")
            pipe.stdin.flush()
            found[name].append(json.loads(pipe.stdout.readline()))
    for pipe in pipes.values():
        pipe.communicate()
    scale = 1e9 / steps / edges
    return {
        "firms": firms,
        "links": edges,
        "steps": steps,
        "rounds": rounds,
        "ns_per_link_and_step": {name: _spread([row["cpu_s"] * scale for row in rows]) for name, rows in found.items()},
        "wall_ns_per_link_and_step": {
            name: _spread([row["wall_s"] * scale for row in rows]) for name, rows in found.items()
        },
        "last": {
            name: {k: float(f"{v:.4g}") for k, v in rows[-1].items() if k not in ("wall_s", "cpu_s")}
            for name, rows in found.items()
        },
    }


def _spread(values: list[float]) -> dict[str, float]:
    quartiles = dict(zip(("q1", "median", "q3"), np.percentile(values, (25, 50, 75)), strict=True))
    return {name: float(f"{value:.4g}") for name, value in quartiles.items()}


DRAWN = {
    "numpy": ("NumPy", "0.55", "--"),
    "numba": ("numba", "0.25", "--"),
    "floor": ("floor: gather, scatter, stream", "0.7", ":"),
    "plain_gradient": ("gradient, JAX's own", "tab:blue", "--"),
    "gradient": ("gradient", "tab:blue", "-"),
    "forward": ("forward", "tab:orange", "-"),
}


def draw(sizes: list[dict], out: Path) -> None:
    """Draw cost per link and step against size, each line with its name at its end."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 4.5))
    ends = []
    for name, (label, colour, style) in DRAWN.items():
        rows = [row for row in sizes if name in row["ns_per_link_and_step"]]
        if rows:
            x = [row["firms"] for row in rows]
            spread = {q: [row["ns_per_link_and_step"][name][q] for row in rows] for q in ("q1", "median", "q3")}
            axes.plot(x, spread["median"], marker="o", markersize=4, color=colour, linestyle=style)
            axes.fill_between(x, spread["q1"], spread["q3"], color=colour, alpha=0.15, linewidth=0)
            ends.append((spread["median"][-1], x[-1], label, colour))
    below = 0.0
    for value, x, label, colour in sorted(ends):
        # Names of lines that meet stand above each other.
        below = max(value, 1.2 * below)
        axes.annotate(
            label, (x, below), xytext=(8, 0), textcoords="offset points", va="center", color=colour, fontsize=9
        )
    sides = [row["firms"] for row in sizes]
    top = max(
        row["ns_per_link_and_step"][name]["q3"]
        for row in sizes
        for name in DRAWN
        if name in row["ns_per_link_and_step"]
    )
    axes.set(xscale="log", yscale="log", ylim=(1, 2 * top), xlim=(0.8 * min(sides), max(sides) * 8))
    axes.set_xticks(sides, [f"{n:,}" for n in sides])
    ticks = [n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500) if n <= 2 * top]
    axes.set_yticks(ticks, [str(n) for n in ticks])
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.92")
    axes.set_xlabel("firms, mean degree 14, single precision")
    axes.set_title("Nanoseconds per link and step, one thread (median and quartiles)", loc="left", fontsize=10)
    figure.tight_layout()
    figure.savefig(out)


def main() -> None:
    """Measure, print, and write the numbers and the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--child")
    parser.add_argument("--file", type=Path)
    parser.add_argument("--steps", type=int, default=100)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.file, given.steps)
        return
    sizes = []
    for firms in given.sizes:
        large = firms > 100_000
        names = ["numpy", "numba", "floor", "forward", "gradient"]
        names += [] if firms > 10_000 else ["pure_forward", "pure_gradient", "plain", "plain_gradient"]
        names += ["batch_64"] if firms == 1_000 else []
        one = measure(firms, 20 if large else given.steps, names, 3 if large else given.rounds, given.folder)
        if firms == 100_000:
            one["memory_of_jax_s_own"] = measure(firms, given.steps, ["plain_gradient"], 1, given.folder)["last"]
        if large:
            one["gradient_100_days"] = measure(firms, 100, ["gradient"], 1, given.folder)["last"]
        print(json.dumps(one), flush=True)
        sizes.append(one)
    result = {
        "command": f"taskset -c 0 python benchmarks/supply_speed.py --sizes {' '.join(map(str, given.sizes))} "
        f"--rounds {given.rounds} --steps {given.steps} --out benchmarks/results/supply_speed.json",
        "python": platform.python_version(),
        "jax": jax.__version__,
        "xla_flags": PINNED,
        "sizes": sizes,
    }
    if given.out is not None:
        given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        draw(sizes, given.out.with_suffix(".svg"))


if __name__ == "__main__":
    main()
