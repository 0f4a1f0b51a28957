"""Agent-based models with discrete draws, through which derivatives pass."""

from .draws import bernoulli, binomial, categorical, poisson
from .estimators import AbstractEstimator, GumbelSoftmax, MeanField, Smoothed, StraightThrough
from .sir import SIR, Epidemic
from .walk import RandomWalk, Walk

__all__ = [
    "SIR",
    "AbstractEstimator",
    "Epidemic",
    "GumbelSoftmax",
    "MeanField",
    "RandomWalk",
    "Smoothed",
    "StraightThrough",
    "Walk",
    "bernoulli",
    "binomial",
    "categorical",
    "poisson",
]
