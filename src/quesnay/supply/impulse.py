"""The model linearised at its steady state: the response to small losses as a matrix product, and its stability."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse.linalg as sla
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import concrete, floating, instance, whole
from quesnay._errors import InputError, SolveError
from quesnay.dynamics import simulate
from quesnay.network import TIE

from .losses import CapacityLoss, LabourLoss
from .model import SupplyModel, SupplyState
from .observing import ByGroup
from .production import Unlimited
from .shocks import AbstractShock, Conditions, left, parts

_DENSE = 1500
_BELOW = 1 - 1e-6
_AMPLE = 1e6


class Impulse(eqx.Module):
    """What a unit of output withheld by an account on one day does to output by group, on that day and after it.

    Attributes
    ----------
    kernel:
        (steps, groups, n): change of the groups' output, in currency per day, k days after each account withheld one unit.
    base:
        Output of the groups at the base state (groups,), in currency per day.
    """

    kernel: Float[Array, "steps groups n"]
    base: Float[Array, " groups"]

    def respond(self, withheld: ArrayLike) -> Float[Array, "steps groups"]:
        """Return the output of the groups when accounts withhold `withheld` (t, n), in currency per day, t up to the steps.

        `y_g(t) = y_g(0) + sum over s <= t of K_g(t - s) u(s)`: one product of the shock with all kernels, summed along days.
        """
        u = floating(withheld, "withheld")
        steps, groups, n = self.kernel.shape
        if u.ndim != 2 or u.shape[1] != n or not 0 < u.shape[0] <= steps:
            raise InputError(f"withheld has shape {u.shape}; give (t, {n}) with t from 1 to {steps} days.")
        each = jnp.einsum("sn,kgn->skg", u, self.kernel)
        day, lag = jnp.arange(u.shape[0])[:, None], jnp.arange(steps)[None, :]
        total = jax.ops.segment_sum(each.reshape(-1, groups), (day + lag).ravel(), 2 * steps)
        return self.base + total[:steps]

    def shock(self, model: SupplyModel, shock: AbstractShock) -> Float[Array, "steps groups"]:
        """Return the response to a shock: withheld is what it takes from base output, `max(0, 1 - k z(t)) x(0)`.

        Exact for outages of one day that nothing else limits. In a longer one the linear firm catches up with the orders of its
        customers day by day, which one without capacity cannot: `error` says by how much that is off, at any size of shock.

        Raises
        ------
        InputError
            A shock to anything but capacity and labour.
        """
        return self.respond(withheld_by(model, shock, self.kernel.shape[0]))

    def error(self, model: SupplyModel, shock: AbstractShock, observe: ByGroup) -> Float[Array, ""]:
        """Return how far the response is from the full model: the largest difference over the largest loss of the full path.

        Over base output where the full path loses nothing but rounding.
        """
        if observe.count != self.base.size:
            raise InputError(
                f"observe has {observe.count} groups and this response {self.base.size}; give the same groups."
            )
        linear = self.shock(model, shock)
        path = simulate(model, shock, steps=self.kernel.shape[0], observe=observe)
        loss, whole = jnp.max(jnp.abs(path.output - self.base)), jnp.max(jnp.abs(self.base))
        rounding = TIE * jnp.finfo(whole.dtype).eps * whole
        return jnp.max(jnp.abs(path.output - linear)) / jnp.where(loss > rounding, loss, whole)


def impulse(model: SupplyModel, *, steps: int, observe: ByGroup) -> Impulse:
    """Return the model linearised at its steady state, as the response to output withheld on one day.

    Valid where nothing but the shock limits output: stocks do not run out and capacity is enough to catch up. With J the
    derivative of a day, B that with respect to the output withheld and C that of the groups' output,

    ```
    K_0 = C_u,   K_k = C J^(k-1) B
    ```

    found from the groups backwards, `(J')^k C'`, in steps times groups products. Where a rule has a kink at the steady state,
    the side of losses is taken (stocks below their target).

    Parameters
    ----------
    model:
        Without overproduction, labour, households or reconstruction, whose rules are not linear at rest.
    steps:
        Days.
    observe:
        `by_group(groups, count)`; few groups are cheap.

    Raises
    ------
    InputError
        A model with such rules, or an observation other than by groups.

    References
    ----------
    The linear inventory model in Henriet, Hallegatte and Tabourier (2012), by automatic differentiation.
    """
    instance(model, SupplyModel, "model", "a SupplyModel")
    count = whole(steps, "steps", "number of days")
    if not isinstance(observe, ByGroup):
        raise InputError("observe must be by_group(groups, count): the response is kept by groups.")
    return _impulse(_at_ease(model), model.network.output, count, observe)


@eqx.filter_jit
def _impulse(model: SupplyModel, base: Array, steps: int, observe: ByGroup) -> Impulse:
    step, state = _linear(model, observe)
    zero = jnp.zeros_like(base)
    _, back = jax.vjp(step, state, zero)
    ahead, _ = jax.eval_shape(step, state, zero)
    one = jnp.eye(observe.count, dtype=base.dtype)

    def sweep(start):
        def go(pending, k):
            # On the day itself a group sees what is withheld at once; afterwards only through the state.
            own, by = back((pending, jnp.where(k == 0, start, 0)))
            return own, by

        none = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), ahead)
        return jax.lax.scan(go, none, jnp.arange(steps))[1]

    kernel = jax.vmap(sweep, out_axes=1)(one)
    return Impulse(kernel, observe.total(base))


def withheld_by(model: SupplyModel, shock: AbstractShock, steps: int) -> Float[Array, "steps n"]:
    """Return what a shock's losses of capacity and labour take from base output on each day, in currency per day."""
    if not isinstance(shock, AbstractShock):
        raise InputError(f"shock is a {type(shock).__name__}; give a shock such as CapacityLoss(...).")
    for part in parts(shock):
        if not isinstance(part, CapacityLoss | LabourLoss):
            raise InputError(
                f"the shock has a {type(part).__name__}, but a linear response is to losses of capacity and labour: "
                "simulate the full model, or give what is withheld to `respond`."
            )
    shock.check(model.network)
    calm = Conditions.calm(model.network)

    def day(t):
        now = shock.apply(calm, t)
        return model.network.output * jnp.maximum(0, 1 - model.capacity * left(now.capacity) * left(now.labour))

    return jax.lax.map(day, jnp.arange(steps))


def growth(model: SupplyModel) -> float:
    """Return the spectral radius of the linearised day: disturbances of stocks and orders die out below 1 and grow above.

    For any order rule, with delays and reallocation; for plain stock adjustment `stability` is faster and says which
    adjustment times are stable. Where a rule has a kink at the steady state, the side of losses is taken: rules with a moving
    target may amplify falling demand there, until something else limits it.

    Raises
    ------
    InputError
        As for `impulse`; a traced model.
    SolveError
        The eigenvalues of a large network did not converge.
    """
    if not concrete(model):
        raise InputError("the model is being traced; its growth is an eigenvalue that is computed from numbers.")
    observe = ByGroup(jnp.zeros(model.network.firms, int), 1)
    step, state = _linear(_at_ease(model), observe)
    flat, unravel = ravel_pytree(state)
    zero = jnp.zeros_like(model.network.output)
    advance = jax.jit(lambda v: ravel_pytree(jax.jvp(lambda s: step(s, zero)[0], (state,), (unravel(v),))[1])[0])
    if flat.size <= _DENSE:
        return float(np.abs(np.linalg.eigvals(np.asarray(jax.vmap(advance, out_axes=1)(jnp.eye(flat.size))))).max())
    operator = sla.LinearOperator((flat.size,) * 2, matvec=lambda v: np.asarray(advance(v)), dtype=float)  # pyright: ignore[reportCallIssue]
    start = np.random.default_rng(0).uniform(0.5, 1.5, flat.size)
    try:
        values = sla.eigs(operator, k=4, ncv=40, v0=start, return_eigenvectors=False, tol=1e-8, maxiter=2000)  # pyright: ignore[reportArgumentType]
    except sla.ArpackError as error:
        raise SolveError(f"the growth of disturbances could not be computed ({error}).") from error
    return float(np.abs(values).max())


class _Withheld(AbstractShock):
    """Output that is simply not made."""

    amount: Float[Array, " n"]

    def apply(self, conditions, day):
        return eqx.tree_at(lambda c: c.withheld, conditions, self.amount, is_leaf=lambda leaf: leaf is None)

    def check(self, network):
        pass


def _at_ease(model: SupplyModel) -> SupplyModel:
    """Return the model without limits but demand; what is not linear at rest is refused."""
    for name in ("overproduction", "labour", "households", "reconstruction"):
        if getattr(model, name) is not None:
            raise InputError(
                f"the model has a rule for {name}, which is not linear at rest; leave it out of this model."
            )
    roomy = jnp.full_like(model.capacity, _AMPLE)
    return eqx.tree_at(lambda m: (m.capacity, m.production), model, (roomy, Unlimited()))


def _linear(model: SupplyModel, observe: ByGroup):
    """Return a day as a function of what moves at rest (stocks, orders, what is under way) and of output withheld."""
    start = model.init()
    moving = (start.stock * _BELOW, start.orders.placed, start.intermediate, start.transit)

    def step(moved, withheld):
        # An input that there is not has no stock that could move.
        stock, placed = (jnp.where(model.network.links.need > 0, part, 0) for part in moved[:2])
        intermediate, transit = moved[2:]
        state: SupplyState = eqx.tree_at(
            lambda s: (s.stock, s.orders.placed, s.intermediate, s.transit),
            start,
            (stock, placed, intermediate, transit),
            is_leaf=lambda leaf: leaf is None,
        )
        after = model.step(state, jnp.asarray(0), _Withheld(withheld), None)
        seen = observe.total(after.seen.output)
        kept = (jnp.where(model.network.links.need > 0, part, 0) for part in (after.stock, after.orders.placed))
        return (*kept, after.intermediate, after.transit), seen

    return step, moving
