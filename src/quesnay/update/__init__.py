"""Tables updated to new margins, with exact derivatives, and what the data identify."""

from .balance import Balance, gras, newton, ras
from .blocks import Blocks
from .rows import Coefficients, kl

__all__ = ["Balance", "Blocks", "Coefficients", "gras", "kl", "newton", "ras"]
