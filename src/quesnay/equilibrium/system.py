"""Systems in equilibrium, `x = f(x, theta)`, and the three linear ones of input-output analysis."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array, Float, PyTree
from numpy.typing import ArrayLike

from quesnay._checks import floating, require
from quesnay._errors import InputError
from quesnay.network import Network


class AbstractSystem(eqx.Module):
    """An equilibrium `x = f(x, theta)`."""

    @abc.abstractmethod
    def __call__(self, x: PyTree, theta: PyTree) -> PyTree:
        """Return `f(x, theta)`."""


class AbstractLinearSystem(AbstractSystem):
    """An equilibrium `x = M x + theta`, with M of shape (n, n) and theta (n,)."""

    def __call__(self, x, theta):
        return self.apply(x) + theta

    @abc.abstractmethod
    def apply(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return `M x`."""

    @abc.abstractmethod
    def magnitude(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return `|M| x`, with the entries of M in absolute value."""

    @abc.abstractmethod
    def operator(self) -> lx.AbstractLinearOperator:
        """Return `I - M`."""

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """Number of accounts n."""


class Leontief(AbstractLinearSystem):
    """The quantity model: outputs `x = A x + d` that meet the final demand d.

    Parameters
    ----------
    A:
        Technical coefficients (n, n), `A_ij = Z_ij / x_j`, rows supply and columns use; or a `Network`.

    Raises
    ------
    InputError
        A is not square or not finite.

    References
    ----------
    Leontief (1936); Miller and Blair (2009), chapter 2.
    """

    A: Float[Array, "n n"] | Network

    def __init__(self, A: ArrayLike | Network):
        self.A = _technology("A", A)

    def apply(self, x):
        return self.A.matvec(x) if isinstance(self.A, Network) else self.A @ x

    def magnitude(self, x):
        # A network's coefficients are not negative by construction.
        return self.A.matvec(x) if isinstance(self.A, Network) else jnp.abs(self.A) @ x

    def operator(self):
        return _identity_minus(self.A, self.apply)

    @property
    def size(self):
        return _size(self.A)


class Price(AbstractLinearSystem):
    """The price model: `p = A' p + v`, prices that cover the cost of inputs and primary cost v per unit of output.

    Parameters
    ----------
    A:
        Technical coefficients (n, n), as for `Leontief`; or a `Network`.

    References
    ----------
    Miller and Blair (2009), chapter 2.
    """

    A: Float[Array, "n n"] | Network

    def __init__(self, A: ArrayLike | Network):
        self.A = _technology("A", A)

    def apply(self, x):
        return self.A.rmatvec(x) if isinstance(self.A, Network) else self.A.T @ x

    def magnitude(self, x):
        return self.A.rmatvec(x) if isinstance(self.A, Network) else jnp.abs(self.A).T @ x

    def operator(self):
        transposed = self.A if isinstance(self.A, Network) else self.A.T
        return _identity_minus(transposed, self.apply)

    @property
    def size(self):
        return _size(self.A)


class Ghosh(AbstractLinearSystem):
    """The allocation model: `x' = x' B + v'`, outputs that follow from primary inputs v at fixed shares of sales.

    Parameters
    ----------
    B:
        Allocation coefficients (n, n), `B_ij = Z_ij / x_i`; `economy.B` has them.

    References
    ----------
    Ghosh (1958); Miller and Blair (2009), chapter 12; read as a price model after Dietzenbacher (1997).
    """

    B: Float[Array, "n n"]

    def __init__(self, B: ArrayLike):
        if isinstance(B, Network):
            raise InputError(
                "Ghosh takes the matrix of allocation coefficients Z_ij / x_i; a Network holds Z_ij / x_j."
            )
        self.B = _technology("B", B)

    def apply(self, x):
        return self.B.T @ x

    def magnitude(self, x):
        return jnp.abs(self.B).T @ x

    def operator(self):
        return _identity_minus(self.B.T, self.apply)

    @property
    def size(self):
        return self.B.shape[-1]


def _technology(name: str, value: Any) -> Any:
    if isinstance(value, Network):
        return value
    matrix = floating(value, name)
    if matrix.size == 0 or matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"{name} has shape {matrix.shape}; give a square matrix (n, n).")
    require(
        np.isfinite,
        lambda: (
            f"{name} has {int(np.sum(~np.isfinite(matrix)))} entries that are not finite; the first is at "
            f"{tuple(int(i) for i in np.argwhere(~np.isfinite(matrix))[0])}."
        ),
        matrix,
    )
    return matrix


def _size(technology: Array | Network) -> int:
    return technology.firms if isinstance(technology, Network) else technology.shape[-1]


def _identity_minus(technology: Array | Network, apply) -> lx.AbstractLinearOperator:
    if isinstance(technology, Network):
        return lx.FunctionLinearOperator(lambda x: x - apply(x), jnp.zeros_like(technology.output))
    return lx.MatrixLinearOperator(jnp.eye(technology.shape[-1], dtype=technology.dtype) - technology)
