"""`kl`: technical coefficients updated to outputs and final demand, in closed form."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import concrete, first_bad, floating, require
from quesnay._errors import InputError


class Coefficients(eqx.Module):
    """Technical coefficients that reproduce outputs, and how well.

    Attributes
    ----------
    value:
        A (n, n), rows supply and columns use.
    factor:
        Factor of each row (n,): how much more of product i each unit of output takes than in A0.
    iterations:
        0: the solution is a closed form.
    error:
        `max |A x + d - x| / x`.
    """

    value: Float[Array, "n n"]
    factor: Float[Array, " n"]
    iterations: int = eqx.field(static=True)
    error: Float[Array, ""]

    def __repr__(self) -> str:
        if not (concrete(self.error) and isinstance(self.error, jax.Array) and self.error.ndim == 0):
            return eqx.tree_pformat(self)
        return f"Coefficients of {self.value.shape[0]} accounts: error {float(self.error):.1e}, in closed form"

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        return {
            "value": (("account", "account_to"), self.value, "1", "updated technical coefficients"),
            "factor": (("account",), self.factor, "1", "factor of the row"),
        }


def kl(A0: ArrayLike, x: ArrayLike, d: ArrayLike) -> Coefficients:
    """Return the coefficients nearest to A0 with which final demand d takes outputs x: `A_ij = A0_ij (x_i - d_i) / (A0 x)_i`.

    Minimises the divergence of flows, `sum_ij x_j (A_ij log(A_ij / A0_ij) - A_ij + A0_ij)` under `A x = x - d`: one factor
    for each row, the substitution half of RAS. Where d > 0 the result is productive (Hawkins-Simon): `A x < x`.

    Parameters
    ----------
    A0:
        Prior technical coefficients (n, n) >= 0.
    x:
        Outputs (n,) > 0, in currency.
    d:
        Final demand (n,), in currency, at most x.

    Raises
    ------
    InputError
        Shapes that do not fit; outputs that are not positive; final demand above output; intermediate sales of a product
        that no account of A0 uses.

    References
    ----------
    Stone (1961); Miller and Blair (2009), section 7.4; Golan, Judge and Robinson (1994), Review of Economics and Statistics 76.
    """
    prior, output, demand = floating(A0, "A0"), floating(x, "x"), floating(d, "d")
    n = prior.shape[0] if prior.ndim == 2 else 0
    if prior.shape != (n, n) or n == 0 or output.shape != (n,) or demand.shape != (n,):
        raise InputError(
            f"A0 has shape {prior.shape}, x {output.shape} and d {demand.shape}; give (n, n), (n,) and (n,)."
        )
    require(
        lambda a: np.isfinite(a) & (a >= 0), "A0 has negative or missing entries; take gras, which keeps signs.", prior
    )
    require(
        lambda v: np.isfinite(v) & (v > 0),
        lambda: _not_positive(np.asarray(output)),
        output,
    )
    require(np.isfinite, "d has entries that are not finite.", demand)
    sales, used = output - demand, prior @ output
    require(
        lambda s, x: s >= -8 * np.finfo(s.dtype).eps * x,
        lambda: (
            f"final demand exceeds output at {first_bad(np.asarray(sales < 0))}; intermediate sales cannot be negative."
        ),
        *(sales, output),
    )
    require(
        lambda s, u: (u > 0) | (s <= 0),
        lambda: (
            f"account {first_bad(np.asarray((used <= 0) & (sales > 0)))} sells to others, but its row of A0 is 0, and "
            f"updating keeps zeros; give it a coefficient, or raise its final demand."
        ),
        *(sales, used),
    )
    some = used > 0
    factor = jnp.where(some, jnp.maximum(sales, 0) / jnp.where(some, used, 1), 1)
    value = factor[:, None] * prior
    error = jax.lax.stop_gradient(jnp.max(jnp.abs(value @ output + demand - output) / output))
    return Coefficients(value, factor, 0, error)


def _not_positive(output: np.ndarray) -> str:
    at = first_bad(~(np.isfinite(output) & (output > 0)))
    if np.isfinite(output[at]):
        return f"x is not positive at {at}; drop accounts without output."
    return f"x is {output[at]} at {at}; give an output, or leave out the account."
