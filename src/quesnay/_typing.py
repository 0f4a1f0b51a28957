"""Aliases for recurring shapes: n accounts (region-sector pairs or firms), t steps, k rows of intensities."""

from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped

Scalar = Float[Array, ""]
Vector = Float[Array, " n"]
Matrix = Float[Array, "n n"]
Rows = Float[Array, "k n"]
Series = Float[Array, "t n"]

__all__ = ["Array", "Bool", "Float", "Int", "Matrix", "PRNGKeyArray", "Rows", "Scalar", "Series", "Shaped", "Vector"]
