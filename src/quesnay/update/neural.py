"""`NeuralTechnology`: coefficients that a small network bends with outputs, Leontief's where it says nothing."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.typing import ArrayLike

from quesnay._checks import floating, positive, require, whole
from quesnay._errors import InputError
from quesnay.equilibrium import AbstractIteration, Solution, System, solve

ROUNDS = 50
"""Inverse iterations towards the Perron vector; the bound of the spectral radius holds after any number of them."""
SHARP = 8
"""Power of the norm that stands for a largest value, which it exceeds by at most 2^(1/8)."""
TRUNK_SD = 0.5
"""Prior standard deviation of the features' log steepness and of their shift."""


class Weights(eqx.Module):
    """The weights of the network, which may be any numbers.

    Attributes
    ----------
    steepness, shift:
        The trunk that all accounts share: features `tanh(exp(steepness_k) log(x / base) + shift_k)` (k,).
    row, column:
        Effect of each feature of the user on all it buys of product i, and on all that account j buys, (n, k) each.
    supplier, customer:
        Embeddings (n, r) and (n, r, k), whose products are effects of single cells.
    """

    steepness: Float[Array, " k"]
    shift: Float[Array, " k"]
    row: Float[Array, "n k"]
    column: Float[Array, "n k"]
    supplier: Float[Array, "n r"]
    customer: Float[Array, "n r k"]


class NeuralTechnology(eqx.Module):
    """Intermediate use that is no longer proportional to output: `F(x)_i = sum_j A_ij x_j (1 + g_ij(log(x_j / base_j)))`.

    With features `h_k(z) = tanh(a_k z + b_k) - tanh(b_k)` and weights
    `q_ijk = row_ik + column_jk + supplier_i' customer_jk / sqrt(r)`,

        g_ij(z) = width sum_k q_ijk h_k(z) / B_k / sqrt(1 + K sum_k q_ijk^2),    B_k >= sup_z |h_k + dh_k/dz|,

    so that every derivative `dF_i/dx_j` lies in `A_ij (1 -+ width)` whatever the weights are. The width is at most 1, and such
    that `C = (1 + width) A` is productive: F is monotone and a contraction, `v' |F(x) - F(y)| <= contraction v' |x - y|`, and
    `x = F(x) + d` has one solution for every d, which is not negative where d is not. Weights of 0, with which it begins, are
    Leontief's model; at the base outputs the coefficients are A with any weights.

    Parameters
    ----------
    A:
        Technical coefficients (n, n) >= 0 at the base outputs, productive.
    base:
        Outputs (n,) > 0 around which the coefficients vary, in currency.
    key:
        Key of `jax.random` from which steepness, shift and the embeddings of suppliers are drawn.
    features, rank:
        K and r, the sizes of the network.
    width:
        Largest relative deviation of a marginal coefficient from A, below 1; less where that would not be productive.
    spread:
        Typical deviation of log outputs from the base, which features are to resolve.

    Attributes
    ----------
    A, base:
        As given.
    width:
        The width that is kept: at most half of what is left of productivity, `(1 / radius - 1) / 2`.
    norm:
        v (n,) > 0, in 1 / currency, with `v' A <= radius v'`: the weights of the norm in which F contracts.
    weights:
        `Weights`, free; replace them by `eqx.tree_at(lambda t: t.weights, technology, weights)`.

    Raises
    ------
    InputError
        Shapes that do not fit, a negative coefficient, an A that is not productive, base outputs that are not positive.

    References
    ----------
    Sandberg (1973), Econometrica 41, for nonlinear input-output models; Ortega and Rheinboldt (1970), section 13.1, for maps
    that contract by a matrix.
    """

    A: Float[Array, "n n"]
    base: Float[Array, " n"]
    width: Float[Array, ""]
    norm: Float[Array, " n"]
    weights: Weights

    def __init__(
        self,
        A: ArrayLike,
        base: ArrayLike,
        *,
        key: PRNGKeyArray,
        features: int = 3,
        rank: int = 2,
        width: float = 0.5,
        spread: ArrayLike = 0.2,
    ):
        matrix, middle = floating(A, "A"), floating(base, "base")
        n = matrix.shape[0] if matrix.ndim == 2 else 0
        if n == 0 or matrix.shape != (n, n) or middle.shape != (n,):
            raise InputError(f"A has shape {matrix.shape} and base {middle.shape}; give (n, n) and (n,).")
        require(lambda a: np.isfinite(a) & (a >= 0), "A has negative or missing entries; clear them.", matrix)
        require(
            lambda b: np.isfinite(b) & (b > 0), "base is not positive everywhere; drop accounts without output.", middle
        )
        size = floating(spread, "spread")
        require(lambda s: np.isfinite(s) & (s > 0), "spread is not positive; give that of log outputs.", size)
        wanted = positive(width, "width", below=1)
        self.norm, radius = _perron(matrix, middle)
        require(
            lambda v, r: np.all(v > 0) & (r < 1),
            "A is not productive (Hawkins-Simon): its spectral radius is 1 or more; begin with a table that is.",
            *(self.norm, radius),
        )
        some = radius > 0
        room = (1 / jnp.where(some, radius, 1) - 1) / 2
        self.A, self.base = matrix, middle
        self.width = jnp.where(some, jnp.minimum(wanted, room), wanted)
        self.weights = _drawn(
            _key(key), n, whole(features, "features", "number"), whole(rank, "rank", "number"), size, matrix.dtype
        )

    @property
    def bound(self) -> Float[Array, "n n"]:
        """Return C (n, n), the largest that `dF_i/dx_j` can be: `(1 + width) A`."""
        return (1 + self.width) * self.A

    @property
    def contraction(self) -> Float[Array, ""]:
        """Return the factor, below 1, by which F brings any two outputs nearer in the norm `sum_i v_i |x_i|`."""
        return jnp.max((self.norm @ self.bound) / self.norm)

    def __call__(self, x: ArrayLike) -> Float[Array, " n"]:
        """Return the intermediate use F(x) (n,) of each product at outputs x (n,), in currency."""
        output = self._outputs(x)
        change, _ = self._changes(output)
        return self.A @ output + (self.A * change) @ output

    def technology(self, x: ArrayLike) -> Float[Array, "n n"]:
        """Return the average coefficients A(x) (n, n) at outputs x (n,): `F(x) = A(x) x`."""
        change, _ = self._changes(self._outputs(x))
        return self.A * (1 + change)

    def marginal(self, x: ArrayLike) -> Float[Array, "n n"]:
        """Return the marginal coefficients (n, n) at outputs x (n,): `dF_i/dx_j`."""
        change, rise = self._changes(self._outputs(x))
        return self.A * (1 + change + rise)

    def equilibrium(self, d: ArrayLike, *, solver: AbstractIteration | None = None, throw: bool = True) -> Solution:
        """Return the one solution of `x = F(x) + d` for final demand d (n,), in currency, with exact derivatives.

        Raises
        ------
        InputError
            d has a shape that does not fit, or entries that are not finite.
        """
        demand = self._outputs(d, "d")
        require(np.isfinite, "d has entries that are not finite.", demand)
        return solve(System(_balance, self.base), (self, demand), solver=solver, throw=throw)

    def _outputs(self, values: ArrayLike, name: str = "x") -> Array:
        array = floating(values, name)
        if array.shape != self.base.shape:
            raise InputError(f"{name} has shape {array.shape}; the technology has {self.base.shape[0]} accounts.")
        return array

    def _changes(self, x: Array) -> tuple[Array, Array]:
        """Return g (n, n) and its derivative to the logarithm of the user's output."""
        weights, k = self.weights, self.weights.shift.shape[0]
        steepness, middle = jnp.exp(weights.steepness), jnp.tanh(weights.shift)
        # Below 0, where only an iteration can come, the coefficients are those of the smallest outputs.
        there = (x > 0)[:, None]
        z = jnp.log(jnp.where(there, x[:, None], self.base[:, None]) / self.base[:, None])
        value = jnp.where(there, jnp.tanh(steepness * z + weights.shift), -1)
        # h + dh/dz is t + a (1 - t^2) - tanh(b), concave in t in (-1, 1).
        highest = jnp.where(steepness > 0.5, steepness + 0.25 / jnp.maximum(steepness, 0.5), 1)
        # A norm instead of the larger of the two: a kink there would hold up the fit.
        reach = ((1 + middle) ** SHARP + (highest - middle) ** SHARP) ** (1 / SHARP)
        feature, rise = (value - middle) / reach, steepness * (1 - value**2) / reach
        r = weights.supplier.shape[1]
        mix = weights.row[:, None] + weights.column[None]
        mix = mix + jnp.einsum("ir,jrk->ijk", weights.supplier, weights.customer) / np.sqrt(r)
        mix = self.width * mix / jnp.sqrt(1 + k * jnp.sum(mix**2, axis=-1, keepdims=True))
        return jnp.einsum("ijk,jk->ij", mix, feature), jnp.einsum("ijk,jk->ij", mix, rise)


def _balance(x: Array, theta: tuple[NeuralTechnology, Array]) -> Array:
    technology, demand = theta
    return technology(x) + demand


def _perron(A: Array, base: Array) -> tuple[Array, Array]:
    """Return v > 0 and the smallest r found with `v' A <= r v'` (Collatz and Wielandt), by inverse iteration on `I - A'`.

    Both hold in any units of the rows; r is the spectral radius in the limit, and a bound of it on the way.
    """
    factors = jsp.lu_factor(jnp.eye(A.shape[0], dtype=A.dtype) - A.T)

    def again(_: int, v: Array) -> Array:
        v = jsp.lu_solve(factors, v)
        return v / jnp.max(jnp.abs(v) * base)

    v = jax.lax.fori_loop(0, ROUNDS, again, 1 / base)
    return v, jnp.max((v @ A) / v)


def _drawn(key: PRNGKeyArray, n: int, features: int, rank: int, spread: Array, dtype: Any) -> Weights:
    steep, shift, supplier = jax.random.split(key, 3)
    return Weights(
        TRUNK_SD * jax.random.normal(steep, (features,), dtype) - jnp.log(spread),
        jax.random.normal(shift, (features,), dtype),
        jnp.zeros((n, features), dtype),
        jnp.zeros((n, features), dtype),
        jax.random.normal(supplier, (n, rank), dtype),
        jnp.zeros((n, rank, features), dtype),
    )


def _key(key: Any) -> PRNGKeyArray:
    if isinstance(key, jax.Array) and (
        (key.shape == () and jnp.issubdtype(key.dtype, jax.dtypes.prng_key))
        or (key.shape == (2,) and key.dtype == jnp.uint32)
    ):
        return key
    raise InputError("key is no key of jax.random; give jax.random.key(0), say.")
