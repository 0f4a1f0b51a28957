"""All numbers of a report in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from . import analysis, bottlenecks
from .analysis import Quantity, Split, Total
from .bottlenecks import Causes, Episode, LowestStock
from .run import Run
from .sensitivities import Sensitivities, sensitivities


@dataclass(frozen=True, eq=False)
class Findings:
    """What a run shows, in numbers.

    Attributes
    ----------
    quantities, totals:
        Output, value added and the outcomes, per account and day, and added up.
    regions:
        The regions, the largest loss of output first.
    split:
        Direct and indirect loss.
    episodes, causes:
        Spells of a scarce input; share of days by cause.
    stocks:
        How low the stock of every input fell anywhere, the lowest first.
    sensitivities:
        Derivatives of the value added lost.
    """

    quantities: Mapping[str, Quantity]
    totals: Mapping[str, Total]
    regions: list[str]
    split: Split
    episodes: Sequence[Episode]
    causes: Causes
    stocks: Sequence[LowestStock]
    sensitivities: Sensitivities

    @property
    def anything(self) -> bool:
        """Whether output left its base on any day, beyond rounding."""
        output = self.quantities["output"]
        return bool(np.abs(output.change).max(initial=0) > analysis.ROUNDING * output.base.max(initial=0))


def find(run: Run) -> Findings:
    """Return everything that a report says in numbers."""
    totals = analysis.totals(run)
    return Findings(
        quantities=analysis.quantities(run),
        totals=totals,
        regions=analysis.ranked_regions(totals),
        split=analysis.split(run),
        episodes=bottlenecks.episodes(run),
        causes=bottlenecks.causes(run),
        stocks=bottlenecks.lowest_stocks(run),
        sensitivities=sensitivities(run),
    )
