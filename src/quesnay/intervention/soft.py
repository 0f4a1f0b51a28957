"""Soft assignments: what takes the place of a node's own assignment, fitted to what its parents' values ask for."""

import abc
from collections.abc import Callable
from itertools import combinations_with_replacement

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jaxtyping import Array, Float

from quesnay._checks import whole

CONSTANT = 1e-12
"""Relative range below which a parent counts as constant."""


class AbstractAssignment(eqx.Module):
    """A family of functions of the parents' values, of which the one is found that meets what is asked of a node."""

    @abc.abstractmethod
    def fit(self, told: Float[Array, "s p"], asked: Float[Array, " s"]) -> Callable[[Array], Array]:
        """Return the function of the parents' values (p,) that is nearest to what is asked in s samples."""


class Implicit(eqx.Module):
    """No function of the parents, but a closed loop that holds the invariant node at its value without intervention.

    Nothing is fitted: it sees more than a soft intervention does, the parameters, from which that value follows. It says what
    invariance could come to, and is the standard for the others.
    """


class Polynomial(AbstractAssignment):
    """A polynomial in Chebyshev's form, by least squares.

    Parameters
    ----------
    degree:
        Total degree.
    """

    degree: int = eqx.field(static=True, default=10)

    def __check_init__(self):
        whole(self.degree, "degree", "total degree")

    def fit(self, told, asked):
        box = _Box.around(told, asked)
        count = len(box.moving)
        powers = [
            np.bincount(np.array(chosen, int), minlength=count)
            for degree in range(self.degree + 1)
            for chosen in combinations_with_replacement(range(count), degree)
            if count or degree == 0
        ]
        basis = _Chebyshev(tuple(tuple(int(p) for p in row) for row in powers))
        design = np.asarray(_all(basis, _all(box.inputs, told)))
        weights = np.linalg.lstsq(design, np.asarray(box.scaled(asked)))[0]
        return _Fitted(box, _Weighted(basis, jnp.asarray(weights)))


class MLP(AbstractAssignment):
    """A multilayer perceptron (tanh) around the straight line, trained by Levenberg and Marquardt's method in float64.

    Parameters
    ----------
    width, depth:
        Neurons in a hidden layer, and hidden layers.
    seed:
        Of the weights that training begins at.
    max_steps:
        Of training.

    References
    ----------
    Besserve and Schoelkopf (2022), section 4: two hidden layers.
    """

    width: int = eqx.field(static=True, default=10)
    depth: int = eqx.field(static=True, default=2)
    seed: int = eqx.field(static=True, default=0)
    max_steps: int = eqx.field(static=True, default=400)

    def __check_init__(self):
        for name in ("width", "depth", "max_steps"):
            whole(getattr(self, name), name, "number of them")

    def fit(self, told, asked):
        box = _Box.around(told, asked)
        line = Polynomial(1).fit(told, asked)
        assert isinstance(line, _Fitted)
        inputs = _all(box.inputs, told)
        rest = box.scaled(asked) - _all(line.shape, inputs)
        size = jnp.max(jnp.abs(rest))
        if not len(box.moving) or not size > 1e-14:
            return line
        network = eqx.nn.MLP(
            len(box.moving),
            "scalar",
            self.width,
            self.depth,
            jnp.tanh,
            dtype=jnp.float64,
            key=jax.random.key(self.seed),
        )
        weights, form = eqx.partition(network, eqx.is_inexact_array)
        found = optx.least_squares(
            lambda w, _: jax.vmap(eqx.combine(w, form))(inputs) - rest / size,
            optx.LevenbergMarquardt(rtol=1e-12, atol=1e-12),
            weights,
            max_steps=self.max_steps,
            throw=False,
        )
        return _Fitted(box, _Around(line.shape, size, eqx.combine(found.value, form)))


@eqx.filter_jit
def _all(function: Callable[[Array], Array], rows: Array) -> Array:
    return jax.vmap(function)(rows)


class _Box(eqx.Module):
    """Inputs brought to -1 ... 1, without the constant ones, and outputs likewise."""

    moving: tuple[int, ...] = eqx.field(static=True)
    centre: Array
    half: Array
    middle: Array
    spread: Array

    @staticmethod
    def around(told: Array, asked: Array) -> "_Box":
        values, wanted = np.asarray(told, float), np.asarray(asked, float)
        low, high = values.min(axis=0), values.max(axis=0)
        at = np.flatnonzero(high - low > CONSTANT * np.maximum(np.abs(low), np.abs(high)))
        numbers = (
            (high + low)[at] / 2,
            (high - low)[at] / 2,
            (wanted.max() + wanted.min()) / 2,
            np.ptp(wanted) / 2 or 1.0,
        )
        return _Box(tuple(map(int, at)), *(jnp.asarray(number) for number in numbers))

    def inputs(self, parents: Array) -> Array:
        return (parents[np.array(self.moving, int)] - self.centre) / self.half

    def scaled(self, asked: Array) -> Array:
        return (asked - self.middle) / self.spread


class _Fitted(eqx.Module):
    box: _Box
    shape: Callable[[Array], Array]

    def __call__(self, parents: Array) -> Array:
        # Outside of what was learnt it goes on straight: solvers pass there on their way.
        z = self.box.inputs(parents)
        inside = jnp.clip(z, -1, 1)
        value, more = jax.jvp(self.shape, (inside,), (z - inside,))
        return self.box.middle + self.box.spread * (value + more)


class _Chebyshev(eqx.Module):
    powers: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    def __call__(self, z: Array) -> Array:
        """Return the products of Chebyshev polynomials in z."""
        highest = max((max(row, default=0) for row in self.powers), default=0)
        terms = [jnp.ones_like(z), z]
        for _ in range(highest - 1):
            terms.append(2 * z * terms[-1] - terms[-2])
        table = jnp.stack(terms[: highest + 1])
        powers = np.array(self.powers, int).reshape(len(self.powers), z.size)
        return jnp.prod(table[powers, np.arange(z.size)], axis=1)


class _Weighted(eqx.Module):
    basis: _Chebyshev
    weights: Array

    def __call__(self, z: Array) -> Array:
        return self.basis(z) @ self.weights


class _Around(eqx.Module):
    line: Callable[[Array], Array]
    size: Array
    network: eqx.nn.MLP

    def __call__(self, z: Array) -> Array:
        return self.line(z) + self.size * self.network(z)
