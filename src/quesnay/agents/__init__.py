"""Agent-based models with discrete draws, through which derivatives pass."""

from .contacts import contacts, where_event
from .draws import bernoulli, binomial, categorical, poisson
from .estimators import AbstractEstimator, GumbelSoftmax, MeanField, Smoothed, StraightThrough
from .expectation import expectation
from .referee import GradientCheck, check_gradient
from .score import Score
from .sir import SIR, Epidemic
from .walk import RandomWalk, Walk

__all__ = [
    "SIR",
    "AbstractEstimator",
    "Epidemic",
    "GradientCheck",
    "GumbelSoftmax",
    "MeanField",
    "RandomWalk",
    "Score",
    "Smoothed",
    "StraightThrough",
    "Walk",
    "bernoulli",
    "binomial",
    "categorical",
    "check_gradient",
    "contacts",
    "expectation",
    "poisson",
    "where_event",
]
