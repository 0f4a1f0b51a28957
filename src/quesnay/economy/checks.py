"""What a table must satisfy before anything is computed from it, and how far it is from adding up."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse.linalg

from quesnay._errors import TableError

from .ledger import Ledger, Note, absolute_sums, over_output
from .match import SHOWN, refuse_missing, say

TOLERATED = 0.005
"""Largest tolerated sum of absolute residuals, as a share of total output, of the rows and of the columns."""
NEGLIGIBLE = 1e-9
"""A residual below this share of total output is rounding and is not reported in the notes."""
DENSE = 500
"""Number of accounts up to which all eigenvalues are computed; above, only the largest, by ARPACK."""


@dataclass(frozen=True, eq=False)
class Balance:
    """How far a table is from adding up.

    Attributes
    ----------
    rows:
        Series (n,), `x - Z 1 - Y 1`; currency per year.
    columns:
        Series (n,), `x - 1'Z - 1'primary`; currency per year.
    row_share, column_share:
        sums of absolute residuals over total output.
    worst_row, worst_column:
        (region, sector) of the largest absolute residual.
    """

    rows: pd.Series
    columns: pd.Series
    row_share: float
    column_share: float
    worst_row: tuple[str, str]
    worst_column: tuple[str, str]
    currency: str

    def __repr__(self) -> str:
        lines = [f"Balance ({self.currency}; residuals as sums of absolute values over total output)"]
        for name, share, worst, values in (
            ("rows", self.row_share, self.worst_row, self.rows),
            ("columns", self.column_share, self.worst_column, self.columns),
        ):
            lines.append(f"  {name:8} {share:.2e}   largest {values.loc[worst]:.4g} in {say(worst)}")
        return "\n".join(lines)


def account(index: pd.MultiIndex, size: np.ndarray) -> tuple[str, str]:
    """Return the (region, sector) of the largest entry."""
    region, sector = index[int(size.argmax())]
    return str(region), str(sector)


def balance(ledger: Ledger, currency: str) -> Balance:
    """Return the residuals of both identities, labelled, and as shares of total output."""
    row, column = ledger.row_residual, ledger.column_residual
    total = ledger.output.sum()
    return Balance(
        rows=pd.Series(row, ledger.index.copy(), name="row residual"),
        columns=pd.Series(column, ledger.index.copy(), name="column residual"),
        row_share=float(np.abs(row).sum() / total),
        column_share=float(np.abs(column).sum() / total),
        worst_row=account(ledger.index, np.abs(row)),
        worst_column=account(ledger.index, np.abs(column)),
        currency=currency,
    )


def dominant(Z: np.ndarray, output: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the spectral radius of `A = Z / x` (n, n) and the sizes (n,) of the entries of its right eigenvector.

    Up to 500 accounts by a full eigendecomposition; above, by ARPACK from a fixed start vector, so that two calls agree,
    with products `A v = Z (v / x)` that need no A.
    """
    n = len(Z)
    if n > DENSE:
        per_output = over_output(np.ones(n), output)
        operator: Any = scipy.sparse.linalg.LinearOperator
        A = operator((n, n), matvec=lambda v: Z @ (v.ravel() * per_output), dtype=float)
        try:
            found: Any = scipy.sparse.linalg.eigs(A, k=1, which="LM", v0=np.ones(n))
            return float(abs(found[0][0])), np.abs(found[1][:, 0])
        except scipy.sparse.linalg.ArpackError:  # no convergence, or A annihilates the start vector
            pass
    values, right = np.linalg.eig(over_output(Z, output))
    top = int(np.abs(values).argmax())
    return float(abs(values[top])), np.abs(right[:, top])


def check(ledger: Ledger, currency: str) -> None:
    """Raise `TableError`, naming the worst account and the remedy, unless the ledger can carry a model.

    Refused: no accounts, NaN or infinite values, negative output, no output at all, a satellite on zero output,
    spectral radius of A at or above 1, and a row or column imbalance above 0.5 % of total output.
    """
    if not len(ledger.index):
        raise TableError("The table is empty: it has no accounts; give at least one sector.")
    _check_numbers(ledger)
    _check_output(ledger, currency)
    _check_productive(ledger)
    _check_balance(ledger, currency)


def _check_numbers(ledger: Ledger) -> None:
    index = ledger.index
    refuse_missing(ledger.Z, index, "Z", index)
    refuse_missing(ledger.Y, index, "Y", ledger.categories)
    refuse_missing(ledger.output, index, "output")
    for name, row in zip(ledger.inputs, ledger.primary, strict=True):
        refuse_missing(row, index, f"primary input {name!r}")
    for name, row in zip(ledger.names, ledger.satellites, strict=True):
        refuse_missing(row, index, f"satellite {name!r}")
    for name, row in zip(ledger.names, ledger.direct, strict=True):
        refuse_missing(row, ledger.categories, f"direct {name!r} of final consumers")


def _check_output(ledger: Ledger, currency: str) -> None:
    x = ledger.output
    if (x < 0).any():
        below = np.flatnonzero(x < 0)
        first = ", ".join(f"{say(ledger.index[k])} ({x[k]:.6g} {currency})" for k in below[:SHOWN])
        many = f"{len(below)} accounts" if len(below) > 1 else "1 account"
        more = f" and {len(below) - SHOWN} more" if len(below) > SHOWN else ""
        raise TableError(
            f"The output of {many} is negative: {first}{more}; check the sign and the column that was read, or drop such "
            f"accounts from every frame, or merge them into another one by adding up their rows and columns."
        )
    if not x.sum() > 0:
        raise TableError("The table has no output: every sector's output is zero; check which file or column was read.")
    without = np.flatnonzero(x == 0)
    idle = np.abs(ledger.satellites[:, without])
    if idle.any():
        k, j = (int(v) for v in np.unravel_index(idle.argmax(), idle.shape))
        i = int(without[j])
        raise TableError(
            f"Satellite {ledger.names[k]!r} is {ledger.satellites[k, i]:.6g} {ledger.units[k]} in "
            f"{say(ledger.index[i])}, whose output is zero, so that it has no intensity; "
            f"move it to a sector with output or correct the output."
        )
    bought = idle_purchases(ledger)
    if bought.sum() > TOLERATED * x.sum():
        worst = int(bought.argmax())
        raise TableError(
            f"The {say(ledger.index[worst])} has zero output but buys {bought[worst]:.6g} {currency} of inputs; "
            f"correct its output, or move its column to final demand."
        )


def idle_purchases(ledger: Ledger) -> np.ndarray:
    """Return the intermediate purchases (n,) of the accounts with zero output, 0 for all others."""
    return absolute_sums(ledger.Z)[1] * (ledger.output == 0)


def _check_productive(ledger: Ledger) -> None:
    sold, bought = (over_output(sums, ledger.output) for sums in absolute_sums(ledger.Z))
    # Either norm bounds the spectral radius from above and spares the eigenvalues: the column sums of |A|, and the
    # row sums weighted by output (accounts without output have a zero column, and no part in the radius).
    if bought.max() < 1 or sold.max() < 1:
        return
    radius, weights = dominant(ledger.Z, ledger.output)
    if radius >= 1:
        worst = int(weights.argmax())
        raise TableError(
            f"The technology is not productive: the spectral radius of A is {radius:.6g}, and no finite output can meet "
            f"final demand; start with {say(ledger.index[worst])}, which has the largest weight, and check that output "
            f"and Z are in the same unit and that the rows of Z supply."
        )


def _check_balance(ledger: Ledger, currency: str) -> None:
    total = ledger.output.sum()
    for side, residual, adds, more in (
        ("row", ledger.row_residual, "sales of its product (Z and final demand)", ""),
        ("column", ledger.column_residual, "costs (inputs and primary inputs)", "give the missing imports, "),
    ):
        share = np.abs(residual).sum() / total
        if share > TOLERATED:
            worst = int(np.abs(residual).argmax())
            x = ledger.output[worst]
            raise TableError(
                f"The {side}s do not add up: in the {side} of {say(ledger.index[worst])} the output is {x:.6g} {currency} "
                f"but the {adds} are {x - residual[worst]:.6g}, and all {side}s together miss {100 * share:.3g} % of output "
                f'(0.5 % is tolerated); correct the table, {more}or book the gap with close="Statistical discrepancy".'
            )


def findings(ledger: Ledger, currency: str) -> tuple[Note, ...]:
    """Return notes on what is tolerated but not rounding: small imbalances, and purchases of accounts without output."""
    state, notes = balance(ledger, currency), []
    for side, share, values, worst in (
        ("row", state.row_share, state.rows, state.worst_row),
        ("column", state.column_share, state.columns, state.worst_column),
    ):
        if share > NEGLIGIBLE:
            gap = float(np.abs(values).sum())
            sentence = (
                f"the {side}s miss {gap:.6g} {currency} ({100 * share:.2g} % of output), most in {say(worst)} "
                f"({values.loc[worst]:.6g}); nothing was altered."
            )
            notes.append(Note("balance", gap, currency, sentence))
    bought = idle_purchases(ledger)
    if bought.any():
        sentence = (
            f"{int((bought > 0).sum())} sector(s) with zero output buy inputs of {bought.sum():.6g} {currency}, most "
            f"{say(ledger.index[int(bought.argmax())])}; their columns of A are zero, so that A x + d misses this amount; "
            f"nonnegative() moves it to final demand."
        )
        notes.append(Note("zero output", float(bought.sum()), currency, sentence))
    return tuple(notes)


@contextmanager
def headed_rows() -> Iterator[None]:
    """Read CSV files with `index_col=False`: a row with more fields than the header is an error, and moves no column."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        yield
