"""Values of links and final demand of firms: exact sums by cell and by sector, outputs that cover purchases."""

from dataclasses import dataclass

import numpy as np

from .cells import Cells

COVER = 0.7
"""Share of its sector's value added that a firm may spend on inputs beyond its sector's rate; the rest is room for misfit."""
LEAST = 1e-6
"""Least value of a link, as a share of the mean of its cell."""
SPARE = 1e-3
"""Share of final demand that goes to firms by their size whatever others need to cover their purchases."""
SWEEPS = 12
TURNS = 4


@dataclass(frozen=True)
class Flows:
    """Values of links (E,) and final demand of firms (M,), in currency per period."""

    value: np.ndarray
    final_demand: np.ndarray


def flows(
    supplier: np.ndarray,
    customer: np.ndarray,
    cell: np.ndarray,
    cells: Cells,
    final_demand: np.ndarray,
    sales: np.ndarray,
    purchases: np.ndarray,
) -> Flows:
    """Return link values near the wanted strengths, with the exact sum in every cell.

    Parameters
    ----------
    supplier, customer, cell:
        The links (E,), in the order of the cells; every cell has one.
    final_demand:
        Of every sector (S,), what the cells that were left out sold included.
    sales, purchases:
        Wanted relative strengths of the firms (M,), positive; scaled to the totals of their sectors.
    """
    sector, count, firms = cells.sector, len(cells.firms), len(sales)
    sold, bought = cells.by_row(cells.value), cells.by_column(cells.value)
    output = sold + final_demand
    # Not all of what it earns may a firm spend on inputs, unless its whole sector does.
    rate = bought / np.where(output > 0, output, 1)
    limit = (rate + COVER * np.maximum(0, 1 - rate))[sector]
    size = _scaled(sales, sector, np.ones(count)) + _scaled(purchases, sector, np.ones(count))
    out_degree, in_degree = np.bincount(supplier, minlength=firms), np.bincount(customer, minlength=firms)
    s = _scaled(sales * (out_degree > 0), sector, sold)
    b = _scaled(purchases * (in_degree > 0), sector, bought)
    value = (s / np.maximum(out_degree, 1))[supplier] * (b / np.maximum(in_degree, 1))[customer]
    for turn in range(TURNS):
        b = _covered(s, b, limit, rate, size * (in_degree > 0), final_demand, sector)
        value = _fitted(value, supplier, customer, cell, cells.value, s, b, SWEEPS if turn == 0 else SWEEPS // 2)
        s, b = np.bincount(supplier, value, firms), np.bincount(customer, value, firms)
        if (np.bincount(sector, np.maximum(0, b / np.where(limit > 0, limit, 1) - s), count) <= final_demand).all():
            break
    for _ in range(SWEEPS):
        demand = _final_demand(s, b, limit, size, final_demand, sector)
        over = b > s + demand
        if not over.any():
            break
        # What a firm cannot pay for, the other customers of the cell take over.
        value = value * np.where(over, 0.9 * (s + demand) / np.where(over, b, 1), 1)[customer]
        value *= (cells.value / _by_cell(value, cell))[cell]
        s, b = np.bincount(supplier, value, firms), np.bincount(customer, value, firms)
    value *= (cells.value / _by_cell(value, cell))[cell]
    s, b = np.bincount(supplier, value, firms), np.bincount(customer, value, firms)
    return Flows(value, _final_demand(s, b, limit, size, final_demand, sector))


def _by_cell(value: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return the sum of every cell; in pairs, so that the error does not grow with the number of its links."""
    return np.add.reduceat(value, np.flatnonzero(np.diff(cell, prepend=-1)))


def _scaled(values: np.ndarray, sector: np.ndarray, total: np.ndarray) -> np.ndarray:
    found = np.bincount(sector, values, len(total))
    return values * np.where(found > 0, total / np.where(found > 0, found, 1), 0)[sector]


def _covered(s, b, limit, rate, size, final_demand, sector) -> np.ndarray:
    """Return purchases, moved towards a constant share of output as far as final demand cannot cover them otherwise.

    Per sector the least t at which the outputs that `(1 - t) b + t rate (s + d)` requires leave final demand enough.
    """
    count = len(final_demand)
    # Purchases in step with the output; only firms with suppliers can have them.
    even = _scaled((s + _scaled(size, sector, final_demand)) * (size > 0), sector, np.bincount(sector, b, count))
    low, high = np.zeros(count), np.ones(count)
    lim = np.where(limit > 0, limit, 1)

    def fits(t: np.ndarray) -> np.ndarray:
        wanted = b + t[sector] * (even - b)
        return np.bincount(sector, np.maximum(0, wanted / lim - s), count) <= final_demand

    done = fits(low)
    for _ in range(20):
        middle = (low + high) / 2
        ok = fits(middle)
        low, high = np.where(ok, low, middle), np.where(ok, middle, high)
    t = np.where(done, 0.0, high)
    return b + t[sector] * (even - b)


def _fitted(value, supplier, customer, cell, total, s, b, sweeps: int) -> np.ndarray:
    """Scale link values in turns to sales, purchases and cells; the cells come last and hold to rounding."""
    firms = len(s)
    for _ in range(sweeps):
        value = value * _factor(b, np.bincount(customer, value, firms))[customer]
        value *= _factor(s, np.bincount(supplier, value, firms))[supplier]
        value *= (total / _by_cell(value, cell))[cell]
    # Where the margins contradict each other, sweeps drive links towards nothing; a link carries something.
    value = np.maximum(value, LEAST * (total / np.bincount(cell, minlength=len(total)))[cell])
    value *= (total / _by_cell(value, cell))[cell]
    return value


def _factor(wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
    # No firm's links change by more than tenfold at once: what its partners cannot carry stays with others.
    ratio = wanted / np.where(found > 0, found, 1)
    return np.clip(np.where((found > 0) & (wanted > 0), ratio, 1), 0.1, 10)


def _final_demand(s, b, limit, size, final_demand, sector) -> np.ndarray:
    """Return final demand of the firms: first what covers their purchases, then in proportion to their size."""
    count = len(final_demand)
    need = np.maximum(0, b / np.where(limit > 0, limit, 1) - s)
    asked = np.bincount(sector, need, count)
    # Something is left for everyone, so that firms without customers among firms have an output too.
    most = (1 - SPARE) * final_demand
    # Where that is too much: no value added, but none that is negative, for as many as there is final demand for.
    need = np.where((asked > most)[sector], np.maximum(0, b - s), need)
    asked = np.bincount(sector, need, count)
    granted = np.where(asked > most, most / np.where(asked > 0, asked, 1), 1)
    need *= granted[sector]
    rest = np.maximum(0, final_demand - np.bincount(sector, need, count))
    return _scaled(need + _scaled(size, sector, rest), sector, final_demand)
