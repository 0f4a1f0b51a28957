"""Laws of tables brought to new margins, and the numbers of other programs."""

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings

import quesnay as q
from quesnay.update.diagnosis import explain
from quesnay.update.setup import set_up
from tables import seeds

from .margins import exactness, plain_gras, plain_ras, table_and_margins

methods = st.sampled_from([q.update.ras, q.update.gras, q.update.newton])
signed_methods = st.sampled_from([q.update.gras, q.update.newton])


@settings(max_examples=30)
@given(seeds, methods)
def test_margins_are_met_and_cells_are_scaled_by_a_factor_for_each_row_and_column(seed, method):
    Z0, rows, columns = table_and_margins(seed)
    z = method(Z0, rows, columns)
    np.testing.assert_allclose(z.value.sum(1), rows, rtol=1e-12)
    np.testing.assert_allclose(z.value.sum(0), columns, rtol=1e-12)
    factor = np.exp(z.multiplier.row[:, None] + z.multiplier.column)
    np.testing.assert_allclose(z.value, Z0 * factor, rtol=1e-12)
    assert z.error <= 1e-12


@settings(max_examples=15)
@given(seeds, methods)
def test_the_table_is_that_of_the_textbook_loop(seed, method):
    Z0, rows, columns = table_and_margins(seed)
    np.testing.assert_allclose(method(Z0, rows, columns).value, plain_ras(Z0, rows, columns), rtol=1e-9)


@pytest.mark.parametrize("method", [q.update.ras, q.update.gras, q.update.newton])
def test_the_table_is_that_of_ipfn(method):
    """`ipfn`, iterative proportional fitting by another program."""
    ipfn = pytest.importorskip("ipfn.ipfn", reason="ipfn is in the extra 'test'")
    Z0, rows, columns = table_and_margins(11, density=1.0)
    columns = columns * rows.sum() / columns.sum()
    fitted = ipfn.ipfn(
        Z0.copy(), [rows, columns], [[0], [1]], convergence_rate=0, rate_tolerance=0, max_iteration=500
    ).iteration()
    np.testing.assert_allclose(method(Z0, rows, columns).value, fitted, rtol=1e-9)


@pytest.mark.parametrize("method", [q.update.ras, q.update.newton])
def test_the_example_of_miller_and_blair_minimises_the_entropy(method):
    """Miller and Blair (2009), section 7.4.2, as in GAMS's model library (iobalance); the entropy minimised by scipy."""
    A0 = np.array([[0.120, 0.100, 0.049], [0.210, 0.247, 0.265], [0.026, 0.249, 0.145]])
    x = np.array([421.0, 284.0, 283.0])
    true = np.array([[98.0, 72.0, 75.0], [65.0, 8.0, 63.0], [88.0, 27.0, 44.0]])
    Z0 = A0 * x
    sums = np.concatenate([np.kron(np.eye(3), np.ones(3)), np.kron(np.ones(3), np.eye(3))])
    best = scipy.optimize.minimize(
        lambda z: np.sum(z * np.log(z / Z0.ravel()) - z),
        plain_ras(Z0, true.sum(1), true.sum(0), rounds=3).ravel(),
        jac=lambda z: np.log(z / Z0.ravel()),
        hess=lambda z: np.diag(1 / z),
        bounds=[(1e-3, None)] * 9,
        constraints=scipy.optimize.LinearConstraint(sums[:-1], (sums @ true.ravel())[:-1], (sums @ true.ravel())[:-1]),
        method="trust-constr",
        options={"gtol": 1e-12, "xtol": 1e-14, "maxiter": 3000},
    )
    z = method(Z0, true.sum(1), true.sum(0)).value
    np.testing.assert_allclose(z.ravel(), best.x, rtol=1e-5)
    np.testing.assert_allclose(z, plain_ras(Z0, true.sum(1), true.sum(0)), rtol=1e-9)


@settings(max_examples=15)
@given(seeds, signed_methods)
def test_gras_keeps_signs_and_is_the_published_loop(seed, method):
    Z0, rows, columns = table_and_margins(seed, signed=True)
    z = method(Z0, rows, columns)
    assert np.all(np.sign(z.value) == np.sign(Z0))
    np.testing.assert_allclose(z.value, plain_gras(Z0, rows, columns), rtol=1e-9)
    gross = np.abs(z.value)
    assert np.all(np.abs(z.value.sum(1) - rows) <= 1e-12 * (gross.sum(1) + np.abs(rows)))
    assert np.all(np.abs(z.value.sum(0) - columns) <= 1e-12 * (gross.sum(0) + np.abs(columns)))


@settings(max_examples=10)
@given(seeds, st.sampled_from([1e-3, 1e3, 1e6]))
def test_units_and_the_order_of_accounts_change_nothing_else(seed, unit):
    Z0, rows, columns = table_and_margins(seed, signed=True)
    z = q.update.gras(Z0, rows, columns)
    np.testing.assert_allclose(q.update.gras(unit * Z0, unit * rows, unit * columns).value, unit * z.value, rtol=1e-10)
    p, s = np.random.default_rng(seed).permutation(5), np.random.default_rng(seed + 1).permutation(5)
    np.testing.assert_allclose(q.update.gras(Z0[p][:, s], rows[p], columns[s]).value, z.value[p][:, s], rtol=1e-10)


def test_tables_that_hardly_trade_go_to_newton_and_meet_their_margins():
    """Two blocks coupled at 1e-7: alternating scaling would take millions of rounds."""
    rng = np.random.default_rng(3)
    block = np.arange(8) // 4
    Z0 = np.exp(rng.normal(size=(8, 8))) * np.where(block[:, None] == block, 1, 1e-7)
    truth = Z0 * np.exp(rng.normal(0, 0.3, (8, 8))) * np.where(block[:, None] > block, 5, 1)
    z = q.update.ras(Z0, truth.sum(1), truth.sum(0))
    assert z.error <= 1e-12
    assert z.iterations < 200
    ratio = np.log(z.value / Z0)
    np.testing.assert_allclose(ratio - ratio[:, :1] - ratio[:1] + ratio[0, 0], 0, atol=1e-6)


@settings(max_examples=8)
@given(seeds, methods)
def test_fixed_cells_stay_and_the_rest_is_scaled(seed, method):
    Z0, rows, columns = table_and_margins(seed)
    fixed = np.zeros((5, 5), bool)
    fixed[0, 1] = fixed[3, 2] = True
    stays = np.where(fixed, Z0, 0)
    rows, columns = rows + stays.sum(1), columns + stays.sum(0)
    z = method(Z0, rows, columns, fixed=fixed)
    np.testing.assert_array_equal(z.value[fixed], Z0[fixed])
    np.testing.assert_allclose(
        z.value, plain_ras(Z0 - stays, rows - stays.sum(1), columns - stays.sum(0)) + stays, rtol=1e-9
    )


@settings(max_examples=10)
@given(seeds)
def test_cells_within_their_bounds_share_factors_and_the_others_press_against_them(seed):
    """The conditions of Karush, Kuhn and Tucker."""
    Z0, rows, columns = table_and_margins(seed)
    free = q.update.ras(Z0, rows, columns).value
    lower, upper = np.minimum(0.7 * Z0, free), np.maximum(1.3 * Z0, 0.97 * free)
    reached = np.clip(free, lower, upper)
    z = q.update.ras(Z0, reached.sum(1), reached.sum(0), lower=lower, upper=upper)
    assert z.error <= 1e-12
    s = np.asarray(z.multiplier.row[:, None] + z.multiplier.column)
    there = Z0 > 0
    assert np.all((z.value >= lower * (1 - 1e-12)) & (z.value <= upper * (1 + 1e-12)))
    np.testing.assert_allclose(z.value[there], np.clip(Z0 * np.exp(s), lower, upper)[there], rtol=1e-10)


@settings(max_examples=8)
@given(seeds)
def test_soft_margins_minimise_divergence_plus_squared_misses(seed):
    """The gradient of the primal objective is 0 in every cell, whatever the margins contradict."""
    Z0, rows, columns = table_and_margins(seed)
    row_sd, column_sd, cell_sd = 0.05 * rows, 0.02 * columns, 0.3
    z = q.update.ras(Z0, rows, 1.1 * columns, row_sd=row_sd, column_sd=column_sd, cell_sd=cell_sd)
    there = Z0 > 0
    pull = np.log(np.asarray(z.value)[there] / Z0[there]) / (cell_sd**2 * Z0[there])
    push = ((z.value.sum(1) - rows) / row_sd**2)[:, None] + (z.value.sum(0) - 1.1 * columns) / column_sd**2
    shown = z.variables()
    np.testing.assert_allclose(shown["row_deviation"][1], z.value.sum(1) - rows, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(shown["column_deviation"][1], z.value.sum(0) - 1.1 * columns, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(pull, -np.asarray(push)[there], rtol=1e-7, atol=1e-7 * np.abs(pull).max())


def test_sure_margins_are_met_and_unknown_ones_leave_the_table_alone():
    Z0, rows, columns = table_and_margins(5)
    sure = q.update.ras(Z0, rows, columns, row_sd=0.0, cell_sd=0.2)
    np.testing.assert_allclose(sure.value.sum(1), rows, rtol=1e-12)
    unknown = q.update.ras(Z0, rows, columns, row_sd=np.inf, column_sd=np.inf, cell_sd=0.2)
    np.testing.assert_array_equal(unknown.value, Z0)


@pytest.mark.parametrize("method", [q.update.ras, q.update.gras, q.update.newton])
def test_bilateral_totals_are_met_as_a_third_margin(method):
    Z0, *_ = table_and_margins(8, 6, 6)
    truth = Z0 * np.exp(np.random.default_rng(1).normal(0, 0.4, (6, 6)))
    region = np.arange(6) // 2
    trade = np.array([[truth[region == r][:, region == s].sum() for s in range(3)] for r in range(3)])
    names = np.array(["north", "east", "south"])[region]
    named = {(names[2 * r], names[2 * s]): trade[r, s] for r in range(3) for s in range(3) if (r, s) != (1, 1)}
    trade[1, 1] = np.nan
    blocks = q.update.Blocks.between(region, region, trade)
    again = q.update.Blocks.between(names, names, named)
    np.testing.assert_array_equal(again.label, blocks.label)
    np.testing.assert_array_equal(again.total, blocks.total)
    assert repr(again) == "Blocks of 32 of 6 x 6 cells: 8 exact totals"
    z = method(Z0, truth.sum(1), truth.sum(0), blocks=blocks)
    for r in range(3):
        for s in range(3):
            if (r, s) != (1, 1):
                np.testing.assert_allclose(z.value[region == r][:, region == s].sum(), trade[r, s], rtol=1e-11)
    np.testing.assert_allclose(z.value.sum(1), truth.sum(1), rtol=1e-11)


@pytest.mark.parametrize("kind", ["gras", "soft columns, exact rows and block"])
def test_derivatives_are_those_of_differences_and_both_modes_agree(kind):
    rng = np.random.default_rng(1)
    label = np.full((5, 5), -1)
    label[:2, 3:] = 0
    cases = [(table_and_margins(seed, signed=kind == "gras"), rng.normal(size=(5, 5))) for seed in range(3)]

    def outcome(w, z0, u, v):
        v = v + (u.sum() - v.sum()) * jnp.abs(v) / jnp.abs(v).sum()
        if kind == "gras":
            return jnp.vdot(w, q.update.gras(z0, u, v).value)
        blocks = q.update.Blocks(label, 1.02 * z0[:2, 3:].sum()[None])
        return jnp.vdot(w, q.update.ras(z0, u, v, row_sd=0.0, column_sd=0.05, cell_sd=0.3, blocks=blocks).value)

    require = exactness(outcome)
    for at, w in cases:
        require((w, *at), tuple(rng.normal(size=a.shape) * np.abs(a) for a in (w, *at)))


def test_compiled_and_mapped_calls_are_those_of_a_loop():
    tables = [table_and_margins(seed) for seed in range(3)]
    stacked = tuple(jnp.stack([jnp.asarray(t[i]) for t in tables]) for i in range(3))
    both = jax.jit(jax.vmap(lambda *t: q.update.ras(*t).value))(*stacked)
    for value, table in zip(both, tables, strict=True):
        np.testing.assert_allclose(value, q.update.ras(*table).value, rtol=1e-10)


def test_single_precision_stays_single_whatever_the_currency():
    """Numbers whose squares overflow, soft margins, and the rounding of sums, which is no contradiction of theirs."""
    Z0, rows, columns = table_and_margins(2, 8, 8)
    exact, z = (
        q.update.ras(*case, row_sd=0.05 * case[1], column_sd=0.05 * case[2], cell_sd=0.3).value
        for case in ((Z0, rows, 1.02 * columns), [np.float32(1e12 * a) for a in (Z0, rows, 1.02 * columns)])
    )
    assert z.dtype == np.float32
    np.testing.assert_allclose(z, 1e12 * exact, rtol=1e-4)
    given = (np.float32(a) for a in (Z0, rows, columns))
    explain(set_up(*given, *[None] * 7, signed=False).problem)
