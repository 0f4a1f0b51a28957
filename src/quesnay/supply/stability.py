"""Stability of the order rule: does a small disturbance of orders and stocks die out?"""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse.linalg as sla
from jaxtyping import Array, Float

from quesnay._checks import floating, instance, require
from quesnay._errors import InputError, SolveError, StabilityWarning
from quesnay.network import Network

_DENSE = 400
_DENSE_TECHNOLOGY = 3000
_POWER = 50


class Stability(eqx.Module):
    """The linearised step around the base state, with spare capacity and stocks above one day.

    Attributes
    ----------
    radius:
        Spectral radius of the step; disturbances die out below 1 and grow above.
    technology:
        An upper bound of the spectral radius rho of the coefficients A, `max((A^k x) / x)^(1/k)` at k = 50.
    sufficient_adjustment:
        `(1 + rho) / (2 (1 - rho))` days: adjustment times above it are stable whatever the network.
    """

    radius: float
    technology: float
    sufficient_adjustment: float


def stability(network: Network, adjustment: Float[Array, " #n"]) -> Stability:
    r"""Return the spectral radius of the stock-adjustment order rule, linearised at the base state.

    With sigma the deviation of the stocks, w that of the orders (both per customer) and theta = 1 / tau,

    ```
    D(t)         = A w(t)
    sigma(t + 1) = sigma(t) + w(t) - D(t)
    w(t + 1)     = D(t) - theta sigma(t + 1)
    ```

    and differences between the stocks of one customer shrink by `1 - theta` each day. In the frequency domain
    `w = G(z) A w` with `|G| <= (2 + theta) / (2 - theta)` outside the unit circle, hence the sufficient condition.

    Raises
    ------
    InputError
        Not a network, or adjustment times that are not positive or of another length.
    SolveError
        The eigenvalues of a large network did not converge.
    """
    instance(network, Network, "network", "the model's network")
    n, days = network.firms, floating(adjustment, "adjustment")
    if days.ndim > 1 or days.size not in (1, n):
        raise InputError(f"adjustment has shape {days.shape}; give one number or one per account ({n},), in days.")
    require(lambda v: v > 0, lambda: f"adjustment is {np.min(np.asarray(days)):g}; give days above 0.", days)
    # An account that buys nothing holds no stock and places no order.
    buys = np.asarray(network.links.sum_by_customer(network.links.coefficient)) > 0
    theta = np.where(buys, np.broadcast_to(1 / np.asarray(days, dtype=float), (n,)), 0)
    demand = eqx.filter_jit(network.matvec)

    def step(v):
        sigma, w = v[:n] * buys, v[n:] * buys
        orders = np.asarray(demand(w))
        sigma = (sigma + w - orders) * buys
        return np.concatenate([sigma, orders * buys - theta * sigma])

    own = np.abs(1 - theta[buys]).max(initial=0)
    rho = float(technology_bound(network))
    uniform = buys.any() and np.ptp(theta[buys]) == 0 and n <= _DENSE_TECHNOLOGY
    radius = _uniform_radius(network, theta[buys][0]) if uniform else _radius(step, 2 * n)
    return Stability(max(own, radius), rho, _sufficient(rho))


def _uniform_radius(network: Network, theta: float) -> float:
    """Return the largest root of `z^2 - ((1 - theta) + mu (1 + theta)) z + mu = 0` over the eigenvalues mu of A."""
    A = np.asarray(jax.vmap(network.matvec, out_axes=1)(jnp.eye(network.firms, dtype=network.output.dtype)))
    mu = np.linalg.eigvals(A).astype(complex)
    half = ((1 - theta) + mu * (1 + theta)) / 2
    root = np.sqrt(half**2 - mu)
    return float(max(np.abs(half + root).max(), np.abs(half - root).max()))


@eqx.filter_jit
def technology_bound(network: Network) -> Float[Array, ""]:
    """Return an upper bound of the spectral radius of A: `max_i ((A^k x)_i / x_i)^(1/k)` (Gelfand, in the norm of x)."""
    x = network.output
    power = jax.lax.fori_loop(0, _POWER, lambda _, v: network.matvec(v), x)
    return jnp.max(jnp.where(x > 0, power / jnp.where(x > 0, x, 1), 0)) ** (1 / _POWER)


def warn_if_unstable(network: Network, adjustment: Float[Array, " #n"]) -> None:
    """Warn where the order rule amplifies disturbances; its exact radius is computed only where the bound does not do."""
    if np.min(np.asarray(adjustment)) > _sufficient(float(technology_bound(network))):
        return
    found = stability(network, adjustment)
    # An eigenvalue is known to rounding only: exactly 1 (a network without a leak) is not growth.
    if found.radius > 1 + 1e-9:
        warnings.warn(
            f"the order rule is unstable: its linearised step has spectral radius {found.radius:.4f}, so that orders "
            f"oscillate with growing amplitude; adjustment times above {found.sufficient_adjustment:.2f} days are stable.",
            StabilityWarning,
            stacklevel=5,
        )


def _sufficient(rho: float) -> float:
    return np.inf if rho >= 1 else (1 + rho) / (2 * (1 - rho))


def _radius(step, n: int) -> float:
    """Return the spectral radius of a linear map on R^n: dense eigenvalues where it is small, Arnoldi above."""
    if n <= _DENSE:
        return float(np.abs(np.linalg.eigvals(np.stack([step(row) for row in np.eye(n)], axis=1))).max())
    operator = sla.LinearOperator((n, n), matvec=step, dtype=float)  # pyright: ignore[reportCallIssue]
    start = np.random.default_rng(0).uniform(0.5, 1.5, n)
    try:
        values = sla.eigs(operator, k=4, ncv=40, v0=start, return_eigenvectors=False, tol=1e-9, maxiter=5000)  # pyright: ignore[reportArgumentType]
    except sla.ArpackError as error:
        raise SolveError(
            f"the stability of the order rule could not be computed for {n // 2} accounts ({error})."
        ) from error
    return float(np.abs(values).max())
