"""A trade-off: from a scenario that has been read to its report; nothing is written before it has succeeded."""

import warnings
from pathlib import Path

from .. import intervention
from ..report import intervention as report
from ..report.intervention import Study
from . import output
from .optimise_build import OptimiseBuilder
from .optimise_summary import show
from .progress import Stages, stages
from .run import say, text_writer


def execute(builder: OptimiseBuilder, out: Path, *, as_json: bool) -> None:
    """Find the interventions of a scenario that has been read, write the results into the folder, and print a summary.

    Raises
    ------
    ScenarioError
        The table cannot be used, the scenario does not fit it, or a budget is less than what the bounds alone move.
    SolveError
        An optimum is not proved, or the upper bounds are not productive.
    """
    with warnings.catch_warnings(record=True) as caught, stages(4) as stage:
        study = optimised(builder, stage)
        stage("making the report")
        html, dataset = report.html(study), report.dataset(study)
        stage("writing")
        written = output.write(out, dict(zip(output.NAMES, (dataset.to_netcdf, text_writer(html)), strict=True)))
    say(report.summary(study), written, caught, show, as_json=as_json)


def optimised(builder: OptimiseBuilder, stage: Stages) -> Study:
    """Return the best interventions of a scenario with all that their report says."""
    scenario = builder.scenario
    section, points = scenario.optimise, scenario.optimise.points
    stage("reading the table")
    economy = builder.economy()
    reduce, keep = builder.intensities(economy)
    bounds = builder.bounds(economy)
    stage("looking for the best interventions")
    budgets, penalties = (points, None) if section.penalties is None else (None, points)
    with builder.at("optimise.budgets" if penalties is None else "optimise.penalties"):
        found = intervention.frontier(
            economy.A,
            economy.final_demand,
            reduce=reduce,
            keep=keep,
            budgets=budgets,
            penalties=penalties,
            bounds=bounds,
        )
    return Study(
        economy=economy,
        found=found,
        reduce=section.reduce,
        keep=section.keep,
        bounds=bounds,
        budgets=None if budgets is None else tuple(budgets),
        title=scenario.report.title or scenario.title,
        description=scenario.description.strip(),
        outcomes=tuple(scenario.report.outcomes),
        headline=section.headline,
        inputs=builder.inputs,
        scenario=builder.text,
    )
