"""Speed of the epidemic of agents, beside a notebook in PyTorch, NumPy, a derivative by hand in NumPy, and mesa.

Run with `python benchmarks/agents_speed.py --out benchmarks/results/agents_speed.json`; needs torch and mesa.

60 days, beta 0.2, gamma 0.05, 1 % infected at the start; one thread on one core, 64-bit floats but in PyTorch. Every case runs
once in each repetition, one after the other. Times are those of the processor, medians and quartiles, without compilation,
which the first call shows; ratios are those of times of the same repetition, so that below 1 quesnay is faster.

`fit`: 200 epochs of Adam on logarithms of beta and gamma at 1,000 agents, one epidemic each. `tutorial` is written like the
notebook that the project grew from: a Gumbel-softmax of each agent, a loop in Python, and Python's `sum` over a tensor; of it a
few epochs are timed, and scaled. `torch.sum` is the same with that repaired. `forward` at 1e5 agents: NumPy draws a uniform
number for each agent and day, in 64 or 32 bits, or compares bare words of its bit generator. `gradient` at 1e6 agents: squared
error of daily series, and its derivatives by beta, gamma and infected; NumPy keeps the masks of the way there and goes back by
the same two-sided weights, which 400 epidemics of 2,000 agents check against quesnay. `mesa`: one object for each of 1,000.
"""

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import mesa
import numpy as np
import optax
import torch

import quesnay as q

torch.set_num_threads(1)
STEPS, BETA, GAMMA, INFECTED, EPOCHS, RATE = 60, 0.2, 0.05, 0.01, 200, 0.05


def race(cases, repeats):
    """Return times of every case (repeats,), in seconds, and first calls; cases take turns."""
    first, times = {}, {name: [] for name in cases}
    for turn in range(repeats + 1):
        for name, run in cases.items():
            start = time.process_time()
            run(turn)
            took = time.process_time() - start
            if turn:
                times[name].append(took)
            else:
                first[name] = took
    return {name: np.array(took) for name, took in times.items()}, first


def quartiles(values):
    """Return median and quartiles."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return {"median": middle, "quartiles": [low, high]}


def summary(times, first, pairs):
    """Return seconds of every case, and ratios of pairs."""
    return {
        "seconds": {name: quartiles(took) | {"first_call": first[name]} for name, took in times.items()},
        "ratios": {f"{one} / {two}": quartiles(times[one] / times[two]) for one, two in pairs},
    }


def epidemic(theta, key, agents, **more):
    """Return infections and recoveries by quesnay."""
    sir = q.agents.SIR(agents=agents, beta=theta[0], gamma=theta[1], infected=theta[2], **more)
    path = q.simulate(sir, steps=STEPS, key=key, throw=False)
    return path.infections, path.recoveries


def relaxed(p):
    """Return draws of 0 or 1 by a Gumbel-softmax of both."""
    logits = torch.log(torch.stack([p, 1 - p], dim=1))
    return torch.nn.functional.gumbel_softmax(logits, tau=0.5, hard=True)[:, 0]


def notebook(beta, gamma, agents, total):
    """Return infections and recoveries by PyTorch; `total` adds up a tensor."""
    ill = relaxed(torch.full((agents,), INFECTED))
    well, news, cured = 1 - ill, torch.tensor([]), torch.tensor([])
    for _ in range(STEPS):
        caught = relaxed(torch.clip(well * (1 - torch.exp(-beta * total(ill) / agents)), 1e-8, 1))
        healed = relaxed(torch.clip(ill * (1 - torch.exp(-gamma)), 1e-8, 1))
        well, ill = well - caught, ill + caught - healed
        news = torch.hstack((news, caught.sum() / agents))
        cured = torch.hstack((cured, healed.sum() / agents))
    return news, cured


def fit(repeats, epochs, agents=1000):
    """Compare 200 epochs of fitting."""
    observed = epidemic((BETA, GAMMA, INFECTED), jax.random.key(0), agents)
    target = [torch.tensor(np.asarray(series), dtype=torch.float32) for series in observed]

    def tutorial(total, count):
        def run(turn):
            torch.manual_seed(turn)
            logs = [torch.tensor(0.0, requires_grad=True) for _ in range(2)]
            adam = torch.optim.Adam(logs, lr=RATE)
            for _ in range(count):
                adam.zero_grad()
                news, cured = notebook(10 ** logs[0], 10 ** logs[1], agents, total)
                torch.sum((news - target[0]) ** 2 + (cured - target[1]) ** 2).backward()
                torch.nn.utils.clip_grad_norm_(logs, 1)
                adam.step()
            return [10 ** log.item() for log in logs]

        return run

    def ours(**more):
        adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(RATE))

        def loss(logs, key):
            news, cured = epidemic((10 ** logs[0], 10 ** logs[1], INFECTED), key, agents, **more)
            return jnp.sum((news - observed[0]) ** 2 + (cured - observed[1]) ** 2)

        def epoch(state, key):
            logs, moments = state
            change, moments = adam.update(jax.grad(loss)(logs, key), moments)
            return (optax.apply_updates(logs, change), moments), None

        @jax.jit
        def descend(keys):
            start = jnp.zeros(2)
            return jax.lax.scan(epoch, (start, adam.init(start)), keys)[0][0]

        return lambda turn: 10 ** np.asarray(descend(jax.random.split(jax.random.key(turn), EPOCHS)))

    cases = {
        "counts": ours(),
        "agents": ours(lumped=False),
        "tutorial": tutorial(sum, epochs),
        "torch.sum": tutorial(torch.sum, EPOCHS),
    }
    times, first = race(cases, repeats)
    times["tutorial"] = times["tutorial"] * EPOCHS / epochs
    pairs = [(one, two) for two in ("tutorial", "torch.sum") for one in ("agents", "counts")]
    found = {name: np.asarray(cases[name](1)).tolist() for name in ("counts", "agents", "torch.sum")}
    return summary(times, first, pairs) | {"beta, gamma found": found, "epochs_of_tutorial_timed": epochs}


def walk(rng, agents, draw, unit=1.0):
    """Return infections and recoveries by NumPy, from uniform numbers below `unit`."""
    ill = draw(rng) < np.asarray(INFECTED * unit, draw.kind)
    well, recovery = ~ill, np.asarray(-np.expm1(-GAMMA) * unit, draw.kind)
    counts = np.empty((STEPS, 2))
    for step in range(STEPS):
        risk = np.asarray(-np.expm1(-BETA * np.count_nonzero(ill) / agents) * unit, draw.kind)
        u = draw(rng)
        caught, healed = well & (u < risk), ill & (u < recovery)
        well ^= caught
        ill ^= caught
        ill ^= healed
        counts[step] = np.count_nonzero(caught), np.count_nonzero(healed)
    return counts / agents


class Draw:
    """Uniform numbers of one kind, into the same memory each time; words of 32 bits for unsigned ones."""

    def __init__(self, agents, kind):
        self.out, self.kind = np.empty(agents, kind), kind

    def __call__(self, rng):
        if self.kind is np.uint32:
            return rng.bit_generator.random_raw((self.out.size + 1) // 2).view(np.uint32)[: self.out.size]
        return rng.random(out=self.out, dtype=self.kind)


def forward(repeats, agents=100_000):
    """Compare epidemics without derivatives."""
    theta, rng = jnp.array([BETA, GAMMA, INFECTED]), np.random.default_rng(0)
    one = jax.jit(lambda key: epidemic(theta, key, agents, lumped=False))
    lump = jax.jit(lambda key: epidemic(theta, key, agents))
    draws = {kind.__name__: Draw(agents, kind) for kind in (np.float64, np.float32, np.uint32)}
    cases = {
        "agents": lambda turn: jax.block_until_ready(one(jax.random.key(turn))),
        "counts": lambda turn: jax.block_until_ready(lump(jax.random.key(turn))),
        "NumPy float64": lambda turn: walk(rng, agents, draws["float64"]),
        "NumPy float32": lambda turn: walk(rng, agents, draws["float32"]),
        "NumPy words": lambda turn: walk(rng, agents, draws["uint32"], 2.0**32),
        "NumPy words, drawn only": lambda turn: [draws["uint32"](rng)[0] for _ in range(STEPS + 1)],
    }
    pairs = [(one, two) for two in list(cases)[2:5] for one in ("agents", "counts")]
    return summary(*race(cases, repeats), pairs)


def room(agents):
    """Return memory for `by_hand`: three rows of numbers, and six masks for each day."""
    return np.zeros((3, agents)), np.zeros((STEPS + 1, 6, agents), bool)


def by_hand(rng, theta, observed, agents, memory):
    """Return the squared error and its derivatives (3,) by NumPy, there with masks, and back."""
    (beta, gamma, infected), (u, fall, spare), kept = theta, *memory
    recovery, (sick, new, cured) = -np.expm1(-gamma), np.empty((3, STEPS))
    rng.random(out=u)
    np.less(u, infected, out=kept[0, 1])
    np.logical_not(kept[0, 1], out=kept[0, 0])
    for step in range(STEPS):
        well, ill, caught, healed, could, cures = kept[step]
        sick[step] = np.count_nonzero(ill) / agents
        rng.random(out=u)
        np.less(u, -np.expm1(-beta * sick[step]), out=could)
        np.less(u, recovery, out=cures)
        np.logical_and(well, could, out=caught)
        np.logical_and(ill, cures, out=healed)
        np.logical_xor(well, caught, out=kept[step + 1, 0])
        np.logical_xor(ill, caught, out=kept[step + 1, 1])
        np.logical_xor(kept[step + 1, 1], healed, out=kept[step + 1, 1])
        new[step], cured[step] = np.count_nonzero(caught) / agents, np.count_nonzero(healed) / agents
    errors = new - observed[0], cured - observed[1]

    def slope(values, happened, able, p):
        """Add up by p what the derivative is by draws that `happened` of those that could."""
        np.copyto(spare, able)
        every = values @ spare
        if p == 0:
            return every
        np.copyto(spare, happened)
        those = values @ spare
        return 0.5 * (those / p + (every - those) / (1 - p))

    def less(values, mask, by):
        """Take the entries of `by` within a mask off."""
        np.copyto(spare, mask)
        np.multiply(spare, by, out=spare)
        np.subtract(values, spare, out=values)

    # `rise` is the derivative by an infection, and `fall` by an infected agent who does not recover.
    rise, slopes = u, np.zeros(3)
    rise.fill(0)
    fall.fill(0)
    for step in reversed(range(STEPS)):
        well, ill, caught, healed, could, cures = kept[step]
        more, fewer = 2 * errors[0][step] / agents, 2 * errors[1][step] / agents
        rise += more
        fall -= fewer
        stays = np.exp(-beta * sick[step])
        risk = slope(rise, caught, well, 1 - stays)
        slopes[0] += risk * stays * sick[step]
        slopes[1] -= slope(fall, healed, ill, recovery) * (1 - recovery)
        met = risk * stays * beta / agents
        less(rise, could, rise)
        less(rise, cures, fall)
        less(fall, cures, fall)
        rise += met - more
        fall += met + fewer
    slopes[2] = slope(rise, kept[0, 1], kept[0, 0] | kept[0, 1], infected)
    return np.sum(errors[0] ** 2 + errors[1] ** 2), slopes


def agree(loss, observed, agents=2000, draws=400):
    """Check that squared errors and derivatives of both have the same means; return differences in standard errors."""
    theta, rng, memory = np.array([BETA, GAMMA, INFECTED]), np.random.default_rng(1), room(agents)
    hand = [by_hand(rng, theta, observed, agents, memory) for _ in range(draws)]
    hand = np.array([[value, *slopes] for value, slopes in hand])
    run = jax.jit(lambda keys: jax.lax.map(lambda key: jax.value_and_grad(loss)(jnp.asarray(theta), key, agents), keys))
    value, slopes = run(jax.random.split(jax.random.key(1), draws))
    ours = np.column_stack([value, slopes])
    error = np.sqrt((hand.var(axis=0, ddof=1) + ours.var(axis=0, ddof=1)) / draws)
    apart = (ours.mean(axis=0) - hand.mean(axis=0)) / error
    assert np.all(np.abs(apart) < 4), apart
    return dict(zip(("value", "beta", "gamma", "infected"), apart.tolist(), strict=True))


def gradient(repeats, agents=1_000_000):
    """Compare epidemics with derivatives."""
    theta = jnp.array([BETA, GAMMA, INFECTED])
    observed = [np.asarray(series) for series in epidemic((1.3 * BETA, GAMMA, INFECTED), jax.random.key(0), agents)]

    def loss(theta, key, agents, **more):
        news, cured = epidemic(theta, key, agents, **({"lumped": False} | more))
        return jnp.sum((news - observed[0]) ** 2 + (cured - observed[1]) ** 2)

    both = jax.jit(lambda key: jax.value_and_grad(loss)(theta, key, agents))
    lump = jax.jit(lambda key: jax.value_and_grad(lambda *a: loss(*a, lumped=True))(theta, key, agents))
    rng, memory = np.random.default_rng(0), room(agents)
    given = np.asarray(theta)
    cases = {
        "agents": lambda turn: jax.block_until_ready(both(jax.random.key(turn))),
        "counts": lambda turn: jax.block_until_ready(lump(jax.random.key(turn))),
        "NumPy by hand": lambda turn: by_hand(rng, given, observed, agents, memory),
    }
    pairs = [("agents", "NumPy by hand"), ("counts", "NumPy by hand")]
    return summary(*race(cases, repeats), pairs) | {"differences_in_standard_errors": agree(loss, observed)}


class Person(mesa.Agent):
    """Someone susceptible, infected or recovered."""

    def __init__(self, model):
        super().__init__(model)
        self.ill = model.random.random() < INFECTED
        self.well = not self.ill

    def meet(self):
        """Fall ill or recover."""
        if self.well and self.model.random.random() < self.model.risk:
            self.well, self.ill = False, True
            self.model.news += 1
        elif self.ill and self.model.random.random() < self.model.recovery:
            self.ill = False
            self.model.cured += 1


class Town(mesa.Model):
    """All meet all."""

    def __init__(self, agents, seed):
        super().__init__(seed=seed)
        Person.create_agents(self, agents)
        self.recovery = -np.expm1(-GAMMA)

    def step(self):
        """Draw once for each agent."""
        self.risk = -np.expm1(-BETA * sum(self.agents.get("ill")) / len(self.agents))
        self.news = self.cured = 0
        self.agents.do("meet")


def objects(repeats, agents=1000):
    """Compare with one Python object an agent."""
    theta = jnp.array([BETA, GAMMA, INFECTED])
    one = jax.jit(lambda key: epidemic(theta, key, agents, lumped=False))
    lump = jax.jit(lambda key: epidemic(theta, key, agents))

    def town(turn):
        model = Town(agents, turn)
        return [(model.step(), model.news, model.cured) for _ in range(STEPS)]

    cases = {
        "agents": lambda turn: jax.block_until_ready(one(jax.random.key(turn))),
        "counts": lambda turn: jax.block_until_ready(lump(jax.random.key(turn))),
        "mesa": town,
    }
    return summary(*race(cases, repeats), [("agents", "mesa"), ("counts", "mesa")])


def main() -> None:
    """Write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--epochs", type=int, default=5, help="of the tutorial's form, which are scaled")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    result = {
        "command": f"python benchmarks/agents_speed.py {' '.join(sys.argv[1:])}".strip(),
        "what": __doc__,
        "python": platform.python_version(),
        "versions": {module.__name__: module.__version__ for module in (jax, np, torch, mesa, optax)},
    }
    cases = {
        "forward": lambda: forward(4 * arguments.repeats),
        "gradient": lambda: gradient(arguments.repeats),
        "mesa": lambda: objects(2 * arguments.repeats),
        "fit": lambda: fit(max(arguments.repeats // 2, 1), arguments.epochs),
    }
    for name, measure in cases.items():
        result[name] = measure()
        print(name, json.dumps(result[name], indent=1), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
