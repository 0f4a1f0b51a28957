"""Fixtures and Hypothesis profiles that every test may use."""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import jax
import pytest

import quesnay

ROOT = Path(__file__).resolve().parents[1]
MAPS = 20_000
"""Of the 65,530 that Linux allows by default; each compiled program takes about 25."""
COMPILED = pytest.StashKey[Path]()

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure(config: pytest.Config) -> None:
    """Let the workers of one run share what they compile, and compile without optimisation unless told otherwise.

    Most of the time of these tests goes into compiling programs that run for milliseconds. `JAX_DISABLE_MOST_OPTIMIZATIONS=0`
    tests what users run; `.ci/run` does so on the newest interpreter.
    """
    plain = os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    jax.config.update("jax_disable_most_optimizations", plain == "1")
    if plain == "1" and jax.__version_info__[:2] == (0, 10):
        # Half of what remains of the time; other versions may not know the flag, and end.
        flags = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
        os.environ["XLA_FLAGS"] = f"{flags} {os.environ.get('XLA_FLAGS', '')}".strip()
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = Path(tempfile.gettempdir()) / f"quesnay-tests-{run}"
    config.stash[COMPILED] = folder
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays until the end: modules and tests. Programs that are compiled it has to see."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 20)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what was compiled, in the last process to end."""
    if "PYTEST_XDIST_WORKER" not in os.environ and COMPILED in config.stash:
        shutil.rmtree(config.stash[COMPILED], ignore_errors=True)


@pytest.fixture(autouse=True, scope="module")
def memory_maps() -> Iterator[None]:
    """Forget compiled programs before they fill the process's table of memory maps, in which XLA would end (Linux)."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MAPS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Tables that are not part of the project: $QUESNAY_SHARED/data, or ../shared/data beside the repository."""
    folder = Path(os.environ.get("QUESNAY_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"no further tables at {folder} (QUESNAY_SHARED names another place)")
    return folder


@pytest.fixture(scope="session")
def us2020() -> "quesnay.Economy":
    """The packaged table: two regions, 29 sectors each."""
    return quesnay.load("us-2020")
