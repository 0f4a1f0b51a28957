"""`quesnay calibrate`: from a scenario and a CSV file to a posterior, a report with fans, and nothing half-written."""

import csv
import json
import re

import numpy as np
import pytest

import quesnay as q

SCENARIO = """
schema_version = 1
title = "A storm in Georgia"
[economy]
table = "us-2020"
nonnegative = true
[model]
inventory = 15.0
adjustment = 10.0
capacity = 1.1
[[shock]]
kind = "capacity-loss"
name = "storm"
regions = ["Georgia"]
sectors = ["Agriculture", "Utilities"]
loss = 0.5
start = 5
duration = 10
recovery = { kind = "exponential", days = 30 }
[run]
steps = 92
[calibrate]
observed = "observed.csv"
begin = 2020-03-01
error = 0.1
steps = 50
draws = 20
[[calibrate.parameter]]
name = "loss"
shock = "storm"
[[calibrate.parameter]]
name = "recovery"
shock = "storm"
"""


@pytest.fixture
def folder(tmp_path):
    """Hold a scenario and what would be observed of it, had the loss been 0.6 and its recovery 45 days."""
    economy = q.load("us-2020").nonnegative()
    network = q.Network.from_table(economy.Z, economy.final_demand, value_added=economy.value_added, days=365)
    hit = economy.align({("Georgia", name): 0.6 for name in ("Agriculture", "Utilities")}, fill=0.0)
    shock = q.CapacityLoss(hit, start=5, duration=10, recovery=q.Exponential(days=45))
    path = q.simulate(q.SupplyModel(network, inventory=15.0, adjustment=10.0, capacity=1.1), shock, steps=92)
    rows = [
        [month, "Georgia", sector, 100.0]
        for month in ("2020-03", "2020-04", "2020-05")
        for sector in economy.sectors[:4]
    ]
    file = tmp_path / "observed.csv"
    for _ in range(2):
        with file.open("w", newline="") as stream:
            csv.writer(stream).writerows([["date", "region", "sector", "value"], *rows])
        targets = q.infer.read_targets(file, economy, steps=92, begin="2020-03-01")
        observed = np.asarray(targets.observe(path))
        rows = [[*row[:3], observed[k // 4, k % 4]] for k, row in enumerate(rows)]
    (tmp_path / "storm.toml").write_text(SCENARIO)
    return tmp_path


def test_a_killed_calibration_goes_on_finds_the_shock_and_writes_everything(quesnay, folder, monkeypatch):
    from quesnay.infer import checkpoints

    write = checkpoints.write

    class KilledError(BaseException):
        pass

    def stop(*arguments):
        write(*arguments)
        raise KilledError

    monkeypatch.setattr(checkpoints, "write", stop)
    with pytest.raises(KilledError):
        quesnay("calibrate", folder / "storm.toml", "--out", folder / "out")
    monkeypatch.setattr(checkpoints, "write", write)
    assert [p.suffix for p in (folder / "out").iterdir()] == [".safetensors"]
    out = folder / "out"
    done = quesnay("calibrate", folder / "storm.toml", "--out", out, "--json", "--resume")
    assert done.code == 0, done.err
    assert "began anew" not in done.err
    found = json.loads(done.out)
    assert sorted(p.name for p in out.iterdir()) == ["index.html", "posterior.nc", "result.nc"]
    truth = {"loss of storm": 0.6, "recovery of storm": 45.0}
    for parameter in found["parameters"]:
        low, _, high = parameter["posterior"]
        assert low < truth[parameter["name"]] < high
        assert parameter["contraction"] > 0.9
    # 152, two for each unknown and the end of the search before the 50 steps.
    assert 152 + 2 * 2 + 50 < found["simulations"] < 300
    assert (found["observations"], found["draws"]) == (12, 20)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "How certain the losses are" in page
    assert "What the observations say" in page
    assert q.infer.load(out / "posterior.nc").z.shape == (1, 1000, 2)


WRONG = {
    "key": (
        ("error = 0.1", "eror = 0.1"),
        'calibrate.eror; did you mean "calibrate.error|calibrate.eror; did you mean "error',
    ),
    "file": (('"observed.csv"', '"nothing.csv"'), "calibrate.observed: .*nothing.csv: cannot be read"),
    "shock": (('shock = "storm"', 'shock = "strom"'), 'shock = "strom" is not one of the shocks'),
    "name": (('name = "recovery"', 'name = "repair"'), "inventory"),
    "days": (("begin = 2020-03-01", "begin = 2020-05-01"), "but the run has the days 0 to 91"),
    "median": (('name = "recovery"\nshock = "storm"', 'name = "capacity"\nmedian = 0.5'), "0.5 is not above 1"),
    "twice": (('name = "recovery"', 'name = "loss"'), "loss of storm is calibrated twice"),
}


@pytest.mark.parametrize(("change", "says"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_one_sentence_and_leaves_nothing(quesnay, folder, change, says):
    file = folder / "storm.toml"
    assert change[0] in SCENARIO
    file.write_text(SCENARIO.replace(*change))
    done = quesnay("calibrate", file, "--out", folder / "out")
    assert done.code == 2
    assert re.search(says, done.err), done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not (folder / "out").exists()


def test_a_scenario_without_the_section_says_what_is_missing(quesnay, folder):
    file = folder / "storm.toml"
    file.write_text(SCENARIO[: SCENARIO.index("[calibrate]")])
    done = quesnay("calibrate", file, "--out", folder / "out")
    assert (done.code, (folder / "out").exists()) == (2, False)
    assert "calibrate is missing" in done.err
