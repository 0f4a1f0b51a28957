"""Equilibria `x = f(x, theta)` with error bounds and exact derivatives."""

from quesnay._results import RESULTS

from .measures import Explanation, explain, footprint, multipliers
from .solution import Solution, solve
from .solvers import LU, AbstractLinearSolver, BiCGStab
from .system import AbstractLinearSystem, AbstractSystem, Ghosh, Leontief, Price

__all__ = [
    "LU",
    "RESULTS",
    "AbstractLinearSolver",
    "AbstractLinearSystem",
    "AbstractSystem",
    "BiCGStab",
    "Explanation",
    "Ghosh",
    "Leontief",
    "Price",
    "Solution",
    "explain",
    "footprint",
    "multipliers",
    "solve",
]
