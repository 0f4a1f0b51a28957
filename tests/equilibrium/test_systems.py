"""Any cyclic system: closed forms, derivatives, units leaf by leaf, and several equilibria."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import quesnay as q

SOLVERS = (q.Anderson(), q.Forward(), q.Newton())
named = pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
N = 4


def rebound(state, theta):
    """Prices from costs, demand from prices, output from demand."""
    price = theta["cost"] + theta["A"].T @ state["price"]
    demand = theta["demand"] * price ** -theta["elasticity"]
    return {"price": price, "output": theta["A"] @ state["output"] + demand}


def parameters(unit=1.0):
    rng = np.random.default_rng(0)
    A = rng.uniform(0, 1, (N, N))
    A *= 0.6 / A.sum(0).max()
    demand = unit * rng.uniform(1, 2, N)
    theta = {"A": A, "cost": rng.uniform(0.5, 1, N), "demand": demand, "elasticity": 0.5}
    return {name: jnp.asarray(value) for name, value in theta.items()}


def model(unit=1.0):
    return q.System(rebound, {"price": jnp.ones(N), "output": unit * jnp.ones(N)})


def closed_form(theta):
    """Two linear systems, one after the other: the price does not depend on output."""
    A = np.asarray(theta["A"])
    price = np.linalg.solve(np.eye(N) - A.T, theta["cost"])
    return price, np.linalg.solve(np.eye(N) - A, theta["demand"] * price ** -float(theta["elasticity"]))


@named
def test_a_system_solves_to_its_closed_form_and_is_exactly_differentiated(solver):
    theta = parameters()

    def total(theta):
        return q.solve(model(), theta, solver=solver).value["output"].sum()

    s = q.solve(model(), theta, solver=solver)
    price, output = closed_form(theta)
    np.testing.assert_allclose(s.value["price"], price, rtol=1e-11)
    np.testing.assert_allclose(s.value["output"], output, rtol=1e-11)
    assert s.residual <= 1e-12
    assert np.isinf(s.error)
    # d x / d elasticity = L (-log(p) p^-e d), and d x / d d = L diag(p^-e)
    L = np.linalg.inv(np.eye(N) - np.asarray(theta["A"]))
    share = price ** -float(theta["elasticity"])
    gradient = jax.jit(jax.grad(total))(theta)
    np.testing.assert_allclose(gradient["demand"], L.sum(0) * share, rtol=1e-10)
    slope = L.sum(0) @ (-np.log(price) * share * np.asarray(theta["demand"]))
    np.testing.assert_allclose(gradient["elasticity"], slope, rtol=1e-10)
    one = jax.tree.map(jnp.zeros_like, theta) | {"elasticity": jnp.asarray(1.0)}
    np.testing.assert_allclose(jax.jvp(total, (theta,), (one,))[1], slope, rtol=1e-10)


def test_second_derivatives_of_a_system_are_its_closed_form():
    theta = parameters()
    price, _ = closed_form(theta)
    L = np.linalg.inv(np.eye(N) - np.asarray(theta["A"]))
    expected = L.sum(0) @ (np.log(price) ** 2 * price**-0.5 * np.asarray(theta["demand"]))
    second = jax.hessian(lambda e: q.solve(model(), theta | {"elasticity": e}).value["output"].sum())(0.5)
    np.testing.assert_allclose(second, expected, rtol=1e-9)


def test_second_derivatives_of_a_linear_equilibrium_are_the_closed_form():
    """`d2 (1'x) / dA_ij dA_kl = l_i L_jk x_l + l_k L_li x_j`, with l = 1'L."""
    theta = parameters()
    A, d = theta["A"], theta["demand"]
    L = np.linalg.inv(np.eye(N) - np.asarray(A))
    half = np.einsum("i,jk,l->ijkl", L.sum(0), L, L @ np.asarray(d))
    expected = half + half.transpose(2, 3, 0, 1)
    for solver in (q.LU(), q.BiCGStab(), q.Anderson()):
        found = jax.hessian(lambda A, s=solver: q.solve(q.Leontief(A), d, solver=s).value.sum())(A)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * expected.max())


@named
def test_the_unit_of_one_array_of_the_state_changes_nothing_else(solver):
    base = q.solve(model(), parameters(), solver=solver)
    for unit in (2.0**-20, 2.0**20):
        scaled = q.solve(model(unit), parameters(unit), solver=solver)
        np.testing.assert_allclose(scaled.value["output"], unit * base.value["output"], rtol=1e-13)
        np.testing.assert_allclose(scaled.value["price"], base.value["price"], rtol=1e-13)
        assert scaled.iterations == base.iterations


def test_vmap_equals_a_loop():
    theta, grid = parameters(), jnp.linspace(0.1, 0.9, 4)

    def total(e):
        return q.solve(model(), theta | {"elasticity": e}).value["output"].sum()

    np.testing.assert_allclose(jax.vmap(total)(grid), [total(e) for e in grid], rtol=1e-12)


def test_parameters_held_by_the_function_are_differentiated():
    import equinox as eqx

    class Halve(eqx.Module):
        weight: jax.Array

        def __call__(self, x, theta):
            return self.weight * x + theta

    def value(weight):
        return q.solve(q.System(Halve(weight), jnp.zeros(1)), jnp.ones(1)).value[0]

    # x = 1 / (1 - w), dx/dw = 1 / (1 - w)^2
    np.testing.assert_allclose(jax.grad(value)(0.25), 1 / 0.75**2, rtol=1e-12)


def saddle(x, theta):
    """x = tanh(theta x): one equilibrium for theta <= 1, three above."""
    return jnp.tanh(theta * x)


@named
def test_all_equilibria_are_found_and_counted(solver):
    starts = jnp.linspace(-2, 2, 9)[:, None]
    found = q.equilibria(q.System(saddle, jnp.zeros(1)), 2.0, starts, solver=solver)
    assert found.count == 3
    values = np.sort(np.asarray(found.value).ravel())
    np.testing.assert_allclose(
        values, [-0.957504024079, 0, 0.957504024079], atol=1e-11
    )  # roots of x = tanh 2x, by bisection
    np.testing.assert_allclose(np.tanh(2 * values), values, atol=1e-12)
    # The slope at 0 is theta; at the outer ones theta (1 - x^2).
    np.testing.assert_allclose(np.sort(found.spectral_radius), np.sort(2 * (1 - values**2)), rtol=1e-9)
    assert str(found).startswith("3 equilibria from 9 starts")
    assert q.equilibria(q.System(saddle, jnp.zeros(1)), 0.5, starts, solver=solver).count == 1


def test_starts_that_lead_nowhere_are_counted_or_an_error():
    growing = q.System(lambda x, theta: x + jnp.exp(x) * theta, jnp.zeros(1))
    with pytest.raises(q.SolveError, match="None of the 3 starting points"):
        q.equilibria(growing, 1.0, jnp.ones((3, 1)), solver=q.Forward(max_steps=50))


def test_the_observed_state_is_reproduced_or_not():
    economy = q.load("us-2020")
    seen = q.reproduce(q.Leontief(economy.A), economy.final_demand, economy.output)
    assert seen.reproduced
    assert seen.distance <= 1e-12
    wrong = q.reproduce(q.Leontief(economy.A), economy.final_demand, 1.1 * economy.output)
    assert not wrong.reproduced
    # A tenth too much of everything: 1 - 1 / 1.1 of the observed.
    np.testing.assert_allclose(wrong.distance, 1 - 1 / 1.1, rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: q.System(3, jnp.ones(2)), "f is a int; give a function"),
        (lambda: q.System(saddle, ()), "x0 is empty"),
        (lambda: q.System(saddle, jnp.array([jnp.nan])), "x0 has entries that are not finite"),
        (lambda: q.solve(q.System(saddle, jnp.ones(1)), 1.0, solver=q.LU()), "LU solves linear systems"),
        (lambda: q.solve(q.System(lambda x, t: x[:1], jnp.ones(2)), 1.0), "f must return the same form as x0"),
        (lambda: q.solve(q.System(saddle, jnp.ones(1)), 1.0, solver="newton"), "solver is of type str"),
        (
            lambda: q.solve(q.System(saddle, jnp.ones(1)), 1.0, solver=q.Newton),
            r"solver is the class Newton; give .* Newton\(\)",
        ),
        (lambda: q.solve([[0.5]], [1.0]), r"system is of type list; give Leontief\(A\)"),
        (lambda: q.System(lambda x: x, jnp.ones(1)), r"f does not take two arguments; give a function of \(x, theta\)"),
        (lambda: q.solve(q.System(lambda x, t: 1j * x, jnp.ones(1)), 1.0), "what f returns is complex"),
        (lambda: q.solve(q.System(lambda x, t: {1}, jnp.ones(1)), 1.0), "what f returns is of type set"),
        (lambda: q.Anderson(memory=-1), "memory is -1; give"),
        (lambda: q.Forward(max_steps=2.5), "max_steps is 2.5; give"),
        (lambda: q.BiCGStab(tolerance=None), "tolerance is None; give a positive number"),
        (lambda: q.reproduce(q.Leontief([[0.5]]), [1.0], jnp.ones(2)), "give the same"),
        (lambda: q.equilibria(q.Leontief([[0.5]]), [1.0], jnp.ones((2, 1))), "a linear system has one equilibrium"),
        (lambda: q.equilibria(q.System(saddle, jnp.ones(1)), 1.0, jnp.ones((2, 3))), "give the same"),
        (lambda: q.reproduce(q.System(saddle, jnp.ones(1)), 1.0, jnp.ones(2)), "give the same"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, message):
    with pytest.raises(q.InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "array", [lambda: pd.Series([1.0, 2.0], ["a", "b"]), lambda: xr.DataArray([1.0, 2.0], dims="x")]
)
def test_labelled_data_are_no_arrays(array):
    """Their labels, in whatever order, would be lost."""
    for call in (lambda d: q.solve(q.Leontief(np.eye(2) / 2), d), lambda d: q.paths(np.eye(2) / 2, np.ones(2), d)):
        with pytest.raises(q.InputError, match=r"whose labels an array would lose.* economy.align"):
            call(array())


def test_a_number_in_theta_is_no_reason_to_compile_anew():
    traced = []

    def f(x, theta):
        traced.append(theta)
        return 0.5 * x + theta["cost"]

    system = q.System(f, jnp.ones(2))
    np.testing.assert_allclose(q.solve(system, {"cost": 0.5}).value, 1.0)
    before = len(traced)
    np.testing.assert_allclose(q.solve(system, {"cost": 0.75}).value, 1.5)
    assert len(traced) == before


def test_a_point_where_f_is_not_defined_is_said():
    with pytest.raises(q.SolveError, match="reached a point where f is not finite"):
        q.solve(q.System(lambda x, theta: jnp.log(x - 5), jnp.ones(2)), None)


def test_results_say_in_a_line_what_they_are():
    s = q.solve(q.System(lambda x, theta: 0.5 * x + theta, jnp.ones(2)), 0.5, solver=q.Newton())
    assert (
        repr(s)
        == f"Solution of 2 unknowns: residual 0.0e+00, no bound of the error, {int(s.iterations)} iterations; solved"
    )
    assert "ShapeDtypeStruct" in repr(jax.eval_shape(lambda: s))
    assert repr(q.reproduce(q.Leontief([[0.5]]), [1.0], [2.0])).startswith("Reproduction: reproduced, residual 0.0e+00")


def test_a_system_without_equilibrium_is_an_error_or_a_code():
    system = q.System(lambda x, theta: x + 1.0, jnp.zeros(2))
    with pytest.raises(q.SolveError, match="did not converge"):
        q.solve(system, None, solver=q.Anderson(max_steps=30))
    assert q.solve(system, None, solver=q.Newton(), throw=False).result != q.equilibrium.RESULTS.successful
