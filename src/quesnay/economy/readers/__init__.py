"""Read tables: builtins, folders of CSV files, pymrio's systems, and the databases of the world."""

from .load import load
from .systems import from_pymrio

__all__ = ["from_pymrio", "load"]
