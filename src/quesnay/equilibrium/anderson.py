"""Anderson acceleration: a fixed-point solver that extrapolates from its last few residuals."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import optimistix as optx
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PyTree, Scalar

from quesnay._checks import require
from quesnay._errors import InputError

Y = TypeVar("Y")
Aux = TypeVar("Aux")

_ROUNDINGS = 16
"""A difference of residuals is trusted where it is larger than this many roundings of y."""


def largest(leaf: Float[Array, "..."]) -> Float[Array, ""]:
    """Return the largest absolute value of an array, a `magnitude` that measures every entry by the largest of its leaf."""
    return jnp.max(jnp.abs(leaf), initial=0)


class _State(eqx.Module, Generic[Aux]):
    """What is remembered: a history of differences since the last restart, the last point accepted, the best one."""

    dy: Float[Array, "memory n"]
    df: Float[Array, "memory n"]
    accepted: Int[Array, ""]
    last: "_Point"
    best: "_Point"
    best_aux: Aux
    rejected: Int[Array, ""]
    error: Float[Array, ""]


class _Point(eqx.Module):
    """A point y and its residual `f = fn(y) - y`, flat."""

    y: Float[Array, " n"]
    f: Float[Array, " n"]


class AndersonAcceleration(optx.AbstractFixedPointSolver[Y, Aux, _State]):
    """Find a fixed point `y = fn(y)` by Anderson acceleration (type II), one evaluation of fn a step.

    With residuals `f_k = fn(y_k) - y_k` and the differences dY, dF of the last points and residuals as columns,

        gamma = argmin |f_k - dF gamma|^2 + |R gamma|^2
        y_(k+1) = y_k - dY gamma + mixing (f_k - dF gamma)

    Residuals are measured leaf by leaf relative to the leaf's largest value, so that no leaf has a unit. The ridge R is
    diagonal: `R_j^2 = (ridge |dF_j|)^2 + (eps |y_k|)^2`, where the second term is how far a difference is known. The least
    squares are solved by QR of the normalised columns over the ridge; normal equations would lose half of the digits.

    A solve succeeds where `norm((fn(y) - y) / (atol + rtol magnitude(fn(y)))) < 1`, as for `optimistix.FixedPointIteration`;
    a value that does not change at all has no error, even at 0 with atol = 0. Returned is the point y that was measured, not
    `fn(y)`, which is a worse one where fn is no contraction; without success, the point with the smallest residual.

    Safeguards:

    - Coefficients that owe to rounding, `16 eps |y_k| sum |gamma| > |f_k|`, are not used: the step is the plain `y + mixing f`.
      So it is at the floor of rounding, and where fn differs from a shift only by rounding and has no fixed point.
    - A point whose residual is not finite is never built upon. If an extrapolation led there, the memory is dropped and the
      next point is the plain step from the last point accepted; if a plain step did, the point half-way back to the last one
      accepted. Where fn is not finite at the start, the solve fails at once.
    - An extrapolation whose residual exceeds `growth` times the smallest is rejected in the same way. Each rejection multiplies
      the allowance by `growth` again: residuals of a contraction may grow for a while in any one norm, by a factor that is
      bounded, so only finitely many steps are ever rejected for it.

    A relative residual says little of the error where fn hardly contracts: far out, `y + 1` is y to any tolerance.

    Parameters
    ----------
    rtol:
        Relative tolerance of the residual.
    atol:
        Absolute tolerance of the residual, in the unit of y; 0 keeps the solve free of units.
    norm:
        A norm of a pytree: `optimistix.max_norm`, `rms_norm` or `two_norm`.
    memory:
        Number of differences kept (points less one), at least 0; 0 is the plain iteration `y + mixing f`.
    mixing:
        Share of the extrapolated residual that is added; 1 steps to the extrapolated value of fn. It is no damping: dY gamma
        is taken off in full.
    ridge:
        Smallest singular value that counts, relative to the norm of a column of dF, at least 0.
    growth:
        Factor over the smallest residual so far at which an extrapolation is rejected, above 1.
    magnitude:
        What rtol is relative to: `jnp.abs`, each entry itself, or `largest`, the largest entry of the leaf.

    Raises
    ------
    InputError
        A memory below 0, a ridge below 0, a growth not above 1; or complex values in y.

    References
    ----------
    Anderson (1965); Walker and Ni (2011), equation 2.2 and theorem 2.2; Evans, Pollock, Rebholz and Xiao (2020). Safeguards
    after Zhang, O'Donoghue and Boyd (2020) and the restarts of Henderson and Varadhan (2019).
    """

    rtol: float
    atol: float
    norm: Callable[[PyTree], Scalar] = optx.max_norm
    memory: int = 5
    mixing: float = 1.0
    ridge: float = 1e-8
    growth: float = 1000.0
    magnitude: Callable[[Array], Array] = jnp.abs

    def init(
        self,
        fn: Callable[[Y, Any], tuple[Y, Aux]],
        y: Y,
        args: PyTree,
        options: dict[str, Any],
        f_struct: PyTree[jax.ShapeDtypeStruct],
        aux_struct: PyTree[jax.ShapeDtypeStruct],
        tags: frozenset[object],
    ) -> _State:
        """Return an empty memory."""
        flat, _ = ravel_pytree(y)
        if jnp.iscomplexobj(flat):
            raise InputError("y is complex; give its real and its imaginary part as two leaves.")
        point = _Point(flat, jnp.zeros_like(flat))
        history = jnp.zeros((self.memory, flat.size), flat.dtype)
        return _State(
            dy=history,
            df=history,
            accepted=jnp.zeros((), int),
            last=point,
            best=point,
            best_aux=jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), aux_struct),
            rejected=jnp.zeros((), int),
            error=jnp.asarray(jnp.inf, flat.dtype),
        )

    def step(
        self,
        fn: Callable[[Y, Any], tuple[Y, Aux]],
        y: Y,
        args: PyTree,
        options: dict[str, Any],
        state: _State,
        tags: frozenset[object],
    ) -> tuple[Y, _State, Aux]:
        """Measure y, remember it or reject it, and return the next point."""
        fn_y, aux = fn(y, args)
        flat, unravel = ravel_pytree(y)
        at = _Point(flat, ravel_pytree(fn_y)[0] - flat)
        weights = _weights(y, fn_y)
        rounding = _rounding(y) * jnp.linalg.norm(weights * at.y)
        error = self._error(y, fn_y).astype(flat.dtype)

        size, best_size = jnp.linalg.norm(weights * at.f), jnp.linalg.norm(weights * state.best.f)
        finite = jnp.all(jnp.isfinite(at.f))
        first = state.accepted == 0
        extrapolated = (state.accepted > 1) & (self.memory > 0)
        allowance = jnp.asarray(self.growth, flat.dtype) ** (1 + state.rejected)
        rejected = ~finite | (extrapolated & (size > allowance * jnp.maximum(best_size, rounding)))

        better = finite & (first | (size < best_size)) | (error < 1)
        best, best_aux = _where(better, (at, aux), (state.best, state.best_aux))
        dy, df = self._remember(state, at, rejected)
        following = _where(
            rejected, self._retreat(state.last, at, extrapolated), self._advance(at, dy, df, weights, rounding)
        )
        state = _State(
            dy=dy,
            df=df,
            accepted=jnp.where(rejected, 1, state.accepted + 1),
            last=_where(rejected, state.last, at),
            best=best,
            best_aux=best_aux,
            rejected=state.rejected + rejected,
            error=error,
        )
        # There is nothing to retreat to from a start that is not finite: hand that on, which ends the solve.
        return unravel(jnp.where(first & ~finite, at.f, following)), state, aux

    def terminate(
        self,
        fn: Callable[[Y, Any], tuple[Y, Aux]],
        y: Y,
        args: PyTree,
        options: dict[str, Any],
        state: _State,
        tags: frozenset[object],
    ) -> tuple[Bool[Array, ""], optx.RESULTS]:
        """Stop at the first point whose residual is within the tolerance."""
        return state.error < 1, optx.RESULTS.successful

    def postprocess(
        self,
        fn: Callable[[Y, Any], tuple[Y, Aux]],
        y: Y,
        aux: Aux,
        args: PyTree,
        options: dict[str, Any],
        state: _State,
        tags: frozenset[object],
        result: optx.RESULTS,
    ) -> tuple[Y, Aux, dict[str, Any]]:
        """Return the point that was measured, with the auxiliary output there and the number of steps rejected."""
        return ravel_pytree(y)[1](state.best.y), state.best_aux, {"num_rejected": state.rejected}

    def _error(self, y: PyTree, fn_y: PyTree) -> Scalar:
        def relative(old, new):
            change = jnp.abs(new - old)
            unchanged = change == 0
            return jnp.where(
                unchanged, 0, change / jnp.where(unchanged, 1, self.atol + self.rtol * self.magnitude(new))
            )

        return jnp.asarray(self.norm(jax.tree.map(relative, y, fn_y)))

    def _remember(self, state: _State, at: _Point, rejected: Array) -> tuple[Array, Array]:
        if self.memory == 0:
            return state.dy, state.df
        oldest = (state.accepted - 1) % self.memory

        def update(history, new, old):
            history = jnp.where(state.accepted > 0, history.at[oldest].set(new - old), history)
            return jnp.where(rejected, 0, history)

        return update(state.dy, at.y, state.last.y), update(state.df, at.f, state.last.f)

    def _advance(self, at: _Point, dy: Array, df: Array, weights: Array, rounding: Array) -> Array:
        plain = at.y + self.mixing * at.f
        if self.memory == 0:
            return plain
        columns = (weights * df).T
        norms = jnp.linalg.norm(columns, axis=0)
        empty = norms == 0
        norms = jnp.where(empty, 1, norms)
        # Unused columns get coefficient 0: the ridge is all there is of them.
        ridge = jnp.where(empty, 1, jnp.hypot(self.ridge, rounding / norms))
        matrix = lx.MatrixLinearOperator(jnp.concatenate([columns / norms, jnp.diag(ridge)]))
        residual = jnp.concatenate([weights * at.f, jnp.zeros_like(ridge)])
        gamma = lx.linear_solve(matrix, residual, lx.QR(), throw=False).value / norms
        known = _ROUNDINGS * rounding * jnp.sum(jnp.abs(gamma)) <= jnp.linalg.norm(residual)
        candidate = plain - gamma @ (dy + self.mixing * df)
        return jnp.where(known & jnp.all(jnp.isfinite(candidate)), candidate, plain)

    def _retreat(self, last: _Point, at: _Point, extrapolated: Array) -> Array:
        return jnp.where(extrapolated, last.y + self.mixing * last.f, last.y + (at.y - last.y) / 2)

    def __check_init__(self):
        if self.memory < 0:
            raise InputError(f"memory is {self.memory}; give a number of differences, 0 for the plain iteration.")
        require(lambda ridge: ridge >= 0, f"ridge is {self.ridge}; give a number of at least 0.", self.ridge)
        require(lambda growth: growth > 1, f"growth is {self.growth}; give a factor above 1.", self.growth)


def _weights(y: PyTree, fn_y: PyTree) -> Float[Array, " n"]:
    """Return one over the largest value of its leaf for every entry; 0 for a leaf that is 0, and so has no residual."""

    def weigh(old, new):
        size = jnp.maximum(largest(old), largest(new))
        return jnp.broadcast_to(jnp.where(size > 0, 1 / jnp.where(size > 0, size, 1), 0), old.shape)

    return ravel_pytree(jax.tree.map(weigh, y, fn_y))[0]


def _rounding(y: PyTree) -> float:
    return max((float(jnp.finfo(leaf.dtype).eps) for leaf in jax.tree.leaves(y)), default=0.0)


def _where(condition: Array, new: PyTree, old: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)
