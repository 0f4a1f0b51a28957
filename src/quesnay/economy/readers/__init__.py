"""Read tables: builtins, folders of CSV files, pymrio's systems, and the databases of the world."""

from .archives import Limits
from .databases import exiobase1, exiobase2, exiobase3
from .excel import excel
from .fetch import Login, fetch
from .figaro import figaro, parse_figaro
from .load import load
from .nations import eora26, gloria, oecd, wiod
from .supply_use import (
    FixedIndustrySales,
    FixedProductSales,
    IndustryTechnology,
    ProductTechnology,
    Transformation,
    supply_use,
)
from .systems import from_pymrio
from .useeio import useeio

__all__ = [
    "FixedIndustrySales",
    "FixedProductSales",
    "IndustryTechnology",
    "Limits",
    "Login",
    "ProductTechnology",
    "Transformation",
    "eora26",
    "excel",
    "exiobase1",
    "exiobase2",
    "exiobase3",
    "fetch",
    "figaro",
    "from_pymrio",
    "gloria",
    "load",
    "oecd",
    "parse_figaro",
    "supply_use",
    "useeio",
    "wiod",
]
