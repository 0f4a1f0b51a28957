"""How far simulations are from what was observed: the likelihood or score that takes the place of -log p(y | theta)."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.typing import ArrayLike

from quesnay._checks import floating, positive, require, whole
from quesnay._errors import InputError

from .problem import Problem, flat

NO_SCALE = (
    "{name} has no scale of its own, and the scale of a loss decides how wide the posterior is (twice the weight, a variance "
    "half as large): give weight= (1 / (2 variance) of an observation, for squared errors), or take a likelihood "
    "(SyntheticLikelihood(), Gaussian(scale))."
)


class AbstractLoss(eqx.Module):
    """The loss of simulations at one theta against the observations.

    `simulated` is (draws, p), all series in one vector; `draws` is how many simulations of a stochastic model one evaluation
    takes (a model without a key is simulated once).
    """

    draws: int = eqx.field(static=True, default=1, kw_only=True)

    @abc.abstractmethod
    def __call__(self, simulated: Float[Array, "draws p"], observed: Float[Array, " p"]) -> Float[Array, ""]:
        """Return the loss, in units of -log likelihood."""

    @abc.abstractmethod
    def fit(self, problem: Problem, key: PRNGKeyArray) -> "Fitted":
        """Return the loss for a problem's observations, missing ones left out, and the simulations that this took."""


class Fitted(NamedTuple):
    """A loss that is ready for use, the simulations that this took, and where they led (z)."""

    loss: AbstractLoss
    simulations: int = 0
    start: Array | None = None


class Gaussian(AbstractLoss):
    """Independent normal errors of a stated standard deviation: sum of (simulated - observed)^2 / (2 scale^2).

    Parameters
    ----------
    scale:
        Standard deviation of the difference between model and observation, in the units of the observations: a number, an
        array of their shape, or (with several series) the same structure of numbers or arrays.
    draws:
        Simulations per evaluation of a stochastic model, over whose losses the mean is taken.

    Raises
    ------
    InputError
        A scale that is not positive or fits no series.
    """

    scale: Any

    def __check_init__(self) -> None:
        whole(self.draws, "draws", "number of simulations per evaluation")
        for leaf in jax.tree.leaves(self.scale):
            require(
                lambda s: s > 0,
                "scale has an entry that is not positive; give standard deviations.",
                floating(leaf, "scale"),
            )

    def __call__(self, simulated: Float[Array, "draws p"], observed: Float[Array, " p"]) -> Float[Array, ""]:
        residual = (simulated - observed) / self.scale
        return 0.5 * jnp.sum(residual**2) / len(simulated)

    def fit(self, problem: Problem, key: PRNGKeyArray) -> Fitted:
        return Fitted(Gaussian(_spread(self.scale, problem), draws=self.draws))


class SquaredError(AbstractLoss):
    """Raw squared error, weight times the sum of (simulated - observed)^2; the weight must be stated.

    Raises
    ------
    InputError
        Without a weight: the posterior would be as wide as the unit of measurement decides.
    """

    weight: Any = None

    def __check_init__(self) -> None:
        if self.weight is None:
            raise InputError(NO_SCALE.format(name="SquaredError"))
        positive(self.weight, "weight")
        whole(self.draws, "draws", "number of simulations per evaluation")

    def __call__(self, simulated: Float[Array, "draws p"], observed: Float[Array, " p"]) -> Float[Array, ""]:
        return self.weight * jnp.sum((simulated - observed) ** 2) / len(simulated)

    def fit(self, problem: Problem, key: PRNGKeyArray) -> Fitted:
        return Fitted(_masked(self, problem))


class EnergyScore(AbstractLoss):
    """The energy score, a proper score of a stochastic simulator: weight * (E|Y - y| - E|Y - Y'| / 2).

    Both means are over the `draws` simulations at one theta (the second over pairs of different ones, which is unbiased).

    Parameters
    ----------
    weight:
        What one unit of the score is worth in -log likelihood; must be stated.
    draws:
        Simulations per evaluation, at least 2.

    Source: Gneiting and Raftery (2007), J. Am. Stat. Assoc. 102, eq. 22; as a loss of a posterior: Pacchiardi, Khoo and Dutta
    (2024), Electron. J. Stat. 18.
    """

    weight: Any = None
    draws: int = eqx.field(static=True, default=8, kw_only=True)

    def __check_init__(self) -> None:
        if self.weight is None:
            raise InputError(NO_SCALE.format(name="EnergyScore"))
        positive(self.weight, "weight")
        whole(self.draws, "draws", "number of simulations per evaluation", least=2)

    def __call__(self, simulated: Float[Array, "draws p"], observed: Float[Array, " p"]) -> Float[Array, ""]:
        m = len(simulated)
        to_data = jnp.mean(_length(simulated - observed))
        apart = jnp.sum(_length(simulated[:, None] - simulated[None])) / (m * (m - 1)) if m > 1 else 0.0
        return self.weight * (to_data - 0.5 * apart)

    def fit(self, problem: Problem, key: PRNGKeyArray) -> Fitted:
        return Fitted(_masked(self, problem))


class MMD(AbstractLoss):
    """Squared maximum mean discrepancy between the simulated and the observed values of the series.

    The rows (days, months) of a series are taken as draws from one distribution, whatever their order:
    weight * (E k(Y, Y') + E k(y, y') - 2 E k(Y, y)), with a Gaussian kernel.

    Parameters
    ----------
    weight:
        What one unit of the squared discrepancy is worth in -log likelihood; must be stated.
    bandwidth:
        Length of the kernel, in the units of the observations; None takes the median distance of observed rows.
    draws:
        Simulations per evaluation of a stochastic model, over whose losses the mean is taken.

    Source: Gretton et al. (2012), J. Mach. Learn. Res. 13, eq. 3 (the unbiased estimate); as a loss of a posterior:
    Cherief-Abdellatif and Alquier (2020), Proc. AABI.
    """

    weight: Any = None
    bandwidth: Any = None
    columns: int = eqx.field(static=True, default=1)

    def __check_init__(self) -> None:
        if self.weight is None:
            raise InputError(NO_SCALE.format(name="MMD"))
        positive(self.weight, "weight")
        if self.bandwidth is not None and not isinstance(self.bandwidth, jax.Array):
            positive(self.bandwidth, "bandwidth")
        whole(self.draws, "draws", "number of simulations per evaluation")

    def __call__(self, simulated: Float[Array, "draws p"], observed: Float[Array, " p"]) -> Float[Array, ""]:
        rows = observed.reshape(-1, self.columns)
        n = len(rows)

        def one(values: Array) -> Array:
            ours = values.reshape(-1, self.columns)
            within = (jnp.sum(self._kernel(ours, ours)) + jnp.sum(self._kernel(rows, rows)) - 2 * n) / (n * (n - 1))
            return within - 2 * jnp.mean(self._kernel(ours, rows))

        return self.weight * jnp.mean(jax.vmap(one)(simulated))

    def _kernel(self, a: Array, b: Array) -> Array:
        return jnp.exp(-jnp.sum((a[:, None] - b[None]) ** 2, axis=-1) / (2 * self.bandwidth**2))

    def fit(self, problem: Problem, key: PRNGKeyArray) -> Fitted:
        if len(problem.shapes) != 1 or not problem.shapes[0] or problem.shapes[0][0] < 2:
            raise InputError("MMD compares the rows of one array of at least two rows; observed is of another form.")
        if problem.missing:
            raise InputError("MMD compares whole rows; give observations without missing values.")
        columns = int(np.prod(problem.shapes[0][1:], dtype=int))
        rows = np.asarray(problem.observed).reshape(-1, columns)
        width = self.bandwidth
        if width is None:
            apart = np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(-1))[np.triu_indices(len(rows), 1)]
            width = float(np.median(apart))
            if width == 0:
                raise InputError(
                    "Most observed rows are equal, so that MMD has no bandwidth of its own; give bandwidth=."
                )
        return Fitted(MMD(self.weight, width, columns, draws=self.draws))


class Custom(AbstractLoss):
    """The user's own loss: weight times `function(simulated, observed)`, both in the structure of the observations.

    Parameters
    ----------
    function:
        Returns a number from one simulation and the observations (missing ones are NaN in both).
    weight:
        What one unit is worth in -log likelihood; 1 where the function is a -log likelihood already. Must be stated.
    draws:
        Simulations per evaluation of a stochastic model, over whose losses the mean is taken.
    """

    function: Callable[[Any, Any], Array] = eqx.field(static=True)
    weight: Any = None
    unravel: Callable[[Array], Any] | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        if not callable(self.function):
            raise InputError("The loss is no function; give one of (simulated, observed) that returns a number.")
        if self.weight is None:
            raise InputError(NO_SCALE.format(name="A loss of your own"))
        positive(self.weight, "weight")

    def __call__(self, simulated: Float[Array, "draws p"], observed: Float[Array, " p"]) -> Float[Array, ""]:
        return self.weight * jnp.mean(jax.vmap(self._one, in_axes=(0, None))(simulated, observed))

    def _one(self, simulated: Array, observed: Array) -> Array:
        unravel = self.unravel or (lambda v: v)
        return jnp.asarray(self.function(unravel(simulated), unravel(observed)))

    def fit(self, problem: Problem, key: PRNGKeyArray) -> Fitted:
        return Fitted(Custom(self.function, self.weight, _nan_where_missing(problem), draws=self.draws))


class Masked(AbstractLoss):
    """A loss of the observations that are there."""

    loss: AbstractLoss
    kept: Array

    def __call__(self, simulated: Float[Array, "draws p"], observed: Float[Array, " p"]) -> Float[Array, ""]:
        return self.loss(simulated[:, self.kept], observed[self.kept])

    def fit(self, problem: Problem, key: PRNGKeyArray) -> Fitted:
        return Fitted(self)


def _nan_where_missing(problem: Problem) -> Callable[[Array], Any]:
    seen = np.asarray(problem.seen)
    return lambda values: problem.unravel(jnp.where(seen, values, jnp.nan))


def _masked(loss: AbstractLoss, problem: Problem) -> AbstractLoss:
    if not problem.missing:
        return loss
    return Masked(loss, jnp.asarray(np.flatnonzero(np.asarray(problem.seen))), draws=loss.draws)


def _spread(scale: Any, problem: Problem) -> Float[Array, " p"]:
    """Return the scale of every observation; that of a missing one is infinite."""
    leaves = jax.tree.leaves(scale)
    if len(leaves) not in (1, len(problem.shapes)):
        raise InputError(
            f"scale has {len(leaves)} entries for {len(problem.shapes)} series; give one for all, or one for each."
        )
    leaves = leaves * len(problem.shapes) if len(leaves) == 1 else leaves
    parts: list[ArrayLike] = []
    for leaf, shape in zip(leaves, problem.shapes, strict=True):
        try:
            parts.append(jnp.broadcast_to(jnp.asarray(leaf, float), shape))
        except ValueError:
            raise InputError(f"scale of shape {np.shape(leaf)} does not fit a series of shape {shape}.") from None
    return jnp.where(problem.seen, flat(parts), jnp.inf)


def _length(v: Float[Array, "... p"]) -> Float[Array, "..."]:
    """Return the Euclidean length, with derivative zero where it is zero."""
    square = jnp.sum(v**2, axis=-1)
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)


def read_loss(loss: Any, weight: float | None) -> AbstractLoss:
    """Return the loss that the arguments ask for; None is the synthetic likelihood.

    Raises
    ------
    InputError
        A function without a weight, a weight beside a loss that has its own, or something else.
    """
    from .synthetic import SyntheticLikelihood

    if loss is None:
        loss = SyntheticLikelihood()
    if isinstance(loss, type) and issubclass(loss, AbstractLoss):
        if weight is None:
            raise InputError(f"loss is the class {loss.__name__}; give one of it, such as {loss.__name__}(...).")
        return cast(Any, loss)(weight=weight)
    if isinstance(loss, AbstractLoss):
        if weight is None:
            return loss
        return Weighted(loss, positive(weight, "weight"), draws=loss.draws)
    if callable(loss):
        return Custom(cast(Any, loss), weight)
    raise InputError(
        f"loss is a {type(loss).__name__}; give a loss, such as SyntheticLikelihood() or Gaussian(0.05), or a function."
    )


class Weighted(AbstractLoss):
    """Another loss times a weight (a tempered likelihood)."""

    loss: AbstractLoss
    weight: float

    def __call__(self, simulated: Float[Array, "draws p"], observed: Float[Array, " p"]) -> Float[Array, ""]:
        return self.weight * self.loss(simulated, observed)

    def fit(self, problem: Problem, key: PRNGKeyArray) -> Fitted:
        loss, simulations, start = self.loss.fit(problem, key)
        return Fitted(Weighted(loss, self.weight, draws=self.draws), simulations, start)
