"""The Belgian example: its model is the published one, its rivals are as measured, its fit sees no later survey."""

import dataclasses
import json
import sys
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import quesnay as q

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples"))

from belgium_2020 import data as source  # noqa: E402
from belgium_2020 import evaluate, fit, model, scenarios  # noqa: E402

FROZEN = json.loads((ROOT / "examples" / "belgium_2020" / "frozen.json").read_text(encoding="utf-8"))
LAST, STEPS = slice(5, 10), 60


@pytest.fixture(scope="module")
def folder(shared_data):
    path = shared_data / "belgium_covid_2020"
    if not path.is_dir():
        pytest.skip(f"no {path}")
    return path


@pytest.fixture(scope="module")
def belgium(folder):
    return source.read(folder)


@pytest.fixture(scope="module")
def tables(belgium):
    return evaluate.tables(belgium, FROZEN)


def published(belgium, may, lost, days):
    """Output of the equations of Pichler et al. (2022), in money and in their order of the day; wages are made up for."""
    net = belgium.network
    A, x0 = np.asarray(net.links.coefficient), np.asarray(net.output)
    c0 = belgium.consumption
    f0 = np.asarray(net.final_demand) - c0
    rating, uses = belgium.criticality, A > 0
    target = A * x0 * belgium.inventory
    stock, demand, staff, gap, path = target.copy(), x0.copy(), np.ones_like(x0), np.zeros_like(x0), []
    for t in range(days):
        staff = np.minimum(may[t], staff + np.where(gap >= 0, 1 / 30, 2 / 30) * gap)
        left = 1 - (lost[t - 1] if t else np.zeros_like(x0))
        basket = left * c0 / c0.sum()
        e = 1 - basket.sum()
        consumed = (1 - 0.5 * e) * c0.sum() * basket / (1 - e)
        orders = np.maximum(0, A * demand + (target - stock) / 10)
        demand = consumed + left * f0 + orders.sum(axis=1)
        lasts = stock / np.where(uses, A, 1)
        critical = np.where(uses & (rating == 1), lasts, np.inf).min(axis=0)
        important = np.where(uses & (rating == 0.5), (lasts + x0) / 2, np.inf).min(axis=0)
        inputs = np.minimum(critical, important)
        output = np.minimum(np.minimum(staff * x0, inputs), demand)
        stock = stock - np.minimum(A * output, stock) + (output / demand)[:, None] * orders
        gap = np.minimum(demand, inputs) / x0 - staff
        path.append(output)
    return np.array(path)


def run(belgium, may, lost):
    built = model.model(belgium, reacting=True)
    built = eqx.tree_at(lambda m: m.households.benefits, built, jnp.asarray(1.0))
    return q.simulate(built, q.ByDay(labour=1 - may, demand=lost), steps=STEPS)


def test_the_model_is_the_published_one_day_by_day(belgium):
    may, lost = (rows[scenarios.LOCKDOWN - 2 :] for rows in scenarios.a_priori(belgium))
    expected = published(belgium, may, lost, STEPS)
    assert expected[20].sum() < 0.75 * expected[0].sum()
    np.testing.assert_allclose(run(belgium, may, lost).output, expected, rtol=1e-10)


def test_without_decrees_nothing_moves(belgium):
    nothing = np.zeros_like(scenarios.lost_demand(belgium)[scenarios.LOCKDOWN - 2 :])
    path = run(belgium, 1 + nothing, nothing)
    np.testing.assert_allclose(path.output / path.base.output, 1, rtol=0, atol=1e-12)


def test_the_metric_weighs_groups_by_output_and_splits_what_they_share(belgium, folder):
    output = pd.read_csv(folder / "accounts.csv", index_col=0)["output"]
    weight = dict(zip(belgium.groups, belgium.weight, strict=True))
    construction = output["F41-43"]
    trade = (output["G46"] + output["G47"]) / 3
    chemicals = output["C20"] + output["C21"]
    for name, expected in (
        ("Wholesale", trade),
        ("Retail sales (food)", trade),
        ("Engineering services", output["M69-70"] / 2),
        ("Manufacture of pharmaceutical and chemical products", chemicals),
    ):
        assert weight[name] / weight["Construction"] == pytest.approx(expected / construction, rel=1e-12), name
    assert belgium.weight.sum() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize(
    ("task", "name", "error"),
    [
        ("nowcast", "no change", 25.97),
        ("nowcast", "previous survey (knows later ones)", 9.95),
        ("nowcast", "survey of 27 April", 12.71),
        ("nowcast", "staff alone", 11.74),
        ("nowcast", "line in staff", 7.57),
        ("nowcast", "line in staff, groups unweighted", 7.28),
        ("nowcast", "line in filtered staff, offsets", 7.14),
        ("forecast", "line in staff of 27 April", 11.40),
        ("a priori", "published labour shock alone", 19.57),
    ],
)
def test_rivals_are_as_measured_by_another_program(tables, task, name, error):
    # From an earlier program that reads the data, sets up the groups and scores the rivals by itself, without quesnay.
    assert next(row.last for row in tables[task] if row.name == name) == pytest.approx(error, abs=0.006)


def test_the_runs_give_the_recorded_figures(tables):
    recorded = json.loads((ROOT / "benchmarks" / "results" / "belgium_2020.json").read_text(encoding="utf-8"))
    for task, rows in tables.items():
        assert rows[0].last == pytest.approx(recorded["tables"][task][0]["last"], abs=0.05), task
    assert [round(rows[0].last, 1) for rows in tables.values()] == [7.3, 7.9, 9.2]


def test_forecast_and_a_priori_beat_all_that_know_as_much_and_the_nowcast_does_not(tables):
    for row in tables["forecast"][1:]:
        assert row.against[2] < 0, row.name
    for name in ("no change", "survey of 27 April", "published labour shock alone"):
        assert next(row for row in tables["a priori"] if row.name == name).against[2] < 0, name
    # The network adds nothing measurable to what a line in staff says: the interval holds 0.
    line = next(row for row in tables["nowcast"] if row.name == "line in filtered staff, offsets")
    assert line.against[1] < 0 < line.against[2]


def test_the_fit_gives_the_frozen_numbers_and_sees_no_later_survey(belgium):
    revenue, idle = belgium.revenue.copy(), belgium.idle.copy()
    revenue[LAST], idle[4:] = 1e3, 50.0
    found = fit.fit(dataclasses.replace(belgium, revenue=revenue, idle=idle))
    assert found["ratio"] == pytest.approx(FROZEN["ratio"], rel=1e-9)
    for task in ("nowcast", "forecast"):
        assert found[task]["p"] == FROZEN[task]["p"]
        assert found[task]["offsets"] == pytest.approx(FROZEN[task]["offsets"], abs=0.01)
