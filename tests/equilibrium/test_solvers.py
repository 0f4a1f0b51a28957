"""What every solver promises: no unit, whatever the spectral radius; the same answer; and nothing returned unsolved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q

SOLVERS = (q.LU(), q.BiCGStab(), q.GMRES(), q.Forward(max_steps=100_000), q.Anderson(), q.Newton())
N = 12


def technology(radius, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.lognormal(0, 1, (N, N))
    return jnp.asarray(A * radius / np.max(np.abs(np.linalg.eigvals(A)))), jnp.asarray(rng.lognormal(0, 1, N))


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
def test_the_unit_of_money_changes_neither_iterations_nor_the_relative_answer(solver):
    """Exactly so for units that are powers of two (their products have no rounding), to rounding for powers of ten."""
    for radius in (0.5, 0.9, 0.99, 0.999):
        A, d = technology(radius)
        base = q.solve(q.Leontief(A), d, solver=solver)
        for unit in (2.0**-20, 2.0**20):
            scaled = q.solve(q.Leontief(A), unit * d, solver=solver)
            np.testing.assert_array_equal(scaled.value, unit * base.value)
            assert scaled.iterations == base.iterations
        for unit in (1e-6, 1e6):
            scaled = q.solve(q.Leontief(A), unit * d, solver=solver)
            apart = np.max(np.abs(scaled.value / unit - base.value)) / np.max(base.value)
            assert apart <= float(scaled.error + base.error) + 1e-15
            # The residual ends on a threshold within its own rounding: forward iteration may need a step more in a thousand.
            assert abs(int(scaled.iterations) - int(base.iterations)) <= int(base.iterations) / 1000


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
def test_all_solvers_agree_within_their_bounds(solver):
    for radius in (0.5, 0.999):
        A, d = technology(radius)
        s, direct = (q.solve(q.Leontief(A), d, solver=each) for each in (solver, q.LU()))
        assert np.all(np.abs(s.value - direct.value) <= s.radius + direct.radius)
        assert s.residual <= 1e-12


def test_a_table_above_the_crossover_solves_by_products_and_by_factors():
    rng = np.random.default_rng(1)
    A = rng.lognormal(0, 1, (300, 300))
    A *= 0.7 / A.sum(0).max()
    d = rng.lognormal(0, 1, (300, 2))
    system = q.Leontief(A)
    one, both = q.solve(system, d[:, 0]), q.solve(system, d)
    assert one.iterations > 0
    np.testing.assert_allclose(one.value, np.linalg.solve(np.eye(300) - A, d[:, 0]), rtol=1e-12)
    np.testing.assert_allclose(both.value, np.linalg.solve(np.eye(300) - A, d), rtol=1e-12)


def test_where_bicgstab_stalls_the_default_goes_on_with_factors():
    """A chain in which each account passes all on to the next needs n products: more than BiCGStab is given."""
    n = 600
    A = np.diag(np.ones(n - 1), 1)
    with pytest.raises(q.SolveError, match="did not converge"):
        q.solve(q.Leontief(A), np.ones(n), solver=q.BiCGStab(max_steps=200))
    s = q.solve(q.Leontief(A), np.ones(n))
    np.testing.assert_allclose(s.value, np.arange(n, 0, -1), rtol=1e-13)
    to_d = jax.grad(lambda d: q.solve(q.Leontief(jnp.asarray(A)), d).value[0])(jnp.ones(n))
    np.testing.assert_allclose(to_d, np.ones(n), rtol=1e-13)


@pytest.mark.parametrize("solver", [q.Forward(max_steps=20), q.Anderson(max_steps=3), q.GMRES(max_steps=0)])
def test_too_few_steps_are_an_error_or_a_code(solver):
    A, d = technology(0.99)
    with pytest.raises(q.SolveError, match="did not converge"):
        q.solve(q.Leontief(A), d, solver=solver)
    s = q.solve(q.Leontief(A), d, solver=solver, throw=False)
    assert s.result == q.equilibrium.RESULTS.not_converged


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_demand_too_small_for_its_digits_is_refused(dtype):
    A, _ = technology(0.5)
    with pytest.raises(q.InputError, match="give it in a smaller unit"):
        q.solve(q.Leontief(A.astype(dtype)), np.full(N, np.finfo(dtype).tiny, dtype))
    assert np.all(np.asarray(q.solve(q.Leontief(A), np.zeros(N)).value) == 0)
