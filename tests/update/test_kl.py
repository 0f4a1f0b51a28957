"""Coefficients updated to outputs and final demand."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from jax.test_util import check_grads

import quesnay as q
from tables import random_table, seeds


def technology(seed, n=4):
    Z, d = random_table(seed, n, density=0.9)
    Z += 0.01 * Z.max()
    d = d + 0.1 * d.max()
    x = Z.sum(1) + d
    return Z / x, x, d


@settings(max_examples=25)
@given(seeds)
def test_the_closed_form_meets_the_balance_and_is_what_newton_finds(seed):
    A0, x, d = technology(seed)
    rng = np.random.default_rng(seed)
    x, d = x * np.exp(rng.normal(0, 0.2, 4)), d
    d = np.minimum(d, 0.9 * x)
    fit = q.update.kl(A0, x, d)
    np.testing.assert_allclose(fit.value @ x + d, x, rtol=1e-13)
    assert fit.iterations == 0
    assert fit.error <= 1e-14
    np.testing.assert_allclose(fit.value * x, q.update.newton(A0 * x, x - d, None).value, rtol=1e-9)


@settings(max_examples=15)
@given(seeds)
def test_with_final_demand_everywhere_the_technology_is_productive(seed):
    A0, x, d = technology(seed)
    A = q.update.kl(A0, x * np.exp(np.random.default_rng(seed).normal(0, 0.5, 4)) + d, d).value
    assert np.max(np.abs(np.linalg.eigvals(A))) < 1


def test_derivatives_are_exact():
    A0, x, d = technology(1)
    w = np.random.default_rng(0).normal(size=A0.shape)
    check_grads(lambda A0, x, d: jnp.vdot(w, q.update.kl(A0, x, d).value), (A0, x, d), 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda A, x, d: (A, x, 2 * x), "final demand exceeds output at 0"),
        (lambda A, x, d: (A, -x, d), "x is not positive at 0"),
        (lambda A, x, d: (-A, x, d), "negative or missing"),
        (
            lambda A, x, d: (A * (np.arange(4) != 2)[:, None], x, 0.5 * x),
            "account 2 sells to others, but its row of A0 is 0",
        ),
        (lambda A, x, d: (A[:3], x, d), r"A0 has shape \(3, 4\)"),
        (lambda A, x, d: (A, x, d * np.nan), "d has entries that are not finite"),
    ],
)
def test_what_cannot_be_met_is_refused(change, said):
    with pytest.raises(q.InputError, match=said):
        q.update.kl(*change(*technology(3)))
