"""The temperature of collapse: closed forms, Brent's method on NumPy's eigenvalues, derivatives of the Perron root."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

import quesnay as q
from quesnay import climate
from quesnay.climate.perron import perron, spectral_radius
from tables import seeds

from .curves import REFERENCE, SIGMOID, Falling, Kinked, N, damaged, radius, sigmoid, table


@jax.jit
def temperature(A, gamma, steepness=2.5, threshold=2.0, reference=REFERENCE):
    curve = climate.Sigmoid(steepness=steepness, threshold=threshold)
    return climate.collapse(A, curve, gamma=gamma, reference=reference).temperature


def closed_form(rho, gamma, steepness, threshold, reference):
    D = ((1 + gamma * sigmoid(reference, steepness, threshold)) / rho - 1) / gamma
    return threshold + np.log(D / (1 - D)) / steepness if D < 1 else np.inf


@settings(max_examples=25)
@given(seeds, st.floats(0.05, 8), st.floats(0.3, 6), st.floats(1, 4), st.floats(0, 2))
def test_with_one_gamma_the_closed_form_holds(seed, gamma, steepness, threshold, reference):
    A = damaged(seed)[0]
    expected = closed_form(radius(A), gamma, steepness, threshold, reference)
    np.testing.assert_allclose(temperature(A, gamma, steepness, threshold, reference), expected, rtol=1e-10)


def brent(rho):
    """Return the lowest root of `rho(T) = 1` above the reference, or inf."""
    grid = np.linspace(REFERENCE, 30, 300)
    above = np.flatnonzero([rho(T) >= 1 for T in grid])
    if not above.size:
        return np.inf
    return scipy.optimize.brentq(lambda T: rho(T) - 1, grid[above[0] - 1], grid[above[0]], xtol=1e-14, rtol=1e-14)


@settings(max_examples=20)
@given(seeds)
def test_with_a_gamma_for_each_account_it_is_the_root_that_brent_finds(seed):
    A, _, _, gamma = damaged(seed)
    gamma = 6 * gamma * (gamma > 0.2)
    np.testing.assert_allclose(temperature(A, gamma), brent(lambda T: radius(table(A, gamma, T))), rtol=1e-10)


productive = jax.jit(
    lambda A, gamma: (
        climate.collapse(A, SIGMOID, vulnerability=climate.Productivity(gamma), reference=REFERENCE).temperature
    )
)


@settings(max_examples=20)
@given(seeds)
def test_with_lost_productivity_it_is_the_root_that_brent_finds(seed):
    A, _, _, gamma = damaged(seed)

    def rho(T):
        left = 1 - gamma * sigmoid(T)
        return radius(A * (1 - gamma * sigmoid(REFERENCE)) / left) if np.all(left > 0) else np.inf

    np.testing.assert_allclose(productive(A, gamma), brent(rho), rtol=1e-10)


@jax.jit
def own(A, gamma, thresholds):
    curves = climate.ByAccount([climate.Sigmoid(steepness=2.5, threshold=at) for at in thresholds])
    return climate.collapse(A, curves, gamma=gamma, reference=REFERENCE)


@settings(max_examples=15)
@given(seeds)
def test_with_damage_functions_of_their_own_it_is_the_root_that_brent_finds(seed):
    A, _, labour, gamma = damaged(seed)
    gamma, at = 6 * gamma, 2 + 3 * labour

    def rho(T):
        return radius(A * (1 + gamma * sigmoid(T, 2.5, at)) / (1 + gamma * sigmoid(REFERENCE, 2.5, at)))

    found = own(A, gamma, at)
    np.testing.assert_allclose(found.temperature, brent(rho), rtol=1e-10)
    assert found.damage is None


def test_a_gain_that_saves_all_inputs_of_an_account_is_no_collapse():
    """From 2 degrees on account 0 needs no inputs, so that `rho = 0.3 (1 + 0.2 T)`, which is 1 at `(1/0.3 - 1) / 0.2`."""
    line = {"valid": (0.0, 10.0), "source": "a test", "year": None}
    curves = climate.ByAccount([climate.Polynomial([-0.5], **line), climate.Polynomial([0.2], **line)])
    found = climate.collapse([[0.2, 0.1], [0.1, 0.3]], curves)
    np.testing.assert_allclose(found.temperature, (1 / 0.3 - 1) / 0.2, rtol=1e-14)
    np.testing.assert_allclose(found.shares, [0, 1], atol=1e-15)


gradient = jax.jit(jax.grad(temperature, argnums=(0, 1, 2, 3, 4)))


def test_derivatives_by_every_argument_are_those_of_central_differences():
    A, _, _, gamma = damaged(3)
    A, gamma = A + 0.02, 4 + gamma
    arguments = [A, gamma, 2.5, 2.0, 1.1]
    slopes = gradient(*arguments)
    rng = np.random.default_rng(0)
    for k, value in enumerate(arguments):
        way = rng.uniform(0.5, 1, np.shape(value)) * np.asarray(value)
        h = 1e-5
        ends = [temperature(*arguments[:k], value + s * h * way, *arguments[k + 1 :]) for s in (1, -1)]
        np.testing.assert_allclose(np.sum(slopes[k] * way), (ends[0] - ends[1]) / (2 * h), rtol=1e-7)


def test_second_derivatives_are_those_of_the_closed_form():
    A = damaged(3)[0] + 0.02
    rho = radius(A)

    def formula(gamma):
        D = ((1 + gamma * sigmoid(REFERENCE)) / rho - 1) / gamma
        return 2.0 + jnp.log(D / (1 - D)) / 2.5

    got = jax.jit(jax.grad(jax.grad(lambda gamma: temperature(A, gamma))))(4.0)
    np.testing.assert_allclose(got, jax.grad(jax.grad(formula))(4.0), rtol=1e-9)


def test_where_there_is_no_collapse_the_derivative_is_zero():
    A = damaged(3)[0]
    assert temperature(A, 0.01) == np.inf
    assert all(np.all(np.asarray(slope) == 0) for slope in gradient(A, 0.01, 2.5, 2.0, 1.1))


HALF = 0.5 * np.eye(N)


@pytest.mark.parametrize("A", [0.5 * np.eye(N, k=1), 0 * HALF], ids=["a chain", "no inputs"])
def test_where_nothing_circulates_there_is_no_collapse(A):
    found = climate.collapse(A, SIGMOID, gamma=100.0)
    assert found.temperature == np.inf
    assert found.damage == np.inf


def test_damage_that_saturates_below_never_gets_there():
    found = climate.collapse(HALF, SIGMOID, gamma=0.5)
    assert found.temperature == np.inf
    assert found.damage > 1


def test_damage_that_falls_is_there_at_the_lowest_temperature_or_never():
    assert climate.collapse(HALF, Falling(), gamma=3.0, reference=0.0).temperature == np.inf
    assert climate.collapse(HALF, Falling(), gamma=3.0).temperature == -np.inf


def test_a_curve_with_kinks_collapses_where_it_reaches_the_critical_damage():
    """rho = 0.5 and gamma = 2 make D* = (1/0.5 - 1) / 2 = 0.5, which 0.2 (T - 2) + 0.2 (T - 3) has at 3.75."""
    found = climate.collapse(HALF, Kinked(), gamma=2.0)
    np.testing.assert_allclose([found.temperature, found.damage], [3.75, 0.5], rtol=1e-14)
    assert not found.outside
    beyond = climate.collapse(HALF, Kinked(), gamma=1.0)
    np.testing.assert_allclose(beyond.temperature, 5.0, rtol=1e-14)
    assert beyond.outside
    assert "outside" in repr(beyond)


def test_a_peak_of_a_table_is_seen_however_narrow():
    """With `rho = 0.5` and gamma 2, D* = 0.5 is reached half a hundredth of a degree before the peak of 1 at 2.01."""
    peak = climate.Tabulated([0.0, 2.0, 2.01, 2.02, 4.0], [0.0, 0.0, 1.0, 0.0, 0.0], source="a test", year=None)
    found = climate.collapse(HALF, peak, gamma=2.0)
    np.testing.assert_allclose(found.temperature, 2.005, rtol=1e-12)


@settings(max_examples=20)
@given(seeds)
def test_the_shares_are_the_elasticities_of_the_spectral_radius(seed):
    A = damaged(seed)[0] + 0.01
    at = climate.collapse(A, SIGMOID, gamma=2.0, reference=REFERENCE)
    values, left, right = scipy.linalg.eig(A, left=True)
    k = np.argmax(values.real)
    expected = (left[:, k] * right[:, k]).real
    np.testing.assert_allclose(at.shares, expected / expected.sum(), rtol=1e-8, atol=1e-10)


radii = jax.jit(spectral_radius)
slope_of_radius = jax.jit(jax.grad(spectral_radius))


@settings(max_examples=40)
@given(seeds, st.sampled_from(["dense", "blocks", "periodic", "chain", "twins"]))
def test_the_spectral_radius_is_the_largest_eigenvalue(seed, kind):
    rng = np.random.default_rng(seed)
    A = rng.uniform(size=(6, 6)) * (rng.uniform(size=(6, 6)) < 0.5)
    if kind == "blocks":
        A[3:, :3] = 0
    if kind == "periodic":
        A = np.roll(np.diag(rng.uniform(0.1, 1, 6)), 1, axis=0)
    if kind == "chain":
        A = np.triu(A, 1)
    if kind == "twins":
        A = np.kron([[1, 1], [0, 1]], rng.uniform(size=(3, 3)))
    expected = np.abs(np.linalg.eigvals(A[:3, :3] if kind == "twins" else A)).max()
    expected = 0.0 if kind == "chain" else expected
    np.testing.assert_allclose(radii(A), expected, rtol=1e-12, atol=1e-14)
    unit = 10.0 ** rng.integers(-8, 9, 6)
    np.testing.assert_allclose(radii(unit[:, None] * A / unit), expected, rtol=1e-12, atol=1e-14)
    assert np.isfinite(slope_of_radius(A)).all()


@settings(max_examples=20)
@given(seeds)
def test_the_derivative_of_the_radius_is_that_of_the_perron_vectors(seed):
    A = np.random.default_rng(seed).uniform(0.01, 1, (6, 6))
    values, left, right = scipy.linalg.eig(A, left=True)
    k = np.argmax(values.real)
    u, v = left[:, k].real, right[:, k].real
    np.testing.assert_allclose(slope_of_radius(A), np.outer(u, v) / (u @ v), rtol=1e-10)


def test_second_derivatives_of_the_radius_and_those_of_its_vectors_are_those_of_differences():
    rng = np.random.default_rng(0)
    A, B = rng.uniform(0.1, 1, (2, 6, 6))
    h = 1e-6
    along = jax.jit(lambda A: jax.jvp(slope_of_radius, (A,), (B,))[1])
    differences = (slope_of_radius(A + h * B) - slope_of_radius(A - h * B)) / (2 * h)
    np.testing.assert_allclose(along(A), differences, rtol=1e-7, atol=1e-9)
    turned = jax.jit(lambda A: jax.jvp(perron, (A,), (B,))[1])(A)
    for way, ahead, back in zip(turned, perron(A + h * B), perron(A - h * B), strict=True):
        np.testing.assert_allclose(way, (ahead - back) / (2 * h), rtol=1e-7, atol=1e-9)


@settings(max_examples=10)
@given(seeds)
def test_the_collapse_knows_neither_units_nor_the_order_of_accounts(seed):
    A, _, _, gamma = damaged(seed)
    gamma = 5 * gamma
    rng = np.random.default_rng(seed)
    unit, order = 10.0 ** rng.integers(-3, 4, len(A)), rng.permutation(len(A))
    found = temperature(A, gamma)
    np.testing.assert_allclose(temperature(unit[:, None] * A / unit, gamma), found, rtol=1e-10)
    np.testing.assert_allclose(temperature(A[np.ix_(order, order)], gamma[order]), found, rtol=1e-10)


def test_a_batch_is_a_loop_and_compiled_is_eager():
    A = damaged(3)[0]
    gammas = jnp.linspace(0.5, 6, 4)
    batch = jax.jit(jax.vmap(temperature, in_axes=(None, 0)))(A, gammas)
    loop = [climate.collapse(A, SIGMOID, gamma=gamma, reference=REFERENCE).temperature for gamma in gammas]
    np.testing.assert_allclose(batch, loop, rtol=1e-13)
    np.testing.assert_allclose(batch, [temperature(A, gamma) for gamma in gammas], rtol=1e-13)


def test_another_gamma_from_now_on_leaves_the_technology_without_damage_as_it_was():
    """The table without damage, A / (1 + gamma_before D_ref), collapses under the new gamma counted from zero."""
    A = damaged(3)[0]
    before = climate.InputRequirement(3.0)
    now = climate.collapse(A, SIGMOID, vulnerability=climate.Adapted(before, 2.0), reference=REFERENCE)
    undamaged = climate.collapse(A / (1 + 3 * sigmoid(REFERENCE)), SIGMOID, gamma=2.0)
    np.testing.assert_allclose(now.damage, undamaged.damage, rtol=1e-13)
    np.testing.assert_allclose(now.temperature, undamaged.temperature, rtol=1e-13)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: climate.collapse([[0.5]], SIGMOID, gamma=-1.0),
            q.InputError,
            "gamma has an entry -1; give numbers of",
        ),
        (lambda: climate.collapse([[0.5]], SIGMOID, gamma=[1.0, 2.0]), q.InputError, r"gamma has shape \(2,\)"),
        (lambda: climate.collapse([[1.5]], SIGMOID), q.SolveError, "spectral radius 1.5 at the reference"),
        (lambda: climate.collapse([[-0.5]], SIGMOID), q.InputError, r"negative entry at \(0, 0\)"),
        (lambda: climate.collapse([[0.5]], 2.0), q.InputError, "damage is 2.0; give a damage function"),
        (
            lambda: climate.collapse([[0.5]], SIGMOID, gamma=1.0, vulnerability=climate.Productivity(1.0)),
            q.InputError,
            "gamma and vulnerability are both given",
        ),
        (
            lambda: climate.collapse([[0.5]], SIGMOID, vulnerability=climate.Productivity(20.0), reference=2.0),
            q.InputError,
            "gamma D is 10 at the reference already",
        ),
        (lambda: climate.collapse([[0.5]], SIGMOID, reference=np.nan), q.InputError, "reference is nan"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_curve_that_only_rounds_to_what_it_takes_never_collapses():
    """With `rho = 1/2` and gamma 1 the collapse takes D = 1, which a sigmoid tends to and floating point rounds it to."""
    damage = q.climate.Sigmoid(steepness=2.5, threshold=2.0)
    assert q.climate.collapse([[0.5]], damage, gamma=1.0).temperature == np.inf
    assert q.climate.collapse(np.zeros((2, 2)), damage, vulnerability=q.climate.Productivity(1.0)).temperature == np.inf
