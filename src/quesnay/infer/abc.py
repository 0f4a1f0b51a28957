"""Approximate Bayesian computation: prior draws whose simulations come close to what was observed; no gradients."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from blackjax.smc import resampling
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quesnay._checks import positive, whole
from quesnay._errors import ConvergenceWarning, InputError, SolveError

from .posterior import Posterior, make_posterior
from .problem import Problem, read_problem

MOVED = 0.5
"""Share of the particles that move at least once before the threshold is lowered again."""
DISTINCT = 0.5
"""Share of the particles that differ from each other, above which a population can be trusted."""

Distance = Callable[[Any, Any], Array]
"""The distance of one simulation from the observations, both in the structure of the observations."""


def abc(
    simulator: Callable[..., PyTree],
    prior: Mapping[str, Any],
    observed: PyTree,
    *,
    key: PRNGKeyArray,
    simulations: int = 30_000,
    keep: int = 100,
    distance: Distance | None = None,
    batch: int = 100,
    labels: Mapping[str, Sequence[Any]] | None = None,
    missing: bool = False,
) -> Posterior:
    """Return the prior draws whose simulations are nearest to what was observed (rejection, the nearest `keep` of them).

    For a few unknowns: the share of prior draws that come close falls with the power of their number. A simulator that draws
    is simulated once at every prior draw, with its own key.

    Parameters
    ----------
    simulator, prior, observed, key, labels, missing:
        As in `gvi`; the simulator needs no derivatives.
    simulations:
        Number of prior draws, each simulated once.
    keep:
        How many of them are kept, the nearest first.
    distance:
        A function of (simulated, observed), both in the structure of the observations (missing ones are NaN in both), that
        returns a number. None takes the mean over series of the mean squared difference, divided by the variance of the
        observed series (by its mean square where it does not vary).
    batch:
        Simulations at once (`vmap`): what memory must hold. The posterior does not depend on it.

    Returns
    -------
    Posterior
        Its `diagnostics` hold the share of draws that was kept (`acceptance`), the largest distance among them (`threshold`),
        the least (`nearest`), and how many simulations were not finite; those are rejected.

    Raises
    ------
    InputError
        Arguments that do not fit each other; each message says which.
    SolveError
        Fewer than `keep` simulations are finite.

    Source: Pritchard et al. (1999), Mol. Biol. Evol. 16; the nearest share: Beaumont, Zhang and Balding (2002), Genetics 162.
    """
    problem = read_problem(simulator, prior, observed, missing=missing)
    total = whole(simulations, "simulations", "number of simulations")
    many = whole(keep, "keep", "number of draws to keep")
    if many > total:
        raise InputError(f"keep is {many}, more than the {total} simulations there are; give fewer.")
    size = min(whole(batch, "batch", "number of simulations at once"), total)
    z, apart, bad = _nearest(problem, _far(problem, distance), key, total, many, size)
    if not np.isfinite(apart).all():
        raise SolveError(
            f"Only {total - bad} of {total} simulations are finite, fewer than the {many} to keep; narrow the prior to where "
            f"the simulator runs."
        )
    return make_posterior(
        problem, z[None], method="abc", simulations=total, converged=True, labels=labels,
        diagnostics={
            "acceptance": many / total, "threshold": float(apart[-1]), "nearest": float(apart[0]), "not_finite": bad,
            "missing": problem.missing,
        },
    )  # fmt: skip


def abc_smc(
    simulator: Callable[..., PyTree],
    prior: Mapping[str, Any],
    observed: PyTree,
    *,
    key: PRNGKeyArray,
    simulations: int = 30_000,
    particles: int = 1000,
    quantile: float = 0.5,
    threshold: float = 0.0,
    distance: Distance | None = None,
    batch: int = 100,
    labels: Mapping[str, Sequence[Any]] | None = None,
    missing: bool = False,
) -> Posterior:
    """Return draws from p(theta | distance <= epsilon), with epsilon lowered round by round (sequential Monte Carlo).

    Particles begin as prior draws. Every round lowers epsilon to a quantile of their distances, resamples those within
    (systematically), and moves them by random-walk Metropolis steps that leave p(z | distance <= epsilon) as it is, with the
    covariance 2.38^2 / size Cov(z) of the survivors, until half of them have moved. It reaches lower distances than `abc`
    with as many simulations, since it proposes where distances are small already.

    Parameters
    ----------
    simulator, prior, observed, key, distance, batch, labels, missing:
        As in `abc`. A simulator that draws takes a new key for every proposal.
    simulations:
        Most simulations, at least two per particle. The last round ends where they do.
    particles:
        Number of particles, and of draws in the posterior.
    quantile:
        Share of the particles that survives a round.
    threshold:
        Distance at which to stop; 0 goes on until the simulations are used.

    Returns
    -------
    Posterior
        Its `diagnostics` hold epsilon (`threshold`), the number of rounds, the acceptance of the last round's moves, the share
        of particles that differ (`distinct`), and how many simulations were not finite; those are rejected. It converged if
        at least half of the particles differ and a threshold above 0 was reached.

    Raises
    ------
    InputError
        Arguments that do not fit each other; each message says which.
    SolveError
        Too few of the prior draws have a finite simulation.

    Warns
    -----
    ConvergenceWarning
        The simulations were used before the threshold was reached, or most particles are copies.

    Source: Del Moral, Doucet and Jasra (2012), Stat. Comput. 22; moves until most particles have moved: Drovandi and Pettitt
    (2011), Biometrics 67.
    """
    problem = read_problem(simulator, prior, observed, missing=missing)
    count = whole(particles, "particles", "number of particles", least=2 * problem.prior.size + 2)
    budget = whole(simulations, "simulations", "number of simulations", least=2 * count)
    share, goal = positive(quantile, "quantile", 1.0), 0.0 if threshold == 0 else positive(threshold, "threshold")
    size = min(whole(batch, "batch", "number of simulations at once"), count)
    swarm = _Swarm(problem, _far(problem, distance), count, size)
    first, *keys = jax.random.split(key, 1 + budget // count)
    z, apart = swarm.begin(first)
    used, rounds, acceptance, epsilon = count, 0, 1.0, math.inf
    bad = int(np.isinf(apart).sum())
    if count - bad < 2 * problem.prior.size + 2:
        raise SolveError(
            f"Only {count - bad} of {count} prior draws have a finite simulation; narrow the prior to where the simulator runs."
        )
    while used + count <= budget and epsilon > goal:
        lower = max(goal, float(np.quantile(apart[np.isfinite(apart)], share)))
        if lower >= epsilon:
            break
        epsilon, rounds = lower, rounds + 1
        again, _ = jax.random.split(keys[used // count - 1])
        z, apart, root = swarm.resample(again, z, apart, epsilon)
        moved, accepted, sweeps = np.zeros(count, bool), 0, 0
        while moved.mean() < MOVED and used + count <= budget:
            _, own = jax.random.split(keys[used // count - 1])
            z, apart, went, lost = swarm.move(own, z, apart, epsilon, root)
            moved, accepted, sweeps = moved | went, accepted + int(went.sum()), sweeps + 1
            used, bad = used + count, bad + lost
        acceptance = accepted / (sweeps * count)
    distinct = len(np.unique(np.asarray(z), axis=0)) / count
    converged = distinct >= DISTINCT and epsilon <= (goal or math.inf)
    if not converged:
        warnings.warn(
            f"The particles are not to be trusted: epsilon is {epsilon:.4g} after {used} simulations (threshold: {goal:.4g}), "
            f"and {distinct:.0%} of the particles differ; give more simulations or particles, or a higher threshold.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return make_posterior(
        problem, jnp.asarray(z)[None], method="abc_smc", simulations=used, converged=converged, labels=labels,
        diagnostics={
            "threshold": epsilon, "rounds": rounds, "acceptance": acceptance, "distinct": distinct, "not_finite": bad,
            "missing": problem.missing,
        },
    )  # fmt: skip


def _far(problem: Problem, distance: Distance | None) -> Callable[[Array], Array]:
    """Return the distance of one simulation (p,) from the observations; infinite where either is not finite."""
    if distance is not None and not callable(distance):
        raise InputError(f"distance is a {type(distance).__name__}; give a function of (simulated, observed), or None.")
    own = _scaled(problem) if distance is None else _users(problem, distance)
    shape = jax.eval_shape(own, problem.observed)
    if getattr(shape, "shape", None) != () or not jnp.issubdtype(shape.dtype, jnp.floating):
        raise InputError(f"distance returns {shape}; give a function that returns one number.")

    def far(simulated: Array) -> Array:
        d = own(simulated)
        fine = jnp.isfinite(d) & jnp.all(jnp.isfinite(simulated) | ~problem.seen)
        return jnp.where(fine, d, jnp.inf)

    return far


def _scaled(problem: Problem) -> Callable[[Array], Array]:
    """Return the mean over series of the mean squared difference in units of the observed variance."""
    seen, observed = np.asarray(problem.seen), np.asarray(problem.observed)
    ends = np.cumsum([math.prod(shape) for shape in problem.shapes])[:-1]
    parts = [(v, s) for v, s in zip(np.split(observed, ends), np.split(seen, ends), strict=True)]
    there = sum(bool(s.any()) for _, s in parts)
    weights = np.concatenate([np.where(s, 1 / (_unit(v[s]) * max(s.sum(), 1) * there), 0.0) for v, s in parts])
    return lambda simulated: jnp.sum(weights * jnp.where(seen, simulated - observed, 0.0) ** 2)


def _unit(values: np.ndarray) -> float:
    """Return the variance of a series; its mean square where it does not vary, and 1 where it is zero."""
    if not len(values):
        return 1.0
    square = float((values**2).mean())
    variance = float(values.var())
    return variance if variance > 1e-20 * square else square or 1.0


def _users(problem: Problem, distance: Distance) -> Callable[[Array], Array]:
    seen = np.asarray(problem.seen)
    restore = lambda values: problem.unravel(jnp.where(seen, values, jnp.nan))  # noqa: E731
    return lambda simulated: jnp.asarray(distance(restore(simulated), restore(problem.observed)))


def _nearest(
    problem: Problem, far: Callable[[Array], Array], key: PRNGKeyArray, total: int, keep: int, batch: int
) -> tuple[Float[Array, "keep size"], np.ndarray, int]:
    """Return the nearest of the prior draws 0, 1, ..., total - 1, nearest first; draw k depends on the key and k only."""

    def one(number: Array) -> tuple[Array, Array]:
        draw, own = jax.random.split(jax.random.fold_in(key, number))
        z = problem.prior.sample(draw, 1)[0]
        return z, far(problem.simulate(z, own))

    def step(best: tuple[Array, Array, Array], numbers: Array) -> tuple[tuple[Array, Array, Array], None]:
        z, apart, bad = best
        ours, d = jax.vmap(one)(numbers)
        everything, distances = jnp.concatenate([z, ours]), jnp.concatenate([apart, d])
        least, where = jax.lax.top_k(-distances, keep)
        return (everything[where], -least, bad + jnp.sum(jnp.isinf(d))), None

    z, d = jax.eval_shape(one, jnp.asarray(0))
    empty = (jnp.zeros((keep, *z.shape), z.dtype), jnp.full(keep, jnp.inf, d.dtype), jnp.asarray(0))
    whole_batches = total // batch
    numbers = jnp.arange(whole_batches * batch).reshape(whole_batches, batch)
    best = jax.jit(lambda b, n: jax.lax.scan(step, b, n)[0])(empty, numbers)
    if total % batch:
        best = jax.jit(lambda b, n: step(b, n)[0])(best, jnp.arange(whole_batches * batch, total))
    return best[0], np.asarray(best[1]), int(best[2])


class _Swarm:
    """The compiled steps of a population of particles."""

    def __init__(self, problem: Problem, far: Callable[[Array], Array], count: int, batch: int):
        self.prior, self.count = problem.prior, count

        def distances(z: Array, key: PRNGKeyArray) -> Array:
            keys = jax.random.split(key, count)
            return jax.lax.map(lambda a: far(problem.simulate(*a)), (z, keys), batch_size=batch)

        def move(key: PRNGKeyArray, z: Array, apart: Array, epsilon: Array, root: Array) -> tuple[Array, ...]:
            jump, own, coin = jax.random.split(key, 3)
            other = z + jax.random.normal(jump, z.shape, z.dtype) @ root.T
            d = distances(other, own)
            odds = jax.vmap(problem.prior.log_density)(other) - jax.vmap(problem.prior.log_density)(z)
            went = (d <= epsilon) & (jnp.log(jax.random.uniform(coin, (count,))) < odds)
            return jnp.where(went[:, None], other, z), jnp.where(went, d, apart), went, jnp.sum(jnp.isinf(d))

        self._distances, self._move = jax.jit(distances), jax.jit(move)

    def begin(self, key: PRNGKeyArray) -> tuple[Array, np.ndarray]:
        """Return prior draws and their distances."""
        draw, own = jax.random.split(key)
        z = self.prior.sample(draw, self.count)
        return z, np.asarray(self._distances(z, own))

    def resample(
        self, key: PRNGKeyArray, z: Array, apart: np.ndarray, epsilon: float
    ) -> tuple[Array, np.ndarray, Array]:
        """Return the particles within epsilon, some of them several times, and a root of the covariance of their moves."""
        alive = apart <= epsilon
        chosen = np.asarray(resampling.systematic(key, jnp.asarray(alive / alive.sum()), self.count))
        inside = np.asarray(z)[alive]
        size = inside.shape[1]
        values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(inside.T)))
        spread = np.sqrt(np.maximum(values, 1e-12 * max(values[-1], 1e-300)))
        return z[chosen], apart[chosen], jnp.asarray(2.38 / math.sqrt(size) * vectors * spread, z.dtype)

    def move(
        self, key: PRNGKeyArray, z: Array, apart: np.ndarray, epsilon: float, root: Array
    ) -> tuple[Array, np.ndarray, np.ndarray, int]:
        """Return the particles after one Metropolis step each, which of them moved, and how many simulations failed."""
        z, d, went, lost = self._move(key, z, jnp.asarray(apart), jnp.asarray(epsilon), root)
        return z, np.asarray(d), np.asarray(went), int(lost)
