"""Shock propagation with inventories: the day of a production network, in the order in which it happens.

Orders and stocks are divided by the input's coefficient, so that both are in units of the customer's output; see
`docs/guide/supply.md` for the equations line by line.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import concrete
from quesnay._errors import InputError
from quesnay.dynamics import AbstractDynamics, each_step
from quesnay.network import Network

from . import firms
from .capital import Overproduction, Reconstruction
from .delivery import Delays, delays
from .labour import Households, Labour
from .limits import least, per, times
from .losses import CapitalLoss
from .orders import AbstractOrders, AbstractReallocation, Outlook, StockAdjustment
from .parameters import ByInput, ByProduct, by_account, of_inputs, on_inputs
from .path import DEMAND, SupplyPath
from .production import AbstractProduction, FixedProportions
from .rationing import AbstractRationing, Proportional
from .shocks import AbstractShock, Conditions, left, parts
from .stability import warn_if_unstable
from .state import SupplyState
from .trade import Orders, Served, Trade


class SupplyModel(AbstractDynamics):
    """A production network with inventories, lagged orders and rationing.

    ```
    cap_i(t) = z_i(t) k_i x_i(0)
    inp_i(t) = min over inputs of s_p(t-1)
    x_i(t)   = min(D_i(t-1), cap_i(t), inp_i(t))
    r_i(t)   = x_i(t) / D_i(t-1)
    s_p(t)   = s_p(t-1) + r_s(p)(t) o_p(t-1) - use_p(t)
    o_p(t)   = max(0, D_c(p)(t-1) + (n_p x_c(p)(0) - s_p(t)) / tau_p)
    D_i(t)   = d_i(t) + sum over customers of a_p o_p(t)
    ```

    Unmet orders lapse. Prices are left out.

    Parameters
    ----------
    network:
        The base state and who buys from whom; `network.pooled(sector)` lets the suppliers of a product replace each other.
    inventory:
        n, the target stock of every input in days of base output, at least 1: scalar, (n,) by customer, `ByProduct` or
        `ByInput`; infinite for what cannot run out, such as services.
    adjustment:
        tau, the days in which a gap to the target is to be closed, above 0: as for inventory, but finite.
    capacity:
        k, capacity as a share of base output, scalar or (n,), at least 1.
    production, rationing, orders:
        The rules; by default fixed proportions, proportional rationing, and stock adjustment.
    reallocation:
        How the orders of a pooled input are shared among its suppliers; None: in the shares of the base state.
    overproduction, labour, households, reconstruction:
        Rules for capacity, staff, consumption and destroyed capital that move with the path; None: left out.
    delay:
        Days that deliveries travel, integers from 0: a scalar or a link array.

    Raises
    ------
    InputError
        A parameter outside its domain, of a shape that does not fit the network, or rules that contradict each other.

    References
    ----------
    Hallegatte (2008, 2014); Hamid et al., *A differentiable model of supply-chain shocks*, read so that demand is known
    before it is served and productivity acts on capacity once.
    """

    network: Network
    inventory: "Array | ByInput"
    adjustment: "Array | ByInput"
    capacity: Float[Array, " #n"]
    production: AbstractProduction
    rationing: AbstractRationing
    orders: AbstractOrders
    reallocation: AbstractReallocation | None
    overproduction: Overproduction | None
    labour: Labour | None
    households: Households | None
    reconstruction: Reconstruction | None
    delays: Delays | None
    endless: bool = eqx.field(static=True)

    def __init__(
        self,
        network: Network,
        *,
        inventory: "ArrayLike | ByProduct | ByInput",
        adjustment: "ArrayLike | ByProduct | ByInput",
        capacity: ArrayLike = 1.0,
        production: AbstractProduction | None = None,
        rationing: AbstractRationing | None = None,
        orders: AbstractOrders | None = None,
        reallocation: AbstractReallocation | None = None,
        overproduction: Overproduction | None = None,
        labour: Labour | None = None,
        households: Households | None = None,
        reconstruction: Reconstruction | None = None,
        delay: ArrayLike = 0,
    ):
        if not isinstance(network, Network):
            raise InputError(
                f"network is a {type(network).__name__}; make one with Network.from_table or Network.from_edges."
            )
        self.network = network
        self.inventory = of_inputs("inventory", inventory, network, least=1.0, unit="days of base output", most=np.inf)
        self.adjustment = of_inputs("adjustment", adjustment, network, least=0.0, unit="days", strict=True)
        self.capacity = by_account("capacity", capacity, network, least=1.0, unit="times base output")
        self.production = FixedProportions() if production is None else production
        self.rationing = Proportional() if rationing is None else rationing
        self.orders = StockAdjustment() if orders is None else orders
        self.reallocation, self.overproduction, self.labour = reallocation, overproduction, labour
        self.households, self.reconstruction = households, reconstruction
        self.delays = delays(delay, network)
        self.endless = concrete(self.inventory) and bool(np.isinf(np.asarray(jax.tree.leaves(self.inventory)[0])).any())
        self._check_rules()

    def init(self) -> SupplyState:
        net, links, x = self.network, self.network.links, self.network.output
        orders = links.of_customer(x)
        stock = self._finite(self._days() * orders)
        one, zero = jnp.ones_like(x), jnp.zeros_like(x)
        seen = self._observation(
            output=x, consumed=net.final_demand, unmet=zero, rebuilt=zero, demand=x, deliveries=x - net.final_demand,
            received=orders, used=orders, stock=stock, capacity=self.capacity * x, damage=zero,
            bottleneck=jnp.full(x.shape, DEMAND),
        )  # fmt: skip
        return SupplyState(
            stock=stock,
            orders=Orders(orders, None if self.reallocation is None else one),
            intermediate=x - net.final_demand,
            final=net.final_demand,
            demand=x,
            rebuilding=None if self.reconstruction is None else zero,
            transit=None if self.delays is None else self.delays.start(links, orders),
            alpha=None if self.overproduction is None else one,
            staff=None if self.labour is None else one,
            consumption=None if self.households is None else jnp.zeros((), x.dtype),
            damage=None if self.reconstruction is None else zero,
            seen=seen,
        )

    def step(self, state, day, shock, key):
        links, base = self.network.links, self.network.output
        now = Conditions.calm(self.network)
        now = now if shock is None else shock.apply(now, day)
        trade = self._trade(state, now)
        alpha, staff, damage = self._means(state, now, trade.demand)

        capacity = left(now.capacity) * self.capacity * base * self._factors(alpha, staff, damage)
        stock = self._endless(state.stock)
        inputs, scarcest = self.production.limit(links, stock, self._days(), base)
        inputs = times(left(now.productivity), inputs)
        output, bottleneck = least(trade.demand, capacity, inputs, scarcest)
        output = output if now.withheld is None else jnp.maximum(0, output - now.withheld)

        served = self.rationing.serve(output, trade)
        tilt = None if self.reallocation is None else self.reallocation.tilt(capacity, self.capacity * base)
        arrived, transit, mean = self._arrivals(served, state, tilt)
        used = self.production.use(links, per(output, left(now.productivity)), stock)
        # Taking out before putting in keeps a stock that is used up at exactly zero or above.
        stock = self._finite((state.stock - used) + arrived)

        outlook = Outlook(trade.demand, jnp.minimum(trade.demand, capacity), output, base)
        placed = self.orders.place(links, outlook, stock, self._days(), on_inputs(self.adjustment, links))
        orders = _among_suppliers(placed, tilt, mean)
        consumption, final = self._final_demand(state, now, staff)
        staff = None if self.labour is None else self.labour.update(staff, outlook.demand, inputs, base)
        damage, rebuilding, rebuilt = self._rebuild(state, damage, served.final)
        intermediate = orders.by_supplier(links)
        demand = intermediate + self._with_builders(final, rebuilding)

        seen = self._observation(
            output=output, consumed=served.final * trade.final, unmet=(1 - served.final) * state.final, rebuilt=rebuilt,
            demand=demand, deliveries=served.deliveries, received=arrived, used=used, stock=stock, capacity=capacity,
            damage=jnp.zeros_like(base) if damage is None else damage, bottleneck=bottleneck,
        )  # fmt: skip
        return SupplyState(
            stock, orders, intermediate, final, demand, rebuilding, transit, alpha, staff, consumption, damage, seen
        )

    def observe(self, state):
        return state.seen

    def rows(self, shock, steps, key, observe, scan):
        if firms.fits(self, shock, observe):
            return firms.rows(self, shock, steps, observe)  # pyright: ignore[reportArgumentType]
        return each_step(self, shock, steps, key, observe, scan)

    def path(self, rows, base, result):
        return SupplyPath(**_fields(rows), base=base, result=result)

    def check(self, shock):
        if shock is not None:
            if not isinstance(shock, AbstractShock):
                raise InputError(f"shock is a {type(shock).__name__}; give a shock such as CapacityLoss(...), or None.")
            shock.check(self.network)
            destroyed = [part.damage for part in parts(shock) if isinstance(part, CapitalLoss)]
            if destroyed and self.reconstruction is None:
                raise InputError(
                    "the shock destroys capital, but the model has none: give SupplyModel a reconstruction."
                )
            if destroyed and self.reconstruction is not None:
                self.reconstruction.can_lose(jnp.sum(jnp.stack(jnp.broadcast_arrays(*destroyed)), axis=0))
        if concrete(self.network, self.adjustment) and self._known_stability():
            warn_if_unstable(self.network, self.adjustment)  # pyright: ignore[reportArgumentType]

    def _known_stability(self) -> bool:
        """Say whether the linearised step of `stability` is this model's own."""
        plain = type(self.orders) is StockAdjustment and self.reallocation is None and self.delays is None
        return plain and not isinstance(self.adjustment, ByInput)

    def _days(self) -> Array:
        """The target stock of every input in days, an input array."""
        return on_inputs(self.inventory, self.network.links)

    def _finite(self, stock: Array) -> Array:
        """Keep no account of stocks without end: they count as 0."""
        return jnp.where(jnp.isfinite(self._days()), stock, 0) if self.endless else stock

    def _endless(self, stock: Array) -> Array:
        """Give stocks without end their value, infinity."""
        return jnp.where(jnp.isfinite(self._days()), stock, jnp.inf) if self.endless else stock

    def _trade(self, state: SupplyState, now: Conditions) -> Trade:
        """Return what is to be served today: yesterday's orders, as far as their links are open, and final demand."""
        links, open_links = self.network.links, now.open_links(self.network.links)
        final = self._with_builders(state.final, state.rebuilding)
        ordered = state.intermediate if open_links is None else state.orders.by_supplier(links, open_links)
        base = (self.network.output, self.network.final_demand)
        return Trade(links, state.orders, open_links, ordered + final, ordered, final, *base)

    def _means(self, state: SupplyState, now: Conditions, demand: Array) -> tuple[Array | None, Array, Array | None]:
        """Return today's overproduction, staff and destroyed capital; None for what the model leaves out."""
        alpha = None
        if self.overproduction is not None:
            alpha = self.overproduction.update(state.alpha, demand, state.seen.output)
        staff = left(now.labour) if state.staff is None else jnp.minimum(state.staff, left(now.labour))
        return alpha, staff, None if state.damage is None else state.damage + now.destroyed

    def _factors(self, alpha: Array | None, staff: Array, damage: Array | None) -> Array:
        """Return what overproduction, staff and destroyed capital leave of capacity, as a share."""
        share = staff if alpha is None else alpha * staff
        return share if damage is None or self.reconstruction is None else self.reconstruction.left(damage) * share

    def _arrivals(
        self, served: Served, state: SupplyState, tilt: Array | None
    ) -> tuple[Array, Array | None, Array | None]:
        """Return what arrives, what is under way, and the mean over an input's suppliers of the tilt of today's orders."""
        if self.delays is not None:
            arrived, transit = self.delays.ship(served, state.transit)
            return arrived, transit, None if tilt is None else self.network.links.supply(tilt)
        arrived, mean = (served.received(), None) if tilt is None else served.received_beside(tilt)
        return arrived, None, mean

    def _final_demand(self, state: SupplyState, now: Conditions, staff: Array) -> tuple[Array | None, Array]:
        """Return the households' consumption level, after today's staff, and the final demand that is placed today."""
        net = self.network
        change = jnp.maximum(0, 1 + now.demand)
        if self.households is None:
            return None, net.final_demand * change
        level = self.households.level(state.consumption, staff)
        others = jnp.maximum(0, net.final_demand - self.households.consumption.astype(net.output.dtype))
        return level, others * change + self.households.consumed(level, now.demand)

    def _with_builders(self, final: Array, rebuilding: Array | None) -> Array:
        if rebuilding is None or self.reconstruction is None:
            return final
        return final + self.reconstruction.demand(rebuilding)

    def _rebuild(
        self, state: SupplyState, damage: Array | None, served: Array
    ) -> tuple[Array | None, Array | None, Array]:
        """Return the damage left, what is asked next for rebuilding, and today's output for it by builder."""
        if damage is None or self.reconstruction is None:
            return None, None, jnp.zeros_like(self.network.output)
        after = jnp.maximum(0, damage - self.reconstruction.rebuilt(state.rebuilding, served))
        return after, self.reconstruction.asked(after), served * self.reconstruction.demand(state.rebuilding)

    def _check_rules(self) -> None:
        for name, rule, kind in (
            ("production", self.production, AbstractProduction),
            ("rationing", self.rationing, AbstractRationing),
            ("orders", self.orders, AbstractOrders),
            ("reallocation", self.reallocation, AbstractReallocation | None),
            ("overproduction", self.overproduction, Overproduction | None),
            ("labour", self.labour, Labour | None),
            ("households", self.households, Households | None),
            ("reconstruction", self.reconstruction, Reconstruction | None),
        ):
            if not isinstance(rule, kind):
                raise InputError(f"{name} is {rule!r}; give one of the rules of q.supply, made with its parameters.")
        self.production.check(self.network.links)
        if self.reallocation is not None and not self.network.links.pooled:
            raise InputError(
                "reallocation moves orders between the suppliers of one product, but every supplier has a product of its own "
                "here: pool the network first, network.pooled(sector)."
            )
        for rule in (self.overproduction, self.labour, self.households, self.reconstruction):
            if rule is not None:
                rule.check(self.network)

    def _observation(
        self, *, output, consumed, unmet, rebuilt, demand, deliveries, received, used, stock, capacity, damage, bottleneck
    ) -> SupplyPath:  # fmt: skip
        links = self.network.links

        def total(inputs):
            held = links.need * inputs
            return links.sum_by_customer(jnp.where(jnp.isfinite(self._days()), held, 0) if self.endless else held)

        return SupplyPath(
            output=output,
            value_added=self.network.value_added_share * output,
            final_consumption=consumed,
            unmet=unmet,
            reconstruction=rebuilt,
            deliveries=deliveries,
            demand=demand,
            received=total(received),
            used=total(used),
            stock=total(stock),
            capacity=jnp.broadcast_to(capacity, output.shape),
            direct_loss=jnp.maximum(0, self.network.output - capacity),
            damage=damage,
            bottleneck=bottleneck,
        )


def _among_suppliers(placed: Array, tilt: Array | None, mean: Array | None) -> Orders:
    """Return the orders of inputs as orders of suppliers."""
    if tilt is None or mean is None:
        return Orders(placed)
    # Where no supplier of an input can make anything, base shares: those orders are not served, but they are placed.
    some = mean > 0
    return Orders(jnp.where(some, placed / jnp.where(some, mean, 1), 0), tilt)


def _fields(rows: SupplyPath) -> dict:
    return {k: v for k, v in vars(rows).items() if k not in ("base", "result")}
