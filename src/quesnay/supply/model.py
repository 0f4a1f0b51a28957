"""Shock propagation with inventories: the day of a production network, in the order in which it happens.

Orders and stocks are divided by the link's coefficient, so that both are in units of the customer's output; see
`docs/guide/supply.md` for the equations line by line.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import concrete, first_bad, floating, require
from quesnay._errors import InputError
from quesnay.dynamics import AbstractDynamics
from quesnay.network import TIE, Network

from .orders import AbstractOrders, StockAdjustment
from .path import CAPACITY, DEMAND, SupplyPath
from .production import AbstractProduction, FixedProportions
from .rationing import AbstractRationing, Proportional
from .shocks import AbstractShock, Conditions
from .stability import warn_if_unstable


class SupplyState(eqx.Module):
    """The state at the end of a day: what the next day needs, and what was seen on this one.

    Attributes
    ----------
    stock, orders:
        Link arrays in units of the customer's output (`S_e / a_e`, `O_e / a_e`).
    demand, final_demand:
        Placed today and served tomorrow (n,), in currency per day.
    seen:
        The day's observation.
    """

    stock: Array
    orders: Array
    demand: Float[Array, " n"]
    final_demand: Float[Array, " n"]
    seen: SupplyPath


class SupplyModel(AbstractDynamics):
    """A production network with inventories, lagged orders and rationing.

    ```
    cap_i(t) = z_i(t) k_i x_i(0)
    inp_i(t) = min over inputs of s_e(t-1)
    x_i(t)   = min(D_i(t-1), cap_i(t), inp_i(t))
    r_i(t)   = x_i(t) / D_i(t-1)
    s_e(t)   = s_e(t-1) + r_s(e)(t) o_e(t-1) - use_e(t)
    o_e(t)   = max(0, D_c(e)(t-1) + (n_c(e) x_c(e)(0) - s_e(t)) / tau_c(e))
    D_i(t)   = d_i + sum over customers of a_e o_e(t)
    ```

    Unmet orders lapse. Prices are left out.

    Parameters
    ----------
    network:
        The base state and who buys from whom.
    inventory:
        n, the target stock of every input in days of base output, scalar or (n,), at least 1.
    adjustment:
        tau, the days in which a gap to the target is to be closed, scalar or (n,), above 0.
    capacity:
        k, capacity as a share of base output, scalar or (n,), at least 1.
    production, rationing, orders:
        The rules; by default fixed proportions, proportional rationing, and stock adjustment.

    Raises
    ------
    InputError
        A parameter outside its domain or of a shape that does not fit the network.

    References
    ----------
    Hallegatte (2008, 2014); Hamid et al., *A differentiable model of supply-chain shocks*, read so that demand is known
    before it is served and productivity acts on capacity once.
    """

    network: Network
    inventory: Float[Array, " #n"]
    adjustment: Float[Array, " #n"]
    capacity: Float[Array, " #n"]
    production: AbstractProduction
    rationing: AbstractRationing
    orders: AbstractOrders

    def __init__(
        self,
        network: Network,
        *,
        inventory: ArrayLike,
        adjustment: ArrayLike,
        capacity: ArrayLike = 1.0,
        production: AbstractProduction | None = None,
        rationing: AbstractRationing | None = None,
        orders: AbstractOrders | None = None,
    ):
        if not isinstance(network, Network):
            raise InputError(
                f"network is a {type(network).__name__}; make one with Network.from_table or Network.from_edges."
            )
        self.network = network
        self.inventory = _parameter("inventory", inventory, network, least=1.0, unit="days of base output")
        self.adjustment = _parameter("adjustment", adjustment, network, least=0.0, unit="days", strict=True)
        self.capacity = _parameter("capacity", capacity, network, least=1.0, unit="times base output")
        self.production = FixedProportions() if production is None else production
        self.rationing = Proportional() if rationing is None else rationing
        self.orders = StockAdjustment() if orders is None else orders

    def init(self) -> SupplyState:
        net = self.network
        x = net.output
        stock = net.links.of_customer(self.inventory * x)
        orders = net.links.of_customer(x)
        bottleneck = jnp.full(x.shape, DEMAND)
        seen = self._observation(x, net.final_demand, x, orders, orders, stock, self.capacity * x, bottleneck)
        return SupplyState(stock, orders, x, net.final_demand, seen)

    def step(self, state, day, shock, key):
        net = self.network
        now = Conditions(capacity=jnp.ones_like(net.output))
        now = now if shock is None else shock.apply(now, day)

        capacity = now.capacity * self.capacity * net.output
        inputs, scarcest = self.production.limit(net.links, state.stock)
        output, bottleneck = _least(state.demand, capacity, inputs, scarcest)

        served, served_final = self.rationing.shares(output, state.demand, state.final_demand)
        received = net.links.of_supplier(served) * state.orders
        used = self.production.use(net.links, output, state.stock)
        # Taking out before putting in keeps a stock that is used up at exactly zero or above.
        stock = (state.stock - used) + received

        target = self.inventory * net.output
        orders = self.orders.place(net.links, state.demand, stock, target, self.adjustment)
        demand = net.final_demand + net.links.sum_by_supplier(net.links.coefficient * orders)

        consumed = served_final * state.final_demand
        seen = self._observation(output, consumed, demand, received, used, stock, capacity, bottleneck)
        return SupplyState(stock, orders, demand, net.final_demand, seen)

    def observe(self, state):
        return state.seen

    def path(self, rows, base, result):
        return SupplyPath(**_fields(rows), base=base, result=result)

    def check(self, shock):
        if shock is not None:
            if not isinstance(shock, AbstractShock):
                raise InputError(f"shock is a {type(shock).__name__}; give a shock such as CapacityLoss(...), or None.")
            shock.check(self.network.firms)
        if concrete(self.network, self.adjustment):
            warn_if_unstable(self.network, self.adjustment)

    def _observation(self, output, consumed, demand, received, used, stock, capacity, bottleneck) -> SupplyPath:
        net = self.network
        a = net.links.coefficient
        positive = net.output > 0
        share = jnp.where(positive, net.value_added / jnp.where(positive, net.output, 1), 0)
        return SupplyPath(
            output=output,
            value_added=share * output,
            final_consumption=consumed,
            deliveries=net.links.sum_by_supplier(a * received),
            demand=demand,
            received=net.links.sum_by_customer(a * received),
            used=net.links.sum_by_customer(a * used),
            stock=net.links.sum_by_customer(a * stock),
            capacity=jnp.broadcast_to(capacity, output.shape),
            bottleneck=bottleneck,
        )


def _fields(rows: SupplyPath) -> dict:
    return {k: v for k, v in vars(rows).items() if k not in ("base", "result")}


def _least(
    demand: Float[Array, " n"],
    capacity: Float[Array, " n"],
    inputs: Float[Array, " n"],
    supplier: Int[Array, " n"],
) -> tuple[Float[Array, " n"], Int[Array, " n"]]:
    """Return `min(demand, capacity, inputs)` and which of them it was.

    Where they tie to within `TIE` units of rounding, demand goes before capacity and capacity before inputs, in derivative
    and report. Against inputs also in value: a stock that is short of demand by rounding only, as at a steady state with
    stocks of one day, must not take its rounding into output, or it would feed on itself.
    """
    slack = 1 + TIE * jnp.finfo(demand.dtype).eps
    by_demand = demand <= capacity * slack
    wanted = jnp.where(by_demand, demand, capacity)
    # The lesser one's value with the derivative of the one that goes first.
    wanted = jax.lax.stop_gradient(jnp.minimum(demand, capacity)) + (wanted - jax.lax.stop_gradient(wanted))
    enough = wanted <= inputs * slack
    return jnp.where(enough, wanted, inputs), jnp.where(enough, jnp.where(by_demand, DEMAND, CAPACITY), supplier)


def _parameter(
    name: str, value: ArrayLike, network: Network, *, least: float, unit: str, strict: bool = False
) -> Array:
    array = floating(value, name).astype(network.output.dtype)
    if array.ndim > 1 or array.size not in (1, network.firms):
        raise InputError(
            f"{name} has shape {array.shape}: give one number or one per account ({network.firms},), in {unit}."
        )

    def fits(values):
        return np.isfinite(values) & ((values > least) if strict else (values >= least))

    def message():
        host = np.ravel(np.asarray(array))
        k = first_bad(~fits(host))
        bound = f"above {least:g}" if strict else f"at least {least:g}"
        return f"{name} is {host[k]:g} (entry {k}); it must be finite and {bound}, in {unit}."

    require(fits, message, array)
    return array
