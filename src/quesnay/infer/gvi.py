"""Generalised variational inference: the guide q that minimises E_q[loss] + D(q || prior)."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree
from numpyro.infer import RenyiELBO, Trace_ELBO
from numpyro.infer.elbo import ELBO

from quesnay._checks import whole
from quesnay._errors import ConvergenceWarning, InputError, SolveError

from . import checkpoints
from .losses import AbstractLoss, Fitted, read_loss
from .posterior import Posterior, make_posterior
from .problem import Problem, read_problem
from .variational import Fitting, Guide, State, advance, begin, draw, finish, loss_at, mean_field

CHUNK = 25
"""Steps between two looks at a fit: for its progress, its checkpoint and its health."""


def gvi(
    simulator: Callable[..., PyTree],
    prior: Mapping[str, Any],
    observed: PyTree,
    *,
    key: PRNGKeyArray,
    loss: AbstractLoss | Callable[..., Any] | None = None,
    weight: float | None = None,
    guide: Guide | None = None,
    steps: int = 300,
    learning_rate: float = 0.1,
    divergence: ELBO | None = None,
    scouts: int = 0,
    starts: int = 1,
    draws: int = 1000,
    labels: Mapping[str, Sequence[Any]] | None = None,
    missing: bool = False,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
    throw: bool = True,
) -> Posterior:
    """Return the posterior that generalised variational inference finds.

    q* = argmin_q E_q[loss(y; theta)] + D(q || p), by stochastic gradients of the reparametrised expectation, one simulation
    per step, with Adam.

    Parameters
    ----------
    simulator:
        A function of a dict of parameters, or of it and a key, that returns the simulated observations: an array, or a dict
        of arrays (several series, several shocks). JAX differentiates through it.
    prior:
        A dict of numpyro distributions, of any shapes.
    observed:
        What was observed, in the structure and shapes of what the simulator returns.
    key:
        A JAX random key.
    loss:
        What takes the place of -log p(y | theta): `SyntheticLikelihood()` (None), `Gaussian(scale)`, `EnergyScore(weight)`,
        `MMD(weight)`, `SquaredError(weight)`, or a function of (simulated, observed) beside a weight.
    weight:
        A factor of the loss: what one unit is worth in -log likelihood.
    guide:
        `mean_field()` (None), `low_rank(rank)`, `full_covariance()`, `flow()`, or any guide of numpyro's: a function of
        (model, init_loc_fn=...).
    steps:
        Gradient steps.
    learning_rate:
        Adam's, in units of the prior's standard deviation; it falls to zero along a cosine.
    divergence:
        None is Kullback and Leibler's; `renyi(alpha)` the generalised one.
    scouts:
        Prior draws that are simulated first; the fit begins at the best of them, or at the prior's centre if that is better.
    starts:
        Fits from different starts (the best scouts, or further prior draws), of which the one with the lowest loss is kept.
    draws:
        Number of draws in the posterior.
    labels:
        Labels of the first axis of parameters, by name, such as {"inventory": firms.network.labels}.
    missing:
        Take NaN in observed for missing observations; by default they are an error.
    checkpoint:
        A file that the state of the fit is written to every 25 steps; it appears whole or not at all.
    resume:
        Go on from the checkpoint, to the numbers of an uninterrupted run; without a file there, begin.
    progress:
        Called with (steps done, steps in all) every 25 steps.
    throw:
        Raise where the fit diverged; with False the posterior says `converged=False`.

    Raises
    ------
    InputError
        Arguments that do not fit each other; each message says which.
    SolveError
        No finite loss at any start, or a fit that ended at no finite or a higher loss, and `throw` is True.

    Warns
    -----
    ConvergenceWarning
        The loss was still falling at the end, or many simulations were not finite.

    Source: Knoblauch, Jewson and Damoulas (2022), J. Mach. Learn. Res. 23; Kucukelbir et al. (2017), J. Mach. Learn. Res. 18.
    """
    problem = read_problem(simulator, prior, observed, missing=missing)
    total, many = whole(steps, "steps", "number of gradient steps"), whole(draws, "draws", "number of draws", least=2)
    tries = whole(starts, "starts", "number of starts")
    if resume and checkpoint is None:
        raise InputError("resume is True but there is no checkpoint; give the file to go on from.")
    if resume and tries > 1:
        raise InputError("A run with several starts cannot be resumed; give starts=1.")
    if divergence is not None and not isinstance(divergence, ELBO):
        raise InputError(f"divergence is a {type(divergence).__name__}; give None or infer.renyi(alpha).")
    keys = jax.random.split(key, 4)
    fitted = read_loss(loss, weight).fit(problem, keys[0])
    begun = _starts(problem, fitted, whole(scouts, "scouts", "number of scouts", least=0), tries, keys[1])
    best = None
    for number, (start, own) in enumerate(zip(begun.points, jax.random.split(keys[2], tries), strict=True)):
        fitting = begin(
            problem, fitted.loss, guide or mean_field(), own,
            steps=total, learning_rate=learning_rate, divergence=divergence, start=start,
        )  # fmt: skip
        state = _run(fitting, total, checkpoint, resume, progress)
        health = _health(state.losses)
        if best is None or health.last < best[1].last:
            best = (finish(fitting, state), health, number)
    assert best is not None
    fit, health, number = best
    _judge(health, throw)
    simulations = fitted.simulations + begun.simulations + total * tries * fitted.loss.draws * _particles(divergence)
    return make_posterior(
        problem, draw(fit, keys[3], many)[None],
        method="gvi", simulations=simulations, converged=health.converged, labels=labels,
        diagnostics={
            "steps": total, "not_finite": health.not_finite, "first_loss": health.first, "last_loss": health.last,
            "still_falling": health.falling, "start": number, "starts": tries, "scouts": scouts,
            "scouts_not_finite": begun.not_finite, "missing": problem.missing,
        },
    )  # fmt: skip


def renyi(alpha: float, particles: int = 2) -> ELBO:
    """Return Renyi's alpha-divergence in place of Kullback and Leibler's (which is the limit alpha -> 1).

    alpha below 1 covers more of the posterior, above 1 less; every step takes `particles` simulations.

    Source: Li and Turner (2016), NeurIPS 29.
    """
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not math.isfinite(alpha) or alpha == 1:
        raise InputError(
            f"alpha is {alpha!r}; give a number other than 1 (divergence=None is that of Kullback and Leibler)."
        )
    return RenyiELBO(alpha=float(alpha), num_particles=whole(particles, "particles", "number of particles", least=2))


def _particles(divergence: ELBO | None) -> int:
    return (divergence or Trace_ELBO()).num_particles


class Begun(NamedTuple):
    """Where fits begin."""

    points: Array
    simulations: int
    not_finite: int


def _starts(problem: Problem, fitted: Fitted, scouts: int, tries: int, key: PRNGKeyArray) -> Begun:
    """Return the best of the scouts, the centre of the prior (or the pilot's end) among them."""
    centre = jnp.zeros(problem.prior.size) if fitted.start is None else fitted.start
    draws_, losses = jax.random.split(key)
    count = max(scouts, tries - 1)
    if count == 0:
        return Begun(centre[None], 0, 0)
    z = jnp.concatenate([centre[None], problem.prior.sample(draws_, count)])
    keys = jax.random.split(losses, len(z))
    values = np.asarray(jax.jit(lambda z, k: jax.lax.map(lambda a: loss_at(problem, fitted.loss, *a), (z, k)))(z, keys))
    finite = np.isfinite(values)
    if not finite.any():
        raise SolveError(
            f"None of {len(z)} simulations at prior draws has a finite loss; narrow the prior to where the simulator runs."
        )
    order = np.argsort(np.where(finite, values, np.inf), kind="stable")[:tries]
    return Begun(z[order], len(z) * fitted.loss.draws, int((~finite).sum()))


def _run(
    fitting: Fitting,
    steps: int,
    checkpoint: str | Path | None,
    resume: bool,
    progress: Callable[[int, int], None] | None,
) -> State:
    state = fitting.start
    if checkpoint is not None and resume and Path(checkpoint).exists():
        state = checkpoints.read(checkpoint, state)
        if len(state.losses) > steps:
            raise InputError(
                f"{checkpoint} is {len(state.losses)} steps far, beyond the {steps} asked for; give the steps of that run."
            )
    while len(state.losses) < steps:
        state = advance(fitting, state, min(CHUNK, steps - len(state.losses)))
        if checkpoint is not None:
            checkpoints.write(checkpoint, state)
        if progress is not None:
            progress(len(state.losses), steps)
    return state


class Health(NamedTuple):
    """How a fit went, by its losses."""

    first: float
    last: float
    not_finite: int
    falling: bool
    converged: bool


def _health(losses: np.ndarray) -> Health:
    """Judge a fit: `falling` where the last fifth lies below the fifth before by more than 2 standard errors and 2 %."""
    finite = losses[np.isfinite(losses)]
    bad = len(losses) - len(finite)
    if not len(finite):
        return Health(math.nan, math.inf, bad, False, False)
    n = max(len(finite) // 5, 1)
    last, before = finite[-n:], finite[-2 * n : -n]
    first, end = float(np.median(finite[:n])), float(np.median(last))
    falling = False
    if n >= 5:
        fall = before.mean() - last.mean()
        error = math.sqrt(last.var() / n + before.var() / n)
        falling = bool(fall > 2 * error and fall > 0.02 * abs(last.mean()))
    return Health(first, end, bad, falling, not falling and bad <= 0.1 * len(losses) and (end <= first or n < 5))


def _judge(health: Health, throw: bool) -> None:
    if throw and not math.isfinite(health.last):
        raise SolveError(
            f"All {health.not_finite} steps had a loss that is not finite; narrow the prior, or give scouts= to find where the "
            f"simulator runs."
        )
    if health.falling:
        warnings.warn("The loss was still falling at the end; give more steps.", ConvergenceWarning, stacklevel=3)
    elif not health.converged:
        warnings.warn(
            f"The fit is not to be trusted: {health.not_finite} steps had no finite loss, and the loss went from "
            f"{health.first:.4g} to {health.last:.4g}; take a lower learning_rate or a narrower prior.",
            ConvergenceWarning,
            stacklevel=3,
        )
