"""The page on updating says what is so: its blocks run in order."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "update.md"


@pytest.fixture
def plainly_compiled():
    """Compile without optimisation in every run: the page has many programs, and each runs once."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.mark.usefixtures("plainly_compiled")
def test_the_page_runs_and_its_fit_finds_multipliers_rather_than_cells():
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        exec(compile(block, str(GUIDE), "exec"), names)
    assert names["z"].error <= 1e-12
    multiplier, cell = (names["seen"].outcomes[name] for name in ("multiplier", "cell"))
    assert multiplier.sd / multiplier.prior_sd < cell.sd / cell.prior_sd
    assert np.mean(np.abs(names["ahead"].output / names["x"][3] - 1)) < 0.02
