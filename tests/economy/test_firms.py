"""Networks of firms: what is read is what the file says, and what is drawn adds up to the table."""

import builtins
import re

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings

import quesnay as q
from quesnay.economy import firms as qf

LINKS = "supplier,customer,value\n007,b,10\n007,c,20\nb,c,5\n"
FIRMS = "firm,region,sector,output\nc,east,retail,100\n007,west,steel,40\nb,east,retail,30\nz,east,steel,3\n"


@pytest.fixture(scope="module")
def table(us2020):
    return us2020.nonnegative()


@pytest.fixture(scope="module")
def drawn(table):
    return qf.draw(table, firms=2_000, key=jax.random.key(0))


@pytest.fixture
def files(tmp_path):
    def write(links=LINKS, firms=FIRMS):
        (tmp_path / "links.csv").write_text(links)
        (tmp_path / "firms.csv").write_text(firms)
        return tmp_path / "links.csv", tmp_path / "firms.csv"

    return write


def sums(economy, firms):
    """The flows between sectors and the final demand, output and value added of sectors, per year, from the firms."""
    at = pd.MultiIndex.from_frame(firms.table[["region", "sector"]].astype(str))
    sector = economy.index.get_indexer(at)
    n = economy.n
    flows = np.bincount(sector[firms.supplier] * n + sector[firms.customer], 365 * firms.flow, n * n).reshape(n, n)
    network = firms.network
    totals = [
        np.bincount(sector, 365 * np.asarray(v), n) for v in (network.final_demand, network.output, network.value_added)
    ]
    return flows, *totals


def test_flows_between_sectors_are_the_tables(table, drawn):
    flows, final_demand, output, added = sums(table, drawn)
    np.testing.assert_allclose(flows, table.ledger.Z, rtol=1e-12)
    np.testing.assert_allclose(final_demand, table.final_demand, rtol=1e-11)
    np.testing.assert_allclose(output, table.final_demand + table.Z.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(added, output - np.asarray(table.Z).sum(axis=0), rtol=1e-9, atol=1e-12 * output.max())


def test_no_firm_sells_to_itself_and_no_link_is_there_twice(drawn):
    pairs = set(zip(drawn.supplier.tolist(), drawn.customer.tolist(), strict=True))
    assert len(pairs) == len(drawn.supplier) == drawn.drawn.links
    assert not np.any(drawn.supplier == drawn.customer)


def test_the_network_is_productive_with_positive_outputs(drawn):
    network = drawn.network
    assert np.all(network.output > 0)
    assert np.all(network.final_demand >= 0)
    np.testing.assert_allclose(network.matvec(network.output) + network.final_demand, network.output, rtol=1e-12)
    # 1' A < 1 but for the firms that are reported, which carry little output.
    short = np.asarray(network.value_added) < -1e-12 * np.asarray(network.output)
    assert short.sum() == drawn.drawn.uncovered
    assert drawn.drawn.uncovered_share < 0.02
    multipliers = q.multipliers(network)
    assert np.all(np.isfinite(multipliers))


@pytest.mark.parametrize("moments", [qf.HUNGARY, qf.ECUADOR], ids=lambda m: m.place)
def test_variances_of_log_degrees_and_strengths_are_the_published_ones(table, moments):
    """To the tolerance stated for 10,000 firms; computed here from the links, without the report."""
    firms = qf.draw(table, firms=10_000, key=jax.random.key(2), moments=moments)
    M = firms.network.firms
    for k, (ends, weight) in enumerate(
        [(firms.supplier, None), (firms.customer, None), (firms.supplier, firms.flow), (firms.customer, firms.flow)]
    ):
        total = np.bincount(ends, weight, M)
        published = moments.covariance[k][k]
        np.testing.assert_allclose(np.var(np.log(total[total > 0]), ddof=1), published, rtol=qf.TOLERANCE)
    assert firms.drawn.within_tolerance
    assert firms.drawn.links / M == pytest.approx(14, rel=2e-3)
    np.testing.assert_allclose(firms.drawn.correlation, moments.correlation, atol=qf.TOLERANCE)


def test_the_published_moments_are_those_of_the_shared_table(shared_data):
    frame = pd.read_csv(shared_data / "firm_network_facts" / "lognormal_moments.csv")
    for moments in (qf.ECUADOR, qf.HUNGARY):
        rows = frame[(frame.country == moments.place) & (frame.year == moments.year) & (frame.statistic != "mean")]
        np.testing.assert_array_equal(rows.iloc[:, 3:].to_numpy(), moments.covariance)


def test_the_same_key_gives_the_same_network_and_another_key_another(table):
    first, again, other = (qf.draw(table, firms=300, key=jax.random.key(k)) for k in (5, 5, 6))
    np.testing.assert_array_equal(first.flow, again.flow)
    np.testing.assert_array_equal(first.supplier, again.supplier)
    assert len(first.flow) != len(other.flow) or not np.array_equal(first.supplier, other.supplier)


def economy_of(Z, d):
    names = [f"s{k}" for k in range(len(d))]
    return q.Economy.from_frames(Z=pd.DataFrame(Z, names, names), final_demand=pd.Series(d, names), currency="X")


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3, 6]), st.sampled_from([60]))
@settings(max_examples=8)
def test_any_table_is_met_to_rounding(seed, sectors, firms):
    """Sectors without links, without final demand, without output, and with purchases above output."""
    rng = np.random.default_rng(seed)
    Z = rng.lognormal(0, 2, (sectors, sectors)) * (rng.random((sectors, sectors)) < 0.6)
    d = rng.lognormal(0, 1, sectors) * (rng.random(sectors) < 0.7)
    d[0] += 1.0
    Z[0, -1] += 1.0
    idle = Z.sum(axis=1) + d <= 0
    Z[:, idle] = 0
    try:
        economy = economy_of(Z, d)
    except q.TableError:  # not productive, or it does not balance
        reject()
    try:
        made = qf.draw(economy, firms=firms, degree=3, key=jax.random.key(seed % 1000))
    except q.InputError as error:
        if "have room for" not in str(error):
            raise
        reject()
    flows, final_demand, output, _ = sums(economy, made)
    kept = flows > 0
    np.testing.assert_allclose(flows[kept], Z[kept], rtol=1e-12)
    assert Z[kept].sum() >= 0.999 * Z.sum()
    np.testing.assert_allclose(
        final_demand, d + np.where(kept, 0, Z).sum(axis=1), rtol=1e-10, atol=1e-13 * output.max()
    )
    np.testing.assert_allclose(output, Z.sum(axis=1) + d, rtol=1e-12)
    assert made.network.firms == firms
    assert made.drawn.without_firms == np.sum(Z.sum(axis=1) + d == 0)


def test_what_few_links_cannot_hold_is_left_out_and_said():
    """40 sectors, one flow of each to each, in geometric order: half of 400 links go to the 200 largest."""
    Z = np.zeros((40, 40))
    Z.flat[: 40 * 40] = 0.5 ** (np.arange(1600) / 8)
    economy = economy_of(Z.T, np.full(40, 30.0))
    made = qf.draw(economy, firms=100, degree=4, key=jax.random.key(0))
    assert made.drawn.cells == 200
    assert made.drawn.kept == pytest.approx(1 - 0.5**25, rel=1e-9)
    assert "are left out" in str(made)


def test_too_few_firms_are_refused_with_the_least_number(table):
    own = np.count_nonzero(np.diag(np.asarray(table.Z)))
    with pytest.raises(
        q.InputError, match=f"at least {58 + own}: one for each of its 58 sectors .* in the {own} that buy"
    ):
        qf.draw(table, firms=100, degree=1000.0, key=jax.random.key(0))
    economy = economy_of([[0, 1.0], [1, 0]], [2.0, 2])
    assert qf.draw(economy, firms=2, degree=1, key=jax.random.key(0)).network.edges == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"firms": 0}, "number of firms"),
        ({"firms": 500, "degree": 0.0}, "degree is 0.0"),
        ({"firms": 500, "degree": 400.0}, "lower the degree"),
        ({"firms": 500, "degree": 2.0}, "more firms, a higher degree, or aggregate"),
        ({"firms": 500, "keep": 2.0}, "keep is 2.0"),
        ({"firms": 500, "days": -1.0}, "days is -1.0"),
    ],
)
def test_impossible_networks_are_refused_in_one_sentence(table, arguments, said):
    with pytest.raises(q.InputError, match=said):
        qf.draw(table, key=jax.random.key(0), **arguments)


def test_firms_go_with_groups_labels_and_exports(drawn):
    groups, labels = drawn.groups(("region", "sector"))
    table = drawn.table
    assert all(labels[g] == (r, s) for g, r, s in zip(groups[:50], table.region[:50], table.sector[:50], strict=True))
    codes, regions = drawn.groups("region")
    assert list(regions[codes]) == list(table.region)
    graph = drawn.to_networkx()
    assert graph.number_of_edges() == len(drawn.flow)
    assert sum(nx.get_edge_attributes(graph, "flow").values()) == pytest.approx(drawn.flow.sum())
    with pytest.raises(q.LabelError, match="no column 'size'"):
        drawn.groups("size")


def test_what_is_read_is_what_the_files_say(files):
    firms = qf.read(*files())
    assert list(firms.index) == ["c", "007", "b", "z"]
    np.testing.assert_allclose(365 * firms.network.output, [100, 40, 30, 3])
    np.testing.assert_allclose(365 * firms.network.final_demand, [100, 10, 25, 3])
    np.testing.assert_allclose(365 * firms.network.value_added, [75, 40, 20, 3])
    np.testing.assert_allclose(365 * firms.flow, [10, 20, 5])
    assert list(firms.index[firms.supplier]) == ["007", "007", "b"]
    assert [note.sentence[:25] for note in firms.notes] == [
        "1 firms without suppliers",
        "1 firms without customers",
        "1 firms without links, su",
    ]
    np.testing.assert_array_equal(firms.align({"z": 1.0, "007": 2.0}, fill=0.0), [0, 2, 0, 1])
    assert firms.groups("sector")[1].tolist() == ["retail", "steel"]


def test_without_a_table_outputs_cover_purchases_and_a_note_says_so(files):
    firms = qf.read(files()[0], value_added=0.2, days=1.0)
    assert list(firms.index) == ["007", "b", "c"]
    np.testing.assert_allclose(firms.network.output, [30, 12.5, 31.25])
    assert any("the larger of sales and purchases / 0.8" in note.sentence for note in firms.notes)


def test_rows_for_the_same_pair_are_added_up_and_noted(files):
    firms = qf.read(*files(LINKS + "007,b,2.5\n"))
    np.testing.assert_allclose(365 * firms.flow, [12.5, 20, 5])
    assert any(note.action == "added up" for note in firms.notes)


def test_csv_and_parquet_give_the_same_network(files, tmp_path):
    first = qf.read(*files())
    pd.read_csv(tmp_path / "links.csv", dtype={"supplier": str}).to_parquet(tmp_path / "links.parquet")
    pd.read_csv(tmp_path / "firms.csv", dtype={"firm": str}).to_parquet(tmp_path / "firms.parquet")
    second = qf.read(tmp_path / "links.parquet", tmp_path / "firms.parquet")
    np.testing.assert_array_equal(first.flow, second.flow)
    assert first.index.equals(second.index)
    assert list(first.table.columns) == list(second.table.columns)


@pytest.mark.parametrize(
    ("links", "firms", "said"),
    [
        (LINKS + "x,b,1\n", FIRMS, "links.csv, line 5: supplier 'x' is not in firms.csv"),
        (
            LINKS + "\n\nx,b,1\nb,a,1\ny,b,1\n",
            FIRMS,
            "links.csv, line 7 (and 1 more): supplier 'x' is not in firms.csv",
        ),
        (LINKS + "b,y,1\n", FIRMS, "links.csv, line 5: customer 'y' is not in firms.csv"),
        (LINKS + "b,b,1\n", FIRMS, "links.csv, line 5: firm 'b' sells to itself"),
        (LINKS + "b,007,-1\n", FIRMS, "links.csv, line 5: the value from 'b' to '007' is -1"),
        (LINKS + "b,007,0\n", FIRMS, "is 0"),
        (LINKS + "b,007,\n", FIRMS, "line 5: the value from 'b' to '007' is nan"),
        (LINKS + "b,007,many\n", FIRMS, "line 5: the value from 'b' to '007' is many"),
        (LINKS + "b,007,inf\n", FIRMS, "is inf"),
        (LINKS + ",b,1\n", FIRMS, "line 5: the supplier is empty"),
        (LINKS, FIRMS + "b,east,retail,3\n", "firms.csv, line 6: firm 'b' is listed a second time"),
        (
            LINKS,
            FIRMS.replace("007,west,steel,40", "007,west,steel,29"),
            "line 3: the output of firm '007' is 29, below its sales",
        ),
        (LINKS, FIRMS.replace("retail,100", "retail,some"), "line 2: the output of firm 'c' is some"),
        (LINKS, FIRMS.replace("retail,100", "retail,0"), "firm 'c' buys but sells nothing"),
        (LINKS, FIRMS.replace("firm,", "name,"), "firms.csv has no column 'firm'"),
        (LINKS.replace("value", "amount"), FIRMS, "links.csv has no column 'value'"),
        ("", FIRMS, "links.csv is not a readable CSV"),
    ],
)
def test_bad_files_are_refused_with_the_row_and_the_firm(files, links, firms, said):
    with pytest.raises((q.TableError, q.InputError), match=re.escape(said)) as caught:
        qf.read(*files(links, firms))
    assert "\n" not in str(caught.value)


def test_final_demand_that_contradicts_output_is_refused(files):
    header = (
        FIRMS.replace("output\n", "output,final_demand\n").replace(",100\n", ",100,100\n").replace(",40\n", ",40,11\n")
    )
    firms = header.replace(",30\n", ",30,25\n").replace(",3\n", ",3,3\n")
    with pytest.raises(q.TableError, match="firm '007' has output 40, but sales 30 and final demand 11"):
        qf.read(*files(firms=firms))


def test_labels_that_do_not_fit_are_refused(files):
    firms = qf.read(*files())
    with pytest.raises(q.LabelError, match="no firm 'q'"):
        firms.align({"q": 1.0}, fill=0.0)
    with pytest.raises(q.LabelError, match="is missing"):
        firms.align({"b": 1.0})
    with pytest.raises(q.InputError, match="'b' is missing or infinite"):
        firms.align({"b": np.nan}, fill=0.0)


def test_an_export_without_its_package_says_what_to_install(files, monkeypatch):
    firms = qf.read(*files())
    real = builtins.__import__

    def blocked(name, *rest, **more):
        if name == "igraph":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", blocked)
    with pytest.raises(q.InputError, match="pip install igraph"):
        firms.to_igraph()


def test_results_carry_the_ids_of_the_firms(files):
    firms = qf.read(*files())
    path = q.simulate(q.SupplyModel(firms.network, inventory=5.0, adjustment=10.0, capacity=1.1), steps=3)
    data = firms.label(path)
    assert data.output.sel(firm="007").shape == (3,)
    assert data.output.attrs["units"] == "currency/day"
    np.testing.assert_allclose(data.output.sel(firm="z"), 3 / 365)
    with pytest.raises(q.InputError, match="there are 4 firms"):
        firms.label(q.explain(q.Leontief(jnp.eye(2) / 2), jnp.ones(2), outcome=jnp.ones(2)))


def test_a_bad_value_is_named_with_ids_that_look_like_numbers(files):
    links, _ = files("supplier,customer,value\n0001,0002,10\n0002,0003,n/a\n", FIRMS)
    with pytest.raises(q.TableError, match="line 3: the value from '0002' to '0003' is n/a"):
        qf.read(links)


def test_a_firm_that_buys_more_than_it_makes_is_noted_and_a_blank_sector_refused(files):
    firms = qf.read(
        *files(LINKS, "firm,region,sector,output\nc,east,retail,10\n007,west,,40\nb,east,retail,30\nz,east,steel,3\n"),
    )
    assert any("1 firms buy more than their output, such as 'c'" in note.sentence for note in firms.notes)
    with pytest.raises(q.LabelError, match="firm '007' has no sector"):
        firms.groups("sector")


def test_an_outcome_has_the_unit_that_is_said(drawn):
    spent = np.zeros(len(drawn.index))
    found = q.supply.Allocation(spent, 0.0, 0.0, 0.0, spent, spent[:1], "{currency}/day")
    assert drawn.label(found).spent.attrs["units"] == f"{drawn.currency}/day"
    assert "units" not in drawn.label(found).worth.attrs
    assert drawn.label(found, outcome="jobs").worth.attrs["units"] == f"jobs/({drawn.currency}/day)"


@pytest.mark.parametrize("rows", ["a,b,1,500\nb,c,2,300\n", "a,b,0,5\n"])
def test_rows_with_more_fields_than_names_are_refused(files, rows):
    links, _ = files("supplier,customer,value\n" + rows)
    with pytest.raises(q.TableError, match="not a readable CSV file"):
        qf.read(links)
    links.write_text("region,sector,loss\n" + rows)
    with pytest.raises(q.InputError, match="neither a CSV"):
        q.read_losses(links)


def test_a_column_that_is_there_twice_is_refused(files):
    links, _ = files("supplier,customer,value,value\na,b,1,2\n")
    with pytest.raises(q.InputError, match="more than one column 'value'"):
        qf.read(links)
    frame = pd.DataFrame([["A", "x", 1.0, 2.0]], columns=["region", "sector", "loss", "loss"])
    with pytest.raises(q.TableError, match="more than one column 'loss'"):
        q.read_losses(frame)


def test_missing_losses_of_any_kind_of_column_are_refused():
    frame = pd.DataFrame({"region": ["A", "B"], "sector": ["x", "y"], "loss": pd.array([1.0, pd.NA], dtype="Float64")})
    with pytest.raises(q.TableError, match="row 2: loss is"):
        q.read_losses(frame)
