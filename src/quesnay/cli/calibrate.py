"""From a scenario with a [calibrate] section to a posterior, a report with fan charts, and labelled numbers."""

import dataclasses
import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .. import infer, report
from .._errors import ScenarioError
from ..report import Ensemble
from . import output
from .build import Builder
from .calibration import Calibration
from .progress import stages
from .run import say, simulated, text_writer

MOST = 12
NAMES = (*output.NAMES, "posterior.nc")
"""The files of a calibration, in the order in which they appear."""


def execute(builder: Builder, out: Path, *, as_json: bool, seed: int | None, resume: bool) -> None:
    """Calibrate a scenario that has been read, write its results into the folder, and print a summary.

    Raises
    ------
    ScenarioError
        The scenario has no [calibrate] section, or it does not fit the table.
    SolveError
        No parameters were found under which the model runs.
    """
    section = builder.scenario.calibrate
    if section is None:
        raise ScenarioError(
            f"{builder.path}: calibrate is missing; `quesnay calibrate --help` says what the section holds."
        )
    chosen = builder.scenario.run.seed if seed is None else seed
    with warnings.catch_warnings(record=True) as caught, stages(6) as stage:
        stage("reading the table and the observations")
        economy = builder.economy()
        calibration = Calibration.of(builder, economy)
        targets = calibration.targets
        stage("calibrating")
        keys = jax.random.split(jax.random.key(chosen), 2)
        saved = _checkpoint(builder, out, chosen)
        saved.parent.mkdir(parents=True, exist_ok=True)
        going_on = resume and saved.exists()
        posterior = infer.gvi(
            lambda theta: targets.observe(calibration.path(theta, observe=targets.keep())),
            calibration.prior, targets.observed, key=keys[0], steps=section.steps, missing=True, labels=calibration.labels,
            loss=None if section.error is None else infer.Gaussian(section.error), checkpoint=saved, resume=going_on,
            progress=lambda done, total: stage.within(f"calibrating, step {done} of {total}"),
        )  # fmt: skip
        stage("simulating under draws of the posterior")
        ensemble = report.ensemble(
            posterior, calibration.path, economy, key=keys[1], draws=section.draws, targets=targets
        )
        stage("simulating under its mean")
        theta = {str(name): jnp.asarray(v.to_numpy()) for name, v in posterior.mean().data_vars.items()}
        model, shock = calibration.scenario(theta)
        run = simulated(builder, economy, model, shock, chosen)
        run = dataclasses.replace(run, ensemble=ensemble)
        stage("making the report")
        html, dataset = report.html(run), report.dataset(run)
        stage("writing")
        writers = zip(NAMES, (dataset.to_netcdf, text_writer(html), posterior.save), strict=True)
        written = output.write(out, dict(writers))
        saved.unlink(missing_ok=True)
    began = f"{out} holds no checkpoint of this scenario and seed; the fit began anew."
    first = [began] if resume and not going_on else []
    say(_summary(builder, ensemble, targets), written, caught, _show, as_json=as_json, first=first)


def _checkpoint(builder: Builder, out: Path, seed: int) -> Path:
    """Return the file of the fit's state; its name tells this scenario, its files and its seed from others."""
    what = json.dumps([sorted(builder.inputs.items()), seed])
    return out / f"fit-{hashlib.sha256(what.encode()).hexdigest()[:12]}.safetensors"


def _summary(builder: Builder, found: Ensemble, targets: infer.Targets) -> dict[str, Any]:
    change = (found.output - found.base_output).sum(axis=(1, 2))
    low, middle, high = (float(v) for v in jnp.quantile(jnp.asarray(change), jnp.asarray([0.05, 0.5, 0.95])))
    return {
        "title": builder.scenario.title,
        "observations": targets.observed.size - targets.missing,
        "series": targets.observed.shape[1],
        "method": found.method,
        "simulations": found.simulations,
        "converged": found.converged,
        "draws": found.draws,
        "draws_left_out": found.left_out,
        "change_in_output": {"median": middle, "5 %": low, "95 %": high},
        "parameters": [dataclasses.asdict(p) for p in found.parameters],
    }


def _show(found: dict[str, Any]) -> None:
    """Print a summary as a table for people."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(found["title"], style="bold")
    converged = "converged" if found["converged"] else "NOT converged: give more steps"
    console.print(
        f"{found['observations']} observations of {found['series']} series; {found['simulations']} simulations; {converged}"
    )
    parameters = found["parameters"]
    more = f" (the {MOST} that the observations say most of, of {len(parameters)})" if len(parameters) > MOST else ""
    table = Table(title=Text(f"Parameters{more}"), title_justify="left", box=SIMPLE_HEAD)
    table.add_column(Text("parameter"), min_width=24)
    for heading in ("prior", "posterior", "5 %", "95 %", "contraction"):
        table.add_column(Text(heading), justify="right", no_wrap=True)
    for p in parameters[:MOST]:
        numbers = [p["prior"][1], *(p["posterior"][k] for k in (1, 0, 2))]
        table.add_row(Text(p["name"]), *(f"{v:.4g}" for v in numbers), f"{100 * max(p['contraction'], 0.0):.0f} %")
    console.print(table)
    change = found["change_in_output"]
    console.print(
        f"Change in output over the run: {change['median']:,.0f}, and in nine tenths of {found['draws']} draws from "
        f"{change['5 %']:,.0f} to {change['95 %']:,.0f}"
    )
    console.print(f"Wrote {', '.join(found['files'])}")
