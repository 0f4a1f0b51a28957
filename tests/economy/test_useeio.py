"""USEEIO models: the published total intensities and inverses, every layout of the files, and what is wrong with them."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import quesnay as q
from quesnay.economy.readers.archives import Limits
from quesnay.economy.readers.useeio import useeio

US, GEORGIA = "useeio_us_411_2012", "useeio_georgia_2region_2020"
TOLERANCE = 1e-12


def relative(value, expected) -> float:
    """Return the largest error relative to the largest expected entry of its row (entries near zero carry no digits)."""
    value, expected = np.atleast_2d(np.asarray(value)), np.atleast_2d(np.asarray(expected))
    return float(np.max(np.abs(value - expected) / np.max(np.abs(expected), axis=1, keepdims=True)))


def ids(economy: q.Economy) -> list[str]:
    return [f"{code}/{location}" for location, code in economy.index]


@pytest.mark.parametrize("folder", [US, GEORGIA])
@pytest.mark.parametrize("domestic", [False, True])
def test_total_intensities_are_the_published_ones(shared_data: Path, folder: str, domestic: bool) -> None:
    """`N = D inv(I - A)` (Ingwersen et al. 2022), commodities left out for their negative output having none."""
    pytest.importorskip("pyarrow")
    published = pd.read_csv(shared_data / folder / f"N{'_d' * domestic}.csv", index_col=0)
    economy = useeio(shared_data / folder, domestic=domestic)
    D = jnp.stack([economy.intensity(name) for name in published.index])
    assert relative(q.footprint(economy.A, D), published[ids(economy)]) <= TOLERANCE
    left = published.columns.difference(ids(economy))
    assert not published[left].to_numpy().any()
    assert len(left) == (2 if folder == US else 0)


@pytest.mark.parametrize("domestic", [False, True])
def test_inverses_are_the_published_ones(shared_data: Path, domestic: bool) -> None:
    pytest.importorskip("pyarrow")
    published = pd.read_parquet(shared_data / GEORGIA / f"L{'_d' * domestic}_published.parquet")
    economy = useeio(shared_data / GEORGIA, domestic=domestic)
    L = q.solve(q.Leontief(economy.A), jnp.eye(economy.n)).value
    assert relative(L, published.loc[ids(economy), ids(economy)]) <= TOLERANCE


def test_the_us_has_the_published_totals(shared_data: Path) -> None:
    pytest.importorskip("pyarrow")
    total, domestic = useeio(shared_data / US), useeio(shared_data / US, domestic=True)
    for economy, radius in ((total, 0.5145), (domestic, 0.4814)):
        # The README: GHG 4,919 Mt, jobs 126.5 million, value added 16.20 trillion, spectral radii of A and A_d.
        assert economy.spectral_radius == pytest.approx(radius, abs=5e-5)
        assert float(economy.total("GHG").sum()) == pytest.approx(4_919e9, rel=2e-4)
        assert float(economy.total("JOBS").sum()) == pytest.approx(126.5e6, rel=5e-4)
        assert float(economy.value_added.sum()) == pytest.approx(16.20e12, rel=5e-4)
        assert economy.balance().row_share < 1e-15
        assert economy.balance().column_share < 1e-4
        assert (economy.currency, economy.year, economy.name, economy.n) == ("USD", 2012, US, 409)
        assert any("S00402" in note.sentence and "S00300" in note.sentence for note in economy.notes)
    # GDP from either side: value added is final demand less what was imported for inputs.
    for economy in (total, domestic):
        gdp = float(economy.final_demand.sum() - economy.imports.sum())
        assert gdp == pytest.approx(float(economy.value_added.sum()), rel=1e-4)
    assert float(domestic.imports.sum()) > float(total.imports.sum()) > 0


def test_demand_vectors_meet_the_output_that_they_are_of(shared_data: Path) -> None:
    """The README: inv(I - A) of production returns output within 8e-6 of the US, 1e-4 in Georgia."""
    pytest.importorskip("pyarrow")
    names = ["2020_US-GA_Production_Domestic", "2020_RoUS_Production_Domestic"]
    economy = useeio(shared_data / GEORGIA, demand=names, domestic=True)
    assert list(economy.frame("Y").columns) == [("US-GA", names[0]), ("RoUS", names[1])]
    assert economy.balance().row_share < 1e-7
    table = pd.read_csv(shared_data / GEORGIA / "demands.csv", index_col=0)
    np.testing.assert_array_equal(economy.Y, table.loc[ids(economy), names])
    with pytest.raises(q.TableError, match="The rows do not add up"):
        useeio(shared_data / US, demand="2012_US_Consumption_Complete")
    with pytest.raises(
        q.LabelError, match=r"no demand '2012_US_Production_Complet'.*did you mean '2012_US_Production_Complete'"
    ):
        useeio(shared_data / US, demand="2012_US_Production_Complet")


# A model of two goods in two places, and one commodity of negative output that uses nothing and emits nothing.
LABELS = ["11/GA", "22/GA", "11/RoUS", "22/RoUS", "S004/RoUS"]
CODES, UNITS = ["GHG", "VADD"], ["kg CO2 eq", "$"]
OUTPUT = np.array([100.0, 50, 300, 200, -1])
INPUTS = np.random.default_rng(5).uniform(0.02, 0.15, (5, 5)) * (OUTPUT > 0)
DOMESTIC = 0.8 * INPUTS
INTENSITIES = np.vstack([[2.0, 9, 3, 8, 0], (1 - INPUTS.sum(axis=0)) * (OUTPUT > 0)])
DEMAND = OUTPUT - INPUTS @ OUTPUT
MATRICES = {"A": INPUTS, "A_d": DOMESTIC, "D": INTENSITIES, "q": OUTPUT[:, None]}
NAMES = {"A": (LABELS, LABELS), "A_d": (LABELS, LABELS), "D": (CODES, LABELS), "q": (LABELS, ["q"])}


def labelled(name: str) -> pd.DataFrame:
    return pd.DataFrame(MATRICES[name], *NAMES[name])


def as_csv(folder: Path) -> None:
    for name in MATRICES:
        # In another order than the sectors': labels decide.
        labelled(name).iloc[::-1].to_csv(folder / f"{name}.csv")


def as_plain_csv(folder: Path) -> None:
    for name in MATRICES:
        labelled(name).to_csv(folder / f"{name}.csv", index=False, header=name != "D")


def as_json(folder: Path) -> None:
    (folder / "matrix").mkdir()
    for name, values in MATRICES.items():
        (folder / "matrix" / f"{name}.json").write_text(json.dumps(values.tolist()), encoding="utf-8")


def as_bin(folder: Path) -> None:
    for name, values in MATRICES.items():
        cells = np.asfortranarray(values).tobytes(order="F")
        (folder / f"{name}.bin").write_bytes(struct.pack("<2i", *values.shape) + cells)


def as_parquet(folder: Path) -> None:
    pytest.importorskip("pyarrow")
    for name in MATRICES:
        labelled(name).to_parquet(folder / f"{name}.parquet")


def write(folder: Path, matrices: Callable[[Path], None] = as_csv, kind: str = "csv") -> Path:
    folder.mkdir(parents=True)
    matrices(folder)
    sectors = pd.DataFrame({"Index": range(5), "ID": LABELS, "Name": LABELS}).iloc[::-1]
    indicators = pd.DataFrame({"index": [0, 1], "id": ["x/GHG/kg", "y/VADD/$"], "code": CODES, "unit": UNITS})
    for name, table in (("sectors", sectors), ("indicators", indicators)):
        if kind == "csv":
            table.to_csv(folder / f"{name}.csv", index=False)
        else:
            table.to_json(folder / f"{name}.json", orient="records")
    pd.DataFrame({"id": ["2020_US_Production_Complete"], "year": [2020]}).to_csv(folder / "demands.csv", index=False)
    (folder / "demands").mkdir()
    entries = [{"sector": label, "amount": value} for label, value in zip(LABELS, DEMAND, strict=True)]
    (folder / "demands" / "2020_US_Production_Complete.json").write_text(json.dumps(entries), encoding="utf-8")
    return folder


@pytest.mark.parametrize("matrices", [as_csv, as_plain_csv, as_json, as_bin, as_parquet])
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_every_layout_of_the_export_is_the_same_table(matrices, kind: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "build" / "api" / "MODEL", matrices, kind)
    economy = useeio(tmp_path)
    keep = slice(0, 4)
    assert list(economy.index) == [("GA", "11"), ("GA", "22"), ("RoUS", "11"), ("RoUS", "22")]
    np.testing.assert_allclose(economy.A, INPUTS[keep, keep], rtol=1e-14)
    np.testing.assert_array_equal(economy.output, OUTPUT[keep])
    np.testing.assert_allclose(economy.total("GHG"), INTENSITIES[0, keep] * OUTPUT[keep], rtol=1e-14)
    np.testing.assert_allclose(economy.imports, (INPUTS * OUTPUT)[4, keep], rtol=1e-14)
    assert (economy.unit("GHG"), economy.year, economy.name) == ("kg CO2 eq", 2020, "MODEL")
    state = economy.balance()
    assert max(state.rows.abs().max(), state.columns.abs().max()) < 1e-12
    assert all(len(digest) == 64 for digest in economy.source.values())
    assert {Path(file).stem for file in economy.source} == {"A", "D", "q", "sectors", "indicators"}
    same = useeio(folder, demand="2020_US_Production_Complete")
    assert same.balance().row_share < 1e-15
    np.testing.assert_allclose(same.final_demand, DEMAND[keep], rtol=1e-12)


def test_the_domestic_table_books_the_imported_inputs(tmp_path: Path) -> None:
    economy = useeio(write(tmp_path / "m"), domestic=True)
    flows, keep = INPUTS * OUTPUT, slice(0, 4)
    np.testing.assert_allclose(economy.Z, 0.8 * flows[keep, keep], rtol=1e-14)
    np.testing.assert_allclose(economy.imports, 0.2 * flows[keep, keep].sum(axis=0) + flows[4, keep], rtol=1e-13)
    np.testing.assert_allclose(economy.final_demand, OUTPUT[keep] - 0.8 * flows[keep, keep].sum(axis=1), rtol=1e-13)
    assert economy.balance().column_share < 1e-15


def test_a_sector_of_negative_output_that_uses_inputs_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    A = labelled("A")
    A.loc["11/GA", "S004/RoUS"] = 0.1
    A.to_csv(folder / "A.csv")
    with pytest.raises(q.TableError, match="The output of 1 account is negative: sector 'S004' of region 'RoUS'"):
        useeio(folder)


def test_a_model_of_industries_has_industry_output(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    (folder / "q.csv").rename(folder / "x.csv")
    pd.DataFrame({"q": [1.0, 2, 3]}, ["c1/US", "c2/US", "c3/US"]).to_csv(folder / "q.csv")
    np.testing.assert_array_equal(useeio(folder).output, OUTPUT[:4])


def test_value_added_is_the_rest_where_there_is_no_indicator_of_it(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    table = pd.read_csv(folder / "indicators.csv")
    table.assign(unit=["kg CO2 eq", "hours"]).to_csv(folder / "indicators.csv", index=False)
    economy = useeio(folder)
    assert any("value_added was not given" in note.sentence for note in economy.notes)
    assert economy.unit("VADD") == "hours"


def _drop(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _text(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text, encoding="utf-8")


def _rename(name: str, old: str, new: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text((folder / name).read_text().replace(old, new))


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (_drop("D.csv"), q.TableError, r"has no D \(.parquet, .csv, .json or .bin\); add it"),
        (_drop("A.csv"), q.TableError, "has no A "),
        (_drop("q.csv"), q.TableError, r"There is no output q \(or x\) of the 5 accounts of A"),
        (
            _drop("indicators.csv"),
            q.TableError,
            "There is no indicators.csv or indicators.json with the columns code and unit",
        ),
        (_text("A.csv", ""), q.TableError, "A.csv: it is empty"),
        (_text("A.csv", "1,2\n3,4\n"), q.TableError, "A has 2 rows where the model has 5"),
        (_text("D.csv", "1,2\n3\n4,5,6,7\n"), q.TableError, "D.csv is no .csv file"),
        (_rename("A.csv", "11/GA", "12/GA"), q.LabelError, "A: the table has no '12/GA'; did you mean '../GA'"),
        (_rename("D.csv", "GHG", "GHH"), q.LabelError, "D: the table has no 'GHH'; did you mean 'GHG'"),
        (
            _rename("D.csv", "9.0", "NaN"),
            q.TableError,
            "D: 1 value.* missing or infinite, the first at 'GHG', column '22/GA'",
        ),
        (_rename("D.csv", "9.0", "none"), q.TableError, "D: the cell at 'GHG', column '22/GA' holds"),
        (_rename("sectors.csv", "22/GA", "11/GA"), q.LabelError, "sectors: '11/GA' is given more than once"),
        (
            _rename("sectors.csv", "4,S", "four,S"),
            q.TableError,
            "sectors.csv: the column index holds 'four', which is no",
        ),
        (_rename("sectors.csv", "4,S", "3,S"), q.TableError, "sectors.csv: the column index holds '3', .* given twice"),
        (_rename("sectors.csv", "Name", "id"), q.LabelError, "columns of sectors.csv: 'id' is given more than once"),
        (
            _rename("indicators.csv", "GHG,kg CO2 eq", "GHG,"),
            q.TableError,
            "indicators: the column unit is empty in row 1",
        ),
        (
            _text("A.csv", "x,a\n1,2,3,4\n5,6,7,8\n"),
            q.TableError,
            "A.csv: it has more than one row or column of labels",
        ),
        (
            lambda folder: (folder / "link.csv").symlink_to("/dev/null"),
            q.TableError,
            "'link.csv' is a link that leads out",
        ),
        (lambda folder: os.mkfifo(folder / "D_d.csv"), q.TableError, "'D_d.csv' is neither a file nor a folder"),
    ],
)
def test_a_broken_model_is_refused_in_a_sentence(damage, error, message: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    damage(folder)
    with pytest.raises(error, match=message) as caught:
        useeio(folder)
    assert str(caught.value).startswith(str(folder)) or str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("entries", "error", "message"),
    [
        ([{"sector": "99/GA", "amount": 1.0}], q.LabelError, "Complete': the table has no '99/GA'; did you mean"),
        ([{"sector": "11/GA", "amount": 1.0}] * 2, q.LabelError, "Complete': '11/GA' is given more than once"),
        ([{"sector": "11/GA", "amount": 10**400}], q.TableError, "Complete.json is no .json file .OverflowError"),
        ([{"sector": "11/GA"}], q.TableError, "Complete.json is no .json file .KeyError: 'amount'"),
        (["11/GA"], q.TableError, "Complete.json is no .json file .TypeError"),
    ],
)
def test_a_broken_demand_vector_is_refused(entries: list, error, message: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    (folder / "demands" / "2020_US_Production_Complete.json").write_text(json.dumps(entries), encoding="utf-8")
    with pytest.raises(error, match=message):
        useeio(folder, demand="2020_US_Production_Complete")


@pytest.mark.parametrize("limits", [Limits(members=3), Limits(single=100), Limits(total=500)])
def test_a_model_beyond_the_limits_is_refused(limits: Limits, tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    useeio(folder)
    with pytest.raises(q.TableError, match=r"raise limits\.(members|single|total)"):
        useeio(folder, limits=limits)


def test_a_number_too_large_for_a_float_is_no_number(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", as_json)
    (folder / "matrix" / "q.json").write_text(json.dumps([[10**400], [1], [1], [1], [1]]))
    with pytest.raises(q.TableError, match=r"holds 1000+\.\.\., which is not a number"):
        useeio(folder)


@pytest.mark.parametrize("cut", [4, 12, -8])
def test_a_binary_matrix_that_is_cut_off_is_refused(cut: int, tmp_path: Path) -> None:
    folder = write(tmp_path / "m", as_bin)
    data = (folder / "A.bin").read_bytes()
    (folder / "A.bin").write_bytes(data[:cut])
    with pytest.raises(q.TableError, match=r"A.bin: it says \d rows and \d columns and has \d+ bytes"):
        useeio(folder)


def test_a_folder_of_several_models_or_of_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(q.TableError, match="There is no folder"):
        useeio(tmp_path / "nowhere")
    with pytest.raises(q.TableError, match="has no matrix A"):
        useeio(tmp_path)
    write(tmp_path / "one")
    write(tmp_path / "two", as_json)
    with pytest.raises(q.LabelError, match=r"holds 2 models .'one', 'two'.; give the folder of one"):
        useeio(tmp_path)


def test_parquet_without_pyarrow_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "m", as_parquet)

    def missing(*_, **__):
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(pd, "read_parquet", missing)
    with pytest.raises(
        q.InputError, match=r"Reading A.parquet needs pyarrow, which is not installed; run `pip install pyarrow`\."
    ):
        useeio(folder)
