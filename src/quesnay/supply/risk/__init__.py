"""Systemic risk of firms: the index of Diem et al. for every firm, and the marginal risk of all by one adjoint."""

from .index import SystemicRisk, systemic_risk
from .marginal import MarginalRisk, marginal_risk

__all__ = ["MarginalRisk", "SystemicRisk", "marginal_risk", "systemic_risk"]
