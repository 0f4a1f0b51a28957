"""A scenario becomes constructors, verbs and a report; nothing is written before all of it has succeeded."""

import dataclasses
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import report
from ..dynamics import simulate
from ..economy import Economy
from ..report import Run
from ..report.shocks import sentences
from ..supply import AbstractShock, SupplyModel
from . import output
from .build import Builder
from .progress import stages
from .summary import show, summarise


def execute(builder: Builder, out: Path, *, as_json: bool, seed: int | None) -> None:
    """Run a scenario that has been read, write its results into the folder, and print a summary.

    Raises
    ------
    ScenarioError
        The table cannot be used, or the scenario does not fit it.
    SolveError
        The simulation did not succeed.
    """
    with warnings.catch_warnings(record=True) as caught, stages(4) as stage:
        stage("reading the table")
        economy = builder.economy()
        model, shock = builder.model(economy), builder.shock(economy)
        stage("simulating")
        run = simulated(builder, economy, model, shock, seed)
        stage("making the report")
        html, dataset = report.html(run), report.dataset(run)
        stage("writing")
        written = output.write(out, dict(zip(output.NAMES, (dataset.to_netcdf, text_writer(html)), strict=True)))
    say(summarise(run), written, caught, show, as_json=as_json)


def say(
    found: dict[str, Any],
    written: Sequence[Path],
    caught: Sequence[warnings.WarningMessage],
    show: Callable[[dict[str, Any]], None],
    *,
    as_json: bool,
    first: Sequence[str] = (),
) -> None:
    """Print the warnings that were caught (and those in `first`), and the summary for people or for programs."""
    notes = [*first, *dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught)]
    for note in notes:
        sys.stderr.write(f"quesnay: warning: {note}\n")
    found = found | {"files": [str(file) for file in written], "warnings": notes}
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        show(found)


def simulated(builder: Builder, economy: Economy, model: SupplyModel, shock: AbstractShock, seed: int | None) -> Run:
    """Return the simulated scenario with all that its report says."""
    scenario = builder.scenario
    run = report.Run(
        economy=economy,
        model=model,
        shock=shock,
        path=simulate(model, shock, steps=scenario.run.steps),
        title=scenario.report.title or scenario.title,
        description=scenario.description.strip(),
        outcomes=tuple(scenario.report.outcomes),
        seed=scenario.run.seed if seed is None else seed,
        inputs=builder.inputs,
        scenario=builder.text,
    )
    named = zip(scenario.shock, sentences(run), strict=True)
    return dataclasses.replace(run, shocks=tuple(f"{section.name}: {text}" for section, text in named))


def text_writer(content: str) -> output.Writer:
    """Return what writes a text into a file."""

    def write(path: Path) -> None:
        path.write_text(content, encoding="utf-8")

    return write
