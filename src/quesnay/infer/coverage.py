"""Whether a method's intervals hold what they promise: calibration by simulations whose parameters are known."""

import dataclasses
import functools
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quesnay._checks import positive, whole
from quesnay._errors import ConvergenceWarning, InputError, SolveError

from .conditioning import condition
from .gvi import gvi, plan
from .health import judge
from .identify import blank
from .losses import MMD, AbstractLoss, Custom, EnergyScore, Gaussian, SquaredError, Weighted, read_loss
from .posterior import prior_spread
from .prior import Prior, entries, read_prior
from .problem import Problem, flat, read_problem, split
from .variational import begin, draw, finish

BINS = 20
"""Most bins of the histogram of ranks; as few as leave 10 replicates in each."""

Method = Callable[..., Any]
"""A function of (simulator, prior, observed, key=) that returns a posterior."""


@dataclasses.dataclass(frozen=True)
class CoverageReport:
    """How often intervals held the true parameters, and how wide they were, over replicates with known parameters.

    All intervals are central ones of the draws of z; those of the parameters themselves hold the truth exactly as often where
    each parameter has its own z.

    Attributes
    ----------
    coverage:
        Share of the replicates whose interval held the truth, (level, unknown); `coverage_error` is the binomial standard
        error that a method with the promised coverage has.
    overall:
        The same over all unknowns, (level); `overall_error` is its standard error over replicates, whose unknowns may depend
        on each other.
    width:
        Mean width relative to that of the reference, (level, unknown); `width_z` is the mean width itself.
    reference_coverage:
        Coverage of the reference, where it is a method.
    ranks:
        How many of a replicate's `draws` posterior draws lie below the truth, (replicate, unknown); uniform on 0 .. draws for
        the exact posterior. Without the replicates that failed.
    p_value:
        Of a chi-square test that the ranks are uniform, (unknown). Of many unknowns, some are small by chance.
    contraction:
        Mean share of the prior's variance that the posterior lost, (unknown).
    replicates, failed, not_converged:
        How many were run; how many of these have no posterior (the simulation or the draws were not finite, or the method
        raised `SolveError`) and count nowhere else; and how many have one that says `converged=False`, and do count.
    """

    coverage: xr.DataArray
    coverage_error: xr.DataArray
    overall: xr.DataArray
    overall_error: xr.DataArray
    width: xr.DataArray
    width_z: xr.DataArray
    reference_coverage: xr.DataArray | None
    ranks: xr.DataArray
    p_value: xr.DataArray
    contraction: xr.DataArray
    draws: int
    replicates: int
    failed: int
    not_converged: int

    def __str__(self) -> str:
        lines = [f"{self.replicates} replicates, {self.failed} failed, {self.not_converged} not converged."]
        for level in self.overall["level"].to_numpy():
            mean, error = float(self.overall.sel(level=level)), float(self.overall_error.sel(level=level))
            own, width = self.coverage.sel(level=level), self.width.sel(level=level)
            lines.append(
                f"{level:.0%} intervals hold the truth in {mean:.1%} ± {error:.1%} (by unknown {float(own.min()):.1%} to "
                f"{float(own.max()):.1%}), {float(width.mean()):.3g} times as wide as the reference."
            )
        lines.append(
            f"Uniform ranks: smallest p-value {float(self.p_value.min()):.2g} of {self.p_value.size} unknowns."
        )
        return "\n".join(lines)


def coverage(
    method: Method,
    simulator: Callable[..., PyTree],
    prior: Mapping[str, Any],
    *,
    key: PRNGKeyArray,
    replicates: int = 400,
    noise: Any = None,
    levels: Sequence[float] = (0.5, 0.9),
    reference: Any = None,
    batch: int = 50,
    labels: Mapping[str, Sequence[Any]] | None = None,
) -> CoverageReport:
    """Return how well a method's posterior is calibrated: simulation-based calibration, with the widths.

    Each replicate draws parameters from the prior, simulates observations, and gives these to the method. Over replicates, the
    exact posterior's intervals hold the truth as often as they say, and the truth's rank among its draws is uniform. The prior
    itself passes this test, which is why the width is reported beside it.

    `gvi` (or `functools.partial(gvi, ...)`) with a stated loss runs in batches, compiled once: a pilot, several starts,
    scouts or a checkpoint, and any other method, run one replicate after the other, and most compile anew for each.

    Parameters
    ----------
    method:
        A function of (simulator, prior, observed, key=) that returns a posterior, such as
        `functools.partial(infer.gvi, loss=infer.Gaussian(0.05))`. Draws that depend on each other (a chain) should be thinned.
    simulator, prior:
        As for `gvi`.
    key:
        A JAX random key.
    replicates:
        Number of replicates; the standard error of a 90 % interval's coverage is 1.5 points with 400.
    noise:
        What is added to a simulation: normal errors of a standard deviation (a number, an array of the observations' shape or
        the same structure of them), or a function of (key, simulated) that returns the observations; None adds nothing.
    levels:
        Levels of the central intervals.
    reference:
        What the widths are relative to: None is the prior's own intervals, a method is run on the same observations, and an
        array holds widths in z, (level, unknown) or (replicate, level, unknown).
    batch:
        Replicates that are fitted at once.
    labels:
        Labels of the first axis of parameters, by name.

    Raises
    ------
    InputError
        Arguments that do not fit each other, or a method that returns no posterior.
    SolveError
        All replicates failed.

    Source: Talts et al. (2018), arXiv:1804.06788; Cook, Gelman and Rubin (2006), J. Comput. Graph. Stat. 15.
    """
    if not callable(method):
        raise InputError(
            f"method is a {type(method).__name__}; give one, such as functools.partial(infer.gvi, loss=...)."
        )
    count = whole(replicates, "replicates", "number of replicates", least=2)
    size = min(whole(batch, "batch", "number of replicates at once"), count)
    shares = _levels(levels)
    space = read_prior(prior)
    names = entries(space, labels)
    keys = split(key, 4)
    truths = space.sample(keys[0], count)
    template = read_problem(simulator, space, blank(simulator, space, key))
    observed = _observe(template, truths, noise, keys[1])
    runs = jax.random.split(keys[2], count)
    own = _summarise(_posteriors(method, template, observed, runs, size), truths, shares)
    other = None
    if callable(reference):
        other = _summarise(_posteriors(reference, template, observed, runs, size), truths, shares)
    return _report(own, other, _widths(reference, other, space, shares, count, keys[3]), space, shares, names)


def _levels(levels: Sequence[float]) -> np.ndarray:
    values = [positive(v, "levels", 1.0) for v in ([levels] if isinstance(levels, float) else levels)]
    if not values or len(set(values)) < len(values):
        raise InputError("levels is empty or has one twice; give shares between 0 and 1, such as (0.5, 0.9).")
    return np.array(values)


def _observe(template: Problem, truths: Array, noise: Any, key: PRNGKeyArray) -> Float[Array, "replicates p"]:
    """Return the observations of every replicate, all series in one vector."""
    spread = None if noise is None or callable(noise) else Gaussian(noise).fit(template, key).loss.scale  # type: ignore[attr-defined]

    def one(z: Array, key: PRNGKeyArray) -> Array:
        drawn, error = jax.random.split(key)
        values = template.simulate(z, drawn)
        if spread is not None:
            return values + spread * jax.random.normal(error, values.shape, values.dtype)
        return values if noise is None else flat(noise(error, template.unravel(values)))

    keys = jax.random.split(key, len(truths))
    values = jax.jit(lambda z, k: jax.lax.map(lambda a: one(*a), (z, k)))(truths, keys)
    if values.shape[1:] != template.observed.shape:
        raise InputError(
            f"noise returns {values.shape[1]} values for {template.observed.size} simulated ones; give the same structure."
        )
    return values


def _posteriors(
    method: Method, template: Problem, observed: Array, keys: PRNGKeyArray, batch: int
) -> Iterator[tuple[np.ndarray | None, bool]]:
    """Return, for each replicate in turn, the posterior's draws of z (None where it failed), and whether it converged."""
    settings = _settings(method)
    if settings is None:
        return _one_by_one(method, template, observed, keys)
    return _in_batches(settings, template, observed, keys, batch)


def _one_by_one(
    method: Method, template: Problem, observed: Array, keys: PRNGKeyArray
) -> Iterator[tuple[np.ndarray | None, bool]]:
    for values, key in zip(observed, keys, strict=True):
        z, converged = None, False
        if bool(jnp.isfinite(values).all()):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    posterior = method(template.simulator, template.prior, template.unravel(values), key=key)
                z, converged = _draws(posterior, template.prior.size), bool(posterior.converged)
            except SolveError:
                pass
        yield (None, False) if z is None or not np.isfinite(z).all() else (z, converged)


def _draws(posterior: Any, size: int) -> np.ndarray:
    z = getattr(posterior, "z", None)
    if z is None or np.ndim(z) != 3 or np.shape(z)[2] != size or not hasattr(posterior, "converged"):
        raise InputError(
            f"method returns a {type(posterior).__name__}; give one that returns a posterior of the same prior."
        )
    return np.asarray(z, float).reshape(-1, size)


def _settings(method: Method) -> dict[str, Any] | None:
    """Return the arguments of `gvi` where all replicates can be fitted by one program; None otherwise."""
    arguments: dict[str, Any] = {}
    inner = method
    while isinstance(inner, functools.partial):
        if inner.args:
            return None
        arguments, inner = {**inner.keywords, **arguments}, inner.func
    if inner is not gvi:
        return None
    known = inspect.signature(gvi).parameters
    defaults = {name: p.default for name, p in known.items() if p.default is not p.empty}
    if not set(arguments) <= set(defaults):
        return None
    chosen = {**defaults, **arguments}
    alone = ("scouts", "starts", "missing", "checkpoint", "resume", "progress", "throw")
    if any(chosen[name] != defaults[name] for name in alone) or not _free(read_loss(chosen["loss"], chosen["weight"])):
        return None
    return chosen


def _free(loss: AbstractLoss) -> bool:
    """Say whether a loss is ready for use without the observations."""
    if isinstance(loss, Weighted):
        return _free(loss.loss)
    return isinstance(loss, (Gaussian, SquaredError, EnergyScore, Custom)) or (
        isinstance(loss, MMD) and loss.bandwidth is not None
    )


def _in_batches(
    settings: dict[str, Any], template: Problem, observed: Array, keys: PRNGKeyArray, batch: int
) -> Iterator[tuple[np.ndarray | None, bool]]:
    loss = read_loss(settings["loss"], settings["weight"]).fit(template, keys[0]).loss
    before, guide = plan(template, settings["guide"], settings["precondition"])
    steps = whole(settings["steps"], "steps", "number of gradient steps")
    draws = whole(settings["draws"], "draws", "number of draws", least=2)

    def one(values: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
        """Do what `gvi` does, with the same random numbers, on observations that have no numbers yet."""
        own = jax.random.split(key, 4)
        problem, k = template._replace(observed=values), jax.random.split(own[2], 1)[0]
        chart = condition(problem, loss, jnp.zeros(problem.prior.size), k).chart if before else None
        fitting = begin(
            problem, loss, guide, k,
            steps=steps, learning_rate=settings["learning_rate"], divergence=settings["divergence"], chart=chart,
        )  # fmt: skip
        svi, losses = jax.lax.scan(
            lambda s, _: fitting.svi.stable_update(s, fitting.loss), fitting.start.svi, None, length=steps
        )
        fit = finish(fitting, fitting.start._replace(svi=svi))
        return draw(fit, own[3], draws), losses

    run, simulated = jax.jit(jax.vmap(one)), np.asarray(jnp.isfinite(observed).all(axis=1))
    for at in range(0, len(observed), batch):
        # The last batch is filled up, so that it has the shape of the others and the same program.
        chosen = np.minimum(np.arange(at, at + batch), len(observed) - 1)
        values = jnp.where(simulated[chosen][:, None], observed[chosen], 0.0)
        z, losses = (np.asarray(v, float) for v in run(values, keys[chosen]))
        for k in range(min(batch, len(observed) - at)):
            health = judge(losses[k])
            fine = simulated[at + k] and np.isfinite(health.last) and np.isfinite(z[k]).all()
            yield (z[k], health.converged) if fine else (None, False)


class _Summary(NamedTuple):
    """What is kept of the replicates: NaN where a replicate failed."""

    ranks: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    held: np.ndarray
    variance: np.ndarray
    fine: np.ndarray
    not_converged: int
    draws: int


def _summarise(posteriors: Iterator[tuple[np.ndarray | None, bool]], truths: Array, levels: np.ndarray) -> _Summary:
    true = np.asarray(truths, float)
    count, size = true.shape
    ranks, variance = np.full((count, size), np.nan), np.full((count, size), np.nan)
    bounds = np.full((2, count, len(levels), size), np.nan)
    converged, draws = np.ones(count, bool), 0
    for k, (z, well) in enumerate(posteriors):
        if z is None:
            continue
        if draws and len(z) != draws:
            raise InputError(
                f"method returns {len(z)} draws for one replicate and {draws} for another; give as many for each."
            )
        draws, converged[k] = len(z), well
        ranks[k], variance[k] = (z < true[k]).sum(axis=0), z.var(axis=0)
        bounds[:, k] = np.quantile(z, [(1 - levels) / 2, (1 + levels) / 2], axis=0)
    fine = np.isfinite(ranks[:, 0])
    if not fine.any():
        raise SolveError(f"None of {count} replicates has a posterior; run the method on one of them to see why.")
    held = (bounds[0] <= true[:, None]) & (true[:, None] <= bounds[1])
    return _Summary(ranks, bounds[0], bounds[1], held, variance, fine, int((~converged).sum()), draws)


def _widths(
    reference: Any, other: _Summary | None, prior: Prior, levels: np.ndarray, count: int, key: PRNGKeyArray
) -> np.ndarray:
    """Return the width of the reference's intervals, (replicate, level, unknown)."""
    shape = (count, len(levels), prior.size)
    if other is not None:
        return other.upper - other.lower
    if reference is not None:
        try:
            widths = np.broadcast_to(np.asarray(reference, float), shape)
        except (TypeError, ValueError):
            raise InputError(f"reference is neither a method nor an array of shape {shape[1:]} or {shape}.") from None
        if not (np.isfinite(widths).all() and (widths > 0).all()):
            raise InputError("reference has a width that is not positive; give the width of each interval, in z.")
        return widths
    exact = np.concatenate([np.full(p.size, p.exact) for p in prior.parameters.values()])
    draws = np.asarray(prior.sample(key, 4096), float)
    sampled = np.quantile(draws, (1 + levels) / 2, axis=0) - np.quantile(draws, (1 - levels) / 2, axis=0)
    normal = 2 * scipy.stats.norm.ppf((1 + levels) / 2)
    return np.broadcast_to(np.where(exact, normal[:, None], sampled), shape)


def _report(
    own: _Summary, other: _Summary | None, reference: np.ndarray, prior: Prior, levels: np.ndarray, names: list[str]
) -> CoverageReport:
    both = own.fine if other is None else own.fine & other.fine
    if not both.any():
        raise SolveError(
            "No replicate has a posterior by both the method and the reference; compare with another reference."
        )
    n, held = int(own.fine.sum()), own.held[own.fine]
    widths = own.upper - own.lower
    ranks = own.ranks[own.fine].astype(int)
    coords = {"level": levels, "unknown": names}

    def table(values: np.ndarray, *dims: str) -> xr.DataArray:
        return xr.DataArray(values, dims=dims, coords={d: coords[d] for d in dims})

    return CoverageReport(
        coverage=table(held.mean(axis=0), "level", "unknown"),
        coverage_error=table(np.sqrt(levels * (1 - levels) / n), "level"),
        overall=table(held.mean(axis=(0, 2)), "level"),
        overall_error=table(held.mean(axis=2).std(axis=0) / np.sqrt(n), "level"),
        width=table(widths[both].mean(axis=0) / reference[both].mean(axis=0), "level", "unknown"),
        width_z=table(widths[own.fine].mean(axis=0), "level", "unknown"),
        reference_coverage=None if other is None else table(other.held[other.fine].mean(axis=0), "level", "unknown"),
        ranks=xr.DataArray(
            ranks, dims=("replicate", "unknown"), coords={"replicate": np.flatnonzero(own.fine), "unknown": names}
        ),
        p_value=table(np.array([_uniformity(column, own.draws) for column in ranks.T]), "unknown"),
        contraction=table(1 - own.variance[own.fine].mean(axis=0) / np.asarray(prior_spread(prior)) ** 2, "unknown"),
        draws=own.draws,
        replicates=len(own.fine),
        failed=len(own.fine) - n,
        not_converged=own.not_converged,
    )


def _uniformity(ranks: np.ndarray, draws: int) -> float:
    """Return the p-value of a chi-square test that ranks are uniform on 0 .. draws."""
    bins = int(np.clip(len(ranks) // 10, 2, min(BINS, draws + 1)))
    share = np.bincount(np.arange(draws + 1) * bins // (draws + 1), minlength=bins) / (draws + 1)
    found = np.bincount(ranks * bins // (draws + 1), minlength=bins)
    return float(scipy.stats.chisquare(found, share * len(ranks)).pvalue)
