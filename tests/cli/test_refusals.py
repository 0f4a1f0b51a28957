"""Bad input is refused in one sentence, with exit code 2, and before anything is written."""

from pathlib import Path

import pytest

# What is wrong: (text of the template, its replacement), and what the sentence must say.
BAD_SCENARIOS = {
    "unknown key": (("inventory = 20.0", "inventroy = 20.0"), ["model.inventroy", 'did you mean "inventory"?']),
    "unknown section": (("[model]", "[modle]"), ["unknown key modle", '"model"']),
    "missing key": (('table = "us-2020"', ""), ["economy.table is missing"]),
    "no version": (("schema_version = 1", ""), ["schema_version is missing"]),
    "another version": (
        ("schema_version = 1", "schema_version = 2"),
        ["schema_version = 2", "version of this format: 1"],
    ),
    "loss above one": (("loss = 0.5", "loss = 1.5"), ["shock #1.loss = 1.5", "from 0 to 1"]),
    "loss is text": (("loss = 0.5", 'loss = "0.5"'), ['shock #1.loss = "0.5"', "from 0 to 1"]),
    "loss is not a number": (("loss = 0.5", "loss = nan"), ["shock #1.loss = NaN", "from 0 to 1"]),
    "no loss": (("loss = 0.5", ""), ["shock #1", "exactly one of loss", "losses"]),
    "both losses": (('# losses = "losses.csv"', 'losses = "losses.csv"'), ["shock #1", "exactly one of"]),
    "too many steps": (("steps = 365", "steps = 1000000"), ["run.steps = 1000000", "from 1 to 100000"]),
    "steps not whole": (("steps = 365", "steps = 0.5"), ["run.steps = 0.5", "whole number"]),
    "inventory below a day": (("inventory = 20.0", "inventory = 0.5"), ["model.inventory = 0.5", "at least 1"]),
    "adjustment zero": (("adjustment = 10.0", "adjustment = 0"), ["model.adjustment = 0", "above 0"]),
    "capacity below one": (("capacity = 1.0", "capacity = 0.9"), ["model.capacity = 0.9", "at least 1"]),
    "unknown kind": (('"capacity-loss"', '"flood"'), ['shock #1.kind = "flood"', '"capacity-loss"']),
    "unknown recovery": (('"exponential"', '"exponetial"'), ["shock #1.recovery.kind", '"exponential", "linear"']),
    "recovery days": (("days = 30 ", "days = -1 "), ["shock #1.recovery.days = -1", "above 0"]),
    "recovery twice": (("days = 30 ", "days = 30\nrate = 0.1 "), ["shock #1.recovery", "exactly one of"]),
    "unknown region": (('["Georgia"]', '["Goergia"]'), ['shock #1.regions: "Goergia"', 'did you mean "Georgia"?']),
    "unknown sector": (
        ('"Utilities", ', '"Utilties", '),
        ['shock #1.sectors: "Utilties"', 'did you mean "Utilities"?'],
    ),
    "a shock after the end": (
        ("start = 10 ", "start = 500 "),
        ["shock #1.start: 500 is after the end of the run", "days 0 to 364"],
    ),
    "no regions": (('["Georgia"]', "[]"), ["shock #1.regions = []"]),
    "unknown outcome": (('["jobs", "ghg"]', '["jobz"]'), ["report.outcomes", "jobz", "jobs"]),
    "unknown table": (('"us-2020"', '"us-2200"'), ["economy.table", "us-2200", '"us-2020"?']),
    "not TOML": (("loss = 0.5", "loss == 0.5"), ["not valid TOML", "line 2"]),
    "two things wrong": (("steps = 365", "steps = 0\nstep = 1"), ["run.steps = 0", "and 1 more"]),
    "single brackets": (("[[shock]]", "[shock]"), ["[[shock]]"]),
}


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def refused(done, *said: str) -> None:
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("quesnay: ")
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err
    for words in said:
        assert words in done.err


@pytest.mark.parametrize("name", BAD_SCENARIOS)
def test_a_bad_scenario_is_refused_in_one_sentence_and_nothing_is_written(name, quesnay, scenario, tmp_path):
    replaced, said = BAD_SCENARIOS[name]
    path = scenario(replaced)
    before = contents(tmp_path)
    refused(quesnay("run", path, "--out", tmp_path / "out"), str(path), *said)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("region,sector,loss\nGeorgia,Utilities,much\n", ["row 2", '"much"', "from 0 to 1"]),
        ("region,sector,loss\nGeorgia,Agriculture,0.5\nGeorgia,Utilities,1.5\n", ["row 3", '"1.5"']),
        ("region,sector,loss\nGeorgia,Utilities,\n", ["row 2", "from 0 to 1"]),
        ("region,sector,loss\nGeorgia,Utilties,0.5\n", ["Utilties", "Utilities"]),
        ("region,sector,loss\nGeorgia,Utilities,0.5\nGeorgia,Utilities,0.5\n", ["more than once"]),
        ("region,sector,share\nGeorgia,Utilities,0.5\n", ['"share"', "region, sector and loss"]),
        ("", ["columns none"]),
        ("region,sector,loss\n", ["no rows"]),
        ("region,sector,loss\nGeorgia,Mining, oil and gas,0.5\n", ["row 2", "4 entries"]),
        ("region,sector,loss\n\xff\xfe", ["not a CSV file"]),
        (None, ["cannot be read"]),
    ],
)
def test_a_bad_file_of_losses_is_refused(text, said, quesnay, scenario, tmp_path):
    path = scenario(
        ("loss = 0.5 ", "# "),
        ("regions =", "# "),
        ("sectors =", "# "),
        ('# losses = "losses.csv"', 'losses = "losses.csv"'),
    )
    if text is not None:
        (tmp_path / "losses.csv").write_text(text, encoding="latin-1")
    refused(quesnay("run", path, "--out", tmp_path / "out"), "shock #1.losses", "losses.csv", *said)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["run", "info"])
def test_a_missing_file_is_refused(command, quesnay, tmp_path):
    options = ["--out", tmp_path / "out"] if command == "run" else []
    refused(quesnay(command, tmp_path / "missing", *options), "missing")


def test_a_scenario_that_is_not_text_is_refused(quesnay, tmp_path):
    path = tmp_path / "my.toml"
    path.write_bytes(b"title = '\xff'")
    refused(quesnay("run", path, "--out", tmp_path / "out"), "UTF-8")


def broken_table(folder: Path, column: str, value: str) -> Path:
    """Write a two-sector table with one entry of its accounts replaced."""
    import csv

    folder.mkdir()
    (folder / "table.toml").write_text('currency = "MUSD"\n')
    (folder / "Z.csv").write_text("region,,A,A\nsector,,s,t\nregion,sector,,\nA,s,1,2\nA,t,3,4\n")
    row = {"region": "A", "sector": "s", "final_demand": "7", column: value}
    with (folder / "accounts.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["region", "sector", "final_demand"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows([row, row | {"sector": "t", "final_demand": "8"}])
    return folder


@pytest.mark.parametrize(("column", "value"), [("final_demand", "nan"), ("final_demand", "x"), ("sector", "u")])
def test_a_broken_table_is_refused(column, value, quesnay, scenario, tmp_path):
    table = broken_table(tmp_path / "table", column, value)
    refused(quesnay("info", table))
    path = scenario(('"us-2020"', '"table"'))
    refused(quesnay("run", path, "--out", tmp_path / "out"), str(path), "economy.table")
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused(quesnay, scenario, tmp_path):
    (tmp_path / "out").write_text("mine")
    refused(quesnay("run", scenario(), "--out", tmp_path / "out"), "--out", "not a folder")
    refused(quesnay("run", scenario(), "--out", tmp_path / "out" / "deeper"), "--out", "not a folder")
    assert (tmp_path / "out").read_text() == "mine"


def test_an_output_with_a_folder_in_the_way_is_refused(quesnay, scenario, tmp_path):
    (tmp_path / "out" / "index.html").mkdir(parents=True)
    refused(quesnay("run", scenario(), "--out", tmp_path / "out"), "index.html")


@pytest.mark.parametrize(
    "arguments", [["--frobnicate"], ["run"], ["run", "my.toml"], ["fly"], ["demo", "--seed", "1"], ["info"]]
)
def test_wrong_usage_is_exit_code_2(arguments, quesnay):
    done = quesnay(*arguments)
    assert done.code == 2
    assert done.out == ""
