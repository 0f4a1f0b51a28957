"""Climate: damage functions, damaged economies, stress tests, and the temperature of collapse."""

from .adaptation import Adaptation, adapt
from .collapse import Collapse, collapse
from .damage import AbstractDamage, ByAccount, Polynomial, Sigmoid, outside, slopes
from .linear_programme import LinearProgramme
from .match import Match, match
from .measures import AbstractMeasure, Diminishing, Mitigation, Proportional
from .paths import DamagePath, damage_path
from .perron import spectral_radius
from .published import DICE2016R, DICE2023, BurkeHsiangMiguel, HowardSterner, Weitzman
from .readings import (
    AbstractReading,
    Bottleneck,
    Delivery,
    FactorLimited,
    FixedCapacity,
    ResourceRequirement,
)
from .resilience import Resilience, resilience
from .scenarios import read_scenarios
from .setting import RESULTS
from .stress import Stress, stress
from .tables import Tabulated, read_damage, read_damages
from .uncertainty import Curves, curves, draw
from .vulnerability import AbstractVulnerability, Adapted, InputRequirement, Productivity, Technology

__all__ = [
    "DICE2016R",
    "DICE2023",
    "RESULTS",
    "AbstractDamage",
    "AbstractMeasure",
    "AbstractReading",
    "AbstractVulnerability",
    "Adaptation",
    "Adapted",
    "Bottleneck",
    "BurkeHsiangMiguel",
    "ByAccount",
    "Collapse",
    "Curves",
    "DamagePath",
    "Delivery",
    "Diminishing",
    "FactorLimited",
    "FixedCapacity",
    "HowardSterner",
    "InputRequirement",
    "LinearProgramme",
    "Match",
    "Mitigation",
    "Polynomial",
    "Productivity",
    "Proportional",
    "Resilience",
    "ResourceRequirement",
    "Sigmoid",
    "Stress",
    "Tabulated",
    "Technology",
    "Weitzman",
    "adapt",
    "collapse",
    "curves",
    "damage_path",
    "draw",
    "match",
    "outside",
    "read_damage",
    "read_damages",
    "read_scenarios",
    "resilience",
    "slopes",
    "spectral_radius",
    "stress",
]
