"""Markov chain Monte Carlo: draws from the posterior itself, by the no-U-turn sampler."""

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.infer import NUTS

from quesnay._checks import instance, positive, whole
from quesnay._errors import ConvergenceWarning, SolveError

from .laplace import objective
from .losses import AbstractLoss, Fitted, read_loss
from .posterior import Posterior, make_posterior
from .problem import Problem, read_problem, split
from .variational import loss_at

CHUNK = 50
"""Draws between two reports of progress."""
JITTER = 0.3
"""Standard deviation of the chains' starts around their centre, in units of the prior's."""
SCOUTS = 32
"""Prior draws that are looked at where a chain's start has no finite loss."""
MIXED = 1.01
"""Split R-hat below which chains agree (Vehtari et al. 2021)."""


def mcmc(
    simulator: Callable[..., PyTree],
    prior: Mapping[str, Any],
    observed: PyTree,
    *,
    key: PRNGKeyArray,
    loss: AbstractLoss | Callable[..., Any] | None = None,
    weight: float | None = None,
    warmup: int = 500,
    draws: int = 1000,
    chains: int = 4,
    target_accept: float = 0.8,
    dense: bool = False,
    labels: Mapping[str, Sequence[Any]] | None = None,
    missing: bool = False,
    progress: Callable[[int, int], None] | None = None,
    throw: bool = True,
) -> Posterior:
    """Return draws from the posterior, p(theta | y) ~ p(theta) exp(-loss(y; theta)), by the no-U-turn sampler.

    Exact up to Monte Carlo error, for some hundreds of gradients per independent draw: for cheap simulators, and for checks
    of `gvi` and `laplace`. Chains run side by side on one device (`vmap`).

    Parameters
    ----------
    simulator, prior, observed, key, loss, weight, labels, missing:
        As in `gvi`. A simulator that draws meets the same random numbers at every step, without which a trajectory would
        have no energy to keep; more `draws` of the loss bring it closer to the expected loss.
    warmup:
        Draws of each chain in which step and mass matrix adapt; they are left out.
    draws:
        Draws of each chain after that, at least 4.
    chains:
        Number of chains. They start near the centre of the prior, or near where the pilot of the loss ended.
    target_accept:
        Acceptance that the step adapts to; higher is slower and keeps divergences away.
    dense:
        Adapt a full mass matrix, for correlated posteriors of up to some hundred unknowns; False takes a diagonal one.
    progress:
        Called with (draws done, draws in all) of each chain every 50 draws, those of the warm-up too.
    throw:
        Raise where no chain finds a start, or draws are not finite; with False the posterior says `converged=False`.

    Returns
    -------
    Posterior
        Its `simulations` are all leapfrog steps, those of the warm-up too, and the starts; its `diagnostics` hold divergences,
        the largest split R-hat, the least effective sample size and the mean acceptance. It converged if no step diverged and
        every R-hat is below 1.01.

    Raises
    ------
    InputError
        Arguments that do not fit each other; each message says which.
    SolveError
        No start with a finite loss, or draws that are not finite, and `throw` is True.

    Warns
    -----
    ConvergenceWarning
        Chains disagree or steps diverged.

    Source: Hoffman and Gelman (2014), J. Mach. Learn. Res. 15; R-hat and effective sample size: Gelman et al. (2013), Bayesian
    Data Analysis, 11.4 and 11.5.
    """
    problem = read_problem(simulator, prior, observed, missing=missing)
    whole(warmup, "warmup", "number of warm-up draws of each chain")
    whole(draws, "draws", "number of draws of each chain", least=4)
    whole(chains, "chains", "number of chains")
    accept = positive(target_accept, "target_accept", 1.0)
    instance(dense, bool, "dense", "True or False")
    keys = split(key, 5)
    fitted = read_loss(loss, weight).fit(problem, keys[0])
    begun = _starts(problem, fitted, chains, keys[1:4], throw)
    kernel = NUTS(potential_fn=objective(problem, fitted.loss, keys[1]), target_accept_prob=accept, dense_mass=dense)
    init = jax.jit(lambda keys, z: kernel.init(keys, warmup, z, (), {}))
    state = init(jax.random.split(keys[4], chains), begun.z)
    seen = _run(kernel, state, warmup + draws, progress)
    z = jnp.swapaxes(seen.z[warmup:], 0, 1)
    health = _health(np.asarray(z), int(seen.diverging[warmup:].sum()))
    _judge(health, throw)
    steps = int(seen.num_steps.sum())
    return make_posterior(
        problem, z, method="mcmc", simulations=fitted.simulations + begun.simulations + steps * fitted.loss.draws,
        converged=health.converged, labels=labels,
        diagnostics={
            "divergences": health.divergences, "r_hat": health.r_hat, "effective_sample_size": health.effective,
            "acceptance": float(seen.accept_prob[warmup:].mean()), "leapfrog_steps": steps,
            "warmup_steps": int(seen.num_steps[:warmup].sum()),
            "starts_not_finite": begun.not_finite, "missing": problem.missing,
        },
    )  # fmt: skip


class Seen(NamedTuple):
    """What every draw of every chain leaves behind, the draws first."""

    z: np.ndarray
    num_steps: np.ndarray
    diverging: np.ndarray
    accept_prob: np.ndarray


def _run(kernel: NUTS, state: Any, total: int, progress: Callable[[int, int], None] | None) -> Seen:
    """Return all draws, those of the warm-up too, of chains side by side."""

    @functools.partial(jax.jit, static_argnums=1)
    def some(state: Any, count: int) -> tuple[Any, Seen]:
        def one(state: Any, _: None) -> tuple[Any, Seen]:
            state = kernel.sample(state, (), {})
            return state, Seen(state.z, state.num_steps, state.diverging, state.accept_prob)

        return jax.lax.scan(one, state, None, length=count)

    parts, done = [], 0
    while done < total:
        count = total if progress is None else min(CHUNK, total - done)
        state, part = some(state, count)
        parts.append(jax.tree.map(np.asarray, part))
        done += count
        if progress is not None:
            progress(done, total)
    return jax.tree.map(lambda *v: np.concatenate(v), *parts)


class Begun(NamedTuple):
    """Where the chains begin, and the simulations that this took."""

    z: Float[Array, "chains size"]
    simulations: int
    not_finite: int


def _starts(problem: Problem, fitted: Fitted, chains: int, keys: PRNGKeyArray, throw: bool) -> Begun:
    """Return starts with finite losses and gradients: the centre with jitter, or the best of some prior draws."""
    own, jitter, scouts = keys
    centre = jnp.zeros(problem.prior.size) if fitted.start is None else fitted.start
    function = jax.value_and_grad(lambda z: loss_at(problem, fitted.loss, z, own))
    look = jax.jit(lambda z: jax.lax.map(function, z))

    def losses(z: Array) -> np.ndarray:
        values, slopes = look(z)
        fine = jnp.isfinite(values) & jnp.all(jnp.isfinite(slopes), axis=1)
        return np.asarray(jnp.where(fine, values, jnp.inf))

    z = centre + JITTER * jax.random.normal(jitter, (chains, problem.prior.size))
    bad = ~np.isfinite(losses(z))
    if not bad.any():
        return Begun(z, chains * fitted.loss.draws, 0)
    others = problem.prior.sample(scouts, SCOUTS)
    found = losses(others)
    count = int(np.isfinite(found).sum())
    if count == 0 and throw and bad.all():
        raise SolveError(
            f"None of {chains + SCOUTS} starts has a finite loss and gradient; narrow the prior to where the simulator runs."
        )
    order = np.argsort(found, kind="stable")[: max(count, 1)]
    pool = z[~bad] if count == 0 and not bad.all() else others[order]
    z = jnp.where(bad[:, None], pool[jnp.arange(chains) % len(pool)], z)
    return Begun(z, (chains + SCOUTS) * fitted.loss.draws, int(bad.sum()) + SCOUTS - count)


class Health(NamedTuple):
    """How the chains went."""

    divergences: int
    r_hat: float
    effective: float
    finite: bool

    @property
    def converged(self) -> bool:
        """Whether the chains agree and no step diverged."""
        return self.finite and self.divergences == 0 and self.r_hat < MIXED


def _health(z: np.ndarray, divergences: int) -> Health:
    if not np.isfinite(z).all():
        return Health(divergences, np.inf, 0.0, False)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart, effective = np.asarray(split_gelman_rubin(z)), np.asarray(effective_sample_size(z))
    stuck = ~np.isfinite(apart)
    return Health(
        divergences, float(np.where(stuck, np.inf, apart).max()), float(np.where(stuck, 0.0, effective).min()), True
    )


def _judge(health: Health, throw: bool) -> None:
    if throw and not health.finite:
        raise SolveError("The chains hold draws that are not finite; narrow the prior to where the simulator runs.")
    if not health.converged:
        warnings.warn(
            f"The chains are not to be trusted: {health.divergences} steps diverged, R-hat is {health.r_hat:.3f} (below "
            f"{MIXED} where chains agree) and the effective sample size {health.effective:.0f}; take more warmup and draws, a "
            f"higher target_accept, or dense=True.",
            ConvergenceWarning,
            stacklevel=3,
        )
