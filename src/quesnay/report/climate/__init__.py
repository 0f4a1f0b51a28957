"""The report of a stress test under warming: one self-contained page, labelled numbers, and a summary."""

from .dataset import dataset
from .page import html
from .study import Matched, Study
from .summary import summary

__all__ = ["Matched", "Study", "dataset", "html", "summary"]
