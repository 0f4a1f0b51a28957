"""What a user types and gets."""

import pickle
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import quesnay as q

# Two sectors by hand: A = [[0.1, 0.5], [0.2, 0.25]], x = (100, 40), d = (70, 10), v = (70, 10).
SECTORS = ["Farms", "Mills"]
Z = pd.DataFrame([[10.0, 20.0], [20.0, 10.0]], SECTORS, SECTORS)
DEMAND = pd.Series([70.0, 10.0], SECTORS)
GHG = (pd.Series({"Mills": 8.0, "Farms": 50.0}), "kt CO2e")


def small(**changes) -> q.Economy:
    return q.Economy.from_frames(
        **{"Z": Z, "final_demand": DEMAND, "satellites": {"ghg": GHG}, "currency": "MUSD", **changes}
    )


def three_accounts() -> q.Economy:
    """Two regions that do not have the same sectors."""
    index = pd.MultiIndex.from_tuples([("N", "Farms"), ("N", "Mills"), ("S", "Farms")])
    flows = pd.DataFrame(np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]), index, index)
    return q.Economy.from_frames(Z=flows, final_demand=pd.Series(20.0, index), currency="MEUR")


def test_a_table_by_sector_only() -> None:
    economy = small()
    np.testing.assert_array_equal(economy.A, [[0.1, 0.5], [0.2, 0.25]])
    np.testing.assert_array_equal(economy.B, [[0.1, 0.2], [0.5, 0.25]])
    np.testing.assert_array_equal(economy.output, [100, 40])
    np.testing.assert_array_equal(economy.value_added, [70, 10])
    np.testing.assert_array_equal(economy.imports, [0, 0])
    np.testing.assert_array_equal(economy.intensity("ghg"), [0.5, 0.2])
    np.testing.assert_array_equal(economy.intensity("value_added"), [0.7, 0.25])
    assert isinstance(economy.A, jax.Array)
    assert economy.A.dtype == np.float64
    assert (economy.regions, economy.sectors, economy.n) == (("all",), ("Farms", "Mills"), 2)
    assert (economy.unit("ghg"), economy.unit("output")) == ("kt CO2e", "MUSD")
    assert economy.intensity_unit("ghg") == "kt CO2e/MUSD"
    # Eigenvalues of [[0.1, 0.5], [0.2, 0.25]]: (0.35 + sqrt(0.35^2 - 4 (0.025 - 0.1))) / 2.
    assert economy.spectral_radius == pytest.approx((0.35 + np.sqrt(0.4225)) / 2)
    assert any("value_added was not given" in note.sentence for note in economy.notes)


def test_frames_carry_labels() -> None:
    economy = small(region="Georgia")
    assert economy.frame("A").loc[("Georgia", "Farms"), ("Georgia", "Mills")] == 0.5
    assert economy.frame("Y").columns.names == ["region", "category"]
    assert economy.frame("ghg")["Georgia", "Mills"] == 8
    assert list(economy.primary.index) == ["value_added", "imports"]
    assert list(economy.frame("satellites").columns) == ["ghg"]
    with pytest.raises(q.LabelError, match=r"no account 'ghq'.*did you mean 'ghg'"):
        economy.frame("ghq")
    with pytest.raises(q.LabelError, match="no account 'job'"):
        economy.total("job")


def test_an_economy_does_not_change() -> None:
    economy = small()
    with pytest.raises(AttributeError):
        economy.currency = "EUR"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        economy.ledger.Z[0, 0] = 1
    frame = economy.frame("Z")
    frame.iloc[0, 0] = -1
    economy.source["x"] = "y"
    assert float(economy.Z[0, 0]) == 10
    assert economy.source == {}


def test_an_economy_survives_pickling() -> None:
    economy = small(source={"Z.csv": "0" * 64})
    back = pickle.loads(pickle.dumps(economy))
    pd.testing.assert_frame_equal(back.frame("A"), economy.frame("A"))
    assert back.source == economy.source


def test_primary_inputs_by_row() -> None:
    primary = pd.DataFrame([[5.0, 1.0], [60.0, 8.0]], ["Taxes", "value_added"], SECTORS)
    economy = small(primary=primary, imports={"Mills": 1, "Farms": 5})
    assert list(economy.primary.index) == ["value_added", "imports", "Taxes"]
    np.testing.assert_array_equal(economy.total("Taxes"), [5, 1])
    assert economy.balance().column_share == 0


def test_a_small_imbalance_is_reported_and_kept_and_closed_on_request() -> None:
    output = pd.Series([100.2, 40.0], SECTORS)
    economy = small(output=output)
    assert economy.balance().rows[("all", "Farms")] == pytest.approx(0.2)
    assert economy.balance().row_share == pytest.approx(0.2 / 140.2)
    assert economy.balance().worst_row == ("all", "Farms")
    assert "sector 'Farms'" in repr(economy.balance())
    assert any(note.action == "balance" and "nothing was altered" in note.sentence for note in economy.notes)
    closed = small(output=output, close="Statistical discrepancy")
    assert closed.frame("Y")["all", "Statistical discrepancy"].tolist() == pytest.approx([0.2, 0])
    assert closed.balance().row_share < 1e-15
    assert not any(note.action == "balance" for note in closed.notes)
    far = small(output=pd.Series([130.0, 40.0], SECTORS), close="Gap")
    assert far.notes[-1].amount == pytest.approx(30)
    assert small().close("Gap").notes == small().notes


def test_what_is_legal() -> None:
    negative_demand = small(final_demand=None, Y=pd.DataFrame({"Use": [71.0, 12], "Stocks": [-1.0, -2]}, SECTORS))
    np.testing.assert_array_equal(negative_demand.final_demand, [70, 10])
    tall = small(Z=pd.DataFrame([[0.0, 90.0], [0.0, 0.0]], SECTORS, SECTORS), final_demand={"Farms": 10, "Mills": 50})
    assert float(tall.A.sum(axis=0).max()) > 1
    assert tall.spectral_radius < 1
    idle = q.Economy.from_frames(Z=Z * 0, final_demand={"Farms": 1.0, "Mills": 0.0}, currency="MUSD")
    np.testing.assert_array_equal(idle.A, np.zeros((2, 2)))
    np.testing.assert_array_equal(idle.intensity("value_added"), [1, 0])


def test_select_books_what_it_cuts_off(us2020: q.Economy) -> None:
    flows, rest = us2020.frame("Z"), "Rest of US"
    georgia = us2020.select(regions="Georgia")
    bought, sold = flows.loc[rest, "Georgia"].sum(), flows.loc["Georgia", rest].sum(axis=1)
    np.testing.assert_allclose(georgia.imports - us2020.imports[:29], bought, rtol=1e-9)
    np.testing.assert_allclose(georgia.frame("Y")["outside", "Exports"], sold)
    assert [note.amount for note in georgia.notes] == pytest.approx([bought.sum(), sold.sum()])
    with pytest.raises(q.LabelError, match="'Goergia'; did you mean 'Georgia'"):
        us2020.select(regions=["Goergia"])
    with pytest.raises(q.LabelError, match="no 'Farms'"):
        us2020.select(sectors=["Farms"])
    with pytest.raises(q.LabelError, match="empty"):
        three_accounts().select(regions=["S"], sectors=["Mills"])


def test_final_demand_of_other_regions_becomes_exports() -> None:
    economy = q.Economy.from_frames(Z=_two_regions(), Y=_two_regions_demand(), currency="MUSD")
    north = economy.select(regions=["N"])
    assert north.frame("Y").iloc[0].to_dict() == {("N", "Use"): 5.0, ("outside", "Exports"): 2.0 + 3.0}
    assert float(north.imports[0]) == 4.0


def _two_regions() -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples([("N", "Farms"), ("S", "Farms")])
    return pd.DataFrame([[1.0, 2.0], [4.0, 1.0]], index, index)


def _two_regions_demand() -> pd.DataFrame:
    columns = pd.MultiIndex.from_tuples([("N", "Use"), ("S", "Use")])
    return pd.DataFrame([[5.0, 3.0], [1.0, 9.0]], _two_regions().index, columns)


def test_aggregate_by_dict_series_and_concordance(us2020: q.Economy) -> None:
    mapping = {s: "Goods" if s in us2020.sectors[:12] else "Services" for s in us2020.sectors}
    by_dict = us2020.aggregate(sectors=mapping)
    assert by_dict.sectors == ("Goods", "Services")
    assert by_dict.unit("jobs") == "thousand jobs"
    np.testing.assert_array_equal(us2020.aggregate(sectors=pd.Series(mapping)).Z, by_dict.Z)
    concordance = pd.crosstab(pd.Series(list(mapping)), pd.Series(list(mapping.values())))
    np.testing.assert_array_equal(us2020.aggregate(sectors=concordance).Z, by_dict.Z)
    assert us2020.aggregate() is us2020


@pytest.mark.parametrize(
    ("sectors", "error", "message"),
    [
        ({"Farms": "All"}, q.LabelError, "'Mills' is not mapped"),
        ({"Farms": "All", "Mills": "All", "Mins": "All"}, q.LabelError, "no 'Mins'; did you mean 'Mills'"),
        ({"Farms": "All", "Mills": None}, q.LabelError, "'Mills' is mapped to nothing"),
        (pd.Series(["A", "B", "A"], ["Farms", "Mills", "Farms"]), q.LabelError, "'Farms' is given more than once"),
        (pd.DataFrame({"A": [1, 0.5], "B": [0, 0.4]}, SECTORS), q.TableError, "weights of 'Mills'.*not 0.9"),
        (pd.DataFrame({"A": [1, 1.5], "B": [0, -0.5]}, SECTORS), q.TableError, "weights of 'Mills' must be non-neg"),
    ],
)
def test_a_mapping_that_does_not_fit(sectors, error, message: str) -> None:
    with pytest.raises(error, match=message):
        small().aggregate(sectors=sectors)


def test_nonnegative_by_hand() -> None:
    # Mills: one flow of -4 and final demand -6. Moving the flow makes d = (70, -10); Mills then sell 50 to sectors
    # out of 40 produced, so that their row is scaled by 0.8.
    flows = pd.DataFrame([[10.0, 20.0], [50.0, -4.0]], SECTORS, SECTORS)
    economy = small(Z=flows, final_demand=pd.Series([70.0, -6.0], SECTORS))
    ready = economy.nonnegative()
    np.testing.assert_allclose(ready.Z, [[10, 20], [40, 0]])
    np.testing.assert_allclose(ready.final_demand, [70, 0])
    np.testing.assert_array_equal(ready.output, [100, 40])
    assert ready.frame("Y")["all", "Moved negative flows"].tolist() == [0, -4]
    assert ready.frame("Y")["all", "Supplied from stocks or imports"].tolist() == [0, 10]
    assert ready.total("Moved negative flows").tolist() == [0, -4]
    np.testing.assert_allclose(ready.total("Supplied from stocks or imports"), [10, 0])
    assert [note.amount for note in ready.notes[-2:]] == [4, 10]


def test_negative_demand_that_no_sales_cover_wants_closing_first() -> None:
    labels = [*SECTORS, "Idle"]
    flows = Z.reindex(index=labels, columns=labels, fill_value=0.0)
    demand = pd.Series([70, 10, -0.01], labels)
    output = pd.Series([100.0, 40.0, 0.0], labels)
    economy = q.Economy.from_frames(Z=flows, final_demand=demand, output=output, currency="MUSD")
    with pytest.raises(q.TableError, match=r"sector 'Idle' is negative by 0.01.*close"):
        economy.nonnegative()
    assert float(economy.close("Gap").nonnegative().final_demand.min()) == 0


def test_align_broadcasts_one_level(us2020: q.Economy) -> None:
    by_sector = pd.Series(np.arange(29.0), us2020.sectors)
    np.testing.assert_array_equal(us2020.align(by_sector), np.tile(np.arange(29.0), 2))
    np.testing.assert_array_equal(us2020.align({"Georgia": 1, "Rest of US": 2}), np.repeat([1.0, 2.0], 29))
    one = us2020.align({("Georgia", "Utilities"): 0.5}, fill=0.0)
    assert float(one.sum()) == 0.5
    assert float(one[us2020.index.get_loc(("Georgia", "Utilities"))]) == 0.5
    np.testing.assert_array_equal(us2020.align({}, fill=1.0), np.ones(58))
    np.testing.assert_array_equal(us2020.align({"Utilities": 1.0}, fill=0.0).sum(), 2)
    frame = pd.DataFrame({"low": by_sector, "high": by_sector + 1})
    assert us2020.align(frame).shape == (58, 2)


@pytest.mark.parametrize(
    ("labelled", "fill", "error", "message"),
    [
        ({"Utilitys": 1.0}, 0.0, q.LabelError, "'Utilitys'; did you mean 'Utilities'"),
        (
            {("Georgia", "Utilitys"): 1.0},
            0.0,
            q.LabelError,
            "'Utilitys' of region 'Georgia'; did you mean.*'Utilities'",
        ),
        ({"Utilities": 1.0}, None, q.LabelError, "'Agriculture'.* is missing"),
        ({"Utilities": 1.0, "Georgia": 1.0}, 0.0, q.LabelError, "mix regions and sectors"),
        ({}, None, q.LabelError, "missing"),
        (pd.Series([1.0, 2.0], ["Utilities"] * 2), 0.0, q.LabelError, "'Utilities' is given more than once"),
        ({"Utilities": np.nan}, 0.0, q.InputError, "'Utilities' is missing or infinite"),
        ({"Utilities": "much"}, 0.0, q.TableError, "'much', which is not a number"),
        ([1.0, 2.0], None, q.InputError, "list carries no labels"),
        (pd.Series([1.0], pd.Index(["Georgia"], name="sector")), 0.0, q.LabelError, "no 'Georgia'"),
    ],
)
def test_align_refuses(us2020: q.Economy, labelled, fill, error, message: str) -> None:
    with pytest.raises(error, match=message):
        us2020.align(labelled, fill=fill)


def test_labels_that_are_regions_and_sectors_alike_need_a_name() -> None:
    index = pd.MultiIndex.from_product([["a", "b"], ["a", "b"]])
    economy = q.Economy.from_frames(Z=pd.DataFrame(1.0, index, index), final_demand=pd.Series(1.0, index), currency="X")
    with pytest.raises(q.LabelError, match="regions as well as sectors"):
        economy.align({"a": 1, "b": 2})
    np.testing.assert_array_equal(economy.align(pd.Series([1, 2], pd.Index(["a", "b"], name="region"))), [1, 1, 2, 2])


class Result(NamedTuple):
    dims: tuple[str, ...]
    values: np.ndarray
    unit: str = "{currency}"

    def variables(self) -> dict:
        return {"x": (self.dims, self.values, self.unit)}

    def attributes(self) -> dict:
        return {"seed": 7}


def test_a_labelled_result_goes_to_netcdf_and_back(us2020: q.Economy, tmp_path: Path) -> None:
    data = us2020.label(Result(("day", "account"), np.arange(3 * 58.0).reshape(3, 58), "{currency}/day"))
    assert data.x.attrs["units"] == "MUSD/day"
    assert data.day.attrs == {"long_name": "day", "units": "day"}
    assert data.attrs == {"table": "us-2020", "currency": "MUSD", "year": 2020, "seed": "7"}
    assert data.x.sel(region="Georgia").dims == ("day", "sector")
    data.to_netcdf(tmp_path / "x.nc")
    with xr.open_dataset(tmp_path / "x.nc") as back:
        np.testing.assert_array_equal(back.x, data.x)
        assert back.region.values.tolist() == ["Georgia", "Rest of US"]


def test_accounts_that_are_no_full_product_stay_one_dimension() -> None:
    data = three_accounts().label(Result(("account", "account_to"), np.arange(9.0).reshape(3, 3)))
    assert data.x.dims == ("account", "account_to")
    assert data.x.sel(region="S", sector="Farms", region_to="N").values.tolist() == [6.0, 7.0]


def test_accounts_in_any_order_are_labelled_by_name() -> None:
    mixed = [("N", "Farms"), ("S", "Mills"), ("N", "Mills"), ("S", "Farms")]
    index = pd.MultiIndex.from_tuples(mixed)
    economy = q.Economy.from_frames(Z=pd.DataFrame(1.0, index, index), final_demand=pd.Series(1.0, index), currency="X")
    data = economy.label(Result(("account",), np.array([1.0, 2.0, 3.0, 4.0])))
    assert data.x.sel(region="S", sector="Mills") == 2
    assert data.x.sel(region="N", sector="Mills") == 3


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (Result(("account",), np.zeros(3)), "has 3 accounts and this table has 2"),
        (Result(("day", "account"), np.zeros(2)), "one name per axis"),
        (np.zeros(2), "declares no variables"),
    ],
)
def test_label_refuses(result, message: str) -> None:
    with pytest.raises(q.InputError, match=message):
        small().label(result)


def test_an_economy_says_what_it_is(us2020: q.Economy) -> None:
    text = repr(us2020)
    for words in (
        "us-2020 2020: 2 regions x 29 sectors, MUSD",
        "0.4045",
        "kt CO2e",
        "thousand jobs",
        "spectral radius",
    ):
        assert words in text
    assert len(text.splitlines()) < 15
    html = small(name="<script>", satellites={"<b>": GHG})._repr_html_()
    assert "<script>" not in html
    assert "&lt;b&gt;" in html
    assert "3 accounts in 2 regions and 2 sectors" in repr(three_accounts())


def test_a_folder_written_by_hand(tmp_path: Path) -> None:
    (tmp_path / "Z.csv").write_text("region,,N,N\nsector,,Farms,Mills\nN,Farms,10,20\nN,Mills,20,10\n")
    (tmp_path / "accounts.csv").write_text(
        "region,sector,final_demand,imports,ghg [kt CO2e]\nN,Mills,10,1,8\nN,Farms,70,2,50\n"
    )
    (tmp_path / "table.toml").write_text('currency = "MUSD"\nyear = 1999\n')
    economy = q.load(tmp_path)
    np.testing.assert_array_equal(economy.A, small().A)
    np.testing.assert_array_equal(economy.imports, [2, 1])
    np.testing.assert_array_equal(economy.value_added, [68, 9])
    np.testing.assert_array_equal(economy.intensity("ghg"), [0.5, 0.2])
    assert (economy.year, economy.name, set(economy.source)) == (
        1999,
        tmp_path.name,
        {"Z.csv", "accounts.csv", "table.toml"},
    )


def test_save_leaves_nothing_half_done(us2020: q.Economy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = q.save(us2020, tmp_path / "new" / "table")
    assert sorted(p.name for p in target.iterdir()) == ["Y.csv", "Z.csv", "accounts.csv", "table.toml"]
    with pytest.raises(q.InputError, match="not an empty folder"):
        q.save(us2020, target)
    monkeypatch.setattr("quesnay.economy.folders._write_long", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        q.save(us2020, tmp_path / "other")
    assert [p.name for p in tmp_path.iterdir()] == ["new"]
