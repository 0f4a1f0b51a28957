"""The lazy Jacobian of the outputs, and the effects of primary inputs on prices and on the value of outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

import quesnay as q
from quesnay.equilibrium.analysis.effects import price_effects, supply_effects
from quesnay.equilibrium.analysis.jacobian import jacobian
from tables import random_table, seeds

N = 5


def table(seed):
    """Return A, d and x of a random table."""
    Z, d = random_table(seed, N)
    x = Z.sum(axis=1) + d
    return Z / np.where(x > 0, x, 1), d, x


def small_economy(seed, n):
    """Return a labelled economy of a random table, sectors a, b, ..."""
    Z, d = random_table(seed, n)
    sectors = list("abcdefgh"[:n])
    return q.Economy.from_frames(
        Z=pd.DataFrame(Z, sectors, sectors), final_demand=pd.Series(d, sectors), currency="MUSD", year=2020
    )


def inverse(A):
    return np.linalg.inv(np.eye(len(A)) - A)


@jax.jit
def reference(A, d, dA, dd):
    """Return the derivative by A, and first and second derivatives along (dA, dd), of NumPy-style `x = (I - A)^-1 d`."""

    def output(A, d):
        return jnp.linalg.solve(jnp.eye(N) - A, d)

    def along(A, d):
        return jax.jvp(output, (A, d), (dA, dd))[1]

    return jax.jacfwd(output)(A, d), along(A, d), jax.jvp(along, (A, d), (dA, dd))[1]


@settings(max_examples=20)
@given(seeds)
def test_the_lazy_jacobian_equals_automatic_differentiation(seed):
    A, d, x = table(seed)
    rng = np.random.default_rng(seed)
    dA, dd, g = rng.normal(size=(N, N)) * A, rng.normal(size=N) * d, rng.normal(size=N)
    tensor, first, second = reference(A, d, dA, dd)
    J = jacobian(A, d)
    close = {"rtol": 1e-12, "atol": 1e-12 * x.max()}
    np.testing.assert_allclose(J.materialise(), tensor, **close)
    i, j, k = rng.integers(0, N, (3, 7))
    np.testing.assert_allclose(J.by_coefficient(i, j, k), tensor[i, j, k], **close)
    np.testing.assert_allclose(J.by_output(2), tensor[2], **close)
    np.testing.assert_allclose(J.mv(dA, dd), first, rtol=1e-11, atol=1e-12 * x.max())
    np.testing.assert_allclose(J.second(dA, dd), second, rtol=1e-11, atol=1e-12 * x.max())
    to_A, to_d = J.vmv(g)
    np.testing.assert_allclose(to_A, np.einsum("i,ijk->jk", g, tensor), rtol=1e-11, atol=1e-12 * x.max())
    np.testing.assert_allclose(to_d, g @ inverse(A), rtol=1e-11, atol=1e-13)


@settings(max_examples=20)
@given(seeds)
def test_products_with_the_jacobian_are_adjoint(seed):
    """`g' (J v) = (g' J) v`, and the lineax operator is the same map."""
    A, d, x = table(seed)
    rng = np.random.default_rng(seed)
    dA, dd, g = rng.normal(size=(N, N)), rng.normal(size=N) * x.max(), rng.normal(size=N)
    J = jacobian(A, d)
    to_A, to_d = J.vmv(g)
    forward, backward = g @ J.mv(dA, dd), jnp.vdot(to_A, dA) + jnp.vdot(to_d, dd)
    size = float(jnp.sum(jnp.abs(to_A * dA)) + jnp.sum(jnp.abs(to_d * dd)))
    assert abs(float(forward - backward)) <= 1e-12 * size
    np.testing.assert_array_equal(J.operator.mv((jnp.asarray(dA), jnp.asarray(dd))), J.mv(dA, dd))


@settings(max_examples=20)
@given(seeds)
def test_first_and_second_derivatives_agree_with_finite_differences(seed):
    A, d, x = table(seed)
    direction = np.random.default_rng(seed).normal(size=(N, N)) * A
    J = jacobian(A, d)

    def at(h):
        return np.linalg.solve(np.eye(N) - A - h * direction, d)

    h = 2e-3
    first = (45 * (at(h) - at(-h)) - 9 * (at(2 * h) - at(-2 * h)) + (at(3 * h) - at(-3 * h))) / (60 * h)
    second = (16 * (at(h) + at(-h)) - (at(2 * h) + at(-2 * h)) - 30 * at(0)) / (12 * h**2)
    size = np.linalg.norm(np.abs(inverse(A)) @ np.abs(direction), 2) * x.max() + x.max()
    np.testing.assert_allclose(J.mv(direction), first, rtol=0, atol=1e-8 * size)
    np.testing.assert_allclose(J.second(direction), second, rtol=0, atol=1e-6 * size * (1 + size / x.max()) ** 2)


@settings(max_examples=20)
@given(seeds)
def test_elasticities_add_up(seed):
    """Row j of the elasticities of x_i adds up to `L_ij (x_j - d_j) / x_i`."""
    A, d, x = table(seed)
    i = int(np.argmax(x))
    J, L = jacobian(A, d), inverse(A)
    rows = J.elasticities(i)
    np.testing.assert_allclose(rows.sum(axis=1), L[i] * (x - d) / x[i], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(J.elasticity(i, np.arange(N), 1), rows[:, 1], rtol=1e-13)


def test_a_tensor_beyond_the_limit_is_refused():
    A, d, _ = table(1)
    with pytest.raises(q.InputError, match="has 125 numbers, more than the limit of 124; use by_coefficient"):
        jacobian(A, d).materialise(limit=124)
    assert jacobian(A, d).materialise(limit=125).shape == (N, N, N)


def test_the_jacobian_travels_through_jit_and_vmap():
    A, d, _ = table(3)
    demands = jnp.stack([jnp.asarray(d), 2 * jnp.asarray(d) + 1])
    mapped = jax.jit(jax.vmap(lambda d: jacobian(A, d).mv(A)))(demands)
    np.testing.assert_allclose(mapped, jnp.stack([jacobian(A, c).mv(A) for c in demands]), rtol=1e-12)


@settings(max_examples=20)
@given(seeds)
def test_cost_push_equals_its_definition(seed):
    """`dp = L' dv`; where every cost rises by its own size, every price does."""
    A, _, _ = table(seed)
    dv, L = np.random.default_rng(seed).normal(size=N), inverse(A)
    got = price_effects(A, dv)
    np.testing.assert_allclose(got.total, dv @ L, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(got.direct + got.indirect, got.total, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(got.by_origin(), dv[:, None] * L, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(price_effects(A, 0.1 * (1 - A.sum(axis=0))).total, 0.1, rtol=1e-12)


@settings(max_examples=20)
@given(seeds)
def test_shares_by_origin_add_up_to_one_where_anything_arrives(seed):
    A, _, _ = table(seed)
    dv = np.array([0.0, 0.2, 0.0, 0.1, 0.0])
    got = price_effects(A, dv)
    arrives = np.asarray(got.total) > 0
    np.testing.assert_allclose(got.shares().sum(axis=0), np.where(arrives, 1, 0), rtol=1e-13)


@settings(max_examples=20)
@given(seeds)
def test_supply_effects_equal_their_definition_and_the_price_model(seed):
    """`dx' = dv' G`, and with `dv_i = x_i times the relative change of cost` it is `x_j dp_j` (Dietzenbacher 1997)."""
    A, _, x = table(seed)
    B = A * x / np.where(x > 0, x, 1)[:, None]
    cost = np.random.default_rng(seed).uniform(0, 0.1, N)
    got = supply_effects(B, cost * x)
    np.testing.assert_allclose(got.total, (cost * x) @ inverse(B), rtol=1e-11, atol=1e-13 * x.max())
    np.testing.assert_allclose(got.total, price_effects(A, cost).total * x, rtol=1e-11, atol=1e-13 * x.max())


def test_effects_are_labelled_with_their_units():
    economy = small_economy(3, N)
    dv = economy.align({"b": 0.1}, fill=0.0)
    prices, outputs = economy.label(price_effects(economy.A, dv)), economy.label(supply_effects(economy.B, dv))
    assert prices.total.attrs["units"] == "1"
    assert outputs.total.attrs["units"] == "MUSD"
    assert float(prices.direct.sel(sector="b").sum()) == 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda J: J.by_coefficient(0, 5, 0), "j is 5, but the accounts are numbered 0 to 4"),
        (lambda J: J.by_output([0, 1]), r"i has shape \(2,\); give one position"),
        (lambda J: J.mv(np.ones(5)), r"dA has shape \(5,\); give that of A, \(5, 5\)"),
        (lambda J: J.mv(np.ones((5, 5)), np.ones(3)), r"dd has shape \(3,\)"),
        (lambda J: J.vmv(np.ones(3)), r"g has shape \(3,\)"),
        (lambda J: jacobian(np.eye(5) / 2, [1.0, 0, 0, 0, 0]).elasticities(1), "account 1 produces nothing"),
        (lambda J: jacobian(q.Network.from_table([[0.0]], [1.0]), [1.0]), "for a Network differentiate solve"),
        (lambda J: price_effects(J.A, np.ones(3)), r"change in value added has shape \(3,\)"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, message):
    A, d, _ = table(1)
    with pytest.raises(q.InputError, match=message) as caught:
        call(jacobian(A, d))
    assert "\n" not in str(caught.value)
