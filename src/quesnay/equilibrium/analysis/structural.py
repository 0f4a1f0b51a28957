"""Structural decomposition of the quantity model: technology, final demand and intensity, three forms side by side."""

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import concrete, floating
from quesnay._errors import InputError, SolveError
from quesnay.equilibrium.solution import solve
from quesnay.equilibrium.solvers import AbstractLinearSolver
from quesnay.equilibrium.system import Leontief
from quesnay.network import Network

from .decomposition import decompose_path, decompose_polar, decompose_shapley

EPS = float(np.finfo(float).eps)
ROOT = 16 * EPS
"""Rounding of a root between 0 and 1."""
PROOFS = 256
"""Pieces of a path to be proved productive before it is refused; tables of successive years need one or two."""


class Decomposition(eqx.Module):
    """What technology, final demand and (where given) intensity each add to the change of `x`, or of `r x`, by account.

    Attributes
    ----------
    change:
        `x1 - x0` (n,), or `r1 x1 - r0 x0`; its sum is the change of `r'x`.
    integral:
        Effect of each factor (n,) along the straight path: the integral of the gradient.
    polar:
        Effect of each factor (n,): average of the two polar decompositions, of technology, final demand, intensity.
    shapley:
        Effect of each factor (n,): average over all orders; with two factors the polar average.
    nodes:
        Gauss nodes of the integral.
    error:
        Error of the integral, as in `decompose_path`.
    unit:
        Unit of effects and change, for labels.
    """

    change: Float[Array, " n"]
    integral: Mapping[str, Float[Array, " n"]]
    polar: Mapping[str, Float[Array, " n"]]
    shapley: Mapping[str, Float[Array, " n"]]
    nodes: int = eqx.field(static=True)
    error: Float[Array, ""]
    unit: str = eqx.field(static=True)

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        forms = (
            ("", self.integral, "path integral"),
            ("_polar", self.polar, "average of the polar decompositions"),
            ("_shapley", self.shapley, "average of all orders"),
        )
        effects = {
            f"{factor}{suffix}": (("account",), effect, self.unit, f"effect of {factor.replace('_', ' ')}: {words}")
            for suffix, form, words in forms
            for factor, effect in form.items()
        }
        return {"change": (("account",), self.change, self.unit, "change")} | effects

    def __repr__(self) -> str:
        if not concrete(self.change) or not isinstance(self.change, Array):
            return eqx.tree_pformat(self)
        lines = ["Decomposition, summed over accounts", f"  {'':<14}{'integral':>14}{'polar':>14}{'shapley':>14}"]
        for factor in self.integral:
            sums = (float(jnp.sum(form[factor])) for form in (self.integral, self.polar, self.shapley))
            lines.append(f"  {factor.replace('_', ' '):<14}" + "".join(f"{value:>14,.6g}" for value in sums))
        lines.append(f"  {'change':<14}" + f"{float(jnp.sum(self.change)):>14,.6g}" * 3)
        return "\n".join([*lines, f"  {self.nodes} nodes, error {float(self.error):.1e}"])


def decompose(
    A0: ArrayLike,
    d0: ArrayLike,
    A1: ArrayLike,
    d1: ArrayLike,
    *,
    intensity0: ArrayLike | None = None,
    intensity1: ArrayLike | None = None,
    tolerance: float = 1e-10,
    nodes: int | None = None,
    solver: AbstractLinearSolver | None = None,
) -> Decomposition:
    """Return how much technology, final demand and intensity each add to the change of `x = L d`, or of `r x`.

    `x1 - x0 = integral of L dA x dt + integral of L dd dt` with `A(t) = A0 + t (A1 - A0)` and so on; beside it the polar
    and the Shapley averages, of `x(A1, d0)` and its kind.

    Parameters
    ----------
    A0, A1:
        Technical coefficients (n, n) before and after, rows supply and columns use.
    d0, d1:
        Final demand (n,), in currency; in the same prices, or the change of prices is part of the effects.
    intensity0, intensity1:
        r (n,), outcome per unit of output; without them the outcome is x. Sum effects over accounts for those on `r'x`.
    tolerance, nodes:
        As for `decompose_path`.
    solver:
        As for `solve`.

    Raises
    ------
    InputError
        Shapes that do not fit, or one intensity without the other.
    SolveError
        A0 or A1 is not productive, the straight path between them is not proved to stay in the productive region, or the
        tolerance is not reached.

    References
    ----------
    Dietzenbacher and Los (1998), Economic Systems Research 10; Miller and Blair (2009), chapter 13.
    """
    if (intensity0 is None) != (intensity1 is None):
        raise InputError("an intensity is given for one side only; give intensity0 and intensity1, or neither.")
    if isinstance(A0, Network) or isinstance(A1, Network):
        raise InputError(
            "decompose takes matrices of technical coefficients (n, n), not a Network; give its coefficients."
        )
    start, end = _factors(A0, d0, intensity0, 0), _factors(A1, d1, intensity1, 1)
    if start["technology"].shape != end["technology"].shape:
        raise InputError(
            f"A0 has shape {start['technology'].shape} and A1 {end['technology'].shape}; give tables of the same accounts."
        )
    outcome = _Output(solver)
    if concrete(start, end):
        # Outside traced code an end that has no equilibrium is a SolveError of its own.
        for side in (start, end):
            outcome(side)
        _require_productive_path(start["technology"], end["technology"], solver)
    path = decompose_path(outcome, start, end, tolerance=tolerance, nodes=nodes)
    polar, shapley = decompose_polar(outcome, start, end), decompose_shapley(outcome, start, end)
    unit = "{currency}" if intensity0 is None else "{outcome}"
    return Decomposition(path.change, path.effects, polar.effects, shapley.effects, path.nodes, path.error, unit)


def _factors(A: ArrayLike, d: ArrayLike, intensity: ArrayLike | None, side: int) -> dict[str, Array]:
    factors = {"technology": floating(A, f"A{side}"), "final_demand": floating(d, f"d{side}")}
    if intensity is not None:
        factors["intensity"] = floating(intensity, f"intensity{side}")
    square, *vectors = (value.shape for value in factors.values())
    if len(square) != 2 or any(shape != square[:1] for shape in (square[1:], *vectors)):
        raise InputError(f"A{side} has shape {square} and its vectors {vectors}; give (n, n), and (n,) each.")
    return factors


class _Output(eqx.Module):
    """x, or r x, of its factors; a module, so that it is compiled once for all decompositions of a size."""

    solver: AbstractLinearSolver | None

    def __call__(self, factors: Mapping[str, Array]) -> Float[Array, " n"]:
        x = solve(Leontief(factors["technology"]), factors["final_demand"], solver=self.solver).value
        return factors["intensity"] * x if "intensity" in factors else x


def _require_productive_path(A0: Array, A1: Array, solver: AbstractLinearSolver | None) -> None:
    """Refuse where `(1-t) |A0| + t |A1|`, at least `|A(t)|`, is not proved to have spectral radius below 1 for all t.

    For a fixed v > 0, `v - (1-t) |A0| v - t |A1| v` is linear in t: where it is positive at both ends of an interval, it
    proves Hawkins-Simon for everything between. v solves the quantity model in the middle of what is still open.
    """
    before, after = np.abs(np.asarray(A0, dtype=float)), np.abs(np.asarray(A1, dtype=float))
    open_pieces, middle = [(0.0, 1.0)], 0.5
    what = "comes too close to the edge of the productive region to be proved inside"
    for _ in range(PROOFS):
        if not open_pieces:
            return
        low, high = open_pieces.pop()
        middle = (low + high) / 2
        first, last = _proved(before, after, middle, solver)
        if not first <= middle <= last:
            what = "leaves the productive region (spectral radius of A(t) at or above 1, to rounding)"
            break
        open_pieces += [(low, first)] if first > low else []
        open_pieces += [(last, high)] if last < high else []
    if np.any(np.asarray(A0) < 0) or np.any(np.asarray(A1) < 0):
        what = "cannot be proved to stay in the productive region, with its negative coefficients,"
    raise SolveError(f"the straight path from A0 to A1 {what} near t = {middle:.6g}; decompose over tables in between.")


def _proved(
    before: np.ndarray, after: np.ndarray, t: float, solver: AbstractLinearSolver | None
) -> tuple[float, float]:
    """Return the ends of the interval around t that one vector proves productive; (1, 0) where there is none."""
    system = Leontief((1 - t) * before + t * after)
    v = np.asarray(solve(system, np.ones(len(before)), solver=solver, throw=False).value, dtype=float)
    if not (np.all(np.isfinite(v)) and np.all(v > 0)):
        return 1.0, 0.0
    rounding = (len(v) + 4) * EPS
    at_0, at_1 = (v - use - rounding * (v + use) for use in (before @ v, after @ v))
    # Where one end fails, (1-t) at_0 + t at_1 is positive on one side of its root only.
    rises, falls = at_0 <= 0, at_1 <= 0
    if np.any(rises & falls):
        return 1.0, 0.0
    root = at_0 / np.where(rises | falls, at_0 - at_1, 1)
    first = float(np.max(root[rises], initial=-1.0)) + ROOT
    last = float(np.min(root[falls], initial=2.0)) - ROOT
    return first, last
