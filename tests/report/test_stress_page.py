"""The report of a stress test under warming: its identities, and its page as a reader's browser sees it."""

import dataclasses
import json
import re
from html import unescape

import jax
import numpy as np
import pytest
from report_browser import browser, look
from report_runs import economy

import quesnay as q
from quesnay import climate
from quesnay.report import climate as report
from quesnay.report import words
from quesnay.report.climate import Matched, Study, story

HOSTILE = ("<script>alert('x')</script>", "\"quoted\" & 'single'", "Ünïcode 経済 $x$ %{y}", "</script><b>bold</b>")
DAMAGE = climate.HowardSterner(catastrophic=True)
T = (1.1, 3.0, 4.5)


def study(
    table: q.Economy,
    *readings: climate.AbstractReading,
    damage: climate.AbstractDamage = DAMAGE,
    gamma: object = 0.4,
    temperatures: tuple[float, ...] = T,
    reference: float | None = 1.1,
    productivity: bool = False,
    **more,
) -> Study:
    """Return the stress test of a small economy."""
    gamma = np.broadcast_to(np.asarray(gamma, dtype=float), table.n)
    means = climate.Productivity(gamma) if productivity else climate.InputRequirement(gamma)
    A, d = table.A, table.final_demand
    labour = 1 - np.asarray(A).sum(axis=0)
    setting = {"vulnerability": means, "reference": reference}
    weights = {name: table.intensity(name) for name in table.satellites}
    readings = readings or (climate.FactorLimited(),)
    results = tuple(
        climate.stress(
            A, d, damage, temperatures=temperatures, reading=reading, labour=labour, intensities=weights, throw=False, **setting
        )
        for reading in readings
    )  # fmt: skip
    return Study(
        economy=table, damage=damage, vulnerability=means, reference=reference, labour=labour, readings=readings,
        results=results, collapse=climate.collapse(A, damage, **setting), outcomes=table.satellites,
        **{"title": "A test", **more},
    )  # fmt: skip


@pytest.fixture(scope="module")
def table() -> q.Economy:
    return economy(["North", "South"], ["Food", "Metal"])


@pytest.fixture(scope="module")
def whole(table) -> Study:
    """Everything at once: two readings, a ranking, a match and draws."""
    A, d = table.A, table.final_demand
    found = climate.match(A, d, DAMAGE, 0.05, at=3.0, gamma=1.0, reference=1.1)
    gamma = np.full(4, float(found.scale))
    setting = {"gamma": gamma, "reference": 1.1}
    key = jax.random.key(0)
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)

    def gdp(curve):
        return climate.stress(A, d, curve, temperatures=T, throw=False, **setting).gdp

    return study(
        table, climate.FactorLimited(), climate.Bottleneck(), gamma=gamma, headline=3.0, seed=0,
        resilience=climate.resilience(A, d, DAMAGE, temperatures=3.0, **setting), match=Matched(found, 3.0),
        gdp_draws=climate.curves(DAMAGE, gdp, key=key, count=20, levels=levels),
        damage_draws=climate.curves(DAMAGE, lambda curve: curve(np.array(T)), key=key, count=20, levels=levels),
        drawn_at=np.array(T),
    )  # fmt: skip


def test_losses_of_accounts_sectors_and_regions_add_up_to_that_of_gdp(whole):
    lost = whole.base_gdp - np.asarray(whole.main.gdp)
    for values in (whole.by_sector(whole.lost), whole.by_region(whole.lost)):
        np.testing.assert_allclose(sum(values.values()), lost, rtol=1e-9, atol=1e-9 * whole.base_gdp)
    np.testing.assert_allclose(whole.base_value_added.sum(), whole.base_gdp, rtol=1e-12)
    np.testing.assert_allclose(whole.base_factor, whole.base_gdp, rtol=1e-12)


def test_a_summary_is_json_and_says_the_same(whole):
    given = json.loads(json.dumps(report.summary(whole), allow_nan=False))
    assert [row["gdp"] for row in given["readings"]["factor-limited"]] == np.asarray(whole.main.gdp).tolist()
    assert given["headline"] == 3.0
    tenth = [row["tenth"] for row in given["resilience"]]
    assert tenth == sorted(tenth, reverse=True)
    assert given["match"]["loss"] == pytest.approx(0.05, rel=1e-9)


def test_a_dataset_is_labelled_and_is_read_back_equal(whole, tmp_path):
    made = report.dataset(whole)
    assert made["gdp"].dims == ("reading", "temperature")
    assert set(made["output"].dims) == {"reading", "temperature", "region", "sector"}
    assert made["jobs"].attrs["units"] == "thousand jobs"
    assert made["slope"].attrs["units"] == "MUSD per degree C"
    np.testing.assert_allclose(made["value_added"].sum(["region", "sector"]), made["gdp"], rtol=1e-9)
    assert "missing" not in str(made.attrs)
    made.to_netcdf(tmp_path / "result.nc", engine="scipy", format="NETCDF3_64BIT")


def test_outcomes_may_have_the_names_of_variables(table, whole):
    names = {"jobs": "gdp", "ghg": "air: CO2/t"}
    satellites = {name: (table.frame(old), "kt") for old, name in names.items()}
    named = q.Economy.from_frames(
        Z=table.frame("Z"), final_demand=table.frame("final_demand"), satellites=satellites, currency="MUSD"
    )

    def renamed(result):
        parts = ("outcomes", "outcome_slopes")
        return dataclasses.replace(
            result, **{part: {names[k]: v for k, v in getattr(result, part).items()} for part in parts}
        )

    results = tuple(map(renamed, whole.results))
    made = report.dataset(dataclasses.replace(whole, economy=named, outcomes=tuple(names.values()), results=results))
    assert {"gdp", "gdp_2", "gdp_2_slope", "air__CO2_t"} <= set(made.data_vars)
    assert (made["gdp"].attrs["units"], made["gdp_2"].attrs["units"]) == ("MUSD", "kt")


def test_the_summary_on_the_page_says_the_computed_numbers(whole):
    text = unescape(report.html(whole).split('<section class="lede"', 1)[1].split("</section>", 1)[0])
    assert "GDP is 5.00\u00a0% lower than at the reference of 1.1\u00a0°C" in text
    assert "first bottleneck" in text
    assert "4.5\u00a0°C lies outside of what the damage function's source supports, 0 to 4\u00a0°C" in text
    assert "nine tenths of 20 draws" in text


CASES = {
    "requirement": lambda: study(economy(["A", "B"], ["a", "b"]), climate.ResourceRequirement(), climate.FactorLimited()),
    "collapse": lambda: study(economy(["A", "B"], ["a", "b"]), climate.FactorLimited(), gamma=40.0),
    "required-collapse": lambda: study(economy(["A", "B"], ["a", "b"]), climate.ResourceRequirement(), gamma=40.0),
    "collapsed-headline": lambda: study(economy(["A", "B"], ["a", "b"]), gamma=40.0, headline=4.5),
    "infeasible": lambda: study(economy(["A", "B"], ["a", "b"]), climate.FixedCapacity(), gamma=[0.0, 0.0, 400.0, 0.0]),
    "inadmissible": lambda: study(economy(["A"], list("abcd")), gamma=7.0, reference=None, productivity=True),
    "no-answer": lambda: study(economy(["A"], list("abcd")), gamma=700.0, reference=None, productivity=True),
    "one-of-each": lambda: study(economy(["all"], ["Only"], satellites=False), reference=None, temperatures=(2.0,)),
    "idle-sector": lambda: study(economy(["A", "B"], ["a", "b"], idle=2)),
    "incomplete": lambda: study(economy(["A", "B"], list("abc"), drop=(3, 5))),
    "nobody": lambda: study(economy(["A", "B"], ["a", "b"]), gamma=0.0),
    "curves": lambda: study(
        economy(["A", "B"], ["a", "b"]),
        damage=climate.ByAccount([climate.DICE2016R(), climate.DICE2023(), climate.Weitzman(), climate.Weitzman()]),
    ),
    "hostile": lambda: study(
        economy(list(HOSTILE[:2]), list(HOSTILE[2:])),
        title=HOSTILE[0],
        description=HOSTILE[3],
        scenario="</pre><script>alert(1)</script>",
        inputs={HOSTILE[3]: "0"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def cases():
    made: dict[str, Study] = {}
    return lambda name: made.setdefault(name, CASES[name]())


@pytest.mark.parametrize("name", CASES)
def test_unusual_tests_have_whole_reports(cases, name):
    found = cases(name)
    page = report.html(found)
    text = unescape(re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", page.split("<body>", 1)[1], flags=re.DOTALL))
    assert re.findall(r"\b(?:undefined|NaN|None|nan|inf|Infinity|not defined|unlimited)\b", text) == []
    json.dumps(report.summary(found), allow_nan=False)
    report.dataset(found)


def test_the_headline_is_not_the_reference_where_another_temperature_has_numbers(cases):
    """Fixed capacity that fails from 3 degrees on: what is left there, said as such, and no rounding at the reference."""
    found = cases("infeasible")
    assert found.ended[0][0] == "successful"
    assert found.ended[0][1:] == ("infeasible", "infeasible")
    said = " ".join(story.summary_sentences(found))
    assert said.startswith("At 4.5\u00a0°C of warming, GDP is ")
    assert "That is what would be left, and no answer: a delivery would be negative." in said
    assert "nowhere in this test" not in said
    assert "10⁻" not in said + " ".join(text for _, _, text in story.key_figures(found))


def test_amounts_are_said_in_units_that_suit_them():
    assert words.in_units(4e6, "MUSD") == (1e-6, "tn USD")
    assert words.in_units(999.6, "MUSD") == (1e-3, "bn USD")
    assert words.in_units(650.0, "shells") == (1.0, "shells")
    assert words.scaled(567_331.0, "kt CO2e") == "567\u00a0Mt CO₂e"
    assert words.scaled(3.0, "kt CO2e") == "3\u00a0kt CO₂e"


def test_labels_are_escaped(cases):
    text = report.html(cases("hostile"))
    body = text.split('<script type="application/json"', 1)[0]
    data = text.split('id="panels">', 1)[1].split("</script>", 1)[0]
    for label in HOSTILE:
        assert label in unescape(body)
    assert "<script" not in body
    assert "<b>" not in body
    assert not set(data) & set("<>&")


def test_a_collapse_within_the_test_is_said_and_marked(cases):
    found = cases("collapse")
    at = float(found.collapse.temperature)
    assert 1.1 < at < 3.0
    assert f"At {story.degrees(round(at, 2))} the economy collapses" in " ".join(story.summary_sentences(found))
    assert "dashed red line marks the collapse" in report.html(found)
    rows = report.summary(found)["readings"]["factor-limited"]
    assert [row["result"] for row in rows] == ["successful", "collapsed", "collapsed"]


def test_a_study_holds_what_belongs_together(whole):
    with pytest.raises(q.InputError, match="2 results; give one result for each reading"):
        dataclasses.replace(whole, readings=whole.readings[:1])
    with pytest.raises(q.InputError, match=r"headline is 2\.5"):
        dataclasses.replace(whole, headline=2.5)


@pytest.fixture(scope="module")
def chrome():
    with browser() as found:
        yield found


@pytest.mark.browser
@pytest.mark.parametrize("name", ["whole", "requirement", "collapse", "curves", "one-of-each", "hostile"])
def test_pages_open_without_errors_or_requests(chrome, cases, whole, name, tmp_path):
    page = tmp_path / "index.html"
    page.write_text(report.html(whole if name == "whole" else cases(name)), encoding="utf-8")
    for width in (1400, 420):
        seen = look(chrome, page, width)
        assert seen["console"] == []
        assert seen["requests"] == []
        assert seen["width"] <= seen["window"], "nothing sticks out to the side"
        assert seen["plots"]
        for plot in seen["plots"]:
            assert plot["traces"], plot["id"]
            assert all(plot["traces"]), plot
            assert plot["drawn"] > 0, plot["id"]
            assert min(plot["size"]) > 50, plot["id"]
            assert len(plot["label"].split()) >= 3, plot["id"]
            assert plot["cut"] == [], plot["id"]
