"""Published moments of firm networks: covariances of the logarithms of degrees and strengths."""

from dataclasses import dataclass
from typing import final

import numpy as np

NAMES = ("customers", "suppliers", "sales", "purchases")
"""What the moments are of: out-degree, in-degree, sales to firms, purchases from firms."""


@final
@dataclass(frozen=True)
class Moments:
    """Covariances of `ln(customers, suppliers, sales to firms, purchases from firms)` over the firms where each is positive.

    Attributes
    ----------
    place, year:
        Where and when they were measured.
    covariance:
        The rows of the symmetric matrix (4, 4), in the order of `NAMES`.
    """

    place: str
    year: int
    covariance: tuple[tuple[float, ...], ...]

    @property
    def variance(self) -> np.ndarray:
        """The variances (4,)."""
        return np.diag(np.array(self.covariance)).copy()

    @property
    def correlation(self) -> np.ndarray:
        """The correlations (4, 4)."""
        matrix = np.array(self.covariance)
        spread = np.sqrt(np.diag(matrix))
        return matrix / np.outer(spread, spread)


# Bacilieri, Borsos, Astudillo-Estevez and Lafond (2023), Firm-level production networks: what do we (really) know?, INET
# Oxford working paper 2023-08. The log-means published beside them imply mean degrees of 30 to 68 that contradict each other,
# as they leave out the firms without links; they are no target.
ECUADOR = Moments(
    "Ecuador",
    2015,
    ((2.89, 1.37, 2.12, 2.39), (1.37, 2.06, 1.98, 3.07), (2.12, 1.98, 6.97, 4.34), (2.39, 3.07, 4.34, 7.63)),
)
HUNGARY = Moments(
    "Hungary",
    2021,
    ((2.75, 1.14, 2.19, 1.92), (1.14, 1.65, 1.20, 2.19), (2.19, 1.20, 5.90, 2.98), (1.92, 2.19, 2.98, 5.22)),
)


def measured(supplier: np.ndarray, customer: np.ndarray, value: np.ndarray, firms: int) -> np.ndarray:
    """Return the covariances (4, 4) of a network, each pair over the firms where both are positive."""
    totals = (
        np.bincount(supplier, minlength=firms),
        np.bincount(customer, minlength=firms),
        np.bincount(supplier, value, firms),
        np.bincount(customer, value, firms),
    )
    logs = np.log(np.maximum(np.array(totals, dtype=float), np.finfo(float).tiny))
    present = np.array([t > 0 for t in totals])
    out = np.full((4, 4), np.nan)
    for a in range(4):
        for b in range(a, 4):
            both = present[a] & present[b]
            if both.sum() > 1:
                out[a, b] = out[b, a] = np.cov(logs[a, both], logs[b, both])[0, 1]
    return out
