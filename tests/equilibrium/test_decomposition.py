"""Structural decomposition against closed forms, enumeration of orders, and published tables."""

import itertools
import math

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

import quesnay as q
from quesnay.equilibrium.analysis.decomposition import decompose_path, decompose_polar, decompose_shapley
from quesnay.equilibrium.analysis.structural import decompose
from tables import random_table, seeds

FORMS = (decompose_path, decompose_polar, decompose_shapley)
positive = st.floats(0.1, 10.0)


def product(factors):
    return math.prod(factors)


def chain(factors):
    """An outcome that is linear in no single factor."""
    a, b, c, d = factors
    return jnp.stack([a * jnp.exp(b / 10) / (1 + c), jnp.sqrt(a * d) + b * c * d])


def tables(seed, n=4):
    """Return A, d, r of two random tables whose straight path is productive: column sums stay below 0.9."""
    rng = np.random.default_rng(seed)
    sides = []
    for s in (seed, seed + 1):
        Z, d = random_table(s % 2**32, n)
        x = Z.sum(axis=1) + d
        sides.append((Z / np.where(x > 0, x, 1), d, rng.uniform(0, 2, n)))
    return sides


def four(A):
    """Return a small table with sectors added that neither buy nor sell: one size is compiled for all tests."""
    A = np.asarray(A, dtype=float)
    return np.pad(A, [(0, 4 - len(A))] * A.ndim)


def both(seed, **options):
    (A0, d0, r0), (A1, d1, r1) = tables(seed)
    return decompose(A0, d0, A1, d1, intensity0=r0, intensity1=r1, **options)


def spread(decomposition):
    """The largest effect, as a scale for rounding."""
    return max(float(jnp.max(jnp.abs(v))) for form in forms(decomposition) for v in form.values())


def forms(decomposition):
    return decomposition.integral, decomposition.polar, decomposition.shapley


@pytest.mark.parametrize(("a", "b", "d0", "d1"), [(0.2, 0.7, 1.0, 3.0), (0.0, 0.9, 5.0, 2.0), (0.8, 0.1, 1.0, 1.0)])
def test_one_sector_has_the_logarithm_as_its_demand_effect(a, b, d0, d1):
    """`x = d / (1 - a)`: E_d = (d1 - d0) / (b - a) ln((1 - a) / (1 - b)), and the rest is technology's."""
    found = decompose(four([[a]]), four([d0]), four([[b]]), four([d1]))
    demand = (d1 - d0) / (b - a) * math.log((1 - a) / (1 - b))
    change = d1 / (1 - b) - d0 / (1 - a)
    np.testing.assert_allclose(found.integral["final_demand"], four([demand]), rtol=1e-10)
    np.testing.assert_allclose(found.integral["technology"], four([change - demand]), rtol=1e-10)
    mean = ((d1 - d0) / (1 - a) + (d1 - d0) / (1 - b)) / 2
    for form in (found.polar, found.shapley):
        np.testing.assert_allclose(form["final_demand"], four([mean]), rtol=1e-13)


@settings(max_examples=10)
@given(seeds)
def test_a_change_of_rank_one_has_its_closed_form(seed):
    """`A1 = A0 + u v'`: E_d = L0 dd + L0 u (v' L0 dd) (-ln(1 - b) / b - 1) / b with b = v' L0 u."""
    (A0, d0, _), (_, d1, _) = tables(seed)
    rng = np.random.default_rng(seed)
    u, v = rng.uniform(0.1, 1, 4), rng.uniform(0.1, 1, 4)
    L = np.linalg.inv(np.eye(4) - A0)
    u *= 0.6 / (v @ L @ u)
    b, move = v @ L @ u, L @ (d1 - d0)
    expected = move + L @ u * (v @ move) * (-math.log1p(-b) / b - 1) / b
    found = decompose(A0, d0, A0 + np.outer(u, v), d1)
    scale = spread(found)
    np.testing.assert_allclose(found.integral["final_demand"], expected, rtol=0, atol=1e-10 * scale)
    np.testing.assert_allclose(found.integral["technology"], found.change - expected, rtol=0, atol=1e-10 * scale)


@settings(max_examples=15)
@given(seeds)
def test_effects_add_up_to_the_change_in_every_form(seed):
    found = both(seed)
    for form in forms(found):
        np.testing.assert_allclose(sum(form.values()), found.change, rtol=0, atol=1e-12 * spread(found))
    assert found.error <= 1e-10


@settings(max_examples=10)
@given(seeds, st.sampled_from(["technology", "final_demand", "intensity"]))
def test_the_only_factor_that_changes_makes_the_whole_change(seed, factor):
    (A0, d0, r0), (A1, d1, r1) = tables(seed)
    A1, d1, r1 = (
        (A1 if factor == "technology" else A0),
        (d1 if factor == "final_demand" else d0),
        (r1 if factor == "intensity" else r0),
    )
    found = decompose(A0, d0, A1, d1, intensity0=r0, intensity1=r1)
    x0, x1 = np.linalg.solve(np.eye(4) - A0, d0), np.linalg.solve(np.eye(4) - A1, d1)
    scale = float(np.abs(r0 * x0).max() + np.abs(r1 * x1).max())
    for form in forms(found):
        np.testing.assert_allclose(form[factor], r1 * x1 - r0 * x0, rtol=0, atol=1e-12 * scale)
        assert all(not np.any(effect) for name, effect in form.items() if name != factor)


@settings(max_examples=10)
@given(seeds)
def test_going_back_undoes_every_effect(seed):
    (A0, d0, r0), (A1, d1, r1) = tables(seed)
    there = decompose(A0, d0, A1, d1, intensity0=r0, intensity1=r1)
    back = decompose(A1, d1, A0, d0, intensity0=r1, intensity1=r0)
    for one, other in zip(forms(there), forms(back), strict=True):
        for name in one:
            np.testing.assert_allclose(one[name], -other[name], rtol=0, atol=1e-12 * spread(there))


@settings(max_examples=10)
@given(seeds)
def test_two_halves_of_the_straight_path_have_the_effects_of_the_whole(seed):
    (A0, d0, _), (A1, d1, _) = tables(seed)
    A, d = 0.7 * A0 + 0.3 * A1, 0.7 * d0 + 0.3 * d1
    whole, first, second = decompose(A0, d0, A1, d1), decompose(A0, d0, A, d), decompose(A, d, A1, d1)
    for name, effect in whole.integral.items():
        parts = first.integral[name] + second.integral[name]
        np.testing.assert_allclose(parts, effect, rtol=0, atol=1e-11 * spread(whole))


@settings(max_examples=10)
@given(seeds)
def test_renumbering_the_accounts_renumbers_the_effects(seed):
    (A0, d0, _), (A1, d1, _) = tables(seed)
    order = np.random.default_rng(seed).permutation(4)
    there = decompose(A0, d0, A1, d1)
    moved = decompose(A0[np.ix_(order, order)], d0[order], A1[np.ix_(order, order)], d1[order])
    for one, other in zip(forms(there), forms(moved), strict=True):
        for name in one:
            np.testing.assert_allclose(other[name], one[name][order], rtol=0, atol=1e-12 * spread(there))


@settings(max_examples=10)
@given(seeds, st.sampled_from([2.0**-40, 2.0**40]))
def test_units_of_money_and_of_the_outcome_rescale_effects_only(seed, unit):
    (A0, d0, r0), (A1, d1, r1) = tables(seed)
    base = decompose(A0, d0, A1, d1, intensity0=r0, intensity1=r1)
    money = decompose(A0, unit * d0, A1, unit * d1, intensity0=r0, intensity1=r1)
    satellite = decompose(A0, d0, A1, d1, intensity0=unit * r0, intensity1=unit * r1)
    for other in (money, satellite):
        assert other.nodes == base.nodes
        for one, two in zip(forms(base), forms(other), strict=True):
            for name in one:
                np.testing.assert_array_equal(two[name], unit * one[name])


@settings(max_examples=20)
@given(st.lists(positive, min_size=4, max_size=4))
def test_all_forms_agree_on_a_product_of_two(values):
    a0, b0, a1, b1 = values
    for form in FORMS:
        found = form(product, (a0, b0), (a1, b1))
        np.testing.assert_allclose(found.effects[0], (a1 - a0) * (b0 + b1) / 2, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(found.effects[1], (b1 - b0) * (a0 + a1) / 2, rtol=1e-12, atol=1e-12)


@settings(max_examples=10)
@given(st.lists(positive, min_size=10, max_size=10))
def test_the_path_integral_of_a_product_is_shapley_s_average(values):
    """An outcome linear in each factor is its own multilinear extension (Owen 1972)."""
    start, end = tuple(values[:5]), tuple(values[5:])
    path, average = decompose_path(product, start, end), decompose_shapley(product, start, end)
    largest = max(math.prod(start), math.prod(end), *(abs(float(v)) for v in path.effects.values()))
    for k in range(5):
        np.testing.assert_allclose(path.effects[k], average.effects[k], rtol=0, atol=1e-12 * largest)


@settings(max_examples=10)
@given(st.lists(positive, min_size=8, max_size=8), st.sampled_from([3, 4]))
def test_shapley_is_the_average_over_all_orders(values, size):
    def outcome(factors):
        return chain((*factors, *(1.0,) * (4 - size)))

    start, end = values[:size], values[4 : 4 + size]
    expected = np.zeros((size, 2))
    orders = list(itertools.permutations(range(size)))
    for order in orders:
        at = list(start)
        for k in order:
            before = outcome(at)
            at[k] = end[k]
            expected[k] += np.asarray(outcome(at) - before) / len(orders)
    found = decompose_shapley(outcome, start, end)
    scale = max(1.0, np.abs(expected).max(), float(jnp.abs(outcome(start)).max()), float(jnp.abs(outcome(end)).max()))
    for k in range(size):
        np.testing.assert_allclose(found.effects[k], expected[k], rtol=0, atol=1e-13 * scale)


@settings(max_examples=10)
@given(st.lists(positive, min_size=6, max_size=6))
def test_the_polar_average_is_that_of_its_two_orders(values):
    """For a product of three: the middle factor's effect is `(a1 c0 + a0 c1) (b1 - b0) / 2`."""
    (a0, b0, c0), (a1, b1, c1) = values[:3], values[3:]
    found = decompose_polar(product, (a0, b0, c0), (a1, b1, c1)).effects
    np.testing.assert_allclose(found[0], (a1 - a0) * (b0 * c0 + b1 * c1) / 2, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(found[1], (b1 - b0) * (a1 * c0 + a0 * c1) / 2, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(found[2], (c1 - c0) * (a0 * b0 + a1 * b1) / 2, rtol=1e-11, atol=1e-11)


def test_factors_may_be_a_dict_of_trees_and_keep_their_order():
    def outcome(factors):
        return factors["z"]["u"] * factors["z"]["v"] * factors["b"] + factors["a"]

    start = {"z": {"u": 1.0, "v": 2}, "b": jnp.asarray([1.0, 2.0]), "a": 3}
    end = {"z": {"u": 2.0, "v": 3}, "b": jnp.asarray([4.0, 2.0]), "a": 1}
    for form in FORMS:
        found = form(outcome, start, end)
        assert list(found.effects) == ["z", "b", "a"]
        np.testing.assert_allclose(sum(found.effects.values()), found.change, rtol=1e-12)
        np.testing.assert_allclose(found.effects["a"], [-2.0, -2.0], rtol=1e-12)
        np.testing.assert_allclose(found.effects["b"][1], 0, atol=0)


def test_equal_tables_have_no_effects():
    A, d, r = four([[0.2, 0.1], [0.3, 0.1]]), four([1.0, 2.0]), np.ones(4)
    found = decompose(A, d, A, d, intensity0=r, intensity1=r)
    assert all(not np.any(effect) for form in forms(found) for effect in form.values())
    assert found.error == 0


def test_a_sector_that_appears_is_explained():
    """Sector 2 is new: no output before, x = (I - A1)^-1 d1 after, and all of its own change is explained."""
    A0, A1 = np.array([[0.2, 0.0], [0.0, 0.0]]), np.array([[0.2, 0.3], [0.1, 0.1]])
    found = decompose(four(A0), four([1.0]), four(A1), four([1.0, 0.5]))
    x1 = np.linalg.solve(np.eye(2) - A1, [1.0, 0.5])
    np.testing.assert_allclose(found.change, four(x1 - [1.25, 0]), rtol=1e-13)
    for form in forms(found):
        np.testing.assert_allclose(sum(form.values()), found.change, rtol=1e-11)


@pytest.mark.parametrize("a", [1.0, 1.8, 1.99])
def test_a_path_close_to_the_edge_of_the_productive_region_is_integrated(a):
    """A(t) = [[0, (1-t) a], [t a, 0]] with demand 1 for sector 1: x_1 = 1 / (1 - t (1-t) a^2), largest spectral radius a/2.

    Sector 1's demand grows from 1 to 2; E_d = integral of 1 / (1 - a^2 t (1-t)) dt = 4 atan(a / w) / (a w), w = sqrt(4 - a^2).
    """
    A0, A1 = np.array([[0, a], [0, 0]]), np.array([[0, 0], [a, 0]])
    found = decompose(four(A0), four([1.0]), four(A1), four([2.0]))
    w = math.sqrt(4 - a * a)
    np.testing.assert_allclose(found.integral["final_demand"][0], 4 * math.atan(a / w) / (a * w), rtol=1e-9)


@pytest.mark.parametrize("a", [2.0, 2.001, 10.0])
def test_a_path_that_leaves_the_productive_region_is_refused(a):
    """Both ends have spectral radius 0, the middle a/2; the leak is narrow at a = 2.001 and a single point at a = 2."""
    A0, A1 = np.array([[0, a], [0, 0]]), np.array([[0, 0], [a, 0]])
    with pytest.raises(q.SolveError, match=r"leaves the productive region .* near t = 0\.5"):
        decompose(four(A0), np.ones(4), four(A1), np.ones(4))


def test_a_leak_between_the_nodes_is_found():
    """Radius^2 = p (1 - t) (0.8 + t), above 1 for t in 0.1 -+ 0.026 only, where a rule of four nodes never looks."""
    p = 0.9885 / 0.8
    A0, A1 = np.array([[0, 1], [0.8 * p, 0]]), np.array([[0, 0], [1.8 * p, 0]])
    visited = [0, 1, *(np.polynomial.legendre.leggauss(4)[0] + 1) / 2]
    assert all(np.abs(np.linalg.eigvals(A0 + t * (A1 - A0))).max() < 1 for t in visited)
    with pytest.raises(q.SolveError, match=r"leaves the productive region .* near t = 0\.(0[789]|1[012])"):
        decompose(four(A0), np.ones(4), four(A1), np.ones(4))


def test_a_path_too_close_to_the_edge_to_be_proved_says_so():
    """Spectral radius 0.999995 at the middle: productive, but not to be proved in few pieces."""
    A0, A1 = np.array([[0, 1.99999], [0, 0]]), np.array([[0, 0], [1.99999, 0]])
    with pytest.raises(q.SolveError, match="comes too close to the edge of the productive region"):
        decompose(four(A0), np.ones(4), four(A1), np.ones(4))


def test_slightly_negative_coefficients_are_proved_and_large_ones_refused():
    A0, A1 = np.array([[0.2, -0.01], [0.1, 0.3]]), np.array([[0.1, 0.05], [-0.02, 0.3]])
    found = decompose(four(A0), four([1.0, 2.0]), four(A1), four([2.0, 2.0]))
    np.testing.assert_allclose(sum(found.integral.values()), found.change, rtol=1e-11)
    A0, A1 = np.array([[0.0, 2.2], [-0.01, 0.0]]), np.array([[0.0, -0.01], [2.2, 0.0]])
    with pytest.raises(
        q.SolveError, match="cannot be proved to stay in the productive region, with its negative coefficients,"
    ):
        decompose(four(A0), np.ones(4), four(A1), np.ones(4))


def test_effects_have_derivatives_with_a_fixed_number_of_nodes():
    """`x = d / (1 - a)`: E_d = (d1 - d0) / (b - a) ln((1 - a) / (1 - b)), so that dE_d / dd1 = E_d / (d1 - d0)."""

    A0, A1, d0 = four([[0.2]]), four([[0.5]]), four([1.0])

    @jax.jit
    def effect(d1):
        return decompose(A0, d0, A1, d1, nodes=8).integral["final_demand"][0]

    slope = math.log(0.8 / 0.5) / 0.3
    np.testing.assert_allclose(effect(four([3.0])), 2 * slope, rtol=1e-12)
    np.testing.assert_allclose(jax.grad(effect)(four([3.0])), four([slope]), rtol=1e-12)


def test_single_precision_is_kept():
    (A0, d0, _), (A1, d1, _) = tables(3)
    double = decompose(A0, d0, A1, d1)
    single = decompose(*(np.float32(v) for v in (A0, d0, A1, d1)))
    assert single.change.dtype == jnp.float32
    for name in double.integral:
        assert single.integral[name].dtype == jnp.float32
        np.testing.assert_allclose(single.integral[name], double.integral[name], rtol=0, atol=3e-5 * spread(double))


def test_the_iterative_solver_gives_the_same_effects():
    direct, iterative = both(7), both(7, solver=q.BiCGStab())
    for name in direct.integral:
        scale = spread(direct)
        np.testing.assert_allclose(iterative.integral[name], direct.integral[name], rtol=0, atol=1e-10 * scale)


def test_results_carry_labels(us2020):
    A, d, r = us2020.A, us2020.final_demand, us2020.intensity("ghg")
    found = decompose(A, d, 0.9 * A, 1.1 * d, intensity0=r, intensity1=r)
    labelled = us2020.label(found)
    assert {"change", "technology", "final_demand_polar", "intensity_shapley"} <= set(labelled)
    assert labelled.change.sum() == pytest.approx(float(found.change.sum()), rel=1e-12)
    assert "final demand" in repr(found)


def test_the_trade_collapse_of_2009_came_from_final_demand(shared_data):
    """WIOD, 13 regions by 35 industries: nominal world output fell from 122.8 to 114.2 trillion dollars (its README)."""
    pytest.importorskip("pyarrow")
    sides = []
    for year in (2008, 2009):
        Z = pd.read_parquet(shared_data / "wiod2013" / f"mrio13x35_Z_{year}.parquet")
        table = pd.read_csv(shared_data / "wiod2013" / f"mrio13x35_x_{year}.csv", index_col=0).loc[Z.index]
        x = table.iloc[:, 0].to_numpy(dtype=float)
        Z = Z.to_numpy()
        # What the rounded table leaves over is final demand, so that x is its equilibrium.
        sides.append((Z / np.where(x > 0, x, 1), x - Z.sum(axis=1), x))
    (A0, d0, x0), (A1, d1, x1) = sides
    found = decompose(A0, d0, A1, d1)
    np.testing.assert_allclose(found.change, x1 - x0, rtol=0, atol=1e-12 * x0.max())
    assert float(found.change.sum()) / 1e6 == pytest.approx(114.2 - 122.8, abs=0.1)
    for form in forms(found):
        np.testing.assert_allclose(sum(form.values()), found.change, rtol=0, atol=1e-12 * x0.max())
        assert form["final_demand"].sum() < form["technology"].sum() < 0
    for name in found.polar:
        np.testing.assert_allclose(found.polar[name], found.shapley[name], rtol=0, atol=1e-12 * x0.max())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: decompose([[0.1]], [1.0], [[0.1]], [1.0], intensity0=[1.0]), q.InputError, "for one side only"),
        (lambda: decompose([[0.1]], [1.0], [[0.1]], [1.0, 2]), q.InputError, "A1 has shape"),
        (lambda: decompose([0.1], [1.0], [[0.1]], [1.0]), q.InputError, "A0 has shape"),
        (lambda: decompose([[0.1]], [1.0], [[1.1]], [1.0]), q.SolveError, "not productive"),
        (lambda: decompose(q.Network.from_table([[0.0]], [1.0]), [1.0], [[0.1]], [1.0]), q.InputError, "not a Network"),
        (lambda: decompose_path(product, (1.0,), (1.0, 2.0)), q.InputError, "start has the factors"),
        (lambda: decompose_path(product, (1.0,), [2.0]), q.InputError, "same container"),
        (lambda: decompose_path(product, 1.0, 2.0), q.InputError, "give a dict or a tuple"),
        (lambda: decompose_path(product, (), ()), q.InputError, "at least one factor"),
        (lambda: decompose_path(product, ([1.0, 2.0],), (1.0,)), q.InputError, "different structures"),
        (lambda: decompose_path(product, (np.ones(2),), (np.ones(3),)), q.InputError, "has shape"),
        (lambda: decompose_path(product, (1.0,), (2.0,), tolerance=0.0), q.InputError, "tolerance is 0.0"),
        (lambda: decompose_path(product, (1.0,), (2.0,), nodes=3), q.InputError, "nodes is 3"),
        (lambda: decompose_path(lambda f: 1 / f[0], (-1.0,), (1.0,)), q.SolveError, "nearly singular"),
        (lambda: decompose_path(lambda f: jnp.log(f[0]), (-1.0,), (1.0,)), q.SolveError, "is not finite"),
        (lambda: decompose_shapley(product, (1.0,) * 11, (2.0,) * 11), q.InputError, r"needs 2\^11 values"),
        (
            lambda: jax.jit(lambda a: decompose_path(product, (a, 1.0), (2.0, 3.0)).change)(1.0),
            q.InputError,
            "give the number of nodes",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
