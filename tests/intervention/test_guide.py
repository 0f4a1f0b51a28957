"""The guide runs as it stands, and what it finds is what other methods find."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "intervention.md"
OFFSETS = np.array([[0, 0.1, 0], [0.3, 0, 0], [0.1, 0.2, 0]])
"""The technology of the rebound model, energy row scaled by 0.6."""


def energy(prices):
    """Return energy use at given prices: the linear system that is left then."""
    return np.linalg.solve(np.eye(3) - OFFSETS, 1.42 / (np.exp(10 * (prices / 0.4 - 1)) + 1))[1]


def taxed(tax):
    """Return prices with a tax on the target's."""
    return np.linalg.solve(np.eye(3) - OFFSETS.T, OFFSETS[1] + np.array([tax, 0, 0]))


@pytest.fixture(scope="module")
def guide():
    """Return the names that the guide's code leaves."""
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        exec(block, names)
    return names


def test_what_the_guide_finds(guide):
    # Budgets are kept.
    np.testing.assert_allclose(guide["curve"].moved / guide["curve"].base_kept, [0.01, 0.05, 0.2], rtol=1e-9)
    assert guide["economy"].label(guide["curve"])["change"].sel(region="Georgia").size == 3 * 29
    # The least tax at which energy is back to what it was, by bisection.
    base, tax = float(guide["energy"](guide["system"])), guide["tax"]
    by_hand = scipy.optimize.brentq(lambda t: energy(taxed(t)) - base, 0, 0.5, xtol=1e-15)
    assert float(tax.element[0]) == pytest.approx(by_hand, rel=1e-8)
    slope = (energy(taxed(by_hand + 1e-6)) - energy(taxed(by_hand - 1e-6))) / 2e-6
    assert float(tax.multipliers[0][0]) == pytest.approx(-2 * by_hand / slope, rel=1e-6)
    assert float(tax.stationarity) <= 1e-6
    again = guide["energy"](guide["q"].intervention.intervene(guide["efficient"], tax.intervention))
    assert float(again) == pytest.approx(base, rel=1e-8)
    # The price held at what it is without the gain in efficiency, in closed form.
    held = guide["held"]
    assert float(held.deviation) <= 1e-12
    assert float(held.plain) > 0.2
    assert held.sees == ("price[energy]", "price[other]")
    p0 = 0.5 / (1 - 0.5 * 0.1)
    saved = float(guide["energy"](guide["q"].intervention.intervene(guide["system"], held.intervention)))
    assert saved == pytest.approx(energy(np.array([p0, 0.1 * p0, 0])), rel=1e-12)
    assert (base, saved) == (pytest.approx(1.525, abs=5e-4), pytest.approx(1.482, abs=5e-4))
    # Steel and mines with the farms cut by a fifth, by hand, and with food held.
    matrix, rest = np.array([[0, 0.3, 0, 0], [0.4, 0, 0, 0.2], [0, 0, 0, 0.2], [0, 0.3, 0.5, 0]]), np.ones(4)
    before = np.linalg.solve(np.eye(4) - matrix, rest)
    matrix[0], rest[0] = 0.8 * matrix[0], 0.8
    after = np.linalg.solve(np.eye(4) - matrix, rest)
    leaky, tight = guide["leaky"], guide["tight"]
    assert float(leaky.leakage[1]) == pytest.approx(np.max(np.abs(after / before - 1)[2:]), rel=1e-10)
    assert (leaky.closed, leaky.outgoing, leaky.open[0]) == (False, (("a[food]",), ("b[steel]",)), ("a[food]",))
    assert float(tight.leakage[1]) <= 1e-8
    assert float(tight.deviation[0]) <= 1e-8
    assert tight.closed, "nothing is done in b that steel would have to be held for"
    assert float(abs(tight.x[1, 0, 0] / tight.x[0, 0, 0] - 1)) > 0.1, "the intervened node moves"
