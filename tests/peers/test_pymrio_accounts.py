"""pymrio's consumption-, production-, import- and export-based accounts side by side, on its test system and on WIOD."""

import numpy as np
import pandas as pd
import pymrio
import pytest

import quesnay as q
from quesnay.equilibrium.analysis.accounts import accounts

TOLERANCE = 1e-12
"""Per entry, relative."""


@pytest.fixture(scope="module")
def system():
    return pymrio.load_test().calc_all()


@pytest.fixture(scope="module")
def world(shared_data):
    """WIOD 2011, 13 regions x 35 sectors, value added as its extension; four sectors have no output."""
    pytest.importorskip("pyarrow")
    folder = shared_data / "wiod2013"
    if not folder.is_dir():
        pytest.skip(f"no wiod2013 in {shared_data}")

    def labelled(labels, names):
        return pd.MultiIndex.from_tuples([tuple(label.split("|")) for label in labels], names=names)

    Z, Y = (pd.read_parquet(folder / f"mrio13x35_{name}_2011.parquet") for name in "ZY")
    index = labelled(Z.index, ["region", "sector"])
    Z = Z.set_axis(index).set_axis(index, axis=1)
    Y = Y.set_axis(index).set_axis(labelled(Y.columns, ["region", "category"]), axis=1)
    x = Z.sum(axis=1) + Y.sum(axis=1)
    assert (x == 0).sum() == 4
    added = pd.DataFrame([(x - Z.sum()).to_numpy()], index=["value added"], columns=index)
    unit = pd.DataFrame({"unit": ["MUSD"]}, index=added.index)
    return pymrio.IOSystem(Z=Z, Y=Y, factors={"name": "factors", "F": added, "unit": unit}).calc_all()


def ours(system, extension):
    """Return quesnay's accounts of a pymrio system's extension: its coefficients, demand and labels, none of its results."""
    own = None if extension.F_Y is None else extension.F_Y.to_numpy()
    return accounts(
        system.A.to_numpy(),
        system.Y.to_numpy(),
        extension.S.to_numpy(),
        system.Y.index.get_level_values("region"),
        consumers=system.Y.columns.get_level_values("region"),
        direct=own,
        sectors=system.Y.index.get_level_values("sector"),
        solver=q.LU(),
    )


def compare(system, extension):
    """Hold all eight of pymrio's accounts, by region and by region and sector, against ours."""
    got = ours(system, extension)
    assert list(got.regions) == list(got.destinations) == list(system.get_regions())
    assert list(got.sectors) == list(system.get_sectors())
    rows = len(extension.S)
    pairs = {
        "D_pba_reg": got.production,
        "D_cba_reg": got.consumption,
        "D_imp_reg": got.imports,
        "D_exp_reg": got.exports,
        "D_pba": got.production_by_account,
        "D_exp": got.exports_by_account,
        "D_cba": got.consumption_by_sector.reshape(rows, -1),
        "D_imp": got.imports_by_sector.reshape(rows, -1),
    }
    for name, values in pairs.items():
        theirs = getattr(extension, name)
        assert float(np.abs(theirs.to_numpy()).max()) > 0
        np.testing.assert_allclose(values, theirs, rtol=TOLERANCE, err_msg=name)
    return got


def test_all_accounts_of_the_test_system_are_equal(system):
    compared = [compare(system, extension) for extension in system.get_extensions(data=True)]
    assert len(compared) == 2
    assert any(float(got.direct.max()) > 0 for got in compared)


def test_all_accounts_of_wiod_are_equal(world):
    compare(world, world.factors)


def test_value_added_is_the_final_demand_of_the_world(world):
    """`v' L Y 1 = 1' Y 1`, per consumer: what a consumer buys is value added somewhere."""
    got = ours(world, world.factors)
    demand = world.Y.T.groupby(level="region", sort=False).sum().T.sum()
    np.testing.assert_allclose(got.consumption[0], demand, rtol=1e-12)


def test_origin_and_destination_are_equal_to_footprints_of_each_region(system):
    """E of one destination is pymrio's `S L` of one region's emitters times the demand of that destination."""
    extension = system.emissions
    got = ours(system, extension)
    demand = system.Y.T.groupby(level="region", sort=False).sum().T.to_numpy()
    for k, region in enumerate(got.regions):
        only = extension.S.to_numpy() * (extension.S.columns.get_level_values("region") == region)
        np.testing.assert_allclose(got.origin_destination[:, k], only @ system.L.to_numpy() @ demand, rtol=1e-11)


def test_the_arguments_come_from_an_economy_and_the_labels_return(system):
    economy = q.from_pymrio(system)
    got = accounts(
        economy.A,
        economy.Y,
        np.stack([economy.intensity(name) for name in economy.satellites if name.startswith("Emissions")]),
        economy.index.get_level_values("region"),
        consumers=economy.frame("Y").columns.get_level_values("region"),
        sectors=economy.index.get_level_values("sector"),
    )
    data, theirs = economy.label(got), system.emissions
    air = theirs.D_imp.iloc[0]
    for region in ("reg1", "reg5"):
        for sector in ("mining", "other"):
            ours = data.imports_by_sector.isel(outcome=0).sel(destination=region, product=sector)
            np.testing.assert_allclose(ours, air[region, sector], rtol=TOLERANCE)
        exported = data.exports_by_account.isel(outcome=1).sel(region=region)
        np.testing.assert_allclose(exported, theirs.D_exp.iloc[1][region], rtol=TOLERANCE)
        assert float(data.exports.isel(outcome=1).sel(origin=region)) == pytest.approx(float(exported.sum()), rel=1e-12)
