"""The largest terms of a Leontief series, best first: each path is found after at most as many steps as it is long."""

import heapq
import itertools
import math
from typing import NamedTuple

import numpy as np

EPS = float(np.finfo(float).eps)
FLOOR = 2.0**-900
"""Paths below this share of `max |r| max |d|` are not searched: far below what a float64 sum can hold."""
TINY = float(np.finfo(float).tiny)
"""A product that would vanish in float64 is held at this, so that what exists below the floor is not taken for nothing."""

Path = tuple[int, ...]


class _Prefix(NamedTuple):
    """The end of a path: an account, the product of what lies between it and final demand, and the prefix it extends."""

    account: int
    product: float
    length: int
    parent: "_Prefix | None"


class _Choices(NamedTuple):
    """How a path goes on from an account, best first: a supplier, or -1 to end here; the best value that follows."""

    target: np.ndarray
    weight: np.ndarray


def largest(A: np.ndarray, d: np.ndarray, r: np.ndarray, count: int) -> tuple[list[tuple[float, Path]], bool, float]:
    """Return the `count + 1` largest paths (value, accounts) of `r L d`, whether these are all, and a floor.

    Best first with an exact bound (A*, Hart, Nilsson and Raphael 1968): a prefix is worth its product times the largest
    product h of any way to go on, and of the ways to go on only the next best one waits in the queue. Accounts go
    from i0, where the impact arises, to ik, which final demand buys. Where the paths are not all found, none of the others
    exceeds the last of them, or, where fewer than `count + 1` are found, the floor.

    A must have `|A|` with spectral radius below 1, so that cycles contract and h is finite.
    """
    # Powers of two: the search sees the same digits whatever the unit.
    size_r, size_d = (math.frexp(float(np.max(np.abs(v))))[1] for v in (r, d))
    frontier = _Frontier(np.abs(A), _held(np.ldexp(np.abs(r), -size_r), r), _held(np.ldexp(np.abs(d), -size_d), d))
    wanted, least, found = count + 1, math.inf, []
    # Keys are products in floating point: go on until what waits is smaller beyond doubt, then order by exact products.
    while frontier.heap and (len(found) < wanted or frontier.best() >= least * (1 - frontier.doubt())):
        key, path = frontier.pop()
        if path is not None:
            least = min(least, key) if len(found) < wanted else least
            found.append((_product(A, d, r, path), path))
    found.sort(key=lambda item: (-abs(item[0]), len(item[1]), item[1]))
    return found[:wanted], not frontier.heap and not frontier.cut, math.ldexp(FLOOR, size_r + size_d)


def _product(A: np.ndarray, d: np.ndarray, r: np.ndarray, path: Path) -> float:
    """Return the value of a path, the exact product rounded once: products of the same factors are equal in any order."""
    factors = [r[path[0]], *(A[i, j] for i, j in itertools.pairwise(path)), d[path[-1]]]
    ratios = [float(factor).as_integer_ratio() for factor in factors]
    return math.prod(n for n, _ in ratios) / math.prod(m for _, m in ratios)


def _held(product: np.ndarray, *factors: np.ndarray) -> np.ndarray:
    """Return a product that is zero only where a factor is."""
    small = product < TINY
    if not small.any():
        return product
    exists = np.broadcast_to(
        np.logical_and.reduce([factor != 0 for factor in np.broadcast_arrays(*factors)]), small.shape
    )
    return np.where(small & exists, TINY, product)


def _best_completion(A: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, int]:
    """Return `h_i = max(r_i, max_j a_ji h_j)`, the largest product of any way on from account i, and its longest path.

    A cycle's product is below 1, so that the largest is that of a path without one and n sweeps suffice.
    """
    h = r
    for sweep in range(len(r)):
        longer = np.maximum(h, np.max(_held(A * h[:, None], A, h[:, None]), axis=0))
        if np.array_equal(longer, h):
            return h, sweep
        h = longer
    return h, len(r)


class _Frontier:
    """Prefixes of paths in a heap, each with the next best way to go on that has not been followed."""

    def __init__(self, A: np.ndarray, r: np.ndarray, d: np.ndarray):
        self.A, self.r = A, r
        self.h, self.sweeps = _best_completion(A, r)
        self.choices: dict[int, _Choices] = {-1: _ranked(_held(d * self.h, d, self.h))}
        self.heap: list[tuple[float, int, int, _Prefix, int]] = []
        self.serial = itertools.count()
        self.longest, self.cut = 0, False
        self.d = d
        self._push(_Prefix(-1, 1.0, 0, None), 0)

    def best(self) -> float:
        """Return the largest key that waits."""
        return -self.heap[0][0]

    def doubt(self) -> float:
        """Return a bound of the relative rounding of two keys, each a product of as many factors as a path may have."""
        return 4 * EPS * (self.longest + self.sweeps + 4)

    def pop(self) -> tuple[float, Path | None]:
        """Take the best prefix and follow its best way on; return its key, and the path if it ended there."""
        key, _, _, prefix, rank = heapq.heappop(self.heap)
        self._push(prefix, rank + 1)
        target = int(self.choices[prefix.account].target[rank])
        if target == -1:
            return -key, _accounts(prefix)
        step = self.d[target] if prefix.parent is None else self.A[target, prefix.account]
        self._push(_Prefix(target, max(prefix.product * float(step), TINY), prefix.length + 1, prefix), 0)
        return -key, None

    def _push(self, prefix: _Prefix, rank: int) -> None:
        choices = self.choices.get(prefix.account)
        if choices is None:
            inputs = self.A[:, prefix.account]
            onward, end = _held(inputs * self.h, inputs, self.h), float(self.r[prefix.account])
            choices = self.choices[prefix.account] = _ranked(onward, end)
        if rank == len(choices.weight):
            return
        key = prefix.product * float(choices.weight[rank])
        if key < FLOOR:
            self.cut = True
            return
        self.longest = max(self.longest, prefix.length)
        heapq.heappush(self.heap, (-key, prefix.length, next(self.serial), prefix, rank))


def _ranked(onward: np.ndarray, end: float = 0.0) -> _Choices:
    """Return the ways to go on in falling order of what they are worth, the end of the path first where it ties."""
    target = np.flatnonzero(onward)
    target, weight = np.append(-1, target), np.append(end, onward[target])
    order = np.argsort(-weight, kind="stable")[: np.count_nonzero(weight)]
    return _Choices(target[order], weight[order])


def _accounts(prefix: _Prefix) -> Path:
    accounts, at = [], prefix
    while at.parent is not None:
        accounts.append(at.account)
        at = at.parent
    return tuple(accounts)
