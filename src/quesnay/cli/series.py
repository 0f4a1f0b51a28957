"""Keys that take a rising list of numbers, or a first one, a last one and a step."""

import itertools
from collections.abc import Sequence
from typing import Any, Self

from pydantic import Field, model_validator

from .scenario import Section

MOST = 500
"""Numbers in a list."""


class Range(Section):
    """Numbers in equal steps."""

    begin: float = Field(alias="from")
    to: float
    step: float

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.to < self.begin:
            raise ValueError(f"to = {self.to:g} is below from = {self.begin:g}; give the higher one as to")
        if (self.to - self.begin) / self.step >= MOST:
            raise ValueError(f"there are more than {MOST} steps; give a larger step")
        return self

    def values(self) -> list[float]:
        """Return the numbers, rounded to what the file can say."""
        count = int((self.to - self.begin) / self.step + 1e-6) + 1
        return [round(self.begin + k * self.step, 9) for k in range(count)]


def list_or_range(value: Any) -> str:
    """Return the JSON type that says which of both a value is."""
    return "object" if isinstance(value, dict | Range) else "array"


def rising(name: str, points: Sequence[float]) -> None:
    """Raise `ValueError` where numbers do not rise."""
    for before, after in itertools.pairwise(points):
        if not before < after:
            raise ValueError(f"{name}: {after:g} follows {before:g}; give rising {name}, each once")
