"""Production rules: how far the stocks of inputs let a firm produce, and how much of each it then uses."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quesnay.network import AbstractLinks, scarcest


class AbstractProduction(eqx.Module):
    """A rule that turns stocks of inputs into a limit on output, and output into use of inputs.

    Stocks and uses are link arrays in units of the customer's output (`s_e = S_e / a_e`). The rule must never use more
    than there is: `use_e <= s_e` wherever output is at most the limit.
    """

    @abc.abstractmethod
    def limit(self, links: AbstractLinks, stock: Array) -> tuple[Float[Array, " n"], Int[Array, " n"]]:
        """Return the output that the stocks allow (inf without inputs) and the supplier of the scarcest input (or -1)."""

    @abc.abstractmethod
    def use(self, links: AbstractLinks, output: Float[Array, " n"], stock: Array) -> Array:
        """Return what producing `output` uses of each link's stock."""


class FixedProportions(AbstractProduction):
    r"""Every input is needed in its fixed proportion: `inp_i = min_e s_e` and `use_e = x_c(e)`.

    References
    ----------
    Leontief (1936); as a limit on stocks, Hallegatte (2014).
    """

    def limit(self, links, stock):
        return scarcest(links, stock)

    def use(self, links, output, stock):
        wanted = links.of_customer(output)
        # Output may exceed the scarcest stock by the rounding within which they tie; a stock never falls below zero.
        return wanted + jax.lax.stop_gradient(jnp.minimum(wanted, stock) - wanted)
