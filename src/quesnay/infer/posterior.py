"""What every method of inference returns: labelled draws of the parameters, and what is known of how they were found."""

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quesnay._checks import instance, positive, whole
from quesnay._errors import InputError

from .history import read_history
from .prior import Prior, check_labels
from .problem import Problem, takes_key

FORMAT = 1
"""Version of the netCDF layout."""
HISTORY = "__history_"
"""What variables of a history begin with in a file."""


@dataclasses.dataclass(frozen=True)
class Predictive:
    """Simulations at draws of a posterior: a leading axis over draws before the simulator's own shape."""

    samples: PyTree

    def mean(self) -> PyTree:
        """Return the mean over draws."""
        return jax.tree.map(lambda v: np.mean(v, axis=0), self.samples)

    def interval(self, level: float = 0.9) -> PyTree:
        """Return the central interval: a leading axis (lower, upper)."""
        share = positive(level, "level", 1.0)
        bounds = [(1 - share) / 2, (1 + share) / 2]
        return jax.tree.map(lambda v: np.quantile(v, bounds, axis=0), self.samples)


@dataclasses.dataclass(frozen=True)
class Posterior:
    """Draws of the parameters given the data.

    Attributes
    ----------
    samples:
        The parameters by name with the dimensions `chain`, `draw` and the parameter's own, in the prior's units.
    z:
        The same draws as one standardised vector, (chains, draws, unknowns): what `contraction` is measured on.
    spread:
        Standard deviation of the prior in the coordinates z, of the parameters' own shapes.
    method:
        Which method found it.
    simulations:
        Model runs that it took, pilots and scouts among them; a gradient counts as one.
    converged:
        Whether the method's own check passed; `diagnostics` holds the figures behind it.
    history:
        How the search went: `loss` at every `step`, and the parameters (a guide's median) at the steps `at`, in their own
        units. None where there was no search.
    """

    samples: xr.Dataset
    z: np.ndarray
    spread: xr.Dataset
    method: str
    simulations: int
    converged: bool
    diagnostics: dict[str, Any]
    observed: tuple[np.ndarray, ...]
    problem: Problem | None = dataclasses.field(default=None, repr=False)
    history: xr.Dataset | None = dataclasses.field(default=None, repr=False)

    def __repr__(self) -> str:
        """Say how it was found, and what it says of the first entries of every parameter."""
        found = "" if self.converged else ", not converged"
        lines = [f"Posterior by {self.method}: {self.z.shape[2]} unknowns, {self.simulations} simulations{found}."]
        lines.append(f"{'':32}{'mean':>10} {'5 %':>10} {'95 %':>10}  contraction")
        mean, bounds, told = self.mean(), self.interval(0.9), self.contraction()
        for name, values in mean.data_vars.items():
            flat = [v.to_numpy().ravel() for v in (values, bounds[name][0], bounds[name][1])]
            share, size = told[name].to_numpy().ravel(), flat[0].size
            label = str(name) if values.ndim == 0 else f"{name}[0 of {size}]"
            numbers = " ".join(f"{v[0]:>10.4g}" for v in flat)
            lines.append(f"{label[:31]:<32}{numbers}  {share[0]:.2f}")
        return "\n".join(lines)

    def mean(self) -> xr.Dataset:
        """Return the posterior mean of every parameter."""
        return self.samples.mean(("chain", "draw"))

    def std(self) -> xr.Dataset:
        """Return the posterior standard deviation of every parameter."""
        return self.samples.std(("chain", "draw"))

    def interval(self, level: float = 0.9) -> xr.Dataset:
        """Return the central interval of every parameter, with the dimension `bound` (lower, upper)."""
        share = positive(level, "level", 1.0)
        bounds = self.samples.quantile([(1 - share) / 2, (1 + share) / 2], ("chain", "draw"))
        return bounds.rename(quantile="bound").assign_coords(bound=["lower", "upper"])

    def contraction(self) -> xr.Dataset:
        """Return by how much the data narrowed every parameter: 1 - Var(posterior) / Var(prior); 0 where they say nothing.

        Taken on the scale on which the prior is standardised (the logarithm of a log-normal parameter).

        Source: Schad, Betancourt and Vasishth (2021), Psychol. Methods 26.
        """
        parts, at = {}, 0
        for name, spread in self.spread.items():
            own = self.z[..., at : at + spread.size].reshape(-1, *spread.shape)
            parts[name] = spread.copy(data=1 - np.var(own, axis=0) / np.asarray(spread) ** 2)
            at += spread.size
        return xr.Dataset(parts)

    def theta(self, count: int | None = None) -> dict[str, Array]:
        """Return draws as the simulator takes them, stacked along a leading axis: all, or `count` evenly spaced ones."""
        everything = {str(k): v.stack(all_=("chain", "draw")).transpose("all_", ...) for k, v in self.samples.items()}
        total = self.z.shape[0] * self.z.shape[1]
        chosen = np.arange(total) if count is None else np.linspace(0, total - 1, min(count, total)).round().astype(int)
        return {k: jnp.asarray(v.to_numpy()[chosen]) for k, v in everything.items()}

    def predict(
        self, key: PRNGKeyArray, *, simulator: Callable[..., PyTree] | None = None, draws: int = 100
    ) -> Predictive:
        """Return simulations at draws of the posterior.

        Parameters
        ----------
        key:
            A JAX random key, for simulators that draw.
        simulator:
            Another function of the same parameters, such as the same economy under a new shock; None is the one that was
            calibrated.
        draws:
            Number of draws, at most as many as there are.

        Raises
        ------
        InputError
            A loaded posterior without a simulator.
        """
        if simulator is None and self.problem is None:
            raise InputError("This posterior was loaded from a file, which holds no simulator; pass simulator=.")
        run = simulator if simulator is not None else self.problem.simulator  # type: ignore[union-attr]
        if not callable(run):
            raise InputError(
                f"simulator is a {type(run).__name__}; give a function of a dict of parameters (and a key)."
            )
        theta = self.theta(whole(draws, "draws", "number of draws"))
        keys = jax.random.split(key, len(jax.tree.leaves(theta)[0]))
        samples = _simulate(run, takes_key(run), theta, keys)
        return Predictive(jax.tree.map(np.asarray, samples))

    def plot_history(self) -> Any:
        """Return a plotly figure of the loss and of the parameters along the search.

        Raises
        ------
        InputError
            The method did not search (`abc`, `mcmc`).
        """
        from .history import draw_history

        if self.history is None:
            raise InputError(
                f"{self.method} does not search, so that there is no history; map, laplace and gvi have one."
            )
        return draw_history(self.history)

    def to_arviz(self) -> Any:
        """Return ArviZ's own container (`InferenceData`; a `DataTree` from ArviZ 1 on): posterior and observed data."""
        import arviz as az

        groups = {
            "posterior": self.samples,
            "observed_data": xr.Dataset(
                {
                    f"observed_{k}": (tuple(f"axis_{k}_{a}" for a in range(v.ndim)), v)
                    for k, v in enumerate(self.observed)
                }
            ),
        }
        if int(az.__version__.split(".")[0]) >= 1:
            return xr.DataTree.from_dict(groups)
        legacy: Any = az.InferenceData
        return legacy(**groups)

    def save(self, path: str | Path) -> Path:
        """Write the posterior as netCDF and return the path; the file appears whole or not at all."""
        path = Path(path)
        data = self.samples.assign(__z=(("chain", "draw", "__unknown"), self.z))
        data = data.assign({f"__spread_{k}": v for k, v in self.spread.items()})
        data = data.assign(
            {
                f"__observed_{k}": (tuple(f"__axis_{k}_{a}" for a in range(v.ndim)), v)
                for k, v in enumerate(self.observed)
            }
        )
        if self.history is not None:
            kept = {f"{HISTORY}{k}": v for k, v in self.history.reset_coords().data_vars.items()}
            data = data.assign({k: v.rename({d: HISTORY + str(d) for d in v.dims}) for k, v in kept.items()})
        about = {
            "format": FORMAT, "method": self.method, "simulations": self.simulations, "converged": self.converged,
            "diagnostics": self.diagnostics, "series": len(self.observed), "parameters": [str(k) for k in self.samples],
        }  # fmt: skip
        data.attrs["quesnay_posterior"] = json.dumps(about)
        part = path.with_name(f".{path.name}.part")
        if not path.absolute().parent.is_dir():
            raise InputError(f"{path}: there is no folder {path.parent}; make it first, or give another path.")
        try:
            data.to_netcdf(part)
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise InputError(f"{path}: cannot be written ({error.strerror or error}); give another path.") from None
        return path


def load(path: str | Path) -> Posterior:
    """Return a saved posterior; it predicts once it is given a simulator.

    Raises
    ------
    InputError
        No such file, or not one that `Posterior.save` wrote.
    """
    try:
        with xr.open_dataset(path) as file:
            data = file.load()
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read ({str(error).splitlines()[0]}); give a file that posterior.save wrote."
        ) from None
    if "quesnay_posterior" not in data.attrs:
        raise InputError(f"{path}: holds no posterior; give a file that posterior.save wrote.")
    about = json.loads(data.attrs["quesnay_posterior"])
    names = about["parameters"]
    return Posterior(
        samples=data[names].drop_attrs() if hasattr(data, "drop_attrs") else data[names],
        z=data["__z"].to_numpy(),
        spread=xr.Dataset({name: data[f"__spread_{name}"] for name in names}),
        method=about["method"],
        simulations=about["simulations"],
        converged=about["converged"],
        diagnostics=about["diagnostics"],
        observed=tuple(data[f"__observed_{k}"].to_numpy() for k in range(about["series"])),
        history=_read_history(data),
    )


def _read_history(data: xr.Dataset) -> xr.Dataset | None:
    kept = {str(k).removeprefix(HISTORY): v for k, v in data.data_vars.items() if str(k).startswith(HISTORY)}
    if not kept:
        return None
    parts = {k: v.rename({d: str(d).removeprefix(HISTORY) for d in v.dims}) for k, v in kept.items()}
    return xr.Dataset(parts).set_coords([name for name in ("step", "at") if name in parts])


@functools.partial(jax.jit, static_argnums=(0, 1))
def _simulate(run: Callable[..., PyTree], takes: bool, theta: dict[str, Array], keys: PRNGKeyArray) -> PyTree:
    return jax.lax.map(lambda a: run(a[0], a[1]) if takes else run(a[0]), (theta, keys))


def make_posterior(
    problem: Problem,
    z: Float[Array, "chains draws size"],
    *,
    method: str,
    simulations: int,
    converged: bool,
    diagnostics: dict[str, Any],
    labels: Mapping[str, Sequence[Any]] | None = None,
    history: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Posterior:
    """Return the posterior of draws z, its parameters named and labelled; a history is losses, and steps with their points."""
    instance(problem.prior, Prior, "prior", "a dict of distributions")
    labels = dict(labels or {})
    check_labels(problem.prior, labels)
    constrain = jax.jit(lambda z: jax.lax.map(jax.vmap(problem.prior.constrain), z))
    values = {k: np.asarray(v) for k, v in constrain(jnp.asarray(z)).items()}
    samples, spread, at = {}, {}, 0
    deviation = np.asarray(prior_spread(problem.prior))
    for name, parameter in problem.prior.parameters.items():
        dims = tuple(f"{name}_dim_{a}" for a in range(len(parameter.shape)))
        samples[name] = (("chain", "draw", *dims), values[name])
        inner = (
            dims
            if parameter.location.shape == parameter.shape
            else tuple(f"{name}_z_{a}" for a in range(parameter.location.ndim))
        )
        spread[name] = (inner, deviation[at : at + parameter.size].reshape(parameter.location.shape))
        at += parameter.size
    coords = {f"{name}_dim_0": [str(v) for v in values] for name, values in labels.items()}
    used = {d for dims, _ in spread.values() for d in dims}
    return Posterior(
        samples=xr.Dataset(samples, coords=coords),
        z=np.asarray(z),
        spread=xr.Dataset(spread, coords={k: v for k, v in coords.items() if k in used}),
        method=method,
        simulations=int(simulations),
        converged=bool(converged),
        diagnostics=diagnostics,
        observed=_observed(problem),
        problem=problem,
        history=None if history is None else read_history(problem.prior, labels, *history),
    )


def prior_spread(prior: Prior, draws: int = 2048) -> Float[Array, " size"]:
    """Return the prior's standard deviation of every entry of z: 1 for normal ones, from draws elsewhere."""
    exact = np.concatenate([np.full(p.size, p.exact) for p in prior.parameters.values()])
    return jnp.where(exact, 1.0, jnp.std(prior.sample(jax.random.key(1), draws), axis=0))


def _observed(problem: Problem) -> tuple[np.ndarray, ...]:
    values = np.where(np.asarray(problem.seen), np.asarray(problem.observed), np.nan)
    ends = np.cumsum([int(np.prod(s)) for s in problem.shapes])[:-1]
    return tuple(part.reshape(s) for part, s in zip(np.split(values, ends), problem.shapes, strict=True))
