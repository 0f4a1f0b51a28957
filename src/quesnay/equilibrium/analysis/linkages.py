"""Linkages: how much accounts draw on the others, and the others on them."""

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike

from quesnay._errors import InputError
from quesnay.equilibrium.solvers import AbstractLinearSolver
from quesnay.equilibrium.system import Ghosh, Leontief, Price
from quesnay.network import Network

from .inverse import inverse, precision, vector

Variables = Mapping[str, tuple[tuple[str, ...], Array, str, str]]


class Linkages(eqx.Module):
    """Linkages of n accounts, each (n,); with `L = (I - A)^-1` and `G = (I - B)^-1`.

    Attributes
    ----------
    direct_backward:
        `1'A`, purchases from the accounts per unit of output (Chenery and Watanabe).
    backward:
        `1'L`, output everywhere per unit of final demand for the account.
    forward:
        `L 1`, output of the account per unit of final demand for every account.
    power, sensitivity:
        Rasmussen's power and sensitivity of dispersion, `n 1'L / 1'L1` and `n L1 / 1'L1`: linkages with mean 1.
    power_variation, sensitivity_variation:
        Coefficients of variation of the account's column and row of L (standard deviation with n - 1, over the mean): small
        where the linkage is spread evenly.
    direct_ghosh, ghosh, ghosh_sensitivity, ghosh_variation:
        `B 1`, `G 1`, `n G1 / 1'G1`, and the coefficients of variation of the rows of G: forward linkages by shares of sales;
        None without `B`.
    """

    direct_backward: Float[Array, " n"]
    backward: Float[Array, " n"]
    forward: Float[Array, " n"]
    power: Float[Array, " n"]
    sensitivity: Float[Array, " n"]
    power_variation: Float[Array, " n"]
    sensitivity_variation: Float[Array, " n"]
    direct_ghosh: Float[Array, " n"] | None
    ghosh: Float[Array, " n"] | None
    ghosh_sensitivity: Float[Array, " n"] | None
    ghosh_variation: Float[Array, " n"] | None

    @property
    def key(self) -> Bool[Array, " n"]:
        """Key accounts: power and sensitivity of dispersion both above 1, by more than rounding."""
        return _above_one(self.power) & _above_one(self.sensitivity)

    @property
    def ghosh_key(self) -> Bool[Array, " n"] | None:
        """Key accounts with Ghosh's forward linkage: power and `ghosh_sensitivity` both above 1; None without `B`."""
        if self.ghosh_sensitivity is None:
            return None
        return _above_one(self.power) & _above_one(self.ghosh_sensitivity)

    def variables(self) -> Variables:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        said = {
            "direct_backward": (self.direct_backward, "direct backward linkage"),
            "backward": (self.backward, "total backward linkage"),
            "forward": (self.forward, "total forward linkage, rows of the Leontief inverse"),
            "power": (self.power, "power of dispersion"),
            "sensitivity": (self.sensitivity, "sensitivity of dispersion"),
            "power_variation": (self.power_variation, "coefficient of variation of the column"),
            "sensitivity_variation": (self.sensitivity_variation, "coefficient of variation of the row"),
            "key": (self.key, "key account"),
            "direct_ghosh": (self.direct_ghosh, "direct forward linkage"),
            "ghosh": (self.ghosh, "total forward linkage, rows of the Ghosh inverse"),
            "ghosh_sensitivity": (self.ghosh_sensitivity, "forward linkage relative to its mean"),
            "ghosh_variation": (self.ghosh_variation, "coefficient of variation of the row of the Ghosh inverse"),
            "ghosh_key": (self.ghosh_key, "key account, forward linkage after Ghosh"),
        }
        return {
            name: (("account",), values, "1", words) for name, (values, words) in said.items() if values is not None
        }


def linkages(
    A: ArrayLike | Network, *, B: ArrayLike | None = None, solver: AbstractLinearSolver | None = None
) -> Linkages:
    """Return backward and forward linkages: direct, total, relative to the mean account, and how evenly they spread.

    Power of dispersion `n (1'L)_j / 1'L1`, sensitivity of dispersion `n (L1)_i / 1'L1`; with B, forward linkages `G 1` from
    `G = (I - B)^-1` as well, which do not add up the purchases of unlike industries with equal weights.

    Parameters
    ----------
    A:
        Technical coefficients (n, n), or a `Network`; the inverse takes n^2 numbers (`multipliers` does not).
    B:
        Allocation coefficients (n, n), `Z_ij / x_i`; `economy.B` has them.
    solver:
        As for `solve`.

    Raises
    ------
    InputError
        Fewer than two accounts, or a B that does not fit.
    SolveError
        The technology is not productive.

    References
    ----------
    Rasmussen (1956); Chenery and Watanabe (1958); Jones (1976); Miller and Blair (2009), chapter 12.2.
    """
    system = Leontief(A)
    if system.size < 2:
        raise InputError("linkages are between accounts, but the table has only one.")
    L = inverse(system, solver=solver)
    direct = Price(A).apply(jnp.ones(system.size, precision(system)))
    backward, forward = jnp.sum(L, axis=0), jnp.sum(L, axis=1)
    mean, across, along = jnp.mean(backward), _variation(L, 0), _variation(L, 1)
    rows = (None, None, None, None)
    if B is not None:
        allocation = Ghosh(B)
        if allocation.size != system.size:
            raise InputError(f"B has {allocation.size} accounts and A {system.size}; give those of one table.")
        G = inverse(allocation, solver=solver).T
        ghosh = jnp.sum(G, axis=1)
        rows = (jnp.sum(allocation.B, axis=1), ghosh, ghosh / jnp.mean(ghosh), _variation(G, 1))
    return Linkages(direct, backward, forward, backward / mean, forward / mean, across, along, *rows)


def _variation(matrix: Array, axis: int) -> Array:
    return jnp.std(matrix, axis=axis, ddof=1) / jnp.mean(matrix, axis=axis)


def _above_one(index: Array) -> Array:
    # An index is a quotient of sums of n numbers: where all accounts are alike it is 1 to n units of rounding.
    return index > 1 + index.size * jnp.finfo(index.dtype).eps


class PureLinkages(eqx.Module):
    """Linkages of n accounts at the size of the economy, each (n,), in currency.

    Attributes
    ----------
    backward:
        Output that the account's final demand (own use included) brings about in the rest of the economy,
        `(1'L - L_jj)_j / L_jj d_j / (1 - a_jj)`.
    forward:
        Output of the account that the rest's final demand brings about, `(x_j - L_jj d_j) / (L_jj (1 - a_jj))`.
    net:
        Output that the account's final demand brings about anywhere, less the account's own output, `(1'L)_j d_j - x_j`:
        positive where others depend on it more than it on them. It adds up to 0.
    """

    backward: Float[Array, " n"]
    forward: Float[Array, " n"]
    net: Float[Array, " n"]

    def variables(self) -> Variables:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        return {
            "backward": (("account",), self.backward, "{currency}", "pure backward linkage"),
            "forward": (("account",), self.forward, "{currency}", "pure forward linkage"),
            "net": (("account",), self.net, "{currency}", "output brought about less own output"),
        }


def pure_linkages(A: ArrayLike, final_demand: ArrayLike, *, solver: AbstractLinearSolver | None = None) -> PureLinkages:
    """Return pure backward and forward linkages and net multipliers, which weigh accounts by their size.

    With account j apart from the rest r, `backward = 1' (I - A_rr)^-1 A_rj (1 - a_jj)^-1 d_j` and
    `forward = (1 - a_jj)^-1 A_jr (I - A_rr)^-1 d_r`; both follow from L without further inverses.

    Parameters
    ----------
    A:
        Technical coefficients (n, n).
    final_demand:
        d (n,), in currency.
    solver:
        As for `solve`.

    Raises
    ------
    InputError
        Shapes that do not fit.
    SolveError
        The technology is not productive.

    References
    ----------
    Sonis, Guilhoto, Hewings and Martins (1995); Guilhoto, Sonis and Hewings (2005); Oosterhaven and Stelder (2002) for net
    multipliers.
    """
    if isinstance(A, Network):
        raise InputError("pure_linkages takes the matrix of coefficients, whose diagonal is own use; not a Network.")
    system = Leontief(A)
    d = vector(final_demand, "final demand", system.size)
    L = inverse(system, solver=solver)
    x, backward, own = L @ d, jnp.sum(L, axis=0), jnp.diagonal(L)
    supplied = own * (1 - jnp.diagonal(jnp.asarray(system.A)))
    apart = ~jnp.eye(system.size, dtype=bool)
    elsewhere = jnp.where(apart, L, 0)
    return PureLinkages(jnp.sum(elsewhere, axis=0) / supplied * d, (elsewhere @ d) / supplied, backward * d - x)
