"""The epidemic of the notebook that the project grew from: its three figures again, and what its version has wrong, in numbers.

Run with
`python benchmarks/agents_notebook.py --out benchmarks/results/agents_notebook.json --figure docs/assets/agents_sir.svg`.

60 days, beta 0.2, gamma 0.05, 1 % infected at the start; 10,000 agents for the daily curves, 1,000 for derivatives and fits, as
there. "notebook" is its relaxation, written again: Gumbel-softmax with tau 0.5, probabilities of all agents clipped at 1e-8.
The truth of derivatives is `E[f_t d log P]` of binomial counts drawn by NumPy, of the draws up to day t, with these scores as
control variates; nothing of quesnay is in it. The recipe of the fits is Adam (0.05) for 200 epochs on log10 of both rates, from
(1, 1), with gradients cut to norm 1, one epidemic an epoch and squared errors: with the notebook's derivative, and with
`Smoothed()`. Ours is `infer.map` with a synthetic likelihood, under log-normal priors with the medians (1, 1); its epochs are
those after a pilot. A fit is good where both rates are within 20 %.
"""

import argparse
import json
import platform
import sys
import warnings
from functools import partial
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import optax
from agents_fit import PRIOR, WITHIN, losses, series
from agents_walk import position, shorten

import quesnay as q

AGENTS, MANY, STEPS, INFECTED, TAU = 1000, 10_000, 60, 0.01, 0.5
THETA = np.array([0.2, 0.05])
EPOCHS, RATE, NOISE, LEAST, PART = 200, 0.05, 0.05, 1e-8, 50_000
OUTCOMES, RATES = ("infections", "recoveries"), ("beta", "gamma")
FITS = ("notebook", "notebook with Smoothed()", "infer.map")
BLUE, RED, GREEN, VIOLET, YELLOW, GREY = "#1f6f8b", "#c8553d", "#588157", "#8d6a9f", "#d4a017", "0.55"

WRONG = {
    "labels": "Two of four Jacobians are under wrong names: jacobian[0] is that of infections by both rates, so that "
    "'recoveries by beta' are infections by gamma, and the reverse (their distance over the peak of recoveries by beta).",
    "size": "Derivatives are many times too large (mean derivatives of sums over 60 days, over the truth).",
    "clip": "A clipped probability has no derivative: agents who are not infected hold a derivative of being infected that no "
    "recovery takes away (their share of that of the infected by beta on the last day; the largest of a recovery of theirs).",
    "one_run": "The Jacobian of one epidemic is drawn (standard deviation of one, of sums over 60 days, over the truth).",
    "temperature": "No temperature makes it right (sum of infections by beta over the truth, by tau).",
    "impossible_events": "Agents who cannot be infected, or recover, do with 1e-8 a day (expected events, of 10,000 agents).",
    "start": "At (1, 1) an epidemic runs, but the loss falls towards none at all, where it is lower, and flat; "
    "the notebook gets away as its derivative has the wrong sign (squared errors; derivatives by log10 of both rates).",
    "recipe": "It fails with a better derivative, and at times with its own (share of fits with both rates within 20 %).",
    "last_epoch": "The learning rate does not fall, and rates wander (deviation of their logarithms over the last 50 epochs).",
    "gradient_cut": "Exploding gradients, of which it warns, are those of its relaxation (share of epochs with norms above 1).",
    "noise": "Errors of observation of 5 % are lost among draws of the two epidemics compared (share of the expected loss).",
    "days": "Daily infections are those of a step (peak with steps of half a day over that with steps of a day).",
    "recovery_time": "A recovery rate of 0.05 is not 20 days in steps of a day (mean days infected).",
    "line": "The dashed line of the walk is called y = x, and drawn, rightly, as 2 x (rise of a position, per draw and theta).",
}


def counts(theta, agents, paths, rng, dt=1.0):
    """Return infections and recoveries (steps, paths) as fractions, and scores by rate up to each day (2, steps, paths)."""
    infected = rng.binomial(agents, INFECTED, paths)
    susceptible, recovery = agents - infected, 1 - np.exp(-theta[1] * dt)
    seen, scores = [], []
    for _ in range(round(STEPS / dt)):
        share = infected / agents * dt
        p = 1 - np.exp(-theta[0] * share)
        new, well = rng.binomial(susceptible, p), rng.binomial(infected, recovery)
        with np.errstate(divide="ignore", invalid="ignore"):
            by_beta = np.where(p > 0, (new / p - (susceptible - new) / (1 - p)) * share * (1 - p), 0)
        by_gamma = (well / recovery - (infected - well) / (1 - recovery)) * (1 - recovery) * dt
        susceptible, infected = susceptible - new, infected + new - well
        seen.append((new / agents, well / agents))
        scores.append((by_beta, by_gamma))
    return *np.moveaxis(np.array(seen), 1, 0), np.cumsum(np.moveaxis(np.array(scores), 1, 0), axis=1)


def by_score(f, scores):
    """Return E[f d log P] (2,) of outcomes (paths,), the scores (2, paths) themselves as control variates."""
    weighted = (f - f.mean()) * scores
    covariance = np.cov(np.vstack([weighted, scores]))
    return weighted.mean(axis=1) - covariance[:2, 2:] @ np.linalg.solve(covariance[2:, 2:], scores.mean(axis=1))


def truth(paths, rng):
    """Return derivatives of daily infections and recoveries, and of their sums, (2, steps + 1, 2), and standard errors."""
    parts = []
    for _ in range(paths // PART):
        *seen, scores = counts(THETA, AGENTS, PART, rng)
        parts.append([
            [by_score(f, s) for f, s in zip([*own, own.sum(axis=0)], [*scores.swapaxes(0, 1), scores[:, -1]], strict=True)]
            for own in seen
        ])  # fmt: skip
    return np.mean(parts, axis=0), np.std(parts, axis=0, ddof=1) / len(parts) ** 0.5


def notebook(theta, key, tau=TAU):
    """Return infections and recoveries by the notebook's relaxation, and (agents,) rows of infected and recoveries."""

    def draw(p, key):
        logits = jnp.log(jnp.stack([p, 1 - p])) + jax.random.gumbel(key, (2, AGENTS))
        soft = jax.nn.softmax(logits / tau, axis=0)[0]
        return soft + jax.lax.stop_gradient((logits[0] > logits[1]) - soft)

    def advance(state, key):
        susceptible, ill = state
        one, two = jax.random.split(key)
        new = draw(jnp.clip(susceptible * (1 - jnp.exp(-theta[0] * ill.sum() / AGENTS)), LEAST, 1 - 1e-16), one)
        well = draw(jnp.clip(ill * (1 - jnp.exp(-theta[1])), LEAST, 1 - 1e-16), two)
        after = ill + new - well
        return (susceptible - new, after), (new.sum() / AGENTS, well.sum() / AGENTS, ill, well, after)

    begin, rest = jax.random.split(key)
    first = draw(jnp.full(AGENTS, INFECTED), begin)
    new, well, *agents = jax.lax.scan(advance, (1 - first, first), jax.random.split(rest, STEPS))[1]
    return (new, well), agents


def ours(theta, key):
    """Return infections and recoveries by quesnay."""
    return tuple(series({"beta": theta[0], "gamma": theta[1]}, key).values())


def theirs(theta, key):
    """Return infections and recoveries by the notebook."""
    return notebook(theta, key)[0]


def jacobians(paths, draws):
    """Return derivatives (draws, 2, steps, 2) of infections and recoveries by both rates."""
    run = jax.jit(lambda keys: jax.lax.map(lambda k: jax.jacfwd(paths)(jnp.asarray(THETA), k), keys, batch_size=20))
    return np.stack(run(jax.random.split(jax.random.key(7), draws)), axis=1)


def holders(draws):
    """Return the infected share's derivative by beta on those infected and not, (2, steps), and the latter's of recovery."""

    def one(key):
        agents, change = jax.jvp(lambda b: notebook((b, THETA[1]), key)[1], (THETA[0],), (1.0,))
        before, _, after = (part < 0.5 for part in agents)
        _, well, ill = change
        shares = jnp.stack([jnp.sum(jnp.where(after, 0, ill), axis=1), jnp.sum(jnp.where(after, ill, 0), axis=1)])
        return shares / AGENTS, jnp.max(jnp.abs(jnp.where(before, well, 0)))

    run = jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=20))
    shares, again = run(jax.random.split(jax.random.key(8), draws))
    return np.asarray(shares).mean(axis=0), float(again.max())


def compare(slopes, right, error) -> dict:
    """Return how far daily derivatives are from the truth, over its peak, and those of sums, by outcome and rate."""
    table = {}
    for who, (k, outcome), (j, rate) in product(slopes, enumerate(OUTCOMES), enumerate(RATES)):
        own, true, last = slopes[who][:, k, :, j], right[k, :-1, j], right[k, -1, j]
        sums, peak, root = own.sum(axis=1), np.abs(true).max(), len(own) ** 0.5
        table[f"{who}: {outcome} by {rate}"] = {
            "furthest_over_peak": np.abs(own.mean(axis=0) - true).max() / peak,
            "largest_standard_error": (np.hypot(own.std(axis=0, ddof=1) / root, error[k, :-1, j]) / peak).max(),
            "sum_over_truth": sums.mean() / last,
            "standard_error": np.hypot(sums.std(ddof=1) / root, sums.mean() / last * error[k, -1, j]) / abs(last),
            "deviation_over_truth": sums.std(ddof=1) / abs(last),
            "truth": last,
        }
    return table


def observed(seed):
    """Return the daily series of an epidemic of its own, with errors of 5 %, and a key."""
    path, own = jax.random.split(jax.random.key(seed))
    drawn = np.array(ours(THETA, path))
    return abs(drawn * (1 + NOISE * np.random.default_rng(seed).standard_normal(drawn.shape))), own


@partial(jax.jit, static_argnums=0)
def recipe(paths, seen, key):
    """Return losses, rates and norms of gradients of every epoch by the notebook's recipe."""
    adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(RATE))

    def loss(logs, key):
        return sum(jnp.sum((a - b) ** 2) for a, b in zip(paths(10**logs, key), seen, strict=True))

    def epoch(at, key):
        logs, state = at
        value, slope = jax.value_and_grad(loss)(logs, key)
        change, state = adam.update(slope, state)
        logs = logs + change
        return (logs, state), (value, 10**logs, optax.global_norm(slope))

    start = jnp.zeros(2)
    return jax.lax.scan(epoch, (start, adam.init(start)), jax.random.split(key, EPOCHS))[1]


def fitted(seen, key):
    """Return the rates (steps, 2) on the way of `infer.map` and where it ends (2,), and how many epidemics it took."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = q.infer.map(
            series, PRIOR, dict(zip(OUTCOMES, seen, strict=True)), key=key,
            loss=losses()["likelihood"][0], steps=EPOCHS, learning_rate=RATE,
        )  # fmt: skip
    way = np.stack([found.history[name].to_numpy() for name in PRIOR], axis=1)
    return way, np.array([float(found.mean()[name]) for name in PRIOR]), found.simulations


def fits(seeds):
    """Return the losses and the rates by epoch, and the rates where each fit ends, by method; and a table."""
    squares = jax.jit(
        lambda way, seen, key: jax.vmap(lambda theta, k: sum(map(jnp.sum, (jnp.stack(ours(theta, k)) - seen) ** 2)))(
            way, jax.random.split(key, len(way))
        )
    )
    lost, ways, ends, norms = ({name: [] for name in FITS} for _ in range(4))
    for seed in range(seeds):
        seen, key = observed(seed)
        for name, paths in (("notebook", theirs), (FITS[1], ours)):
            loss, way, norm = map(np.asarray, recipe(paths, seen, key))
            for kept, value in ((lost, loss), (ways, way), (ends, way[-1]), (norms, norm)):
                kept[name].append(value)
        way, end, runs = fitted(seen, key)
        for kept, value in ((lost, squares(way, seen, key)), (ways, way), (ends, end)):
            kept["infer.map"].append(np.asarray(value))
    near = {name: np.all(np.abs(np.array(ends[name]) / THETA - 1) < WITHIN, axis=1).mean() for name in FITS}
    logs = np.log(np.array(ways["notebook"])[:, -50:])
    averaged = np.exp(logs.mean(axis=1))
    table = {
        "seeds": seeds,
        "both_within_20_percent": near,
        "notebook_averaged_over_50_epochs": np.all(np.abs(averaged / THETA - 1) < WITHIN, axis=1).mean(),
        "median_over_truth": {name: np.median(np.array(ends[name]) / THETA, axis=0).tolist() for name in FITS},
        "epidemics": {"notebook": EPOCHS, FITS[1]: EPOCHS, "infer.map": int(runs)},
        "deviation_of_logarithm_in_last_50": logs.std(axis=1).mean(axis=0).tolist(),
        "epochs_cut": {name: float(np.mean(np.array(norms[name]) > 1)) for name in FITS[:2]},
    }
    return {k: np.array(v) for k, v in lost.items()}, {k: np.array(v) for k, v in ways.items()}, table


def at_start(draws, rng):
    """Return expected losses at (1, 1), at the truth and without an epidemic, and derivatives by log10 rates at (1, 1)."""
    seen = observed(0)[0]

    def loss(new, well):
        return ((new - seen[0][:, None]) ** 2 + (well - seen[1][:, None]) ** 2).sum(axis=0)

    def error(logs, key):
        return sum(jnp.sum((a - b) ** 2) for a, b in zip(theirs(10**logs, key), seen, strict=True))

    *begun, scores = counts(np.ones(2), AGENTS, PART, rng)
    *there, _ = counts(THETA, AGENTS, PART, rng)
    right = np.log(10) * by_score(loss(*begun), scores[:, -1])
    slopes = np.asarray(
        jax.jit(jax.vmap(jax.grad(error), (None, 0)))(jnp.zeros(2), jax.random.split(jax.random.key(9), draws))
    )
    return {
        "loss": {"start": loss(*begun).mean(), "truth": loss(*there).mean(), "nobody_infected": (seen**2).sum()},
        "derivative": right.tolist(),
        "median_derivative_of_notebook": np.median(slopes, axis=0).tolist(),
        "share_of_its_runs_with_the_right_sign": np.mean(np.sign(slopes) == np.sign(right), axis=0).tolist(),
        "infected_within_60_days": begun[0].sum(axis=0).mean(),
    }


def errors(table, fit, right, held, again, start, rng) -> dict:
    """Return what the notebook has wrong, each with a number."""
    keys, taus = jax.random.split(jax.random.key(3), 500), {}
    for tau in (0.1, 0.5, 1.0):
        some = (
            jacobians(lambda t, k, tau=tau: notebook(t, k, tau)[0], len(keys))[:, 0, :, 0].sum(axis=1) / right[0, -1, 0]
        )
        taus[str(tau)] = {
            "mean": some.mean(),
            "standard_error": some.std() / len(keys) ** 0.5,
            "median": np.median(some),
        }
    walks = jax.random.split(jax.random.key(4), 20_000)
    low, high = (jax.vmap(lambda k, at=at: position(at, k, None)[-1])(walks).mean() for at in (0.3, 0.5))
    walk = (high - low) / 0.2 / 49
    half, whole = (counts(THETA, MANY, 1000, rng, dt)[0].mean(axis=1).max() for dt in (0.5, 1.0))
    new, well, _ = counts(THETA, MANY, 1000, rng)
    begun, ended = (np.cumsum(np.vstack([0 * v[:1], v[:-1]]), axis=0).mean(axis=1).sum() for v in (new, well))
    idle = (STEPS * INFECTED + begun) + (STEPS * (1 - INFECTED) - begun + ended)
    new, well, _ = counts(THETA, AGENTS, PART, rng)
    own = 2 * (new.var(axis=1) + well.var(axis=1)).sum()
    noise = NOISE**2 * ((new**2).mean(axis=1) + (well**2).mean(axis=1)).sum()
    one, other = right[0, :-1, 1], right[1, :-1, 0]

    def theirs_of(what):
        return {name.partition(": ")[2]: row[what] for name, row in table.items() if name.startswith("notebook")}

    figures = {
        "labels": np.abs(one - other).max() / np.abs(other).max(),
        "size": theirs_of("sum_over_truth"),
        "clip": {"share": held[1, -1] / held[:, -1].sum(), "recovery": again},
        "one_run": theirs_of("deviation_over_truth"),
        "temperature": taus,
        "impossible_events": LEAST * MANY * idle,
        "start": start,
        "recipe": fit["both_within_20_percent"],
        "last_epoch": fit["deviation_of_logarithm_in_last_50"],
        "gradient_cut": fit["epochs_cut"],
        "noise": noise / (own + noise),
        "days": half / whole,
        "recovery_time": 1 / -np.expm1(-THETA[1]),
        "line": float(walk),
    }
    return {name: {"what": what, "figure": figures[name]} for name, what in WRONG.items()}


def plain(axis, title, x="day", y="") -> None:
    """Name what an axis shows."""
    axis.set_title(title, fontsize=11)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.spines[["top", "right"]].set_visible(False)


def draw(curve, mean, slopes, right, held, lost, ways, path: Path) -> None:
    """Draw daily curves, derivatives and fits."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "quesnay"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, 3, figsize=(11, 9.3), layout="constrained")
    days, epochs = np.arange(1, STEPS + 1), np.arange(1, EPOCHS + 1)
    dashed = {"color": "0.1", "linestyle": "--", "linewidth": 1.2}
    for k, colour in enumerate((BLUE, RED)):
        axes[0, 0].plot(days, curve[k], color=colour, linewidth=1.8, label=OUTCOMES[k])
        axes[0, 0].plot(days, mean[k], **dashed, label="expected" if k else None)
    plain(axes[0, 0], "quesnay: one epidemic, 10,000 agents", y="share of agents per day")
    for row, j in np.ndindex(2, 2):
        axis, who = axes[row, 1 + j], ("quesnay", "notebook")[row]
        for k, colour in enumerate((BLUE, RED)):
            own = slopes[who][:, k, :, j]
            middle, error = own.mean(axis=0), own.std(axis=0) / len(own) ** 0.5
            axis.fill_between(days, middle - 2 * error, middle + 2 * error, color=colour, alpha=0.25, linewidth=0)
            axis.plot(days, middle, color=colour, linewidth=1.8, label=OUTCOMES[k])
            axis.plot(days, right[k, :-1, j], **dashed, label="truth" if k else None)
        plain(axis, f"{who}: slopes by {RATES[j]}, ± 2 s.e.", y="d share per day / d rate")
    names = ["held by agents not infected", "held by the infected"]
    axes[1, 0].stackplot(days, held[::-1], colors=["0.8", BLUE], labels=names, linewidth=0)
    axes[1, 0].set_ylim(0, 1.35 * held.sum(axis=0).max())
    plain(axes[1, 0], "notebook: derivative of the infected share", y="d infected share / d beta")
    for name, colour in zip(FITS, (GREY, YELLOW, BLUE), strict=True):
        axes[2, 0].plot(epochs, np.median(lost[name], axis=0), color=colour, linewidth=1.5, label=name)
    axes[2, 0].set_ylim(0.0025, 0.8)
    plain(axes[2, 0], f"losses, medians of {len(lost['notebook'])} fits", "epoch", "sum of squared errors")
    for axis, name in zip(axes[2, 1:], ("notebook", "infer.map"), strict=True):
        for j, colour in enumerate((GREEN, VIOLET)):
            axis.plot(epochs[::4], ways[name][:, ::4, j].T, color=colour, alpha=0.25, linewidth=0.8)
            axis.plot(epochs, ways[name][0, :, j], color=colour, linewidth=1.8, label=RATES[j])
            axis.axhline(THETA[j], **dashed, label="truth" if j else None)
        axis.set_ylim(0.01, 4)
        plain(
            axis, f"{name}: rates{', after its pilot' if name == FITS[2] else ' from (1, 1)'}", "epoch", "rate per day"
        )
    for axis in axes[2]:
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
    for axis in axes.flat:
        axis.legend(frameon=False, fontsize=9)
    figure.savefig(path, metadata={"Date": None})
    shorten(path)


def main() -> None:
    """Write the figures and the list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paths", type=int, default=1_000_000)
    parser.add_argument("--draws", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    right, error = truth(arguments.paths, rng)
    slopes = {"quesnay": jacobians(ours, arguments.draws), "notebook": jacobians(theirs, arguments.draws // 5)}
    held, again = holders(arguments.draws // 20)
    lost, ways, fit = fits(arguments.seeds)
    start = at_start(arguments.draws // 20, rng)
    table = compare(slopes, right, error)
    result = {
        "command": f"python benchmarks/agents_notebook.py {' '.join(sys.argv[1:])}".strip(),
        "what": __doc__,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "derivatives": table,
        "fits": fit,
        "errors": errors(table, fit, right, held, again, start, rng),
    }
    print(json.dumps(result, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if arguments.figure:
        sir = q.agents.SIR(agents=MANY, infected=INFECTED, beta=THETA[0], gamma=THETA[1])
        path = q.simulate(sir, steps=STEPS, key=jax.random.key(0))
        mean = [part.mean(axis=1) for part in counts(THETA, MANY, 1000, rng)[:2]]
        draw((path.infections, path.recoveries), mean, slopes, right, held, lost, ways, arguments.figure)


if __name__ == "__main__":
    main()
