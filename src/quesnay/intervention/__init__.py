"""Interventions in systems in equilibrium: the best ones, with a certificate, and those that leave a node as it was."""

from .actions import Affine, ParameterScaling, Product, Rotation, Scaling, Shift
from .compartments import Compartments, compartments
from .diagnosis import Diagnosis, diagnose
from .frontier import Frontier, frontier
from .graph import Graph, graph
from .groups import AbstractAction
from .interventions import AbstractIntervention, Act, Hard, Soft, intervene
from .invariance import Invariant, invariant
from .optimum import Optimum, optimise
from .soft import MLP, AbstractAssignment, Implicit, Polynomial
from .terms import Absolute, Constraint, at_least, at_most, equal

__all__ = [
    "MLP",
    "Absolute",
    "AbstractAction",
    "AbstractAssignment",
    "AbstractIntervention",
    "Act",
    "Affine",
    "Compartments",
    "Constraint",
    "Diagnosis",
    "Frontier",
    "Graph",
    "Hard",
    "Implicit",
    "Invariant",
    "Optimum",
    "ParameterScaling",
    "Polynomial",
    "Product",
    "Rotation",
    "Scaling",
    "Shift",
    "Soft",
    "at_least",
    "at_most",
    "compartments",
    "diagnose",
    "equal",
    "frontier",
    "graph",
    "intervene",
    "invariant",
    "optimise",
]
