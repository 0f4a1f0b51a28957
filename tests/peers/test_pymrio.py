"""pymrio's test system side by side: coefficients, inverse, multipliers and footprints."""

import jax.numpy as jnp
import numpy as np
import pymrio
import pytest

import quesnay as q

TOLERANCE = 1e-12


@pytest.fixture(scope="module")
def system():
    return pymrio.load_test().calc_all()


@pytest.fixture(scope="module")
def economy(system):
    return q.from_pymrio(system)


def test_coefficients_are_equal(system, economy):
    np.testing.assert_allclose(economy.A, system.A, rtol=TOLERANCE)
    np.testing.assert_allclose(economy.output, system.x["indout"], rtol=TOLERANCE)


def test_the_inverse_is_equal(system, economy):
    L = q.solve(q.Leontief(economy.A), jnp.eye(len(economy.A))).value
    np.testing.assert_allclose(L, system.L, rtol=TOLERANCE)


def test_multipliers_are_equal(system, economy):
    np.testing.assert_allclose(q.multipliers(economy.A), system.L.sum(axis=0), rtol=TOLERANCE)


def test_footprints_are_equal(system, economy):
    """pymrio's M = S L per extension row; its consumption-based totals equal ours, all direct and indirect impacts."""
    for extension in system.get_extensions(data=True):
        S = extension.S.to_numpy()
        np.testing.assert_allclose(q.footprint(economy.A, S), extension.M, rtol=TOLERANCE)
        total = q.explain(q.Leontief(economy.A), economy.final_demand, outcome=S).total.sum(axis=1)
        households = 0 if extension.F_Y is None else extension.F_Y.sum(axis=1)
        np.testing.assert_allclose(total, extension.D_cba_reg.sum(axis=1) - households, rtol=TOLERANCE)


def test_intensities_are_equal(system, economy):
    rows = np.concatenate([extension.S.to_numpy() for extension in system.get_extensions(data=True)])
    ours = np.stack([economy.intensity(name) for name in economy.satellites])
    np.testing.assert_allclose(np.sort(ours, axis=0), np.sort(rows, axis=0), rtol=TOLERANCE)
