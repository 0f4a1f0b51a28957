"""Laws of the mode and of the normal posterior around it, against closed forms and against other methods."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import quesnay as q
from quesnay.infer.gvi import gvi
from quesnay.infer.laplace import curvature, laplace
from quesnay.infer.laplace import map as most_probable
from quesnay.infer.losses import Gaussian
from quesnay.infer.mcmc import mcmc
from quesnay.infer.variational import full_covariance

KEY = jax.random.key(0)
DESIGN = np.random.default_rng(0).normal(size=(12, 3))
MEANS, SPREADS, ERROR = np.array([1.0, -2.0, 0.5]), np.array([2.0, 0.5, 10.0]), 0.3
DATA = DESIGN @ np.array([0.3, -1.5, 4.0]) + 0.1 * np.random.default_rng(1).normal(size=12)
PRIOR = {"a": dist.Normal(MEANS[0], SPREADS[0]), "b": dist.Normal(MEANS[1:], SPREADS[1:])}


def linear(theta):
    return DESIGN @ jnp.concatenate([theta["a"][None], theta["b"]])


def closed_form():
    """Posterior mean and covariance of a linear model: Lambda = X'X / s^2 + D^-2, mean = Lambda^-1 (X'y / s^2 + D^-2 m)."""
    precision = DESIGN.T @ DESIGN / ERROR**2 + np.diag(SPREADS**-2.0)
    return np.linalg.solve(precision, DESIGN.T @ DATA / ERROR**2 + MEANS / SPREADS**2), np.linalg.inv(precision)


def stacked(values):
    return np.concatenate([np.atleast_1d(values["a"]), np.atleast_1d(values["b"])])


def test_the_mode_of_a_linear_model_with_normal_errors_is_its_mean():
    mean, covariance = closed_form()
    found = most_probable(linear, PRIOR, DATA, key=KEY, loss=Gaussian(ERROR), steps=100)
    np.testing.assert_allclose(stacked(found.mean()), mean, atol=1e-6 * np.sqrt(np.diag(covariance)).min())
    assert found.converged
    assert found.samples.sizes["draw"] == found.samples.sizes["chain"] == 1


def test_laplace_is_exact_for_a_linear_model_with_normal_errors():
    """4 standard errors of 20,000 independent draws; the Hessian itself to 1e-6 below."""
    mean, covariance = closed_form()
    draws = 20_000
    found = laplace(linear, PRIOR, DATA, key=KEY, loss=Gaussian(ERROR), steps=100, draws=draws)
    theta = np.column_stack([found.theta()["a"], found.theta()["b"]])
    deviation = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(theta.mean(axis=0) - mean) < 4 * deviation / np.sqrt(draws))
    # Var of a sample covariance of normals: (C_ij^2 + C_ii C_jj) / n.
    error = np.sqrt((covariance**2 + np.outer(deviation, deviation) ** 2) / draws)
    assert np.all(np.abs(np.cov(theta.T) - covariance) < 4 * error)
    assert found.converged
    assert found.diagnostics["exact_hessian"]
    assert found.diagnostics["distance_to_mode"] < 1e-6


def host(function, *values):
    """Call NumPy from JAX, which has no derivative of its own."""
    return jax.pure_callback(function, jax.ShapeDtypeStruct(values[0].shape, values[0].dtype), *values)


def reverse_only(function, derivative):
    """Return an elementwise function of which JAX knows values and gradients only, as of one written in C."""
    known = jax.custom_vjp(lambda x: host(function, x))
    known.defvjp(lambda x: (host(function, x), x), lambda x, g: (g * host(derivative, x),))
    return known


only_reverse = reverse_only(lambda x: np.sin(x) + x**2, lambda x: np.cos(x) + 2 * x)


@pytest.mark.parametrize("inner", [only_reverse, lambda x: jnp.sin(x) + x**2], ids=["reverse only", "both modes"])
def test_curvature_is_the_second_derivative_with_and_without_forward_mode(inner):
    """f = sum w_i u_i / 2 with u = sin(x) + x^2 and a coupling x_0 x_1: the Hessian is diag(w (2 - sin x) / 2), with 1
    for the pair (0, 1)."""
    w, z = np.array([1.0, 5.0, 0.2]), np.array([0.3, -1.2, 2.0])

    def function(x):
        return 0.5 * jnp.sum(w * inner(x)) + x[0] * x[1]

    found = curvature(function, jax.jit(jax.value_and_grad(function)), z)
    expected = np.diag(w * (2 - np.sin(z)) / 2)
    expected[0, 1] = expected[1, 0] = 1.0
    # Central differences: rounding eps / h and truncation h^2 are both about 1e-10.
    np.testing.assert_allclose(found.hessian, expected, atol=1e-6)
    assert found.exact == (inner is not only_reverse)
    assert found.gradients == (3 if found.exact else 6)


def test_simulators_without_forward_mode_have_the_same_posterior():
    same = reverse_only(np.asarray, np.ones_like)
    both = laplace(linear, PRIOR, DATA, key=KEY, loss=Gaussian(ERROR), steps=50)
    reverse = laplace(lambda t: same(linear(t)), PRIOR, DATA, key=KEY, loss=Gaussian(ERROR), steps=50)
    assert not reverse.diagnostics["exact_hessian"]
    assert reverse.diagnostics["objective"] == pytest.approx(both.diagnostics["objective"], rel=1e-9)
    # Means of two sets of 1,000 draws, which the signs of eigenvectors may tell apart: 4 standard errors.
    apart = np.abs(stacked(reverse.mean()) - stacked(both.mean()))
    assert np.all(apart < 4 * np.sqrt(2 * np.diag(closed_form()[1]) / 1000))
    assert reverse.simulations - reverse.diagnostics["gradients"] == 2 * 3


def test_the_mode_is_that_of_the_standardised_coordinates():
    """log x is normal with mean 0.5: its density has the mode exp(0.5) in log x; in x it would be exp(0.5 - 0.8^2)."""
    prior = {"x": dist.LogNormal(0.5, 0.8)}
    found = most_probable(lambda t: 0 * t["x"][None], prior, np.zeros(1), key=KEY, loss=Gaussian(1.0), steps=30)
    assert float(found.mean()["x"]) == pytest.approx(np.exp(0.5), abs=1e-6)


def test_simulations_are_the_gradients_that_were_taken():
    calls = []

    def counted(theta):
        jax.debug.callback(lambda: calls.append(1))
        return linear(theta)

    found = most_probable(counted, PRIOR, DATA, key=KEY, loss=Gaussian(ERROR), steps=7, starts=3)
    jax.effects_barrier()
    assert found.simulations == len(calls)
    assert 3 * 7 < found.simulations <= 3 * 7 + 7 // 3 + 20  # L-BFGS ends a line search of at most 20 that it has begun


def test_several_starts_find_the_lower_of_two_modes():
    """(x^2 - 1)^2 has its modes near -1 and 1; a prior around -3 has its centre on the wrong side of data at x + 1 = 2."""

    def well(theta):
        return jnp.stack([5 * (theta["x"] ** 2 - 1), 0.5 * theta["x"]])

    arguments = (well, {"x": dist.Normal(-1.0, 2.0)}, np.array([0.0, 2.0]))
    one = most_probable(*arguments, key=KEY, loss=Gaussian(0.3), steps=100)
    best = most_probable(*arguments, key=KEY, loss=Gaussian(0.3), steps=100, starts=8)
    assert float(one.mean()["x"]) < 0 < float(best.mean()["x"])
    assert best.diagnostics["objective"] < one.diagnostics["objective"]


def test_a_stochastic_simulator_meets_one_set_of_random_numbers():
    """y = a + e with the same e at every step: for each key a normal posterior, of a precision that e does not change."""

    def noisy(theta, key):
        return theta["a"] + jax.random.normal(key, (4,))

    loss = Gaussian(0.5)
    found = laplace(noisy, {"a": dist.Normal(0.0, 1.0)}, np.full(4, 2.0), key=KEY, loss=loss, steps=60, draws=4000)
    assert found.converged
    # 4 observations with s = 0.5: precision 1 + 4 / 0.25 = 17. A sample deviation has relative error 1 / sqrt(2 n).
    assert float(found.std()["a"]) == pytest.approx(17**-0.5, rel=4 / np.sqrt(8000))
    again = laplace(noisy, {"a": dist.Normal(0.0, 1.0)}, np.full(4, 2.0), key=KEY, loss=loss, steps=60, draws=4000)
    np.testing.assert_array_equal(found.z, again.z)


def test_a_hessian_that_is_not_positive_definite_is_refused_or_counted():
    """At z = 0, a maximum in the second unknown by symmetry: loss -10 cos is 10 z^2 - ... with the sign turned."""

    def ridge(simulated, observed):
        return jnp.sum(simulated[0] ** 2) - 10 * jnp.cos(simulated[1] * 0 + 0) - 5 * (1 - jnp.cos(simulated[1]))

    arguments = (lambda t: t["x"], {"x": dist.Normal(jnp.zeros(2), 1.0)}, np.zeros(2))
    with pytest.raises(q.SolveError, match="1 of 2 eigenvalues are not positive"):
        laplace(*arguments, key=KEY, loss=ridge, weight=1.0, steps=5)
    with pytest.warns(UserWarning, match="1 of 2 directions curve the wrong way"):
        found = laplace(*arguments, key=KEY, loss=ridge, weight=1.0, steps=5, draws=4000, throw=False)
    assert not found.converged
    assert found.diagnostics["negative_eigenvalues"] == 1
    # Curvatures: 2 + 1 in the first unknown; the prior's precision, 1, in the second.
    np.testing.assert_allclose(np.std(found.z[0], axis=0), [3**-0.5, 1.0], rtol=4 / np.sqrt(8000))


def test_steps_to_where_the_simulator_is_not_finite_are_counted_and_the_mode_is_found():
    """x < 0.9 is not finite; the mode of (x - 1)^2 / (2 0.1^2) + x^2 / 2 is 100 / 101."""
    found = most_probable(
        lambda t: jnp.where(t["x"] < 0.9, jnp.nan, t["x"])[None], {"x": dist.Normal(0.0, 1.0)}, np.ones(1),
        key=jax.random.key(3), loss=Gaussian(0.1), steps=150, starts=20,
    )  # fmt: skip
    assert float(found.mean()["x"]) == pytest.approx(100 / 101, abs=1e-6)
    assert found.diagnostics["not_finite"] > 0


@pytest.mark.parametrize("method", [most_probable, laplace])
def test_no_finite_simulation_is_an_error(method):
    def broken(theta):
        return theta["x"][None] * jnp.nan

    prior = {"x": dist.Normal(0.0, 1.0)}
    with pytest.raises(q.SolveError, match="None of 10 steps has a finite loss"):
        method(broken, prior, np.ones(1), key=KEY, loss=Gaussian(0.1), steps=5, starts=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = method(broken, prior, np.ones(1), key=KEY, loss=Gaussian(0.1), steps=5, throw=False)
    assert not found.converged


def test_the_search_that_ended_early_says_so():
    with pytest.warns(UserWarning, match="The gradient at the end has norm"):
        found = most_probable(linear, PRIOR, DATA, key=KEY, loss=Gaussian(ERROR), steps=2)
    assert not found.converged


def test_too_many_unknowns_are_sent_to_gvi():
    with pytest.raises(q.InputError, match=r"2001 unknowns.*infer\.gvi"):
        laplace(lambda t: t["x"], {"x": dist.Normal(jnp.zeros(2001), 1.0)}, np.zeros(2001), key=KEY, loss=Gaussian(1.0))


@pytest.mark.parametrize(("name", "value"), [("steps", 0), ("starts", 0), ("learning_rate", -1.0), ("draws", 1)])
def test_arguments_outside_their_domain_are_refused(name, value):
    with pytest.raises(q.InputError, match=name):
        laplace(linear, PRIOR, DATA, key=KEY, loss=Gaussian(ERROR), **{name: value})


def economy(theta):
    """Return the output of three sectors over twelve days, as shares of the base, with a loss of capacity in the first four."""
    Z = np.array([[20.0, 30.0, 5.0], [15.0, 10.0, 25.0], [10.0, 20.0, 10.0]])
    network = q.Network.from_table(Z, np.array([45.0, 50.0, 60.0]))
    model = q.SupplyModel(network, inventory=20.0, adjustment=theta["adjustment"], capacity=2.0)
    path = q.simulate(
        model, q.CapacityLoss(theta["loss"] * np.array([1.0, 0.8, 0.0]), duration=4), steps=12, throw=False
    )
    return path.output / path.base.output


@pytest.mark.slow
def test_three_methods_agree_on_an_economy():
    """Errors of 1 % leave a nearly normal posterior, so that the three differ by the error of the least of them.

    4 Monte Carlo standard errors of the chains, of which the least effective sample size is known, and 5 % of a deviation for
    the guide's stochastic gradients and for what is not normal.
    """
    truth = {"adjustment": jnp.asarray(12.0), "loss": jnp.asarray(0.6)}
    data = np.asarray(economy(truth)) + 0.01 * np.random.default_rng(4).normal(size=(12, 3))
    prior = {"adjustment": dist.LogNormal(np.log(10.0), 0.4), "loss": dist.Normal(0.6, 0.01)}
    arguments = {"key": jax.random.key(5), "loss": Gaussian(0.01)}
    normal = laplace(economy, prior, data, **arguments, steps=100, draws=4000)
    chains = mcmc(economy, prior, data, **arguments, warmup=150, draws=200)
    guide = gvi(economy, prior, data, **arguments, guide=full_covariance(), steps=600, draws=4000)
    exact, effective = chains.z.reshape(-1, 2), chains.diagnostics["effective_sample_size"]
    for other in (normal, guide):
        z = other.z.reshape(-1, 2)
        apart = np.abs(z.mean(axis=0) - exact.mean(axis=0)) / exact.std(axis=0)
        assert np.all(apart < 0.05 + 4 / np.sqrt(effective))
        assert np.all(np.abs(z.std(axis=0) / exact.std(axis=0) - 1) < 0.05 + 4 / np.sqrt(effective))
