"""What cannot be a network, a model, a shock or a reading of them is one sentence that says what to give instead."""

import jax
import numpy as np
import pytest

import quesnay as q
from quesnay import supply

RAGGED = [[0], [1, 2]]
NETWORK = q.Network.from_edges([0, 1, 2], [1, 2, 0], [1.0, 2.0, 3.0], np.ones(3))
KEY = jax.random.key(0)


def model(**rules) -> q.SupplyModel:
    return q.SupplyModel(NETWORK, inventory=3.0, adjustment=5.0, **rules)


def draw(**given):
    return q.firms.draw(q.load("us-2020").nonnegative(), **{"firms": 1000, "key": KEY} | given)


def edges(**given):
    given = {"supplier": [0, 1], "customer": [1, 0], "flow": [1.0, 1.0], "final_demand": [1.0, 1.0]} | given
    return q.Network.from_edges(*given.values())


CALLS = {
    "supplier ragged": (lambda: edges(supplier=RAGGED), "supplier is not a rectangular array; give integer positions"),
    "supplier text": (lambda: edges(supplier=["a", "b"]), "supplier has shape (2,) and type <U1"),
    "supplier none": (lambda: edges(supplier=None), "supplier has shape () and type object"),
    "supplier whole floats": (lambda: edges(supplier=[0.0, 1.0]), "type float64; give integer positions of firms"),
    "flow none": (lambda: edges(flow=None), "flow is None; give numbers"),
    "final demand none": (lambda: edges(final_demand=None), "final_demand is None; give numbers"),
    "table none": (lambda: q.Network.from_table(None, None), "Z is None; give numbers"),
    "products ragged": (lambda: NETWORK.pooled(RAGGED), "product is not a rectangular array; give one integer"),
    "products negative": (lambda: NETWORK.pooled([0, 1, -1]), "least entry -1"),
    "groups ragged": (lambda: q.by_group(RAGGED, 2), "groups is not a rectangular array"),
    "delay ragged": (lambda: model(delay=RAGGED), "delay is not a rectangular array; give whole days"),
    "observe text": (lambda: q.simulate(model(), steps=2, observe="output"), "observe is 'output'; give a function"),
    "hiring of another length": (
        lambda: model(labour=supply.Labour(hiring=[0.1, 0.2])),
        "hiring has shape (2,): give one number or one per account (3,)",
    ),
    "overproduction of another length": (
        lambda: model(overproduction=supply.Overproduction([1.2, 1.3])),
        "maximum has shape (2,)",
    ),
    "benefits by account": (
        lambda: supply.Households(np.ones(3), np.ones(3), benefits=[0.1, 0.2, 0.3]),
        "benefits has shape (3,); give one number",
    ),
    "left by account": (lambda: q.Concave(days=5.0, left=[0.1, 0.2]), "left has shape (2,); give one share"),
    "stability of a model": (lambda: supply.stability(model(), 5.0), "give the model's network"),
    "stability text": (lambda: supply.stability(NETWORK, "x"), "adjustment holds <U1, not numbers"),
    "stability of another length": (lambda: supply.stability(NETWORK, [1.0, 2.0]), "adjustment has shape (2,)"),
    "stability at once": (lambda: supply.stability(NETWORK, 0.0), "adjustment is 0; give days above 0"),
    "budget text": (
        lambda: supply.allocate(model(), None, budget="x", steps=3, lever=supply.Inventories()),
        "budget is 'x'; give a positive number",
    ),
    "steps text": (
        lambda: supply.allocate(model(), None, budget=1.0, steps="x", lever=supply.Inventories()),
        "steps is 'x'; give the number of days",
    ),
    "levers of nothing": (
        lambda: supply.allocate(None, None, budget=1.0, steps=3, lever=supply.Inventories()),
        "model is None; give a SupplyModel",
    ),
    "response of nothing": (
        lambda: supply.impulse(None, steps=3, observe=q.by_group([0, 1, 1], 2)),
        "model is None; give a SupplyModel",
    ),
    "risk of nothing": (
        lambda: supply.systemic_risk(None, [0, 1, 1], essential=np.ones((2, 2), bool)),
        "network is None; give a Network",
    ),
    "risk ragged": (
        lambda: supply.systemic_risk(NETWORK, RAGGED, essential=np.ones((2, 2), bool)),
        "sector is not a rectangular array; give one integer per firm",
    ),
    "risk ratings ragged": (
        lambda: supply.systemic_risk(NETWORK, [0, 1, 1], essential=RAGGED),
        "essential is not a rectangular array; give a boolean matrix",
    ),
    "moments by name": (lambda: draw(moments="Hungary"), "moments is 'Hungary'; give quesnay.firms.HUNGARY"),
    "keep text": (lambda: draw(keep="x"), "keep is 'x'; give a share"),
    "draw from a network": (lambda: q.firms.draw(NETWORK, firms=10, key=KEY), "give an Economy"),
    "read nothing": (lambda: q.firms.read(None), "path is None; give the path of a CSV or parquet file"),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_cannot_be_is_one_sentence(name):
    call, message = CALLS[name]
    with pytest.raises(q.InputError) as error:
        call()
    assert message in str(error.value)
    assert "\n" not in str(error.value)
