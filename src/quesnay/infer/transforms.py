"""Losses of transformed series: `cumulative`, `square_root`, `scaled`."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray

from quesnay._checks import instance, positive
from quesnay._errors import InputError

from .losses import AbstractLoss, Fitted
from .problem import Problem, flat

ANSCOMBE = 0.375
"""What is added to a count before its square root is taken."""


def cumulative(loss: AbstractLoss) -> "Transformed":
    """Return a loss of cumulated series, `sum of y_s over s <= t` along the first axis of each.

    Sums see a peak that comes too early or too late, where the series themselves only see two peaks that do not meet: a search
    from afar finds its way. Their errors depend on each other, which `SyntheticLikelihood` knows and `Gaussian` does not.

    Parameters
    ----------
    loss:
        Of the sums; a scale is in their units. Transforms nest, the outermost first: `cumulative(square_root(loss))` is a loss
        of roots of sums.

    Raises
    ------
    InputError
        No loss; at the fit: missing observations, which have no sum, or a series that is a single number.
    """
    return _transformed(loss, Sum(), "cumulative")


def square_root(loss: AbstractLoss, unit: float | None = None) -> "Transformed":
    """Return a loss of square roots, `2 sqrt(y + 3 u / 8)`: counts, or multiples u of them, vary alike whatever their size.

    Parameters
    ----------
    loss:
        Of the roots; those of independent counts have a standard deviation of about 1, those of multiples of sqrt(u).
    unit:
        u, what one event is in the units of the observations, such as 1 / agents; None takes the smallest positive
        observation of each series.

    Raises
    ------
    InputError
        No loss, a unit that is not positive; at the fit: negative observations, or a series without a positive one and no
        unit.

    References
    ----------
    Anscombe (1948), Biometrika 35.
    """
    return _transformed(loss, Root(None if unit is None else positive(unit, "unit")), "square_root")


def scaled(loss: AbstractLoss) -> "Transformed":
    """Return a loss of series over the root mean square of their observations, so that units do not decide which one counts.

    Parameters
    ----------
    loss:
        Of the scaled series: `Gaussian(0.1)` is an error of a tenth of the root mean square.

    Raises
    ------
    InputError
        No loss; at the fit: a series whose observations are all zero.
    """
    return _transformed(loss, Size(), "scaled")


class AbstractTransform(eqx.Module):
    """What is done to a series of simulations and to that of the observations."""

    @abc.abstractmethod
    def constant(self, observed: np.ndarray, seen: np.ndarray) -> Any:
        """Return what is to be known of an observed series and of where it is not missing, or raise `InputError`."""

    @abc.abstractmethod
    def apply(self, values: Array, constant: Any) -> Array:
        """Return a series, transformed."""


class Sum(AbstractTransform):
    """Cumulative sums."""

    def constant(self, observed, seen):
        if not seen.all():
            raise InputError(
                "cumulative adds up series, and observed has values missing; fill them, or leave cumulative out."
            )
        if observed.ndim == 0:
            raise InputError("cumulative adds up along the first axis, and a series of observed is a single number.")

    def apply(self, values, constant):
        return jnp.cumsum(values, axis=0)


class Root(AbstractTransform):
    """Square roots that stabilise the variance of counts."""

    unit: float | None

    def constant(self, observed, seen):
        there = observed[seen]
        if (there < 0).any():
            raise InputError("square_root takes roots, and observed has negative values; leave square_root out.")
        if self.unit is None and not (there > 0).any():
            raise InputError("square_root finds no positive value in a series of observed; give unit=.")
        return ANSCOMBE * float(there[there > 0].min() if self.unit is None else self.unit)

    def apply(self, values, constant):
        # Simulated shares may lie below zero by rounding.
        return 2 * jnp.sqrt(jnp.maximum(values, 0) + constant)


class Size(AbstractTransform):
    """Division by the root mean square of the observations."""

    def constant(self, observed, seen):
        size = float(np.sqrt(np.mean(observed[seen] ** 2))) if seen.any() else 1.0
        if size == 0:
            raise InputError(
                "scaled divides by the size of a series, and one of observed is zero throughout; leave it out."
            )
        return size

    def apply(self, values, constant):
        return values / constant


class Transformed(AbstractLoss):
    """A loss of transformed series, ready once it is fitted to a problem."""

    loss: AbstractLoss
    transform: AbstractTransform
    constants: tuple[Any, ...] | None = None
    unravel: Any = eqx.field(static=True, default=None)

    def __call__(self, simulated: Float[Array, "draws p"], observed: Float[Array, " p"]) -> Float[Array, ""]:
        if self.constants is None:
            raise InputError("A loss of transformed series is one of a problem; call fit(problem, key) first.")
        return self.loss(jax.vmap(self.apply)(simulated), self.apply(observed))

    def apply(self, vector: Float[Array, " p"]) -> Float[Array, " p"]:
        """Return all series in one vector, transformed."""
        leaves, form = jax.tree.flatten(self.unravel(vector))
        assert self.constants is not None
        changed = [self.transform.apply(v, c) for v, c in zip(leaves, self.constants, strict=True)]
        return flat(jax.tree.unflatten(form, changed))

    def fit(self, problem: Problem, key: PRNGKeyArray) -> Fitted:
        observed, seen = (
            [np.asarray(v) for v in jax.tree.leaves(problem.unravel(part.astype(problem.observed.dtype)))]
            for part in (problem.observed, problem.seen)
        )
        constants = tuple(self.transform.constant(v, s > 0) for v, s in zip(observed, seen, strict=True))
        own = Transformed(self.loss, self.transform, constants, problem.unravel, draws=self.draws)

        def simulator(*given: Any) -> Any:
            values = jnp.where(problem.seen, ravel_pytree(problem.simulator(*given))[0], 0.0)
            return problem.unravel(own.apply(values))

        inner = self.loss.fit(problem._replace(simulator=simulator, observed=own.apply(problem.observed)), key)
        ready = Transformed(inner.loss, self.transform, constants, problem.unravel, draws=self.draws)
        return inner._replace(loss=ready)


def _transformed(loss: Any, transform: AbstractTransform, name: str) -> Transformed:
    instance(loss, AbstractLoss, f"the loss of {name}", "one such as SyntheticLikelihood() or Gaussian(0.1)")
    return Transformed(loss, transform, draws=loss.draws)
