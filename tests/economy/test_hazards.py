"""Losses by region and sector: from a hazard model's file to a shock."""

import numpy as np
import pandas as pd
import pytest

import quesnay as q

ROWS = {"region": ["Georgia", "Rest of US"], "sector": ["Construction", "Construction"], "loss": [0.25, 0.5]}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_of_losses_becomes_a_shock(tmp_path, us2020, suffix):
    regions = us2020.index.get_level_values("region").unique()
    frame = pd.DataFrame(ROWS | {"region": list(regions), "note": ["a", "b"]})
    path = tmp_path / f"impact.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    loss = us2020.align(q.read_losses(path), fill=0.0)
    sector = us2020.index.get_level_values("sector") == "Construction"
    np.testing.assert_array_equal(np.asarray(loss)[sector], [0.25, 0.5])
    assert float(loss.sum()) == 0.75
    assert q.CapacityLoss(loss).loss.shape == (58,)


def test_assets_of_one_account_add_up_when_asked():
    frame = pd.DataFrame({"region": ["A", "A", "B"], "sector": ["s", "s", "s"], "eur": [1.0, 2.0, 4.0]})
    assert q.read_losses(frame, column="eur", add=True).to_dict() == {("A", "s"): 3.0, ("B", "s"): 4.0}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"region": ["A"], "loss": [1.0]}), "no column 'sector'"),
        (pd.DataFrame({"region": ["A"], "sector": [""], "loss": [1.0]}), "row 1: region or sector is empty"),
        (pd.DataFrame({"region": ["A", "B"], "sector": ["s", "s"], "loss": [1.0, -2]}), "row 2: loss is .*-2"),
        (pd.DataFrame({"region": ["A"], "sector": ["s"], "loss": ["much"]}), "row 1: loss is 'much'"),
        (pd.DataFrame({"region": ["A", "A"], "sector": ["s", "s"], "loss": [1.0, 1]}), "row 2: A, s is listed twice"),
        (pd.DataFrame({"region": [], "sector": [], "loss": []}), "no rows"),
    ],
)
def test_a_table_of_losses_that_makes_no_sense_is_refused(frame, message):
    with pytest.raises(q.TableError, match=message):
        q.read_losses(frame)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(q.InputError, match="there is no file"):
        q.read_losses(tmp_path / "impact.csv")
