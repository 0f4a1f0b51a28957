"""The report of the best interventions and their trade-off: one self-contained page, labelled numbers, and a summary."""

from .causal import causal_graph
from .dataset import dataset
from .page import html
from .study import Study
from .summary import summary

__all__ = ["Study", "causal_graph", "dataset", "html", "summary"]
