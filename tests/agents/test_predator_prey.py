"""Predators and prey on a torus: conservation, certain events, the mean field written out, and closed forms of one step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q
from quesnay.agents.predator_prey import PredatorPrey

KEY = jax.random.key(0)
H, W, STEPS = 4, 5, 6
GIVEN = {
    "prey": np.full((H, W), 4.0),
    "predators": np.full((H, W), 2.0),
    "predation": 0.2,
    "birth": 0.1,
    "death": 0.15,
    "conversion": 0.4,
    "mobility": np.array([0.8, 0.4]),
    "crowding": 0.02,
    "dt": 0.5,
}
STILL = {"predation": 0.0, "birth": 0.0, "death": 0.0, "crowding": 0.0}


def cells(cells):
    return cells


def run(*, key=KEY, steps=STEPS, observe=cells, **change):
    path = q.simulate(PredatorPrey(height=H, width=W, **{**GIVEN, **change}), steps=steps, key=key, observe=observe)
    return [np.asarray(part) for part in (path.prey, path.predators, path.eaten)]


def test_agents_are_conserved_and_move_to_neighbours():
    alone = np.zeros((H, W))
    alone[0, 2] = 200.0
    prey, predators, eaten = run(**STILL, prey=alone, mobility=np.ones(2))
    for kind in (prey, predators):
        np.testing.assert_array_equal(kind, np.round(kind))
        assert (kind >= 0).all()
        np.testing.assert_array_equal(kind.sum(axis=(1, 2)), kind[0].sum())
    assert not eaten.any()
    assert sorted(zip(*np.nonzero(prey[0]), strict=True)) == [(0, 1), (0, 3), (1, 2), (3, 2)]
    stay = run(**STILL, prey=alone, mobility=np.zeros(2))[0]
    assert stay[0, 0, 2] > 0
    np.testing.assert_array_equal(stay, stay[0, 0, 2] * (alone > 0) * np.ones((STEPS, 1, 1)))


def test_certain_rates_are_certain():
    """Nobody moves, so that every cell is on its own."""
    rest = {**STILL, "mobility": np.zeros(2), "dt": 1.0}
    prey, predators, eaten = run(**{**rest, "predation": 1e3}, conversion=1.0)
    assert not prey[0][predators[0] > eaten[0]].any(), "where predators were, all prey are eaten"
    np.testing.assert_array_equal(eaten[0][prey[0] > 0], 0)
    np.testing.assert_array_equal(predators[1] - predators[0], eaten[1])
    born, _, _ = run(**{**rest, "birth": 1e3})
    np.testing.assert_array_equal(born[1:], 2 * born[:-1])
    crowded, _, _ = run(**{**rest, "crowding": 1e3})
    assert not crowded.any()
    prey, starved, _ = run(**{**rest, "death": 1e3})
    assert prey.any()
    assert not starved.any()


def test_the_mean_field_is_the_recursion_of_densities():
    rng = np.random.default_rng(0)
    N, P = rng.uniform(0, 5, (H, W)), rng.uniform(0, 3, (H, W))
    prey, predators, eaten = run(prey=N, predators=P, estimator=q.agents.MeanField())

    def spread(density, m):
        moved = np.zeros((H, W))
        for i, j in np.ndindex(H, W):
            for a, b in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
                moved[a % H, b % W] += m / 4 * density[i, j]
        return moved + (1 - m) * density

    for t in range(STEPS):
        N, P = spread(N, 0.8), spread(P, 0.4)
        E = N * (1 - np.exp(-0.2 * P * 0.5))
        N = N - E
        N = N + N * (1 - np.exp(-0.1 * 0.5)) - N * (1 - np.exp(-0.02 * N * 0.5))
        P = P + 0.4 * E - P * (1 - np.exp(-0.15 * 0.5))
        for found, expected in ((prey, N), (predators, P), (eaten, E)):
            np.testing.assert_allclose(found[t], expected, rtol=1e-12)


def test_one_step_has_its_closed_form_and_derivatives():
    """Poisson numbers: E eaten = n (1 - G), G = E exp(-a P) = exp(-m (1 - exp(-a))); all that follows is linear in it.

    By m the estimator takes slopes on both sides of a jump of exp(-a P): a (1 + exp(-a)) / 2 G for (1 - exp(-a)) G.
    """
    names = ("predation", "birth", "death", "conversion", "prey", "predators")
    a, b, d, c, n, m = theta = np.array([0.3, 0.2, 0.25, 0.4, 3.0, 1.5])

    def means(theta, key):
        model = PredatorPrey(height=H, width=W, mobility=0.0, **dict(zip(names, theta, strict=True)))
        path = q.simulate(model, steps=1, key=key)
        return jnp.stack([path.prey[0], path.predators[0], path.eaten[0]])

    keys = jax.random.split(KEY, 2000)
    both = jax.jit(jax.vmap(lambda key: (means(jnp.asarray(theta), key), jax.jacfwd(means)(jnp.asarray(theta), key))))
    value, slope = (np.asarray(part) for part in both(keys))
    G = np.exp(-m * (1 - np.exp(-a)))
    E, grown = n * (1 - G), 2 - np.exp(-b)
    expected = np.array([(n - E) * grown, m * np.exp(-d) + c * E, E])
    assert np.all(np.abs(value.mean(axis=0) - expected) < 4 * value.std(axis=0) / 2000**0.5)
    eaten = np.array([n * m * np.exp(-a) * G, 0, 0, 0, 1 - G, n * a * (1 + np.exp(-a)) / 2 * G])
    slopes = np.array([-grown * eaten, c * eaten, eaten])
    slopes[0] += np.array([0, (n - E) * np.exp(-b), 0, 0, grown, 0])
    slopes[1] += np.array([0, 0, -m * np.exp(-d), E, 0, np.exp(-d)])
    error = slope.std(axis=0) / 2000**0.5
    assert np.all(np.abs(slope.mean(axis=0) - slopes) < 4 * error + 1e-12)
    assert np.all(error[slopes != 0] < 0.02 * np.abs(slopes[slopes != 0]))


def test_the_path_is_in_means_per_cell():
    path = run(estimator=q.agents.MeanField(), observe=None)
    maps = run(estimator=q.agents.MeanField())
    for mean, each in zip(path, maps, strict=True):
        np.testing.assert_allclose(mean, each.mean(axis=(1, 2)), rtol=1e-12)


WRONG = {
    "small": ({"height": 2}, "height is 2; give the number of cells, an integer of at least 3"),
    "map": ({"prey": np.ones((5, 4))}, r"prey has shape \(5, 4\); give one number, or shape \(4, 5\)"),
    "number": ({"birth": [0.1, 0.2]}, "birth has shape .*; give one number, and vmap over models"),
    "share": ({"mobility": 1.2}, "mobility is out of its range; give a number between 0 and 1"),
    "rate": ({"crowding": -0.1}, "crowding is out of its range; give a number of at least 0"),
    "missing": ({"death": None}, "death is None; give numbers"),
    "key": ({"key": None}, "draws at random; give simulate a key"),
    "relaxed": ({"estimator": q.agents.GumbelSoftmax()}, "relaxes choices, not counts"),
}


@pytest.mark.parametrize(("change", "says"), WRONG.values(), ids=WRONG)
def test_what_is_no_world_is_refused_in_one_sentence(change, says):
    key = change.pop("key", KEY)
    with pytest.raises(q.InputError, match=says):
        q.simulate(PredatorPrey(**{"height": H, "width": W, **GIVEN, **change}), steps=2, key=key)
