"""How well a drawn network meets the table and the published moments."""

from dataclasses import dataclass
from typing import final

import numpy as np

from .moments import NAMES, Moments

TOLERANCE = 0.12
"""Relative difference from the published log-variances of degrees and strengths, and difference from the correlations, that a
network of 10,000 firms or more may have; fewer firms per sector scatter more."""


@final
@dataclass(frozen=True, eq=False, repr=False)
class Drawn:
    """What a drawn network keeps of the table, and how its degrees and strengths compare with the published ones.

    Attributes
    ----------
    firms, links:
        How many there are; `links / firms` is the mean degree.
    cells, all_cells:
        Sector-to-sector flows that links carry, and those of the table.
    kept:
        Share of the value of all flows between sectors that is kept.
    dropped:
        The value left out, in currency per year: it counts as final demand of the seller and value added of the buyer.
    selling, buying:
        Shares of firms with customers, and with suppliers, among the firms.
    covariance:
        Of `ln(customers, suppliers, sales to firms, purchases from firms)` (4, 4), as in `Moments`.
    moments:
        The published ones that were aimed at.
    uncovered:
        Firms whose purchases exceed their output.
    uncovered_share:
        Their part in all output.
    without_firms:
        Sectors of the table that have no output and so no firms.
    """

    firms: int
    links: int
    cells: int
    all_cells: int
    kept: float
    dropped: float
    selling: float
    buying: float
    covariance: np.ndarray
    moments: Moments
    uncovered: int
    uncovered_share: float
    without_firms: int

    @property
    def variance(self) -> np.ndarray:
        """Variances of the four logarithms (4,)."""
        return np.diag(self.covariance).copy()

    @property
    def correlation(self) -> np.ndarray:
        """Correlations of the four logarithms (4, 4)."""
        spread = np.sqrt(self.variance)
        return self.covariance / np.outer(spread, spread)

    @property
    def within_tolerance(self) -> bool:
        """Whether all four variances lie within `TOLERANCE` of the published ones, which fewer than 10,000 firms may miss."""
        return bool(np.all(np.abs(self.variance / self.moments.variance - 1) <= TOLERANCE))

    def __repr__(self) -> str:
        target = self.moments
        links = f"{self.links / self.firms:.2f} links per firm; {self.selling:.0%} of the firms sell to firms, "
        short = f"{self.uncovered:,} firms ({self.uncovered_share:.2%} of output) buy for more than their output; "
        lines = [
            links + f"{self.buying:.0%} buy from firms",
            f"{self.cells:,} of {self.all_cells:,} flows between sectors kept, {self.kept:.4%} of their value",
            short + f"{self.without_firms} sectors without output have no firms",
            f"variance of ln       drawn  {target.place} {target.year}",
        ]
        lines += [
            f"  {name:<16} {found:>7.2f} {published:>9.2f}"
            for name, found, published in zip(NAMES, self.variance, target.variance, strict=True)
        ]
        return "\n".join(lines)
