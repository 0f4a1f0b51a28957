"""Systemic risk of firms: networks solved by hand, another program's numbers, and laws on random networks."""

import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import quesnay as q
from quesnay._results import RESULTS
from quesnay.supply import risk
from quesnay.supply.risk.index import prepare
from quesnay.supply.risk.marginal import lost


def network(links, final_demand):
    supplier, customer, flow = zip(*links, strict=True)
    return q.Network.from_edges(supplier, customer, np.array(flow, dtype=float), final_demand)


def index(links, final_demand, sector, essential, **more):
    return risk.systemic_risk(network(links, final_demand), sector, essential=essential, tolerance=1e-14, **more)


def test_a_chain_of_irreplaceable_firms_falls_as_one():
    """0 -> 1 -> 2: whoever closes takes customers (inputs) and suppliers (orders) along; half of 0's sales are final."""
    found = index([(0, 1, 1.0), (1, 2, 1.0)], [1.0, 0, 1], [0, 1, 2], np.ones((3, 3), dtype=bool))
    # Outputs 2, 1, 1. Closing 1: 0 loses 1 of 2. Closing 2: 1 loses all, and 0 its half.
    np.testing.assert_allclose(found.total, [4 / 4, 3 / 4, 3 / 4], rtol=1e-14)
    np.testing.assert_allclose(found.downstream, [1, 2 / 4, 1 / 4], rtol=1e-14)
    np.testing.assert_allclose(found.upstream, [2 / 4, 2 / 4, 3 / 4], rtol=1e-14)
    np.testing.assert_allclose(found.direct, [2 / 4, 1 / 4, 1 / 4], rtol=1e-14)


TWO_SUPPLIERS = ([(0, 2, 1.0), (1, 2, 1.0)], [2.0, 0, 5], [0, 0, 1])
"""0 (output 3) and 1 (output 1) compete and sell 1 each to 2 (output 5)."""


def test_rivals_replace_a_supplier_as_far_as_their_market_allows():
    found = index(*TWO_SUPPLIERS, np.ones((2, 2), dtype=bool))
    # Closing 1: sigma = 1 / 3, so 2 loses 1/2 1/3. Closing 0: sigma = min(1, 3 / 1), 2 loses 1/2.
    np.testing.assert_allclose(found.total, [(3 + 5 / 2) / 9, (1 + 5 / 6) / 9, (5 + 1 + 1) / 9], rtol=1e-14)


def test_a_firm_that_nobody_replaces_is_missed_in_full():
    found = index(*TWO_SUPPLIERS, np.ones((2, 2), dtype=bool), market=np.arange(3))
    np.testing.assert_allclose(found.downstream, [(3 + 5 / 2) / 9, (1 + 5 / 2) / 9, 5 / 9], rtol=1e-14)


def test_partial_closures_pass_on_their_part():
    closures = [[0.5, 0, 0], [0, 0, 0.3], [0, 0, 0]]
    found = index(*TWO_SUPPLIERS, np.ones((2, 2), dtype=bool), closures=closures)
    # sigma_0 = min(1, 3 / (1.5 + 1)) = 1: 2 loses 1/2 1/2. Then 0 sells 0.3 of 1 less, of 3, and 1 of 1.
    np.testing.assert_allclose(found.total, [(1.5 + 1.25) / 9, (1.5 + 0.3 + 0.3) / 9, 0], rtol=1e-14)
    assert found.variables()["total"][0] == ("scenario",)


ASSEMBLY = ([(0, 3, 2.0), (1, 3, 1.0), (2, 3, 1.0)], [0.0, 0, 0, 8], np.arange(4))
"""3 (output 8) buys 2 from 0, which is essential to it, and 1 each from 1 and 2, which are not."""


def test_essential_inputs_bind_one_by_one_and_the_others_linearly():
    essential = np.zeros((4, 4), dtype=bool)
    essential[0, 3] = True
    found = index(
        *ASSEMBLY, essential, closures=[[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0.1, 1, 0, 0], [0.4, 1, 0, 0]]
    )
    # What is not essential counts by its share in all inputs, 1 of 4.
    of_three = np.array([1, 1 / 4, 2 / 4, 1 / 4, 0.4])
    own = np.array([2, 1, 2, 0.2 + 1, 0.8 + 1])
    np.testing.assert_allclose(found.downstream, (8 * of_three + own) / 12, rtol=1e-14)


def test_two_essential_inputs_are_a_minimum():
    essential = np.zeros((4, 4), dtype=bool)
    essential[:2, 3] = True
    found = index(*ASSEMBLY, essential, closures=[[0.3, 0.2, 1, 0]])
    np.testing.assert_allclose(found.downstream, [(8 * 0.3 + 0.6 + 0.2 + 1) / 12], rtol=1e-14)


def test_inputs_that_do_not_matter_are_not_missed():
    found = index(*ASSEMBLY, np.zeros((4, 4), dtype=bool), relevant=np.eye(4, dtype=bool))
    np.testing.assert_allclose(found.downstream, np.array([2, 1, 1, 8]) / 12, rtol=1e-14)


def test_two_firms_that_need_each_other_share_a_loss():
    found = index([(0, 1, 1.0), (1, 0, 1.0)], [1.0, 1], [0, 1], np.ones((2, 2), dtype=bool), closures=[[0.4, 0]])
    np.testing.assert_allclose(found.total, 0.4, rtol=1e-14)
    np.testing.assert_allclose(found.upstream, (0.4 * 2 + 0.2 * 2) / 4, rtol=1e-14)


def test_a_public_program_gives_the_same_indices():
    """Network and results of github.com/vitelot/Economic-Systemic-Risk, data/test_list.csv without its last row, test_esri.csv.

    Its firms have no final demand; those that sell nothing (I, J, L) get so little here that it does not count.
    """
    names = ["A", "X", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L"]
    sector = dict(zip(names, [0, 0, 1, 1, 1, 2, 2, 3, 4, 0, 2, 5, 1], strict=True))
    # 2: essential, 1: not essential, 0: does not matter.
    kinds = ["AX2", "BX2", "CX2", "DX2", "EX1", "FX1", "GX1", "HX0", "XI2", "XJ1", "XK2", "KL2"]
    expected = [0.4166666666666667, 1.0, *[0.1369047619047619] * 3, *[0.12320402298850575] * 3, 0.08333333333333333]
    expected += [*[0.30555555555555564] * 2, *[0.388888888888889] * 2]
    essential, relevant = np.zeros((2, 6, 6), dtype=bool)
    for a, b, kind in kinds:
        (essential if kind == "2" else relevant)[sector[a], sector[b]] |= kind != "0"
    links = [(names.index(a), names.index(b), 1.0) for a, b, _ in kinds]
    small = [1e-12 if name in "IJL" else 0 for name in names]
    found = index(links, small, [sector[name] for name in names], essential, relevant=relevant)
    np.testing.assert_allclose(found.total, expected, rtol=1e-10)


def random_case(seed, firms=12, sectors=4, unit=1.0):
    rng = np.random.default_rng(seed)
    supplier, customer = np.nonzero((rng.random((firms, firms)) < 0.3) & ~np.eye(firms, dtype=bool))
    flow = unit * rng.lognormal(0, 1, len(supplier))
    made = q.Network.from_edges(supplier, customer, flow, unit * rng.lognormal(0, 1, firms))
    return made, rng.integers(0, sectors, firms), rng.random((sectors, sectors)) < 0.4


def by_definition(made, sector, essential, closed, steps=400):
    """The equations firm by firm and supplier by supplier, in plain loops."""
    M, s = made.firms, np.asarray(made.output)
    W = np.zeros((M, M))
    np.add.at(
        W, (made.links.supplier, made.links.customer), np.asarray(made.links.coefficient) * s[made.links.customer]
    )
    down, up = 1 - closed, 1 - closed
    for _ in range(steps):
        left = np.array([np.sum((s * down)[sector == sector[j]]) for j in range(M)])
        sigma = np.minimum(1, s / np.where(left > 0, left, 1e-300))
        new = 1 - closed
        for i in range(M):
            buys = [j for j in range(M) if W[j, i] > 0]
            rest = 0.0
            for k in {sector[j] for j in buys}:
                group = [j for j in buys if sector[j] == k]
                missing = sum(W[j, i] * sigma[j] * (1 - down[j]) for j in group)
                if essential[k, sector[i]]:
                    new[i] = min(new[i], 1 - missing / sum(W[j, i] for j in group))
                else:
                    rest += missing
            if buys:
                new[i] = min(new[i], 1 - rest / W[:, i].sum())
        up = np.minimum(1 - closed, (W @ up + np.asarray(made.final_demand)) / s)
        down = new
    return s @ (1 - np.minimum(down, up)) / s.sum()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=2)
def test_the_index_is_what_the_equations_say(seed):
    made, sector, essential = random_case(seed)
    closures = np.random.default_rng(seed).random((3, 12)) * (np.random.default_rng(seed + 1).random((3, 12)) < 0.2)
    # Iterated to standstill; ties in markets that all but vanish converge slowly, hence the looser bound.
    found = risk.systemic_risk(made, sector, essential=essential, closures=closures, tolerance=1e-15)
    wanted = [by_definition(made, sector, essential, c) for c in closures]
    np.testing.assert_allclose(found.total, wanted, rtol=1e-9, atol=1e-15)


def test_no_scenario_depends_on_its_batch():
    made, sector, essential = random_case(3)
    all_at_once = risk.systemic_risk(made, sector, essential=essential, tolerance=1e-3)
    others = risk.systemic_risk(made, sector, essential=essential, tolerance=1e-3, batch=5)
    given_ones = risk.systemic_risk(made, sector, essential=essential, tolerance=1e-3, batch=7, closures=np.eye(12))
    for name in ("total", "downstream", "upstream", "steps"):
        np.testing.assert_allclose(getattr(others, name), getattr(all_at_once, name), rtol=1e-13)
        np.testing.assert_allclose(getattr(given_ones, name), getattr(all_at_once, name), rtol=1e-13)


def test_the_unit_and_the_storage_do_not_matter():
    made, sector, essential = random_case(3)
    scaled = random_case(3, unit=1e9)[0]
    dense = np.zeros((12, 12))
    flow = made.links.coefficient * made.output[made.links.customer]
    dense[made.links.supplier, made.links.customer] = flow
    table = q.Network.from_table(dense, made.final_demand)
    first = risk.systemic_risk(made, sector, essential=essential)
    for other in (scaled, table):
        np.testing.assert_allclose(
            risk.systemic_risk(other, sector, essential=essential).total, first.total, rtol=1e-12
        )


def test_single_precision_stays_single_and_agrees():
    made, sector, essential = random_case(3)
    low = jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if leaf.dtype == jnp.float64 else leaf, made)
    found = risk.systemic_risk(low, sector, essential=essential)
    assert found.total.dtype == jnp.float32
    np.testing.assert_allclose(found.total, risk.systemic_risk(made, sector, essential=essential).total, rtol=1e-4)


def test_long_rows_are_summed_in_parts():
    """A hub with 100 suppliers of one market each: it misses each by its share in its inputs, and loses all to none."""
    made = q.Network.from_edges(np.arange(1, 101), np.zeros(100, int), np.ones(100), [100.0, *[0.0] * 100])
    found = risk.systemic_risk(made, np.arange(101), essential=np.zeros((101, 101), dtype=bool))
    np.testing.assert_allclose(found.total[1:], (1 + 100 / 100) / 200, rtol=1e-12)
    assert float(found.total[0]) == pytest.approx(1)


def test_what_has_not_converged_is_said():
    made, sector, essential = random_case(3)
    with pytest.raises(q.SolveError, match="still moving after max_steps"):
        risk.systemic_risk(made, sector, essential=essential, tolerance=1e-12, max_steps=2)
    found = risk.systemic_risk(made, sector, essential=essential, tolerance=1e-12, max_steps=2, throw=False)
    assert found.steps.max() == 2
    assert found.result == RESULTS.creeping


def test_marginal_risk_by_hand():
    """0 (output 2) sells 1 to 1 (output 4): l_u,0 = c_0 + c_1 / 2 and l_d,1 = c_1 + c_0 bind."""
    made = network([(0, 1, 1.0)], [1.0, 4])
    found = risk.marginal_risk(made, [0, 1], essential=np.ones((2, 2), dtype=bool))
    np.testing.assert_allclose(found.total, [(2 + 4) / 6, (1 + 4) / 6], rtol=1e-12)


def test_marginal_risk_is_the_derivative_of_all_output_lost():
    """Against central differences of the forward cascade; it is piecewise linear, so they are exact off the kinks."""
    made, sector, essential = random_case(0)
    found = risk.marginal_risk(made, sector, essential=essential, tolerance=1e-13)
    ready = prepare(made, sector, essential, None, None)
    run = eqx.filter_jit(lambda c, ready: lost(ready, c, 1e-13, 2_000)[0])
    small = 1e-6
    for firm in range(12):
        step = small * np.eye(12)[firm]
        difference = (run(jnp.asarray(1 + step), ready) - run(jnp.asarray(1 - step), ready)) / (2 * small)
        assert float(found.total[firm]) == pytest.approx(float(difference), rel=1e-6)


def test_monopolists_in_a_circle_have_no_marginal_risk():
    made = network([(0, 1, 1.0), (1, 0, 1.0)], [1.0, 1])
    with pytest.raises(q.SolveError, match="still moving after max_steps"):
        risk.marginal_risk(made, [0, 1], essential=np.ones((2, 2), dtype=bool), max_steps=200)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sector": [0, 1]}, "sector has shape"),
        ({"sector": [0, 0, -1]}, r"sector\[2\] is negative"),
        ({"sector": [0, 0, 2]}, r"at least \(3, 3\)"),
        ({"essential": np.ones((2, 2))}, "boolean matrix"),
        ({"relevant": np.ones((3, 3), dtype=bool)}, "matrices of one shape"),
        ({"closures": [[0, 0, 1.5]]}, "outside 0 to 1"),
        ({"closures": [[0, 0]]}, "scenarios, firms"),
        ({"closures": [[0, 0, np.nan]]}, "outside 0 to 1"),
        ({"tolerance": 0.0}, "tolerance is 0.0"),
        ({"batch": 0}, "batch is 0"),
    ],
)
def test_what_does_not_fit_is_refused(change, said):
    links, final_demand, sector = TWO_SUPPLIERS
    arguments = {"sector": sector, "essential": np.ones((2, 2), dtype=bool)} | change
    with pytest.raises(q.InputError, match=said):
        risk.systemic_risk(network(links, final_demand), arguments.pop("sector"), **arguments)
