"""The report of a run: one self-contained page, labelled numbers, and a summary."""

from .dataset import dataset
from .page import html
from .run import Run
from .summary import summary

__all__ = ["Run", "dataset", "html", "summary"]
