"""Production rules: how far the stocks of inputs let a firm produce, and how much of each it then uses.

Stocks and uses are input arrays in units of the customer's output (`s_p = S_p / a_p`), so that a stock is the output that it
allows where the input is needed in its fixed proportion.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import floating, require
from quesnay._errors import InputError
from quesnay.network import AbstractLinks, scarcest

from .filling import Vessels, fill

Limit = tuple[Float[Array, " n"], Int[Array, " n"]]


class AbstractProduction(eqx.Module):
    """A rule that turns stocks of inputs into a limit on output, and output into use of inputs.

    It must never use more than there is: `use_p <= s_p` wherever output is at most the limit.
    """

    @abc.abstractmethod
    def limit(self, links: AbstractLinks, stock: Array, days: Array, base: Float[Array, " n"]) -> Limit:
        """Return the output that the stocks allow (inf without inputs) and the product of the scarcest input (or -1).

        `days` are the target stocks in days (an input array) and `base` is base output; infinite stocks never limit.
        """

    @abc.abstractmethod
    def use(self, links: AbstractLinks, output: Float[Array, " n"], stock: Array) -> Array:
        """Return what producing `output` uses of each input's stock."""

    @abc.abstractmethod
    def check(self, links: AbstractLinks) -> None:
        """Raise `InputError` unless the rule fits the links."""


class FixedProportions(AbstractProduction):
    r"""Every input is needed in its fixed proportion: `inp_i = min_p s_p` and `use_p = x_c(p)`.

    References
    ----------
    Leontief (1936); as a limit on stocks, Hallegatte (2014).
    """

    def limit(self, links, stock, days, base):
        return scarcest(links, stock)

    def use(self, links, output, stock):
        wanted = links.of_customer(output)
        # Output may exceed the scarcest stock by the rounding within which they tie; a stock never falls below zero.
        return wanted + jax.lax.stop_gradient(jnp.minimum(wanted, stock) - wanted)

    def check(self, links):
        pass


class Unlimited(AbstractProduction):
    """Inputs never limit output, and are used in their fixed proportions: `inp_i = inf`, `use_p = x_c(p)`.

    Stocks may fall below zero: for linear responses, not for shocks.
    """

    def limit(self, links, stock, days, base):
        return jnp.full_like(base, jnp.inf), jnp.full(base.shape, -1)

    def use(self, links, output, stock):
        return links.of_customer(output)

    def check(self, links):
        pass


class PsiRelaxed(AbstractProduction):
    r"""Output falls before a stock is used up, once it is below psi of its target: `inp_i = min_p s_p / max(1, psi n_p)`.

    A firm that produces x wants to hold `psi n_p x` of every input and produces no more than its stocks are enough for; with
    psi n_p at or below one day the rule is that of fixed proportions. `use_p = x_c(p)`.

    Parameters
    ----------
    psi:
        Share of the target stock, from 0 to 1.
    least:
        Inputs with a coefficient at or below this (units of input per unit of output) do not limit.

    References
    ----------
    Hallegatte (2014), equation 4; BoARIO's `ARIOPsiModel`, with psi = 0.8 and a least of 1e-5 of daily output per year of flow.
    """

    psi: Float[Array, ""]
    least: Float[Array, ""]

    def __init__(self, psi: ArrayLike = 0.8, *, least: ArrayLike = 0.0):
        self.psi, self.least = floating(psi, "psi"), floating(least, "least")
        require(lambda v: (v >= 0) & (v <= 1), lambda: f"psi is {self.psi}; give a share from 0 to 1.", self.psi)
        require(lambda v: (v >= 0) & (v < 1), lambda: f"least is {self.least}; give a coefficient.", self.least)

    def limit(self, links, stock, days, base):
        # A stock without end limits nothing, whatever share of it is to be held.
        held = jnp.where(jnp.isfinite(days), jnp.maximum(1, self.psi * days), 1)
        counts = links.need > self.least
        return scarcest(links, jnp.where(counts, stock / held.astype(stock.dtype), jnp.inf))

    def use(self, links, output, stock):
        return _as_far_as_it_lasts(links, output, stock)

    def check(self, links):
        pass


class StronglyCritical(AbstractProduction):
    """Critical and important inputs limit output, others do not: `inp_i = min over p with C_p > 0 of s_p`.

    Inputs that do not limit are used only as far as they last: `use_p = min(x_c(p), s_p)`.

    Parameters
    ----------
    criticality:
        C, an input array: 1 critical, 0.5 important, 0 neither (`criticality` makes it from a table of sectors).

    References
    ----------
    Pichler, Pangallo, del Rio-Chanona, Lafond and Farmer (2022), *Forecasting the propagation of pandemic shocks with a dynamic
    input-output model*, section 3.3.
    """

    criticality: Array

    def __init__(self, criticality: ArrayLike):
        self.criticality = _rating(criticality)

    def limit(self, links, stock, days, base):
        return scarcest(links, jnp.where(self.criticality > 0, stock, jnp.inf))

    def use(self, links, output, stock):
        return _as_far_as_it_lasts(links, output, stock)

    def check(self, links):
        _fits(self.criticality, links)


class HalfCritical(AbstractProduction):
    """Critical inputs limit output, important ones half: `min(min over C = 1 of s_p, min over C = 1/2 of (s_p + x_i(0)) / 2)`.

    A firm without any of an important input still makes half of its base output. `use_p = min(x_c(p), s_p)`.

    Parameters and references: as for `StronglyCritical`.
    """

    criticality: Array

    def __init__(self, criticality: ArrayLike):
        self.criticality = _rating(criticality)

    def limit(self, links, stock, days, base):
        half = (stock + links.of_customer(base)) / 2
        return scarcest(links, jnp.where(self.criticality == 1, stock, jnp.where(self.criticality > 0, half, jnp.inf)))

    def use(self, links, output, stock):
        return _as_far_as_it_lasts(links, output, stock)

    def check(self, links):
        _fits(self.criticality, links)


class WeaklyCritical(AbstractProduction):
    """Only critical inputs limit output: `inp_i = min over p with C_p = 1 of s_p`; `use_p = min(x_c(p), s_p)`.

    Parameters and references: as for `StronglyCritical`.
    """

    criticality: Array

    def __init__(self, criticality: ArrayLike):
        self.criticality = _rating(criticality)

    def limit(self, links, stock, days, base):
        return scarcest(links, jnp.where(self.criticality == 1, stock, jnp.inf))

    def use(self, links, output, stock):
        return _as_far_as_it_lasts(links, output, stock)

    def check(self, links):
        _fits(self.criticality, links)


class LinearProduction(AbstractProduction):
    """Inputs replace each other one for one: `inp_i = sum_p a_p s_p / sum_p a_p`; `use_p = min(x_c(p), s_p)`.

    No input is the scarcest one. What a stock cannot give is made up for without being taken from others, as in the source.

    References
    ----------
    Pichler et al. (2022), section 3.3, the linear variant.
    """

    def limit(self, links, stock, days, base):
        total, endless = links.sum_by_customer(links.need), jnp.isinf(stock)
        held = links.sum_by_customer(
            jnp.where((links.need > 0) & ~endless, links.need * jnp.where(endless, 0, stock), 0)
        )
        limits = (total > 0) & (links.sum_by_customer(jnp.where((links.need > 0) & endless, 1, 0)) == 0)
        return jnp.where(limits, held / jnp.where(limits, total, 1), jnp.inf), jnp.full(base.shape, -1)

    def use(self, links, output, stock):
        return _as_far_as_it_lasts(links, output, stock)

    def check(self, links):
        pass


class CES(AbstractProduction):
    r"""Inputs replace each other at an elasticity sigma: `inp_i = (sum_p theta_p s_p^rho)^(1 / rho)`, `rho = 1 - 1 / sigma`.

    theta_p are the shares of the inputs in the cost of all inputs. To make x below the limit a firm uses every input at one
    level mu, and what is scarcer than mu to its end: `use_p = min(mu, s_p)` with `(sum_p theta_p use_p^rho)^(1 / rho) = x`;
    that is the cheapest way at base prices. Sigma towards 0 is fixed proportions. The product reported as scarcest is the one
    with the least stock.

    Parameters
    ----------
    elasticity:
        sigma, above 0 and not 1 (0.999 is Cobb-Douglas for every purpose).

    References
    ----------
    Arrow, Chenery, Minhas and Solow (1961), in calibrated share form.
    """

    elasticity: float = eqx.field(static=True)

    def __init__(self, elasticity: float):
        if not isinstance(elasticity, int | float | np.number):
            raise InputError(f"elasticity is {elasticity!r}; give a positive number, known when the model is made.")
        value = float(elasticity)
        if not (0 < value < np.inf) or abs(1 - 1 / value) < 1e-4:
            raise InputError(
                f"elasticity is {elasticity!r}; give a positive number other than 1 (0.999 for Cobb-Douglas, nothing nearer)."
            )
        self.elasticity = value

    def limit(self, links, stock, days, base):
        rho, least_and_product = self._exponent, links.least_by_customer(stock)
        least, most = least_and_product[0], -links.least_by_customer(-stock)[0]
        # In units of the least stock (complements) or of the largest (substitutes): powers stay within [0, 1].
        unit = jax.lax.stop_gradient(least if rho < 0 else most)
        fits = (unit > 0) & jnp.isfinite(unit)
        of = links.of_customer(jnp.where(fits, unit, 0))
        counts = (links.need > 0) & (stock > 0) & jnp.isfinite(stock) & (of > 0)
        ratio = jnp.where(counts, stock, 1) / jnp.where(counts, of, 1)
        # The sum of theta r^rho less one: near Cobb-Douglas the root would magnify its rounding by 1 / rho.
        beyond = jnp.where(counts, jnp.expm1(rho * jnp.log(ratio)), -1)
        total = links.sum_by_customer(_cost_shares(links) * beyond)
        inside = fits & (total > -1)
        value = jnp.where(inside, unit, 0) * jnp.exp(jnp.log1p(jnp.where(inside, total, 0)) / rho)
        # Nothing but stocks without end, or one of them that replaces all the others: no limit.
        endless = jnp.isinf(least) | (jnp.isinf(most) & (rho > 0))
        return jnp.where(endless, jnp.inf, value), least_and_product[1]

    def use(self, links, output, stock):
        made = links.of_customer(output)
        some = made > 0
        endless = jnp.isinf(stock)
        ratio = jnp.where(some, jnp.where(endless, 1, stock) / jnp.where(some, made, 1), 1)
        ratio = jnp.where(endless, jnp.inf, ratio)
        weight = jnp.where(some, _cost_shares(links), 0)
        vessels = Vessels(ratio, weight, self._exponent, links.sum_by_customer, links.of_customer)
        # The shares add up to one but for rounding, which the level must not see.
        filled = jnp.where(some, fill(vessels, links.sum_by_customer(weight)), 1)
        # What is used up is used up exactly: a stock left by rounding would count as an input that all others make up for.
        below = filled < ratio
        return jnp.where(some, jnp.where(below, jnp.minimum(made * jnp.where(below, filled, 0), stock), stock), 0)

    def check(self, links):
        pass

    @property
    def _exponent(self) -> float:
        return 1 - 1 / self.elasticity


def criticality(network, rating: ArrayLike, sector: ArrayLike) -> Array:
    """Return the input array of a table of ratings by sector: `C_p = rating[sector of the product, sector of the customer]`.

    Parameters
    ----------
    network:
        The network whose inputs are rated.
    rating:
        (m, m) for m sectors, rows the input and columns its user: 1 critical, 0.5 important, 0 neither.
    sector:
        The sector of each account (n,), integers from 0 to m - 1. In a pooled network the product is taken as the sector.
    """
    links, table, of = network.links, floating(rating, "rating"), jnp.asarray(sector)
    made = jnp.arange(links.products) if links.pooled else of
    if jnp.issubdtype(of.dtype, jnp.integer):
        require(lambda v: v >= 0, "sector has a negative entry; sectors are numbered from 0.", of)
    if table.ndim != 2 or of.shape != network.output.shape or not jnp.issubdtype(of.dtype, jnp.integer):
        raise InputError(
            f"rating {table.shape} must be a square table and sector {of.shape} one integer per account, "
            f"{network.output.shape}."
        )
    top = int(max(np.max(np.asarray(made)), np.max(np.asarray(of)))) + 1
    if min(table.shape) < top:
        raise InputError(f"rating has shape {table.shape}, but there are {top} sectors.")
    return table[links.of_product(made), links.of_customer(of)]


def _rating(values: ArrayLike) -> Array:
    rating = floating(values, "criticality")
    require(
        lambda v: (v == 0) | (v == 0.5) | (v == 1),
        "criticality holds 1 (critical), 0.5 (important) and 0 only.",
        rating,
    )
    return rating


def _fits(rating: Array, links: AbstractLinks) -> None:
    if rating.shape != links.need.shape:
        raise InputError(
            f"criticality has shape {rating.shape}, but the inputs of the network {links.need.shape}: "
            f"q.supply.criticality(network, rating, sector) makes it from a table by sector."
        )


def _as_far_as_it_lasts(links: AbstractLinks, output: Array, stock: Array) -> Array:
    return jnp.minimum(links.of_customer(output), stock)


def _cost_shares(links: AbstractLinks) -> Array:
    total = links.sum_by_customer(links.need)
    return links.need * links.of_customer(jnp.where(total > 0, 1 / jnp.where(total > 0, total, 1), 0))
