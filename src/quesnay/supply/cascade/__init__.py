"""The fast engine for firm networks: fixed proportions, proportional rationing and stock adjustment on blocks of links."""

from quesnay.network import Buckets

from .engine import cascade

__all__ = ["Buckets", "cascade"]
