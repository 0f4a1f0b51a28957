"""Generalised variational inference: the guide q that minimises E_q[loss] + D(q || prior)."""

import dataclasses
import functools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree
from numpyro.infer import RenyiELBO, Trace_ELBO
from numpyro.infer.elbo import ELBO

from quesnay._checks import whole
from quesnay._errors import ConvergenceWarning, InputError, SolveError

from . import checkpoints
from .conditioning import MOST, condition
from .health import LOOKS, PLATEAU, Health, judge, on_plateau
from .losses import AbstractLoss, read_loss
from .posterior import Posterior, make_posterior
from .problem import Problem, read_problem, split
from .progress import Told, told
from .starts import begun
from .variational import Chart, Fitting, Guide, State, advance, begin, draw, finish, located, mean_field

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
    precondition: bool | None = None,
    scouts: int = 0,
    starts: int = 1,
    draws: int = 1000,
    labels: Mapping[str, Sequence[Any]] | None = None,
    missing: bool = False,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Told | bool | None = None,
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
        `mean_field()`, `low_rank(rank)`, `full_covariance()`, `flow()`, or any guide of numpyro's: a function of
        (model, init_loc_fn=...). None is `mean_field()`: with `precondition`, independent along the
        axes of the curvature, which are correlated parameters.
    steps:
        Gradient steps.
    learning_rate:
        Adam's, in units of the prior's standard deviation; it falls to zero along a cosine.
    divergence:
        None is Kullback and Leibler's; `renyi(alpha)` the generalised one.
    precondition:
        Look for the mode first, and fit in coordinates in which the curvature there is that of a standard normal; it takes 152
        simulations, two for each unknown, and some tens for the end of the search. None does so for up to 100 unknowns where no
        guide is given and the simulator does not draw (the mode would be that of one realisation).
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
        Go on from the checkpoint, to the numbers of an uninterrupted run; without a file there, begin. The file of a run with
        other data, prior, loss, key or number of steps is refused.
    progress:
        True draws a bar; a function is called with (steps done, steps in all) every 25 steps.
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
        The loss was still falling at the end, or many simulations were not finite; the loss of a simulator that draws is no
        lower than at half of 16 prior draws (a plateau).

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
    keys = split(key, 5)
    given = read_loss(loss, weight)
    fitted = given.fit(problem, keys[0])
    first = begun(problem, fitted, whole(scouts, "scouts", "number of scouts", least=0), tries, keys[1])
    before, form = plan(problem, guide, precondition)
    best, used, astray, away = None, 0, 0, math.nan
    for number, (start, own) in enumerate(zip(first.points, jax.random.split(keys[2], tries), strict=True)):
        chart = None
        if before:
            chart, more, bad, away = _condition(problem, fitted.loss, start, own)
            used, astray, away = used + int(more), astray + int(bad), float(away)

        def prepare(
            chart: Chart | None, own_loss: AbstractLoss, own: PRNGKeyArray = own, start: Array = start
        ) -> Fitting:
            return begin(
                problem, own_loss, form, own,
                steps=total, learning_rate=learning_rate, divergence=divergence, start=start, chart=chart,
            )  # fmt: skip

        chosen = (divergence, before, scouts, problem.prior.names, form, given)
        run = checkpoints.digest((problem[1:4], given, divergence, key, total, learning_rate), _words(chosen))
        with told(progress) as tell:
            fitting, state = _run(prepare, chart, fitted.loss, total, checkpoint, resume, tell, run)
        health = judge(state.losses)
        if best is None or health.last < best[1].last:
            best = (finish(fitting, state), health, number, away, state)
    assert best is not None
    fit, health, number, away, state = best
    ends, looks = jax.random.split(keys[4])
    flat = on_plateau(problem, fitted.loss, draw(fit, ends, LOOKS), looks) if problem.draws else None
    _judge(health, flat, throw)
    simulations = (
        fitted.simulations
        + first.simulations
        + used
        + total * tries * fitted.loss.draws * _particles(divergence)
        + 2 * LOOKS * fitted.loss.draws * problem.draws
    )
    return make_posterior(
        problem, draw(fit, keys[3], many)[None],
        method="gvi", simulations=simulations, converged=health.converged and flat is None, labels=labels,
        history=(state.losses, _looked(len(state.points) // problem.prior.size, total), state.points),
        diagnostics={
            "steps": total, "not_finite": health.not_finite, "first_loss": health.first, "last_loss": health.last,
            "still_falling": health.falling, "plateau": flat is not None, "start": number, "starts": tries, "scouts": scouts,
            "scouts_not_finite": first.not_finite, "preconditioned": before, "search_not_finite": astray,
            "distance_to_mode": None if math.isnan(away) else away,
            "missing": problem.missing,
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


_condition = eqx.filter_jit(condition)


def plan(problem: Problem, guide: Guide | None, precondition: bool | None) -> tuple[bool, Guide]:
    """Return whether a fit is preconditioned, and its guide."""
    if precondition not in (None, True, False):
        raise InputError(f"precondition is {precondition!r}; give True, False, or None.")
    before = (
        guide is None and not problem.draws and problem.prior.size <= MOST if precondition is None else precondition
    )
    return before, guide or mean_field()


def _looked(count: int, steps: int) -> np.ndarray:
    """Return the steps at which a fit was looked at."""
    return np.minimum(CHUNK * np.arange(1, count + 1), steps)


def _particles(divergence: ELBO | None) -> int:
    return (divergence or Trace_ELBO()).num_particles


def _words(chosen: Any) -> str:
    """Return choices as text, without what differs from process to process: numbers of arrays, and addresses."""
    if isinstance(chosen, tuple):
        return " ".join(map(_words, chosen))
    if isinstance(chosen, functools.partial):
        return _words((chosen.func, tuple(sorted((k, v) for k, v in chosen.keywords.items()))))
    if isinstance(chosen, AbstractLoss):
        fields = (getattr(chosen, f.name) for f in dataclasses.fields(chosen))
        return _words((type(chosen), tuple(v for v in fields if not isinstance(v, (jax.Array, np.ndarray)))))
    if isinstance(chosen, ELBO):
        return _words(
            (type(chosen), tuple(f"{k}={v}" for k, v in sorted(vars(chosen).items()) if isinstance(v, (int, float))))
        )
    return getattr(
        chosen,
        "__qualname__",
        str(chosen) if isinstance(chosen, (str, int, float, type(None))) else type(chosen).__name__,
    )


def _run(
    prepare: Callable[[Chart | None, AbstractLoss], Fitting],
    chart: Chart | None,
    loss: AbstractLoss,
    steps: int,
    checkpoint: str | Path | None,
    resume: bool,
    tell: Told | None,
    run: str,
) -> tuple[Fitting, State]:
    fitting = prepare(chart, loss)
    state = fitting.start
    if checkpoint is not None and resume and Path(checkpoint).exists():
        # The chart and the loss were computed too, and another processor may round them otherwise.
        state, chart, loss = checkpoints.read(checkpoint, (state, chart, loss), run)
        fitting = prepare(chart, loss)
    while len(state.losses) < steps:
        state = located(fitting, advance(fitting, state, min(CHUNK, steps - len(state.losses))))
        if checkpoint is not None:
            checkpoints.write(checkpoint, (state, chart, loss), run)
        if tell is not None:
            tell(len(state.losses), steps)
    return fitting, state


def _judge(health: Health, flat: float | None, throw: bool) -> None:
    if throw and not math.isfinite(health.last):
        raise SolveError(
            f"All {health.not_finite} steps had a loss that is not finite; narrow the prior, or give scouts= to find where the "
            f"simulator runs."
        )
    if flat is not None:
        warnings.warn(PLATEAU.format(last=flat, looks=LOOKS), ConvergenceWarning, stacklevel=3)
    elif health.falling:
        warnings.warn("The loss was still falling at the end; give more steps.", ConvergenceWarning, stacklevel=3)
    elif not health.converged:
        warnings.warn(
            f"The fit is not to be trusted: {health.not_finite} steps had no finite loss, and the loss went from "
            f"{health.first:.4g} to {health.last:.4g}; take a lower learning_rate, or a prior of where the simulator runs.",
            ConvergenceWarning,
            stacklevel=3,
        )
