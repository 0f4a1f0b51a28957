"""How accounts are called on a page."""

from functools import cached_property

import numpy as np

from ..economy import Economy


class Named:
    """What has an economy can call its accounts by name."""

    economy: Economy

    @cached_property
    def accounts(self) -> tuple[tuple[str, str], ...]:
        """The (region, sector) of every account."""
        return tuple((str(region), str(sector)) for region, sector in self.economy.index)

    @cached_property
    def regions(self) -> np.ndarray:
        """The region of every account (n,)."""
        return np.array([region for region, _ in self.accounts], dtype=object)

    def label(self, account: int) -> str:
        """Return how an account is called in tables and figures: "sector (region)", or the sector in a table of one region."""
        region, sector = self.accounts[account]
        return sector if len(self.economy.regions) == 1 else f"{sector} ({region})"

    def place(self, account: int) -> str:
        """Return how an account is called in a sentence: "sector in region", or the sector in a table of one region."""
        region, sector = self.accounts[account]
        return sector if len(self.economy.regions) == 1 else f"{sector} in {region}"

    def by_region(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Return values (..., n) added up over the sectors of each region."""
        return {region: values[..., self.regions == region].sum(axis=-1) for region in self.economy.regions}

    def by_sector(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Return values (..., n) added up over the regions of each sector."""
        sectors = np.array([sector for _, sector in self.accounts], dtype=object)
        return {sector: values[..., sectors == sector].sum(axis=-1) for sector in self.economy.sectors}
