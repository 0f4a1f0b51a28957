"""Supply and use tables made symmetric, by the four standard models of the manuals.

Everywhere V is the make matrix (industries, products), the transpose of the supply table; U is the use table (products,
industries); `q = V'1` is the output of products and `g = V 1` that of industries. The four models of chapter 11 of the
Eurostat Manual of Supply, Use and Input-Output Tables (2008), and of chapter 12 of the UN Handbook on Supply and Use Tables
and Input-Output Tables (2018), are four matrices T (industries, products).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

import numpy as np
import pandas as pd

from quesnay._errors import InputError, TableError
from quesnay.economy.accounts import Economy
from quesnay.economy.folders import with_notes
from quesnay.economy.ledger import ALL, IMPORTS, VALUE_ADDED, Note
from quesnay.economy.match import account_index, listed, numbers, positions, refuse_missing, vector


class Symmetric(NamedTuple):
    """A symmetric table: flows Z (n, n), final demand Y (n, m), inputs (k, n) and output (n,), in the unit of V and U."""

    Z: np.ndarray
    Y: np.ndarray
    inputs: np.ndarray
    output: np.ndarray


class Transformation(ABC):
    """What is assumed of secondary products; a matrix T (industries, products) with `g'T = q'` and `T q = g`."""

    by_product: ClassVar[bool]
    """Whether the table is product by product, `Z = U T`; industry by industry, `Z = T U`, otherwise."""

    @abstractmethod
    def matrix(self, V: np.ndarray) -> np.ndarray:
        """Return T (industries, products) of the make matrix V (industries, products)."""

    def symmetric(self, V: np.ndarray, U: np.ndarray, Y: np.ndarray, inputs: np.ndarray) -> Symmetric:
        """Return the symmetric table.

        Product by product `Z = U T`, `inputs T`, output q, and Y as it is; industry by industry `Z = T U`, `T Y`, output g,
        and the inputs as they are.

        Parameters
        ----------
        V:
            make matrix (industries, products).
        U:
            use table (products, industries).
        Y:
            final demand (products, m).
        inputs:
            whatever industries use or emit besides, such as primary inputs and satellites (k, industries).

        Raises
        ------
        TableError
            The model needs the inverse of a make matrix that has none, because it is not square or is singular.
        """
        T = self.matrix(V)
        if self.by_product:
            return Symmetric(U @ T, Y, inputs @ T, V.sum(axis=0))
        return Symmetric(T @ U, T @ Y, inputs, V.sum(axis=1))


@final
@dataclass(frozen=True)
class ProductTechnology(Transformation):
    """Model A: a product is made in the same way wherever it is made, `T = inv(V') diag(q)`; product by product.

    May give negative flows, which a note reports; as many products as industries are needed. Coefficients
    `A = U inv(V')` (Eurostat 2008, ch. 11, model A; the commodity technology of Miller and Blair, section 5.3).
    """

    by_product = True

    def matrix(self, V: np.ndarray) -> np.ndarray:
        """Return `T = inv(V') diag(q)` (industries, products)."""
        return _solve(V.T, V.sum(axis=0), self, V)


@final
@dataclass(frozen=True)
class IndustryTechnology(Transformation):
    """Model B: an industry makes all its products in the same way, `T = inv(diag(g)) V`; product by product.

    Coefficients `A = U inv(diag(g)) V inv(diag(q))` (Eurostat 2008, ch. 11, model B).
    """

    by_product = True

    def matrix(self, V: np.ndarray) -> np.ndarray:
        """Return `T = inv(diag(g)) V` (industries, products); the row of an industry without output is zero."""
        return _shares(V.T, V.sum(axis=1)).T


@final
@dataclass(frozen=True)
class FixedIndustrySales(Transformation):
    """Model C: an industry sells all its products to the same buyers, `T = diag(g) inv(V')`; industry by industry.

    May give negative flows, which a note reports; as many products as industries are needed. Coefficients
    `A = diag(g) inv(V') U inv(diag(g))` (Eurostat 2008, ch. 11, model C).
    """

    by_product = False

    def matrix(self, V: np.ndarray) -> np.ndarray:
        """Return `T = diag(g) inv(V')` (industries, products)."""
        return _solve(V, V.sum(axis=1), self, V).T


@final
@dataclass(frozen=True)
class FixedProductSales(Transformation):
    """Model D: a product has the same buyers wherever it is made, `T = V inv(diag(q))`; industry by industry.

    T holds the market shares of industries. Coefficients `A = V inv(diag(q)) U inv(diag(g))` (Eurostat 2008, ch. 11,
    model D; what the US Bureau of Economic Analysis publishes).
    """

    by_product = False

    def matrix(self, V: np.ndarray) -> np.ndarray:
        """Return `T = V inv(diag(q))` (industries, products); the column of a product that nobody makes is zero."""
        return _shares(V, V.sum(axis=0))


def _shares(values: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Return `values / totals` along the last axis, and 0 where a total is 0; scrap may have a negative one."""
    return np.divide(values, totals, out=np.zeros_like(values), where=totals != 0)


def _solve(M: np.ndarray, diagonal: np.ndarray, model: Transformation, V: np.ndarray) -> np.ndarray:
    name = type(model).__name__
    if V.shape[0] != V.shape[1]:
        raise TableError(
            f"{name} inverts the make matrix, which has {V.shape[0]} industries and {V.shape[1]} products; add up industries "
            f"or products until there are as many of both, or take IndustryTechnology() or FixedProductSales()."
        )
    # Rows and columns in shares, so that small industries do not look like missing ones.
    rows, columns = np.abs(V).sum(axis=1), np.abs(V).sum(axis=0)
    shares = _shares(V.T, np.sqrt(rows)).T
    if (
        not (rows.all() and columns.all())
        or np.linalg.cond(_shares(shares, np.sqrt(columns))) * np.finfo(float).eps >= 1
    ):
        raise TableError(
            f"{name} inverts the make matrix, which is singular: an industry or product has no output, or two industries make "
            f"the same products in the same shares; add them up, or take IndustryTechnology() or FixedProductSales()."
        )
    return np.linalg.solve(M, np.diag(diagonal))


def supply_use(
    *,
    make: pd.DataFrame,
    use: pd.DataFrame,
    Y: pd.DataFrame,
    model: Transformation,
    primary: pd.DataFrame | None = None,
    value_added: pd.Series | Mapping[Any, float] | None = None,
    imports: pd.Series | Mapping[Any, float] | None = None,
    satellites: Mapping[str, tuple[Any, str]] | None = None,
    direct: Mapping[str, Any] | None = None,
    currency: str,
    year: int | None = None,
    name: str | None = None,
    source: Mapping[str, str] | None = None,
    region: str = ALL,
    close: str | None = None,
) -> Economy:
    """Return the economy of a supply and a use table, its sectors the products or the industries, as the model has it.

    `Z = U T` or `Z = T U` with the T of the model; `g'T = q'` and `T q = g`, so that whatever adds up in the tables adds up in
    the economy. All in basic prices. A product that no industry makes cannot be sold by one: industry by industry its
    intermediate uses are imports, and its final uses are left out, which a note says.

    Parameters
    ----------
    make:
        make matrix V (industries, products); a supply table of products by industries is `supply.T`. `currency` per year.
    use:
        use table U (products, industries); the domestic one with `imports` given, or the total one with imports as a negative
        column of Y. `currency` per year.
    Y:
        final demand (products, m) by (region, category), or by category; `currency` per year.
    model:
        `ProductTechnology()`, `IndustryTechnology()`, `FixedIndustrySales()` or `FixedProductSales()`.
    primary, value_added, imports:
        by industry: (k, industries) with a name for every row, and (industries,); value added is the rest where missing.
    satellites:
        name -> (series by industry, unit).
    direct, currency, year, name, source, region, close:
        as in `Economy.from_frames`.

    Raises
    ------
    TableError
        The model needs an inverse that there is not, an industry without output uses inputs, or what `Economy` refuses.
    LabelError
        Products or industries do not agree between the tables.
    InputError
        The model is none, data without labels, or an account given twice.

    References
    ----------
    Eurostat (2008), Manual of Supply, Use and Input-Output Tables, chapter 11.
    """
    if not isinstance(model, Transformation):
        raise InputError(f"model is {model!r}; give an object such as FixedProductSales().")
    for what, given in (("make", make), ("use", use), ("Y", Y)):
        if not isinstance(given, pd.DataFrame):
            raise InputError(f"{what} is a {type(given).__name__}, which carries no labels; give a pandas DataFrame.")
    industries = account_index(make.index, "rows of make", region)
    products = account_index(make.columns, "columns of make", region)
    V = numbers(make, "make")
    U = _aligned(use, products, industries, "use", region)
    demand = numbers(Y, "Y")[positions(account_index(Y.index, "rows of Y", region), products, "rows of Y")]
    for what, values, rows, columns in (("make", V, industries, products), ("Y", demand, products, list(Y.columns))):
        refuse_missing(values, rows, what, columns)
    names, inputs = _inputs(primary, value_added, imports, industries, region)
    pollutants = {
        key: (vector(series, industries, f"satellite {key!r}", region), unit)
        for key, series, unit in _pairs(satellites)
    }
    _refuse_idle(U, inputs, V, industries)
    notes = []
    lost = V.sum(axis=0) == 0
    if not model.by_product and U[lost].any() | demand[lost].any():
        names, inputs = _imported(names, inputs, U[lost].sum(axis=0))
        label = listed(products[lost])
        text = (
            f"no industry makes {label}; the intermediate uses, {U[lost].sum():.6g} {currency}, are imports, and the final "
            f"uses, {demand[lost].sum():.6g} {currency}, are left out."
        )
        notes.append(Note("supply_use", float(U[lost].sum()), currency, text))
    used = np.vstack([inputs, *(values for values, _ in pollutants.values())])
    table = model.symmetric(V, U, demand, used)
    index = products if model.by_product else industries
    notes[:0] = [
        *_findings(model, V, U, table, index, currency),
        *_turned(used, table.inputs, [*names, *pollutants], model),
        *_turned(demand.T, table.Y.T, [listed([column]) for column in Y.columns], model),
    ]
    rest = table.inputs[len(names) :]
    economy = Economy.from_frames(
        Z=pd.DataFrame(table.Z, index, index),
        Y=pd.DataFrame(table.Y, index, Y.columns),
        output=pd.Series(table.output, index),
        primary=pd.DataFrame(table.inputs[: len(names)], list(names), index) if names else None,
        satellites={
            key: (pd.Series(values, index), unit)
            for (key, (_, unit)), values in zip(pollutants.items(), rest, strict=True)
        },
        direct=direct,
        currency=currency,
        year=year,
        name=name or "supply and use table",
        source=source,
        region=region,
        close=close,
    )
    return with_notes(economy, tuple(notes))


def _pairs(satellites: Mapping[str, tuple[Any, str]] | None) -> list[tuple[str, Any, str]]:
    for key, given in (satellites or {}).items():
        if not (isinstance(given, tuple) and len(given) == 2):
            raise TableError(f"Satellite {key!r} has no unit; give a pair (series, unit), as in (series, 'kt CO2e').")
    return [(key, series, unit) for key, (series, unit) in (satellites or {}).items()]


def _aligned(frame: pd.DataFrame, rows: pd.MultiIndex, columns: pd.MultiIndex, what: str, region: str) -> np.ndarray:
    down = positions(account_index(frame.index, f"rows of {what}", region), rows, f"rows of {what}")
    across = positions(account_index(frame.columns, f"columns of {what}", region), columns, f"columns of {what}")
    values = numbers(frame, what)[np.ix_(down, across)]
    refuse_missing(values, rows, what, columns)
    return values


def _inputs(
    primary: pd.DataFrame | None, value_added: Any, imports: Any, industries: pd.MultiIndex, region: str
) -> tuple[tuple[str, ...], np.ndarray]:
    rows: dict[str, np.ndarray] = {}
    if primary is not None:
        if not isinstance(primary, pd.DataFrame):
            raise InputError(
                f"primary is a {type(primary).__name__}; give a pandas DataFrame with a name for every row."
            )
        for label in primary.index:
            rows[str(label)] = vector(primary.loc[label], industries, f"primary input {str(label)!r}", region)
    for name, given in ((VALUE_ADDED, value_added), (IMPORTS, imports)):
        if given is not None:
            if name in rows:
                raise InputError(f"{name} is given twice, alone and as a row of primary; leave one out.")
            rows[name] = vector(given, industries, name, region)
    return tuple(rows), np.array(list(rows.values())).reshape(len(rows), len(industries))


def _imported(names: tuple[str, ...], inputs: np.ndarray, bought: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    if IMPORTS not in names:
        return (*names, IMPORTS), np.vstack([inputs, bought])
    inputs = inputs.copy()
    inputs[names.index(IMPORTS)] += bought
    return names, inputs


def _refuse_idle(U: np.ndarray, inputs: np.ndarray, V: np.ndarray, industries: pd.MultiIndex) -> None:
    idle = (V.sum(axis=1) == 0) & (np.abs(U).sum(axis=0) + np.abs(inputs).sum(axis=0) > 0)
    if idle.any():
        raise TableError(
            f"The make matrix has no output of {listed(industries[idle])}, which uses inputs; correct its row of make, or "
            f"add it to another industry."
        )


def _findings(
    model: Transformation, V: np.ndarray, U: np.ndarray, table: Symmetric, index: pd.MultiIndex, currency: str
) -> list[Note]:
    side = "product by product" if model.by_product else "industry by industry"
    made = f"{V.shape[0]} industries and {V.shape[1]} products were made symmetric, {side}, by {type(model).__name__}."
    notes = [Note("supply_use", float(table.output.sum()), currency, made)]
    # What is left of cancelling terms is no negative flow: the rounding of a sum of n flows of the table's own size.
    rounding = len(index) * np.finfo(float).eps * np.abs(table.Z).sum(axis=0)
    below = np.where(table.Z + rounding < 0, table.Z, 0.0)
    if below.any():
        row, column = np.unravel_index(int(below.argmin()), below.shape)
        at = f"{listed([index[int(row)]])} to {listed([index[int(column)]])}"
        words = (
            f"{int((below < 0).sum())} flow(s) are negative, together {below.sum():.6g} {currency}, most {below.min():.6g} "
            f"from {at}; the use table has {int((U < 0).sum())} negative cell(s); nonnegative() moves such flows."
        )
        notes.append(Note("supply_use", float(below.sum()), currency, words))
    return notes


def _turned(before: np.ndarray, after: np.ndarray, names: list[str], model: Transformation) -> list[Note]:
    """Return a note on rows that had no negative cell before the model and have one after it."""
    rounding = after.shape[1] * np.finfo(float).eps * np.abs(after).sum(axis=1, keepdims=True)
    cells = (after + rounding < 0).sum(axis=1) * (before >= 0).all(axis=1)
    if not cells.any():
        return []
    rows = listed([name for name, count in zip(names, cells, strict=True) if count])
    sentence = (
        f"{type(model).__name__} makes {int(cells.sum())} cell(s) negative of what had none: {rows}; they were kept."
    )
    return [Note("supply_use", float(cells.sum()), "cells", sentence)]
