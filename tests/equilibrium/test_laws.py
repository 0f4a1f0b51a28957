"""Identities of linear equilibria: closed-form derivatives, error bounds, units, and agreement of the solvers."""

from fractions import Fraction

import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import quesnay as q
from tables import exact, random_table, seeds, sizes

SOLVERS = (q.LU(), q.BiCGStab(), q.GMRES(), q.Forward(), q.Anderson(), q.Newton())
solvers = st.sampled_from(SOLVERS)


def technology(seed, n):
    """Return A and d of a random table."""
    Z, d = random_table(seed, n)
    x = Z.sum(axis=1) + d
    return jnp.asarray(Z / np.where(x > 0, x, 1)), jnp.asarray(d)


@eqx.filter_jit
def output(A, d, solver):
    """Solve the quantity model; compiled once per size and solver."""
    return q.solve(q.Leontief(A), d, solver=solver).value


@eqx.filter_jit
def reverse(A, d, solver):
    return jax.jacrev(lambda A: output(A, d, solver))(A)


@eqx.filter_jit
def forward(A, d, solver):
    return jax.jacfwd(lambda A: output(A, d, solver))(A)


@eqx.filter_jit
def derivatives(A, d, w, direction, solver):
    """Return the gradient of `w' x` to A, and its derivative along a direction in forward mode."""

    def fn(A):
        return w @ output(A, d, solver)

    return jax.grad(fn)(A), jax.jvp(fn, (A,), (direction,))[1]


def inverse(A):
    return np.linalg.inv(np.eye(len(A)) - np.asarray(A))


@settings(max_examples=40)
@given(seeds, sizes, solvers)
def test_the_solution_solves_and_its_bound_holds(seed, n, solver):
    A, d = technology(seed, n)
    s = q.solve(q.Leontief(A), d, solver=solver)
    truth = exact(np.asarray(A), np.asarray(d))
    largest = max(abs(v) for v in truth)
    error = max(abs(Fraction(float(v)) - t) for v, t in zip(s.value, truth, strict=True)) / largest
    assert s.residual <= 1e-12
    # The bound is relative to the computed maximum, the error to the true one.
    assert error <= Fraction(float(s.error)) * (1 + Fraction(1, 1000))
    assert s.error <= 1e-6


@settings(max_examples=8)
@given(seeds, st.sampled_from([q.LU(), q.Anderson()]))
def test_the_derivative_to_a_coefficient_is_the_closed_form(seed, solver):
    """`dx_i / dA_jk = L_ij x_k`."""
    A, d = technology(seed, 5)
    L, x = inverse(A), output(A, d, solver)
    expected = np.einsum("ij,k->ijk", L, x)
    tolerance = 1e-12 if isinstance(solver, q.LU | q.Newton) else 1e-10
    for jacobian in (reverse, forward):
        np.testing.assert_allclose(jacobian(A, d, solver), expected, rtol=0, atol=tolerance * expected.max())


@settings(max_examples=30)
@given(seeds, sizes)
def test_the_gradient_of_a_footprint_is_the_closed_form(seed, n):
    """For F = r' x: `dF / dA_jk = m_j x_k` and `dF / dd = m`."""
    A, d = technology(seed, n)
    r = jnp.asarray(np.random.default_rng(seed).uniform(0, 2, n))
    m, x = q.footprint(A, r), q.solve(q.Leontief(A), d).value
    to_A, to_d = jax.grad(lambda A, d: r @ q.solve(q.Leontief(A), d).value, argnums=(0, 1))(A, d)
    np.testing.assert_allclose(to_A, np.outer(m, x), rtol=1e-12, atol=1e-13 * float(jnp.max(x)))
    np.testing.assert_allclose(to_d, m, rtol=1e-12)
    np.testing.assert_allclose(m, np.asarray(r) @ inverse(A), rtol=1e-12)


@settings(max_examples=24)
@given(seeds, solvers)
def test_derivatives_agree_with_each_other_and_with_finite_differences(seed, solver):
    n, direct = 5, isinstance(solver, q.LU | q.Newton)
    A, d = technology(seed, n)
    rng = np.random.default_rng(seed)
    w, direction = jnp.asarray(rng.normal(size=n)), jnp.asarray(rng.normal(size=(n, n))) * A

    def fn(A):
        return w @ output(A, d, solver)

    gradient, tangent = derivatives(A, d, w, direction, solver)
    # dx_i / dA_jk = L_ij x_k, weighted.
    closed = np.outer(inverse(A).T @ w, output(A, d, solver))
    np.testing.assert_allclose(gradient, closed, rtol=0, atol=(1e-12 if direct else 1e-10) * np.abs(closed).max())
    size = float(jnp.sum(jnp.abs(gradient * direction))) + float(jnp.max(d))
    h = 1e-4
    difference = (
        8 * (fn(A + h * direction) - fn(A - h * direction)) - (fn(A + 2 * h * direction) - fn(A - 2 * h * direction))
    ) / (12 * h)
    assert abs(float(tangent - jnp.vdot(gradient, direction))) <= 1e-10 * size
    assert abs(float(tangent - difference)) <= 1e-8 * size


@settings(max_examples=20)
@given(seeds, solvers)
def test_the_unit_of_money_does_not_matter(seed, solver):
    A, d = technology(seed, 5)
    s = q.solve(q.Leontief(A), d, solver=solver)
    for unit in (2.0**-20, 2.0**20):
        scaled = q.solve(q.Leontief(A), unit * d, solver=solver)
        np.testing.assert_array_equal(scaled.value, unit * s.value)
        assert scaled.iterations == s.iterations
        assert scaled.error == s.error


@settings(max_examples=20)
@given(seeds, sizes)
def test_price_and_quantity_are_dual(seed, n):
    """`v' x = p' d`: total primary cost equals the value of final demand."""
    A, d = technology(seed, n)
    v = jnp.asarray(np.random.default_rng(seed).uniform(0.1, 1, n))
    x, p = q.solve(q.Leontief(A), d).value, q.solve(q.Price(A), v).value
    np.testing.assert_allclose(v @ x, p @ d, rtol=1e-12)


@settings(max_examples=20)
@given(seeds, sizes)
def test_ghosh_returns_the_outputs_of_its_own_table(seed, n):
    """`x' = x' B + v'` with the table's own primary inputs gives the table's outputs."""
    Z, d = random_table(seed, n)
    x = Z.sum(axis=1) + d
    B = Z / np.where(x > 0, x, 1)[:, None]
    np.testing.assert_allclose(q.solve(q.Ghosh(B), x - Z.sum(axis=0)).value, x, rtol=1e-11, atol=1e-13 * x.max())


@settings(max_examples=20)
@given(seeds, sizes)
def test_direct_and_indirect_make_the_total(seed, n):
    A, d = technology(seed, n)
    r = np.random.default_rng(seed).uniform(0, 2, (3, n))
    why = q.explain(q.Leontief(A), d, outcome=r)
    np.testing.assert_allclose(why.direct + why.indirect, why.total, rtol=1e-12)
    np.testing.assert_allclose(why.total.sum(axis=1), q.footprint(A, r) @ d, rtol=1e-12)
    np.testing.assert_allclose(why.direct, r * np.asarray(d), rtol=1e-15)


def test_a_network_solves_like_its_matrix():
    Z, d = random_table(0, 5)
    network = q.Network.from_table(Z, d)
    A = network.links.coefficient
    supplier, customer = np.nonzero(Z)
    firms = q.Network.from_edges(supplier, customer, Z[supplier, customer], d)
    for solver in SOLVERS:
        # Links held as a matrix are solved as one.
        for held in (network, firms) if solver == q.LU() else (firms,):
            np.testing.assert_allclose(
                q.solve(q.Leontief(held), d, solver=solver).value, q.solve(q.Leontief(A), d).value, rtol=1e-11
            )
    for held in (network, firms):
        np.testing.assert_allclose(q.multipliers(held), q.multipliers(A), rtol=1e-11)


@pytest.mark.parametrize("solver", SOLVERS)
def test_many_right_hand_sides_and_vmap_equal_a_loop(solver):
    A, _ = technology(1, 5)
    cases = jnp.asarray(np.random.default_rng(0).uniform(0, 1, (5, 4)))
    loop = jnp.stack([q.solve(q.Leontief(A), c, solver=solver).value for c in cases.T], axis=1)
    together = q.solve(q.Leontief(A), cases, solver=solver)
    mapped = jax.vmap(lambda c: q.solve(q.Leontief(A), c, solver=solver).value, in_axes=1, out_axes=1)(cases)
    np.testing.assert_allclose(together.value, loop, rtol=1e-12)
    np.testing.assert_allclose(mapped, loop, rtol=1e-12)
    assert together.residual.shape == (4,)


@pytest.mark.parametrize("solver", SOLVERS)
def test_jit_equals_eager(solver):
    A, d = technology(2, 5)
    with jax.disable_jit():
        eager = q.solve(q.Leontief(A), d, solver=solver).value
    np.testing.assert_allclose(jax.jit(lambda d: q.solve(q.Leontief(A), d, solver=solver).value)(d), eager, rtol=1e-13)


def test_sectors_without_output_are_handled():
    A = jnp.asarray([[0.2, 0, 0.1], [0, 0, 0], [0.3, 0, 0.4]])
    s = q.solve(q.Leontief(A), [1.0, 0, 2])
    assert s.value[1] == 0
    assert s.error < 1e-12


def test_a_column_sum_above_one_is_legal_where_the_radius_is_below_one():
    A = jnp.asarray([[0.0, 0.0], [1.59, 0.0]])
    s = q.solve(q.Leontief(A), [1.0, 1.0])
    np.testing.assert_allclose(s.value, [1.0, 2.59], rtol=1e-15)
    assert s.error < 1e-12


def test_slightly_negative_coefficients_keep_their_bound():
    A = jnp.asarray([[0.2, -0.01], [0.1, 0.3]])
    s = q.solve(q.Leontief(A), [1.0, 2.0])
    np.testing.assert_allclose(s.value, np.linalg.solve(np.eye(2) - A, [1.0, 2.0]), rtol=1e-14)
    assert s.error < 1e-12


@pytest.mark.parametrize("A", [[[0.0, -3.0], [3.0, 0.0]], [[1.2, 0.1], [-1e-6, 0.1]]])
def test_negative_coefficients_that_prevent_the_proof_are_an_error_or_a_code(A):
    A = jnp.asarray(A)
    for call in (lambda: q.solve(q.Leontief(A), [1.0, 2.0]), lambda: q.multipliers(A)):
        with pytest.raises(q.SolveError, match="cannot be proved productive"):
            call()
    s = q.solve(q.Leontief(A), [1.0, 2.0], throw=False)
    np.testing.assert_allclose(s.value, np.linalg.solve(np.eye(2) - A, [1.0, 2.0]), rtol=1e-14)
    assert np.isinf(s.error)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("A", [[[0.5, 0.6], [0.6, 0.5]], [[1.0, 0.0], [0.0, 0.2]], [[0.0, 2.0], [2.0, 0.0]]])
def test_an_unproductive_technology_is_an_error_or_a_code(A, solver):
    A = jnp.asarray(A)
    # Where I - A is singular, rounding decides whether an iteration ends far away or not at all.
    singular = np.linalg.matrix_rank(np.eye(2) - A) < 2
    said = "not productive|there is no equilibrium" if singular else "not productive"
    with pytest.raises(q.SolveError, match=said):
        q.solve(q.Leontief(A), [1.0, 2.0], solver=solver)
    s = q.solve(q.Leontief(A), [1.0, 2.0], solver=solver, throw=False)
    assert s.result != q.equilibrium.RESULTS.successful
    assert np.isinf(s.error)
    with pytest.raises(Exception, match=said):
        eqx.filter_jit(lambda A: q.solve(q.Leontief(A), [1.0, 2.0], solver=solver).value)(A).block_until_ready()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("A", "d"),
    [
        (np.diag([1.5, 0, 0]), [0.1, 0, 0]),
        (np.diag([0.5, 1.0]), [1.0, 0]),
        (np.full((2, 2), 0.5), [1.0, -1.0]),
    ],
)
def test_a_demand_that_hides_the_unproductive_part_does_not_make_a_success(A, d, solver):
    """The solver itself finds a solution here; only the proof of productivity tells that there is no economy behind it."""
    with pytest.raises(q.SolveError):
        q.solve(q.Leontief(A), d, solver=solver)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
def test_single_precision_solves_at_any_scale(solver, unit):
    A, d = technology(3, 5)
    single = q.solve(q.Leontief(A.astype(jnp.float32)), np.float32(unit) * np.asarray(d, np.float32), solver=solver)
    assert single.value.dtype == jnp.float32
    np.testing.assert_allclose(single.value / np.float32(unit), q.solve(q.Leontief(A), d).value, rtol=2e-5)
    assert q.multipliers(A.astype(jnp.float32)).dtype == jnp.float32


def test_mixed_precision_takes_the_higher_one():
    A, d = technology(3, 5)
    assert q.solve(q.Leontief(A.astype(jnp.float32)), np.asarray(d)).value.dtype == jnp.float64
    assert q.solve(q.Leontief(A), np.asarray(d, np.float32)).value.dtype == jnp.float64


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: q.Leontief(np.ones((2, 3))), r"A has shape \(2, 3\); give a square matrix"),
        (lambda: q.Leontief([[np.nan, 0], [0, 0]]), r"A has 1 entries that are not finite; the first is at \(0, 0\)"),
        (lambda: q.solve(np.eye(2), [1.0, 2]), "system is of type ndarray"),
        (lambda: q.solve(q.Leontief(np.eye(2) / 2), [1.0]), "the system has 2 accounts"),
        (lambda: q.solve(q.Leontief(np.eye(2) / 2), [1.0, np.inf]), "not finite"),
        (lambda: q.explain(q.Price(np.eye(2) / 2), [1.0, 2], outcome=[1.0, 1]), r"explain takes Leontief\(A\)"),
        (lambda: q.explain(q.Leontief(np.eye(2) / 2), [1.0, 2], outcome=[1.0]), "outcome has shape"),
        (lambda: q.footprint(np.eye(2) / 2, 1.0), "intensity has shape"),
        (lambda: q.Leontief(np.zeros((0, 0))), r"shape \(0, 0\); give a square matrix"),
        (lambda: q.Leontief(1j * np.eye(2)), "A is complex; give real numbers"),
        (lambda: q.Leontief([["a", "b"], ["c", "d"]]), "A holds <U1, not numbers"),
        (lambda: q.Leontief([[1.0], [1.0, 2]]), "A is not an array of numbers"),
        (lambda: q.Ghosh(q.Network.from_table([[0.0]], [1.0])), "Ghosh takes the matrix"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, message):
    with pytest.raises(q.InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
