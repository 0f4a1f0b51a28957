"""The synthetic likelihood: a normal likelihood whose covariance comes from pilot simulations."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.typing import ArrayLike

from quesnay._checks import positive, whole
from quesnay._errors import InputError, SolveError

from .descent import descend
from .losses import AbstractLoss, Fitted, Gaussian
from .problem import Problem
from .variational import advance, again, begin, draw, finish, mean_field

ROUNDS = 3
"""Times that the pilot takes its own residuals for its errors."""
SCOUTS = 8
"""Prior draws from which the size of the first residuals is taken."""
NEAREST = 100
"""One scout in so many is near."""
RATE = 0.1
"""Learning rate of a pilot's search from a scout."""


class Normal(AbstractLoss):
    """A normal likelihood with covariance `diagonal + factor' factor`, by the Woodbury identity.

    `whiten` (K, p) is Q with Sigma^-1 = D^-1 - D^-1/2 Q' Q D^-1/2; `scale` is the square root of D, infinite where an
    observation is missing.
    """

    scale: Float[Array, " p"]
    whiten: Float[Array, "K p"]

    def __call__(self, simulated: Float[Array, "draws p"], observed: Float[Array, " p"]) -> Float[Array, ""]:
        residual = (simulated - observed) / self.scale
        single, m = self._square(residual), len(simulated)
        if m == 1:
            return 0.5 * single[0]
        # Of the mean of many simulations, without the part that their own variance has in it.
        mean = self._square(jnp.mean(residual, axis=0)[None])[0]
        return 0.5 * (m * mean - jnp.mean(single)) / (m - 1)

    def _square(self, residual: Float[Array, "draws p"]) -> Float[Array, " draws"]:
        return jnp.sum(residual**2, axis=1) - jnp.sum((residual @ self.whiten.T) ** 2, axis=1)

    def fit(self, problem: Problem, key: PRNGKeyArray) -> Fitted:
        return Fitted(self)


class SyntheticLikelihood(AbstractLoss):
    """A normal likelihood, (y - f)' Sigma^-1 (y - f) / 2, with Sigma from simulations at a pilot.

    The pilot is a short mean-field fit. What Sigma is then depends on
    whether the simulator draws:

    - A stochastic simulator, (theta, key): `pilot_draws` simulations at the pilot's mean have the sample covariance S, and
      Sigma = (1 - shrinkage) S + shrinkage diag(S), with the shrinkage that Ledoit and Wolf's rule gives where none is stated.
    - A deterministic one, theta alone: the residuals y - f of `pilot_draws` draws of the pilot have, series by series, a mean
      square s^2 and a correlation r from one row (day, month) to the next. Rows that follow each other closely tell little
      new, so that p of them count as p (1 - r) / (1 + r): Sigma = s^2 (1 + r) / (1 - r) I. With a shrinkage below 1, the
      remainder is the second moment of the residuals themselves, times the same factor.

    Parameters
    ----------
    shrinkage:
        Weight of the diagonal, from 0 (excluded) to 1; None is Ledoit and Wolf's for a stochastic simulator, 1 for a
        deterministic one (on networks of firms, the residuals of twenty draws do not say which directions may be trusted:
        full covariances cover 65 to 75 % where 90 % were asked for).
    pilot_steps, pilot_draws:
        Gradients and simulations of each of the pilot's three rounds, of which the first takes errors as large as those of the
        prior, and the next ones the residuals that the last one left; all count in `posterior.simulations`.
    pilot_scouts:
        For a simulator that draws: prior draws, at the nearest of which the pilot begins, which then looks for the mode (as
        `map` does) in place of a fit; for parameters far from where the prior is centred. 0: none.
    draws:
        Simulations per evaluation of a stochastic model. With 2 or more the loss is that of their mean, without the part that
        their variance has in it: `(m Q(mean r) - mean Q(r)) / (2 (m - 1))` for residuals r and Q(r) = r' Sigma^-1 r.

    Raises
    ------
    SolveError
        The pilot did not find parameters whose simulations are finite.

    Source: Wood (2010), Nature 466; shrinkage: Ledoit and Wolf (2004), J. Multivar. Anal. 88, and Schaefer and Strimmer (2005),
    Stat. Appl. Genet. Mol. Biol. 4; the number of rows that count: Bayley and Hammersley (1946), J. R. Stat. Soc. Suppl. 8.
    """

    shrinkage: float | None = None
    pilot_steps: int = eqx.field(static=True, default=20)
    pilot_draws: int = eqx.field(static=True, default=10)
    pilot_scouts: int = eqx.field(static=True, default=0)

    def __check_init__(self) -> None:
        if self.shrinkage is not None and positive(self.shrinkage, "shrinkage", 1 + 1e-12) > 1:
            raise InputError(f"shrinkage is {self.shrinkage}; give a share above 0, up to 1.")
        whole(self.pilot_steps, "pilot_steps", "number of gradients of the pilot")
        whole(self.pilot_draws, "pilot_draws", "number of simulations at the pilot", least=3)
        whole(self.pilot_scouts, "pilot_scouts", "number of prior draws before the pilot", least=0)
        whole(self.draws, "draws", "number of simulations per evaluation")

    def __call__(self, simulated: Float[Array, "draws p"], observed: Float[Array, " p"]) -> Float[Array, ""]:
        raise InputError("A synthetic likelihood has no covariance before its pilot; call fit(problem, key) first.")

    def fit(self, problem: Problem, key: PRNGKeyArray) -> Fitted:
        scouted = self.pilot_scouts and problem.draws
        return _scouted(self, problem, key) if scouted else _piloted(self, problem, key)


def _piloted(loss: SyntheticLikelihood, problem: Problem, key: PRNGKeyArray) -> Fitted:
    keys = jax.random.split(key, 5)
    prior, _ = _simulate(problem, problem.prior.sample(keys[0], SCOUTS), keys[1])
    own: AbstractLoss = Gaussian(_size(problem, prior))
    used, z, pilot = SCOUTS, jnp.zeros((0, problem.prior.size)), None
    fitting = begin(problem, own, mean_field(), keys[2], steps=loss.pilot_steps, learning_rate=0.2)
    for k in jax.random.split(keys[2], ROUNDS):
        fitting = fitting if pilot is None else again(fitting, own, k, pilot)
        pilot = finish(fitting, advance(fitting, fitting.start, loss.pilot_steps))
        z = draw(pilot, keys[3], loss.pilot_draws)
        residuals = np.asarray(_simulate(problem, z, keys[4])[0] - problem.observed, float)
        own, used = _discrepancy(loss, problem, residuals), used + loss.pilot_steps + len(z)
    middle = jnp.mean(z, axis=0)
    if not problem.draws:
        return Fitted(own, used, middle)
    simulated, _ = _simulate(problem, jnp.broadcast_to(middle, z.shape), keys[4])
    return Fitted(_noise(loss, problem, np.asarray(simulated, float)), used + len(z), middle)


def _scouted(loss: SyntheticLikelihood, problem: Problem, key: PRNGKeyArray) -> Fitted:
    """Return the likelihood whose covariance is that of simulations at a mode, which is searched for from the nearest scout.

    The first errors are as large as the residuals of the nearest scouts; the next ones are those of simulations at the last
    mode. A mean of simulations has no variance in its loss, which would draw the search to where nothing happens.
    """
    keys = jax.random.split(key, 4 + ROUNDS)
    simulated, points = _simulate(problem, problem.prior.sample(keys[0], loss.pilot_scouts), keys[1])
    far = jnp.sum(((simulated - problem.observed) / _size(problem, simulated)) ** 2, axis=1)
    near = jnp.argsort(far)[: max(3, len(points) // NEAREST)]
    many, z = max(loss.draws, 2), points[near[0]]
    # Of the shape of those that follow, so that one program does for all.
    nothing = jnp.zeros((min(loss.pilot_draws, problem.observed.size), problem.observed.size))
    own: AbstractLoss = Normal(_size(problem, simulated[near]), nothing, draws=many)
    for k in keys[4:]:
        search, own_key = jax.random.split(k)

        z = jnp.asarray(descend(problem, own, z[None], search, loss.pilot_steps, RATE).z)
        there, _ = _simulate(problem, jnp.broadcast_to(z, (loss.pilot_draws, len(z))), own_key)
        own = _noise(loss, problem, np.asarray(there, float))
    used = loss.pilot_scouts + ROUNDS * (loss.pilot_steps * many + loss.pilot_draws)
    return Fitted(own, used, z)


def _size(problem: Problem, simulated: Array) -> Float[Array, " p"]:
    """Return the root mean square by series of the residuals of simulations; infinite where an observation is missing."""
    return jnp.where(problem.seen, _by_series(problem, _mean_square(simulated - problem.observed)) ** 0.5, jnp.inf)


def _simulate(problem: Problem, z: Float[Array, "count size"], key: PRNGKeyArray) -> tuple[Array, Array]:
    """Return the simulations (count, p) that are finite, and their points (count, size)."""
    keys = jax.random.split(key, len(z))
    simulated = _run(problem.bare, z, keys)
    finite = np.asarray(jnp.all(jnp.isfinite(simulated), axis=1))
    simulated = simulated[finite]
    if len(simulated) < 3:
        raise SolveError(
            f"Only {len(simulated)} of {len(z)} simulations of the pilot are finite; narrow the prior to where it runs."
        )
    return simulated, z[finite]


@eqx.filter_jit
def _run(problem: Problem, z: Float[Array, "count size"], keys: PRNGKeyArray) -> Float[Array, "count p"]:
    return jax.lax.map(lambda a: problem.simulate(*a), (z, keys))


def _discrepancy(loss: SyntheticLikelihood, problem: Problem, residuals: np.ndarray) -> AbstractLoss:
    seen = np.asarray(problem.seen)
    residuals = np.where(seen, residuals, 0.0)
    square = np.asarray(_by_series(problem, _mean_square(residuals)))
    factor = square * np.asarray(_spread_out(problem, [_repetition(r) for r in _series(problem, residuals)]))
    if not np.all(factor[seen] > 0):
        raise SolveError(
            "The pilot meets a series exactly, which leaves no error to scale the likelihood; state one: Gaussian(scale)."
        )
    share = 1.0 if loss.shrinkage is None else float(loss.shrinkage)
    grown = residuals * np.sqrt(factor / np.where(square > 0, square, 1.0))
    return _normal(grown / math.sqrt(len(grown)), factor, share, seen, loss.draws)


def _noise(loss: SyntheticLikelihood, problem: Problem, simulated: np.ndarray) -> AbstractLoss:
    seen = np.asarray(problem.seen)
    centred = np.where(seen, simulated - simulated.mean(axis=0), 0.0)
    n = len(centred)
    variance = (centred**2).sum(axis=0) / (n - 1)
    if not np.all(variance[seen] > 0):
        where = int(np.flatnonzero(seen & ~(variance > 0))[0])
        raise SolveError(
            f"Observation {where} does not vary over the {n} simulations of the pilot, and so has no variance; leave it out, "
            f"or state errors: Gaussian(scale)."
        )
    share = (
        _ledoit_wolf(centred[:, seen] / np.sqrt(variance[seen])) if loss.shrinkage is None else float(loss.shrinkage)
    )
    return _normal(centred / math.sqrt(n - 1), variance, share, seen, loss.draws)


def _normal(factor: np.ndarray, diagonal: np.ndarray, share: float, seen: np.ndarray, draws: int) -> AbstractLoss:
    """Return the likelihood with covariance (1 - share) factor' factor + share diagonal."""
    scale = np.where(seen, np.sqrt(share * diagonal), np.inf)
    if share >= 1:
        return Gaussian(jnp.asarray(scale), draws=draws)
    if len(factor) > factor.shape[1]:
        factor = np.asarray(np.linalg.qr(factor, mode="r"))  # as many rows as columns have the same product
    whitened = np.sqrt(1 - share) * factor / scale
    inner = np.linalg.cholesky(np.linalg.inv(np.eye(len(factor)) + whitened @ whitened.T))
    return Normal(jnp.asarray(scale), jnp.asarray(inner.T @ whitened), draws=draws)


def _ledoit_wolf(x: np.ndarray) -> float:
    """Return the weight of the diagonal for standardised rows x (n, p) about their mean.

    Schaefer and Strimmer's estimate for correlations: sum of Var(r_ij) over the sum of r_ij^2, i != j.
    """
    n = len(x)
    squares = (x**2).T @ (x**2)
    moment = x.T @ x
    off = ~np.eye(x.shape[1], dtype=bool)
    noise = (squares - moment**2 / n)[off].sum() * n / (n - 1) ** 3
    signal = (moment[off] ** 2).sum() / (n - 1) ** 2
    return 1.0 if signal <= 0 else float(np.clip(noise / signal, 1e-3, 1.0))


def _mean_square(residuals: ArrayLike) -> Float[Array, " p"]:
    return jnp.mean(jnp.asarray(residuals) ** 2, axis=0)


def _sizes(problem: Problem) -> list[int]:
    return [math.prod(shape) for shape in problem.shapes]


def _series(problem: Problem, values: np.ndarray) -> list[np.ndarray]:
    """Return the values (K, p) of each series as (K, rows, columns)."""
    parts = np.split(values, np.cumsum(_sizes(problem))[:-1], axis=1)
    return [
        part.reshape(len(part), shape[0] if shape else 1, -1) for part, shape in zip(parts, problem.shapes, strict=True)
    ]


def _spread_out(problem: Problem, numbers: list[float]) -> np.ndarray:
    return np.repeat(numbers, _sizes(problem))


def _by_series(problem: Problem, values: ArrayLike) -> np.ndarray:
    """Return, for every observation, the mean of its series over what was observed."""
    seen = np.asarray(problem.seen)
    ends = np.cumsum(_sizes(problem))[:-1]
    pairs = zip(np.split(np.asarray(values, float), ends), np.split(seen, ends), strict=True)
    return _spread_out(problem, [float(v[s].mean()) if s.any() else 1.0 for v, s in pairs])


def _repetition(residuals: np.ndarray) -> float:
    """Return (1 + r) / (1 - r) for the correlation r of residuals (K, rows, columns) from row to row, at least 1."""
    rows = residuals.shape[1]
    square = (residuals**2).mean()
    if rows < 3 or square <= 0:
        return 1.0
    r = (residuals[:, 1:] * residuals[:, :-1]).mean() / square
    r = min(max(float(r), 0.0), (rows - 1) / (rows + 1))
    return (1 + r) / (1 - r)
