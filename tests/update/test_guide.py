"""The page on updating says what is so: its blocks run in order."""

import re
from pathlib import Path

import numpy as np

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "update.md"


def test_the_page_runs_and_its_fit_finds_multipliers_rather_than_cells():
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        exec(compile(block, str(GUIDE), "exec"), names)
    assert names["z"].error <= 1e-12
    multiplier, cell = (names["seen"].outcomes[name] for name in ("multiplier", "cell"))
    assert multiplier.sd / multiplier.prior_sd < cell.sd / cell.prior_sd
    assert np.mean(np.abs(names["ahead"].output / names["x"][3] - 1)) < 0.02
