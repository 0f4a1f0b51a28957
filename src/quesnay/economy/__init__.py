"""Labelled accounts: read a table, check it, reshape it, and cross between labels and arrays."""

from . import firms, readers
from .accounts import Economy
from .checks import Balance
from .folders import save
from .hazards import read_losses
from .labels import Labelled, Variable
from .ledger import Note
from .readers import from_pymrio, load

__all__ = [
    "Balance",
    "Economy",
    "Labelled",
    "Note",
    "Variable",
    "firms",
    "from_pymrio",
    "load",
    "read_losses",
    "readers",
    "save",
]
