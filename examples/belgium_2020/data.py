"""The Belgian data: a table of 63 sectors, ten business surveys, and published shocks, as arrays in one order.

A sector that several survey groups share is split into equal pieces, so that every account belongs to one group or to none.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import quesnay as q

FIRST_DAY, DAYS = dt.date(2020, 3, 1), 122
"""The model runs from 1 March to 30 June."""


def day(date: str) -> int:
    """Return the number of a date, 1 March being day 0."""
    return (dt.date.fromisoformat(date) - FIRST_DAY).days


@dataclass(frozen=True)
class Belgium:
    """The data; n accounts, g survey groups, t survey dates.

    Attributes
    ----------
    network:
        Flows per day, in million EUR.
    label, group:
        The NACE sector of each account (n,), and its survey group (n,), -1 where no survey asks.
    inventory:
        Days of use held (n,).
    criticality:
        Input array of the network: 1, 0.5 or 0, and 0 for everything that cannot be stored (outside NACE A to E).
    consumption, compensation:
        Household demand and labour compensation (n,), million EUR per day.
    household_loss, other_loss:
        Published demand shocks of households and of other buyers (n,), shares.
    telework, essential:
        Share of work that can be done from home and share of the sector that is essential (n,).
    groups, weight:
        Names and output shares (g,) of the survey groups.
    dates, staff_dates:
        Days of the surveys (t,); the first one did not ask for staff.
    revenue:
        Change of revenue, percent (t, g).
    country:
        The same for the whole country, as the surveys' authors weigh it (t,).
    idle:
        Staff temporarily unemployed, percent (t - 1, g).
    """

    network: q.Network
    label: np.ndarray
    group: np.ndarray
    inventory: np.ndarray
    criticality: np.ndarray
    consumption: np.ndarray
    compensation: np.ndarray
    household_loss: np.ndarray
    other_loss: np.ndarray
    telework: np.ndarray
    essential: np.ndarray
    groups: list[str]
    weight: np.ndarray
    dates: np.ndarray
    staff_dates: np.ndarray
    revenue: np.ndarray
    country: np.ndarray
    idle: np.ndarray

    def of(self, *labels: str) -> np.ndarray:
        """Return which accounts belong to the sectors."""
        return np.isin(self.label, labels)

    def in_group(self, name: str) -> np.ndarray:
        """Return which accounts belong to a survey group."""
        return self.group == self.groups.index(name)


def read(folder: Path) -> Belgium:
    """Read the folder `belgium_covid_2020` of the shared data."""
    accounts = pd.read_csv(folder / "accounts.csv", index_col=0)
    nace = accounts.index
    revenue = pd.read_csv(folder / "observed_revenue_change_pct_by_sector.csv", index_col=0)
    groups = [name for name in revenue.columns if name != "Belgium"]
    staff = pd.read_csv(folder / "observed_staff_status_pct_by_sector.csv")
    idle = staff.pivot(index="survey_date", columns="sector", values="temporarily unemployed")[groups]
    ranges = pd.read_csv(folder / "survey_sector_to_nace64.csv", dtype=str, index_col="sector")["nace"]
    member = np.array([[overlap(ranges[name], sector) for sector in nace] for name in groups])

    pieces = [(s, g) for s in range(len(nace)) for g in (np.flatnonzero(member[:, s]) if member[:, s].any() else [-1])]
    sector, group = np.array(pieces).T
    share = 1 / np.maximum(1, member.sum(axis=0))[sector]

    def by_account(column: pd.Series) -> np.ndarray:
        return column.loc[nace].to_numpy(float)[sector]

    flows = pd.read_csv(folder / "Z.csv", index_col=0).loc[nace, nace].to_numpy(float)
    Z = flows[np.ix_(sector, sector)] * share[:, None] * share
    consumption = by_account(accounts["household_demand"]) * share
    final_demand = consumption + by_account(accounts["other_demand_total"]) * share
    network = q.Network.from_table(Z, final_demand, days=365)
    rating = pd.read_csv(folder / "critical_inputs_nace64.csv", index_col=0).loc[nace, nace]
    storable = nace.str[0].isin(list("ABCDE"))
    rating = rating.where(pd.Series(storable, nace), 0.0, axis=0).to_numpy(float)
    work = pd.read_csv(folder / "remote_labour_essential_nace64.csv", index_col=0)
    output = np.asarray(network.output)
    weight = np.bincount(group + 1, output)[1:]
    return Belgium(
        network=network,
        label=nace.to_numpy(str)[sector],
        group=group,
        inventory=by_account(pd.read_csv(folder / "inventory_days_nace64.csv", index_col=0).iloc[:, 0]),
        criticality=np.asarray(q.supply.criticality(network, rating, sector)),
        consumption=consumption / 365,
        compensation=by_account(accounts["labour_compensation"]) * share / 365,
        household_loss=np.array([household_loss(label) for label in nace])[sector],
        other_loss=by_account(pd.read_csv(folder / "other_demand_shock_nace64.csv", index_col=0).iloc[:, 0]),
        telework=by_account(work["remote_labor_index"]),
        essential=by_account(work["essentiality_score"]),
        groups=groups,
        weight=weight / weight.sum(),
        dates=np.array([day(date) for date in revenue.index]),
        staff_dates=np.array([day(date) for date in idle.index]),
        revenue=revenue[groups].to_numpy(float),
        country=revenue["Belgium"].to_numpy(float),
        idle=idle.to_numpy(float),
    )


def overlap(divisions: str, sector: str) -> bool:
    """Say whether a range of NACE divisions, as `90-92-93`, meets a sector, as `R90-92`."""
    wanted, held = ([int(part) for part in text.split("-")] for text in (divisions, sector[1:]))
    return min(wanted) <= max(held) and min(held) <= max(wanted)


def household_loss(label: str) -> float:
    """Return the share of household demand lost at the first lockdown: Pichler et al. (2022), their values for the UK."""
    if label in ("H49", "H50", "H51", "H52"):
        return 0.67
    if label == "I55-56":
        return 0.8
    if label in ("R90-92", "R93", "S94", "S95", "S96"):
        return 0.05
    if label in ("Q86", "Q87-88"):
        return -0.15
    return 0.1 if label[0] in "ABCG" else 0.0
