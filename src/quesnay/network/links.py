"""Links between accounts: coefficients, dense for tables and as an edge list for firms; storage and sums, nothing else."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .buckets import Buckets

TIE = 4096
"""Values within this many units of rounding of each other tie: the derivative of a minimum is shared among them."""


class AbstractLinks(eqx.Module):
    """Links from suppliers to customers, each with a coefficient a (units of input per unit of the customer's output).

    A *link array* holds one number per link, an *input array* one per input of a customer; their shapes are the storage's
    own. An input is what a customer buys of one product: from one supplier, so that links and inputs are the same, or, where
    the suppliers of a product are pooled (`pools.py`), from all of them together. The moves between accounts, links and
    inputs are all that a model needs, so that it is written once for every storage.
    """

    coefficient: eqx.AbstractVar[Array]

    @property
    @abc.abstractmethod
    def accounts(self) -> int:
        """Number of accounts (sectors or firms)."""

    @property
    @abc.abstractmethod
    def products(self) -> int:
        """Number of products that inputs are told apart by; the accounts themselves where nothing is pooled."""

    @property
    @abc.abstractmethod
    def pooled(self) -> bool:
        """Whether the suppliers of a product replace each other."""

    @property
    @abc.abstractmethod
    def need(self) -> Array:
        """The coefficients of the inputs, an input array: each the sum over its links."""

    @abc.abstractmethod
    def of_supplier(self, values: Float[Array, " n"]) -> Array:
        """Give every link the value of its supplier."""

    @abc.abstractmethod
    def sum_by_supplier(self, links: Array) -> Float[Array, " n"]:
        """Sum a link array over each supplier's links."""

    @abc.abstractmethod
    def of_input(self, inputs: Array) -> Array:
        """Give every link the value of its input."""

    @abc.abstractmethod
    def sum_by_input(self, links: Array) -> Array:
        """Sum a link array over each input's links."""

    @abc.abstractmethod
    def of_customer(self, values: Float[Array, " n"]) -> Array:
        """Give every input the value of its customer; 0 where there is no input."""

    @abc.abstractmethod
    def of_product(self, values: Float[Array, " m"]) -> Array:
        """Give every input the value of its product."""

    @abc.abstractmethod
    def sum_by_customer(self, inputs: Array) -> Float[Array, " n"]:
        """Sum an input array over each customer's inputs."""

    @abc.abstractmethod
    def least_by_customer(self, inputs: Array) -> tuple[Float[Array, " n"], Int[Array, " n"]]:
        """Return the least value among each customer's inputs (inf without any) and the product that holds it (-1 without)."""

    @abc.abstractmethod
    def requirement(self, inputs: Array) -> Float[Array, " n"]:
        """Return `sum_e a_e v_p(e)` by supplier: what inputs v per unit of coefficient ask of every supplier."""

    @abc.abstractmethod
    def supply(self, values: Float[Array, " n"]) -> Array:
        """Return `sum_e a_e v_s(e) / a_p` by input: the mean over an input's suppliers; 0 where there is no input."""

    @abc.abstractmethod
    def matvec(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return `A x`, by supplier."""

    @abc.abstractmethod
    def rmatvec(self, p: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return `A' p`, by customer."""


class DenseLinks(AbstractLinks):
    """All n x n links, rows supply and columns use; a coefficient of zero is no link. For up to some thousand sectors."""

    coefficient: Float[Array, "n n"]

    @property
    def accounts(self) -> int:
        return self.coefficient.shape[-1]

    @property
    def products(self) -> int:
        return self.accounts

    @property
    def pooled(self) -> bool:
        return False

    @property
    def need(self):
        return self.coefficient

    def of_supplier(self, values):
        return jnp.broadcast_to(values[:, None], self.coefficient.shape)

    def sum_by_supplier(self, links):
        return jnp.sum(links, axis=1)

    def of_input(self, inputs):
        return inputs

    def sum_by_input(self, links):
        return links

    def of_customer(self, values):
        return jnp.where(self.coefficient > 0, values[None, :], 0)

    def of_product(self, values):
        return self.of_supplier(values)

    def sum_by_customer(self, inputs):
        return jnp.sum(inputs, axis=0)

    def least_by_customer(self, inputs):
        return least_of_column(self.coefficient, inputs)

    def requirement(self, inputs):
        return jnp.sum(self.coefficient * inputs, axis=1)

    def supply(self, values):
        return self.of_supplier(values)

    def matvec(self, x):
        return self.coefficient @ x

    def rmatvec(self, p):
        return self.coefficient.T @ p


class EdgeLinks(AbstractLinks):
    """A list of E links, each from a supplier to a customer. For networks of firms.

    `buckets` is the same list in another order, for sums along customers and suppliers that few passes over memory do; None
    where the ends of the links were traced.
    """

    coefficient: Float[Array, " E"]
    supplier: Int[Array, " E"]
    customer: Int[Array, " E"]
    firms: int = eqx.field(static=True)
    buckets: Buckets | None = None

    @property
    def accounts(self) -> int:
        return self.firms

    @property
    def products(self) -> int:
        return self.firms

    @property
    def pooled(self) -> bool:
        return False

    @property
    def need(self):
        return self.coefficient

    def of_supplier(self, values):
        return values[self.supplier]

    def sum_by_supplier(self, links):
        return jax.ops.segment_sum(links, self.supplier, self.accounts)

    def of_input(self, inputs):
        return inputs

    def sum_by_input(self, links):
        return links

    def of_customer(self, values):
        return values[self.customer]

    def of_product(self, values):
        return values[self.supplier]

    def sum_by_customer(self, inputs):
        return jax.ops.segment_sum(inputs, self.customer, self.accounts)

    def least_by_customer(self, inputs):
        return least_of_segment(inputs, self.customer, self.supplier, self.accounts, self.accounts)

    def requirement(self, inputs):
        return self.sum_by_supplier(self.coefficient * inputs)

    def supply(self, values):
        return values[self.supplier]

    def matvec(self, x):
        return self.sum_by_supplier(self.coefficient * x[self.customer])

    def rmatvec(self, p):
        return self.sum_by_customer(self.coefficient * p[self.supplier])


def least_of_column(need: Array, inputs: Array) -> tuple[Array, Array]:
    """Return the least entry of each column where there is need (inf without any) and its row (-1 without)."""
    present = jnp.where(need > 0, inputs, jnp.inf)
    row = jnp.where(jnp.any(need > 0, axis=0), jnp.argmin(present, axis=0), -1)
    return jnp.min(present, axis=0), row


def least_of_segment(
    inputs: Array, customer: Array, product: Array, accounts: int, products: int
) -> tuple[Array, Array]:
    """Return the least of each customer's inputs (inf without any) and its product, the first one of a tie (-1 without)."""
    least = jax.ops.segment_min(inputs, customer, accounts)
    holder = jnp.where(inputs == least[customer], product, products)
    first = jax.ops.segment_min(holder, customer, accounts)
    return least, jnp.where(first < products, first, -1)


@jax.custom_jvp
def scarcest(links: AbstractLinks, values: Array) -> tuple[Float[Array, " n"], Int[Array, " n"]]:
    """Return `min` over each customer's inputs and the product that holds it.

    The value is the exact minimum. Its derivative is shared evenly among the inputs that tie with the minimum to within `TIE`
    units of rounding (all of them, at a steady state), so that it does not depend on the order of the links.
    """
    return links.least_by_customer(values)


@scarcest.defjvp  # pyright: ignore[reportArgumentType]
def _scarcest_jvp(primals, tangents):
    links, values = primals
    _, moved = tangents
    least, product = links.least_by_customer(values)
    # Comparing on the inputs: one that does not exist holds 0 in the mask as well as in the count.
    margin = TIE * jnp.finfo(values.dtype).eps * jnp.abs(least)
    bound = jnp.where(jnp.isfinite(least), least + margin, -1)
    tied = jnp.where(values <= links.of_customer(bound), links.of_customer(jnp.ones_like(least)), 0)
    count = links.sum_by_customer(tied)
    share = tied * links.of_customer(1 / jnp.maximum(count, 1))
    zero = np.zeros(product.shape, dtype=jax.dtypes.float0)
    # An input that cannot run out (its stock is infinite) has no derivative: 0 times its tangent would be kept otherwise.
    return (least, product), (links.sum_by_customer(jnp.where(share > 0, share * moved, 0)), zero)
