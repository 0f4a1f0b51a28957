"""`Ensemble`: one scenario under many draws of its parameters, for the fan charts of a report."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, final

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from .._errors import InputError, SolveError
from ..economy import Economy
from ..supply import SupplyPath

if TYPE_CHECKING:  # imported where they are used: a report without an ensemble needs no numpyro
    from ..infer import Posterior, Targets

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles that a fan is drawn of: the median, the middle half, and nine tenths."""
PRIOR_DRAWS = 2000


@final
@dataclasses.dataclass(frozen=True)
class Parameter:
    """One calibrated number: its name, the 5, 50 and 95 % quantiles before and after the data, and its contraction."""

    name: str
    prior: tuple[float, float, float]
    posterior: tuple[float, float, float]
    contraction: float


class Change(NamedTuple):
    """Output less its base, (draws, days), of a region or of all, and the base per day."""

    name: str
    change: np.ndarray
    base: float


@final
@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Ensemble:
    """Runs of one scenario under draws of a posterior.

    Attributes
    ----------
    regions:
        Names of the regions.
    output, value_added:
        Per day, in currency: (draws, days, regions).
    base_output, base_value_added:
        The base state's: (regions,).
    left_out:
        Draws whose run was not finite: counted, and in none of the numbers.
    parameters:
        The calibrated parameters, those first that the data say most of.
    method, simulations, converged:
        How the posterior was found.
    targets, predicted:
        What it was calibrated on, and the simulated (draws, periods, series); None where neither is given.
    """

    regions: tuple[str, ...]
    output: np.ndarray
    value_added: np.ndarray
    base_output: np.ndarray
    base_value_added: np.ndarray
    left_out: int
    parameters: tuple[Parameter, ...]
    method: str
    simulations: int
    converged: bool
    targets: "Targets | None" = None
    predicted: np.ndarray | None = None

    @property
    def draws(self) -> int:
        """Number of runs."""
        return len(self.output)

    def changes(self) -> list[Change]:
        """Return the change of output of all regions, and of each where there are several, by their median losses."""
        change = self.output - self.base_output
        found = [Change("All regions", change.sum(axis=2), float(self.base_output.sum()))]
        if len(self.regions) > 1:
            order = np.argsort(np.median(change.sum(axis=1), axis=0), kind="stable")
            found += [Change(self.regions[k], change[:, :, k], float(self.base_output[k])) for k in order]
        return found


def ensemble(
    posterior: "Posterior",
    simulator: Callable[..., SupplyPath],
    economy: Economy,
    *,
    key: PRNGKeyArray,
    draws: int = 100,
    targets: "Targets | None" = None,
) -> Ensemble:
    """Simulate a scenario under draws of a posterior, for `Run(..., ensemble=...)`.

    Parameters
    ----------
    posterior:
        What `q.infer.gvi` and the other methods return.
    simulator:
        A function of a dict of parameters, or of it and a key (shocks that are drawn), that returns the path of all accounts
        of the table: `q.simulate(..., throw=False)`. It need not be the scenario that was calibrated on.
    economy:
        The table.
    key:
        A JAX random key.
    draws:
        Number of runs.
    targets:
        What the posterior was calibrated on; the report then shows the observations beside the simulations.

    Raises
    ------
    InputError
        A simulator that returns no path of the table's accounts.
    SolveError
        Not one run is finite.
    """
    from ..infer.problem import takes_key

    regions = tuple(map(str, economy.regions))
    groups = jnp.asarray([regions.index(str(region)) for region, _ in economy.index])

    def seen(path: Any) -> dict[str, Any]:
        if not isinstance(path, SupplyPath) or path.base is None or path.output.shape[1:] != (economy.n,):
            raise InputError(
                f"simulator returns no path of the table's {economy.n} accounts; return what `simulate` returns."
            )

        def total(values):
            return jax.ops.segment_sum(values.T, groups, len(regions)).T

        found = {"output": total(path.output), "value_added": total(path.value_added)}
        found |= {"base_output": total(path.base.output), "base_value_added": total(path.base.value_added)}
        return found | ({} if targets is None else {"predicted": targets.observe(path)})

    if takes_key(simulator):
        runs = posterior.predict(key, simulator=lambda theta, key: seen(simulator(theta, key)), draws=draws).samples
    else:
        runs = posterior.predict(key, simulator=lambda theta: seen(simulator(theta)), draws=draws).samples
    good = np.all([np.isfinite(v).reshape(len(v), -1).all(axis=1) for v in runs.values()], axis=0)
    if not good.any():
        raise SolveError(
            f"None of {len(good)} runs under draws of the posterior is finite; try the simulator by itself."
        )
    kept = {name: v[good] for name, v in runs.items()}
    return Ensemble(
        regions=regions,
        **{name: kept[name] for name in ("output", "value_added")},
        **{name: kept[name][0] for name in ("base_output", "base_value_added")},
        left_out=int((~good).sum()),
        parameters=_parameters(posterior),
        method=posterior.method,
        simulations=posterior.simulations,
        converged=posterior.converged,
        targets=targets,
        predicted=kept.get("predicted"),
    )  # fmt: skip


def _parameters(posterior: "Posterior") -> tuple[Parameter, ...]:
    from ..infer.prior import entries

    if posterior.problem is None:
        raise InputError(
            "This posterior was loaded from a file, which holds no prior; report the one that a fit returned."
        )
    prior = posterior.problem.prior
    before = jax.jit(jax.vmap(prior.constrain))(prior.sample(jax.random.key(0), PRIOR_DRAWS))
    after, told = posterior.theta(), posterior.contraction()
    labelled = {name: f"{name}_dim_0" for name in prior.parameters if f"{name}_dim_0" in posterior.samples.coords}
    names = iter(
        entries(prior, {name: posterior.samples.coords[dim].to_numpy().tolist() for name, dim in labelled.items()})
    )
    found = []
    for name in prior.parameters:
        earlier, later = (np.asarray(v[name]).reshape(len(v[name]), -1) for v in (before, after))
        share = told[name].to_numpy().ravel()
        share = (
            share if len(share) == later.shape[1] else np.full(later.shape[1], share.mean())
        )  # a simplex has fewer z
        for k in range(later.shape[1]):
            found.append(Parameter(next(names), _quantiles(earlier[:, k]), _quantiles(later[:, k]), float(share[k])))
    return tuple(sorted(found, key=lambda p: -p.contraction))


def _quantiles(values: np.ndarray) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return float(low), float(middle), float(high)
