"""The scenario file of a stress test under warming: its keys, their units and ranges."""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from .scenario import EconomySection, NonNegative, Positive, ReportSection, Section, Text
from .series import MOST, Range, list_or_range, rising

Degrees = Annotated[float, Field(ge=-5, le=50, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Reading = Literal["factor-limited", "fixed-capacity", "bottleneck", "linear-programme", "resource-requirement"]
READINGS = '"factor-limited", "fixed-capacity", "bottleneck", "linear-programme" or "resource-requirement"'


class TemperatureRange(Range):
    """Temperatures in equal steps."""

    begin: Degrees = Field(alias="from", description="first temperature, degrees C above 1850-1900, from -5 to 50")
    to: Degrees = Field(description="last temperature, degrees C above 1850-1900, from -5 to 50")
    step: Positive = Field(default=0.1, description="degrees C between them, above 0")


Temperatures = Annotated[
    Annotated[TemperatureRange, Tag("object")]
    | Annotated[Annotated[list[Degrees], Field(min_length=1, max_length=MOST)], Tag("array")],
    Discriminator(list_or_range),
]


class StressSection(Section):
    """Which warming, and what limits the economy in it."""

    temperatures: Temperatures = Field(
        description="rising list of degrees C above 1850-1900, from -5 to 50, or { from = 1.1, to = 4.0, step = 0.1 }"
    )
    reference: Degrees | None = Field(
        default=None,
        description="degrees C at which the table was observed, whose damage is in it; left out, damage counts from zero",
    )
    reading: Reading = Field(default="factor-limited", description=f"what limits the economy: {READINGS}")
    compare: list[Reading] = Field(default=[], description=f"list of further readings to compare: {READINGS}")
    headline: Degrees | None = Field(
        default=None,
        description="one of the temperatures, for sectors, regions and the ranking; left out, the highest with an answer",
    )
    factor: Text | None = Field(
        default=None,
        description='account that is the scarce factor, such as "value_added" or "jobs"; left out, all primary inputs',
    )
    spare: Positive = Field(
        default=1.0, description='capacity as a multiple of base output, for "linear-programme", above 0'
    )

    @property
    def points(self) -> list[float]:
        """The temperatures."""
        return (
            self.temperatures.values() if isinstance(self.temperatures, TemperatureRange) else list(self.temperatures)
        )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        points = self.points
        rising("temperatures", points)
        readings = [self.reading, *self.compare]
        twice = next((name for k, name in enumerate(readings) if name in readings[:k]), None)
        if twice is not None:
            raise ValueError(f'compare: "{twice}" is there twice; give readings other than "{self.reading}", each once')
        if self.headline is not None and not any(abs(T - self.headline) < 1e-6 for T in points):
            raise ValueError(f"headline = {self.headline:g} is not one of the temperatures; give one of them")
        return self


class SigmoidDamage(Section):
    """A logistic step at a threshold; an assumption."""

    curve: Literal["sigmoid"]
    steepness: Positive = Field(default=2.5, description="steepness s, per degree C, above 0")
    threshold: Number = Field(default=2.0, description="degrees C at which half is lost, a number")


class DICE2016RDamage(Section):
    """Nordhaus (2017)."""

    curve: Literal["dice-2016r"]
    a2: Number | None = Field(
        default=None, description="share of output per degree C squared, a number; left out, the published one"
    )


class DICE2023Damage(Section):
    """Barrage and Nordhaus (2024)."""

    curve: Literal["dice-2023"]
    a2: Number | None = Field(
        default=None, description="share of output per degree C squared, a number; left out, the published one"
    )


class HowardSternerDamage(Section):
    """Howard and Sterner (2017)."""

    curve: Literal["howard-sterner"]
    catastrophic: bool = Field(default=False, description="true or false: whether catastrophic damage counts")
    productivity: bool = Field(default=False, description="true or false: whether lower productivity growth counts")
    omitted: NonNegative | None = Field(
        default=None, description="allowance for omitted impacts, a share of at least 0; left out, the published one"
    )


class WeitzmanDamage(Section):
    """Weitzman (2012)."""

    curve: Literal["weitzman"]
    quadratic: Positive | None = Field(default=None, description="T_1, degrees C, above 0; left out, the published one")
    steep: Positive | None = Field(default=None, description="T_2, degrees C, above 0; left out, the published one")
    power: Annotated[float, Field(gt=1, allow_inf_nan=False)] | None = Field(
        default=None, description="p, a number above 1; left out, the published one"
    )


class BurkeHsiangMiguelDamage(Section):
    """Burke, Hsiang and Miguel (2015)."""

    curve: Literal["burke-hsiang-miguel"]
    climate: Number = Field(description="the country's annual mean temperature at the reference, degrees C")
    years: Annotated[int, Field(ge=1, le=1000)] = Field(
        description="whole number of years from the reference to T, from 1 to 1000"
    )
    amplification: Positive = Field(
        default=1.0, description="degrees C that the country warms by per degree of global warming, above 0"
    )
    growth: Annotated[float, Field(gt=-1, allow_inf_nan=False)] = Field(
        default=0.0, description="annual growth without further warming, a share above -1"
    )


class TableDamage(Section):
    """A curve of one's own, or one for every region or sector, from a CSV file."""

    curve: Literal["table"]
    path: Text = Field(
        description="path of a CSV file with the columns temperature and loss (and region, sector), relative to this file"
    )
    source: Text | None = Field(default=None, description="citation of the table; left out, the file has it")
    year: int | None = Field(default=None, description="year of its publication; left out, the file has it")


Damage = Annotated[
    SigmoidDamage
    | DICE2016RDamage
    | DICE2023Damage
    | HowardSternerDamage
    | WeitzmanDamage
    | BurkeHsiangMiguelDamage
    | TableDamage,
    Field(discriminator="curve"),
]


class VulnerabilitySection(Section):
    """How much of the damage reaches which account, and how."""

    kind: Literal["input-requirement", "productivity"] = Field(
        default="input-requirement",
        description='"input-requirement": damage raises inputs per unit of output; "productivity": inputs and labour',
    )
    gamma: NonNegative = Field(default=1.0, description="vulnerability of accounts that nothing else names, at least 0")
    regions: dict[Text, NonNegative] = Field(
        default={}, description="table of vulnerabilities of at least 0 by region; a sector's goes before it"
    )
    sectors: dict[Text, NonNegative] = Field(default={}, description="table of vulnerabilities of at least 0 by sector")
    gammas: Text | None = Field(
        default=None,
        description="path of a CSV file with the columns region, sector and gamma, which goes before the other keys",
    )


class MatchSection(Section):
    """A published loss that the economy is made to have, by one factor on all vulnerabilities."""

    at: Degrees = Field(description="degrees C at which the loss is matched, from -5 to 50")
    loss: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] | None = Field(
        default=None, description="share of GDP lost against the reference, above 0 and below 1 (or give published)"
    )
    published: Damage | None = Field(
        default=None, description="damage function that says the loss, with the keys of [damage] (or give loss)"
    )

    @model_validator(mode="after")
    def _one_loss(self) -> Self:
        if (self.loss is None) == (self.published is None):
            raise ValueError("a match takes exactly one of loss (a share of GDP) and published (a damage function)")
        return self


class UncertaintySection(Section):
    """Draws of the damage function's parameters."""

    draws: Annotated[int, Field(ge=2, le=100_000)] = Field(
        default=200, description="whole number of draws, from 2 to 100000"
    )
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = Field(
        default=0, description="whole number from 0 to 4294967295; the same seed gives the same numbers"
    )
    sd: dict[Text, NonNegative] = Field(
        default={},
        description="table of standard deviations of at least 0 by parameter; left out, those of the source",
    )


class StressScenario(Section):
    """A quesnay stress test under warming: one economy, one damage function, a range of temperatures."""

    schema_version: Literal[1] = Field(description="version of this format: 1")
    title: Text = Field(description="one line that says what is tested")
    description: str = Field(default="", description="any further text for the report")
    economy: EconomySection = Field(description="section that names the table")
    stress: StressSection = Field(description="section with the temperatures and the readings")
    damage: Damage = Field(description="section with the damage function; its key curve says which")
    vulnerability: VulnerabilitySection = Field(
        default=VulnerabilitySection(), description="section with what damage does to whom"
    )
    match: MatchSection | None = Field(default=None, description="section with a published loss to match")
    uncertainty: UncertaintySection | None = Field(
        default=None, description="section with draws of the damage function's parameters, for fan charts"
    )
    report: ReportSection = Field(default=ReportSection(), description="section with what the report shows")
