"""`adapt`: a budget spent on less vulnerability and less warming."""

from collections.abc import Mapping
from numbers import Real

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import concrete, floating, instance, positive
from quesnay._errors import InputError, SolveError

from .damage import AbstractDamage, one_warming, slopes
from .evaluation import evaluate
from .measures import AbstractMeasure, Mitigation
from .readings import AbstractReading, FactorLimited
from .resilience import adapted, positive_by_account, raise_at
from .setting import Base, by_account, climate, observed
from .vulnerability import AbstractVulnerability

TOLERANCE = 1e-6
"""Largest violation of the optimality conditions, relative to the largest derivative."""
ATTEMPTS = 6
ACTIVE = 1e-9
SAME = 1e-9
"""Ends of different starts whose GDP differs by less than this share are one optimum."""
NOWHERE = 1e6
"""Stands for the spectral radius where damage leaves no technology, which the optimiser has to turn back from."""


class Adaptation(eqx.Module):
    """Where a budget goes.

    Attributes
    ----------
    spending:
        b (n,), currency, on the vulnerability of each account.
    mitigation:
        Currency spent on less warming.
    cooling:
        Degrees C less.
    gamma:
        Vulnerability afterwards (n,).
    temperature:
        T afterwards.
    gdp, gdp_before:
        GDP at T with the budget spent, and without.
    price:
        What one more unit of budget would add to GDP.
    spectral_radius:
        rho(A(T)) afterwards.
    residual:
        Largest violation of the optimality conditions (Karush, Kuhn, Tucker), relative to the largest derivative of GDP by
        a share of the budget, at the start or at the end.
    converged:
        Whether the residual is at most 1e-6. The optimum is then a stationary point; where GDP is concave in the spending,
        the best there is.
    """

    spending: Float[Array, " n"]
    mitigation: Float[Array, ""]
    cooling: Float[Array, ""]
    gamma: Float[Array, " n"]
    temperature: Float[Array, ""]
    gdp: Float[Array, ""]
    gdp_before: Float[Array, ""]
    price: Float[Array, ""]
    spectral_radius: Float[Array, ""]
    residual: float
    converged: bool

    def __repr__(self) -> str:
        ended = "" if self.converged else ", not converged"
        return (
            f"Adaptation: GDP {float(self.gdp):,.6g} instead of {float(self.gdp_before):,.6g}; "
            f"{float(jnp.sum(self.spending)):,.4g} on {int(jnp.sum(self.spending > 0))} accounts, "
            f"{float(self.mitigation):,.4g} on {float(self.cooling):.3g} degrees C less; one more unit of budget adds "
            f"{float(self.price):.4g}; residual {self.residual:.1e}{ended}"
        )

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        return {
            "spending": (("account",), self.spending, "{currency}", "spent on less vulnerability"),
            "gamma": (("account",), self.gamma, "1", "vulnerability afterwards"),
            "mitigation": ((), self.mitigation, "{currency}", "spent on less warming"),
            "cooling": ((), self.cooling, "degree C", "less warming"),
            "temperature": ((), self.temperature, "degree C", "warming afterwards"),
            "gdp": ((), self.gdp, "{currency}", "GDP afterwards"),
            "gdp_before": ((), self.gdp_before, "{currency}", "GDP without the budget"),
            "price": ((), self.price, "1", "GDP added by one more unit of budget"),
            "spectral_radius": ((), self.spectral_radius, "1", "spectral radius afterwards"),
        }


class _Plan(eqx.Module):
    """What the optimiser asks about: shares of the budget by account, and of the most cooling that it buys."""

    base: Base
    damage: AbstractDamage
    reading: AbstractReading
    measure: AbstractMeasure
    temperature: Array
    budget: Array
    coolest: Array

    def after(self, z: Array) -> tuple[Array, Array]:
        n = self.base.output.size
        before = jnp.broadcast_to(self.base.vulnerability.gamma, (n,))
        return self.measure.reduced(before, self.budget * z[:n]), self.temperature - self.coolest * z[n]


def adapt(
    A: ArrayLike,
    d: ArrayLike,
    damage: AbstractDamage,
    *,
    at: ArrayLike,
    budget: float,
    measure: AbstractMeasure,
    mitigation: Mitigation | None = None,
    margin: float = 0.0,
    gamma: ArrayLike | None = None,
    vulnerability: AbstractVulnerability | None = None,
    reference: ArrayLike | None = None,
    reading: AbstractReading | None = None,
    labour: ArrayLike | None = None,
    throw: bool = True,
) -> Adaptation:
    """Return how to spend a budget on less vulnerability and on less warming, so that GDP at T is largest.

    ```
    max GDP(T - Delta, gamma(b))    subject to    sum b + c(Delta) <= budget,    b, Delta >= 0,    rho(A(T)) <= 1 - margin
    ```

    by sequential quadratic programming (SLSQP) with exact derivatives, from an even division of the budget and, where there is
    mitigation, from all of it on either side; the best end is taken, and its optimality conditions are checked. gamma changes
    from now on (`Adapted`). What of the budget cannot be used is not spent.

    Parameters
    ----------
    A, d, damage, gamma, vulnerability, reference, reading, labour:
        As for `stress`. Readings with kinks may have their optimum at one, where no gradient method can prove it.
    at:
        T, degrees C.
    budget:
        Currency, above 0.
    measure:
        What money does to gamma: `Diminishing(effect)` or `Proportional(cost)`.
    mitigation:
        What less warming costs, `Mitigation(cost)`; None: it cannot be had.
    margin:
        Distance that the spectral radius has to keep from 1, from 0 to 1.
    throw:
        Raise where the optimum is not found; with False the last point is returned with `converged=False`.

    Raises
    ------
    InputError
        Shapes, signs or numbers that do not fit.
    SolveError
        No spending was found that keeps the economy from collapse; the optimum is not found; as for `stress` besides.

    References
    ----------
    Kraft (1988), SLSQP; Nocedal and Wright (2006), chapters 12 and 18.
    """
    reading = FactorLimited() if reading is None else reading
    instance(reading, AbstractReading, "reading", "a reading such as FactorLimited()")
    instance(measure, AbstractMeasure, "measure", "Diminishing(effect) or Proportional(cost)")
    instance(mitigation, (Mitigation, type(None)), "mitigation", "Mitigation(cost), or None")
    money = positive(budget, "budget")
    if not isinstance(margin, Real) or isinstance(margin, bool) or not 0 <= margin < 1:
        raise InputError(f"margin is {margin!r}; give a number from 0 to below 1.")
    setting = climate(A, damage, gamma, vulnerability, reference)
    base = observed(setting, d, labour)
    T = floating(at, "at")
    if T.ndim or not concrete(base, T, damage):
        raise InputError("adapt takes one temperature and numbers, outside of `jit`, `grad` and `vmap`.")
    T = one_warming(T, "at")
    for leaf in jax.tree.leaves(measure):
        positive_by_account("the measure", leaf, base)
    before = jnp.broadcast_to(setting.vulnerability.gamma, base.output.shape)
    usable, coolest = float(jnp.sum(measure.most(before))), 0.0
    if mitigation is not None:
        farthest = max(float(T), 0.0) if mitigation.most == np.inf else mitigation.most
        coolest = min(farthest, (money / mitigation.cost) ** (1 / mitigation.exponent))
        usable += mitigation.cost * farthest**mitigation.exponent
    # What cannot be used stays; the optimiser counts in shares of twice what can, so that the budget is none of its limits.
    money = min(money, 2 * usable) if usable > 0 else money
    plan = _Plan(base, damage, reading, measure, T, jnp.asarray(money, base.A.dtype), jnp.asarray(coolest, T.dtype))
    return _optimise(plan, mitigation, 1 - float(margin), throw)


def _optimise(plan: _Plan, mitigation: Mitigation | None, ceiling: float, throw: bool) -> Adaptation:
    n, money = plan.base.output.size, float(plan.budget)
    before = jnp.broadcast_to(plan.base.vulnerability.gamma, (n,))
    # Where the budget is the limit, no other bound shall be at the same point: their prices would not be told apart.
    most = np.append(np.minimum(np.asarray(plan.measure.most(before)) / money, 2.0), _most_cooling(plan, mitigation))
    power = 1.0 if mitigation is None else mitigation.exponent
    full = 0.0 if mitigation is None else mitigation.cost * float(plan.coolest) ** power / money

    seen = {}

    def look(z):
        # The optimiser asks for value, gradient and constraint at the same point.
        if z.tobytes() not in seen:
            seen.clear()
            (gdp, radius), (slope, steeper), result = _look(plan, jnp.asarray(z, plan.base.A.dtype))
            seen[z.tobytes()] = (
                float(gdp), min(float(radius), NOWHERE), np.asarray(slope, float), np.asarray(steeper, float), result
            )  # fmt: skip
        return seen[z.tobytes()]

    def left(z):
        return 1 - z[:n].sum() - full * z[n] ** power, np.append(-np.ones(n), -full * power * z[n] ** (power - 1))

    nothing = look(np.zeros(n + 1))
    starts = _safe(look, left, _starts(most, full), most, ceiling)
    steepest = max(np.abs(look(z)[2][most > 0]).max(initial=0) for z in (np.zeros(n + 1), *starts))
    if not steepest > 0:
        raise InputError(
            "no spending changes GDP: give an account with gamma above 0, or a reading in which damage costs GDP."
        )
    ends = [_climb(look, left, start, most, ceiling, steepest) for start in starts]
    highest = max(look(z)[0] for z, _, _ in ends)
    same = [end for end in ends if look(end[0])[0] >= highest - SAME * abs(highest)]
    z, residual, price = min(same, key=lambda end: end[1])
    gdp, radius, _, _, result = look(z)
    if throw:
        raise_at(jnp.asarray(gdp), jax.tree.map(jnp.ravel, result), plan.temperature[None])
        if not residual <= TOLERANCE:
            raise SolveError(
                f"The optimum was not found (the optimality conditions are missed by {residual:.1e}, perhaps at a kink of the "
                f"reading); take FactorLimited(), or throw=False for the last point."
            )
    after, cooler = plan.after(jnp.asarray(z, plan.base.A.dtype))
    numbers = (full * z[n] ** power * money, float(plan.coolest) * z[n])
    return Adaptation(
        spending=jnp.asarray(money * z[:n], plan.base.A.dtype),
        mitigation=jnp.asarray(numbers[0]),
        cooling=jnp.asarray(numbers[1]),
        gamma=after,
        temperature=cooler,
        gdp=jnp.asarray(gdp),
        gdp_before=jnp.asarray(nothing[0]),
        price=jnp.asarray(price / money),
        spectral_radius=jnp.asarray(radius),
        residual=float(residual),
        converged=bool(residual <= TOLERANCE),
    )


def _most_cooling(plan: _Plan, mitigation: Mitigation | None) -> float:
    if mitigation is None:
        return 0.0
    cost = mitigation.cost * float(plan.coolest) ** mitigation.exponent
    return 2.0 if cost >= float(plan.budget) * (1 - ACTIVE) else 1.0


def _starts(most: np.ndarray, full: float) -> list[np.ndarray]:
    """Return an even division of the budget, and, where there is a choice, all of it on the accounts or on less warming."""
    n = len(most) - 1
    starts = [np.minimum(most, 1 / (n + 1))]
    if full:
        starts += [np.append(np.minimum(most[:n], 1 / n), 0.0), np.append(np.zeros(n), min(most[n], 1.0))]
    return starts


def _climb(look, left, z, most, ceiling: float, steepest: float) -> tuple[np.ndarray, float, float]:
    """Return where the optimiser gets to, how far the optimality conditions are missed there, and the price of the budget."""
    start, residual, price, last = look(z)[0], np.inf, np.nan, np.inf
    for _ in range(ATTEMPTS):
        z = _sqp(
            lambda v: -(look(v)[0] - start) / steepest, lambda v: -look(v)[2] / steepest, look, left, z, most, ceiling
        )
        residual, price = _violation(look(z), left(z), z, most, ceiling, steepest)
        if residual <= TOLERANCE or residual > last / 2:
            break
        last = residual
    return z, residual, price


@eqx.filter_jit
def _look(plan: _Plan, z: Array):
    """Return GDP and the spectral radius at a plan, their gradients, and how it ended."""
    n, dtype = z.size - 1, plan.base.A.dtype

    def both(z: Array):
        gamma, T = plan.after(z)
        shares = by_account(plan.damage(T), n).astype(dtype)
        warmer = by_account(slopes(plan.damage, T)[1], n).astype(dtype)
        values, facts = evaluate(adapted(plan.base, gamma), plan.reading, {}, shares, warmer)
        outcome = jnp.stack([values.gdp, facts.spectral_radius])
        return outcome, (outcome, facts.result)

    gradient, (outcome, result) = jax.jacrev(both, has_aux=True)(z)
    return outcome, gradient, result


def _constraints(look, left, ceiling: float) -> list[dict]:
    return [
        {"type": "ineq", "fun": lambda v: left(v)[0], "jac": lambda v: left(v)[1]},
        {"type": "ineq", "fun": lambda v: ceiling - look(v)[1], "jac": lambda v: -look(v)[3]},
    ]


def _sqp(value, gradient, look, left, z, most, ceiling: float | None) -> np.ndarray:
    constraints = _constraints(look, left, 1.0 if ceiling is None else ceiling)
    found = scipy.optimize.minimize(
        value,
        z,
        jac=gradient,
        method="SLSQP",
        bounds=list(zip(np.zeros_like(most), most, strict=True)),
        constraints=constraints[:1] if ceiling is None else constraints,
        options={"ftol": 1e-14, "maxiter": 500},
    )
    x = np.clip(found.x, 0, most)
    return np.where(x <= ACTIVE, 0, x)


def _safe(look, left, starts, most, ceiling: float) -> list[np.ndarray]:
    """Return the plans that keep the economy from collapse; of the others, what the smallest spectral radius near them has."""
    safe, least = [], np.inf
    for z in starts:
        if not look(z)[1] < ceiling:
            z = _sqp(lambda v: look(v)[1], lambda v: look(v)[3], look, left, z, most, None)
        least = min(least, look(z)[1])
        if look(z)[1] < ceiling:
            safe.append(z)
    if not safe:
        known = f" (the least found is {least:.4g})" if least < NOWHERE else ""
        raise SolveError(
            f"No spending within the budget was found that keeps the spectral radius below {ceiling:g}{known}; "
            f"give a larger budget, a smaller margin, or a lower temperature."
        )
    return safe


def _violation(seen, left, z, most, ceiling: float, steepest: float) -> tuple[float, float]:
    """Return the largest violation of the optimality conditions, and the multiplier of the budget."""
    _, radius, slope, steeper, _ = seen
    room, out = left
    free = most > 0
    size = max(np.abs(slope[free]).max(), steepest)
    identity = np.eye(len(z))
    normals, kinds = [], []
    for i in np.flatnonzero(free):
        if z[i] <= ACTIVE:
            normals.append(-identity[i])
            kinds.append("bound")
        if z[i] >= most[i] - ACTIVE:
            normals.append(identity[i])
            kinds.append("bound")
    if room <= ACTIVE:
        normals.append(-out)
        kinds.append("budget")
    if radius >= ceiling - ACTIVE:
        normals.append(steeper)
        kinds.append("radius")
    if not normals:
        return float(np.abs(slope[free]).max() / size), 0.0
    multipliers, _ = scipy.optimize.nnls(np.stack(normals)[:, free].T, slope[free] / size)
    rest = slope[free] / size - multipliers @ np.stack(normals)[:, free]
    price = sum(m for m, kind in zip(multipliers, kinds, strict=True) if kind == "budget") * size
    return float(max(np.abs(rest).max(), -room, radius - ceiling)), float(price)
