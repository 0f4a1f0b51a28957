"""`collapse`: the temperature at which a damaged economy can no longer sustain itself."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike

from quesnay._checks import concrete

from .damage import AbstractDamage, ByAccount, outside
from .perron import perron, spectral_radius
from .setting import Climate, by_account, climate
from .tables import Tabulated
from .vulnerability import AbstractVulnerability

# Where climate science is at work in steps of 1/16 of a degree, and beyond that ever more widely.
GRID = np.concatenate([np.linspace(-100, -5, 40)[:-1], np.arange(-5, 16, 1 / 16), 16 * 2 ** (np.arange(0, 49) / 8)])
"""Temperatures between which the first crossing is looked for, from -100 to 1024 degrees C."""


class Collapse(eqx.Module):
    """Where the spectral radius of A(T) reaches 1: beyond it, no output meets any demand for what circulates.

    Attributes
    ----------
    temperature:
        T*, degrees C; inf where the damage function never gets there, -inf where it is there at the lowest temperature already.
        Exact derivatives by every argument; 0 where T* is infinite.
    damage:
        D*, the damage that does it, above 1 where no share could; None where accounts have damage functions of their own.
    spectral_radius:
        That of A at the reference.
    shares:
        Of each account in what circulates at T* (n,), at the reference where there is none: the elasticity `u_j v_j / (u'v)`
        of the spectral radius by the inputs of account j, with the left and right eigenvectors; adds up to 1.
    outside:
        Whether T* lies outside the domain of the damage function.
    """

    temperature: Float[Array, ""]
    damage: Float[Array, ""] | None
    spectral_radius: Float[Array, ""]
    shares: Float[Array, " n"]
    outside: Bool[Array, ""]

    def __repr__(self) -> str:
        if not concrete(self.temperature) or self.temperature.ndim:
            return eqx.tree_pformat(self)
        at, damage = float(self.temperature), "" if self.damage is None else f"{float(self.damage):.3g}"
        if at == np.inf:
            said = "No collapse" + (f" (it takes damage of {damage})" if damage else "")
        else:
            far = ", outside the damage function's domain" if bool(self.outside) else ""
            said = f"Collapse at {at:.2f} degrees C" + (f", where damage is {damage}" if damage else "") + far
        return f"{said}; spectral radius {float(self.spectral_radius):.3f} at the reference"

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        named = {
            "temperature": ((), self.temperature, "degree C", "temperature of the collapse"),
            "spectral_radius": ((), self.spectral_radius, "1", "spectral radius at the reference"),
            "shares": (("account",), self.shares, "1", "share in what circulates"),
            "outside": ((), self.outside, "", "whether outside of the damage function's domain"),
        }
        if self.damage is not None:
            named["damage"] = ((), self.damage, "1", "damage at the collapse")
        return named


def collapse(
    A: ArrayLike,
    damage: AbstractDamage,
    *,
    gamma: ArrayLike | None = None,
    vulnerability: AbstractVulnerability | None = None,
    reference: ArrayLike | None = None,
) -> Collapse:
    """Return the lowest temperature, above the reference, at which the spectral radius of A(T) is 1.

    ```
    T* = min {T : D(T) = D*},    D* = 1 / rho((I - A C)^-1 A C diag(gamma)),    C = diag(1 / (1 + gamma D_ref))
    ```

    for `InputRequirement`; with one gamma, `D* = ((1 + gamma D_ref) / rho(A) - 1) / gamma`. For `Productivity`,
    `D* = 1 / rho((I - A C)^-1 diag(gamma))` with `C = diag(1 - gamma D_ref)`. Where accounts have damage functions of their own
    `rho(A(T)) = 1` is solved by temperature. The first crossing is bracketed on a grid of 1/16 of a degree up to 16 degrees C,
    wider beyond, with the temperatures of a damage table, and then bisected to rounding: a curve that crosses D* and returns
    within one step is not seen.

    Parameters
    ----------
    A:
        Technical coefficients (n, n), at least 0, as observed at the reference.
    damage:
        D(T), such as `Sigmoid(steepness=2.5, threshold=2.0)`.
    gamma:
        Vulnerability, scalar or (n,) by column, for `InputRequirement`; 1 by default.
    vulnerability:
        Instead of gamma: `InputRequirement(gamma)` or `Productivity(gamma)`.
    reference:
        Temperature at which the table was observed. None: damage counts from zero, and T* is looked for from the lowest
        temperature of the curve's domain on.

    Raises
    ------
    InputError
        Shapes, signs or numbers that do not fit.
    SolveError
        A is not productive at the reference.

    References
    ----------
    Hawkins and Simon (1949); Varga (2000), chapter 3, for the splitting that makes D* one eigenvalue; Magnus (1985) for its
    derivative.
    """
    setting = climate(A, damage, gamma, vulnerability, reference)
    lowest = damage.domain[0] if reference is None else reference
    return first_collapse(setting, jnp.maximum(jnp.asarray(lowest, jnp.result_type(float)), GRID[0]))


@eqx.filter_jit
def first_collapse(setting: Climate, start: Array) -> Collapse:
    """Return the first collapse from the temperature `start` on."""
    A, damage = setting.A, setting.damage
    single = jax.eval_shape(damage, start).ndim == 0
    critical = _inverse(spectral_radius(setting.vulnerability.amplification(A, setting.reference))) if single else None

    def radius(T: Array) -> Array:
        table, defined = _damaged(setting, T)
        return jnp.where(defined, spectral_radius(table), jnp.inf)

    turns = [jax.lax.stop_gradient(knots).astype(start.dtype) for knots in _knots(damage)]
    points = jnp.sort(jnp.maximum(jnp.concatenate([jnp.asarray(GRID, start.dtype), *turns]), start))
    # A curve that tends to D* without reaching it does so in the end by rounding.
    beyond = 1 + 8 * float(jnp.finfo(A.dtype).eps)
    above = jax.lax.map(radius, points) > beyond if critical is None else damage(points) > critical * beyond
    k = jnp.argmax(above)
    crosses = jnp.any(above) & ~above[0]
    lower, upper = jnp.where(crosses, points[k - 1], 0), jnp.where(crosses, points[k], 1)

    def excess(T: Array, _: None) -> Array:
        over = radius(T) - 1 if critical is None else damage(T) - critical
        # A curve that never gets there has no root; another one stands in, which leaves derivatives finite.
        return jnp.where(crosses, over, T - 0.5)

    tolerance = 2 * float(jnp.finfo(start.dtype).eps)
    root = optx.root_find(
        excess,
        optx.Bisection(tolerance, tolerance, flip=False),
        jax.lax.stop_gradient((lower + upper) / 2),
        options={"lower": jax.lax.stop_gradient(lower), "upper": jax.lax.stop_gradient(upper)},
        max_steps=200,
        throw=False,
    ).value
    temperature = jnp.where(crosses, root, jnp.where(above[0], -jnp.inf, jnp.inf))
    fixed = jax.lax.stop_gradient((setting, jnp.where(crosses, root, start)))
    return Collapse(
        temperature,
        critical,
        setting.radius,
        _circulating(*fixed),
        jnp.isfinite(temperature) & outside(damage, temperature),
    )


def _damaged(setting: Climate, T: Array) -> tuple[Array, Array]:
    """Return A(T), and whether damage leaves every account a technology; one that gains all of its inputs takes none."""
    means = setting.vulnerability
    shares = by_account(setting.damage(T), setting.A.shape[0]).astype(setting.A.dtype)
    admissible = means.admissible(shares)
    there = means.technology(setting.A, jnp.where(admissible, shares, setting.reference), setting.reference)
    return jnp.where(admissible, there.A, 0), jnp.all(admissible | (shares < 0))


def _circulating(setting: Climate, T: Array) -> Array:
    """Return the share of each account in what circulates at a temperature; it is not differentiated."""
    table, defined = _damaged(setting, T)
    _, u, v = perron(jnp.where(defined, table, setting.A))
    total = jnp.sum(u * v)
    return u * v / jnp.where(total > 0, total, 1)


def _knots(damage: AbstractDamage) -> list[Array]:
    """Return the temperatures of damage tables, where their curves turn."""
    if isinstance(damage, ByAccount):
        return [knots for curve in damage.curves for knots in _knots(curve)]
    return [damage.temperature] if isinstance(damage, Tabulated) else []


def _inverse(rho: Array) -> Array:
    """Return `1 / rho`, inf where nothing circulates."""
    some = rho > jnp.finfo(rho.dtype).eps
    return jnp.where(some, 1 / jnp.where(some, rho, 1), jnp.inf)
