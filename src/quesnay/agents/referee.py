"""`check_gradient`: derivatives by every estimator against finite differences with common random numbers, with error bars."""

import inspect
import time
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quesnay._checks import positive, whole
from quesnay._errors import InputError

from .estimators import AbstractEstimator, GumbelSoftmax, MeanField, Smoothed, StraightThrough
from .expectation import surrogates
from .score import Score

ESTIMATORS = (Smoothed(), StraightThrough(), GumbelSoftmax(), Score(), MeanField(), None)
BATCH = 256
"""Runs that are in memory at once."""
FEW = 8
"""Parameters up to which derivatives are taken forwards."""
SURE = 3.0
"""Standard errors beyond which a difference is one."""


class GradientCheck(eqx.Module):
    """How good derivatives are, by estimator and parameter.

    Attributes
    ----------
    estimators, parameters:
        Names of estimators (E,) and parameters (P,).
    mean, error, sd:
        Mean of the derivative over draws, its standard error, and the deviation of a single draw (E, P). nan where an
        estimator has no such draw.
    referee, referee_error:
        The derivative by finite differences (P,), extrapolated to a step of 0, and its standard error.
    bias:
        `mean - referee` (E, P).
    bias_error:
        Its standard error (E, P); differences and derivatives come from different draws.
    seconds:
        Time of one derivative in a batch, compiled (E,).
    notes:
        Why an estimator has no numbers; empty where it has (E,).
    """

    estimators: tuple[str, ...] = eqx.field(static=True)
    parameters: tuple[str, ...] = eqx.field(static=True)
    mean: Float[np.ndarray, "E P"]
    error: Float[np.ndarray, "E P"]
    sd: Float[np.ndarray, "E P"]
    referee: Float[np.ndarray, " P"]
    referee_error: Float[np.ndarray, " P"]
    seconds: Float[np.ndarray, " E"]
    notes: tuple[str, ...] = eqx.field(static=True)

    @property
    def bias(self) -> Float[np.ndarray, "E P"]:
        return self.mean - self.referee

    @property
    def bias_error(self) -> Float[np.ndarray, "E P"]:
        return np.hypot(self.error, self.referee_error)

    @property
    def biased(self) -> np.ndarray:
        """Whether the bias is more than three of its standard errors (E, P)."""
        return np.abs(self.bias) > SURE * self.bias_error

    def verdict(self, estimator: str) -> str:
        """Return in words what the check says of an estimator."""
        k = self.estimators.index(estimator)
        if self.notes[k]:
            return self.notes[k]
        if not self.mean[k].any():
            return "no derivative"
        size = np.where(self.referee != 0, np.abs(self.referee), 1)
        if not self.biased[k].any():
            at = np.max(SURE * self.bias_error[k] / size)
            return f"no bias seen; more than {at:.1%} would have been"
        worst = int(np.argmax(np.where(self.biased[k], np.abs(self.bias[k]) / size, 0)))
        share = (
            f"{self.bias[k, worst] / self.referee[worst]:+.1%}"
            if self.referee[worst]
            else f"{self.bias[k, worst]:+.3g}"
        )
        return f"biased by {share} in {self.parameters[worst]}"

    def __repr__(self) -> str:
        width = max(len(name) for name in (*self.estimators, "finite differences"))
        lines = []
        for p, parameter in enumerate(self.parameters):
            lines.append(
                f"d/d {parameter}".ljust(width) + f"  {'mean':>12}  {'std. error':>10}  {'sd':>10}  {'bias':>10}"
            )
            lines.append(
                "finite differences".ljust(width) + f"  {self.referee[p]:12.5g}  {self.referee_error[p]:10.2g}"
            )
            for k, name in enumerate(self.estimators):
                numbers = (self.error[k, p], self.sd[k, p], self.bias[k, p])
                shown = f"  {self.mean[k, p]:12.5g}" + "".join(f"  {v:10.2g}" for v in numbers)
                lines.append(name.ljust(width) + ("" if self.notes[k] else shown))
        lines += [f"{name}: {self.verdict(name)}" for name in self.estimators]
        return "\n".join(lines)


def check_gradient(
    fn: Callable[..., Any],
    theta: PyTree,
    *,
    key: PRNGKeyArray,
    draws: int = 1000,
    referee_draws: int | None = None,
    step: float = 0.1,
    estimators: Sequence[AbstractEstimator | None] = ESTIMATORS,
) -> GradientCheck:
    """Return how good the derivatives of a random function's mean are, by every estimator.

    ```
    referee   (4 D(h) - D(2 h)) / 3,   D(h) = mean of (f(theta + h, key) - f(theta - h, key)) / (2 h)
    ```

    Both ends of a difference have the same random numbers. The step is extrapolated to 0 from two of them, which leaves
    an error of its fourth power; draws of differences and of derivatives have keys of their own.

    Parameters
    ----------
    fn:
        Function of (theta, key, estimator) that returns a number, such as a loss of a simulation; or of (theta, key), whose
        derivative is then the only one that is checked.
    theta:
        Parameters: numbers or arrays.
    key:
        A JAX random key.
    draws:
        Derivatives by each estimator.
    referee_draws:
        Differences for each parameter; ten times `draws` unless given.
    step:
        h, relative to each parameter (as it is where that is 0). f has to be defined 2 h around theta.
    estimators:
        Those that are compared; None is no derivative.

    Raises
    ------
    InputError
        fn returns no number, or one that is not finite near theta.

    References
    ----------
    Glasserman and Yao (1992), common random numbers; Richardson (1911).
    """
    draws, step = whole(draws, "draws", "number of draws", least=2), positive(step, "step", 0.5)
    many = (
        10 * draws if referee_draws is None else whole(referee_draws, "referee_draws", "number of differences", least=2)
    )
    at, form = ravel_pytree(jax.tree.map(lambda leaf: jnp.asarray(leaf, float), theta))
    names = _names(theta)
    compared = tuple(estimators) if _takes_estimator(fn) else (Smoothed(),)
    labels = tuple(map(repr, compared)) if _takes_estimator(fn) else ("fn",)
    if at.size == 0 or not compared:
        raise InputError("there is nothing to check; give one parameter and one estimator or more.")

    def value(point, own, estimator):
        given = (form(point), own, estimator) if _takes_estimator(fn) else (form(point), own)
        result = jnp.asarray(fn(*given))
        if result.shape != ():
            raise InputError(f"fn returns shape {result.shape}; give a function that returns one number.")
        return result

    first, second = jax.random.split(key)
    # Draws themselves are those of any estimator but the mean field's.
    truth = _differences(lambda point, own: value(point, own, Smoothed()), at, second, many, step)
    if not np.isfinite(truth).all():
        p = int(np.argmax(~np.isfinite(truth).all(axis=0)))
        raise InputError(f"fn is not finite within {2 * step:g} of {names[p]}; take a smaller step, or another theta.")
    means, deviations, seconds, notes = [], [], [], []
    for estimator in compared:
        try:
            by_score = isinstance(estimator, Score)
            slopes, took = _derivatives(
                lambda point, own, e=estimator: value(point, own, e), at, first, draws, by_score
            )
            notes.append("")
        except InputError as error:
            slopes, took = np.full((draws, at.size), np.nan), np.nan
            notes.append(str(error))
        means.append(slopes.mean(axis=0))
        deviations.append(slopes.std(axis=0, ddof=1))
        seconds.append(took / draws)
    return GradientCheck(
        labels, names, np.array(means), np.array(deviations) / draws**0.5, np.array(deviations),
        truth.mean(axis=0), truth.std(axis=0, ddof=1) / many**0.5, np.array(seconds), tuple(notes),
    )  # fmt: skip


def _derivatives(value: Callable, at: Array, key: PRNGKeyArray, draws: int, by_score: bool) -> tuple[np.ndarray, float]:
    by = jax.jacfwd if at.size <= FEW else jax.jacrev
    if by_score:
        run = jax.jit(lambda at, keys: by(lambda at: surrogates(value, at, keys, BATCH))(at))
    else:
        run = jax.jit(lambda at, keys: jax.lax.map(lambda own: by(value)(at, own), keys, batch_size=BATCH))
    keys = jax.random.split(key, draws)
    run = run.lower(at, keys).compile()
    begun = time.perf_counter()
    slopes = np.asarray(run(at, keys))
    return slopes, time.perf_counter() - begun


def _differences(value: Callable, at: Array, key: PRNGKeyArray, draws: int, step: float) -> np.ndarray:
    """Return the extrapolated difference of every draw by every parameter (draws, P)."""
    h = jnp.where(at != 0, step * jnp.abs(at), step)
    moves = jnp.diag(h)

    def one(own):
        def central(size):
            ends = [jax.vmap(lambda move: value(at + sign * size * move, own))(moves) for sign in (1, -1)]  # noqa: B023
            return (ends[0] - ends[1]) / (2 * size * h)

        return (4 * central(1) - central(2)) / 3

    return np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=BATCH))(jax.random.split(key, draws)))


def _names(theta: PyTree) -> tuple[str, ...]:
    names = []
    for path, leaf in jax.tree_util.tree_flatten_with_path(theta)[0]:
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "theta"
        shape = np.shape(leaf)
        names += [f"{name}[{', '.join(map(str, i))}]" for i in np.ndindex(*shape)] if shape else [name]
    return tuple(names)


def _takes_estimator(fn: Callable) -> bool:
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        raise InputError("fn is no function; give one of (theta, key, estimator) or of (theta, key).") from None
    needed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]
    if len(needed) not in (2, 3):
        raise InputError(
            f"fn takes {len(needed)} arguments; give a function of (theta, key, estimator) or of (theta, key)."
        )
    return len(needed) == 3
