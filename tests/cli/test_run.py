"""The commands do what their help says."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import quesnay as q
from quesnay.cli import output

TEMPLATE = Path(output.__file__).with_name("template.toml")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_new_then_run(program, tmp_path):
    made = program("new", "my.toml")
    assert (made.code, made.out) == (0, "")
    assert (tmp_path / "my.toml").read_text() == TEMPLATE.read_text()
    done = program("run", "my.toml", "--out", "out")
    assert done.code == 0, done.err
    assert done.err == "", "no progress bar, no warning"
    assert names(tmp_path / "out") == sorted(output.NAMES)
    assert names(tmp_path) == ["my.toml", "out"]
    assert "A flood in Georgia" in done.out


def test_new_never_overwrites(quesnay, tmp_path):
    (tmp_path / "my.toml").write_text("mine")
    done = quesnay("new", tmp_path / "my.toml")
    assert done.code == 2
    assert (tmp_path / "my.toml").read_text() == "mine"


def test_new_prints_with_a_dash(quesnay):
    assert quesnay("new", "-").out == TEMPLATE.read_text()


def test_demo_writes_into_its_own_folder(quesnay, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = quesnay("demo")
    assert done.code == 0
    assert names(tmp_path) == ["quesnay-demo"]
    assert names(tmp_path / "quesnay-demo") == sorted(output.NAMES)
    for word in ("output", "value added", "jobs", "ghg", "Georgia", "quesnay-demo/index.html"):
        assert word in done.out


@pytest.fixture
def summary(quesnay, scenario, tmp_path):
    done = quesnay("run", scenario(("steps = 365", "steps = 90")), "--out", tmp_path / "out", "--json", "--seed", "7")
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


def test_json_says_what_the_library_computes(summary, us2020):
    accounts = us2020.index.get_locs([["Georgia"], ["Utilities", "Agriculture"]])
    loss = np.zeros(us2020.n)
    loss[accounts] = 0.5
    network = q.Network.from_table(us2020.Z, us2020.final_demand, value_added=us2020.value_added, days=365)
    model = q.SupplyModel(network, inventory=20.0, adjustment=10.0, capacity=1.0)
    shock = q.CapacityLoss(loss, start=10, duration=5, recovery=q.Exponential(days=30))
    change = q.simulate(model, shock, steps=90).difference()
    outcomes = summary["totals"]
    assert outcomes["output"]["change"] == pytest.approx(float(change.output.sum()), rel=1e-12)
    assert outcomes["value added"]["change"] == pytest.approx(float(change.value_added.sum()), rel=1e-12)
    expected = float(change.impact(us2020.intensity("ghg")).sum())
    assert outcomes["ghg"]["change"] == pytest.approx(expected, rel=1e-12)
    assert (outcomes["ghg"]["unit"], outcomes["jobs"]["unit"]) == ("kt CO2e", "thousand job-years")


def test_base_is_the_tables_own_total_for_the_days_simulated(summary, us2020):
    expected = float(us2020.output.sum()) * 90 / 365
    assert summary["totals"]["output"]["base"] == pytest.approx(expected, rel=1e-9)


def test_the_direct_part_follows_the_closed_form(summary, us2020):
    """Without spare capacity it is `x(0) delta (duration + sum over the remaining days of exp(-t / 30))`."""
    hit = us2020.frame("output").loc[[("Georgia", "Utilities"), ("Georgia", "Agriculture")]].sum() / 365
    days = np.arange(90)
    remaining = np.where(days < 10, 0, np.exp(-np.maximum(0, days - 15) / 30))
    assert summary["totals"]["output"]["direct"] == pytest.approx(-0.5 * hit * remaining.sum(), rel=1e-9)


def test_change_is_direct_plus_indirect(summary):
    for row in summary["totals"].values():
        assert row["change"] == pytest.approx(row["direct"] + row["indirect"], rel=1e-12)


def test_json_names_seed_files_and_inputs(summary, tmp_path):
    assert summary["seed"] == 7
    assert summary["days"] == 90
    assert summary["files"] == [str(tmp_path / "out" / name) for name in output.NAMES]
    assert set(summary["inputs"]) >= {"my.toml"}
    assert all(len(value) == 64 for value in summary["inputs"].values())


def test_the_dataset_holds_what_the_summary_says(summary, tmp_path):
    with xr.open_dataset(tmp_path / "out" / "result.nc") as dataset:
        base = summary["totals"]["output"]["base"]
        assert float(dataset.output.sum()) == pytest.approx(base + summary["totals"]["output"]["change"], rel=1e-12)
        assert dataset.sizes["day"] == 90


def test_a_file_of_losses_is_the_same_as_naming_them(quesnay, scenario, summary, tmp_path):
    (tmp_path / "losses.csv").write_text("region,sector,loss\nGeorgia,Utilities,0.5\nGeorgia,Agriculture,0.5\n")
    path = scenario(
        ("steps = 365", "steps = 90"),
        ("loss = 0.5 ", "# "),
        ("regions =", "# "),
        ("sectors =", "# "),
        ('# losses = "losses.csv"', 'losses = "losses.csv"'),
    )
    done = quesnay("run", path, "--out", tmp_path / "again", "--json")
    assert done.code == 0, done.err
    again = json.loads(done.out)
    assert again["totals"] == summary["totals"]
    assert "losses.csv" in again["inputs"]


def test_a_table_beside_the_scenario_is_the_same_as_the_packaged_one(quesnay, scenario, summary, us2020, tmp_path):
    q.save(us2020, tmp_path / "table")
    path = scenario(("steps = 365", "steps = 90"), ('"us-2020"', '"table"'))
    done = quesnay("run", path, "--out", tmp_path / "again", "--json")
    assert done.code == 0, done.err
    for name, total in json.loads(done.out)["totals"].items():
        assert total["change"] == pytest.approx(summary["totals"][name]["change"], rel=1e-9)


def test_a_run_replaces_its_own_files_and_no_others(quesnay, scenario, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "index.html").write_text("old")
    (out / "notes.txt").write_text("mine")
    assert quesnay("run", scenario(("steps = 365", "steps = 15")), "--out", out).code == 0
    assert (out / "index.html").read_text() != "old"
    assert (out / "notes.txt").read_text() == "mine"
    assert names(out) == sorted([*output.NAMES, "notes.txt"])


def test_an_unstable_order_rule_is_said_on_stderr(quesnay, scenario, tmp_path):
    path = scenario(("adjustment = 10.0", "adjustment = 0.4"), ("steps = 365", "steps = 15"))
    done = quesnay("run", path, "--out", tmp_path / "out", "--json")
    assert done.code == 0
    assert done.err.startswith("quesnay: warning: ")
    assert json.loads(done.out)["warnings"]


def test_a_failed_run_is_exit_code_1_and_leaves_nothing(quesnay, scenario, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise q.SolveError("the simulation failed.")

    monkeypatch.setattr("quesnay.cli.run.simulate", broken)
    done = quesnay("run", scenario(), "--out", tmp_path / "out")
    assert (done.code, done.out, done.err) == (1, "", "quesnay: the simulation failed.\n")
    assert not (tmp_path / "out").exists()


def test_an_unexpected_failure_is_one_sentence_unless_debugging(quesnay, scenario, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("boom\nand more")

    monkeypatch.setattr("quesnay.cli.run.simulate", broken)
    done = quesnay("run", scenario(), "--out", tmp_path / "out")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "RuntimeError: boom and more" in done.err
    monkeypatch.setenv("QUESNAY_DEBUG", "1")
    with pytest.raises(RuntimeError, match="boom"):
        quesnay("run", scenario(), "--out", tmp_path / "out")


def test_an_interrupted_run_is_130_and_leaves_nothing(quesnay, scenario, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("quesnay.cli.output._flush", interrupted)
    assert quesnay("run", scenario(("steps = 365", "steps = 15")), "--out", tmp_path / "out").code == 130
    assert not (tmp_path / "out").exists()


def test_info(quesnay, us2020):
    done = quesnay("info", "us-2020")
    assert (done.code, done.err) == (0, "")
    assert repr(us2020) in done.out
    assert "ready for the supply model" in done.out


def test_info_json(quesnay, us2020):
    facts = json.loads(quesnay("info", "us-2020", "--json").out)
    assert facts["accounts"] == us2020.n == len(facts["regions"]) * len(facts["sectors"])
    assert facts["totals"]["output"] == {"value": pytest.approx(float(us2020.output.sum())), "unit": "MUSD"}
    assert facts["nonnegative"] is True


def test_the_progress_bar_is_on_a_terminal_only(tmp_path):
    """stderr is a pseudo-terminal here and a pipe in every other test."""
    main, terminal = pty.openpty()
    code = "import sys; from quesnay.cli.progress import stages\nwith stages(2) as stage: stage('one'); stage('two')"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=terminal, env=os.environ | {"TERM": "xterm"}
    )
    os.close(terminal)
    shown = b""
    try:
        while chunk := os.read(main, 4096):
            shown += chunk
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(main)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"two" in shown
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert piped.stdout + piped.stderr == b""


def test_the_compilation_cache_is_filled_and_used(program, tmp_path):
    folder = tmp_path / "cache" / "quesnay" / "jax"
    assert program("info", "us-2020", JAX_COMPILATION_CACHE_DIR=None).code == 0
    cached = {file.name for file in folder.iterdir()}
    assert len(cached) > 1
    assert program("info", "us-2020", JAX_COMPILATION_CACHE_DIR=None).code == 0
    programs = {file.name for file in folder.iterdir() if file.name.endswith("-cache")}
    assert programs == {name for name in cached if name.endswith("-cache")}, "the second run compiled nothing new"


def test_a_cache_that_cannot_be_written_is_one_note(program, tmp_path):
    (tmp_path / "file").write_text("")
    done = program("info", "us-2020", XDG_CACHE_HOME=str(tmp_path / "file"), JAX_COMPILATION_CACHE_DIR=None)
    assert done.code == 0
    assert done.err.startswith("quesnay: note: no compilation cache")
    assert done.err.count("\n") == 1


def test_an_explicit_cache_folder_is_respected(program, tmp_path):
    assert program("info", "us-2020", JAX_COMPILATION_CACHE_DIR=str(tmp_path / "elsewhere")).code == 0
    assert list((tmp_path / "elsewhere").iterdir())
    assert not (tmp_path / "cache").exists()
