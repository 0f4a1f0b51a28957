"""`frontier`: laws, every policy enumerated, and HiGHS on the textbook's own programme."""

import itertools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import quesnay as q

N = 6
BOUNDS = {"closing": (0.0, 1.0), "part": (0.3, 0.9), "rising": (0.2, 1.5)}
seeds = st.integers(0, 10**6)


def economy(seed, n=N):
    """Return A with a spectral radius below 1 with all factors at 1.5, d, c and e; some accounts without demand or jobs."""
    rng = np.random.default_rng(seed)
    A = rng.uniform(size=(n, n)) * (rng.uniform(size=(n, n)) < 0.7)
    A *= rng.uniform(0.2, 0.6) / max(np.abs(np.linalg.eigvals(A)).max(), 0.1)
    d = rng.lognormal(size=n) * (rng.uniform(size=n) < 0.8)
    c = rng.lognormal(size=n) - 0.2
    e = rng.lognormal(size=n) * (rng.uniform(size=n) < 0.9)
    return A, d, c, e


def outputs(A, d, alpha=1.0):
    alpha = np.broadcast_to(alpha, d.shape)
    return np.linalg.solve(np.eye(d.size) - alpha[:, None] * A, alpha * d)


def programme(A, d, c, e, penalty, bounds, allowed=None):
    """Return the least loss by HiGHS: variables x and t >= |x - x0|, in multiples of x0 where there is output."""
    n, x0 = d.size, outputs(A, d)
    size = np.where(x0 > 0, x0, 1)
    A, d, c, e, x0 = A * size / size[:, None], d / size, c * size, e * size, x0 / size
    one, zero = np.eye(n), np.zeros((n, n))
    lo, hi = (np.broadcast_to(b, (n,))[:, None] for b in bounds)
    rows = np.block([[one - hi * A, zero], [lo * A - one, zero], [one, -one], [-one, -one]])
    right = np.concatenate([hi[:, 0] * d, -lo[:, 0] * d, x0, -x0])
    if allowed is not None:
        rows, right = np.vstack([rows, np.concatenate([0 * e, e])]), np.append(right, allowed * (e @ x0))
    found = scipy.optimize.linprog(np.concatenate([c, penalty * e]), A_ub=rows, b_ub=right, method="highs")
    assert found.status == 0
    return found.fun


@hypothesis.given(seeds)
@hypothesis.settings(max_examples=25)
def test_every_policy_enumerated_is_no_better(seed):
    A, d, c, e = economy(seed)
    penalties = np.array([0.0, 0.3, 1.0, 4.0])
    curve = q.intervention.frontier(A, d, reduce=c, keep=e, penalties=penalties, bounds=(0.2, 1.0))
    x0 = outputs(A, d)
    best = np.full(4, np.inf)
    for policy in itertools.product((0.2, 1.0), repeat=N):
        x = outputs(A, d, np.array(policy))
        best = np.minimum(best, c @ x + penalties * (e @ np.abs(x - x0)))
    scale = np.abs(c) @ x0 + penalties * (e @ x0)
    np.testing.assert_allclose(curve.loss / scale, best / scale, rtol=0, atol=1e-12)
    assert np.all(curve.gap <= 1e-9)
    assert np.all(curve.gap >= -1e-13)


@pytest.mark.parametrize("bounds", BOUNDS.values(), ids=BOUNDS)
@hypothesis.given(seeds)
@hypothesis.settings(max_examples=15)
def test_losses_are_those_of_the_linear_programme_and_what_is_returned_has_them(bounds, seed):
    A, d, c, e = economy(seed)
    penalties = np.array([3.0, 0.0, 0.5])
    curve = q.intervention.frontier(A, d, reduce=c, keep=e, penalties=penalties, bounds=bounds)
    x0 = outputs(A, d)
    for k, penalty in enumerate(penalties):
        scale = np.abs(c) @ x0 + penalty * (e @ x0)
        assert abs(float(curve.loss[k]) - programme(A, d, c, e, penalty, bounds)) <= 1e-8 * scale
        x = outputs(A, d, np.asarray(curve.alpha[k]))
        np.testing.assert_allclose(x, curve.output[k], rtol=0, atol=1e-10 * x0.max())
        np.testing.assert_allclose(curve.loss[k], c @ x + penalty * (e @ np.abs(x - x0)), rtol=0, atol=1e-10 * scale)
        np.testing.assert_allclose(curve.kept[k], e @ x, rtol=0, atol=1e-10 * (e @ x0))
        np.testing.assert_allclose(curve.change[k], e * (x - x0), rtol=0, atol=1e-10 * (e @ x0))
    assert np.all(curve.alpha >= bounds[0])
    assert np.all(curve.alpha <= bounds[1])


@pytest.mark.parametrize("bounds", [BOUNDS["closing"], BOUNDS["rising"]], ids=["closing", "rising"])
@hypothesis.given(seeds)
@hypothesis.example(30000)  # HiGHS's vertex for a budget of 0 moves 1e-17 of what is kept
@hypothesis.settings(max_examples=15)
def test_budgets_are_kept_and_spent_as_the_programme_with_that_constraint_does(bounds, seed):
    A, d, c, e = economy(seed)
    budgets = np.array([0.0, 0.02, 0.2, 1.0 if bounds[1] <= 1 else 50.0])
    curve = q.intervention.frontier(A, d, reduce=c, keep=e, budgets=budgets, bounds=bounds)
    x0 = outputs(A, d)
    for k, budget in enumerate(budgets):
        best = programme(A, d, c, e, 0.0, bounds, allowed=budget)
        assert abs(float(curve.outcome[k]) - best) <= 1e-8 * (np.abs(c) @ x0)
        assert float(curve.moved[k]) <= budget * (e @ x0) * (1 + 1e-9) + 1e-12 * (e @ x0)
        assert float(curve.penalty[k]) * (budget * (e @ x0) - float(curve.moved[k])) <= 1e-9 * (np.abs(c) @ x0)
    assert np.all(np.diff(np.asarray(curve.penalty)) <= 1e-12)


@hypothesis.given(seeds)
@hypothesis.settings(max_examples=15)
def test_where_only_some_may_grow_and_others_may_stay_the_programme_agrees(seed):
    A, d, c, e = economy(seed)
    hi = np.where(np.arange(N) % 3 == 0, 1.4, 1.0)
    budgets = [0.05, 0.3]
    curve = q.intervention.frontier(A, d, reduce=c, keep=e, budgets=budgets, bounds=(0.0, hi))
    for k, budget in enumerate(budgets):
        best = programme(A, d, c, e, 0.0, (0.0, hi), allowed=budget)
        assert abs(float(curve.outcome[k]) - best) <= 1e-8 * (np.abs(c) @ outputs(A, d))


@hypothesis.given(seeds)
@hypothesis.settings(max_examples=15)
def test_neither_order_nor_units_nor_the_storage_matter(seed):
    A, d, c, e = economy(seed)
    rng = np.random.default_rng(seed + 1)
    order, unit = rng.permutation(N), np.exp(rng.normal(0, 5, N))
    penalties = [0.2, 2.0]
    plain = q.intervention.frontier(A, d, reduce=c, keep=e, penalties=penalties)
    measured = (A * unit[:, None] / unit)[np.ix_(order, order)], (d * unit)[order]
    moved = q.intervention.frontier(*measured, reduce=(c / unit)[order], keep=(e / unit)[order], penalties=penalties)
    x0 = np.where(plain.base_output > 0, plain.base_output, 1)
    scale = np.abs(c) @ x0 + np.array(penalties) * (e @ x0)
    np.testing.assert_allclose(moved.loss / scale, plain.loss / scale, rtol=0, atol=1e-12)
    np.testing.assert_allclose(moved.output / (unit * x0)[order], (plain.output / x0)[:, order], rtol=0, atol=1e-10)


def test_a_network_of_links_has_the_outputs_of_its_matrix():
    A, d, c, e = economy(3, 40)
    d = d + 0.1
    x = outputs(A, d)
    supplier, customer = np.nonzero(A)
    network = q.Network.from_edges(supplier, customer, A[supplier, customer] * x[customer], d)
    penalties = [0.1, 1.0, 5.0]
    dense = q.intervention.frontier(A, d, reduce=c, keep=e, penalties=penalties)
    links = q.intervention.frontier(network, d, reduce=c, keep=e, penalties=penalties)
    np.testing.assert_allclose(links.output, dense.output, rtol=0, atol=1e-11 * x.max())
    np.testing.assert_allclose(links.worth, dense.worth, rtol=0, atol=1e-11 * np.abs(dense.worth).max())
    assert np.all(links.gap <= 1e-9)
    with pytest.raises(
        q.InputError, match="linear programme, which takes a matrix; for a network of links give at most 1"
    ):
        q.intervention.frontier(network, d, reduce=c, keep=e, penalties=penalties, bounds=(0.0, 1.5))


@pytest.mark.parametrize("bounds", [BOUNDS["closing"], BOUNDS["rising"]], ids=["closing", "rising"])
def test_derivatives_are_those_of_finite_differences_in_both_modes(bounds):
    A, d, c, e = (jnp.asarray(v) for v in economy(11))

    def value(theta):
        A, d, c, e, penalty, budget = theta
        by_price = q.intervention.frontier(A, d, reduce=c, keep=e, penalties=penalty, bounds=bounds)
        by_share = q.intervention.frontier(A, d, reduce=c, keep=e, budgets=budget, bounds=bounds)
        weights = jnp.arange(1.0, N + 1)
        return jnp.sum(by_price.loss + by_price.output @ weights) + jnp.sum(
            by_share.outcome + by_share.output @ weights
        )

    theta = (A, d, c, e, jnp.array([0.4, 1.3]), jnp.array([0.05, 0.3]))
    rng = np.random.default_rng(0)
    direction = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)) * leaf, theta)
    forward = jax.jit(lambda t, v: jax.jvp(value, (t,), (v,))[1])
    slope = float(forward(theta, direction))
    back = jax.jit(jax.grad(value))(theta)
    inner = sum(float(jnp.vdot(a, b)) for a, b in zip(jax.tree.leaves(back), jax.tree.leaves(direction), strict=True))
    at = jax.jit(lambda h: value(jax.tree.map(lambda a, b: a + h * b, theta, direction)))
    h = 1e-5
    differences = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    assert abs(inner - slope) <= 1e-11 * abs(slope)
    assert abs(float(differences) - slope) <= 1e-7 * abs(slope)


def test_a_budget_s_penalty_is_what_one_more_unit_of_it_reduces():
    A, d, c, e = economy(5)
    outcome = lambda share: q.intervention.frontier(A, d, reduce=c, keep=e, budgets=share).outcome[0]  # noqa: E731
    curve = q.intervention.frontier(A, d, reduce=c, keep=e, budgets=[0.1])
    slope = float(jax.grad(outcome)(0.1))
    assert slope == pytest.approx(-float(curve.penalty[0]) * float(curve.base_kept), rel=1e-10)


def test_maps_are_loops_and_single_precision_is_proved_as_far_as_it_goes():
    A, d, c, e = economy(8)
    penalties = jnp.array([0.3, 2.0])
    one = lambda d: q.intervention.frontier(A, d, reduce=c, keep=e, penalties=penalties).loss  # noqa: E731
    cases = jnp.stack([d, 2 * d, d + 1])
    np.testing.assert_allclose(jax.vmap(one)(cases), [one(case) for case in cases], rtol=1e-13)
    single = [np.asarray(v, np.float32) for v in (A, d, c, e)]
    found = q.intervention.frontier(
        single[0], single[1], reduce=single[2], keep=single[3], penalties=np.float32(penalties)
    )
    assert found.loss.dtype == jnp.float32
    np.testing.assert_allclose(found.loss, one(d), rtol=1e-5)


def test_real_tables_agree_with_highs_all_along(us2020):
    table = us2020.nonnegative()
    A, d = np.asarray(table.A), np.asarray(table.final_demand)
    c, e = np.asarray(table.intensity("ghg")), np.asarray(table.intensity("jobs"))
    x0 = outputs(A, d)
    penalties = np.geomspace(0.01, 30, 6) * (c @ x0) / (e @ x0)
    for bounds in ((0.0, 1.0), (0.5, 1.2)):
        curve = q.intervention.frontier(A, d, reduce=c, keep=e, penalties=penalties, bounds=bounds)
        for k, penalty in enumerate(penalties):
            expected = programme(A, d, c, e, penalty, bounds)
            assert float(curve.loss[k]) == pytest.approx(expected, rel=1e-7)
        assert np.all(curve.gap <= 1e-9)


def bad(**changed):
    A, d, c, e = economy(0)
    call = {"A": A, "d": d, "reduce": c, "keep": e, "penalties": [1.0], "bounds": (0.0, 1.0)}
    call.update(changed)
    return q.intervention.frontier(call.pop("A"), call.pop("d"), **call)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"A": -np.eye(N) * 0.1}, "A has 6 negative entries, the first at \\(0, 0\\); economy.nonnegative"),
        ({"d": -np.ones(N)}, "d has 6 negative entries"),
        ({"d": np.ones(N + 1)}, "d has shape \\(7,\\); A has 6 accounts"),
        ({"keep": -np.ones(N)}, "keep has 6 negative entries"),
        ({"reduce": np.full(N, np.nan)}, "reduce has entries that are not finite"),
        ({"penalties": None}, "penalties or budgets, and not both"),
        ({"budgets": [0.1]}, "penalties or budgets, and not both"),
        ({"penalties": [-1.0]}, "penalties has an entry of -1"),
        ({"penalties": []}, "penalties has shape \\(0,\\)"),
        ({"bounds": (0.5, 0.2)}, "bounds of account 0 are \\(0.5, 0.2\\); give 0 <= lower <= upper"),
        ({"bounds": (-0.1, 1.0)}, "bounds of account 0"),
        ({"bounds": 1.0}, "bounds is not a pair"),
        ({"bounds": (0.0, np.ones(3))}, "the upper bound has shape \\(3,\\)"),
        ({"penalties": None, "budgets": [0.01], "bounds": (0.0, 0.5)}, "a budget of 0.01 cannot be kept"),
        ({"penalties": None, "budgets": [5]}, "budgets has an entry of 5; shares are at most 1, 0.05 for 5 %"),
    ],
)
def test_bad_input_gets_one_sentence(changed, said):
    with pytest.raises(q.InputError, match=said):
        bad(**changed)


def test_a_penalty_beside_which_all_is_rounding_proves_nothing():
    """HiGHS's vertex costs half as much again as the best one that moves nothing."""
    A, d, c, e = economy(30000)
    with pytest.raises(q.SolveError, match="relative duality gap"):
        q.intervention.frontier(A, d, reduce=c, keep=e, penalties=[1e15], bounds=BOUNDS["rising"])


def test_technologies_without_a_limit_are_refused():
    with pytest.raises(q.SolveError, match="not productive at the upper bounds"):
        bad(A=np.eye(N) * 1.1, penalties=None, budgets=[0.1])
    with pytest.raises(q.SolveError, match="not productive at the upper bounds"):
        bad(A=np.eye(N) * 1.1)
    with pytest.raises(q.SolveError, match="not productive at the upper bounds"):
        bad(A=np.eye(N) * 0.6, bounds=(0.0, 2.0))
