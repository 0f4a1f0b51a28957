"""The report of a trade-off: its identities, and its page as a reader's browser sees it."""

import json
import re
from html import unescape

import numpy as np
import pytest
from report_browser import browser, look
from report_runs import economy

import quesnay as q
from quesnay.report import intervention as report
from quesnay.report import words
from quesnay.report.intervention import Study, story

HOSTILE = ("<script>alert('x')</script>", "\"quoted\" & 'single'", "Ünïcode 経済 $x$ %{y}", "</script><b>bold</b>")
POINTS = (0.01, 0.05, 0.2)


def study(table: q.Economy, *, low: float = 0.0, high: float = 1.0, penalties=None, **more) -> Study:
    """Return the trade-off of a small economy."""
    along = {"budgets": POINTS} if penalties is None else {"penalties": penalties}
    bounds = np.full(table.n, low), np.full(table.n, high)
    found = q.intervention.frontier(
        table.A, table.final_demand, reduce=table.intensity("ghg"), keep=table.intensity("jobs"), bounds=bounds, **along
    )
    return Study(
        economy=table, found=found, reduce="ghg", keep="jobs", bounds=bounds,
        budgets=None if penalties is not None else POINTS, **{"title": "A test", **more},
    )  # fmt: skip


CASES = {
    "budgets": lambda: study(economy(["North", "South"], ["Food", "Metal"])),
    "growing": lambda: study(economy(["North", "South"], ["Food", "Metal"]), high=1.2),
    "penalties": lambda: study(economy(["North", "South"], ["Food", "Metal"]), low=0.5, penalties=(1.0, 20.0, 1e6)),
    "hostile": lambda: study(
        economy(list(HOSTILE[:2]), list(HOSTILE[2:])),
        title=HOSTILE[0],
        description=HOSTILE[3],
        scenario="</pre><script>alert(1)</script>",
        inputs={HOSTILE[3]: "0"},
    ),
}


@pytest.fixture(scope="module")
def cases():
    made: dict[str, Study] = {}
    return lambda name: made[name] if name in made else made.setdefault(name, CASES[name]())


def test_sums_by_sector_and_region_are_those_of_all_accounts(cases):
    found = cases("budgets")
    k = found.at
    assert found.points[k] == 0.05
    for by in (found.by_sector, found.by_region):
        np.testing.assert_allclose(sum(by(found.change).values()), found.found.kept[k] - found.found.base_kept)
        np.testing.assert_allclose(sum(by(found.saved).values()), found.found.base_outcome - found.found.outcome[k])
    np.testing.assert_allclose(found.moved, POINTS)
    np.testing.assert_allclose(np.abs(found.change).sum(), 0.05 * float(found.found.base_kept))


@pytest.mark.parametrize("name", CASES)
def test_pages_say_the_computed_numbers_and_nothing_undefined(cases, name):
    found = cases(name)
    page = report.html(found)
    text = unescape(re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", page.split("<body>", 1)[1], flags=re.DOTALL))
    assert re.findall(r"\b(?:undefined|NaN|None|nan|inf|Infinity|not defined|unlimited)\b", text) == []
    assert f"{words.percent(float(found.reduced[found.at]), 3)} of greenhouse gases" in text
    json.dumps(report.summary(found), allow_nan=False)
    report.dataset(found)
    body = page.split('<script type="application/json"', 1)[0]
    assert "<script" not in body
    assert "<b>" not in body


def test_who_gains_is_said_where_factors_may_exceed_one(cases):
    assert "Nobody gains" in " ".join(story.summary_sentences(cases("budgets")))
    grown = cases("growing")
    assert (grown.change > 0).any() == ("are gained" in " ".join(story.summary_sentences(grown)))


def test_a_study_holds_what_belongs_together(cases):
    import dataclasses

    found = cases("budgets")
    with pytest.raises(q.InputError, match=r"headline is 0\.3, which is not on the frontier"):
        dataclasses.replace(found, headline=0.3)
    with pytest.raises(q.InputError, match="a budget for each"):
        dataclasses.replace(found, budgets=(0.1,))


@pytest.fixture(scope="module")
def chrome():
    with browser() as found:
        yield found


@pytest.mark.browser
@pytest.mark.parametrize("name", ["budgets", "penalties", "hostile"])
def test_pages_open_without_errors_or_requests(chrome, cases, name, tmp_path):
    page = tmp_path / "index.html"
    page.write_text(report.html(cases(name)), encoding="utf-8")
    for width in (1400, 420):
        seen = look(chrome, page, width)
        assert seen["console"] == []
        assert seen["requests"] == []
        assert seen["width"] <= seen["window"], "nothing sticks out to the side"
        assert seen["plots"]
        for plot in seen["plots"]:
            assert plot["traces"], plot["id"]
            assert all(plot["traces"]), plot
            assert len(plot["label"].split()) >= 3, plot["id"]
            assert plot["cut"] == [], plot["id"]
