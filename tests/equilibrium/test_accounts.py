"""Regional accounts: definitions, sums, symmetries and derivatives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import quesnay as q
from quesnay.equilibrium.analysis.accounts import accounts
from tables import random_table, seeds

REGIONS = ("S", "N", "S", "W", "N", "W")
SECTORS = ("a", "a", "b", "a", "b", "b")
TOTALS = ("production", "consumption", "imports", "exports")
ARRAYS = (
    *("origin_destination", "direct", "production_by_account", "exports_by_account"),
    *("consumption_by_sector", "imports_by_sector"),
)


def world(seed, k=3):
    """Return A, final demand by region, and k intensities of a table of three regions, two sectors each."""
    Z, d = random_table(seed, 6)
    rng = np.random.default_rng(seed)
    split = rng.uniform(0, 1, (6, 3)) * (rng.uniform(size=(6, 3)) < 0.8) + 1e-3
    x = Z.sum(axis=1) + d
    return Z / np.where(x > 0, x, 1), d[:, None] * split / split.sum(axis=1, keepdims=True), rng.uniform(0, 2, (k, 6))


def by_definition(A, Y, r):
    """Return E[k, origin, destination] entry by entry, and r L, with NumPy's inverse."""
    L = np.linalg.inv(np.eye(6) - A)
    order = list(dict.fromkeys(REGIONS))
    E = np.zeros((len(r), 3, 3))
    for k, weights in enumerate(r):
        for i, region in enumerate(REGIONS):
            E[k, order.index(region)] += weights[i] * (L @ Y)[i]
    return E, r @ L


def all_accounts(A, Y, r):
    return accounts(A, Y, r, REGIONS, sectors=SECTORS)


@settings(max_examples=20)
@given(seeds)
def test_accounts_equal_their_definition(seed):
    A, Y, r = world(seed)
    E, m = by_definition(A, Y, r)
    got = all_accounts(A, Y, r)
    close = {"rtol": 1e-11, "atol": 1e-14 * E.max()}
    np.testing.assert_allclose(got.origin_destination, E, **close)
    away = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(got.exports, (E * away).sum(axis=2), **close)
    np.testing.assert_allclose(got.imports, (E * away).sum(axis=1), **close)
    for p, sector in enumerate("ab"):
        rows = np.array(SECTORS) == sector
        np.testing.assert_allclose(got.consumption_by_sector[..., p], m[:, rows] @ Y[rows], **close)


@settings(max_examples=20)
@given(seeds)
def test_sums_agree(seed):
    """Everything produced is consumed, everything exported is imported, and it is all of `r' x`."""
    A, Y, r = world(seed)
    got = all_accounts(A, Y, r)
    total = r @ np.linalg.solve(np.eye(6) - A, Y.sum(axis=1))
    close = {"rtol": 1e-11, "atol": 1e-14 * total.max()}
    np.testing.assert_allclose(got.production.sum(axis=-1), total, **close)
    np.testing.assert_allclose(got.consumption.sum(axis=-1), total, **close)
    np.testing.assert_allclose(got.imports.sum(axis=-1), got.exports.sum(axis=-1), **close)
    np.testing.assert_allclose(got.production - got.exports, got.consumption - got.imports, **close)
    np.testing.assert_allclose(got.production_by_account.sum(axis=-1), total, **close)
    np.testing.assert_allclose(got.exports_by_account.sum(axis=-1), got.exports.sum(axis=-1), **close)
    np.testing.assert_allclose(got.consumption_by_sector.sum(axis=-1), got.consumption, **close)
    np.testing.assert_allclose(got.imports_by_sector.sum(axis=-1), got.imports, **close)


@settings(max_examples=15)
@given(seeds)
def test_the_unit_of_money_does_not_matter(seed):
    """Demand in another currency, intensity per unit of it: the same accounts, to the bit."""
    A, Y, r = world(seed)
    got, same = all_accounts(A, Y, r), all_accounts(A, Y * 2.0**20, r / 2.0**20)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(same, name), getattr(got, name))


@settings(max_examples=15)
@given(seeds)
def test_accounts_are_linear_in_demand_and_in_intensity(seed):
    A, Y, r = world(seed)
    other = world(seed + 1)
    first, second, both = (all_accounts(A, demand, r) for demand in (Y, other[1], 2 * Y + 3 * other[1]))
    for name in ARRAYS:
        expected = 2 * getattr(first, name) + 3 * getattr(second, name)
        largest = float(jnp.max(jnp.abs(expected)))
        np.testing.assert_allclose(getattr(both, name), expected, rtol=1e-12, atol=1e-13 * largest)
    mixed = all_accounts(A, Y, np.array([[1, 1, 1], [2, 0, 0], [0, -1, 0]]) @ r).origin_destination
    E = first.origin_destination
    np.testing.assert_allclose(mixed, jnp.stack([E.sum(axis=0), 2 * E[0], -E[1]]), rtol=1e-12)


@settings(max_examples=15)
@given(seeds)
def test_the_order_of_the_accounts_does_not_matter(seed):
    A, Y, r = world(seed)
    order = np.random.default_rng(seed).permutation(6)
    got = all_accounts(A, Y, r)
    moved = accounts(
        A[np.ix_(order, order)], Y[order], r[:, order], [REGIONS[i] for i in order], consumers=("S", "N", "W")
    )
    back = [moved.regions.index(region) for region in got.regions]
    np.testing.assert_allclose(
        moved.origin_destination[:, back][:, :, back], got.origin_destination, rtol=1e-11, atol=1e-14
    )
    np.testing.assert_allclose(moved.exports_by_account, got.exports_by_account[:, order], rtol=1e-11, atol=1e-14)


def test_columns_of_one_consumer_are_added_up_and_strangers_become_destinations():
    A, Y, r = world(5)
    split = np.concatenate([Y * 0.25, Y * 0.75], axis=1)[:, [3, 1, 0, 5, 4, 2]]
    labels = ["S", "N", "S", "W", "N", "abroad"]
    got = accounts(A, split, r, REGIONS, consumers=labels)
    assert got.regions == ("S", "N", "W")
    assert got.destinations == ("S", "N", "W", "abroad")
    full = by_definition(A, Y, r)[0]
    np.testing.assert_allclose(got.origin_destination[:, :, :2], full[:, :, :2], rtol=1e-11)
    np.testing.assert_allclose(got.origin_destination[:, :, 2], 0.75 * full[:, :, 2], rtol=1e-11)
    np.testing.assert_allclose(got.origin_destination[:, :, 3], 0.25 * full[:, :, 2], rtol=1e-11)
    np.testing.assert_allclose(got.imports[:, 3], 0.25 * full[:, :, 2].sum(axis=1), rtol=1e-11)


def test_direct_parts_count_where_the_consumer_lives():
    A, Y, r = world(5)
    Y4, own = np.concatenate([Y, Y[:, :1]], axis=1), np.arange(12.0).reshape(3, 4)
    labels = ["W", "S", "S", "abroad"]
    bare, got = (accounts(A, Y4, r, REGIONS, consumers=labels, direct=direct) for direct in (None, own))
    expected = np.stack([own[:, 1] + own[:, 2], 0 * own[:, 0], own[:, 0], own[:, 3]], axis=1)
    np.testing.assert_allclose(got.consumption, bare.consumption + expected, rtol=1e-14)
    np.testing.assert_allclose(got.production, bare.production + expected[:, :3], rtol=1e-14)
    np.testing.assert_array_equal(got.imports, bare.imports)
    np.testing.assert_array_equal(got.exports, bare.exports)


def test_few_intensities_and_many_give_the_same_by_sector():
    """One intensity is split by region before the solve, many are multiplied with the whole inverse."""
    A, Y, r = world(7)
    many, one = all_accounts(A, Y, r), all_accounts(A, Y, r[:1])
    for name in ("consumption_by_sector", "imports_by_sector"):
        np.testing.assert_allclose(getattr(many, name)[:1], getattr(one, name), rtol=1e-11, atol=1e-14)


@jax.jit
def compiled(A, Y, r):
    return accounts(A, Y, r, REGIONS)


def test_jit_equals_eager_and_vmap_equals_a_loop():
    A, Y, r = world(11)
    cases = jnp.stack([jnp.asarray(Y), 2.0 * jnp.asarray(Y)[:, ::-1]])
    loop = [all_accounts(A, case, r) for case in cases]
    mapped = jax.vmap(compiled, in_axes=(None, 0, None))(A, cases, r)
    for name in (*ARRAYS[:4], *TOTALS):
        eager = jnp.stack([getattr(each, name) for each in loop])
        np.testing.assert_allclose(getattr(compiled(A, Y, r), name), eager[0], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(getattr(mapped, name), eager, rtol=1e-12, atol=1e-15)


@jax.jit
@functools.partial(jax.value_and_grad, argnums=(0, 1, 2))
def exports_of_S(A, Y, r):
    return accounts(A, Y, r, REGIONS).exports[0, 0]


@settings(max_examples=10)
@given(seeds)
def test_derivatives_agree_with_closed_forms_and_finite_differences(seed):
    """For the exports of S: `dE / dA_jk = sum_s m^S_j (L Y_s)_k` over the other destinations s."""
    point = tuple(jnp.asarray(v) for v in world(seed))
    A, Y, r = map(np.asarray, point)
    L, here = np.linalg.inv(np.eye(6) - A), np.array(REGIONS) == "S"
    value, gradient = exports_of_S(*point)
    m, X = (r[0] * here) @ L, L @ Y
    expected = np.outer(m, X[:, 1:].sum(axis=1))
    np.testing.assert_allclose(gradient[0], expected, rtol=1e-10, atol=1e-12 * expected.max())
    np.testing.assert_allclose(gradient[1], np.outer(m, [0, 1, 1]), rtol=1e-11, atol=1e-13)
    rng = np.random.default_rng(seed)
    direction = [v * rng.normal(size=v.shape) for v in point]

    def at(h):
        return exports_of_S(*(v + h * w for v, w in zip(point, direction, strict=True)))[0]

    h = 1e-3
    difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    parts = [jnp.vdot(g, w) for g, w in zip(gradient, direction, strict=True)]
    assert abs(sum(parts) - difference) <= 1e-8 * (sum(map(abs, parts)) + value)


def test_single_precision_stays():
    A, Y, r = (v.astype(np.float32) for v in world(3))
    got = accounts(A, Y, r, REGIONS)
    assert {getattr(got, name).dtype for name in (*ARRAYS[:4], *TOTALS)} == {jnp.dtype("float32")}
    double = accounts(*world(3), REGIONS).origin_destination
    np.testing.assert_allclose(got.origin_destination, double, rtol=1e-4, atol=1e-6 * float(double.max()))


def test_a_network_has_the_accounts_of_its_table():
    Z, d = random_table(2, 6)
    network = q.Network.from_table(Z, d)
    Y, r = np.outer(d, [0.5, 0.3, 0.2]), np.arange(6.0)
    held, table = (accounts(A, Y, r, REGIONS).origin_destination for A in (network, network.links.coefficient))
    np.testing.assert_allclose(held, table, rtol=1e-9, atol=1e-12 * float(table.max()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"intensity": np.ones(5)}, r"intensity has shape \(5,\); give \(6,\), or \(k, 6\)"),
        ({"intensity": np.full(6, np.nan)}, "intensity has an entry that is not finite"),
        ({"Y": np.ones(6)}, r"Y has shape \(6,\); give final demand \(6, m\)"),
        ({"Y": np.ones((6, 2))}, "Y has 2 columns and the table 3 regions; say with `consumers`"),
        ({"consumers": ["S"]}, "consumers has 1 labels; give 3"),
        ({"regions": ["S"] * 5}, "regions has 5 labels; give 6"),
        ({"regions": [["S"]] * 6}, "regions holds labels that cannot be compared"),
        ({"sectors": ["a"]}, "sectors has 1 labels; give 6"),
        ({"direct": np.ones(3)}, r"direct has shape \(3,\); give \(3, 3\)"),
        ({"direct": np.full((3, 3), np.inf)}, "direct has an entry that is not finite"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(change, message):
    A, Y, r = world(1)
    arguments = {"Y": Y, "intensity": r, "regions": REGIONS} | change
    rest = {name: arguments.pop(name) for name in list(arguments) if name in ("consumers", "direct", "sectors")}
    with pytest.raises(q.InputError, match=message) as caught:
        accounts(A, arguments["Y"], arguments["intensity"], arguments["regions"], **rest)
    assert "\n" not in str(caught.value)


def test_traced_labels_are_refused():
    A, Y, r = world(1)
    with pytest.raises(q.InputError, match="regions are being traced"):
        jax.jit(lambda labels: accounts(A, Y, r, labels).production)(jnp.arange(6))
