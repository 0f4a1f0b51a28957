"""The default rules on a list of links, kept by groups: the way through the cascade, an engine with an adjoint of its own."""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quesnay.network import EdgeLinks, Network

from .cascade import cascade
from .losses import ByDay, CapacityLoss, DemandLoss, LabourLoss
from .observing import LEFT_OUT, ByGroup
from .orders import StockAdjustment
from .parameters import ByInput
from .path import SupplyPath
from .production import FixedProportions
from .rationing import Proportional
from .shocks import AbstractShock, Conditions, left, parts

if TYPE_CHECKING:
    from .model import SupplyModel


def fits(model: "SupplyModel", shock: AbstractShock | None, observe: object) -> bool:
    """Say whether the cascade gives the model's path: default rules, a list of links, sums by group, and a shock to z or d."""
    links = model.network.links
    if not isinstance(observe, ByGroup) or observe.forward_mode or jax.default_backend() != "cpu":
        return False
    if not isinstance(links, EdgeLinks) or links.buckets is None:
        return False
    default = (FixedProportions, Proportional, StockAdjustment)
    usual = all(type(r) is d for r, d in zip((model.production, model.rationing, model.orders), default, strict=True))
    extra = (
        model.reallocation,
        model.overproduction,
        model.labour,
        model.households,
        model.reconstruction,
        model.delays,
    )
    plain = not model.endless and not isinstance(model.inventory, ByInput) and not isinstance(model.adjustment, ByInput)
    known = shock is None or all(isinstance(p, CapacityLoss | LabourLoss | DemandLoss | ByDay) for p in parts(shock))
    return usual and plain and known and all(rule is None for rule in extra)


def rows(model: "SupplyModel", shock: AbstractShock | None, steps: int, observe: ByGroup) -> SupplyPath:
    """Return the observations of all days by group."""
    net, links = model.network, model.network.links
    inventory: Any = model.inventory
    adjustment: Any = model.adjustment
    assert isinstance(links, EdgeLinks)
    assert links.buckets is not None
    drive = _Drive(shock, net)
    seen = cascade(
        links, links.buckets, net.output, net.final_demand, inventory, adjustment, model.capacity,
        drive, _Emit(observe, net), steps=steps,
    )  # fmt: skip
    # Final demand placed yesterday is served today; what is not served of it is unmet.
    placed = jax.lax.map(lambda day: observe.total(drive(day)[1]), jnp.arange(steps - 1))
    asked = jnp.concatenate([observe.total(net.final_demand)[None], placed])
    none = jnp.zeros_like(seen["output"])
    return SupplyPath(
        **seen,
        unmet=asked - seen["final_consumption"],
        deliveries=seen["output"] - seen["final_consumption"],
        reconstruction=none,
        damage=none,
        **dict.fromkeys(LEFT_OUT),
    )


class _Drive(eqx.Module):
    """What the outside world does to capacity and final demand, day by day."""

    shock: AbstractShock | None
    network: Network

    def __call__(self, day: Int[Array, ""]) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        calm = Conditions.calm(self.network)
        now = calm if self.shock is None else self.shock.apply(calm, day)
        return left(now.capacity) * left(now.labour), self.network.final_demand * jnp.maximum(0, 1 + now.demand)


class _Emit(eqx.Module):
    """The day's sums by group."""

    observe: ByGroup
    network: Network

    def __call__(self, output, served, demand, capacity, consumed) -> dict[str, Array]:
        flows = {
            "output": output,
            "value_added": self.network.value_added_share * output,
            "final_consumption": consumed,
            "demand": demand,
            "capacity": capacity,
            "direct_loss": jnp.maximum(0, self.network.output - capacity),
        }
        return {name: self.observe.total(values) for name, values in flows.items()}
