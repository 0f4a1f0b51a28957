"""What the data can say before any fit: Fisher information, the directions they see, and those that the prior decides."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quesnay._checks import floating, instance, require, whole
from quesnay._errors import InputError, SolveError

from .losses import Gaussian
from .prior import Parameter, Prior, entries, read_prior
from .problem import Problem, read_problem, split, takes_key

LIMIT = 10_000
"""Most unknowns whose information matrix is formed and decomposed."""
TOGETHER = 16
"""Rows or columns of a Jacobian that are computed at once."""


@dataclasses.dataclass(frozen=True)
class Identification:
    """What the data say about which combinations of the unknowns, in units of the prior's standard deviations.

    Attributes
    ----------
    information:
        Fisher information F = J' Sigma^-1 J in the coordinates z, (unknown, other).
    spectrum:
        Its eigenvalues, largest first. A direction with eigenvalue l has posterior variance 1 / (1 + l) where the prior's is 1.
    modes:
        Its eigenvectors, (mode, unknown), each of length 1 and with its largest entry positive.
    contraction:
        What share of each unknown's prior variance the data are expected to remove: 1 - diag((F + I)^-1).
    observations:
        How many observations there are.
    points:
        At how many points F was taken; its mean is here.
    sketches:
        Random combinations of the observations of which F is an estimate; None where it is exact.
    """

    information: xr.DataArray
    spectrum: xr.DataArray
    modes: xr.DataArray
    contraction: xr.DataArray
    observations: int
    points: int
    sketches: int | None

    @property
    def effective(self) -> float:
        """Effective number of parameters that the data determine, sum l / (1 + l)."""
        values = self.spectrum.to_numpy()
        return float(np.sum(values / (1 + values)))

    @property
    def seen(self) -> int:
        """Number of directions of which the data say more than the prior: l > 1, less than half of its variance is left."""
        return int(np.sum(self.spectrum.to_numpy() > 1))

    def directions(self, count: int = 5) -> xr.DataArray:
        """Return the directions that the data see best, (mode, unknown), the best first."""
        return self.modes[: whole(count, "count", "number of directions")]

    def unseen(self, count: int = 5) -> xr.DataArray:
        """Return the directions that the data see least, (mode, unknown), the least seen first."""
        return self.modes[::-1][: whole(count, "count", "number of directions")]

    def __str__(self) -> str:
        size = self.spectrum.size
        order = np.argsort(self.contraction.to_numpy(), kind="stable")
        names = self.contraction["unknown"].to_numpy()
        said = [f"{names[k]} ({float(self.contraction[k]):.0%})" for k in order[::-1][:3]]
        least = [f"{names[k]} ({float(self.contraction[k]):.0%})" for k in order[:3]]
        how = "" if self.sketches is None else f", estimated from {self.sketches} random combinations of them"
        return (
            f"{self.seen} of {size} directions are seen: the data leave less than half of the prior's variance there.\n"
            f"Effective number of parameters: {self.effective:.1f} ({self.observations} observations{how}).\n"
            f"Expected contraction, most: {', '.join(said)}; least: {', '.join(least)}."
        )


def identify(
    simulator: Callable[..., PyTree],
    prior: Mapping[str, Any],
    *,
    key: PRNGKeyArray,
    scale: Any,
    at: Mapping[str, Any] | None = None,
    draws: int = 0,
    sketches: int | None = None,
    labels: Mapping[str, Sequence[Any]] | None = None,
) -> Identification:
    """Return what observations with errors of a stated size can say about the unknowns, before any is made.

    F = J' Sigma^-1 J, with J the derivative of the simulated observations with respect to z, in which the prior has unit
    variance. To first order, and under a standard normal prior, the posterior covariance of z is (F + I)^-1.

    Parameters
    ----------
    simulator:
        A function of a dict of parameters, or of it and a key; JAX differentiates through it, forwards or backwards,
        whichever it allows and is cheaper. With a key, the random numbers stay the same: F is then that of one path.
    prior:
        A dict of numpyro distributions.
    key:
        A JAX random key: for the points, the sketches and a simulator that draws.
    scale:
        Standard deviation of the errors of observation, as in `Gaussian`: a number, an array of the observations' shape, or
        the same structure of them.
    at:
        The parameters around which to differentiate; None is the prior's centre, z = 0.
    draws:
        With a positive number, F is the mean over as many draws from the prior.
    sketches:
        With a number K, F is estimated without bias from K random combinations of the observations, J' s s' J with signs s:
        for long outputs of simulators that have only reverse-mode derivatives, which cost one per observation otherwise.
        The estimate has at most rank K, so that directions may also be unseen because they were not sketched.
    labels:
        Labels of the first axis of parameters, by name.

    Raises
    ------
    InputError
        Arguments that do not fit each other, or a point at which the prior has no density.
    SolveError
        Derivatives that are not finite.

    Source: Gutenkunst et al. (2007), PLoS Comput. Biol. 3, e189 (spectra); effective number of parameters: MacKay (1992),
    Neural Comput. 4, eq. 4.9; sketches: Hutchinson (1990), Commun. Stat. Simul. Comput. 19.
    """
    space = read_prior(prior)
    if space.size > LIMIT:
        raise InputError(
            f"prior has {space.size} unknowns; an information matrix is formed for at most {LIMIT}, give fewer."
        )
    count = whole(draws, "draws", "number of points from the prior", least=0)
    if count and at is not None:
        raise InputError("at is one point and draws asks for several from the prior; give one of the two.")
    names = entries(space, labels)
    keys = split(key, 3)
    points = space.sample(keys[0], count) if count else unconstrain(space, at)[None]
    problem = _problem(simulator, space, keys[1])
    spread = Gaussian(scale).fit(problem, keys[1]).loss.scale  # type: ignore[attr-defined]
    whitened = _Whitened(problem, spread, keys[1])
    if sketches is None:
        exact = jacobian(whitened, space.size)
        slopes = lambda z, own: exact(z)  # noqa: E731
    else:
        many = whole(sketches, "sketches", "number of random combinations of the observations")
        slopes = jax.jit(functools.partial(_sketch, whitened, many))
    total = np.zeros((space.size, space.size))
    for z, own in zip(points, jax.random.split(keys[2], len(points)), strict=True):
        rows = np.asarray(slopes(z, own), float)
        if not np.isfinite(rows).all():
            bad = int((~np.isfinite(rows)).any(axis=0).sum())
            raise SolveError(
                f"The derivatives of the simulator are not finite for {bad} of {space.size} unknowns; give a point (at=) "
                f"around which it is smooth."
            )
        total += rows.T @ rows
    return _read(total / len(points), names, problem.observed.size, len(points), sketches)


class _Whitened(NamedTuple):
    """The simulated observations in units of their errors, as a function of z."""

    problem: Problem
    scale: Array
    key: PRNGKeyArray

    def __call__(self, z: Float[Array, " size"]) -> Float[Array, " p"]:
        return self.problem.simulate(z, self.key) / self.scale


def jacobian(
    function: Callable[[Array], Array], size: int
) -> Callable[[Float[Array, " size"]], Float[Array, "p size"]]:
    """Return the Jacobian of a function of one vector, compiled, in the mode that takes fewer passes of those it allows."""
    z = jnp.zeros(size)
    modes = [_forward, _reverse] if size <= jax.eval_shape(function, z).shape[0] else [_reverse, _forward]
    first, second = (jax.jit(functools.partial(mode, function)) for mode in modes)
    try:
        jax.eval_shape(first, z)
    except (
        TypeError,
        ValueError,
        NotImplementedError,
    ):  # a rule for one mode only, or a loop without an end known before
        return second
    return first


def _forward(function: Callable[[Array], Array], z: Float[Array, " size"]) -> Float[Array, "p size"]:
    def column(k: Array) -> Array:
        return jax.jvp(function, (z,), (jnp.zeros_like(z).at[k].set(1.0),))[1]

    return jax.lax.map(column, jnp.arange(len(z)), batch_size=min(TOGETHER, len(z))).T


def _reverse(function: Callable[[Array], Array], z: Float[Array, " size"]) -> Float[Array, "p size"]:
    values, back = jax.vjp(function, z)

    def row(k: Array) -> Array:
        return back(jnp.zeros_like(values).at[k].set(1.0))[0]

    return jax.lax.map(row, jnp.arange(len(values)), batch_size=min(TOGETHER, len(values)))


def _sketch(function: Callable[[Array], Array], count: int, z: Array, key: PRNGKeyArray) -> Float[Array, "K size"]:
    """Return K rows s' J / sqrt(K) with random signs s, so that the rows' crossproduct has the mean J' J."""
    values, back = jax.vjp(function, z)
    signs = jax.random.rademacher(key, (count, len(values)), values.dtype)
    return jax.lax.map(lambda s: back(s)[0], signs, batch_size=min(TOGETHER, count)) / jnp.sqrt(count)


def _problem(simulator: Any, prior: Prior, key: PRNGKeyArray) -> Problem:
    """Return the problem of observations of the simulator's own structure."""
    return read_problem(simulator, prior, blank(simulator, prior, key))


def blank(simulator: Any, prior: Prior, key: PRNGKeyArray) -> PyTree:
    """Return zeros in the structure of what the simulator returns.

    Raises
    ------
    InputError
        A simulator that cannot be called.
    """
    if not callable(simulator):
        raise InputError(
            f"simulator is a {type(simulator).__name__}; give a function of a dict of parameters (and a key)."
        )
    run = simulator if takes_key(simulator) else lambda theta, key: simulator(theta)
    shapes = jax.eval_shape(lambda z, k: run(prior.constrain(z), k), jnp.zeros(prior.size), key)
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)


def unconstrain(prior: Prior, theta: Mapping[str, Any] | None) -> Float[Array, " size"]:
    """Return the z of parameters; that of None is the prior's centre.

    Raises
    ------
    InputError
        Parameters that are missing, of another shape, or outside the prior's support.
    """
    if theta is None:
        return jnp.zeros(prior.size)
    instance(theta, Mapping, "at", "a dict with an entry for each parameter of the prior")
    if set(theta) != set(prior.parameters):
        ours, theirs = ", ".join(prior.parameters), ", ".join(map(str, theta))
        raise InputError(f"at has the entries {theirs}; give one for each of {ours}.")
    return jnp.concatenate([_inverse(name, p, theta[name]) for name, p in prior.parameters.items()])


def _inverse(name: str, parameter: Parameter, value: Any) -> Float[Array, " size"]:
    x = floating(value, f"at[{name!r}]")
    if x.shape != parameter.shape:
        raise InputError(f"at[{name!r}] has shape {x.shape}; give one of the parameter's shape, {parameter.shape}.")
    start = parameter.bijection(parameter.location)
    shape = jnp.shape(functools.reduce(lambda v, transform: transform(v), parameter.outer, start))
    inner = functools.reduce(lambda v, transform: transform.inv(v), reversed(parameter.outer), jnp.reshape(x, shape))
    z = jnp.ravel((parameter.bijection.inv(inner) - parameter.location) / parameter.scale)
    outside = f"at[{name!r}] lies outside the prior's support; give parameters that the prior allows."
    require(
        lambda a, b: np.isfinite(a).all() and np.allclose(b, x, rtol=1e-3, atol=1e-6),
        outside,
        z,
        parameter.constrain(z),
    )
    return z


def _read(
    information: np.ndarray, names: list[str], observations: int, points: int, sketches: int | None
) -> Identification:
    values, vectors = np.linalg.eigh(information)
    values, vectors = np.clip(values[::-1], 0, None), vectors.T[::-1]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
    vectors = vectors * np.where(largest < 0, -1, 1)
    remaining = (vectors**2 / (1 + values[:, None])).sum(axis=0)
    coords = {"unknown": names, "mode": np.arange(1, len(values) + 1)}
    return Identification(
        information=xr.DataArray(information, dims=("unknown", "other"), coords={"unknown": names, "other": names}),
        spectrum=xr.DataArray(values, dims="mode", coords={"mode": coords["mode"]}),
        modes=xr.DataArray(vectors, dims=("mode", "unknown"), coords=coords),
        contraction=xr.DataArray(1 - remaining, dims="unknown", coords={"unknown": names}),
        observations=observations,
        points=points,
        sketches=sketches,
    )
