"""Every database gives back the table that its files were made from, from folders and from archives."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import quesnay as q
from economy.formats import (
    assert_same,
    eora26,
    exiobase12,
    gloria,
    oecd,
    pack,
    random_table,
    saved_by_pymrio,
    wiod,
    wiod_table,
)
from quesnay.economy import readers

SEEDS = (0, 1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("form", ["folder", "archive", "archive with a folder", "parquet"])
def test_what_pymrio_saved_equals_the_table(seed: int, form: str, tmp_path: Path) -> None:
    table = random_table(seed)
    path = saved_by_pymrio(table, tmp_path / "small", table_format="parquet" if form == "parquet" else "txt")
    if form.startswith("archive"):
        path = pack(path, tmp_path / "x.zip", top="folder" in form)
    economy = q.load(path)
    satellites = {"emissions: CO2": table.F[0], "emissions: CH4": table.F[1]}
    assert_same(economy, table, satellites, {"emissions: CO2": table.F_Y[0], "emissions: CH4": table.F_Y[1]})
    assert (economy.currency, economy.name, economy.unit("CH4")) == ("M.EUR", "small", "t")


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_exiobase_3_equals_the_table_and_its_name_says_the_year(form: str, tmp_path: Path) -> None:
    table = random_table(3)
    path = saved_by_pymrio(table, tmp_path / "IOT_2011_pxp")
    if form == "archive":
        path = pack(path, tmp_path / "IOT_2012_pxp.zip", top=True)
    economy = q.load(path)
    assert_same(economy, table, {"CO2": table.F[0]}, {"CO2": table.F_Y[0]})
    assert economy.year == (2011 if form == "folder" else 2012)
    read = {Path(name).name for name in economy.source}
    assert read == ({"IOT_2012_pxp.zip"} if form == "archive" else read)
    assert "L.txt" not in read


def test_exiobase_3_in_a_folder_of_downloads(tmp_path: Path) -> None:
    tables = {year: random_table(year) for year in (2011, 2012)}
    downloads = tmp_path / "exiobase"
    downloads.mkdir()
    for year, table in tables.items():
        folder = saved_by_pymrio(table, tmp_path / f"IOT_{year}_pxp")
        pack(folder, downloads / f"IOT_{year}_pxp.zip", top=True)
    (downloads / "download_log.json").write_text("{}")
    for year, table in tables.items():
        economy = q.load(downloads, year=year)
        assert_same(economy, table, {}, {})
        assert (economy.year, list(economy.source)) == (year, [f"IOT_{year}_pxp.zip"])
    with pytest.raises(q.InputError, match="of the years 2011, 2012; pass the year"):
        q.load(downloads)
    (downloads / "IOT_2012_ixi.zip").write_bytes((downloads / "IOT_2012_pxp.zip").read_bytes())
    with pytest.raises(q.InputError, match=r"IOT_2012_ixi.zip and IOT_2012_pxp.zip of the same year"):
        q.load(downloads, year=2012)


def test_a_year_that_a_table_is_not_of_is_refused(us2020: q.Economy, tmp_path: Path) -> None:
    folder = q.save(us2020, tmp_path / "mine")
    for table in ("us-2020", folder):
        assert q.load(table, year=2020).year == 2020
        with pytest.raises(q.InputError, match="is the table of 2020, not of 2019"):
            q.load(table, year=2019)
    assert q.load(saved_by_pymrio(random_table(1), tmp_path / "small"), year=1999).year == 1999


def test_coefficients_without_an_output_are_refused(tmp_path: Path) -> None:
    table = random_table(5)
    ones = np.full_like(table.Z, 1 / len(table.Z))  # columns of A that add up to one: I - A is singular
    folder = exiobase12(replace(table, Z=ones * table.x), tmp_path / "pxp", "_version2.2.2")
    text = (folder / "mrIot_version2.2.2.txt").read_text()
    lines = [line.split("\t") for line in text.splitlines()]
    whole = ["\t".join(line if k < 2 else line[:3] + [repr(1 / 12)] * 12) for k, line in enumerate(lines)]
    (folder / "mrIot_version2.2.2.txt").write_text("\n".join(whole) + "\n")
    with pytest.raises(q.TableError, match="I - A is singular"):
        q.load(folder)


def test_exiobase_3_with_the_names_of_older_releases(tmp_path: Path) -> None:
    table = random_table(4, regions=("AUT", "BEL"))
    folder = saved_by_pymrio(table, tmp_path / "old")
    parameters = folder / "emissions" / "file_parameters.json"
    parameters.write_text(parameters.read_text().replace('"F_Y": {', '"F_hh": {'))
    economy = readers.exiobase3(folder, year=1995)
    assert economy.regions == ("AT", "BE")
    np.testing.assert_allclose(economy.Z, table.Z, rtol=1e-12)
    np.testing.assert_allclose(economy.direct("CO2"), table.F_Y[0], rtol=1e-12)


@pytest.mark.parametrize("form", ["folder", "archive"])
@pytest.mark.parametrize(("version", "year"), [("", 2000), ("_version2.2.2", 2007)])
def test_exiobase_1_and_2_equal_the_table(version: str, year: int, form: str, tmp_path: Path) -> None:
    table = random_table(5)
    path = exiobase12(table, tmp_path / "pxp_coefficients", version)
    if form == "archive":
        path = pack(path, tmp_path / "pxp.zip")
    economy = q.load(path)
    assert_same(
        economy,
        table,
        {"factor_inputs: Wages": table.F[0], "emissions: CO2, air": table.F[0], "emissions: CH4, air": table.F[1]},
        {"emissions: CO2, air": table.F_Y[0]},
    )
    assert (economy.year, economy.currency) == (year, "M.EUR")
    assert economy.unit("emissions: CO2, air") == "kg"


@pytest.mark.parametrize("form", ["workbook", "folder", "archive"])
def test_wiod_equals_the_table(form: str, tmp_path: Path) -> None:
    table = wiod_table(6)
    path = wiod(table, tmp_path / "wiod")
    if form == "folder":
        wiod(table, tmp_path / "wiod", year=1998, accounts=False)
        path = path.parent
        with pytest.raises(q.InputError, match="1998, 2005; pass the year"):
            q.load(path)
    elif form == "archive":
        path = pack(path.parent, tmp_path / "wiod.zip")
    economy = q.load(path, year=2005)
    employed = table.F[0] * np.repeat([1, 1, 0], 3)  # the accounts leave the rest of the world out
    assert_same(economy, table, {"factor input: Value added": table.added, "SEA: EMP": employed}, {})
    assert (economy.year, economy.name) == (2005, "WIOD")
    assert any("AIR_" in note.sentence for note in economy.notes), "what is not there is said"


@pytest.mark.parametrize("form", ["file", "folder", "archive", "archive of several"])
def test_oecd_equals_the_table(form: str, tmp_path: Path) -> None:
    table = random_table(7, regions=("AUS", "CHN"), categories=("HFCE", "GFCF"))
    path = oecd(table, tmp_path / "icio" / "ICIO2021_2018.csv")
    if form == "archive":
        path = pack(path.parent, tmp_path / "ICIO2021_2018.zip")
    elif form != "file":
        oecd(random_table(8, regions=("AUS", "CHN"), categories=("HFCE", "GFCF")), path.parent / "ICIO2021_2017.csv")
        path = path.parent if form == "folder" else pack(path.parent, tmp_path / "ICIO-2017-2018.zip")
    economy = readers.oecd(path, year=2018) if "several" in form or form == "folder" else q.load(path)
    assert_same(economy, table, {"factor_inputs: VA": 0.9 * table.added}, {})
    assert (economy.year, economy.currency) == (2018, "Million USD")


def test_oecd_says_how_many_cells_were_empty(tmp_path: Path) -> None:
    path = oecd(random_table(7, regions=("AUS", "CHN"), categories=("HFCE", "GFCF")), tmp_path / "ICIO2021_2018.csv")
    lines = path.read_text().splitlines()
    lines[-3] = lines[-3].rsplit(",", 2)[0] + ",,"
    path.write_text("\n".join(lines))
    assert [note.amount for note in q.load(path).notes if "empty cells" in note.sentence] == [2.0]


@pytest.mark.parametrize("form", ["folder", "archive", "archive and indices"])
def test_eora26_equals_the_table(form: str, tmp_path: Path) -> None:
    table = random_table(9)
    path = eora26(table, tmp_path / "eora")
    if form == "archive":
        path = pack(path, tmp_path / "Eora26_2015_bp.zip")
    elif form == "archive and indices":
        with zipfile.ZipFile(tmp_path / "indices.zip", "w") as indices:
            for label in sorted(path.glob("labels_*")):
                indices.write(label, label.name)
                label.unlink()
        path = pack(path, tmp_path / "Eora26_2015_bp.zip")
    economy = q.load(path)
    assert_same(economy, table, {"Q: CO2, Total": table.F[0]}, {"Q: CO2, Total": table.F_Y[0]})
    assert (economy.year, economy.currency, economy.unit("Q: CO2, Total")) == (2015, "000 USD", "Gg")
    assert any("Rest of the World" in note.sentence for note in economy.notes)
    assert ("indices.zip" in economy.source) == (form == "archive and indices")


@pytest.mark.parametrize("form", ["folders", "archives", "all in one archive"])
def test_gloria_equals_the_table(form: str, tmp_path: Path) -> None:
    table = random_table(10)
    path = gloria(table, tmp_path / "gloria", zipped=form != "folders")
    if form == "all in one archive":
        path = pack(path, tmp_path / "gloria.zip")
    economy = q.load(path)
    assert_same(economy, table, {"Q: CO2, Air": table.F[0]}, {"Q: CO2, Air": table.F_Y[0]})
    assert (economy.year, economy.unit("Q: CH4, Air")) == (2019, "t")


def test_own_folders_are_read_from_archives_too(us2020: q.Economy, tmp_path: Path) -> None:
    folder = q.save(us2020, tmp_path / "mine")
    economy = q.load(pack(folder, tmp_path / "mine.zip"))
    np.testing.assert_array_equal(economy.Z, us2020.Z)
    assert economy.name == us2020.name


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["A.csv", "D.csv"], "readers.useeio"),
        (["a.txt"], "neither Z.csv nor file_parameters.json"),
        (["wiot05_row.xlsx", "mrIot_version2.txt"], "several formats ('exiobase2', 'wiod')"),
    ],
)
def test_a_folder_that_cannot_be_told_says_which_reader_to_call(names: list[str], said: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_text("x")
    with pytest.raises(q.TableError) as caught:
        q.load(tmp_path)
    assert said in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "reader", ["exiobase1", "exiobase2", "exiobase3", "wiod", "oecd", "eora26", "gloria", "figaro"]
)
def test_a_path_that_is_not_there_is_refused_by_every_reader(reader: str, tmp_path: Path) -> None:
    with pytest.raises(q.TableError, match="no such file or folder"):
        getattr(readers, reader)(tmp_path / "nowhere")


def test_a_satellite_table_that_is_missing_from_the_archive_is_named(tmp_path: Path) -> None:
    folder = saved_by_pymrio(random_table(1), tmp_path / "small")
    (folder / "emissions" / "F.txt").unlink()
    with pytest.raises(
        q.TableError, match=r"emissions/file_parameters.json names the file 'F.txt', which is not in its"
    ):
        q.load(folder)


def test_the_path_is_said_once(tmp_path: Path) -> None:
    path = pack(saved_by_pymrio(random_table(1), tmp_path / "IOT_2011_pxp"), tmp_path / "IOT_2011_pxp.zip")
    (tmp_path / "IOT_2011_pxp" / "Z.txt").write_text("nothing")
    (tmp_path / "new").mkdir()
    for place in (path.with_suffix(""), pack(path.with_suffix(""), tmp_path / "new" / "IOT_2011_pxp.zip")):
        with pytest.raises(q.TableError) as caught:
            q.load(place)
        assert str(caught.value).startswith(f"{place}: pymrio cannot read it as EXIOBASE 3")
        assert str(caught.value).count("IOT_2011_pxp") == 1


def test_pickled_tables_are_never_opened(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    saved_by_pymrio(random_table(1), folder, table_format="pickle")
    for path in (folder, pack(folder, tmp_path / "small.zip")):
        for reader in (q.load, readers.exiobase3):
            with pytest.raises(q.TableError, match="pickled tables can run any program"):
                reader(path)


@pytest.mark.parametrize("name", ["../Z.txt", "/etc/passwd", "Z.txt/../../Z.txt", "..\\Z.txt"])
def test_a_parameter_file_that_names_files_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    import json

    folder = saved_by_pymrio(random_table(1), tmp_path / "small")
    parameters = folder / "file_parameters.json"
    about = json.loads(parameters.read_text())
    about["files"]["Z"]["name"] = name
    parameters.write_text(json.dumps(about))
    with pytest.raises(q.TableError, match=r"not in its own folder|neither text nor parquet"):
        q.load(folder)


def test_the_guide_calls_readers_as_they_are() -> None:
    """The page needs databases that are not at hand; its calls fit the readers' arguments all the same."""
    import ast
    import inspect
    import re

    page = Path(__file__).resolve().parents[2] / "docs" / "guide" / "readers.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    calls = [node for block in blocks for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
    assert len(calls) > 10
    for call in calls:
        function = eval(ast.unparse(call.func), {"q": q, "readers": readers})
        if inspect.isfunction(function):
            inspect.signature(function).bind(*call.args, **{str(word.arg): word.value for word in call.keywords})
