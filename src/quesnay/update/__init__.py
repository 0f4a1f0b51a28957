"""Tables updated to new margins, with exact derivatives, and what the data identify."""

from .balance import Balance, gras, newton, ras
from .blocks import Blocks
from .doubts import UnitsWarning
from .emissions import EmissionsFit, fit_emissions
from .fitting import Fit, fit
from .identification import Identification, Outcome, identify
from .neural import NeuralTechnology, Weights
from .neural_fitting import NeuralFit, fit_neural
from .rows import Coefficients, kl
from .tracking import Forecast, Track, track

__all__ = [
    "Balance",
    "Blocks",
    "Coefficients",
    "EmissionsFit",
    "Fit",
    "Forecast",
    "Identification",
    "NeuralFit",
    "NeuralTechnology",
    "Outcome",
    "Track",
    "UnitsWarning",
    "Weights",
    "fit",
    "fit_emissions",
    "fit_neural",
    "gras",
    "identify",
    "kl",
    "newton",
    "ras",
    "track",
]
