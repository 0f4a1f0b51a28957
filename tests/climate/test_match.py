"""Vulnerability matched to a published loss, against the closed form of one sector and against stress itself."""

import jax
import numpy as np
import pytest

from quesnay._errors import InputError, SolveError
from quesnay.climate.damage import Sigmoid
from quesnay.climate.match import RESULTS, match
from quesnay.climate.published import DICE2023, HowardSterner
from quesnay.climate.readings import ResourceRequirement
from quesnay.climate.stress import stress

A = np.array([[0.1, 0.2, 0.05], [0.2, 0.1, 0.1], [0.1, 0.05, 0.2]])
d = np.array([3.0, 4.0, 5.0])
ONES = np.ones(3)
SIGMOID = Sigmoid(steepness=2.5, threshold=2.0)


def test_one_sector_has_its_closed_form():
    """`GDP = (1 - a (1 + s D)) / (1 - a)` of the base, so that a loss p takes `s = p (1 - a) / (a D)`."""
    a, p, D = 0.4, 0.07, float(SIGMOID(3.0))
    alone = np.diag([a, a, a])
    found = match(alone, d, SIGMOID, p, at=3.0, gamma=ONES)
    assert float(found.scale) == pytest.approx(p * (1 - a) / (a * D), rel=1e-12)
    assert float(found.loss) == pytest.approx(p, rel=1e-12)


def test_stress_with_the_matched_vulnerability_loses_the_published_share():
    """With a reference: output relative to the reference's, `(1 - P(T)) / (1 - P(T_ref))`, in both."""
    gamma, P = np.array([0.5, 2.0, 0.0]), HowardSterner()
    found = match(A, d, SIGMOID, P, at=3.0, gamma=gamma, reference=1.1)
    run = stress(A, d, SIGMOID, temperatures=[3.0], vulnerability=found.vulnerability, reference=1.1)
    assert float(run.gdp[0]) / d.sum() == pytest.approx((1 - float(P(3.0))) / (1 - float(P(1.1))), rel=1e-12)
    np.testing.assert_allclose(found.vulnerability.gamma, float(found.scale) * gamma, rtol=1e-14)
    assert "matched" in repr(found)


def test_the_scale_is_traceable_and_has_derivatives_by_the_implicit_function_theorem():
    def scale(p, factor):
        return match(A * factor, d, SIGMOID, p, at=3.0, gamma=ONES).scale

    by_loss, by_table = jax.jit(jax.grad(scale, argnums=(0, 1)))(0.07, 1.0)
    h = 1e-4
    assert float(by_loss) == pytest.approx(float(scale(0.07 + h, 1.0) - scale(0.07 - h, 1.0)) / (2 * h), rel=1e-6)
    assert float(by_table) == pytest.approx(float(scale(0.07, 1 + h) - scale(0.07, 1 - h)) / (2 * h), rel=1e-6)


def test_the_scale_does_not_depend_on_the_currency():
    one = match(A, d, SIGMOID, 0.07, at=3.0, gamma=ONES).scale
    assert float(match(A, d * 1e9, SIGMOID, 0.07, at=3.0, gamma=ONES).scale) == pytest.approx(float(one), rel=1e-12)


def test_a_reading_whose_gdp_does_not_fall_has_no_match():
    with pytest.raises(
        SolveError, match=r"no multiple of gamma makes the economy lose 7\.00% of GDP at 3 degrees C: it coll"
    ):
        match(A, d, SIGMOID, 0.07, at=3.0, reading=ResourceRequirement())
    found = match(A, d, SIGMOID, 0.07, at=3.0, reading=ResourceRequirement(), throw=False)
    assert found.result == RESULTS.unmatched
    assert "collapses before" in RESULTS[found.result]


def test_damage_that_does_not_rise_has_no_match():
    with pytest.raises(SolveError, match=r"times gamma loses 0\.00%"):
        match(A, d, SIGMOID, 0.07, at=2.0, gamma=ONES, reference=2.0)


@pytest.mark.parametrize(
    ("published", "options", "part"),
    [
        (1.0, {}, "the published loss is 1 of GDP"),
        (0.0, {}, "the published loss is 0 of GDP"),
        (-0.1, {}, "the published loss is -0.1 of GDP"),
        (DICE2023(), {"at": 20.0}, "the published loss is 1.3868 of GDP"),
        ([0.1, 0.2], {}, r"published has shape \(2,\)"),
        (0.1, {"at": [2.0, 3.0]}, r"at has shape \(2,\)"),
        (0.1, {"gamma": [0.0, 0.0, 0.0]}, "gamma is 0 everywhere"),
        (0.1, {"gamma": [1.0]}, r"gamma has shape \(1,\)"),
    ],
)
def test_what_cannot_be_matched_is_refused(published, options, part):
    with pytest.raises(InputError, match=part):
        match(A, d, SIGMOID, published, **({"at": 3.0} | options))
