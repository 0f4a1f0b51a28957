"""Cost-push and supply-driven effects: what changes of primary inputs do to prices, or to outputs in Ghosh's model."""

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay.equilibrium.solution import solve
from quesnay.equilibrium.solvers import AbstractLinearSolver
from quesnay.equilibrium.system import AbstractLinearSystem, Ghosh, Price
from quesnay.network import Network

from .inverse import inverse, vector


class Effects(eqx.Module):
    """Effects of changes of primary inputs along the supply chain, each (n,): `total = direct + indirect`.

    Attributes
    ----------
    direct:
        The change of the account's own primary inputs.
    indirect:
        What reaches it through the inputs that it buys.
    total:
        Both.
    """

    direct: Float[Array, " n"]
    indirect: Float[Array, " n"]
    total: Float[Array, " n"]
    _system: AbstractLinearSystem
    _solver: AbstractLinearSolver | None
    _unit: str = eqx.field(static=True)

    def by_origin(self) -> Float[Array, "n n"]:
        """Return the total effects by account where the change arises (first axis): `dv_i L_ij`; n solves, done here."""
        return self.direct[:, None] * inverse(self._system, solver=self._solver).T

    def shares(self) -> Float[Array, "n n"]:
        """Return which share of each account's total effect comes from where (first axis): columns add up to 1.

        A column is 0 where nothing reaches the account from anywhere.
        """
        parts = self.by_origin()
        reached = jnp.any(parts != 0, axis=0)
        return parts / jnp.where(reached, jnp.sum(parts, axis=0), 1)

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        return {
            "direct": (("account",), self.direct, self._unit, "own change"),
            "indirect": (("account",), self.indirect, self._unit, "through purchased inputs"),
            "total": (("account",), self.total, self._unit, "total effect"),
        }


def price_effects(
    A: ArrayLike | Network, change_in_value_added: ArrayLike, *, solver: AbstractLinearSolver | None = None
) -> Effects:
    """Return what changes of primary cost do to prices where all of it is passed on, `dp = A' dp + dv = L' dv`.

    Parameters
    ----------
    A:
        Technical coefficients (n, n), or a `Network`.
    change_in_value_added:
        dv (n,), the change of primary cost (wages, taxes, imported inputs) per unit of output; 0.01 is one percent of the
        base price.
    solver:
        As for `solve`.

    Returns
    -------
    Effects on prices, as shares of base prices, which are 1.

    Raises
    ------
    InputError
        Shapes that do not fit.
    SolveError
        The technology is not productive.

    References
    ----------
    Miller and Blair (2009), chapter 2.6.
    """
    return _effects(Price(A), change_in_value_added, solver, "1")


def supply_effects(
    B: ArrayLike, change_in_value_added: ArrayLike, *, solver: AbstractLinearSolver | None = None
) -> Effects:
    """Return what changes of primary inputs do to the value of outputs at fixed shares of sales, `dx' = dx' B + dv' = dv' G`.

    Read it as prices: the value of output changes as costs are passed on and quantities stay (Dietzenbacher 1997). Read as
    quantities it is implausible: customers would produce more of everything from more of one input, without the
    others (Oosterhaven 1988).

    Parameters
    ----------
    B:
        Allocation coefficients (n, n), `B_ij = Z_ij / x_i`; `economy.B` has them.
    change_in_value_added:
        dv (n,), the change of primary inputs, in currency.
    solver:
        As for `solve`.

    Returns
    -------
    Effects on the value of outputs, in currency.

    Raises
    ------
    InputError
        Shapes that do not fit.
    SolveError
        The technology is not productive.

    References
    ----------
    Ghosh (1958); Oosterhaven (1988); Dietzenbacher (1997); Miller and Blair (2009), chapter 12.1.
    """
    return _effects(Ghosh(B), change_in_value_added, solver, "{currency}")


def _effects(
    system: AbstractLinearSystem, change: ArrayLike, solver: AbstractLinearSolver | None, unit: str
) -> Effects:
    direct = vector(change, "change in value added", system.size)
    total = solve(system, direct, solver=solver).value
    direct = direct.astype(total.dtype)
    return Effects(direct, system.apply(total), total, system, solver, unit)
