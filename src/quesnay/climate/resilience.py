"""Which vulnerability to reduce first."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import concrete, floating, instance, require
from quesnay._errors import InputError, SolveError

from .damage import AbstractDamage, slopes
from .evaluation import evaluate
from .readings import AbstractReading, FactorLimited
from .setting import RESULTS, Base, by_account, climate, name_of, observed, sentence_of, temperatures_of
from .vulnerability import AbstractVulnerability, Adapted


class Resilience(eqx.Module):
    """What less vulnerability is worth, account by account.

    Attributes
    ----------
    gdp:
        The weighted GDP of the temperatures.
    gain:
        `-d gdp / d gamma_j` (n,), what a unit of gamma less in account j adds to it.
    per_cost:
        `gain_j / c_j` (n,), GDP per unit of cost.
    order:
        Accounts from the largest to the smallest gain per cost (n,).
    """

    gdp: Float[Array, ""]
    gain: Float[Array, " n"]
    per_cost: Float[Array, " n"]
    order: Int[Array, " n"]

    def __repr__(self) -> str:
        if not concrete(self.gdp, self.order) or self.gdp.ndim:
            return eqx.tree_pformat(self)
        first = [int(k) for k in self.order[:3]]
        said = ", ".join(f"account {k} ({float(self.per_cost[k]):,.4g})" for k in first)
        return (
            f"Resilience of {self.order.size:,} accounts, GDP {float(self.gdp):,.6g}: a unit of gamma less adds most, per unit "
            f"of cost, in {said}"
        )

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        return {
            "gdp": ((), self.gdp, "{currency}", "weighted GDP"),
            "gain": (("account",), self.gain, "{currency}", "GDP gained per unit of gamma less"),
            "per_cost": (("account",), self.per_cost, "1", "GDP gained per unit of cost"),
            "order": (("rank",), self.order, "{account}", "accounts by gain per cost"),
        }


def resilience(
    A: ArrayLike,
    d: ArrayLike,
    damage: AbstractDamage,
    *,
    temperatures: ArrayLike,
    weights: ArrayLike | None = None,
    cost: ArrayLike = 1.0,
    gamma: ArrayLike | None = None,
    vulnerability: AbstractVulnerability | None = None,
    reference: ArrayLike | None = None,
    reading: AbstractReading | None = None,
    labour: ArrayLike | None = None,
) -> Resilience:
    """Return the gradient of GDP by the vulnerability of every account, per unit of cost, and the accounts in that order.

    ```
    gain_j = -d/d gamma_j sum over k of w_k GDP(T_k),    per_cost_j = gain_j / c_j
    ```

    gamma changes from now on (`Adapted`): what was observed stays observed, and less gamma also undoes some of the damage that
    is in the table. It is the gain of the first step; `adapt` spends a budget.

    Parameters
    ----------
    A, d, damage, gamma, vulnerability, reference, reading, labour:
        As for `stress`. At a kink of the reading, the derivative is that of the warmer side.
    temperatures:
        T (k,), degrees C, or one.
    weights:
        w (k,), such as probabilities; all `1 / k` by default.
    cost:
        c, currency per unit of gamma removed, scalar or (n,), above 0.

    Raises
    ------
    InputError
        Shapes, signs or numbers that do not fit.
    SolveError
        As for `stress`.
    """
    reading = FactorLimited() if reading is None else reading
    instance(reading, AbstractReading, "reading", "a reading such as FactorLimited()")
    setting = climate(A, damage, gamma, vulnerability, reference)
    base = observed(setting, d, labour)
    T = temperatures_of(temperatures)
    w = jnp.full(T.size, 1 / T.size) if weights is None else floating(weights, "weights")
    if w.shape != T.shape:
        raise InputError(f"weights has shape {w.shape}; give one per temperature, {T.shape}.")
    require(np.isfinite, "weights has an entry that is not finite.", w)
    price = positive_by_account("cost", cost, base)
    gdp, gain, result = _gain(base, damage, reading, T, w.astype(base.A.dtype))
    gdp = raise_at(gdp, result, T)
    return Resilience(gdp, gain, gain / price, jnp.argsort(-gain / price))


def positive_by_account(name: str, value: ArrayLike, base: Base) -> Array:
    """Return numbers above 0, one per account, or raise `InputError`."""
    array = floating(value, name)
    if array.shape not in ((), base.output.shape):
        raise InputError(f"{name} has shape {array.shape}; give one number, or one per account, {base.output.shape}.")
    require(lambda v: (v > 0) & np.isfinite(v), f"{name} has an entry that is not a number above 0.", array)
    return jnp.broadcast_to(array, base.output.shape).astype(base.A.dtype)


def raise_at(value: Array, result: RESULTS, temperatures: Array) -> Array:
    """Return `value`, or raise `SolveError` with the first temperature that has no answer."""
    codes = result._value  # pyright: ignore[reportAttributeAccessIssue]
    if not concrete(codes):
        return result.error_if(value, result != RESULTS.successful)  # pyright: ignore[reportAttributeAccessIssue]
    for k in range(temperatures.size):
        if name_of(result, k) != "successful":
            raise SolveError(f"At {float(temperatures[k]):g} degrees C: {sentence_of(result, k)}")
    return value


def adapted(base: Base, gamma: Array) -> Base:
    """Return the base with another gamma from now on."""
    return eqx.tree_at(lambda b: b.vulnerability, base, Adapted(base.vulnerability, gamma))


@eqx.filter_jit
def _gain(base: Base, damage: AbstractDamage, reading: AbstractReading, T: Array, w: Array):
    n, dtype = base.output.size, base.A.dtype

    def at(t: Array):
        shares, warmer = (by_account(value, n).astype(dtype) for value in (damage(t), slopes(damage, t)[1]))

        def gdp(gamma: Array):
            values, facts = evaluate(adapted(base, gamma), reading, {}, shares, warmer)
            return values.gdp, facts.result

        gamma = jnp.broadcast_to(base.vulnerability.gamma, (n,))
        (value, result), gradient = jax.value_and_grad(gdp, has_aux=True)(gamma)
        return value, -gradient, result

    gdp, gain, result = jax.lax.map(at, T)
    return w @ gdp, w @ gain, result
