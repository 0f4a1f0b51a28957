"""Structural path analysis: the largest supply chains behind an outcome, with a certified remainder, and production layers."""

import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import concrete, floating, require, whole
from quesnay._errors import InputError, SolveError
from quesnay._results import RESULTS
from quesnay.equilibrium.solution import solve
from quesnay.equilibrium.solvers import AbstractLinearSolver
from quesnay.equilibrium.system import Leontief, Price
from quesnay.network import Network

from .search import largest

EPS = float(np.finfo(float).eps)
SHOWN = 10
"""Paths that a printed result shows."""


class Paths(eqx.Module):
    """The largest paths of `r L d`, in falling order of absolute value, and what all the others can amount to.

    Attributes
    ----------
    value:
        Value of each path (p,), `r_i0 a_i0i1 ... d_ik` with its sign, the exact product rounded once.
    accounts:
        Accounts along each path (p, longest + 1): i0 (where the impact arises), i1, ..., ik (whose product final demand
        takes), then -1.
    tier:
        Number of transactions k of each path (p,); 0 is the production for final demand itself.
    total, total_error:
        `r L d`, the sum of all paths, and a bound of its error.
    magnitude, magnitude_error:
        `|r| (I - |A|)^-1 |d|`, the sum of the absolute values of all paths; the total where nothing is negative.
    remainder, remainder_error:
        What all unlisted paths together add to the total, and a bound of its error: it lies within
        `remainder -+ remainder_error`.
    remainder_magnitude, remainder_magnitude_error:
        The sum of the absolute values of all unlisted paths, and a bound of its error.
    largest_unlisted:
        Absolute value of the largest path that is not listed (0 where there is none).
    complete:
        Whether every path that is not zero is listed.
    arising:
        `r_i x_i` (n,): what all paths add up to by the account in which the impact arises.
    demanded:
        `(r L)_j d_j` (n,): what all paths add up to by the account whose product final demand takes.
    """

    value: Float[np.ndarray, " p"]
    accounts: Int[np.ndarray, "p longest"]
    tier: Int[np.ndarray, " p"]
    total: float
    total_error: float
    magnitude: float
    magnitude_error: float
    remainder: float
    remainder_error: float
    remainder_magnitude: float
    remainder_magnitude_error: float
    largest_unlisted: float
    complete: bool
    arising: Float[np.ndarray, " n"]
    demanded: Float[np.ndarray, " n"]

    @property
    def share(self) -> Float[np.ndarray, " p"]:
        """Value of each path over the total (p,), while the text of the list has it over the sum of absolute values.

        The two differ where anything is negative. Refused where the total cannot be told from zero.
        """
        if not abs(self.total) > self.total_error:
            raise InputError("the total cannot be told from zero, so that no path has a share of it; use magnitude.")
        return self.value / self.total

    def sequence(self, path: int) -> Int[np.ndarray, " k"]:
        """Return the accounts of one path, without the padding: `economy.index[paths.sequence(0)]` are its labels."""
        return self.accounts[path, : self.tier[path] + 1]

    def by_tier(self) -> Float[np.ndarray, " tiers"]:
        """Return the sum of the listed paths by tier; `production_layers` has the sums of all paths."""
        return np.bincount(self.tier, weights=self.value)

    def by_source(self) -> Float[np.ndarray, " n"]:
        """Return the sum of the listed paths by the account in which the impact arises; `arising` is that of all paths."""
        return np.bincount(self.accounts[:, 0], weights=self.value, minlength=len(self.arising))

    def by_demand(self) -> Float[np.ndarray, " n"]:
        """Return the sum of the listed paths by the account that final demand buys; `demanded` is that of all paths."""
        last = self.accounts[np.arange(len(self.tier)), self.tier]
        return np.bincount(last, weights=self.value, minlength=len(self.demanded))

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Any, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        return {
            "value": (("path",), self.value, "{outcome}", "value of the path"),
            "tier": (("path",), self.tier, "1", "transactions along the path"),
            "accounts": (
                ("path", "step"),
                self.accounts,
                "{account}",
                "accounts along the path, from the source to what is bought",
            ),
            "by_source": (("account",), self.by_source(), "{outcome}", "listed paths, by where the impact arises"),
            "arising": (("account",), self.arising, "{outcome}", "all paths, by where the impact arises"),
            "by_demand": (("account",), self.by_demand(), "{outcome}", "listed paths, by what final demand takes"),
            "demanded": (("account",), self.demanded, "{outcome}", "all paths, by what final demand takes"),
        }

    def __repr__(self) -> str:
        if not all(isinstance(leaf, np.ndarray) for leaf in (self.value, self.tier, self.accounts)):
            return eqx.tree_pformat(self)
        which = f"all {len(self.value):,} paths" if self.complete else f"the {len(self.value):,} largest paths"
        whole = self.magnitude if self.magnitude > 0 else 1.0
        listed = math.fsum(np.abs(self.value)) / whole
        lines = [f"Paths: {which}, {100 * listed:.2f} % of the sum of absolute values; total {self.total:,.6g}"]
        lines += [
            f"  {v:>12,.6g}  {100 * v / whole:>6.2f} %  tier {t}  {' > '.join(map(str, self.sequence(k)))}"
            for k, (v, t) in enumerate(zip(self.value[:SHOWN], self.tier, strict=False))
        ]
        lines += [f"  ... {len(self.value) - SHOWN:,} more"] if len(self.value) > SHOWN else []
        lines.append(
            f"  unlisted: {self.remainder:,.6g}, known to {self.remainder_error / whole:.1e} of that sum; "
            f"no path above {self.largest_unlisted:,.6g}"
        )
        return "\n".join(lines)


def paths(
    A: ArrayLike,
    d: ArrayLike,
    intensity: ArrayLike,
    count: int = 1000,
    *,
    solver: AbstractLinearSolver | None = None,
) -> Paths:
    """Return the largest paths of `r L d = sum over k, i0, ..., ik of r_i0 a_i0i1 ... a_i(k-1)ik d_ik`, and what is left.

    The list is exact, not cut at a threshold: no path that is left out is larger in absolute value than one that is in.
    A shorter path, then a lower account, goes first where values tie. The time grows with `count` and with the number of
    paths that tie with the last. A search on the host, in float64: it has no derivative and refuses traced values.

    Parameters
    ----------
    A:
        Technical coefficients (n, n), rows supply and columns use; entries may be negative.
    d:
        Final demand (n,), in currency.
    intensity:
        r (n,), direct impact per unit of output, in the satellite's unit per currency.
    count:
        Number of paths to list; fewer where no more than these differ from zero, and `complete` says so.
    solver:
        As for `solve`; for the total.

    Raises
    ------
    InputError
        Shapes that do not fit, entries that are not finite, traced values, or a count that is no positive integer.
    SolveError
        The sum of the absolute values of all paths is infinite: the spectral radius of |A| is at or above 1.

    References
    ----------
    Defourny and Thorbecke (1984), Economic Journal 94; Treloar (1997), Economic Systems Research 9, equation 5;
    Lenzen (2003), Structural Change and Economic Dynamics 14; Peters and Hertwich (2006), Economic Systems Research 18.
    """
    A, d, r = _numbers(A, d, intensity)
    count = whole(count, "count", "number of paths to list")
    signed_chain = bool(np.any(A < 0) or np.any(r < 0))
    negative = signed_chain or bool(np.any(d < 0))
    upper, multipliers = _magnitude_of_multipliers(np.abs(A), np.abs(r), solver)
    x, total, error = _total(A, d, r, upper, solver)
    magnitude, magnitude_error = (
        _total(np.abs(A), np.abs(d), np.abs(r), upper, solver)[1:] if negative else (total, error)
    )
    found, exhausted, floor = largest(A, d, r, count)
    listed = found[:count]
    values = np.array([value for value, _ in listed])
    tier = np.array([len(path) - 1 for _, path in listed], dtype=int)
    accounts = np.full((len(listed), int(tier.max(initial=0)) + 1), -1)
    for row, (_, path) in zip(accounts, listed, strict=True):
        row[: len(path)] = path
    signed, absolute = math.fsum(values), math.fsum(np.abs(values))
    # Each listed value, the sum and the difference are rounded once; a further factor covers the rounding of the bound.
    rounding = 2 * EPS * (absolute + magnitude)
    complete = exhausted and len(found) <= count
    return Paths(
        value=values,
        accounts=accounts,
        tier=tier,
        total=total,
        total_error=error,
        magnitude=magnitude,
        magnitude_error=magnitude_error,
        remainder=0.0 if complete else total - signed,
        remainder_error=0.0 if complete else error + rounding,
        remainder_magnitude=0.0 if complete else magnitude - absolute,
        remainder_magnitude_error=0.0 if complete else magnitude_error + rounding,
        largest_unlisted=abs(found[count][0]) if len(found) > count else 0.0 if exhausted else floor,
        complete=complete,
        arising=r * x,
        demanded=d * (_solved(Price(A), r, solver) if signed_chain else multipliers),
    )


def _numbers(A: Any, d: Any, intensity: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if not concrete(A, d, intensity):
        raise InputError("paths is a search on the host without a derivative; call it outside jit, grad and vmap.")
    if isinstance(A, Network):
        raise InputError(
            "paths takes the matrix of technical coefficients (n, n), not a Network; give its coefficients."
        )
    named = {"A": A, "final demand": d, "intensity": intensity}
    for name, value in named.items():
        require(np.isfinite, f"{name} has entries that are not finite.", floating(value, name))
    # Not the arrays that `floating` returns: float64 also where JAX is set to float32.
    A, d, r = (np.asarray(value, dtype=float) for value in named.values())
    if A.size == 0 or A.ndim != 2 or A.shape[0] != A.shape[1] or d.shape != A.shape[:1] or r.shape != d.shape:
        raise InputError(
            f"A has shape {A.shape}, final demand {d.shape} and intensity {r.shape}; give (n, n), (n,) and (n,)."
        )
    return A, d, r


def _magnitude_of_multipliers(
    A: np.ndarray, r: np.ndarray, solver: AbstractLinearSolver | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return an upper bound of `r (I - A)^-1` for A, r >= 0, rounding included, and its value; refuse where it is infinite.

    For any w > 0 with `w - A'w >= g > 0`, the spectral radius of A is below 1, and a value h with residual s is within
    `max(|s| / g) w` of the solution.
    """
    h, w = (np.asarray(solve(Price(A), b, solver=solver, throw=False).value, dtype=float) for b in (r, np.ones_like(r)))
    rounding = (len(r) + 2) * EPS
    with np.errstate(invalid="ignore", over="ignore"):
        gap = w - A.T @ w - rounding * (w + A.T @ w)
        if not (np.all(w > 0) and np.all(gap > 0)):
            raise SolveError(
                "the absolute values of the paths do not add up to a finite sum (spectral radius of |A| at or above 1); "
                "check the table's columns whose inputs exceed their output, and its negative coefficients."
            )
        s = np.abs(r + A.T @ h - h) + rounding * (r + A.T @ np.abs(h) + np.abs(h))
        upper = h + np.max(s / gap) * w
    return upper * (1 + 8 * EPS), h


def _solved(system: Leontief | Price, b: np.ndarray, solver: AbstractLinearSolver | None) -> np.ndarray:
    """Return an equilibrium of a system whose |A| is known to be productive, which `solve` may not see by itself."""
    solution = solve(system, b, solver=solver, throw=False)
    if not any(bool(solution.result == ending) for ending in (RESULTS.successful, RESULTS.unproven)):
        raise SolveError(RESULTS[solution.result])
    return np.asarray(solution.value, dtype=float)


def _total(
    A: np.ndarray, d: np.ndarray, r: np.ndarray, upper: np.ndarray, solver: AbstractLinearSolver | None
) -> tuple[np.ndarray, float, float]:
    """Return x, `r x`, and a bound of its error: with residual s of x it is `r L s`, at most `upper |s|`."""
    x = _solved(Leontief(A), d, solver)
    rounding = (len(r) + 2) * EPS
    s = np.abs(d + A @ x - x) + rounding * (np.abs(d) + np.abs(A) @ np.abs(x) + np.abs(x))
    with np.errstate(over="ignore", invalid="ignore"):
        error = upper @ s + 2 * EPS * (np.abs(r) @ np.abs(x))
    if not np.isfinite(error):
        raise InputError("the sum of all paths is beyond the range of float64; give A, d and intensity in other units.")
    return x, math.fsum(r * x), float(error * (1 + 2 * rounding))


class ProductionLayers(eqx.Module):
    """An outcome by production layer: `r x = sum over t < T of r A^t d + r A^T x`.

    Attributes
    ----------
    value:
        `r_i (A^t d)_i` (T, n) of layers t = 0, ..., T-1, by the account in which the impact arises.
    remainder:
        `r_i (A^T x)_i` (n,): all further layers, exactly.
    total:
        `r_i x_i` (n,), their sum.
    """

    value: Float[Array, "layers n"]
    remainder: Float[Array, " n"]
    total: Float[Array, " n"]

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        return {
            "value": (("layer", "account"), self.value, "{outcome}", "in each production layer"),
            "remainder": (("account",), self.remainder, "{outcome}", "in all further layers"),
            "total": (("account",), self.total, "{outcome}", "in all layers"),
        }


def production_layers(
    A: ArrayLike | Network,
    d: ArrayLike,
    intensity: ArrayLike,
    layers: int = 10,
    *,
    solver: AbstractLinearSolver | None = None,
) -> ProductionLayers:
    """Return the production layers `r A^t d`, t = 0, ..., layers - 1, and the exact remainder `r L A^layers d`.

    Parameters
    ----------
    A:
        Technical coefficients (n, n), or a `Network`.
    d:
        Final demand (n,), in currency.
    intensity:
        r (n,), direct impact per unit of output, in the satellite's unit per currency.
    layers:
        Number of layers T to tell apart.
    solver:
        As for `solve`; for the remainder.

    Raises
    ------
    InputError
        Shapes that do not fit, or a number of layers below 1.
    SolveError
        The technology is not productive.

    References
    ----------
    Treloar (1997), Economic Systems Research 9; Peters and Hertwich (2006), Economic Systems Research 18 (tiers).
    """
    system, demand, r = Leontief(A), floating(d, "final demand"), floating(intensity, "intensity")
    if demand.shape != (system.size,) or r.shape != demand.shape:
        raise InputError(
            f"final demand has shape {demand.shape} and intensity {r.shape}; the system has {system.size} accounts."
        )
    layers = whole(layers, "layers", "number of layers")
    demand = demand.astype(jnp.result_type(demand, system.apply(demand)))
    rest, values = jax.lax.scan(lambda y, _: (system.apply(y), r * y), demand, length=layers)
    remainder = r * solve(system, rest, solver=solver).value
    return ProductionLayers(values, remainder, jnp.sum(values, axis=0) + remainder)
