"""The prior: numpyro distributions by name, as one standardised vector without constraints."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.distributions import constraints, transforms

from quesnay._errors import InputError, LabelError

DRAWS = 4096
"""Draws from which the location and scale of a parameter whose unconstrained prior is not normal are taken."""


class Parameter(eqx.Module):
    """One entry of a prior: x = outer(base(location + scale z)), with z without constraints and of order 1."""

    base: Any
    outer: list[Any]
    bijection: Any
    location: Float[Array, "..."]
    scale: Float[Array, "..."]
    shape: tuple[int, ...] = eqx.field(static=True)

    @property
    def exact(self) -> bool:
        """Whether z is standard normal under the prior."""
        return isinstance(_unexpanded(self.base), dist.Normal)

    @property
    def size(self) -> int:
        """Number of entries of z."""
        return math.prod(self.location.shape)

    def constrain(self, z: Float[Array, " size"]) -> Array:
        """Return the parameter itself, in its own units and shape."""
        x = self.bijection(self.location + self.scale * z.reshape(self.location.shape))
        for transform in self.outer:
            x = transform(x)
        return jnp.reshape(x, self.shape)

    def log_density(self, z: Float[Array, " size"]) -> Float[Array, ""]:
        """Return the log density of z under the prior."""
        u = self.location + self.scale * z.reshape(self.location.shape)
        x = self.bijection(u)
        volume = self.bijection.log_abs_det_jacobian(u, x)
        return jnp.sum(self.base.log_prob(x)) + jnp.sum(volume) + jnp.sum(jnp.log(self.scale))

    def sample(self, key: PRNGKeyArray, count: int) -> Float[Array, "count size"]:
        """Return draws of z from the prior."""
        draws = self.bijection.inv(self.base.sample(key, (count,)))
        return ((draws - self.location) / self.scale).reshape(count, -1)


class Prior(eqx.Module):
    """A dict of distributions as one vector z: standardised, without constraints, standard normal where the prior allows.

    Whatever looks for a posterior works on z, in which the prior has unit scale in every direction: a learning rate, a step
    or a length then means the same for days, shares and dollars.
    """

    names: tuple[str, ...] = eqx.field(static=True)
    entries: tuple[Parameter, ...]

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters by name, in the order of z (that of the dict that was given; JAX itself would sort a dict)."""
        return dict(zip(self.names, self.entries, strict=True))

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return sum(p.size for p in self.parameters.values())

    def constrain(self, z: Float[Array, " size"]) -> dict[str, Array]:
        """Return the parameters by name, as the simulator takes them."""
        return {
            name: p.constrain(part) for (name, p), part in zip(self.parameters.items(), self._split(z), strict=True)
        }

    def log_density(self, z: Float[Array, " size"]) -> Float[Array, ""]:
        """Return the log density of z under the prior."""
        parts = zip(self.parameters.values(), self._split(z), strict=True)
        return sum((p.log_density(part) for p, part in parts), start=jnp.zeros((), z.dtype))

    def sample(self, key: PRNGKeyArray, count: int) -> Float[Array, "count size"]:
        """Return draws of z from the prior."""
        keys = jax.random.split(key, len(self.parameters))
        return jnp.concatenate(
            [p.sample(k, count) for k, p in zip(keys, self.parameters.values(), strict=True)], axis=1
        )

    def _split(self, z: Array) -> list[Array]:
        ends = [0]
        for p in self.parameters.values():
            ends.append(ends[-1] + p.size)
        return [z[a:b] for a, b in itertools.pairwise(ends)]


def read_prior(prior: Mapping[str, Any]) -> Prior:
    """Return the standardised prior of a dict of numpyro distributions.

    Raises
    ------
    InputError
        No dict, an empty one, or an entry that is not a continuous distribution.
    """
    if isinstance(prior, Prior):
        return prior
    if not isinstance(prior, Mapping) or not prior:
        raise InputError(
            'prior is no dict of numpyro distributions; give one per parameter, such as {"inventory": LogNormal(2.3, 0.5)}.'
        )
    return Prior(tuple(prior), tuple(_parameter(name, value) for name, value in prior.items()))


def _parameter(name: str, value: Any) -> Parameter:
    if not isinstance(name, str) or not name:
        raise InputError(f"prior has the key {name!r}; give each parameter a name, as text.")
    if not isinstance(value, dist.Distribution):
        raise InputError(
            f"prior[{name!r}] is a {type(value).__name__}; give one of numpyro.distributions, such as Normal(0, 1)."
        )
    if value.support is not None and value.support.is_discrete:
        raise InputError(
            f"prior[{name!r}] is discrete ({type(value).__name__}), and gradients stop there; give a continuous distribution."
        )
    base, outer = _inner(value)
    support = _unexpanded(base).support
    if not isinstance(support, constraints.Constraint):
        raise InputError(
            f"prior[{name!r}] does not say where it is positive (its support); give a distribution that does."
        )
    bijection = transforms.biject_to(support)
    if isinstance(_unexpanded(base), dist.Normal):
        inside = _unexpanded(base)
        location, scale = (
            jnp.broadcast_to(jnp.asarray(v, float), base.batch_shape) for v in (inside.loc, inside.scale)
        )
    else:
        draws = bijection.inv(base.sample(jax.random.key(0), (DRAWS,)))
        location, scale = jnp.mean(draws, axis=0), jnp.std(draws, axis=0)
    if not bool(jnp.all(jnp.isfinite(location) & jnp.isfinite(scale) & (scale > 0))):
        raise InputError(f"prior[{name!r}] has no finite scale ({type(value).__name__}); give a proper distribution.")
    return Parameter(base, outer, bijection, location, scale, tuple(value.batch_shape + value.event_shape))


def _inner(value: Any) -> tuple[Any, list[Any]]:
    """Return the distribution within, and the transforms that lead from it to the one given.

    What a transform says of its own domain is not needed then: 1 + exp(z) keeps its bound also where it is written without.
    """
    if isinstance(value, dist.Independent):
        return _inner(value.base_dist)
    if isinstance(value, dist.ExpandedDistribution):
        base, outer = _inner(value.base_dist)
        ours = value.batch_shape + base.batch_shape[len(value.base_dist.batch_shape) :]
        return base.expand(ours), outer
    if isinstance(value, dist.TransformedDistribution):
        base, outer = _inner(value.base_dist)
        return base, [*outer, *value.transforms]
    return value, []


def _unexpanded(base: Any) -> Any:
    return _unexpanded(base.base_dist) if isinstance(base, dist.ExpandedDistribution) else base


def entries(prior: Prior, labels: Mapping[str, Sequence[Any]] | None = None) -> list[str]:
    """Return the name of each entry of the parameters, such as `inventory[Georgia · Farms]`.

    Raises
    ------
    LabelError
        Labels of a parameter that the prior has not, or not as many as its first axis is long.
    """
    labels = dict(labels or {})
    check_labels(prior, labels)
    names: list[str] = []
    for name, p in prior.parameters.items():
        for place in _places(p.shape):
            first = [str(labels[name][place[0]])] if name in labels and place else [str(k) for k in place[:1]]
            names.append(name if not place else f"{name}[{', '.join(first + [str(k) for k in place[1:]])}]")
    return names


def _places(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    places: list[tuple[int, ...]] = [()]
    for length in shape:
        places = [(*place, k) for place in places for k in range(length)]
    return places


def check_labels(prior: Prior, labels: Mapping[str, Sequence[Any]]) -> None:
    """Raise `LabelError` for labels that do not fit the prior."""
    for name, values in labels.items():
        if name not in prior.parameters:
            raise LabelError(
                f"labels has {name!r}, which the prior has not; its parameters are {', '.join(prior.parameters)}."
            )
        shape = prior.parameters[name].shape
        if not shape or len(values) != shape[0]:
            raise LabelError(
                f"labels[{name!r}] has {len(values)} entries for a parameter of shape {shape}; give one per row."
            )
