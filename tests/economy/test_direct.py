"""What final consumers emit themselves goes with the columns of final demand: kept by every verb, part of no intensity."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import quesnay as q

REGIONS, SECTORS, CATEGORIES = ("North", "South", "Isles"), ("Farms", "Mills"), ("Households", "Government")


def frames(seed: int) -> dict[str, Any]:
    """A balanced table of three regions; final consumers emit, and hold a few jobs, in some columns only."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([REGIONS, SECTORS], names=["region", "sector"])
    columns = pd.MultiIndex.from_product([REGIONS, CATEGORIES], names=["region", "category"])
    Z = rng.uniform(0, 10, (6, 6))
    Y = rng.uniform(5, 20, (6, 6))
    return {
        "Z": pd.DataFrame(Z, index, index),
        "Y": pd.DataFrame(Y, index, columns),
        "satellites": {
            "ghg": (pd.Series(rng.uniform(0, 5, 6), index), "kt CO2e"),
            "jobs": (pd.Series(rng.uniform(0, 5, 6), index), "persons"),
            "water": (pd.Series(rng.uniform(0, 5, 6), index), "m3"),
        },
        "direct": {
            "ghg": pd.Series(rng.uniform(0, 9, 6), columns),
            "jobs": pd.Series(rng.uniform(0, 9, 3), columns[::2]),
        },
        "currency": "MUSD",
    }


seeds = st.integers(0, 2**32 - 1)


def law(test):
    """Every example builds several tables, so that twenty of them are a second."""
    return settings(max_examples=20)(given(seeds)(test))


@law
def test_direct_is_in_the_order_of_final_demand_whatever_the_order_given(seed: int) -> None:
    table = frames(seed)
    economy = q.Economy.from_frames(**table)
    given_ghg = table["direct"]["ghg"]
    shuffled = given_ghg.sample(frac=1, random_state=seed % 1000)
    other = q.Economy.from_frames(**{**table, "direct": {"ghg": dict(shuffled)}})
    np.testing.assert_array_equal(economy.direct("ghg"), given_ghg)
    np.testing.assert_array_equal(other.direct("ghg"), given_ghg)
    assert list(economy.frame("direct").index) == list(economy.frame("Y").columns)
    pd.testing.assert_series_equal(economy.frame("direct")["ghg"], given_ghg, check_names=False)
    # What is not mentioned is zero: government's jobs, everyone's water.
    np.testing.assert_array_equal(np.asarray(economy.direct("jobs"))[1::2], 0)
    np.testing.assert_array_equal(economy.direct("water"), np.zeros(6))


@law
def test_direct_is_part_of_no_total_and_no_intensity(seed: int) -> None:
    table = frames(seed)
    with_own = q.Economy.from_frames(**table)
    without = q.Economy.from_frames(**{**table, "direct": None})
    for name in ("ghg", "jobs", "water"):
        np.testing.assert_array_equal(with_own.total(name), without.total(name))
        np.testing.assert_array_equal(with_own.intensity(name), without.intensity(name))


@law
def test_aggregation_conserves_direct_totals_by_category(seed: int) -> None:
    economy = q.Economy.from_frames(**frames(seed))
    merged = economy.aggregate(regions={"North": "Land", "South": "Land", "Isles": "Isles"})
    before, after = economy.frame("direct"), merged.frame("direct")
    assert list(after.index.get_level_values(0).unique()) == ["Land", "Isles"]
    pd.testing.assert_frame_equal(
        after.groupby(level="category").sum(), before.groupby(level="category").sum(), rtol=1e-14
    )
    np.testing.assert_allclose(after.loc["Land"], before.loc["North"] + before.loc["South"], rtol=1e-14)
    np.testing.assert_array_equal(after.loc["Isles"], before.loc["Isles"])
    np.testing.assert_array_equal(economy.aggregate(sectors=dict.fromkeys(SECTORS, "All")).frame("direct"), before)


@law
def test_a_region_keeps_its_own_consumers_and_the_note_says_what_the_others_emit(seed: int) -> None:
    economy = q.Economy.from_frames(**frames(seed))
    block = economy.select(regions=["South"])
    before, after = economy.frame("direct"), block.frame("direct")
    pd.testing.assert_frame_equal(after.loc[["South"]], before.loc[["South"]], check_exact=True)
    assert not after.loc["outside"].to_numpy().any()
    left = {note.unit: note.amount for note in block.notes if "final consumers outside" in note.sentence}
    rest = before.loc[["North", "Isles"]].sum()
    assert left == {"kt CO2e": pytest.approx(rest["ghg"]), "persons": pytest.approx(rest["jobs"])}


def apart(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the rows of a frame, each with an index of its own."""
    return {
        name: pd.Series(row.to_numpy(), pd.MultiIndex.from_tuples(list(row.index))) for name, row in frame.iterrows()
    }


@law
def test_rows_of_one_frame_are_aligned_as_rows_apart_are(seed: int) -> None:
    """Labels that several series share are looked up once; a series with others comes between them."""
    rng = np.random.default_rng(seed)
    table = frames(seed)
    names = ["ghg", "jobs", "water"]
    F = pd.DataFrame(rng.uniform(0, 5, (3, 6)), names, table["Z"].index).iloc[:, rng.permutation(6)]
    F_Y = pd.DataFrame(rng.uniform(0, 5, (3, 6)), names, table["Y"].columns).iloc[:, rng.permutation(6)[:4]]

    def made(satellites: dict[str, pd.Series], direct: dict[str, pd.Series]) -> q.Economy:
        pairs = {name: (values, "kt") for name, values in satellites.items()}
        return q.Economy.from_frames(**{**table, "satellites": pairs, "direct": direct})

    alone = made(apart(F), apart(F_Y))
    mixed = {"jobs": apart(F.iloc[:, ::-1])["jobs"]}, {"jobs": apart(F_Y.iloc[:, ::-1])["jobs"]}
    for satellites, direct in (
        ({name: F.loc[name] for name in names}, {name: F_Y.loc[name] for name in names}),
        (
            {name: F.loc[name] for name in names} | mixed[0],
            {name: F_Y.loc[name] for name in names} | mixed[1],
        ),
    ):
        other = made(satellites, direct)
        for name in ("satellites", "direct"):
            pd.testing.assert_frame_equal(other.frame(name), alone.frame(name), check_exact=True)
    np.testing.assert_array_equal(alone.frame("satellites").loc[F.columns].T, F)
    np.testing.assert_array_equal(alone.frame("direct").loc[F_Y.columns].T, F_Y)
    assert not alone.frame("direct").drop(F_Y.columns).to_numpy().any()


def test_the_series_that_is_wrong_is_named_where_several_share_their_labels() -> None:
    table = frames(7)
    F = pd.DataFrame(1.0, ["a", "b"], table["Z"].index[::-1])
    F.loc["b", ("South", "Mills")] = np.nan
    given = {name: (F.loc[name], "kg") for name in F.index}
    with pytest.raises(q.TableError, match=r"satellite 'b': 1 value.*'Mills' of region 'South'"):
        q.Economy.from_frames(**{**table, "satellites": given, "direct": {}})
    F_Y = pd.DataFrame(1.0, ["ghg", "jobs"], table["Y"].columns[::-1])
    F_Y.loc["jobs", ("Isles", "Households")] = np.inf
    with pytest.raises(
        q.TableError, match=r"direct 'jobs' of final consumers: 1 value.*'Households' of region 'Isles'"
    ):
        q.Economy.from_frames(**{**table, "direct": {name: F_Y.loc[name] for name in F_Y.index}})


@law
def test_moving_flows_to_new_columns_moves_no_emissions(seed: int) -> None:
    table = frames(seed)
    table["Z"].iloc[0, 1] = -1.0
    table["Y"].iloc[3] -= table["Y"].iloc[3].sum() / 6 + 0.2
    table["output"] = table["Z"].sum(axis=1) + table["Y"].sum(axis=1)
    economy = q.Economy.from_frames(**table)
    ready = economy.nonnegative()
    assert len(ready.frame("direct")) == 6 + 2
    np.testing.assert_array_equal(ready.frame("direct").iloc[:6], economy.frame("direct"))
    assert not ready.frame("direct").iloc[6:].to_numpy().any()
    wrong = {**table, "output": table["output"] * 1.001}
    closed = q.Economy.from_frames(**wrong, close="Gap")
    np.testing.assert_array_equal(closed.frame("direct").iloc[:6], economy.frame("direct"))
    assert not closed.direct("ghg")[6:].any()


@law
def test_direct_comes_back_from_its_file_to_the_bit(seed: int) -> None:
    economy = q.Economy.from_frames(**frames(seed)).nonnegative()
    with tempfile.TemporaryDirectory() as folder:
        path = q.save(economy, Path(folder, "table"))
        header = (path / "direct.csv").read_text(encoding="utf-8").splitlines()[0]
        back = q.load(path)
    assert header == "region,category,ghg [kt CO2e],jobs [persons]"
    pd.testing.assert_frame_equal(back.frame("direct"), economy.frame("direct"), check_exact=True)
    assert "direct.csv" in back.source


def test_there_is_no_file_where_consumers_emit_nothing(tmp_path: Path, us2020: q.Economy) -> None:
    assert not (q.save(us2020, tmp_path / "table") / "direct.csv").exists()
    assert "of final consumers themselves" not in repr(us2020)


def test_the_economy_shows_what_consumers_emit_themselves() -> None:
    economy = q.Economy.from_frames(**frames(1))
    (line,) = (line for line in repr(economy).splitlines() if line.startswith("  ghg"))
    own = float(economy.direct("ghg").sum())
    assert line.endswith(f"kt CO2e, and {own:.4f} of final consumers themselves")
    assert "of final consumers themselves" in economy._repr_html_()
    assert sum("themselves" in line for line in repr(economy).splitlines()) == 2


def test_a_total_of_final_demand_has_one_column_of_direct_emissions() -> None:
    table = frames(2)
    demand = table.pop("Y").sum(axis=1)
    table["direct"] = {"ghg": {("all", "final demand"): 3.0}, "jobs": {"final demand": 2.0}}
    economy = q.Economy.from_frames(**table, final_demand=demand)
    np.testing.assert_array_equal(economy.frame("direct").loc[("all", "final demand")], [3, 2, 0])


@pytest.mark.parametrize(
    ("direct", "error", "message"),
    [
        ({"ghf": pd.Series(dtype=float)}, q.LabelError, "direct: the table has no 'ghf'; did you mean 'ghg'?"),
        ({"ghg": {("North", "Householts"): 1.0}}, q.LabelError, "direct 'ghg' of final consumers: .*'Householts'"),
        ({"ghg": {"Households": 1.0}}, q.LabelError, "without a region, in a table of several regions"),
        ({"ghg": {("North", "Households"): np.nan}}, q.TableError, "direct 'ghg' .* missing or infinite"),
        ({"ghg": {("North", "Households"): np.inf}}, q.TableError, "direct 'ghg' .* missing or infinite"),
        ({"ghg": {("North", "Households"): "3"}}, q.TableError, "direct 'ghg' .*holds '3', which is not a number"),
        ({"ghg": [1.0]}, q.InputError, "direct 'ghg' of final consumers is a list"),
    ],
)
def test_wrong_direct_emissions_are_refused(direct: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        q.Economy.from_frames(**{**frames(3), "direct": direct})


def test_a_nan_in_the_ledger_is_refused_as_well() -> None:
    economy = q.Economy.from_frames(**frames(3))
    direct = economy.ledger.direct.copy()
    direct[0, 2] = np.nan
    with pytest.raises(q.TableError, match=r"direct 'ghg' of final consumers: 1 value.*'Households' of region 'South'"):
        q.Economy(dataclasses.replace(economy.ledger, direct=direct), "MUSD")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("region,category,co2 [kt CO2e]", "direct.csv: the table has no 'co2'"),
        ("region,category,ghg [t CO2e]", "direct.csv: 'ghg' is in 't CO2e' and in 'kt CO2e' in accounts.csv"),
        ("region,category,ghg", "direct.csv: the column 'ghg' is not a satellite with its unit"),
        ("region,sector,ghg [kt CO2e]", "direct.csv needs the columns region and category"),
    ],
)
def test_a_wrong_file_of_direct_emissions_is_refused(header: str, message: str, tmp_path: Path) -> None:
    path = q.save(q.Economy.from_frames(**frames(4)), tmp_path / "table")
    (path / "direct.csv").write_text(f"{header}\nNorth,Households,1\n", encoding="utf-8")
    with pytest.raises(q.QuesnayError) as caught:
        q.load(path)
    assert message in str(caught.value)


def test_an_unknown_name_is_met_by_the_nearest() -> None:
    with pytest.raises(q.LabelError, match="direct: the table has no 'GHG'; did you mean 'ghg'"):
        q.Economy.from_frames(**frames(5)).direct("GHG")


def test_a_primary_input_is_not_called_direct() -> None:
    table = frames(6)
    row = pd.DataFrame([[1.0] * 6], ["direct"], table["Z"].index)
    with pytest.raises(q.LabelError, match=r"primary: 'direct' is .*; rename the row"):
        q.Economy.from_frames(**table, primary=row)


def test_pymrio_s_emissions_of_final_consumers_are_kept() -> None:
    """pymrio's consumption-based accounts by region, F_Y included, are our footprints plus the direct emissions."""
    pymrio = pytest.importorskip("pymrio")
    system = pymrio.load_test().calc_all()
    economy = q.from_pymrio(system)
    assert not any("left out" in note.sentence for note in economy.notes)
    extension = system.emissions
    names = [f"Emissions: {', '.join(label)}" for label in extension.F.index]
    assert system.Z is not None  # the user's own system keeps its flows
    own = economy.frame("direct")[names]
    np.testing.assert_array_equal(own.loc[extension.F_Y.columns].T, extension.F_Y)
    Y = economy.frame("Y").T.groupby(level="region").sum().T
    for k, name in enumerate(names):
        multipliers = np.asarray(q.footprint(economy.A, economy.intensity(name)))
        ours = pd.Series(multipliers @ Y.to_numpy(), Y.columns) + own[name].groupby(level="region").sum()
        np.testing.assert_allclose(ours[extension.D_cba_reg.columns], extension.D_cba_reg.iloc[k], rtol=1e-12)


def test_direct_emissions_per_unit_of_demand_are_enough_for_pymrio() -> None:
    pymrio = pytest.importorskip("pymrio")
    system = pymrio.load_test().calc_all()
    expected = q.from_pymrio(system).frame("direct")
    bare = system.copy()
    assert bare.emissions.S_Y is not None
    bare.emissions.F_Y = None
    np.testing.assert_allclose(q.from_pymrio(bare).frame("direct"), expected, rtol=1e-14)
