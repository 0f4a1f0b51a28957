"""Group actions and interventions: the laws of groups, and equilibria known in closed form."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q

from .models import EFFICIENCY, MOTIVATING, REBOUND, offset

iv = q.intervention
SYSTEM = q.System(lambda x, theta: theta["M"] @ jnp.tanh(x) + theta["b"], jnp.zeros(5), list("abcde"))
THETA = {"M": jnp.asarray(np.random.default_rng(0).normal(size=(5, 5)) / 4), "b": jnp.arange(5.0)}
ACTIONS = {
    "scaling": iv.Scaling(),
    "one": iv.Scaling("c"),
    "shift": iv.Shift(["b", "d"]),
    "affine": iv.Affine(["a", "e"]),
    "rotation": iv.Rotation(["a", "c", "d"]),
    "parameters": iv.ParameterScaling(lambda g, t: {**t, "M": t["M"].at[0].multiply(g[0]).at[:, 2].multiply(g[1])}, 2),
    "product": iv.Product(iv.Scaling(["a", "b"]), iv.Rotation(["c", "e"]), iv.Shift("d")),
}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
@hypothesis.given(st.integers(0, 10**6))
@hypothesis.settings(max_examples=5)
def test_the_identity_changes_nothing_elements_compose_and_inverses_undo(action, seed):
    rng = np.random.default_rng(seed)
    m = action.dimension(SYSTEM)
    g, h = (action.exp(SYSTEM, jnp.asarray(rng.normal(size=m) / 2)) for _ in range(2))
    x = jnp.asarray(rng.normal(size=5))
    plain = SYSTEM(x, THETA)
    np.testing.assert_array_equal(action.on(SYSTEM, action.exp(SYSTEM, jnp.zeros(m)))(x, THETA), plain)
    both = action.on(SYSTEM, action.compose(g, h))(x, THETA)
    np.testing.assert_allclose(action.on(action.on(SYSTEM, h), g)(x, THETA), both, rtol=1e-13, atol=1e-13)
    undone = action.on(action.on(SYSTEM, g), action.inverse(g))(x, THETA)
    np.testing.assert_allclose(undone, plain, rtol=1e-13, atol=1e-13)


def test_elements_compose_as_they_are_given():
    """Shifts add up, scalings multiply; lists and tuples are numbers, and those of products their parts."""
    np.testing.assert_allclose(iv.Shift(["b", "d"]).compose((0.1, 0.2), [0.3, 0.4]), [0.4, 0.6])
    np.testing.assert_allclose(iv.Affine("a").compose((2.0, 1.0), (3.0, 4.0)), [6.0, 9.0])
    np.testing.assert_allclose(iv.Scaling("c").inverse([4.0]), [0.25])
    first, second = iv.Product(iv.Shift("a"), iv.Scaling("b")).compose((1.0, 2.0), ([0.5], [3.0]))
    np.testing.assert_allclose([*first, *second], [1.5, 6.0])
    with pytest.raises(q.InputError, match="Product has 2 actions; give an element for each, there are 3"):
        iv.Product(iv.Shift("a"), iv.Scaling("b")).inverse((1.0, 2.0, 3.0))


def test_rotations_keep_lengths_and_orientation():
    R = iv.Rotation(["a", "b", "d"]).exp(SYSTEM, jnp.array([0.3, -1.0, 2.0]))
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-14)
    assert float(jnp.linalg.det(R)) == pytest.approx(1)
    quarter = iv.Rotation(["a", "b"]).exp(SYSTEM, jnp.array([np.pi / 2]))
    np.testing.assert_allclose(quarter, [[0, 1], [-1, 0]], atol=1e-15)


def test_the_graph_has_the_arrows_of_the_equations():
    graph = iv.graph(REBOUND, offset(0.0))
    # No other sector buys from "other", whose price is therefore that of no energy, but its goods are in the others'.
    assert graph.parents("price[target]") == ("price[energy]", "price[other]")
    assert graph.parents("output[energy]") == ("output[target]", "price[energy]")
    assert set(graph.cycles()) == {("output[target]", "output[energy]"), ("price[target]", "price[energy]")}
    assert graph.children("output[other]") == ()
    assert "n4 --> n3" in graph.mermaid()
    theta = {"tau": 2.0, "alpha": 0.5, "beta": 0.4, "gamma": 0.7}
    assert iv.graph(MOTIVATING, theta).parents("y") == ("x", "z")
    # A derivative that vanishes in the equilibrium, and only there, is an arrow.
    touching = q.System(lambda x, t: jnp.stack([t, (x[0] - t) ** 2]), jnp.zeros(2))
    assert iv.graph(touching, 1.0).parents(1) == ("x[0]",)

    # At 0, products of the others vanish with their derivatives.
    zero = q.System(lambda x, t: jnp.stack([t * x[1] ** 2, x[0] ** 2]), jnp.zeros(2))
    assert iv.graph(zero, 1.0).parents(0) == ("x[1]",)


def test_the_motivating_example_is_what_it_is_by_hand():
    """Equation (4): z = u_z gamma u_y (alpha tau + beta z), so z is insensitive where u_z u_y = 1."""
    tau, alpha, beta, gamma, u_y, u_z = 2.0, 0.5, 0.4, 0.7, 0.8, 1.3
    theta = {"tau": tau, "alpha": alpha, "beta": beta, "gamma": gamma}

    def at(u_y, u_z):
        acted = iv.intervene(MOTIVATING, iv.Act(iv.Scaling(["y", "z"]), jnp.stack([u_y, u_z])))
        return q.solve(acted, theta, solver=q.equilibrium.Newton()).value

    found = at(jnp.asarray(u_y), jnp.asarray(u_z))
    z = u_z * gamma * u_y * alpha * tau / (1 - u_z * gamma * u_y * beta)
    assert float(found["z"]) == pytest.approx(z, rel=1e-14)
    assert float(found["y"]) == pytest.approx(u_y * (alpha * tau + beta * z), rel=1e-14)
    plain = gamma * alpha * tau / (1 - gamma * beta)
    assert float(at(jnp.asarray(u_y), jnp.asarray(1 / u_y))["z"]) == pytest.approx(plain, rel=1e-14)
    # dz/du_y = z / (u_y (1 - u_z gamma u_y beta)), through the equilibrium.
    by_hand = z / (u_y * (1 - u_z * gamma * u_y * beta))
    assert float(jax.grad(lambda u: at(u, jnp.asarray(u_z))["z"])(u_y)) == pytest.approx(by_hand, rel=1e-13)


def test_hard_and_soft_interventions_replace_one_assignment():
    theta = {"tau": 2.0, "alpha": 0.5, "beta": 0.4, "gamma": 0.7}
    held = q.solve(iv.intervene(MOTIVATING, iv.Hard("z", 3.0)), theta).value
    assert (float(held["z"]), float(held["y"])) == (3.0, pytest.approx(0.5 * 2.0 + 0.4 * 3.0))
    soft = q.solve(iv.intervene(MOTIVATING, iv.Soft("z", ["y"], lambda parents: 2 - parents[0])), theta).value
    assert float(soft["y"]) == pytest.approx((0.5 * 2 + 0.4 * 2) / 1.4)
    last = iv.intervene(MOTIVATING, iv.Hard("z", 3.0), iv.Act(iv.Scaling("z"), 2.0))
    assert float(q.solve(last, theta).value["z"]) == pytest.approx(6.0)


def test_energy_efficiency_backfires_through_prices():
    """The figures are those of another program, which iterates the equations in NumPy to its fixed point."""

    def iterated(u):
        technology = np.array([[0, 0.1, 0], [0.5 * u, 0, 0], [0.1, 0.2, 0]])
        p = np.linalg.solve(np.eye(3) - technology.T, technology[1])
        return np.linalg.solve(np.eye(3) - technology, 1.42 / (np.exp(10 * (p / 0.4 - 1)) + 1))[1]

    for u, known in ((1.0, 1.525), (0.6, 1.862)):
        system = iv.intervene(REBOUND, iv.Act(EFFICIENCY, u))
        energy = float(q.solve(system, offset(0.0), solver=q.equilibrium.Newton()).value["output"][1])
        assert energy == pytest.approx(iterated(u), rel=1e-12)
        assert energy == pytest.approx(known, abs=5e-4)


def test_parameters_stay_on_their_domain():
    low, high = (
        {"M": np.full((5, 5), -1.0), "b": np.full(5, -np.inf)},
        {"M": np.full((5, 5), 1.0), "b": np.full(5, np.inf)},
    )
    system = q.System(SYSTEM.f, SYSTEM.x0, list("abcde"), domain=(low, high))
    np.testing.assert_array_equal(q.solve(system, THETA).value, q.solve(SYSTEM, THETA).value)
    outside = {**THETA, "M": THETA["M"].at[1, 2].set(1.5)}
    for changed in (system, iv.intervene(system, iv.Act(iv.Scaling("a"), 0.9))):
        with pytest.raises(q.InputError, match=r"M is 1\.5 at \(1, 2\), outside of its domain, -1 to 1"):
            q.solve(changed, outside)
    with pytest.raises(q.InputError, match="the low end of M is above its high one"):
        q.System(SYSTEM.f, SYSTEM.x0, domain=(high, low))


WRONG = {
    "node": (
        lambda: iv.intervene(SYSTEM, iv.Act(iv.Scaling("z"), 2.0)),
        "'z' is no node of the system; it has a, b, c",
    ),
    "position": (lambda: iv.intervene(SYSTEM, iv.Hard(7, 2.0)), "there is no node 7; the system has 5"),
    "twice": (lambda: iv.intervene(SYSTEM, iv.Act(iv.Shift(["a", "a"]), 1.0)), "a node twice"),
    "edge": (lambda: iv.intervene(SYSTEM, iv.Act(iv.Scaling(), 0.0)), "edge of the group"),
    "sign": (lambda: iv.intervene(SYSTEM, iv.Act(iv.Scaling(), -1.0)), "takes positive factors"),
    "size": (
        lambda: iv.intervene(SYSTEM, iv.Act(iv.Shift(["a", "b"]), [1.0, 2, 3])),
        r"Shift takes a number, or an array \(2,\)",
    ),
    "one": (lambda: iv.intervene(SYSTEM, iv.Act(iv.Rotation("a"), 1.0)), "two nodes or more"),
    "overlap": (lambda: iv.intervene(SYSTEM, iv.Act(iv.Product(iv.Scaling(), iv.Shift("b")), 1.0)), "b is in two"),
    "nested": (
        lambda: iv.intervene(SYSTEM, iv.Act(iv.Product(iv.Product(iv.Scaling()), iv.Shift("b")), 1.0)),
        "b is in two",
    ),
    "matrix": (lambda: iv.intervene(SYSTEM, iv.Act(iv.Rotation(["a", "b"]), np.ones((2, 2)))), "no rotation matrix"),
    "hard": (lambda: iv.Hard("a", [1.0, 2.0]), "held at one number"),
    "nan": (lambda: iv.Hard("a", np.nan), "the value at which a is held is not finite"),
    "soft": (
        lambda: q.solve(iv.intervene(SYSTEM, iv.Soft("a", ["b"], lambda p: p)), THETA),
        r"the new assignment of a returns shape \(1,\); give one number",
    ),
    "none": (lambda: iv.intervene(SYSTEM, "a"), "str is no intervention"),
    "names": (lambda: q.System(lambda x, t: x, jnp.zeros(2), ["a", "a"]), "the name 'a' is used twice"),
    "linear": (lambda: iv.graph(q.Leontief(np.eye(2) / 3), 1.0), r"give a System\(f, x0\)"),
}


@pytest.mark.parametrize(("call", "says"), WRONG.values(), ids=WRONG)
def test_what_is_no_intervention_is_refused_in_one_sentence(call, says):
    with pytest.raises(q.InputError, match=says):
        call()
