"""A workbook and its mapping: the table comes out whole, and every mistake is named with the cell it is in."""

import hashlib
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import quesnay as q
from quesnay.economy.readers.excel import excel

openpyxl = pytest.importorskip("openpyxl")
chart = pytest.importorskip("openpyxl.chart")

MAPPING = """
workbook = "table.xlsx"
sheet = "SIOT"
currency = "MEUR"
year = 1995
name = "small"
region = "Here"
output = "C9:D9"

[Z]
cells = "C4:D5"
rows = "B4:B5"
columns = "C3:D3"

[Y]
cells = "E4:F5"
columns = "E3:F3"

[primary]
cells = "C7:D8"
rows = "B7:B8"
[primary.names]
"Value added" = "value_added"

[satellites.ghg]
unit = "kt CO2e"
cells = "'Air, emissions'!B2:B3"
direct = "'Air, emissions'!B4:B5"
"""
CELLS = {
    "B1": "Input-output table",
    "C3": "Farms",
    "D3": "Mills",
    "E3": "Households",
    "F3": "Exports",
    "B4": "Farms",
    "C4": 10,
    "D4": 20,
    "E4": 40.5,
    "F4": 29.5,
    "B5": "Mills",
    "C5": 20,
    "D5": 10,
    "E5": 6,
    "F5": 4,
    "B7": "Imports of inputs",
    "C7": 5,
    "D7": 2,
    "B8": "Value added",
    "C8": 65,
    "D8": 8,
    "B9": "Output",
    "C9": 100,
    "D9": 40,
}
EMISSIONS = {"A1": "Sector", "B1": "kt", "A2": "Farms", "B2": 50, "A3": "Mills", "B3": 8, "B4": 7, "B5": 0}


def write(folder: Path, mapping: str = MAPPING, cells: dict[str, Any] | None = None, **emissions: Any) -> Path:
    """Write the workbook and the mapping, with some cells changed; a cell that is None is empty."""
    book = openpyxl.Workbook()
    book.active.title = "SIOT"
    for address, value in (CELLS | (cells or {})).items():
        book.active[address] = value
    page = book.create_sheet("Air, emissions")
    for address, value in (EMISSIONS | emissions).items():
        page[address] = value
    book.create_chartsheet("Chart").add_chart(chart.BarChart())
    book.save(folder / "table.xlsx")
    (folder / "table.toml").write_text(mapping, encoding="utf-8")
    return folder / "table.toml"


def test_a_workbook_is_read_as_its_mapping_says(tmp_path: Path) -> None:
    path = write(tmp_path)
    economy = excel(path)
    assert list(economy.index) == [("Here", "Farms"), ("Here", "Mills")]
    np.testing.assert_array_equal(economy.Z, [[10, 20], [20, 10]])
    np.testing.assert_array_equal(economy.Y, [[40.5, 29.5], [6, 4]])
    np.testing.assert_array_equal(economy.output, [100, 40])
    np.testing.assert_array_equal(economy.value_added, [65, 8])
    np.testing.assert_array_equal(economy.total("Imports of inputs"), [5, 2])
    np.testing.assert_array_equal(economy.total("ghg"), [50, 8])
    np.testing.assert_array_equal(economy.frame("direct").loc[("Here", "Households"), "ghg"], 7)
    assert (economy.currency, economy.year, economy.name, economy.unit("ghg")) == ("MEUR", 1995, "small", "kt CO2e")
    assert economy.source == {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("table.toml", "table.xlsx")
    }


def test_two_levels_of_labels_are_regions_and_sectors(tmp_path: Path) -> None:
    cells = {"A4": "North", "A5": "South", "C2": "North", "D2": "South", "E2": "North", "F2": "abroad"}
    mapping = MAPPING.replace('"B4:B5"', '"A4:B5"').replace('"C3:D3"', '"C2:D3"').replace('"E3:F3"', '"E2:F3"')
    economy = excel(write(tmp_path, mapping, cells))
    assert list(economy.index) == [("North", "Farms"), ("South", "Mills")]
    assert list(economy.frame("Y").columns) == [("North", "Households"), ("abroad", "Exports")]


def test_rows_and_columns_are_matched_by_label_where_they_have_labels(tmp_path: Path) -> None:
    swapped = {"C3": "Mills", "D3": "Farms", "C4": 20, "D4": 10, "C5": 10, "D5": 20}
    # What stands in a row goes with the columns, what stands in a column with the rows.
    swapped |= {"C7": 2, "D7": 5, "C8": 8, "D8": 65, "C9": 40, "D9": 100}
    economy = excel(write(tmp_path, MAPPING, swapped))
    straight = q.Economy.from_frames(
        Z=pd.DataFrame([[10.0, 20], [20, 10]], ["Farms", "Mills"], ["Farms", "Mills"]),
        final_demand={"Farms": 70.0, "Mills": 10.0},
        currency="MEUR",
    )
    np.testing.assert_array_equal(economy.Z, straight.Z)
    np.testing.assert_array_equal(economy.output, straight.output)
    np.testing.assert_array_equal(economy.value_added, [65, 8])
    np.testing.assert_array_equal(economy.total("ghg"), [50, 8])


def test_codes_that_are_numbers_are_labels(tmp_path: Path) -> None:
    economy = excel(write(tmp_path, cells={"B4": 1, "C3": 1, "B5": 10.1, "D3": "10.1"}))
    assert economy.sectors == ("1", "10.1")


def test_final_demand_may_be_one_column(tmp_path: Path) -> None:
    mapping = MAPPING.replace('[Y]\ncells = "E4:F5"\ncolumns = "E3:F3"\n', "")
    mapping = mapping.replace('output = "C9:D9"', 'final_demand = "E4:E5"').replace(
        "\ndirect = \"'Air, emissions'!B4:B5\"", ""
    )
    economy = excel(write(tmp_path, mapping, {"E4": 70, "E5": 10}))
    np.testing.assert_array_equal(economy.final_demand, [70, 10])
    np.testing.assert_array_equal(economy.output, [100, 40])


def test_empty_cells_are_what_the_mapping_says(tmp_path: Path) -> None:
    cells = {"D5": None, "D9": 30, "D8": 8}
    with pytest.raises(q.TableError, match=r"The cell SIOT!D5 is empty; fill it, or write blank = 0\.0"):
        excel(write(tmp_path, cells=cells))
    path = write(tmp_path, "blank = 0.0\n" + MAPPING, cells)
    np.testing.assert_array_equal(excel(path).Z, [[10, 20], [20, 0]])


def test_residuals_are_closed_on_request(tmp_path: Path) -> None:
    path = write(tmp_path, cells={"C9": 110, "D9": 44})
    with pytest.raises(q.TableError, match="do not add up"):
        excel(path)
    closed = excel(path, close="Statistical discrepancy")
    np.testing.assert_allclose(closed.frame("Y")["all", "Statistical discrepancy"], [10, 4])


def test_a_formula_without_a_stored_value_is_refused_even_where_empty_cells_are_zero(tmp_path: Path) -> None:
    """openpyxl stores no values of formulas, as little as other programs that do not calculate."""
    path = write(tmp_path, "blank = 0.0\n" + MAPPING, {"D4": "=C4*2"})
    with pytest.raises(
        q.TableError, match="The cell SIOT!D4 holds a formula without a stored value; open the workbook"
    ):
        excel(path)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"D4": "n/a"}, "The cell SIOT!D4 holds 'n/a', which is not a number; correct it"),
        ({"F5": "#DIV/0!"}, "The cell SIOT!F5 holds '#DIV/0!', which is an error; correct it"),
        ({"C7": "5"}, "The cell SIOT!C7 holds '5', which is not a number"),
        ({"C9": True}, "The cell SIOT!C9 holds True, which is not a number"),
        ({"D9": datetime(2020, 1, 1)}, r"The cell SIOT!D9 holds datetime.*, which is not a number"),
        ({"B5": None}, "The label in cell SIOT!B5 is empty; of merged cells only the first"),
        ({"F3": "  "}, "The label in cell SIOT!F3 is empty"),
        ({"B4": datetime(2024, 10, 1)}, r"The label in cell SIOT!B4 is a datetime .* make it text"),
        ({"D3": "Farms"}, "columns of Z: sector 'Farms' of region 'Here' is given more than once"),
        ({"D3": "Millz"}, "columns of Z: the table has no sector 'Millz' of region 'Here'; did you mean"),
    ],
)
def test_a_wrong_cell_is_named_by_its_address(cells: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write(tmp_path, cells=cells)
    with pytest.raises(q.QuesnayError, match=message) as caught:
        excel(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_merged_labels_are_refused(tmp_path: Path) -> None:
    mapping = MAPPING.replace('"B4:B5"', '"A4:B5"')
    path = write(tmp_path, mapping, {"A4": "North"})
    book = openpyxl.load_workbook(tmp_path / "table.xlsx")
    book["SIOT"].merge_cells("A4:A5")
    book.save(tmp_path / "table.xlsx")
    with pytest.raises(
        q.TableError, match="The label in cell SIOT!A5 is empty; of merged cells only the first one holds"
    ):
        excel(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[Z]", "[Z", "This is not a TOML file"),
        ('currency = "MEUR"', "", "The key currency is missing; add it"),
        ('workbook = "table.xlsx"', "", "The key workbook is missing; add it"),
        ('cells = "C4:D5"', "", r"The key Z\.cells is missing; add it"),
        ('unit = "kt CO2e"', "", r"The key satellites\.ghg\.unit is missing; add it"),
        ("year = 1995", 'yaer = "1995"', "The key yaer is unknown; did you mean 'year'"),
        ("year = 1995", 'year = "1995"', "The key year is '1995'; give a whole number"),
        ('cells = "E4:F5"', "cells = 3", r"The key Y\.cells is 3; give a range"),
        ("[satellites.ghg]", "[satellites]", "The key satellites.unit is 'kt CO2e'; give a table"),
        ('unit = "kt CO2e"', 'units = "kt CO2e"', r"The key satellites\.ghg\.units is unknown; did you mean 'unit'"),
        ('sheet = "SIOT"', 'sheet = "Siot"', "There is no sheet 'Siot'; table.xlsx has .*; did you mean 'SIOT'"),
        ('sheet = "SIOT"', 'sheet = "Chart"', "The sheet 'Chart' is a chart and has no cells"),
        ('sheet = "SIOT"', "", r"'C4:D5' names no sheet; add sheet|names no sheet"),
        ('"C4:D5"', '"C4;D5"', r"Z\.cells: 'C4;D5' is not a range; give one such as 'C4:H9'"),
        ('"C4:D5"', '"D5:C4"', r"Z\.cells: 'D5:C4' does not go from the upper left"),
        ('"C4:D5"', '"C4:D6"', r"Z\.cells: the range SIOT!C4:D6 has 3 row\(s\) and 2 column\(s\), not 2 and 2"),
        ('"C9:D9"', '"C9:E9"', "output: the range SIOT!C9:E9 is not one row or one column of 2 cells"),
        ('"C9:D9"', '"C10:D10"', "The range SIOT!C10:D10 leads outside the sheet, which ends at F9; correct the range"),
        ('"B4:B5"', '"Z4:Z5"', "The range SIOT!Z4:Z5 leads outside the sheet, which ends at F9"),
        ('"B4:B5"', '"A4:C5"', r"Z\.rows: the range SIOT!A4:C5 has 3 columns of labels|SIOT!A4 is empty"),
        (
            '"Value added" =',
            '"Value adde" =',
            r"primary\.names: there is no row 'Value adde'; did you mean 'Value added'",
        ),
        ('workbook = "table.xlsx"', 'workbook = "tables.xlsx"', "There is no workbook"),
        (
            'workbook = "table.xlsx"',
            'workbook = "table.xls"',
            "table.xls is not a workbook of the kinds '.xlsx', '.xlsm'",
        ),
    ],
)
def test_a_wrong_mapping_is_refused_in_a_sentence(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in MAPPING
    path = write(tmp_path, MAPPING.replace(old, new))
    with pytest.raises(q.QuesnayError, match=message) as caught:
        excel(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_direct_emissions_want_columns_of_final_demand(tmp_path: Path) -> None:
    mapping = MAPPING.replace('[Y]\ncells = "E4:F5"\ncolumns = "E3:F3"\n', "")
    mapping = mapping.replace('output = "C9:D9"', 'final_demand = "E4:E5"')
    with pytest.raises(
        q.TableError, match=r"satellites\.ghg\.direct goes with the columns of Y, and there is no \[Y\]"
    ):
        excel(write(tmp_path, mapping))


def test_a_missing_mapping_and_a_workbook_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(q.TableError, match="There is no such mapping file"):
        excel(tmp_path / "nothing.toml")
    os.mkfifo(tmp_path / "pipe.toml")  # reading it would wait for ever
    with pytest.raises(q.TableError, match="There is no such mapping file"):
        excel(tmp_path / "pipe.toml")
    (tmp_path / "deep.toml").write_text(f"a = {'[' * 10_000}", encoding="utf-8")
    with pytest.raises(q.TableError, match="This is not a TOML file"):
        excel(tmp_path / "deep.toml")
    path = write(tmp_path)
    (tmp_path / "table.xlsx").write_text("no workbook", encoding="utf-8")
    with pytest.raises(q.TableError, match=r"table\.xlsx"):
        excel(path)
    write(tmp_path)
    data = (tmp_path / "table.xlsx").read_bytes()
    (tmp_path / "table.xlsx").write_bytes(data[: len(data) // 2])
    with pytest.raises(q.TableError, match=r"table\.xlsx"):
        excel(path)


GERMANY = """
workbook = "germany.xlsx"
sheet = "SIOT"
currency = "MEUR"
year = 1995
output = "B17:G17"

[Z]
cells = "B2:G7"
rows = "A2:A7"
columns = "B1:G1"

[Y]
cells = ["I2:L7", "M2:M7"]
columns = ["I1:L1", "M1"]

[primary]
cells = ["B9:G10", "B12:G15"]
rows = ["A9:A10", "A12:A15"]
[primary.names]
os_mixed_income_net = "value_added"

[satellites.CO2]
unit = "kt"
cells = "Air!B2:G2"
direct = { final_consumption_households = "Air!H2" }
"""


def test_germany_1995_comes_out_of_a_workbook_as_it_went_in(shared_data: Path, tmp_path: Path) -> None:
    """The 6 x 6 table of the Eurostat manual (2008); its README: both identities exact, spectral radius 0.4029."""
    folder = shared_data / "small_national_tables"
    table = pd.read_csv(folder / "germany_1995_6x6_siot_mio_eur.csv", index_col=0)
    air = pd.read_csv(folder / "germany_1995_air_emissions_kt.csv", index_col=0)
    with pd.ExcelWriter(tmp_path / "germany.xlsx", engine="openpyxl") as book:
        table.to_excel(book, sheet_name="SIOT")
        air.to_excel(book, sheet_name="Air")
    (tmp_path / "germany.toml").write_text(GERMANY, encoding="utf-8")
    economy = excel(tmp_path / "germany.toml")
    sectors = list(economy.sectors)
    np.testing.assert_array_equal(economy.Z, table.loc[sectors, sectors])
    np.testing.assert_array_equal(economy.Y, table.loc[sectors, economy.frame("Y").columns.get_level_values(1)])
    np.testing.assert_array_equal(economy.output, table.loc["output", sectors])
    np.testing.assert_array_equal(economy.total("CO2"), air.loc["CO2", sectors])
    np.testing.assert_array_equal(economy.imports, table.loc["imports", sectors])
    # Households' own emissions and those of the sectors are the total, all eight rounded to whole kilotonnes.
    own, total = float(economy.direct("CO2").sum()), float(economy.total("CO2").sum())
    assert own == air.loc["CO2", "final_consumption_households"]
    assert own + total == pytest.approx(air.loc["CO2", "output_bp"], abs=8 * 0.5)
    assert economy.spectral_radius == pytest.approx(0.4029, abs=5e-5)
    assert economy.balance().row_share == 0
    assert economy.balance().column_share == 0
    added = [name for name in economy.primary.index if name not in ("imports", "net_tax_products")]
    np.testing.assert_array_equal(economy.primary.loc[added].sum(), table.loc["gva", sectors])


@pytest.mark.parametrize("cells", ['["B9:G10"]', "[]", '["B9:G10", 3]'])
def test_ranges_of_a_list_have_a_range_of_labels_each(cells: str, tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "table.xlsx").rename(tmp_path / "germany.xlsx")
    mapping = MAPPING.replace("table.xlsx", "germany.xlsx").replace('cells = "C7:D8"', f"cells = {cells}")
    mapping = mapping.replace('rows = "B7:B8"', 'rows = ["B7", "B8"]')
    (tmp_path / "table.toml").write_text(mapping, encoding="utf-8")
    with pytest.raises(q.TableError, match=r"primary: cells and rows are .*; give a range of labels with every range"):
        excel(tmp_path / "table.toml")
