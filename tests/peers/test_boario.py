"""BoARIO's ARIOPsiModel side by side, on pymrio's test system: 6 regions of 8 sectors, 365 days.

BoARIO's rules in quesnay's parts: pooled inputs, `PsiRelaxed`, `Replacement`, `Overproduction`, and `TowardsCapacity` for its
order type "alt". Where the two read a parameter differently:

- BoARIO lets an event that lasts d days recover from day d + 1 on: `duration=d + 1` here.
- An input is one where its flow in a *year* is above 1e-5 of output in a *day*: `least=1e-5 / 365`.
- Rebuilding events coincide but for two rules, which the last tests undo, and measure: in BoARIO each builder keeps what it was
  asked at first, and orders of inputs leave out the demand that was just rebuilt.
- Its convex recovery is the one named "convexe noscale"; "convexe" multiplies the exponent by 4.
"""

import contextlib
import io
import logging
import warnings

import numpy as np
import pandas as pd
import pytest

import quesnay as q

pymrio = pytest.importorskip("pymrio")

DAYS = 365
OCCURRENCE, DURATION, TAU = 30, 5, 60
SERVICES = ("trade", "transport", "other")
STOCKS = {
    "food": 10,
    "mining": 120,
    "manufactoring": 60,
    "electricity": 2,
    "construction": 30,
    "trade": 5,
    "transport": 7,
}
STOCKS["other"] = 15


@contextlib.contextmanager
def silence():
    """Keep what BoARIO logs, prints and warns about to itself."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


with silence():
    models = pytest.importorskip("boario.extended_models")
    simulation = pytest.importorskip("boario.simulation")
    event = pytest.importorskip("boario.event")


@pytest.fixture(scope="module")
def system():
    """The system in BoARIO's order: regions, and within them sectors, by name."""
    found = pymrio.load_test()
    order = found.Z.index.sort_values()
    return pymrio.IOSystem(Z=found.Z.loc[order, order], Y=found.Y.loc[order]).calc_all()


def theirs(system, *, kind="recovery", share=0.1, event_options, model=models.ARIOPsiModel, change=None, **options):
    """Return BoARIO's production (365, 48): a share of the capital of every sector of the second region is destroyed."""
    with silence():
        economy = model(system, **options)
        run = simulation.Simulation(economy, n_temporal_units_to_sim=DAYS)
        capital = pd.Series(economy.productive_capital, index=economy.industries)
        hit = share * capital[capital.index.get_level_values("region") == economy.regions[1]]
        run.add_event(event.from_series(hit, event_type=kind, occurrence=OCCURRENCE, **event_options))
        if change is not None:
            change(run)
        run.loop()
        return run.production_realised.to_numpy()


def ours(system, *, psi=0.8, inventory=90.0, alt=True, shock=None, reconstruction=None):
    """Return quesnay's output (365, 48) from the system's flows and final demand; none of BoARIO's results goes in."""
    regions, sectors = len(system.get_regions()), len(system.get_sectors())
    network = q.Network.from_table(system.Z.to_numpy(), system.Y.sum(axis=1).to_numpy(), days=DAYS)
    model = q.SupplyModel(
        network.pooled(np.tile(np.arange(sectors), regions)),
        inventory=inventory,
        adjustment=60.0,
        production=q.supply.PsiRelaxed(psi, least=1e-5 / 365),
        orders=q.supply.Replacement(),
        reallocation=q.supply.TowardsCapacity() if alt else None,
        overproduction=q.supply.Overproduction(1.25, days=365),
        reconstruction=reconstruction,
    )
    return np.asarray(q.simulate(model, shock, steps=DAYS).output)


def capacity_loss(system, recovery):
    return q.CapacityLoss(0.1 * hit(system), start=OCCURRENCE, duration=DURATION + 1, recovery=recovery)


def hit(system):
    """Return which accounts lose capital: those of the second region that have value added, and so capital."""
    value_added = (system.x.to_numpy().ravel() - system.Z.sum(axis=0).to_numpy()).clip(min=0)
    return (system.Z.index.get_level_values("region") == system.Z.index[8][0]) * (value_added > 0)


def by_sector(system, stocks):
    return q.supply.ByProduct([stocks[sector] for sector in sorted(system.get_sectors())])


def apart(got, expected):
    """Return the largest difference as a share of the account's base output."""
    return np.max(np.abs(got - expected)[:, expected[0] > 0] / expected[0][expected[0] > 0])


LINEAR = {"duration": DURATION, "recovery_tau": TAU, "recovery_function": "linear", "event_monetary_factor": 10**6}


def test_the_defaults_give_the_same_path_and_the_known_loss(system):
    expected = theirs(system, event_options=LINEAR)
    got = ours(system, shock=capacity_loss(system, q.Linear(days=TAU)))
    assert apart(got, expected) < 1e-9
    world = got.sum(axis=1) / system.x.to_numpy().sum() * DAYS
    # Figures of a run of BoARIO 0.7.2 alone.
    assert world[30] == pytest.approx(0.98103, abs=5e-6)
    assert world[:30] == pytest.approx(1, abs=1e-12)
    assert np.sum(world - 1) == pytest.approx(-0.67135, abs=5e-6)


@pytest.mark.parametrize(
    ("theirs_options", "ours_options"),
    [
        ({"order_type": "noalt"}, lambda system: {"alt": False}),
        ({"psi_param": 0.9}, lambda system: {"psi": 0.9}),
        ({"psi_param": 1.0, "main_inv_dur": 3}, lambda system: {"psi": 1.0, "inventory": 3.0}),
        (
            {"infinite_inventories_sect": list(SERVICES)},
            lambda system: {
                "inventory": by_sector(system, dict.fromkeys(STOCKS, 90) | dict.fromkeys(SERVICES, np.inf))
            },
        ),
        ({"inventory_dict": STOCKS}, lambda system: {"inventory": by_sector(system, STOCKS)}),
    ],
    ids=["orders in base shares", "psi .9", "stocks that run out", "endless stocks of services", "stocks by input"],
)
def test_rules_and_parameters_give_the_same_path(system, theirs_options, ours_options):
    expected = theirs(system, event_options=LINEAR, **theirs_options)
    got = ours(system, shock=capacity_loss(system, q.Linear(days=TAU)), **ours_options(system))
    assert apart(got, expected) < 1e-9


def test_a_convex_recovery_gives_the_same_path(system):
    expected = theirs(system, event_options=LINEAR | {"recovery_function": "convexe noscale"})
    got = ours(system, shock=capacity_loss(system, q.Convex(days=TAU)))
    # BoARIO rounds what is left of the damage to 7 decimals of the table's unit.
    assert apart(got, expected) < 1e-9


REBUILD = {
    "duration": 1,
    "rebuild_tau": TAU,
    "rebuilding_sectors": {"construction": 1.0},
    "event_monetary_factor": 10**6,
}


class WholeDemand(models.ARIOPsiModel):
    """BoARIO, but stocks are ordered for all of the day's demand: its own leaves out what was just rebuilt."""

    asked = None

    def calc_production(self, current_temporal_unit):
        self.asked = None
        limits = super().calc_production(current_temporal_unit)
        self.asked = self.entire_demand_tot.copy()
        return limits

    @property
    def production_opt(self):
        return np.fmin(self.entire_demand_tot if self.asked is None else self.asked, self.production_cap)


def share_again(run):
    """Let owners share what is left among the builders anew every day: in BoARIO each builder keeps what it was first asked."""
    tracker = run._event_tracking[0]
    first = tracker._distributed_reb_dem_indus.copy()
    shares, receive = first / first.sum().where(first.sum() > 0, 1), tracker.receive_indus_rebuilding

    def receive_and_share(delivered):
        receive(delivered)
        if tracker._distributed_reb_dem_indus is not None:
            tracker._distributed_reb_dem_indus = shares * tracker._distributed_reb_dem_indus.sum()

    tracker.receive_indus_rebuilding = receive_and_share


@pytest.fixture(scope="module")
def rebuilt(system):
    """quesnay's path: the construction industries of all regions rebuild, in the shares in which each owner buys of them."""
    flows = system.Z.to_numpy()
    bought = np.where((system.Z.index.get_level_values("sector") == "construction")[:, None], flows, 0)
    assert (bought.sum(axis=0) > 0).all()
    capital = 4 * (system.x.to_numpy().ravel() - flows.sum(axis=0)).clip(min=0)
    return ours(
        system,
        shock=q.supply.CapitalLoss(0.001 * capital * hit(system), start=OCCURRENCE),
        reconstruction=q.supply.Reconstruction(capital, bought / bought.sum(axis=0), days=TAU),
    )


def test_rebuilding_is_the_same_but_for_two_rules(system, rebuilt):
    expected = theirs(system, kind="rebuild", share=0.001, event_options=REBUILD, model=WholeDemand, change=share_again)
    assert apart(rebuilt, expected) < 1e-9


def test_the_two_rules_of_rebuilding_move_output_by_a_fifth_of_a_percent(system, rebuilt):
    expected = theirs(system, kind="rebuild", share=0.001, event_options=REBUILD)
    assert 1e-3 < apart(rebuilt, expected) < 3e-3
    world = [path.sum(axis=1) / path[0].sum() for path in (rebuilt, expected)]
    assert np.sum(world[0] - 1) == pytest.approx(np.sum(world[1] - 1), rel=0.05)
