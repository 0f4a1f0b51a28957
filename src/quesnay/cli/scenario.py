"""The scenario file: its keys, their units and ranges, and one sentence for whatever is wrong with it."""

import datetime as dt
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .._errors import ScenarioError
from .sentence import quoted, sentence

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A table of the scenario file: unknown keys and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class EconomySection(Section):
    """Which table the economy is."""

    table: Text = Field(description='name of a packaged table ("us-2020") or a path, relative to the scenario file')
    close: Text | None = Field(
        default=None,
        description="name of the account under which residuals of a table that does not balance are booked",
    )
    nonnegative: bool = Field(
        default=False,
        description="true to move negative entries out of the way first, false to refuse a table with some",
    )


class ModelSection(Section):
    """The supply model: stocks, orders and spare capacity."""

    inventory: Annotated[float, Field(ge=1, allow_inf_nan=False)] = Field(
        default=20.0, description="number of days of use that every input is held in stock, at least 1"
    )
    adjustment: Positive = Field(
        default=10.0, description="number of days in which a gap in stocks is closed by orders, above 0"
    )
    capacity: Annotated[float, Field(ge=1, allow_inf_nan=False)] = Field(
        default=1.0, description="largest output as a share of base output, at least 1 (1.2: a fifth more than usual)"
    )
    days_per_year: Positive = Field(default=365.0, description="number of steps in the table's year, above 0")


class ExponentialRecovery(Section):
    """Remaining loss exp(-t / days), or exp(-rate t)."""

    kind: Literal["exponential"]
    days: Positive | None = Field(
        default=None, description="number of days after which 1/e of the loss remains, above 0 (or give rate)"
    )
    rate: Positive | None = Field(
        default=None, description="share of the loss made good per day, above 0 (or give days)"
    )


class LinearRecovery(Section):
    """Remaining loss falls to zero along a straight line."""

    kind: Literal["linear"]
    days: Positive = Field(description="number of days until nothing of the loss remains, above 0")


class TabulatedRecovery(Section):
    """Remaining loss read off a table of days, linear in between, constant after the last."""

    kind: Literal["tabulated"]
    days: list[NonNegative] = Field(
        min_length=1, description="rising list of days since recovery began, the first one 0"
    )
    remaining: list[Share] = Field(
        min_length=1,
        description="list of the shares of the loss that remain on those days, from 0 to 1, the first one 1",
    )


Recovery = Annotated[ExponentialRecovery | LinearRecovery | TabulatedRecovery, Field(discriminator="kind")]


class CapacityLossSection(Section):
    """Part of the capacity of some accounts is gone for a while."""

    kind: Literal["capacity-loss"] = Field(description='what the shock is: "capacity-loss"')
    name: Text = Field(description="a name for the report")
    loss: Share | None = Field(default=None, description="share of capacity lost, from 0 to 1 (or give losses)")
    regions: list[Text] | None = Field(
        default=None, min_length=1, description="list of the regions hit; left out, all regions"
    )
    sectors: list[Text] | None = Field(
        default=None, min_length=1, description="list of the sectors hit; left out, all sectors"
    )
    losses: Text | None = Field(
        default=None,
        description="path of a CSV file with the columns region, sector and loss, relative to the scenario file",
    )
    start: NonNegative = Field(default=0.0, description="day on which capacity is lost, counted from 0")
    duration: NonNegative = Field(
        default=0.0, description="number of days of full loss before recovery begins, at least 0"
    )
    recovery: Recovery | None = Field(
        default=None,
        description="how the loss fades; left out, it ends at once after the duration, or never where that is 0",
    )

    @model_validator(mode="after")
    def _one_source_of_losses(self) -> Self:
        if (self.loss is None) == (self.losses is None):
            raise ValueError("a capacity loss takes exactly one of loss (with regions and sectors) and losses (a file)")
        if self.losses is not None and (self.regions is not None or self.sectors is not None):
            raise ValueError("regions and sectors stand in the losses file already; leave them out beside losses")
        return self


class RunSection(Section):
    """How long, and with which seed."""

    steps: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=365, description="whole number of days to simulate, from 1 to 100000"
    )
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = Field(
        default=0, description="whole number from 0 to 4294967295; the same seed gives the same numbers"
    )


class ParameterSection(Section):
    """One parameter that is calibrated: its prior, and how many of it there are."""

    name: Literal["inventory", "adjustment", "capacity", "loss", "recovery"] = Field(
        description='"inventory", "adjustment" or "capacity" of the model; "loss" or "recovery" (days) of a shock'
    )
    shock: Text | None = Field(default=None, description="name of the shock, for loss and recovery")
    per: Literal["all", "region", "sector", "account"] = Field(
        default="all", description='"all": one number; "region", "sector" or "account": one for each'
    )
    median: Positive | None = Field(
        default=None, description="prior median, in the parameter's own unit; left out, the scenario's value"
    )
    spread: Positive = Field(
        default=0.5,
        description="prior standard deviation of the logarithm above the lower bound (of a loss: of its log odds)",
    )

    @model_validator(mode="after")
    def _of_a_shock(self) -> Self:
        if (self.name in ("loss", "recovery")) != (self.shock is not None):
            raise ValueError(
                "loss and recovery take the name of their shock (shock = ...), and no other parameter has one"
            )
        return self


class CalibrateSection(Section):
    """What `quesnay calibrate` fits to what."""

    observed: Text = Field(
        description="path of a CSV file with the columns date (or day), region, sector, value, relative to the scenario file"
    )
    begin: dt.date | None = Field(
        default=None, description="date of day 0, such as 2020-03-01; not with a column of days"
    )
    measure: Literal["index", "level"] = Field(
        default="index",
        description='"index": mean over the period, base state = base; "level": sum over it, in currency',
    )
    base: Positive = Field(default=100.0, description="what the base state counts as in an index: 100, or 1 for shares")
    frequency: Literal["day", "week", "month", "quarter", "year"] | None = Field(
        default=None, description='period of dates that are written as days, such as "month" for 2020-03-01'
    )
    variable: Literal["output", "value_added", "final_consumption"] = Field(
        default="output", description='"output", "value_added" or "final_consumption"'
    )
    error: Positive | None = Field(
        default=None,
        description="standard deviation between model and observation, in the unit of the values; left out, found by a pilot",
    )
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=300, description="whole number of gradient steps, from 1"
    )
    draws: Annotated[int, Field(ge=2, le=10_000)] = Field(
        default=100, description="whole number of runs behind the fan charts, from 2"
    )
    parameter: list[ParameterSection] = Field(
        min_length=1, description="one or more [[calibrate.parameter]] sections, in double brackets"
    )


class ReportSection(Section):
    """What the report shows beside output and value added."""

    title: Text | None = Field(default=None, description="title of the report; left out, the scenario's title")
    outcomes: list[Text] = Field(
        default=[],
        description='list of satellite accounts of the table, such as ["jobs", "ghg"], shown beside output and value added',
    )


class Scenario(Section):
    """A quesnay scenario: one economy, one model, one or more shocks."""

    schema_version: Literal[1] = Field(description="version of this format: 1")
    title: Text = Field(description="one line that says what happens")
    description: str = Field(default="", description="any further text for the report")
    economy: EconomySection = Field(description="section that names the table")
    model: ModelSection = Field(default=ModelSection(), description="section with the parameters of the supply model")
    shock: list[CapacityLossSection] = Field(
        min_length=1, description="one or more [[shock]] sections, in double brackets"
    )
    run: RunSection = Field(default=RunSection(), description="section with the length of the run and the seed")
    report: ReportSection = Field(default=ReportSection(), description="section with what the report shows")
    calibrate: CalibrateSection | None = Field(
        default=None,
        description="section for `quesnay calibrate`: observations and parameters; `quesnay run` passes over it",
    )

    @model_validator(mode="after")
    def _shocks_that_exist(self) -> Self:
        names = [shock.name for shock in self.shock]
        for parameter in () if self.calibrate is None else self.calibrate.parameter:
            if parameter.shock is not None and names.count(parameter.shock) != 1:
                found = ", ".join(map(quoted, names))
                raise ValueError(
                    f"calibrate.parameter: shock = {quoted(parameter.shock)} is not one of the shocks, {found}"
                )
        return self


S = TypeVar("S", bound=Section)
NEW, NEW_STRESS, NEW_OPTIMISE = "quesnay new", "quesnay new --stress", "quesnay new --optimise"
"""The commands that write a template."""


def read(path: Path) -> tuple[Scenario, str]:
    """Return the validated scenario of a shock, and the file's text; raises `ScenarioError` as `read_as` does."""
    return read_as(path, Scenario, new=NEW)


COMMANDS = {
    "shock": ("a shock", "quesnay run"),
    "stress": ("a stress", "quesnay stress"),
    "optimise": ("a trade-off", "quesnay optimise"),
}
"""What scenarios are that have such a section, and what runs them."""


def read_as(path: Path, model: type[S], *, new: str) -> tuple[S, str]:
    """Return the validated scenario of a file, and the file's text; `new` is the command that writes a template.

    Raises
    ------
    ScenarioError
        The file cannot be read, is not TOML, or has an unknown, missing or impossible entry.
    """
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read ({error.strerror}); `{new} {path}` writes a template.") from None
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8.") from None
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise ScenarioError(f"{path}: is nested too deeply; see `{new} -` for the format.") from None
    except ValueError as error:  # TOMLDecodeError, or a number with too many digits
        raise ScenarioError(f"{path}: is not valid TOML: {str(error)[:1].lower()}{str(error)[1:]}.") from None
    for section, (kind, command) in COMMANDS.items():
        if (
            section in data
            and section not in model.model_fields
            and not any(own in data for own in COMMANDS.keys() - {section})
        ):
            raise ScenarioError(f"{path}: is a scenario with {kind}; run it with `{command} {path}`.")
    try:
        return model.model_validate(data), text
    except ValidationError as error:
        raise ScenarioError(f"{path}: {sentence(error, data, model.model_json_schema())}") from None


def schema(model: type[Section] = Scenario) -> dict[str, Any]:
    """Return the JSON Schema of scenario files."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | model.model_json_schema()
