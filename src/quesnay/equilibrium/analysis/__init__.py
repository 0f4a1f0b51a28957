"""What is read off an equilibrium: multipliers, accounts, linkages, extraction, influence, paths, decompositions."""

from .accounts import Accounts, accounts
from .decomposition import FactorEffects, PathEffects, decompose_path, decompose_polar, decompose_shapley
from .effects import Effects, price_effects, supply_effects
from .extraction import Extraction, Loss, extraction
from .influence import (
    Influence,
    coefficient_limits,
    field_of_influence,
    influence,
    inverse_change,
    inverse_limits,
)
from .jacobian import Jacobian, jacobian
from .linkages import Linkages, PureLinkages, linkages, pure_linkages
from .measures import Explanation, explain, footprint, multipliers
from .paths import Paths, ProductionLayers, paths, production_layers
from .structural import Decomposition, decompose

__all__ = [
    "Accounts",
    "Decomposition",
    "Effects",
    "Explanation",
    "Extraction",
    "FactorEffects",
    "Influence",
    "Jacobian",
    "Linkages",
    "Loss",
    "PathEffects",
    "Paths",
    "ProductionLayers",
    "PureLinkages",
    "accounts",
    "coefficient_limits",
    "decompose",
    "decompose_path",
    "decompose_polar",
    "decompose_shapley",
    "explain",
    "extraction",
    "field_of_influence",
    "footprint",
    "influence",
    "inverse_change",
    "inverse_limits",
    "jacobian",
    "linkages",
    "multipliers",
    "paths",
    "price_effects",
    "production_layers",
    "pure_linkages",
    "supply_effects",
]
