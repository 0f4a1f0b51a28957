"""FIGARO's tables in both forms and by industries and products, and what is refused in them."""

import re
from pathlib import Path

import numpy as np
import pytest

import quesnay as q
from economy.formats import assert_same, figaro_flat, figaro_matrix, figaro_table, pack
from quesnay.economy.readers import figaro, parse_figaro

NAMES = {
    "23rd edition": "{form}_eu-ic-io_ind-by-ind_23ed_2021.csv",
    "2022 edition": "{form}_eu-ic-io_ind-by-ind_2021.csv",
    "second version": "{form}_eu-ic-io_ind-by-ind_25ed_2021_v2.csv",
    "by regions": "{form}_FIGARO-e-ic-io-D_ind-by-ind_millionEUR_2021.csv",
}
WRITERS = {"matrix": figaro_matrix, "flatfile": figaro_flat}


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("packed", [False, True], ids=["file", "archive"])
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_figaro_equals_the_table(form: str, packed: bool, name: str, tmp_path: Path) -> None:
    table = figaro_table(1)
    folder = tmp_path / "figaro"
    folder.mkdir()
    path = WRITERS[form](table, folder / name.format(form=form))
    if packed:
        path = pack(folder, tmp_path / path.with_suffix(".zip").name)
    economy = q.load(path)
    assert_same(economy, table, {"factor_inputs: D1": 0.5 * table.added, "B2A3G": 0.4 * table.added}, {})
    assert (economy.year, economy.currency, economy.name) == (2021, "MEUR", "FIGARO")
    assert economy.source.keys() == {path.name}
    assert ("FIGW1", "P85") in economy.index


def test_both_forms_are_the_same_table_by_products(tmp_path: Path) -> None:
    table = figaro_table(2, products=True)
    matrix = figaro(figaro_matrix(table, tmp_path / "matrix_eu-ic-io_prod-by-prod_24ed_2019.csv"))
    flat = figaro(figaro_flat(table, tmp_path / "flatfile_eu-ic-io_prod-by-prod_24ed_2019.csv", letter="Pp"))
    assert_same(matrix, table, {}, {})
    assert_same(flat, table, {}, {})
    assert matrix.sectors == ("CPA_A01", "CPA_C10T12", "CPA_P85")


def test_one_of_several_years_and_kinds_is_chosen(tmp_path: Path) -> None:
    tables = {(y, p): figaro_table(10 * y + p, products=p) for y in (2018, 2019) for p in (False, True)}
    for (year, products), table in tables.items():
        kind = "prod-by-prod" if products else "ind-by-ind"
        figaro_matrix(table, tmp_path / f"matrix_eu-ic-io_{kind}_24ed_{year}.csv")
    for year, products in tables:
        assert_same(figaro(tmp_path, year=year, products=products), tables[year, products], {}, {})
    with pytest.raises(q.InputError, match="years 2018, 2019; pass one"):
        figaro(tmp_path)
    with pytest.raises(q.InputError, match="years 2018, 2019; pass one"):
        figaro(tmp_path, year=1999)


def test_the_parser_gives_what_pymrio_computes_with(tmp_path: Path) -> None:
    """pymrio's own accounts of the parsed system: the inputs, value added included, make up output."""
    table = figaro_table(3)
    system = parse_figaro(figaro_matrix(table, tmp_path / "matrix_eu-ic-io_ind-by-ind_25ed_2020.csv"))
    system.calc_all()
    np.testing.assert_allclose(system.Z.sum() + system.factor_inputs.F.sum(), system.x["indout"], rtol=1e-12)
    np.testing.assert_allclose(system.factor_inputs.D_cba.sum(axis=1), system.factor_inputs.F.sum(axis=1), rtol=1e-9)
    assert (system.meta.name, system.meta.system, system.meta.version) == ("FIGARO", "ixi", "25")
    assert list(system.factor_inputs.F.index) == ["D21X31", "OP_RES", "OP_NRES", "D1", "D29X39", "B2A3G"]
    assert set(system.unit["unit"]) == {"MEUR"}


def test_cells_that_a_flat_file_leaves_out_are_counted(tmp_path: Path) -> None:
    table = figaro_table(4)
    path = figaro_flat(table, tmp_path / "flatfile_eu-ic-io_ind-by-ind_23ed_2021.csv")
    lines = path.read_text().splitlines()
    kept = [line for line in lines if "W2_OP_" not in line]
    path.write_text("\n".join(kept))
    economy = figaro(path)
    assert_same(economy, table, {}, {})
    kept = [line for line in kept if not line.startswith("W2_D1,") or "P3_S13" in line]
    path.write_text("\n".join(kept))
    notes = [note for note in figaro(path).notes if "not in the flat file" in note.sentence]
    assert notes[0].amount == len(table.index) + 12


BAD = {
    "a cell with text": (
        lambda s: re.sub(r"\nAT_A01,[^,]*,", "\nAT_A01,much,", s),
        "holds 'much', which is not a number",
    ),
    "an empty cell": (lambda s: s[: s.rindex(",", 0, s.rindex(","))] + ",," + s[s.rindex(",") + 1 :], "is empty"),
    "a row twice": (lambda s: s + s.splitlines()[2] + "\n", "given twice"),
    "a row too few": (lambda s: "\n".join(s.splitlines()[:3] + s.splitlines()[4:]), "columns without a row"),
    "no final use": (lambda s: s.replace("_P3_", "_Q3_").replace("_P5", "_Q5"), "row"),
    "labels without a region": (lambda s: s.replace("DE_A01", "Farms"), "does not name a region"),
    "nothing": (lambda s: "", "EmptyDataError"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_broken_matrix_is_refused(name: str, tmp_path: Path) -> None:
    change, said = BAD[name]
    path = figaro_matrix(figaro_table(5), tmp_path / "matrix_eu-ic-io_ind-by-ind_23ed_2021.csv")
    path.write_text(change(path.read_text()))
    with pytest.raises(q.TableError) as caught:
        figaro(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


BAD_FLAT = {
    "a cell twice": (lambda s: s + s.splitlines()[5] + "\n", "given more than once"),
    "an empty value": (lambda s: s.rstrip("\n").rsplit(",", 1)[0] + ",\n", "could not convert"),
    "no value column": (lambda s: s.replace("obsValue", "value"), "not a number"),
    "supply and use": (lambda s: s.replace("rowIi", "row").replace("colIi", "col"), "one column row.."),
}


@pytest.mark.parametrize("name", BAD_FLAT)
def test_a_broken_flat_file_is_refused(name: str, tmp_path: Path) -> None:
    change, said = BAD_FLAT[name]
    path = figaro_flat(figaro_table(6), tmp_path / "flatfile_eu-ic-io_ind-by-ind_23ed_2021.csv")
    path.write_text(change(path.read_text()))
    with pytest.raises(q.TableError) as caught:
        figaro(path)
    assert said in str(caught.value)
