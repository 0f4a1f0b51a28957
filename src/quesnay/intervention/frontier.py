"""`frontier`: what can be reduced at what price, exactly, for the whole trade-off."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import concrete, first_bad, floating, require
from quesnay._errors import InputError
from quesnay._results import RESULTS, first_failure, raise_unless_successful, result_if
from quesnay.network import DenseLinks, Network

from .assignments import Assignments, productive
from .best import Best, Setting, for_budget, for_penalty

GAP = 1e-9
"""Largest relative duality gap that counts as a proof; in float32, what rounding leaves of one."""


class Frontier(eqx.Module):
    """The best interventions for a series of penalties or budgets, each with its certificate.

    Attributes
    ----------
    penalty:
        Price of a unit of e moved (L,): as given, or the shadow price of each budget. In units of c over units of e.
    alpha:
        Factors (L, n). Where an account is asked for nothing, its upper bound.
    output:
        x under each (L, n), currency.
    outcome, kept:
        `c'x` and `e'x` (L,).
    moved:
        `sum_i e_i |x_i - x0_i|` (L,).
    loss:
        `c'x + penalty moved` (L,).
    gap:
        Relative duality gap (L,): `(loss - bound) / max(|loss|, |bound|)` with the largest lower bound proved; 0 where
        rounding is all of both.
    worth:
        w (L, n), what one more unit of output i adds to the loss: where it is positive the factor is at its lower bound, where
        it is negative at its upper.
    change:
        `e_i (x_i - x0_i)` (L, n): who loses and who gains.
    base_output, base_outcome, base_kept:
        x0 (n,), `c'x0` and `e'x0`.
    policies:
        Policies tried (L,); -1 where HiGHS found it.
    result:
        How each ended (L,).
    """

    penalty: Float[Array, " L"]
    alpha: Float[Array, "L n"]
    output: Float[Array, "L n"]
    outcome: Float[Array, " L"]
    kept: Float[Array, " L"]
    moved: Float[Array, " L"]
    loss: Float[Array, " L"]
    gap: Float[Array, " L"]
    worth: Float[Array, "L n"]
    change: Float[Array, "L n"]
    base_output: Float[Array, " n"]
    base_outcome: Float[Array, ""]
    base_kept: Float[Array, ""]
    policies: Int[Array, " L"]
    result: RESULTS

    def __repr__(self) -> str:
        if not concrete(eqx.filter(self, eqx.is_array)) or self.loss.ndim != 1:
            return eqx.tree_pformat(self)
        share = jnp.abs(self.base_outcome), self.base_kept
        least, most = (
            part / jnp.where(base > 0, base, 1)
            for part, base in zip((self.base_outcome - self.outcome, self.moved), share, strict=True)
        )
        count = "1 intervention" if self.loss.size == 1 else f"{self.loss.size} interventions"
        return (
            f"Frontier of {count} in {self.base_output.size:,} accounts: reduces {_between(least)} at {_between(most)} moved; "
            f"largest relative duality gap {float(jnp.max(self.gap)):.1e}"
        )

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        per = ("intervention", "account")
        return {
            "penalty": (per[:1], self.penalty, "", "price of a unit moved"),
            "alpha": (per, self.alpha, "1", "factor of the assignment"),
            "output": (per, self.output, "{currency}", "output"),
            "outcome": (per[:1], self.outcome, "", "what is reduced"),
            "kept": (per[:1], self.kept, "", "what is kept"),
            "moved": (per[:1], self.moved, "", "what is kept, moved up or down"),
            "loss": (per[:1], self.loss, "", "outcome plus penalty"),
            "gap": (per[:1], self.gap, "1", "relative duality gap"),
            "worth": (per, self.worth, "", "loss by one more unit asked for"),
            "change": (per, self.change, "", "change of what is kept"),
        }


def frontier(
    A: ArrayLike | Network,
    d: ArrayLike,
    *,
    reduce: ArrayLike,
    keep: ArrayLike,
    penalties: ArrayLike | None = None,
    budgets: ArrayLike | None = None,
    bounds: tuple[ArrayLike, ArrayLike] = (0.0, 1.0),
    throw: bool = True,
) -> Frontier:
    """Return the interventions `x = alpha (A x + d)` that best trade what they reduce for what they move, with proof.

    ```
    min over alpha in [lo, hi]    c'x + penalty sum_i e_i |x_i - x0_i|,        x0 = A x0 + d
    ```

    Where hi is at most 1 no output rises and the problem is a Markov decision problem, solved by policy iteration (Howard,
    1960); the worths of the last policy are a dual solution. Where hi is above 1 it is a linear programme in 2 n
    variables, solved by HiGHS; its vertex is solved for again to working precision. A budget takes the place of a penalty: of
    all interventions with `sum_i e_i |x_i - x0_i| <= budget e'x0` the one with the least c'x; the penalty is then its
    shadow price, and one or more accounts have factors between their bounds.

    Derivatives of outcomes, outputs and losses by A, d, c, e, penalties and budgets are those of the policy found: they are
    exact, except where two policies are equally good.

    Parameters
    ----------
    A:
        Technical coefficients (n, n), not negative; or a `Network`, of any size (of links: with upper bounds of at most 1). A
        and hi A have spectral radii below 1.
    d:
        Final demand (n,), currency, not negative; `economy.nonnegative()` clears what is.
    reduce:
        c (n,), per unit of output: `economy.intensity("ghg")`. Any sign.
    keep:
        e (n,), per unit of output: `economy.intensity("jobs")`. Not negative.
    penalties:
        (L,), in units of c over units of e, not negative.
    budgets:
        (L,), as shares of e'x0: 0.05 moves at most 5 % of jobs. Give penalties or budgets.
    bounds:
        (lo, hi) with `0 <= lo <= hi`, numbers or (n,) each. lo above 0 keeps accounts from being closed.
    throw:
        Raise where an optimum is not proved; with False see `result` and `gap`.

    Raises
    ------
    InputError
        Shapes that do not fit; entries that are negative or not finite; bounds in the wrong order; a budget that the
        bounds alone exceed.
    SolveError
        hi A is not productive; the relative duality gap is above 1e-9.

    References
    ----------
    Besserve and Schoelkopf (2022), equation 5; Howard (1960); Puterman (1994), chapter 6; Huangfu and Hall (2018), HiGHS.
    """
    technology, vectors, (lo, hi) = _checked(A, d, reduce, keep, bounds)
    if penalties is not None and budgets is None:
        given = _series("penalties", penalties)
    elif budgets is not None and penalties is None:
        given = _series("budgets", budgets)
    else:
        raise InputError("give penalties or budgets, and not both: what the trade-off is followed along.")
    demand, c, e = vectors
    lower, upper = (jnp.asarray(bound, demand.dtype) for bound in (lo, hi))
    falling = bool(np.all(hi <= 1))
    if penalties is None and falling:
        require(
            lambda v: v <= 1,
            lambda: f"budgets has an entry of {np.max(given):g}; shares are at most 1, 0.05 for 5 %.",
            given,
        )
    if not falling and isinstance(technology, Network) and not isinstance(technology.links, DenseLinks):
        raise InputError(
            "upper bounds above 1 make a linear programme, which takes a matrix; for a network of links give at most 1."
        )
    found, result, excess = _follow(
        technology, demand, c, e, lower, upper, given.astype(demand.dtype), falling, penalties is None
    )
    unproductive = concrete(result) and np.any(np.asarray(result == RESULTS.unproductive_bounds))
    if penalties is None and concrete(excess, given) and not unproductive and np.any(np.asarray(excess) > 0):
        k = int(np.argmax(np.asarray(excess) > 0))
        least = float(given[k]) + float(excess[k]) / float(found.base_kept)
        raise InputError(
            f"a budget of {float(given[k]):.4g} cannot be kept: the bounds alone move {least:.4g} of what is kept; "
            "widen them or raise the budget."
        )
    found = eqx.tree_at(lambda f: f.result, found, result)
    return raise_unless_successful(found, result) if throw else found


def _between(shares: Array) -> str:
    low, high = float(jnp.min(shares)), float(jnp.max(shares))
    return f"{low:.1%}" if shares.size == 1 else f"{low:.1%} to {high:.1%}"


def _bad(series: np.ndarray) -> float:
    return float(series[first_bad(~((series >= 0) & np.isfinite(series)))])


def _series(name: str, value: ArrayLike) -> Array:
    series = jnp.atleast_1d(floating(value, name))
    if series.ndim != 1 or series.size == 0:
        raise InputError(f"{name} has shape {series.shape}; give a list of numbers.")
    require(
        lambda v: (v >= 0) & np.isfinite(v),
        lambda: f"{name} has an entry of {_bad(np.asarray(series))}; give finite numbers of at least 0.",
        series,
    )
    return series


def _checked(A, d, reduce, keep, bounds) -> tuple[Array | Network, list[Array], tuple[np.ndarray, np.ndarray]]:
    technology: Array | Network = A if isinstance(A, Network) else floating(A, "A")
    n = technology.firms if isinstance(technology, Network) else technology.shape[-1] if technology.ndim else 0
    if not isinstance(technology, Network) and (technology.shape != (n, n) or n == 0):
        raise InputError(f"A has shape {technology.shape}; give a square matrix (n, n), or a Network.")
    vectors = []
    for name, value in (("d", d), ("reduce", reduce), ("keep", keep)):
        vector = floating(value, name)
        if vector.shape != (n,):
            raise InputError(f"{name} has shape {vector.shape}; A has {n} accounts, so give ({n},).")
        vectors.append(vector)
    for name, value, signed in (
        *(() if isinstance(technology, Network) else (("A", technology, False),)),
        ("d", vectors[0], False),
        ("reduce", vectors[1], True),
        ("keep", vectors[2], False),
    ):
        require(np.isfinite, lambda name=name: f"{name} has entries that are not finite.", value)
        if not signed:
            require(lambda v: v >= 0, lambda name=name, value=value: _negative(name, np.asarray(value)), value)
    pair = _bounds(bounds, n)
    dtype = jnp.result_type(*vectors, technology.output if isinstance(technology, Network) else technology)
    technology, *vectors = jax.tree.map(
        lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf, (technology, *vectors)
    )
    return technology, vectors, pair


def _negative(name: str, values: np.ndarray) -> str:
    where = ", ".join(str(int(i)) for i in np.argwhere(values < 0)[0])
    clear = "economy.nonnegative() clears negative flows and final demand" if name in "Ad" else "give none below 0"
    return f"{name} has {int(np.sum(values < 0))} negative entries, the first at ({where}); {clear}."


def _bounds(bounds, n: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        lo, hi = bounds
    except (TypeError, ValueError):
        raise InputError("bounds is not a pair; give (lo, hi), numbers or one per account.") from None
    pair = []
    for name, value in (("lower", lo), ("upper", hi)):
        if not concrete(value):
            raise InputError("bounds decide which method is taken; give numbers, not traced values.")
        with jax.ensure_compile_time_eval():
            bound = np.asarray(floating(value, f"the {name} bound"))
        if bound.shape not in ((), (n,)):
            raise InputError(f"the {name} bound has shape {bound.shape}; give a number or ({n},).")
        pair.append(np.broadcast_to(bound, (n,)))
    lo, hi = pair
    good = (lo >= 0) & (lo <= hi) & np.isfinite(hi)
    if not good.all():
        i = first_bad(~good)
        raise InputError(f"bounds of account {i} are ({lo[i]:g}, {hi[i]:g}); give 0 <= lower <= upper.")
    return lo, hi


@eqx.filter_jit
def _follow(A, d, c, e, lo, hi, given, falling: bool, budgeted: bool):
    size = Assignments(A, d, jnp.ones_like(d))
    one = jnp.ones_like(d)
    x0, solved = size.solve(one, d)
    size = jax.lax.stop_gradient(jnp.where(x0 > 0, x0, 1))
    economy = Assignments(A, d, size)
    base, again = economy.solve(one, economy.final_demand)
    largest, most = economy.solve(hi, hi * economy.final_demand)
    proved = productive(jax.lax.stop_gradient(economy), jnp.maximum(hi, 1))
    setting = Setting(
        economy, c * size, e * size, lo, hi, base, jax.lax.stop_gradient(jnp.maximum(largest, base)), falling
    )
    excess = jnp.zeros_like(given)
    if budgeted:
        best, excess = jax.lax.map(lambda share: for_budget(setting, share * (setting.weight @ base)), given)
    else:
        # From one penalty to the next, the worths of the last policy are where the search begins.
        order = jnp.argsort(given)

        def following(guess, penalty):
            best = for_penalty(setting, penalty, guess)
            return jax.lax.stop_gradient(best.worth), best

        _, best = jax.lax.scan(following, jnp.zeros_like(base), given[order])
        best = jax.tree.map(lambda leaf: leaf[jnp.argsort(order)], best)
    found = _labelled(setting, best, base * size)
    tolerance = max(GAP, 1e3 * float(jnp.finfo(d.dtype).eps))
    optimal = (found.gap <= tolerance) & solved & again & most
    result = jax.vmap(
        lambda good: first_failure(
            result_if(~proved, RESULTS.unproductive_bounds), result_if(~good, RESULTS.not_optimal)
        )
    )(optimal)
    return found, result, excess


def _labelled(setting: Setting, best: Best, x0: Array) -> Frontier:
    size, weight = setting.economy.size, setting.weight
    return Frontier(
        penalty=best.penalty,
        alpha=best.alpha,
        output=best.u * size,
        outcome=best.outcome,
        kept=best.u @ weight,
        moved=best.moved,
        loss=best.loss,
        gap=best.gap,
        worth=best.worth / size,
        change=weight * (best.u - setting.base),
        base_output=x0,
        base_outcome=setting.cost @ setting.base,
        base_kept=weight @ setting.base,
        policies=best.steps,
        result=RESULTS.successful,
    )
