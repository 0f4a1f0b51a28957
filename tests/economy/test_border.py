"""What crosses the border comes back whole: labels out to plots and files, frames without strings attached."""

from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import quesnay as q

SECTORS = ["Farms", "Mills"]
Z = pd.DataFrame([[10.0, 20.0], [20.0, 10.0]], SECTORS, SECTORS)
DEMAND = pd.Series([70.0, 10.0], SECTORS)


def small(**changes) -> q.Economy:
    return q.Economy.from_frames(**{"Z": Z, "final_demand": DEMAND, "currency": "MUSD", **changes})


def uneven() -> q.Economy:
    """Two regions that do not have the same sectors."""
    index = pd.MultiIndex.from_tuples([("N", "Farms"), ("N", "Mills"), ("S", "Farms")])
    return q.Economy.from_frames(
        Z=pd.DataFrame(1.0, index, index), final_demand=pd.Series(20.0, index), currency="MEUR"
    )


class Days(NamedTuple):
    values: np.ndarray

    def variables(self) -> dict:
        return {"output": (("day", "account"), self.values, "{currency}/day")}


class Pairs(NamedTuple):
    values: np.ndarray

    def variables(self) -> dict:
        return {"flow": (("account", "account_to"), self.values, "{currency}")}


@pytest.fixture
def axes():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg", force=True)
    import matplotlib.pyplot as plt

    _, axes = plt.subplots()
    yield axes
    plt.close("all")


def ticks(axis) -> set[str]:
    axis.figure.canvas.draw()
    return {tick.get_text() for tick in axis.get_ticklabels()}


def test_a_region_of_a_labelled_path_is_plotted_by_sector(us2020: q.Economy, axes) -> None:
    values = np.arange(3 * 58.0).reshape(3, 58)
    data = us2020.label(Days(values)).output.sel(region="Georgia")
    drawn = data.plot(ax=axes)
    np.testing.assert_array_equal(drawn.get_array().reshape(3, 29), values[:, :29])
    assert ticks(axes.xaxis) >= set(us2020.sectors)
    assert data.sector.dtype.kind == "U"


def test_a_region_of_an_uneven_table_is_plotted_by_sector(axes) -> None:
    drawn = uneven().label(Days(np.arange(6.0).reshape(2, 3))).output.sel(region="N").plot(ax=axes)
    np.testing.assert_array_equal(drawn.get_array().reshape(2, 2), [[0, 1], [3, 4]])
    assert ticks(axes.xaxis) >= {"Farms", "Mills"}


def test_a_labelled_result_is_the_same_after_netcdf(us2020: q.Economy, tmp_path: Path) -> None:
    data = us2020.label(Days(np.arange(3 * 58.0).reshape(3, 58)))
    data.to_netcdf(tmp_path / "x.nc")
    with xr.open_dataset(tmp_path / "x.nc") as back:
        xr.testing.assert_identical(back.load(), data)


def test_an_uneven_result_is_written_without_its_index(tmp_path: Path) -> None:
    economy = uneven()
    data = economy.label(Days(np.arange(6.0).reshape(2, 3))).reset_index("account")
    data.to_netcdf(tmp_path / "x.nc")
    with xr.open_dataset(tmp_path / "x.nc") as back:
        assert list(zip(back.region.values, back.sector.values, strict=True)) == list(economy.index)
        xr.testing.assert_identical(back.load(), data)
    pairs = economy.label(Pairs(np.arange(9.0).reshape(3, 3))).reset_index(["account", "account_to"])
    pairs.to_netcdf(tmp_path / "pairs.nc")
    with xr.open_dataset(tmp_path / "pairs.nc") as back:
        xr.testing.assert_identical(back.load(), pairs)


def test_renaming_what_was_handed_out_leaves_the_economy_as_it_is() -> None:
    economy = small(satellites={"jobs": (DEMAND, "jobs")})
    names = ["a", "b"]
    for name in ("A", "Z", "Y", "jobs", "satellites"):
        economy.frame(name).index.names = names
    for name in ("A", "Z", "Y", "primary"):
        economy.frame(name).columns.names = names
    economy.primary.columns.names = names
    economy.index.names = names
    economy.balance().rows.index.names = names
    economy.balance().columns.index.names = names
    flows = economy.frame("Z")
    flows.index.names = names
    assert list(flows.columns.names) == ["region", "sector"]
    assert list(economy.index.names) == list(economy.frame("jobs").index.names) == ["region", "sector"]
    assert list(economy.frame("Y").columns.names) == ["region", "category"]
    assert economy.index.equals(small().index)


@pytest.mark.parametrize("odd", ["a\rb", "\r", "a\r\nb", "a\nb", 'a,"b"', ' "a" ', "'", "\ufeffa", "\x00a", "\u2028"])
def test_a_label_with_any_character_comes_back(odd: str, tmp_path: Path) -> None:
    labels = ["Farms", odd]
    Y = pd.DataFrame([[70.0, 0], [5, 5]], labels, ["Use", odd])
    economy = q.Economy.from_frames(
        Z=Z.set_axis(labels).set_axis(labels, axis=1),
        Y=Y,
        primary=pd.DataFrame([[1.0, 2.0]], [odd], labels),
        satellites={"ghg " + odd: (DEMAND.set_axis(labels), "kt")},
        region=odd,
        name=odd,
        currency="MUSD",
    )
    back = q.load(q.save(economy, tmp_path / "table"))
    assert back.name == odd
    for name in ("Z", "Y", "primary", "satellites", "output"):
        pd.testing.assert_frame_equal(
            pd.DataFrame(back.frame(name)), pd.DataFrame(economy.frame(name)), check_exact=True
        )


def test_a_primary_row_named_like_a_satellite_s_column_comes_back(tmp_path: Path) -> None:
    primary = pd.DataFrame([[1.0, 2.0], [3.0, 1.0]], ["g [k]", "final demand"], SECTORS)
    economy = small(primary=primary, satellites={"g": (DEMAND, "k")})
    back = q.load(q.save(economy, tmp_path / "table"))
    pd.testing.assert_frame_equal(back.primary, economy.primary, check_exact=True)
    np.testing.assert_array_equal(back.total("g [k]"), [1, 2])
    np.testing.assert_array_equal(back.total("g"), [70, 10])


@pytest.mark.parametrize("name", ["region", "sector", "output", "final_demand", "Z", "primary", ""])
def test_a_primary_row_has_no_reserved_name(name: str) -> None:
    with pytest.raises(q.LabelError, match=f"primary: '{name}' is .*; rename the row"):
        small(primary=pd.DataFrame([[1.0, 2.0]], [name], SECTORS))
    with pytest.raises(q.LabelError, match=f"close: '{name}' is .*; give a name"):
        small().close(name)


def test_residuals_are_not_booked_as_a_satellite() -> None:
    with pytest.raises(q.LabelError, match=r"close: 'ghg' is .* a satellite"):
        small(satellites={"ghg": (DEMAND, "kt")}, close="ghg")


@pytest.mark.parametrize("where", ["sector", "region", "category", "input", "satellite", "unit"])
def test_a_lone_surrogate_is_refused_at_the_border(where: str) -> None:
    odd = {k: "x\ud800" if k == where else k for k in ("sector", "region", "category", "input", "satellite", "unit")}
    labels = pd.Index(["Farms", odd["sector"]], dtype=object)
    with pytest.raises(q.LabelError, match=r": 'x\\ud800' has a lone surrogate.*; rename it") as caught:
        q.Economy.from_frames(
            Z=Z.set_axis(labels).set_axis(labels, axis=1),
            Y=DEMAND.set_axis(labels).to_frame().set_axis(pd.Index([odd["category"]], dtype=object), axis=1),
            primary=pd.DataFrame([[1.0, 2.0]], pd.Index([odd["input"]], dtype=object), labels),
            satellites={odd["satellite"]: (DEMAND.set_axis(labels), odd["unit"])},
            region=odd["region"],
            currency="MUSD",
        )
    str(caught.value).encode()
    with pytest.raises(q.LabelError, match="lone surrogate"):
        small().aggregate(sectors=dict.fromkeys(SECTORS, "x\ud800"))
    with pytest.raises(q.LabelError, match="lone surrogate"):
        small().close("x\ud800")


def test_a_name_with_a_lone_surrogate_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(q.LabelError, match=r"save: 'x\\ud800' has a lone surrogate.*; rename it"):
        q.save(small(name="x\ud800"), tmp_path / "new" / "table")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("year", ["x", "2020", 2020.5, float("nan"), float("inf"), True, [2020]])
def test_a_year_is_a_whole_number(year) -> None:
    with pytest.raises(q.InputError, match=r"year is .*; give a whole number"):
        small(year=year)


@pytest.mark.parametrize("year", [2020, 2020.0, np.int32(2020), np.float64(2020)])
def test_a_whole_year_of_any_kind_is_kept(year) -> None:
    assert small(year=year).year == 2020
    assert type(small(year=year).year) is int


@pytest.mark.parametrize("fill", [float("nan"), float("inf"), "0"])
def test_what_is_not_mentioned_is_filled_with_a_finite_number(fill) -> None:
    with pytest.raises(q.InputError, match=r"align: fill is .*; give a finite number"):
        small().align({"Farms": 1.0}, fill=fill)


@pytest.mark.parametrize(
    ("sectors", "error", "message"),
    [
        (["Farms", "Mills"], q.InputError, "aggregate: sectors is a list; give a dict or Series"),
        ("All", q.InputError, "aggregate: sectors is a str"),
        ({"Farms": "All", "Mills": ""}, q.LabelError, "'Mills' is mapped to nothing; give it a new label"),
        (pd.Series({"Farms": "All", "Mills": ""}), q.LabelError, "'Mills' is mapped to nothing"),
        (pd.DataFrame({"": [1, 1]}, SECTORS), q.LabelError, "label of a column is empty; name every column"),
        (pd.DataFrame({np.nan: [1, 1]}, SECTORS), q.LabelError, "label of a column is empty"),
    ],
)
def test_aggregate_wants_a_label_for_every_sector(sectors, error, message: str) -> None:
    with pytest.raises(error, match=message):
        small().aggregate(sectors=sectors)
    if not isinstance(sectors, pd.DataFrame):
        with pytest.raises(error):
            small().aggregate(regions=sectors)


def test_the_note_says_when_the_primary_rows_leave_no_value_added() -> None:
    wages = pd.DataFrame([[60.0, 8.0], [10.0, 2.0]], ["Wages", "Taxes"], SECTORS)
    (note,) = (n for n in small(primary=wages).notes if n.action == "derived" and "value_added" in n.sentence)
    assert note.amount == 0
    assert "'Wages', 'Taxes' already add up to output; name one of them 'value_added'" in note.sentence
    (other,) = (n for n in small(primary=wages.iloc[1:]).notes if "value_added" in n.sentence)
    assert other.amount == 68
    assert "already" not in other.sentence
    assert not any("value_added" in n.sentence for n in small(primary=wages.rename({"Wages": "value_added"})).notes)


def test_an_outcome_has_the_unit_that_is_said_and_a_path_its_accounts(us2020: q.Economy) -> None:
    found = q.paths(us2020.A, us2020.final_demand, us2020.intensity("ghg"), count=20)
    data = us2020.label(found, outcome="kt CO2e")
    assert data.value.attrs["units"] == data.by_source.attrs["units"] == "kt CO2e"
    assert "units" not in us2020.label(found).value.attrs
    for k in range(20):
        steps = [", ".join(account) for account in us2020.index[found.sequence(k)]]
        assert [str(step) for step in data.accounts.values[k] if step] == steps
    lost = q.extraction(us2020.A, us2020.final_demand)
    assert us2020.label(lost).complete.attrs["units"] == us2020.currency


def test_arrays_first_asked_for_inside_a_compiled_function_are_arrays_outside() -> None:
    economy = small()
    total = jax.jit(lambda: economy.A.sum() + economy.final_demand.sum())()
    assert total == economy.A.sum() + economy.final_demand.sum()
