"""Coefficients updated to outputs and final demand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

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
    """Of `sum_ij w_ij A0_ij (x_i - d_i) / (A0 x)_i`: the first in closed form, the second by differences of it."""
    A0, x, d = technology(1)
    w = np.random.default_rng(0).normal(size=A0.shape)

    def closed(A0, x, d):
        used, sales, weighed = A0 @ x, x - d, (w * A0).sum(1)
        pull = weighed * sales / used**2
        return w * (sales / used)[:, None] - np.outer(pull, x), weighed / used - pull @ A0, -weighed / used

    def slope(at, towards):
        return jax.jvp(jax.grad(lambda *at: jnp.vdot(w, q.update.kl(*at).value), (0, 1, 2)), at, towards)

    at = (A0, x, d)
    towards = tuple(a * np.cos(np.arange(a.size)).reshape(a.shape) for a in at)
    first, second = jax.jit(slope)(at, towards)
    ends = [closed(*(a + h * t for a, t in zip(at, towards, strict=True))) for h in (1e-5, -1e-5)]
    for own, change, wanted, high, low in zip(first, second, closed(*at), *ends, strict=True):
        np.testing.assert_allclose(own, wanted, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(change, (high - low) / 2e-5, rtol=1e-6, atol=1e-7 * np.abs(change).max())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda A, x, d: (A, x, 2 * x), "final demand exceeds output at 0"),
        (lambda A, x, d: (A, -x, d), "x is not positive at 0"),
        (lambda A, x, d: (A, x * np.nan, d), "x is nan at 0; give an output"),
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
