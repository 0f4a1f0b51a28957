"""Invariant interventions: what is held, by what, and the conditions under which it can be."""

import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q

from .models import EFFICIENCY, MOTIVATING, REBOUND, offset

iv = q.intervention
RANGE = offset(-0.09), offset(0.09)
FREE = {"A": False, "offset": True}
THETA = {"tau": 1.0, "alpha": 0.5, "beta": 0.4, "gamma": 0.7}


@pytest.mark.parametrize(
    ("assignment", "tolerance"), [(iv.MLP(), 1e-6), (iv.Implicit(), 1e-12)], ids=["mlp", "implicit"]
)
def test_an_output_is_held_by_its_price(assignment, tolerance):
    held = {"invariant": "output[target]", "auxiliary": "price[target]"}
    found = iv.invariant(REBOUND, RANGE, **held, action=EFFICIENCY, element=0.6, assignment=assignment, samples=64)
    assert float(found.deviation) <= tolerance
    assert ("the parameters" in found.sees) is isinstance(assignment, iv.Implicit)
    assert float(found.plain) > 1
    np.testing.assert_allclose(found.intervened[:, 0], found.reference[:, 0], rtol=tolerance)


def test_the_motivating_example_is_diagnosed_as_by_hand():
    """z* = gamma y / u_y: a function of y alone where gamma is fixed, whatever tau, alpha and beta; not where it is not."""
    triplet = {"intervened": "y", "invariant": "z", "intervention": iv.Act(iv.Scaling("y"), 0.8)}
    fixed = iv.diagnose(MOTIVATING, THETA, **triplet, free={"tau": True, "alpha": True, "beta": True, "gamma": False})
    assert float(fixed.floor) < 1e-14
    assert fixed.possible
    assert not fixed.sufficient, "three parameters, one parent: proposition 3 is sufficient only"
    assert (fixed.rank, fixed.parameters, fixed.parents) == (1, 3, ("y",))
    assert float(fixed.derivative) == 1
    one = iv.diagnose(MOTIVATING, THETA, **triplet, free={"tau": True, "alpha": False, "beta": False, "gamma": False})
    assert one.sufficient
    free = iv.diagnose(MOTIVATING, THETA, **triplet)
    assert not free.possible
    # z = gamma y / u_y, y = u_y (alpha tau + beta z): derivatives by (alpha, beta, gamma, tau), and what y leaves of them.
    z = 0.7 * 0.5 / (1 - 0.28)
    common = 1 / (1 - 0.28)
    y = np.array([1, z, 0.4 * z / 0.7, 0.5]) * 0.8 * common
    asked = np.array([0.7, 0.7 * z, z / 0.7, 0.35]) * common
    left = asked - y * (y @ asked) / (y @ y)
    assert float(free.floor) == pytest.approx(np.linalg.norm(left) / np.linalg.norm(asked), rel=1e-10)
    by_price = iv.diagnose(REBOUND, offset(0.0), invariant="output[target]", auxiliary="price[target]", free=FREE)
    step = 1e-6
    ends = [
        q.solve(
            iv.intervene(REBOUND, iv.Hard("price[target]", 0.5 / 0.95 + s)), offset(0.0), solver=q.equilibrium.Newton()
        )
        for s in (-step, step)
    ]
    slope = (ends[1].value["output"][0] - ends[0].value["output"][0]) / (2 * step)
    assert float(by_price.derivative) == pytest.approx(float(slope), rel=1e-8)


def test_the_mechanism_survives_where_assignments_are_not_linear():
    """z = gamma y^2 / (1 + y): with u_z(y) in place of 1 / u_y the same z, and the same assignment of y alone."""

    def bent(x, t):
        return {"x": t, "y": 0.5 * x["x"] + 0.4 * x["z"], "z": 0.7 * x["y"] ** 2 / (1 + x["y"])}

    system = q.System(bent, {"x": 1.0, "y": 1.0, "z": 0.3})
    asked = {"intervened": "y", "invariant": "z", "element": 0.8, "assignment": iv.Polynomial(12)}
    found = iv.invariant(system, (0.7, 1.4), **asked, tolerance=1e-8)
    assert float(found.deviation) <= 1e-8
    # In the invariant system y is 0.8 of what it was, so that the assignment is that of y / 0.8.
    y = np.asarray(found.intervened)[:, 1]
    np.testing.assert_allclose(found.intervened[:, 2], 0.7 * (y / 0.8) ** 2 / (1 + y / 0.8), rtol=1e-8)
    with pytest.raises(q.SolveError, match="deviates by up to"):
        iv.invariant(system, (0.7, 1.4), **asked | {"assignment": iv.Polynomial(1)})


def test_what_is_said_to_be_held_is_measured():
    """x_b = 1 + x_a: scaled by a half, a moves by a half, and b by a quarter of itself."""
    system = q.System(lambda x, t: {"a": t, "b": 1 + x["a"], "c": 0.1 * x["b"]}, {"a": 1.0, "b": 2.0, "c": 0.2})
    parts = {"P": ["a", "b"], "Q": ["c"]}
    cut = {"P": iv.Act(iv.Scaling("a"), 0.5)}
    said = iv.compartments(system, 1.0, parts, cut, held={"P": "b"})
    assert said.open == ((), ())
    assert said.moved == (("b",), ())
    assert not said.closed
    assert "said to be held, but moves: b" in repr(said)
    assert float(said.deviation[0]) == pytest.approx(0.25, rel=1e-12)
    assert float(said.leakage[1]) == pytest.approx(0.25, rel=1e-12)
    assert iv.compartments(system, 1.0, parts, {"P": iv.Hard("b", 2.0)}, held={"P": "b"}).closed
    with pytest.raises(q.InputError, match="one of 'Q' acts on a, a node of 'P'; give it there"):
        iv.compartments(system, 1.0, parts, {"Q": cut["P"]})
    with pytest.raises(q.InputError, match=r"a 2 times; put every node into one"):
        iv.compartments(system, 1.0, parts | {"Q": ["c", "a"]}, cut)


def test_a_node_that_does_not_reach_another_cannot_hold_it():
    chain = q.System(lambda x, t: jnp.stack([t, 0.5 * x[0], 2 * x[0]]), jnp.ones(3), ["a", "b", "c"])
    found = iv.diagnose(chain, 1, invariant="b", auxiliary="c")
    assert (float(found.derivative), float(found.floor), found.sufficient, found.possible) == (0, 1, False, False)
    with pytest.raises(q.SolveError, match="b does not depend on c"):
        iv.invariant(chain, (1.0, 2.0), intervened="a", invariant="b", auxiliary="c", assignment=iv.Polynomial())
    # Where the base is 0, what leaks is measured against the largest value.
    apart = q.System(lambda x, t: jnp.stack([t, 1e-3 * (x[0] - 1), t]), jnp.ones(3), ["a", "b", "c"])
    leaky = iv.compartments(apart, 1.0, {"P": ["a"], "Q": ["b", "c"]}, {"P": iv.Act(iv.Scaling("a"), 2.0)})
    assert float(leaky.leakage[1]) == pytest.approx(1e-3)


WRONG = {
    "same": ({"intervened": "z", "invariant": "z"}, "the intervened and the invariant node at once"),
    "nothing": ({"invariant": "z"}, "nothing is intervened on"),
    "form": ({"intervened": "y", "invariant": "z", "theta_range": (THETA, {"tau": 1.0})}, "different forms"),
    "range": ({"intervened": "y", "invariant": "z", "theta_range": None}, "theta_range is not a pair"),
    "order": (
        {"intervened": "y", "invariant": "z", "theta_range": (THETA | {"tau": 2.0}, THETA)},
        "above its high one",
    ),
    "free": ({"intervened": "y", "invariant": "z", "theta_range": (THETA, THETA)}, "leaves no parameter free"),
}


@pytest.mark.parametrize(("change", "says"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_invariant_is_refused_in_one_sentence(change, says):
    arguments = {"theta_range": (THETA, THETA | {"tau": 2.0}), **change}
    with pytest.raises(q.InputError, match=says):
        iv.invariant(MOTIVATING, arguments.pop("theta_range"), **arguments)
