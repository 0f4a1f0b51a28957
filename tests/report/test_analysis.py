"""Identities of the numbers in a report."""

import equinox as eqx
import numpy as np
import pandas as pd
import pytest
from report_runs import economy, run

import quesnay as q
from quesnay.report import Run, analysis, bottlenecks
from quesnay.report.figures.flows import steps
from quesnay.report.sensitivities import value_added_lost
from quesnay.supply import CAPACITY, DEMAND

LOST = eqx.filter_jit(value_added_lost)


def same(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-11)


@pytest.mark.parametrize("name", ["output", "value added", "jobs", "ghg"])
def test_totals_are_the_sums_over_regions_and_days(small: Run, name):
    quantity, total = small.findings.quantities[name], small.findings.totals[name]
    same(total.change, sum(total.by_region.values()))
    same(total.change, quantity.path.sum() - quantity.base.sum() * small.days)
    same(total.actual, total.base + total.change)
    same(total.share, total.change / total.base)
    same(total.base_year, np.sum(small.economy.total("value_added" if name == "value added" else name)))


def test_the_worst_day_is_the_day_of_the_largest_loss(small: Run):
    output, total = small.findings.quantities["output"], small.findings.totals["output"]
    daily = output.change.sum(axis=1)
    assert total.worst_day == daily.argmin()
    same(total.worst, -daily.min())
    same(total.worst_share, -daily.min() / output.base.sum())


def test_regions_add_up_to_the_path(small: Run):
    output = small.findings.quantities["output"]
    same(sum(analysis.by_region(small, output.path).values()), output.path.sum(axis=1))


def test_direct_and_indirect_add_up_to_the_total(small: Run):
    split, total = small.findings.split, small.findings.totals["output"]
    parts = (split.indirect_at_hit, split.indirect_same_region, split.indirect_elsewhere)
    same(split.total, -total.change)
    same(split.direct.sum() + sum(parts), split.total)
    assert set(np.flatnonzero(split.hit)) == {0, 5}
    assert (split.direct[~split.hit] == 0).all()


def test_the_waterfall_adds_up(small: Run):
    *rows, total = steps(small)
    same(sum(row.change for row in rows), total.change)
    same(total.change, small.findings.totals["output"].change)


def test_the_waterfall_of_many_hit_accounts_adds_up():
    many = run(economy(["A", "B", "C"], list("abcde")), hit={k: 0.1 + 0.05 * k for k in range(12)})
    *rows, total = steps(many)
    assert any("4 more sectors" in row.label for row in rows)
    same(sum(row.change for row in rows), total.change)


@pytest.mark.parametrize(
    ("daily", "expected"),
    [
        ([10, 10, 10], (None, None)),
        ([10, 9, 9, 10, 10], (1, 3)),
        ([10, 9, 10, 9, 10], (1, 4)),
        ([10, 9, 9], (1, None)),
        ([10, 9.995, 10.005], (None, None)),
        ([10, 11, 10], (1, 2)),
    ],
)
def test_back_is_the_first_day_from_which_output_stays_near_its_base(daily, expected):
    assert analysis.back_to_base(np.array(daily, dtype=float), 10.0) == expected


def test_episodes_cover_every_day_on_which_an_input_was_scarce(small: Run):
    cause = np.asarray(small.path.bottleneck)
    assert (cause >= 0).any(), "the shock of this run makes inputs scarce"
    again = np.full(cause.shape, DEMAND)
    for episode in small.findings.episodes:
        again[episode.first : episode.last + 1, episode.customer] = episode.supplier
        assert episode.days == episode.last - episode.first + 1
    np.testing.assert_array_equal(again, np.where(cause >= 0, cause, DEMAND))


def test_shares_of_days_add_up(small: Run):
    found = small.findings.causes
    same(found.demand + found.capacity + found.input, 1)
    same(found.capacity, (np.asarray(small.path.bottleneck) == CAPACITY).mean(axis=0))


def test_lowest_stocks_are_those_of_the_path_where_there_is_one_input():
    """A chain: with a single input, the stock of all inputs together is the stock of that input."""
    Z = np.array([[0.0, 40.0], [0.0, 0.0]])
    index = pd.MultiIndex.from_tuples([("all", "up"), ("all", "down")], names=["region", "sector"])
    table = q.Economy.from_frames(
        Z=pd.DataFrame(Z, index, index), final_demand=pd.Series([10.0, 100.0], index), currency="EUR"
    )
    chain = run(table, hit={0: 0.9}, inventory=4.0)
    (row,) = chain.findings.stocks
    path, base = chain.path, chain.path.base
    days = np.asarray(path.stock[:, 1]) / float(base.used[1])
    assert (row.supplier, row.customer, row.day) == (0, 1, days.argmin())
    same(row.days, days.min())


def test_an_account_that_buys_nothing_holds_no_stock():
    alone = run(economy(["A"], ["a", "b"], linked=False))
    assert bottlenecks.lowest_stocks(alone) == []


def test_no_shock_loses_nothing():
    calm = run(economy(["A", "B"], ["a", "b"]), hit={})
    assert calm.findings.totals["output"].change == 0
    assert not calm.findings.anything
    assert calm.findings.totals["output"].worst_day is None
    assert calm.findings.totals["output"].left is None
    assert calm.findings.split.total == pytest.approx(0, abs=1e-9 * calm.findings.totals["output"].base)


def test_the_days_of_the_year_are_read_off_the_network(small: Run):
    same(small.days_per_year, 365)


@pytest.fixture(scope="module")
def smooth() -> Run:
    """A run off the kinks: different parameters everywhere, so that no two causes tie on any day with a shock."""
    table = economy(["A", "B"], ["a", "b", "c"], seed=11)
    network = q.Network.from_table(table.Z, table.final_demand, value_added=table.value_added, days=365)
    draw = np.random.default_rng(5)
    model = q.SupplyModel(
        network,
        inventory=draw.uniform(3, 5, 6),
        adjustment=draw.uniform(8, 14, 6),
        capacity=draw.uniform(1.05, 1.2, 6),
    )
    first = q.CapacityLoss(np.array([0.71, 0, 0, 0, 0.3, 0]), start=3, duration=10, recovery=q.Exponential(days=7.3))
    second = q.CapacityLoss(np.array([0, 0.43, 0, 0, 0, 0]), start=9, duration=5, recovery=q.Linear(days=11.7))
    shock = first + second
    path = q.simulate(model, shock, steps=50)
    return Run(economy=table, model=model, shock=shock, path=path, title="smooth", outcomes=())


def lost(run: Run, **changed: tuple[int, float]) -> float:
    """The value added lost where one parameter of one account is moved."""
    theta = {k: np.array(getattr(run.model, k)) for k in ("inventory", "capacity", "adjustment")}
    losses = [np.array(part.loss) for part in run.shock.shocks]
    for name, (account, step) in changed.items():
        if name == "loss":
            for loss in losses:
                loss[account] += step * (loss[account] > 0)
        else:
            theta[name][account] += step
    return float(LOST((theta, tuple(losses)), run.model, run.shock, run.days))


def test_the_objective_is_the_value_added_lost(smooth: Run):
    same(lost(smooth), -smooth.findings.totals["value added"].change)


@pytest.mark.parametrize(("name", "unit"), [("inventory", 1), ("capacity", 0.01), ("adjustment", 1), ("loss", 0.01)])
def test_sensitivities_equal_central_differences(smooth: Run, name, unit):
    effects = smooth.findings.sensitivities.effects
    mine = [effect for effect in effects if effect.parameter == name]
    scale = abs(effects[0].value)
    assert len(mine) == (3 if name == "loss" else 6)
    for effect in mine:
        h = 1e-5
        up, down = (lost(smooth, **{name: (effect.account, side * h)}) for side in (1, -1))
        assert effect.value == pytest.approx((up - down) / (2 * h) * unit, rel=1e-6, abs=1e-7 * scale)
    (everywhere,) = (e for e in smooth.findings.sensitivities.everywhere if e.parameter == name)
    assert everywhere.value == pytest.approx(sum(e.value for e in mine), rel=1e-12)
    assert any(effect.value for effect in mine)


def test_steps_are_simulated(smooth: Run):
    from quesnay.report.sensitivities import STEP

    for effect in smooth.findings.sensitivities.effects[:10]:
        after = lost(smooth, **{effect.parameter: (effect.account, STEP[effect.parameter])})
        same(effect.taken, after - lost(smooth))


def test_sensitivities_are_sorted_by_size(smooth: Run):
    sizes = [abs(effect.value) for effect in smooth.findings.sensitivities.effects]
    assert sizes == sorted(sizes, reverse=True)


def test_rescaling_the_currency_rescales_money_and_nothing_else(small: Run):
    scaled = economy(["North", "South"], ["Food", "Metal", "Power", "Trade"])
    frame = {"Z": scaled.frame("Z") * 1e6, "final_demand": scaled.frame("final_demand") * 1e6}
    thousandth = run(q.Economy.from_frames(**frame, currency="USD"), hit={0: 0.7, 5: 0.4})
    a, b = small.findings, thousandth.findings
    same(a.totals["output"].change * 1e6, b.totals["output"].change)
    same(a.totals["output"].share, b.totals["output"].share)
    assert a.totals["output"].back == b.totals["output"].back
    assert len(a.episodes) == len(b.episodes)


def test_a_path_of_another_table_is_refused(small: Run):
    other = economy(["A"], ["a", "b"])
    with pytest.raises(q.InputError, match="accounts"):
        Run(economy=other, model=small.model, shock=None, path=small.path, title="")


def test_a_difference_is_refused(small: Run):
    with pytest.raises(q.InputError, match="difference"):
        Run(economy=small.economy, model=small.model, shock=None, path=small.path.difference(), title="")


def test_an_unknown_outcome_is_refused(small: Run):
    with pytest.raises(q.LabelError, match="happiness"):
        Run(economy=small.economy, model=small.model, shock=None, path=small.path, title="", outcomes=("happiness",))
