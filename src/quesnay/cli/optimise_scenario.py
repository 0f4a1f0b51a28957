"""The scenario file of a trade-off and its best interventions: its keys, their units and ranges."""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from .scenario import EconomySection, NonNegative, Positive, ReportSection, Section, Text
from .series import MOST, Range, list_or_range, rising

Budget = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class BudgetRange(Range):
    """Budgets in equal steps."""

    begin: Budget = Field(alias="from", description="first budget, a share above 0 and at most 1")
    to: Budget = Field(description="last budget, a share above 0 and at most 1")
    step: Positive = Field(description="share between them, above 0")


class PenaltyRange(Range):
    """Penalties in equal steps."""

    begin: NonNegative = Field(alias="from", description="first penalty, at least 0")
    to: NonNegative = Field(description="last penalty, at least 0")
    step: Positive = Field(description="number between them, above 0")


Budgets = Annotated[
    Annotated[BudgetRange, Tag("object")]
    | Annotated[Annotated[list[Budget], Field(min_length=1, max_length=MOST)], Tag("array")],
    Discriminator(list_or_range),
]
Penalties = Annotated[
    Annotated[PenaltyRange, Tag("object")]
    | Annotated[Annotated[list[NonNegative], Field(min_length=1, max_length=MOST)], Tag("array")],
    Discriminator(list_or_range),
]


class BoundsSection(Section):
    """Bounds of the factors of some accounts."""

    regions: dict[Text, NonNegative] = Field(
        default={}, description="table of factors of at least 0 by region; a sector's goes before it"
    )
    sectors: dict[Text, NonNegative] = Field(default={}, description="table of factors of at least 0 by sector")


class OptimiseSection(Section):
    """What is reduced, what is kept, and how far."""

    reduce: Text = Field(description='account of the table that is reduced, such as "ghg"')
    keep: Text = Field(description='account of the table that is kept where it is, such as "jobs"; nowhere negative')
    budgets: Budgets | None = Field(
        default=None,
        description="rising list of the shares of what is kept that may move, or { from = 0.01, to = 0.1, step = 0.01 } (or "
        "give penalties)",
    )
    penalties: Penalties | None = Field(
        default=None,
        description="rising list of prices of what moves, in units of what is reduced per unit of what is kept, or { from = "
        "0, to = 100, step = 10 } (or give budgets)",
    )
    lower: NonNegative = Field(
        default=0.0,
        description="least factor of accounts that nothing else names, at least 0: the share of what it is asked for that an "
        "account still delivers",
    )
    upper: NonNegative = Field(
        default=1.0, description="largest factor of accounts that nothing else names, at least 0; above 1 they may grow"
    )
    lowers: BoundsSection = Field(default=BoundsSection(), description="least factors by region and sector")
    uppers: BoundsSection = Field(default=BoundsSection(), description="largest factors by region and sector")
    headline: NonNegative | None = Field(
        default=None,
        description="one of the budgets (or penalties), for sectors and regions; left out, the one nearest 5 % moved",
    )

    @property
    def points(self) -> list[float]:
        """The budgets, or the penalties."""
        given = self.penalties if self.budgets is None else self.budgets
        assert given is not None
        return given.values() if isinstance(given, Range) else list(given)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.budgets is None) == (self.penalties is None):
            raise ValueError("the trade-off takes exactly one of budgets (shares that may move) and penalties (prices)")
        if self.reduce == self.keep:
            raise ValueError(f'reduce and keep are both "{self.keep}"; name two accounts')
        name = "penalties" if self.budgets is None else "budgets"
        rising(name, self.points)
        if self.headline is not None and not any(abs(p - self.headline) <= 1e-9 * p for p in self.points):
            raise ValueError(f"headline = {self.headline:g} is not one of the {name}; give one of them")
        return self


class OptimiseScenario(Section):
    """A quesnay trade-off: one economy, what is reduced, what is kept, and how much of it may move."""

    schema_version: Literal[1] = Field(description="version of this format: 1")
    title: Text = Field(description="one line that says what is looked for")
    description: str = Field(default="", description="any further text for the report")
    economy: EconomySection = Field(description="section that names the table")
    optimise: OptimiseSection = Field(description="section with what is reduced and what is kept")
    report: ReportSection = Field(default=ReportSection(), description="section with what the report shows")
