"""Products `M x` to far better than working precision, whatever the order in which a machine adds them.

A sum of multiples of one unit, of which no partial sum needs more bits than the format has, is exact in any order. The
leading bits of M and of x are cut so that their products are such numbers; what is left is smaller by half of the digits,
and its rounding with it (Ozaki, Ogita, Oishi and Rump, 2012). No rounded product is ever subtracted from, so that fused
multiplication and addition changes nothing.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from quesnay.network import DenseLinks, EdgeLinks, Network

Product = tuple[Array, Array, Array]
"""(leading part, rest, bound): the leading part is exact and `|M x - (leading + rest)| <= bound`."""


def rounding(terms: Any, dtype: np.dtype) -> Any:
    """Return a bound of the relative rounding of a sum of so many products, in any order, fused or not."""
    u = (terms + 4) * (float(jnp.finfo(dtype).eps) / 2)
    return u / (1 - u)


def product(technology: Float[Array, "n n"] | Network, x: Float[Array, " n"], *, transposed: bool) -> Product:
    """Return `M x`, with M the matrix or the network's coefficients, or their transpose."""
    if not isinstance(technology, Network):
        return _dense(technology.T if transposed else technology, x)
    links = technology.links
    if isinstance(links, DenseLinks):
        return _dense(links.coefficient.T if transposed else links.coefficient, x)
    assert isinstance(links, EdgeLinks)
    seller, buyer = (links.customer, links.supplier) if transposed else (links.supplier, links.customer)
    return _edges(links.coefficient, seller, buyer, x)


def add(*terms: Array) -> tuple[Array, Array]:
    """Return the rounded sum of the terms and what rounding lost (Knuth, 1969).

    The terms must come from data, as the argument `above` of `_leading` must.
    """
    total, lost = terms[0], jnp.zeros_like(terms[0])
    for term in terms[1:]:
        new = total + term
        shadow = new - total
        lost = lost + ((total - (new - shadow)) + (term - shadow))
        total = new
    return total, lost


def power(values: Array) -> Array:
    """Return the power of two at or below the size of each value, and 1 for 0 (its exponent without its mantissa)."""
    whole = jnp.dtype(f"uint{8 * values.dtype.itemsize}")
    digits = jnp.finfo(values.dtype).nmant
    exponent = whole.type((1 << (8 * values.dtype.itemsize - 1)) - (1 << digits))
    kept = jax.lax.bitcast_convert_type(values, whole) & exponent
    found = jax.lax.bitcast_convert_type(kept, values.dtype)
    return jnp.where(found == 0, 1, found)


def _dense(M: Array, x: Array) -> Product:
    n, dtype = x.shape[0], x.dtype
    # In units of its own power of two every entry of x is between 1 and 2, and M holds flows.
    scale = power(x)
    unit, flows = x / scale, M * scale
    sales = _times(jnp.abs(M), scale) * (1 + rounding(n, dtype))
    top = 2 * power(sales)
    # No sum of a row exceeds its sales: so many bits of x and of M make products that add up without rounding.
    bits, grows = jnp.finfo(dtype).nmant - 2, math.ceil(math.log2(max(n, 2)))
    of_x = max((bits - grows) // 2, 1)
    of_M = max(bits - of_x, 1)
    high, first = _leading(flows, top[:, None], of_M), _leading(unit, 2 * power(unit), of_x)
    exact = _times(high, first)
    rest = _times(high, unit - first) + _times(flows - high, unit)
    cut = n * top * 2.0**-of_M
    bound = rounding(2 * n, dtype) * (2.0**-of_x * (2 * sales + cut) + cut)
    return exact, rest, bound + 8 * n * float(jnp.finfo(dtype).tiny)


def _edges(coefficient: Array, seller: Array, buyer: Array, x: Array) -> Product:
    n, dtype = x.shape[0], x.dtype
    value = x[buyer]
    flow = jnp.abs(coefficient * value)
    degree = jax.ops.segment_sum(jnp.ones_like(flow), seller, n)
    sales = jax.ops.segment_sum(flow, seller, n) * (1 + rounding(degree, dtype))
    half = jnp.finfo(dtype).nmant // 2
    (a, a_rest), (v, v_rest) = _halves(coefficient, half), _halves(value, half)
    # No partial sum of a seller's flows exceeds its sales, so that multiples of the sales' last bit add up exactly.
    big, step = a * v, 1.5 * (4 * power(sales))[seller]
    kept = (big + step) - step
    rest = jax.ops.segment_sum((big - kept) + (a * v_rest + a_rest * v + a_rest * v_rest), seller, n)
    unit = 4 * float(jnp.finfo(dtype).eps) * power(sales)
    bound = rounding(degree + 4, dtype) * (degree * unit + 2.0 ** (2 - half) * sales)
    return jax.ops.segment_sum(kept, seller, n), rest, bound + 8 * degree * float(jnp.finfo(dtype).tiny)


def _leading(values: Array, above: Array, bits: int) -> Array:
    """Return the values, in size at most the power of two `above`, rounded to multiples of `above / 2**bits`.

    `above` must come from data: a compiler that sees a constant folds `(v + c) - c` into v.
    """
    step = 1.5 * above * 2.0 ** (jnp.finfo(values.dtype).nmant - bits)
    return (values + step) - step


def _halves(values: Array, bits: int) -> tuple[Array, Array]:
    """Return the leading bits of each value and what is left, both short enough for products without rounding."""
    high = _leading(values, 2 * power(values), bits)
    return high, values - high


def _times(M: Array, x: Array) -> Array:
    return jnp.matmul(M, x, precision=jax.lax.Precision.HIGHEST)
