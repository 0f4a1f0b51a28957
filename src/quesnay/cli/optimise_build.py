"""From the scenario of a trade-off to arrays; what does not fit the table names the file and the key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .optimise_scenario import OptimiseScenario
from .scenario import NEW_OPTIMISE, read_as
from .source import Source

if TYPE_CHECKING:  # imported where they are used: reading a scenario needs neither JAX nor pandas
    import numpy as np

    from ..economy import Economy


@dataclass
class OptimiseBuilder(Source[OptimiseScenario]):
    """The scenario file of a trade-off and what is made of it."""

    @staticmethod
    def of(path: Path) -> OptimiseBuilder:
        """Read and validate a scenario file."""
        return OptimiseBuilder(path, *read_as(path, OptimiseScenario, new=NEW_OPTIMISE))

    def economy(self) -> Economy:
        """Return the table that the scenario names, which has to have neither negative flows nor negative final demand."""
        return self.nonnegative(self.scenario.economy, self.scenario.report.outcomes)

    def intensities(self, economy: Economy) -> tuple[np.ndarray, np.ndarray]:
        """Return what is reduced and what is kept, per unit of output (n,)."""
        import numpy as np

        section, found = self.scenario.optimise, []
        for key, name in (("reduce", section.reduce), ("keep", section.keep)):
            with self.at(f"optimise.{key}"):
                found.append(np.asarray(economy.intensity(name)))
            total = float(found[-1] @ np.asarray(economy.output))
            if not total > 0:
                what = f'"{name}" is {total:g} in all, of which there are no shares; name another account'
                raise self.error(f"optimise.{key}", what)
        negative = np.flatnonzero(found[1] < 0)
        if negative.size:
            where = ", ".join(map(str, economy.index[int(negative[0])]))
            what = f'"{section.keep}" is negative in ({where}); name an account that is nowhere negative'
            raise self.error("optimise.keep", what)
        return found[0], found[1]

    def bounds(self, economy: Economy) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of all factors (n,)."""
        import numpy as np

        section = self.scenario.optimise
        low, high = (
            self.by_name(f"optimise.{key}s", economy, default, named.regions, named.sectors)
            for key, default, named in (
                ("lower", section.lower, section.lowers),
                ("upper", section.upper, section.uppers),
            )
        )
        wrong = np.flatnonzero(low > high)
        if wrong.size:
            k = int(wrong[0])
            where = ", ".join(map(str, economy.index[k]))
            what = f"the bounds of ({where}) are {low[k]:g} and {high[k]:g}; give lower ones that are not above the upper ones"
            raise self.error("optimise", what)
        return low, high
