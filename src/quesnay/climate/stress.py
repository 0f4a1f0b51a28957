"""`stress`: what an economy delivers at every temperature, and what the next tenth of a degree costs."""

from collections.abc import Mapping
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import concrete, floating, instance, require
from quesnay._errors import InputError, SolveError

from .collapse import GRID, first_collapse
from .damage import AbstractDamage, outside, slopes
from .evaluation import Facts, Values, evaluate
from .readings import AbstractReading, FactorLimited
from .setting import RESULTS, Base, Climate, by_account, climate, name_of, observed, sentence_of, temperatures_of
from .vulnerability import AbstractVulnerability

TENTH = 0.1


class Stress(eqx.Module):
    """An economy under warming; k temperatures, n accounts, money at the base's prices.

    Slopes are exact derivatives by temperature, in the direction of warming; at a kink the slope on the cooler side differs.

    Attributes
    ----------
    temperatures:
        T (k,), degrees C.
    damage:
        D(T) by account (k, n).
    output, final_demand:
        x and y (k, n).
    value_added:
        `(1 - 1'A(T))_j x_j` (k, n), by account, inputs and output at the base's prices (double deflation); adds up to gdp.
        The sum over the accounts of a region is the region's.
    gdp:
        `1'y` (k,), final demand delivered. With imported inputs in the table it is GDP and these imports.
    factor:
        `l(T)'x` (k,), factor used (with `ResourceRequirement`, needed).
    slope, slope_left:
        dGDP/dT (k,) on the warmer and on the cooler side.
    kink:
        Where the two differ (k,).
    slope_by_damage:
        What the damage in each column contributes to the slope (k, n); adds up to it.
    value_added_slope, output_slope:
        Derivatives (k, n) of value_added and output.
    factor_slope:
        Derivative (k,) of factor.
    per_tenth:
        `GDP(T) - GDP(T + 0.1)` (k,), the cost of the next tenth of a degree.
    outcomes, outcome_slopes:
        `r'x` (k,) for every intensity r by name, and its derivative.
    spectral_radius:
        rho(A(T)) (k,); inf where damage leaves no technology.
    bottleneck:
        Account that limits (k,), or -1.
    feasible:
        Whether nothing would have to be delivered in negative amounts (k,).
    outside:
        Whether T lies outside the domain of the damage function (k,).
    base_gdp:
        GDP at the reference.
    result:
        How each temperature ended (k,), of `climate.RESULTS`. Where the economy has collapsed, the readings that need L
        deliver 0, with slope 0; where damage leaves no technology, all of them do.
    source, warning:
        Citation of the damage function, and what has to be known about it.
    reading:
        Name of the reading's class.
    """

    temperatures: Float[Array, " k"]
    damage: Float[Array, "k n"]
    output: Float[Array, "k n"]
    final_demand: Float[Array, "k n"]
    value_added: Float[Array, "k n"]
    gdp: Float[Array, " k"]
    factor: Float[Array, " k"]
    slope: Float[Array, " k"]
    slope_left: Float[Array, " k"]
    kink: Bool[Array, " k"]
    slope_by_damage: Float[Array, "k n"]
    value_added_slope: Float[Array, "k n"]
    output_slope: Float[Array, "k n"]
    factor_slope: Float[Array, " k"]
    per_tenth: Float[Array, " k"]
    outcomes: dict[str, Float[Array, " k"]]
    outcome_slopes: dict[str, Float[Array, " k"]]
    spectral_radius: Float[Array, " k"]
    bottleneck: Int[Array, " k"]
    feasible: Bool[Array, " k"]
    outside: Bool[Array, " k"]
    base_gdp: Float[Array, ""]
    result: RESULTS
    source: str = eqx.field(static=True)
    warning: str = eqx.field(static=True)
    reading: str = eqx.field(static=True)

    @property
    def loss(self) -> Float[Array, " k"]:
        """Share of the base's GDP lost (k,)."""
        return 1 - self.gdp / self.base_gdp

    @property
    def margin(self) -> Float[Array, " k"]:
        """`1 - rho(A(T))` (k,), the distance to the collapse."""
        return 1 - self.spectral_radius

    def __repr__(self) -> str:
        if not concrete(self.gdp) or self.gdp.ndim != 1:
            return eqx.tree_pformat(self)
        plural = "" if self.gdp.size == 1 else "s"
        what = f"{self.output.shape[1]:,} accounts by {self.reading}, {self.gdp.size} temperature{plural}"
        lines = [
            f"Stress of {what}; base GDP {self.base_gdp:,.6g}, money as in d",
            f"{'T, °C':>6} {'GDP':>14} {'loss':>8} {'dGDP per °C':>14} {'next 0.1 °C':>12} {'radius':>7}",
        ]
        for k in _shown(self.gdp.size):
            if k is None:
                lines.append(f"{'...':>6}")
                continue
            ended = name_of(self.result, k)
            notes = (
                [ended] * (ended != "successful")
                + ["kink"] * bool(self.kink[k])
                + ["outside the damage function's domain"] * bool(self.outside[k])
            )
            lines.append(
                f"{float(self.temperatures[k]):>6.2f} {float(self.gdp[k]):>14,.6g} {float(self.loss[k]):>8.2%} "
                f"{float(self.slope[k]):>14,.5g} {float(self.per_tenth[k]):>12,.4g} {float(self.spectral_radius[k]):>7.3f}"
                + (f"  {'; '.join(notes)}" if notes else "")
            )
        lines += [f"Damage: {self.source}"] + [f"Warning: {self.warning}"] * bool(self.warning)
        return "\n".join(lines)

    def attributes(self) -> Mapping[str, str]:
        """Return what `economy.label` adds to the attributes of the dataset."""
        return {"damage": self.source, "reading": self.reading} | ({"warning": self.warning} if self.warning else {})

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        t, ta = ("temperature",), ("temperature", "account")
        money, rate = "{currency}", "{currency} per degree C"
        named = {
            "temperature": (t, self.temperatures, "degree C", "warming above 1850-1900"),
            "damage": (ta, self.damage, "1", "damage"),
            "output": (ta, self.output, money, "output"),
            "final_demand": (ta, self.final_demand, money, "final demand delivered"),
            "value_added": (ta, self.value_added, money, "value added at base prices"),
            "gdp": (t, self.gdp, money, "final demand delivered, in all"),
            "loss": (t, self.loss, "1", "share of GDP lost"),
            "slope": (t, self.slope, rate, "change of GDP per degree of warming"),
            "slope_left": (t, self.slope_left, rate, "the same on the cooler side"),
            "kink": (t, self.kink, "", "whether the two differ"),
            "slope_by_damage": (
                ta,
                self.slope_by_damage,
                rate,
                "what damage to the account contributes to the slope of GDP",
            ),
            "value_added_slope": (ta, self.value_added_slope, rate, "change of value added per degree of warming"),
            "output_slope": (ta, self.output_slope, rate, "change of output per degree of warming"),
            "per_tenth": (t, self.per_tenth, money, "cost of the next tenth of a degree"),
            "factor": (t, self.factor, "", "factor used"),
            "factor_slope": (t, self.factor_slope, "", "change of factor per degree of warming"),
            "spectral_radius": (t, self.spectral_radius, "1", "spectral radius of A(T)"),
            "margin": (t, self.margin, "1", "distance of the spectral radius to 1"),
            "bottleneck": (t, self.bottleneck, "{account}", "account that limits"),
            "feasible": (t, self.feasible, "", "whether no delivery is negative"),
            "outside": (t, self.outside, "", "whether outside of the damage function's domain"),
        }
        for name, values in self.outcomes.items():
            named[name] = (t, values, "", name)
            named[f"{name}_slope"] = (t, self.outcome_slopes[name], "", f"change of {name} per degree of warming")
        return named


def stress(
    A: ArrayLike,
    d: ArrayLike,
    damage: AbstractDamage,
    *,
    temperatures: ArrayLike,
    gamma: ArrayLike | None = None,
    vulnerability: AbstractVulnerability | None = None,
    reference: ArrayLike | None = None,
    reading: AbstractReading | None = None,
    labour: ArrayLike | None = None,
    intensities: Mapping[str, ArrayLike] | None = None,
    throw: bool = True,
) -> Stress:
    """Return what an economy delivers at every temperature, with exact slopes.

    ```
    A(T) = A diag((1 + gamma D(T)) / (1 + gamma D_ref))        InputRequirement
    ```

    and a reading says what the economy makes with A(T): by default `FactorLimited`,
    `GDP = 1'd l'x0 / (l'L(T) d)` with `d ln GDP / dT = -l'L (dA/dT) x / (l'x)`.

    Parameters
    ----------
    A:
        Technical coefficients (n, n), at least 0, rows supply and columns use, as observed at the reference.
    d:
        Final demand (n,) met at the reference, in currency, at least 0.
    damage:
        D(T), such as `Sigmoid(steepness=2.5, threshold=2.0)`; one share for all columns, or (n,) of them.
    temperatures:
        T (k,), degrees C above 1850-1900.
    gamma:
        Vulnerability, scalar or (n,) by column, for `InputRequirement`; 1 by default.
    vulnerability:
        Instead of gamma: `InputRequirement(gamma)` or `Productivity(gamma)`.
    reference:
        Temperature at which the table was observed, whose damage is in it already. None: damage counts from zero.
    reading:
        `FactorLimited()` (default), `FixedCapacity()`, `Bottleneck()`, `LinearProgramme()` or `ResourceRequirement()`.
    labour:
        l (n,), factor per unit of output; by default value added per unit `1 - 1'A`, so that factor income is GDP.
    intensities:
        Outcomes per unit of output (n,) by name, such as `{"jobs": economy.intensity("jobs")}`.
    throw:
        Raise where a temperature has no answer; with False the codes are in `result`.

    Raises
    ------
    InputError
        Shapes, signs or numbers that do not fit, or a damage that leaves no technology at the reference.
    SolveError
        A is not productive at the reference; a temperature at which the economy has collapsed, cannot deliver
        (`FixedCapacity`), or has no technology.

    References
    ----------
    Leontief (1936); Hulten (1978); the readings have their own.
    """
    reading = FactorLimited() if reading is None else reading
    instance(reading, AbstractReading, "reading", "a reading such as FactorLimited()")
    setting = climate(A, damage, gamma, vulnerability, reference)
    base = observed(setting, d, labour)
    start = jnp.asarray(damage.domain[0] if reference is None else reference, jnp.result_type(float))
    weights = _intensities(intensities, base)
    T = temperatures_of(temperatures)
    found = _stress(base, damage, reading, weights, T, setting.radius)
    return _raise(found, setting, start) if throw else found


def _intensities(given: Mapping[str, ArrayLike] | None, base: Base) -> dict[str, Array]:
    weights = {}
    if given is None:
        return weights
    instance(given, Mapping, "intensities", 'outcomes per unit of output by name, such as {"jobs": r}')
    for name, value in given.items():
        taken = (str(name), f"{name}_slope")
        if any(own in Stress.__annotations__ or own in ("temperature", "loss", "margin") for own in taken):
            raise InputError(f"intensities has {name!r}, which is the name of a result of its own; take another name.")
        r = floating(value, f"intensities[{name!r}]")
        if r.shape != base.output.shape:
            raise InputError(
                f"intensities[{name!r}] has shape {r.shape}; give one number per unit of output, {base.output.shape}."
            )
        require(np.isfinite, f"intensities[{name!r}] has an entry that is not finite.", r)
        weights[str(name)] = r.astype(base.A.dtype)
    return weights


class Case(NamedTuple):
    """A damage (n,), the direction in which its derivatives are wanted, and the side of a kink on which."""

    damage: Array
    direction: Array
    towards: Array


@eqx.filter_jit
def _stress(
    base: Base,
    damage: AbstractDamage,
    reading: AbstractReading,
    weights: dict[str, Array],
    T: Array,
    radius: Array,
) -> Stress:
    n, dtype = base.output.size, base.output.dtype

    def solve(case: Case) -> tuple[Values, Values, Array, Facts]:
        values, push, facts = jax.linearize(
            lambda shares: evaluate(base, reading, weights, shares, case.towards), case.damage, has_aux=True
        )
        pull = jax.linear_transpose(push, case.damage)
        zero = jax.tree.map(jnp.zeros_like, values)
        (gradient,) = pull(zero._replace(gdp=jnp.ones_like(values.gdp)))
        return values, push(case.direction), gradient, facts

    def cases(t: Array) -> Case:
        left, right = slopes(damage, t)
        now, later, cooler, warmer = (
            by_account(value, n).astype(dtype) for value in (damage(t), damage(t + TENTH), left, right)
        )
        still = jnp.zeros_like(now)
        return Case(
            jnp.stack([now, now, later]), jnp.stack([warmer, cooler, still]), jnp.stack([warmer, -cooler, still])
        )

    # One after the other: a table of some thousand accounts has its factors in memory once.
    given = jax.vmap(cases)(T)
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, n), given)
    solved = jax.tree.map(lambda leaf: leaf.reshape(T.size, 3, *leaf.shape[1:]), jax.lax.map(solve, flat))
    values, tangents, gradient, facts = solved
    now, slope = (jax.tree.map(lambda leaf: leaf[:, 0], tree) for tree in (values, tangents))
    slope_left, by_damage = tangents.gdp[:, 1], gradient[:, 0] * given.direction[:, 0]
    size = jnp.sum(jnp.abs(gradient[:, :2] * given.direction[:, :2]), axis=(1, 2))
    kink = jnp.abs(slope.gdp - slope_left) > float(jnp.finfo(dtype).eps) ** 0.5 * size
    facts = jax.tree.map(lambda leaf: leaf[:, 0], facts)
    result = RESULTS.where(radius < 1, facts.result, RESULTS.unproductive)  # pyright: ignore[reportArgumentType]
    return Stress(
        temperatures=T,
        damage=given.damage[:, 0],
        output=now.output,
        final_demand=now.final_demand,
        value_added=now.value_added,
        gdp=now.gdp,
        factor=now.factor,
        slope=slope.gdp,
        slope_left=slope_left,
        kink=kink,
        slope_by_damage=by_damage,
        value_added_slope=slope.value_added,
        output_slope=slope.output,
        factor_slope=slope.factor,
        per_tenth=now.gdp - values.gdp[:, 2],
        outcomes=now.outcomes,
        outcome_slopes=slope.outcomes,
        spectral_radius=facts.spectral_radius,
        bottleneck=facts.bottleneck,
        feasible=facts.feasible,
        outside=outside(damage, T),
        base_gdp=jnp.sum(base.final_demand),
        result=result,
        source=damage.source,
        warning=damage.warning,
        reading=type(reading).__name__,
    )


def _shown(size: int) -> list[int | None]:
    return [*range(size)] if size <= 14 else [*range(7), None, *range(size - 6, size)]


def _raise(found: Stress, setting: Climate, start: Array) -> Stress:
    if not concrete(found.result._value):  # pyright: ignore[reportAttributeAccessIssue]
        arrays, rest = eqx.partition(found, eqx.is_array)
        failed = found.result != RESULTS.successful
        return eqx.combine(found.result.error_if(arrays, failed), rest)  # pyright: ignore[reportAttributeAccessIssue]
    for k in range(found.temperatures.size):
        name = name_of(found.result, k)
        if name != "successful":
            raise SolveError(_sentence(found, k, name, setting, start))
    return found


def _sentence(found: Stress, k: int, name: str, setting: Climate, start: Array) -> str:
    at = f"At {float(found.temperatures[k]):g} degrees C"
    if name == "collapsed":
        T = float(first_collapse(setting, jnp.maximum(start, GRID[0])).temperature)
        radius = float(found.spectral_radius[k])
        return (
            f"{at} the damaged economy cannot sustain itself (spectral radius {radius:.4g}; it collapses at {T:.4g} degrees); "
            f"take temperatures below that or a smaller gamma, or throw=False for what is left."
        )
    if name == "infeasible":
        i = int(found.bottleneck[k])
        return (
            f"{at} account {i} would have to deliver {float(found.final_demand[k, i]):,.4g} to final demand, less than "
            f"nothing; take lower temperatures, a smaller gamma, or a reading that moves resources (FactorLimited, "
            f"LinearProgramme), or throw=False for the values with their sign."
        )
    return f"{at}: {sentence_of(found.result, k)}"
