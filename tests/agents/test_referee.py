"""The referee: known derivatives are confirmed, known biases found, and what has no derivative is named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q

ag = q.agents
KEY = jax.random.key(1)


def last(theta, key, estimator):
    return q.simulate(ag.RandomWalk(theta, estimator), steps=49, key=key).position[-1]


def test_the_walk_is_judged_as_it_is_known_to_be():
    """2 for each of 49 draws; the standard errors are those of the deviations."""
    found = ag.check_gradient(last, 0.4, key=KEY, draws=300, referee_draws=2000)
    assert found.estimators == ("Smoothed()", "StraightThrough()", "GumbelSoftmax()", "Score()", "MeanField()", "None")
    assert abs(found.referee[0] - 98) < 4 * found.referee_error[0]
    assert found.referee_error[0] < 0.03 * 98
    np.testing.assert_allclose(found.error, found.sd / 300**0.5)
    np.testing.assert_allclose(found.bias[:, 0], found.mean[:, 0] - found.referee[0])
    np.testing.assert_array_equal(found.biased[:, 0], [False, False, True, False, False, True])
    assert found.verdict("Smoothed()").startswith("no bias seen; more than ")
    assert found.verdict("GumbelSoftmax()").startswith("biased by -1")
    assert found.verdict("None") == "no derivative"
    assert np.all(found.seconds > 0)
    assert "finite differences" in repr(found)


def test_differences_of_a_smooth_function_are_extrapolated():
    """Of a polynomial of fourth degree nothing is left; parameters at 0 have a step of their own."""

    def fn(theta, key):
        a, b = theta["a"], theta["b"]
        return a**4 - 2 * a * b[0] + b[1] ** 3

    found = ag.check_gradient(fn, {"a": 0.7, "b": [0.0, -2.0]}, key=KEY, draws=2)
    assert found.parameters == ("a", "b.0", "b.1")
    assert found.estimators == ("fn",)
    np.testing.assert_allclose(found.referee, [4 * 0.7**3, -1.4, 12], rtol=1e-12)
    np.testing.assert_allclose(found.mean[0], found.referee, rtol=1e-12)


def test_an_estimator_without_such_a_draw_is_named_and_the_others_are_judged():
    """E of a binomial number is n p."""
    found = ag.check_gradient(
        lambda p, key, estimator: ag.binomial(key, 20, p, estimator=estimator), 0.3, key=KEY, draws=200
    )
    assert "relaxes choices, not counts" in found.verdict("GumbelSoftmax()")
    assert np.isnan(found.mean[2, 0])
    assert abs(found.mean[0, 0] - 20) < 4 * found.error[0, 0]
    assert not found.biased[0, 0]


WRONG = {
    "shape": (lambda t, key: jnp.ones(2) * t, {}, r"fn returns shape \(2,\)"),
    "finite": (lambda t, key: jnp.sqrt(t - 0.4), {}, "not finite within 0.2 of theta"),
    "arguments": (lambda t: t, {}, "fn takes 1 arguments"),
    "function": (3.0, {}, "fn is no function"),
    "draws": (lambda t, key: t, {"draws": 1}, "draws is 1; give the number of draws"),
    "step": (lambda t, key: t, {"step": 0.7}, "step is 0.7"),
    "nothing": (lambda t, key: 1.0, {"theta": ()}, "nothing to check"),
}


@pytest.mark.parametrize(("fn", "change", "says"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_checked_is_refused_in_one_sentence(fn, change, says):
    with pytest.raises(q.InputError, match=says):
        ag.check_gradient(fn, **{"theta": 0.4, "key": KEY, "draws": 4, **change})
