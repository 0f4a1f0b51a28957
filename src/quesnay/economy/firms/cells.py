"""How many firms each sector gets, which sector-to-sector flows are kept, and how many links carry each of them."""

from dataclasses import dataclass

import numpy as np

from quesnay._errors import InputError

FULL = 0.5
"""Largest share of the possible pairs of firms of two sectors that are linked."""
SPENT = 0.5
"""Share of the links that may go to cells so small that leaving them out would still keep enough value."""


@dataclass(frozen=True)
class Cells:
    """The sector-to-sector flows that are kept, sorted by (supplying, using) sector.

    Attributes
    ----------
    row, column:
        Supplying and using sector (C,).
    value:
        Flows (C,), in currency per period.
    links:
        Links that carry each (C,), at least 1.
    firms:
        Firms of each sector (S,), 0 where its output is zero.
    """

    row: np.ndarray
    column: np.ndarray
    value: np.ndarray
    links: np.ndarray
    firms: np.ndarray

    @property
    def start(self) -> np.ndarray:
        """Position of each sector's first firm (S,): the firms of a sector are neighbours."""
        return np.concatenate([[0], np.cumsum(self.firms)[:-1]])

    @property
    def sector(self) -> np.ndarray:
        """The sector of every firm (M,)."""
        return np.repeat(np.arange(len(self.firms)), self.firms)

    def by_row(self, values: np.ndarray) -> np.ndarray:
        """Sum values of cells by supplying sector (S,)."""
        return np.bincount(self.row, values, len(self.firms))

    def by_column(self, values: np.ndarray) -> np.ndarray:
        """Sum values of cells by using sector (S,)."""
        return np.bincount(self.column, values, len(self.firms))


def choose(Z: np.ndarray, final_demand: np.ndarray, firms: int, links: int, keep: float) -> Cells:
    """Return the cells, firms and links of a table.

    Parameters
    ----------
    Z, final_demand:
        Flows (S, S) and final demand (S,), not negative.
    firms, links:
        Numbers of firms and of links.
    keep:
        Least share of the value of Z that is kept.

    Raises
    ------
    InputError
        Fewer firms than the sectors need, or fewer or more links than the cells can hold.
    """
    row, column = _kept(Z, links, keep)
    output = Z.sum(axis=1) + final_demand
    own = np.zeros(len(Z), dtype=bool)
    own[row[row == column]] = True
    least = np.where(output > 0, 1 + own, 0)
    if firms < least.sum():
        raise InputError(
            f"firms is {firms}; this table needs at least {least.sum()}: one for each of its {(output > 0).sum()} sectors with "
            f"output, and a second one in the {own.sum()} that buy from themselves."
        )
    numbers = shared_out(output, firms, least, np.where(output > 0, np.inf, 0))
    pairs = numbers[row] * (numbers[column] - (row == column))
    most = np.maximum(1, np.floor(FULL * pairs))
    if most.sum() < links:
        raise InputError(
            f"{firms} firms have room for {int(most.sum())} links in this table, not for {links}; lower the degree to "
            f"{most.sum() / firms:.3g} or take more firms."
        )
    value = Z[row, column]
    return Cells(row, column, value, shared_out(value, links, np.ones(len(row)), most), numbers)


def _kept(Z: np.ndarray, links: int, keep: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns of the cells that are kept: all if links allow, else the largest."""
    flat = np.flatnonzero(Z)
    order = flat[np.argsort(-Z.ravel()[flat], kind="stable")]
    held = np.cumsum(Z.ravel()[order])
    needed = 0 if len(held) == 0 else int(np.searchsorted(held, keep * held[-1])) + 1
    needed = min(needed, len(order))
    if needed > links:
        raise InputError(
            f"the table needs {needed} cells to keep {keep:.4%} of its flows, and there are {links} links for them; take more "
            f"firms, a higher degree, or aggregate the table."
        )
    count = min(len(order), max(needed, int(SPENT * links)))
    row, column = np.divmod(np.sort(order[:count]), Z.shape[1])
    return row, column


def shared_out(weight: np.ndarray, total: int, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Return integers that add up to `total`, in proportion to `weight` between `least` and `most`."""
    scale = _scale(lambda s: np.clip(s * weight, least, most).sum() - total, weight, total)
    exact = np.clip(scale * weight, least, most)
    whole = np.floor(exact)
    room = np.flatnonzero(whole < most)
    missing = total - int(whole.sum())
    order = room[np.argsort(-(exact - whole)[room], kind="stable")]
    whole[order[:missing]] += 1
    return whole.astype(int)


def _scale(excess, weight: np.ndarray, total: int) -> float:
    """Return the largest scale found by bisection at which `excess` is not positive."""
    low, high = 0.0, total / max(weight[weight > 0].min(initial=np.inf), np.finfo(float).tiny) if weight.any() else 0.0
    for _ in range(200):
        middle = np.sqrt(low * high) if low > 0 else high * 1e-18
        low, high = (middle, high) if excess(middle) <= 0 else (low, middle)
    return low
