"""Hypothetical extraction against rebuilt tables, closed forms and block formulas."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

import quesnay as q
from quesnay.equilibrium.analysis.extraction import extraction
from tables import random_table, seeds

N = 5
GROUPS = np.array([[1, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 1, 1, 0, 1]])
CONVENTIONS = (
    *("complete", "backward", "forward", "allocation"),
    *("external_backward", "external_forward", "isolated"),
)


def economy(seed):
    """Return A, d, x and two outcomes per unit of output."""
    Z, d = random_table(seed, N)
    x = Z.sum(axis=1) + d
    return Z / np.where(x > 0, x, 1), d, x, np.random.default_rng(seed).uniform(0, 2, (2, N))


def small_economy(seed, n):
    """Return a labelled economy of a random table, sectors a, b, ..."""
    Z, d = random_table(seed, n)
    sectors = list("abcdefgh"[:n])
    return q.Economy.from_frames(
        Z=pd.DataFrame(Z, sectors, sectors), final_demand=pd.Series(d, sectors), currency="MUSD", year=2020
    )


def inverse(A):
    return np.linalg.inv(np.eye(len(A)) - A)


def rebuilt(A, d, x, S, theta):
    """Return the outputs after each way of extraction, from a table rebuilt flow by flow and solved anew."""
    member = np.isin(np.arange(len(d)), S)
    keep, inside = 1 - theta * member, np.outer(member, member)
    rows, columns = np.repeat(keep[:, None], len(d), axis=1), np.repeat(keep[None, :], len(d), axis=0)
    both = np.where(member[:, None] ^ member[None, :], 1 - theta, 1)
    # Ghosh: shares of sales B = A_ij x_j / x_i; a row without output is without sales.
    B = A * x / np.where(x > 0, x, 1)[:, None]
    v = x - B.T @ x
    solve = np.linalg.solve
    eye = np.eye(len(d))
    return {
        "complete": solve(eye - A * rows, d * keep),
        "backward": solve(eye - A * columns, d),
        "forward": solve(eye - A * rows, d),
        "allocation": solve(eye - (B * rows).T, v),
        "external_backward": solve(eye - A * np.where(inside, 1, columns), d),
        "external_forward": solve(eye - A * np.where(inside, 1, rows), d),
        "isolated": solve(eye - A * both, d),
    }


@jax.jit
def alone(A, d, share, outcome):
    return extraction(A, d, share=share, outcome=outcome)


@jax.jit
def grouped(A, d, share, outcome):
    return extraction(A, d, share=share, outcome=outcome, groups=GROUPS)


def compare(seed, call, sets, theta):
    A, d, x, r = economy(seed)
    got = call(A, d, theta, r)
    for g, S in enumerate(sets):
        for name, output in rebuilt(A, d, x, S, theta[g]).items():
            loss = getattr(got, name)
            close = {"rtol": 1e-11, "atol": 1e-12 * x.max(), "err_msg": name}
            np.testing.assert_allclose(loss.by_account()[g], x - output, **close)
            np.testing.assert_allclose(loss.total[:, g], r @ (x - output), **close)


@settings(max_examples=25)
@given(seeds)
def test_extracting_one_account_equals_a_rebuilt_table(seed):
    theta = np.random.default_rng(seed).choice([0.0, 0.3, 0.8, 1.0], N)
    compare(seed, alone, [[k] for k in range(N)], theta)


@settings(max_examples=25)
@given(seeds)
def test_extracting_a_group_equals_a_rebuilt_table(seed):
    theta = np.random.default_rng(seed).choice([0.0, 0.3, 0.8, 1.0], len(GROUPS))
    compare(seed, grouped, [np.flatnonzero(row) for row in GROUPS], theta)


@settings(max_examples=20)
@given(seeds)
def test_losses_of_output_equal_the_closed_forms(seed):
    """Complete: (1'L)_k x_k / L_kk, and so on; see the attributes of `Extraction`."""
    A, d, x, _ = economy(seed)
    L = inverse(A)
    m, own = L.sum(axis=0), np.diagonal(L)
    got = alone(A, d, np.ones(N), np.ones((1, N)))
    expected = {
        "complete": m * x / own,
        "backward": (m - 1) * x / own,
        "forward": m * (x - d) / own,
        "allocation": (L @ x - x) / own,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(got, name).total[0], values, rtol=1e-12, atol=1e-13 * x.max(), err_msg=name)


@settings(max_examples=20)
@given(seeds)
def test_block_formulas_of_a_group(seed):
    """Complete leaves `(I - A_RR)^-1 d_R`; isolated leaves that and `(I - A_SS)^-1 d_S`."""
    A, d, x, r = economy(seed)
    got = grouped(A, d, np.ones(len(GROUPS)), r)
    for g, row in enumerate(GROUPS):
        S, R = np.flatnonzero(row), np.flatnonzero(row == 0)
        rest, inside = (np.linalg.solve(np.eye(len(P)) - A[np.ix_(P, P)], d[P]) for P in (R, S))
        close = {"rtol": 1e-11, "atol": 1e-12 * x.max()}
        np.testing.assert_allclose(got.complete.by_account()[g][R], x[R] - rest, **close)
        np.testing.assert_allclose(got.complete.by_account()[g][S], x[S], **close)
        np.testing.assert_allclose(got.isolated.by_account()[g][R], x[R] - rest, **close)
        np.testing.assert_allclose(got.isolated.by_account()[g][S], x[S] - inside, **close)


@settings(max_examples=15)
@given(seeds)
def test_extraction_follows_units_and_order(seed):
    A, d, x, r = economy(seed)
    order, theta = np.random.default_rng(seed).permutation(N), np.linspace(0.2, 1, N)
    got, scaled = alone(A, d, theta, r), alone(A, 2.0**20 * d, theta, r)
    moved = alone(A[np.ix_(order, order)], d[order], theta[order], r[:, order])
    for name in CONVENTIONS:
        total = getattr(got, name).total
        np.testing.assert_array_equal(getattr(scaled, name).total, 2.0**20 * total)
        np.testing.assert_allclose(getattr(moved, name).total, total[:, order], rtol=1e-11, atol=1e-12 * x.max())


def test_nothing_is_lost_where_nothing_is_extracted_and_more_where_more_is():
    A, d, _, r = economy(8)
    losses = [alone(A, d, np.full(N, share), r) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    for name in CONVENTIONS:
        totals = np.stack([getattr(loss, name).total for loss in losses])
        np.testing.assert_array_equal(totals[0], 0)
        assert (np.diff(totals, axis=0) >= -1e-12 * totals.max()).all()


def test_gross_output_and_the_whole_share_are_the_defaults():
    A, d, _, _ = economy(8)
    got, full = extraction(A, d), alone(A, d, np.ones(N), np.ones((1, N)))
    for name in CONVENTIONS:
        np.testing.assert_allclose(getattr(got, name).total, getattr(full, name).total[0], rtol=1e-13)


@jax.jit
@functools.partial(jax.value_and_grad, argnums=(0, 1, 2))
def all_losses(A, d, share):
    got = extraction(A, d, share=share, groups=GROUPS)
    return sum((k + 1) * jnp.sum(getattr(got, name).total) for k, name in enumerate(CONVENTIONS))


@settings(max_examples=5)
@given(seeds)
def test_derivatives_agree_with_finite_differences(seed):
    A, d, _, _ = economy(seed)
    rng = np.random.default_rng(seed)
    point = (A, d, rng.uniform(0.3, 0.7, len(GROUPS)))
    direction = [v * rng.normal(size=v.shape) for v in point]
    value, gradient = all_losses(*point)

    def at(h):
        return all_losses(*(v + h * w for v, w in zip(point, direction, strict=True)))[0]

    h = 1e-3
    difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    pairs = list(zip(gradient, direction, strict=True))
    size = sum(float(np.vdot(abs(g), abs(w))) for g, w in pairs) + float(value)
    assert abs(sum(np.vdot(g, w) for g, w in pairs) - difference) <= 1e-8 * size


def test_a_network_loses_what_its_table_loses():
    Z, d = random_table(2, N)
    network = q.Network.from_table(Z, d)
    groups = GROUPS[:2]
    held = extraction(network, d, groups=groups, share=0.6)
    table = grouped(network.links.coefficient, d, np.array([0.6, 0.6, 0]), np.ones((1, N)))
    for name in CONVENTIONS:
        loss, expected = getattr(held, name), getattr(table, name)
        np.testing.assert_allclose(loss.total, expected.total[0, :2], rtol=1e-10)
        spread = expected.by_account()[:2]
        np.testing.assert_allclose(loss.by_account(), spread, rtol=1e-10, atol=1e-12 * float(jnp.max(spread)))


def test_labels_return():
    economy = small_economy(8, N)
    data = economy.label(extraction(economy.A, economy.final_demand))
    x, L = np.asarray(economy.output), inverse(np.asarray(economy.A))
    np.testing.assert_allclose(data.complete.to_numpy().ravel(), L.sum(axis=0) * x / np.diagonal(L), rtol=1e-10)
    assert set(data.data_vars) == set(CONVENTIONS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"share": 1.5}, "share has an entry outside 0 to 1"),
        ({"share": np.nan}, "share has an entry outside 0 to 1"),
        ({"share": np.ones(3)}, r"share has shape \(3,\); give a number, or one per extraction, \(5,\)"),
        ({"groups": [["a"] * 5]}, "groups is not an array of numbers"),
        ({"groups": np.ones(5)}, r"groups has shape \(5,\); give \(g, 5\)"),
        ({"groups": np.eye(5) * 2}, "groups has entries other than 0 and 1"),
        ({"groups": [[1, 0, 0, 0, 0], [0] * 5]}, "group 1 has no accounts"),
        ({"outcome": np.ones(3)}, r"outcome has shape \(3,\)"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(arguments, message):
    A, d, _, _ = economy(1)
    with pytest.raises(q.InputError, match=message) as caught:
        extraction(A, d, **arguments)
    assert "\n" not in str(caught.value)


def test_traced_groups_are_refused():
    A, d, _, _ = economy(1)
    with pytest.raises(q.InputError, match="groups are being traced"):
        jax.jit(lambda groups: extraction(A, d, groups=groups).complete.total)(GROUPS)


def test_an_extraction_is_shown_with_its_largest_losses() -> None:
    A, d = np.array([[0.2, 0.3], [0.1, 0.4]]), np.array([1.0, 2.0])
    found = q.extraction(A, d)
    first = repr(found).splitlines()
    assert first[0] == "Extraction of 2 accounts: the largest losses"
    largest = int(np.argmax(found.complete.total))
    assert first[1].split()[:3] == ["complete", f"{largest}:", f"{float(found.complete.total[largest]):,.6g}"]
    assert "ShapeDtypeStruct" in repr(jax.eval_shape(lambda: q.extraction(A, d)))
