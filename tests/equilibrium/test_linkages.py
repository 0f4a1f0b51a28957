"""Linkages: definitions, means, symmetries; pure linkages against partitioned matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

import quesnay as q
from quesnay.equilibrium.analysis.linkages import linkages, pure_linkages
from tables import random_table, seeds

N = 5
NAMES = (
    *("direct_backward", "backward", "forward", "power", "sensitivity", "power_variation", "sensitivity_variation"),
    *("direct_ghosh", "ghosh", "ghosh_sensitivity", "ghosh_variation"),
)


def table(seed):
    """Return A, B, d and x of a random table; B has rows of zeros where there is no output."""
    Z, d = random_table(seed, N)
    x = Z.sum(axis=1) + d
    safe = np.where(x > 0, x, 1)
    return Z / safe, Z / safe[:, None], d, x


def small_economy(seed, n):
    """Return a labelled economy of a random table, sectors a, b, ..."""
    Z, d = random_table(seed, n)
    sectors = list("abcdefgh"[:n])
    return q.Economy.from_frames(
        Z=pd.DataFrame(Z, sectors, sectors), final_demand=pd.Series(d, sectors), currency="MUSD", year=2020
    )


def inverse(A):
    return np.linalg.inv(np.eye(len(A)) - A)


@jax.jit
def compiled(A, B):
    return linkages(A, B=B)


@settings(max_examples=25)
@given(seeds)
def test_linkages_equal_their_definitions(seed):
    A, B, _, _ = table(seed)
    L, G, got = inverse(A), inverse(B), compiled(A, B)
    expected = {
        "direct_backward": A.sum(axis=0),
        "backward": L.sum(axis=0),
        "forward": L.sum(axis=1),
        "power": N * L.sum(axis=0) / L.sum(),
        "sensitivity": N * L.sum(axis=1) / L.sum(),
        # Rasmussen's V: the standard deviation with n - 1 over the mean.
        "power_variation": np.sqrt(((L - L.mean(axis=0)) ** 2).sum(axis=0) / (N - 1)) / L.mean(axis=0),
        "sensitivity_variation": np.sqrt(((L.T - L.mean(axis=1)) ** 2).sum(axis=0) / (N - 1)) / L.mean(axis=1),
        "direct_ghosh": B.sum(axis=1),
        "ghosh": G.sum(axis=1),
        "ghosh_sensitivity": N * G.sum(axis=1) / G.sum(),
        "ghosh_variation": np.sqrt(((G.T - G.mean(axis=1)) ** 2).sum(axis=0) / (N - 1)) / G.mean(axis=1),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(got, name), values, rtol=1e-12, atol=1e-14, err_msg=name)
    np.testing.assert_array_equal(got.key, (expected["power"] > 1) & (expected["sensitivity"] > 1))
    np.testing.assert_array_equal(got.ghosh_key, (expected["power"] > 1) & (expected["ghosh_sensitivity"] > 1))


@settings(max_examples=15)
@given(seeds)
def test_indices_have_mean_one_and_follow_the_order_of_the_accounts(seed):
    A, B, _, _ = table(seed)
    order = np.random.default_rng(seed).permutation(N)
    got, moved = compiled(A, B), compiled(A[np.ix_(order, order)], B[np.ix_(order, order)])
    for name in ("power", "sensitivity", "ghosh_sensitivity"):
        np.testing.assert_allclose(getattr(got, name).mean(), 1, rtol=1e-14)
    for name in NAMES:
        np.testing.assert_allclose(getattr(moved, name), getattr(got, name)[order], rtol=1e-12, atol=1e-14)


def test_where_all_accounts_are_alike_there_is_no_key_account():
    """A circulant table: every row and column of L adds up to 1 / (1 - 0.3), so that all indices are 1 up to rounding."""
    A = np.roll(np.eye(N), 1, axis=1) * 0.1 + np.roll(np.eye(N), 2, axis=1) * 0.2
    got = compiled(A, A)
    np.testing.assert_allclose(got.power, 1, rtol=1e-14)
    assert not got.key.any()
    assert not got.ghosh_key.any()


def test_without_allocation_coefficients_there_are_no_ghosh_linkages():
    A, B, _, _ = table(4)
    bare, full = linkages(A), compiled(A, B)
    assert bare.ghosh is bare.ghosh_key is None
    np.testing.assert_allclose(bare.power, full.power, rtol=1e-13)
    assert "ghosh" not in bare.variables()
    assert set(full.variables()) == {*NAMES, "key", "ghosh_key"}


def test_a_network_has_the_linkages_of_its_table():
    Z, d = random_table(3, N)
    network = q.Network.from_table(Z, d)
    held, dense = linkages(network), linkages(network.links.coefficient)
    for name in NAMES[:7]:
        np.testing.assert_allclose(getattr(held, name), getattr(dense, name), rtol=1e-10, atol=1e-13)


@jax.jit
def pure(A, d):
    return pure_linkages(A, d)


@settings(max_examples=25)
@given(seeds)
def test_pure_linkages_equal_their_partitioned_form(seed):
    """PBL_j = 1' (I - A_rr)^-1 A_rj (1 - a_jj)^-1 d_j and PFL_j = (1 - a_jj)^-1 A_jr (I - A_rr)^-1 d_r."""
    A, _, d, x = table(seed)
    got = pure(A, d)
    for j in range(N):
        r = np.delete(np.arange(N), j)
        rest = inverse(A[np.ix_(r, r)])
        own = 1 / (1 - A[j, j])
        close = {"rtol": 1e-12, "atol": 1e-14 * x.max()}
        np.testing.assert_allclose(got.backward[j], (rest @ A[r, j]).sum() * own * d[j], **close)
        np.testing.assert_allclose(got.forward[j], own * A[j, r] @ rest @ d[r], **close)
    np.testing.assert_allclose(got.net, inverse(A).sum(axis=0) * d - x, rtol=1e-11, atol=1e-13 * x.max())
    assert abs(float(got.net.sum())) <= 1e-13 * x.sum()


@settings(max_examples=10)
@given(seeds)
def test_pure_linkages_scale_with_the_unit_of_money(seed):
    A, _, d, _ = table(seed)
    got, scaled = pure(A, d), pure(A, 2.0**-20 * d)
    for name in ("backward", "forward", "net"):
        np.testing.assert_array_equal(getattr(scaled, name), 2.0**-20 * getattr(got, name))


@settings(max_examples=10)
@given(seeds)
def test_the_gradient_of_a_multiplier_is_the_closed_form(seed):
    """`d (1'L)_i / dA_jk = (1'L)_j L_ki`."""
    A, B, _, _ = table(seed)
    L = inverse(A)
    got = gradient(A, B)
    np.testing.assert_allclose(got, np.outer(L.sum(axis=0), L[:, 1]), rtol=1e-11, atol=1e-13)


@jax.jit
@jax.grad
def gradient(A, B):
    return linkages(A, B=B).backward[1]


def test_labels_return():
    economy = small_economy(3, N)
    data = economy.label(linkages(economy.A))
    assert data.key.dtype == bool
    np.testing.assert_allclose(data.backward.to_numpy().ravel(), inverse(np.asarray(economy.A)).sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: linkages([[0.5]]), "the table has only one"),
        (lambda: linkages(np.eye(5) / 2, B=np.eye(3) / 2), "B has 3 accounts and A 5"),
        (
            lambda: pure_linkages(np.eye(5) / 2, np.ones(3)),
            r"final demand has shape \(3,\); give one number per account",
        ),
        (lambda: pure_linkages(q.Network.from_table([[0.0]], [1.0]), [1.0]), "not a Network"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, message):
    with pytest.raises(q.InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_single_precision_stays():
    A = jnp.asarray(table(3)[0], jnp.float32)
    got = linkages(A)
    assert {getattr(got, name).dtype for name in NAMES[:7]} == {jnp.dtype("float32")}
