"""Numbers and sentences as a reader wants them."""

from dataclasses import replace

import numpy as np
import pytest
from report_runs import economy, run

import quesnay as q
from quesnay.report import words
from quesnay.report.figures.sectors import bounds
from quesnay.report.figures.theme import averaged, ticks
from quesnay.report.shocks import sentences


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (58, "58"),
        (60.0, "60"),
        (1234567.8, "1,234,568"),
        (-14134.77, "−14,135"),
        (5.03, "5.03"),
        (0.0387, "0.0387"),
        (0.00003, "3.00 × 10⁻⁵"),
        (np.inf, "unlimited"),
    ],
)
def test_numbers_have_separators_and_sensible_digits(value, text):
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        (14134.8, "MUSD", "14.1 billion US dollars"),
        (999.97, "M.EUR", "1.00 billion euros"),
        (3.2, "kEUR", "3,200 euros"),
        (2.5e6, "USD", "2.50 million US dollars"),
        (12.0, "GBP", "12 pounds"),
        (12.0, "MXYZ", "12 million XYZ"),
        (1234.0, "thousand 2012 USD", "1,234 thousand 2012 USD"),
    ],
)
def test_money_is_spelled_out(value, currency, text):
    assert words.money(value, currency).replace(words.SPACE, " ") == text


@pytest.mark.parametrize(
    ("unit", "text"),
    [("thousand jobs", "thousand job-years"), ("1000 persons", "1000 person-years"), ("FTE", "FTE person-years")],
)
def test_people_at_work_become_person_years(unit, text):
    assert words.is_labour("employment", unit)
    assert words.person_years(unit) == text


def test_thousands_are_multiplied_out():
    assert words.quantity(47.6, "thousand job-years").replace(words.SPACE, " ") == "47,600 job-years"


def test_lists_are_cut():
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed(list("abcdefgh"), 3) == "a, b, c and 5 more"
    assert words.listed([]) == ""


@pytest.mark.parametrize("largest", [1e-7, 0.0011, 0.03, 0.031, 0.1, 0.5, 1.0])
def test_classes_of_loss_reach_the_largest_and_no_further(largest):
    steps = bounds(largest)
    assert len(steps) == 7
    assert steps[-2] < largest <= steps[-1] * (1 + 1e-9)
    ratios = np.divide(steps[1:], steps[:-1])
    assert ratios.min() > 2.9
    assert ratios.max() < 3.4


def test_means_over_spans_keep_the_total():
    values = np.arange(10.0)
    np.testing.assert_allclose(averaged(values, 4), [1.5, 5.5, 8.5])


@pytest.mark.parametrize("span", [(-14135.0, 0.0), (0.0, 3e-6), (-5.0, 7.0), (-1e9, -1e3)])
def test_ticks_are_few_and_inside(span):
    found = ticks(*span)
    assert 2 <= len(found) <= 6
    assert all(span[0] <= t <= span[1] for t in found)
    assert not span[0] <= 0 <= span[1] or 0 in found


def test_shocks_are_put_into_words():
    table = economy(["A", "B"], ["a", "b", "c"])
    known = run(table, hit={0: 0.5, 1: 0.5})
    (text,) = sentences(known)
    assert text.replace(words.SPACE, " ") == (
        "50 % of the capacity of a and b in A is lost on day 5 and stays lost for 12 days; from then on the loss fades "
        "exponentially, to 37 % of itself every 8 days."
    )


def test_given_sentences_win():
    known = run(economy(["A", "B"], ["a", "b", "c"]), shocks=("A flood.",))
    assert sentences(known) == ("A flood.",)


def test_shocks_of_many_kinds_are_put_into_words():
    table = economy(["A", "B"], ["a", "b", "c"])
    base = run(table, hit={})
    assert "no shock" in sentences(base)[0]
    table_shock = q.CapacityLoss([0.2, 0.4, 0, 0, 0, 0], recovery=q.Tabulated(days=[0, 10], remaining=[1, 0.2]))
    shock = table_shock + q.CapacityLoss(0.1, recovery=q.Linear(days=9)) + q.CapacityLoss(0.1, start=2)
    given, linear, forever = sentences(replace(base, shock=shock))
    assert "Between 20\u00a0% and 40\u00a0%" in given
    assert "most: b in A" in given
    assert "20\u00a0% of the loss is left after 10 days" in given
    assert "all sectors" in linear
    assert "within 9 days" in linear
    assert "does not come back" in forever
