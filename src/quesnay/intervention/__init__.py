"""Interventions in systems in equilibrium: the best ones, with a certificate."""

from .frontier import Frontier, frontier

__all__ = ["Frontier", "frontier"]
