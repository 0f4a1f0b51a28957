"""Links whose inputs pool over the suppliers of one product: a customer holds steel, from whichever mill it comes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from quesnay._errors import InputError

from .links import AbstractLinks, DenseLinks, EdgeLinks, least_of_column, least_of_segment

EXACT = jax.lax.Precision.HIGHEST


class DensePools(AbstractLinks):
    """A table of n accounts whose rows belong to m products; input arrays are (m, n).

    Parameters
    ----------
    coefficient:
        (n, n), rows supply and columns use.
    total:
        (m, n), the sum of the coefficients over the suppliers of each product.
    product:
        The product that each account makes (n,), integers from 0 to m - 1.
    by_product:
        The coefficients again, (m, n / m, n) with the suppliers of one product beside each other: a sum over suppliers or over
        customers is then a matrix product that reads them once. None where the accounts do not come in blocks (regions) that
        list all products in their order.
    """

    coefficient: Float[Array, "n n"]
    total: Float[Array, "m n"]
    product: Int[Array, " n"]
    kinds: int = eqx.field(static=True)
    by_product: Float[Array, "m r n"] | None

    @property
    def accounts(self) -> int:
        return self.coefficient.shape[-1]

    @property
    def products(self) -> int:
        return self.kinds

    @property
    def pooled(self) -> bool:
        return True

    @property
    def need(self):
        return self.total

    def of_supplier(self, values):
        return jnp.broadcast_to(values[:, None], self.coefficient.shape)

    def sum_by_supplier(self, links):
        return jnp.sum(links, axis=1)

    def of_input(self, inputs):
        if self.by_product is not None:
            return jnp.broadcast_to(inputs, (self._blocks, *inputs.shape)).reshape(self.coefficient.shape)
        return inputs[self.product]

    def sum_by_input(self, links):
        if self.by_product is not None:
            return jnp.sum(self._by_block(links), axis=0)
        return jax.ops.segment_sum(links, self.product, self.kinds)

    def of_customer(self, values):
        return jnp.where(self.total > 0, values[None, :], 0)

    def of_product(self, values):
        return jnp.broadcast_to(values[:, None], (self.kinds, self.accounts))

    def sum_by_customer(self, inputs):
        return jnp.sum(inputs, axis=0)

    def least_by_customer(self, inputs):
        return least_of_column(self.total, inputs)

    def requirement(self, inputs):
        if self.by_product is not None:
            # A matrix times a vector for each product, (r, n) (n,): with the matrix first it stays as it is under vmap too.
            per_product = jax.lax.dot_general(self.by_product, inputs, (([2], [1]), ([0], [0])), precision=EXACT)
            return per_product.T.reshape(-1)
        return jnp.sum(self.coefficient * inputs[self.product], axis=1)

    def supply(self, values):
        if self.by_product is not None:
            of_product = values.reshape(self._blocks, self.kinds).T
            total = jax.lax.dot_general(of_product, self.by_product, (([1], [1]), ([0], [0])), precision=EXACT)
            return _ratio(total, self.total)
        return _ratio(self.sum_by_input(self.coefficient * values[:, None]), self.total)

    def matvec(self, x):
        return self.coefficient @ x

    def rmatvec(self, p):
        return self.coefficient.T @ p

    @property
    def _blocks(self) -> int:
        return self.accounts // self.kinds

    def _by_block(self, links: Array) -> Array:
        return links.reshape(self._blocks, self.kinds, self.accounts)


class EdgePools(AbstractLinks):
    """A list of E links whose inputs pool over the suppliers of one product; input arrays are (P,).

    Parameters
    ----------
    coefficient, supplier:
        Of each link (E,).
    total:
        The sum of the coefficients of each input (P,).
    pool:
        The input that each link belongs to (E,), integers from 0 to P - 1.
    customer, product:
        Of each input (P,).
    """

    coefficient: Float[Array, " E"]
    total: Float[Array, " P"]
    supplier: Int[Array, " E"]
    pool: Int[Array, " E"]
    customer: Int[Array, " P"]
    product: Int[Array, " P"]
    firms: int = eqx.field(static=True)
    kinds: int = eqx.field(static=True)

    @property
    def accounts(self) -> int:
        return self.firms

    @property
    def products(self) -> int:
        return self.kinds

    @property
    def pooled(self) -> bool:
        return True

    @property
    def need(self):
        return self.total

    def of_supplier(self, values):
        return values[self.supplier]

    def sum_by_supplier(self, links):
        return jax.ops.segment_sum(links, self.supplier, self.firms)

    def of_input(self, inputs):
        return inputs[self.pool]

    def sum_by_input(self, links):
        return jax.ops.segment_sum(links, self.pool, self.customer.size)

    def of_customer(self, values):
        return values[self.customer]

    def of_product(self, values):
        return values[self.product]

    def sum_by_customer(self, inputs):
        return jax.ops.segment_sum(inputs, self.customer, self.firms)

    def least_by_customer(self, inputs):
        return least_of_segment(inputs, self.customer, self.product, self.firms, self.kinds)

    def requirement(self, inputs):
        return self.sum_by_supplier(self.coefficient * inputs[self.pool])

    def supply(self, values):
        return _ratio(self.sum_by_input(self.coefficient * values[self.supplier]), self.total)

    def matvec(self, x):
        return self.sum_by_supplier(self.coefficient * x[self.customer[self.pool]])

    def rmatvec(self, p):
        return self.sum_by_customer(self.sum_by_input(self.coefficient * p[self.supplier]))


def pool(links: AbstractLinks, product: np.ndarray) -> AbstractLinks:
    """Return the links with the inputs of a customer pooled over the suppliers of the same product (host arrays)."""
    kinds = int(product.max()) + 1
    if isinstance(links, DenseLinks):
        # Region by region in one order of products, as in every multi-regional table: sums over blocks instead of a scatter.
        A, regular = (
            links.coefficient,
            product.size % kinds == 0 and np.array_equal(product, np.arange(product.size) % kinds),
        )
        by_product = A.reshape(-1, kinds, product.size).swapaxes(0, 1) if regular else None
        total = jax.ops.segment_sum(A, jnp.asarray(product), kinds)
        return DensePools(A, total, jnp.asarray(product), kinds, by_product)
    if not isinstance(links, EdgeLinks):
        raise InputError("the inputs of this network are pooled already; pool the network as it was made.")
    made, bought = product[np.asarray(links.supplier)], np.asarray(links.customer)
    inputs, of_link = np.unique(bought.astype(np.int64) * kinds + made, return_inverse=True)
    member, customer, kind = (
        jnp.asarray(values, dtype=links.supplier.dtype) for values in (of_link.ravel(), inputs // kinds, inputs % kinds)
    )
    total = jax.ops.segment_sum(links.coefficient, member, inputs.size)
    return EdgePools(links.coefficient, total, links.supplier, member, customer, kind, links.firms, kinds)


def _ratio(total: Array, need: Array) -> Array:
    return jnp.where(need > 0, total / jnp.where(need > 0, need, 1), 0)
