"""Degrees of firms and the links among them: every cell of the table gets its number, no link twice, none to oneself."""

import numpy as np

from .cells import Cells

MOST = 0.7
"""Largest share of the partners it could have that a firm is given."""
ROUNDS = 40


def degrees(
    rng: np.random.Generator, weight: np.ndarray, share: float, cells: Cells, *, customers: bool, every: np.ndarray
) -> np.ndarray:
    """Return how many customers (or suppliers) every firm has (M,): integers that add up to the links of its sector.

    `k = c w`, at least 1 and capped, for the share of firms of a sector that has any.

    Parameters
    ----------
    weight:
        Of every firm, positive (M,).
    share:
        Of the firms that have links at all.
    customers:
        Whether customers or suppliers are counted.
    every:
        Sectors (S,) all of whose firms have links.
    """
    own, other = (cells.row, cells.column) if customers else (cells.column, cells.row)
    count, sector, start = len(cells.firms), cells.sector, cells.start
    total = np.bincount(own, cells.links, count)
    partners = np.bincount(own, np.minimum(cells.firms[other] - (own == other), cells.links), count)
    active = np.clip(np.round(np.where(every, 1.0, share) * cells.firms), np.minimum(1, total), total).astype(int)
    # Those with links: the first in a random order of each sector.
    order = np.lexsort((rng.random(len(sector)), sector))
    rank = np.empty(len(sector), dtype=int)
    rank[order] = np.arange(len(sector)) - start[sector[order]]
    has = rank < active[sector]
    most = np.maximum(np.maximum(MOST * partners, 1), total / np.maximum(active, 1))[sector]
    # Per sector, the c at which the capped degrees add up.
    low, high = np.zeros(count), np.full(count, np.inf)
    mean = np.bincount(sector, weight * has, count) / np.maximum(active, 1)
    scale = total / np.maximum(active, 1) / np.where(mean > 0, mean, 1)
    for _ in range(50):
        found = np.bincount(sector, np.clip(scale[sector] * weight, 1, most) * has, count)
        short = found < total
        low, high = np.where(short, scale, low), np.where(short, high, scale)
        scale = np.where(np.isinf(high), 2 * scale, (low + high) / 2)
    exact = np.clip(scale[sector] * weight, 1, most) * has
    return _systematic(rng, exact, sector, total, count)


def _systematic(
    rng: np.random.Generator, exact: np.ndarray, sector: np.ndarray, total: np.ndarray, count: int
) -> np.ndarray:
    """Round to integers with the given sums per sector: neighbours share what rounding leaves."""
    found = np.bincount(sector, exact, count)
    exact = exact * (total / np.where(found > 0, found, 1))[sector]
    upto = np.cumsum(exact)
    ends = np.cumsum(np.bincount(sector, minlength=count)) - 1
    bounds = np.cumsum(total)
    first = np.concatenate([[0.0], upto[:-1]])
    # The running sum passes exactly through the totals, so that rounding never leaks from one sector to the next.
    for values, at in ((upto, ends), (first[1:], ends[ends < len(first) - 1])):
        values[at] = bounds[sector[at]]
    shift = rng.random()
    return (np.floor(upto + shift) - np.floor(first + shift)).astype(int)


def pair(
    rng: np.random.Generator, customers: np.ndarray, suppliers: np.ndarray, cells: Cells
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return supplier, customer and cell (E,) of links with these degrees, in the order of the cells.

    Ends of links are matched at random within each cell; a link that is there already, or runs from a firm to itself, gets
    another end of the same cell; the few for which none is found are left out, and never the last one of a cell.
    """
    firms, total = len(customers), int(cells.links.sum())
    cell = np.repeat(np.arange(len(cells.links), dtype=np.int32), cells.links)
    supplier = _shuffled(rng, customers, cells.sector)
    other = _shuffled(rng, suppliers, cells.sector)
    # Ends of customers come sorted by (using, supplying) sector: bring them into the order of the cells.
    turned = np.lexsort((cells.row, cells.column))
    offset = np.empty(len(turned), dtype=int)
    offset[turned] = np.concatenate([[0], np.cumsum(cells.links[turned])[:-1]])
    begin = np.concatenate([[0], np.cumsum(cells.links)[:-1]])
    customer = other[np.arange(total) + (offset - begin)[cell]]
    return _distinct(rng, supplier, customer, cell, begin, cells, firms)


def _shuffled(rng: np.random.Generator, degree: np.ndarray, sector: np.ndarray) -> np.ndarray:
    """Return each firm as often as its degree says, sorted by sector and in random order within."""
    ends = rng.permutation(np.repeat(np.arange(len(degree), dtype=np.int32), degree))
    small = sector.astype(np.uint16 if sector.max(initial=0) < 2**16 else np.int64)
    return ends[np.argsort(small[ends], kind="stable")]


def _distinct(rng, supplier, customer, cell, begin, cells: Cells, firms: int):
    key = supplier.astype(np.int64) * firms + customer
    order = np.argsort(key, kind="stable")
    good = key[order]
    fresh = np.concatenate([[True], good[1:] != good[:-1]]) & (supplier != customer)[order]
    bad = order[~fresh]
    good = good[fresh]
    start, added = cells.start, np.zeros(0, dtype=np.int64)
    for turn in range(ROUNDS):
        if not bad.size:
            break
        into, forward = cell[bad], turn % 2 == 0
        side, end = (cells.column, customer) if forward else (cells.row, supplier)
        if turn < ROUNDS // 2:
            chosen = end[begin[into] + np.floor(rng.random(bad.size) * cells.links[into]).astype(int)]
        else:
            chosen = start[side[into]] + np.floor(rng.random(bad.size) * cells.firms[side[into]]).astype(int)
        a, b = (supplier[bad], chosen) if forward else (chosen, customer[bad])
        tried = a.astype(np.int64) * firms + b
        _, first = np.unique(tried, return_index=True)
        new = np.zeros(bad.size, dtype=bool)
        new[first] = True
        new &= (a != b) & ~_among(tried, good) & ~_among(tried, added)
        end[bad[new]] = chosen[new]
        added = np.sort(np.concatenate([added, tried[new]]))
        bad = bad[~new]
    # What is left out comes last, so that a cell's one link is found by trying every pair.
    keep = np.ones(len(cell), dtype=bool)
    keep[bad] = False
    return supplier[keep], customer[keep], cell[keep]


def _among(keys: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Say which keys are among the known ones, which are sorted."""
    if not len(known):
        return np.zeros(len(keys), dtype=bool)
    return known[np.minimum(np.searchsorted(known, keys), len(known) - 1)] == keys
