"""Numbers from other programs and from the publishers of real tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import quesnay as q


@pytest.fixture(scope="module")
def system():
    pymrio = pytest.importorskip("pymrio")
    return pymrio.load_test().calc_all()


def test_pymrio_s_coefficients_and_intensities(system) -> None:
    economy = q.from_pymrio(system, year=2010)
    np.testing.assert_allclose(economy.A, system.A, rtol=1e-12)
    np.testing.assert_allclose(economy.output, system.x["indout"], rtol=1e-12)
    np.testing.assert_allclose(economy.final_demand, system.Y.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(economy.intensity("emission_type1, air"), system.emissions.S.iloc[0], rtol=1e-12)
    assert economy.unit("Emissions: emission_type1, air") == "kg"
    assert economy.intensity_unit("emission_type1, air") == "kg/Mill USD"
    assert (economy.currency, economy.year, economy.name) == ("Mill USD", 2010, "testmrio")
    np.testing.assert_allclose(economy.direct("emission_type1, air"), system.emissions.F_Y.iloc[0], rtol=1e-12)


def test_pymrio_s_aggregation(system) -> None:
    regions = {f"reg{k}": "A" if k < 4 else "B" for k in range(1, 7)}
    sectors = {s: "goods" if s in ("food", "mining", "manufactoring") else "services" for s in system.get_sectors()}
    theirs = (
        system.copy()
        .remove_extension(list(system.get_extensions()))
        .aggregate(
            region_agg=[regions[r] for r in system.get_regions()], sector_agg=[sectors[s] for s in system.get_sectors()]
        )
    )
    ours = q.from_pymrio(system).aggregate(regions=regions, sectors=sectors)
    pd.testing.assert_frame_equal(ours.frame("Z"), theirs.Z.loc[ours.index, ours.index], check_names=False, rtol=1e-12)
    demand = ours.frame("Y")
    np.testing.assert_allclose(demand, theirs.Y.loc[demand.index, demand.columns], rtol=1e-12)


def test_a_system_saved_by_pymrio_is_loaded_from_its_folder_and_archive(system, tmp_path: Path) -> None:
    import shutil

    system.copy().remove_extension("factor_inputs").save_all(tmp_path / "saved")
    economy = q.load(tmp_path / "saved")
    np.testing.assert_allclose(economy.A, system.A, rtol=1e-9)
    assert economy.satellites == ("Emissions: emission_type1, air", "Emissions: emission_type2, water")
    assert len(economy.source["Z.txt"]) == 64
    archive = shutil.make_archive(str(tmp_path / "archive"), "zip", tmp_path / "saved")
    np.testing.assert_array_equal(q.load(archive).A, economy.A)


def test_flows_are_made_from_coefficients_where_pymrio_has_only_these(system) -> None:
    bare = system.copy()
    bare.Z = None
    np.testing.assert_allclose(q.from_pymrio(bare).Z, system.Z, rtol=1e-12)


def test_the_packaged_table_has_the_published_totals(us2020: q.Economy) -> None:
    # README of the table: totals and spectral radius; README of its source: Georgia's share.
    assert us2020.spectral_radius == pytest.approx(0.4045, abs=5e-5)
    assert float(us2020.value_added.sum()) == pytest.approx(20.89e6, rel=5e-4)
    assert float(us2020.output.sum()) == pytest.approx(36.48e6, rel=5e-4)
    assert float(us2020.total("ghg").sum()) == pytest.approx(4_647e3, rel=5e-4)
    assert float(us2020.total("jobs").sum()) == pytest.approx(138.6e3, rel=5e-4)
    georgia = us2020.select(regions=["Georgia"])
    assert float(georgia.total("ghg").sum()) == pytest.approx(89.2e3, rel=1e-3)
    assert float(georgia.total("jobs").sum()) == pytest.approx(4.09e3, rel=2e-3)
    assert float(georgia.value_added.sum()) == pytest.approx(632e3, rel=1e-3)
    assert us2020.balance().row_share < 1e-15
    assert set(us2020.source) == {"us_2020_Z_musd.csv", "us_2020_accounts.csv"}


def test_united_kingdom_2010_has_the_published_inverse(shared_data: Path) -> None:
    folder = shared_data / "ons_uk_2010"
    Z, Y, primary = (
        pd.read_csv(folder / f"{name}.csv", index_col=0, dtype={0: str})
        for name in ("Z_domestic", "Y_domestic", "primary_inputs")
    )
    taxes = primary.loc[["Taxes less subsidies on products"]]
    economy = q.Economy.from_frames(
        Z=Z,
        Y=Y,
        imports=primary.loc["Imported goods and services"],
        primary=taxes,
        value_added=primary.drop(index=["Imported goods and services", *taxes.index]).sum(),
        currency="MGBP",
        year=2010,
    )
    published = pd.read_csv(folder / "leontief_inverse_published.csv", index_col=0)
    ours = np.linalg.inv(np.eye(economy.n) - np.asarray(economy.A))
    # The README: the inverse agrees to 6e-15, the spectral radius is 0.4247, total GVA is 1,327,923 million.
    np.testing.assert_allclose(ours, published.iloc[: economy.n, : economy.n], atol=1e-13)
    assert economy.spectral_radius == pytest.approx(0.4247, abs=5e-5)
    assert float(economy.value_added.sum()) == pytest.approx(1_327_923, abs=1)
    assert economy.balance().column_share < 1e-14


def test_united_states_2019(shared_data: Path) -> None:
    folder = shared_data / "bea_us_summary"
    total, Z, Y, x, added = (
        pd.read_csv(folder / f"{name}_2019.csv", index_col=0)
        for name in ("Z_total", "Z_domestic", "Y_domestic", "x", "VA")
    )
    economy = q.Economy.from_frames(
        Z=Z, Y=Y, output=x, value_added=added.sum(), imports=(total - Z).sum(), currency="MUSD", year=2019
    )
    # The README: rho(A domestic) = 0.4254, output 37,658 and value added 21,540 billion, rows off by at most 9.7e-5.
    assert economy.spectral_radius == pytest.approx(0.4254, abs=5e-5)
    assert float(economy.output.sum()) == pytest.approx(37_658e3, rel=2e-5)
    assert float(economy.value_added.sum()) == pytest.approx(21_540e3, rel=3e-5)
    assert 0 < economy.balance().row_share < 1e-4
    assert (np.asarray(economy.Z) < 0).any()
    assert (np.asarray(economy.nonnegative().Z) >= 0).all()


def test_the_world_2011_with_sectors_that_produce_nothing(shared_data: Path) -> None:
    def labelled(labels: pd.Index) -> pd.MultiIndex:
        return pd.MultiIndex.from_tuples([tuple(label.split("|")) for label in labels])

    stem = str(shared_data / "wiod2013" / "full41x35_")
    Z, Y = (pd.read_parquet(f"{stem}{name}_2011.parquet") for name in "ZY")
    x = pd.read_csv(f"{stem}x_2011.csv", index_col=0)
    Z, Y = (frame.set_axis(labelled(frame.index)).set_axis(labelled(frame.columns), axis=1) for frame in (Z, Y))
    economy = q.Economy.from_frames(Z=Z, Y=Y, output=x.set_axis(labelled(x.index)), currency="MUSD", year=2011)
    # The README: 22 of 1435 rows without output, spectral radius 0.610, imbalance between 0.04 and 0.09 %.
    assert (economy.n, int((economy.output == 0).sum())) == (1435, 22)
    assert economy.spectral_radius == pytest.approx(0.610, abs=5e-4)
    assert 4e-4 < economy.balance().row_share < 9e-4
    assert np.isfinite(economy.A).all()
    closed = economy.close("Statistical discrepancy")
    assert closed.balance().row_share < 1e-15
    assert (np.asarray(closed.nonnegative().final_demand) >= 0).all()


def test_united_states_2012_in_detail(shared_data: Path) -> None:
    folder = shared_data / "useeio_us_411_2012"
    A = pd.read_parquet(folder / "A_d.parquet")
    x = pd.read_csv(folder / "q_commodity_output.csv", index_col=0)["q"]
    demand = pd.read_csv(folder / "demands.csv", index_col=0)["2012_US_Production_Domestic"]
    D = pd.read_csv(folder / "D.csv", index_col=0)
    # Used goods and noncomparable imports have a slightly negative output, which is refused: left out, bought as imports.
    x = x[x >= 0]
    A, demand, D = A.loc[x.index, x.index], demand[x.index], D[x.index]
    economy = q.Economy.from_frames(
        Z=A * x,
        final_demand=demand,
        output=x,
        value_added=D.loc["VADD"] * x,
        imports=x - (A * x).sum() - D.loc["VADD"] * x,
        satellites={"ghg": (D.loc["GHG"] * x, "kg CO2e"), "jobs": (D.loc["JOBS"] * x, "jobs")},
        currency="USD",
        year=2012,
    )
    # The README: spectral radius 0.4814 (A_d); D.q is 4,919 Mt CO2e, 126.5 million jobs, value added 16.20 trillion.
    assert economy.spectral_radius == pytest.approx(0.4814, abs=5e-5)
    assert float(economy.total("ghg").sum()) == pytest.approx(4_919e9, rel=2e-4)
    assert float(economy.total("jobs").sum()) == pytest.approx(126.5e6, rel=5e-4)
    np.testing.assert_allclose(economy.intensity("ghg"), D.loc["GHG"], rtol=1e-12)
