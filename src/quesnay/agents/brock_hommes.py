"""The asset market of Brock and Hommes: agents that choose among forecasts of the price by what these have earned."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from quesnay._checks import floating, whole
from quesnay._errors import InputError
from quesnay._results import RESULTS
from quesnay.dynamics import AbstractDynamics, each_step

from .estimators import DEFAULT, AbstractEstimator
from .multinomial import multinomial
from .walk import Observed, drawn, own, unshocked, within


class Market(eqx.Module):
    """A path.

    Attributes
    ----------
    price:
        Deviation of the price from its fundamental value (steps,).
    fractions:
        Shares of the agents with each forecast, by which that price came about (steps, H).
    """

    price: Float[Array, " steps"]
    fractions: Float[Array, "steps H"]
    result: RESULTS


class BrockHommes(AbstractDynamics):
    """The price of an asset among agents with heterogeneous beliefs, as its deviation x from the fundamental value.

    ```
    (1 + r) x_t = sum_h n_(h,t) (g_h x_(t-1) + b_h) + sigma e_t,   e_t standard normal
    U_(h,t-1)   = (x_(t-1) - (1 + r) x_(t-2)) (g_h x_(t-3) + b_h - (1 + r) x_(t-2)) - c_h
    n_(h,t)     = softmax_h(beta U_(h,t-1)),   or the shares of agents that each draw their forecast h with that probability
    ```

    Timing is that of the paper: who chooses before the price of t is known looks at the profit of t - 1, made by a demand of
    t - 2 that rested on a forecast from the price of t - 3. (The paper writes n_(h,t-1) for these fractions; profits are those
    of the last period alone, in units in which risk aversion times variance is 1, so that beta contains it.)

    Parameters
    ----------
    trend:
        g_h (H,): how much of the last deviation forecast h expects to stay.
    bias:
        b_h (H,), or one number.
    intensity:
        beta, the intensity of choice: 0 is a choice at random.
    interest:
        r, of the safe asset per step.
    cost:
        c_h (H,) of a forecast per step, or one number.
    sigma:
        Standard deviation of the noise; None for none.
    start:
        x before step 0: one number, or those of the last three steps (3,), the latest last.
    agents:
        Number of agents that draw their forecast anew in each step; None for the limit of many.
    estimator:
        Of derivatives through these draws; None for none.

    Raises
    ------
    InputError
        Shapes that do not fit; fewer than two forecasts; parameters out of their range.

    References
    ----------
    Brock and Hommes (1998), Journal of Economic Dynamics and Control 22.
    """

    trend: Float[Array, " H"]
    bias: Float[Array, " H"]
    intensity: Float[Array, ""]
    interest: Float[Array, ""]
    cost: Float[Array, " H"]
    sigma: Float[Array, ""] | None
    start: Float[Array, " 3"]
    agents: int | None = eqx.field(static=True)
    estimator: AbstractEstimator | None

    def __init__(
        self,
        *,
        trend,
        bias=0.0,
        intensity,
        interest,
        cost=0.0,
        sigma=None,
        start=0.0,
        agents: int | None = None,
        estimator: AbstractEstimator | None = DEFAULT,
    ):
        self.trend = floating(trend, "trend")
        if self.trend.ndim != 1 or self.trend.shape[0] < 2:
            raise InputError(f"trend has shape {self.trend.shape}; give those of two or more forecasts (H,).")
        self.bias = _wide(bias, "bias", self.trend.shape[0])
        self.cost = _wide(cost, "cost", self.trend.shape[0])
        self.start = _wide(start, "start", 3)
        self.intensity, self.interest = (
            _number(value, name) for value, name in ((intensity, "intensity"), (interest, "interest"))
        )
        self.sigma = None if sigma is None else _number(sigma, "sigma")
        self.agents = None if agents is None else whole(agents, "agents", "number of agents")
        self.estimator = estimator

    def init(self):
        """Return the last three deviations, the latest first, and the fractions of those who all choose at random."""
        return (*self.start[::-1], jnp.full(self.trend.shape, 1 / self.trend.shape[0], self.start.dtype))

    def step(self, state, day, shock, key):
        one, two, three, _ = state
        gross = 1 + self.interest
        profit = (one - gross * two) * (self.trend * three + self.bias - gross * two) - self.cost
        fractions = jax.nn.softmax(self.intensity * profit)
        if self.agents is not None:
            choice = jax.random.fold_in(drawn(key, self), 0)
            fractions = multinomial(choice, self.agents, fractions, estimator=self.estimator) / self.agents
        expected = jnp.sum(fractions * (self.trend * one + self.bias))
        if self.sigma is not None:
            expected = expected + self.sigma * jax.random.normal(jax.random.fold_in(drawn(key, self), 1), (), one.dtype)
        return expected / gross, one, two, fractions

    def observe(self, state):
        return {"price": state[0], "fractions": state[3]}

    def rows(self, shock, steps, key, observe, scan):
        certain = self.agents is None and self.sigma is None
        return each_step(self, shock, steps, None if certain else drawn(key, self), observe, scan)

    def path(self, rows, base, result):
        return Market(**rows, result=result) if own(rows, Market) else Observed(rows, result)

    def check(self, shock):
        unshocked(shock, self)
        within("intensity", self.intensity, 0)
        within("interest", self.interest, 0)
        for name in ("trend", "bias", "cost", "start"):
            within(name, getattr(self, name), -float("inf"))
        if self.sigma is not None:
            within("sigma", self.sigma, 0)


def _number(value, name: str) -> Float[Array, ""]:
    number = floating(value, name)
    if number.shape != ():
        raise InputError(f"{name} has shape {number.shape}; give one number, and vmap over models for more.")
    return number


def _wide(value, name: str, size: int) -> Float[Array, " size"]:
    wide = floating(value, name)
    if wide.shape not in ((), (size,)):
        raise InputError(f"{name} has shape {wide.shape}; give one number, or {size} of them.")
    return jnp.broadcast_to(wide, (size,))
