"""The guide on agents runs, and its numbers are what it says."""

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "agents.md"


def test_the_guide_runs_as_written(capsys):
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        exec(block, names)
    naive, smoothed, relaxed = (line.split()[-2:] for line in capsys.readouterr().out.splitlines()[:3])
    assert [float(v) for v in naive] == [0, 0]
    assert float(smoothed[0]) == pytest.approx(98, rel=0.01)
    assert float(smoothed[1]) == pytest.approx(0.03 * 98, rel=0.1)
    assert float(relaxed[0]) < 95
    assert float(relaxed[1]) > 2 * float(smoothed[1])
    assert names["path"].susceptible.shape == (60,)
    assert names["slopes"].mean() > 1
