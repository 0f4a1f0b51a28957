"""Who buys from whom: links between accounts, their storage, and a production network at its base state."""

from .base import Network
from .buckets import Buckets
from .links import TIE, AbstractLinks, DenseLinks, EdgeLinks, scarcest
from .pools import DensePools, EdgePools

__all__ = [
    "TIE",
    "AbstractLinks",
    "Buckets",
    "DenseLinks",
    "DensePools",
    "EdgeLinks",
    "EdgePools",
    "Network",
    "scarcest",
]
