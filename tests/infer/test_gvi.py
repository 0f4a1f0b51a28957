"""Generalised variational inference: known posteriors, exact resumption, honest failures."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import quesnay as q

from .linear import NOISE, linear

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def exact():
    return linear()


@pytest.mark.parametrize("divergence", [None, q.infer.renyi(0.5, particles=4)])
def test_full_covariance_finds_the_normal_posterior(exact, divergence):
    """Closed form; means within a tenth of a deviation, deviations within 15 %: the noise of the last gradient steps."""
    simulator, prior, y, mean, covariance = exact
    found = q.infer.gvi(
        simulator, prior, y, key=KEY, loss=q.infer.Gaussian(NOISE), guide=q.infer.full_covariance(), steps=1500,
        learning_rate=0.05, draws=4000, divergence=divergence,
    )  # fmt: skip
    deviation = np.sqrt(np.diag(covariance))
    assert found.converged
    assert np.all(np.abs(found.mean()["theta"].to_numpy() - mean) < 0.15 * deviation)
    np.testing.assert_allclose(found.std()["theta"], deviation, rtol=0.15)


def test_mean_field_has_the_conditional_deviations(exact):
    """The known optimum of independent normals: variances 1 / diagonal of the precision, which are too narrow."""
    simulator, prior, y, _, covariance = exact
    found = q.infer.gvi(
        simulator, prior, y, key=KEY, loss=q.infer.Gaussian(NOISE), steps=1500, learning_rate=0.05, draws=4000
    )
    np.testing.assert_allclose(found.std()["theta"], np.diag(np.linalg.inv(covariance)) ** -0.5, rtol=0.1)


def test_weight_is_a_power_of_the_likelihood(exact):
    """weight w is the same as errors larger by w^-1/2: equal to rounding, step by step."""
    simulator, prior, y, *_ = exact
    run = lambda **options: q.infer.gvi(simulator, prior, y, key=KEY, steps=20, draws=10, **options)  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", q.ConvergenceWarning)
        one = run(loss=q.infer.Gaussian(1.0), weight=0.25)
        other = run(loss=q.infer.Gaussian(2.0))
    np.testing.assert_allclose(one.z, other.z, rtol=1e-9)


def test_every_simulation_is_counted(exact):
    """Counted by the simulator itself, by a callback from within the compiled program."""
    _, prior, y, *_ = exact
    simulator = exact[0]
    runs = []

    def counted(theta):
        jax.debug.callback(lambda _: runs.append(1), theta["theta"][0])
        return simulator(theta)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", q.ConvergenceWarning)
        found = q.infer.gvi(counted, prior, y, key=KEY, steps=30, draws=5, scouts=7)
    jax.effects_barrier()
    assert len(runs) == found.simulations


def test_a_killed_run_resumes_to_the_same_numbers(exact, tmp_path):
    simulator, prior, y, *_ = exact
    file = tmp_path / "fit.safetensors"

    def run(**options):
        return q.infer.gvi(simulator, prior, y, key=KEY, loss=q.infer.Gaussian(NOISE), steps=120, draws=20, **options)

    class KilledError(Exception):
        pass

    def kill(done, total):
        assert total == 120
        if done == 75:
            raise KilledError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", q.ConvergenceWarning)
        whole = run()
        with pytest.raises(KilledError):
            run(checkpoint=file, progress=kill)
        done = []
        again = run(checkpoint=file, resume=True, progress=lambda k, _: done.append(k))
    assert done == [100, 120]
    np.testing.assert_array_equal(whole.z, again.z)
    assert [p.name for p in tmp_path.iterdir()] == [file.name]
    others = (
        {"guide": q.infer.low_rank(1)}, {"y": y + 1e-9}, {"key": jax.random.key(99)}, {"learning_rate": 0.2},
        {"divergence": q.infer.renyi(0.5)}, {"loss": q.infer.EnergyScore(NOISE)},
    )  # fmt: skip
    for other in others:
        with pytest.raises(q.InputError, match="of another run"):
            q.infer.gvi(
                simulator, prior, other.pop("y", y), steps=120, checkpoint=file, resume=True,
                **{"key": KEY, "loss": q.infer.Gaussian(NOISE), **other},
            )  # fmt: skip
    file.write_bytes(b"no checkpoint")
    with pytest.raises(q.InputError, match="cannot be read"):
        run(checkpoint=file, resume=True)


def test_simulations_that_are_not_finite_are_counted():
    prior = {"a": dist.Normal(0.0, 1.0)}
    simulator = lambda t: jnp.where(t["a"] > -0.5, t["a"], jnp.nan) * jnp.ones(5)  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", q.ConvergenceWarning)
        found = q.infer.gvi(
            simulator, prior, np.full(5, 1.0), key=KEY, loss=q.infer.Gaussian(0.3), steps=100, scouts=40
        )
    assert found.diagnostics["scouts_not_finite"] > 5
    assert np.isfinite(found.z).all()
    with pytest.raises(q.SolveError, match="narrow the prior"):
        q.infer.gvi(
            lambda t: t["a"] * jnp.nan * jnp.ones(5), prior, np.ones(5), key=KEY, loss=q.infer.Gaussian(1.0), steps=10
        )


def test_a_fit_that_has_not_ended_says_so(exact):
    simulator, prior, y, *_ = exact
    with pytest.warns(q.ConvergenceWarning, match="more steps"):
        found = q.infer.gvi(
            simulator,
            prior,
            y,
            key=KEY,
            loss=q.infer.Gaussian(NOISE),
            steps=40,
            learning_rate=0.003,
            precondition=False,
        )
    assert not found.converged


def test_the_best_of_several_starts_is_kept():
    """Two modes at +-2, the one at -2 deeper: the prior's centre alone cannot tell which."""
    prior = {"a": dist.Normal(1.0, 1.5)}
    simulator = lambda t: jnp.stack([t["a"] ** 2, 0.2 * t["a"]])  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", q.ConvergenceWarning)
        found = q.infer.gvi(
            simulator, prior, np.array([4.0, -0.4]), key=KEY, loss=q.infer.Gaussian(0.1), steps=300, scouts=30, starts=3
        )
    assert abs(float(found.mean()["a"]) + 2) < 0.1
    assert found.diagnostics["starts"] == 3


def test_several_series_are_several_shocks(exact):
    """Half of the rows as one series and half as another: the same posterior, bit by bit."""
    simulator, prior, y, *_ = exact
    halves = lambda v: {"first": v[:10], "second": v[10:]}  # noqa: E731
    run = lambda f, y: q.infer.gvi(f, prior, y, key=KEY, loss=q.infer.Gaussian(NOISE), steps=200, draws=10)  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", q.ConvergenceWarning)
        np.testing.assert_allclose(
            run(lambda t: halves(simulator(t)), halves(y)).z, run(simulator, y).z, rtol=1e-9, atol=1e-12
        )


BAD = {
    "missing": ({"observed": np.full(30, np.nan)}, "missing"),
    "one missing": ({"observed": np.r_[np.ones(29), np.nan]}, "1 of 30 values missing"),
    "infinite": ({"observed": np.r_[np.ones(29), np.inf]}, "infinite"),
    "shape": ({"observed": np.ones(29)}, r"shape \(29,\)"),
    "series": ({"observed": {"a": np.ones(30)}}, "same series"),
    "simulator": ({"simulator": 3}, "give a function"),
    "labels": ({"labels": {"beta": ["x"]}}, "which the prior has not"),
    "steps": ({"steps": 0}, "number of gradient steps"),
    "rate": ({"learning_rate": -1.0}, "learning_rate"),
    "guide": ({"guide": "full"}, "guide is a str"),
    "loss": ({"loss": "mse"}, "loss is a str"),
    "divergence": ({"divergence": "kl"}, "renyi"),
    "resume": ({"resume": True}, "no checkpoint"),
    "scale": ({"loss": q.infer.Gaussian(np.ones(7))}, "does not fit"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_sentence(exact, name):
    simulator, prior, y, *_ = exact
    changed, sentence = BAD[name]
    call = {"simulator": simulator, "prior": prior, "observed": y, "key": KEY, "steps": 5} | changed
    with pytest.raises((q.InputError, q.LabelError), match=sentence) as caught:
        q.infer.gvi(call.pop("simulator"), call.pop("prior"), call.pop("observed"), **call)
    assert str(caught.value).count(". ") == 0


def test_a_narrow_valley_far_from_the_prior_is_found():
    """Growth a e^(r t) seen with a small error: the posterior is normal, with the Fisher information's deviations."""
    days = jnp.arange(50)
    simulator = lambda t: jnp.exp(t["a"] + t["r"] * days)  # noqa: E731
    prior = {"a": dist.Normal(0.0, 1.0), "r": dist.Normal(0.1, 0.1)}
    y = np.asarray(simulator({"a": 0.0, "r": 0.2})) + np.random.default_rng(0).normal(size=50)
    found = q.infer.gvi(simulator, prior, y, key=KEY, loss=q.infer.Gaussian(1.0), steps=100, draws=4000)
    slope = np.exp(0.2 * np.arange(50))[:, None] * np.stack([np.ones(50), 0.1 * np.arange(50)], axis=1)
    exact = np.sqrt(np.diag(np.linalg.inv(slope.T @ slope + np.eye(2))))
    np.testing.assert_allclose(found.z.std((0, 1)), exact, rtol=0.06)
    assert (np.abs(found.z.mean((0, 1)) - [0.0, 1.0]) < 4 * exact).all()
    assert found.diagnostics["distance_to_mode"] < 1e-3


def test_where_the_simulator_does_not_run_is_not_silently_part_of_the_posterior():
    simulator = lambda t: jnp.where(t["a"] > -1, t["a"], jnp.nan) * jnp.ones(1)  # noqa: E731
    with pytest.warns(q.ConvergenceWarning, match="where the simulator runs"):
        found = q.infer.gvi(
            simulator, {"a": dist.Normal(0.0, 1.0)}, [0.0], key=KEY, loss=q.infer.Gaussian(2.0), steps=200
        )
    assert not found.converged


def test_nan_where_nothing_was_observed_is_no_fault(exact):
    simulator, prior, y, *_ = exact
    gap = np.arange(len(y)) == 1
    ragged = lambda t: jnp.where(gap, jnp.nan, simulator(t))  # noqa: E731
    one, other = (
        q.infer.gvi(s, prior, np.where(gap, np.nan, y), key=KEY, loss=q.infer.Gaussian(NOISE), steps=20, missing=True)
        for s in (ragged, simulator)
    )
    np.testing.assert_array_equal(one.z, other.z)


def test_a_key_is_one_of_jax(exact):
    simulator, prior, y, *_ = exact
    with pytest.raises(q.InputError, match=r"jax\.random\.key\(0\)"):
        q.infer.gvi(simulator, prior, y, key=0, loss=q.infer.Gaussian(NOISE))
