"""Tables updated to new margins, with exact derivatives, and what the data identify."""

from .balance import Balance, gras, newton, ras
from .blocks import Blocks
from .fitting import Fit, fit
from .identification import Identification, Outcome, identify
from .rows import Coefficients, kl

__all__ = [
    "Balance",
    "Blocks",
    "Coefficients",
    "Fit",
    "Identification",
    "Outcome",
    "fit",
    "gras",
    "identify",
    "kl",
    "newton",
    "ras",
]
