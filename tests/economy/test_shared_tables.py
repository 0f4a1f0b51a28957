"""Every published table at hand loads through a public reader or the few lines that the guide shows, and adds up."""

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import quesnay as q

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "models.md"
BLOCK = re.compile(r"^```(python|toml)\n(.*?)^```", re.DOTALL | re.MULTILINE)
NEEDS = re.compile(r"# needs the folder (\w+)")
TABLES = (
    "bea_us_summary",
    "belgium_covid_2020",
    "builtin",
    "ons_uk_2010",
    "small_national_tables",
    "useeio_georgia_2region_2020",
    "useeio_us_411_2012",
    "wiod2013",
    "wiod2016_fra_usa_2002",
)


def run(folder: Path, needed: set[str]) -> dict[str, Any]:
    """Run the guide's blocks in order, those that need no folder or one of these; the mapping is written as a file."""
    names: dict[str, Any] = {}
    for kind, text in BLOCK.findall(GUIDE.read_text(encoding="utf-8")):
        if kind == "toml":
            (folder / "germany.toml").write_text(text, encoding="utf-8")
        elif set(NEEDS.findall(text)) <= needed:
            exec(compile(text, GUIDE.name, "exec"), names)
    return names


@pytest.fixture(scope="module")
def tables(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The names of the guide after all its blocks, run in a folder where the published tables are."""
    pytest.importorskip("pyarrow")
    pytest.importorskip("openpyxl")
    folder = tmp_path_factory.mktemp("guide")
    for name in TABLES:
        if not (shared_data / name).is_dir():
            pytest.skip(f"no {name} in {shared_data}")
        (folder / name).symlink_to(shared_data / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return run(folder, set(TABLES))


def economies(names: dict[str, Any]) -> dict[str, q.Economy]:
    """All economies among the names, those of dicts under name and key."""
    found = {name: value for name, value in names.items() if isinstance(value, q.Economy)}
    for name, value in names.items():
        if isinstance(value, dict) and not name.startswith("_"):
            found |= {f"{name} {key}": entry for key, entry in value.items() if isinstance(entry, q.Economy)}
    return found


def test_the_guide_s_own_examples_run_without_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = run(tmp_path, set())
    # By hand: market shares [0.9 0; 0.1 1] of U = [12 8; 10 7]; V' inv(diag(g)) has the inverse [1 -0.1; 0 1.1].
    np.testing.assert_allclose(names["by_industry"].Z, [[10.8, 7.2], [11.2, 7.8]], rtol=1e-14)
    A = np.array([[12 / 90, 8 / 110], [10 / 90, 7 / 110]]) @ [[1, -0.1], [0, 1.1]]
    np.testing.assert_allclose(names["by_product"].A, A, rtol=1e-13)


def test_every_folder_with_a_table_is_on_the_page(shared_data: Path) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert set(NEEDS.findall(text)) == set(TABLES)
    with_tables = {file.parent.name for pattern in ("Z*", "*_Z_*", "A.*") for file in shared_data.glob(f"*/{pattern}")}
    assert with_tables <= set(TABLES)


def test_every_python_block_is_short() -> None:
    """A few lines of user code: no block of the guide has more than twenty statements."""
    for kind, text in BLOCK.findall(GUIDE.read_text(encoding="utf-8")):
        if kind == "python":
            assert sum(isinstance(node, ast.stmt) for node in ast.walk(ast.parse(text))) <= 20


def test_every_table_of_the_guide_adds_up(tables: dict[str, Any]) -> None:
    found = economies(tables)
    assert len(found) >= 6 + 16 + 12
    for name, economy in found.items():
        state = economy.balance()
        assert economy.spectral_radius < 1, name
        assert state.row_share < 5e-3, name
        assert state.column_share < 5e-3, name
        if max(state.row_share, state.column_share) > 1e-9:
            assert any(note.action == "balance" for note in economy.notes), name
        ready = economy.close("Gap").nonnegative()
        assert (np.asarray(ready.Z) >= 0).all(), name
        assert (np.asarray(ready.final_demand) >= 0).all(), name
        np.testing.assert_array_equal(ready.output, economy.output)


def test_wiod_has_the_spectral_radii_of_its_readme(tables: dict[str, Any]) -> None:
    expected = {2000: 0.562, 2007: 0.605, 2008: 0.610, 2009: 0.619, 2010: 0.613, 2011: 0.610}
    assert {year: round(economy.spectral_radius, 3) for year, economy in tables["crisis"].items()} == expected
    assert tables["everyone"].n == 1435
    assert tables["everyone"].spectral_radius == pytest.approx(0.610, abs=5e-4)
    # World gross output 122.8 -> 114.2 trillion, 2008 to 2009.
    assert float(tables["crisis"][2008].output.sum()) == pytest.approx(122.8e6, rel=1e-3)
    assert float(tables["crisis"][2009].output.sum()) == pytest.approx(114.2e6, rel=1e-3)


def test_the_nations_of_wiod_are_within_the_bounds_of_its_readme(tables: dict[str, Any], shared_data: Path) -> None:
    bounds = {"DEU": (0.367, 0.376), "FRA": (0.411, 0.425), "USA": (0.393, 0.428), "JPN": (0.482, 0.498)}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(shared_data)
        found = [file.stem.split("_") for file in sorted(shared_data.glob("wiod2013/national/*.csv"))]
        assert len(found) == 4 * 8
        for country, year in found:
            economy = tables["nation"](country, int(year))
            low, high = bounds[country]
            assert low - 5e-4 <= economy.spectral_radius <= high + 5e-4
            assert (economy.regions, economy.n, economy.year) == ((country,), 35, int(year))
    assert tables["japan"].regions == ("JPN",)


def test_france_and_the_usa_2002(tables: dict[str, Any]) -> None:
    economy = tables["atlantic"]
    assert economy.spectral_radius == pytest.approx(0.4216, abs=5e-5)
    for country, output, added in (("FRA", 2_646e3, 1_358e3), ("USA", 19_175e3, 10_978e3)):
        part = economy.select(regions=[country])
        assert float(part.output.sum()) == pytest.approx(output, rel=1e-3)
        assert float(part.value_added.sum()) == pytest.approx(added, rel=1e-3)


def test_the_united_kingdom_germany_chile_and_belgium(tables: dict[str, Any]) -> None:
    radii = {"uk": 0.4247, "germany": 0.4029, "chile": 0.4099, "belgium": 0.4313, "states": 0.4045}
    assert {name: round(tables[name].spectral_radius, 4) for name in radii} == radii
    assert float(tables["uk"].value_added.sum()) == pytest.approx(1_327_923, abs=1)
    assert set(tables["germany"].source) == {"germany.toml", "germany.xlsx"}
    assert float(tables["germany"].direct("CO2").sum()) == 217_137
    # The table's own row of gross value added, which is the sum of the four rows that the mapping calls value_added.
    assert float(tables["germany"].value_added.sum()) == 1_624_160
    # From the table's README: the GDP of the United States in 2019.
    assert float(tables["total"].value_added.sum()) == pytest.approx(21_540e3, rel=3e-5)
    assert float(tables["domestic"].value_added.sum()) == pytest.approx(21_540e3, rel=3e-5)
    assert tables["states"].frame("Z").equals(q.load("us-2020").frame("Z"))


def test_the_united_states_of_eight_years(tables: dict[str, Any]) -> None:
    """Spectral radii, output and value added (billion USD) from the README's table."""
    rows = """
        2012 29232 16254 0.5063 0.4319
        2013 30389 16881 0.5078 0.4353
        2014 31796 17608 0.5064 0.4352
        2015 32234 18295 0.4893 0.4248
        2016 32898 18805 0.4833 0.4240
        2017 34468 19612 0.4889 0.4262
        2018 36505 20657 0.4938 0.4289
        2019 37658 21540 0.4849 0.4254"""
    for line in rows.strip().splitlines():
        year, output, added, total, domestic = line.split()
        for kind, radius in ((False, total), (True, domestic)):
            economy = tables["years"][int(year), kind]
            assert economy.spectral_radius == pytest.approx(float(radius), abs=6e-5)
            assert float(economy.output.sum()) == pytest.approx(1e3 * float(output), abs=501)
            assert float(economy.value_added.sum()) == pytest.approx(1e3 * float(added), abs=501)


def test_the_supply_and_use_tables_give_the_symmetric_ones(tables: dict[str, Any]) -> None:
    """Three decimals are printed of the symmetric tables."""
    for ours, key in ((tables["total"], (2019, False)), (tables["domestic"], (2019, True))):
        published = tables["years"][key]
        np.testing.assert_allclose(ours.frame("Z").loc[published.index, published.index], published.Z, atol=5.1e-4)


def test_the_useeio_models_have_their_readme_s_totals(tables: dict[str, Any]) -> None:
    georgia = tables["georgia"].select(regions=["US-GA"])
    assert float(georgia.total("GHG").sum()) == pytest.approx(89.2e9, rel=1e-3)
    assert float(georgia.total("JOBS").sum()) == pytest.approx(4.09e6, rel=2e-3)
    assert float(tables["georgia"].total("GHG").sum()) == pytest.approx(4_647e9, rel=2e-4)
    assert tables["N"].shape == (tables["us"].n,)
    emitted = float(tables["N"] @ tables["us"].final_demand)
    assert emitted == pytest.approx(float(tables["us"].total("GHG").sum()), rel=1e-12)
