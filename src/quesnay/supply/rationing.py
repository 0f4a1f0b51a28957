"""Rationing rules: who is served when output falls short of demand."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class AbstractRationing(eqx.Module):
    """A rule that shares output among a supplier's orders and its final demand."""

    @abc.abstractmethod
    def shares(
        self, output: Float[Array, " n"], demand: Float[Array, " n"], final_demand: Float[Array, " n"]
    ) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """Return the shares in [0, 1] of orders and of final demand that are served; what is served equals output."""


class Proportional(AbstractRationing):
    """Orders and final demand are served in equal proportion: `r_i = x_i / D_i`, and 0 where D is 0.

    References
    ----------
    Hallegatte (2008); the rule of Acclimate and of BoARIO.
    """

    def shares(self, output, demand, final_demand):
        wanted = demand > 0
        # Both branches of a `where` are differentiated: the division must be safe even where it is not used.
        share = jnp.where(wanted, output / jnp.where(wanted, demand, 1), 0)
        return share, share
