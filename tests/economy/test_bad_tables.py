"""Tables that cannot be used: one sentence that says what, where, and what to do."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import quesnay as q

SECTORS = ["Farms", "Mills", "Shops"]
INDEX = pd.MultiIndex.from_product([["North"], SECTORS], names=["region", "sector"])
FLOWS = np.array([[10.0, 20.0, 5.0], [20.0, 10.0, 5.0], [1.0, 2.0, 3.0]])
OUTPUT = pd.Series([100.0, 80.0, 40.0], INDEX)
Z = pd.DataFrame(FLOWS, INDEX, INDEX)
DEMAND = OUTPUT - FLOWS.sum(axis=1)
MILLS = "sector 'Mills' of region 'North'"


def table(**changes) -> q.Economy:
    return q.Economy.from_frames(**{"Z": Z, "final_demand": DEMAND, "output": OUTPUT, "currency": "MUSD", **changes})


def cell(frame, value, column=("North", "Shops")):
    """The frame with another value for Mills."""
    changed = frame.astype(object if isinstance(value, str) else float)
    if isinstance(frame, pd.Series):
        changed.loc[("North", "Mills")] = value
    else:
        changed.loc[("North", "Mills"), column] = value
    return changed


TWICE = pd.MultiIndex.from_tuples([("North", "Farms"), ("North", "Mills"), ("North", "Mills")])
OTHER = pd.MultiIndex.from_tuples([("North", "Farms"), ("North", "Mils"), ("North", "Shops")])
THREE = pd.MultiIndex.from_tuples([("a", "North", s) for s in SECTORS])
PRIMARY = pd.DataFrame(1.0, ["Taxes", "Taxes"], INDEX)

BAD = {
    "not a number": ({"Z": cell(Z, np.nan)}, q.TableError, f"Z: 1 value.*missing or infinite, the first at {MILLS}"),
    "infinite": ({"Z": cell(Z, np.inf)}, q.TableError, f"first at {MILLS}, column sector 'Shops'"),
    "missing final demand": ({"final_demand": cell(DEMAND, np.nan)}, q.TableError, f"final_demand.*{MILLS}"),
    "infinite value added": ({"value_added": cell(DEMAND, np.inf)}, q.TableError, f"value_added.*{MILLS}"),
    "text in Z": ({"Z": cell(Z, "n/a")}, q.TableError, f"{MILLS}.*'n/a', which is not a number"),
    "text in output": ({"output": cell(OUTPUT, "80 ")}, q.TableError, f"output: the cell at {MILLS} holds '80 '"),
    "sector twice": (
        {"Z": Z.set_axis(TWICE).set_axis(TWICE, axis=1)},
        q.LabelError,
        f"{MILLS} is given more than once",
    ),
    "output twice": ({"output": OUTPUT.set_axis(TWICE)}, q.LabelError, f"output: {MILLS} is given more than once"),
    "no square": ({"Z": Z.iloc[:2]}, q.TableError, "2 rows and 3 columns; give a square table"),
    "other columns": (
        {"Z": Z.set_axis(OTHER, axis=1)},
        q.LabelError,
        "columns of Z.*'Mils'.*did you mean sector 'Mills'",
    ),
    "unknown label": ({"final_demand": DEMAND.set_axis(OTHER)}, q.LabelError, "final_demand.*'Mils'.*did you mean"),
    "missing label": ({"output": OUTPUT.drop(("North", "Mills"))}, q.LabelError, f"output: {MILLS} is missing"),
    "empty label": ({"Z": Z.rename(index={"Mills": ""})}, q.LabelError, "rows of Z.*label is empty"),
    "three levels": ({"Z": Z.set_axis(THREE)}, q.LabelError, "3 levels; give two"),
    "negative output": (
        {"output": cell(OUTPUT, -80.0)},
        q.TableError,
        f"output of 1 account is negative: {MILLS} .-80 MUSD.; check.* drop such accounts .* or merge them",
    ),
    "several negative outputs": (
        {"output": OUTPUT * [1, -1, -2]},
        q.TableError,
        f"output of 2 accounts is negative: {MILLS} .-80 MUSD., sector 'Shops' of region 'North' .-80 MUSD.;",
    ),
    "output of two columns": (
        {"output": pd.DataFrame({"a": OUTPUT, "b": OUTPUT})},
        q.InputError,
        "output is a DataFrame of 2 columns; give one column",
    ),
    "no output": ({"Z": Z * 0, "final_demand": DEMAND * 0, "output": OUTPUT * 0}, q.TableError, "no output"),
    "unproductive": (
        {"Z": cell(Z, 76.0, ("North", "Mills")), "final_demand": cell(DEMAND, -21.0)},
        q.TableError,
        rf"not productive: the spectral radius of A is 1\.\d+.*start with {MILLS}",
    ),
    "rows": (
        {"final_demand": cell(DEMAND, 60.0)},
        q.TableError,
        f"rows do not add up: in the row of {MILLS}.*80 MUSD.*95",
    ),
    "columns": (
        {"value_added": cell(OUTPUT - FLOWS.sum(axis=0), 3.0)},
        q.TableError,
        f"column of {MILLS}.*imports.*Statistical discrepancy",
    ),
    "empty": ({"Z": pd.DataFrame()}, q.TableError, "table is empty"),
    "no labels": ({"Z": FLOWS}, q.InputError, "ndarray.*give a pandas DataFrame"),
    "vector without labels": ({"output": [1, 2, 3]}, q.InputError, "output is a list.*no labels"),
    "no final demand": ({"final_demand": None}, q.InputError, "Exactly one"),
    "final demand twice": ({"Y": pd.DataFrame({"Use": DEMAND})}, q.InputError, "Exactly one"),
    "no currency": ({"currency": " "}, q.InputError, "currency is empty"),
    "satellite without unit": ({"satellites": {"ghg": DEMAND}}, q.TableError, "'ghg' has no unit"),
    "satellite with empty unit": ({"satellites": {"ghg": (DEMAND, "")}}, q.TableError, "'ghg' has no unit"),
    "satellite with NaN": ({"satellites": {"ghg": (cell(DEMAND, np.nan), "t")}}, q.TableError, f"'ghg'.*{MILLS}"),
    "satellite's name": ({"satellites": {"imports": (DEMAND, "t")}}, q.LabelError, "'imports' has the name of another"),
    "value added twice": (
        {"value_added": DEMAND, "primary": pd.DataFrame([DEMAND], ["value_added"])},
        q.InputError,
        "value_added is given twice",
    ),
    "primary twice": ({"primary": PRIMARY}, q.LabelError, "primary: a row name is given more than once"),
}


@pytest.mark.parametrize(("changes", "error", "message"), BAD.values(), ids=BAD.keys())
def test_refused_in_one_sentence(changes: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        table(**changes)
    words = str(caught.value)
    assert words.endswith((".", '"', "?"))
    assert "\n" not in words
    assert ". " not in words


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_refused_in_every_unit(unit: float) -> None:
    with pytest.raises(q.TableError, match=f"rows do not add up: in the row of {MILLS}"):
        table(Z=Z * unit, final_demand=cell(DEMAND, 60.0) * unit, output=OUTPUT * unit)


def test_a_satellite_on_a_sector_without_output() -> None:
    idle = FLOWS.copy()
    idle[1], idle[:, 1] = 0, 0
    demand = cell(pd.Series([75.0, 0.0, 30.0], INDEX), 0.0)
    frames = {"Z": pd.DataFrame(idle, INDEX, INDEX), "final_demand": demand, "output": None}
    assert float(table(**frames, satellites={"ghg": (cell(DEMAND, 0.0), "kt")}).intensity("ghg")[1]) == 0
    with pytest.raises(q.TableError, match=f"'ghg' is 5 kt in {MILLS}, whose output is zero"):
        table(**frames, satellites={"ghg": (cell(DEMAND, 5.0), "kt")})


def test_a_sector_without_output_that_buys_inputs() -> None:
    flows = Z.copy()
    flows.loc[("North", "Mills")] = 0.0
    with pytest.raises(q.TableError, match=f"{MILLS} has zero output but buys 22 MUSD"):
        table(Z=flows, final_demand=cell(DEMAND, 0.0), output=None)
    flows[("North", "Mills")] = [0.01, 0, 0]
    economy = table(Z=flows, final_demand=cell(DEMAND, 0.0), output=None)
    assert [(note.action, note.amount) for note in economy.notes if note.action == "zero output"] == [
        ("zero output", 0.01)
    ]


def test_many_negative_outputs_are_counted_and_the_first_few_named() -> None:
    labels = [f"s{k}" for k in range(9)]
    output = pd.Series([1.0, *[-1.0] * 8], labels)
    with pytest.raises(q.TableError, match=r"output of 8 accounts is negative: sector 's1' .*'s5' .* and 3 more;"):
        q.Economy.from_frames(Z=pd.DataFrame(0.0, labels, labels), final_demand=output, output=output, currency="MUSD")


def test_labels_without_a_region_in_a_table_of_several() -> None:
    index = pd.MultiIndex.from_product([["North", "South"], ["Farms"]])
    flows = pd.DataFrame(1.0, index, index)
    with pytest.raises(q.LabelError, match="sectors without a region"):
        q.Economy.from_frames(Z=flows, final_demand=pd.Series([1.0], ["Farms"]), currency="MUSD")


GOOD = {
    "Z.csv": "region,,N,N\nsector,,Farms,Mills\nN,Farms,10,20\nN,Mills,20,10\n",
    "accounts.csv": "region,sector,final_demand,output,ghg [kt]\nN,Farms,70,100,50\nN,Mills,10,40,8\n",
    "table.toml": 'currency = "MUSD"\n',
}
BROKEN = {
    "no accounts": ({"accounts.csv": None}, q.TableError, "accounts.csv is missing"),
    "no table.toml": ({"table.toml": None}, q.TableError, "table.toml is missing"),
    "no Z": ({"Z.csv": None}, q.TableError, "neither Z.csv nor file_parameters.json"),
    "ragged": ({"Z.csv": GOOD["Z.csv"].replace("20,10\n", "20\n")}, q.TableError, r"Z.csv, line 4: 3 cells.* has 4"),
    "empty cell": (
        {"Z.csv": GOOD["Z.csv"].replace("20,10\n", "20,\n")},
        q.TableError,
        "line 4.*'N | Mills' holds nothing",
    ),
    "text": ({"accounts.csv": GOOD["accounts.csv"].replace("70", "7O")}, q.TableError, "accounts.csv, line 2.*'7O'"),
    "NaN": ({"accounts.csv": GOOD["accounts.csv"].replace("70", "nan")}, q.TableError, "final_demand.*'Farms'"),
    "quotes": ({"Z.csv": GOOD["Z.csv"].replace("Mills", '"Mills', 1)}, q.TableError, "Z.csv, line"),
    "blank": ({"Z.csv": ""}, q.TableError, "Z.csv is empty"),
    "header only": ({"Z.csv": "region,,N\nsector,,Farms\n"}, q.TableError, "Z.csv needs two header rows"),
    "no region": (
        {"accounts.csv": GOOD["accounts.csv"].replace("region", "land")},
        q.TableError,
        "columns region and sec",
    ),
    "no unit": ({"accounts.csv": GOOD["accounts.csv"].replace(" [kt]", "")}, q.TableError, "'ghg' is neither"),
    "column twice": (
        {"accounts.csv": GOOD["accounts.csv"].replace("output", "sector")},
        q.TableError,
        "'sector'.*more than",
    ),
    "unknown sector": (
        {"accounts.csv": GOOD["accounts.csv"].replace("Mills", "Mils")},
        q.LabelError,
        "'Mils'.*did you mean",
    ),
    "demand twice": ({"Y.csv": GOOD["Z.csv"]}, q.TableError, "final demand once"),
    "no demand": ({"accounts.csv": "region,sector,output\nN,Farms,1\nN,Mills,1\n"}, q.TableError, "final demand once"),
    "bad toml": ({"table.toml": "currency = MUSD\n"}, q.TableError, "table.toml is not valid TOML"),
    "no currency": ({"table.toml": "year = 1999\n"}, q.TableError, "does not say the currency"),
    "unknown key": ({"table.toml": 'currency = "X"\nyaer = 1\n'}, q.TableError, "key 'yaer' is unknown"),
    "year as text": ({"table.toml": 'currency = "X"\nyear = "1999"\n'}, q.TableError, "year is '1999'"),
    "imbalance": ({"accounts.csv": GOOD["accounts.csv"].replace("100", "150")}, q.TableError, "row of sector 'Farms'"),
}


@pytest.mark.parametrize(("changes", "error", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_folder_is_refused_with_its_name(changes: dict, error, message: str, tmp_path: Path) -> None:
    for name, text in {**GOOD, **changes}.items():
        if text is not None:
            tmp_path.joinpath(name).write_text(text)
    with pytest.raises(error, match=message) as caught:
        q.load(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_the_good_folder_loads(tmp_path: Path) -> None:
    for name, text in GOOD.items():
        tmp_path.joinpath(name).write_text(text)
    assert q.load(str(tmp_path)).n == 2
    with pytest.raises(q.TableError, match="file of another kind; give the folder"):
        q.load(tmp_path / "Z.csv")


def test_an_encoding_that_is_not_utf8(tmp_path: Path) -> None:
    for name, text in GOOD.items():
        tmp_path.joinpath(name).write_bytes(text.replace("Mills", "M\xfchlen").encode("latin-1"))
    with pytest.raises(q.TableError, match="is not UTF-8"):
        q.load(tmp_path)


def test_neither_a_builtin_nor_a_path() -> None:
    with pytest.raises(q.LabelError, match=r"no path 'us-2002' and no builtin.*'us-2020'; did you mean 'us-2020'"):
        q.load("us-2002")


def test_a_folder_and_an_archive_that_pymrio_cannot_read(tmp_path: Path) -> None:
    import zipfile

    (tmp_path / "file_parameters.json").write_text("{}")
    with pytest.raises(q.TableError, match="pymrio cannot read it"):
        q.load(tmp_path)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(q.TableError, match=r"not written by pymrio; parse it with pymrio"):
        q.load(tmp_path / "x.zip")


def test_pymrio_systems_that_are_no_table_in_one_currency() -> None:
    pymrio = pytest.importorskip("pymrio")
    system = pymrio.load_test()
    system.unit.iloc[3, 0] = "t"
    with pytest.raises(q.TableError, match=r"several units .'Mill USD', 't'."):
        q.from_pymrio(system)
    system.unit = None
    with pytest.raises(q.InputError, match="pass currency"):
        q.from_pymrio(system)
    system.Y = None
    with pytest.raises(q.TableError, match="no flows Z or no final demand Y"):
        q.from_pymrio(system)


def test_a_folder_with_one_header_row_says_that_two_are_needed(tmp_path):
    (tmp_path / "table.toml").write_text('name = "t"\ncurrency = "M"\nyear = 2020\n', encoding="utf-8")
    (tmp_path / "Z.csv").write_text("region,sector,Farms,Mills\nHome,Farms,1,2\nHome,Mills,3,4\n", encoding="utf-8")
    (tmp_path / "accounts.csv").write_text("region,sector,final_demand\nHome,Farms,5\nHome,Mills,6\n", encoding="utf-8")
    with pytest.raises(q.TableError, match=r"Z\.csv has one header row and needs two"):
        q.load(tmp_path)
