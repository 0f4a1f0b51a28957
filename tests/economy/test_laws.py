"""What holds for every table: identities and totals survive every verb, and neither order nor unit matters."""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, settings
from hypothesis import given as given_default
from hypothesis import strategies as st

import quesnay as q


def given(*strategies):
    """Every example builds several tables, so that thirty of them are a second."""
    return lambda test: settings(max_examples=30)(given_default(*strategies)(test))


REGIONS, SECTORS = ("North", "South", "Isles"), ("Farms", "Mines", "Mills", "Shops")
CATEGORIES = ("Households", "Stocks")


class Frames(NamedTuple):
    Z: pd.DataFrame
    Y: pd.DataFrame
    output: pd.Series
    value_added: pd.Series
    imports: pd.Series
    ghg: pd.Series

    def economy(self, currency: str = "MUSD") -> q.Economy:
        rest = self._asdict()
        return q.Economy.from_frames(satellites={"ghg": (rest.pop("ghg"), "kt CO2e")}, currency=currency, **rest)


@st.composite
def tables(draw: st.DrawFn, negatives: bool = False, regions: int = 1) -> Frames:
    """A balanced table, some of its cells zero and perhaps one sector idle; with negative flows and stocks on request."""
    r, s = draw(st.integers(regions, 3)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    index = pd.MultiIndex.from_product([REGIONS[:r], SECTORS[:s]], names=["region", "sector"])
    columns = pd.MultiIndex.from_product([REGIONS[:r], CATEGORIES], names=["region", "category"])
    n = len(index)
    Z = rng.uniform(0, 10, (n, n)) * (rng.random((n, n)) < 0.7)
    Y = rng.uniform(0, 10, (n, 2 * r)) + 2
    Y[:, 1::2] *= -0.1
    if negatives:
        Z *= np.where(rng.random((n, n)) < 0.1, -0.2, 1.0)
        short = rng.random(n) < 0.3
        Y[short, 1] -= Y[short].sum(axis=1) + 0.3 * np.maximum(Z[short].sum(axis=1), 0)
    if draw(st.booleans()):
        Z[0], Z[:, 0], Y[0] = 0, 0, 0
    x = Z.sum(axis=1) + Y.sum(axis=1)
    live = x > 0
    assume((x >= 0).all() and live.any() and (live | (Z == 0).all(axis=0)).all())
    A = np.divide(Z, x, out=np.zeros_like(Z), where=live)
    assume(np.abs(np.linalg.eigvals(A)).max() < 0.98)
    imports = rng.uniform(0, 0.2, n) * x
    added = x - Z.sum(axis=0) - imports
    series = [pd.Series(v, index) for v in (x, added, imports, rng.uniform(0, 5, n) * x)]
    return Frames(pd.DataFrame(Z, index, index), pd.DataFrame(Y, index, columns), *series)


def assert_adds_up(economy: q.Economy) -> None:
    total = float(economy.output.sum())
    balance = economy.balance()
    assert balance.rows.abs().max() <= 1e-12 * total
    assert balance.columns.abs().max() <= 1e-12 * total


def assert_same(one: q.Economy, other: q.Economy, scale: float = 1.0, rtol: float = 1e-12) -> None:
    for name in ("Z", "Y", "primary", "output", "final_demand"):
        expected, got = one.frame(name) * scale, other.frame(name)
        size = float(np.abs(one.frame("output")).sum()) * scale
        if name == "Y":
            expected, got = expected.sort_index(axis=1), got.sort_index(axis=1)
        assert list(expected.index) == list(got.index)
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol * size)


@given(tables())
def test_output_is_inputs_of_others_plus_final_demand(table: Frames) -> None:
    economy = table.economy()
    np.testing.assert_allclose(economy.A @ economy.output + economy.final_demand, economy.output, rtol=1e-12)
    np.testing.assert_allclose(economy.output @ economy.B, np.asarray(economy.Z).sum(axis=0), rtol=1e-12, atol=0)


@given(tables(negatives=True, regions=2))
def test_every_verb_keeps_both_identities(table: Frames) -> None:
    economy = table.economy()
    assert_adds_up(economy)
    assert_adds_up(economy.nonnegative())
    assert_adds_up(economy.close("Statistical discrepancy"))
    assert_adds_up(economy.select(regions=["North"]))
    assert_adds_up(economy.select(sectors=["Mines"]))
    # With d < 0 somewhere a sum of sectors may be truly unproductive, which is refused; with d >= 0 never.
    assert_adds_up(economy.nonnegative().aggregate(sectors=dict.fromkeys(economy.sectors, "All")))
    assert_adds_up(economy.select(regions=["South"]).nonnegative().aggregate(regions={"South": "S"}))


@given(tables(regions=2), st.data())
def test_aggregation_conserves_totals(table: Frames, data: st.DataObject) -> None:
    economy = table.economy()
    mapping = {s: data.draw(st.sampled_from(["P", "Q"])) for s in economy.sectors}
    small = economy.aggregate(sectors=mapping, regions=dict.fromkeys(economy.regions, "World"))
    assert small.regions == ("World",)
    assert set(small.sectors) == set(mapping.values())
    for name in ("Z", "Y"):
        np.testing.assert_allclose(small.frame(name).to_numpy().sum(), economy.frame(name).to_numpy().sum(), rtol=1e-12)
    for name in ("output", "final_demand", "value_added", "imports", "ghg"):
        by_sector = economy.frame(name).groupby(level="sector").sum()
        expected = by_sector.groupby(mapping).sum()
        np.testing.assert_allclose(
            small.frame(name).droplevel("region")[expected.index],
            expected,
            rtol=1e-12,
            atol=1e-12 * float(economy.output.sum()),
        )


@given(tables(regions=2))
def test_a_concordance_that_splits_conserves_totals(table: Frames) -> None:
    economy = table.economy()
    shares = pd.DataFrame(0.0, index=list(economy.sectors), columns=["Goods", "Services"])
    shares["Goods"] = np.linspace(0.25, 1.0, len(shares))
    shares["Services"] = 1 - shares["Goods"]
    split = economy.aggregate(sectors=shares)
    assert_adds_up(split)
    for name in ("Z", "Y", "primary", "satellites"):
        np.testing.assert_allclose(split.frame(name).to_numpy().sum(), economy.frame(name).to_numpy().sum(), rtol=1e-12)


@given(tables(negatives=True))
def test_nonnegative_keeps_output_and_intensities_and_leaves_no_negatives(table: Frames) -> None:
    economy = table.economy()
    ready = economy.nonnegative()
    assert (np.asarray(ready.Z) >= 0).all()
    assert (np.asarray(ready.final_demand) >= 0).all()
    np.testing.assert_array_equal(ready.output, economy.output)
    np.testing.assert_array_equal(ready.intensity("ghg"), economy.intensity("ghg"))
    np.testing.assert_array_equal(ready.value_added, economy.value_added)
    assert ready.nonnegative() is ready
    clean = (np.asarray(economy.Z) >= 0).all() and (np.asarray(economy.final_demand) >= 0).all()
    assert (ready is economy) == clean
    # A sector with negative demand sells exactly its output to sectors: the closed form of the convention.
    short = np.asarray(economy.final_demand) + np.minimum(economy.Z, 0).sum(axis=1) < -1e-9 * np.asarray(economy.output)
    np.testing.assert_allclose(np.asarray(ready.Z).sum(axis=1)[short], np.asarray(economy.output)[short], rtol=1e-9)


@given(tables(negatives=True), st.floats(1e-6, 4e-3), st.integers(-6, 6))
def test_nonnegative_moves_what_sectors_without_output_buy(table: Frames, share: float, power: int) -> None:
    unit = 10.0**power
    index = table.Z.index.append(pd.MultiIndex.from_product([["North"], ["Idle", "Empty"]]))
    Z = table.Z.reindex(index=index, columns=index, fill_value=0.0)
    Y = table.Y.reindex(index, fill_value=0.0)
    output = table.output.reindex(index, fill_value=0.0)
    # The rows stay balanced: what Idle buys is taken from the households' final demand of each seller.
    bought = share * output / 2
    for idle, part in (("Idle", 0.75), ("Empty", 0.25)):
        Z[("North", idle)] = part * bought
    Y[("North", "Households")] -= bought
    economy = q.Economy.from_frames(Z=Z * unit, Y=Y * unit, output=output * unit, currency="MUSD")
    ready = economy.nonnegative()
    name = "Purchases of sectors without output"
    idle = np.asarray(economy.output) == 0
    assert not np.asarray(ready.Z)[:, idle].any()
    np.testing.assert_allclose(ready.frame("Y")["all", name], bought * unit, rtol=1e-12)
    np.testing.assert_allclose(ready.total(name), np.asarray(economy.Z).sum(axis=0) * idle, rtol=1e-12)
    np.testing.assert_array_equal(ready.output, economy.output)
    # Either identity misses what it missed before: nothing is lost on the way.
    total = float(economy.output.sum())
    for before, after in zip(
        (economy.balance().rows, economy.balance().columns),
        (ready.balance().rows, ready.balance().columns),
        strict=True,
    ):
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-14 * total)
    assert_adds_up(ready)
    (note,) = (note for note in ready.notes if note.action == "nonnegative" and name in note.sentence)
    assert note.amount == pytest.approx(float(bought.sum()) * unit, rel=1e-12)
    assert "purchases of 2 sector(s) with zero output" in note.sentence
    assert ready.nonnegative() is ready
    # What the convention is for: a supply network holds the table, and its base state is the table's output.
    network = q.Network.from_table(ready.Z, ready.final_demand)
    np.testing.assert_allclose(network.output, economy.output, rtol=1e-9, atol=1e-12 * total)


@given(tables(regions=2))
def test_a_block_of_a_block_is_the_block(table: Frames) -> None:
    economy = table.economy()
    regions, sectors = list(economy.regions[:-1]), list(economy.sectors[1:])
    direct = economy.select(regions=regions, sectors=sectors)
    assert_same(direct, economy.select(regions=regions).select(sectors=sectors))
    block = np.ix_(economy.index.get_indexer(direct.index), economy.index.get_indexer(direct.index))
    np.testing.assert_array_equal(direct.Z, np.asarray(economy.Z)[block])
    assert economy.select() is economy


@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_labels_does_not_matter(table: Frames, random) -> None:
    def shuffled(labels: pd.MultiIndex) -> list:
        order = list(labels)
        random.shuffle(order)
        return order

    index = table.Z.index
    mixed = table._replace(
        Z=table.Z[shuffled(index)],
        Y=table.Y.loc[shuffled(index)],
        **{k: getattr(table, k)[shuffled(index)] for k in ("output", "value_added", "imports", "ghg")},
    )
    economy, other = table.economy(), mixed.economy()
    for name in ("A", "B", "Y", "primary", "satellites", "output"):
        pd.testing.assert_frame_equal(
            pd.DataFrame(economy.frame(name)), pd.DataFrame(other.frame(name)), check_exact=True
        )
    by_other_rows = table._replace(Z=table.Z.loc[shuffled(index)]).economy()
    pd.testing.assert_frame_equal(by_other_rows.frame("A").loc[index, index], economy.frame("A"), check_exact=True)


@given(tables(negatives=True, regions=2), st.integers(-6, 6))
def test_the_unit_of_money_does_not_matter(table: Frames, power: int) -> None:
    unit = 10.0**power
    scaled = Frames(*(frame * unit for frame in table[:5]), ghg=table.ghg)
    one, other = table.economy(), scaled.economy()
    np.testing.assert_allclose(other.A, one.A, rtol=1e-12)
    np.testing.assert_allclose(other.intensity("ghg") * unit, one.intensity("ghg"), rtol=1e-12)
    assert other.spectral_radius == pytest.approx(one.spectral_radius, rel=1e-9)
    assert [n.action for n in other.nonnegative().notes] == [n.action for n in one.nonnegative().notes]
    assert_same(one.nonnegative(), other.nonnegative(), unit, rtol=1e-10)


@given(tables(), st.floats(-0.004, 0.004), st.integers(-6, 6))
def test_closing_makes_both_identities_hold(table: Frames, share: float, power: int) -> None:
    unit = 10.0**power
    x = table.output * unit
    frames = Frames(*(frame * unit for frame in table[:5]), ghg=table.ghg)._replace(output=x * (1 + share))
    economy = frames.economy()
    assert economy.balance().row_share == pytest.approx(abs(share) / (1 + share), rel=1e-9, abs=1e-15)
    closed = economy.close("Gap")
    assert_adds_up(closed)
    np.testing.assert_array_equal(closed.output, economy.output)
    np.testing.assert_array_equal(closed.Z, economy.Z)


names_of_sectors = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)


@given(tables(negatives=True), st.data())
def test_a_saved_table_comes_back_to_the_bit(table: Frames, data: st.DataObject) -> None:
    names = data.draw(st.lists(names_of_sectors, min_size=len(table.Z), max_size=len(table.Z), unique=True))
    index = pd.MultiIndex.from_arrays([['A, "b"'] * len(names), names], names=["region", "sector"])
    renamed = Frames(*(frame.set_axis(index) for frame in table))
    renamed = renamed._replace(Z=renamed.Z.set_axis(index, axis=1))
    economy = renamed.economy().nonnegative()
    with tempfile.TemporaryDirectory() as folder:
        back = q.load(q.save(economy, Path(folder, "table")))
    assert back.notes == economy.notes
    assert (back.name, back.year, back.currency) == (economy.name, economy.year, economy.currency)
    for name in ("Z", "Y", "primary", "satellites", "output"):
        pd.testing.assert_frame_equal(
            pd.DataFrame(back.frame(name)), pd.DataFrame(economy.frame(name)), check_exact=True
        )
    assert back.unit("ghg") == "kt CO2e"


@given(tables(regions=2), st.randoms(use_true_random=False))
def test_align_undoes_frame_in_any_order(table: Frames, random) -> None:
    economy = table.economy()
    order = list(economy.index)
    random.shuffle(order)
    np.testing.assert_array_equal(economy.align(economy.frame("output")[order]), economy.output)
    np.testing.assert_array_equal(economy.align(economy.frame("Y").loc[order]), economy.Y)
    np.testing.assert_array_equal(economy.align(dict(economy.frame("ghg")[order])), economy.total("ghg"))
    swapped = economy.frame("output").swaplevel()
    np.testing.assert_array_equal(economy.align(swapped), economy.output)


class Path365(NamedTuple):
    """A result that declares itself, without knowing what an economy is."""

    output: np.ndarray
    pairs: np.ndarray

    def variables(self) -> dict:
        return {
            "output": (("day", "account"), self.output, "{currency}/day"),
            "pairs": (("account", "account_to"), self.pairs, "1", "share"),
        }


@given(tables(), st.integers(1, 5))
def test_label_puts_every_value_at_its_label(table: Frames, days: int) -> None:
    economy = table.economy()
    path = Path365(np.arange(days)[:, None] + np.asarray(economy.output), np.asarray(economy.A))
    data = economy.label(path)
    assert data.output.dims == ("day", "region", "sector")
    for k, (region, sector) in enumerate(economy.index):
        np.testing.assert_array_equal(data.output.sel(region=region, sector=sector), path.output[:, k])
        row = data.pairs.sel(region=region, sector=sector)
        np.testing.assert_array_equal(
            economy.align(row.drop_vars(["region", "sector"]).rename(region_to="region", sector_to="sector")),
            path.pairs[k],
        )
