"""The [calibrate] section as library objects: what was observed, a prior, and the scenario as a function of parameters."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions.transforms import AffineTransform, ExpTransform, SigmoidTransform

from ..dynamics import simulate
from ..economy import Economy
from ..infer import Targets, read_targets
from ..supply import CapacityLoss, Exponential, SupplyModel, SupplyPath
from ..supply.shocks import AbstractShock
from .build import Builder
from .scenario import ExponentialRecovery, ParameterSection

BOUND = {"inventory": 1.0, "capacity": 1.0, "adjustment": 0.0, "recovery": 0.0}
"""What a parameter lies above: prior bound + exp(N(log(median - bound), spread))."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One calibrated parameter: its prior, its labels, and how its entries are brought to the accounts."""

    section: ParameterSection
    name: str
    prior: Any
    labels: list[str] | None
    where: np.ndarray | None

    def values(self, theta: dict[str, Any]) -> Any:
        """Return the parameter by account, or one for all."""
        own = theta[self.name]
        return own if self.where is None else own[self.where]


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What is calibrated on what."""

    builder: Builder
    economy: Economy
    targets: Targets
    parameters: tuple[Parameter, ...]
    model: SupplyModel
    shocks: tuple[CapacityLoss, ...]

    @staticmethod
    def of(builder: Builder, economy: Economy) -> Calibration:
        """Return the calibration of a scenario; every mistake in it is an error that names the key."""
        section = builder.scenario.calibrate
        assert section is not None
        path = builder.path.parent / section.observed
        with builder.at("calibrate.observed"):
            targets = read_targets(
                path, economy, steps=builder.scenario.run.steps, begin=section.begin, measure=section.measure,
                base=section.base, frequency=section.frequency, variable=section.variable,
            )  # fmt: skip
        builder.inputs[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        shocks = tuple(builder.shocks(economy))
        found: dict[str, Parameter] = {}
        for k, own in enumerate(section.parameter, start=1):
            parameter = _parameter(builder, economy, f"calibrate.parameter #{k}", own)
            if parameter.name in found:
                raise builder.error(f"calibrate.parameter #{k}", f"{parameter.name} is calibrated twice; give it once")
            found[parameter.name] = parameter
        return Calibration(builder, economy, targets, tuple(found.values()), builder.model(economy), shocks)

    @property
    def prior(self) -> dict[str, Any]:
        """The prior by name."""
        return {p.name: p.prior for p in self.parameters}

    @property
    def labels(self) -> dict[str, list[str]]:
        """Labels of the entries of parameters that have several."""
        return {p.name: p.labels for p in self.parameters if p.labels is not None}

    def scenario(self, theta: dict[str, Any]) -> tuple[SupplyModel, AbstractShock]:
        """Return the model and the shock under parameters."""
        given = {(p.section.name, p.section.shock): p.values(theta) for p in self.parameters}
        plain = self.builder.scenario.model
        settings = {
            name: given.get((name, None), getattr(plain, name)) for name in ("inventory", "adjustment", "capacity")
        }
        shocks: list[AbstractShock] = []
        for section, shock in zip(self.builder.scenario.shock, self.shocks, strict=True):
            loss, days = given.get(("loss", section.name)), given.get(("recovery", section.name))
            hit = np.asarray(shock.loss) > 0
            shocks.append(
                CapacityLoss(
                    shock.loss if loss is None else jnp.where(hit, loss, 0.0), start=shock.start, duration=shock.duration,
                    recovery=shock.recovery if days is None else Exponential(days=days),
                )
            )  # fmt: skip
        return SupplyModel(self.model.network, **settings), functools.reduce(AbstractShock.__add__, shocks)

    def path(self, theta: dict[str, Any], observe: Callable[[Any], Any] | None = None) -> SupplyPath:
        """Return the path under parameters; a run that is not finite is left for others to count."""
        model, shock = self.scenario(theta)
        return simulate(model, shock, steps=self.builder.scenario.run.steps, observe=observe, throw=False)


def _parameter(builder: Builder, economy: Economy, key: str, section: ParameterSection) -> Parameter:
    name = section.name if section.shock is None else f"{section.name} of {section.shock}"
    median = section.median if section.median is not None else _own(builder, key, section)
    labels, where = _entries(economy, section.per)
    shape = () if labels is None else (len(labels),)
    if section.name == "loss":
        if not 0 < median < 1:
            raise builder.error(f"{key}.median", f"{median:g} is no share of capacity between 0 and 1; give one")
        prior = dist.TransformedDistribution(
            dist.Normal(jnp.full(shape, float(np.log(median / (1 - median)))), section.spread), SigmoidTransform()
        )
        return Parameter(section, name, prior, labels, where)
    bound = BOUND[section.name]
    if not median > bound:
        raise builder.error(f"{key}.median", f"{median:g} is not above {bound:g}; give the median of {section.name}")
    prior = dist.TransformedDistribution(
        dist.Normal(jnp.full(shape, float(np.log(median - bound))), section.spread),
        [ExpTransform(), AffineTransform(bound, 1.0)],
    )
    return Parameter(section, name, prior, labels, where)


def _own(builder: Builder, key: str, section: ParameterSection) -> float:
    """Return the value that the scenario itself has, which is the median where none is given."""
    if section.shock is None:
        return float(getattr(builder.scenario.model, section.name))
    shock = next(s for s in builder.scenario.shock if s.name == section.shock)
    if section.name == "loss":
        if shock.loss is None:
            raise builder.error(f"{key}.median", f"shock {section.shock!r} has its losses in a file; give the median")
        return float(shock.loss)
    if not isinstance(shock.recovery, ExponentialRecovery):
        raise builder.error(
            key, f"shock {section.shock!r} has no exponential recovery, whose days could be calibrated; give it one"
        )
    return float(shock.recovery.days if shock.recovery.days is not None else 1 / (shock.recovery.rate or np.nan))


def _entries(economy: Economy, per: str) -> tuple[list[str] | None, np.ndarray | None]:
    """Return the labels of a parameter's entries, and which of them each account has."""
    pairs = [(str(region), str(sector)) for region, sector in economy.index]
    if per == "all":
        return None, None
    names = {
        "region": [a for a, _ in pairs],
        "sector": [b for _, b in pairs],
        "account": [f"{a} · {b}" for a, b in pairs],
    }[per]
    labels = list(dict.fromkeys(names))
    at = {name: k for k, name in enumerate(labels)}
    return labels, np.array([at[name] for name in names])
