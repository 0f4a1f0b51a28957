"""What an economy delivers with a damaged technology: four closed forms (the fifth is in `linear_programme`)."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .setting import Base
from .vulnerability import Technology

TIE = 1024
"""Accounts whose capacities bind within this many units of rounding bind together."""


class Delivery(eqx.Module):
    """What is produced and delivered at one temperature.

    Attributes
    ----------
    output:
        x (n,).
    final_demand:
        y (n,).
    bottleneck:
        Account that limits, or -1.
    feasible:
        Whether nothing is delivered in negative amounts.
    solved:
        Whether the reading's own solve succeeded.
    """

    output: Float[Array, " n"]
    final_demand: Float[Array, " n"]
    bottleneck: Int[Array, ""]
    feasible: Bool[Array, ""]
    solved: Bool[Array, ""]


class AbstractReading(eqx.Module):
    """What limits the economy when damage raises the inputs that it needs."""

    @abc.abstractmethod
    def __call__(
        self, technology: Technology, towards: Technology, base: Base, productive: Bool[Array, ""]
    ) -> Delivery:
        """Return what is produced and delivered.

        `towards` is the direction in which the technology is about to change: where several accounts bind at once, the ones
        that go on binding that way are chosen, so that derivatives are those of that side. Where the technology is not
        `productive`, final demand is 0.
        """


class FactorLimited(AbstractReading):
    """The factor is fixed and moves freely: what needs more inputs leaves less for final use, in unchanged proportions.

    ```
    y = s d,    s = l'x0 / (l(T)' L(T) d),    x = L(T) y
    d ln GDP / dT = -p' (dA/dT) x / (l'x),    p' = l'L
    ```

    plus `-(dl/dT)' x / (l'x)` where labour per unit changes too. To first order the loss is the sum over accounts of the cost
    of the additional inputs as a share of GDP (Hulten's theorem). At the collapse `s` reaches 0 and stays there.

    References
    ----------
    Hulten (1978); ten Raa (2005), chapter 7, for the level of a fixed bundle that resources permit.
    """

    def __call__(self, technology, towards, base, productive):
        bundle = _outputs(technology, base.final_demand, productive)
        level = base.factor / ((base.labour * technology.effort) @ bundle)
        return _delivered(level, bundle, base, productive, -1)


class FixedCapacity(AbstractReading):
    """Nothing moves: every account produces with the factor that it has, and final demand takes what is left.

    ```
    x = x0 / f,    y = x - A(T) x,    GDP = 1'y
    ```

    with f the factor needed per unit as a multiple of the base: 1 for `InputRequirement`, so that `x = x0`. Where an entry of
    y is below 0 the economy cannot deliver, and the temperature is infeasible.
    """

    def __call__(self, technology, towards, base, productive):
        x = base.output / technology.effort
        used = technology.A @ x
        y = x - used
        rounding = TIE * float(jnp.finfo(y.dtype).eps) * (x + used)
        short = y < -rounding
        relative = y / jnp.where(x + used > 0, x + used, 1)
        feasible = ~jnp.any(short)
        return Delivery(x, y, jnp.where(feasible, -1, jnp.argmin(relative)), feasible, jnp.asarray(True))


class Bottleneck(AbstractReading):
    """No account can make more than it did, and final demand keeps its proportions: the scarcest account sets the level.

    ```
    y = s d,    s = min over i of (x0_i / f_i) / (L(T) d)_i,    x = L(T) y
    ```

    with f as for `FixedCapacity`. GDP has a kink where the scarcest account changes; at the reference all of them bind.
    """

    def __call__(self, technology, towards, base, productive):
        def levels(t: Technology) -> Array:
            bundle = _outputs(t, base.final_demand, productive)
            needed = bundle > 0
            return jnp.where(needed, base.output / (t.effort * jnp.where(needed, bundle, 1)), jnp.inf)

        level, change = jax.jvp(levels, (technology,), (towards,))
        known = jax.lax.stop_gradient(level)
        tied = known <= jnp.min(known) * (1 + TIE * float(jnp.finfo(known.dtype).eps))
        scarcest = jnp.argmin(jnp.where(tied, jax.lax.stop_gradient(change), jnp.inf))
        bundle = _outputs(technology, base.final_demand, productive)
        return _delivered(level[scarcest], bundle, base, productive, scarcest)


class ResourceRequirement(AbstractReading):
    """Final demand is met, whatever it takes: `x = L(T) d`. A requirement, not a forecast.

    ```
    x = L(T) d,    y = d,    GDP = 1'd at every temperature,    factor needed = l(T)'x
    ```

    Output rises with damage, and `factor` beside what there is says whether it could be made. At the collapse it grows beyond
    all bounds; from there on the output is inf and nothing is delivered.
    """

    def __call__(self, technology, towards, base, productive):
        x = jnp.where(productive, _outputs(technology, base.final_demand, productive), jnp.inf)
        y = jnp.where(productive, base.final_demand, 0)
        return Delivery(x, y, jnp.asarray(-1), jnp.asarray(True), jnp.asarray(True))


def _outputs(technology: Technology, demand: Array, productive: Array) -> Array:
    """Return L d, or d itself where there is no L."""
    A = jnp.where(productive, technology.A, 0)
    return jnp.linalg.solve(jnp.eye(demand.size, dtype=A.dtype) - A, demand)


def _delivered(level: Array, bundle: Array, base: Base, productive: Array, bottleneck: Array | int) -> Delivery:
    level = jnp.where(productive, level, 0)
    at = jnp.where(productive, bottleneck, -1)
    return Delivery(level * bundle, level * base.final_demand, at, jnp.asarray(True), jnp.asarray(True))
