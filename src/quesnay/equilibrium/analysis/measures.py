"""Closed forms of input-output analysis: multipliers, footprints, direct and indirect effects."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import floating
from quesnay._errors import InputError
from quesnay.equilibrium.solution import solve
from quesnay.equilibrium.solvers import AbstractLinearSolver
from quesnay.equilibrium.system import Leontief, Price
from quesnay.network import Network


def footprint(
    A: ArrayLike | Network, intensity: ArrayLike, *, solver: AbstractLinearSolver | None = None
) -> Float[Array, "*k n"]:
    """Return total intensities `m = r L`, the impact along the whole supply chain per unit of final demand.

    Parameters
    ----------
    A:
        Technical coefficients (n, n), or a `Network`.
    intensity:
        r, direct impact per unit of output, (n,) or (k, n), in the satellite's unit per currency.
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
    Miller and Blair (2009), chapter 10; pymrio's M.
    """
    r = floating(intensity, "intensity")
    if r.ndim not in (1, 2):
        raise InputError(f"intensity has shape {r.shape}; give (n,) or (k, n).")
    return solve(Price(A), r.T, solver=solver).value.T


def multipliers(A: ArrayLike | Network, *, solver: AbstractLinearSolver | None = None) -> Float[Array, " n"]:
    """Return output multipliers `1' L` (n,): gross output everywhere per unit of final demand for each account.

    Parameters
    ----------
    A:
        Technical coefficients (n, n), or a `Network`.
    solver:
        As for `solve`.

    References
    ----------
    Miller and Blair (2009), chapter 6.
    """
    system = Price(A)
    dtype = jnp.result_type(*jax.tree.leaves(eqx.filter(system, eqx.is_inexact_array)))
    return solve(system, jnp.ones(system.size, dtype), solver=solver).value


class Explanation(eqx.Module):
    """An outcome by the account in which it arises, (n,) or (k, n): `total = direct + indirect`.

    Attributes
    ----------
    direct:
        `r d`: what arises in producing for final demand itself.
    indirect:
        `r (x - d)`: what arises in producing the inputs that this takes, along the whole supply chain.
    total:
        `r x`.
    """

    direct: Float[Array, "*k n"]
    indirect: Float[Array, "*k n"]
    total: Float[Array, "*k n"]

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        dims = ("outcome", "account")[2 - self.total.ndim :]
        return {
            "direct": (dims, self.direct, "{outcome}", "in production for final demand"),
            "indirect": (dims, self.indirect, "{outcome}", "in production of inputs"),
            "total": (dims, self.total, "{outcome}", "in all production"),
        }


def explain(
    system: Leontief, final_demand: ArrayLike, *, outcome: ArrayLike, solver: AbstractLinearSolver | None = None
) -> Explanation:
    """Return the direct and indirect parts of an outcome `r x` of the equilibrium `x = A x + d`.

    Parameters
    ----------
    system:
        `Leontief(A)`.
    final_demand:
        d (n,), in currency.
    outcome:
        r, the outcome per unit of output, (n,) or (k, n).
    solver:
        As for `solve`.

    Raises
    ------
    InputError
        Shapes that do not fit, or a system that is not Leontief's.
    """
    if not isinstance(system, Leontief):
        raise InputError(
            f"explain takes Leontief(A), not {type(system).__name__}: direct effects are those of final demand."
        )
    d, r = floating(final_demand, "final demand"), floating(outcome, "outcome")
    if d.ndim != 1 or r.ndim not in (1, 2) or r.shape[-1:] != d.shape:
        raise InputError(f"outcome has shape {r.shape} and final demand {d.shape}; give (n,) or (k, n), and (n,).")
    x = solve(system, d, solver=solver).value
    return Explanation(r * d, r * (x - d), r * x)
