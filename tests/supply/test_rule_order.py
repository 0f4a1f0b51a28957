"""In which order the production rules lose output: of the limits by theory, of the paths on one scenario."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import quesnay as q
from tables import random_network, random_rating, seeds

CALM = hypothesis.settings(max_examples=15)
storages = st.sampled_from(("table", "links, pooled"))


def stocks(seed, network):
    """Return random stocks, in days of output, of the inputs that there are: some short of a day, some used up."""
    rng = np.random.default_rng(seed + 4)
    x = np.asarray(network.links.of_customer(network.output))
    return x * rng.uniform(0, 3, x.shape) * (rng.uniform(size=x.shape) < 0.8)


def limits(network, stock, rules, days=5.0):
    """Return what each rule allows (rules, n), as a share of base output and at most 1."""
    target = np.full(stock.shape, days)
    base = np.asarray(network.output)
    found = [np.asarray(rule.limit(network.links, stock, target, network.output)[0]) for rule in rules]
    return np.array([np.minimum(1, limit / np.where(base > 0, base, 1)) for limit in found])


def never_falls(values):
    return bool(np.all(np.diff(values, axis=0) >= -1e-12))


@CALM
@hypothesis.given(seeds, storages)
def test_laxer_ratings_limit_less_on_any_stock(seed, storage):
    # Up to base output: an important stock s above it limits to (s + x0) / 2, which is below s but not below x0.
    network = random_network(seed, 5, storage, patterned=True)
    rating = random_rating(seed, network)
    rules = [q.supply.FixedProportions()]
    rules += [rule(rating) for rule in (q.supply.StronglyCritical, q.supply.HalfCritical, q.supply.WeaklyCritical)]
    assert never_falls(limits(network, stocks(seed, network), rules))


@CALM
@hypothesis.given(seeds, storages)
def test_easier_substitution_limits_less_on_any_stock(seed, storage):
    # Power means with the same weights grow with their exponent, from the least (fixed proportions) to the mean (linear).
    network = random_network(seed, 5, storage, patterned=True)
    rules = [
        q.supply.FixedProportions(),
        *(q.supply.CES(sigma) for sigma in (0.3, 0.9, 3.0)),
        q.supply.LinearProduction(),
    ]
    assert never_falls(limits(network, stocks(seed, network), rules))


@CALM
@hypothesis.given(seeds, storages)
def test_a_larger_share_of_stock_to_hold_limits_more_on_any_stock(seed, storage):
    network = random_network(seed, 5, storage, patterned=True)
    rules = [*(q.supply.PsiRelaxed(psi) for psi in (1.0, 0.8, 0.5, 0.1)), q.supply.FixedProportions()]
    assert never_falls(limits(network, stocks(seed, network), rules))


@pytest.fixture(scope="module")
def lost(us2020):
    """World output lost per day, in days of base output, by rule: 20 % of all manufacturing for 30 days, five days of stock."""
    economy = us2020.nonnegative()
    network = q.Network.from_table(economy.Z, economy.final_demand, days=365)
    sectors = list(economy.sectors)
    sector = np.array([sectors.index(name) for name in economy.index.get_level_values("sector")])
    goods = np.arange(len(sectors)) < 14
    rating = np.where(goods[:, None] & goods, 1.0, np.where(goods[:, None], 0.5, 0.0))
    critical = q.supply.criticality(network, rating, sector)
    loss = 0.2 * ((sector >= 4) & (sector < 14))
    shock = q.CapacityLoss(loss, start=5, duration=30, recovery=q.Linear(days=1e-6))
    rules = {
        "fixed": q.supply.FixedProportions(),
        "strongly": q.supply.StronglyCritical(critical),
        "half": q.supply.HalfCritical(critical),
        "weakly": q.supply.WeaklyCritical(critical),
    }

    def run(rule):
        model = q.SupplyModel(network, inventory=5.0, adjustment=10.0, production=rule)
        path = q.simulate(model, shock, steps=60)
        return np.asarray(path.losses().total).sum(axis=1) / float(network.output.sum())

    return {name: run(rule) for name, rule in rules.items()}


@pytest.mark.parametrize(("strict", "lax"), [("fixed", "strongly"), ("strongly", "half"), ("half", "weakly")])
def test_a_stricter_rule_has_lost_more_on_every_day_since_the_shock(lost, strict, lax):
    assert np.all(np.cumsum(lost[strict] - lost[lax]) >= -1e-9)
    if strict != "fixed":
        # Scarce services, which fixed proportions need and strongly critical does not, hold nobody back here.
        assert lost[strict].sum() > 1.05 * lost[lax].sum()


def test_single_days_do_not_keep_the_order(lost):
    # Who went on producing during the shock has used up stocks, and lacks them after it.
    assert lost["half"][40] > lost["strongly"][40]
    assert lost["weakly"][40] > lost["half"][40]
