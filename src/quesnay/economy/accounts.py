"""`Economy`: one labelled table of accounts, immutable; its numbers as arrays, its labels at the border."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array, Float

from quesnay._errors import InputError

from . import checks, display, frames, labels, reshape
from .ledger import ALL, IMPORTS, VALUE_ADDED, Ledger, Note, constant, over_output, unique
from .match import account


@final
@dataclass(frozen=True, eq=False, repr=False)
class Economy:
    """A labelled input-output table: who sells what to whom, what for, and what comes with it.

    Rows supply, columns use: `x = Z 1 + Y 1` and `x = 1'Z + 1'primary`. Arrays are float64 in the order of `index`;
    n is the number of accounts, the (region, sector) pairs. Flows are in `currency` per year.
    Made by `load`, `from_pymrio` and `Economy.from_frames`.

    Attributes
    ----------
    ledger:
        the read-only numbers and labels.
    currency:
        unit of all flows, such as "MUSD".
    year:
        of the flows, or None.
    name:
        what the table is called.
    files:
        (file name, SHA-256) of what was read; `source` gives them as a dict.
    notes:
        what was derived, found and changed, in order.

    Raises
    ------
    TableError
        The accounts cannot carry a model: NaN, negative output, a satellite on zero output, spectral radius of A at or
        above 1, or an imbalance above 0.5 % of output.
    """

    ledger: Ledger
    currency: str
    year: int | None = None
    name: str = "table"
    files: tuple[tuple[str, str], ...] = ()
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        if not (isinstance(self.currency, str) and self.currency.strip()):
            raise InputError("currency is empty; give the unit of the flows, such as 'MUSD'.")
        checks.check(self.ledger, self.currency)

    @staticmethod
    def from_frames(
        *,
        Z: pd.DataFrame | frames.Flows,
        final_demand: pd.Series | Mapping[Any, float] | None = None,
        Y: pd.DataFrame | None = None,
        output: pd.Series | Mapping[Any, float] | None = None,
        value_added: pd.Series | Mapping[Any, float] | None = None,
        imports: pd.Series | Mapping[Any, float] | None = None,
        primary: pd.DataFrame | None = None,
        satellites: Mapping[str, tuple[Any, str]] | None = None,
        direct: Mapping[str, pd.Series | Mapping[Any, float]] | None = None,
        currency: str,
        year: int | None = None,
        name: str | None = None,
        source: Mapping[str, str] | None = None,
        region: str = ALL,
        close: str | None = None,
    ) -> "Economy":
        """Return the economy of these labelled frames; all are aligned by label to the rows of Z, whatever their order.

        `x = Z 1 + Y 1` and `x = 1'Z + value_added + imports + other primary inputs`.

        Parameters
        ----------
        Z:
            (n, n) flows, rows supply, columns use; labelled (region, sector), or by sector in a table of one region;
            `currency` per year. Labels are read as text. Or `Flows`, which a reader has copied from such a frame.
        final_demand:
            (n,) total per account; exactly one of final_demand and Y.
        Y:
            (n, m) final demand by (region of the consumer, category), or by category.
        output:
            (n,); the row sums of Z and final demand where missing.
        value_added:
            (n,); output less all other costs where missing, which a note says.
        imports:
            (n,) imported intermediate inputs; zero where missing.
        primary:
            (k, n) further primary inputs, one row each, such as taxes; may hold the rows "value_added" and "imports".
        satellites:
            name -> (series (n,), unit), as in {"ghg": (series, "kt CO2e")}.
        direct:
            satellite -> what final consumers emit or use themselves, a series (m,) by (region, category) as the columns
            of Y, in the satellite's unit; zero where missing.
        currency:
            unit of all flows, such as "MUSD".
        year, name, source:
            what the table is; source maps file names to SHA-256.
        region:
            the region's label where Z is labelled by sector only.
        close:
            name under which residuals are booked, as `Economy.close` does, before the balance is judged.

        Raises
        ------
        LabelError
            A label is unknown, missing or given twice, or the name of an account is reserved.
        TableError
            A cell is not a finite number, the table is not square, a satellite has no unit, or what `Economy` refuses.
        InputError
            Not exactly one of final_demand and Y, an account given twice, data without labels, or a year that is not whole.
        """
        ledger, notes = frames.ledger_from_frames(
            Z=Z,
            final_demand=final_demand,
            Y=Y,
            output=output,
            value_added=value_added,
            imports=imports,
            primary=primary,
            satellites=satellites,
            direct=direct,
            currency=currency,
            region=region,
        )
        if close is not None and ledger.output.sum() > 0:
            ledger, closed = reshape.close(ledger, close, currency)
            notes += closed
        files = tuple((source or {}).items())
        economy = Economy(ledger, currency, frames.whole_year(year), name or "table", files, notes)
        return replace(economy, notes=notes + checks.findings(ledger, currency))

    @property
    def index(self) -> pd.MultiIndex:
        """The (region, sector) labels (n,) of the accounts; a copy."""
        return self.ledger.index.copy()

    @property
    def n(self) -> int:
        """The number of accounts."""
        return len(self.ledger.index)

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """The regions, each once, in order."""
        return unique(self.ledger.index, 0)

    @cached_property
    def sectors(self) -> tuple[str, ...]:
        """The sectors, each once, in order."""
        return unique(self.ledger.index, 1)

    @property
    def satellites(self) -> tuple[str, ...]:
        """The names of the satellite accounts."""
        return self.ledger.names

    @property
    def source(self) -> dict[str, str]:
        """The SHA-256 of every file that was read, by file name."""
        return dict(self.files)

    @cached_property
    def A(self) -> Float[Array, "n n"]:
        """Technical coefficients `A_ij = Z_ij / x_j`; a column whose output is zero is zero."""
        return constant(over_output(self.ledger.Z, self.ledger.output))

    @cached_property
    def B(self) -> Float[Array, "n n"]:
        """Allocation coefficients `B_ij = Z_ij / x_i` (Ghosh); a row whose output is zero is zero."""
        return constant(over_output(self.ledger.Z.T, self.ledger.output).T)

    @cached_property
    def Z(self) -> Float[Array, "n n"]:
        """Flows, rows supply, columns use; currency per year."""
        return constant(self.ledger.Z)

    @cached_property
    def Y(self) -> Float[Array, "n m"]:
        """Final demand by (region, category); currency per year."""
        return constant(self.ledger.Y)

    @cached_property
    def final_demand(self) -> Float[Array, " n"]:
        """Total final demand `d = Y 1`; currency per year."""
        return constant(self.ledger.final_demand)

    @cached_property
    def output(self) -> Float[Array, " n"]:
        """Gross output x; currency per year."""
        return constant(self.ledger.output)

    @cached_property
    def value_added(self) -> Float[Array, " n"]:
        """Value added; currency per year."""
        return constant(self.ledger.row(VALUE_ADDED))

    @cached_property
    def imports(self) -> Float[Array, " n"]:
        """Imported intermediate inputs; currency per year."""
        return constant(self.ledger.row(IMPORTS))

    @property
    def primary(self) -> pd.DataFrame:
        """The primary inputs (k, n), one named row each; currency per year."""
        return self.frame("primary")

    @cached_property
    def spectral_radius(self) -> float:
        """The spectral radius of A; below 1 in every economy."""
        return checks.dominant(self.ledger.Z, self.ledger.output)[0]

    def total(self, name: str) -> Float[Array, " n"]:
        """Return a satellite, "output", "final_demand" or a primary input (n,), in `unit(name)`.

        Raises `LabelError` for an unknown name. The short name of a satellite called "extension: row" is enough where it
        is unique.
        """
        return jnp.asarray(self._account(name)[0])

    def direct(self, name: str) -> Float[Array, " m"]:
        """Return what final consumers emit or use themselves of a satellite (m,), by the columns of Y, in `unit(name)`.

        Such as the exhaust of private cars; it belongs to no sector and is part of no intensity. Raises `LabelError` for
        an unknown name. `frame("direct")` has all of them with labels.
        """
        return jnp.asarray(frames.direct(self.ledger, name))

    def intensity(self, name: str) -> Float[Array, " n"]:
        """Return an account per unit of output, `r_i = s_i / x_i` (n,), in `intensity_unit(name)`; 0 where output is 0.

        Raises `LabelError` for an unknown name.
        """
        return jnp.asarray(over_output(self._account(name)[0], self.ledger.output))

    def unit(self, name: str) -> str:
        """Return the unit of an account, such as "kt CO2e"; raises `LabelError` for an unknown name."""
        return self._account(name)[1]

    def intensity_unit(self, name: str) -> str:
        """Return the unit of an intensity, such as "kt CO2e/MUSD"; raises `LabelError` for an unknown name."""
        return f"{self._account(name)[1]}/{self.currency}"

    def _account(self, name: str) -> tuple[np.ndarray, str]:
        return account(self.ledger, name, self.currency)

    def frame(self, name: str) -> Any:
        """Return an array of this table with its labels, as a DataFrame or a Series.

        Parameters
        ----------
        name:
            "A", "B", "Z" (n, n), "Y" (n, m), "primary" (k, n), "satellites" (n, s), "direct" (m, s), or an account of
            `total` (n,).

        Raises
        ------
        LabelError
            The name is unknown.
        """
        return frames.labelled(self.ledger, name, self.currency)

    def balance(self) -> checks.Balance:
        """Return how far both identities are from holding: `x - Z 1 - Y 1` and `x - 1'Z - 1'primary`, labelled (n,)."""
        return checks.balance(self.ledger, self.currency)

    def align(self, labelled: Any, *, fill: float | None = None) -> jax.Array:
        """Return labelled values as an array (n,), or (n, k) for a frame, in the order of `index`.

        Parameters
        ----------
        labelled:
            Series, dict, DataFrame whose rows are accounts, or DataArray, labelled (region, sector). Labelled by
            sector only (or by region only), every account of that sector (region) receives its value.
        fill:
            value of accounts that are not mentioned; without it they are an error. An unknown label always is.

        Raises
        ------
        LabelError
            A label is unknown, missing or given twice, or could be a region as well as a sector; the nearest is named.
        InputError
            A value or `fill` is NaN or infinite, or the data carry no labels.
        """
        return jnp.asarray(labels.align(self.ledger.index, labelled, fill))

    def label(self, result: Any, *, outcome: str | None = None) -> xr.Dataset:
        """Return a result's variables with region, sector, day and units; `outcome` is the unit of its outcome, if any.

        The result declares them: `variables()` maps each name to (dims, values, unit), or (dims, values, unit, long name).
        The dim "account" becomes (region, sector) where the table has every sector in every region, and stays one dim with
        a two-level index otherwise, which netCDF cannot hold: write that with `.reset_index("account").to_netcdf(path)`.
        "account_to" likewise becomes (region_to, sector_to). "{currency}" in a unit is replaced.
        A variable whose only dim has its own name is a coordinate. The result's `attributes()`, where it has them, join
        the attributes of the dataset.

        Raises
        ------
        InputError
            The result declares nothing, or its accounts are not those of this table.
        """
        about = {"table": self.name, "currency": self.currency, "year": self.year}
        return labels.label(self.ledger.index, result, self.currency, about, outcome)

    def select(self, regions: Sequence[str] | None = None, sectors: Sequence[str] | None = None) -> "Economy":
        """Return the block of these regions and sectors, in the order of this table, with both identities kept.

        Purchases from accounts outside the block join `imports`; sales to them, and to the final demand of regions
        outside, are booked in the column ("outside", "Exports") of Y; notes give both amounts. Final demand whose region
        is not one of the table's stays where it is.

        Raises
        ------
        LabelError
            A region or sector is unknown, or the block is empty.
        """
        return self._changed(reshape.select(self.ledger, regions, sectors, self.currency))

    def aggregate(self, sectors: reshape.Mapped | None = None, regions: reshape.Mapped | None = None) -> "Economy":
        """Return the table with accounts added up, `Z' = G'ZG`, `Y' = G'Y`, `x' = G'x`; every total is kept.

        Parameters
        ----------
        sectors, regions:
            old label -> new label, as a dict or Series; or a concordance DataFrame, rows old labels,
            columns new ones, each row non-negative with sum 1. Each must cover every label.

        Raises
        ------
        LabelError
            A label is unknown, not mapped, mapped twice, or mapped to an empty one.
        TableError
            A row of the concordance is negative or does not add up to 1.
        InputError
            `sectors` or `regions` is none of these kinds.
        """
        return self._changed(reshape.aggregate(self.ledger, sectors, regions, self.currency))

    def nonnegative(self) -> "Economy":
        """Return the table with Z >= 0, no purchases without output, and d >= 0, as the supply model needs; x is unchanged.

        The convention, exact in both identities:

        1. A negative flow `Z_ij` becomes 0; it is added to the column ("all", "Moved negative flows") of Y in row i, and
           to the primary input of that name in column j.
        2. What sectors with zero output buy (column j of Z) becomes 0: each row keeps its sales in the column
           ("all", "Purchases of sectors without output") of Y, and the column's sum becomes the primary input of that name.
        3. A sector whose total final demand is then negative sells more to sectors than it produces; the excess came from
           stocks or imports. Row i of Z is scaled so that `d_i = 0` (by `x_i / (Z 1)_i` in a balanced table), the removed
           purchases become the primary input "Supplied from stocks or imports" of their buyers, and a column of that name
           in Y takes `-d_i`.

        Output and with it all intensities stay. Notes give amounts and numbers of cells and sectors. A table without
        any of these keeps its values.

        Raises
        ------
        TableError
            A row is so far from adding up that its negative final demand exceeds its sales; close the table first.
        """
        return self._changed(reshape.nonnegative(self.ledger, self.currency))

    def close(self, name: str) -> "Economy":
        """Return the table with the row residuals booked in a column of Y and the column residuals in a primary input.

        Afterwards `x = Z 1 + Y 1` and `x = 1'Z + 1'primary` hold to rounding. A table that already adds up to rounding is
        returned as it is.

        Parameters
        ----------
        name:
            such as "Statistical discrepancy"; an account of that name is added to, except a satellite (`LabelError`).
        """
        return self._changed(reshape.close(self.ledger, name, self.currency))

    def _changed(self, changed: reshape.Changed) -> "Economy":
        ledger, notes = changed
        return self if ledger is self.ledger else replace(self, ledger=ledger, notes=self.notes + notes)

    def __repr__(self) -> str:
        return display.text(self)

    def _repr_html_(self) -> str:
        return display.html(self)
