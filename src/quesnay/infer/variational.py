"""Fits of a guide: stochastic variational inference on the standardised unknowns, by numpyro."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.distributions import constraints
from numpyro.infer import SVI, Trace_ELBO, TraceMeanField_ELBO, autoguide, init_to_value
from numpyro.infer.elbo import ELBO

from quesnay._checks import positive, whole
from quesnay._errors import InputError

from .losses import AbstractLoss
from .problem import Problem

Guide = Callable[..., autoguide.AutoGuide]
"""Makes a numpyro guide from a model, as numpyro's own classes do: guide(model, init_loc_fn=...)."""

START = 0.37
"""Standard deviation with which a guide begins, in units of the prior's: 1/e, wide enough to feel the curvature."""
MEMORY = 0.95
"""Of Adam's mean square of gradients, per step: they shrink by orders of magnitude while a guide narrows."""


class _Independent(autoguide.AutoNormal):
    # A step of the logarithm: a scale may fall by orders of magnitude, where data say much about an unknown.
    scale_constraint = constraints.positive


def mean_field() -> Guide:
    """Return the guide of independent normals: two numbers per unknown, for thousands of them."""
    return functools.partial(_Independent, init_scale=START)


def low_rank(rank: int) -> Guide:
    """Return the guide of a normal with covariance D (I + W W') D, W of the given rank."""
    return functools.partial(
        autoguide.AutoLowRankMultivariateNormal, init_scale=START, rank=whole(rank, "rank", "rank of the covariance")
    )


def full_covariance() -> Guide:
    """Return the guide of a normal with any covariance: for up to some hundred unknowns."""
    return functools.partial(autoguide.AutoMultivariateNormal, init_scale=START)


def flow(layers: int = 2, hidden: int = 32) -> Guide:
    """Return the guide of an inverse autoregressive flow (Kingma et al. 2016): for posteriors that are not normal."""
    sizes = [whole(hidden, "hidden", "number of hidden units")] * 2
    return functools.partial(
        autoguide.AutoIAFNormal, num_flows=whole(layers, "layers", "number of layers of the flow"), hidden_dims=sizes
    )


class Chart(NamedTuple):
    """Coordinates u of a fit: z = centre + root u."""

    centre: Float[Array, " size"]
    root: Float[Array, "size size"]

    def z(self, u: Float[Array, "*draws size"]) -> Float[Array, "*draws size"]:
        """Return z."""
        return self.centre + u @ self.root.T

    @property
    def volume(self) -> Float[Array, ""]:
        """Logarithm of the volume in z of a unit cube of u."""
        return jnp.linalg.slogdet(self.root)[1]


class Fit(NamedTuple):
    """A fitted guide: what numpyro needs to draw from it, and how the fit went."""

    guide: autoguide.AutoGuide
    params: dict[str, Any]
    losses: np.ndarray
    chart: Chart | None = None


def model_of(
    problem: Problem, loss: AbstractLoss, key: PRNGKeyArray | None = None, chart: Chart | None = None
) -> Callable[[], None]:
    """Return numpyro's model of a problem: z is standard normal, and two factors make it prior times exp(-loss).

    With a key, a stochastic simulator meets the same random numbers at every evaluation; without, new ones each time. With a
    chart, the site "z" holds u.
    """

    def model() -> None:
        normal = dist.Normal(jnp.zeros(problem.prior.size), 1.0).to_event(1)
        u = jnp.asarray(numpyro.sample("z", normal))
        z, volume = (u, 0.0) if chart is None else (chart.z(u), chart.volume)
        numpyro.factor("prior", problem.prior.log_density(z) + volume - normal.log_prob(u))
        own = numpyro.prng_key() if key is None and problem.draws else key
        numpyro.factor("data", -loss_at(problem, loss, z, own))

    return model


def loss_at(
    problem: Problem, loss: AbstractLoss, z: Float[Array, " size"], key: PRNGKeyArray | None
) -> Float[Array, ""]:
    """Return the loss of one z."""
    if not problem.draws or key is None:
        simulated = problem.simulate(z, jax.random.key(0))[None]
    else:
        simulated = jax.vmap(problem.simulate, in_axes=(None, 0))(z, jax.random.split(key, loss.draws))
    return loss(simulated, problem.observed)


class State(NamedTuple):
    """Where a fit stands: everything that its further steps depend on."""

    svi: Any
    losses: np.ndarray
    points: np.ndarray = np.zeros(0)
    """The guide's median now and then, one after the other."""


class Fitting(NamedTuple):
    """A fit that can be taken further, step by step."""

    svi: SVI
    guide: autoguide.AutoGuide
    loss: AbstractLoss
    start: State
    size: int
    chart: Chart | None = None


def begin(
    problem: Problem,
    loss: AbstractLoss,
    guide: Guide,
    key: PRNGKeyArray,
    *,
    steps: int,
    learning_rate: float,
    divergence: ELBO | None = None,
    start: Float[Array, " size"] | None = None,
    chart: Chart | None = None,
) -> Fitting:
    """Return the fit before its first step: Adam, its learning rate falling to zero along a cosine over all steps.

    In a chart, a guide begins at its centre, as a standard normal of its coordinates.
    """
    steps, rate = whole(steps, "steps", "number of gradient steps"), positive(learning_rate, "learning_rate")
    if not callable(guide):
        raise InputError(
            f"guide is a {type(guide).__name__}; give one, such as infer.mean_field() or infer.low_rank(20)."
        )

    def model(loss: AbstractLoss) -> None:
        model_of(problem, loss, chart=chart)()

    z = jnp.zeros(problem.prior.size) if start is None or chart is not None else start
    scale = {"init_scale": 1.0} if chart is not None and "init_scale" in getattr(guide, "keywords", {}) else {}
    if problem.prior.size < 2 and getattr(guide, "func", None) is autoguide.AutoIAFNormal:
        raise InputError("flow() needs at least two unknowns, and the prior has one; use mean_field().")
    built = guide(_sites(problem.prior.size), init_loc_fn=init_to_value(values={"z": z}), **scale)
    schedule = optax.cosine_decay_schedule(rate, steps)
    # The curvature in a chart is about 1: near the mode, Adam turns into gradient descent of rate 1 there, which is stable.
    svi = SVI(
        model,
        built,
        optax.adam(schedule, b2=MEMORY, eps=1e-8 if chart is None else rate),
        divergence or _kullback_leibler(built),
    )
    return _at(Fitting(svi, built, loss, State(None, np.zeros(0)), problem.prior.size, chart), key, None)


def _kullback_leibler(guide: autoguide.AutoGuide) -> ELBO:
    """Return the divergence from the prior, in closed form for independent normals: estimated from one draw, its gradient is
    as noisy as that of the data for every unknown that the data say little of."""
    return TraceMeanField_ELBO() if isinstance(guide, _Independent) else Trace_ELBO()


def again(fitting: Fitting, loss: AbstractLoss, key: PRNGKeyArray, fit: Fit) -> Fitting:
    """Return another fit of the same length, for another loss of the same form: begun at what was fitted, compiled once."""
    return _at(fitting._replace(loss=loss), key, fit.params)


def _at(fitting: Fitting, key: PRNGKeyArray, params: dict[str, Any] | None) -> Fitting:
    # The guide's parameters depend on the sites of the model, not on the simulator, which need not run for them.
    bare = SVI(_sites(fitting.size), fitting.guide, fitting.svi.optim, fitting.svi.loss)
    state = bare.init(key, fitting.loss, init_params=params)
    fitting.svi.constrain_fn = bare.constrain_fn
    return fitting._replace(start=State(state, np.zeros(0)))


def _sites(size: int) -> Callable[[AbstractLoss], None]:
    def model(loss: AbstractLoss) -> None:
        del loss
        numpyro.sample("z", dist.Normal(jnp.zeros(size), 1.0).to_event(1))

    return model


def advance(fitting: Fitting, state: State, steps: int) -> State:
    """Return the fit some steps further; a step whose loss is not finite changes nothing but the random numbers."""
    svi, losses = _steps(fitting.svi, state.svi, fitting.loss, steps)
    return State(svi, np.concatenate([state.losses, np.asarray(losses)]), state.points)


def located(fitting: Fitting, state: State) -> State:
    """Return the state with the guide's median among its points; a guide without one (a flow) has none."""
    try:
        u = fitting.guide.median(fitting.svi.get_params(state.svi))["z"]
    except NotImplementedError:
        return state
    z = u if fitting.chart is None else fitting.chart.z(u)
    return state._replace(points=np.concatenate([state.points, np.asarray(z, float)]))


@eqx.filter_jit
def _steps(svi: SVI, state: Any, loss: AbstractLoss, steps: int) -> tuple[Any, Array]:
    return jax.lax.scan(lambda s, _: svi.stable_update(s, loss), state, None, length=steps)


def finish(fitting: Fitting, state: State) -> Fit:
    """Return what was fitted."""
    return Fit(fitting.guide, fitting.svi.get_params(state.svi), state.losses, fitting.chart)


def draw(fit: Fit, key: PRNGKeyArray, count: int) -> Float[Array, "count size"]:
    """Return draws of z from a fitted guide."""
    u = fit.guide.sample_posterior(key, fit.params, sample_shape=(count,))["z"]
    return u if fit.chart is None else fit.chart.z(u)
