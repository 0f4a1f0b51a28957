"""Shock propagation in production networks."""

from .capital import Overproduction, Reconstruction
from .impulse import Impulse, growth, impulse
from .labour import Households, Labour
from .levers import AbstractLever, Allocation, Inventories, SpareCapacity, allocate, output_kept
from .losses import (
    ByDay,
    CapacityLoss,
    CapitalLoss,
    DemandLoss,
    InputLoss,
    LabourLoss,
    LinkLoss,
    ProductivityLoss,
)
from .model import SupplyModel, SupplyState
from .observing import ByGroup, by_group
from .orders import AbstractOrders, AbstractReallocation, MovingTarget, Replacement, StockAdjustment, TowardsCapacity
from .parameters import ByInput, ByProduct
from .path import CAPACITY, DEMAND, Losses, SupplyPath
from .production import (
    CES,
    AbstractProduction,
    FixedProportions,
    HalfCritical,
    LinearProduction,
    PsiRelaxed,
    StronglyCritical,
    Unlimited,
    WeaklyCritical,
    criticality,
)
from .rationing import AbstractRationing, FinalDemandFirst, FinalDemandLast, Progressive, Proportional
from .recoveries import AbstractRecovery, Concave, Convex, Custom, Exponential, Linear, Tabulated
from .risk import MarginalRisk, SystemicRisk, marginal_risk, systemic_risk
from .shocks import AbstractShock, Conditions, Together, together
from .stability import Stability, stability

__all__ = [
    "CAPACITY",
    "CES",
    "DEMAND",
    "AbstractLever",
    "AbstractOrders",
    "AbstractProduction",
    "AbstractRationing",
    "AbstractReallocation",
    "AbstractRecovery",
    "AbstractShock",
    "Allocation",
    "ByDay",
    "ByGroup",
    "ByInput",
    "ByProduct",
    "CapacityLoss",
    "CapitalLoss",
    "Concave",
    "Conditions",
    "Convex",
    "Custom",
    "DemandLoss",
    "Exponential",
    "FinalDemandFirst",
    "FinalDemandLast",
    "FixedProportions",
    "HalfCritical",
    "Households",
    "Impulse",
    "InputLoss",
    "Inventories",
    "Labour",
    "LabourLoss",
    "Linear",
    "LinearProduction",
    "LinkLoss",
    "Losses",
    "MarginalRisk",
    "MovingTarget",
    "Overproduction",
    "ProductivityLoss",
    "Progressive",
    "Proportional",
    "PsiRelaxed",
    "Reconstruction",
    "Replacement",
    "SpareCapacity",
    "Stability",
    "StockAdjustment",
    "StronglyCritical",
    "SupplyModel",
    "SupplyPath",
    "SupplyState",
    "SystemicRisk",
    "Tabulated",
    "Together",
    "TowardsCapacity",
    "Unlimited",
    "WeaklyCritical",
    "allocate",
    "by_group",
    "criticality",
    "growth",
    "impulse",
    "marginal_risk",
    "output_kept",
    "stability",
    "systemic_risk",
    "together",
]
