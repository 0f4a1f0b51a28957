"""`quesnay stress`: from a scenario file to GDP at every temperature, a report, and labelled numbers."""

import json
import tomllib
from pathlib import Path

import jax
import jsonschema
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import quesnay as q
from quesnay import climate
from quesnay.cli import output
from quesnay.cli.scenario import read_as, schema
from quesnay.cli.stress_build import StressBuilder
from quesnay.cli.stress_scenario import StressScenario

TEMPLATE = Path(output.__file__).with_name("stress.toml")
SCENARIO = """
schema_version = 1
title = "Two regions get warmer"
[economy]
table = "table"
[stress]
temperatures = [1.1, 2.0, 3.0]
reference = 1.1
compare = ["bottleneck"]
[damage]
curve = "howard-sterner"
[vulnerability]
gamma = 0.5
regions = { South = 1.0 }
sectors = { Food = 2.0 }
[match]
at = 2.0
loss = 0.03
[uncertainty]
draws = 5
[report]
outcomes = ["jobs"]
"""
Z = [[1.0, 20.0, 3.0, 0.0], [4.0, 9.0, 6.0, 2.0], [7.0, 5.0, 1.0, 8.0], [0.0, 3.0, 2.0, 10.0]]
LABELS = [("North", "Food"), ("North", "Metal"), ("South", "Food"), ("South", "Metal")]


@pytest.fixture
def folder(tmp_path):
    """Hold a scenario and its table of two regions and two sectors."""
    index = pd.MultiIndex.from_tuples(LABELS, names=["region", "sector"])
    economy = q.Economy.from_frames(
        Z=pd.DataFrame(Z, index, index),
        final_demand=pd.Series([30.0, 40.0, 50.0, 60.0], index),
        satellites={"jobs": (pd.Series([1.0, 2.0, 3.0, 4.0], index), "thousand jobs")},
        currency="MUSD",
    )
    q.save(economy, tmp_path / "table")
    (tmp_path / "warm.toml").write_text(SCENARIO)
    return tmp_path


@pytest.fixture
def edited(folder):
    """Change the scenario and return its path."""

    def edit(*replaced: tuple[str, str]) -> Path:
        text = SCENARIO
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new, 1)
        (folder / "warm.toml").write_text(text)
        return folder / "warm.toml"

    return edit


@pytest.fixture
def found(quesnay, folder):
    done = quesnay("stress", folder / "warm.toml", "--out", folder / "out", "--json", "--seed", "3")
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


def test_what_is_written_is_what_the_library_computes(quesnay, folder, found):
    economy = q.load(folder / "table")
    gamma = np.array([2.0, 0.5, 2.0, 1.0])
    A, d, damage = economy.A, economy.final_demand, climate.HowardSterner()
    scale = climate.match(A, d, damage, 0.03, at=2.0, gamma=gamma, reference=1.1).scale
    T = [1.1, 2.0, 3.0]
    rows = found["readings"]["factor-limited"]
    stressed = climate.stress(A, d, damage, temperatures=T, gamma=scale * gamma, reference=1.1)
    same = pytest.approx
    assert [row["gdp"] for row in rows] == same(stressed.gdp.tolist(), rel=1e-12)
    assert [row["slope"] for row in rows] == same(stressed.slope.tolist(), rel=1e-12)
    assert [row["per_tenth"] for row in rows] == same(stressed.per_tenth.tolist(), rel=1e-9)
    assert rows[1]["loss"] == same(0.03, rel=1e-9)
    assert rows[0]["outcomes"]["jobs"] == same(10.0, rel=1e-12)
    assert found["match"]["scale"] == same(float(scale), rel=1e-12)
    at = climate.collapse(A, damage, gamma=scale * gamma, reference=1.1).temperature
    assert found["collapse"]["temperature"] == same(float(at), rel=1e-9)
    assert found["headline"] == 3.0
    assert sum(row["loss"] for row in found["sectors"]) == same(float(stressed.base_gdp - stressed.gdp[2]), rel=1e-9)
    assert sum(row["loss"] for row in found["regions"]) == same(float(stressed.base_gdp - stressed.gdp[2]), rel=1e-9)
    gains = [row["gain"] * row["gamma"] for row in found["resilience"]]
    assert gains == sorted(gains, reverse=True)
    key = jax.random.key(3)
    draws = climate.curves(damage, lambda D: D(np.array(T)), key=key, count=5, levels=(0.05, 0.5, 0.95))
    assert (found["seed"], found["uncertainty"]["draws"], found["uncertainty"]["temperatures"]) == (3, 5, T)
    assert set(found["inputs"]) >= {"warm.toml", "Z.csv", "accounts.csv"}
    with xr.open_dataset(folder / "out" / "result.nc") as made:
        np.testing.assert_allclose(made["gdp"].sel(reading="factor-limited"), stressed.gdp)
        np.testing.assert_allclose(made["output"].sel(reading="factor-limited").values.reshape(3, 4), stressed.output)
        np.testing.assert_allclose(made["damage_quantile"].sel(level=[0.05, 0.5, 0.95]), draws.quantiles)
        np.testing.assert_allclose(made["gamma"].sel(region="South"), float(scale) * gamma[2:])
        units = {name: made[name].attrs["units"] for name in ("gdp", "slope", "jobs", "jobs_slope", "factor")}
        assert units == {
            "gdp": "MUSD",
            "slope": "MUSD per degree C",
            "jobs": "thousand jobs",
            "jobs_slope": "thousand jobs per degree C",
            "factor": "MUSD",
        }
        assert set(made["result"].values.ravel()) == {"successful"}
        assert made.attrs["damage_source"] == damage.source
    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted(output.NAMES)
    # Bottleneck: no account makes more than it did.
    assert all(row["bottleneck"] in map(list, LABELS) for row in found["readings"]["bottleneck"])


def test_the_terminal_names_what_matters_and_a_collapse_is_an_answer(quesnay, edited, folder):
    path = edited(
        ("gamma = 0.5\nregions = { South = 1.0 }\nsectors = { Food = 2.0 }", "gamma = 60.0"),
        ("[match]\nat = 2.0\nloss = 0.03\n[uncertainty]\ndraws = 5\n", ""),
    )
    done = quesnay("stress", path, "--out", folder / "out")
    assert (done.code, done.err) == (0, "")
    for word in (
        "collapses at",
        "collapsed",
        "factor-limited",
        "bottleneck",
        "next 0.1",
        "South",
        "Food",
        "index.html",
    ):
        assert word in done.out
    assert max(len(line) for line in done.out.splitlines() if not line.startswith(("Damage", "Wrote"))) <= 80


BAD = {
    "no list": (("[1.1, 2.0, 3.0]", "3"), ["stress.temperatures = 3", "rising list"]),
    "not rising": (("[1.1, 2.0, 3.0]", "[2.0, 1.0]"), ["temperatures: 1 follows 2"]),
    "a range without end": (("[1.1, 2.0, 3.0]", "{ from = 1 }"), ["stress.temperatures.to is missing"]),
    "a range backwards": (("[1.1, 2.0, 3.0]", "{ from = 2, to = 1 }"), ["stress.temperatures: to = 1 is below"]),
    "a range with another key": (("[1.1, 2.0, 3.0]", "{ from = 2, to = 3, by = 1 }"), ["stress.temperatures.by"]),
    "unknown reading": (('["bottleneck"]', '["narrow"]'), ['stress.compare #1 = "narrow"', '"factor-limited"']),
    "a reading twice": (('["bottleneck"]', '["factor-limited"]'), ['"factor-limited" is there twice']),
    "another headline": (("reference = 1.1", "headline = 2.5"), ["headline = 2.5 is not one of the temperatures"]),
    "unknown curve": (('"howard-sterner"', '"howard"'), ['damage.curve = "howard"', '"howard-sterner"']),
    "no curve": (('curve = "howard-sterner"', ""), ["damage.curve is missing"]),
    "a parameter of another curve": (('"howard-sterner"', '"howard-sterner"\na2 = 1.0'), ["unknown key damage.a2"]),
    "a negative gamma": (("Food = 2.0", "Food = -2.0"), ["vulnerability.sectors.Food = -2", "at least 0"]),
    "unknown sector": (("Food = 2.0", "Fod = 2.0"), ['vulnerability.sectors: "Fod"', 'did you mean "Food"?']),
    "unknown region": (("South = 1.0", "Soth = 1.0"), ['vulnerability.regions: "Soth"', 'did you mean "South"?']),
    "unknown outcome": (('["jobs"]', '["jobz"]'), ["report.outcomes", "jobz", "jobs"]),
    "unknown factor": (("reference = 1.1", 'reference = 1.1\nfactor = "work"'), ["stress.factor", "work"]),
    "two losses": (("loss = 0.03", 'loss = 0.03\npublished = { curve = "weitzman" }'), ["match:", "exactly one"]),
    "no loss": (("loss = 0.03", ""), ["match:", "exactly one"]),
    "no file": (('"howard-sterner"', '"table"\npath = "no.csv"'), ["damage.path", "no.csv", "cannot be read"]),
    "no name": (('table = "table"', 'table = "a\\u0000b"'), ["economy.table", "a\\u0000b", "no file of this name"]),
    "a long name": (('table = "table"', f'table = "{"a" * 5000}"'), ["economy.table", "aaa... is no packaged table"]),
    "no name of a curve": (
        ('"howard-sterner"', '"table"\npath = "a\\u0000b"'),
        ["damage.path", "can be no file's name"],
    ),
    "no name of gammas": (("gamma = 0.5", 'gamma = 0.5\ngammas = "\\u0000"'), ["gammas", "can be no file's name"]),
    "no uncertainty": (('"howard-sterner"', '"weitzman"'), ["uncertainty", "Weitzman", "sd"]),
    "unknown parameter": (("draws = 5", "draws = 5\nsd = { b = 1.0 }"), ["uncertainty", "'b'"]),
    "a shock": (("[stress]", "[[shock]]\n[stress]"), ["unknown key shock"]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_one_sentence_and_leaves_nothing(name, quesnay, edited, folder):
    replaced, said = BAD[name]
    match = [] if "match:" in said else [("[match]\nat = 2.0\nloss = 0.03\n", "")]
    path = edited(replaced, *match)
    done = quesnay("stress", path, "--out", folder / "out")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err
    for words in (str(path), *said):
        assert words in done.err
    assert len(done.err) < 500
    assert not (folder / "out").exists()


def test_a_folder_that_can_have_no_such_name_is_refused_before_anything_is_computed(quesnay, folder):
    done = quesnay("stress", folder / "warm.toml", "--out", folder / "new" / ("a" * 300))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "cannot be a folder (File name too long); choose another one" in done.err
    assert not (folder / "new").exists()


def test_a_file_that_the_disk_does_not_take_leaves_nothing(folder):
    def full(_: Path) -> None:
        raise RuntimeError("NetCDF: HDF error")

    with pytest.raises(
        q.QuesnayError, match=r"out: cannot be written \(result.nc: NetCDF: HDF error; is the disk full"
    ):
        output.write(folder / "out", {"index.html": Path.touch, "result.nc": full})
    assert not (folder / "out").exists()


def test_gammas_of_a_file_go_before_sectors_and_sectors_before_regions(edited, folder):
    (folder / "gammas.csv").write_text("region,sector,gamma\nNorth,Food,7\n")
    builder = StressBuilder.of(edited(("gamma = 0.5", 'gamma = 0.5\ngammas = "gammas.csv"\nkind = "productivity"')))
    made = builder.vulnerability(builder.economy())
    assert isinstance(made, climate.Productivity)
    assert made.gamma.tolist() == [7.0, 0.5, 2.0, 1.0]
    assert "gammas.csv" in builder.inputs
    (folder / "gammas.csv").write_text("region,sector,gamma\nNorth,Food,-7\n")
    with pytest.raises(q.ScenarioError, match=r"gammas: .*row 2 has the gamma .*at least 0"):
        builder.vulnerability(builder.economy())


def test_a_file_has_one_curve_or_one_for_every_sector(edited, folder):
    path = edited(('curve = "howard-sterner"', 'curve = "table"\npath = "d.csv"'))
    head = "# source: Doe (2020)\n# year: 2020\n"
    (folder / "d.csv").write_text(head + "temperature,loss\n0,0\n4,0.4\n")
    builder = StressBuilder.of(path)
    economy = builder.economy()
    assert float(builder.damage(economy)(2.0)) == pytest.approx(0.2)
    (folder / "d.csv").write_text(head + "sector,temperature,loss\nMetal,0,0\nMetal,4,0.4\nFood,0,0\nFood,4,0.8\n")
    assert builder.damage(economy)(2.0).tolist() == pytest.approx([0.4, 0.2, 0.4, 0.2])
    (folder / "d.csv").write_text(head + "sector,temperature,loss\nMetal,0,0\nMetal,4,0.4\n")
    with pytest.raises(q.ScenarioError, match=r"damage.path: .*Food"):
        builder.damage(economy)


CURVES = {
    'curve = "dice-2016r"': climate.DICE2016R,
    'curve = "dice-2023"\na2 = 0.003467': climate.DICE2023,
    'curve = "howard-sterner"\ncatastrophic = true': lambda: climate.HowardSterner(catastrophic=True),
    'curve = "weitzman"\npower = 6.754': climate.Weitzman,
    'curve = "sigmoid"': climate.Sigmoid,
    'curve = "burke-hsiang-miguel"\nclimate = 20.0\nyears = 30': lambda: climate.BurkeHsiangMiguel(
        20.0, years=30, reference=1.1
    ),
}


@pytest.mark.parametrize("text", CURVES)
def test_curves_are_those_of_the_library(text, edited):
    builder = StressBuilder.of(edited(('curve = "howard-sterner"', text)))
    made, expected = builder.damage(builder.economy()), CURVES[text]()
    assert type(made) is type(expected)
    assert float(made(2.7)) == float(expected(2.7))


def test_the_template_fits_its_schema_and_explains_every_key(quesnay):
    text = quesnay("new", "--stress", "-").out
    assert text == TEMPLATE.read_text(encoding="utf-8")
    whole = json.loads(quesnay("schema", "--stress").out)
    assert whole == schema(StressScenario)
    jsonschema.Draft202012Validator.check_schema(whole)
    jsonschema.validate(tomllib.loads(text), whole)
    read_as(TEMPLATE, StressScenario, new="")
    for section in [whole, *whole["$defs"].values()]:
        for key, node in section["properties"].items():
            assert "description" in node or "const" in node, key
            assert key in text, key


def test_published_numbers_in_comments_of_the_template_are_those_of_the_library():
    text = TEMPLATE.read_text(encoding="utf-8")
    for curve in (climate.DICE2016R(), climate.DICE2023(), climate.Weitzman(), climate.HowardSterner()):
        for name in ("a2", "quadratic", "steep", "power", "omitted"):
            if hasattr(curve, name):
                assert f"# {name} = {float(getattr(curve, name)):g}" in text


def test_each_command_names_the_one_that_runs_the_other_s_scenarios(quesnay, edited, scenario, folder):
    warming, shock = edited(), scenario()
    assert (
        f"is a scenario with a stress; run it with `quesnay stress {warming}`"
        in quesnay("run", warming, "--out", folder / "r").err
    )
    assert (
        f"is a scenario with a shock; run it with `quesnay run {shock}`"
        in quesnay("stress", shock, "--out", folder / "r").err
    )
    assert not (folder / "r").exists()


def test_no_match_is_a_failed_run(quesnay, edited, folder):
    path = edited(("reference = 1.1", 'reference = 1.1\nreading = "resource-requirement"'))
    done = quesnay("stress", path, "--out", folder / "out")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "no multiple of gamma" in done.err
    assert not (folder / "out").exists()
