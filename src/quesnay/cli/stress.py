"""A stress test under warming: from a scenario that has been read to its report; nothing is written before it has succeeded."""

import dataclasses
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import climate
from .._errors import SolveError
from ..climate import AbstractDamage, AbstractReading, AbstractVulnerability, Curves, ResourceRequirement, Stress
from ..climate.setting import name_of, sentence_of
from ..economy import Economy
from ..report import climate as report
from ..report.climate import Matched, Study
from . import output
from .progress import Stages, stages
from .run import say, text_writer
from .stress_build import StressBuilder
from .stress_summary import show

DRAWN = 16
"""Temperatures at which draws are followed; between them a fan is drawn straight."""
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Question:
    """What all questions to a damaged economy begin with."""

    economy: Economy
    damage: AbstractDamage
    vulnerability: AbstractVulnerability
    reference: float | None
    labour: np.ndarray

    @property
    def table(self) -> tuple[Any, Any]:
        """A and d."""
        return self.economy.A, self.economy.final_demand

    @property
    def technology(self) -> dict[str, Any]:
        """How damage enters, as keywords."""
        return {"vulnerability": self.vulnerability, "reference": self.reference}


def execute(builder: StressBuilder, out: Path, *, as_json: bool, seed: int | None) -> None:
    """Run a stress test that has been read, write its results into the folder, and print a summary.

    Raises
    ------
    ScenarioError
        The table cannot be used, or the scenario does not fit it.
    SolveError
        No vulnerability matches the published loss, a reading was not solved, or a draw is not finite.
    """
    scenario = builder.scenario
    total = 5 + len(builder.readings()) + (scenario.match is not None) + (scenario.uncertainty is not None)
    with warnings.catch_warnings(record=True) as caught, stages(total) as stage:
        study = stressed(builder, stage, seed)
        stage("making the report")
        html, dataset = report.html(study), report.dataset(study)
        stage("writing")
        written = output.write(out, dict(zip(output.NAMES, (dataset.to_netcdf, text_writer(html)), strict=True)))
    say(report.summary(study), written, caught, show, as_json=as_json)


def stressed(builder: StressBuilder, stage: Stages, seed: int | None) -> Study:
    """Return the stress test of a scenario with all that its report says."""
    scenario, readings = builder.scenario, builder.readings()
    stage("reading the table")
    economy = builder.economy()
    question = Question(
        economy, builder.damage(economy), builder.vulnerability(economy), scenario.stress.reference, builder.labour(economy)
    )  # fmt: skip
    matched = None
    if scenario.match is not None:
        stage("matching the published loss")
        matched = _matched(builder, question, readings[0])
        question = dataclasses.replace(question, vulnerability=matched.found.vulnerability)
    draws: dict[str, Any] = {}
    if scenario.uncertainty is not None:
        chosen = scenario.uncertainty.seed if seed is None else seed
        stage("following draws of the damage function")
        draws = _draws(builder, question, readings[0], chosen) | {"seed": chosen}
    with builder.at("damage"):
        stage("looking for the collapse")
        collapse = climate.collapse(economy.A, question.damage, **question.technology)
        results = []
        for reading in readings:
            stage(f"reading {len(results) + 1} of {len(readings)}: {type(reading).__name__}")
            results.append(_stress(question, reading, scenario.stress.points, scenario.report.outcomes))
        study = Study(
            economy=economy,
            damage=question.damage,
            vulnerability=question.vulnerability,
            reference=question.reference,
            labour=question.labour,
            readings=readings,
            results=tuple(results),
            collapse=collapse,
            title=scenario.report.title or scenario.title,
            factor=scenario.stress.factor or "",
            description=scenario.description.strip(),
            match=matched,
            outcomes=tuple(scenario.report.outcomes),
            headline=scenario.stress.headline,
            inputs=builder.inputs,
            scenario=builder.text,
            **draws,
        )
        stage("ranking the vulnerabilities")
        return dataclasses.replace(study, resilience=_resilience(study, question))


def _stress(question: Question, reading: AbstractReading, points: list[float], outcomes: list[str]) -> Stress:
    """Return what a reading says at every temperature; collapses are part of the answer, a failed solve is not."""
    # Under names of our own: an account may be called like a result, such as "gdp".
    own = {f"outcome {k}": name for k, name in enumerate(outcomes)}
    weights = {k: question.economy.intensity(name) for k, name in own.items()}
    found = climate.stress(
        *question.table, question.damage, temperatures=points, **question.technology, reading=reading,
        labour=question.labour, intensities=weights, throw=False,
    )  # fmt: skip
    named = ({name: values[k] for k, name in own.items()} for values in (found.outcomes, found.outcome_slopes))
    found = dataclasses.replace(found, **dict(zip(("outcomes", "outcome_slopes"), named, strict=True)))
    for k, temperature in enumerate(points):
        if name_of(found.result, k) == "unsolved":
            raise SolveError(f"At {temperature:g} degrees C: {sentence_of(found.result, k)}")
    return found


def _matched(builder: StressBuilder, question: Question, reading: AbstractReading) -> Matched:
    section = builder.scenario.match
    assert section is not None
    published = builder.published(question.economy)
    with builder.at("match"):
        found = climate.match(
            *question.table, question.damage, published, at=section.at, **question.technology, reading=reading,
            labour=question.labour,
        )  # fmt: skip
    return Matched(found, section.at, published.source if isinstance(published, AbstractDamage) else "")


def _draws(builder: StressBuilder, question: Question, reading: AbstractReading, seed: int) -> dict[str, Any]:
    """Return what draws of the damage function's parameters make of GDP and of the damage itself."""
    section, points = builder.scenario.uncertainty, np.array(builder.scenario.stress.points)
    assert section is not None
    chosen = np.linspace(0, points.size - 1, DRAWN).round().astype(int)
    headline = builder.scenario.stress.headline
    if headline is not None:
        chosen = np.append(chosen, np.argmin(np.abs(points - headline)))
    at = points[np.unique(chosen)]
    key = jax.random.key(seed)
    A, d = question.table  # an economy keeps what it is asked for: not from within a traced function

    def followed(damage: AbstractDamage) -> Any:
        found = climate.stress(
            A, d, damage, temperatures=at, **question.technology, reading=reading, labour=question.labour,
            throw=False,
        )  # fmt: skip
        return found.factor if isinstance(reading, ResourceRequirement) else found.gdp

    def carried(function: Any) -> Curves:
        return climate.curves(
            question.damage, function, key=key, count=section.draws, sd=section.sd, levels=LEVELS
        )  # fmt: skip

    with builder.at("uncertainty"):
        return {
            "damage_draws": carried(lambda damage: damage(jnp.asarray(at))),
            "gdp_draws": carried(followed),
            "drawn_at": at,
        }


def _resilience(study: Study, question: Question) -> climate.Resilience | None:
    """Return the ranking at the headline, where there is anything to rank."""
    if study.requirement or study.ended[0][study.at] != "successful" or not study.gamma.any():
        return None
    return climate.resilience(
        *question.table, question.damage, temperatures=study.temperatures[study.at], **question.technology,
        reading=study.readings[0], labour=question.labour,
    )  # fmt: skip
