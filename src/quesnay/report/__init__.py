"""The report of a run: one self-contained page, labelled numbers, and a summary."""

from .dataset import dataset
from .ensemble import Ensemble, ensemble
from .page import html
from .run import Run
from .summary import summary

__all__ = ["Ensemble", "Run", "dataset", "ensemble", "html", "summary"]
