"""Networks of firms with their labels: read from a list of links, or drawn from a table and published moments."""

from .draw import draw
from .moments import ECUADOR, HUNGARY, Moments
from .read import read
from .report import TOLERANCE, Drawn
from .result import Firms

__all__ = ["ECUADOR", "HUNGARY", "TOLERANCE", "Drawn", "Firms", "Moments", "draw", "read"]
