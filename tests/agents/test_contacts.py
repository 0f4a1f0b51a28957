"""Epidemics on networks: all who meet all are those without a network, and small ones have closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q

ag = q.agents
KEY = jax.random.key(0)
N = 30


def run(links, key=KEY, *, infected=0.2, beta=0.5, **more):
    model = ag.SIR(agents=N, infected=infected, beta=beta, gamma=0.2, contacts=links, **more)
    return q.simulate(model, steps=10, key=key)


def test_all_who_meet_all_are_those_without_a_network():
    """The same numbers, draw by draw, and the same derivatives."""
    everybody = np.arange(N)
    complete = ag.contacts(np.repeat(everybody, N), np.tile(everybody, N), 1 / N, agents=N, both=False)

    def infections(beta, links, **more):
        return run(links, beta=beta, **more).infections

    for derivative in (lambda f: f, jax.jacfwd):
        on, off = (
            derivative(lambda beta, links=links, more=more: infections(beta, links, **more))(0.5)
            for links, more in ((complete, {"twins": 0}), (None, {"lumped": False}))
        )
        np.testing.assert_allclose(on, off, rtol=1e-9, atol=1e-12)
        on, off = (
            derivative(lambda beta, links=links: infections(beta, links, lumped=False, twins=3))(0.5)
            for links in (complete, None)
        )
        np.testing.assert_allclose(on, off, rtol=1e-9, atol=1e-12)
    recovered = [run(links, **more).recovered for links, more in ((complete, {}), (None, {"lumped": False}))]
    np.testing.assert_allclose(*recovered, rtol=0, atol=1e-12)


def test_infections_pass_along_links_alone():
    """A chain in one direction, whose every other link is missing: from its first agent only the second is reached."""
    ends = np.arange(0, N - 1, 2)
    links = ag.contacts(ends, ends + 1, 50.0, agents=N, both=False)
    np.testing.assert_array_equal(links.rmatvec(jnp.zeros(N).at[0].set(1.0)), 50.0 * np.eye(N)[1])
    x = jnp.zeros(N).at[1].set(1.0)
    assert not links.rmatvec(x).any()
    assert ag.contacts(ends, ends + 1, agents=N).rmatvec(x)[0] == 1
    none = run(ag.contacts([], [], agents=N))
    assert not none.infections.any()
    assert none.susceptible[0] < 1


def test_a_pair_has_its_closed_form():
    """Two agents: in one step P(infection) = 2 p (1 - p) (1 - exp(-beta)); one infection is half of all."""
    pair = ag.contacts([0], [1], agents=2)

    def new(theta, key, estimator):
        model = ag.SIR(agents=2, infected=theta[0], beta=theta[1], gamma=0.1, contacts=pair, estimator=estimator)
        return q.simulate(model, steps=1, key=key).infections[0]

    p, beta = 0.3, 0.8
    keys = jax.random.split(KEY, 4000)
    values = jax.vmap(lambda key: new(jnp.array([p, beta]), key, ag.Smoothed()))(keys)
    chance = 2 * p * (1 - p) * (1 - np.exp(-beta))
    assert abs(float(values.mean()) - chance / 2) < 4 * float(values.std()) / 4000**0.5
    expected = [(1 - 2 * p) * (1 - np.exp(-beta)), p * (1 - p) * np.exp(-beta)]
    slopes = jax.vmap(lambda key: jax.jacfwd(new)(jnp.array([p, beta]), key, ag.Smoothed()))(keys)
    error = np.asarray(slopes).std(axis=0) / 4000**0.5
    assert np.all(np.abs(np.asarray(slopes).mean(axis=0) - expected) < 4 * error), "bilinear but for 1 - exp(-beta I)"


def test_a_branch_is_a_mask():
    x = jnp.array([0.0, 1.0])
    found = ag.where_event(x, {"a": 3.0, "b": jnp.ones(2)}, {"a": 1.0, "b": jnp.zeros(2)})
    np.testing.assert_array_equal(found["a"], [1, 3])
    np.testing.assert_array_equal(found["b"], x)
    slope = jax.grad(lambda p: ag.where_event(ag.bernoulli(KEY, p, estimator=ag.StraightThrough()), 5.0, 2.0))(0.4)
    assert float(slope) == 3


WRONG = {
    "outside": (lambda: ag.contacts([0], [N], agents=N), "target has positions outside of the population, 0 to 29"),
    "shape": (lambda: ag.contacts([0, 1], [1], agents=N), "do not fit; give vectors of one length"),
    "weight": (lambda: ag.contacts([0], [1], -1.0, agents=N), "negative or not finite"),
    "lumped": (lambda: run(ag.contacts([0], [1], agents=N), lumped=True), "cannot be exchanged"),
    "number": (lambda: run(ag.contacts([0], [1], agents=5)), "those of 5 agents; agents is 30"),
    "kind": (lambda: run("all"), "contacts is 'all'; give contacts"),
}


@pytest.mark.parametrize(("call", "says"), WRONG.values(), ids=WRONG)
def test_what_is_no_network_is_refused_in_one_sentence(call, says):
    with pytest.raises(q.InputError, match=says):
        call()
