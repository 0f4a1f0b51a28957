"""Systems in equilibrium, `x = f(x, theta)`, and the three linear ones of input-output analysis."""

import abc
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array, Float, PyTree
from numpy.typing import ArrayLike

from quesnay._checks import floating, require
from quesnay._errors import InputError
from quesnay.network import DenseLinks, Network

from . import exact
from .domain import box
from .nodes import checked, node_names


class AbstractSystem(eqx.Module):
    """An equilibrium `x = f(x, theta)`."""

    @abc.abstractmethod
    def __call__(self, x: PyTree, theta: PyTree) -> PyTree:
        """Return `f(x, theta)`."""

    @abc.abstractmethod
    def start(self, theta: PyTree) -> PyTree:
        """Return the point at which an iteration begins."""


class System(AbstractSystem):
    """Any cyclic system `x = f(x, theta)`: equations that hold together, such as prices that set demand that sets prices.

    Parameters
    ----------
    f:
        Function of (x, theta) that returns a pytree like x, made of JAX operations. x and theta are any pytrees of
        arrays; a module of equinox with parameters of its own is differentiated by them too.
    x0:
        Point at which solvers begin, a pytree of arrays: the observed state, where there is one. Where the system has
        several equilibria it decides which is found (`equilibria` looks for all of them).
    names:
        Names of the entries of the arrays of x0, for those that have any: `{"price": sectors}` makes nodes "price[energy]";
        a list where x0 is one array. Entries without names are numbered, "price[0]".
    domain:
        (low, high), two of what f takes: the box in which its parameters have a meaning; infinite where they have no limit.
        `solve` refuses parameters outside of it.

    Raises
    ------
    InputError
        f is not callable, x0 has no numbers, or entries that are not finite; names that do not fit x0, or are used twice; a
        domain whose ends have different forms, or are in the wrong order.

    References
    ----------
    Bongers, Forre, Peters and Mooij (2021), on cyclic structural causal models.
    """

    f: Callable[[PyTree, PyTree], PyTree]
    x0: PyTree
    names: tuple[tuple[str, tuple[str, ...]], ...] = eqx.field(static=True)
    domain: tuple[PyTree, PyTree] | None

    def __init__(
        self,
        f: Callable[[PyTree, PyTree], PyTree],
        x0: PyTree,
        names: Mapping[str, Sequence[str]] | Sequence[str] | None = None,
        domain: tuple[PyTree, PyTree] | None = None,
    ):
        if not callable(f):
            raise InputError(f"f is a {type(f).__name__}; give a function of (x, theta).")
        if not _takes_two(f):
            raise InputError(
                "f does not take two arguments; give a function of (x, theta), even where theta is not used."
            )
        leaves, form = jax.tree.flatten(x0)
        if not leaves:
            raise InputError("x0 is empty; give the point at which to begin, with the form of x.")
        start = [floating(leaf, "x0") for leaf in leaves]
        for leaf in start:
            require(np.isfinite, "x0 has entries that are not finite; begin at a point where f is defined.", leaf)
        self.f, self.x0 = f, jax.tree.unflatten(form, start)
        self.names = checked(self.x0, names)
        self.domain = None if domain is None else box(domain, "domain")

    def __call__(self, x, theta):
        return self.f(x, theta)

    def start(self, theta):
        return self.x0

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of all unknowns, in the order of the flattened x0 (`jax.flatten_util.ravel_pytree`)."""
        return node_names(self.x0, dict(self.names))


def form(tree: PyTree) -> str:
    """Return in words what a pytree is made of, such as `{'price': (58,), 'output': (58,)}`: the shape of every array."""
    return str(jax.tree.map(lambda leaf: jnp.shape(leaf), tree))


class AbstractLinearSystem(AbstractSystem):
    """An equilibrium `x = M x + theta`, with M of shape (n, n) and theta (n,)."""

    def __call__(self, x, theta):
        return self.apply(x) + theta

    def start(self, theta):
        # One step on from zero.
        return theta

    @abc.abstractmethod
    def apply(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return `M x`."""

    @abc.abstractmethod
    def magnitude(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return `|M| x`, with the entries of M in absolute value."""

    @abc.abstractmethod
    def product(self, x: Float[Array, " n"]) -> exact.Product:
        """Return `M x` to beyond working precision, as (leading part, rest, bound)."""

    @property
    @abc.abstractmethod
    def matrix(self) -> Float[Array, "n n"] | None:
        """M, where it is stored as a matrix."""

    @abc.abstractmethod
    def operator(self) -> lx.AbstractLinearOperator:
        """Return `I - M`."""

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """Number of accounts n."""

    @property
    def terms(self) -> int:
        """The largest number of products that an entry of `M x` can add up."""
        entries = jax.tree.leaves(eqx.filter(self, eqx.is_inexact_array))
        return self.size if self.matrix is not None else max(leaf.size for leaf in entries)

    @property
    @abc.abstractmethod
    def dtype(self) -> np.dtype:
        """Precision of the coefficients."""


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

    def product(self, x):
        return exact.product(self.A, x, transposed=False)

    @property
    def dtype(self):
        return _dtype(self.A)

    @property
    def matrix(self):
        return _stored(self.A)

    def operator(self):
        return _identity_minus(self)

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

    def product(self, x):
        return exact.product(self.A, x, transposed=True)

    @property
    def dtype(self):
        return _dtype(self.A)

    @property
    def matrix(self):
        stored = _stored(self.A)
        return None if stored is None else stored.T

    def operator(self):
        return _identity_minus(self)

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

    def product(self, x):
        return exact.product(self.B, x, transposed=True)

    @property
    def dtype(self):
        return self.B.dtype

    @property
    def matrix(self):
        return self.B.T

    def operator(self):
        return _identity_minus(self)

    @property
    def size(self):
        return self.B.shape[-1]


def _takes_two(f: Callable) -> bool:
    try:
        inspect.signature(f).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # a builtin that does not say what it takes
        return True
    return True


def _technology(name: str, value: Any) -> Any:
    if isinstance(value, Network):
        return value
    matrix = floating(value, name)
    if matrix.size == 0 or matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"{name} has shape {matrix.shape}; give a square matrix (n, n).")
    require(
        _finite,
        lambda: (
            f"{name} has {int(np.sum(~np.isfinite(matrix)))} entries that are not finite; the first is at "
            f"{tuple(int(i) for i in np.argwhere(~np.isfinite(matrix))[0])}."
        ),
        matrix,
    )
    return matrix


def _finite(values: np.ndarray) -> Any:
    # One pass without temporaries; only where the sum overflows, or meets a value that is not finite, look at each.
    with np.errstate(over="ignore", invalid="ignore"):
        return True if np.isfinite(values.sum()) else np.isfinite(values)


def _dtype(technology: Array | Network) -> np.dtype:
    return technology.output.dtype if isinstance(technology, Network) else technology.dtype


def _size(technology: Array | Network) -> int:
    return technology.firms if isinstance(technology, Network) else technology.shape[-1]


def _stored(technology: Array | Network) -> Array | None:
    if not isinstance(technology, Network):
        return technology
    return technology.links.coefficient if isinstance(technology.links, DenseLinks) else None


def _identity_minus(system: AbstractLinearSystem) -> lx.AbstractLinearOperator:
    matrix = system.matrix
    if matrix is not None:
        return lx.MatrixLinearOperator(jnp.eye(system.size, dtype=matrix.dtype) - matrix)
    return lx.FunctionLinearOperator(lambda x: x - system.apply(x), jax.ShapeDtypeStruct((system.size,), system.dtype))
