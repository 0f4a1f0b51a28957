"""Every radius encloses the truth, in rational arithmetic, where compilers, underflow and scales work against it."""

from fractions import Fraction

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import quesnay as q
from tables import exact, seeds

SUCCESSFUL = q.equilibrium.RESULTS.successful


def outside(A, d, s):
    """Return the entries whose true value lies outside value -+ radius."""
    truth = exact(np.asarray(A), np.asarray(d))
    found = zip(np.asarray(s.value), np.asarray(s.radius), truth, strict=True)
    return [i for i, (v, r, x) in enumerate(found) if abs(Fraction(float(v)) - x) > Fraction(float(r))]


def cancelling(seed, n=5):
    """Return a sparse A with entries of both signs and many sizes, and a demand that outputs nearly cancel."""
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-2, 2, n)
    A = rng.uniform(-0.05, 0.6, (n, n)) * (rng.random((n, n)) < 0.5) * np.outer(scale, 1 / scale) / n * 2
    x = scale * rng.normal(size=n) * 10.0 ** rng.uniform(-3, 0, n)
    return A, x - A @ x


LOST = (
    [
        [0.07137697431704082, 0.3890521365627729, 0, 0, 0],
        [0, 0, -0.0002881597903138344, 0, -0.0008335695760075863],
        [0, 0, -0.0022422425544114453, 0, 16.179677846328723],
        [0, 0, 0.06545906349468424, 0, 0.38368110972028885],
        [0.06054781786391967, 0.025172019694451032, 0, 0.02282724158878627, 0],
    ],
    [-1.0335484512667574, 0.5456197034383888, -5.0967247887863305, 0.3917176010649908, 0],
)
"""A system whose radius, with the rounding of `b - x` folded away, is too small by a third."""

closed = {
    "nothing": lambda A, d, solver: q.solve(q.Leontief(A), d, solver=solver, throw=False),
    "demand": lambda A, d, solver: jax.jit(
        lambda A: q.solve(q.Leontief(A), jnp.asarray(d), solver=solver, throw=False)
    )(A),
    "both": lambda A, d, solver: jax.jit(
        lambda: q.solve(q.Leontief(jnp.asarray(A)), jnp.asarray(d), solver=solver, throw=False)
    )(),
}


@pytest.mark.parametrize("held", closed)
def test_the_radius_holds_where_the_compiler_knows_the_demand(held):
    """A compiler that sees a constant b folds `(b - x) - b`, of which the rounding of b - x is what is wanted."""
    for A, d in (LOST, cancelling(1)):
        s = closed[held](jnp.asarray(A), jnp.asarray(d), q.LU())
        assert s.result == SUCCESSFUL
        assert outside(A, d, s) == []


@settings(max_examples=40)
@given(seeds, st.sampled_from([np.float32, np.float64]), st.floats(0, 8))
def test_the_radius_holds_down_to_the_smallest_numbers(seed, dtype, above):
    """Near the smallest normal number parts of a product are read or written as zero; the smallest demands are below it."""
    rng = np.random.default_rng(seed)
    A = (rng.random((4, 4)) * 0.2).astype(dtype)
    smallest = np.finfo(dtype).tiny / np.finfo(dtype).eps
    d = (smallest * 10.0**above * 10.0 ** rng.uniform(-15, 0, 4)).astype(dtype)
    d[0] = smallest * 10.0**above
    s = q.solve(q.Leontief(A), d)
    assert outside(A, d, s) == []


@settings(max_examples=30)
@given(seeds, st.integers(0, 12), st.sampled_from([q.LU(), None]))
def test_accounts_in_units_that_differ_by_any_size_are_proved(seed, span, solver):
    """`D A D^-1` has the spectral radius of A, whatever units D the accounts are measured in."""
    n = 5
    rng = np.random.default_rng(seed)
    A = rng.random((n, n))
    A *= 0.8 / A.sum(axis=0)
    units = 2.0 ** np.round(rng.uniform(-span, span, n) / np.log10(2))
    A, d = A * np.outer(units, 1 / units), units * rng.random(n)
    s = q.solve(q.Leontief(A), d, solver=solver)
    assert outside(A, d, s) == []


def test_a_chain_of_any_length_of_scale_is_productive():
    """A nilpotent technology has spectral radius 0."""
    s = q.solve(q.Leontief([[0, 1e17], [0, 0]]), [1.0, 1.0])
    assert outside([[0, 1e17], [0, 0]], [1.0, 1.0], s) == []


@settings(max_examples=40)
@given(seeds, st.sampled_from([2, 5]), st.sampled_from([1.0, 1 + 1e-15, 1 + 1e-9, 1.01, 2.0, 50.0]))
def test_an_unproductive_technology_is_never_a_success(seed, n, radius):
    rng = np.random.default_rng(seed)
    A = rng.random((n, n)) * (rng.random((n, n)) < 0.8)
    A[0, 0] += 0.1
    # Columns that sum to the radius: it is the spectral radius, and rounding moves no column below it.
    A *= radius / np.where(A.sum(axis=0) > 0, A.sum(axis=0), 1)
    A[:, A.sum(axis=0) == 0] = radius / n
    for column in A.T:
        while sum(map(Fraction, column.tolist())) < Fraction(radius):
            column[column.argmax()] = np.nextafter(column.max(), np.inf)
    for solver in (None, q.BiCGStab(), q.Forward(max_steps=200), q.Anderson(max_steps=200)):
        s = q.solve(q.Leontief(A), np.ones(n), solver=solver, throw=False)
        assert s.result != SUCCESSFUL
        assert np.all(np.isinf(s.radius))
