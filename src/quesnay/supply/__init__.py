"""Shock propagation in production networks."""

from .model import SupplyModel, SupplyState
from .orders import AbstractOrders, StockAdjustment
from .path import CAPACITY, DEMAND, Losses, SupplyPath
from .production import AbstractProduction, FixedProportions
from .rationing import AbstractRationing, Proportional
from .shocks import (
    AbstractRecovery,
    AbstractShock,
    CapacityLoss,
    Conditions,
    Exponential,
    Linear,
    Tabulated,
    Together,
)
from .stability import Stability, stability

__all__ = [
    "CAPACITY",
    "DEMAND",
    "AbstractOrders",
    "AbstractProduction",
    "AbstractRationing",
    "AbstractRecovery",
    "AbstractShock",
    "CapacityLoss",
    "Conditions",
    "Exponential",
    "FixedProportions",
    "Linear",
    "Losses",
    "Proportional",
    "Stability",
    "StockAdjustment",
    "SupplyModel",
    "SupplyPath",
    "SupplyState",
    "Tabulated",
    "Together",
    "stability",
]
