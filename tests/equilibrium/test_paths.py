"""Structural path analysis against enumeration in rational arithmetic, closed forms, and published totals."""

from fractions import Fraction

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

import quesnay as q
from quesnay.equilibrium.analysis.paths import paths, production_layers
from tables import seeds

KINDS = ("positive", "signed", "sparse", "tied", "acyclic")
kinds = st.sampled_from(KINDS)
counts = st.sampled_from([3, 5])


def table(seed, n, kind):
    """Return A with column sums of |A| at most 0.8, d and r; few distinct values where ties are wanted."""
    rng = np.random.default_rng(seed)
    A, d, r = rng.uniform(0, 1, (n, n)), rng.uniform(0, 1, n), rng.uniform(0, 1, n)
    if kind == "tied":
        A, d, r = (rng.choice([0.0, 0.1, 0.2, 0.3], shape) for shape in ((n, n), n, n))
    if kind in ("sparse", "acyclic"):
        A, d, r = A * (rng.uniform(size=(n, n)) < 0.6), d * (rng.uniform(size=n) < 0.7), r * (rng.uniform(size=n) < 0.7)
    A = np.triu(A, 1) if kind == "acyclic" else A
    if kind != "tied":
        A *= rng.uniform(0.2, 0.8, n) / np.maximum(A.sum(axis=0), 1e-300)
    else:
        A /= 8
    if kind == "signed":
        A, d, r = (v * rng.choice([-1, 1], v.shape) for v in (A, d, r))
    return A, d, r


def rational(array):
    return np.vectorize(Fraction, otypes=[object])(np.asarray(array, dtype=float))


def enumerated(A, d, r, threshold):
    """All paths of absolute value at or above the threshold, in exact arithmetic: no coefficient exceeds 1."""
    A, d, r = rational(A), rational(d), rational(r)
    largest = max(abs(v) for v in r)
    found = []

    def extend(path, product):
        if abs(product) * largest < threshold or product == 0:
            return
        value = product * r[path[0]]
        if abs(value) >= threshold and value != 0:
            found.append((value, path))
        for i in range(len(d)):
            extend((i, *path), A[i, path[0]] * product)

    for j in range(len(d)):
        extend((j,), d[j])
    return sorted(found, key=lambda item: (-abs(float(item[0])), len(item[1]), item[1]))


def exact_total(A, d, r):
    """`r (I - A)^-1 d` by elimination in rational arithmetic."""
    n, A, d, r = len(d), rational(A), rational(d), rational(r)
    rows = [[Fraction(int(i == j)) - A[i, j] for j in range(n)] + [d[i]] for i in range(n)]
    for k in range(n):
        pivot = next(i for i in range(k, n) if rows[i][k] != 0)
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [v / rows[k][k] for v in rows[k]]
        for i in set(range(n)) - {k}:
            rows[i] = [v - rows[i][k] * w for v, w in zip(rows[i], rows[k], strict=True)]
    return sum(weight * row[-1] for weight, row in zip(r, rows, strict=True))


def listed(p):
    return [tuple(int(i) for i in p.sequence(k)) for k in range(len(p.value))]


@settings(max_examples=60)
@given(seeds, counts, kinds)
def test_the_list_is_what_enumeration_in_exact_arithmetic_finds(seed, n, kind):
    A, d, r = table(seed, n, kind)
    threshold = Fraction(float(np.abs(r).max() * np.abs(d).max())) / 400
    expected = enumerated(A, d, r, threshold) if threshold else []
    count = max(len(expected), 1)
    p = paths(A, d, r, count=count)
    if expected:
        assert listed(p) == [path for _, path in expected]
        assert p.value.tolist() == [float(value) for value, _ in expected]
        assert p.largest_unlisted < threshold
    assert p.tier.tolist() == [len(path) - 1 for path in listed(p)]


@settings(max_examples=60)
@given(seeds, counts, kinds, st.sampled_from([1, 7, 40]))
def test_listed_and_unlisted_paths_make_the_exact_total_within_the_stated_error(seed, n, kind, count):
    A, d, r = table(seed, n, kind)
    p = paths(A, d, r, count=count)
    sums = (
        (exact_total(A, d, r), p.value, p.total, p.total_error, p.remainder, p.remainder_error),
        (
            exact_total(np.abs(A), np.abs(d), np.abs(r)),
            np.abs(p.value),
            p.magnitude,
            p.magnitude_error,
            p.remainder_magnitude,
            p.remainder_magnitude_error,
        ),
    )
    for exact, values, total, total_error, remainder, remainder_error in sums:
        unlisted = exact - sum((Fraction(float(v)) for v in values), Fraction(0))
        if p.complete:
            assert remainder == 0
            assert remainder_error == 0
            assert abs(float(unlisted)) <= 1e-15 * p.magnitude
        else:
            assert abs(unlisted - Fraction(remainder)) <= Fraction(remainder_error)
        assert abs(exact - Fraction(total)) <= Fraction(total_error)
        # Column sums of at most 0.8: no total exceeds 5 max|r| sum|d|.
        assert total_error <= 1e-13 * 5 * np.abs(r).max() * np.abs(d).sum()
    assert p.remainder_magnitude >= abs(p.remainder) - 1e-14 * p.magnitude
    np.testing.assert_allclose(p.arising.sum(), p.total, rtol=0, atol=1e-14 * p.magnitude)
    np.testing.assert_allclose(p.demanded.sum(), p.total, rtol=0, atol=1e-14 * p.magnitude)


@settings(max_examples=30)
@given(seeds, counts, kinds)
def test_paths_fall_in_value_and_a_shorter_list_is_the_head_of_a_longer_one(seed, n, kind):
    A, d, r = table(seed, n, kind)
    long, short = paths(A, d, r, count=40), paths(A, d, r, count=9)
    assert np.all(np.diff(np.abs(long.value)) <= 0)
    assert listed(short) == listed(long)[:9]
    if len(long.value) > 9:
        assert short.largest_unlisted == abs(long.value[9])
        assert not short.complete
    if len(long.value):
        assert long.largest_unlisted <= abs(long.value[-1])


@settings(max_examples=30)
@given(seeds, counts, kinds)
def test_renumbering_the_accounts_renumbers_the_paths(seed, n, kind):
    A, d, r = table(seed, n, kind)
    order = np.random.default_rng(seed).permutation(n)
    p, moved = paths(A, d, r, count=25), paths(A[np.ix_(order, order)], d[order], r[order], count=25)
    np.testing.assert_array_equal(np.abs(moved.value), np.abs(p.value))
    renamed = {
        tuple(int(order[i]) for i in path): value for path, value in zip(listed(moved), moved.value, strict=True)
    }
    # Which of the paths that tie with the largest unlisted one are listed depends on the numbering.
    for path, value in zip(listed(p), p.value, strict=True):
        assert abs(value) == p.largest_unlisted or renamed[path] == value


@settings(max_examples=30)
@given(seeds, counts, kinds, st.sampled_from([2.0**-300, 2.0**-20, 2.0**20, 2.0**300]))
def test_units_of_money_and_of_the_satellite_rescale_values_only(seed, n, kind, unit):
    A, d, r = table(seed, n, kind)
    p, in_money, in_satellite = (
        paths(A, d, r, count=25),
        paths(A, unit * d, r, count=25),
        paths(A, d, unit * r, count=25),
    )
    for other in (in_money, in_satellite):
        assert listed(other) == listed(p)
        np.testing.assert_array_equal(other.value, unit * p.value)
        np.testing.assert_allclose(other.remainder, unit * p.remainder, rtol=0, atol=unit * p.remainder_error)
        assert other.largest_unlisted == unit * p.largest_unlisted


def test_one_sector_has_the_geometric_series_as_its_paths():
    """`r a^k d`, and what is left after K of them is `r a^K d / (1 - a)`."""
    p = paths([[0.5]], [3.0], [2.0], count=20)
    np.testing.assert_array_equal(p.value, 6 * 0.5 ** np.arange(20))
    np.testing.assert_array_equal(p.tier, np.arange(20))
    np.testing.assert_array_equal(p.by_tier(), p.value)
    np.testing.assert_allclose(p.remainder, 12 * 0.5**20, rtol=0, atol=p.remainder_error)
    assert p.largest_unlisted == 6 * 0.5**20
    np.testing.assert_allclose(p.share.sum(), 1 - 0.5**20, rtol=1e-14)


def test_an_acyclic_table_lists_all_its_paths_and_says_so():
    """With every coefficient above the diagonal there are 2^(j) paths that end at account j: 2^n - 1 in all."""
    n = 5
    A = np.triu(np.full((n, n), 0.5), 1)
    p = paths(A, np.ones(n), np.ones(n), count=10_000)
    assert len(p.value) == 2**n - 1
    assert p.complete
    assert p.remainder == p.remainder_error == p.remainder_magnitude == p.largest_unlisted == 0
    np.testing.assert_allclose(
        p.by_tier(), np.asarray(production_layers(A, np.ones(n), np.ones(n), n).value).sum(axis=1)
    )
    np.testing.assert_allclose(p.by_source(), p.arising, rtol=1e-14)
    np.testing.assert_allclose(p.by_demand(), p.demanded, rtol=1e-14)
    assert "all 31 paths" in repr(p)


def test_a_count_equal_to_the_number_of_paths_is_complete():
    A, ones = np.triu(np.full((3, 3), 0.5), 1), np.ones(3)
    assert paths(A, ones, ones, count=7).complete
    assert not paths(A, ones, ones, count=6).complete


def test_no_demand_or_no_intensity_leaves_no_path():
    for d, r in (([0.0, 0.0], [1.0, 1.0]), ([1.0, 1.0], [0.0, 0.0])):
        p = paths(np.full((2, 2), 0.1), d, r)
        assert len(p.value) == 0
        assert p.complete
        assert p.by_source().tolist() == [0, 0]
        assert "all 0 paths" in repr(p)


def test_what_lies_below_the_range_of_numbers_is_not_called_complete():
    chain = np.zeros((3, 3))
    chain[0, 1] = chain[1, 2] = 1e-200
    p = paths(chain, [0.0, 0.0, 1.0], [1.0, 0.0, 0.0])
    assert len(p.value) == 0
    assert not p.complete
    assert 0 < p.largest_unlisted < 1e-270


def test_a_coefficient_above_one_is_followed_where_the_series_converges():
    """A = [[0, 0], [3, 0]]: the indirect path is worth three times the direct one."""
    p = paths([[0.0, 0.0], [3.0, 0.0]], [1.0, 0.0], [1.0, 1.0])
    assert listed(p) == [(1, 0), (0,)]
    assert p.value.tolist() == [3, 1]


def test_equal_paths_are_listed_shortest_first_then_by_account():
    p = paths(np.full((3, 3), 0.25), np.ones(3), np.ones(3), count=8)
    assert listed(p) == [(0,), (1,), (2,), (0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]


@settings(max_examples=20)
@given(seeds, counts, st.sampled_from([kind for kind in KINDS if kind != "signed"]))
def test_layers_and_their_remainder_make_the_total(seed, n, kind):
    """The remainder after T layers is `r (I - A)^-1 A^T d`."""
    A, d, r = table(seed, n, kind)
    found = production_layers(A, d, r, layers=4)
    powers = [np.linalg.matrix_power(A, t) @ d for t in range(5)]
    size = float(np.abs(r).max() * np.linalg.solve(np.eye(n) - np.abs(A), np.abs(d)).max())
    np.testing.assert_allclose(found.value, r * np.stack(powers[:4]), rtol=0, atol=1e-14 * size)
    np.testing.assert_allclose(
        found.remainder, r * np.linalg.solve(np.eye(n) - A, powers[4]), rtol=0, atol=1e-14 * size
    )
    np.testing.assert_allclose(found.total, r * np.linalg.solve(np.eye(n) - A, d), rtol=0, atol=1e-14 * size)


def test_layers_have_derivatives_and_take_networks():
    A, d, r = table(1, 3, "positive")
    gradient = jax.grad(lambda A: production_layers(A, d, r, 3).total.sum())(jnp.asarray(A))
    x = np.linalg.solve(np.eye(3) - A, d)
    np.testing.assert_allclose(gradient, np.outer(q.footprint(A, r), x), rtol=1e-12)
    network = q.Network.from_table(A * x, d)
    np.testing.assert_allclose(production_layers(network, d, r).value, production_layers(A, d, r).value, rtol=1e-12)


def test_single_precision_input_is_taken_at_its_exact_value():
    A, d, r = (np.float32(v) for v in table(5, 5, "positive"))
    single, double = paths(A, d, r, count=30), paths(np.float64(A), np.float64(d), np.float64(r), count=30)
    np.testing.assert_array_equal(single.value, double.value)


def test_results_carry_labels(us2020):
    p = paths(us2020.A, us2020.final_demand, us2020.intensity("ghg"), count=100)
    labelled = us2020.label(p)
    assert labelled.by_source.sum() == pytest.approx(p.value.sum(), rel=1e-14)
    assert labelled.arising.sum() == pytest.approx(float(us2020.total("ghg").sum()), rel=1e-10)
    assert us2020.label(production_layers(us2020.A, us2020.final_demand, us2020.intensity("ghg"))).value.dims == (
        "layer",
        "region",
        "sector",
    )
    assert "the 100 largest paths" in repr(p)


def test_the_paths_of_the_united_states_add_up_to_the_published_footprint(shared_data):
    """USEEIO 2.0.1 (Ingwersen et al. 2022): total intensities N times the demand are all paths together."""
    folder = shared_data / "useeio_us_411_2012"
    A = pd.read_parquet(folder / "A.parquet")
    D, N, demands = (pd.read_csv(folder / f"{name}.csv", index_col=0) for name in ("D", "N", "demands"))
    d = demands.loc[A.index, "2012_US_Production_Complete"].to_numpy(dtype=float)
    p = paths(A.to_numpy(), d, D.loc["GHG"].to_numpy(), count=300)
    published = float(N.loc["GHG"].to_numpy() @ d)
    np.testing.assert_allclose(p.total, published, rtol=1e-12)
    assert p.total_error <= 1e-11 * p.magnitude
    assert np.all(np.diff(np.abs(p.value)) <= 0)
    assert len(set(listed(p))) == 300
    # Every direct path and every path of one transaction above the largest unlisted one is in the list, and no other.
    A, r = A.to_numpy(), D.loc["GHG"].to_numpy()
    short = np.concatenate([(r * d), (r[:, None] * A * d).ravel()])
    assert np.sum(p.tier <= 1) == np.sum(np.abs(short) > p.largest_unlisted)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: paths(np.eye(2) / 2, [1.0], [1.0, 1]), q.InputError, r"A has shape \(2, 2\), final demand \(1,\)"),
        (lambda: paths(np.ones((2, 3)), [1.0, 1], [1.0, 1]), q.InputError, r"A has shape \(2, 3\)"),
        (lambda: paths(np.zeros((0, 0)), [], []), q.InputError, r"A has shape \(0, 0\)"),
        (lambda: paths([[np.nan]], [1.0], [1.0]), q.InputError, "A has entries that are not finite"),
        (lambda: paths([[0.1]], [np.inf], [1.0]), q.InputError, "final demand has entries that are not finite"),
        (lambda: paths([[0.1]], [1.0], [1.0], count=0), q.InputError, "count is 0"),
        (lambda: paths([[0.1]], [1.0], [1.0], count=1.5), q.InputError, "count is 1.5"),
        (lambda: paths([[0.1]], [1e200], [1e200]), q.InputError, "beyond the range of float64"),
        (lambda: paths([[1.0]], [1.0], [1.0]), q.SolveError, "do not add up to a finite sum"),
        (lambda: paths([[0.8, -0.6], [0.6, 0.0]], [1.0, 1], [1.0, 1]), q.SolveError, r"spectral radius of \|A\|"),
        (lambda: paths(q.Network.from_table([[0.0]], [1.0]), [1.0], [1.0]), q.InputError, "not a Network"),
        (lambda: jax.jit(lambda d: paths([[0.1]], d, [1.0]).value)(jnp.ones(1)), q.InputError, "outside jit"),
        (lambda: jax.grad(lambda d: paths([[0.1]], d, [1.0]).total)(jnp.ones(1)), q.InputError, "outside jit"),
        (lambda: paths([[0.1]], [1.0], [0.0]).share, q.InputError, "cannot be told from zero"),
        (lambda: production_layers([[0.1]], [1.0, 2], [1.0]), q.InputError, "the system has 1 accounts"),
        (lambda: production_layers([[0.1]], [1.0], [1.0], 0), q.InputError, "layers is 0"),
        (lambda: production_layers([[1.1]], [1.0], [1.0]), q.SolveError, "not productive"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
