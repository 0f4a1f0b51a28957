"""Agent-based models with discrete draws, through which derivatives pass."""

from .brock_hommes import BrockHommes, Market
from .contacts import contacts, where_event
from .draws import bernoulli, binomial, categorical, poisson
from .estimators import AbstractEstimator, GumbelSoftmax, MeanField, Smoothed, StraightThrough
from .expectation import expectation
from .firms import FirmDynamics, FirmPath
from .multinomial import multinomial
from .predator_prey import Populations, PredatorPrey
from .referee import GradientCheck, check_gradient
from .score import Score
from .sir import SIR, Epidemic
from .walk import RandomWalk, Walk

__all__ = [
    "SIR",
    "AbstractEstimator",
    "BrockHommes",
    "Epidemic",
    "FirmDynamics",
    "FirmPath",
    "GradientCheck",
    "GumbelSoftmax",
    "Market",
    "MeanField",
    "Populations",
    "PredatorPrey",
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
    "multinomial",
    "poisson",
    "where_event",
]
