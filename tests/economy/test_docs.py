"""The pages on tables say what is so: their blocks run in order, and show what the pages show."""

import contextlib
import doctest
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import quesnay as q

DOCS = Path(__file__).resolve().parents[2] / "docs"
TOUR, GUIDE = DOCS / "tour.md", DOCS / "guide" / "economy.md"
BLOCK = re.compile(r"^```(python|pycon)\n(.*?)^```", re.DOTALL | re.MULTILINE)
NEEDS = re.compile(r"# needs the folder (\w+)")
ROUNDING = re.compile(r"\d\.\de-1\d")
"""Residuals of rounding differ between machines."""


@pytest.fixture(autouse=True)
def _headless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    matplotlib = pytest.importorskip("matplotlib")
    pytest.importorskip("pymrio")
    matplotlib.use("Agg", force=True)
    monkeypatch.chdir(tmp_path)
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def shown(example: doctest.Example, names: dict[str, Any]) -> str:
    """What an interactive Python shows of one input, errors in one line."""
    try:
        code = compile(example.source.strip(), "<page>", "eval")
    except SyntaxError:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(example.source, names)
        return printed.getvalue()
    try:
        value = eval(code, names)
    except q.QuesnayError as error:
        return f"{type(error).__name__}: {error}"
    return "" if value is None else repr(value)


def plain(text: str) -> str:
    return ROUNDING.sub("~", " ".join(text.split()))


def run(page: Path, *, published: bool) -> dict[str, Any]:
    """Run every block of a page in order; those that read published tables on request only."""
    names: dict[str, Any] = {}
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    assert len(blocks) > 3
    for kind, text in blocks:
        if NEEDS.search(text) and not published:
            continue
        if kind == "python":
            exec(compile(text, page.name, "exec"), names)
            continue
        for example in doctest.DocTestParser().get_examples(text):
            assert plain(shown(example, names)) == plain(example.want)
    return names


def test_the_tour_runs_as_written() -> None:
    names = run(TOUR, published=False)
    economy, path, mine = names["economy"], names["path"], names["mine"]
    assert path.output.shape == (365, 58)
    np.testing.assert_allclose(mine.A, [[0.1, 0.5], [0.2, 0.25]])
    # The footprint of all final demand is what all sectors emit: m'd = r'x.
    multipliers = q.footprint(economy.A, economy.intensity("ghg"))
    np.testing.assert_allclose(multipliers @ economy.final_demand, economy.total("ghg").sum(), rtol=1e-10)
    # Nothing is lost before the shock begins, and something after.
    lost = np.asarray(path.difference().output).sum(axis=1)
    assert np.abs(lost[:10]).max() < 1e-9 * float(path.output[0].sum())
    assert lost[10] < 0


def test_the_guide_shows_what_it_says() -> None:
    names = run(GUIDE, published=False)
    np.testing.assert_array_equal(names["mine"].value_added, [62, 41, 24])
    assert q.load("my-table").source.keys() == {"Z.csv", "Y.csv", "accounts.csv", "table.toml"}


@pytest.mark.parametrize("page", ["equilibrium", "linkages", "decomposition"])
def test_the_pages_on_equilibria_run_as_written(page: str) -> None:
    assert run(DOCS / "guide" / f"{page}.md", published=False)


def test_the_guide_s_published_tables_load_as_it_says(shared_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    folders = set(NEEDS.findall(GUIDE.read_text(encoding="utf-8")))
    assert len(folders) == 4
    for name in folders:
        if not (shared_data / name).is_dir():
            pytest.skip(f"no {name} in {shared_data}")
        (tmp_path / name).symlink_to(shared_data / name)
    names = run(GUIDE, published=True)
    # From the tables' READMEs: value added of the UK and the US, spectral radii of the world's and USEEIO's A, GHG.
    assert float(names["uk"].value_added.sum()) == pytest.approx(1_327_923, abs=1)
    assert float(names["us"].value_added.sum()) == pytest.approx(21_540e3, rel=3e-5)
    assert names["world"].spectral_radius == pytest.approx(0.610, abs=5e-4)
    assert names["useeio"].spectral_radius == pytest.approx(0.4814, abs=5e-5)
    assert float(names["useeio"].total("ghg").sum()) == pytest.approx(4_919e9, rel=2e-4)
