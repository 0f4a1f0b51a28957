"""Small systems with feedback: the rebound through prices, the motivating example, and two compartments."""

import jax.numpy as jnp

import quesnay as q

A = jnp.array([[0, 0.1, 0], [0.5, 0, 0], [0.1, 0.2, 0]])
SECTORS = ["target", "energy", "other"]


def demand(p):
    """Return the final demand at prices p: it saturates where goods cost nothing, and vanishes where they are dear."""
    return 1.42 / (jnp.exp(10 * (p / 0.4 - 1)) + 1)


def rebound(x, theta):
    """Return outputs and prices that follow from each other; prices are those of the energy in goods."""
    technology = theta["A"].at[0, 1].add(theta["offset"])
    price = technology.T @ x["price"] + technology[1]
    return {"price": price, "output": technology @ x["output"] + demand(x["price"])}


REBOUND = q.System(rebound, {"price": jnp.full(3, 0.4), "output": jnp.ones(3)}, {"price": SECTORS, "output": SECTORS})
EFFICIENCY = q.intervention.ParameterScaling(lambda u, theta: {**theta, "A": theta["A"].at[1].multiply(u[0])})


def offset(value):
    """Return the parameters of the rebound model."""
    return {"A": A, "offset": jnp.asarray(value)}


def motivating(x, t):
    """Return equation (4) of Besserve and Schoelkopf without intervention."""
    return {"x": t["tau"], "y": t["alpha"] * x["x"] + t["beta"] * x["z"], "z": t["gamma"] * x["y"]}


MOTIVATING = q.System(motivating, {"x": 1.0, "y": 1.0, "z": 1.0})
FIRST = jnp.array([[0, 0.3, 0.1], [0.25, 0, 0], [0.2, 0.15, 0]])
SECOND = jnp.array([[0, 0.2, 0.15], [0.3, 0, 0], [0.1, 0.25, 0]])


def two(x, t):
    """Return outputs of two regions of three sectors with economies of scale; each sells to the other from its third."""
    used = {name: x[name] / (1 + 0.3 * x[name]) for name in ("one", "two")}
    one = FIRST @ used["one"] + jnp.array([t["demand"], 0.6, 0.5])
    other = SECOND @ used["two"] + jnp.array([0.7, 0.5, 0.4])
    return {"one": one.at[0].add(0.6 * x["two"][2]), "two": other.at[0].add(0.5 * x["one"][2])}


TWO = q.System(two, {"one": jnp.ones(3), "two": jnp.ones(3)})
PARTS = {name: [f"{name}[{i}]" for i in range(3)] for name in ("one", "two")}
