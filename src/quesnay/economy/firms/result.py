"""`Firms`: a network of firms with their labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from quesnay._errors import InputError, LabelError
from quesnay.economy.labels import Variable, attributes_of
from quesnay.economy.ledger import Note
from quesnay.economy.match import listed
from quesnay.network import EdgeLinks, Network

from .report import Drawn

FIRM = "firm"


@final
@dataclass(frozen=True, eq=False, repr=False)
class Firms:
    """A network of firms with the labels of its firms; made by `firms.read` and `firms.draw`.

    Attributes
    ----------
    network:
        The `Network`, flows in `currency` per day; firm k is row k of `table`.
    table:
        One row per firm, indexed by its id: region and sector where known; output, final_demand, value_added in currency
        per day.
    currency:
        Unit of the flows.
    notes:
        What was added up, assumed and left out.
    drawn:
        For a drawn network, how well it meets the table and the published moments; None for one that was read.
    """

    network: Network
    table: pd.DataFrame
    currency: str = "currency"
    notes: tuple[Note, ...] = ()
    drawn: Drawn | None = None

    @property
    def index(self) -> pd.Index:
        """The ids of the firms (M,)."""
        return self.table.index

    @property
    def supplier(self) -> np.ndarray:
        """The supplier of every link, as a position (E,)."""
        return np.asarray(self._links.supplier)

    @property
    def customer(self) -> np.ndarray:
        """The customer of every link, as a position (E,)."""
        return np.asarray(self._links.customer)

    @property
    def flow(self) -> np.ndarray:
        """The flow of every link (E,), in currency per day."""
        return np.asarray(self._links.coefficient) * np.asarray(self.network.output)[self.customer]

    @property
    def _links(self) -> EdgeLinks:
        assert isinstance(self.network.links, EdgeLinks)
        return self.network.links

    def align(self, labelled: pd.Series | Mapping[Any, float], *, fill: float | None = None) -> jax.Array:
        """Return values labelled by firm id as an array (M,), in the order of `index`.

        Parameters
        ----------
        labelled:
            Series or dict by firm id.
        fill:
            Value of firms that are not mentioned; without it they are an error. An unknown id always is.

        Raises
        ------
        LabelError
            An id is unknown, missing or given twice.
        InputError
            A value is not a finite number.
        """
        series = pd.Series(labelled, dtype=float)
        series.index = series.index.map(str) if self.index.dtype != series.index.dtype else series.index
        at = self.index.get_indexer(series.index)
        if (at < 0).any():
            raise LabelError(f"align: the network has no firm {listed(series.index[at < 0])}.")
        if not series.index.is_unique:
            raise LabelError(f"align: {listed(series.index[series.index.duplicated()])} is given more than once.")
        bad = ~np.isfinite(series.to_numpy())
        if bad.any():
            raise InputError(
                f"align: the value of firm {series.index[bad][0]!r} is missing or infinite; give a number."
            )
        if fill is None and len(series) < len(self.index):
            absent = self.index.difference(series.index)
            raise LabelError(f"align: {listed(absent)} is missing; give every firm, or the fill value for the others.")
        out = np.full(len(self.index), 0.0 if fill is None else float(fill))
        out[at] = series.to_numpy()
        return jnp.asarray(out)

    def groups(self, by: str | Sequence[str] = ("region", "sector")) -> tuple[np.ndarray, pd.Index]:
        """Return the group of every firm as an integer (M,), and the labels of the groups, for `q.by_group`.

        Parameters
        ----------
        by:
            Columns of `table` that make a group.

        Raises
        ------
        LabelError
            The table has no such column, or a firm has no value in it.
        """
        columns = [by] if isinstance(by, str) else list(by)
        strange = [column for column in columns if column not in self.table]
        if strange or not columns:
            raise LabelError(
                f"groups: the table of firms has no column {listed(strange)}; it has {listed(self.table)}."
            )
        for column in columns:
            unknown = (self.table[column].isna() | (self.table[column] == "")).to_numpy(dtype=bool)
            if unknown.any():
                raise LabelError(f"groups: firm {self.index[unknown][0]!r} has no {column}; give it one.")
        if len(columns) == 1:
            codes, labels = pd.factorize(self.table[columns[0]], sort=True)
            return codes, pd.Index(np.asarray(labels), name=columns[0])
        parts = [pd.factorize(self.table[column], sort=True) for column in columns]
        packed = np.ravel_multi_index([codes for codes, _ in parts], [len(labels) for _, labels in parts])
        present, codes = np.unique(packed, return_inverse=True)
        levels = np.unravel_index(present, [len(labels) for _, labels in parts])
        named = [np.asarray(labels)[level] for level, (_, labels) in zip(levels, parts, strict=True)]
        return codes, pd.MultiIndex.from_arrays(named, names=columns)

    def label(self, result: Any, *, outcome: str | None = None) -> xr.Dataset:
        """Return a result's variables with the firms' ids, as `Economy.label` does for accounts.

        `outcome` is the unit of its outcome, if any.

        Raises
        ------
        InputError
            The result declares nothing, or its accounts are not these firms.
        """
        if not callable(getattr(result, "variables", None)):
            raise InputError(f"label: a {type(result).__name__} declares no variables; give a result with variables().")
        out = {}
        for name, declared in result.variables().items():
            variable = Variable(*declared)
            dims = tuple(FIRM if dim == "account" else dim for dim in variable.dims)
            values = np.asarray(variable.values)
            for dim, size in zip(dims, values.shape, strict=True):
                if dim == FIRM and size != len(self.index):
                    raise InputError(
                        f"label: variable {name!r} has {size} accounts; there are {len(self.index)} firms (sums over groups "
                        "have the labels that `groups` returned beside the groups)."
                    )
            attrs = attributes_of(variable, self.currency, outcome)
            out[name] = xr.Variable(dims, values, attrs)
        return xr.Dataset(
            out, coords={FIRM: np.asarray(self.index)} if any(FIRM in v.dims for v in out.values()) else {}
        )

    def to_networkx(self) -> Any:
        """Return a `networkx.DiGraph` from suppliers to customers, the flow as the edge's `flow`; needs networkx."""
        nx = _imported("networkx")
        graph = nx.DiGraph()
        graph.add_nodes_from((firm, row) for firm, row in zip(self.index, self.table.to_dict("records"), strict=True))
        ids = self.index.to_numpy()
        graph.add_weighted_edges_from(
            zip(ids[self.supplier], ids[self.customer], self.flow.tolist(), strict=True), weight="flow"
        )
        return graph

    def to_igraph(self) -> Any:
        """Return a directed `igraph.Graph` from suppliers to customers, the flow as the edge's `flow`; needs igraph."""
        igraph = _imported("igraph")
        attributes = {str(column): self.table[column].tolist() for column in self.table}
        return igraph.Graph(
            n=len(self.index),
            edges=np.stack([self.supplier, self.customer], axis=1).tolist(),
            directed=True,
            vertex_attrs={"name": [str(firm) for firm in self.index], **attributes},
            edge_attrs={"flow": self.flow.tolist()},
        )

    def __repr__(self) -> str:
        lines = [f"{self.network.firms:,} firms, {len(self.supplier):,} links, flows in {self.currency} per day"]
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines + ([str(self.drawn)] if self.drawn is not None else []))


def _imported(name: str) -> Any:
    try:
        return __import__(name)
    except ImportError:
        raise InputError(f"the export needs the package {name}, which is not installed: pip install {name}.") from None
