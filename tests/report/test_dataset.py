"""The labelled numbers of a run, and its summary, written and read back."""

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from report_runs import economy, run

import quesnay as q
from quesnay.report import Run, dataset, summary


@pytest.mark.parametrize(
    "how", [{"engine": "scipy", "format": "NETCDF3_64BIT"}, {"engine": "netcdf4"}], ids=["netCDF3", "netCDF4"]
)
def test_a_dataset_is_read_back_equal(small: Run, tmp_path, how):
    made = dataset(small)
    made.to_netcdf(tmp_path / "result.nc", **how)
    with xr.open_dataset(tmp_path / "result.nc") as read:
        xr.testing.assert_identical(read.load(), made)


def test_a_dataset_of_an_incomplete_table_is_read_back_equal(tmp_path):
    made = dataset(run(economy(["A", "B"], ["a", "b", "c", "d"], drop=(4, 7)), hit={0: 0.5}))
    made.to_netcdf(tmp_path / "result.nc", engine="scipy", format="NETCDF3_64BIT")
    with xr.open_dataset(tmp_path / "result.nc") as read:
        xr.testing.assert_identical(read.load(), made)
    assert list(made["sector"].to_numpy()) == ["a", "b", "c", "d", "b", "c"]


def test_a_dataset_holds_the_path_the_losses_and_the_outcomes(small: Run):
    made = dataset(small)
    assert made["output"].dims == ("day", "region", "sector")
    assert made["output"].attrs["units"] == "MUSD/day"
    assert made["jobs"].attrs["units"] == "thousand job-years/day"
    lost = (made["base_output"] - made["output"]).transpose("day", ...)
    scale = float(made["base_output"].max())
    np.testing.assert_allclose(lost / scale, made["loss_total"] / scale, atol=1e-12)
    parts = made["loss_direct"] + made["loss_indirect"]
    np.testing.assert_allclose(parts / scale, made["loss_total"] / scale, atol=1e-12)
    np.testing.assert_allclose(float(made["ghg"].sum()), small.findings.totals["ghg"].actual, rtol=1e-12)
    supplier = made["bottleneck"].max().item()
    assert made["supplier_sector"].to_numpy()[supplier] == small.economy.index[supplier][1]


def test_a_dataset_says_where_it_comes_from(small: Run):
    made = dataset(replace(small, scenario="title = 'x'", inputs={"table.csv": "ab" * 32}))
    assert made.attrs["seed"] == "3"
    assert made.attrs["inputs"] == f"{'ab' * 32}  table.csv"
    assert made.attrs["scenario"] == "title = 'x'"
    assert {"version_quesnay", "version_jax", "version_numpy", "version_python", "conventions"} <= set(made.attrs)


def test_outcomes_with_awkward_names_get_names_of_their_own(tmp_path):
    table = economy(["A"], ["a", "b"])
    satellites = {name: (table.frame("jobs"), "kt") for name in ("capacity", "air: CO2/t", "air_ CO2/t", "1€")}
    named = q.Economy.from_frames(
        Z=table.frame("Z"), final_demand=table.frame("final_demand"), satellites=satellites, currency="MUSD"
    )
    made = dataset(run(named))
    assert {"capacity_2", "air__CO2_t", "air__CO2_t_2", "outcome_1"} <= set(made.data_vars)
    assert made["air__CO2_t"].attrs["long_name"] == "air: CO2/t"
    made.to_netcdf(tmp_path / "result.nc", engine="scipy", format="NETCDF3_64BIT")


def test_a_summary_is_json_and_adds_up(small: Run):
    given = json.loads(json.dumps(summary(small), allow_nan=False))
    loss = given["loss"]
    assert loss["direct"] + loss["indirect"] == pytest.approx(loss["total"], rel=1e-12)
    parts = ("indirect_at_hit", "indirect_same_region", "indirect_elsewhere")
    assert sum(loss[p] for p in parts) == pytest.approx(loss["indirect"], rel=1e-9)
    assert -given["totals"]["output"]["change"] == pytest.approx(loss["total"], rel=1e-12)
    assert sum(given["totals"]["jobs"]["by_region"].values()) == pytest.approx(given["totals"]["jobs"]["change"])
    assert sum(given["bottlenecks"]["share_of_days"].values()) == pytest.approx(1)
    assert len(given["sensitivities"]) == 10
    assert given["sensitivities"][0]["unit"].startswith("MUSD of value added per")


def test_a_summary_of_no_shock_is_json():
    given = json.loads(
        json.dumps(summary(run(economy(["A", "B"], ["a", "b"], satellites=False), hit={})), allow_nan=False)
    )
    assert given["totals"]["output"]["worst_day"] is None
    assert given["bottlenecks"]["longest"] == []
