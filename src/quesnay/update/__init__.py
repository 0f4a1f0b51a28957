"""Tables updated to new margins, with exact derivatives, and what the data identify."""

from .balance import Balance, gras, newton, ras
from .blocks import Blocks
from .emissions import EmissionsFit, fit_emissions
from .fitting import Fit, fit
from .identification import Identification, Outcome, identify
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
    "Outcome",
    "Track",
    "fit",
    "fit_emissions",
    "gras",
    "identify",
    "kl",
    "newton",
    "ras",
    "track",
]
