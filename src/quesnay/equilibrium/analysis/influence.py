"""Fields of influence: how the inverse and the outputs answer to a change of one coefficient."""

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import concrete, floating, require
from quesnay._errors import InputError, SolveError
from quesnay.equilibrium.solution import solve
from quesnay.equilibrium.solvers import AbstractLinearSolver
from quesnay.equilibrium.system import Leontief, Price
from quesnay.network import Network

from .inverse import inverse, position, precision, vector


def field_of_influence(
    A: ArrayLike | Network, j: ArrayLike, k: ArrayLike, *, solver: AbstractLinearSolver | None = None
) -> Float[Array, "n n"]:
    """Return the first-order field of influence of a coefficient, `F(j, k) = dL / dA_jk = L e_j e_k' L`.

    Parameters
    ----------
    A:
        Technical coefficients (n, n), or a `Network`.
    j, k:
        Positions of the supplier (row of A) and of the user (column of A), integers.
    solver:
        As for `solve`.

    Raises
    ------
    InputError
        A position that the table does not have.
    SolveError
        The technology is not productive.

    References
    ----------
    Sonis and Hewings (1989); Miller and Blair (2009), chapter 12.3.
    """
    return jnp.outer(*_cross(A, j, k, solver))


def inverse_change(
    A: ArrayLike | Network,
    j: ArrayLike,
    k: ArrayLike,
    change: ArrayLike,
    *,
    solver: AbstractLinearSolver | None = None,
) -> Float[Array, "n n"]:
    """Return by how much L changes where one coefficient changes by a finite amount, `t F(j, k) / (1 - t L_kj)`.

    Parameters
    ----------
    A, j, k, solver:
        As for `field_of_influence`.
    change:
        t, what is added to `A_jk`, a number.

    Raises
    ------
    InputError
        A position that the table does not have, or a change that is no finite number.
    SolveError
        The technology is not productive, or would not be after the change (`t L_kj >= 1`).

    References
    ----------
    Sherman and Morrison (1950); Sonis and Hewings (1989).
    """
    t = floating(change, "change")
    if t.ndim:
        raise InputError(f"change has shape {t.shape}; give one number.")
    require(np.isfinite, "change is not finite.", t)
    column, row = _cross(A, j, k, solver)
    left = 1 - t * column[k]
    message = "The change leaves no productive technology: L_kj times the change of A_jk must stay below 1."
    if concrete(left) and not left > 0:
        raise SolveError(message)
    left = eqx.error_if(left, ~(left > 0), message)
    return t / left * jnp.outer(column, row)


def _cross(
    A: ArrayLike | Network, j: ArrayLike, k: ArrayLike, solver: AbstractLinearSolver | None
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Return column j and row k of L: two solves."""
    system = Leontief(A)
    at, to = (position(value, name, system.size) for value, name in ((j, "j"), (k, "k")))
    if at.ndim or to.ndim:
        raise InputError(f"j has shape {at.shape} and k {to.shape}; give two integers.")
    zero = jnp.zeros(system.size, precision(system))
    column = solve(system, zero.at[at].set(1), solver=solver).value
    row = solve(Price(A), zero.at[to].set(1), solver=solver).value
    return column, row


class Influence(eqx.Module):
    """How strong the field of influence of every coefficient is, each (n, n): supplier j, user k.

    Attributes
    ----------
    total:
        The sum of the entries of `F(j, k)`, `(1'L)_j (L1)_k`: what `1'L1` gains per unit of `A_jk`.
    norm:
        The Frobenius norm of `F(j, k)`, `|L_.j| |L_k.|`.
    """

    total: Float[Array, "n n"]
    norm: Float[Array, "n n"]

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        dims = ("account", "account_to")
        return {
            "total": (dims, self.total, "1", "sum of the field of influence"),
            "norm": (dims, self.norm, "1", "Frobenius norm of the field of influence"),
        }


def influence(A: ArrayLike, *, solver: AbstractLinearSolver | None = None) -> Influence:
    """Return the strength of the fields of influence of all n^2 coefficients, outer products of column and row norms of L.

    Parameters
    ----------
    A:
        Technical coefficients (n, n), or a `Network`; L takes n^2 numbers.
    solver:
        As for `solve`.

    References
    ----------
    Sonis and Hewings (1989), direct intensity of the field of influence.
    """
    L = inverse(Leontief(A), solver=solver)
    across, along = jnp.linalg.norm(L, axis=0), jnp.linalg.norm(L, axis=1)
    return Influence(jnp.outer(jnp.sum(L, axis=0), jnp.sum(L, axis=1)), jnp.outer(across, along))


def coefficient_limits(
    A: ArrayLike,
    final_demand: ArrayLike,
    *,
    change: float = 0.01,
    solver: AbstractLinearSolver | None = None,
) -> Float[Array, "n n"]:
    """Return how far each coefficient may change before some output changes by a given share: inverse-important coefficients.

    `t_jk = p / (max_i |L_ij / x_i| x_k + p L_kj)`, exact: with `A_jk + t_jk`, and all else equal, the largest relative change
    of any output is p. Divide by A for relative limits: important coefficients are those where these are small.

    Parameters
    ----------
    A:
        Technical coefficients (n, n).
    final_demand:
        d (n,), in currency. Accounts without output have no relative change and are left out of the maximum.
    change:
        p, the change of output as a share of it, above -1: 0.01 is one percent more, -0.01 one percent less.
    solver:
        As for `solve`.

    Returns
    -------
    The limits, (n, n), absolute changes of A_jk; inf (or -inf) where no change of the coefficient reaches that far.

    Raises
    ------
    InputError
        Shapes that do not fit; a change of 0, or of -1 or less.
    SolveError
        The technology is not productive.

    References
    ----------
    Schintke and Staeglin (1988), tolerable limits, where the maximum is assumed at i = j; Sherman and Morrison (1950).
    """
    system = Leontief(A)
    p, d = _change(change), vector(final_demand, "final demand", system.size)
    L, x = inverse(system, solver=solver), solve(system, d, solver=solver).value
    produces = x != 0
    relative = jnp.where(produces[:, None], jnp.abs(L / jnp.where(produces, x, 1)[:, None]), 0)
    return _limits(p, jnp.outer(jnp.max(relative, axis=0), jnp.abs(x)), L.T)


def inverse_limits(
    A: ArrayLike,
    i: ArrayLike,
    j: ArrayLike,
    *,
    change: float = 0.01,
    solver: AbstractLinearSolver | None = None,
) -> Float[Array, "n n"]:
    """Return by how much each coefficient must change for one entry of L to change by a given share.

    `t_kl = p L_ij / (L_ik L_lj + p L_ij L_lk)`, exact: with `A_kl + t_kl`, and all else equal, L_ij becomes `(1 + p) L_ij`.

    Parameters
    ----------
    A:
        Technical coefficients (n, n).
    i, j:
        Row and column of the entry of L, integers.
    change:
        p, the change of L_ij as a share of it, above -1.
    solver:
        As for `solve`.

    Returns
    -------
    The changes, (n, n), of A_kl; inf (or -inf) where no change of the coefficient reaches that far.

    Raises
    ------
    InputError
        A position that the table does not have; a change of 0, or of -1 or less; an entry of L that is 0.
    SolveError
        The technology is not productive.

    References
    ----------
    Bullard and Sebald (1977); Hewings (1981); Sherman and Morrison (1950).
    """
    system = Leontief(A)
    p = _change(change)
    at, to = (position(value, name, system.size) for value, name in ((i, "i"), (j, "j")))
    L = inverse(system, solver=solver)
    entry = p * L[at, to]
    require(lambda v: v != 0, f"L[{i}, {j}] is 0; a share of it is 0 too: choose an entry that is not.", entry)
    return _limits(entry, jnp.outer(L[at], L[:, to]), L.T)


def _limits(wanted: Array, effect: Array, feedback: Array) -> Array:
    """Return t with `effect t / (1 - feedback t) = wanted`; infinite where no t has this effect."""
    slope = effect + wanted * feedback
    reachable = (effect > 0) & (slope > 0)
    return jnp.where(reachable, wanted / jnp.where(reachable, slope, 1), jnp.copysign(jnp.inf, wanted))


def _change(change: float) -> Array:
    p = floating(change, "change")
    if p.ndim:
        raise InputError(f"change has shape {p.shape}; give one number.")
    require(
        lambda v: np.isfinite(v) & (v > -1) & (v != 0),
        lambda: f"change is {change}; give a share above -1 other than 0: 0.01 is one percent more.",
        p,
    )
    return p
