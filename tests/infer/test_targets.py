"""Observations as people have them: a file of dates, regions, sectors and values beside a model of days."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import quesnay as q

DAYS = 150


@pytest.fixture(scope="module")
def economy():
    return q.load("us-2020").nonnegative()


@pytest.fixture(scope="module")
def path(economy):
    network = q.Network.from_table(economy.Z, economy.final_demand, days=365)
    shock = q.CapacityLoss(
        economy.align({("Georgia", "Utilities"): 0.5}, fill=0.0), start=10, recovery=q.Exponential(days=30)
    )
    return q.simulate(q.SupplyModel(network, inventory=20.0, adjustment=10.0), shock, steps=DAYS)


def read(tmp_path, text, economy, **options):
    file = tmp_path / "observed.csv"
    file.write_text(text, encoding="utf-8")
    return q.infer.read_targets(file, economy, steps=DAYS, **{"begin": "2020-03-01", **options})


ROWS = """date,region,sector,value
2020-03,Georgia,,97
2020-03-05,,Utilities,99
2020-W11,Georgia,Utilities,90
2020-Q2,,,95
2020-04,Georgia,,
"""


def test_an_index_is_the_mean_over_the_period_as_a_share_of_the_base(tmp_path, economy, path):
    """By pandas: daily output of the accounts that belong to a series, its mean over the days of the period."""
    targets = read(tmp_path, ROWS, economy)
    daily = pd.DataFrame(np.asarray(path.output), pd.date_range("2020-03-01", periods=DAYS), economy.index)
    base = pd.Series(np.asarray(path.base.output), economy.index)
    found = pd.DataFrame(
        np.asarray(targets.observe(path)), list(targets.observed.period.values), list(targets.observed.series.values)
    )

    def index(days, chosen):
        return 100 * daily.loc[days, chosen].sum(axis=1).mean() / base[chosen].sum()

    georgia, utilities = (economy.index.get_level_values(k) == v for k, v in enumerate(("Georgia", "Utilities")))
    np.testing.assert_allclose(found.loc["2020-03", "Georgia"], index("2020-03", georgia), rtol=1e-13)
    np.testing.assert_allclose(found.loc["2020-03-05", "Utilities"], index(["2020-03-05"], utilities), rtol=1e-13)
    week = pd.date_range("2020-03-09", "2020-03-15")  # Monday to Sunday of the 11th ISO week
    np.testing.assert_allclose(
        found.loc["2020-W11", "Georgia · Utilities"], index(week, georgia & utilities), rtol=1e-13
    )
    np.testing.assert_allclose(
        found.loc["2020-Q2", "all"], index(slice("2020-04", "2020-06"), georgia | True), rtol=1e-13
    )
    assert targets.missing == 12
    assert float(targets.observed.loc["2020-03", "Georgia"]) == 97


def test_what_is_kept_of_a_day_is_enough(tmp_path, economy, path):
    targets = read(tmp_path, ROWS, economy)
    network = q.Network.from_table(economy.Z, economy.final_demand, days=365)
    shock = q.CapacityLoss(
        economy.align({("Georgia", "Utilities"): 0.5}, fill=0.0), start=10, recovery=q.Exponential(days=30)
    )
    model = q.SupplyModel(network, inventory=20.0, adjustment=10.0)
    kept = q.simulate(model, shock, steps=DAYS, observe=targets.keep())
    assert kept.output.shape == (DAYS, 4)
    np.testing.assert_allclose(targets.observe(kept), targets.observe(path), rtol=1e-13)


def test_levels_add_up_over_their_periods(tmp_path, economy, path):
    months = "".join(f"2020-{m:02d},,,1e6\n" for m in (3, 4))
    text = f"date,region,sector,value\n{months}2020-03-01,,,1e5\n"
    targets = read(tmp_path, text, economy, measure="level", variable="value_added")
    daily = np.asarray(path.value_added).sum(axis=1)
    np.testing.assert_allclose(
        targets.observe(path)[:, 0], [daily[0], daily[:31].sum(), daily[31:61].sum()], rtol=1e-13
    )


def test_days_are_counted_and_months_may_be_written_as_first_days(tmp_path, economy):
    days = read(tmp_path, "day,value\n3,99\n140,98\n", economy, begin=None)
    np.testing.assert_array_equal(days.span, [[3, 1], [140, 1]])
    months = read(tmp_path, "date,value\n2020-03-01,99\n2020-04-01,98\n", economy, frequency="month")
    np.testing.assert_array_equal(months.span, [[0, 31], [31, 30]])


def test_firms_are_added_up_by_region_and_sector(tmp_path):
    firms = q.firms.draw(q.load("us-2020").nonnegative(), firms=300, key=jax.random.key(0))
    region = firms.table["region"].to_numpy().astype(str)
    targets = read(tmp_path, "day,region,value\n0,Georgia,99\n", firms, begin=None)
    model = q.SupplyModel(firms.network, inventory=jnp.full(300, 20.0), adjustment=10.0)
    found = targets.observe(q.simulate(model, steps=DAYS, observe=targets.keep()))
    np.testing.assert_allclose(found, 100.0, rtol=1e-12)
    assert np.asarray(targets.groups).max() == 1
    assert (np.unique(np.asarray(targets.groups)[region == "Georgia"])).size == 1


BAD = {
    "month": ("date,value\n2020-13,3\n", q.TableError, "line 2: the date is '2020-13'"),
    "region": ("date,region,value\n2020-03,Gorgia,99\n", q.LabelError, "did you mean 'Georgia'"),
    "sector": ("date,sector,value\n\n2020-03,Utilites,99\n", q.LabelError, "line 3.*did you mean 'Utilities'"),
    "first days": ("date,value\n2020-03-01,99\n2020-04-01,98\n", q.TableError, "frequency='day' or 'month'"),
    "before": ("date,value\n2020-02,99\n", q.TableError, "the days -29 to -1"),
    "after": ("date,value\n2020-07,99\n", q.TableError, "the days 122 to 152, but the run has the days 0 to 149"),
    "number": ("date,value\n2020-03,9x\n", q.TableError, "the value is '9x'"),
    "infinite": ("date,value\n2020-03,inf\n", q.TableError, "the value is 'inf'"),
    "scale": ("date,value\n2020-03,0.98\n", q.TableError, "base = 1 for shares"),
    "columns": ("time,value\n1,2\n", q.TableError, "give date \\(or day\\)"),
    "twice": ("date,value\n2020-03,91\n2020-03,92\n", q.TableError, "stands in line 2 already"),
    "twice, written otherwise": ("date,value\n2020-Q2,91\n2020Q2,92\n", q.TableError, "stands in line 2 already"),
    "underscore": ("date,value\n2020-03,9_9\n", q.TableError, "the value is '9_9'"),
    "negative": ("date,value\n2020-03,-99\n", q.TableError, "in an index whose base is 100"),
    "empty": ("", q.TableError, "has the columns none"),
    "no rows": ("date,value\n", q.TableError, "holds no value"),
    "entries": ("date,value\n2020-03,99,3\n", q.TableError, "line 2: has 3 entries"),
    "day": ("date,day,value\n2020-03,1,99\n", q.TableError, "give date \\(or day\\)"),
}


@pytest.mark.parametrize(("text", "error", "says"), BAD.values(), ids=BAD)
def test_a_bad_file_is_one_sentence(tmp_path, economy, text, error, says):
    with pytest.raises(error, match=says):
        read(tmp_path, text, economy)


OPTIONS = {
    "begin": ({"begin": None}, "give begin"),
    "date": ({"begin": "March"}, "begin is 'March'"),
    "measure": ({"measure": "share"}, "'index', 'level'"),
    "frequency": ({"frequency": "decade"}, "'quarter', 'year'"),
    "base": ({"base": -1.0}, "base is -1.0"),
}


@pytest.mark.parametrize(("options", "says"), OPTIONS.values(), ids=OPTIONS)
def test_a_bad_option_is_one_sentence(tmp_path, economy, options, says):
    with pytest.raises(q.InputError, match=says):
        read(tmp_path, "date,value\n2020-03,99\n", economy, **options)


def test_a_missing_file_is_named(economy, tmp_path):
    with pytest.raises(q.TableError, match=r"nowhere\.csv: cannot be read"):
        q.infer.read_targets(tmp_path / "nowhere.csv", economy, steps=10, begin="2020-03-01")
