"""Capacity that moves: overproduction that builds up under demand, and capital that is destroyed and rebuilt."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import floating, require
from quesnay._errors import InputError
from quesnay.network import TIE, Network

from .parameters import sized


class Overproduction(eqx.Module):
    """Capacity builds up while demand is not met, and decays afterwards.

    ```
    alpha(t) = alpha(t-1) + ((maximum - alpha(t-1)) m(t) + (1 - alpha(t-1)) [m(t) = 0]) / days
    m(t)     = (D(t-1) - x(t-1)) / D(t-1)        what is asked today beyond what was made yesterday
    cap_i(t) = alpha_i(t) z_i(t) k_i x_i(0),     alpha >= 1
    ```

    Parameters
    ----------
    maximum:
        alpha_max, scalar or (n,), at least 1.
    days:
        tau_alpha, the time in which it builds up and decays, scalar or (n,), at least 1.

    References
    ----------
    Hallegatte (2008, 2014), with 1.25 and 365 days; the form of BoARIO.
    """

    maximum: Float[Array, " #n"]
    days: Float[Array, " #n"]

    def __init__(self, maximum: ArrayLike = 1.25, *, days: ArrayLike = 365.0):
        self.maximum, self.days = floating(maximum, "maximum"), floating(days, "days")
        require(lambda v: v >= 1, "maximum is a multiple of base capacity and must be at least 1.", self.maximum)
        require(lambda v: v >= 1, "days must be at least 1: capacity cannot pass its maximum within a day.", self.days)

    def check(self, network: Network) -> None:
        """Raise `InputError` unless the shapes fit the network."""
        sized("maximum", self.maximum, network, "multiples of base capacity")
        sized("days", self.days, network, "days")

    def update(self, alpha: Float[Array, " n"], demand: Float[Array, " n"], made: Float[Array, " n"]) -> Array:
        """Return alpha for a day on which `demand` is asked, after one on which `made` was made."""
        some = demand > 0
        missing = jnp.where(some, (demand - made) / jnp.where(some, demand, 1), 0)
        # What is met to rounding is met: capacity decays, as it would in exact arithmetic.
        missing = jnp.where(jnp.abs(missing) <= TIE * jnp.finfo(missing.dtype).eps, 0, missing)
        grown = (self.maximum - alpha) * missing + jnp.where(missing == 0, 1 - alpha, 0)
        return jnp.maximum(1, alpha + (grown / self.days).astype(alpha.dtype))


class Reconstruction(eqx.Module):
    """Destroyed capital takes capacity in proportion and is rebuilt by builders, as part of final demand.

    ```
    cap_i(t) = (1 - B_i(t) / K_i) ...            B: damage left, K: capital
    w_f(t)   = B_f(t) / days_f                   what owner f asks of the builders together
    b_i(t)   = sum_f share_if w_f(t)             demand for builder i, beside final demand
    B_f(t+1) = B_f(t) - w_f(t) sum_i share_if r_i(t+1)
    ```

    with r the share of final demand that builder i serves. Money is conserved: rebuilt + remaining = damage.

    Parameters
    ----------
    capital:
        K (n,), in currency, not negative; an account without capital loses no capacity.
    builders:
        Share of each builder in what is rebuilt, (n,) for all owners or (n, n) with one column per owner; columns add up to 1.
    days:
        Time in which damage would be rebuilt if all were served (time constant), scalar or (n,) by owner, at least 1.

    References
    ----------
    Hallegatte (2008); BoARIO's rebuilding events.
    """

    capital: Float[Array, " n"]
    builders: Array
    days: Float[Array, " #n"]

    def __init__(self, capital: ArrayLike, builders: ArrayLike, *, days: ArrayLike = 60.0):
        self.capital, self.builders = floating(capital, "capital"), floating(builders, "builders")
        self.days = floating(days, "days")
        require(lambda v: v >= 0, "capital has a negative entry.", self.capital)
        require(
            lambda v: v >= 1, "days must be at least 1: what is rebuilt in a day cannot exceed the damage.", self.days
        )
        if self.builders.ndim not in (1, 2):
            raise InputError(f"builders has shape {self.builders.shape}; give shares (n,) or (n, n).")
        require(
            lambda v: (v >= 0).all() & (abs(v.sum(axis=0) - 1) <= 1e-9).all(),
            "builders must be shares that are not negative and add up to 1 (each column, where there is one per owner).",
            self.builders,
        )

    def check(self, network: Network) -> None:
        """Raise `InputError` unless the shapes fit the network."""
        n = network.firms
        if self.capital.shape != (n,) or self.builders.shape not in ((n,), (n, n)) or self.days.size not in (1, n):
            raise InputError(
                f"capital {self.capital.shape}, builders {self.builders.shape} and days {self.days.shape} do not fit the "
                f"{n} accounts of the network: give ({n},), ({n},) or ({n}, {n}), and a number or ({n},)."
            )

    def can_lose(self, damage: Array) -> None:
        """Raise `InputError` where there is less capital than is destroyed."""
        require(
            lambda v: (v <= self.capital * (1 + 1e-9)).all(),
            lambda: (
                f"the shock destroys more capital than account {int(np.argmax(np.asarray(damage - self.capital)))} has: damage "
                "is in currency, like capital, and at most that."
            ),
            damage,
        )

    def left(self, damage: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return the share of capacity that the damage leaves."""
        some = self.capital > 0
        return jnp.maximum(0, 1 - jnp.where(some, damage / jnp.where(some, self.capital, 1), 0)).astype(damage.dtype)

    def asked(self, damage: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return what the owners ask per day (n,)."""
        return (damage / self.days).astype(damage.dtype)

    def demand(self, asked: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return what that is for each builder (n,)."""
        share = self.builders.astype(asked.dtype)
        return share * jnp.sum(asked) if share.ndim == 1 else share @ asked

    def rebuilt(self, asked: Float[Array, " n"], served: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return what the owners get of it, where builders serve the shares `served`."""
        share = self.builders.astype(asked.dtype)
        return asked * (jnp.sum(share * served) if share.ndim == 1 else share.T @ served)
