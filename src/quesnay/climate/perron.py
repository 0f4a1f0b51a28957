"""The spectral radius of a table with its eigenvectors, and its derivatives."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

STEPS = 1000
"""Products with the table before it is squared instead."""
SQUARINGS = 60
"""2^60 rounds of production tell any two spectral radii apart that double precision can."""

ROUNDS, LARGEST = 60, 60
"""Rounds of balancing, and the largest change of a unit, as a power of 2."""


@jax.custom_jvp
@jax.jit
def perron(
    A: Float[Array, "n n"],
) -> tuple[Float[Array, ""], Float[Array, " n"], Float[Array, " n"]]:
    """Return the spectral radius rho of A >= 0 with `u' A = rho u'` and `A v = rho v`, each of u and v adding up to 1.

    The accounts are first brought to units in which they sell about as much as they buy, which changes no eigenvalue. Then the
    power method on `A + c I` (primitive where A is irreducible, periodic or not). Where it does not converge, as for
    several blocks of nearly the same radius, only entries between accounts that supply each other in circles are kept, which
    changes no eigenvalue, and A + c I is squared until the powers have converged; u and v are then those of one circle with
    that radius alone. `d rho = u' dA v / (u' v)`; the derivatives of u and v, which second derivatives need, solve the bordered
    system.

    References
    ----------
    Horn and Johnson (2013), chapter 8; Magnus (1985) for the derivatives.
    """
    n, eps = A.shape[-1], float(jnp.finfo(A.dtype).eps)
    identity = jnp.eye(n, dtype=A.dtype)
    unit = _units(A)
    A = A * (unit / unit[:, None])
    shift = jnp.max(jnp.sum(A, axis=0)) / 8
    shift = jnp.where(shift > 0, shift, 1)
    M = A + shift * identity
    tolerance = 4 * eps * (4 + n**0.5)

    def moving(at):
        _, _, residual, step = at
        return (residual > tolerance) & (step < STEPS)

    def advance(at):
        u, v, _, step = at
        left, right = u @ M, M @ v
        ru, rv = jnp.sum(left), jnp.sum(right)
        residual = jnp.maximum(jnp.sum(jnp.abs(left / ru - u)), jnp.sum(jnp.abs(right / rv - v)))
        return left / ru, right / rv, residual, step + 1

    even = jnp.full(n, 1 / n, A.dtype)
    u, v, residual, _ = jax.lax.while_loop(moving, advance, (even, even, jnp.asarray(jnp.inf, A.dtype), 0))
    closed = residual <= tolerance

    def square(at):
        power, logarithm, weight, step = at
        power = power @ power
        size = jnp.max(jnp.sum(power, axis=0))
        return power / size, logarithm + weight / 2 * jnp.log(size), weight / 2, step + 1

    def extend(at):
        reach, step = at
        return jnp.minimum(reach @ reach, 1), step + 1

    linked = (A > 0).astype(A.dtype) + identity
    reach, _ = jax.lax.while_loop(
        lambda at: ~closed & (at[1] < (n - 1).bit_length()), extend, (jnp.minimum(linked, 1), 0)
    )
    circles = (reach > 0) & (reach.T > 0)
    M = jnp.where(closed | circles, M, 0)
    size = jnp.max(jnp.sum(M, axis=0))
    start = (M / size, jnp.log(size), jnp.asarray(1.0, A.dtype), 0)
    power, logarithm, _, _ = jax.lax.while_loop(lambda at: ~closed & (at[3] < SQUARINGS), square, start)
    left, right = jnp.sum(power, axis=0), jnp.sum(power, axis=1)
    circle = circles[jnp.argmax(left * right)]
    left, right = jnp.where(circle, left, 0), jnp.where(circle, right, 0)
    u, v = jnp.where(closed, u, left / jnp.sum(left)), jnp.where(closed, v, right / jnp.sum(right))
    rayleigh = u @ (M @ v) / jnp.where(closed, u @ v, 1)
    rho = jnp.where(closed, rayleigh, jnp.exp(logarithm)) - shift
    u, v = u / unit, v * unit
    return jnp.maximum(rho, 0), u / jnp.sum(u), v / jnp.sum(v)


def _units(A: Array) -> Array:
    """Return units of the accounts, powers of 2, in which rows and columns without their diagonal add up to about the same.

    So that nothing depends on the units that the accounts come in. Rounds of Osborne's (1960) balancing for all accounts at
    once, half as far as each alone would go, for otherwise two accounts that only supply each other would change places.
    """
    between = jnp.abs(A) * (1 - jnp.eye(A.shape[-1], dtype=A.dtype))

    def uneven(at):
        _, step, size = at
        return (size > 1) & (step < ROUNDS)

    def balance(at):
        power, step, _ = at
        unit = jnp.exp2(jnp.round(power))
        now = between * (unit / unit[:, None])
        row, column = jnp.log2(jnp.sum(now, axis=1)), jnp.log2(jnp.sum(now, axis=0))
        both, one = jnp.isfinite(row) & jnp.isfinite(column), jnp.isfinite(row) | jnp.isfinite(column)
        # Accounts that only sell or only buy are in no circle; they are brought to the size of the others.
        typical = jnp.sum(jnp.where(both, row + column, 0)) / jnp.maximum(2 * jnp.sum(both), 1)
        row, column = (jnp.where(jnp.isfinite(side), side, typical) for side in (row, column))
        ratio = jnp.where(one & jnp.any(both), row - column, 0)
        return jnp.clip(power + ratio / 4, -LARGEST, LARGEST), step + 1, jnp.max(jnp.abs(ratio))

    start = jnp.zeros(A.shape[-1], A.dtype), 0, jnp.asarray(jnp.inf, A.dtype)
    return jnp.exp2(jnp.round(jax.lax.while_loop(uneven, balance, start)[0]))


@perron.defjvp
def _perron_jvp(primals, tangents):
    (A,), (dA,) = primals, tangents
    rho, u, v = perron(A)
    gap = A - rho * jnp.eye(A.shape[-1], dtype=A.dtype)
    return (rho, u, v), (_change(u, v, dA), _turn(gap.T, u, dA.T), _turn(gap, v, dA))


@jax.custom_jvp
@jax.jit
def spectral_radius(A: Float[Array, "n n"]) -> Float[Array, ""]:
    """Return the largest absolute eigenvalue of A >= 0, with derivatives of any order."""
    return perron(A)[0]


@spectral_radius.defjvp
def _radius_jvp(primals, tangents):
    # Apart from `perron`, so that first derivatives never touch the bordered system, singular where eigenvalues coincide.
    rho, u, v = perron(primals[0])
    return rho, _change(u, v, tangents[0])


def _change(u: Array, v: Array, dA: Array) -> Array:
    overlap = u @ v
    some = overlap > 0
    return jnp.where(some, u @ (dA @ v) / jnp.where(some, overlap, 1), 0)


def _turn(gap: Array, v: Array, dA: Array) -> Array:
    """Return dv from `(A - rho I) dv - v d rho = -dA v` and `1' dv = 0`."""
    one = jnp.ones((1, v.size), v.dtype)
    bordered = jnp.block([[gap, -v[:, None]], [one, jnp.zeros((1, 1), v.dtype)]])
    return jnp.linalg.solve(bordered, -jnp.append(dA @ v, 0))[:-1]
