"""`optimise`: the optimum of the exact method where there is one, conditions of optimality, and clear failures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q

from .test_frontier import economy, outputs

iv = q.intervention


@pytest.mark.parametrize("seed", [1, 2])
def test_on_linear_economies_it_lands_on_the_exact_optimum(seed):
    A, d, c, e = economy(seed)
    x0 = outputs(A, d)
    system = q.System(lambda x, theta: theta["A"] @ x + theta["d"], x0)
    theta = {"A": jnp.asarray(A), "d": jnp.asarray(d)}
    exact = iv.frontier(A, d, reduce=c, keep=e, penalties=[0.3], bounds=(0.2, 1.0))
    terms = [lambda x: c @ x, iv.Absolute(lambda x: e * (x - x0), 0.3)]
    found = iv.optimise(system, theta, action=iv.Scaling(), objective=terms, bounds=(0.2, 1.0))
    assert float(found.objective) == pytest.approx(float(exact.loss[0]), rel=1e-10)
    budget = iv.frontier(A, d, reduce=c, keep=e, budgets=[0.1], bounds=(0.2, 1.0))
    jobs = iv.at_most(lambda x: jnp.sum(e * (x0 - x)), 0.1 * (e @ x0), "jobs")
    found = iv.optimise(
        system, theta, action=iv.Scaling(), objective=lambda x: c @ x, constraints=[jobs], bounds=(0.2, 1.0)
    )
    assert float(found.objective) == pytest.approx(float(budget.outcome[0]), rel=1e-9)
    assert float(found.multipliers[0][0]) == pytest.approx(float(budget.penalty[0]), rel=1e-6)
    # The envelope theorem: what one more unit of demand adds to the best outcome.
    by_d = jax.grad(lambda d: iv.frontier(A, d, reduce=c, keep=e, budgets=[0.1], bounds=(0.2, 1.0)).outcome[0])(d)
    allowed = jax.grad(lambda d: 0.1 * (e @ jnp.linalg.solve(jnp.eye(6) - A, d)))(d)
    moving = jax.grad(lambda d: e @ jnp.linalg.solve(jnp.eye(6) - A, d))(d)
    # The budget of `frontier` moves with x0 as demand does; here it is fixed, as is x0.
    expected = by_d + float(budget.penalty[0]) * (allowed - moving)
    np.testing.assert_allclose(found.by_theta["d"], expected, rtol=1e-6, atol=1e-8)


FOLD = q.System(lambda x, t: t * (1 + x**2) / 4, 0.2)
"""x = t (1 + x^2) / 4 has the equilibrium (2 - sqrt(4 - t^2)) / t for t up to 2, and none above."""


PLAIN = q.System(lambda x, t: t + 0 * x, jnp.array([1.0, 2.0]), ["a", "b"])
"""x = t, so that optima are those of functions of the element."""
AT = jnp.array([1.0, 2.0])


def test_an_action_that_leaves_the_solvable_neighbourhood_ends_at_the_last_good_point():
    with pytest.raises(q.SolveError, match=r"leaves the neighbourhood .* the last good element is \[2\.\]"):
        iv.optimise(FOLD, 1.0, action=iv.Scaling(), objective=lambda x: -x, bounds=(0.5, 3.0))
    last = iv.optimise(FOLD, 1.0, action=iv.Scaling(), objective=lambda x: -x, bounds=(0.5, 3.0), throw=False)
    at = float(last.element[0])
    assert 1.99 < at <= 2
    # 1 - f'(x) = sqrt(4 - t^2) / 2, which is 0 at the fold.
    assert float(last.solvability) == pytest.approx((4 - at**2) ** 0.5 / 2, abs=1e-7)
    inside = iv.optimise(FOLD, 1.0, action=iv.Scaling(), objective=lambda x: -x, bounds=(0.5, 1.9))
    assert float(inside.x) == pytest.approx((2 - (4 - 1.9**2) ** 0.5) / 1.9, rel=1e-12)
    # At the bound the multiplier is the slope by log alpha.
    assert float(inside.upper[0]) == pytest.approx(1.9 * float(_slope(1.9)), rel=1e-8)


def _slope(t):
    return jax.grad(lambda t: (2 - jnp.sqrt(4 - t**2)) / t)(t)


def test_limits_that_cannot_be_met_are_named():
    apart = [
        iv.at_least(lambda x: x[0], 3, "a"),
        iv.at_most(lambda x: x[0], 1, "cap"),
        iv.at_least(lambda x: x[1], 2, "b"),
    ]
    says = r"from here: a \(at least 3\) is missed by .*, cap \(at most 1\) is .*, b \(at least 2\) is at its limit; loosen"
    with pytest.raises(q.SolveError, match=says):
        iv.optimise(PLAIN, AT, action=iv.Shift(), objective=lambda x: x[1] ** 2, constraints=apart, bounds=(-5, 5))
    with pytest.raises(q.SolveError, match=r"output \(at least 0\.7\) is missed by 0\.2486"):
        iv.optimise(
            FOLD,
            1.0,
            action=iv.Scaling(),
            objective=lambda x: x,
            constraints=[iv.at_least(lambda x: x, 0.7, "output")],
            bounds=(0.5, 1.5),
        )


def test_kinks_are_optima_where_they_are_given_as_such():
    found = iv.optimise(FOLD, 1.0, action=iv.Scaling(), objective=iv.Absolute(lambda x: x - 0.3), bounds=(0.5, 1.5))
    # x = 0.3 at t = 4 x / (1 + x^2).
    assert float(found.element[0]) == pytest.approx(1.2 / 1.09, rel=1e-7)
    with pytest.raises(q.SolveError, match="give kinks of the objective as Absolute"):
        iv.optimise(FOLD, 1.0, action=iv.Scaling(), objective=lambda x: jnp.abs(x - 0.3), bounds=(0.5, 1.5))


def test_neither_units_nor_where_the_search_begins_decide():
    """Every expected element is that of a function of two numbers, by hand."""
    large = q.System(lambda x, t: t + 0 * x, jnp.array([1e12, 1.0]), ["money", "share"])
    action = iv.Product(iv.Shift("money"), iv.Scaling("share"))
    bounds = (-5e11, 0.5), (5e11, 1.5)
    found = iv.optimise(
        large, jnp.array([1e12, 1.0]), action=action, objective=lambda x: x[0] / 1e12 + x[1], bounds=bounds
    )
    np.testing.assert_allclose(np.concatenate(found.element), [-5e11, 0.5], rtol=1e-9)
    steep = iv.optimise(
        PLAIN, AT, action=iv.Shift(), objective=lambda x: -1e8 * x[0] + x[1], bounds=([-10, -6], [5, 10])
    )
    np.testing.assert_allclose(steep.element, [5, -6], rtol=1e-9)
    inside = iv.optimise(PLAIN, AT, action=iv.Shift(), objective=lambda x: 1e-12 * ((x[0] - 3) ** 2 + (x[1] - 4) ** 2))
    np.testing.assert_allclose(inside.element, [2, 2], rtol=1e-6)
    both = iv.optimise(PLAIN, AT, action=iv.Affine("b"), objective=lambda x: x[1], bounds=((0.5, -1e-3), (1.5, 1e-3)))
    np.testing.assert_allclose(both.element[:, 0], [0.5, -1e-3], rtol=1e-9)
    # At the identity -(x - 1)^2 is stationary, and is its maximum.
    saddle = iv.optimise(PLAIN, AT, action=iv.Shift("a"), objective=lambda x: -((x[0] - 1) ** 2), bounds=(-1.0, 2.0))
    assert float(saddle.objective) in (pytest.approx(-1), pytest.approx(-4))
    assert abs(float(saddle.element[0])) > 0.9


def test_defaults_of_functions_are_the_users_own():
    for w in (1.0, 2.0):
        found = iv.optimise(PLAIN, AT, action=iv.Shift("a"), objective=lambda x, w=w: w * x[0], bounds=(0.5, 3.0))
        assert float(found.objective) == pytest.approx(1.5 * w)
    turned = iv.optimise(PLAIN, AT, action=iv.Rotation(), objective=lambda x: -x[0], bounds=(-0.5, 0.5))
    again = q.solve(iv.intervene(PLAIN, turned.intervention), AT).value
    np.testing.assert_allclose(again, turned.x, rtol=1e-12)


def test_what_has_no_values_is_named():
    with pytest.raises(
        q.InputError, match="the objective is not finite in the equilibrium from which the search begins"
    ):
        iv.optimise(FOLD, 1.0, action=iv.Scaling(), objective=lambda x: jnp.log(x - 5), bounds=(0.5, 1.5))
    cap = iv.at_most(lambda x: jnp.sqrt(x - 5), 2, "cap")
    with pytest.raises(q.InputError, match=r"the constraint cap \(at most 2\) is not finite"):
        iv.optimise(FOLD, 1.0, action=iv.Scaling(), objective=lambda x: x, constraints=cap)
    with pytest.raises(q.InputError, match="theta has entries that are not finite"):
        iv.optimise(FOLD, np.nan, action=iv.Scaling(), objective=lambda x: x)
    with pytest.raises(q.SolveError, match=r"leaves the neighbourhood .* give bounds, or narrower ones"):
        iv.optimise(PLAIN, AT, action=iv.Scaling("a"), objective=lambda x: -x[0])


WRONG = {
    "nothing": ({"objective": []}, "objective is empty"),
    "objective": ({"objective": lambda x: jnp.ones(3) * x}, "returns 3 numbers"),
    "term": ({"objective": [3.0]}, "a term that is no function"),
    "order": ({"bounds": (2.0, 1.0)}, "in the wrong order"),
    "sign": ({"bounds": (-1.0, 1.0)}, "bounds: Scaling takes positive factors"),
    "pair": ({"bounds": 1.0}, "bounds is not a pair"),
    "action": ({"action": "scaling"}, "action is 'scaling'; give Scaling"),
    "constraint": ({"constraints": [lambda x: x]}, "constraints has an entry that is none"),
    "identity": ({"action": iv.ParameterScaling(lambda g, t: t * g[0] + 1)}, r"change\(1, theta\) is not theta"),
    "composes": ({"action": iv.ParameterScaling(lambda g, t: t * (2 * g[0] - 1))}, "give a change that composes"),
}


@pytest.mark.parametrize(("change", "says"), WRONG.values(), ids=WRONG)
def test_what_is_no_problem_is_refused_in_one_sentence(change, says):
    with pytest.raises(q.InputError, match=says):
        iv.optimise(FOLD, 1.0, **{"action": iv.Scaling(), "objective": lambda x: x, **change})
