"""The most probable parameters (maximum a posteriori), and the normal distribution around them (Laplace)."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quesnay._checks import whole
from quesnay._errors import ConvergenceWarning, InputError, SolveError

from .descent import descend
from .health import LOOKS, PLATEAU, on_plateau
from .losses import AbstractLoss, Fitted, read_loss
from .mode import Mode, Slope, find_mode
from .posterior import Posterior, make_posterior
from .problem import Problem, read_problem, split
from .starts import Begun, begun
from .variational import loss_at

LIMIT = 2000
"""Most unknowns of which a Hessian is taken."""
NEAR = 0.1
"""Distance to the mode, in posterior standard deviations, within which its Hessian is taken."""
TOGETHER = 8
"""Columns of an exact Hessian that are held in memory at once."""


def map(  # noqa: A001
    simulator: Callable[..., PyTree],
    prior: Mapping[str, Any],
    observed: PyTree,
    *,
    key: PRNGKeyArray,
    loss: AbstractLoss | Callable[..., Any] | None = None,
    weight: float | None = None,
    steps: int = 300,
    learning_rate: float = 0.1,
    scouts: int = 0,
    starts: int = 1,
    labels: Mapping[str, Sequence[Any]] | None = None,
    missing: bool = False,
    throw: bool = True,
) -> Posterior:
    """Return the most probable parameters (maximum a posteriori), as a posterior of a single draw.

    z* = argmin_z E[loss(y; theta(z))] - log p(z), by Adam, its learning rate falling to zero along a cosine. The search for a
    simulator that does not draw goes on by L-BFGS; one that draws has new random numbers at every step, so that estimators of
    its derivative need not be the derivative of any one run, and ends at the mean of its last quarter of points.

    The density is that of z, the standardised parameters without constraints: a log-normal parameter has its mode in the
    logarithm, one on an interval in its logit. A mode moves with the coordinates; this one does not depend on units.

    One draw has no width: `std`, `interval` and `contraction` say nothing here.

    Parameters
    ----------
    simulator, prior, observed, key, loss, weight, labels, missing:
        As in `gvi`; more `draws` of the loss make steps of a simulator that draws steadier.
    steps:
        Gradients of Adam from each start. Where nothing is drawn, the best point is kept and goes through about a third as many
        of L-BFGS at most, and a step to where the simulator is not finite goes half of the way back to the best point; where
        draws are, it is not taken. Such steps are counted.
    learning_rate:
        Adam's, in units of the prior's standard deviation.
    scouts:
        Prior draws that are simulated first; the search begins at the best of them, or at the prior's centre (or where the
        pilot of the loss ended) if that is better.
    starts:
        Searches: from the best scouts, or from the centre and further prior draws; that with the lowest loss is kept.
    throw:
        Raise where no start has a finite loss; with False the posterior holds the first start, and says `converged=False`.

    Raises
    ------
    InputError
        Arguments that do not fit each other; each message says which.
    SolveError
        No finite loss on the way from any start, and `throw` is True.

    Warns
    -----
    ConvergenceWarning
        The gradient is not small where the search ended. With draws: the loss was still falling, many steps were not finite, or
        the loss is no lower than at half of 16 prior draws (a plateau).

    Source: Kingma and Ba (2015), ICLR; Byrd, Lu, Nocedal and Zhu (1995), SIAM J. Sci. Comput. 16; Polyak and Juditsky (1992),
    SIAM J. Control Optim. 30.
    """
    problem = read_problem(simulator, prior, observed, missing=missing)
    keys = split(key, 3)
    fitted = read_loss(loss, weight).fit(problem, keys[0])
    tries, many = whole(starts, "starts", "number of starts"), whole(scouts, "scouts", "number of scouts", least=0)
    first = begun(problem, fitted, many, tries, keys[2])
    if problem.draws:
        return _by_descent(problem, fitted, first, keys[1], steps, learning_rate, labels, throw)
    slope = jax.jit(jax.value_and_grad(objective(problem, fitted.loss, keys[1])))
    trail: list[tuple[float, np.ndarray]] = []
    found = find_mode(slope, first.points, steps, learning_rate, trail)
    _judge_mode(found, throw)
    if not found.flat and math.isfinite(found.value):
        warnings.warn(
            f"The gradient at the end has norm {found.gradient:.3g}, where it should be 0; give more steps or starts (or the "
            f"loss has a kink there).",
            ConvergenceWarning,
            stacklevel=2,
        )
    return make_posterior(
        problem, jnp.asarray(found.z)[None, None], method="map", converged=found.flat, labels=labels,
        simulations=fitted.simulations + first.simulations + found.gradients * fitted.loss.draws,
        diagnostics=_account(found, problem) | {"scouts": many},
        history=_history(trail),
    )  # fmt: skip


def _by_descent(
    problem: Problem,
    fitted: Fitted,
    first: Begun,
    key: PRNGKeyArray,
    steps: int,
    learning_rate: float,
    labels: Mapping[str, Sequence[Any]] | None,
    throw: bool,
) -> Posterior:
    """Return the mode of a simulator that draws."""
    own, looks = jax.random.split(key)
    found = descend(problem, fitted.loss, first.points, own, steps, learning_rate)
    health, total = found.health, len(found.losses) * len(first.points)
    if throw and not math.isfinite(found.value):
        raise SolveError(
            f"None of {total} steps ends at a finite loss and gradient; narrow the prior to where the simulator runs, or give "
            f"scouts."
        )
    ends = jnp.broadcast_to(jnp.asarray(found.z), (LOOKS, len(found.z)))
    flat = on_plateau(problem, fitted.loss, ends, looks)
    if flat is not None:
        warnings.warn(PLATEAU.format(last=flat, looks=LOOKS), ConvergenceWarning, stacklevel=3)
    elif not health.converged:
        what = "was still falling at the end" if health.falling else "rose, or was not finite in many steps"
        warnings.warn(f"The loss {what}; give more steps, or a lower learning_rate.", ConvergenceWarning, stacklevel=3)
    return make_posterior(
        problem, jnp.asarray(found.z)[None, None], method="map", converged=health.converged and flat is None, labels=labels,
        simulations=fitted.simulations + first.simulations + (total + 2 * LOOKS) * fitted.loss.draws,
        diagnostics={
            "gradients": total, "not_finite": health.not_finite, "objective": found.value,
            "gradient_norm": float(np.linalg.norm(found.slope)), "still_falling": health.falling, "plateau": flat is not None,
            "start": found.start, "missing": problem.missing,
        },
        history=(found.losses, np.arange(1, len(found.points) + 1), found.points),
    )  # fmt: skip


def laplace(
    simulator: Callable[..., PyTree],
    prior: Mapping[str, Any],
    observed: PyTree,
    *,
    key: PRNGKeyArray,
    loss: AbstractLoss | Callable[..., Any] | None = None,
    weight: float | None = None,
    steps: int = 300,
    learning_rate: float = 0.1,
    starts: int = 1,
    draws: int = 1000,
    labels: Mapping[str, Sequence[Any]] | None = None,
    missing: bool = False,
    throw: bool = True,
) -> Posterior:
    """Return the normal posterior around the most probable parameters: z ~ N(z*, H^-1).

    H is the Hessian of loss(y; theta(z)) - log p(z) at the mode z* that `map` finds, in the standardised coordinates z. It is
    exact (forward over reverse mode) where the simulator has both modes, else it comes from central differences of gradients,
    two for each unknown; `diagnostics["exact_hessian"]` says which. Exact for linear simulators with normal priors and errors;
    it knows one mode, and no tails.

    Parameters
    ----------
    simulator, prior, observed, key, loss, weight, steps, learning_rate, starts, labels, missing:
        As in `map`; a simulator that draws meets the same random numbers at every step.
    draws:
        Number of draws in the posterior.
    throw:
        Raise where the Hessian is not positive definite; with False the directions in which it is not take the prior's
        precision, 1, and the posterior says `converged=False`.

    Raises
    ------
    InputError
        Arguments that do not fit each other, or more than 2,000 unknowns.
    SolveError
        No finite loss from any start; or a Hessian that is not finite or not positive definite, and `throw` is True.

    Warns
    -----
    ConvergenceWarning
        The search ended more than a tenth of a posterior standard deviation from where the gradient is zero.

    Source: Tierney and Kadane (1986), J. Am. Stat. Assoc. 81.
    """
    problem = read_problem(simulator, prior, observed, missing=missing)
    many, size = whole(draws, "draws", "number of draws", least=2), problem.prior.size
    if size > LIMIT:
        raise InputError(f"The prior has {size} unknowns, too many for a Hessian (at most {LIMIT}); use infer.gvi.")
    keys = split(key, 4)
    fitted = read_loss(loss, weight).fit(problem, keys[0])
    function = objective(problem, fitted.loss, keys[1])
    slope = jax.jit(jax.value_and_grad(function))
    first = begun(problem, fitted, 0, whole(starts, "starts", "number of starts"), keys[2])
    trail: list[tuple[float, np.ndarray]] = []
    found = find_mode(slope, first.points, steps, learning_rate, trail)
    _judge_mode(found, throw)
    bent = curvature(function, slope, found.z)
    shape = _shape(bent.hessian, throw)
    away = float(np.linalg.norm(shape.root.T @ found.slope))
    converged = shape.negative == 0 and away <= NEAR
    if not converged:
        warnings.warn(
            f"The normal posterior is not to be trusted: its centre lies {away:.2g} standard deviations from a zero gradient, "
            f"and {shape.negative} of {size} directions curve the wrong way; give more steps or starts, or use infer.gvi.",
            ConvergenceWarning,
            stacklevel=2,
        )
    z = found.z + np.asarray(jax.random.normal(keys[3], (many, size))) @ shape.root.T
    gradients = found.gradients + bent.gradients
    return make_posterior(
        problem, jnp.asarray(z)[None], method="laplace",
        simulations=fitted.simulations + first.simulations + gradients * fitted.loss.draws,
        converged=converged, labels=labels, history=_history(trail),
        diagnostics={
            **_account(found, problem), "exact_hessian": bent.exact, "negative_eigenvalues": shape.negative,
            "distance_to_mode": away,
        },
    )  # fmt: skip


def objective(
    problem: Problem, loss: AbstractLoss, key: PRNGKeyArray
) -> Callable[[Float[Array, " size"]], Float[Array, ""]]:
    """Return the function of z that a mode minimises, loss - log prior, with the same random numbers at every z."""
    return lambda z: loss_at(problem, loss, z, key) - problem.prior.log_density(z)


class Curvature(NamedTuple):
    """A Hessian, the gradients it took, and whether it is exact."""

    hessian: np.ndarray
    gradients: int
    exact: bool


def curvature(function: Callable[[Array], Array], slope: Slope, z: np.ndarray) -> Curvature:
    """Return the Hessian of a function at z, whose values and gradients `slope` returns.

    Forward over reverse mode; where the function refuses forward mode, central differences of gradients,
    H_ij = (g_j(z + h e_i) - g_j(z - h e_i)) / (2 h), with h = eps^(1/3) max(1, |z_i|): an error of about eps^(2/3).
    """
    size = len(z)

    @jax.jit
    def columns(z: Array) -> Array:
        one = lambda v: jax.jvp(jax.grad(function), (z,), (v,))[1]  # noqa: E731
        return jax.lax.map(one, jnp.eye(size, dtype=z.dtype), batch_size=min(size, TOGETHER))

    try:
        traced = columns.lower(jnp.asarray(z))
    except (TypeError, ValueError, NotImplementedError):
        steps = np.cbrt(np.finfo(z.dtype).eps) * np.maximum(1.0, np.abs(z))
        rows = []
        for i, h in enumerate(steps):
            up, down = z.copy(), z.copy()
            up[i], down[i] = z[i] + h, z[i] - h
            rows.append((np.asarray(slope(up)[1]) - np.asarray(slope(down)[1])) / (up[i] - down[i]))
        return Curvature(_symmetric(np.stack(rows)), 2 * size, False)
    return Curvature(_symmetric(np.asarray(traced.compile()(jnp.asarray(z)))), size, True)


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return (matrix + matrix.T) / 2


class Shape(NamedTuple):
    """A root of the inverse Hessian (root root' = H^-1), and how many directions curve the wrong way."""

    root: np.ndarray
    negative: int


def _shape(hessian: np.ndarray, throw: bool) -> Shape:
    missing = int((~np.isfinite(hessian)).sum())
    if missing and throw:
        raise SolveError(
            f"The Hessian at the mode has {missing} entries that are not finite; use infer.gvi, which needs none."
        )
    if missing:
        return Shape(np.eye(len(hessian), dtype=hessian.dtype), len(hessian))
    values, vectors = np.linalg.eigh(hessian)
    wrong = values <= max(1e-6, 10 * np.finfo(hessian.dtype).eps * np.abs(values).max())
    negative = int(wrong.sum())
    if negative and throw:
        raise SolveError(
            f"The Hessian at the mode is not positive definite: {negative} of {len(values)} eigenvalues are not positive, the "
            f"least {values[0]:.3g}; give more steps or starts, or use infer.gvi."
        )
    return Shape(vectors / np.sqrt(np.where(wrong, 1.0, values)), negative)


def _judge_mode(found: Mode, throw: bool) -> None:
    if throw and not math.isfinite(found.value):
        raise SolveError(
            f"None of {found.gradients} steps has a finite loss and gradient; narrow the prior to where the simulator runs, or "
            f"give more starts."
        )


def _history(trail: list[tuple[float, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return losses, and steps with their points."""
    return np.array([v for v, _ in trail]), np.arange(1, len(trail) + 1), np.array([z for _, z in trail])


def _account(found: Mode, problem: Problem) -> dict[str, Any]:
    return {
        "gradients": found.gradients, "not_finite": found.not_finite, "objective": found.value, "gradient_norm": found.gradient,
        "first_gradient_norm": found.first, "start": found.start, "missing": problem.missing,
    }  # fmt: skip
