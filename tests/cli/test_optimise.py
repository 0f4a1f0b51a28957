"""`quesnay optimise`: from a scenario file to a trade-off, a report, and labelled numbers."""

import json
import tomllib
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import quesnay as q
from quesnay.cli import output
from quesnay.cli.app import app, failures
from quesnay.cli.optimise_build import OptimiseBuilder
from quesnay.cli.optimise_scenario import OptimiseScenario
from quesnay.cli.scenario import read_as, schema

TEMPLATE = Path(output.__file__).with_name("optimise.toml")
SCENARIO = """
schema_version = 1
title = "Gases and jobs"
[economy]
table = "us-2020"
[optimise]
reduce = "ghg"
keep = "jobs"
budgets = [0.01, 0.05]
lowers = { regions = { Georgia = 0.1 }, sectors = { Agriculture = 0.5 } }
[report]
outcomes = ["jobs"]
"""


def edited(folder: Path, *replaced: tuple[str, str]) -> Path:
    """Write the scenario with some of its text replaced, and return its path."""
    text = SCENARIO
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "trade.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def economy():
    return q.load("us-2020")


@pytest.fixture(scope="module")
def expected(economy):
    """What the library finds for the scenario."""
    lower = np.array([0.5 if s == "Agriculture" else 0.1 if r == "Georgia" else 0.0 for r, s in economy.index])
    return q.intervention.frontier(
        economy.A, economy.final_demand, reduce=economy.intensity("ghg"), keep=economy.intensity("jobs"),
        budgets=[0.01, 0.05], bounds=(lower, np.ones(economy.n)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One run of the scenario, with what it printed."""
    folder = tmp_path_factory.mktemp("trade")
    edited(folder)
    return folder


@pytest.fixture(scope="module")
def printed(folder, economy, expected):
    import contextlib
    import io

    text = io.StringIO()
    with contextlib.redirect_stdout(text), pytest.raises(SystemExit) as exit_, failures():
        app(["optimise", str(folder / "trade.toml"), "--out", str(folder / "out"), "--json"], prog_name="quesnay")
    assert not exit_.value.code
    return json.loads(text.getvalue())


def test_what_is_written_is_what_the_library_computes(folder, printed, economy, expected):
    with xr.open_dataset(folder / "out" / "result.nc") as made:
        np.testing.assert_allclose(made["penalty"], expected.penalty)
        np.testing.assert_allclose(made["change"].values.reshape(2, -1), expected.change)
        np.testing.assert_allclose(made["reduced_share"], 1 - expected.outcome / expected.base_outcome)
        np.testing.assert_allclose(made["value_added"], expected.output @ economy.intensity("value_added"))
        np.testing.assert_allclose(made["budget"], [0.01, 0.05])
        assert float(made["lower"].sel(region="Georgia", sector="Agriculture")) == 0.5
        assert float(made["lower"].sel(region="Georgia", sector="Utilities")) == 0.1
        units = {name: made[name].attrs["units"] for name in ("penalty", "outcome", "change", "worth", "value_added")}
        assert units == {
            "penalty": "kt CO2e per thousand jobs",
            "outcome": "kt CO2e",
            "change": "thousand jobs",
            "worth": "kt CO2e per MUSD",
            "value_added": "MUSD",
        }
    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted(output.NAMES)


def test_the_summary_is_json_and_names_who_loses(printed, economy, expected):
    assert printed["headline"] == 1
    assert [row["penalty"] for row in printed["curve"]] == np.asarray(expected.penalty).tolist()
    assert printed["gap"] <= 1e-9
    assert printed["price_unit"] == "kt CO2e per thousand jobs"
    worst = int(np.argmin(expected.change[1]))
    first = printed["accounts"][0]
    assert (first["region"], first["sector"]) == economy.index[worst]
    assert first["change"] == pytest.approx(float(expected.change[1, worst]))
    for rows in (printed["sectors"], printed["regions"]):
        assert sum(row["change"] for row in rows) == pytest.approx(float(expected.kept[1] - expected.base_kept))
        assert sum(row["reduced"] for row in rows) == pytest.approx(float(expected.base_outcome - expected.outcome[1]))
    assert set(printed["inputs"]) >= {"trade.toml"}


def test_the_terminal_shows_the_curve_and_who_loses(printed, capfd):
    from quesnay.cli.optimise_summary import show

    show(printed)
    shown = capfd.readouterr().out
    for word in (
        "kt CO2e per thousand jobs",
        "duality gap",
        "budget, %",
        "at a budget of 5 %",
        "Agriculture",
        "Wrote ",
    ):
        assert word in shown
    assert max(len(line) for line in shown.splitlines() if not line.startswith("Wrote")) <= 84


BAD = {
    "no key": (('keep = "jobs"', ""), ["optimise.keep is missing"]),
    "misspelt key": (("reduce =", "reduse ="), ["unknown key optimise.reduse", 'did you mean "reduce"?']),
    "unknown key": (("keep =", "lowr = 0.1\nkeep ="), ["unknown key optimise.lowr", 'did you mean "lower"?']),
    "both": (("budgets", "penalties = [1.0]\nbudgets"), ["optimise:", "exactly one of budgets", "penalties"]),
    "neither": (("budgets = [0.01, 0.05]", ""), ["optimise:", "exactly one of budgets", "penalties"]),
    "falling": (("[0.01, 0.05]", "[0.05, 0.01]"), ["budgets: 0.01 follows 0.05; give rising budgets, each once"]),
    "per cent": (("[0.01, 0.05]", "[1, 5]"), ["optimise.budgets #2 = 5", "shares of what is kept"]),
    "no step": (("[0.01, 0.05]", "{ from = 0.1, to = 0.2 }"), ["optimise.budgets.step is missing"]),
    "headline": (("budgets", "headline = 0.02\nbudgets"), ["headline = 0.02 is not one of the budgets"]),
    "one account": (('"jobs"', '"ghg"'), ['reduce and keep are both "ghg"']),
    "unknown account": (('"ghg"', '"gh"'), ["optimise.reduce", "gh", "ghg"]),
    "unknown sector": (("Agriculture", "Agricultur"), ["optimise.lowers.sectors", 'did you mean "Agriculture"?']),
    "negative bound": (("= 0.5 }", "= -0.5 }"), ["optimise.lowers.sectors.Agriculture = -0.5", "at least 0"]),
    "crossed bounds": (("= 0.5 }", "= 1.5 }"), ["(Georgia, Agriculture) are 1.5 and 1;"]),
    "a stress": (("[optimise]", "[stress]"), ["is a scenario with a stress; run it with `quesnay stress"]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_one_sentence_and_leaves_nothing(name, quesnay, tmp_path):
    replaced, said = BAD[name]
    path = edited(tmp_path, replaced)
    done = quesnay("optimise", path, "--out", tmp_path / "out")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err
    for words in (str(path), *said):
        assert words in done.err
    assert len(done.err) < 500
    assert not (tmp_path / "out").exists()


def test_a_budget_that_the_bounds_exceed_is_a_mistake(quesnay, tmp_path):
    """Without Government's deliveries more than 5 % of jobs are gone, whatever else is done."""
    own = "lowers = { regions = { Georgia = 0.1 }, sectors = { Agriculture = 0.5 } }"
    path = edited(tmp_path, (own, "uppers = { sectors = { Government = 0.0 } }"))
    done = quesnay("optimise", path, "--out", tmp_path / "out")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert "optimise.budgets: a budget of 0.01 cannot be kept: the bounds alone move" in done.err
    assert not (tmp_path / "out").exists()


def test_a_table_with_negative_entries_is_a_mistake(quesnay, tmp_path):
    index = pd.MultiIndex.from_tuples([("all", "a"), ("all", "b")], names=["region", "sector"])
    made = q.Economy.from_frames(
        Z=pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], index, index),
        final_demand=pd.Series([5.0, -1.0], index),
        currency="MUSD",
    )
    q.save(made, tmp_path / "table")
    done = quesnay(
        "optimise", edited(tmp_path, ('"us-2020"', '"table"'), ('["jobs"]', "[]")), "--out", tmp_path / "out"
    )
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "economy.nonnegative: the table has a final demand of -1; set nonnegative = true." in done.err


def test_bounds_are_those_of_the_sector_then_of_the_region_then_of_all(tmp_path, economy):
    path = edited(
        tmp_path, ("lowers =", "upper = 1.2\nlower = 0.05\nuppers = { sectors = { Agriculture = 0.9 } }\nlowers =")
    )
    low, high = OptimiseBuilder.of(path).bounds(economy)
    of = {label: (a, b) for label, a, b in zip(economy.index, low, high, strict=True)}
    assert of["Georgia", "Agriculture"] == of["Rest of US", "Agriculture"] == (0.5, 0.9)
    assert of["Georgia", "Utilities"] == (0.1, 1.2)
    assert of["Rest of US", "Utilities"] == (0.05, 1.2)


def test_the_template_fits_its_schema_and_explains_every_key(quesnay):
    text = quesnay("new", "--optimise", "-").out
    assert text == TEMPLATE.read_text(encoding="utf-8")
    whole = json.loads(quesnay("schema", "--optimise").out)
    assert whole == schema(OptimiseScenario)
    jsonschema.Draft202012Validator.check_schema(whole)
    jsonschema.validate(tomllib.loads(text), whole)
    read_as(TEMPLATE, OptimiseScenario, new="")
    for section in [whole, *whole["$defs"].values()]:
        for key, node in section["properties"].items():
            assert "description" in node or "const" in node, key
            assert key in text, key


@pytest.mark.parametrize("command", [("new", "-"), ("schema",)], ids=" ".join)
def test_two_kinds_of_scenario_at_once_are_refused(command, quesnay):
    done = quesnay(*command, "--stress", "--optimise")
    assert (done.code, done.out) == (2, "")
    assert "--stress and --optimise are two kinds of scenario; give one of them." in done.err


def test_other_commands_name_the_one_that_runs_it(quesnay, tmp_path):
    path = edited(tmp_path)
    done = quesnay("run", path, "--out", tmp_path / "out")
    assert f"is a scenario with a trade-off; run it with `quesnay optimise {path}`" in done.err
