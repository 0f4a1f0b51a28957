"""Fields of influence, inverse-important coefficients, lazy Jacobians, cost-push and Ghosh effects."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import quesnay as q
from quesnay.equilibrium.analysis.influence import (
    coefficient_limits,
    field_of_influence,
    influence,
    inverse_change,
    inverse_limits,
)
from tables import random_table, seeds

N = 5


def table(seed):
    """Return A, d and x of a random table."""
    Z, d = random_table(seed, N)
    x = Z.sum(axis=1) + d
    return Z / np.where(x > 0, x, 1), d, x


def inverse(A):
    return np.linalg.inv(np.eye(len(A)) - A)


def with_change(A, j, k, t):
    changed = np.array(A)
    changed[j, k] += t
    return changed


compiled = jax.jit(field_of_influence)
derivative_of_inverse = jax.jit(jax.jacfwd(lambda A: jnp.linalg.inv(jnp.eye(N) - A)))


@settings(max_examples=20)
@given(seeds)
def test_the_field_is_the_derivative_of_the_inverse(seed):
    A, _, _ = table(seed)
    derivative = derivative_of_inverse(A)
    j, k = np.random.default_rng(seed).integers(0, N, 2)
    got = compiled(A, j, k)
    np.testing.assert_allclose(got, derivative[:, :, j, k], rtol=1e-12, atol=1e-14 * float(derivative.max()))
    h = 1e-4
    steps = [inverse(with_change(A, j, k, m * h)) for m in (-2, -1, 1, 2)]
    difference = (8 * (steps[2] - steps[1]) - (steps[3] - steps[0])) / (12 * h)
    np.testing.assert_allclose(got, difference, rtol=1e-8, atol=1e-9)


@settings(max_examples=20)
@given(seeds)
def test_a_finite_change_equals_a_new_inverse(seed):
    A, _, _ = table(seed)
    rng = np.random.default_rng(seed)
    (j, k), L = rng.integers(0, N, 2), inverse(A)
    t = rng.uniform(-0.5, 0.5) / L[k, j] if L[k, j] > 0 else rng.uniform(-0.5, 0.5)
    expected = inverse(with_change(A, j, k, t)) - L
    np.testing.assert_allclose(changed(A, j, k, t), expected, rtol=1e-11, atol=1e-12 * L.max())


changed = jax.jit(inverse_change)


def test_a_change_that_leaves_nothing_productive_is_an_error():
    A, _, _ = table(1)
    t = 1.01 / inverse(A)[2, 2]
    assert np.abs(np.linalg.eigvals(with_change(A, 2, 2, t))).max() > 1
    with pytest.raises(q.SolveError, match="no productive technology"):
        inverse_change(A, 2, 2, t)
    with pytest.raises(Exception, match="no productive technology"):
        changed(A, 2, 2, t).block_until_ready()


@settings(max_examples=15)
@given(seeds)
def test_strengths_are_sums_and_norms_of_all_fields(seed):
    A, _, _ = table(seed)
    got, derivative = strengths(A), np.asarray(derivative_of_inverse(A))
    np.testing.assert_allclose(got.total, derivative.sum(axis=(0, 1)), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(got.norm, np.sqrt((derivative**2).sum(axis=(0, 1))), rtol=1e-11, atol=1e-13)


strengths = jax.jit(influence)
limits = jax.jit(coefficient_limits)
entry_limits = jax.jit(inverse_limits)


@settings(max_examples=20)
@given(seeds)
def test_at_its_limit_a_coefficient_changes_some_output_by_the_share(seed):
    A, d, x = table(seed)
    produces = x > 0
    for p in (0.01, -0.02):
        for (j, k), t in np.ndenumerate(limits(A, d, change=p)):
            if np.isinf(t):
                # Either the buyer or the seller has no part in production: no change shows.
                changed_x = np.linalg.solve(np.eye(N) - with_change(A, j, k, 1e-3), d)
                np.testing.assert_allclose(changed_x[produces], x[produces], rtol=1e-12)
                continue
            new = np.linalg.solve(np.eye(N) - with_change(A, j, k, t), d)
            share = (new - x)[produces] / x[produces]
            np.testing.assert_allclose(share[np.argmax(np.abs(share))], p, rtol=1e-9)


@settings(max_examples=20)
@given(seeds)
def test_schintke_s_limits_where_value_added_is_positive(seed):
    """Schintke and Staeglin: t = p / (L_kj p + L_jj x_k / x_j): the supplier answers most where value added is positive."""
    A, d, x = table(seed)
    if (d <= 0).any():
        d = d + 0.1 * d.max()
        x = np.linalg.solve(np.eye(N) - A, d)
    L, p = inverse(A), 0.01
    expected = p / (L.T * p + np.diagonal(L)[:, None] * x[None, :] / x[:, None])
    np.testing.assert_allclose(limits(A, d, change=p), expected, rtol=1e-11)


@settings(max_examples=20)
@given(seeds)
def test_at_its_limit_a_coefficient_changes_the_entry_by_the_share(seed):
    A, _, _ = table(seed)
    L = inverse(A)
    for p in (0.05, -0.05):
        for (k, m), t in np.ndenumerate(entry_limits(A, 1, 1, change=p)):
            if np.isfinite(t):
                np.testing.assert_allclose(inverse(with_change(A, k, m, t))[1, 1], (1 + p) * L[1, 1], rtol=1e-9)
            elif p > 0:
                assert L[1, k] * L[m, 1] == 0


@settings(max_examples=10)
@given(seeds)
def test_limits_do_not_depend_on_the_unit_of_money(seed):
    A, d, _ = table(seed)
    np.testing.assert_allclose(limits(A, 2.0**20 * d), limits(A, d), rtol=1e-13)


def test_a_network_has_the_fields_of_its_table():
    Z, d = random_table(3, N)
    network = q.Network.from_table(Z, d)
    held = field_of_influence(network, 1, 3)
    np.testing.assert_allclose(held, compiled(network.links.coefficient, 1, 3), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda A: field_of_influence(A, 5, 0), "j is 5, but the accounts are numbered 0 to 4"),
        (lambda A: field_of_influence(A, 0, -1), "k is -1, but the accounts are numbered 0 to 4"),
        (lambda A: field_of_influence(A, 0.5, 1), "j is .*; give the position of an account"),
        (lambda A: field_of_influence(A, [0, 1], 1), r"j has shape \(2,\)"),
        (lambda A: inverse_change(A, 0, 1, np.ones(2)), r"change has shape \(2,\)"),
        (lambda A: inverse_change(A, 0, 1, np.nan), "change is not finite"),
        (lambda A: coefficient_limits(A, np.ones(N), change=0), "change is 0; give a share above -1 other than 0"),
        (lambda A: coefficient_limits(A, np.ones(N), change=-1), "change is -1; give a share above -1"),
        (lambda A: inverse_limits(np.eye(N) / 2, 0, 1), r"L\[0, 1\] is 0"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, message):
    with pytest.raises(q.InputError, match=message) as caught:
        call(table(1)[0])
    assert "\n" not in str(caught.value)
