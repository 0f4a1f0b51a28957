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
