"""Labour that is hired and fired at a finite pace, and households whose consumption follows what they earn."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import floating, require
from quesnay._errors import InputError
from quesnay.network import Network

from .parameters import sized


class Labour(eqx.Module):
    """Staff limit capacity, and follow what could be made with enough of them: slowly up, less slowly down.

    With l the staff as a share of base staff, `cap_i(t) = l_i(t) z_i(t) k_i x_i(0)`, `w_i = min(D_i(t-1), inp_i(t)) / x_i(0)`
    the staff that orders and inputs ask for, and e_i(t) <= 1 the labour supply that shocks leave,

    ```
    l_i(t+1) = min(e_i(t+1), l_i(t) + hiring (w_i - l_i(t)))       where w_i >= l_i
    l_i(t+1) = min(e_i(t+1), l_i(t) - firing (l_i(t) - w_i))       where w_i <  l_i
    ```

    Spare capacity k is what the same staff can make in longer hours. Without it this is the source's rule.

    Parameters
    ----------
    hiring, firing:
        Share of the gap that is closed per day, scalar or (n,), from 0 to 1.

    References
    ----------
    Pichler et al. (2022), section 3.5: 1/30 and 2/30 per day.
    """

    hiring: Float[Array, " #n"]
    firing: Float[Array, " #n"]

    def __init__(self, *, hiring: ArrayLike = 1 / 30, firing: ArrayLike = 2 / 30):
        self.hiring, self.firing = floating(hiring, "hiring"), floating(firing, "firing")
        for name, value in (("hiring", self.hiring), ("firing", self.firing)):
            require(lambda v: (v >= 0) & (v <= 1), f"{name} is a share per day and must lie between 0 and 1.", value)

    def check(self, network: Network) -> None:
        """Raise `InputError` unless the shapes fit the network."""
        sized("hiring", self.hiring, network, "shares per day")
        sized("firing", self.firing, network, "shares per day")

    def update(self, staff: Array, demand: Array, inputs: Array, base: Array) -> Float[Array, " n"]:
        """Return tomorrow's staff before the labour supply cuts it, as a share of base staff (n,)."""
        some = base > 0
        gap = jnp.where(some, jnp.minimum(demand, inputs) / jnp.where(some, base, 1) - staff, 0)
        pace = jnp.where(gap >= 0, self.hiring, self.firing)
        return jnp.maximum(0, staff + (pace * gap).astype(staff.dtype))


class Households(eqx.Module):
    """Household consumption follows labour income, with memory, and with what is not spent elsewhere.

    With W(t) labour income as a share of its base (staff weighted by labour compensation), topped up by benefits, and income
    y_p(t) that households expect for good,

    ```
    y(t)     = W(t) + benefits (1 - W(t)),   y_p(t) = 1 - pessimism (1 - y(t))
    log C(t) = rho log C(t-1) + (1 - rho) / 2 (log y(t) + log y_p(t))      the level of spending, 1 at the base state
    e(t)     = sum_i c_i(0) e_i(t) / sum_i c_i(0)                          the share of the basket that shocks take away
    c_i(t)   = c_i(0) (1 - e_i(t)) C(t) (1 - (1 - redirection) e(t)) / (1 - e(t))
    ```

    where e_i(t) are the day's losses of final demand, of households and others alike. All together households spend
    `C(t) (1 - (1 - redirection) e(t))` of what they spent, whatever it is that they cannot buy; what is not redirected is
    saved. Where shocks take the whole basket, nothing is spent.

    Parameters
    ----------
    consumption:
        c(0) (n,), household final demand at the base state, in currency per day; at most final demand.
    compensation:
        (n,), labour compensation by account, any unit: the weights of income.
    persistence:
        rho per day, from 0 up to 1.
    benefits:
        Share of lost labour income that is replaced, from 0 to 1.
    pessimism:
        Share of the income lost that households expect to have lost for good, from 0 to 1.
    redirection:
        Share of what is not spent on goods lost to shocks that goes to the others, from 0 to 1.

    References
    ----------
    Pichler et al. (2022), section 3.4, after Muellbauer (2020); one minus redirection is their Delta s.
    """

    consumption: Float[Array, " n"]
    compensation: Float[Array, " n"]
    persistence: Float[Array, ""]
    benefits: Float[Array, ""]
    pessimism: Float[Array, ""]
    redirection: Float[Array, ""]

    def __init__(
        self,
        consumption: ArrayLike,
        compensation: ArrayLike,
        *,
        persistence: ArrayLike = 1 - (1 - 0.6) / 90,
        benefits: ArrayLike = 0.8,
        pessimism: ArrayLike = 0.5,
        redirection: ArrayLike = 0.5,
    ):
        self.consumption, self.compensation = (
            floating(consumption, "consumption"),
            floating(compensation, "compensation"),
        )
        self.persistence, self.benefits, self.pessimism, self.redirection = (
            floating(value, name)
            for name, value in (
                ("persistence", persistence),
                ("benefits", benefits),
                ("pessimism", pessimism),
                ("redirection", redirection),
            )
        )
        require(lambda v: v >= 0, "consumption has a negative entry.", self.consumption)
        require(
            lambda v: (v >= 0).all() & (v.sum() > 0), "compensation must not be negative, nor all 0.", self.compensation
        )
        for name in ("persistence", "benefits", "pessimism", "redirection"):
            value = getattr(self, name)
            if value.ndim:
                raise InputError(f"{name} has shape {value.shape}; give one number between 0 and 1.")
            require(lambda v: (v >= 0) & (v <= 1), lambda n=name: f"{n} must lie between 0 and 1.", value)

    def check(self, network: Network) -> None:
        """Raise `InputError` unless consumption is a part of the network's final demand."""
        n = network.firms
        if self.consumption.shape != (n,) or self.compensation.shape != (n,):
            raise InputError(
                f"consumption {self.consumption.shape} and compensation {self.compensation.shape} need one entry per "
                f"account, ({n},)."
            )
        require(
            lambda c, d: c <= d * (1 + 1e-9),
            "household consumption exceeds final demand somewhere; both are in currency per day of the network.",
            self.consumption,
            network.final_demand,
        )

    def level(self, before: Float[Array, ""], staff: Float[Array, " n"]) -> Float[Array, ""]:
        """Return log C(t) from log C(t-1) and staff as shares of base staff (n,)."""
        weight = self.compensation / jnp.sum(self.compensation)
        income = jnp.sum(weight * staff)
        income = income + self.benefits * (1 - income)
        expected = 1 - self.pessimism * (1 - income)
        # Income is at least the benefits; without any a lockdown of everything would have no logarithm.
        tiny = jnp.finfo(before.dtype).tiny
        pull = (jnp.log(jnp.maximum(income, tiny)) + jnp.log(jnp.maximum(expected, tiny))) / 2
        return (self.persistence * before + (1 - self.persistence) * pull).astype(before.dtype)

    def consumed(self, level: Float[Array, ""], change: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return household demand (n,) at log C and the day's change of final demand as a share of base demand (n,)."""
        wanted = self.consumption * jnp.maximum(0, 1 + change)
        total, some = jnp.sum(self.consumption), jnp.sum(wanted)
        kept = some / jnp.where(total > 0, total, 1)
        # What is spent of the budget, over what the goods still wanted cost of it; without any of them there is none.
        spent = self.redirection + (1 - self.redirection) * kept
        scale = jnp.where(kept > 0, spent / jnp.where(kept > 0, kept, 1), 0)
        return (wanted * jnp.exp(level) * scale).astype(change.dtype)
