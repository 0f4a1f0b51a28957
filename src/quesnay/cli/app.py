"""The commands of `quesnay`; each is a few lines around `quesnay.cli.run`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from .. import __version__
from .._errors import InputError, LabelError, QuesnayError, ScenarioError, TableError

BAD_INPUT = (InputError, LabelError, ScenarioError, TableError)

EPILOG = """\b
Exit codes:
  0  done
  1  failed: a run did not succeed, or its results could not be written
  2  bad input: an option, a scenario or a table that cannot be used
"""

app = typer.Typer(
    add_completion=False,
    context_settings={"terminal_width": 80, "max_content_width": 80},
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print a machine-readable summary, and nothing else.")]
SeedOption = Annotated[
    int | None,
    typer.Option("--seed", min=0, max=2**32 - 1, metavar="N", help="Use this seed instead of the scenario's."),
]
StressOption = Annotated[bool, typer.Option("--stress", help="That of a stress test under warming, not of a shock.")]
OptimiseOption = Annotated[
    bool, typer.Option("--optimise", help="That of a trade-off and its best interventions, not of a shock.")
]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"quesnay {__version__}")
        raise typer.Exit


@app.callback()
def quesnay(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of a failure (as does QUESNAY_DEBUG=1).")
    ] = False,
) -> None:
    """Differentiable economies: a labelled table in; equilibria, shocks and reports out."""
    if debug:
        os.environ["QUESNAY_DEBUG"] = "1"


@app.command(epilog=EPILOG)
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.")] = Path("quesnay-demo"),
    json: JsonOption = False,
) -> None:
    """Run the packaged scenario: a hurricane in Georgia, a year in days.

    Prints a short table and writes index.html (the report) and result.nc (the labelled numbers) into the folder.
    """
    _execute(Path(__file__).parent / "demo.toml", out, as_json=json, seed=None)


@app.command(epilog=EPILOG)
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; '-' prints it.")] = Path(
        "scenario.toml"
    ),
    stress: StressOption = False,
    optimise: OptimiseOption = False,
) -> None:
    """Write a commented scenario file to start from; an existing file is never overwritten."""
    command = _kind(stress, optimise)
    template = "template.toml" if command == "run" else f"{command}.toml"
    text = (Path(__file__).parent / template).read_text(encoding="utf-8")
    if str(file) == "-":
        typer.echo(text, nl=False)
        return
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise InputError(f"{file} exists already; give another name, or remove it first.") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror}); give another name.") from None
    typer.echo(f"wrote {file}; run it with: quesnay {command} {file} --out {file.stem}", err=True)


@app.command("run", epilog=EPILOG)
def run_(
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO.toml", help="The scenario file.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.", show_default=False)],
    json: JsonOption = False,
    seed: SeedOption = None,
) -> None:
    """Run a scenario file and write its report.

    Nothing is written before the scenario and its table are known to be good, and nothing outside the folder. index.html and
    result.nc of an earlier run are replaced; other files in the folder are left alone.
    """
    _execute(scenario, out, as_json=json, seed=seed)


@app.command(epilog=EPILOG)
def stress(
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO.toml", help="The scenario file.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.", show_default=False)],
    json: JsonOption = False,
    seed: SeedOption = None,
) -> None:
    """Test an economy under warming, and write its report.

    The scenario (`quesnay new --stress` writes one) names a table, temperatures, a damage function and who is vulnerable to
    it. Prints GDP at every temperature and what the next tenth of a degree costs, and writes index.html (the report) and
    result.nc (the labelled numbers) into the folder.
    """
    from . import output
    from .stress_build import StressBuilder

    builder = StressBuilder.of(scenario)
    output.check(out)
    from . import stress as stress_

    stress_.execute(builder, out, as_json=json, seed=seed)


@app.command(epilog=EPILOG)
def optimise(
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO.toml", help="The scenario file.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Find the best interventions along a trade-off, and write their report.

    The scenario (`quesnay new --optimise` writes one) names a table, what is reduced, what is kept, and how much of that may
    move. Prints the curve with its shadow prices and who loses, each point with a proof, and writes index.html (the report)
    and result.nc (the labelled numbers) into the folder.
    """
    from . import output
    from .optimise_build import OptimiseBuilder

    builder = OptimiseBuilder.of(scenario)
    output.check(out)
    from . import optimise as optimise_

    optimise_.execute(builder, out, as_json=json)


@app.command(epilog=EPILOG)
def calibrate(
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO.toml", help="The scenario file.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.", show_default=False)],
    json: JsonOption = False,
    seed: SeedOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run of this scenario into this folder was stopped.")
    ] = False,
) -> None:
    """Calibrate a scenario on observed series, and report it with fan charts.

    The scenario's [calibrate] section names a CSV file of observations and the parameters that are looked for. Writes
    index.html (the report under the posterior mean, with fans of draws), result.nc and posterior.nc; the state of the fit is
    kept in the folder until they are there. Needs: pip install 'quesnay[infer]'.
    """
    from . import output
    from .build import Builder

    builder = Builder.of(scenario)
    output.check(out)
    try:
        from . import calibrate as calibrate_
    except ModuleNotFoundError as error:
        raise QuesnayError(f"Calibration needs {error.name}; pip install 'quesnay[infer]'.") from None
    calibrate_.execute(builder, out, as_json=json, seed=seed, resume=resume)


@app.command(epilog=EPILOG)
def info(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A packaged table or a path.", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Say what a table is and whether it can be used."""
    from .info import describe

    describe(table, as_json=json)


@app.command(epilog=EPILOG)
def fetch(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The database; without, all are listed.", show_default=False)
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Folder to make; NAME without it.", show_default=False)
    ] = None,
    year: Annotated[
        list[int] | None,
        typer.Option("--year", metavar="YEAR", help="One year; repeat it for several, leave it out for all."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the folder, once the download is complete.")
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="List the databases and download nothing.")] = False,
) -> None:
    """Download a database of input-output tables, by pymrio.

    The folder appears when all files are there; a download that fails leaves nothing behind. Eora26 asks for the account at
    worldmrio.com, or takes it from EORA_EMAIL and EORA_PASSWORD; it is never stored.
    """
    from . import fetch as fetch_

    if name is None and (to is not None or year or overwrite):
        raise InputError("There is no database to download; name one, of those that `quesnay fetch` lists.")
    if name is None or listing:
        fetch_.show()
    else:
        fetch_.download(name, to, year, overwrite=overwrite)


@app.command(epilog=EPILOG)
def schema(stress: StressOption = False, optimise: OptimiseOption = False) -> None:
    """Print the JSON Schema of scenario files."""
    import json

    from .optimise_scenario import OptimiseScenario
    from .scenario import Scenario
    from .scenario import schema as scenario_schema
    from .stress_scenario import StressScenario

    models = {"run": Scenario, "stress": StressScenario, "optimise": OptimiseScenario}
    typer.echo(json.dumps(scenario_schema(models[_kind(stress, optimise)]), indent=2))


def _kind(stress: bool, optimise: bool) -> str:
    """Return the command that runs the kind of scenario that is asked for."""
    if stress and optimise:
        raise InputError("--stress and --optimise are two kinds of scenario; give one of them.")
    return "stress" if stress else "optimise" if optimise else "run"


def _execute(scenario: Path, out: Path, *, as_json: bool, seed: int | None) -> None:
    from . import output
    from .build import Builder

    builder = Builder.of(scenario)
    output.check(out)
    from . import run  # imports JAX, which a mistake in the scenario need not wait for

    run.execute(builder, out, as_json=as_json, seed=seed)


def run() -> None:
    """Run the application on `sys.argv`; failures become one sentence on stderr and an exit code."""
    from . import cache

    cache.enable()
    with failures():
        app(prog_name="quesnay")


@contextmanager
def failures() -> Iterator[None]:
    """Turn an exception into one sentence and an exit code, unless a traceback is asked for."""
    try:
        yield
    except Exception as error:
        if os.environ.get("QUESNAY_DEBUG", "") not in ("", "0"):
            raise
        text = " ".join(str(error).split())
        if not isinstance(error, QuesnayError):
            text = f"{type(error).__name__}: {text} (QUESNAY_DEBUG=1 shows where)"
        sys.stderr.write(f"quesnay: {text}\n")
        sys.exit(2 if isinstance(error, BAD_INPUT) else 1)
