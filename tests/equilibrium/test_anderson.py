"""Laws of Anderson acceleration: Krylov equivalence, units, symmetries, transformations, derivatives and safeguards."""

import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pytest
from hypothesis import example, given, settings
from scipy.optimize import brentq
from scipy.sparse.linalg import aslinearoperator, gmres

import quesnay as q
from quesnay.equilibrium.anderson import AndersonAcceleration, largest
from tables import seeds

EPS = float(jnp.finfo(jnp.float64).eps)


def to_tolerance(rtol):
    """Return the solver with a traced tolerance: a number would be compiled in, an array lets one compilation serve all."""
    return eqx.tree_at(lambda s: s.rtol, AndersonAcceleration(rtol=rtol, atol=0.0), jnp.asarray(rtol, float))


DEFAULT = to_tolerance(1e-12)


@eqx.filter_jit
def solve(fn, solver, y0, args=None, max_steps=200):
    """Solve and report, without raising; compiled once for each fn, solver and shape."""
    return optx.fixed_point(fn, solver, y0, args, max_steps=max_steps, throw=False)


@eqx.filter_jit
def points(fn, solver, y0, args, steps):
    """Return the points y_0 ... that the solver visits, (steps, n)."""

    def step(carry, _):
        y, state = carry
        following, state, _ = solver.step(lambda y, a: (fn(y, a), None), y, args, {}, state, frozenset())
        return (following, state), y

    state = solver.init(fn, y0, args, {}, None, None, frozenset())
    return jax.lax.scan(step, (y0, state), None, length=steps)[1]


def succeeded(found):
    return bool(found.result == optx.RESULTS.successful)


def affine(y, args):
    return args[0] @ y + args[1]


def technology(seed, n=12, *, radius=0.6, dtype: type = np.float64):
    """Return a positive matrix of this spectral radius (Perron: its largest eigenvalue) and a positive demand."""
    rng = np.random.default_rng(seed)
    A = rng.uniform(0, 1, (n, n))
    A *= radius / np.abs(np.linalg.eigvals(A)).max()
    return jnp.asarray(A, dtype), jnp.asarray(rng.uniform(0.5, 2, n), dtype)


def equilibrium(A, d):
    """Return `(I - A)^-1 d` by LAPACK."""
    return np.linalg.solve(np.eye(len(d)) - np.asarray(A, float), np.asarray(d, float))


def distance(found, truth):
    return np.max(np.abs(np.asarray(found) - truth)) / np.max(np.abs(truth))


@pytest.mark.parametrize("seed", range(3))
def test_on_linear_maps_a_point_is_the_map_of_the_gmres_iterate(seed):
    # Walker and Ni (2011), theorem 2.2, with scipy's GMRES, which is built on Givens rotations of the Arnoldi basis.
    n, steps = 12, 8
    A = np.random.default_rng(seed).normal(size=(n, n)) / (2 * np.sqrt(n))
    d = np.random.default_rng(seed + 100).normal(size=n)
    visited = points(affine, AndersonAcceleration(1e-12, 0.0, memory=n, ridge=0.0), jnp.zeros(n), (A, d), steps)
    operator = aslinearoperator(np.eye(n) - A)
    for k in range(1, steps - 1):
        krylov, _ = gmres(operator, d, rtol=0, atol=0, restart=k, maxiter=1)
        np.testing.assert_allclose(visited[k + 1], A @ krylov + d, rtol=0, atol=1e-11 * np.abs(d).max())


@settings(max_examples=30)
@given(seeds, st.sampled_from([0.5, 0.9, 0.99, 0.999]), st.sampled_from([1e-6, 1e-3, 7.0, 1e6]))
def test_the_currency_changes_nothing_but_the_unit(seed, radius, unit):
    A, d = technology(seed, radius=radius)
    one, other = solve(affine, DEFAULT, jnp.zeros(12), (A, d)), solve(affine, DEFAULT, jnp.zeros(12), (A, unit * d))
    assert succeeded(one)
    assert succeeded(other)
    assert one.stats["num_steps"] == other.stats["num_steps"]
    # A residual within 1e-12 leaves an error within 1e-12 |(I - A)^-1| in the largest norm.
    bound = 1e-12 * np.abs(np.linalg.inv(np.eye(12) - np.asarray(A))).sum(axis=1).max()
    assert distance(other.value / unit, np.asarray(one.value)) <= 2 * bound
    assert distance(one.value, equilibrium(A, d)) <= bound + 100 * EPS / (1 - radius)


@settings(max_examples=15)
@given(seeds, st.integers(-40, 40))
def test_a_unit_that_is_a_power_of_two_changes_no_digit(seed, power):
    A, d = technology(seed, radius=0.9)
    one, other = (solve(affine, DEFAULT, jnp.zeros(12), (A, unit * d)) for unit in (1.0, 2.0**power))
    np.testing.assert_array_equal(other.value, 2.0**power * one.value)


def prices_and_quantities(y, args):
    """Prices p = A'p + v, and outputs x = A x + d(p) with demand that falls with the price, in units of their own."""
    (A, v, d), (money, tons) = args
    p, x = y["price"] / money, y["output"] / tons
    return {"price": money * (A.T @ p + v), "output": tons * (A @ x + d / p)}


@settings(max_examples=15)
@given(seeds, st.integers(-30, 30), st.integers(-30, 30))
def test_every_leaf_has_a_unit_of_its_own(seed, money, tons):
    A, d = technology(seed, radius=0.8)
    model = (A, jnp.ones(12), d)
    start = {"price": jnp.ones(12), "output": jnp.ones(12)}
    units = {"price": jnp.asarray(2.0**money, float), "output": jnp.asarray(2.0**tons, float)}
    scaled = jax.tree.map(jnp.multiply, units, start)
    one = solve(prices_and_quantities, DEFAULT, start, (model, (jnp.ones(()), jnp.ones(()))))
    other = solve(prices_and_quantities, DEFAULT, scaled, (model, (units["price"], units["output"])))
    assert succeeded(one)
    for name, unit in units.items():
        np.testing.assert_array_equal(other.value[name], unit * one.value[name])
    p = equilibrium(A.T, np.ones(12))
    assert distance(one.value["output"], equilibrium(A, np.asarray(d) / p)) < 1e-10


@settings(max_examples=10)
@given(seeds)
def test_the_order_of_the_accounts_does_not_matter(seed):
    A, d = technology(seed, radius=0.9)
    order = np.random.default_rng(seed).permutation(12)
    one = solve(affine, DEFAULT, jnp.zeros(12), (A, d))
    other = solve(affine, DEFAULT, jnp.zeros(12), (A[np.ix_(order, order)], d[order]))
    assert one.stats["num_steps"] == other.stats["num_steps"]
    assert distance(other.value, np.asarray(one.value)[order]) < 1e-11


@settings(max_examples=10)
@given(seeds)
def test_a_shift_of_the_origin_shifts_the_points(seed):
    A, d = technology(seed)
    shift = jnp.asarray(np.random.default_rng(seed).uniform(-1, 1, 12))
    one = points(affine, DEFAULT, jnp.zeros(12), (A, d), 8)
    other = points(affine, DEFAULT, shift, (A, d + shift - A @ shift), 8)
    assert distance(other - shift, np.asarray(one)) < 1e-9


@pytest.mark.parametrize("mixing", [1.0, 0.5])
def test_without_memory_it_is_the_plain_iteration(mixing):
    A, d = technology(0)
    visited = points(affine, AndersonAcceleration(1e-12, 0.0, memory=0, mixing=mixing), jnp.zeros(12), (A, d), 20)
    y = np.zeros(12)
    for point in visited:
        np.testing.assert_allclose(point, y, rtol=1e-14)
        y = (1 - mixing) * y + mixing * (np.asarray(A) @ y + np.asarray(d))


def test_without_memory_it_stops_one_step_before_optimistix_gives_the_next_point():
    # Both stop after the same number of steps; FixedPointIteration returns fn(y), this the y that was measured.
    A, d = technology(1)
    theirs = solve(affine, optx.FixedPointIteration(rtol=1e-9, atol=0.0), jnp.zeros(12), (A, d))
    mine = solve(affine, AndersonAcceleration(rtol=1e-9, atol=0.0, memory=0), jnp.zeros(12), (A, d))
    assert theirs.stats["num_steps"] == mine.stats["num_steps"]
    np.testing.assert_allclose(affine(mine.value, (A, d)), theirs.value, rtol=1e-14)


@settings(max_examples=15)
@given(seeds, st.sampled_from([0.5, 0.99]))
def test_what_is_returned_has_the_residual_that_was_asked_for(seed, radius):
    A, d = technology(seed, radius=radius)
    found = solve(affine, DEFAULT, jnp.zeros(12), (A, d))
    f = affine(found.value, (A, d))
    assert succeeded(found)
    assert np.all(np.abs(f - found.value) <= 1e-12 * f + 20 * EPS * f)  # the sum may be rounded in another order


def test_a_tree_solves_as_its_leaves():
    # Two copies of one system, one of them a matrix: the same coefficients fit both.
    A, d = technology(2)
    tree = solve(two_copies, DEFAULT, (jnp.zeros(12), {"copy": jnp.zeros((3, 4))}), (A, d))
    flat = solve(affine, DEFAULT, jnp.zeros(12), (A, d))
    assert tree.stats["num_steps"] == flat.stats["num_steps"]
    for leaf in jax.tree.leaves(tree.value):
        np.testing.assert_allclose(leaf.reshape(12), flat.value, rtol=1e-11)


def two_copies(y, args):
    one, other = y
    return affine(one, args), {"copy": affine(other["copy"].reshape(12), args).reshape(3, 4)}


def test_a_batch_is_solved_as_one_by_one():
    cases = [technology(seed, radius=radius) for seed, radius in enumerate((0.3, 0.6, 0.9, 0.99))]
    A, d = (jnp.stack(parts) for parts in zip(*cases, strict=True))
    batch = jax.vmap(lambda A, d: solve(affine, DEFAULT, jnp.zeros(12), (A, d)))(A, d)
    for k, case in enumerate(cases):
        single = solve(affine, DEFAULT, jnp.zeros(12), case)
        assert batch.stats["num_steps"][k] == single.stats["num_steps"]
        np.testing.assert_allclose(batch.value[k], single.value, rtol=1e-10)


def test_the_same_points_with_and_without_compilation():
    A, d = technology(3)
    y, visited = jnp.zeros(12), []
    state = DEFAULT.init(affine, y, None, {}, None, None, frozenset())
    for _ in range(4):
        visited.append(y)
        y, state, _ = DEFAULT.step(lambda y, a: (affine(y, a), None), y, (A, d), {}, state, frozenset())
    np.testing.assert_allclose(jnp.stack(visited), points(affine, DEFAULT, jnp.zeros(12), (A, d), 8)[:4], rtol=1e-12)


@pytest.mark.parametrize("radius", [0.5, 0.9, 0.99])
def test_single_precision_converges_to_its_rounding(radius):
    A, d = technology(4, radius=radius, dtype=np.float32)
    solver = AndersonAcceleration(rtol=4e-7, atol=0.0)  # some three roundings of float32
    found = solve(affine, solver, jnp.zeros(12, np.float32), (A, d))
    assert succeeded(found)
    assert found.value.dtype == np.float32
    assert distance(found.value, equilibrium(A, d)) < 2 * 4e-7 / (1 - radius)


@settings(max_examples=10)
@given(seeds, st.sampled_from([0.5, 0.95]))
def test_derivatives_are_those_of_the_leontief_inverse(seed, radius):
    # dx = L (dA x + dd), so the gradient of g'x is L'g to d and (L'g) x' to A.
    A, d = technology(seed, radius=radius)
    rng = np.random.default_rng(seed + 1)
    g, dA, dd = rng.normal(size=12), rng.normal(size=(12, 12)), rng.normal(size=12)
    to_A, to_d, along = derivatives(A, d, g, dA, dd)
    x, adjoint = equilibrium(A, d), equilibrium(A.T, g)
    assert distance(to_d, adjoint) < 1e-9
    assert distance(to_A, np.outer(adjoint, x)) < 1e-9
    assert distance(along, equilibrium(A, dA @ x + dd)) < 1e-9


@eqx.filter_jit
def derivatives(A, d, g, dA, dd):
    def x(A, d):
        return optx.fixed_point(affine, DEFAULT, jnp.zeros(12), (A, d)).value

    gradient = jax.grad(lambda A, d: g @ x(A, d), argnums=(0, 1))(A, d)
    return *gradient, jax.jvp(x, (A, d), (dA, dd))[1]


MAPS = {
    "kepler": lambda y, a: a[0] + a[1] * jnp.sin(y),
    # Not a number at y <= 1, where the plain step from 1.2 leads; fixed points near 1.9 and 9.
    "logarithm": lambda y, a: 2 + 3 * jnp.log(y - 1.0),
    "root": lambda y, a: jnp.sqrt(y),
    "parabola": lambda y, a: y**2 + 1,
    "shift": lambda y, a: y + 1,
    "exponential": lambda y, a: jnp.exp(y),
    "nan": lambda y, a: jnp.full_like(y, jnp.nan),
}


def one_of_the_maps(y, args):
    return jax.lax.switch(args[0], list(MAPS.values()), y, args[1])


def solve_map(name, y0, *parameters):
    """Solve one of the maps of a vector of 2, which are compiled together."""
    a = tuple(jnp.broadcast_to(jnp.asarray(p, float), (2,)) for p in (parameters or (0.0, 0.0)))
    return solve(one_of_the_maps, DEFAULT, jnp.asarray(y0), (jnp.asarray(list(MAPS).index(name)), a))


@settings(max_examples=20)
@given(st.floats(0.0, 0.99), st.tuples(st.floats(0.05, 3.1), st.floats(0.05, 3.1)))
@example(0.99, (0.05, 0.06))
def test_keplers_equation(eccentricity, anomalies):
    M = np.array(anomalies)
    found = solve_map("kepler", M, M, eccentricity)
    truth = np.array([brentq(lambda E, m=m: E - m - eccentricity * np.sin(E), 0, 5, xtol=1e-15) for m in M])
    assert succeeded(found)
    bound = 2e-12 * truth / (1 - eccentricity * np.cos(truth))
    assert np.all(np.abs(np.asarray(found.value) - truth) <= bound)


@settings(max_examples=10)
@given(seeds, st.sampled_from([0.5, 0.8, 2.0]))
def test_ces_prices_are_those_of_the_linear_system_in_their_powers(seed, elasticity):
    # p_j^(1-s) = sum_i a_ij p_i^(1-s) + v_j is linear in p^(1-s).
    A, v = technology(seed, radius=0.7)
    power = 1 - elasticity
    found = solve(ces, DEFAULT, jnp.ones(12), (A, v, jnp.asarray(power, float)))
    assert succeeded(found)
    np.testing.assert_allclose(found.value, equilibrium(A.T, v) ** (1 / power), rtol=1e-10)


def ces(p, args):
    A, v, power = args
    return (A.T @ p**power + v) ** (1 / power)


def test_it_converges_where_the_plain_iteration_diverges():
    A = np.random.default_rng(0).normal(size=(12, 12))
    A *= 2 / np.abs(np.linalg.eigvals(A)).max()
    found, plain = (
        solve(affine, solver, jnp.zeros(12), (jnp.asarray(A), jnp.ones(12)))
        for solver in (AndersonAcceleration(1e-12, 0.0, memory=12), optx.FixedPointIteration(1e-12, 0.0))
    )
    assert succeeded(found)
    assert not succeeded(plain)
    assert distance(found.value, equilibrium(A, np.ones(12))) < 1e-9


def test_it_keeps_the_best_point_at_the_floor_of_rounding():
    A, d = technology(5, radius=0.9)
    found = solve(affine, to_tolerance(1e-30), jnp.zeros(12), (A, d))
    assert not succeeded(found) or np.array_equal(affine(found.value, (A, d)), found.value)
    assert distance(affine(found.value, (A, d)), np.asarray(found.value)) <= 4 * EPS


def test_it_returns_from_where_the_map_is_not_a_number():
    found = solve_map("logarithm", [1.2, 5.0])
    assert succeeded(found)
    assert int(found.stats["num_rejected"]) > 0
    for y in np.asarray(found.value):
        ends = (1.01, 4.0) if y < 4 else (4.0, 20.0)  # y - 2 - 3 log(y - 1) falls up to 4 and rises from there
        assert y == pytest.approx(brentq(lambda v: v - 2 - 3 * np.log(v - 1), *ends, xtol=1e-14), rel=1e-10)


def test_an_extrapolation_gone_wrong_is_rejected():
    # Kepler's equation near the parabola: secants of a cubic lead far away.
    found = solve_map("kepler", [0.1, 0.1], np.array([0.5, 0.5]), 0.99)
    assert succeeded(found)
    assert int(found.stats["num_rejected"]) > 0


@pytest.mark.parametrize("name", ["parabola", "shift", "exponential", "nan"])
def test_without_a_fixed_point_there_is_no_success(name):
    found = solve_map(name, [0.1, 0.2])
    assert not succeeded(found)
    assert np.all(np.isfinite(found.value))


def test_a_start_that_is_not_finite_fails_at_once():
    found = solve_map("root", [-1.0, 4.0])
    assert found.result == optx.RESULTS.nonfinite
    assert int(found.stats["num_steps"]) <= 2


def test_accounts_that_stay_at_zero_are_in_equilibrium():
    A, d = technology(6)
    A, d = A.at[3].set(0.0), d.at[3].set(0.0)
    found = solve(affine, DEFAULT, jnp.zeros(12), (A, d))
    assert succeeded(found)
    assert float(found.value[3]) == 0


def test_a_magnitude_of_the_leaf_ignores_the_digits_of_small_entries():
    # x_0 = 0 is a difference of large numbers: no digit of it is known, but all are small beside x_1.
    rotation = jnp.asarray([[0.3, -0.1], [0.2, 0.4]])
    x = np.array([0.0, 1e3])
    d = jnp.asarray(x - np.asarray(rotation) @ x)
    found = solve(affine, AndersonAcceleration(1e-12, 0.0, magnitude=largest), jnp.asarray([1.0, 1.0]), (rotation, d))
    assert succeeded(found)
    assert distance(found.value, x) < 1e-11


@pytest.mark.parametrize("setting", [{"memory": -1}, {"ridge": -1e-8}, {"growth": 1.0}])
def test_settings_without_a_meaning_are_refused(setting):
    with pytest.raises(q.InputError, match=next(iter(setting))):
        AndersonAcceleration(1e-12, 0.0, **setting)


def test_complex_values_are_refused():
    with pytest.raises(q.InputError, match="complex"):
        AndersonAcceleration(1e-12, 0.0).init(affine, jnp.zeros(2, complex), None, {}, None, None, frozenset())


def test_the_auxiliary_output_is_that_of_the_point_returned():
    A, d = technology(7)
    found = optx.fixed_point(lambda x, a: (affine(x, a), x), DEFAULT, jnp.zeros(12), (A, d), has_aux=True)
    np.testing.assert_array_equal(found.aux, found.value)
